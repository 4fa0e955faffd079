//! A table of keyed values.

use hashbrown::{HashTable, hash_table::Entry as RawEntry};
use hurtig_state_api::Key;
use hurtig_types::{CodecError, KeyGroupRange, key_group_of, stable_hash};

/// Computes the stable hashes of a batch's keys.
#[derive(Debug, Default)]
pub struct KeyHasher {
    scratch: Vec<u8>,
}

impl KeyHasher {
    /// The stable hash of one key.
    #[inline]
    pub fn hash<K: Key>(&mut self, key: &K) -> Result<u64, CodecError> {
        stable_hash(key, &mut self.scratch)
    }

    /// The stable hashes of many keys; `hashes` is overwritten.
    #[inline]
    pub fn hash_all<K: Key>(
        &mut self,
        keys: &[K],
        hashes: &mut Vec<u64>,
    ) -> Result<(), CodecError> {
        hashes.clear();
        hashes.reserve(keys.len());
        for key in keys {
            hashes.push(stable_hash(key, &mut self.scratch)?);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    hash: u64,
    key: K,
    value: V,
}

/// Spreads a stable hash over the bits that a hash table looks at: within a key group the low bits
/// of the stable hash are all alike.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32) ^ hash
}

/// Values by key, for the key groups of one subtask.
///
/// Hashes must be those of [`KeyHasher`]; a key whose key group is not in the range is a fault of
/// the caller, checked in debug builds.
#[derive(Clone, Debug)]
pub struct KeyedTable<K, V> {
    groups: Vec<HashTable<Entry<K, V>>>,
    range: KeyGroupRange,
    max_parallelism: u32,
    len: usize,
}

impl<K: Key, V> KeyedTable<K, V> {
    /// An empty table for a range of key groups.
    pub fn new(range: KeyGroupRange, max_parallelism: u32) -> Self {
        let groups = (0..range.len()).map(|_| HashTable::new()).collect();
        Self { groups, range, max_parallelism, len: 0 }
    }

    #[inline]
    fn group_index(&self, hash: u64) -> usize {
        let key_group = key_group_of(hash, self.max_parallelism);
        debug_assert!(
            self.range.contains(key_group),
            "key group {key_group} is not in {:?}",
            self.range
        );
        (key_group - self.range.start) as usize
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let group = &self.groups[self.group_index(hash)];
        group.find(spread(hash), |e| e.hash == hash && e.key == *key).map(|e| &e.value)
    }

    /// The value of a key, to change in place.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let index = self.group_index(hash);
        let group = &mut self.groups[index];
        group.find_mut(spread(hash), |e| e.hash == hash && e.key == *key).map(|e| &mut e.value)
    }

    /// The value of a key, made by `fresh` if there is none. True if it was made.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        hash: u64,
        key: &K,
        fresh: impl FnOnce() -> V,
    ) -> (&mut V, bool) {
        let index = self.group_index(hash);
        let group = &mut self.groups[index];
        let found =
            group.entry(spread(hash), |e| e.hash == hash && e.key == *key, |e| spread(e.hash));
        match found {
            RawEntry::Occupied(entry) => (&mut entry.into_mut().value, false),
            RawEntry::Vacant(entry) => {
                self.len += 1;
                let inserted = entry.insert(Entry { hash, key: key.clone(), value: fresh() });
                (&mut inserted.into_mut().value, true)
            }
        }
    }

    /// Sets the value of a key.
    #[inline]
    pub fn insert(&mut self, hash: u64, key: &K, value: V) {
        let mut value = Some(value);
        let (slot, fresh) = self.get_or_insert_with(hash, key, || match value.take() {
            Some(value) => value,
            None => unreachable!("called at most once"),
        });
        if !fresh && let Some(value) = value {
            *slot = value;
        }
    }

    /// Removes a key.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let index = self.group_index(hash);
        let found = self.groups[index]
            .find_entry(spread(hash), |e| e.hash == hash && e.key == *key)
            .ok()?;
        self.len -= 1;
        Some(found.remove().0.value)
    }

    /// All keys with hash and value, key group by key group.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &K, &V)> {
        self.groups.iter().flat_map(|g| g.iter()).map(|e| (e.hash, &e.key, &e.value))
    }

    /// Takes all keys with hash and value out.
    pub fn drain(&mut self) -> impl Iterator<Item = (u64, K, V)> + '_ {
        self.len = 0;
        self.groups.iter_mut().flat_map(|g| g.drain()).map(|e| (e.hash, e.key, e.value))
    }

    /// Takes all keys with hash and value out, owning them.
    pub fn into_entries(self) -> IntoEntries<K, V> {
        IntoEntries { groups: self.groups.into_iter(), current: None }
    }

    /// An empty table for the same key groups.
    pub fn empty_like<W>(&self) -> KeyedTable<K, W> {
        KeyedTable::new(self.range, self.max_parallelism)
    }
}

/// Takes a table apart: hash, key and value of each entry, key group by key group.
#[derive(Debug)]
pub struct IntoEntries<K, V> {
    groups: std::vec::IntoIter<HashTable<Entry<K, V>>>,
    current: Option<hashbrown::hash_table::IntoIter<Entry<K, V>>>,
}

impl<K, V> Iterator for IntoEntries<K, V> {
    type Item = (u64, K, V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.current.as_mut().and_then(Iterator::next) {
                return Some((entry.hash, entry.key, entry.value));
            }
            self.current = Some(self.groups.next()?.into_iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((0u8..4, 0u16..40, any::<i32>()), 0..300)) {
            let mut hasher = KeyHasher::default();
            let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: 6 }, 7);
            let mut model = HashMap::new();
            for (what, key, value) in steps {
                let hash = hasher.hash(&key).unwrap();
                match what {
                    0 => {
                        table.insert(hash, &key, value);
                        model.insert(key, value);
                    }
                    1 => prop_assert_eq!(table.remove(hash, &key), model.remove(&key)),
                    2 => {
                        *table.get_or_insert_with(hash, &key, || 0).0 ^= value;
                        *model.entry(key).or_insert(0) ^= value;
                    }
                    _ => prop_assert_eq!(table.get(hash, &key), model.get(&key)),
                }
                prop_assert_eq!(table.len(), model.len());
            }
            let seen: HashMap<u16, i32> = table.iter().map(|(_, k, v)| (*k, *v)).collect();
            prop_assert_eq!(&seen, &model);
            prop_assert_eq!(table.drain().count(), model.len());
            prop_assert!(table.is_empty());
        }
    }
}
