//! A list per key.

use std::marker::PhantomData;

use hurtig_state_api::Key;
use hurtig_types::Record;

use super::{HasPlace, KeyedStateStore, Place, StateError, TimedAccess, keep};
use crate::ttl::{Expired, Expiring, StampedList, Ttl};

/// Handle of a list per key.
pub struct ListState<V> {
    place: Place,
    types: PhantomData<fn() -> V>,
}

impl<V> Clone for ListState<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for ListState<V> {}

impl<V> HasPlace for ListState<V> {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

impl<V: Record> ListState<V> {
    pub(super) fn new(place: Place) -> Self {
        Self { place, types: PhantomData }
    }

    /// The list of the current key; empty if there is none.
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<&'a [V], StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(read(store.access_timed(self.place)?, ttl));
        }
        let (table, hash, key) = store.access::<Vec<V>>(self.place)?;
        Ok(table.get(hash, key).map_or(&[], Vec::as_slice))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        self.add_all(store, std::iter::once(value))
    }

    /// Adds values, in order.
    pub fn add_all<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), StateError> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        if self.place.ttl.is_some() {
            let TimedAccess { table, hash, key, now_ms, .. } =
                store.access_timed::<StampedList<V>>(self.place)?;
            let empty = || StampedList::stamp(Vec::new(), now_ms);
            let (list, _) = table.get_or_insert_with(hash, key, empty);
            list.values.extend(values);
            list.at_ms.resize(list.values.len(), now_ms);
            return Ok(());
        }
        let (table, hash, key) = store.access::<Vec<V>>(self.place)?;
        table.get_or_insert_with(hash, key, Vec::new).0.extend(values);
        Ok(())
    }

    /// Replaces the list.
    pub fn update<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        values: Vec<V>,
    ) -> Result<(), StateError> {
        if values.is_empty() {
            return self.clear(store).map(drop);
        }
        if self.place.ttl.is_some() {
            let timed = store.access_timed(self.place)?;
            let list = StampedList::stamp(values, timed.now_ms);
            timed.table.insert(timed.hash, timed.key, list);
            return Ok(());
        }
        let (table, hash, key) = store.access::<Vec<V>>(self.place)?;
        table.insert(hash, key, values);
        Ok(())
    }

    /// Takes the list out.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Vec<V>, StateError> {
        if let Some(ttl) = self.place.ttl {
            let timed = store.access_timed::<StampedList<V>>(self.place)?;
            let Some(mut list) = timed.table.remove(timed.hash, timed.key) else {
                return Ok(Vec::new());
            };
            list.drop_expired(ttl.visible_ms(timed.now_ms));
            return Ok(list.strip());
        }
        let (table, hash, key) = store.access::<Vec<V>>(self.place)?;
        Ok(table.remove(hash, key).unwrap_or_default())
    }
}

/// Reads a list with times. Elements that have expired are removed, and may be returned this once.
fn read<'a, K: Key, V: Record>(mut timed: TimedAccess<'a, K, StampedList<V>>, ttl: Ttl) -> &'a [V] {
    let horizon_ms = ttl.horizon_ms(timed.now_ms);
    let expired = timed.get().map_or(Expired::Nothing, |list| list.expired(horizon_ms));
    let all = (ttl.return_expired && expired != Expired::Nothing)
        .then(|| timed.get().map(|list| list.values.clone()))
        .flatten();
    let left = timed.drop_expired(ttl);
    let TimedAccess { table, hash, key, now_ms, spare } = timed;
    if left
        && ttl.on_read
        && table.get(hash, key).is_some_and(|list| list.at_ms.iter().any(|at| *at != now_ms))
        && let Some(list) = table.get_mut(hash, key)
    {
        list.at_ms.fill(now_ms);
    }
    match all {
        Some(all) => keep(spare, all).map_or(&[], Vec::as_slice),
        None => table.get(hash, key).map_or(&[], |list| list.values.as_slice()),
    }
}
