//! Gateways that write down what they are asked, and for each the calls of all its methods.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use hurtig_cluster_api::*;
use hurtig_graph::{JobGraph, ProgramReference};
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_types::*;
use tokio::sync::Semaphore;

use crate::fabricate::fabricate;

/// What was asked, in order.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Keeps calls from being answered, and tells where they are.
pub struct Hold {
    /// A permit for each call that has come.
    pub entered: Semaphore,
    /// A permit lets one call go on.
    pub release: Semaphore,
    /// A permit for each call that is over, answered or dropped.
    pub left: Arc<Semaphore>,
}

impl Default for Hold {
    fn default() -> Self {
        let none = || Semaphore::new(0);
        Self { entered: none(), release: none(), left: Arc::new(none()) }
    }
}

impl Hold {
    async fn pass(&self) {
        struct Leaving(Arc<Semaphore>);
        impl Drop for Leaving {
            fn drop(&mut self) {
                self.0.add_permits(1);
            }
        }
        let _leaving = Leaving(self.left.clone());
        self.entered.add_permits(1);
        self.release.acquire().await.unwrap().forget();
    }
}

impl RecordingJobMaster {
    /// One that answers when it is let.
    pub fn held() -> (Arc<Hold>, Arc<dyn JobMasterGateway>) {
        let hold = Arc::new(Hold::default());
        let master = Self { log: Log::default(), hold: Some(hold.clone()) };
        (hold, Arc::new(master))
    }

    /// One that answers at once, and whose log nobody reads.
    pub fn plain() -> Arc<dyn JobMasterGateway> {
        Arc::new(Self::new(Log::default()))
    }
}

/// Gateways as arguments, and what one sees of them on the other side.
#[async_trait]
pub trait Sample: Sized {
    fn sample() -> Self;
    async fn describe(&self) -> String;
}

/// Of a gateway one sees what it answers.
#[async_trait]
impl Sample for Arc<dyn JobMasterGateway> {
    fn sample() -> Self {
        Arc::new(RecordingJobMaster::new(Log::default()))
    }

    async fn describe(&self) -> String {
        format!("a JobMaster that is {:?}", self.status().await)
    }
}

#[async_trait]
impl Sample for Arc<dyn TaskExecutorGateway> {
    fn sample() -> Self {
        Arc::new(RecordingTaskExecutor::new(Log::default()))
    }

    async fn describe(&self) -> String {
        let answer = self.heartbeat_from_job_master(JobId(1), vec![AllocationId(2)]).await;
        format!("a TaskExecutor that answers {answer:?}")
    }
}

#[async_trait]
impl Sample for Arc<dyn TaskHostGateway> {
    fn sample() -> Self {
        Arc::new(RecordingTaskHost::new(Log::default()))
    }

    async fn describe(&self) -> String {
        format!("a task host that answers {:?}", self.io_metrics().await)
    }
}

/// A seed that belongs to a name.
fn seed(name: &str) -> u32 {
    name.bytes().fold(17, |seed, byte| (seed * 31 + u32::from(byte)) % 10_007)
}

/// An argument, and what one sees of it: plain data if nothing else is said.
macro_rules! argument {
    (sample $name:ident: $type:ty) => {
        fabricate::<$type>(seed(stringify!($name)))
    };
    (sample $name:ident: $type:ty, gateway) => {
        <$type as Sample>::sample()
    };
    (describe $name:ident) => {
        format!("{:?}", $name)
    };
    (describe $name:ident, gateway) => {
        Sample::describe(&$name).await
    };
}

macro_rules! recorder {
    ($recorder:ident, $gateway:ident, $exercise:ident: $(
        $method:ident($($argument:ident: $type:ty $(as $as:ident)?),* $(,)?) -> $answer:ty;
    )*) => {
        pub struct $recorder {
            log: Log,
            hold: Option<Arc<Hold>>,
        }

        impl $recorder {
            /// One that answers at once.
            pub fn new(log: Log) -> Self {
                Self { log, hold: None }
            }
        }

        #[async_trait]
        impl $gateway for $recorder {
            $(async fn $method(&self, $($argument: $type),*) -> RpcResult<$answer> {
                let arguments: Vec<String> = vec![$(argument!(describe $argument $(, $as)?)),*];
                let call = format!("{}({})", stringify!($method), arguments.join(", "));
                self.log.lock().unwrap().push(call);
                if let Some(hold) = &self.hold {
                    hold.pass().await;
                }
                Ok(fabricate(seed(stringify!($method))))
            })*
        }

        /// Calls every method once; returns the answers.
        pub async fn $exercise(gateway: &dyn $gateway) -> Vec<String> {
            let mut answers = Vec::new();
            $({
                $(let $argument = argument!(sample $argument: $type $(, $as)?);)*
                answers.push(format!("{:?}", gateway.$method($($argument),*).await.unwrap()));
            })*
            answers
        }
    };
}

