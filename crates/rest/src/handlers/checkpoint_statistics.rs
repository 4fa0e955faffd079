//! Statistics of checkpoints as REST tells them: plain data in, messages out.

use std::collections::BTreeMap;

use hurtig_cluster_api::{
    CheckpointStatistics, CheckpointStatsSnapshot, CheckpointStatsStatus, SubtaskStateStats,
};
use hurtig_types::{CheckpointMetrics, CheckpointType, JobVertexId, SavepointFormat};

use super::{states::word, summary::stats};
use crate::messages::checkpoints::{
    CheckpointAlignment, CheckpointAlignmentSummary, CheckpointCounts, CheckpointDuration,
    CheckpointDurationSummary, CheckpointStatisticsInfo, CheckpointSummary,
    CheckpointingStatistics, CompletedSubtaskCheckpointStatistics, LatestCheckpoints,
    RestoredCheckpointStatistics, SubtaskCheckpointStatistics, TaskCheckpointStatistics,
    TaskCheckpointStatisticsWithSubtaskDetails, TaskCheckpointSummary,
};

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// All that is known of a job's checkpoints.
pub(super) fn statistics(
    snapshot: &CheckpointStatsSnapshot,
    parallelism: &BTreeMap<JobVertexId, u32>,
) -> CheckpointingStatistics {
    let counts = &snapshot.counts;
    let info = |checkpoint: &CheckpointStatistics| checkpoint_info(checkpoint, parallelism, false);
    CheckpointingStatistics {
        counts: CheckpointCounts {
            restored: counts.restored,
            total: counts.total,
            in_progress: counts.in_progress,
            completed: counts.completed,
            failed: counts.failed,
        },
        summary: summary(&snapshot.history),
        latest: LatestCheckpoints {
            completed: snapshot.latest_completed.as_ref().map(info),
            savepoint: snapshot.latest_savepoint.as_ref().map(info),
            failed: snapshot.latest_failed.as_ref().map(info),
            restored: snapshot.latest_restored.as_ref().map(|restored| {
                RestoredCheckpointStatistics {
                    id: restored.id.0,
                    restore_timestamp: restored.restore_timestamp_ms,
                    is_savepoint: restored.checkpoint_type.is_savepoint(),
                    external_path: Some(restored.external_path.to_string()),
                }
            }),
        },
        history: snapshot.history.iter().rev().map(info).collect(),
    }
}

fn summary(history: &[CheckpointStatistics]) -> CheckpointSummary {
    let of = |value: fn(&CheckpointStatistics) -> i64| {
        let completed = history.iter().filter(|c| c.status == CheckpointStatsStatus::Completed);
        stats(completed.map(value))
    };
    CheckpointSummary {
        checkpointed_size: of(|c| signed(c.totals.checkpointed_bytes)),
        state_size: of(|c| signed(c.totals.total_bytes)),
        end_to_end_duration: of(CheckpointStatistics::duration_ms),
        alignment_buffered: of(|_| 0),
        processed_data: of(|c| signed(c.totals.processed_bytes)),
        persisted_data: of(|c| signed(c.totals.persisted_bytes)),
    }
}

fn kind(checkpoint: &CheckpointStatistics) -> &'static str {
    match checkpoint.checkpoint_type {
        CheckpointType::Savepoint { terminate: Some(_), .. } => "SYNC_SAVEPOINT",
        CheckpointType::Savepoint { .. } => "SAVEPOINT",
        _ if checkpoint.totals.unaligned => "UNALIGNED_CHECKPOINT",
        CheckpointType::Checkpoint | CheckpointType::FullCheckpoint => "CHECKPOINT",
    }
}

/// One checkpoint, with its vertices if they are wanted.
pub(super) fn checkpoint_info(
    checkpoint: &CheckpointStatistics,
    parallelism: &BTreeMap<JobVertexId, u32>,
    with_tasks: bool,
) -> CheckpointStatisticsInfo {
    let totals = &checkpoint.totals;
    let failed = checkpoint.status == CheckpointStatsStatus::Failed;
    let completed = checkpoint.status == CheckpointStatsStatus::Completed;
    let tasks = with_tasks.then(|| parallelism.iter());
    let format = checkpoint.checkpoint_type.savepoint_format().map(|format| match format {
        SavepointFormat::Canonical => "CANONICAL".to_owned(),
        SavepointFormat::Native => "NATIVE".to_owned(),
    });
    CheckpointStatisticsInfo {
        class_name: word(&checkpoint.status).to_ascii_lowercase(),
        id: checkpoint.id.0,
        status: word(&checkpoint.status),
        is_savepoint: checkpoint.checkpoint_type.is_savepoint(),
        savepoint_format: format,
        trigger_timestamp: checkpoint.trigger_timestamp_ms,
        latest_ack_timestamp: checkpoint.latest_ack_timestamp_ms.unwrap_or(-1),
        checkpointed_size: totals.checkpointed_bytes,
        state_size: totals.total_bytes,
        end_to_end_duration: checkpoint.duration_ms(),
        alignment_buffered: 0,
        processed_data: totals.processed_bytes,
        persisted_data: totals.persisted_bytes,
        num_subtasks: checkpoint.num_subtasks,
        num_acknowledged_subtasks: checkpoint.num_acknowledged(),
        checkpoint_type: kind(checkpoint).to_owned(),
        tasks: tasks
            .into_iter()
            .flatten()
            .map(|(vertex, subtasks)| (vertex.to_string(), task(checkpoint, *vertex, *subtasks)))
            .collect(),
        external_path: checkpoint.external_path.as_ref().map(|path| path.to_string()),
        discarded: completed.then_some(checkpoint.discarded),
        failure_timestamp: if failed { checkpoint.end_timestamp_ms } else { None },
        failure_message: checkpoint.failure.as_ref().map(ToString::to_string),
    }
}

