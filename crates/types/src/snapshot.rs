//! Snapshots as plain data: handles of state files, and what one subtask's snapshot consists of.
//!
//! A task builds a [`TaskStateSnapshot`] and acknowledges a checkpoint with it; at a restore it is
//! given a [`JobManagerTaskRestore`] made of the same handles. Handles only name bytes: reading,
//! writing and deleting them is the storage's work, their contents are the state backend's.
//!
//! Ownership of files:
//! - an *exclusive* file belongs to one checkpoint and is deleted with it;
//! - a *shared* file is created by one checkpoint and may be named by later ones, so it is deleted
//!   when no retained checkpoint names it. A task may name a shared file only if it was told that
//!   a checkpoint with that file has completed, or was restored from one;
//! - a *task-owned* file is deleted by the task that made it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    CheckpointId, KeyGroupRange, OperatorId,
    schema::{describe_change, reads, schema_text_of},
};

/// Where the bytes of a state file are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StateLocation {
    /// In the handle itself.
    Inline(Arc<[u8]>),
    /// In a file, as a path relative to the directory of the metadata file that names it. Only in
    /// stored metadata, so that a savepoint can be moved; whoever loads it resolves the path.
    Relative(Arc<str>),
    /// In a file, as a URL.
    Absolute(Arc<str>),
}

/// Who deletes a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StateScope {
    /// It is deleted with its checkpoint.
    Exclusive,
    /// It is deleted when no retained checkpoint names it.
    Shared {
        /// The checkpoint for which it was written.
        created_by: CheckpointId,
    },
    /// The task deletes it.
    TaskOwned,
}

/// Names the bytes of one piece of state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateFile {
    /// Where.
    pub location: StateLocation,
    /// Who deletes it.
    pub scope: StateScope,
    /// Length of the content in bytes, before compression.
    pub length: u64,
    /// XXH3-64 of the content.
    pub checksum: u64,
}

impl StateFile {
    /// Bytes that live in the handle.
    pub fn inline(bytes: &[u8]) -> Self {
        Self {
            location: StateLocation::Inline(bytes.into()),
            scope: StateScope::Exclusive,
            length: bytes.len() as u64,
            checksum: state_checksum(bytes),
        }
    }

    /// The URL, if the bytes are in a file.
    pub fn url(&self) -> Option<&Arc<str>> {
        match &self.location {
            StateLocation::Absolute(url) => Some(url),
            _ => None,
        }
    }

    /// The checkpoint that created it, if it is shared.
    pub fn shared_by(&self) -> Option<CheckpointId> {
        match self.scope {
            StateScope::Shared { created_by } => Some(created_by),
            _ => None,
        }
    }
}

/// The checksum of [`StateFile::checksum`]: XXH3-64.
pub fn state_checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// What kind of state a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateKind {
    /// One value per key.
    Value,
    /// A list per key.
    List,
    /// A map per key.
    Map,
    /// A reduced value per key.
    Reducing,
    /// An accumulator per key.
    Aggregating,
    /// Timers; kept and snapshotted with keyed state.
    Timers,
    /// A list per subtask.
    OperatorList,
    /// A map that is equal in all subtasks.
    Broadcast,
}

/// How a state is described in a snapshot, so that a changed program can be told from an equal one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateMeta {
    /// Name; unique per operator.
    pub name: String,
    /// Kind.
    pub kind: StateKind,
    /// Codec of keys and values, with its version.
    pub codec: String,
    /// The types, as [`crate::schema`] writes them: `value` or `value by key`.
    pub schema: String,
    /// A hash of the schema.
    pub fingerprint: u64,
}

/// The record codec, as state names it.
const RECORD_CODEC: &str = "postcard-1";
/// Follows the codec of state whose values carry the time of their last use.
const TTL_SUFFIX: &str = "+ttl";

/// How the state of a snapshot differs from what a program declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StateDifference {
    /// Another kind of state.
    #[error("it was {restored:?} state and is {declared:?} state now")]
    Kind {
        /// In the snapshot.
        restored: StateKind,
        /// In the program.
        declared: StateKind,
    },
    /// Another codec.
    #[error("it was written with codec {restored:?}, the program uses {declared:?}")]
    Codec {
        /// In the snapshot.
        restored: String,
        /// In the program.
        declared: String,
    },
    /// Other types.
    #[error("{}", describe_change(restored, declared))]
    Schema {
        /// In the snapshot.
        restored: String,
        /// In the program.
        declared: String,
    },
}

