//! The map that map state keeps per key.
//!
//! Most keys have few entries (a join's key has a row or two), and there may be millions of keys: a
//! few entries are a list, without the empty places and the control bytes of a table. The
//! order of the entries is the same in every run, so that tests can be repeated.

use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map},
    fmt,
    hash::Hash,
    marker::PhantomData,
    slice, vec,
};

use foldhash::fast::FixedState;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most entries of a list.
const FEW: usize = 8;
/// Most entries for which space is made before they are read.
const MOST_RESERVED: usize = 4096;

type Table<K, V> = HashMap<K, V, FixedState>;

/// A map of few or many entries.
#[derive(Clone)]
pub struct StateMap<K, V>(Form<K, V>);

#[derive(Clone)]
enum Form<K, V> {
    Few(Vec<(K, V)>),
    Many(Box<Table<K, V>>),
}

impl<K, V> Default for StateMap<K, V> {
    fn default() -> Self {
        Self(Form::Few(Vec::new()))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for StateMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> StateMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(entries) => entries.len(),
            Form::Many(table) => table.len(),
        }
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries.
    pub fn iter(&self) -> StateMapIter<'_, K, V> {
        StateMapIter(match &self.0 {
            Form::Few(entries) => Iter::Few(entries.iter()),
            Form::Many(table) => Iter::Many(table.iter()),
        })
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let (few, many) = match &mut self.0 {
            Form::Few(entries) => (Some(entries.iter_mut()), None),
            Form::Many(table) => (None, Some(table.values_mut())),
        };
        let few = few.into_iter().flatten().map(|(_, value)| value);
        few.chain(many.into_iter().flatten())
    }

    /// Keeps the entries for which that is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        match &mut self.0 {
            Form::Few(entries) => entries.retain_mut(|(key, value)| keep(key, value)),
            Form::Many(table) => table.retain(keep),
        }
    }
}

impl<K: Hash + Eq, V> StateMap<K, V> {
    /// The value of a key.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match &self.0 {
            Form::Few(entries) => {
                entries.iter().find(|(one, _)| one.borrow() == key).map(|(_, value)| value)
            }
            Form::Many(table) => table.get(key),
        }
    }

    /// The value of a key, to be changed.
    #[inline]
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(entries) => {
                entries.iter_mut().find(|(one, _)| (*one).borrow() == key).map(|(_, value)| value)
            }
            Form::Many(table) => table.get_mut(key),
        }
    }

    /// True if there is an entry of a key.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Sets the value of a key, and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(&key) {
            return Some(std::mem::replace(known, value));
        }
        self.add(key, value);
        None
    }

    /// The value of a key, made if there is none.
    pub fn get_or_insert_with(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if let Form::Few(entries) = &self.0
            && entries.len() >= FEW
            && !self.contains_key(&key)
        {
            self.grow();
        }
        match &mut self.0 {
            Form::Many(table) => table.entry(key).or_insert_with(fresh),
            Form::Few(entries) => {
                let found = entries.iter().position(|(one, _)| *one == key);
                let at = found.unwrap_or(entries.len());
                if found.is_none() {
                    push(entries, (key, fresh()));
                }
                &mut entries[at].1
            }
        }
    }

    /// Removes an entry.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(entries) => {
                let at = entries.iter().position(|(one, _)| one.borrow() == key)?;
                Some(entries.swap_remove(at).1)
            }
            Form::Many(table) => table.remove(key),
        }
    }

    /// Adds an entry of a key that has none.
    fn add(&mut self, key: K, value: V) {
        if matches!(&self.0, Form::Few(entries) if entries.len() >= FEW) {
            self.grow();
        }
        match &mut self.0 {
            Form::Few(entries) => push(entries, (key, value)),
            Form::Many(table) => drop(table.insert(key, value)),
        }
    }

    fn grow(&mut self) {
        if let Form::Few(entries) = &mut self.0 {
            let table = std::mem::take(entries).into_iter().collect();
            self.0 = Form::Many(Box::new(table));
        }
    }
}

/// Most keys stay at one entry: the first one takes no more than its own space.
fn push<T>(entries: &mut Vec<T>, entry: T) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(entries.len().max(1));
    }
    entries.push(entry);
}

/// The entries of a [`StateMap`].
pub struct StateMapIter<'a, K, V>(Iter<'a, K, V>);

