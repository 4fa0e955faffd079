//! Pointers to a job's completed checkpoints, and the counter of its checkpoints.
//!
//! One fenced record per job, owned by the leader of [`crate::LeaderScope::Job`]. A checkpoint
//! exists for a new JobMaster once its pointer is in the record. So a JobMaster that has been
//! superseded completes none any more, and sinks that commit on completion commit nothing twice.
//!
//! If adding a pointer ends as uncertain, the checkpoint may have been completed: nothing of it may
//! be deleted, and nobody told that it was given up.

use async_trait::async_trait;
pub use hurtig_cluster_api::CheckpointPointer;
use hurtig_cluster_api::{
    CheckpointRegister, FencingToken, RecoveredCheckpoints, RpcError, RpcResult,
};
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

/// The content of a job's record of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCheckpoints {
    /// The number of the next checkpoint.
    pub next: CheckpointId,
    /// Completed checkpoints that are retained, oldest first.
    pub completed: Vec<CheckpointPointer>,
    /// How many JobMasters have taken the record over.
    #[serde(default)]
    pub job_masters: u32,
    /// The token of the last of them.
    #[serde(default)]
    pub last_token: u64,
}

impl Default for JobCheckpoints {
    fn default() -> Self {
        let next = CheckpointId(FIRST_CHECKPOINT);
        Self { next, completed: Vec::new(), job_masters: 0, last_token: 0 }
    }
}

type Decision<R> = Result<Change<JobCheckpoints, R>, HighAvailabilityError>;

impl JobCheckpoints {
    pub(crate) fn key(job: JobId) -> String {
        format!("jobs/{job}/checkpoints")
    }

    /// Retains a checkpoint and lets go of those subsumed by it.
    fn add(
        mut self,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
        reserved: CheckpointId,
    ) -> Decision<()> {
        let before = self.clone();
        self.completed.retain(|known| !subsumed.contains(&known.id));
        if !self.completed.contains(pointer) {
            self.completed.push(pointer.clone());
            self.completed.sort_by_key(|pointer| pointer.id);
        }
        self.next = self.next.max(CheckpointId(pointer.id.0 + 1)).max(reserved);
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

    /// Another JobMaster takes over.
    fn enter(mut self, token: FencingToken) -> Decision<Self> {
        if self.last_token == token.0 {
            return Ok(Change::None(self));
        }
        self.last_token = token.0;
        self.job_masters += 1;
        Ok(Change::To(self.clone(), self))
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

    /// Makes the record this leader's and returns what earlier ones have left. Called before
    /// anything else. Fails if the job has been cleaned up.
    pub async fn recover(&self) -> Result<JobCheckpoints, HighAvailabilityError> {
        let token = self.register.token();
        self.update(|content| content.enter(token)).await
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
    /// those may be deleted afterwards. Sees to it that the next number is at least `reserved`.
    pub async fn add(
        &self,
        pointer: &CheckpointPointer,
        subsumed: &[CheckpointId],
        reserved: CheckpointId,
    ) -> Result<(), HighAvailabilityError> {
        self.update(|content| content.add(pointer, subsumed, reserved)).await
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

fn rpc_error(error: HighAvailabilityError) -> RpcError {
    match error {
        HighAvailabilityError::Fenced { mine, current, .. } => {
            RpcError::Fenced { got: mine, current }
        }
        error @ HighAvailabilityError::JobUnknown { .. } => RpcError::NotFound(error.to_string()),
        error if error.is_uncertain() => RpcError::Unreachable {
            role: "the service of high availability",
            reason: error.to_string(),
        },
        error => RpcError::Rejected(error.to_string()),
    }
}

#[async_trait]
impl CheckpointRegister for CompletedCheckpointRegister {
    async fn recover(&self) -> RpcResult<RecoveredCheckpoints> {
        let found = self.recover().await.map_err(rpc_error)?;
        Ok(RecoveredCheckpoints {
            job_master: found.job_masters,
            first_id: found.next,
            completed: found.completed,
        })
    }

    async fn add(
        &self,
        pointer: CheckpointPointer,
        subsumed: Vec<CheckpointId>,
        reserved: CheckpointId,
    ) -> RpcResult<()> {
        self.add(&pointer, &subsumed, reserved).await.map_err(rpc_error)
    }

    async fn reserve(&self, below: CheckpointId) -> RpcResult<()> {
        self.set_next_checkpoint_id(below).await.map_err(rpc_error)
    }
}
