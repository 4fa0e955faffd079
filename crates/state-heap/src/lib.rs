//! The `hashmap` state backend: typed values in hash tables, nothing serialised on access.
//!
//! - [`KeyedTable`]: the values of one state, one hash table per key group, reached with the stable
//!   hash that the caller has computed once per record.
//! - [`KeyedStateStore`]: all states of one operator by name, with the current key.
//! - [`OperatorStateStore`]: lists of one subtask, and maps that are equal in all.
//! - [`TimerQueue`]: timers by time, deduplicated by (time, key, namespace).
//!
//! - [`capture`]: writing tables down while they go on changing; [`file`]: what comes of it.
//!
//! Owned by one operator of one subtask; nothing here is shared or locked.

mod append_lists;
mod arena;
pub mod capture;
pub mod file;
#[cfg(test)]
mod hostile;
pub mod operator_state;
mod radix_heap;
mod sorted_map;
mod state_map;
pub mod store;
pub mod table;
pub mod timers;
mod ttl;

pub use arena::Rows;
pub use capture::{Block, BlockKind};
pub use file::{CaptureWriter, read_blocks};
pub use operator_state::{BroadcastState, OperatorListState, OperatorStateStore};
pub use sorted_map::{SortedEntries, SortedStateMap};
pub use state_map::{StateMap, StateMapIntoIter, StateMapIter};
pub use store::{
    AggregatingState, AppendListState, KeyedState, KeyedStateStore, ListState, MapEntries,
    MapState, ReducingState, StateError, ValueState, keyed_state_meta,
};
pub use table::{HashOf, IntoEntries, KeyedTable};
pub use timers::{Timer, TimerQueue};
