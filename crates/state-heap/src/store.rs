//! All states of one operator, by name, with the current key.
//!
//! A state is registered once, in `open`, and reached through the handle that this gives. A handle
//! knows the type of its values; the store knows the key. Access costs one table look-up with a
//! hash that was computed for the record.

use std::{
    any::{Any, type_name},
    collections::HashMap,
    hash::Hash,
    marker::PhantomData,
    sync::Arc,
};

use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, Key, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, ValueStateDescriptor,
};
use hurtig_types::{
    KeyGroupRange, Record,
    codec::CodecError,
    snapshot::{RedistributionMode, StateDifference, StateKind, StateMeta, state_checksum},
    stable_hash,
};

use crate::{
    capture::Block,
    table::{HashOf, KeyedTable},
};

/// Misuse of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Two states of one operator have the same name but differ in kind or type.
    Mismatch {
        /// The name.
        name: String,
    },
    /// A handle is used with another operator's store.
    ForeignHandle,
    /// There is no current key.
    NoKey,
    /// The snapshot's state cannot be read as the program declares it.
    Changed {
        /// The name.
        name: String,
        /// How they differ.
        difference: Box<StateDifference>,
    },
    /// The snapshot's state is damaged.
    Unreadable {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mismatch { name } => {
                write!(f, "state {name:?} is registered twice with different types")
            }
            Self::ForeignHandle => f.write_str("a state handle of another operator was used"),
            Self::NoKey => f.write_str("keyed state was used outside of a keyed call"),
            Self::Changed { name, difference } => {
                write!(f, "state {name:?} cannot be restored: {difference}")
            }
            Self::Unreadable { name, reason } => {
                write!(f, "state {name:?} cannot be restored: {reason}")
            }
        }
    }
}

impl std::error::Error for StateError {}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($param:ident),+>) => {
        $(#[$doc])*
        pub struct $name<$($param),+> {
            slot: usize,
            types: PhantomData<fn() -> ($($param,)+)>,
        }

        impl<$($param),+> Clone for $name<$($param),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),+> Copy for $name<$($param),+> {}
    };
}

handle!(
    /// Handle of a value per key.
    ValueState<V>
);
handle!(
    /// Handle of a list per key.
    ListState<V>
);
handle!(
    /// Handle of a map per key.
    MapState<UK, UV>
);

/// Handle of a reduced value per key.
#[derive(Clone)]
pub struct ReducingState<V> {
    slot: usize,
    reduce: Arc<dyn Fn(&mut V, V) + Send + Sync>,
}

/// Handle of an aggregate per key of values of type `I`.
pub struct AggregatingState<I, A> {
    slot: usize,
    aggregate: Arc<A>,
    types: PhantomData<fn() -> I>,
}

impl<I, A> Clone for AggregatingState<I, A> {
    fn clone(&self) -> Self {
        Self { slot: self.slot, aggregate: self.aggregate.clone(), types: PhantomData }
    }
}

struct Slot {
    meta: StateMeta,
    table: Box<dyn StateTable>,
}

/// A table whose types are known only to its handles.
trait StateTable: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn begin_capture(&mut self, since: Option<u32>);
    fn cancel_capture(&mut self);
    fn forget_removals_before(&mut self, capture: u32);
    fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError>;
    fn is_empty(&self) -> bool;
    /// Calls `f` with hash and key of each entry.
    fn each_key(&self, f: &mut dyn FnMut(u64, &dyn Any));
}

impl<K: Key, V: Record> StateTable for KeyedTable<K, V> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn begin_capture(&mut self, since: Option<u32>) {
        KeyedTable::begin_capture(self, since);
    }

    fn cancel_capture(&mut self) {
        KeyedTable::cancel_capture(self);
    }

    fn forget_removals_before(&mut self, capture: u32) {
        KeyedTable::forget_removals_before(self, capture);
    }

    fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError> {
        KeyedTable::next_block(self, max_bytes)
    }

    fn is_empty(&self) -> bool {
        KeyedTable::is_empty(self)
    }

    fn each_key(&self, f: &mut dyn FnMut(u64, &dyn Any)) {
        self.iter().for_each(|(hash, key, _)| f(hash, key));
    }
}

