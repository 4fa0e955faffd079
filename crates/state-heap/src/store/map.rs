//! A map per key.

use std::{borrow::Borrow, hash::Hash, marker::PhantomData};

use hurtig_state_api::Key;
use hurtig_types::Record;

use super::{HasPlace, KeyedStateStore, Place, StateError, TimedAccess, keep};
use crate::{
    state_map::{StateMap, StateMapIter},
    ttl::{Expiring, Stamped, Ttl},
};

/// Handle of a map per key.
pub struct MapState<UK, UV> {
    place: Place,
    types: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV> Clone for MapState<UK, UV> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<UK, UV> Copy for MapState<UK, UV> {}

impl<UK, UV> HasPlace for MapState<UK, UV> {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

/// The entries of a map, in no particular order.
pub struct MapEntries<'a, UK, UV>(Entries<'a, UK, UV>);

enum Entries<'a, UK, UV> {
    Nothing,
    Plain(StateMapIter<'a, UK, UV>),
    Timed(StateMapIter<'a, UK, Stamped<UV>>),
}

impl<'a, UK, UV> Iterator for MapEntries<'a, UK, UV> {
    type Item = (&'a UK, &'a UV);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Entries::Nothing => None,
            Entries::Plain(entries) => entries.next(),
            Entries::Timed(entries) => entries.next().map(|(key, stamped)| (key, &stamped.value)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Entries::Nothing => (0, Some(0)),
            Entries::Plain(entries) => entries.size_hint(),
            Entries::Timed(entries) => entries.size_hint(),
        }
    }
}

impl<UK, UV> ExactSizeIterator for MapEntries<'_, UK, UV> {}

type TimedMap<UK, UV> = StateMap<UK, Stamped<UV>>;

impl<UK: Record + Eq + Hash, UV: Record> MapState<UK, UV> {
    pub(super) fn new(place: Place) -> Self {
        Self { place, types: PhantomData }
    }

    /// All entries of the current key, without an order. Under
    /// `ReturnExpiredIfNotCleanedUp` what has expired stays until it is cleaned up.
    pub fn entries<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<MapEntries<'a, UK, UV>, StateError> {
        let entries = if let Some(ttl) = self.place.ttl {
            let map = read_all(store.access_timed::<TimedMap<UK, UV>>(self.place)?, ttl);
            map.map(|map| Entries::Timed(map.iter()))
        } else {
            let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
            table.get(hash, key).map(|map| Entries::Plain(map.iter()))
        };
        Ok(MapEntries(entries.unwrap_or(Entries::Nothing)))
    }

    /// True if the current key has no entries.
    pub fn is_empty<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<bool, StateError> {
        Ok(self.entries(store)?.len() == 0)
    }

