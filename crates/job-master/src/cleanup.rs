//! What is deleted of a job that has ended, once its result is stored.
//!
//! It needs no JobMaster: the register says which checkpoints are complete, and the status and the
//! retention policy which of them outlive the job. So it can be done again by whoever finds it
//! unfinished.
//!
//! Tasks that a lost JobMaster has left may run on behind the job's end, until their patience with
//! it ends: a job that was cancelled meanwhile does not wait for them. What they write is deleted
//! by [`clean_up_late`], which is told what was to stay: by then another job may have claimed that.

use std::sync::Arc;

use hurtig_checkpoint::{
    completed::CompletedCheckpoint,
    coordinator::{CheckpointCommand, CheckpointCoordinator},
    topology::Topology,
};
use hurtig_cluster_api::{CheckpointPointer, JobStatus};
use hurtig_graph::JobGraph;
use hurtig_storage::{
    CheckpointStorage, StorageError, StorageOptions, StoredCheckpoint, Stores, files_of,
    location_url,
};
use hurtig_types::RecoveryClaimMode;

fn storage_of(graph: &JobGraph, stores: Arc<Stores>) -> CheckpointStorage {
    let directory = graph.config.checkpoint_directory.clone();
    let options = StorageOptions { directory, ..StorageOptions::default() };
    CheckpointStorage::new(stores, options, graph.job_id)
}

/// Deletes what has come into the job's directory since [`clean_up`], which said what stays.
pub async fn clean_up_late(
    graph: &JobGraph,
    kept: &[String],
    stores: Arc<Stores>,
) -> Result<(), StorageError> {
    storage_of(graph, stores).sweep_job(kept).await
}

/// Deletes the checkpoints that do not outlive a job which has ended as `status`, and whatever else
/// is left in the job's directory. Everything is tried; the first error is returned. Otherwise the
/// files (URLs) that stay.
pub async fn clean_up(
    graph: &JobGraph,
    status: JobStatus,
    pointers: &[CheckpointPointer],
    stores: Arc<Stores>,
) -> Result<Vec<String>, StorageError> {
    let storage = storage_of(graph, stores);
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
            Err(error) => return Err(first.err().unwrap_or(error)),
        }
    }
    let retained = coordinator.completed().iter().map(|completed| StoredCheckpoint {
        metadata: completed.metadata.clone(),
        external_pointer: completed.external_pointer.clone(),
    });
    let stays: Vec<StoredCheckpoint> = retained.chain(started_from).collect();
    let kept: Vec<String> = stays.iter().flat_map(files_of).collect();
    first.and(storage.sweep_job(&kept).await).map(|()| kept)
}
