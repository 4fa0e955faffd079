//! The Dispatcher that leads, for clients: calls go to whoever leads at the moment.
//!
//! A call that is lost with its leader is an error, since nobody knows what it has done. Only the
//! submission and the wait for a result are made again with the next leader: both may be repeated.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, DispatcherGateway, JobDetails, JobOverview, JobResourceRequirements,
    JobResult, JobStatus, LeaderReceiver, RpcError, RpcResult, TaskExecutorOverview,
};
use hurtig_dispatcher::DispatcherHandle;
use hurtig_graph::JobGraph;
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_types::{JobId, OperatorId, SavepointFormat, TerminateKind};

use crate::job_manager::Roles;

/// Pause before a call is made again that a leader did not answer.
const RETRY: Duration = Duration::from_millis(200);

/// The way to the Dispatcher that leads. Cloning is cheap.
#[derive(Clone)]
pub struct LeadingDispatcher {
    pub(crate) leaders: LeaderReceiver<Roles>,
}

impl LeadingDispatcher {
    /// The Dispatcher that leads now; waits for one.
    async fn leader(&self) -> RpcResult<DispatcherHandle> {
        let mut leaders = self.leaders.clone();
        let found = leaders.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|leader| leader.clone());
        found
            .map(|leader| leader.gateway.dispatcher.clone())
            .ok_or(RpcError::Unreachable { role: "Dispatcher", reason: "nobody leads".to_owned() })
    }

    /// Waits until there may be another leader; false if there never will be.
    async fn another(&self) -> bool {
        let mut leaders = self.leaders.clone();
        leaders.mark_unchanged();
        match tokio::time::timeout(RETRY, leaders.changed()).await {
            Ok(changed) => changed.is_ok(),
            Err(_) => true,
        }
    }
}

#[async_trait]
impl DispatcherGateway for LeadingDispatcher {
    async fn submit_job(&self, graph: JobGraph) -> RpcResult<()> {
        let mut submitted = self.leader().await?.submit_job(graph.clone()).await;
        while let Err(RpcError::Unreachable { .. }) = submitted
            && self.another().await
        {
            let leader = self.leader().await?;
            submitted = match leader.job_status(graph.job_id).await {
                // The leader that was lost had stored it.
                Ok(_) => Ok(()),
                Err(RpcError::NotFound(_)) => leader.submit_job(graph.clone()).await,
                Err(error) => Err(error),
            };
        }
        submitted
    }

    async fn list_jobs(&self) -> RpcResult<Vec<JobOverview>> {
        self.leader().await?.list_jobs().await
    }

    async fn job_status(&self, job: JobId) -> RpcResult<JobStatus> {
        self.leader().await?.job_status(job).await
    }

    async fn job_details(&self, job: JobId) -> RpcResult<JobDetails> {
        self.leader().await?.job_details(job).await
    }

    async fn cancel_job(&self, job: JobId) -> RpcResult<()> {
        self.leader().await?.cancel_job(job).await
    }

    async fn report_job_client_heartbeat(
        &self,
        job: JobId,
        expired_timestamp_ms: i64,
    ) -> RpcResult<()> {
        self.leader().await?.report_job_client_heartbeat(job, expired_timestamp_ms).await
    }

    async fn trigger_checkpoint(&self, job: JobId, full: bool) -> RpcResult<String> {
        self.leader().await?.trigger_checkpoint(job, full).await
    }

    async fn trigger_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.leader().await?.trigger_savepoint(job, directory, format).await
    }

    async fn stop_with_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.leader().await?.stop_with_savepoint(job, directory, format, kind).await
    }

    async fn checkpoint_stats(&self, job: JobId) -> RpcResult<CheckpointStatsSnapshot> {
        self.leader().await?.checkpoint_stats(job).await
    }

    async fn job_result(&self, job: JobId) -> RpcResult<JobResult> {
        loop {
            match self.leader().await?.job_result(job).await {
                Err(RpcError::Unreachable { .. }) if self.another().await => {}
                result => return result,
            }
        }
    }

    async fn accumulators(&self, job: JobId) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
        self.leader().await?.accumulators(job).await
    }

    async fn coordination_request(
        &self,
        job: JobId,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.leader().await?.coordination_request(job, operator, request).await
    }

    async fn resource_requirements(&self, job: JobId) -> RpcResult<JobResourceRequirements> {
        self.leader().await?.resource_requirements(job).await
    }

    async fn update_resource_requirements(
        &self,
        job: JobId,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.leader().await?.update_resource_requirements(job, requirements).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        self.leader().await?.query_metrics(query).await
    }

    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>> {
        self.leader().await?.task_executors().await
    }
}
