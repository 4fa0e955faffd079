//! The Dispatcher: receives jobs, has their JobMasters started, and remembers how they ended.
//!
//! It knows jobs only through `JobMasterGateway`, and starts them through `JobMasterLauncher`.
//! What is to be done for a job is decided in [`jobs`]; the [`actor`] carries it out, and
//! [`storage`] keeps what must outlive it.
//!
//! # From a job's end to its result
//!
//! 1. The JobMaster says how the job has ended.
//! 2. The result is stored: from then on the job does not run again.
//! 3. Checkpoints that do not outlive the job are deleted, then its records.
//! 4. Those who wait for the result get it.
//!
//! Whatever is lost in between, the next Dispatcher goes on where this one was. It lists the jobs
//! that had ended before, too ([`earlier`]).

mod actor;
mod clients;
mod earlier;
mod jobs;
mod storage;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, DispatcherGateway, FencingToken, JobDetails, JobMasterGateway,
    JobMasterLauncher, JobOverview, JobResourceRequirements, JobResult, JobStatus, Mailbox, Peer,
    ResourceManagerGateway, RpcError, RpcResult, TaskExecutorOverview, gather_metrics,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::JobGraph;
use hurtig_high_availability::HighAvailabilityServices;
use hurtig_metrics::{
    AccumulatorValue, Gauge, MetricGroup, MetricsQuery, MetricsSnapshot, ScopeKind,
    names::NUM_RUNNING_JOBS,
};
use hurtig_types::{JobId, OperatorId, SavepointFormat, TerminateKind};

pub use actor::Dispatcher;
use actor::{Message, View};
pub use jobs::JobStoreOptions;

/// What a Dispatcher works with.
pub struct DispatcherServices {
    /// Starts JobMasters.
    pub launcher: Arc<dyn JobMasterLauncher>,
    /// Where jobs and results are kept.
    pub high_availability: HighAvailabilityServices,
    /// Proof that it leads the cluster.
    pub token: FencingToken,
    /// Which ended jobs are remembered.
    pub job_store: JobStoreOptions,
    /// Executors.
    pub runtimes: Runtimes,
    /// The clock.
    pub clock: Clock,
    /// How often JobMasters are asked whether they are there.
    pub heartbeat_interval: Duration,
    /// A JobMaster that is silent for this long is lost.
    pub heartbeat_timeout: Duration,
}

/// The way to the Dispatcher.
#[derive(Clone)]
pub struct DispatcherHandle {
    mailbox: Mailbox<Message>,
    /// Jobs that have not ended.
    running: Gauge,
    metrics: Option<MetricGroup>,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    actor: tokio::task::AbortHandle,
}

impl Dispatcher {
    /// Starts the actor. It recovers the jobs that earlier leaders have left, before it answers.
    pub fn start(
        services: DispatcherServices,
        resource_manager: Arc<dyn ResourceManagerGateway>,
    ) -> DispatcherHandle {
        let (mailbox, inbox) = Mailbox::new("Dispatcher");
        let control = services.runtimes.control.clone();
        let dispatcher = Self::new(services, mailbox.clone());
        let running = dispatcher.running.clone();
        let actor = control.spawn(dispatcher.run(inbox)).abort_handle();
        DispatcherHandle { mailbox, running, metrics: None, resource_manager, actor }
    }
}

impl DispatcherHandle {
    /// The same, with metrics in the group of a JobManager.
    #[must_use]
    pub fn with_metrics(mut self, group: MetricGroup) -> Self {
        let running = self.running.clone();
        group.computed(NUM_RUNNING_JOBS, move || running.get());
        self.metrics = Some(group);
        self
    }

    /// Waits until the jobs of earlier leaders are recovered.
    pub async fn ready(&self) -> RpcResult<()> {
        self.mailbox.ask(Message::Ready).await
    }

    /// Ends the Dispatcher at once: it leads no more. Its JobMasters are the launcher's to stop.
    pub fn stop(&self) {
        self.actor.abort();
    }

    async fn view(&self, job: JobId) -> RpcResult<View> {
        self.mailbox.ask(|reply| Message::Job(job, reply)).await?
    }

    /// The JobMaster of a job; waits while one is being started.
    async fn job(&self, job: JobId) -> RpcResult<Arc<dyn JobMasterGateway>> {
        match self.mailbox.ask(|reply| Message::JobMaster(job, reply)).await?? {
            View::JobMaster(gateway) => Ok(gateway),
            View::Waiting(..) => Err(RpcError::Unreachable {
                role: "JobMaster",
                reason: format!("that of job {job} is being started"),
            }),
            View::Result(result) => Err(RpcError::NotFound(format!(
                "job {job} has ended as {:?}, and only its result is known",
                result.status
            ))),
        }
    }
}

