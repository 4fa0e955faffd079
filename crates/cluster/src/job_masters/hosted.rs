//! The gateway of a JobMaster in a host: calls lead there while it lives, and what clients may ask
//! of a job that has ended is answered here.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, JobDetails, JobMasterGateway, JobResourceRequirements, JobResult,
    JobStatus, OccupiedSlot, Peer, PeerAddress, RpcError, RpcResult, SlotOffer,
    TaskExecutorGateway, TaskStateUpdate,
};
use hurtig_env::{Runtimes, Signal};
use hurtig_graph::ProgramReference;
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_rpc::Export;
use hurtig_types::{
    AllocationId, CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId,
    OperatorId, ResourceId, SavepointFormat, TaskStateSnapshot, TerminateKind,
};
use tokio::sync::{Semaphore, watch};

use crate::host_start::{END_GRACE, Host, describe};

/// Calls that may be under way; further ones wait.
const CALLS: u32 = 10_000;

/// What is known of a job that has ended.
struct JobEnd {
    result: JobResult,
    details: JobDetails,
    checkpoints: CheckpointStatsSnapshot,
}

/// How it ended: with a result, or without, and why.
type End = Result<Arc<JobEnd>, String>;

pub(crate) struct HostedJobMaster {
    gateway: Arc<dyn JobMasterGateway>,
    end: watch::Receiver<Option<End>>,
    /// The host is gone.
    gone: watch::Receiver<bool>,
    calls: Arc<Semaphore>,
    killed: Signal,
}

async fn fetch(gateway: &dyn JobMasterGateway) -> RpcResult<JobEnd> {
    Ok(JobEnd {
        result: gateway.result().await?,
        details: gateway.details().await?,
        checkpoints: gateway.checkpoint_stats().await?,
    })
}

impl HostedJobMaster {
    pub(crate) fn new(
        gateway: Arc<dyn JobMasterGateway>,
        (host, register): (Host, Export),
        runtimes: &Runtimes,
    ) -> Arc<Self> {
        let (ended, end) = watch::channel(None);
        let (going, gone) = watch::channel(false);
        let calls = Arc::new(Semaphore::new(CALLS as usize));
        let killed = Signal::new();
        let (watched, under_way, asked) = (gateway.clone(), calls.clone(), killed.clone());
        runtimes.control.spawn(async move {
            let exited = host.process.exited();
            tokio::pin!(exited);
            let fetched = tokio::select! {
                biased;
                fetched = fetch(&*watched) => fetched.map_err(|error| error.to_string()),
                exit = &mut exited => Err(describe(&exit)),
                () = asked.wait() => Err("another takes its place".to_owned()),
            };
            match fetched {
                Ok(end) => {
                    ended.send_replace(Some(Ok(Arc::new(end))));
                    // Calls that were made before may still be answered.
                    let _ = tokio::time::timeout(END_GRACE, under_way.acquire_many(CALLS)).await;
                    host.process.hang_up(END_GRACE);
                }
                Err(reason) => {
                    // If it lives it is of no use without its connection.
                    host.process.kill().await;
                    let exit = host.process.exited().await;
                    let reason = match exit.last_words.is_empty() {
                        true => format!("{reason} ({})", exit.reason),
                        false => format!("{reason} ({})", describe(&exit)),
                    };
                    ended.send_replace(Some(Err(reason)));
                }
            }
            host.process.exited().await;
            drop(register);
            going.send_replace(true);
        });
        Arc::new(Self { gateway, end, gone, calls, killed })
    }

    /// Ends the host, unless the job has ended already.
    pub(crate) fn kill(&self) {
        self.killed.post();
    }

    fn known_end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    /// Waits until the host is gone.
    pub(crate) async fn until_ended(&self) {
        // Without the task that watches, the cluster has ended.
        let _ = self.gone.clone().wait_for(|gone| *gone).await;
    }

    fn without_result(reason: String) -> RpcError {
        let reason = format!("its host has ended: {reason}");
        RpcError::Unreachable { role: "JobMaster", reason }
    }

    /// Calls the JobMaster, unless its host has ended.
    async fn call<T>(&self, call: impl Future<Output = RpcResult<T>>) -> RpcResult<T> {
        match self.known_end() {
            None => {}
            Some(Ok(_)) => return Err(Self::without_result("the job is over".to_owned())),
            Some(Err(reason)) => return Err(Self::without_result(reason)),
        }
        // The semaphore is never closed.
        let _under_way = self.calls.acquire().await;
        call.await
    }

