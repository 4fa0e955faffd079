//! Events that end checkpoints before their time: timeout, abort, the end of the job.

use hurtig_cluster_api::JobStatus;
use hurtig_types::{
    CheckpointException, CheckpointFailureReason, CheckpointId, ExecutionAttemptId,
};

use super::{CheckpointCommand, CheckpointCoordinator, DiscardedPending};
use crate::pending::PendingPhase;

impl CheckpointCoordinator {
    /// The job has ended in that state, or goes on elsewhere (SUSPENDED). Checkpoints that do not
    /// outlive it are deleted. [`CheckpointCommand::ShutDown`] comes at the end, at once or when the metadata
    /// that is being written has been.
    pub fn shut_down(&mut self, status: JobStatus, now_ms: i64) -> Vec<CheckpointCommand> {
        if self.shut_down.is_none() {
            self.shut_down = Some(status);
            self.periodic.stop();
            let reason = CheckpointFailureReason::CheckpointCoordinatorShutdown;
            let all = self.pending_ids(|p| p.phase != PendingPhase::Writing);
            self.abort_all(all, &reason.into(), now_ms);
            self.refuse_all(reason);
            if self.pending.is_empty() {
                self.finish_shut_down();
            }
        }
        self.take_commands()
    }

    pub(super) fn finish_shut_down(&mut self) {
        let Some(status) = self.shut_down else { return };
        let mut given_up = self.completed.shut_down(status, self.config.retention);
        // A job that failed before it had a checkpoint of its own leaves what it was started from,
        // claimed or not: that is all there is of its state. Flink deletes it.
        let job = self.topology.job;
        let mut left = Vec::new();
        if status == JobStatus::Failed && given_up.iter().all(|c| c.metadata.job != job) {
            left = std::mem::take(&mut given_up);
        }
        for checkpoint in given_up.iter().filter(|checkpoint| checkpoint.owned) {
            self.stats.on_discarded(checkpoint.id());
            self.commands.push(CheckpointCommand::DiscardCheckpoint(checkpoint.discarded()));
        }
        let retained = || self.completed.iter().chain(&left);
        let unused = self.shared.release_all_but(|url| retained().any(|c| c.names(url)));
        if !unused.is_empty() {
            self.commands.push(CheckpointCommand::DiscardState(unused));
        }
        self.commands.push(CheckpointCommand::ShutDown);
    }

    pub(super) fn expire(&mut self, id: CheckpointId, now_ms: i64) {
        if self.pending.get(&id).is_some_and(|p| p.phase != PendingPhase::Writing) {
            let cause = CheckpointFailureReason::CheckpointExpired.into();
            self.abort(id, &cause, None, now_ms);
        }
    }

    pub(super) fn abort_all(
        &mut self,
        ids: Vec<CheckpointId>,
        cause: &CheckpointException,
        now_ms: i64,
    ) {
        for id in ids {
            self.abort(id, cause, None, now_ms);
        }
    }

    /// Ends a checkpoint; `task` is to blame, if a task is. The caller runs the queue.
    pub(super) fn abort(
        &mut self,
        id: CheckpointId,
        cause: &CheckpointException,
        task: Option<ExecutionAttemptId>,
        now_ms: i64,
    ) {
        let Some(pending) = self.pending.remove(&id) else { return };
        self.stats.on_failed(id, cause.clone(), now_ms);
        self.commands.push(CheckpointCommand::NotifyAborted {
            checkpoint_id: id,
            latest_completed: self.completed.latest().map(|latest| latest.id()),
            tasks: pending.participants().collect(),
        });
        self.commands.push(CheckpointCommand::DiscardPending(DiscardedPending {
            checkpoint_id: id,
            target: pending.target.clone(),
            files: pending.own_files().into_iter().collect(),
        }));
        if let Some(request) = pending.answer {
            let result = Err(cause.clone());
            self.commands.push(CheckpointCommand::CompleteRequest { request, result });
        }
        let kind = pending.checkpoint_type;
        if let Some(cause) = self.failures.on_failure(Some(id), kind, cause, task) {
            self.commands.push(CheckpointCommand::FailJob { cause, task });
        }
        if kind.is_synchronous() {
            self.stopping = false;
            self.refresh_periodic(now_ms);
        }
    }
}