/// A vertex's share of a checkpoint.
fn task(
    checkpoint: &CheckpointStatistics,
    vertex: JobVertexId,
    parallelism: u32,
) -> TaskCheckpointStatistics {
    let subtasks = checkpoint.vertices.get(&vertex);
    let subtasks = || subtasks.into_iter().flat_map(BTreeMap::values);
    let sum = |value: fn(&CheckpointMetrics) -> u64| subtasks().map(|s| value(&s.metrics)).sum();
    let latest_ack = subtasks().map(|subtask| subtask.ack_timestamp_ms).max();
    TaskCheckpointStatistics {
        id: checkpoint.id.0,
        status: word(&checkpoint.status),
        latest_ack_timestamp: latest_ack.unwrap_or(-1),
        checkpointed_size: sum(|m| m.checkpointed_bytes),
        state_size: sum(|m| m.total_bytes),
        end_to_end_duration: latest_ack
            .map_or(-1, |at| (at - checkpoint.trigger_timestamp_ms).max(0)),
        alignment_buffered: 0,
        processed_data: sum(|m| m.processed_bytes),
        persisted_data: sum(|m| m.persisted_bytes),
        num_subtasks: parallelism as usize,
        num_acknowledged_subtasks: subtasks().count(),
    }
}

/// A vertex's share of a checkpoint, subtask by subtask.
pub(super) fn task_details(
    checkpoint: &CheckpointStatistics,
    vertex: JobVertexId,
    parallelism: u32,
) -> TaskCheckpointStatisticsWithSubtaskDetails {
    let none = BTreeMap::new();
    let known = checkpoint.vertices.get(&vertex).unwrap_or(&none);
    let trigger_ms = checkpoint.trigger_timestamp_ms;
    let of = |value: fn(&CheckpointMetrics) -> u64| {
        stats(known.values().map(|subtask| signed(value(&subtask.metrics))))
    };
    let subtasks = (0..parallelism).map(|index| {
        let completed = known.get(&index).map(|subtask| subtask_info(subtask, trigger_ms));
        let status = if completed.is_some() { "completed" } else { "pending_or_failed" };
        SubtaskCheckpointStatistics { index, status: status.to_owned(), completed }
    });
    let durations = known.values().map(|subtask| (subtask.ack_timestamp_ms - trigger_ms).max(0));
    TaskCheckpointStatisticsWithSubtaskDetails {
        task: task(checkpoint, vertex, parallelism),
        subtasks: subtasks.collect(),
        summary: TaskCheckpointSummary {
            checkpointed_size: of(|m| m.checkpointed_bytes),
            state_size: of(|m| m.total_bytes),
            end_to_end_duration: stats(durations),
            checkpoint_duration: CheckpointDurationSummary {
                sync: of(|m| m.sync_duration_ms),
                asynchronous: of(|m| m.async_duration_ms),
            },
            alignment: CheckpointAlignmentSummary {
                buffered: of(|_| 0),
                processed: of(|m| m.processed_bytes),
                persisted: of(|m| m.persisted_bytes),
                duration: of(|m| m.alignment_duration_ms),
            },
            start_delay: of(|m| m.start_delay_ms),
        },
    }
}

fn subtask_info(
    subtask: &SubtaskStateStats,
    trigger_ms: i64,
) -> CompletedSubtaskCheckpointStatistics {
    let metrics = &subtask.metrics;
    CompletedSubtaskCheckpointStatistics {
        ack_timestamp: subtask.ack_timestamp_ms,
        end_to_end_duration: (subtask.ack_timestamp_ms - trigger_ms).max(0),
        checkpointed_size: metrics.checkpointed_bytes,
        state_size: metrics.total_bytes,
        checkpoint: CheckpointDuration {
            sync: metrics.sync_duration_ms,
            asynchronous: metrics.async_duration_ms,
        },
        alignment: CheckpointAlignment {
            buffered: 0,
            processed: metrics.processed_bytes,
            persisted: metrics.persisted_bytes,
            duration: metrics.alignment_duration_ms,
        },
        start_delay: metrics.start_delay_ms,
        unaligned_checkpoint: metrics.unaligned,
        aborted: false,
    }
}
