//! Checkpoints. Sizes are bytes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `/jobs/:jobid/checkpoints`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointingStatistics {
    /// How many.
    pub counts: CheckpointCounts,
    /// Statistics over the completed checkpoints that are remembered.
    pub summary: CheckpointSummary,
    /// The latest of each kind.
    pub latest: LatestCheckpoints,
    /// Those that are remembered, newest first.
    pub history: Vec<CheckpointStatisticsInfo>,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointCounts {
    /// Snapshots that the job was restored from.
    pub restored: u64,
    /// All that were asked for.
    pub total: u64,
    /// Under way.
    pub in_progress: u64,
    /// Complete.
    pub completed: u64,
    /// Aborted, or refused.
    pub failed: u64,
}

/// A distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatsSummaryDto {
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
    /// The mean.
    pub avg: i64,
    /// The median.
    pub p50: f64,
    /// 90 of 100 are not larger.
    pub p90: f64,
    /// 95 of 100 are not larger.
    pub p95: f64,
    /// 99 of 100 are not larger.
    pub p99: f64,
    /// 999 of 1000 are not larger.
    pub p999: f64,
}

/// Statistics over completed checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointSummary {
    /// Bytes that were written.
    pub checkpointed_size: StatsSummaryDto,
    /// Bytes of the whole snapshot.
    pub state_size: StatsSummaryDto,
    /// Milliseconds from the trigger to the end.
    pub end_to_end_duration: StatsSummaryDto,
    /// Always zero, as in Flink.
    pub alignment_buffered: StatsSummaryDto,
    /// Bytes that were processed during alignment.
    pub processed_data: StatsSummaryDto,
    /// Bytes of records in flight.
    pub persisted_data: StatsSummaryDto,
}

/// The latest of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatestCheckpoints {
    /// That completed.
    pub completed: Option<CheckpointStatisticsInfo>,
    /// Savepoint that completed.
    pub savepoint: Option<CheckpointStatisticsInfo>,
    /// That failed.
    pub failed: Option<CheckpointStatisticsInfo>,
    /// That the job was restored from.
    pub restored: Option<RestoredCheckpointStatistics>,
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredCheckpointStatistics {
    /// Its number.
    pub id: u64,
    /// When.
    pub restore_timestamp: i64,
    /// It is a savepoint.
    pub is_savepoint: bool,
    /// Where it is.
    pub external_path: Option<String>,
}

/// A checkpoint; what is there depends on its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointStatisticsInfo {
    /// `in_progress`, `completed` or `failed`: which fields follow. Flink's class name.
    #[serde(rename = "className")]
    pub class_name: String,
    /// Its number.
    pub id: u64,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// It is a savepoint.
    pub is_savepoint: bool,
    /// Its layout, if it is a savepoint.
    #[serde(rename = "savepointFormat")]
    pub savepoint_format: Option<String>,
    /// When it was triggered.
    pub trigger_timestamp: i64,
    /// When the last subtask acknowledged, or -1.
    pub latest_ack_timestamp: i64,
    /// Bytes that were written.
    pub checkpointed_size: u64,
    /// Bytes of the whole snapshot.
    pub state_size: u64,
    /// From the trigger to the end, or to the last acknowledgement.
    pub end_to_end_duration: i64,
    /// Always zero, as in Flink.
    pub alignment_buffered: u64,
    /// Bytes that were processed during alignment.
    pub processed_data: u64,
    /// Bytes of records in flight.
    pub persisted_data: u64,
    /// Subtasks that take part.
    pub num_subtasks: usize,
    /// Those that have acknowledged.
    pub num_acknowledged_subtasks: usize,
    /// `CHECKPOINT`, `UNALIGNED_CHECKPOINT`, `SAVEPOINT` or `SYNC_SAVEPOINT`.
    pub checkpoint_type: String,
    /// By vertex; in details only.
    pub tasks: BTreeMap<String, TaskCheckpointStatistics>,
    /// Where it is, once complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_path: Option<String>,
    /// It was given up and deleted; of completed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<bool>,
    /// When it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_timestamp: Option<i64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
}

/// A vertex's share of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCheckpointStatistics {
    /// Number of the checkpoint.
    pub id: u64,
    /// Its status.
    pub status: String,
    /// When the last subtask acknowledged, or -1.
    pub latest_ack_timestamp: i64,
    /// Bytes that were written.
    pub checkpointed_size: u64,
    /// Bytes of the whole snapshot.
    pub state_size: u64,
    /// From the trigger to the last acknowledgement, or -1.
    pub end_to_end_duration: i64,
    /// Always zero, as in Flink.
    pub alignment_buffered: u64,
    /// Bytes that were processed during alignment.
    pub processed_data: u64,
    /// Bytes of records in flight.
    pub persisted_data: u64,
    /// Subtasks that take part.
    pub num_subtasks: usize,
    /// Those that have acknowledged.
    pub num_acknowledged_subtasks: usize,
}

