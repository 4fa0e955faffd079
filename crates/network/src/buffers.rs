//! Buffers for encoded batches, reused.
//!
//! Invariants: a buffer that is handed out for an encoded batch is at most four times as large as
//! the batch, so that counting the batch's bytes bounds the memory; the pool itself keeps at most
//! [`POOL_BUFFERS`] buffers of at most twice the standard size.

use parking_lot::Mutex;

/// Most buffers that wait for reuse.
const POOL_BUFFERS: usize = 64;

/// The pool.
#[derive(Debug)]
pub(crate) struct BufferPool {
    standard_bytes: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// A pool for buffers of about that size.
    pub(crate) fn new(standard_bytes: usize) -> Self {
        Self { standard_bytes, free: Mutex::default() }
    }

    fn is_standard(&self, bytes: usize) -> bool {
        (self.standard_bytes / 2..=self.standard_bytes * 2).contains(&bytes)
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.free.lock().pop()
    }

    /// A buffer with a copy of `bytes`.
    pub(crate) fn copy_of(&self, bytes: &[u8]) -> Vec<u8> {
        let pooled = if self.is_standard(bytes.len()) { self.take() } else { None };
        let mut buffer = pooled.unwrap_or_else(|| Vec::with_capacity(bytes.len()));
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Turns `scratch` into a buffer of its contents, and `scratch` into an empty one for the
    /// next batch.
    pub(crate) fn detach(&self, scratch: &mut Vec<u8>) -> Vec<u8> {
        if scratch.len() >= scratch.capacity() / 4 {
            let fresh = self.take().unwrap_or_default();
            return std::mem::replace(scratch, fresh);
        }
        let exact = scratch.as_slice().to_vec();
        scratch.clear();
        if scratch.capacity() > self.standard_bytes * 4 {
            // It was needed once for something large.
            scratch.shrink_to(self.standard_bytes);
        }
        exact
    }

    /// A buffer that is not needed any more.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        if self.is_standard(buffer.capacity()) {
            buffer.clear();
            let mut free = self.free.lock();
            if free.len() < POOL_BUFFERS {
                free.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_batch_never_holds_a_large_buffer() {
        let pool = BufferPool::new(1000);
        let mut scratch = Vec::with_capacity(900);
        for len in [1, 100, 250, 900, 5000, 10, 1000, 3] {
            scratch.resize(len, 7);
            let batch = pool.detach(&mut scratch);
            assert_eq!(batch, vec![7; len]);
            assert!(batch.capacity() <= 4 * len + 3, "{len}");
            assert!(scratch.is_empty() && scratch.capacity() <= 4000);
            pool.give_back(batch);
            let copy = pool.copy_of(&vec![1; len]);
            assert_eq!(copy, vec![1; len]);
            assert!(copy.capacity() <= 4 * len, "{len}");
            pool.give_back(copy);
        }
    }

    #[test]
    fn buffers_are_reused_and_their_number_is_bounded() {
        let pool = BufferPool::new(1000);
        let buffer = pool.copy_of(&[1; 1000]);
        let address = buffer.as_ptr();
        pool.give_back(buffer);
        let again = pool.copy_of(&[2; 900]);
        assert_eq!(again.as_ptr(), address);
        for _ in 0..3 * POOL_BUFFERS {
            pool.give_back(Vec::with_capacity(1000));
        }
        assert_eq!(pool.free.lock().len(), POOL_BUFFERS);
    }
}
