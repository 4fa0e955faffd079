//! What is known of each checkpoint, for people: sizes, durations, alignment, records in flight,
//! per checkpoint, vertex and subtask.
//!
//! The history is bounded; counters and the latest of each kind survive it. As Flink 2.3's
//! `CheckpointStatsTracker`. Nothing here is read by a decision.

use std::{collections::VecDeque, sync::Arc};

use hurtig_cluster_api::CheckpointStatsSnapshot;
pub use hurtig_cluster_api::checkpoints::{
    CheckpointStatistics, CheckpointStatsCounts, CheckpointStatsStatus, RestoredCheckpointStats,
    SubtaskStateStats,
};
use hurtig_types::{
    CheckpointException, CheckpointId, CheckpointMetrics, CheckpointType, JobVertexId,
};
use serde::{Deserialize, Serialize};

/// Checkpoints that are remembered, unless told otherwise; as Flink's
/// `web.checkpoints.history`.
pub const DEFAULT_HISTORY_SIZE: usize = 10;

/// What is known of a job's checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStatsTracker {
    /// How many.
    pub counts: CheckpointStatsCounts,
    history: VecDeque<CheckpointStatistics>,
    history_size: usize,
    /// The latest that completed.
    pub latest_completed: Option<CheckpointStatistics>,
    /// The latest savepoint that completed.
    pub latest_savepoint: Option<CheckpointStatistics>,
    /// The latest that failed.
    pub latest_failed: Option<CheckpointStatistics>,
    /// The latest restore.
    pub latest_restored: Option<RestoredCheckpointStats>,
}

impl CheckpointStatsTracker {
    /// Remembers that many checkpoints.
    pub fn new(history_size: usize) -> Self {
        Self { history_size, ..Self::default() }
    }

    /// The remembered checkpoints, newest last.
    pub fn history(&self) -> impl Iterator<Item = &CheckpointStatistics> {
        self.history.iter()
    }

    /// All of it, to be given out.
    pub fn snapshot(&self) -> CheckpointStatsSnapshot {
        CheckpointStatsSnapshot {
            counts: self.counts,
            history: self.history.iter().cloned().collect(),
            latest_completed: self.latest_completed.clone(),
            latest_savepoint: self.latest_savepoint.clone(),
            latest_failed: self.latest_failed.clone(),
            latest_restored: self.latest_restored.clone(),
        }
    }

    /// One of them.
    pub fn checkpoint(&self, id: CheckpointId) -> Option<&CheckpointStatistics> {
        self.history.iter().find(|checkpoint| checkpoint.id == id)
    }

    fn checkpoint_mut(&mut self, id: CheckpointId) -> Option<&mut CheckpointStatistics> {
        self.history.iter_mut().rfind(|checkpoint| checkpoint.id == id)
    }

    pub(crate) fn on_triggered(
        &mut self,
        id: CheckpointId,
        checkpoint_type: CheckpointType,
        num_subtasks: usize,
        now_ms: i64,
    ) {
        self.counts.total += 1;
        self.counts.in_progress += 1;
        self.history.push_back(CheckpointStatistics {
            id,
            status: CheckpointStatsStatus::InProgress,
            checkpoint_type,
            trigger_timestamp_ms: now_ms,
            latest_ack_timestamp_ms: None,
            end_timestamp_ms: None,
            num_subtasks,
            totals: CheckpointMetrics::default(),
            vertices: Default::default(),
            external_path: None,
            discarded: false,
            failure: None,
        });
        self.trim();
    }

    /// Checkpoints under way stay, however many.
    fn trim(&mut self) {
        while self.history.len() > self.history_size {
            let ended =
                self.history.iter().position(|c| c.status != CheckpointStatsStatus::InProgress);
            let Some(index) = ended else { return };
            self.history.remove(index);
        }
    }

    pub(crate) fn on_refused(&mut self) {
        self.counts.total += 1;
        self.counts.failed += 1;
    }

    /// A subtask's report; also one that comes late.
    pub(crate) fn on_acknowledged(
        &mut self,
        id: CheckpointId,
        (vertex, subtask): (JobVertexId, u32),
        metrics: CheckpointMetrics,
        now_ms: i64,
    ) {
        let Some(checkpoint) = self.checkpoint_mut(id) else { return };
        let stats = SubtaskStateStats { ack_timestamp_ms: now_ms, metrics };
        if checkpoint.vertices.entry(vertex).or_default().insert(subtask, stats).is_none() {
            add(&mut checkpoint.totals, &metrics);
        }
        let latest = checkpoint.latest_ack_timestamp_ms.get_or_insert(now_ms);
        *latest = now_ms.max(*latest);
    }

    pub(crate) fn on_completed(&mut self, id: CheckpointId, path: Arc<str>, now_ms: i64) {
        self.counts.in_progress -= 1;
        self.counts.completed += 1;
        let Some(checkpoint) = self.checkpoint_mut(id) else { return };
        checkpoint.status = CheckpointStatsStatus::Completed;
        checkpoint.end_timestamp_ms = Some(now_ms);
        checkpoint.external_path = Some(path);
        let checkpoint = checkpoint.clone();
        if checkpoint.checkpoint_type.is_savepoint() {
            self.latest_savepoint = Some(checkpoint);
        } else {
            self.latest_completed = Some(checkpoint);
        }
        self.trim();
    }

    pub(crate) fn on_failed(&mut self, id: CheckpointId, cause: CheckpointException, now_ms: i64) {
        self.counts.in_progress -= 1;
        self.counts.failed += 1;
        let Some(checkpoint) = self.checkpoint_mut(id) else { return };
        checkpoint.status = CheckpointStatsStatus::Failed;
        checkpoint.end_timestamp_ms = Some(now_ms);
        checkpoint.failure = Some(cause);
        self.latest_failed = Some(checkpoint.clone());
        self.trim();
    }

    pub(crate) fn on_discarded(&mut self, id: CheckpointId) {
        if let Some(checkpoint) = self.checkpoint_mut(id) {
            checkpoint.discarded = true;
        }
    }

    pub(crate) fn on_restored(&mut self, restored: RestoredCheckpointStats) {
        self.counts.restored += 1;
        self.latest_restored = Some(restored);
    }
}

fn add(totals: &mut CheckpointMetrics, one: &CheckpointMetrics) {
    totals.checkpointed_bytes += one.checkpointed_bytes;
    totals.total_bytes += one.total_bytes;
    totals.processed_bytes += one.processed_bytes;
    totals.persisted_bytes += one.persisted_bytes;
    totals.sync_duration_ms = totals.sync_duration_ms.max(one.sync_duration_ms);
    totals.async_duration_ms = totals.async_duration_ms.max(one.async_duration_ms);
    totals.alignment_duration_ms = totals.alignment_duration_ms.max(one.alignment_duration_ms);
    totals.start_delay_ms = totals.start_delay_ms.max(one.start_delay_ms);
    totals.unaligned |= one.unaligned;
}
