//! What the job is restored from: its own checkpoints after a restart, those of a former JobMaster,
//! or a snapshot that the user names.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_types::{CheckpointId, JobVertexId, RecoveryClaimMode};

use super::{CheckpointCommand, CheckpointCoordinator};
use crate::{
    completed::CompletedCheckpoint, model::CheckpointMetadata, pending::PendingPhase,
    stats::RestoredCheckpointStats,
};

/// What tasks are to be restored from now.
#[derive(Clone, Debug)]
pub enum RestorePoint<'a> {
    /// A metadata file is being written: ask again when it has been.
    Wait,
    /// From nothing.
    Nothing,
    /// From a checkpoint.
    From(&'a CompletedCheckpoint),
}

/// What follows from the damage of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageVerdict {
    /// Nothing: it does not count (any more).
    NotRetained,
    /// All of the job is to be restored from that one.
    FallBack(CheckpointId),
    /// There is no other.
    NothingElse,
}

impl CheckpointCoordinator {
    /// A new JobMaster goes on with the checkpoints of a former one, oldest first. `first_id` is a
    /// number that was never used, also not for checkpoints that came to nothing.
    pub fn recover(
        &mut self,
        checkpoints: Vec<CompletedCheckpoint>,
        first_id: CheckpointId,
    ) -> Vec<CheckpointCommand> {
        self.next_id = self.next_id.max(first_id);
        for checkpoint in checkpoints {
            self.next_id = self.next_id.max(CheckpointId(checkpoint.id().0 + 1));
            self.retain(checkpoint);
        }
        self.take_commands()
    }

    /// Numbers of checkpoints are shared with other JobMasters: none may be used before it was
    /// reserved ([`CheckpointCommand::ReserveIds`]). `first_id` is the first that is free.
    pub fn share_ids(&mut self, first_id: CheckpointId) {
        self.next_id = self.next_id.max(first_id);
        self.id_limit = Some(first_id);
    }

    /// Which retained checkpoints would be given up for that one.
    pub fn subsumed_by(&self, metadata: &Arc<CheckpointMetadata>) -> Vec<CheckpointId> {
        let kind = metadata.checkpoint_type;
        if kind.is_savepoint() && !kind.is_synchronous() {
            return Vec::new();
        }
        let completed = CompletedCheckpoint {
            metadata: metadata.clone(),
            external_pointer: Arc::from(""),
            owned: !kind.is_savepoint(),
        };
        let given_up = self.completed.clone().add(completed);
        given_up.iter().map(CompletedCheckpoint::id).collect()
    }

    /// The job starts from a snapshot that the user names.
    pub fn start_from(
        &mut self,
        metadata: Arc<CheckpointMetadata>,
        external_pointer: Arc<str>,
        mode: RecoveryClaimMode,
    ) -> Vec<CheckpointCommand> {
        let owned = mode == RecoveryClaimMode::Claim;
        let checkpoint = CompletedCheckpoint { metadata, external_pointer, owned };
        self.next_id = self.next_id.max(CheckpointId(checkpoint.id().0 + 1));
        self.retain(checkpoint);
        self.take_commands()
    }

    /// Before the job starts: the numbers of key groups that the snapshot brings, where the job
    /// leaves them open. Later checkpoints name them.
    pub fn take_over_max_parallelism(&mut self, of: &BTreeMap<JobVertexId, u32>) {
        self.topology.take_over_max_parallelism(of);
    }

    /// What tasks that start now are to be restored from.
    pub fn restore_point(&self) -> RestorePoint<'_> {
        if self.pending.values().any(|p| p.phase == PendingPhase::Writing) {
            return RestorePoint::Wait;
        }
        self.completed.latest().map_or(RestorePoint::Nothing, RestorePoint::From)
    }

    /// A restore has found a file of that checkpoint damaged: an earlier one is used from now on.
    /// It is left in place, for people to look at, with the files that it names alone; shared ones
    /// go when no other checkpoint may name them. If there is no other it stays retained, since to
    /// begin anew would repeat what the job has done.
    pub fn on_damaged(&mut self, checkpoint_id: CheckpointId) -> DamageVerdict {
        if !self.completed.iter().any(|retained| retained.id() == checkpoint_id) {
            return DamageVerdict::NotRetained;
        }
        let others = self.completed.iter().filter(|retained| retained.id() != checkpoint_id);
        let Some(latest) = others.map(CompletedCheckpoint::id).max() else {
            return DamageVerdict::NothingElse;
        };
        self.completed.remove(checkpoint_id);
        DamageVerdict::FallBack(latest)
    }

    /// Tasks have been given the state of the latest checkpoint; for the statistics.
    pub fn on_restored(&mut self, now_ms: i64) {
        let Some(latest) = self.completed.latest() else { return };
        self.stats.on_restored(RestoredCheckpointStats {
            id: latest.id(),
            checkpoint_type: latest.metadata.checkpoint_type,
            restore_timestamp_ms: now_ms,
            external_path: latest.external_pointer.clone(),
            state_size_bytes: latest.metadata.state_size_bytes(),
        });
    }
}
