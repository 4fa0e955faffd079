//! The way to a JobMaster: its gateway, which answers for the job's result also after the actor has
//! ended.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, JobDetails, JobMasterGateway, JobResourceRequirements, JobResult,
    JobStatus, Mailbox, OccupiedSlot, Peer, PeerAddress, RpcError, RpcResult, SlotOffer,
    TaskExecutorGateway, TaskStateUpdate,
};
use hurtig_graph::ProgramReference;
use hurtig_metrics::{AccumulatorValue, MetricGroup, MetricsQuery, MetricsSnapshot, ScopeKind};
use hurtig_types::{
    AllocationId, CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId, JobId,
    OperatorId, ResourceId, SavepointFormat, TaskStateSnapshot, TerminateKind,
};
use tokio::{sync::watch, task::AbortHandle};

use crate::actor::Message;

/// What is known of a job that has ended.
pub(crate) struct JobEnd {
    pub(crate) result: JobResult,
    pub(crate) details: JobDetails,
    pub(crate) checkpoints: CheckpointStatsSnapshot,
}

/// The way to a JobMaster; it answers for the job's result also after the actor has ended.
#[derive(Clone)]
pub struct JobMasterHandle {
    pub(crate) program: Option<Arc<ProgramReference>>,
    pub(crate) job: JobId,
    pub(crate) metrics: MetricGroup,
    pub(crate) mailbox: Mailbox<Message>,
    pub(crate) status: watch::Receiver<JobStatus>,
    pub(crate) ended: watch::Receiver<Option<Arc<JobEnd>>>,
    pub(crate) actor: Arc<OnceLock<AbortHandle>>,
}

fn no_result() -> RpcError {
    RpcError::Unreachable { role: "JobMaster", reason: "it has ended without a result".to_owned() }
}

impl JobMasterHandle {
    /// Ends the JobMaster at once, as if its process had gone. The job's tasks run on.
    pub fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.abort();
        }
    }
}

#[async_trait]
impl JobMasterGateway for JobMasterHandle {
    fn peer(&self) -> Peer {
        self.mailbox.peer()
    }

    async fn offer_slots(
        &self,
        resource: ResourceId,
        address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> RpcResult<Vec<AllocationId>> {
        self.mailbox.ask(|reply| Message::Offer { resource, address, gateway, slots, reply }).await
    }

    async fn offer_occupied_slots(
        &self,
        resource: ResourceId,
        address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
    ) -> RpcResult<Vec<AllocationId>> {
        self.mailbox
            .ask(|reply| Message::OfferOccupied { resource, address, gateway, slots, reply })
            .await
    }

    async fn update_task_state(&self, update: TaskStateUpdate) -> RpcResult<()> {
        self.mailbox.tell(Message::TaskState(update)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::OperatorEvent(attempt, operator, event)).await
    }

    async fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> RpcResult<()> {
        let snapshot = Box::new(snapshot);
        self.mailbox.tell(Message::Acknowledge(attempt, checkpoint, snapshot, metrics)).await
    }

    async fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Decline(attempt, checkpoint, reason)).await
    }

    async fn trigger_checkpoint(&self, full: bool) -> RpcResult<String> {
        self.mailbox.ask(|reply| Message::TriggerCheckpoint(full, reply)).await?
    }

    async fn stop_with_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.mailbox.ask(|reply| Message::StopWithSavepoint(directory, format, kind, reply)).await?
    }

    async fn trigger_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.mailbox.ask(|reply| Message::TriggerSavepoint(directory, format, reply)).await?
    }

    async fn checkpoint_stats(&self) -> RpcResult<CheckpointStatsSnapshot> {
        let answer = self.mailbox.ask(Message::CheckpointStats).await;
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.checkpoints.clone()),
            None => Err(error),
        })
    }

    async fn fail_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::SlotFailed(allocation, reason)).await
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::ExecutorLost(resource, reason)).await
    }

    async fn task_host_failed(&self, resource: ResourceId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::HostFailed(resource, reason)).await
    }

    async fn notify_not_enough_slots(&self, available: u32) -> RpcResult<()> {
        self.mailbox.tell(Message::NotEnoughSlots(available)).await
    }

    async fn resource_requirements(&self) -> RpcResult<JobResourceRequirements> {
        self.mailbox.ask(Message::Requirements).await?
    }

    async fn update_resource_requirements(
        &self,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::UpdateRequirements(requirements, reply)).await?
    }

    async fn program(&self) -> RpcResult<Option<ProgramReference>> {
        Ok(self.program.as_deref().cloned())
    }

    async fn cancel(&self) -> RpcResult<()> {
        match self.mailbox.tell(Message::Cancel).await {
            // It has ended: there is nothing left to cancel.
            Err(RpcError::Unreachable { .. }) if self.ended.borrow().is_some() => Ok(()),
            other => other,
        }
    }

    async fn status(&self) -> RpcResult<JobStatus> {
        if self.ended.has_changed().is_err() && self.ended.borrow().is_none() {
            return Err(no_result());
        }
        Ok(*self.status.borrow())
    }

    async fn details(&self) -> RpcResult<JobDetails> {
        let answer = self.mailbox.ask(Message::Details).await;
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.details.clone()),
            None => Err(error),
        })
    }

    async fn accumulators(&self) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
        let answer = self.mailbox.ask(Message::Accumulators).await.map(|a| a.0);
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.result.accumulators.clone()),
            None => Err(error),
        })
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        let of_jobs = [ScopeKind::JobManagerJob, ScopeKind::JobManagerOperator];
        let query = query.with("job_id", self.job).restricted_to(&of_jobs);
        Ok(query.map(|query| self.metrics.registry().snapshot(&query)).unwrap_or_default())
    }

    async fn result(&self) -> RpcResult<JobResult> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        let end = end.ok().and_then(|end| end.clone());
        end.map(|end| end.result.clone()).ok_or_else(no_result)
    }

    async fn coordination_request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.mailbox.ask(|reply| Message::Request(operator, request, reply)).await?
    }
}
