//! Keyed state as records: key and value of one state.

use std::{collections::HashMap, marker::PhantomData, ops::RangeInclusive, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use hurtig_checkpoint::{OperatorState, assign::keyed::intersect};
use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, Key, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, ValueStateDescriptor,
};
use hurtig_state_heap::{Block, BlockKind, HashOf, KeyedTable, keyed_state_meta, read_blocks};
use hurtig_types::{
    CodecError, KeyGroupRange, OperatorId, Record, StateKind, StateMeta, snapshot::StateDifference,
    stable_hash,
};

use crate::{
    error::StateProcessorError,
    records::{LoadedRecords, StateRecords, cut},
    snapshot::OpenSnapshot,
};

/// The name under which `KeyedStream::reduce` keeps its values.
const REDUCE: &str = "_reduce";

/// Which keyed state is meant, and the type of what it holds per key: the value, the list as a
/// `Vec`, the map as a `HashMap`, the reduced value, the accumulator.
#[derive(Clone, Debug)]
pub struct KeyedStateSpec<V> {
    pub(crate) name: String,
    pub(crate) kind: StateKind,
    types: PhantomData<fn() -> V>,
}

impl<V> KeyedStateSpec<V> {
    fn new(name: &str, kind: StateKind) -> Self {
        Self { name: name.to_owned(), kind, types: PhantomData }
    }

    /// The accumulators of an aggregating state.
    pub fn aggregating<I, A: AggregateFunction<I, Accumulator = V>>(
        descriptor: &AggregatingStateDescriptor<A>,
    ) -> Self {
        Self::new(descriptor.name(), StateKind::Aggregating)
    }

    /// The values of a `KeyedStream::reduce`.
    pub fn of_reduce() -> Self {
        Self::new(REDUCE, StateKind::Reducing)
    }
}

impl<V> From<&ValueStateDescriptor<V>> for KeyedStateSpec<V> {
    fn from(descriptor: &ValueStateDescriptor<V>) -> Self {
        Self::new(descriptor.name(), StateKind::Value)
    }
}

impl<V> From<&ListStateDescriptor<V>> for KeyedStateSpec<Vec<V>> {
    fn from(descriptor: &ListStateDescriptor<V>) -> Self {
        Self::new(descriptor.name(), StateKind::List)
    }
}

impl<UK, UV> From<&MapStateDescriptor<UK, UV>> for KeyedStateSpec<HashMap<UK, UV>> {
    fn from(descriptor: &MapStateDescriptor<UK, UV>) -> Self {
        Self::new(descriptor.name(), StateKind::Map)
    }
}

impl<V> From<&ReducingStateDescriptor<V>> for KeyedStateSpec<V> {
    fn from(descriptor: &ReducingStateDescriptor<V>) -> Self {
        Self::new(descriptor.name(), StateKind::Reducing)
    }
}

/// The keyed state of one operator.
#[derive(Clone, Debug)]
pub(crate) struct KeyedFiles {
    pub(crate) snapshot: OpenSnapshot,
    pub(crate) operator: OperatorId,
    /// Its uid or name.
    pub(crate) label: String,
    pub(crate) max_parallelism: u32,
}

impl KeyedFiles {
    pub(crate) fn new(snapshot: &OpenSnapshot, uid: &str) -> Result<Self, StateProcessorError> {
        let (operator, state) = snapshot.operator(uid)?;
        let (label, max_parallelism) = (state.label().to_owned(), state.max_parallelism);
        Ok(Self { snapshot: snapshot.clone(), operator, label, max_parallelism })
    }

    pub(crate) fn state(&self) -> Option<&OperatorState> {
        self.snapshot.metadata.operators.get(&self.operator)
    }

    /// What the snapshot says of a state.
    pub(crate) fn meta(&self, name: &str) -> Result<&StateMeta, StateProcessorError> {
        let states = || self.state().into_iter().flat_map(|state| &state.states);
        states().find(|meta| meta.name == name).ok_or_else(|| StateProcessorError::UnknownState {
            operator: self.label.clone(),
            state: name.to_owned(),
            known: states().map(|meta| format!("{:?}", meta.name)).collect(),
        })
    }

    pub(crate) fn incompatible(
        &self,
        meta: &StateMeta,
        difference: StateDifference,
    ) -> StateProcessorError {
        StateProcessorError::Incompatible {
            operator: self.label.clone(),
            state: meta.name.clone(),
            difference: Box::new(difference),
        }
    }

    pub(crate) fn unreadable(&self, state: &str, source: CodecError) -> StateProcessorError {
        let (operator, state) = (self.label.clone(), state.to_owned());
        StateProcessorError::Unreadable { operator, state, source: Box::new(source) }
    }

