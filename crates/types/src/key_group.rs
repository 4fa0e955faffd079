//! Key groups: the unit in which keyed state is split, moved and rescaled.
//!
//! ```text
//! key_group         = stable_hash(key) mod max_parallelism
//! operator_index    = key_group * parallelism / max_parallelism
//! ```
//! Savepoints depend on these two lines and on [`crate::key_hash`].

use serde::{Deserialize, Serialize};

/// Largest max parallelism, as in Flink: key groups are numbered in 15 bits.
pub const MAX_PARALLELISM_LIMIT: u32 = 1 << 15;

/// The key group of a hash.
#[inline]
pub fn key_group_of(hash: u64, max_parallelism: u32) -> u32 {
    if max_parallelism.is_power_of_two() {
        (hash & u64::from(max_parallelism - 1)) as u32
    } else {
        (hash % u64::from(max_parallelism)) as u32
    }
}

/// The subtask that owns a key group.
#[inline]
pub fn operator_index_of(key_group: u32, parallelism: u32, max_parallelism: u32) -> u32 {
    (u64::from(key_group) * u64::from(parallelism) / u64::from(max_parallelism)) as u32
}

/// Max parallelism when the user gives none: `1.5 * parallelism` rounded up to a power of two,
/// within `[128, 32768]`, as Flink 2.3's `KeyGroupRangeAssignment`.
pub fn default_max_parallelism(parallelism: u32) -> u32 {
    let wanted = u64::from(parallelism) + u64::from(parallelism / 2);
    wanted.next_power_of_two().clamp(128, u64::from(MAX_PARALLELISM_LIMIT)) as u32
}

/// A contiguous range of key groups, both ends inclusive; the share of one subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyGroupRange {
    /// First key group.
    pub start: u32,
    /// Last key group.
    pub end: u32,
}

impl KeyGroupRange {
    /// The range of one subtask.
    pub fn of_subtask(subtask: u32, parallelism: u32, max_parallelism: u32) -> Self {
        let first_of = |index: u32| {
            (u64::from(index) * u64::from(max_parallelism)).div_ceil(u64::from(parallelism)) as u32
        };
        Self { start: first_of(subtask), end: first_of(subtask + 1) - 1 }
    }

    /// Number of key groups.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        (self.end - self.start + 1) as usize
    }

    /// True if the group lies inside.
    #[inline]
    pub fn contains(&self, key_group: u32) -> bool {
        self.start <= key_group && key_group <= self.end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{KeyHashError, stable_hash};

    proptest! {
        #[test]
        fn ranges_partition_the_key_groups(p in 1u32..600, extra in 0u32..600) {
            let max = p + extra;
            let mut next = 0;
            for subtask in 0..p {
                let range = KeyGroupRange::of_subtask(subtask, p, max);
                prop_assert_eq!(range.start, next);
                for group in range.start..=range.end {
                    prop_assert_eq!(operator_index_of(group, p, max), subtask);
                }
                next = range.end + 1;
            }
            prop_assert_eq!(next, max);
        }
    }

    /// Savepoints depend on it: key group of 128 and of 4096, subtask of 1, 3 and 5.
    #[test]
    fn key_groups_never_change() {
        let of = |hash: Result<u64, KeyHashError>| {
            let hash: u64 = hash.unwrap();
            let group = key_group_of(hash, 128);
            let subtasks = [1, 3, 5].map(|parallelism| operator_index_of(group, parallelism, 128));
            (group, key_group_of(hash, 4096), subtasks)
        };
        assert_eq!(of(stable_hash(&0u64)), (54, 310, [0, 1, 2]));
        assert_eq!(of(stable_hash(&1000i64)), (53, 1205, [0, 1, 2]));
        assert_eq!(of(stable_hash(&-1i64)), (9, 2697, [0, 0, 0]));
        assert_eq!(of(stable_hash(&"")), (11, 3211, [0, 0, 0]));
        assert_eq!(of(stable_hash(&"hurtig")), (120, 3704, [0, 2, 4]));
    }

    #[test]
    fn default_max_parallelism_is_flinks() {
        assert_eq!(default_max_parallelism(1), 128);
        assert_eq!(default_max_parallelism(128), 256);
        assert_eq!(default_max_parallelism(30_000), 32_768);
    }
}