/// Describes a keyed state for snapshots.
pub fn keyed_state_meta<K: 'static, V: 'static>(name: &str, kind: StateKind) -> StateMeta {
    let schema = format!("{} by {}", type_name::<V>(), type_name::<K>());
    StateMeta {
        name: name.to_owned(),
        kind,
        codec: CODEC.to_owned(),
        fingerprint: state_checksum(schema.as_bytes()),
        schema,
    }
}

/// Describes a list or broadcast state of an operator for snapshots.
pub fn list_state_meta<T: 'static>(name: &str, mode: RedistributionMode) -> StateMeta {
    let kind = match mode {
        RedistributionMode::Broadcast => StateKind::Broadcast,
        RedistributionMode::SplitDistribute | RedistributionMode::Union => StateKind::OperatorList,
    };
    let schema = type_name::<T>().to_owned();
    StateMeta {
        name: name.to_owned(),
        kind,
        codec: CODEC.to_owned(),
        fingerprint: state_checksum(schema.as_bytes()),
        schema,
    }
}

/// The codec of state and its version.
const CODEC: &str = "postcard-1";

/// All states of one operator.
pub struct KeyedStateStore<K> {
    slots: Vec<Slot>,
    range: KeyGroupRange,
    max_parallelism: u32,
    hash_of: HashOf<K>,
    current: Option<(u64, K)>,
    /// Number of the last capture, or 1.
    epoch: u32,
    /// Blocks of a snapshot whose state has not been registered yet, in their order.
    restored: Vec<(StateMeta, Vec<Block>)>,
    /// The slot that the capture under way is at.
    capturing: Option<usize>,
}

impl<K: Key> KeyedStateStore<K> {
    /// A store for a range of key groups.
    pub fn new(range: KeyGroupRange, max_parallelism: u32) -> Self {
        Self {
            slots: Vec::new(),
            range,
            max_parallelism,
            hash_of: stable_hash::<K>,
            current: None,
            epoch: 1,
            restored: Vec::new(),
            capturing: None,
        }
    }

    /// A store whose keys have that hash, and not their own; see [`KeyedTable::hashed_by`].
    pub fn hashed_by(mut self, hash_of: HashOf<K>) -> Self {
        self.hash_of = hash_of;
        self
    }

    /// Takes a block of a snapshot; it is decoded when its state is registered.
    pub fn restore(&mut self, meta: &StateMeta, block: Block) {
        match self.restored.iter_mut().find(|(known, _)| known.name == meta.name) {
            Some((_, blocks)) => blocks.push(block),
            None => self.restored.push((meta.clone(), vec![block])),
        }
    }

    /// Describes the states that are registered.
    pub fn metas(&self) -> impl Iterator<Item = &StateMeta> {
        let unread = self.restored.iter().map(|(meta, _)| meta);
        self.slots.iter().map(|slot| &slot.meta).chain(unread)
    }

    /// Begins a capture of all states; see [`KeyedTable::begin_capture`].
    pub fn begin_capture(&mut self, since: Option<u32>) -> u32 {
        self.epoch += 1;
        self.slots.iter_mut().for_each(|slot| slot.table.begin_capture(since));
        self.capturing = Some(0);
        self.epoch
    }

