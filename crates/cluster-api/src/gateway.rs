//! Gateways: one trait per role, with the messages that the others send to it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use hurtig_graph::{JobGraph, ProgramReference};
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointException, CheckpointId, CheckpointMetrics,
    ExecutionAttemptId, JobId, OperatorId, ResourceId, SavepointFormat, TaskStateSnapshot,
    TerminateKind,
};

use crate::{
    checkpoints::CheckpointStatsSnapshot,
    job::{JobDetails, JobOverview, JobResult, JobStatus, TaskExecutorOverview},
    peer::Peer,
    register::{CheckpointPointer, CheckpointRegister},
    requirements::JobResourceRequirements,
    slot::{FencingToken, OccupiedSlot, SlotId, SlotOffer, SlotReport, TaskExecutorRegistration},
    task::{JobHeartbeatAnswer, TaskDeploymentDescriptor, TaskStateUpdate},
};

/// Why a message to another role had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The role cannot be reached (it ended, or the connection broke). Retrying may help.
    #[error("{role} is not reachable: {reason}")]
    Unreachable {
        /// Which role.
        role: &'static str,
        /// Why.
        reason: String,
    },
    /// The sender is no longer the leader that the receiver follows.
    #[error("message with fencing token {got:?} rejected: the current one is {current:?}")]
    Fenced {
        /// The sender's.
        got: FencingToken,
        /// The receiver's.
        current: FencingToken,
    },
    /// The named thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The receiver refused.
    #[error("{0}")]
    Rejected(String),
    /// No answer in time.
    #[error("no answer within {0} ms")]
    Timeout(u64),
}

/// Answer to a message.
pub type RpcResult<T> = Result<T, RpcError>;

