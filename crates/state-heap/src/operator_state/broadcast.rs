//! Handles of broadcast states.
//!
//! Reading takes the store by shared reference, writing by exclusive one: whoever is given a shared
//! one cannot make the subtasks' copies differ.

use std::{hash::Hash, marker::PhantomData};

use hurtig_types::Record;

use super::{Map, OperatorStateStore};
use crate::{state_map::StateMap, store::StateError};

/// Handle of a map that is equal in all subtasks.
pub struct BroadcastState<UK, UV> {
    slot: usize,
    types: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV> Clone for BroadcastState<UK, UV> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<UK, UV> Copy for BroadcastState<UK, UV> {}

impl<UK: Record + Eq + Hash, UV: Record> BroadcastState<UK, UV> {
    pub(super) fn new(slot: usize) -> Self {
        Self { slot, types: PhantomData }
    }

    fn map<'a>(&self, store: &'a OperatorStateStore) -> Result<&'a StateMap<UK, UV>, StateError> {
        Ok(&store.state::<Map<UK, UV>>(self.slot)?.0)
    }

    fn map_mut<'a>(
        &self,
        store: &'a mut OperatorStateStore,
    ) -> Result<&'a mut StateMap<UK, UV>, StateError> {
        Ok(&mut store.state_mut::<Map<UK, UV>>(self.slot)?.0)
    }

    /// The value under `key`.
    #[inline]
    pub fn get<'a>(
        &self,
        store: &'a OperatorStateStore,
        key: &UK,
    ) -> Result<Option<&'a UV>, StateError> {
        Ok(self.map(store)?.get(key))
    }

    /// True if there is a value under `key`.
    pub fn contains(&self, store: &OperatorStateStore, key: &UK) -> Result<bool, StateError> {
        Ok(self.map(store)?.contains_key(key))
    }

    /// All entries, without an order.
    pub fn entries<'a>(
        &self,
        store: &'a OperatorStateStore,
    ) -> Result<impl ExactSizeIterator<Item = (&'a UK, &'a UV)> + use<'a, UK, UV>, StateError> {
        Ok(self.map(store)?.iter())
    }

    /// True if there are no entries.
    pub fn is_empty(&self, store: &OperatorStateStore) -> Result<bool, StateError> {
        Ok(self.map(store)?.is_empty())
    }

    /// Sets the value under `key`, and returns what it was.
    pub fn put(
        &self,
        store: &mut OperatorStateStore,
        key: UK,
        value: UV,
    ) -> Result<Option<UV>, StateError> {
        Ok(self.map_mut(store)?.insert(key, value))
    }

    /// Sets several values.
    pub fn put_all(
        &self,
        store: &mut OperatorStateStore,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        self.map_mut(store)?.extend(entries);
        Ok(())
    }

    /// The value under `key`, to be changed in place.
    pub fn get_mut<'a>(
        &self,
        store: &'a mut OperatorStateStore,
        key: &UK,
    ) -> Result<Option<&'a mut UV>, StateError> {
        Ok(self.map_mut(store)?.get_mut(key))
    }

    /// Removes `key`.
    pub fn remove(
        &self,
        store: &mut OperatorStateStore,
        key: &UK,
    ) -> Result<Option<UV>, StateError> {
        Ok(self.map_mut(store)?.remove(key))
    }

    /// Takes everything out.
    pub fn clear(&self, store: &mut OperatorStateStore) -> Result<StateMap<UK, UV>, StateError> {
        Ok(std::mem::take(self.map_mut(store)?))
    }
}
