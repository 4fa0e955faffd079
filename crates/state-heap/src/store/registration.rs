//! How states come to be: a state is registered by its description, and takes what a snapshot has
//! of it.

use std::hash::Hash;

use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, Key, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateTtlConfig, ValueStateDescriptor,
};
use hurtig_types::{
    Record,
    codec::CodecError,
    snapshot::{StateKind, StateMeta},
};

use super::{
    AggregatingState, AppendListState, KeyedStateStore, ListState, MapState, Place, ReducingState,
    Restored, StateError, ValueState, keyed_state_meta,
    slot::{PlainTable, Slot, StateTable, TimedSlot, TimedTable},
};
use crate::{
    append_lists::{AppendLists, Read},
    state_map::StateMap,
    table::KeyedTable,
    ttl::{Expired, Expiring, Stamped, StampedList, Ttl},
};

impl<K: Key> KeyedStateStore<K> {
    /// Registers a value per key.
    pub fn value_state<V: Record>(
        &mut self,
        descriptor: &ValueStateDescriptor<V>,
    ) -> Result<ValueState<V>, StateError> {
        let (name, ttl) = (descriptor.name(), descriptor.ttl());
        Ok(ValueState::new(self.register::<Stamped<V>>(name, StateKind::Value, ttl)?))
    }

    /// Registers a list per key.
    pub fn list_state<V: Record>(
        &mut self,
        descriptor: &ListStateDescriptor<V>,
    ) -> Result<ListState<V>, StateError> {
        let (name, ttl) = (descriptor.name(), descriptor.ttl());
        Ok(ListState::new(self.register::<StampedList<V>>(name, StateKind::List, ttl)?))
    }

    /// Registers a list of byte strings per key that only grows. In snapshots it is as a
    /// [`Self::list_state`] of byte strings.
    pub fn append_list_state(&mut self, name: &str) -> Result<AppendListState, StateError> {
        if let Some(slot) = self.slots.iter().position(|slot| slot.meta.name == name) {
            let table = self.slots[slot].table.as_any();
            return if table.is::<AppendLists<K>>() {
                Ok(AppendListState::new(Place { slot, ttl: None }))
            } else {
                Err(StateError::Mismatch { name: name.to_owned() })
            };
        }
        let meta = keyed_state_meta::<K, Read>(name, StateKind::List);
        let restored = self.take_restored(&meta)?;
        let mut lists =
            AppendLists::new(self.range, self.max_parallelism, self.hash_of, self.epoch);
        if let Some(Restored { metas, blocks }) = &restored {
            for (described, block) in blocks.iter().rev() {
                if metas[*described].has_ttl() {
                    let reason = "its elements have times, and none can expire here".to_owned();
                    return Err(StateError::Unreadable { name: name.to_owned(), reason });
                }
                lists.restore(block).map_err(|error| unreadable(name, &error))?;
            }
        }
        self.slots.push(Slot { meta, table: Box::new(lists), timed: None });
        Ok(AppendListState::new(Place { slot: self.slots.len() - 1, ttl: None }))
    }