enum Iter<'a, K, V> {
    Few(slice::Iter<'a, (K, V)>),
    Many(hash_map::Iter<'a, K, V>),
}

impl<'a, K, V> Iterator for StateMapIter<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Iter::Few(entries) => entries.next().map(|(key, value)| (key, value)),
            Iter::Many(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Iter::Few(entries) => entries.size_hint(),
            Iter::Many(entries) => entries.size_hint(),
        }
    }
}

impl<K, V> ExactSizeIterator for StateMapIter<'_, K, V> {}

/// The entries of a [`StateMap`] that is used up.
pub struct StateMapIntoIter<K, V>(IntoIter<K, V>);

enum IntoIter<K, V> {
    Few(vec::IntoIter<(K, V)>),
    Many(hash_map::IntoIter<K, V>),
}

impl<K, V> Iterator for StateMapIntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        match &mut self.0 {
            IntoIter::Few(entries) => entries.next(),
            IntoIter::Many(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            IntoIter::Few(entries) => entries.size_hint(),
            IntoIter::Many(entries) => entries.size_hint(),
        }
    }
}

impl<K, V> IntoIterator for StateMap<K, V> {
    type Item = (K, V);
    type IntoIter = StateMapIntoIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        StateMapIntoIter(match self.0 {
            Form::Few(entries) => IntoIter::Few(entries.into_iter()),
            Form::Many(table) => IntoIter::Many(table.into_iter()),
        })
    }
}

impl<'a, K, V> IntoIterator for &'a StateMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = StateMapIter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Hash + Eq, V> Extend<(K, V)> for StateMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for StateMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for StateMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Hash + Eq, V: Eq> Eq for StateMap<K, V> {}

impl<K: Serialize, V: Serialize> Serialize for StateMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for StateMap<K, V>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> de::Visitor<'de> for Entries<K, V>
        where
            K: Deserialize<'de> + Hash + Eq,
            V: Deserialize<'de>,
        {
            type Value = StateMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let said = map.size_hint().unwrap_or(0);
                let mut made = match said {
                    0..=FEW => StateMap(Form::Few(Vec::with_capacity(said))),
                    _ => {
                        let space = said.min(MOST_RESERVED);
                        let table = Table::with_capacity_and_hasher(space, FixedState::default());
                        StateMap(Form::Many(Box::new(table)))
                    }
                };
                while let Some((key, value)) = map.next_entry()? {
                    made.insert(key, value);
                }
                Ok(made)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hurtig_types::codec;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u16),
        GetOrInsert(u8, u16),
        Remove(u8),
        Retain(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..24_u8;
        let step = prop_oneof![
            4 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Step::GetOrInsert(key, value)),
            2 => key.prop_map(Step::Remove),
            1 => any::<u16>().prop_map(Step::Retain),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in steps()) {
            let (mut map, mut model) = (StateMap::default(), std::collections::BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                    }
                    Step::GetOrInsert(key, value) => {
                        let expected = *model.entry(key).or_insert(value);
                        prop_assert_eq!(*map.get_or_insert_with(key, || value), expected);
                    }
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    Step::Retain(least) => {
                        map.retain(|_, value| *value >= least);
                        model.retain(|_, value| *value >= least);
                    }
                }
                prop_assert_eq!(map.len(), model.len());
                let mut entries: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
                entries.sort_unstable();
                prop_assert!(entries.into_iter().eq(model.iter().map(|(key, value)| (*key, *value))));
            }
            let bytes = codec::encode(&map).unwrap();
            let back: StateMap<u8, u16> = codec::decode(&bytes).unwrap();
            prop_assert_eq!(&back, &map);
            // As other maps are written.
            let plain: HashMap<u8, u16> = codec::decode(&bytes).unwrap();
            prop_assert_eq!(plain.len(), map.len());
            map.values_mut().for_each(|value| *value = 7);
            prop_assert!(map.values().all(|value| *value == 7));
        }
    }

    #[test]
    fn a_key_that_comes_twice_counts_once() {
        let pairs: Vec<(u8, u8)> = (0..10).map(|n| (n % 3, n)).collect();
        let twice = codec::encode(&pairs).unwrap();
        let map: StateMap<u8, u8> = codec::decode(&twice).unwrap();
        assert_eq!(map.len(), 3);
        assert_eq!(map.get(&0), Some(&9));
    }

    #[test]
    fn a_length_that_is_not_there_is_refused() {
        // 2^63 entries, and none.
        let bytes = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert!(codec::decode::<StateMap<u8, u8>>(&bytes).is_err());
    }
}
