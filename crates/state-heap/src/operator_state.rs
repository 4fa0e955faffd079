//! Operator state: lists of one subtask, and broadcast maps, which are equal in all subtasks.
//!
//! It belongs to a subtask, not to keys. At a restore
//! - the elements of a *list state* are spread evenly: each comes to one subtask;
//! - the elements of a *union list state* come to every subtask, which keeps what it needs;
//! - a *broadcast state* comes to every subtask: all had the same.
//!
//! Operator state is small. It is encoded as a whole when a checkpoint begins.
//!
//! What a snapshot holds and nobody has registered is kept for the next snapshot; of union lists,
//! which all subtasks have, by the first subtask alone.

mod broadcast;
mod list;
#[cfg(test)]
mod tests;

use std::{any::Any, hash::Hash};

use hurtig_operator_api::{Captured, ListStateData, OperatorContext, OperatorRestore};
use hurtig_state_api::{ListStateDescriptor, MapStateDescriptor, StateTtlConfig};
use hurtig_types::{
    CheckpointId, Record, RedistributionMode,
    codec::{self, CodecError},
    snapshot::{StateKind, StateMeta},
};

use crate::{state_map::StateMap, store::StateError};

pub use broadcast::BroadcastState;
pub use list::OperatorListState;

struct Slot {
    meta: StateMeta,
    mode: RedistributionMode,
    state: Box<dyn AnyState>,
}

/// A state whose type is known only to its handles.
trait AnyState: Send {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn encode(&self) -> Result<Vec<Vec<u8>>, CodecError>;
}

struct List<T>(Vec<T>);

impl<T: Record> AnyState for List<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn encode(&self) -> Result<Vec<Vec<u8>>, CodecError> {
        self.0.iter().map(codec::encode).collect()
    }
}

struct Map<UK, UV>(StateMap<UK, UV>);

impl<UK: Record + Eq + Hash, UV: Record> AnyState for Map<UK, UV> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn encode(&self) -> Result<Vec<Vec<u8>>, CodecError> {
        self.0.iter().map(|entry| codec::encode(&entry)).collect()
    }
}

/// All operator states of one operator in one subtask.
#[derive(Default)]
pub struct OperatorStateStore {
    slots: Vec<Slot>,
    /// What nobody has registered yet.
    restored: Vec<(Option<StateMeta>, ListStateData)>,
    checkpoint: Option<CheckpointId>,
    subtask: u32,
}

impl OperatorStateStore {
    /// The store of an operator, with what it is restored from. To be made in the operator's
    /// `open`; an operator with operator state of its own must not use it.
    pub fn new(context: &OperatorContext) -> Self {
        Self::restored_from(context.restored.as_deref(), context.subtask)
    }

    fn restored_from(restore: Option<&OperatorRestore>, subtask: u32) -> Self {
        let mut store = Self { subtask, ..Self::default() };
        let Some(restore) = restore else { return store };
        store.checkpoint = Some(restore.checkpoint_id);
        for data in &restore.operator_states {
            match store.restored.iter_mut().find(|(_, known)| known.name == data.name) {
                Some((_, known)) => known.elements.extend_from_slice(&data.elements),
                None => store.restored.push((restore.meta(&data.name).cloned(), data.clone())),
            }
        }
        store
    }

    /// True if the operator goes on from a checkpoint or savepoint, even one without state of it.
    pub fn is_restored(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// The checkpoint that it goes on from.
    pub fn restored_checkpoint_id(&self) -> Option<CheckpointId> {
        self.checkpoint
    }

    /// Registers a list whose elements are spread evenly at a restore.
    pub fn list_state<T: Record>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.list(descriptor, RedistributionMode::SplitDistribute)
    }

