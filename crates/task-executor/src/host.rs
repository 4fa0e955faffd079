//! Who runs the tasks: the seam between a TaskExecutor and a job's code.
//!
//! 1. The first slot that a job is given has its [`TaskHost`] started ([`TaskHostProvider`]).
//! 2. When the host is ready, slots are offered with its data address. Hosts exchange records
//!    directly.
//! 3. Orders reach the host in the order in which they were given. It reports to the JobMaster by
//!    itself, and tells the TaskExecutor what an attempt's end means for slots ([`HostNews`]).
//! 4. When the job has no slot left here, the host is ended. When it is lost, the job loses its
//!    slots here, and with them its tasks.
//!
//! Calls must not block: the TaskExecutor goes on at once.

use std::sync::Arc;

use futures::future::BoxFuture;

use hurtig_cluster_api::{
    CheckpointNews, ExecutionState, JobMasterGateway, Leader, PeerAddress, RpcResult,
    TaskDeploymentDescriptor, TaskIoMetrics,
};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId, OperatorId};
use tokio::sync::oneshot;

/// The answer to an order.
pub type Reply<T> = oneshot::Sender<RpcResult<T>>;

/// The state of each task of a host.
pub type TaskStates = Vec<(ExecutionAttemptId, ExecutionState)>;

/// Runs the tasks that one job has on one TaskExecutor. See the module documentation.
pub trait TaskHost: Send {
    /// To whom tasks report from now on. The answer is what state each task has then: what becomes
    /// of it later this JobMaster is told.
    fn set_job_master(&mut self, leader: Leader<dyn JobMasterGateway>, reply: Reply<TaskStates>);
    /// The JobMaster is given up, and nobody needs to hear what becomes of its tasks.
    fn forget_job_master(&mut self);
    /// Runs an attempt. If that is refused, its end is told beside the answer.
    fn submit(&mut self, deployment: Box<TaskDeploymentDescriptor>, reply: Reply<()>);
    /// Cancels an attempt. Unknown attempts are fine.
    fn cancel(&mut self, attempt: ExecutionAttemptId);
    /// Delivers an event of a coordinator; an attempt that cannot take it is cancelled.
    fn deliver_event(&mut self, attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>);
    /// News of a checkpoint; an attempt that cannot take them is cancelled.
    fn notify_checkpoint(&mut self, attempt: ExecutionAttemptId, news: CheckpointNews);
    /// The end of an attempt has been dealt with.
    fn forget(&mut self, attempt: ExecutionAttemptId);
    /// The latest readings of all tasks.
    fn io_metrics(&self) -> Vec<(ExecutionAttemptId, TaskIoMetrics)>;
    /// The job has given a slot back: what was kept for it on the disk can go.
    fn release_slot(&mut self, allocation: AllocationId);
    /// The job has no slots here any more.
    fn end(self: Box<Self>);
    /// The TaskExecutor ends: tasks are cancelled, and nobody is told.
    fn abandon(self: Box<Self>);
}

/// One start of a host: what is told of an earlier one changes nothing.
pub type HostNumber = u64;

/// What hosts tell their TaskExecutor.
#[derive(Debug)]
pub enum HostNews {
    /// A host can run tasks; its data plane is there.
    Ready(JobId, HostNumber, PeerAddress),
    /// A host is gone, or could not be started.
    Lost(JobId, HostNumber, String),
    /// An attempt has ended, and its JobMaster knows.
    TaskEnded(ExecutionAttemptId),
    /// A report that may not be repeated has not reached the JobMaster.
    JobMasterLost(JobId, String),
}

/// Takes what hosts tell. Calls do not block.
pub type HostListener = Arc<dyn Fn(HostNews) + Send + Sync>;

/// A host that was started.
pub struct StartedHost {
    /// The host; orders may be given at once.
    pub host: Box<dyn TaskHost>,
    /// Its data plane, if it is ready already; otherwise it is told later.
    pub data_address: Option<PeerAddress>,
}

/// Starts hosts: in this process, or as processes of their own.
pub trait TaskHostProvider: Send + Sync {
    /// Starts the host of a job.
    fn start(
        &self,
        job: JobId,
        number: HostNumber,
        job_master: Leader<dyn JobMasterGateway>,
        listener: HostListener,
    ) -> StartedHost;
    /// Metrics of hosts that have a registry of their own.
    fn query_metrics(&self, _: MetricsQuery) -> BoxFuture<'static, MetricsSnapshot> {
        Box::pin(std::future::ready(MetricsSnapshot::default()))
    }
    /// The TaskExecutor has ended.
    fn shut_down(&self);
}
