//! One value per key, folded from all that were added: reducing and aggregating state.

use std::{marker::PhantomData, sync::Arc};

use hurtig_state_api::{AggregateFunction, Key};
use hurtig_types::Record;

use super::{
    HasPlace, KeyedStateStore, Place, StateError,
    value::{read, take, write, write_or_insert},
};
use crate::ttl::Stamped;

/// Handle of a reduced value per key.
#[derive(Clone)]
pub struct ReducingState<V> {
    place: Place,
    reduce: Arc<dyn Fn(&mut V, V) + Send + Sync>,
}

impl<V> HasPlace for ReducingState<V> {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

impl<V: Record> ReducingState<V> {
    pub(super) fn new(place: Place, reduce: Arc<dyn Fn(&mut V, V) + Send + Sync>) -> Self {
        Self { place, reduce }
    }

    /// The value of the current key.
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

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        if let Some(ttl) = self.place.ttl {
            if let Some(known) = write(store.access_timed(self.place)?, ttl) {
                (self.reduce)(known, value);
                return Ok(());
            }
            let timed = store.access_timed::<Stamped<V>>(self.place)?;
            timed.table.insert(timed.hash, timed.key, Stamped { at_ms: timed.now_ms, value });
            return Ok(());
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        match table.get_mut(hash, key) {
            Some(known) => (self.reduce)(known, value),
            None => table.insert(hash, key, value),
        }
        Ok(())
    }

    /// Takes the value out.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Option<V>, StateError> {
        if let Some(ttl) = self.place.ttl {
            return Ok(take(store.access_timed(self.place)?, ttl));
        }
        let (table, hash, key) = store.access::<V>(self.place)?;
        Ok(table.remove(hash, key))
    }
}

/// Handle of an aggregate per key of values of type `I`.
pub struct AggregatingState<I, A> {
    place: Place,
    aggregate: Arc<A>,
    types: PhantomData<fn() -> I>,
}

impl<I, A> Clone for AggregatingState<I, A> {
    fn clone(&self) -> Self {
        Self { place: self.place, aggregate: self.aggregate.clone(), types: PhantomData }
    }
}

impl<I, A> HasPlace for AggregatingState<I, A> {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

impl<I, A: AggregateFunction<I>> AggregatingState<I, A> {
    pub(super) fn new(place: Place, aggregate: Arc<A>) -> Self {
        Self { place, aggregate, types: PhantomData }
    }

    /// The result for the current key.
    pub fn get<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<Option<A::Output>, StateError> {
        let accumulator = match self.place.ttl {
            Some(ttl) => read::<K, A::Accumulator>(store.access_timed(self.place)?, ttl),
            None => {
                let (table, hash, key) = store.access::<A::Accumulator>(self.place)?;
                table.get(hash, key)
            }
        };
        Ok(accumulator.map(|accumulator| self.aggregate.result(accumulator)))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: &I) -> Result<(), StateError> {
        let fresh = || self.aggregate.create_accumulator();
        let accumulator = match self.place.ttl {
            Some(ttl) => write_or_insert(store.access_timed(self.place)?, ttl, fresh),
            None => {
                let (table, hash, key) = store.access::<A::Accumulator>(self.place)?;
                table.get_or_insert_with(hash, key, fresh).0
            }
        };
        self.aggregate.add(accumulator, value);
        Ok(())
    }

    /// Forgets the aggregate.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        if self.place.ttl.is_some() {
            let timed = store.access_timed::<Stamped<A::Accumulator>>(self.place)?;
            timed.table.remove(timed.hash, timed.key);
            return Ok(());
        }
        let (table, hash, key) = store.access::<A::Accumulator>(self.place)?;
        table.remove(hash, key);
        Ok(())
    }
}