impl StateMeta {
    fn of(name: &str, kind: StateKind, schema: String) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            codec: RECORD_CODEC.to_owned(),
            fingerprint: state_checksum(schema.as_bytes()),
            schema,
        }
    }

    /// Describes state of values by key, in the record codec.
    pub fn by_key<K, V>(name: &str, kind: StateKind) -> Self
    where
        K: DeserializeOwned + 'static,
        V: DeserializeOwned + 'static,
    {
        let schema = format!("{} by {}", schema_text_of::<V>(), schema_text_of::<K>());
        Self::of(name, kind, schema)
    }

    /// Describes state of elements without keys, in the record codec.
    pub fn of_elements<T: DeserializeOwned + 'static>(
        name: &str,
        mode: RedistributionMode,
    ) -> Self {
        let kind = match mode {
            RedistributionMode::Broadcast => StateKind::Broadcast,
            RedistributionMode::SplitDistribute
            | RedistributionMode::Union
            | RedistributionMode::PartialUnion => StateKind::OperatorList,
        };
        Self::of(name, kind, schema_text_of::<T>().as_ref().to_owned())
    }

    /// The same state with a time at each value.
    #[must_use]
    pub fn with_ttl(mut self) -> Self {
        if !self.has_ttl() {
            self.codec.push_str(TTL_SUFFIX);
        }
        self
    }

    /// True if each value is written with the time of its last use. That may change between a
    /// snapshot and the program that is restored from it.
    pub fn has_ttl(&self) -> bool {
        self.codec.ends_with(TTL_SUFFIX)
    }

    fn base_codec(&self) -> &str {
        self.codec.strip_suffix(TTL_SUFFIX).unwrap_or(&self.codec)
    }

    /// Whether state that was written as `restored` can be read as `self` declares it.
    pub fn check_restorable_from(&self, restored: &StateMeta) -> Result<(), StateDifference> {
        if self.kind != restored.kind {
            return Err(StateDifference::Kind { restored: restored.kind, declared: self.kind });
        }
        if self.base_codec() != restored.base_codec() {
            let (restored, declared) = (restored.codec.clone(), self.codec.clone());
            return Err(StateDifference::Codec { restored, declared });
        }
        let equal = self.fingerprint == restored.fingerprint;
        if !equal && !reads(&self.schema, &restored.schema) {
            let (restored, declared) = (restored.schema.clone(), self.schema.clone());
            return Err(StateDifference::Schema { restored, declared });
        }
        Ok(())
    }
}

/// Keyed state of a range of key groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStateHandle {
    /// The key groups that are meant; the files may hold more, which are to be skipped.
    pub key_groups: KeyGroupRange,
    /// The base, then the deltas in the order in which they apply.
    pub chain: Vec<StateFile>,
}

/// How the elements of a list state are spread over the subtasks at a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RedistributionMode {
    /// Every element to one subtask, evenly.
    SplitDistribute,
    /// All elements to every subtask.
    Union,
    /// Equal in all subtasks: each takes the copy of one.
    Broadcast,
    /// As `Union`, but nobody needs what subtasks had that have finished: checkpoints go on when
    /// some have.
    PartialUnion,
}

/// One element of a list state within its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatePartition {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// One list or broadcast state within a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionedState {
    /// Name.
    pub name: String,
    /// How it is spread.
    pub mode: RedistributionMode,
    /// Its elements.
    pub partitions: Vec<StatePartition>,
}

/// Operator state of one subtask: one file with the elements of all its states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorStateHandle {
    /// The bytes.
    pub file: StateFile,
    /// What lies where.
    pub states: Vec<PartitionedState>,
}

/// Records that were in flight in one channel of an input gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputChannelState {
    /// Position of the gate.
    pub gate: u32,
    /// Channel of the gate.
    pub channel: u32,
    /// The records, encoded as on the wire.
    pub file: StateFile,
}

/// Records that were in flight in one subpartition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultSubpartitionState {
    /// Position of the result partition among the outputs of the vertex.
    pub partition: u32,
    /// Subpartition.
    pub subpartition: u32,
    /// The records, encoded as on the wire.
    pub file: StateFile,
}

/// What one operator of one subtask keeps. Records in flight belong to the whole chain and are
/// kept by its head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSubtaskState {
    /// Keyed state and timers.
    pub keyed: Vec<KeyedStateHandle>,
    /// List and broadcast state.
    pub operator: Vec<OperatorStateHandle>,
    /// Records in flight in the input gates.
    pub input_channels: Vec<InputChannelState>,
    /// Records in flight in the result partitions.
    pub result_subpartitions: Vec<ResultSubpartitionState>,
    /// Description of every state that the handles hold.
    pub states: Vec<StateMeta>,
}

