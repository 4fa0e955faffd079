//! The control plane: decorators of the gateways, through which every message between roles goes.
//!
//! A call may be late, may be lost, and may have its effect without an answer. Whoever calls sees
//! the last two as [`RpcError::Timeout`], as with any RPC: a call that returned has arrived.
//! Messages that one caller sends one after the other arrive in that order.
//!
//! Only the way to the ResourceManager is decorated by the cluster; all other gateways travel
//! through its messages, and are wrapped as they pass. Clients' calls are left alone.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, FencingToken, JobDetails, JobHeartbeatAnswer, JobMasterGateway,
    JobResourceRequirements, JobResult, JobStatus, OccupiedSlot, PeerAddress,
    ResourceManagerGateway, RpcError, RpcResult, SlotId, SlotOffer, SlotReport,
    TaskDeploymentDescriptor, TaskExecutorGateway, TaskExecutorOverview, TaskExecutorRegistration,
    TaskStateUpdate,
};
use hurtig_graph::ProgramReference;
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_minicluster::{Caller, Links};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointException, CheckpointId, CheckpointMetrics,
    ExecutionAttemptId, JobId, OperatorId, ResourceId, SavepointFormat, TaskStateSnapshot,
    TerminateKind,
};
use parking_lot::Mutex;

use crate::{faults::Step, world::World};

/// How long a caller waits for an answer that does not come.
const TIMEOUT_MS: u64 = 500;

/// JobMasters as they are, without the wire that the ResourceManager has to them.
type JobMasters = Arc<Mutex<BTreeMap<(JobId, FencingToken), Arc<dyn JobMasterGateway>>>>;

/// The control plane of a world.
pub struct SimLinks {
    world: World,
    job_masters: JobMasters,
}

impl SimLinks {
    /// The control plane of that world.
    pub fn new(world: World) -> Self {
        Self { world, job_masters: JobMasters::default() }
    }
}

impl Links for SimLinks {
    fn resource_manager(
        &self,
        caller: Caller,
        inner: Arc<dyn ResourceManagerGateway>,
    ) -> Arc<dyn ResourceManagerGateway> {
        let from = match caller {
            Caller::Dispatcher => "Dispatcher".to_owned(),
            Caller::JobMaster(_) => "JobMaster".to_owned(),
            Caller::TaskExecutor(resource) => short(resource),
        };
        let (world, job_masters) = (self.world.clone(), self.job_masters.clone());
        Arc::new(Wired { wire: Wire { world, job_masters, from, to: "RM".to_owned() }, inner })
    }
}

fn short(resource: ResourceId) -> String {
    format!("TE{}", resource.0 as u64)
}

/// An attempt as traces name it.
fn named(attempt: ExecutionAttemptId) -> String {
    format!("{:04x}/{}#{}", attempt.vertex.0 as u16, attempt.subtask, attempt.attempt)
}

/// One direction between two roles.
#[derive(Clone)]
struct Wire {
    world: World,
    job_masters: JobMasters,
    from: String,
    to: String,
}

impl Wire {
    fn to(&self, from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), ..self.clone() }
    }

    /// A call at a step of a protocol.
    async fn step<T>(
        &self,
        step: Step,
        what: impl fmt::Display,
        call: impl Future<Output = RpcResult<T>>,
    ) -> RpcResult<T> {
        if self.world.pass(step, format_args!("{}->{} {what}", self.from, self.to)) {
            tokio::task::yield_now().await;
        }
        self.call(call).await
    }

    /// A call that is no step, but part of the trace.
    async fn noted<T>(
        &self,
        what: impl fmt::Display,
        call: impl Future<Output = RpcResult<T>>,
    ) -> RpcResult<T> {
        self.world.note(format_args!("{}->{} {what}", self.from, self.to));
        self.call(call).await
    }

    async fn call<T>(&self, call: impl Future<Output = RpcResult<T>>) -> RpcResult<T> {
        let fate = self.world.fate_of_call();
        if fate.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fate.delay_ms)).await;
        }
        if fate.lost {
            self.world.note(format_args!("{}->{} lost", self.from, self.to));
            return self.time_out().await;
        }
        let answer = call.await;
        if fate.unanswered {
            self.world.note(format_args!("{}->{} unanswered", self.from, self.to));
            return self.time_out().await;
        }
        answer
    }

    async fn time_out<T>(&self) -> RpcResult<T> {
        tokio::time::sleep(Duration::from_millis(TIMEOUT_MS)).await;
        Err(RpcError::Timeout(TIMEOUT_MS))
    }
}

struct Wired<G: ?Sized> {
    wire: Wire,
    inner: Arc<G>,
}

