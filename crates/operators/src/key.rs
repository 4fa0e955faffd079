//! Key selectors: from the records of a batch to their keys.

use std::sync::Arc;

use hurtig_state_api::Key;
use hurtig_state_heap::KeyHasher;
use hurtig_types::{FlowResult, Record};

/// Selects the keys of a whole batch: one call per batch, a compiled loop inside.
pub struct KeySelector<T, K> {
    select: Arc<dyn Fn(&[T], &mut Vec<K>) + Send + Sync>,
}

impl<T, K> Clone for KeySelector<T, K> {
    fn clone(&self) -> Self {
        Self { select: self.select.clone() }
    }
}

impl<T: Record, K: Key> KeySelector<T, K> {
    /// Selects by a function of one record.
    pub fn new(f: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        Self { select: Arc::new(move |values, keys| keys.extend(values.iter().map(&f))) }
    }

    /// The keys of a batch; `keys` is overwritten.
    pub fn select(&self, values: &[T], keys: &mut Vec<K>) {
        keys.clear();
        keys.reserve(values.len());
        (self.select)(values, keys);
    }
}

/// A selector with its buffers: keys and hashes of one batch at a time.
pub struct BatchKeys<T, K> {
    selector: KeySelector<T, K>,
    hasher: KeyHasher,
    /// Keys of the batch.
    pub keys: Vec<K>,
    /// Their stable hashes.
    pub hashes: Vec<u64>,
}

impl<T: Record, K: Key> BatchKeys<T, K> {
    /// Buffers for a selector.
    pub fn new(selector: KeySelector<T, K>) -> Self {
        Self { selector, hasher: KeyHasher::default(), keys: Vec::new(), hashes: Vec::new() }
    }

    /// Computes keys and hashes of a batch.
    pub fn load(&mut self, values: &[T]) -> FlowResult {
        self.selector.select(values, &mut self.keys);
        self.hasher.hash_all(&self.keys, &mut self.hashes)?;
        Ok(())
    }
}