impl OperatorSubtaskState {
    /// True if there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.operator.is_empty() && !self.has_in_flight_data()
    }

    /// True if records in flight were kept.
    pub fn has_in_flight_data(&self) -> bool {
        !self.input_channels.is_empty() || !self.result_subpartitions.is_empty()
    }

    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        let keyed = self.keyed.iter().flat_map(|handle| &handle.chain);
        let operator = self.operator.iter().map(|handle| &handle.file);
        let inputs = self.input_channels.iter().map(|state| &state.file);
        let outputs = self.result_subpartitions.iter().map(|state| &state.file);
        keyed.chain(operator).chain(inputs).chain(outputs)
    }

    /// Every file that it names, to be changed.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut StateFile> {
        let keyed = self.keyed.iter_mut().flat_map(|handle| &mut handle.chain);
        let operator = self.operator.iter_mut().map(|handle| &mut handle.file);
        let inputs = self.input_channels.iter_mut().map(|state| &mut state.file);
        let outputs = self.result_subpartitions.iter_mut().map(|state| &mut state.file);
        keyed.chain(operator).chain(inputs).chain(outputs)
    }
}

/// How far the task was that took a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SnapshotProgress {
    /// Processing.
    #[default]
    Running,
    /// Its operators have seen the end of all input; it waits for its last checkpoint.
    OperatorsFinished,
    /// It was deployed as finished, and has no state.
    FinishedOnRestore,
}

/// What a task acknowledges a checkpoint with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStateSnapshot {
    /// How far the task was.
    pub progress: SnapshotProgress,
    /// State by operator; operators without state may be left out.
    pub operators: BTreeMap<OperatorId, OperatorSubtaskState>,
}

impl TaskStateSnapshot {
    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.operators.values().flat_map(OperatorSubtaskState::files)
    }
}

/// Records that were in flight towards one subtask, if the subtasks have changed since: they are
/// replayed through a gate before anything new is read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescaledChannelState {
    /// Position of the gate.
    pub gate: u32,
    /// The producing subtask, in the old parallelism.
    pub old_producer: u32,
    /// The consuming subtask, in the old parallelism.
    pub old_consumer: u32,
    /// The records, in order.
    pub files: Vec<StateFile>,
    /// Records whose key group lies outside belong to other subtasks and are to be skipped.
    pub filter: Option<KeyGroupRange>,
}

/// What a task starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobManagerTaskRestore {
    /// The checkpoint.
    pub checkpoint_id: CheckpointId,
    /// The task has finished already: it opens no operator and passes on the end of its input.
    pub finished: bool,
    /// State by operator. Channels and subpartitions are those of the new task, with the head.
    pub operators: BTreeMap<OperatorId, OperatorSubtaskState>,
    /// Records in flight of subtasks that are no more.
    pub rescaled_channels: Vec<RescaledChannelState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(kind: StateKind, codec: &str, fingerprint: u64) -> StateMeta {
        let schema = format!("type-{fingerprint}");
        StateMeta { name: "s".into(), kind, codec: codec.into(), schema, fingerprint }
    }

    #[test]
    fn a_difference_is_named() {
        let old = meta(StateKind::Value, "postcard-1", 1);
        let text = |new: StateMeta| new.check_restorable_from(&old).unwrap_err().to_string();
        assert_eq!(old.check_restorable_from(&old), Ok(()));
        assert_eq!(
            text(meta(StateKind::List, "postcard-1", 1)),
            "it was Value state and is List state now"
        );
        assert_eq!(
            text(meta(StateKind::Value, "arrow-1", 1)),
            r#"it was written with codec "postcard-1", the program uses "arrow-1""#
        );
        assert_eq!(
            text(meta(StateKind::Value, "postcard-1", 2)),
            r#"its schema was "type-1" and is "type-2" now"#
        );
        let typed = |meta: StateMeta| meta.check_restorable_from(&keyed::<(u8, u8)>());
        assert_eq!(typed(keyed::<(u8, u8)>()), Ok(()));
        assert_eq!(typed(keyed::<(u8, u8)>().with_ttl()), Ok(()), "times come and go");
        assert_eq!(
            typed(keyed::<(u8, String)>()).unwrap_err().to_string(),
            "its type has changed: value.1 was u8 and is string now"
        );
    }

    fn keyed<V: DeserializeOwned + 'static>() -> StateMeta {
        StateMeta::by_key::<u8, V>("s", StateKind::Value)
    }
}
