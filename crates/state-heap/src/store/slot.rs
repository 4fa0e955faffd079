//! The states of a store: tables whose types are known only to their handles, and what belongs to a
//! time to live.

use std::any::Any;

use hurtig_state_api::{IncrementalCleanup, Key, StateTtlConfig};
use hurtig_types::{Record, codec::CodecError, snapshot::StateMeta};

use crate::{
    append_lists::AppendLists,
    capture::Block,
    table::{KeyedTable, sweep},
    ttl::{Expired, Expiring, Ttl, unexpired},
};

pub(super) struct Slot<K> {
    pub(super) meta: StateMeta,
    pub(super) table: Box<dyn StateTable<K>>,
    pub(super) timed: Option<Box<TimedSlot>>,
}

/// What a state with a time to live has beside its table.
pub(super) struct TimedSlot {
    pub(super) config: StateTtlConfig,
    pub(super) cleanup: Option<IncrementalCleanup>,
    /// Entries that the accesses of this batch allow to be looked at.
    pub(super) earned: usize,
    /// The last expired value that was returned: it is in the table no more.
    pub(super) spare: Option<Box<dyn Any + Send>>,
}

/// A table whose values' type is known only to its handles.
pub(super) trait StateTable<K>: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn begin_capture(&mut self, since: Option<u32>, now_ms: i64);
    fn cancel_capture(&mut self);
    fn forget_removals_before(&mut self, capture: u32);
    fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError>;
    fn is_empty(&self) -> bool;
    fn keys(&self) -> Vec<(u64, K)>;
    fn sweep(&mut self, buckets: usize, now_ms: i64);
}

/// What every table does in the same way.
macro_rules! state_table {
    ($($table:tt)+) => {
        fn as_any(&mut self) -> &mut dyn Any {
            &mut self$($table)+
        }

        fn cancel_capture(&mut self) {
            self$($table)+.cancel_capture();
        }

        fn forget_removals_before(&mut self, capture: u32) {
            self$($table)+.forget_removals_before(capture);
        }

        fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError> {
            self$($table)+.next_block(max_bytes)
        }

        fn is_empty(&self) -> bool {
            self$($table)+.is_empty()
        }

        fn keys(&self) -> Vec<(u64, K)> {
            self$($table)+.iter().map(|(hash, key, _)| (hash, key.clone())).collect()
        }
    };
}

/// A table of plain values.
pub(super) struct PlainTable<K, V>(pub(super) KeyedTable<K, V>);

impl<K: Key, V: Record> StateTable<K> for PlainTable<K, V> {
    state_table!(.0);

    fn begin_capture(&mut self, since: Option<u32>, _: i64) {
        self.0.begin_capture(since);
    }

    fn sweep(&mut self, _: usize, _: i64) {}
}

/// A table of values with times.
pub(super) struct TimedTable<K, S> {
    pub(super) table: KeyedTable<K, S>,
    pub(super) ttl: Ttl,
    /// Full captures leave out what has expired. One of changes must not: what it left out, an
    /// earlier capture could bring back.
    pub(super) filtered: bool,
}

impl<K: Key, S: Expiring> StateTable<K> for TimedTable<K, S> {
    state_table!(.table);

    fn begin_capture(&mut self, since: Option<u32>, now_ms: i64) {
        let filtered = self.filtered && since.is_none();
        let filter = filtered.then(|| unexpired(self.ttl.horizon_ms(now_ms)));
        self.table.begin_filtered_capture(since, filter);
    }

    fn sweep(&mut self, buckets: usize, now_ms: i64) {
        sweep(&mut self.table, buckets, self.ttl.horizon_ms(now_ms));
    }
}

/// Lists that only grow.
impl<K: Key> StateTable<K> for AppendLists<K> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn begin_capture(&mut self, since: Option<u32>, _: i64) {
        self.begin_capture(since);
    }

    fn cancel_capture(&mut self) {
        self.cancel_capture();
    }

    fn forget_removals_before(&mut self, _: u32) {}

    fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError> {
        self.next_block(max_bytes)
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn keys(&self) -> Vec<(u64, K)> {
        self.keys().map(|(hash, key)| (hash, key.clone())).collect()
    }

    fn sweep(&mut self, _: usize, _: i64) {}
}

/// A state with a time to live, at the current key.
pub(super) struct TimedAccess<'a, K, S> {
    pub(super) table: &'a mut KeyedTable<K, S>,
    pub(super) hash: u64,
    pub(super) key: &'a K,
    pub(super) now_ms: i64,
    pub(super) spare: &'a mut Option<Box<dyn Any + Send>>,
}

impl<K: Key, S: Expiring> TimedAccess<'_, K, S> {
    pub(super) fn get(&self) -> Option<&S> {
        self.table.get(self.hash, self.key)
    }

    /// Drops what has expired. True if there is something left.
    pub(super) fn drop_expired(&mut self, ttl: Ttl) -> bool {
        let horizon_ms = ttl.horizon_ms(self.now_ms);
        match self.get().map(|value| value.expired(horizon_ms)) {
            None => false,
            Some(Expired::Nothing) => true,
            Some(Expired::All) => {
                self.table.remove(self.hash, self.key);
                false
            }
            Some(Expired::Part) => {
                if let Some(value) = self.table.get_mut(self.hash, self.key) {
                    value.drop_expired(horizon_ms);
                }
                true
            }
        }
    }
}

/// Keeps a value that is in the table no more, to be looked at once.
pub(super) fn keep<V: Send + 'static>(
    spare: &mut Option<Box<dyn Any + Send>>,
    value: V,
) -> Option<&V> {
    spare.insert(Box::new(value)).downcast_ref()
}
