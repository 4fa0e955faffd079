//! Acknowledgements and declines of tasks.
//!
//! State that no checkpoint takes is deleted: that of attempts which take no part, and that of
//! checkpoints which are over. A repeated acknowledgement deletes nothing.
//!
//! A snapshot may name a shared file of an earlier checkpoint only if the file is still kept;
//! otherwise the checkpoint is aborted, since it could not be restored.

use std::sync::Arc;

use hurtig_types::{
    CheckpointException, CheckpointFailureReason, CheckpointId, CheckpointMetrics,
    ExecutionAttemptId, StateLocation, TaskStateSnapshot,
};

use super::{CheckpointCommand, CheckpointCoordinator};
use crate::pending::{PendingPhase, TaskAcknowledgeResult, own_files};

/// What became of an acknowledgement; as Flink 2.3's `TaskAcknowledgeResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgeOutcome {
    /// Its state is part of the checkpoint.
    Success,
    /// It came before.
    Duplicate,
    /// The attempt takes no part; its state is deleted.
    Unknown,
    /// The checkpoint is not, or no longer, under way; its state is deleted.
    Discarded,
    /// Its state cannot be restored; the checkpoint was aborted.
    Rejected,
}

impl CheckpointCoordinator {
    /// A task has taken its snapshot.
    pub fn on_acknowledge(
        &mut self,
        attempt: ExecutionAttemptId,
        checkpoint_id: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
        now_ms: i64,
    ) -> (AcknowledgeOutcome, Vec<CheckpointCommand>) {
        let subtask = (attempt.vertex, attempt.subtask);
        let outcome = match self.pending.get(&checkpoint_id).map(|p| p.classify(attempt)) {
            Some(TaskAcknowledgeResult::Success) => {
                self.stats.on_acknowledged(checkpoint_id, subtask, metrics, now_ms);
                self.take_snapshot(attempt, checkpoint_id, snapshot, now_ms)
            }
            Some(TaskAcknowledgeResult::Duplicate) => AcknowledgeOutcome::Duplicate,
            Some(TaskAcknowledgeResult::Unknown) => {
                self.discard_unused(checkpoint_id, &snapshot);
                AcknowledgeOutcome::Unknown
            }
            None if self.is_completed(checkpoint_id) => {
                if self.discard_unused(checkpoint_id, &snapshot) {
                    AcknowledgeOutcome::Unknown
                } else {
                    AcknowledgeOutcome::Duplicate
                }
            }
            None => {
                if checkpoint_id < self.next_id {
                    self.stats.on_acknowledged(checkpoint_id, subtask, metrics, now_ms);
                }
                self.discard_unused(checkpoint_id, &snapshot);
                AcknowledgeOutcome::Discarded
            }
        };
        self.run_queue(now_ms);
        (outcome, self.take_commands())
    }

    /// A task cannot take its snapshot, or has failed to.
    pub fn on_decline(
        &mut self,
        attempt: ExecutionAttemptId,
        checkpoint_id: CheckpointId,
        cause: &CheckpointException,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        let takes_part = self.pending.get(&checkpoint_id).is_some_and(|pending| {
            pending.has_participant(attempt) && pending.phase != PendingPhase::Writing
        });
        if takes_part {
            self.abort(checkpoint_id, cause, Some(attempt), now_ms);
            self.run_queue(now_ms);
        }
        self.take_commands()
    }

    fn take_snapshot(
        &mut self,
        attempt: ExecutionAttemptId,
        checkpoint_id: CheckpointId,
        snapshot: TaskStateSnapshot,
        now_ms: i64,
    ) -> AcknowledgeOutcome {
        let problem = self.check_files(checkpoint_id, &snapshot).err();
        if let Some(pending) = self.pending.get_mut(&checkpoint_id) {
            pending.acknowledge_task(attempt, snapshot);
        }
        if let Some(problem) = problem {
            let reason = CheckpointFailureReason::CheckpointDeclined;
            let cause = CheckpointException::new(reason, format!("{attempt} {problem}"));
            self.abort(checkpoint_id, &cause, Some(attempt), now_ms);
            return AcknowledgeOutcome::Rejected;
        }
        self.write_next(now_ms);
        AcknowledgeOutcome::Success
    }

    /// Checks that every file that is named will be there at a restore, and keeps the shared ones.
    fn check_files(
        &mut self,
        checkpoint_id: CheckpointId,
        snapshot: &TaskStateSnapshot,
    ) -> Result<(), String> {
        let Some(pending) = self.pending.get(&checkpoint_id) else { return Ok(()) };
        let checkpoint_type = pending.checkpoint_type;
        if checkpoint_type.is_canonical() {
            let operators = snapshot.operators.values();
            if operators.flat_map(|operator| &operator.keyed).any(|keyed| keyed.chain.len() != 1) {
                return Err("keeps deltas in a canonical savepoint".to_owned());
            }
        }
        for file in snapshot.files() {
            if let StateLocation::Relative(path) = &file.location {
                return Err(format!("names {path:?}, which is no absolute URL"));
            }
            let (Some(created_by), Some(url)) = (file.shared_by(), file.url()) else { continue };
            if checkpoint_type.is_savepoint() {
                return Err(format!("shares {url} with a savepoint, which must stand alone"));
            }
            if created_by == checkpoint_id {
                continue;
            }
            if !checkpoint_type.may_share_files() {
                return Err(format!("names {url} of an earlier checkpoint in a full one"));
            }
            if !self.shared.reuse(url, checkpoint_id) {
                return Err(format!("names {url}, which is no longer kept"));
            }
        }
        Ok(())
    }

    /// Deletes the files of a snapshot that are part of nothing. True if there are any.
    fn discard_unused(
        &mut self,
        checkpoint_id: CheckpointId,
        snapshot: &TaskStateSnapshot,
    ) -> bool {
        let known = self.pending.contains_key(&checkpoint_id) || self.is_completed(checkpoint_id);
        if !known && self.forgotten_savepoint.is_some_and(|forgotten| checkpoint_id <= forgotten) {
            return false;
        }
        let pending = self.pending.get(&checkpoint_id);
        let mut taken = pending.map(|pending| pending.own_files()).unwrap_or_default();
        for completed in self.completed.iter().chain(&self.savepoints) {
            if completed.id() == checkpoint_id {
                taken.extend(own_files(completed.metadata.files(), checkpoint_id));
            }
        }
        let own = own_files(snapshot.files(), checkpoint_id).into_iter();
        let unused: Vec<Arc<str>> =
            own.filter(|url| !taken.contains(url) && !self.shared.contains(url)).collect();
        let any = !unused.is_empty();
        if any {
            self.commands.push(CheckpointCommand::DiscardState(unused));
        }
        any
    }

    fn is_completed(&self, checkpoint_id: CheckpointId) -> bool {
        let mut completed = self.completed.iter().chain(&self.savepoints);
        completed.any(|checkpoint| checkpoint.id() == checkpoint_id)
    }
}