    /// Ranges of key groups that have state, at least about so many. Each lies within those of one
    /// subtask, so that its files are read for no other range, as long as few are asked for.
    pub(crate) fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>> {
        let Some(state) = self.state() else { return Vec::new() };
        let with_state: Vec<u32> = state
            .subtasks
            .iter()
            .filter(|(_, subtask)| !subtask.keyed.is_empty())
            .map(|(index, _)| *index)
            .collect();
        let pieces = at_least.div_ceil(with_state.len().max(1) as u32);
        let ranges = with_state.into_iter().flat_map(|index| {
            let own = KeyGroupRange::of_subtask(index, state.parallelism, state.max_parallelism);
            cut(own.start..=own.end, pieces)
        });
        ranges.collect()
    }

    /// Calls `f` with each block that may hold something of a range of key groups, in the order in
    /// which they apply, and with the part of the range that its file is meant for.
    pub(crate) async fn each_block(
        &self,
        range: KeyGroupRange,
        mut f: impl FnMut(&StateMeta, Block, KeyGroupRange) -> Result<(), StateProcessorError> + Send,
    ) -> Result<(), StateProcessorError> {
        let Some(state) = self.state() else { return Ok(()) };
        for handle in state.subtasks.values().flat_map(|subtask| &subtask.keyed) {
            let Some(meant) = intersect(handle.key_groups, range) else { continue };
            for (position, file) in handle.chain.iter().enumerate() {
                // Deltas hold all timers, not changes: those of the last file are all there are.
                let is_latest = position + 1 == handle.chain.len();
                let content = self.snapshot.read(file).await?;
                let mut failure = None;
                let read = read_blocks(&content, |meta, block| {
                    let timers = !matches!(block.kind, BlockKind::Entries | BlockKind::Removals);
                    if if timers { !is_latest } else { !meant.contains(block.key_group) } {
                        return Ok(());
                    }
                    f(meta, block, meant).map_err(|error| {
                        failure = Some(error);
                        CodecError::Malformed(String::new())
                    })
                });
                match (failure, read) {
                    (Some(error), _) => return Err(error),
                    (None, Err(error)) => return Err(self.unreadable("(keyed state)", error)),
                    (None, Ok(())) => {}
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn key_groups(part: &RangeInclusive<u32>) -> KeyGroupRange {
    KeyGroupRange { start: *part.start(), end: *part.end() }
}

/// The records of one state.
pub(crate) struct KeyedRecords<K, V> {
    files: Arc<KeyedFiles>,
    declared: StateMeta,
    hash_of: HashOf<K>,
    types: PhantomData<fn() -> V>,
}

impl<K: Key, V: Record> KeyedRecords<K, V> {
    pub(crate) fn new(
        files: KeyedFiles,
        spec: &KeyedStateSpec<V>,
    ) -> Result<Self, StateProcessorError> {
        let declared = keyed_state_meta::<K, V>(&spec.name, spec.kind);
        let restored = files.meta(&spec.name)?;
        declared
            .check_restorable_from(restored)
            .map_err(|difference| files.incompatible(restored, difference))?;
        Ok(Self { files: Arc::new(files), declared, hash_of: stable_hash::<K>, types: PhantomData })
    }

    /// The keys are in the key groups of that hash, and not of their own.
    pub(crate) fn hashed_by(self, hash_of: HashOf<K>) -> Self {
        Self { hash_of, ..self }
    }
}

impl<K: Key, V: Record> StateRecords<(K, V)> for KeyedRecords<K, V> {
    fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>> {
        self.files.parts(at_least)
    }

    fn load(&self, part: RangeInclusive<u32>) -> BoxFuture<'static, LoadedRecords<(K, V)>> {
        let (files, declared) = (self.files.clone(), self.declared.clone());
        let hash_of = self.hash_of;
        async move {
            let range = key_groups(&part);
            let table = KeyedTable::<K, V>::new(range, files.max_parallelism);
            let mut table = table.hashed_by(hash_of);
            let apply = |meta: &StateMeta, block: Block, _| {
                if meta.name != declared.name {
                    return Ok(());
                }
                declared
                    .check_restorable_from(meta)
                    .map_err(|difference| files.incompatible(meta, difference))?;
                table.restore(&block).map_err(|error| files.unreadable(&meta.name, error))
            };
            files.each_block(range, apply).await?;
            Ok(table.into_entries().map(|(_, key, value)| (key, value)).collect())
        }
        .boxed()
    }
}
