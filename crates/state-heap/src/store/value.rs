//! One value per key.

use std::marker::PhantomData;

use hurtig_state_api::Key;
use hurtig_types::Record;

use super::{HasPlace, KeyedStateStore, Place, StateError, TimedAccess, keep};
use crate::ttl::{Stamped, Ttl};

/// Handle of a value per key.
pub struct ValueState<V> {
    place: Place,
    types: PhantomData<fn() -> V>,
}

impl<V> Clone for ValueState<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for ValueState<V> {}

impl<V> HasPlace for ValueState<V> {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

impl<V: Record> ValueState<V> {
    pub(super) fn new(place: Place) -> Self {
        Self { place, types: PhantomData }
    }

    /// The value of the current key.
    #[inline]
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<&'a V>, StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(read(store.access_timed(self.place)?, ttl));
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        Ok(table.get(hash, key))
    }

    /// The value of the current key, to be changed in place; that counts as a write.
    #[inline]
    pub fn get_mut<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<&'a mut V>, StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(write(store.access_timed(self.place)?, ttl));
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        Ok(table.get_mut(hash, key))
    }

    /// The value of the current key, made by `fresh` if there is none, to be changed in place; that
    /// counts as a write.
    #[inline]
    pub fn get_or_insert_with<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        fresh: impl FnOnce() -> V,
    ) -> Result<&'a mut V, StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(write_or_insert(store.access_timed(self.place)?, ttl, fresh));
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        Ok(table.get_or_insert_with(hash, key, fresh).0)
    }

    /// Sets the value of the current key.
    #[inline]
    pub fn update<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        value: V,
    ) -> Result<(), StateError> {
        if self.place.ttl.is_some() {
            let timed = store.access_timed::<Stamped<V>>(self.place)?;
            timed.table.insert(timed.hash, timed.key, Stamped { at_ms: timed.now_ms, value });
            return Ok(());
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        table.insert(hash, key, value);
        Ok(())
    }

    /// Removes the value of the current key and returns it.
    #[inline]
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Option<V>, StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(take(store.access_timed(self.place)?, ttl));
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        Ok(table.remove(hash, key))
    }
}

/// Reads a value with a time. One that has expired is removed, and may be returned this once.
pub(super) fn read<'a, K: Key, V: Record>(
    timed: TimedAccess<'a, K, Stamped<V>>,
    ttl: Ttl,
) -> Option<&'a V> {
    let TimedAccess { table, hash, key, now_ms, spare } = timed;
    let at_ms = table.get(hash, key)?.at_ms;
    if at_ms <= ttl.horizon_ms(now_ms) {
        let expired = table.remove(hash, key)?;
        return if ttl.return_expired { keep(spare, expired.value) } else { None };
    }
    if ttl.on_read && at_ms != now_ms {
        table.get_mut(hash, key)?.at_ms = now_ms;
    }
    table.get(hash, key).map(|stamped| &stamped.value)
}

/// The value to be written, if one can be seen.
pub(super) fn write<'a, K: Key, V: Record>(
    timed: TimedAccess<'a, K, Stamped<V>>,
    ttl: Ttl,
) -> Option<&'a mut V> {
    let TimedAccess { table, hash, key, now_ms, .. } = timed;
    if table.get(hash, key)?.at_ms <= ttl.visible_ms(now_ms) {
        table.remove(hash, key);
        return None;
    }
    let stamped = table.get_mut(hash, key)?;
    stamped.at_ms = now_ms;
    Some(&mut stamped.value)
}

/// The value to be written, made if none can be seen.
pub(super) fn write_or_insert<'a, K: Key, V: Record>(
    timed: TimedAccess<'a, K, Stamped<V>>,
    ttl: Ttl,
    fresh: impl FnOnce() -> V,
) -> &'a mut V {
    let TimedAccess { table, hash, key, now_ms, .. } = timed;
    if table.get(hash, key).is_some_and(|stamped| stamped.at_ms <= ttl.visible_ms(now_ms)) {
        table.remove(hash, key);
    }
    let make = || Stamped { at_ms: now_ms, value: fresh() };
    let (stamped, _) = table.get_or_insert_with(hash, key, make);
    stamped.at_ms = now_ms;
    &mut stamped.value
}

/// Removes a value, and returns it if it can be seen.
pub(super) fn take<K: Key, V: Record>(
    timed: TimedAccess<'_, K, Stamped<V>>,
    ttl: Ttl,
) -> Option<V> {
    let removed = timed.table.remove(timed.hash, timed.key)?;
    (removed.at_ms > ttl.visible_ms(timed.now_ms)).then_some(removed.value)
}
