//! What is deleted of a job that has ended, once its result is stored.
//!
//! It needs no JobMaster: the register says which checkpoints are complete, and the status and the
//! retention policy which of them outlive the job. So it can be done again by whoever finds it
//! unfinished.

use std::sync::Arc;

use hurtig_checkpoint::{
    completed::CompletedCheckpoint,
    coordinator::{CheckpointCommand, CheckpointCoordinator},
    topology::Topology,
};
use hurtig_cluster_api::{CheckpointPointer, JobStatus};
use hurtig_graph::JobGraph;
use hurtig_storage::{CheckpointStorage, StorageError, StorageOptions, Stores, location_url};
use hurtig_types::RecoveryClaimMode;

/// Deletes the checkpoints that do not outlive a job which has ended as `status`, and whatever else
/// is left in the job's directory. Everything is tried; the first error is returned.
pub async fn clean_up(
    graph: &JobGraph,
    status: JobStatus,
    pointers: &[CheckpointPointer],
    stores: Arc<Stores>,
) -> Result<(), StorageError> {
    let options = StorageOptions {
        directory: graph.config.checkpoint_directory.clone(),
        ..StorageOptions::default()
    };
    let storage = CheckpointStorage::new(stores, options, graph.job_id);
    let mut checkpoints = Vec::new();
    for pointer in pointers {
        match storage.load(&pointer.external_pointer).await {
            Ok(stored) => checkpoints.push(CompletedCheckpoint {
                metadata: stored.metadata,
                external_pointer: stored.external_pointer,
                owned: pointer.owned,
            }),
            // Deleted already, or damaged: nothing tells what belongs to it.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    let first_id = checkpoints.iter().map(CompletedCheckpoint::id).max().unwrap_or_default();
    let config = graph.config.checkpoints.clone();
    let mut coordinator = CheckpointCoordinator::new(config, Topology::from(graph), 0);
    let mut commands = coordinator.recover(checkpoints, first_id);
    commands.extend(coordinator.shut_down(status, 0));
    let mut first = Ok(());
    for command in commands {
        let done = match command {
            CheckpointCommand::DiscardCheckpoint(discarded) => {
                storage.discard_checkpoint(&discarded).await
            }
            CheckpointCommand::DiscardState(files) => storage.discard_files(&files).await,
            _ => Ok(()),
        };
        first = first.and(done);
    }
    // What the job was started from unclaimed is the user's, wherever it is.
    let mut started_from = None;
    if let Some(from) = &graph.config.restore_from
        && from.claim_mode != RecoveryClaimMode::Claim
        && let Ok(pointer) = location_url(&from.pointer)
    {
        match storage.load(&pointer).await {
            Ok(stored) => started_from = Some(stored),
            Err(error) if error.is_damage() => {}
            Err(error) => return first.and(Err(error)),
        }
    }
    let retained = coordinator.completed().iter();
    let retained = retained.map(|c| (&*c.external_pointer, &*c.metadata));
    let started_from = started_from.iter().map(|s| (&*s.external_pointer, &*s.metadata));
    first.and(storage.sweep_job(retained.chain(started_from)).await)
}
