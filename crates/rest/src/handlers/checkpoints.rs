//! Checkpoints: statistics and settings.

use std::collections::BTreeMap;

use hurtig_types::{
    CheckpointId, CheckpointRetentionPolicy, CheckpointingMode, JobId, JobVertexId,
};

use super::{
    checkpoint_statistics::{checkpoint_info, statistics, task_details},
    job_details,
};
use crate::{
    error::{RestError, RestResult},
    messages::checkpoints::{
        CheckpointConfigInfo, CheckpointStatisticsInfo, CheckpointingStatistics,
        ExternalizedCheckpointInfo, TaskCheckpointStatisticsWithSubtaskDetails,
    },
    server::call::Call,
};

/// Number of subtasks of each vertex.
async fn parallelism(call: &Call) -> RestResult<BTreeMap<JobVertexId, u32>> {
    let details = job_details(call).await?;
    Ok(details.vertices.iter().map(|vertex| (vertex.id, vertex.parallelism)).collect())
}

pub(crate) async fn all(call: Call) -> RestResult<CheckpointingStatistics> {
    let parallelism = parallelism(&call).await?;
    let snapshot = call.context.services.dispatcher.checkpoint_stats(call.job()?).await?;
    Ok(statistics(&snapshot, &parallelism))
}

pub(crate) async fn config(call: Call) -> RestResult<CheckpointConfigInfo> {
    let config = job_details(&call).await?.graph.config;
    let checkpoints = &config.checkpoints;
    let memory = config.checkpoint_directory.is_none();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mode = match checkpoints.mode {
        CheckpointingMode::ExactlyOnce => "exactly_once",
        CheckpointingMode::AtLeastOnce => "at_least_once",
    };
    let retention = checkpoints.retention;
    Ok(CheckpointConfigInfo {
        mode: mode.to_owned(),
        interval: checkpoints.interval_ms.map_or(i64::MAX, number),
        timeout: checkpoints.timeout_ms,
        min_pause: checkpoints.min_pause_ms,
        max_concurrent: checkpoints.max_concurrent,
        externalization: ExternalizedCheckpointInfo {
            enabled: retention != CheckpointRetentionPolicy::NeverRetainAfterTermination,
            delete_on_cancellation: retention != CheckpointRetentionPolicy::RetainOnCancellation,
        },
        state_backend: "HashMapStateBackend".to_owned(),
        checkpoint_storage: match memory {
            true => "JobManagerCheckpointStorage".to_owned(),
            false => "FileSystemCheckpointStorage".to_owned(),
        },
        unaligned_checkpoints: checkpoints.unaligned,
        tolerable_failed_checkpoints: checkpoints.tolerable_failed.map_or(-1, i64::from),
        aligned_checkpoint_timeout: checkpoints.aligned_timeout_ms,
        checkpoints_after_tasks_finish: checkpoints.after_tasks_finish,
        state_changelog_enabled: false,
        changelog_periodic_materialization_interval: 0,
        changelog_storage: None,
    })
}

fn not_found(job: JobId, id: u64) -> RestError {
    RestError::not_found(format!(
        "Could not find checkpointing statistics for checkpoint {id} of job {job}."
    ))
}

pub(crate) async fn details(call: Call) -> RestResult<CheckpointStatisticsInfo> {
    let (job, id): (_, u64) = (call.job()?, call.parameter("checkpointid")?);
    let parallelism = parallelism(&call).await?;
    let snapshot = call.context.services.dispatcher.checkpoint_stats(job).await?;
    let checkpoint = snapshot.checkpoint(CheckpointId(id)).ok_or_else(|| not_found(job, id))?;
    Ok(checkpoint_info(checkpoint, &parallelism, true))
}

pub(crate) async fn subtasks(call: Call) -> RestResult<TaskCheckpointStatisticsWithSubtaskDetails> {
    let (job, id): (_, u64) = (call.job()?, call.parameter("checkpointid")?);
    let vertex = call.vertex()?;
    let parallelism = parallelism(&call).await?;
    let subtasks = parallelism.get(&vertex).copied();
    let subtasks = subtasks.ok_or_else(|| {
        RestError::not_found(format!("There is no checkpoint statistics for task {vertex}."))
    })?;
    let snapshot = call.context.services.dispatcher.checkpoint_stats(job).await?;
    let checkpoint = snapshot.checkpoint(CheckpointId(id)).ok_or_else(|| not_found(job, id))?;
    Ok(task_details(checkpoint, vertex, subtasks))
}