    /// What the JobMaster says, or what is known of the job's end.
    async fn ask<T>(
        &self,
        call: impl Future<Output = RpcResult<T>>,
        of_end: impl Fn(&JobEnd) -> T,
    ) -> RpcResult<T> {
        if let Some(Ok(end)) = self.known_end() {
            return Ok(of_end(&end));
        }
        match self.call(call).await {
            // It may have ended meanwhile.
            Err(error) => match self.known_end() {
                Some(Ok(end)) => Ok(of_end(&end)),
                _ => Err(error),
            },
            answer => answer,
        }
    }
}

#[async_trait]
impl JobMasterGateway for HostedJobMaster {
    /// Gone when the host has ended without a result.
    fn peer(&self) -> Peer {
        let mut end = self.end.clone();
        super::peer(async move {
            let lost = |end: &Option<End>| matches!(end, Some(Err(_)));
            if end.wait_for(lost).await.is_err() {
                // It has ended well, and this process answers for it.
                std::future::pending::<()>().await;
            }
        })
    }

    async fn offer_slots(
        &self,
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> RpcResult<Vec<AllocationId>> {
        self.call(self.gateway.offer_slots(resource, data_address, gateway, slots)).await
    }

    async fn offer_occupied_slots(
        &self,
        resource: ResourceId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
    ) -> RpcResult<Vec<AllocationId>> {
        self.call(self.gateway.offer_occupied_slots(resource, data_address, gateway, slots)).await
    }

    async fn update_task_state(&self, update: TaskStateUpdate) -> RpcResult<()> {
        self.call(self.gateway.update_task_state(update)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.call(self.gateway.send_operator_event(attempt, operator, event)).await
    }

    async fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> RpcResult<()> {
        let call = self.gateway.acknowledge_checkpoint(attempt, checkpoint, snapshot, metrics);
        self.call(call).await
    }

    async fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> RpcResult<()> {
        self.call(self.gateway.decline_checkpoint(attempt, checkpoint, reason)).await
    }

    async fn trigger_checkpoint(&self, full: bool) -> RpcResult<String> {
        self.call(self.gateway.trigger_checkpoint(full)).await
    }

    async fn trigger_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.call(self.gateway.trigger_savepoint(directory, format)).await
    }

    async fn stop_with_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.call(self.gateway.stop_with_savepoint(directory, format, kind)).await
    }

    async fn checkpoint_stats(&self) -> RpcResult<CheckpointStatsSnapshot> {
        self.ask(self.gateway.checkpoint_stats(), |end| end.checkpoints.clone()).await
    }

    async fn fail_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.call(self.gateway.fail_slot(allocation, reason)).await
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        self.call(self.gateway.disconnect_task_executor(resource, reason)).await
    }

    async fn task_host_failed(&self, resource: ResourceId, reason: String) -> RpcResult<()> {
        self.call(self.gateway.task_host_failed(resource, reason)).await
    }

    async fn notify_not_enough_slots(&self, available: u32) -> RpcResult<()> {
        self.call(self.gateway.notify_not_enough_slots(available)).await
    }

    async fn program(&self) -> RpcResult<Option<ProgramReference>> {
        let of_end = |end: &JobEnd| end.details.graph.config.program.clone();
        self.ask(self.gateway.program(), of_end).await
    }

    async fn resource_requirements(&self) -> RpcResult<JobResourceRequirements> {
        self.call(self.gateway.resource_requirements()).await
    }

    async fn update_resource_requirements(
        &self,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.call(self.gateway.update_resource_requirements(requirements)).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        // A job that has ended has none any more.
        self.ask(self.gateway.query_metrics(query), |_| MetricsSnapshot::default()).await
    }

    async fn cancel(&self) -> RpcResult<()> {
        // Of one that has ended there is nothing left to cancel.
        self.ask(self.gateway.cancel(), |_| ()).await
    }

    async fn status(&self) -> RpcResult<JobStatus> {
        self.ask(self.gateway.status(), |end| end.result.status).await
    }

    async fn details(&self) -> RpcResult<JobDetails> {
        self.ask(self.gateway.details(), |end| end.details.clone()).await
    }

    async fn accumulators(&self) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
        self.ask(self.gateway.accumulators(), |end| end.result.accumulators.clone()).await
    }

    async fn result(&self) -> RpcResult<JobResult> {
        let mut end = self.end.clone();
        let end = end.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        match end {
            Some(Ok(end)) => Ok(end.result.clone()),
            Some(Err(reason)) => Err(Self::without_result(reason)),
            None => Err(Self::without_result("the cluster ends".to_owned())),
        }
    }

    async fn coordination_request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.call(self.gateway.coordination_request(operator, request)).await
    }
}