    /// Registers a map per key.
    pub fn map_state<UK: Record + Eq + Hash, UV: Record>(
        &mut self,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> Result<MapState<UK, UV>, StateError> {
        let (name, ttl) = (descriptor.name(), descriptor.ttl());
        let place = self.register::<StateMap<UK, Stamped<UV>>>(name, StateKind::Map, ttl)?;
        Ok(MapState::new(place))
    }

    /// Registers a reduced value per key.
    pub fn reducing_state<V: Record>(
        &mut self,
        descriptor: &ReducingStateDescriptor<V>,
    ) -> Result<ReducingState<V>, StateError> {
        let (name, ttl) = (descriptor.name(), descriptor.ttl());
        let place = self.register::<Stamped<V>>(name, StateKind::Reducing, ttl)?;
        Ok(ReducingState::new(place, descriptor.reduce.clone()))
    }

    /// Registers an aggregate per key.
    pub fn aggregating_state<I, A: AggregateFunction<I>>(
        &mut self,
        descriptor: &AggregatingStateDescriptor<A>,
    ) -> Result<AggregatingState<I, A>, StateError> {
        let (name, ttl) = (descriptor.name(), descriptor.ttl());
        let place = self.register::<Stamped<A::Accumulator>>(name, StateKind::Aggregating, ttl)?;
        Ok(AggregatingState::new(place, descriptor.aggregate.clone()))
    }

    fn register<S: Expiring>(
        &mut self,
        name: &str,
        kind: StateKind,
        ttl: Option<&StateTtlConfig>,
    ) -> Result<Place, StateError> {
        let config = ttl.filter(|config| config.is_enabled()).copied();
        let ttl = config.as_ref().map(Ttl::new);
        if let Some(slot) = self.slots.iter().position(|slot| slot.meta.name == name) {
            let known = &mut self.slots[slot];
            let table = known.table.as_any();
            let same_type = match ttl {
                Some(_) => table.is::<KeyedTable<K, S>>(),
                None => table.is::<KeyedTable<K, S::Plain>>(),
            };
            let same_ttl = known.timed.as_ref().map(|timed| timed.config) == config;
            return if same_type && same_ttl && known.meta.kind == kind {
                Ok(Place { slot, ttl })
            } else {
                Err(StateError::Mismatch { name: name.to_owned() })
            };
        }
        let meta = keyed_state_meta::<K, S::Plain>(name, kind);
        let meta = if ttl.is_some() { meta.with_ttl() } else { meta };
        let restored = self.take_restored(&meta)?;
        let table = match (ttl, &config) {
            (Some(ttl), Some(config)) => {
                let mut table = self.table::<S>();
                self.read_timed(&mut table, restored, ttl)
                    .map_err(|error| unreadable(name, &error))?;
                let filtered = config.is_cleanup_full_snapshot();
                Box::new(TimedTable { table, ttl, filtered }) as Box<dyn StateTable<K>>
            }
            _ => {
                let mut table = self.table::<S::Plain>();
                read_plain::<K, S>(&mut table, restored)
                    .map_err(|error| unreadable(name, &error))?;
                Box::new(PlainTable(table))
            }
        };
        let timed = config.map(|config| {
            let cleanup = config.incremental_cleanup();
            Box::new(TimedSlot { config, cleanup, earned: 0, spare: None })
        });
        self.timed |= timed.is_some();
        self.slots.push(Slot { meta, table, timed });
        Ok(Place { slot: self.slots.len() - 1, ttl })
    }

    /// What a snapshot has of a state.
    fn take_restored(&mut self, meta: &StateMeta) -> Result<Option<Restored>, StateError> {
        let restored = self.restored.iter().position(|known| known.metas[0].name == meta.name);
        let restored = restored.map(|index| self.restored.remove(index));
        for old in restored.iter().flat_map(|restored| &restored.metas) {
            meta.check_restorable_from(old).map_err(|difference| StateError::Changed {
                name: meta.name.clone(),
                difference: Box::new(difference),
            })?;
        }
        Ok(restored)
    }

    fn table<V: Record>(&self) -> KeyedTable<K, V> {
        let table = KeyedTable::new(self.range, self.max_parallelism);
        let mut table = table.at_epoch(self.epoch).hashed_by(self.hash_of);
        table.track_removals();
        table
    }

    /// What had no times gets the present one; what has expired is left out.
    fn read_timed<S: Expiring>(
        &self,
        table: &mut KeyedTable<K, S>,
        restored: Option<Restored>,
        ttl: Ttl,
    ) -> Result<(), CodecError> {
        let (now_ms, horizon_ms) = (self.now_ms, ttl.horizon_ms(self.now_ms));
        let Some(Restored { metas, blocks }) = restored else { return Ok(()) };
        for (described, block) in &blocks {
            if !metas[*described].has_ttl() {
                table.restore_with(block, |plain| Ok(Some(S::stamp(plain, now_ms))))?;
                continue;
            }
            table.restore_with(block, |mut value: S| {
                check_sound(&value)?;
                if value.expired(horizon_ms) == Expired::All {
                    return Ok(None);
                }
                value.drop_expired(horizon_ms);
                Ok(Some(value))
            })?;
        }
        Ok(())
    }
}

/// Times are taken away where the program has no time to live any more.
fn read_plain<K: Key, S: Expiring>(
    table: &mut KeyedTable<K, S::Plain>,
    restored: Option<Restored>,
) -> Result<(), CodecError> {
    let Some(Restored { metas, blocks }) = restored else { return Ok(()) };
    for (described, block) in &blocks {
        if metas[*described].has_ttl() {
            table.restore_with(block, |value: S| {
                check_sound(&value)?;
                Ok(Some(value.strip()))
            })?;
        } else {
            table.restore(block)?;
        }
    }
    Ok(())
}

fn check_sound(value: &impl Expiring) -> Result<(), CodecError> {
    if value.is_sound() {
        return Ok(());
    }
    Err(CodecError::Malformed("a list has another number of times than of elements".to_owned()))
}

fn unreadable(name: &str, error: &CodecError) -> StateError {
    StateError::Unreadable { name: name.to_owned(), reason: error.to_string() }
}
