//! Tasks as they are deployed and reported.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_graph::{JobConfig, JobVertex};
use hurtig_metrics::AccumulatorValue;
use hurtig_types::{
    AllocationId, CheckpointId, EdgeId, ErrorClass, ExecutionAttemptId, FlowError,
    JobManagerTaskRestore, ResourceId, ResultPartitionId,
};
use serde::{Deserialize, Serialize};

/// State of an execution attempt, as Flink 2.3's `ExecutionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionState {
    /// Not scheduled yet.
    Created,
    /// Waits for a slot.
    Scheduled,
    /// Sent to its TaskExecutor.
    Deploying,
    /// Operators are being opened, state is being restored.
    Initializing,
    /// Processing.
    Running,
    /// Ended by itself.
    Finished,
    /// Being cancelled.
    Canceling,
    /// Ended by cancellation.
    Canceled,
    /// Ended by a failure.
    Failed,
}

impl ExecutionState {
    /// True if the attempt will never run again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Canceled | Self::Failed)
    }

    /// True if the step from this state to `next` is legal.
    pub fn may_become(self, next: ExecutionState) -> bool {
        use ExecutionState::*;
        match self {
            Created => matches!(next, Scheduled | Canceled | Failed),
            Scheduled => matches!(next, Deploying | Canceled | Failed),
            Deploying => matches!(next, Initializing | Canceling | Failed | Canceled | Finished),
            Initializing => matches!(next, Running | Canceling | Failed | Canceled),
            Running => matches!(next, Finished | Canceling | Failed | Canceled),
            Canceling => matches!(next, Canceled | Failed | Finished),
            Finished | Canceled | Failed => false,
        }
    }
}

/// Where a TaskExecutor's data plane is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerAddress {
    /// The TaskExecutor.
    pub resource: ResourceId,
    /// `host:port`, or a name for the in-memory transport.
    pub address: String,
}

/// Who produces what one channel of an input gate reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerDescriptor {
    /// The partition to read.
    pub partition: ResultPartitionId,
    /// Who has it.
    pub producer: PeerAddress,
}

/// One input gate: the channels of one incoming edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateDescriptor {
    /// The edge.
    pub edge: EdgeId,
    /// Which subpartition is read of every partition.
    pub subpartition: u32,
    /// The producer of each channel, by index. All consumers of an edge that read from everybody
    /// share one list: else a wide graph would be as large as the square of its width.
    pub producers: Arc<[ProducerDescriptor]>,
}

/// Everything a TaskExecutor needs to run one attempt, besides the job's code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDeploymentDescriptor {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// The slot that it runs in.
    pub allocation: AllocationId,
    /// The job's name.
    pub job_name: String,
    /// The vertex, with its chain.
    pub vertex: Arc<JobVertex>,
    /// Input gates, one per incoming edge, in the order of `vertex.inputs`.
    pub gates: Vec<GateDescriptor>,
    /// Number of subpartitions per outgoing edge, in the order of `vertex.outputs`.
    pub subpartitions: Vec<u32>,
    /// Parallelism and max parallelism of the consumer per outgoing edge.
    pub consumers: Vec<(u32, u32)>,
    /// The job's settings.
    pub config: Arc<JobConfig>,
    /// The state to start from.
    pub restore: Option<Box<JobManagerTaskRestore>>,
}

/// A failure, as it is told to people and to the scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureInfo {
    /// Whose fault.
    pub class: FailureClass,
    /// The whole text: operator, message and causes.
    pub message: String,
    /// The vertex's name and subtask, as `name (2/4)#0`, if the failure is of one task.
    pub task: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// [`ErrorClass`] as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureClass {
    /// User code failed.
    User,
    /// Something outside failed.
    External,
    /// The producer of a task's input is gone; why may be told by another failure.
    InputLost,
    /// The engine is at fault.
    Internal,
    /// A file of that checkpoint is damaged: an earlier one is restored.
    DamagedState(CheckpointId),
    /// Restarting cannot help.
    Fatal,
}

impl FailureInfo {
    /// The failure of a task.
    pub fn of_task(error: &FlowError, task: String, timestamp_ms: i64) -> Self {
        let class = match error.class {
            ErrorClass::User => FailureClass::User,
            ErrorClass::External => FailureClass::External,
            ErrorClass::InputLost => FailureClass::InputLost,
            ErrorClass::DamagedState(checkpoint) => FailureClass::DamagedState(checkpoint),
            ErrorClass::Internal | ErrorClass::Cancelled => FailureClass::Internal,
            ErrorClass::Fatal => FailureClass::Fatal,
        };
        Self { class, message: error.chain_text(), task: Some(task), timestamp_ms }
    }
}

impl std::fmt::Display for FailureInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{task}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a task has read and written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskIoMetrics {
    /// Records read from the network, or emitted by the source that heads the chain.
    pub records_in: u64,
    /// Records written to the network, or taken by the sinks of the chain.
    pub records_out: u64,
    /// Bytes read from the network, as accounted.
    pub bytes_in: u64,
    /// Bytes written to the network, as accounted.
    pub bytes_out: u64,
    /// Time spent processing, in milliseconds.
    pub busy_ms: u64,
    /// Time spent waiting for input, in milliseconds.
    pub idle_ms: u64,
    /// Time spent waiting for room in the outputs, in milliseconds.
    pub back_pressured_ms: u64,
    /// The current watermark at the head of the chain, in milliseconds of event time.
    pub watermark: Option<i64>,
}

/// What a TaskExecutor tells a JobMaster of one attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskStateUpdate {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// Its new state.
    pub state: ExecutionState,
    /// Why it failed.
    pub failure: Option<FailureInfo>,
    /// What it has read and written.
    pub metrics: TaskIoMetrics,
    /// The user's accumulators; filled in terminal states.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// A TaskExecutor's answer to a JobMaster's heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHeartbeatAnswer {
    /// Readings of the job's tasks.
    pub metrics: Vec<(ExecutionAttemptId, TaskIoMetrics)>,
    /// Slots that the JobMaster believes to have here, and has not.
    pub missing: Vec<AllocationId>,
}
