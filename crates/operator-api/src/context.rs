//! What an operator may know of its surroundings.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::OperatorRestore;
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_types::{FlowResult, JobId, KeyGroupRange, OperatorId};

/// The way from an operator to its coordinator in the JobMaster.
pub trait EventGateway: Send + Sync {
    /// Sends an event; returns at once. Order is kept per subtask, and an event of a superseded
    /// attempt is dropped on arrival.
    fn send_to_coordinator(&self, event: Vec<u8>) -> FlowResult;
}

/// The surroundings of one operator in one subtask. Cloning is cheap.
#[derive(Clone)]
pub struct OperatorContext {
    /// The job.
    pub job: JobId,
    /// The job's name.
    pub job_name: Arc<str>,
    /// The operator.
    pub operator: OperatorId,
    /// Its name.
    pub operator_name: Arc<str>,
    /// Index of this subtask, from 0.
    pub subtask: u32,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Attempt number, from 0.
    pub attempt: u32,
    /// Processing time.
    pub clock: Clock,
    /// Posted to wake this subtask's loop.
    pub signal: Signal,
    /// The way to the coordinator.
    pub events: Arc<dyn EventGateway>,
    /// Where background work (sockets, uploads) may be spawned.
    pub runtimes: Runtimes,
    /// The operator's metrics.
    pub metrics: hurtig_metrics::MetricGroup,
    /// The user's accumulators of this subtask.
    pub accumulators: hurtig_metrics::SharedAccumulators,
    /// Event-time progress is announced at this interval, in milliseconds of processing time.
    pub auto_watermark_interval_ms: u64,
    /// The job takes checkpoints from time to time.
    pub checkpoints: bool,
    /// The distributed cache: where files are on this machine, by the name that the program gave.
    pub cached_files: Arc<BTreeMap<String, PathBuf>>,
    /// The state to start from, if the operator is restored.
    pub restored: Option<Arc<OperatorRestore>>,
}

impl OperatorContext {
    /// The key groups of this subtask.
    pub fn key_groups(&self) -> KeyGroupRange {
        KeyGroupRange::of_subtask(self.subtask, self.parallelism, self.max_parallelism)
    }
}
