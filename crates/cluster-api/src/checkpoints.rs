//! What is known of a job's checkpoints, for people and tools: plain data that the JobMaster gives
//! out. Filled by the coordinator (crate `checkpoint`); nothing here is read by a decision.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_types::{
    CheckpointException, CheckpointId, CheckpointMetrics, CheckpointType, JobVertexId,
};
use serde::{Deserialize, Serialize};

/// How a checkpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointStatsStatus {
    /// Under way.
    InProgress,
    /// Complete.
    Completed,
    /// Aborted.
    Failed,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStatistics {
    /// Number.
    pub id: CheckpointId,
    /// How it stands.
    pub status: CheckpointStatsStatus,
    /// What was taken.
    pub checkpoint_type: CheckpointType,
    /// When it was triggered, in milliseconds since the Unix epoch.
    pub trigger_timestamp_ms: i64,
    /// When the last subtask acknowledged.
    pub latest_ack_timestamp_ms: Option<i64>,
    /// When it completed or failed.
    pub end_timestamp_ms: Option<i64>,
    /// Number of subtasks that take part.
    pub num_subtasks: usize,
    /// Sum over subtasks; the durations are the largest, not the sum.
    pub totals: CheckpointMetrics,
    /// What each subtask reported.
    pub vertices: BTreeMap<JobVertexId, BTreeMap<u32, SubtaskStateStats>>,
    /// Where it is, once complete.
    pub external_path: Option<Arc<str>>,
    /// It was given up and deleted.
    pub discarded: bool,
    /// Why it failed.
    pub failure: Option<CheckpointException>,
}

/// One subtask's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskStateStats {
    /// When it acknowledged, in milliseconds since the Unix epoch.
    pub ack_timestamp_ms: i64,
    /// What it measured.
    pub metrics: CheckpointMetrics,
}

impl CheckpointStatistics {
    /// Number of subtasks that have acknowledged.
    pub fn num_acknowledged(&self) -> usize {
        self.vertices.values().map(BTreeMap::len).sum()
    }

    /// Milliseconds from the trigger to the end, or to the last acknowledgement so far.
    pub fn duration_ms(&self) -> i64 {
        let end = self.end_timestamp_ms.or(self.latest_ack_timestamp_ms);
        end.map_or(0, |end| (end - self.trigger_timestamp_ms).max(0))
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStatsCounts {
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

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredCheckpointStats {
    /// Number.
    pub id: CheckpointId,
    /// What it was.
    pub checkpoint_type: CheckpointType,
    /// When, in milliseconds since the Unix epoch.
    pub restore_timestamp_ms: i64,
    /// Where it is.
    pub external_path: Arc<str>,
    /// Bytes of state.
    pub state_size_bytes: u64,
}

/// What is known of a job's checkpoints at one moment; as Flink 2.3's `CheckpointStatsSnapshot`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStatsSnapshot {
    /// How many.
    pub counts: CheckpointStatsCounts,
    /// The remembered checkpoints, newest last; bounded.
    pub history: Vec<CheckpointStatistics>,
    /// The latest that completed.
    pub latest_completed: Option<CheckpointStatistics>,
    /// The latest savepoint that completed.
    pub latest_savepoint: Option<CheckpointStatistics>,
    /// The latest that failed.
    pub latest_failed: Option<CheckpointStatistics>,
    /// The latest restore.
    pub latest_restored: Option<RestoredCheckpointStats>,
}

impl CheckpointStatsSnapshot {
    /// One of the remembered checkpoints.
    pub fn checkpoint(&self, id: CheckpointId) -> Option<&CheckpointStatistics> {
        let latest = [&self.latest_completed, &self.latest_savepoint, &self.latest_failed];
        let known = self.history.iter().chain(latest.into_iter().flatten());
        known.into_iter().find(|checkpoint| checkpoint.id == id)
    }
}