/// What clients may ask of the Dispatcher.
#[async_trait]
pub trait DispatcherGateway: Send + Sync {
    /// Who is behind the gateway, and when it is gone. One that does not say, and is passed to
    /// another process, can be called from there until this process ends.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// Submits a job; returns once it is accepted. The job's code must be known to the cluster.
    async fn submit_job(&self, graph: JobGraph) -> RpcResult<()>;
    /// All jobs, running and ended (bounded).
    async fn list_jobs(&self) -> RpcResult<Vec<JobOverview>>;
    /// State of a job.
    async fn job_status(&self, job: JobId) -> RpcResult<JobStatus>;
    /// A job in detail.
    async fn job_details(&self, job: JobId) -> RpcResult<JobDetails>;
    /// Starts to cancel a job.
    async fn cancel_job(&self, job: JobId) -> RpcResult<()>;
    /// The client of a job is there. If it says no more until then, in milliseconds since the epoch,
    /// the job is cancelled. Of a job that has ended this changes nothing.
    async fn report_job_client_heartbeat(
        &self,
        job: JobId,
        expired_timestamp_ms: i64,
    ) -> RpcResult<()>;
    /// Takes a checkpoint of a job now, and returns where it is. `full`: it names no file of earlier
    /// ones.
    async fn trigger_checkpoint(&self, job: JobId, full: bool) -> RpcResult<String>;
    /// Takes a savepoint of a job beneath a directory (a URL), and returns where it is.
    async fn trigger_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String>;
    /// Takes a savepoint of a job and stops the job with it; returns where the savepoint is once the
    /// job has finished.
    async fn stop_with_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String>;
    /// What is known of a job's checkpoints.
    async fn checkpoint_stats(&self, job: JobId) -> RpcResult<CheckpointStatsSnapshot>;
    /// Waits for a job's end.
    async fn job_result(&self, job: JobId) -> RpcResult<JobResult>;
    /// The job's accumulators as of now.
    async fn accumulators(&self, job: JobId) -> RpcResult<BTreeMap<String, AccumulatorValue>>;
    /// What an elastic job asks for.
    async fn resource_requirements(&self, job: JobId) -> RpcResult<JobResourceRequirements>;
    /// An elastic job asks for something else from now on; refused if it cannot have that.
    async fn update_resource_requirements(
        &self,
        job: JobId,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()>;
    /// Sends a request to an operator's coordinator and returns its answer.
    async fn coordination_request(
        &self,
        job: JobId,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>>;
    /// TaskExecutors and their slots.
    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>>;
    /// Metrics of the whole cluster: of the JobManager, its jobs and the TaskExecutors. Who does not
    /// answer within [`crate::METRICS_TIMEOUT`] is left out.
    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot>;
}

/// What others may ask of the ResourceManager.
#[async_trait]
pub trait ResourceManagerGateway: Send + Sync {
    /// Who is behind the gateway, and when it is gone. One that does not say, and is passed to
    /// another process, can be called from there until this process ends.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// A TaskExecutor registers (again). `gateway` answers for it.
    async fn register_task_executor(
        &self,
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> RpcResult<()>;
    /// A TaskExecutor's heartbeat, with its slots.
    async fn heartbeat_from_task_executor(
        &self,
        resource: ResourceId,
        slots: SlotReport,
    ) -> RpcResult<()>;
    /// A TaskExecutor leaves.
    async fn disconnect_task_executor(&self, resource: ResourceId, reason: String)
    -> RpcResult<()>;
    /// A slot has become free.
    async fn notify_slot_available(&self, slot: SlotId, allocation: AllocationId) -> RpcResult<()>;
    /// A JobMaster registers, so that TaskExecutors can be told how to reach it.
    async fn register_job_master(
        &self,
        job: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()>;
    /// A JobMaster leaves; its slots are freed by the TaskExecutors. The farewell of one that has
    /// been superseded is refused.
    async fn disconnect_job_master(&self, job: JobId, token: FencingToken) -> RpcResult<()>;
    /// A JobMaster declares how many slots it needs in all (declarative resource management).
    async fn declare_required_slots(
        &self,
        job: JobId,
        token: FencingToken,
        slots: u32,
    ) -> RpcResult<()>;
    /// TaskExecutors and their slots.
    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>>;
    /// Metrics of all TaskExecutors. Who does not answer within [`crate::METRICS_TIMEOUT`] is left
    /// out.
    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot>;
}

/// What others may ask of a TaskExecutor.
#[async_trait]
pub trait TaskExecutorGateway: Send + Sync {
    /// Who is behind the gateway, and when it is gone. One that does not say, and is passed to
    /// another process, can be called from there until this process ends.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// The ResourceManager allocates a slot for a job; the TaskExecutor offers it to that job's
    /// JobMaster.
    async fn request_slot(
        &self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        job_master_token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()>;
    /// Another JobMaster has taken a job over. The TaskExecutor follows it from now on, and offers
    /// it what the job has here, with its tasks. One that it follows already is fine.
    async fn job_master_changed(
        &self,
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()>;
    /// A JobMaster returns a slot.
    async fn free_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()>;
    /// Deploys an attempt into an allocated slot. Returns once it is accepted.
    async fn submit_task(
        &self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()>;
    /// Cancels an attempt; its end is reported to the JobMaster. Unknown attempts are fine.
    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()>;
    /// Delivers an event of a coordinator to an operator.
    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()>;
    /// A checkpoint begins at an attempt. Unknown attempts are fine.
    async fn trigger_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        barrier: CheckpointBarrier,
    ) -> RpcResult<()>;
    /// A checkpoint is complete. Unknown attempts are fine.
    async fn notify_checkpoint_complete(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()>;
    /// A checkpoint was given up. Unknown attempts are fine.
    async fn notify_checkpoint_aborted(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()>;
    /// The ResourceManager's heartbeat: answered by one that lives.
    async fn heartbeat_from_resource_manager(&self) -> RpcResult<()>;
    /// A JobMaster's heartbeat, with the slots that it believes to have here. What else the job has
    /// here, and for longer than a heartbeat, is freed.
    async fn heartbeat_from_job_master(
        &self,
        job: JobId,
        slots: Vec<AllocationId>,
    ) -> RpcResult<JobHeartbeatAnswer>;
    /// A JobMaster is gone: its tasks are cancelled and its slots freed.
    async fn disconnect_job_master(&self, job: JobId, reason: String) -> RpcResult<()>;
    /// Metrics of the TaskExecutor and its tasks.
    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot>;
}

/// What others may ask of a JobMaster.
#[async_trait]
pub trait JobMasterGateway: Send + Sync {
    /// Who is behind the gateway, and when it is gone. One that does not say, and is passed to
    /// another process, can be called from there until this process ends.
    fn peer(&self) -> Peer {
        Peer::unknown()
    }
    /// A TaskExecutor offers slots that were allocated for the job; returns those it accepts.
    async fn offer_slots(
        &self,
        resource: ResourceId,
        data_address: crate::PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> RpcResult<Vec<AllocationId>>;
    /// A TaskExecutor offers all slots that the job has there to a JobMaster that has taken it over,
    /// with the tasks in them; returns those it accepts. What becomes of the tasks it says later,
    /// by cancelling them or by going on with them.
    async fn offer_occupied_slots(
        &self,
        resource: ResourceId,
        data_address: crate::PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
    ) -> RpcResult<Vec<AllocationId>>;
    /// An attempt has changed its state.
    async fn update_task_state(&self, update: TaskStateUpdate) -> RpcResult<()>;
    /// An operator's event for its coordinator.
    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()>;
    /// An attempt has written its part of a checkpoint.
    async fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> RpcResult<()>;
    /// An attempt cannot take its part in a checkpoint.
    async fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> RpcResult<()>;
    /// Takes a checkpoint now, and returns where it is.
    async fn trigger_checkpoint(&self, full: bool) -> RpcResult<String>;
    /// Takes a savepoint beneath a directory (a URL), and returns where it is.
    async fn trigger_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String>;
    /// Takes a savepoint and stops the job with it; returns where the savepoint is once the job has
    /// finished. If the job goes on instead, the error says so, and where the savepoint is if there
    /// is one.
    async fn stop_with_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String>;
    /// What is known of the job's checkpoints.
    async fn checkpoint_stats(&self) -> RpcResult<CheckpointStatsSnapshot>;
    /// A slot was lost.
    async fn fail_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()>;
    /// A TaskExecutor was lost.
    async fn disconnect_task_executor(&self, resource: ResourceId, reason: String)
    -> RpcResult<()>;
    /// The job's task host on a TaskExecutor could not be started: the restart strategy decides.
    async fn task_host_failed(&self, resource: ResourceId, reason: String) -> RpcResult<()>;
    /// Fewer slots can be had than were declared.
    async fn notify_not_enough_slots(&self, available: u32) -> RpcResult<()>;
    /// The binary that has the job's code; `None` if processes have the code themselves.
    async fn program(&self) -> RpcResult<Option<ProgramReference>>;
    /// What an elastic job asks for.
    async fn resource_requirements(&self) -> RpcResult<JobResourceRequirements>;
    /// An elastic job asks for something else from now on; refused if it cannot have that.
    async fn update_resource_requirements(
        &self,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()>;
    /// Cancels the job.
    async fn cancel(&self) -> RpcResult<()>;
    /// State.
    async fn status(&self) -> RpcResult<JobStatus>;
    /// The job in detail.
    async fn details(&self) -> RpcResult<JobDetails>;
    /// The job's accumulators as of now.
    async fn accumulators(&self) -> RpcResult<BTreeMap<String, AccumulatorValue>>;
    /// Metrics of the job in its JobMaster; those of its tasks are with the TaskExecutors.
    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot>;
    /// Waits for the job's end.
    async fn result(&self) -> RpcResult<JobResult>;
    /// A client's request to an operator's coordinator.
    async fn coordination_request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>>;
}

/// Starts the JobMaster of a job. How (in this process or in one of its own) is the cluster's
/// business, not the Dispatcher's.
#[async_trait]
pub trait JobMasterLauncher: Send + Sync {
    /// Starts a JobMaster and the job with it, or what goes on with the job after the loss of
    /// another: which of both it is, the register of its checkpoints says.
    async fn launch(
        &self,
        graph: JobGraph,
        token: FencingToken,
        register: Arc<dyn CheckpointRegister>,
    ) -> RpcResult<Arc<dyn JobMasterGateway>>;
    /// Ends the JobMaster of a job, if there is one, but not the job: its tasks run on, and another
    /// JobMaster takes over.
    async fn stop(&self, job: JobId);
    /// The job has ended, and its result is stored: what was kept for it can go, with the
    /// checkpoints that do not outlive it. Called again if the Dispatcher is lost meanwhile. Returns
    /// the files (URLs) of checkpoints that stay.
    async fn retire(
        &self,
        graph: &JobGraph,
        status: JobStatus,
        checkpoints: Vec<CheckpointPointer>,
    ) -> RpcResult<Vec<String>>;
    /// Deletes what tasks that outlived their JobMaster have written since `retire`, which said what
    /// stays.
    async fn retire_late(&self, graph: &JobGraph, kept: &[String]) -> RpcResult<()>;
}
