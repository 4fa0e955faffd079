//! Restore: which subtask of a job starts from which part of a snapshot. A pure function of both.
//!
//! 1. *Check* ([`check`]): the metadata is sound; every operator with state is in the job, unless
//!    that may be left behind; numbers of key groups, declared states and finished operators go
//!    together.
//! 2. *Keyed state* goes to the subtasks whose key groups it holds ([`keyed`]); timers with it.
//! 3. *Operator state* is split evenly, given to all, or copied ([`operator`]).
//! 4. *Records in flight* go back to the same channels, or, if subtasks have changed, to those who
//!    are in charge of them now ([`in_flight`]).
//!
//! What fails names operator and state. As Flink 2.3's `StateAssignmentOperation`; unlike there,
//! only operators with keyed state or records in flight fix the number of key groups, and after a
//! change of parallelism records in flight of both sides of an edge are replayed by its consumer.

pub mod check;
pub mod in_flight;
pub mod keyed;
pub mod operator;

use std::collections::BTreeMap;

use hurtig_types::{
    CheckpointId, CheckpointType, JobManagerTaskRestore, JobVertexId, OperatorId,
    snapshot::StateDifference,
};

use crate::{
    model::CheckpointMetadata,
    topology::{SubtaskRef, Topology},
};

/// Why a job cannot start from a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// State would be left behind.
    #[error(
        "{snapshot} {checkpoint_id} has state of operators that the job does not have: {}; to go \
         on without that state allow non-restored state \
         (execution.state-recovery.ignore-unclaimed-state, --allow-non-restored-state)",
        list(operators)
    )]
    NonRestoredState {
        /// The snapshot.
        checkpoint_id: CheckpointId,
        /// What it is.
        snapshot: CheckpointType,
        /// All operators whose state would be lost.
        operators: Vec<NonRestoredOperator>,
    },
    /// Key groups would not fit.
    #[error(
        "operator {label:?} ({operator}) has state in {restored} key groups, but the job sets its \
         max parallelism to {declared}"
    )]
    MaxParallelism {
        /// The operator.
        operator: OperatorId,
        /// Its uid or name.
        label: String,
        /// In the snapshot.
        restored: u32,
        /// In the job.
        declared: u32,
    },
    /// More subtasks than key groups.
    #[error(
        "operator {label:?} ({operator}) has state in {max_parallelism} key groups, too few for \
         parallelism {parallelism}"
    )]
    Parallelism {
        /// The operator.
        operator: OperatorId,
        /// Its uid or name.
        label: String,
        /// In the job.
        parallelism: u32,
        /// In the snapshot.
        max_parallelism: u32,
    },
    /// A declared state cannot read what the snapshot has.
    #[error("state {state:?} of operator {label:?} ({operator}) cannot be restored")]
    IncompatibleState {
        /// The operator.
        operator: OperatorId,
        /// Its uid or name.
        label: String,
        /// The state.
        state: String,
        /// What differs.
        #[source]
        difference: StateDifference,
    },
    /// Finished operators have been moved among running ones.
    #[error("vertex {vertex:?} ({id}) cannot be restored as finished: {problem}")]
    FinishedOperators {
        /// Name.
        vertex: String,
        /// Id.
        id: JobVertexId,
        /// What does not go together.
        problem: String,
    },
    /// Records in flight have nowhere to go.
    #[error("records in flight of operator {label:?} ({operator}) cannot be restored: {problem}")]
    InFlightData {
        /// The operator that heads the chain.
        operator: OperatorId,
        /// Its uid or name.
        label: String,
        /// What has changed.
        problem: String,
    },
    /// The metadata contradicts itself.
    #[error(
        "the metadata of checkpoint {checkpoint_id} is not sound: operator {label:?} ({operator}) \
         {problem}"
    )]
    Malformed {
        /// The snapshot.
        checkpoint_id: CheckpointId,
        /// The operator.
        operator: OperatorId,
        /// Its uid or name.
        label: String,
        /// What is wrong.
        problem: String,
    },
}

/// An operator of a snapshot that a job does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonRestoredOperator {
    /// The operator.
    pub operator: OperatorId,
    /// Its uid or name.
    pub label: String,
    /// Names of its states.
    pub states: Vec<String>,
    /// Bytes that would be lost.
    pub bytes: u64,
}

impl std::fmt::Display for NonRestoredOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operator, label, states, bytes } = self;
        write!(f, "{label:?} ({operator}) with state {states:?}, {bytes} bytes")
    }
}

fn list(operators: &[NonRestoredOperator]) -> String {
    let texts: Vec<String> = operators.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Who starts from what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateAssignment {
    /// Number of key groups of each vertex: that of the snapshot where the job leaves it open.
    pub max_parallelism: BTreeMap<JobVertexId, u32>,
    /// What each subtask starts from.
    pub tasks: BTreeMap<(JobVertexId, u32), JobManagerTaskRestore>,
    /// What each coordinator starts from.
    pub coordinators: BTreeMap<OperatorId, Vec<u8>>,
    /// Operators with state that is left behind.
    pub left_behind: Vec<NonRestoredOperator>,
}

/// Assigns the state of a snapshot to the subtasks of a job.
pub fn assign_states(
    metadata: &CheckpointMetadata,
    topology: &Topology,
    allow_non_restored_state: bool,
) -> Result<StateAssignment, RestoreError> {
    check::check_metadata(metadata)?;
    let left_behind = check::check_operators(metadata, topology, allow_non_restored_state)?;
    check::check_declared_states(metadata, topology)?;
    let finished = check::check_finished(metadata, topology)?;
    let mut assignment = StateAssignment { left_behind, ..StateAssignment::default() };
    for vertex in &topology.vertices {
        let max = check::max_parallelism(metadata, vertex)?;
        assignment.max_parallelism.insert(vertex.id, max);
    }
    for subtask in topology.subtasks() {
        let id = topology.vertices[subtask.vertex].id;
        let mut restore = JobManagerTaskRestore {
            checkpoint_id: metadata.checkpoint_id,
            finished: finished[subtask.vertex],
            ..JobManagerTaskRestore::default()
        };
        if !restore.finished {
            let max_parallelism = assignment.max_parallelism[&id];
            assign_subtask(metadata, topology, subtask, max_parallelism, &mut restore);
        }
        assignment.tasks.insert((id, subtask.subtask), restore);
    }
    operator::assign(metadata, topology, &mut assignment.tasks)?;
    in_flight::assign(metadata, topology, &mut assignment)?;
    for operator in topology.vertices.iter().flat_map(|vertex| &vertex.operators) {
        let state = metadata.operators.get(&operator.id);
        if let Some(bytes) = state.and_then(|state| state.coordinator_state.clone()) {
            assignment.coordinators.insert(operator.id, bytes);
        }
    }
    Ok(assignment)
}

/// Keyed state and descriptions of states.
fn assign_subtask(
    metadata: &CheckpointMetadata,
    topology: &Topology,
    subtask: SubtaskRef,
    max_parallelism: u32,
    restore: &mut JobManagerTaskRestore,
) {
    let vertex = &topology.vertices[subtask.vertex];
    for operator in &vertex.operators {
        let Some(state) = metadata.operators.get(&operator.id) else { continue };
        let new = restore.operators.entry(operator.id).or_default();
        new.states.clone_from(&state.states);
        new.keyed = keyed::assign(state, subtask.subtask, vertex.parallelism, max_parallelism);
    }
}
