//! The memory budget: how many bytes each partition and gate may hold.
//!
//! The total is divided evenly among all that are registered, and divided anew whenever one comes
//! or goes, as Flink's NetworkBufferPool does. Nobody gets less than one buffer (or nothing could
//! ever move) nor more than its channels can use.
//!
//! # How a producer that found no room is woken
//!
//! 1. The producer finds its partition full, raises its [`Waiter`]'s flag and looks once more.
//! 2. Whoever makes room (a consumer that took something, a holder that left) looks at the flag
//!    afterwards; if it is up, takes it down and posts the signal.
//!
//! Both sides write before they read, sequentially consistent, so one of them sees the other. A
//! producer that does not wait is never signalled.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use hurtig_env::Signal;
use parking_lot::Mutex;

/// A producer that may be waiting for room.
#[derive(Debug)]
pub struct Waiter {
    waiting: AtomicBool,
    signal: Signal,
}

impl Waiter {
    /// A producer that listens to this signal.
    pub fn new(signal: Signal) -> Arc<Self> {
        Arc::new(Self { waiting: AtomicBool::new(false), signal })
    }

    /// Step 1: from now on the signal is posted when there may be room. Look again afterwards.
    pub fn wait_for_room(&self) {
        self.waiting.store(true, SeqCst);
    }

    /// The producer found room by itself.
    pub fn stop_waiting(&self) {
        self.waiting.store(false, SeqCst);
    }

    /// True if the producer waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(SeqCst)
    }

    /// Step 2: there may be room.
    pub fn wake(&self) {
        if self.is_waiting() && self.waiting.swap(false, SeqCst) {
            self.signal.post();
        }
    }

    /// Wakes the producer whatever it waits for.
    pub fn post(&self) {
        self.signal.post();
    }
}

/// The budget of a TaskExecutor.
#[derive(Debug)]
pub struct Budget {
    total_bytes: usize,
    members: AtomicUsize,
    used_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
    next_key: AtomicUsize,
    waiters: Mutex<BTreeMap<usize, Arc<Waiter>>>,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn new(total_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            total_bytes,
            members: AtomicUsize::new(0),
            used_bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
            next_key: AtomicUsize::new(0),
            waiters: Mutex::default(),
        })
    }

    /// Registers a holder that can use between `min_bytes` and `max_bytes`, and whom to wake when
    /// its share grows.
    pub fn join(
        self: &Arc<Self>,
        min_bytes: usize,
        max_bytes: usize,
        waiter: Option<Arc<Waiter>>,
    ) -> BudgetShare {
        self.members.fetch_add(1, SeqCst);
        let key = self.next_key.fetch_add(1, Relaxed);
        if let Some(waiter) = waiter {
            self.waiters.lock().insert(key, waiter);
        }
        BudgetShare {
            budget: self.clone(),
            min_bytes,
            max_bytes: max_bytes.max(min_bytes),
            key,
            left: AtomicBool::new(false),
        }
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
    key: usize,
    left: AtomicBool,
}

impl BudgetShare {
    /// How many bytes the holder may hold at this moment.
    pub fn limit_bytes(&self) -> usize {
        let members = self.budget.members.load(SeqCst).max(1);
        (self.budget.total_bytes / members).clamp(self.min_bytes, self.max_bytes)
    }

    /// The budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Gives the share to the others, before it is dropped.
    pub fn leave(&self) {
        if self.left.swap(true, SeqCst) {
            return;
        }
        self.budget.members.fetch_sub(1, SeqCst);
        let mut waiters = self.budget.waiters.lock();
        waiters.remove(&self.key);
        for waiter in waiters.values() {
            waiter.wake();
        }
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_number_of_holders() {
        let budget = Budget::new(1000);
        let one = budget.join(10, 800, None);
        assert_eq!(one.limit_bytes(), 800);
        let two = budget.join(600, 700, None);
        assert_eq!((one.limit_bytes(), two.limit_bytes()), (500, 600));
        two.leave();
        drop(two);
        assert_eq!(one.limit_bytes(), 800);
    }

    #[tokio::test]
    async fn a_waiting_holder_is_woken_when_another_leaves() {
        let budget = Budget::new(1000);
        let signal = Signal::new();
        let waiter = Waiter::new(signal.clone());
        let share = budget.join(10, 800, Some(waiter.clone()));
        let other = budget.join(10, 800, None);
        waiter.wait_for_room();
        drop(other);
        signal.wait().await;
        assert!(!waiter.is_waiting());
        drop(share);
        assert!(budget.waiters.lock().is_empty());
    }
}