/// What is known of a job that waits for its JobMaster.
fn waiting(graph: &JobGraph, since_ms: i64) -> JobOverview {
    JobOverview {
        job_id: graph.job_id,
        name: graph.name.clone(),
        status: JobStatus::Initializing,
        start_time_ms: since_ms,
        end_time_ms: None,
        last_modification_ms: since_ms,
        tasks: BTreeMap::new(),
    }
}

#[async_trait]
impl DispatcherGateway for DispatcherHandle {
    fn peer(&self) -> Peer {
        self.mailbox.peer()
    }

    async fn submit_job(&self, graph: JobGraph) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::Submit(Box::new(graph), reply)).await?
    }

    async fn list_jobs(&self) -> RpcResult<Vec<JobOverview>> {
        let jobs = self.mailbox.ask(Message::All).await?;
        let mut overviews = Vec::with_capacity(jobs.len());
        for job in jobs {
            overviews.push(match job {
                View::JobMaster(gateway) => match gateway.details().await {
                    Ok(details) => details.overview,
                    // It has just been lost, and will be there again.
                    Err(_) => continue,
                },
                View::Waiting(graph, since_ms) => waiting(&graph, since_ms),
                View::Result(result) => earlier::overview(&result),
            });
        }
        overviews.sort_by_key(|overview| (overview.start_time_ms, overview.job_id));
        Ok(overviews)
    }

    async fn job_status(&self, job: JobId) -> RpcResult<JobStatus> {
        match self.view(job).await? {
            View::JobMaster(gateway) => gateway.status().await,
            View::Waiting(..) => Ok(JobStatus::Initializing),
            View::Result(result) => Ok(result.status),
        }
    }

    async fn job_details(&self, job: JobId) -> RpcResult<JobDetails> {
        if let View::Result(result) = self.view(job).await? {
            return Ok(earlier::details(&result));
        }
        self.job(job).await?.details().await
    }

    async fn cancel_job(&self, job: JobId) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::Cancel(job, reply)).await?
    }

    async fn report_job_client_heartbeat(
        &self,
        job: JobId,
        expired_timestamp_ms: i64,
    ) -> RpcResult<()> {
        let message = |reply| Message::ClientHeartbeat(job, expired_timestamp_ms, reply);
        self.mailbox.ask(message).await?
    }

    async fn trigger_checkpoint(&self, job: JobId, full: bool) -> RpcResult<String> {
        self.job(job).await?.trigger_checkpoint(full).await
    }

    async fn stop_with_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.job(job).await?.stop_with_savepoint(directory, format, kind).await
    }

    async fn trigger_savepoint(
        &self,
        job: JobId,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.job(job).await?.trigger_savepoint(directory, format).await
    }

    async fn checkpoint_stats(&self, job: JobId) -> RpcResult<CheckpointStatsSnapshot> {
        self.job(job).await?.checkpoint_stats().await
    }

    async fn job_result(&self, job: JobId) -> RpcResult<JobResult> {
        self.mailbox.ask(|reply| Message::Result(job, reply)).await?
    }

    async fn accumulators(&self, job: JobId) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
        if let View::Result(result) = self.view(job).await? {
            return Ok(result.accumulators.clone());
        }
        self.job(job).await?.accumulators().await
    }

    async fn resource_requirements(&self, job: JobId) -> RpcResult<JobResourceRequirements> {
        self.job(job).await?.resource_requirements().await
    }

    async fn update_resource_requirements(
        &self,
        job: JobId,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.job(job).await?.update_resource_requirements(requirements).await
    }

    async fn coordination_request(
        &self,
        job: JobId,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.job(job).await?.coordination_request(operator, request).await
    }

    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>> {
        self.resource_manager.task_executors().await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        let own = query.clone().restricted_to(&[ScopeKind::JobManager]);
        let own = self.metrics.as_ref().zip(own);
        let mut gathered =
            own.map(|(group, own)| group.registry().snapshot(&own)).unwrap_or_default();
        let mut jobs = self.mailbox.ask(Message::Running).await?;
        if let Some(wanted) = query.variable("job_id") {
            jobs.retain(|(job, _)| job.to_string() == wanted);
        }
        let questions = jobs.into_iter().map(|(_, job)| {
            let query = query.clone();
            async move { job.query_metrics(query).await }
        });
        gathered.merge(gather_metrics(questions).await);
        // It has waited for its TaskExecutors no longer than it may.
        gathered.merge(self.resource_manager.query_metrics(query).await?);
        Ok(gathered)
    }
}