recorder! { RecordingDispatcher, DispatcherGateway, exercise_dispatcher:
    submit_job(graph: JobGraph) -> ();
    list_jobs() -> Vec<JobOverview>;
    job_status(job: JobId) -> JobStatus;
    job_details(job: JobId) -> JobDetails;
    cancel_job(job: JobId) -> ();
    report_job_client_heartbeat(job: JobId, expired_timestamp_ms: i64) -> ();
    trigger_checkpoint(job: JobId, full: bool) -> String;
    trigger_savepoint(job: JobId, directory: String, format: SavepointFormat) -> String;
    stop_with_savepoint(
        job: JobId,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> String;
    checkpoint_stats(job: JobId) -> CheckpointStatsSnapshot;
    job_result(job: JobId) -> JobResult;
    accumulators(job: JobId) -> BTreeMap<String, AccumulatorValue>;
    resource_requirements(job: JobId) -> JobResourceRequirements;
    update_resource_requirements(job: JobId, requirements: JobResourceRequirements) -> ();
    coordination_request(job: JobId, operator: OperatorId, request: Vec<u8>) -> Vec<u8>;
    task_executors() -> Vec<TaskExecutorOverview>;
    query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

recorder! { RecordingResourceManager, ResourceManagerGateway, exercise_resource_manager:
    register_task_executor(
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway> as gateway,
    ) -> ();
    heartbeat_from_task_executor(resource: ResourceId, slots: SlotReport) -> ();
    disconnect_task_executor(resource: ResourceId, reason: String) -> ();
    notify_slot_available(slot: SlotId, allocation: AllocationId) -> ();
    register_job_master(
        job: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway> as gateway,
    ) -> ();
    disconnect_job_master(job: JobId, token: FencingToken) -> ();
    declare_required_slots(job: JobId, token: FencingToken, slots: u32) -> ();
    task_executors() -> Vec<TaskExecutorOverview>;
    query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

recorder! { RecordingTaskExecutor, TaskExecutorGateway, exercise_task_executor:
    request_slot(
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway> as gateway,
    ) -> ();
    job_master_changed(
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway> as gateway,
    ) -> ();
    free_slot(allocation: AllocationId, reason: String) -> ();
    submit_task(deployment: TaskDeploymentDescriptor, token: FencingToken) -> ();
    cancel_task(attempt: ExecutionAttemptId) -> ();
    send_operator_event(attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>) -> ();
    trigger_checkpoint(attempt: ExecutionAttemptId, barrier: CheckpointBarrier) -> ();
    notify_checkpoint_complete(attempt: ExecutionAttemptId, checkpoint: CheckpointId) -> ();
    notify_checkpoint_aborted(attempt: ExecutionAttemptId, checkpoint: CheckpointId) -> ();
    heartbeat_from_resource_manager() -> ();
    heartbeat_from_job_master(job: JobId, slots: Vec<AllocationId>) -> JobHeartbeatAnswer;
    disconnect_job_master(job: JobId, reason: String) -> ();
    query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

recorder! { RecordingJobMaster, JobMasterGateway, exercise_job_master:
    offer_slots(
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway> as gateway,
        slots: Vec<SlotOffer>,
    ) -> Vec<AllocationId>;
    offer_occupied_slots(
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway> as gateway,
        slots: Vec<OccupiedSlot>,
    ) -> Vec<AllocationId>;
    update_task_state(update: TaskStateUpdate) -> ();
    send_operator_event(attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>) -> ();
    acknowledge_checkpoint(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> ();
    decline_checkpoint(
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> ();
    trigger_checkpoint(full: bool) -> String;
    trigger_savepoint(directory: String, format: SavepointFormat) -> String;
    stop_with_savepoint(
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> String;
    checkpoint_stats() -> CheckpointStatsSnapshot;
    fail_slot(allocation: AllocationId, reason: String) -> ();
    disconnect_task_executor(resource: ResourceId, reason: String) -> ();
    task_host_failed(resource: ResourceId, reason: String) -> ();
    program() -> Option<ProgramReference>;
    notify_not_enough_slots(available: u32) -> ();
    resource_requirements() -> JobResourceRequirements;
    update_resource_requirements(requirements: JobResourceRequirements) -> ();
    cancel() -> ();
    status() -> JobStatus;
    details() -> JobDetails;
    accumulators() -> BTreeMap<String, AccumulatorValue>;
    query_metrics(query: MetricsQuery) -> MetricsSnapshot;
    result() -> JobResult;
    coordination_request(operator: OperatorId, request: Vec<u8>) -> Vec<u8>;
}

recorder! { RecordingTaskHost, TaskHostGateway, exercise_task_host:
    set_job_master(
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway> as gateway,
    ) -> Vec<(ExecutionAttemptId, ExecutionState)>;
    forget_job_master() -> ();
    submit_task(deployment: TaskDeploymentDescriptor) -> ();
    cancel_task(attempt: ExecutionAttemptId) -> ();
    send_operator_event(attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>) -> ();
    notify_checkpoint(attempt: ExecutionAttemptId, news: CheckpointNews) -> ();
    release_slot(allocation: AllocationId) -> ();
    io_metrics() -> Vec<(ExecutionAttemptId, TaskIoMetrics)>;
    query_metrics(query: MetricsQuery) -> MetricsSnapshot;
    shut_down() -> ();
}

recorder! { RecordingHostParent, HostParentGateway, exercise_host_parent:
    task_host_ready(
        host: HostId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskHostGateway> as gateway,
    ) -> ();
    task_ended(host: HostId, attempt: ExecutionAttemptId) -> ();
    job_master_lost(host: HostId, reason: String) -> ();
    job_master_ready(host: HostId, gateway: Arc<dyn JobMasterGateway> as gateway) -> ();
    host_failed(host: HostId, reason: String) -> ();
}

recorder! { RecordingRegister, CheckpointRegister, exercise_register:
    recover() -> RecoveredCheckpoints;
    add(pointer: CheckpointPointer, subsumed: Vec<CheckpointId>, reserved: CheckpointId) -> ();
    reserve(below: CheckpointId) -> ();
}

recorder! { RecordingLogSource, LogSource, exercise_log_source:
    list_logs() -> Vec<LogFile>;
    read_log(name: String, offset: u64, length: u32) -> Vec<u8>;
    threads() -> Vec<ProcessThread>;
}