/// `/jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCheckpointStatisticsWithSubtaskDetails {
    /// The vertex's share.
    #[serde(flatten)]
    pub task: TaskCheckpointStatistics,
    /// Statistics over its subtasks.
    pub summary: TaskCheckpointSummary,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskCheckpointStatistics>,
}

/// Statistics over subtasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCheckpointSummary {
    /// Bytes that were written.
    pub checkpointed_size: StatsSummaryDto,
    /// Bytes of the whole snapshot.
    pub state_size: StatsSummaryDto,
    /// From the trigger to the acknowledgement.
    pub end_to_end_duration: StatsSummaryDto,
    /// How long the snapshot took.
    pub checkpoint_duration: CheckpointDurationSummary,
    /// The alignment.
    pub alignment: CheckpointAlignmentSummary,
    /// From the trigger to the first barrier.
    pub start_delay: StatsSummaryDto,
}

/// How long snapshots took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointDurationSummary {
    /// While the task stood still.
    pub sync: StatsSummaryDto,
    /// Beside the processing.
    #[serde(rename = "async")]
    pub asynchronous: StatsSummaryDto,
}

/// Alignments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointAlignmentSummary {
    /// Always zero, as in Flink.
    pub buffered: StatsSummaryDto,
    /// Bytes that were processed meanwhile.
    pub processed: StatsSummaryDto,
    /// Bytes of records in flight.
    pub persisted: StatsSummaryDto,
    /// Between the first barrier and the last.
    pub duration: StatsSummaryDto,
}

/// A subtask's share; all but the first two fields are there when it has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubtaskCheckpointStatistics {
    /// Index of the subtask.
    pub index: u32,
    /// `completed` or `pending_or_failed`.
    pub status: String,
    /// What it measured.
    #[serde(flatten)]
    pub completed: Option<CompletedSubtaskCheckpointStatistics>,
}

/// What a subtask measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletedSubtaskCheckpointStatistics {
    /// When it acknowledged.
    pub ack_timestamp: i64,
    /// From the trigger to then.
    pub end_to_end_duration: i64,
    /// Bytes that were written.
    pub checkpointed_size: u64,
    /// Bytes of the whole snapshot.
    pub state_size: u64,
    /// How long the snapshot took.
    pub checkpoint: CheckpointDuration,
    /// The alignment.
    pub alignment: CheckpointAlignment,
    /// From the trigger to the first barrier.
    pub start_delay: u64,
    /// Barriers overtook records.
    pub unaligned_checkpoint: bool,
    /// Always false: an aborted share has no statistics.
    pub aborted: bool,
}

/// How long a snapshot took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointDuration {
    /// While the task stood still.
    pub sync: u64,
    /// Beside the processing.
    #[serde(rename = "async")]
    pub asynchronous: u64,
}

/// An alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointAlignment {
    /// Always zero, as in Flink.
    pub buffered: u64,
    /// Bytes that were processed meanwhile.
    pub processed: u64,
    /// Bytes of records in flight.
    pub persisted: u64,
    /// Between the first barrier and the last.
    pub duration: u64,
}

/// `/jobs/:jobid/checkpoints/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointConfigInfo {
    /// `exactly_once` or `at_least_once`.
    pub mode: String,
    /// Between two triggers; the largest number if none are triggered.
    pub interval: i64,
    /// A checkpoint that takes longer is aborted.
    pub timeout: u64,
    /// Between the end of one and the trigger of the next.
    pub min_pause: u64,
    /// Most under way at once.
    pub max_concurrent: usize,
    /// What outlives the job.
    pub externalization: ExternalizedCheckpointInfo,
    /// Where state is while it is worked with.
    pub state_backend: String,
    /// Where checkpoints are kept.
    pub checkpoint_storage: String,
    /// Barriers may overtake records.
    pub unaligned_checkpoints: bool,
    /// Failures in a row that the job survives; -1 for any number.
    pub tolerable_failed_checkpoints: i64,
    /// After which barriers overtake records.
    pub aligned_checkpoint_timeout: u64,
    /// Checkpoints go on when some tasks have finished.
    pub checkpoints_after_tasks_finish: bool,
    /// There is no changelog backend.
    pub state_changelog_enabled: bool,
    /// There is no changelog backend.
    pub changelog_periodic_materialization_interval: i64,
    /// There is no changelog backend.
    pub changelog_storage: Option<String>,
}

/// Which checkpoints outlive their job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalizedCheckpointInfo {
    /// Some do.
    pub enabled: bool,
    /// Not those of a cancelled job.
    pub delete_on_cancellation: bool,
}
