//! The Dispatcher: receives jobs, has their JobMasters started, and remembers how they ended.
//!
//! It knows jobs only through `JobMasterGateway`, and starts them through `JobMasterLauncher`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, DispatcherGateway, Inbox, JobDetails, JobMasterGateway,
    JobMasterLauncher, JobOverview, JobResourceRequirements, JobResult, JobStatus, Mailbox, Peer,
    ResourceManagerGateway, RpcError, RpcResult, TaskExecutorOverview, gather_metrics,
};
use hurtig_env::Runtimes;
use hurtig_graph::JobGraph;
use hurtig_metrics::{
    AccumulatorValue, Gauge, MetricGroup, MetricsQuery, MetricsSnapshot, ScopeKind,
    names::NUM_RUNNING_JOBS,
};
use hurtig_types::{JobId, OperatorId, SavepointFormat, TerminateKind};
use tokio::sync::oneshot;

/// Most ended jobs that are remembered; the oldest are forgotten first.
const REMEMBERED_JOBS: usize = 256;

enum Message {
    Submit(Box<JobGraph>, oneshot::Sender<RpcResult<()>>),
    Launched(JobId, RpcResult<Arc<dyn JobMasterGateway>>, oneshot::Sender<RpcResult<()>>),
    Ended(JobId),
    Job(JobId, oneshot::Sender<Option<Arc<dyn JobMasterGateway>>>),
    All(oneshot::Sender<Vec<Arc<dyn JobMasterGateway>>>),
    Running(oneshot::Sender<Vec<(JobId, Arc<dyn JobMasterGateway>)>>),
}

enum Job {
    Starting,
    Started(Arc<dyn JobMasterGateway>),
}

/// The actor.
pub struct Dispatcher {
    jobs: BTreeMap<JobId, Job>,
    ended: VecDeque<JobId>,
    launcher: Arc<dyn JobMasterLauncher>,
    mailbox: Mailbox<Message>,
    runtimes: Runtimes,
    running: Gauge,
}

/// The way to the Dispatcher.
#[derive(Clone)]
pub struct DispatcherHandle {
    mailbox: Mailbox<Message>,
    /// Jobs that have not ended.
    running: Gauge,
    metrics: Option<MetricGroup>,
    resource_manager: Arc<dyn ResourceManagerGateway>,
}

impl Dispatcher {
    /// Starts the actor.
    pub fn start(
        launcher: Arc<dyn JobMasterLauncher>,
        resource_manager: Arc<dyn ResourceManagerGateway>,
        runtimes: &Runtimes,
    ) -> DispatcherHandle {
        let (mailbox, inbox) = Mailbox::new("Dispatcher");
        let dispatcher = Self {
            jobs: BTreeMap::new(),
            ended: VecDeque::new(),
            launcher,
            mailbox: mailbox.clone(),
            runtimes: runtimes.clone(),
            running: Gauge::default(),
        };
        let running = dispatcher.running.clone();
        runtimes.control.spawn(dispatcher.run(inbox));
        DispatcherHandle { mailbox, running, metrics: None, resource_manager }
    }

    async fn run(mut self, mut inbox: Inbox<Message>) {
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Submit(graph, reply) => self.submit(*graph, reply),
                Message::Launched(job, launched, reply) => {
                    let answer = launched.map(|gateway| {
                        self.jobs.insert(job, Job::Started(gateway.clone()));
                        self.watch(job, gateway);
                    });
                    if answer.is_err() {
                        self.jobs.remove(&job);
                    }
                    // Who asked may have gone; the job runs all the same.
                    let _ = reply.send(answer);
                }
                Message::Ended(job) => {
                    self.ended.push_back(job);
                    if self.ended.len() > REMEMBERED_JOBS
                        && let Some(oldest) = self.ended.pop_front()
                    {
                        self.jobs.remove(&oldest);
                    }
                }
                Message::Job(job, reply) => {
                    let gateway = match self.jobs.get(&job) {
                        Some(Job::Started(gateway)) => Some(gateway.clone()),
                        Some(Job::Starting) | None => None,
                    };
                    let _ = reply.send(gateway);
                }
                Message::Running(reply) => {
                    let running = self.jobs.iter().filter(|(job, _)| !self.ended.contains(job));
                    let running = running.filter_map(|(job, known)| match known {
                        Job::Started(gateway) => Some((*job, gateway.clone())),
                        Job::Starting => None,
                    });
                    let _ = reply.send(running.collect());
                }
                Message::All(reply) => {
                    let started = self.jobs.values().filter_map(|job| match job {
                        Job::Started(gateway) => Some(gateway.clone()),
                        Job::Starting => None,
                    });
                    let _ = reply.send(started.collect());
                }
            }
            let running = self.jobs.len().saturating_sub(self.ended.len());
            self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        }
    }

    fn submit(&mut self, graph: JobGraph, reply: oneshot::Sender<RpcResult<()>>) {
        let job = graph.job_id;
        if self.jobs.contains_key(&job) {
            let error = RpcError::Rejected(format!("job {job} was submitted before"));
            let _ = reply.send(Err(error));
            return;
        }
        self.jobs.insert(job, Job::Starting);
        let launcher = self.launcher.clone();
        let mailbox = self.mailbox.clone();
        self.runtimes.control.spawn(async move {
            let launched = launcher.launch(graph).await;
            // If this actor has ended, the cluster is shutting down.
            let _ = mailbox.tell(Message::Launched(job, launched, reply)).await;
        });
    }

    /// Waits for the job's end.
    fn watch(&self, job: JobId, gateway: Arc<dyn JobMasterGateway>) {
        let launcher = self.launcher.clone();
        let mailbox = self.mailbox.clone();
        self.runtimes.control.spawn(async move {
            if let Err(error) = gateway.result().await {
                tracing::error!(job_id = %job, %error, "the job has ended without a result");
            }
            launcher.retire(job).await;
            let _ = mailbox.tell(Message::Ended(job)).await;
        });
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

    async fn job(&self, job: JobId) -> RpcResult<Arc<dyn JobMasterGateway>> {
        let gateway = self.mailbox.ask(|reply| Message::Job(job, reply)).await?;
        gateway.ok_or_else(|| RpcError::NotFound(format!("there is no job {job}")))
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
            overviews.push(job.details().await?.overview);
        }
        overviews.sort_by_key(|overview| (overview.start_time_ms, overview.job_id));
        Ok(overviews)
    }

    async fn job_status(&self, job: JobId) -> RpcResult<JobStatus> {
        self.job(job).await?.status().await
    }

    async fn job_details(&self, job: JobId) -> RpcResult<JobDetails> {
        self.job(job).await?.details().await
    }

    async fn cancel_job(&self, job: JobId) -> RpcResult<()> {
        self.job(job).await?.cancel().await
    }

    async fn trigger_checkpoint(&self, job: JobId) -> RpcResult<String> {
        self.job(job).await?.trigger_checkpoint().await
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
        self.job(job).await?.result().await
    }

    async fn accumulators(&self, job: JobId) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
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
