//! Key groups: the unit in which keyed state is split, moved and rescaled.
//!
//! ```text
//! stable_hash(key)  = XXH3-64 (seed 0) over the record codec's bytes of the key
//! key_group         = stable_hash mod max_parallelism
//! operator_index    = key_group * parallelism / max_parallelism
//! ```
//! Savepoints depend on these three lines: the test vectors below may be added to, never changed.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{CodecError, encode_into};

/// Largest max parallelism, as in Flink: key groups are numbered in 15 bits.
pub const MAX_PARALLELISM_LIMIT: u32 = 1 << 15;

/// The stable 64-bit hash of a key; `scratch` is overwritten and kept by the caller to spare the
/// allocation.
#[inline]
pub fn stable_hash<K: Serialize>(key: &K, scratch: &mut Vec<u8>) -> Result<u64, CodecError> {
    scratch.clear();
    encode_into(key, scratch)?;
    Ok(xxh3_64(scratch))
}

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

    fn hash<K: Serialize>(key: K) -> u64 {
        stable_hash(&key, &mut Vec::new()).unwrap()
    }

    #[test]
    fn vectors_never_change() {
        let seen = [
            hash(0u64),
            hash(1u64),
            hash(1000i64),
            hash(-1i64),
            hash("hurtig"),
            hash(("a", 1u32)),
            hash(()),
        ];
        assert_eq!(seen, VECTORS);
    }

    const VECTORS: [u64; 7] = [
        14144645293874801883,
        16226181191752404715,
        7043497498837788085,
        16226181191752404715,
        10863198533193158358,
        10861928266174487580,
        3244421341483603138,
    ];

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

    #[test]
    fn default_max_parallelism_is_flinks() {
        assert_eq!(default_max_parallelism(1), 128);
        assert_eq!(default_max_parallelism(128), 256);
        assert_eq!(default_max_parallelism(30_000), 32_768);
    }
}