#[async_trait]
impl ResourceManagerGateway for Wired<dyn ResourceManagerGateway> {
    async fn register_task_executor(
        &self,
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> RpcResult<()> {
        let wire = self.wire.to("RM", &short(registration.resource));
        let gateway = Arc::new(Wired { wire, inner: gateway });
        self.wire.noted("register", self.inner.register_task_executor(registration, gateway)).await
    }

    async fn heartbeat_from_task_executor(
        &self,
        resource: ResourceId,
        slots: SlotReport,
    ) -> RpcResult<()> {
        self.wire.call(self.inner.heartbeat_from_task_executor(resource, slots)).await
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        self.wire.noted("disconnect", self.inner.disconnect_task_executor(resource, reason)).await
    }

    async fn notify_slot_available(&self, slot: SlotId, allocation: AllocationId) -> RpcResult<()> {
        let what = format!("slot {} free", slot.index);
        self.wire.noted(what, self.inner.notify_slot_available(slot, allocation)).await
    }

    async fn register_job_master(
        &self,
        job: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.wire.job_masters.lock().insert((job, token), gateway.clone());
        let wire = self.wire.to("RM", "JobMaster");
        let gateway = Arc::new(Wired { wire, inner: gateway });
        self.wire.noted("register job", self.inner.register_job_master(job, token, gateway)).await
    }

    async fn disconnect_job_master(&self, job: JobId, token: FencingToken) -> RpcResult<()> {
        self.wire.noted("disconnect job", self.inner.disconnect_job_master(job, token)).await
    }

    async fn declare_required_slots(
        &self,
        job: JobId,
        token: FencingToken,
        slots: u32,
    ) -> RpcResult<()> {
        let what = format!("requires {slots} slots");
        self.wire.noted(what, self.inner.declare_required_slots(job, token, slots)).await
    }

    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>> {
        self.inner.task_executors().await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        self.inner.query_metrics(query).await
    }
}

#[async_trait]
impl TaskExecutorGateway for Wired<dyn TaskExecutorGateway> {
    async fn request_slot(
        &self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        // From here on the TaskExecutor speaks with the JobMaster itself.
        let wire = self.wire.to(&short(slot.resource), "JobMaster");
        let known = self.wire.job_masters.lock().get(&(job, token)).cloned();
        let job_master = Arc::new(Wired { wire, inner: known.unwrap_or(job_master) });
        let call = self.inner.request_slot(slot, job, allocation, token, job_master);
        let what = format!("request slot {}", slot.index);
        self.wire.noted(what, call).await
    }

    async fn job_master_changed(
        &self,
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        let wire = self.wire.to(&self.wire.to, "JobMaster");
        let known = self.wire.job_masters.lock().get(&(job, token)).cloned();
        let job_master = Arc::new(Wired { wire, inner: known.unwrap_or(job_master) });
        let call = self.inner.job_master_changed(job, token, job_master);
        self.wire.noted("job master changed", call).await
    }

    async fn free_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.wire.noted("free slot", self.inner.free_slot(allocation, reason)).await
    }

    async fn submit_task(
        &self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()> {
        let what = named(deployment.attempt);
        self.wire.step(Step::Deploy, what, self.inner.submit_task(deployment, token)).await
    }

    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.wire.step(Step::Cancel, named(attempt), self.inner.cancel_task(attempt)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        let call = self.inner.send_operator_event(attempt, operator, event);
        self.wire.step(Step::OperatorEvent, named(attempt), call).await
    }

    async fn trigger_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        barrier: CheckpointBarrier,
    ) -> RpcResult<()> {
        let what = format!("{} {}", barrier.checkpoint_id, named(attempt));
        self.wire.step(Step::Trigger, what, self.inner.trigger_checkpoint(attempt, barrier)).await
    }

    async fn notify_checkpoint_complete(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let what = format!("{checkpoint} {}", named(attempt));
        let call = self.inner.notify_checkpoint_complete(attempt, checkpoint);
        self.wire.step(Step::Complete, what, call).await
    }

    async fn notify_checkpoint_aborted(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let what = format!("{checkpoint} {}", named(attempt));
        let call = self.inner.notify_checkpoint_aborted(attempt, checkpoint);
        self.wire.step(Step::Aborted, what, call).await
    }

    async fn heartbeat_from_resource_manager(&self) -> RpcResult<()> {
        self.wire.call(self.inner.heartbeat_from_resource_manager()).await
    }

    async fn heartbeat_from_job_master(
        &self,
        job: JobId,
        slots: Vec<AllocationId>,
    ) -> RpcResult<JobHeartbeatAnswer> {
        self.wire.call(self.inner.heartbeat_from_job_master(job, slots)).await
    }

