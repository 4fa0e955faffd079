//! What clients see of jobs.

use std::collections::BTreeMap;

use hurtig_graph::JobGraph;
use hurtig_metrics::AccumulatorValue;
use hurtig_types::{AllocationId, JobId, JobVertexId, ResourceId};
use serde::{Deserialize, Serialize};

use crate::checkpoints::CheckpointStatsCounts;
use crate::task::{ExecutionState, FailureInfo, PeerAddress, TaskIoMetrics};

/// State of a job, as Flink 2.3's `JobStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Received, its JobMaster not running yet.
    Initializing,
    /// Created, nothing scheduled yet.
    Created,
    /// Scheduled.
    Running,
    /// A failure that will end the job; tasks are being cancelled.
    Failing,
    /// Ended by a failure.
    Failed,
    /// Cancelled by a user; tasks are being cancelled.
    Cancelling,
    /// Ended by a user.
    Canceled,
    /// Ended by itself.
    Finished,
    /// A failure; tasks are being cancelled to start anew.
    Restarting,
    /// The JobMaster gave up leadership; the job may go on elsewhere.
    Suspended,
}

impl JobStatus {
    /// True if the job will never run again.
    pub fn is_globally_terminal(self) -> bool {
        matches!(self, JobStatus::Failed | JobStatus::Canceled | JobStatus::Finished)
    }
}

/// How a job ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobResult {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// The terminal state.
    pub status: JobStatus,
    /// Why it failed.
    pub failure: Option<FailureInfo>,
    /// The user's accumulators, merged over all subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// From submission to the end, in milliseconds.
    pub run_time_ms: u64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub end_time_ms: i64,
    /// Number of restarts.
    pub restarts: u32,
    /// What each vertex read and wrote, in the order of the JobGraph.
    pub vertices: Vec<VertexDetails>,
}

/// One line of a list of jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobOverview {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// State.
    pub status: JobStatus,
    /// When it was submitted, in milliseconds since the Unix epoch.
    pub start_time_ms: i64,
    /// When it ended.
    pub end_time_ms: Option<i64>,
    /// When it, or one of its tasks, has last changed its state.
    pub last_modification_ms: i64,
    /// Number of subtasks in each state.
    pub tasks: BTreeMap<ExecutionState, u32>,
}

/// One vertex of a running or ended job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VertexDetails {
    /// The vertex.
    pub id: JobVertexId,
    /// Its name.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Number of current attempts in each state.
    pub states: BTreeMap<ExecutionState, u32>,
    /// State, attempt number, host and metrics of each subtask.
    pub subtasks: Vec<SubtaskDetails>,
    /// Sum over subtasks.
    pub metrics: TaskIoMetrics,
}

/// One subtask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubtaskDetails {
    /// Index.
    pub subtask: u32,
    /// Current attempt.
    pub attempt: u32,
    /// Its state.
    pub state: ExecutionState,
    /// The TaskExecutor that it was deployed to.
    pub task_executor: Option<ResourceId>,
    /// Where that TaskExecutor's data plane listens: `host:port`, or a name.
    pub endpoint: Option<String>,
    /// The slot that it was deployed to.
    pub allocation: Option<AllocationId>,
    /// When the attempt entered each state it has been in, in milliseconds since the Unix epoch.
    pub timestamps: BTreeMap<ExecutionState, i64>,
    /// What it read and wrote.
    pub metrics: TaskIoMetrics,
    /// The user's accumulators; filled when the attempt has ended.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// A failure, and where it happened; as Flink 2.3's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionHistoryEntry {
    /// What happened.
    pub failure: FailureInfo,
    /// The TaskExecutor of the task that failed, if one did and was deployed.
    pub location: Option<PeerAddress>,
}

/// A failure that the job reacted to. (Not one type with the other: what comes from another process
/// must not nest.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootExceptionHistoryEntry {
    /// The failure.
    pub root: ExceptionHistoryEntry,
    /// Failures of other tasks that were told while the job reacted to it; bounded.
    pub concurrent: Vec<ExceptionHistoryEntry>,
}

/// A job in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobDetails {
    /// The line of the list.
    pub overview: JobOverview,
    /// Vertices in topological order.
    pub vertices: Vec<VertexDetails>,
    /// When the job entered each state, in order.
    pub transitions: Vec<(JobStatus, i64)>,
    /// Failures, newest last, bounded.
    pub failures: Vec<FailureInfo>,
    /// The same failures with where they happened and what came with them.
    pub exceptions: Vec<RootExceptionHistoryEntry>,
    /// Attempts that others have replaced, by vertex, oldest first; bounded per subtask.
    pub earlier_attempts: BTreeMap<JobVertexId, Vec<SubtaskDetails>>,
    /// Number of restarts.
    pub restarts: u32,
    /// How many checkpoints; the gateway's `checkpoint_stats` tells more of each.
    pub checkpoints: CheckpointStatsCounts,
    /// The graph.
    pub graph: JobGraph,
}

/// One TaskExecutor as the ResourceManager sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskExecutorOverview {
    /// Which.
    pub resource: ResourceId,
    /// `host:port` of its process; `None` if it is in the JobManager's own.
    pub endpoint: Option<String>,
    /// Where its data plane listens.
    pub data_address: String,
    /// All slots.
    pub slots: u32,
    /// Slots that are free.
    pub free_slots: u32,
    /// When it was last heard of, in milliseconds since the Unix epoch.
    pub last_heartbeat_ms: i64,
}
