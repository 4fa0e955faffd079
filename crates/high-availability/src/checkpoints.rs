//! Pointers to a job's completed checkpoints, and the counter of its checkpoints.
//!
//! One fenced record per job, owned by the leader of [`crate::LeaderScope::Job`]. A checkpoint
//! exists for a new JobMaster once its pointer is in the record. So a JobMaster that has been
//! superseded completes none any more, and sinks that commit on completion commit nothing twice.
//!
//! If adding a pointer ends as uncertain, the checkpoint may have been completed: nothing of it may
//! be deleted, and nobody told that it was given up.

use hurtig_types::{CheckpointId, JobId};
use serde::{Deserialize, Serialize};

use crate::{
    error::HighAvailabilityError,
    register::{Change, FencedRegister},
};

/// Flink's first checkpoint is number 1.
const FIRST_CHECKPOINT: u64 = 1;
/// Pointers that one job may have. Retained checkpoints are few; more is a fault.
const MOST_POINTERS: usize = 1000;

/// A completed checkpoint and where its metadata is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPointer {
    /// Its number.
    pub id: CheckpointId,
    /// Its directory, a URL.
    pub external_pointer: String,
}

/// The content of a job's record of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCheckpoints {
    /// The number of the next checkpoint.
    pub next: CheckpointId,
    /// Completed checkpoints that are retained, oldest first.
    pub completed: Vec<CheckpointPointer>,
}

impl Default for JobCheckpoints {
    fn default() -> Self {
        Self { next: CheckpointId(FIRST_CHECKPOINT), completed: Vec::new() }
    }
}

type Decision<R> = Result<Change<JobCheckpoints, R>, HighAvailabilityError>;

impl JobCheckpoints {
    pub(crate) fn key(job: JobId) -> String {
        format!("jobs/{job}/checkpoints")
    }

    /// Retains a checkpoint and lets go of those subsumed by it.
    fn add(mut self, pointer: &CheckpointPointer, subsumed: &[CheckpointId]) -> Decision<()> {
        let before = self.clone();
        self.completed.retain(|known| !subsumed.contains(&known.id));
        if !self.completed.contains(pointer) {
            self.completed.push(pointer.clone());
            self.completed.sort_by_key(|pointer| pointer.id);
        }
        self.next = self.next.max(CheckpointId(pointer.id.0 + 1));
        let too_many = self.completed.len() > MOST_POINTERS;
        if too_many && self.completed.len() > before.completed.len() {
            return Err(HighAvailabilityError::TooLarge {
                key: "completed checkpoints".to_owned(),
                bytes: self.completed.len(),
                limit: MOST_POINTERS,
            });
        }
        Ok(if self == before { Change::None(()) } else { Change::To(self, ()) })
    }

    fn remove(mut self, ids: &[CheckpointId]) -> Decision<()> {
        let before = self.completed.len();
        self.completed.retain(|known| !ids.contains(&known.id));
        let changed = self.completed.len() != before;
        Ok(if changed { Change::To(self, ()) } else { Change::None(()) })
    }

    fn take_next(mut self) -> Decision<CheckpointId> {
        let next = self.next;
        self.next = CheckpointId(next.0 + 1);
        Ok(Change::To(self, next))
    }

    fn raise_next(mut self, next: CheckpointId) -> Decision<()> {
        if self.next >= next {
            return Ok(Change::None(()));
        }
        self.next = next;
        Ok(Change::To(self, ()))
    }
}

/// The record of one job, as the leader of one token sees it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct CompletedCheckpointRegister {
    job: JobId,
    register: FencedRegister<JobCheckpoints>,
}

impl CompletedCheckpointRegister {
    pub(crate) fn new(job: JobId, register: FencedRegister<JobCheckpoints>) -> Self {
        Self { job, register }
    }

    /// Makes the record this leader's and returns what earlier ones have left. Called once per
    /// leadership, before anything else. Fails if the job has been cleaned up.
    pub async fn recover(&self) -> Result<JobCheckpoints, HighAvailabilityError> {
        let content = self.register.claim(false).await?;
        content.ok_or(HighAvailabilityError::JobUnknown { job: self.job })
    }

    async fn update<R>(
        &self,
        decide: impl Fn(JobCheckpoints) -> Decision<R>,
    ) -> Result<R, HighAvailabilityError> {
        // Only the submission of a job makes its records: after its end nothing comes back.
        let answer = self.register.update_existing(decide).await?;
        answer.ok_or(HighAvailabilityError::JobUnknown { job: self.job })
    }

    /// The number of the next checkpoint, which nobody else gets. A number may be left out when an
    /// answer is lost.
    pub async fn next_checkpoint_id(&self) -> Result<CheckpointId, HighAvailabilityError> {
        self.update(JobCheckpoints::take_next).await
    }

    /// Sees to it that the next number is at least this.
    pub async fn set_next_checkpoint_id(
        &self,
        next: CheckpointId,
    ) -> Result<(), HighAvailabilityError> {
        self.update(|content| content.raise_next(next)).await
    }

    /// Completes a checkpoint, and lets go of those that it subsumes, at one moment. Files of
    /// those may be deleted afterwards.
    pub async fn add(
        &self,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
    ) -> Result<(), HighAvailabilityError> {
        self.update(|content| content.add(pointer, subsumed)).await
    }

    /// Lets go of checkpoints.
    pub async fn remove(&self, ids: &[CheckpointId]) -> Result<(), HighAvailabilityError> {
        self.update(|content| content.remove(ids)).await
    }

    /// What the record says now.
    pub async fn read(&self) -> Result<JobCheckpoints, HighAvailabilityError> {
        Ok(self.register.read().await?.content)
    }
}