    /// Gives up the capture that is under way, if any.
    pub fn cancel_capture(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.table.cancel_capture());
        self.capturing = None;
    }

    /// See [`KeyedTable::forget_removals_before`].
    pub fn forget_removals_before(&mut self, capture: u32) {
        self.slots.iter_mut().for_each(|slot| slot.table.forget_removals_before(capture));
    }

    /// The next piece of the capture, with the state that it is of; `None` when it is complete.
    /// States of the snapshot that the program has not registered are passed on as they are.
    pub fn next_block(
        &mut self,
        max_bytes: usize,
    ) -> Result<Option<(&StateMeta, Block)>, CodecError> {
        while let Some(index) = self.capturing {
            let unread = index.checked_sub(self.slots.len());
            match unread {
                None => match self.slots[index].table.next_block(max_bytes)? {
                    Some(block) => return Ok(Some((&self.slots[index].meta, block))),
                    None => self.capturing = Some(index + 1),
                },
                Some(nth) => {
                    let all = self.restored.iter();
                    let mut blocks =
                        all.flat_map(|(meta, blocks)| blocks.iter().map(move |b| (meta, b)));
                    match blocks.nth(nth) {
                        Some((meta, block)) => {
                            self.capturing = Some(index + 1);
                            return Ok(Some((meta, block.clone())));
                        }
                        None => self.capturing = None,
                    }
                }
            }
        }
        Ok(None)
    }

    /// Hash and key of every key that a registered state holds something for, state by state: a key
    /// comes once per state.
    pub fn each_key(&self, mut f: impl FnMut(u64, &K)) {
        for slot in &self.slots {
            slot.table.each_key(&mut |hash, key| {
                if let Some(key) = key.downcast_ref() {
                    f(hash, key);
                }
            });
        }
    }

    /// True if no state holds anything.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.table.is_empty()) && self.restored.is_empty()
    }

    /// Sets the current key.
    #[inline]
    pub fn set_current_key(&mut self, hash: u64, key: K) {
        self.current = Some((hash, key));
    }

    /// The current key with its hash.
    #[inline]
    pub fn current_key(&self) -> Option<(u64, &K)> {
        self.current.as_ref().map(|(hash, key)| (*hash, key))
    }

    fn register<V: Record>(&mut self, name: &str, kind: StateKind) -> Result<usize, StateError> {
        if let Some(slot) = self.slots.iter().position(|slot| slot.meta.name == name) {
            if self.slots[slot].table.as_any().is::<KeyedTable<K, V>>() {
                return Ok(slot);
            }
            return Err(StateError::Mismatch { name: name.to_owned() });
        }
        let meta = keyed_state_meta::<K, V>(name, kind);
        let table = KeyedTable::<K, V>::new(self.range, self.max_parallelism);
        let mut table = table.at_epoch(self.epoch).hashed_by(self.hash_of);
        table.track_removals();
        if let Some(index) = self.restored.iter().position(|(known, _)| known.name == name) {
            let (restored, blocks) = self.restored.swap_remove(index);
            meta.check_restorable_from(&restored).map_err(|difference| StateError::Changed {
                name: name.to_owned(),
                difference: Box::new(difference),
            })?;
            for block in &blocks {
                table.restore(block).map_err(|error| StateError::Unreadable {
                    name: name.to_owned(),
                    reason: error.to_string(),
                })?;
            }
        }
        self.slots.push(Slot { meta, table: Box::new(table) });
        Ok(self.slots.len() - 1)
    }

    /// The table of a slot with the current key.
    #[inline]
    fn access<V: Record>(
        &mut self,
        slot: usize,
    ) -> Result<(&mut KeyedTable<K, V>, u64, &K), StateError> {
        let slot = self.slots.get_mut(slot).ok_or(StateError::ForeignHandle)?;
        let table = slot.table.as_any().downcast_mut().ok_or(StateError::ForeignHandle)?;
        let (hash, key) = self.current.as_ref().ok_or(StateError::NoKey)?;
        Ok((table, *hash, key))
    }

    /// Registers a value per key.
    pub fn value_state<V: Record>(
        &mut self,
        descriptor: &ValueStateDescriptor<V>,
    ) -> Result<ValueState<V>, StateError> {
        let slot = self.register::<V>(descriptor.name(), StateKind::Value)?;
        Ok(ValueState { slot, types: PhantomData })
    }

    /// Registers a list per key.
    pub fn list_state<V: Record>(
        &mut self,
        descriptor: &ListStateDescriptor<V>,
    ) -> Result<ListState<V>, StateError> {
        let slot = self.register::<Vec<V>>(descriptor.name(), StateKind::List)?;
        Ok(ListState { slot, types: PhantomData })
    }

    /// Registers a map per key.
    pub fn map_state<UK: Record + Eq + Hash, UV: Record>(
        &mut self,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> Result<MapState<UK, UV>, StateError> {
        let slot = self.register::<HashMap<UK, UV>>(descriptor.name(), StateKind::Map)?;
        Ok(MapState { slot, types: PhantomData })
    }

    /// Registers a reduced value per key.
    pub fn reducing_state<V: Record>(
        &mut self,
        descriptor: &ReducingStateDescriptor<V>,
    ) -> Result<ReducingState<V>, StateError> {
        let slot = self.register::<V>(descriptor.name(), StateKind::Reducing)?;
        Ok(ReducingState { slot, reduce: descriptor.reduce.clone() })
    }

    /// Registers an aggregate per key.
    pub fn aggregating_state<I, A: AggregateFunction<I>>(
        &mut self,
        descriptor: &AggregatingStateDescriptor<A>,
    ) -> Result<AggregatingState<I, A>, StateError> {
        let slot = self.register::<A::Accumulator>(descriptor.name(), StateKind::Aggregating)?;
        Ok(AggregatingState { slot, aggregate: descriptor.aggregate.clone(), types: PhantomData })
    }
}