    /// The value under `user_key`.
    #[inline]
    pub fn get<'a, K: Key, Q: Hash + Eq + ?Sized>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        user_key: &Q,
    ) -> Result<Option<&'a UV>, StateError>
    where
        UK: Borrow<Q>,
    {
        if let Some(ttl) = self.place.ttl {
            return Ok(read(store.access_timed::<TimedMap<UK, UV>>(self.place)?, ttl, user_key));
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        Ok(table.get(hash, key).and_then(|map| map.get(user_key)))
    }

    /// True if there is a value under `user_key`.
    pub fn contains<K: Key, Q: Hash + Eq + ?Sized>(
        &self,
        store: &mut KeyedStateStore<K>,
        user_key: &Q,
    ) -> Result<bool, StateError>
    where
        UK: Borrow<Q>,
    {
        Ok(self.get(store, user_key)?.is_some())
    }

    /// The value under `user_key`, to be changed in place; that counts as a write.
    #[inline]
    pub fn get_mut<'a, K: Key, Q: Hash + Eq + ?Sized>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        user_key: &Q,
    ) -> Result<Option<&'a mut UV>, StateError>
    where
        UK: Borrow<Q>,
    {
        if let Some(ttl) = self.place.ttl {
            let TimedAccess { table, hash, key, now_ms, .. } =
                store.access_timed::<TimedMap<UK, UV>>(self.place)?;
            let Some(stamped) = table.get_mut(hash, key).and_then(|map| map.get_mut(user_key))
            else {
                return Ok(None);
            };
            if stamped.at_ms <= ttl.visible_ms(now_ms) {
                return Ok(None);
            }
            stamped.at_ms = now_ms;
            return Ok(Some(&mut stamped.value));
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        Ok(table.get_mut(hash, key).and_then(|map| map.get_mut(user_key)))
    }

    /// The value under `user_key`, made by `fresh` if there is none, to be changed in place; that
    /// counts as a write.
    #[inline]
    pub fn get_or_insert_with<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        user_key: UK,
        fresh: impl FnOnce() -> UV,
    ) -> Result<&'a mut UV, StateError> {
        if let Some(ttl) = self.place.ttl {
            let TimedAccess { table, hash, key, now_ms, .. } =
                store.access_timed::<TimedMap<UK, UV>>(self.place)?;
            let (map, _) = table.get_or_insert_with(hash, key, TimedMap::default);
            let visible_ms = ttl.visible_ms(now_ms);
            if map.get(&user_key).is_some_and(|stamped| stamped.at_ms <= visible_ms) {
                map.remove(&user_key);
            }
            let made = || Stamped { at_ms: now_ms, value: fresh() };
            let stamped = map.get_or_insert_with(user_key, made);
            stamped.at_ms = now_ms;
            return Ok(&mut stamped.value);
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        let (map, _) = table.get_or_insert_with(hash, key, StateMap::default);
        Ok(map.get_or_insert_with(user_key, fresh))
    }

    /// Sets the value under `user_key`.
    pub fn put<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.put_all(store, std::iter::once((user_key, value)))
    }

    /// Sets several values.
    pub fn put_all<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        if self.place.ttl.is_some() {
            let TimedAccess { table, hash, key, now_ms, .. } =
                store.access_timed::<TimedMap<UK, UV>>(self.place)?;
            let (map, _) = table.get_or_insert_with(hash, key, TimedMap::default);
            map.extend(entries.map(|(key, value)| (key, Stamped { at_ms: now_ms, value })));
            return Ok(());
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        table.get_or_insert_with(hash, key, StateMap::default).0.extend(entries);
        Ok(())
    }

    /// Changes the values of several keys, made by `fresh` where there are none; that counts as a
    /// write of each.
    pub fn update_each<K: Key, T>(
        &self,
        store: &mut KeyedStateStore<K>,
        changes: impl Iterator<Item = (UK, T)>,
        fresh: impl Fn() -> UV,
        mut update: impl FnMut(&mut UV, T),
    ) -> Result<(), StateError> {
        if self.place.ttl.is_some() {
            for (key, change) in changes {
                update(self.get_or_insert_with(store, key, &fresh)?, change);
            }
            return Ok(());
        }
        let mut changes = changes.peekable();
        if changes.peek().is_none() {
            return Ok(());
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        let (map, _) = table.get_or_insert_with(hash, key, StateMap::default);
        changes.for_each(|(key, change)| update(map.get_or_insert_with(key, &fresh), change));
        Ok(())
    }

    /// Removes `user_key`; a map that is empty then takes no space.
    pub fn remove<K: Key, Q: Hash + Eq + ?Sized>(
        &self,
        store: &mut KeyedStateStore<K>,
        user_key: &Q,
    ) -> Result<Option<UV>, StateError>
    where
        UK: Borrow<Q>,
    {
        if let Some(ttl) = self.place.ttl {
            let TimedAccess { table, hash, key, now_ms, .. } =
                store.access_timed::<TimedMap<UK, UV>>(self.place)?;
            let Some(map) = table.get_mut(hash, key) else { return Ok(None) };
            let removed = map.remove(user_key);
            if map.is_empty() {
                table.remove(hash, key);
            }
            let visible = removed.filter(|stamped| stamped.at_ms > ttl.visible_ms(now_ms));
            return Ok(visible.map(|stamped| stamped.value));
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        let Some(map) = table.get_mut(hash, key) else { return Ok(None) };
        let removed = map.remove(user_key);
        if map.is_empty() {
            table.remove(hash, key);
        }
        Ok(removed)
    }

    /// Takes the map out.
    pub fn clear<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<StateMap<UK, UV>, StateError> {
        if let Some(ttl) = self.place.ttl {
            let timed = store.access_timed::<TimedMap<UK, UV>>(self.place)?;
            let Some(mut map) = timed.table.remove(timed.hash, timed.key) else {
                return Ok(StateMap::default());
            };
            map.drop_expired(ttl.visible_ms(timed.now_ms));
            return Ok(map.strip());
        }
        let (table, hash, key) = store.access::<StateMap<UK, UV>>(self.place)?;
        Ok(table.remove(hash, key).unwrap_or_default())
    }
}

/// Reads one entry. One that has expired is removed, and may be returned this once.
fn read<'a, K, UK, UV, Q>(
    timed: TimedAccess<'a, K, TimedMap<UK, UV>>,
    ttl: Ttl,
    user_key: &Q,
) -> Option<&'a UV>
where
    K: Key,
    UK: Record + Eq + Hash + Borrow<Q>,
    UV: Record,
    Q: Hash + Eq + ?Sized,
{
    let TimedAccess { table, hash, key, now_ms, spare } = timed;
    let at_ms = table.get(hash, key)?.get(user_key)?.at_ms;
    if at_ms <= ttl.horizon_ms(now_ms) {
        let map = table.get_mut(hash, key)?;
        let expired = map.remove(user_key)?;
        if map.is_empty() {
            table.remove(hash, key);
        }
        return if ttl.return_expired { keep(spare, expired.value) } else { None };
    }
    if ttl.on_read && at_ms != now_ms {
        table.get_mut(hash, key)?.get_mut(user_key)?.at_ms = now_ms;
    }
    table.get(hash, key)?.get(user_key).map(|stamped| &stamped.value)
}

/// Reads all entries that can be seen.
fn read_all<'a, K: Key, UK: Record + Eq + Hash, UV: Record>(
    mut timed: TimedAccess<'a, K, TimedMap<UK, UV>>,
    ttl: Ttl,
) -> Option<&'a TimedMap<UK, UV>> {
    if !ttl.return_expired && !timed.drop_expired(ttl) {
        return None;
    }
    let TimedAccess { table, hash, key, now_ms, .. } = timed;
    let horizon_ms = ttl.horizon_ms(now_ms);
    // What has expired and is seen all the same does not come back to life by that.
    let stale = |stamped: &Stamped<UV>| stamped.at_ms > horizon_ms && stamped.at_ms != now_ms;
    if ttl.on_read && table.get(hash, key)?.values().any(stale) {
        let map = table.get_mut(hash, key)?;
        map.values_mut().filter(|s| stale(s)).for_each(|stamped| stamped.at_ms = now_ms);
    }
    table.get(hash, key)
}
