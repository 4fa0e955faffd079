//! What a completed checkpoint or savepoint consists of: the content of its metadata file.
//!
//! Metadata names every byte of a snapshot, so that nothing has to be searched for. It is plain
//! data; its encoding, with version, length and checksum, is the storage's.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_graph::{DistributionPattern, ShipStrategy};
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, OperatorId, OperatorSubtaskState, StateFile, StateMeta,
};
use serde::{Deserialize, Serialize};

/// Version of [`CheckpointMetadata`] that this release writes. It is counted up when a field
/// changes; the storage keeps a reader for every version that was ever released.
pub const METADATA_FORMAT_VERSION: u32 = 1;

/// A whole snapshot of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMetadata {
    /// Version of the format.
    pub format_version: u32,
    /// The job that took it.
    pub job: JobId,
    /// Its number within that job.
    pub checkpoint_id: CheckpointId,
    /// What was taken.
    pub checkpoint_type: CheckpointType,
    /// When it was triggered, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Operators, by id.
    pub operators: BTreeMap<OperatorId, OperatorState>,
    /// State of what lives beside the operators in the JobManager.
    pub master_states: Vec<MasterState>,
}

/// State of one operator over all its subtasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// Name, for people.
    pub name: String,
    /// The user's uid.
    pub uid: Option<String>,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// All subtasks had finished: the operator is not run again.
    pub fully_finished: bool,
    /// Subtasks that had finished, if not all.
    pub finished_subtasks: BTreeSet<u32>,
    /// Subtasks that had not finished, but had come to the end of their input and had told all
    /// their consumers so. They are run again, and emit nothing.
    pub ended_subtasks: BTreeSet<u32>,
    /// Description of each state, by name.
    pub states: Vec<StateMeta>,
    /// What the subtasks keep. `states` is empty in these: it is above, once.
    pub subtasks: BTreeMap<u32, OperatorSubtaskState>,
    /// State of the operator's coordinator.
    pub coordinator_state: Option<Vec<u8>>,
    /// Edges into the chain that this operator heads, if records in flight were kept in any
    /// subtask of the job; needed to tell whose they were when the parallelism changes.
    pub inputs: Vec<ChainInput>,
}

/// An edge into a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainInput {
    /// Head of the producing chain.
    pub producer: OperatorId,
    /// Position of the data set among the producer's outputs.
    pub producer_output: u32,
    /// Parallelism of the producer.
    pub producer_parallelism: u32,
    /// Partitioning.
    pub ship: ShipStrategy,
    /// Who reads from whom.
    pub pattern: DistributionPattern,
}

/// State of something in the JobManager that is no operator's coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterState {
    /// Its name.
    pub name: String,
    /// Version of its bytes.
    pub version: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl OperatorState {
    /// True if there is something to restore.
    pub fn has_state(&self) -> bool {
        self.coordinator_state.is_some() || self.subtasks.values().any(|s| !s.is_empty())
    }

    /// Bytes of all its state.
    pub fn size_bytes(&self) -> u64 {
        let files = self.subtasks.values().flat_map(OperatorSubtaskState::files);
        let coordinator = self.coordinator_state.as_ref().map_or(0, Vec::len) as u64;
        // Lengths are what a file says: their sum must not overflow.
        files.map(|file| file.length).fold(coordinator, u64::saturating_add)
    }

    /// How people find the operator: uid or name.
    pub fn label(&self) -> &str {
        self.uid.as_deref().unwrap_or(&self.name)
    }
}

impl CheckpointMetadata {
    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.operators
            .values()
            .flat_map(|operator| operator.subtasks.values())
            .flat_map(OperatorSubtaskState::files)
    }

    /// Every file that is named, to be changed.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut StateFile> {
        self.operators
            .values_mut()
            .flat_map(|operator| operator.subtasks.values_mut())
            .flat_map(OperatorSubtaskState::files_mut)
    }

    /// Bytes of state, with what is shared.
    pub fn state_size_bytes(&self) -> u64 {
        self.files().map(|file| file.length).fold(0, u64::saturating_add)
    }
}