    async fn disconnect_job_master(&self, job: JobId, reason: String) -> RpcResult<()> {
        self.wire.noted("disconnect job", self.inner.disconnect_job_master(job, reason)).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        self.inner.query_metrics(query).await
    }
}

#[async_trait]
impl JobMasterGateway for Wired<dyn JobMasterGateway> {
    async fn offer_slots(
        &self,
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> RpcResult<Vec<AllocationId>> {
        let wire = self.wire.to("JobMaster", &short(resource));
        let gateway = Arc::new(Wired { wire, inner: gateway });
        let what = format!("{} slots", slots.len());
        let call = self.inner.offer_slots(resource, data_address, gateway, slots);
        self.wire.step(Step::OfferSlot, what, call).await
    }

    async fn offer_occupied_slots(
        &self,
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
    ) -> RpcResult<Vec<AllocationId>> {
        let wire = self.wire.to("JobMaster", &short(resource));
        let gateway = Arc::new(Wired { wire, inner: gateway });
        let tasks: usize = slots.iter().map(|slot| slot.tasks.len()).sum();
        let what = format!("{} slots with {tasks} tasks", slots.len());
        let call = self.inner.offer_occupied_slots(resource, data_address, gateway, slots);
        self.wire.step(Step::OfferSlot, what, call).await
    }

    async fn update_task_state(&self, update: TaskStateUpdate) -> RpcResult<()> {
        let reason = update.failure.as_ref().map_or("", |failure| failure.message.as_str());
        if reason.contains("panicked") && !reason.contains("injected") {
            // A restart hides it: who looks at the output alone does not see it.
            self.wire.world.violation(format_args!("{}: {reason}", named(update.attempt)));
        }
        let what = format!("{} {:?} {reason}", named(update.attempt), update.state);
        self.wire.step(Step::TaskState, what, self.inner.update_task_state(update)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        let call = self.inner.send_operator_event(attempt, operator, event);
        self.wire.step(Step::OperatorEvent, named(attempt), call).await
    }

    async fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> RpcResult<()> {
        let what = format!("{checkpoint} {}", named(attempt));
        let call = self.inner.acknowledge_checkpoint(attempt, checkpoint, snapshot, metrics);
        self.wire.step(Step::Acknowledge, what, call).await
    }

    async fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> RpcResult<()> {
        let what = format!("{checkpoint} {} {reason}", named(attempt));
        let call = self.inner.decline_checkpoint(attempt, checkpoint, reason);
        self.wire.step(Step::Decline, what, call).await
    }

    async fn trigger_checkpoint(&self, full: bool) -> RpcResult<String> {
        self.inner.trigger_checkpoint(full).await
    }

    async fn trigger_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.inner.trigger_savepoint(directory, format).await
    }

    async fn stop_with_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.inner.stop_with_savepoint(directory, format, kind).await
    }

    async fn checkpoint_stats(&self) -> RpcResult<CheckpointStatsSnapshot> {
        self.inner.checkpoint_stats().await
    }

    async fn fail_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.wire.noted("fail slot", self.inner.fail_slot(allocation, reason)).await
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        let what = format!("lost {}: {reason}", short(resource));
        self.wire.noted(what, self.inner.disconnect_task_executor(resource, reason)).await
    }

    async fn task_host_failed(&self, resource: ResourceId, reason: String) -> RpcResult<()> {
        self.wire.noted("task host failed", self.inner.task_host_failed(resource, reason)).await
    }

    async fn notify_not_enough_slots(&self, available: u32) -> RpcResult<()> {
        self.wire.call(self.inner.notify_not_enough_slots(available)).await
    }

    async fn program(&self) -> RpcResult<Option<ProgramReference>> {
        self.inner.program().await
    }

    async fn resource_requirements(&self) -> RpcResult<JobResourceRequirements> {
        self.inner.resource_requirements().await
    }

    async fn update_resource_requirements(
        &self,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.inner.update_resource_requirements(requirements).await
    }

    async fn cancel(&self) -> RpcResult<()> {
        self.inner.cancel().await
    }

    async fn status(&self) -> RpcResult<JobStatus> {
        self.inner.status().await
    }

    async fn details(&self) -> RpcResult<JobDetails> {
        self.inner.details().await
    }

    async fn accumulators(&self) -> RpcResult<BTreeMap<String, hurtig_metrics::AccumulatorValue>> {
        self.inner.accumulators().await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        self.inner.query_metrics(query).await
    }

    async fn result(&self) -> RpcResult<JobResult> {
        self.inner.result().await
    }

    async fn coordination_request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.inner.coordination_request(operator, request).await
    }
}
