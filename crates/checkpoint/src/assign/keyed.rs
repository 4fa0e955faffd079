//! Keyed state: each subtask takes, of every old subtask's handles, the key groups that are its.

use hurtig_types::{KeyGroupRange, KeyedStateHandle};

use crate::model::OperatorState;

/// The keyed state of one new subtask. The metadata has been checked.
pub fn assign(
    state: &OperatorState,
    subtask: u32,
    parallelism: u32,
    max_parallelism: u32,
) -> Vec<KeyedStateHandle> {
    let own = KeyGroupRange::of_subtask(subtask, parallelism, max_parallelism);
    let handles = state.subtasks.values().flat_map(|subtask| &subtask.keyed);
    let shares = handles.filter_map(|handle| {
        let key_groups = intersect(handle.key_groups, own)?;
        Some(KeyedStateHandle { key_groups, chain: handle.chain.clone() })
    });
    shares.collect()
}

/// The key groups that lie in both.
pub fn intersect(a: KeyGroupRange, b: KeyGroupRange) -> Option<KeyGroupRange> {
    let (start, end) = (a.start.max(b.start), a.end.min(b.end));
    (start <= end).then_some(KeyGroupRange { start, end })
}
