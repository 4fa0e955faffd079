//! Hosts: the processes that run a job's code, as the processes that started them see them.
//!
//! A *task host* runs the tasks that a job has on one TaskExecutor; a *JobMaster host* runs its
//! JobMaster. A host calls back when it is ready, with the gateway by which it is reached; from then
//! on either side notices the end of the other by the connection, the parent also by the process.

use std::sync::Arc;

use async_trait::async_trait;
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_types::{AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, OperatorId};
use serde::{Deserialize, Serialize};

use crate::{
    gateway::{JobMasterGateway, RpcResult},
    peer::Peer,
    slot::FencingToken,
    task::{ExecutionState, PeerAddress, TaskDeploymentDescriptor, TaskIoMetrics},
};

/// One start of a host. Nobody else knows the number, so whoever names it is that host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostId(pub u128);

impl std::fmt::Debug for HostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret: it must not be found in logs.
        f.write_str("HostId(..)")
    }
}

/// What a task is told of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckpointNews {
    /// One begins.
    Trigger(CheckpointBarrier),
    /// One is complete.
    Complete(CheckpointId),
    /// One was given up.
    Aborted(CheckpointId),
}

/// What a TaskExecutor asks of a task host. Messages are sent one after the other.
#[async_trait]
pub trait TaskHostGateway: Send + Sync {
    /// Who is behind this gateway.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// To whom tasks report from now on; answers with the state that each has then. May be
    /// repeated.
    async fn set_job_master(
        &self,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<Vec<(ExecutionAttemptId, ExecutionState)>>;
    /// The JobMaster is given up: what tasks report is dropped.
    async fn forget_job_master(&self) -> RpcResult<()>;
    /// Runs an attempt; returns once it is accepted.
    async fn submit_task(&self, deployment: TaskDeploymentDescriptor) -> RpcResult<()>;
    /// Cancels an attempt. Unknown attempts are fine.
    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()>;
    /// Delivers an event of a coordinator to an operator.
    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()>;
    /// News of a checkpoint. Unknown attempts are fine.
    async fn notify_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        news: CheckpointNews,
    ) -> RpcResult<()>;
    /// The job has given a slot back: what was kept for it on the disk can go.
    async fn release_slot(&self, allocation: AllocationId) -> RpcResult<()>;
    /// Readings of all tasks.
    async fn io_metrics(&self) -> RpcResult<Vec<(ExecutionAttemptId, TaskIoMetrics)>>;
    /// The metrics that the process has.
    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot>;
    /// Ends the process, once the answer is on its way.
    async fn shut_down(&self) -> RpcResult<()>;
}

/// What hosts tell the process that has started them.
#[async_trait]
pub trait HostParentGateway: Send + Sync {
    /// Who is behind this gateway.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// A task host has built its graph and can run tasks.
    async fn task_host_ready(
        &self,
        host: HostId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskHostGateway>,
    ) -> RpcResult<()>;
    /// An attempt has ended, and its JobMaster knows.
    async fn task_ended(&self, host: HostId, attempt: ExecutionAttemptId) -> RpcResult<()>;
    /// A report that may not be repeated has not reached the JobMaster.
    async fn job_master_lost(&self, host: HostId, reason: String) -> RpcResult<()>;
    /// A JobMaster host has built its graph, and its JobMaster runs.
    async fn job_master_ready(
        &self,
        host: HostId,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()>;
    /// A host cannot do what it was started for; it ends.
    async fn host_failed(&self, host: HostId, reason: String) -> RpcResult<()>;
}
