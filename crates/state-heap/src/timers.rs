//! Timers by time.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashTable;
use hurtig_state_api::Key;

/// A timer that has become due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer<K, N> {
    /// The time for which it was registered, in milliseconds.
    pub time: i64,
    /// Stable hash of the key.
    pub hash: u64,
    /// The key.
    pub key: K,
    /// What it is for: a window, or nothing.
    pub namespace: N,
}

#[derive(Debug)]
struct Pending<K, N> {
    hash: u64,
    key: K,
    namespace: N,
}

/// Timers, at most one per (time, key, namespace). Due timers come in order of time; those of one
/// time in the order of registration, unless some of that time were deleted.
#[derive(Debug)]
pub struct TimerQueue<K, N> {
    by_time: BTreeMap<i64, HashTable<Pending<K, N>>>,
    due: VecDeque<Timer<K, N>>,
    len: usize,
}

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        Self { by_time: BTreeMap::new(), due: VecDeque::new(), len: 0 }
    }
}

impl<K: Key, N: Eq + Clone> TimerQueue<K, N> {
    /// Registers a timer; false if it was registered already.
    pub fn register(&mut self, time: i64, hash: u64, key: &K, namespace: &N) -> bool {
        let same = |p: &Pending<K, N>| p.hash == hash && p.key == *key && p.namespace == *namespace;
        let table = self.by_time.entry(time).or_default();
        if table.find(hash, same).is_some() {
            return false;
        }
        let pending = Pending { hash, key: key.clone(), namespace: namespace.clone() };
        table.insert_unique(hash, pending, |p| p.hash);
        self.len += 1;
        true
    }

    /// Deletes a timer; false if there was none.
    pub fn delete(&mut self, time: i64, hash: u64, key: &K, namespace: &N) -> bool {
        let same = |p: &Pending<K, N>| p.hash == hash && p.key == *key && p.namespace == *namespace;
        if let Some(table) = self.by_time.get_mut(&time)
            && let Ok(found) = table.find_entry(hash, same)
        {
            found.remove();
            if table.is_empty() {
                self.by_time.remove(&time);
            }
            self.len -= 1;
            return true;
        }
        // It may have become due, but not have been taken yet.
        let is_it = |t: &Timer<K, N>| {
            t.time == time && t.hash == hash && t.key == *key && t.namespace == *namespace
        };
        match self.due.iter().position(is_it) {
            Some(index) => {
                self.due.remove(index);
                self.len -= 1;
                true
            }
            None => false,
        }
    }

    /// Takes the next timer whose time is at or before `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<Timer<K, N>> {
        if self.due.is_empty() {
            let first = self.by_time.first_entry()?;
            if *first.key() > now {
                return None;
            }
            let time = *first.key();
            let timers = first.remove().into_iter();
            self.due.extend(timers.map(|p| Timer {
                time,
                hash: p.hash,
                key: p.key,
                namespace: p.namespace,
            }));
        }
        let timer = self.due.pop_front()?;
        self.len -= 1;
        Some(timer)
    }

    /// The time of the earliest timer.
    pub fn next_time(&self) -> Option<i64> {
        let due = self.due.front().map(|timer| timer.time);
        due.or_else(|| self.by_time.first_key_value().map(|(time, _)| *time))
    }

    /// Number of timers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_unique_ordered_and_deletable() {
        let mut timers = TimerQueue::<u8, ()>::default();
        assert!(timers.register(20, 1, &1, &()));
        assert!(timers.register(10, 2, &2, &()));
        assert!(!timers.register(10, 2, &2, &()));
        assert!(timers.register(10, 3, &3, &()));
        assert_eq!((timers.len(), timers.next_time()), (3, Some(10)));
        assert!(timers.pop_due(9).is_none());
        let first = timers.pop_due(15).unwrap();
        assert_eq!(first.time, 10);
        let other = 5 - first.key;
        assert!(timers.delete(10, u64::from(other), &other, &()), "due, but not taken yet");
        assert!(!timers.delete(10, u64::from(other), &other, &()));
        assert!(timers.pop_due(15).is_none());
        assert_eq!(timers.pop_due(20).map(|t| t.key), Some(1));
        assert!(timers.is_empty());
    }
}
