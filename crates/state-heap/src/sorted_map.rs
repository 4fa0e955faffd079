//! A sorted map inside of a value per key: rows by their place, windows by their ends.
//!
//! As with [`StateMap`](crate::StateMap), most keys have an entry or two. A node of a B-tree has room for
//! eleven: for a few entries a sorted list takes a fraction of that.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, btree_map},
    fmt,
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    slice,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most entries of a list.
const FEW: usize = 16;

/// A sorted map of few or many entries.
#[derive(Clone)]
pub struct SortedStateMap<K, V>(Form<K, V>);

#[derive(Clone)]
enum Form<K, V> {
    Few(Vec<(K, V)>),
    /// In a box, so that the few take no more space than their list.
    #[allow(clippy::box_collection)]
    Many(Box<BTreeMap<K, V>>),
}

impl<K, V> Default for SortedStateMap<K, V> {
    fn default() -> Self {
        Self(Form::Few(Vec::new()))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedStateMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> SortedStateMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(entries) => entries.len(),
            Form::Many(tree) => tree.len(),
        }
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, in their order.
    pub fn iter(&self) -> SortedEntries<'_, K, V> {
        SortedEntries(match &self.0 {
            Form::Few(entries) => Entries::Few(entries.iter()),
            Form::Many(tree) => Entries::Many(tree.iter()),
        })
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<K: Ord, V> SortedStateMap<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match &self.0 {
            Form::Few(entries) => find(entries, key).ok().map(|at| &entries[at].1),
            Form::Many(tree) => tree.get(key),
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(entries) => find(entries, key).ok().map(|at| &mut entries[at].1),
            Form::Many(tree) => tree.get_mut(key),
        }
    }

    /// The value of a key, made if there is none.
    pub fn get_or_insert_with(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        self.grow_for(&key);
        match &mut self.0 {
            Form::Many(tree) => tree.entry(key).or_insert_with(fresh),
            Form::Few(entries) => {
                let at = match find(entries, &key) {
                    Ok(at) => at,
                    Err(at) => {
                        insert_at(entries, at, (key, fresh()));
                        at
                    }
                };
                &mut entries[at].1
            }
        }
    }

    /// Sets the value of a key, and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.grow_for(&key);
        match &mut self.0 {
            Form::Many(tree) => tree.insert(key, value),
            Form::Few(entries) => match find(entries, &key) {
                Ok(at) => Some(std::mem::replace(&mut entries[at].1, value)),
                Err(at) => {
                    insert_at(entries, at, (key, value));
                    None
                }
            },
        }
    }

    /// Removes an entry.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(entries) => find(entries, key).ok().map(|at| entries.remove(at).1),
            Form::Many(tree) => tree.remove(key),
        }
    }

    /// The first entry.
    pub fn first(&self) -> Option<(&K, &V)> {
        match &self.0 {
            Form::Few(entries) => entries.first().map(|(key, value)| (key, value)),
            Form::Many(tree) => tree.first_key_value(),
        }
    }

    /// The last entry.
    pub fn last(&self) -> Option<(&K, &V)> {
        match &self.0 {
            Form::Few(entries) => entries.last().map(|(key, value)| (key, value)),
            Form::Many(tree) => tree.last_key_value(),
        }
    }

    /// The value of the last entry, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut V> {
        match &mut self.0 {
            Form::Few(entries) => entries.last_mut().map(|(_, value)| value),
            Form::Many(tree) => tree.values_mut().next_back(),
        }
    }

    /// Removes the first entry.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        match &mut self.0 {
            Form::Few(entries) => (!entries.is_empty()).then(|| entries.remove(0)),
            Form::Many(tree) => tree.pop_first(),
        }
    }

    /// Removes the last entry.
    pub fn pop_last(&mut self) -> Option<(K, V)> {
        match &mut self.0 {
            Form::Few(entries) => entries.pop(),
            Form::Many(tree) => tree.pop_last(),
        }
    }

    /// The entries of some keys, in their order, to be changed.
    pub fn range_mut(&mut self, keys: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &mut V)> {
        let (few, many) = match &mut self.0 {
            Form::Many(tree) => (None, Some(tree.range_mut(keys))),
            Form::Few(entries) => {
                let from = entries.partition_point(|(key, _)| match keys.start_bound() {
                    Bound::Included(start) => key < start,
                    Bound::Excluded(start) => key <= start,
                    Bound::Unbounded => false,
                });
                let to = entries.partition_point(|(key, _)| match keys.end_bound() {
                    Bound::Included(end) => key <= end,
                    Bound::Excluded(end) => key < end,
                    Bound::Unbounded => true,
                });
                (Some(entries[from..to.max(from)].iter_mut()), None)
            }
        };
        let few = few.into_iter().flatten().map(|(key, value)| (&*key, value));
        few.chain(many.into_iter().flatten())
    }

    /// Keeps the entries for which that is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        match &mut self.0 {
            Form::Few(entries) => entries.retain_mut(|(key, value)| keep(key, value)),
            Form::Many(tree) => tree.retain(keep),
        }
    }

    /// Becomes a tree if the list has no room for the key.
    fn grow_for(&mut self, key: &K) {
        if let Form::Few(entries) = &mut self.0
            && entries.len() >= FEW
            && find(entries, key).is_err()
        {
            self.0 = Form::Many(Box::new(std::mem::take(entries).into_iter().collect()));
        }
    }
}

