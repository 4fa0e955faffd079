//! The memory budget: how many bytes each partition and gate may hold.
//!
//! The total is divided evenly among all that are registered, and divided anew whenever one comes
//! or goes, as Flink's NetworkBufferPool does. Nobody gets less than one buffer (or nothing could
//! ever move) nor more than its channels can use.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The budget of a TaskExecutor.
#[derive(Debug)]
pub struct Budget {
    total_bytes: usize,
    members: AtomicUsize,
    share_bytes: AtomicUsize,
    used_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn new(total_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            total_bytes,
            members: AtomicUsize::new(0),
            share_bytes: AtomicUsize::new(total_bytes),
            used_bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
        })
    }

    /// Registers a holder that can use between `min_bytes` and `max_bytes`.
    pub fn join(self: &Arc<Self>, min_bytes: usize, max_bytes: usize) -> BudgetShare {
        let members = self.members.fetch_add(1, Relaxed) + 1;
        self.share_bytes.store(self.total_bytes / members, Relaxed);
        BudgetShare { budget: self.clone(), min_bytes, max_bytes: max_bytes.max(min_bytes) }
    }

    /// Bytes in use now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }

    /// Most bytes ever in use.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Relaxed)
    }

    /// The whole.
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Notes that bytes were taken.
    pub fn take(&self, bytes: usize) {
        let used = self.used_bytes.fetch_add(bytes, Relaxed) + bytes;
        if used > self.peak_bytes.load(Relaxed) {
            self.peak_bytes.fetch_max(used, Relaxed);
        }
    }

    /// Notes that bytes were given back.
    pub fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// One holder's share; leaves the budget when dropped.
#[derive(Debug)]
pub struct BudgetShare {
    budget: Arc<Budget>,
    min_bytes: usize,
    max_bytes: usize,
}

impl BudgetShare {
    /// How many bytes the holder may hold at this moment.
    pub fn limit_bytes(&self) -> usize {
        self.budget.share_bytes.load(Relaxed).clamp(self.min_bytes, self.max_bytes)
    }

    /// The budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        let members = self.budget.members.fetch_sub(1, Relaxed) - 1;
        self.budget.share_bytes.store(self.budget.total_bytes / members.max(1), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_number_of_holders() {
        let budget = Budget::new(1000);
        let one = budget.join(10, 800);
        assert_eq!(one.limit_bytes(), 800);
        let two = budget.join(600, 700);
        assert_eq!((one.limit_bytes(), two.limit_bytes()), (500, 600));
        drop(two);
        assert_eq!(one.limit_bytes(), 800);
    }
}
