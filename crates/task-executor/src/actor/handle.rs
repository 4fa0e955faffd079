//! The way to a TaskExecutor.

use std::sync::Arc;

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointNews, FencingToken, JobHeartbeatAnswer, JobMasterGateway, Mailbox, Peer, RpcResult,
    SlotId, TaskDeploymentDescriptor, TaskExecutorGateway,
};
use hurtig_metrics::{MetricGroup, MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
    ResourceId,
};
use tokio::sync::watch;

use super::{Envelope, Message, Speaker};
use crate::host::{Reply, TaskHostProvider};

/// The way to a TaskExecutor.
#[derive(Clone)]
pub struct TaskExecutorHandle {
    pub(super) resource: ResourceId,
    pub(super) mailbox: Mailbox<Envelope>,
    pub(super) speaker: Speaker,
    /// Of a leader's way here: ends when the leader is neither followed nor heard of.
    pub(super) open: Option<watch::Receiver<()>>,
    /// Turns true when no ResourceManager is hoped for any more.
    pub(super) gave_up: watch::Receiver<bool>,
    pub(super) metrics: MetricGroup,
    pub(super) hosts: Arc<dyn TaskHostProvider>,
}

impl TaskExecutorHandle {
    async fn tell(&self, message: Message) -> RpcResult<()> {
        self.mailbox.tell((self.speaker, message)).await
    }

    async fn ask<R>(&self, message: impl FnOnce(Reply<R>) -> Message) -> RpcResult<R> {
        self.mailbox.ask(|reply| (self.speaker, message(reply))).await?
    }

    /// Its id.
    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    /// Its group of metrics.
    pub fn metric_group(&self) -> &MetricGroup {
        &self.metrics
    }

    /// Returns when no ResourceManager has answered for `taskmanager.registration.timeout`. Its
    /// process is to end then; until it does, the TaskExecutor goes on trying.
    pub async fn gave_up(&self) {
        let mut gave_up = self.gave_up.clone();
        if gave_up.wait_for(|gave_up| *gave_up).await.is_err() {
            // It has ended before, which is no giving up.
            std::future::pending::<()>().await;
        }
    }

    /// Ends it: tasks are cancelled, connections closed. Others are not told; they find out.
    pub async fn shutdown(&self) {
        // One that has ended already needs no more.
        let _ = self.mailbox.ask(|done| (self.speaker, Message::Shutdown(done))).await;
    }
}

#[async_trait]
impl TaskExecutorGateway for TaskExecutorHandle {
    fn peer(&self) -> Peer {
        let peer = self.mailbox.peer();
        let Some(mut open) = self.open.clone() else { return peer };
        let identity = peer.identity().clone();
        Peer::new(identity, async move {
            tokio::select! {
                biased;
                () = peer.gone() => {}
                // Nothing is ever sent, so it ends with the line.
                _ = open.changed() => {}
            }
        })
    }

    async fn request_slot(
        &self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::RequestSlot(slot, job, allocation, token, job_master, reply))
            .await
    }

    async fn job_master_changed(
        &self,
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::JobMasterChanged(job, token, job_master, reply)).await
    }

    async fn free_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.tell(Message::FreeSlot(allocation, reason)).await
    }

    async fn submit_task(
        &self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::Submit(Box::new(deployment), token, reply)).await
    }

    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.tell(Message::Cancel(attempt)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.tell(Message::Event(attempt, operator, event)).await
    }

    async fn trigger_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        barrier: CheckpointBarrier,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Trigger(barrier);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_complete(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Complete(checkpoint);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_aborted(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Aborted(checkpoint);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn heartbeat_from_resource_manager(&self) -> RpcResult<()> {
        self.ask(Message::Ping).await
    }

    async fn heartbeat_from_job_master(
        &self,
        job: JobId,
        slots: Vec<AllocationId>,
    ) -> RpcResult<JobHeartbeatAnswer> {
        self.ask(|reply| Message::Heartbeat(job, slots, reply)).await
    }

    async fn disconnect_job_master(&self, job: JobId, reason: String) -> RpcResult<()> {
        self.tell(Message::DisconnectJob(job, reason)).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        // The registry may be shared with others of this process.
        let own = query.with("tm_id", self.resource);
        let mut snapshot = self.metrics.registry().snapshot(&own);
        snapshot.merge(self.hosts.query_metrics(own).await);
        Ok(snapshot)
    }
}
