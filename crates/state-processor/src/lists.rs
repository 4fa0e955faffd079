//! Operator state as records: list state with even-split or union redistribution, and broadcast
//! state.
//!
//! - The elements of a split list come once, subtask by subtask, in their order.
//! - A union list is the elements of all subtasks.
//! - Broadcast state is equal in all subtasks: it is taken from the first that has it. Its elements
//!   are pairs of key and value.

use std::{marker::PhantomData, ops::RangeInclusive, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use hurtig_checkpoint::OperatorState;
use hurtig_types::{
    CodecError, OperatorStateHandle, Record, RedistributionMode, StateMeta, codec,
    snapshot::PartitionedState,
};

use crate::{
    error::StateProcessorError,
    keyed::KeyedFiles,
    records::{LoadedRecords, StateRecords, cut},
    snapshot::OpenSnapshot,
};

fn mode_name(mode: RedistributionMode) -> &'static str {
    match mode {
        RedistributionMode::SplitDistribute => "list state",
        RedistributionMode::Union | RedistributionMode::PartialUnion => "union list state",
        RedistributionMode::Broadcast => "broadcast state",
    }
}

/// The elements of one operator state.
pub(crate) struct ListRecords<T> {
    files: Arc<KeyedFiles>,
    meta: StateMeta,
    mode: RedistributionMode,
    types: PhantomData<fn() -> T>,
}

/// Where one subtask keeps a state.
fn handles<'a>(
    state: &'a OperatorState,
    name: &'a str,
) -> impl Iterator<Item = (u32, &'a OperatorStateHandle, &'a PartitionedState)> {
    let handles = state
        .subtasks
        .iter()
        .flat_map(|(index, subtask)| subtask.operator.iter().map(move |handle| (*index, handle)));
    handles.flat_map(move |(index, handle)| {
        let states = handle.states.iter().filter(move |state| state.name == name);
        states.map(move |state| (index, handle, state))
    })
}

impl<T: Record> ListRecords<T> {
    pub(crate) fn new(
        snapshot: &OpenSnapshot,
        uid: &str,
        name: &str,
        mode: RedistributionMode,
    ) -> Result<Self, StateProcessorError> {
        let files = KeyedFiles::new(snapshot, uid)?;
        let restored = files.meta(name)?.clone();
        let declared = StateMeta::of_elements::<T>(name, mode);
        declared
            .check_restorable_from(&restored)
            .map_err(|difference| files.incompatible(&restored, difference))?;
        let mut modes = files.state().into_iter().flat_map(|state| handles(state, name));
        if let Some((_, _, other)) = modes.find(|(_, _, state)| state.mode != mode) {
            return Err(StateProcessorError::Redistribution {
                operator: files.label.clone(),
                state: name.to_owned(),
                found: mode_name(other.mode),
                wanted: mode_name(mode),
            });
        }
        drop(modes);
        Ok(Self { files: Arc::new(files), meta: restored, mode, types: PhantomData })
    }

    /// The subtasks that have elements, or the one whose copy counts.
    fn subtasks(&self) -> Vec<u32> {
        let mut subtasks: Vec<u32> = match self.files.state() {
            Some(state) => handles(state, &self.meta.name).map(|(index, ..)| index).collect(),
            None => Vec::new(),
        };
        subtasks.dedup();
        if self.mode == RedistributionMode::Broadcast {
            subtasks.truncate(1);
        }
        subtasks
    }
}

impl<T: Record> StateRecords<T> for ListRecords<T> {
    fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>> {
        let _ = at_least;
        self.subtasks().into_iter().flat_map(|index| cut(index..=index, 1)).collect()
    }

    fn load(&self, part: RangeInclusive<u32>) -> BoxFuture<'static, LoadedRecords<T>> {
        let (files, name) = (self.files.clone(), self.meta.name.clone());
        async move {
            let mut records = Vec::new();
            let Some(state) = files.state() else { return Ok(records) };
            for (index, handle, list) in handles(state, &name) {
                if !part.contains(&index) {
                    continue;
                }
                let content = files.snapshot.read(&handle.file).await?;
                for element in elements(list, &content) {
                    let record = element.and_then(codec::decode);
                    records.push(record.map_err(|error| files.unreadable(&name, error))?);
                }
            }
            Ok(records)
        }
        .boxed()
    }
}

/// The bytes of each element.
fn elements<'a>(
    list: &'a PartitionedState,
    content: &'a [u8],
) -> impl Iterator<Item = Result<&'a [u8], CodecError>> {
    list.partitions.iter().map(|partition| {
        let start = usize::try_from(partition.offset).ok();
        let length = usize::try_from(partition.length).ok();
        let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
        let bytes = start.zip(end).and_then(|(start, end)| content.get(start..end));
        bytes.ok_or_else(|| CodecError::Malformed("an element lies beyond its file".to_owned()))
    })
}
