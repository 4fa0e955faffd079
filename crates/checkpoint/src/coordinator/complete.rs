//! From "all have acknowledged" to "complete": metadata, subsumption, notification.
//!
//! Metadata is written for one checkpoint at a time, lowest id first, so that checkpoints complete
//! in order and a restore never has to ask which of two writes came first.

use std::sync::Arc;

use hurtig_types::{CheckpointException, CheckpointFailureReason, CheckpointId};

use super::{CheckpointCommand, CheckpointCoordinator, REMEMBERED_SAVEPOINTS};
use crate::{
    completed::CompletedCheckpoint,
    model::CheckpointMetadata,
    pending::{PendingCheckpoint, PendingPhase},
};

impl CheckpointCoordinator {
    /// The metadata file of a checkpoint is in place; `external_pointer` is its directory.
    pub fn on_metadata_written(
        &mut self,
        metadata: Arc<CheckpointMetadata>,
        external_pointer: Arc<str>,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        let id = metadata.checkpoint_id;
        if self.pending.get(&id).is_none_or(|p| p.phase != PendingPhase::Writing) {
            return Vec::new();
        }
        if let Some(pending) = self.pending.remove(&id) {
            let completed = CompletedCheckpoint { metadata, external_pointer, owned: true };
            self.completed_one(&pending, completed, now_ms);
        }
        self.after_write(now_ms);
        self.take_commands()
    }

    /// The metadata file of a checkpoint could not be written. Whether there is one is unknown.
    pub fn on_metadata_failed(
        &mut self,
        checkpoint_id: CheckpointId,
        error: &str,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        if self.pending.get(&checkpoint_id).is_some_and(|p| p.phase == PendingPhase::Writing) {
            let reason = CheckpointFailureReason::FinalizeCheckpointFailure;
            self.abort(checkpoint_id, &CheckpointException::new(reason, error), None, now_ms);
            self.after_write(now_ms);
        }
        self.take_commands()
    }

    fn after_write(&mut self, now_ms: i64) {
        if self.shut_down.is_some() {
            self.finish_shut_down();
        } else {
            self.write_next(now_ms);
            self.run_queue(now_ms);
        }
    }

    /// Has the metadata written of the lowest checkpoint that is complete but for it.
    pub(super) fn write_next(&mut self, now_ms: i64) {
        while !self.pending.values().any(|p| p.phase == PendingPhase::Writing) {
            let ready = |p: &&mut PendingCheckpoint| {
                p.phase == PendingPhase::Tasks && p.is_fully_acknowledged()
            };
            let Some(pending) = self.pending.values_mut().find(ready) else { return };
            match pending.finalize(&self.topology) {
                Ok(metadata) => {
                    pending.phase = PendingPhase::Writing;
                    let (metadata, target) = (Arc::new(metadata), pending.target.clone());
                    self.commands.push(CheckpointCommand::WriteMetadata { metadata, target });
                }
                Err(cause) => {
                    let id = pending.id;
                    self.abort(id, &cause, None, now_ms);
                }
            }
        }
    }

    fn completed_one(
        &mut self,
        pending: &PendingCheckpoint,
        completed: CompletedCheckpoint,
        now_ms: i64,
    ) {
        let (id, kind) = (pending.id, pending.checkpoint_type);
        self.failures.on_success(id);
        self.stats.on_completed(id, completed.external_pointer.clone(), now_ms);
        self.last_completion_ms = Some(now_ms);
        if let Some(request) = pending.answer {
            self.commands.push(CheckpointCommand::CompleteRequest {
                request,
                result: Ok(completed.clone()),
            });
        }
        if kind.is_savepoint() {
            self.savepoints.push_back(completed.clone());
            if self.savepoints.len() > REMEMBERED_SAVEPOINTS {
                let forgotten = self.savepoints.pop_front().map(|savepoint| savepoint.id());
                self.forgotten_savepoint = forgotten.max(self.forgotten_savepoint);
            }
        }
        if kind.is_synchronous() {
            // What is committed for it must not be repeated: should a task fail now, this is where
            // the job goes on. It stays the user's.
            self.retain(CompletedCheckpoint { owned: false, ..completed });
        } else if !kind.is_savepoint() {
            self.retain(completed);
        }
        // A savepoint beside the running job commits nothing: the job never restores from it.
        if kind.is_savepoint() && !kind.is_synchronous() {
            return;
        }
        let older = self.pending_ids(|p| p.id < id && p.can_be_subsumed());
        self.abort_all(older, &CheckpointFailureReason::CheckpointSubsumed.into(), now_ms);
        self.commands.push(CheckpointCommand::NotifyComplete {
            checkpoint_id: id,
            timestamp_ms: pending.timestamp_ms,
            tasks: pending.participants().collect(),
        });
    }

    /// Keeps a checkpoint, and gives up what it makes superfluous.
    pub(super) fn retain(&mut self, completed: CompletedCheckpoint) {
        self.shared.register(completed.metadata.files(), completed.id(), completed.owned);
        for given_up in self.completed.add(completed) {
            if given_up.owned {
                self.stats.on_discarded(given_up.id());
                self.commands.push(CheckpointCommand::DiscardCheckpoint(given_up.discarded()));
            }
        }
        self.release_shared();
    }

    /// Deletes the shared files that neither a retained nor a pending checkpoint may name.
    pub(super) fn release_shared(&mut self) {
        let pending = self.pending.values().filter_map(|p| p.may_name_files_from);
        let Some(lowest) = pending.chain(self.completed.lowest()).min() else { return };
        let unused = self.shared.release_before(lowest);
        if !unused.is_empty() {
            self.commands.push(CheckpointCommand::DiscardState(unused));
        }
    }
}
