//! How many failures of checkpoints a job survives; as Flink 2.3's `CheckpointFailureManager`.
//!
//! - Only failures that tell of trouble count ([`CheckpointFailureReason::counts_as_failure`]), each
//!   checkpoint once; a success newer than the failure clears the count.
//! - A failed savepoint that the JobManager is to blame for changes nothing: the user sees it.
//! - So does a failed savepoint that was to stop the job: tasks that it has merely suspended go on,
//!   and those that it has drained fail by themselves.
//!
//! [`CheckpointFailureReason::counts_as_failure`]: hurtig_types::CheckpointFailureReason::counts_as_failure

use std::collections::BTreeSet;

use hurtig_types::{CheckpointException, CheckpointId, CheckpointType, ExecutionAttemptId};

/// Why the job has to fail: too many failures in a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {tolerable} checkpoints failed in a row, the last one because {last}")]
pub struct CheckpointJobFailure {
    /// How many the job survives.
    pub tolerable: u32,
    /// The last failure.
    pub last: CheckpointException,
}

/// Counts failures.
#[derive(Clone, Debug)]
pub struct CheckpointFailureManager {
    tolerable: Option<u32>,
    in_a_row: u32,
    counted: BTreeSet<CheckpointId>,
    last_success: Option<CheckpointId>,
}

impl CheckpointFailureManager {
    /// `None` tolerates everything.
    pub fn new(tolerable: Option<u32>) -> Self {
        Self { tolerable, in_a_row: 0, counted: BTreeSet::new(), last_success: None }
    }

    /// Failures since the last success.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// A checkpoint has completed.
    pub fn on_success(&mut self, checkpoint_id: CheckpointId) {
        if self.last_success.is_none_or(|last| last < checkpoint_id) {
            self.last_success = Some(checkpoint_id);
            self.clear();
        }
    }

    /// A checkpoint has failed, before it had a number or after, in the JobManager or in a task.
    pub fn on_failure(
        &mut self,
        checkpoint_id: Option<CheckpointId>,
        checkpoint_type: CheckpointType,
        cause: &CheckpointException,
        task: Option<ExecutionAttemptId>,
    ) -> Option<CheckpointJobFailure> {
        let in_task = task.is_some() && !cause.reason.is_pre_flight();
        if checkpoint_type.is_savepoint() && !in_task {
            return None;
        }
        let tolerable = self.tolerable?;
        let outdated = checkpoint_id.is_some_and(|id| self.last_success.is_some_and(|s| id <= s));
        let known = checkpoint_id.is_some_and(|id| self.counted.contains(&id));
        if outdated || known || !cause.reason.counts_as_failure() {
            return None;
        }
        self.counted.extend(checkpoint_id);
        self.in_a_row += 1;
        if self.in_a_row <= tolerable {
            return None;
        }
        self.clear();
        Some(CheckpointJobFailure { tolerable, last: cause.clone() })
    }

    fn clear(&mut self) {
        self.in_a_row = 0;
        self.counted.clear();
    }
}