    /// Registers a list of which every subtask gets all elements at a restore.
    pub fn union_list_state<T: Record>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.list(descriptor, RedistributionMode::Union)
    }

    fn list<T: Record>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
        mode: RedistributionMode,
    ) -> Result<OperatorListState<T>, StateError> {
        check_no_ttl(descriptor.name(), descriptor.ttl())?;
        let meta = StateMeta::of_elements::<T>(descriptor.name(), mode);
        let slot = self.register(meta, mode, |elements| {
            let elements = elements.iter().map(|element| codec::decode(element));
            Ok(List::<T>(elements.collect::<Result<_, _>>()?))
        })?;
        Ok(OperatorListState::new(slot))
    }

    /// Registers a map that is equal in all subtasks.
    pub fn broadcast_state<UK: Record + Eq + Hash, UV: Record>(
        &mut self,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> Result<BroadcastState<UK, UV>, StateError> {
        check_no_ttl(descriptor.name(), descriptor.ttl())?;
        let meta = StateMeta::by_key::<UK, UV>(descriptor.name(), StateKind::Broadcast);
        let slot = self.register(meta, RedistributionMode::Broadcast, |elements| {
            let entries = elements.iter().map(|entry| codec::decode(entry));
            Ok(Map::<UK, UV>(entries.collect::<Result<_, _>>()?))
        })?;
        Ok(BroadcastState::new(slot))
    }

    fn register<S: AnyState + 'static>(
        &mut self,
        meta: StateMeta,
        mode: RedistributionMode,
        decode: impl FnOnce(&[Vec<u8>]) -> Result<S, CodecError>,
    ) -> Result<usize, StateError> {
        let name = || meta.name.clone();
        if let Some(slot) = self.slots.iter().position(|slot| slot.meta.name == meta.name) {
            let known = &self.slots[slot];
            return if known.mode == mode && known.state.as_any().is::<S>() {
                Ok(slot)
            } else {
                Err(StateError::Mismatch { name: name() })
            };
        }
        let known = self.restored.iter().position(|(_, data)| data.name == meta.name);
        let restored = known.map(|index| self.restored.remove(index));
        let elements = match &restored {
            None => &[][..],
            Some((old, data)) => {
                if let Some(old) = old {
                    meta.check_restorable_from(old).map_err(|difference| StateError::Changed {
                        name: name(),
                        difference: Box::new(difference),
                    })?;
                }
                if data.mode != mode {
                    let (name, restored) = (name(), data.mode);
                    return Err(StateError::Redistributed { name, restored, declared: mode });
                }
                &data.elements
            }
        };
        let state = decode(elements)
            .map_err(|error| StateError::Unreadable { name: name(), reason: error.to_string() })?;
        self.slots.push(Slot { meta, mode, state: Box::new(state) });
        Ok(self.slots.len() - 1)
    }

    fn state<S: 'static>(&self, slot: usize) -> Result<&S, StateError> {
        let state = self.slots.get(slot).and_then(|slot| slot.state.as_any().downcast_ref());
        state.ok_or(StateError::ForeignHandle)
    }

    fn state_mut<S: 'static>(&mut self, slot: usize) -> Result<&mut S, StateError> {
        let state = self.slots.get_mut(slot);
        let state = state.and_then(|slot| slot.state.as_any_mut().downcast_mut());
        state.ok_or(StateError::ForeignHandle)
    }

    /// All states as they are now, for a checkpoint.
    pub fn snapshot(&self) -> Result<Vec<ListStateData>, CodecError> {
        let registered = self.slots.iter().map(|slot| {
            let (name, mode) = (slot.meta.name.clone(), slot.mode);
            Ok(ListStateData { name, mode, elements: slot.state.encode()? })
        });
        let passed_on =
            |data: &&ListStateData| data.mode != RedistributionMode::Union || self.subtask == 0;
        let unread = self.restored.iter().map(|(_, data)| data).filter(passed_on);
        registered.chain(unread.map(|data| Ok(data.clone()))).collect()
    }

    /// Describes all states.
    pub fn metas(&self) -> impl Iterator<Item = &StateMeta> {
        let unread = self.restored.iter().filter_map(|(meta, _)| meta.as_ref());
        self.slots.iter().map(|slot| &slot.meta).chain(unread)
    }

    /// All that there is to say when a capture begins, for an operator without keyed state.
    pub fn captured(&self) -> Result<Captured, CodecError> {
        let metas = self.metas().cloned().collect();
        Ok(Captured { operator_states: self.snapshot()?, metas, ..Captured::default() })
    }
}

fn check_no_ttl(name: &str, ttl: Option<&StateTtlConfig>) -> Result<(), StateError> {
    match ttl {
        Some(_) => Err(StateError::TimeToLive { name: name.to_owned() }),
        None => Ok(()),
    }
}