fn find<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(one, _)| one.borrow().cmp(key))
}

/// Most lists stay at one entry: the first one takes no more than its own space.
fn insert_at<T>(entries: &mut Vec<T>, at: usize, entry: T) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(entries.len().max(1));
    }
    entries.insert(at, entry);
}

/// The entries of a [`SortedStateMap`].
pub struct SortedEntries<'a, K, V>(Entries<'a, K, V>);

enum Entries<'a, K, V> {
    Few(slice::Iter<'a, (K, V)>),
    Many(btree_map::Iter<'a, K, V>),
}

impl<'a, K, V> Iterator for SortedEntries<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Entries::Few(entries) => entries.next().map(|(key, value)| (key, value)),
            Entries::Many(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Entries::Few(entries) => entries.size_hint(),
            Entries::Many(entries) => entries.size_hint(),
        }
    }
}

impl<K, V> ExactSizeIterator for SortedEntries<'_, K, V> {}

impl<'a, K, V> IntoIterator for &'a SortedStateMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = SortedEntries<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SortedStateMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Serialize, V: Serialize> Serialize for SortedStateMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for SortedStateMap<K, V>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> de::Visitor<'de> for Map<K, V>
        where
            K: Deserialize<'de> + Ord,
            V: Deserialize<'de>,
        {
            type Value = SortedStateMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let said = map.size_hint().unwrap_or(0);
                let mut made = SortedStateMap(Form::Few(Vec::with_capacity(said.min(FEW))));
                while let Some((key, value)) = map.next_entry()? {
                    made.insert(key, value);
                }
                Ok(made)
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
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
        PopFirst,
        PopLast,
        AddInRange(u8, u8),
        Retain(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..48_u8;
        let step = prop_oneof![
            6 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Step::Insert(key, value)),
            4 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Step::GetOrInsert(key, value)),
            2 => key.clone().prop_map(Step::Remove),
            1 => Just(Step::PopFirst),
            1 => Just(Step::PopLast),
            1 => (key.clone(), key).prop_map(|(from, to)| Step::AddInRange(from, to)),
            1 => any::<u16>().prop_map(Step::Retain),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in steps()) {
            let (mut map, mut model) = (SortedStateMap::default(), BTreeMap::new());
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
                    Step::PopFirst => prop_assert_eq!(map.pop_first(), model.pop_first()),
                    Step::PopLast => prop_assert_eq!(map.pop_last(), model.pop_last()),
                    Step::AddInRange(from, to) => {
                        let to = to.max(from);
                        map.range_mut(from..=to).for_each(|(_, value)| *value ^= 1);
                        model.range_mut(from..=to).for_each(|(_, value)| *value ^= 1);
                    }
                    Step::Retain(least) => {
                        map.retain(|_, value| *value >= least);
                        model.retain(|_, value| *value >= least);
                    }
                }
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
                prop_assert_eq!(map.first(), model.first_key_value());
                prop_assert_eq!(map.last(), model.last_key_value());
                prop_assert_eq!(map.last_mut().copied(), model.last_key_value().map(|(_, value)| *value));
                for key in 0..48 {
                    prop_assert_eq!(map.get(&key), model.get(&key));
                    prop_assert_eq!(map.get_mut(&key), model.get_mut(&key));
                }
            }
            let bytes = codec::encode(&map).unwrap();
            let back: SortedStateMap<u8, u16> = codec::decode(&bytes).unwrap();
            prop_assert_eq!(&back, &map);
            // As other maps are written.
            prop_assert_eq!(codec::decode::<BTreeMap<u8, u16>>(&bytes).unwrap(), model);
        }
    }
}