impl<V: Record> ValueState<V> {
    /// The value of the current key.
    #[inline]
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<&'a mut V>, StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        Ok(table.get_mut(hash, key))
    }

    /// The value of the current key, made by `fresh` if there is none.
    #[inline]
    pub fn get_or_insert_with<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        fresh: impl FnOnce() -> V,
    ) -> Result<&'a mut V, StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        Ok(table.get_or_insert_with(hash, key, fresh).0)
    }

    /// Sets the value of the current key.
    #[inline]
    pub fn update<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        value: V,
    ) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        table.insert(hash, key, value);
        Ok(())
    }

    /// Removes the value of the current key and returns it.
    #[inline]
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Option<V>, StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        Ok(table.remove(hash, key))
    }
}

impl<V: Record> ListState<V> {
    /// The list of the current key; empty if there is none.
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<&'a [V], StateError> {
        let (table, hash, key) = store.access::<Vec<V>>(self.slot)?;
        Ok(table.get(hash, key).map_or(&[], Vec::as_slice))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<Vec<V>>(self.slot)?;
        table.get_or_insert_with(hash, key, Vec::new).0.push(value);
        Ok(())
    }

    /// Replaces the list.
    pub fn update<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        values: Vec<V>,
    ) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<Vec<V>>(self.slot)?;
        if values.is_empty() {
            table.remove(hash, key);
        } else {
            table.insert(hash, key, values);
        }
        Ok(())
    }

    /// Takes the list out.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Vec<V>, StateError> {
        let (table, hash, key) = store.access::<Vec<V>>(self.slot)?;
        Ok(table.remove(hash, key).unwrap_or_default())
    }
}

impl<UK: Record + Eq + Hash, UV: Record> MapState<UK, UV> {
    /// The map of the current key, made if there is none.
    pub fn entries<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<&'a mut HashMap<UK, UV>, StateError> {
        let (table, hash, key) = store.access::<HashMap<UK, UV>>(self.slot)?;
        Ok(table.get_or_insert_with(hash, key, HashMap::new).0)
    }

    /// The value under `user_key`.
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        user_key: &UK,
    ) -> Result<Option<&'a mut UV>, StateError> {
        let (table, hash, key) = store.access::<HashMap<UK, UV>>(self.slot)?;
        Ok(table.get_mut(hash, key).and_then(|map| map.get_mut(user_key)))
    }

    /// Sets the value under `user_key`.
    pub fn put<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.entries(store)?.insert(user_key, value);
        Ok(())
    }

    /// Removes `user_key`; a map that is empty then takes no space.
    pub fn remove<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        user_key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let (table, hash, key) = store.access::<HashMap<UK, UV>>(self.slot)?;
        let Some(map) = table.get_mut(hash, key) else {
            return Ok(None);
        };
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
    ) -> Result<HashMap<UK, UV>, StateError> {
        let (table, hash, key) = store.access::<HashMap<UK, UV>>(self.slot)?;
        Ok(table.remove(hash, key).unwrap_or_default())
    }
}

