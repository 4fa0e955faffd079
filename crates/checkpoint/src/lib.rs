//! The decisions of checkpointing, as pure code: events and the time come in, commands go out.
//! There is no clock, no I/O and no executor here; an actor of the JobMaster carries out the
//! commands, and the storage writes and reads what they name.
//!
//! - [`model`]: what a completed snapshot consists of.
//! - [`topology`]: a job as far as checkpoints look at it.
//! - [`coordinator`]: which checkpoint is taken when, who takes part, when it is complete, what is
//!   kept and what may be deleted.
//! - [`assign`]: which subtask of a new job starts from which part of an old snapshot.
//!
//! The vocabulary that barriers and tasks need as well is in `hurtig_types::checkpoint` and
//! `hurtig_types::snapshot`.

pub mod assign;
pub mod completed;
pub mod coordinator;
pub mod failures;
pub mod model;
pub mod pending;
pub mod plan;
pub mod requests;
pub mod shared;
pub mod stats;
pub mod topology;

#[cfg(test)]
mod tests;

pub use assign::{NonRestoredOperator, RestoreError, StateAssignment, assign_states};
pub use completed::{CompletedCheckpoint, CompletedCheckpointStore};
pub use coordinator::{
    AcknowledgeOutcome, CheckpointCommand, CheckpointCoordinator, CheckpointTimer, RestorePoint,
};
pub use model::{CheckpointMetadata, MasterState, OperatorState};
pub use requests::{RequestId, SnapshotRequest};
pub use stats::{CheckpointStatistics, CheckpointStatsTracker};
pub use topology::Topology;