impl<V: Record> ReducingState<V> {
    /// The value of the current key.
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<&'a V>, StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        Ok(table.get(hash, key))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        match table.get_mut(hash, key) {
            Some(known) => (self.reduce)(known, value),
            None => table.insert(hash, key, value),
        }
        Ok(())
    }

    /// Takes the value out.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<Option<V>, StateError> {
        let (table, hash, key) = store.access::<V>(self.slot)?;
        Ok(table.remove(hash, key))
    }
}

impl<I, A: AggregateFunction<I>> AggregatingState<I, A> {
    /// The result for the current key.
    pub fn get<K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<Option<A::Output>, StateError> {
        let (table, hash, key) = store.access::<A::Accumulator>(self.slot)?;
        Ok(table.get(hash, key).map(|accumulator| self.aggregate.result(accumulator)))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, store: &mut KeyedStateStore<K>, value: &I) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<A::Accumulator>(self.slot)?;
        let fresh = || self.aggregate.create_accumulator();
        let (accumulator, _) = table.get_or_insert_with(hash, key, fresh);
        self.aggregate.add(accumulator, value);
        Ok(())
    }

    /// Forgets the aggregate.
    pub fn clear<K: Key>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (table, hash, key) = store.access::<A::Accumulator>(self.slot)?;
        table.remove(hash, key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> KeyedStateStore<u32> {
        KeyedStateStore::new(KeyGroupRange { start: 0, end: 127 }, 128)
    }

    #[test]
    fn state_belongs_to_the_current_key() {
        let mut store = store();
        let count = store.value_state(&ValueStateDescriptor::<u64>::new("count")).unwrap();
        assert_eq!(count.get(&mut store), Err(StateError::NoKey));
        store.set_current_key(1, 10);
        count.update(&mut store, 5).unwrap();
        store.set_current_key(2, 20);
        assert_eq!(count.get(&mut store), Ok(None));
        *count.get_or_insert_with(&mut store, || 1).unwrap() += 1;
        store.set_current_key(1, 10);
        assert_eq!(count.clear(&mut store), Ok(Some(5)));
        store.set_current_key(2, 20);
        assert_eq!(count.get(&mut store), Ok(Some(&mut 2)));
    }

    #[test]
    fn a_name_has_one_type() {
        let mut store = store();
        store.value_state(&ValueStateDescriptor::<u64>::new("s")).unwrap();
        store.value_state(&ValueStateDescriptor::<u64>::new("s")).unwrap();
        let clash = store.list_state(&ListStateDescriptor::<u64>::new("s"));
        assert_eq!(clash.err(), Some(StateError::Mismatch { name: "s".to_owned() }));
    }

    #[test]
    fn every_kind_of_state_adds_up_and_clears() {
        let mut store = store();
        let list = store.list_state(&ListStateDescriptor::<u8>::new("list")).unwrap();
        let map = store.map_state(&MapStateDescriptor::<String, u8>::new("map")).unwrap();
        let descriptor = ReducingStateDescriptor::<u8>::new("max", |a, b| *a = (*a).max(b));
        let max = store.reducing_state(&descriptor).unwrap();
        store.set_current_key(7, 7);
        list.add(&mut store, 1).unwrap();
        list.add(&mut store, 2).unwrap();
        assert_eq!(list.get(&mut store).unwrap(), [1, 2]);
        assert_eq!(list.clear(&mut store).unwrap(), [1, 2]);
        map.put(&mut store, "a".into(), 3).unwrap();
        assert_eq!(map.get(&mut store, &"a".into()).unwrap(), Some(&mut 3));
        assert_eq!(map.remove(&mut store, &"a".into()).unwrap(), Some(3));
        max.add(&mut store, 4).unwrap();
        max.add(&mut store, 9).unwrap();
        max.add(&mut store, 5).unwrap();
        assert_eq!(max.get(&mut store).unwrap(), Some(&9));
    }
}
