//! Tasks in processes of their own: one host for each job that has slots here.
//!
//! 1. The JobMaster is asked what binary the job has. It is fetched, with the files of the
//!    distributed cache, unless it is here.
//! 2. The host is started, builds its graph and calls back: it is ready. From then on orders go to
//!    it, one after the other; those that were given before have waited.
//! 3. The host ends when it is told to, at the latest when its grace has passed. If it ends before,
//!    or does not get ready in time, it is lost.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hurtig_blob::{BlobCache, CachedBlob};
use hurtig_cluster_api::{
    BlobSource, CheckpointNews, HostId, JobMasterGateway, Leader, METRICS_TIMEOUT, PeerAddress,
    RpcError, RpcResult, TaskDeploymentDescriptor, TaskHostGateway, TaskIoMetrics,
};
use hurtig_env::Runtimes;
use hurtig_graph::ProgramReference;
use hurtig_job_host::{HostRole, TaskRole};
use hurtig_metrics::{MetricsQuery, MetricsSnapshot};
use hurtig_process_host::random_bits;
use hurtig_task_executor::{
    HostListener, HostNews, HostNumber, Reply, StartedHost, TaskHost, TaskHostProvider, TaskStates,
};
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId, OperatorId, ResourceId};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::{
    host_calls::{HostCall, HostLine},
    host_start::{END_GRACE, Host, HostStarter, START_TIMEOUT, describe, new_host_id},
};

/// How often a host is told of a JobMaster before it counts as not told.
const JOB_MASTER_TRIES: u32 = 3;

/// What hosts of one TaskManager are started with.
pub(crate) struct TaskHostOptions {
    pub(crate) resource: ResourceId,
    pub(crate) bind_host: String,
    pub(crate) host_name: Option<String>,
    /// Time between two questions for readings: `heartbeat.interval`.
    pub(crate) readings: Duration,
}

/// Starts hosts as processes.
pub(crate) struct ProcessTaskHosts {
    pub(crate) starter: HostStarter,
    pub(crate) cache: BlobCache,
    pub(crate) blobs: Arc<dyn BlobSource>,
    pub(crate) options: Arc<TaskHostOptions>,
    pub(crate) runtimes: Runtimes,
    pub(crate) ready: ReadyHosts,
}

/// The hosts that can be asked, by number.
pub(crate) type ReadyHosts = Arc<Mutex<BTreeMap<HostNumber, Arc<dyn TaskHostGateway>>>>;

type Readings = Arc<Mutex<Vec<(ExecutionAttemptId, TaskIoMetrics)>>>;

enum Order {
    JobMaster(Leader<dyn JobMasterGateway>, Reply<TaskStates>),
    ForgetJobMaster,
    Submit(Box<TaskDeploymentDescriptor>, Reply<()>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Checkpoint(ExecutionAttemptId, CheckpointNews),
    Release(AllocationId),
}

/// The host of one job, as the TaskExecutor sees it. Dropping it ends the process.
struct ProcessTaskHost {
    /// No bound of its own: what a TaskExecutor is sent has one.
    orders: mpsc::UnboundedSender<Order>,
    readings: Readings,
    /// True: at once. Its end: in order.
    at_once: watch::Sender<bool>,
}

impl ProcessTaskHost {
    fn give(&self, order: Order) {
        // A host that is lost is about to be given up.
        let _ = self.orders.send(order);
    }
}

impl TaskHost for ProcessTaskHost {
    fn set_job_master(&mut self, leader: Leader<dyn JobMasterGateway>, reply: Reply<TaskStates>) {
        self.give(Order::JobMaster(leader, reply));
    }

    fn forget_job_master(&mut self) {
        self.give(Order::ForgetJobMaster);
    }

    fn submit(&mut self, deployment: Box<TaskDeploymentDescriptor>, reply: Reply<()>) {
        self.give(Order::Submit(deployment, reply));
    }

    fn cancel(&mut self, attempt: ExecutionAttemptId) {
        self.give(Order::Cancel(attempt));
    }

    fn deliver_event(&mut self, attempt: ExecutionAttemptId, operator: OperatorId, event: Vec<u8>) {
        self.give(Order::Event(attempt, operator, event));
    }

    fn notify_checkpoint(&mut self, attempt: ExecutionAttemptId, news: CheckpointNews) {
        self.give(Order::Checkpoint(attempt, news));
    }

    fn forget(&mut self, attempt: ExecutionAttemptId) {
        self.readings.lock().retain(|(known, _)| *known != attempt);
    }

    fn io_metrics(&self) -> Vec<(ExecutionAttemptId, TaskIoMetrics)> {
        self.readings.lock().clone()
    }

    fn release_slot(&mut self, allocation: AllocationId) {
        self.give(Order::Release(allocation));
    }

    fn end(self: Box<Self>) {}

    fn abandon(self: Box<Self>) {
        self.at_once.send_replace(true);
    }
}

impl TaskHostProvider for ProcessTaskHosts {
    fn start(
        &self,
        job: JobId,
        number: HostNumber,
        job_master: Leader<dyn JobMasterGateway>,
        listener: HostListener,
    ) -> StartedHost {
        let (orders, given) = mpsc::unbounded_channel();
        let (at_once, ended) = watch::channel(false);
        let readings = Readings::default();
        let starting = Starting {
            job,
            starter: self.starter.clone(),
            cache: self.cache.clone(),
            blobs: self.blobs.clone(),
            options: self.options.clone(),
            job_master,
        };
        let control = self.runtimes.control.clone();
        let (latest, hosts, known) = (readings.clone(), self.ready.clone(), self.ready.clone());
        self.runtimes.control.spawn(async move {
            let told = listener.clone();
            let ready = move |address| told(HostNews::Ready(job, number, address));
            let on_ready = move |address, gateway| {
                hosts.lock().insert(number, gateway);
                ready(address);
            };
            let life = Life { job, listener: listener.clone(), readings: latest, control };
            let lived = life.live(starting, given, ended, on_ready).await;
            known.lock().remove(&number);
            if let Err(reason) = lived {
                listener(HostNews::Lost(job, number, reason));
            }
        });
        let host = ProcessTaskHost { orders, readings, at_once };
        StartedHost { host: Box::new(host), data_address: None }
    }

    fn query_metrics(&self, query: MetricsQuery) -> BoxFuture<'static, MetricsSnapshot> {
        let gateways: Vec<_> = self.ready.lock().values().cloned().collect();
        Box::pin(async move {
            let mut all = MetricsSnapshot::default();
            for gateway in gateways {
                let answer = gateway.query_metrics(query.clone());
                // One that is slow or about to end is left out.
                if let Ok(Ok(one)) = tokio::time::timeout(METRICS_TIMEOUT, answer).await {
                    all.merge(one);
                }
            }
            all
        })
    }

    fn shut_down(&self) {
        // Hosts end with the TaskExecutor's hold on them.
    }
}

/// What it takes to start one host.
struct Starting {
    job: JobId,
    starter: HostStarter,
    cache: BlobCache,
    blobs: Arc<dyn BlobSource>,
    options: Arc<TaskHostOptions>,
    job_master: Leader<dyn JobMasterGateway>,
}

/// A host that can run tasks. Its blobs stay as long as it does.
struct Ready {
    host: Host,
    line: HostLine,
    gateway: Arc<dyn TaskHostGateway>,
    address: PeerAddress,
    _blobs: Vec<CachedBlob>,
}

impl Starting {
    async fn program(&self) -> Result<ProgramReference, String> {
        let asked = self.job_master.gateway.program().await;
        let program = asked.map_err(|error| format!("the job's program is not known: {error}"))?;
        program.ok_or_else(|| "the job has no program that could be started".to_owned())
    }

    async fn start(&self) -> Result<Ready, String> {
        let program = self.program().await?;
        let get = |id| async move {
            let fetched = self.cache.get(id, &*self.blobs).await;
            fetched.map_err(|error| format!("cannot get the job's files: {error}"))
        };
        let binary = get(program.binary).await?;
        let mut cached_files: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut blobs = vec![binary.clone()];
        for (name, file) in &program.files {
            let id = file.blob.ok_or_else(|| format!("the cached file {name:?} has no content"))?;
            let blob = get(id).await?;
            cached_files.insert(name.clone(), blob.path().to_owned());
            blobs.push(blob);
        }
        let host: HostId = new_host_id()?;
        let peer = random_bits().map_err(|error| format!("no random number: {error}"))?;
        let role = TaskRole {
            host,
            parent: self.starter.parent().clone(),
            job: self.job,
            fingerprint: program.fingerprint,
            resource: self.options.resource,
            peer: ResourceId(peer),
            bind_host: self.options.bind_host.clone(),
            host_name: self.options.host_name.clone(),
            cached_files,
        };
        let directory = self.starter.directory(&format!("task-{}", self.job));
        let directory = directory.map_err(|error| format!("no directory for a host: {error}"))?;
        let mut line = self.starter.calls().listen(host);
        let role = HostRole::Task(Box::new(role));
        let (arguments, client) = (&program.arguments, &program.configuration);
        let host = self.starter.start(binary.path(), arguments, client, role, directory).await?;
        loop {
            let said = tokio::select! {
                biased;
                said = line.said.recv() => said,
                exit = host.process.exited() => {
                    return Err(format!("it did not get ready: {}", describe(&exit)));
                }
            };
            match said {
                Some(HostCall::TaskHostReady(address, gateway)) => {
                    return Ok(Ready { host, line, gateway, address, _blobs: blobs });
                }
                Some(HostCall::Failed(reason)) => return Err(reason),
                Some(_) => {}
                None => return Err("nobody listens to it".to_owned()),
            }
        }
    }
}

/// The life of one host.
struct Life {
    job: JobId,
    listener: HostListener,
    readings: Readings,
    control: tokio::runtime::Handle,
}

impl Life {
    /// Ends when the host has ended: an error if nobody has told it to.
    async fn live(
        self,
        starting: Starting,
        given: mpsc::UnboundedReceiver<Order>,
        mut ended: watch::Receiver<bool>,
        on_ready: impl FnOnce(PeerAddress, Arc<dyn TaskHostGateway>),
    ) -> Result<(), String> {
        let started = tokio::select! {
            biased;
            // The channel ends with the hold on the host, which then is not wanted any more.
            _ = ended.wait_for(|at_once| *at_once) => return Ok(()),
            started = tokio::time::timeout(START_TIMEOUT, starting.start()) => started,
        };
        let late = |_| format!("it did not get ready within {} s", START_TIMEOUT.as_secs());
        let mut ready = started.map_err(late)??;
        let gateway = ready.gateway.clone();
        let first = set_job_master(&*gateway, starting.job_master.clone()).await;
        first.map_err(|error| format!("it does not answer: {error}"))?;
        on_ready(ready.address.clone(), gateway.clone());
        let forwarding = self.control.spawn(forward(given, gateway.clone(), self.listener.clone()));
        let reading = self.control.spawn(read(
            gateway.clone(),
            self.readings.clone(),
            starting.options.readings,
        ));
        let lost = loop {
            tokio::select! {
                biased;
                at_once = ended.wait_for(|at_once| *at_once) => break Ok(at_once.is_ok()),
                said = ready.line.said.recv() => match said {
                    Some(HostCall::TaskEnded(attempt)) if attempt.job == self.job => {
                        (self.listener)(HostNews::TaskEnded(attempt));
                    }
                    Some(HostCall::JobMasterLost(reason)) => {
                        (self.listener)(HostNews::JobMasterLost(self.job, reason));
                    }
                    // It belongs to another job: not for this host to say.
                    Some(_) | None => {}
                },
                exit = ready.host.process.exited() => break Err(describe(&exit)),
            }
        };
        reading.abort();
        match lost {
            // What was ordered before goes with the process.
            Ok(true) => ready.host.process.kill().await,
            Ok(false) => {
                // The orders end with the hold on the host; the last of them are obeyed.
                let orderly = async {
                    let _ = forwarding.await;
                    gateway.shut_down().await
                };
                // However that goes, what follows ends it.
                let _ = tokio::time::timeout(END_GRACE, orderly).await;
                let gone = tokio::time::timeout(END_GRACE, ready.host.process.exited()).await;
                if gone.is_err() {
                    ready.host.process.kill().await;
                }
            }
            Err(reason) => {
                forwarding.abort();
                return Err(reason);
            }
        }
        ready.host.process.exited().await;
        Ok(())
    }
}

/// Has tasks report to another JobMaster; tried again, since they must not go on reporting to one
/// that is gone.
async fn set_job_master(
    gateway: &dyn TaskHostGateway,
    Leader { token, gateway: master }: Leader<dyn JobMasterGateway>,
) -> RpcResult<TaskStates> {
    let mut answer = gateway.set_job_master(token, master.clone()).await;
    for _ in 1..JOB_MASTER_TRIES {
        if !matches!(answer, Err(RpcError::Timeout(_))) {
            break;
        }
        answer = gateway.set_job_master(token, master.clone()).await;
    }
    answer
}

/// Passes orders on, one after the other, so that a cancellation never overtakes its deployment.
async fn forward(
    mut given: mpsc::UnboundedReceiver<Order>,
    gateway: Arc<dyn TaskHostGateway>,
    listener: HostListener,
) {
    while let Some(order) = given.recv().await {
        let (attempt, done) = match order {
            Order::JobMaster(leader, reply) => {
                // Who asked may have no use for it.
                let _ = reply.send(set_job_master(&*gateway, leader).await);
                (None, Ok(()))
            }
            Order::ForgetJobMaster => (None, gateway.forget_job_master().await),
            Order::Submit(deployment, reply) => {
                let attempt = deployment.attempt;
                let answer = gateway.submit_task(*deployment).await;
                if let Err(error) = &answer
                    && !matches!(error, RpcError::Timeout(_))
                {
                    listener(HostNews::TaskEnded(attempt));
                }
                // Who asked may have gone: he will cancel what he does not know of.
                let _ = reply.send(answer);
                (None, Ok(()))
            }
            Order::Cancel(attempt) => (None, gateway.cancel_task(attempt).await),
            Order::Event(attempt, operator, event) => {
                (Some(attempt), gateway.send_operator_event(attempt, operator, event).await)
            }
            Order::Checkpoint(attempt, news) => {
                (Some(attempt), gateway.notify_checkpoint(attempt, news).await)
            }
            Order::Release(allocation) => (None, gateway.release_slot(allocation).await),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "an order did not reach the task host");
            if let Some(attempt) = attempt {
                // It has missed something: it cannot go on. If the host is gone, so is it.
                let _ = gateway.cancel_task(attempt).await;
            }
        }
    }
}

/// Asks for readings, again and again.
async fn read(gateway: Arc<dyn TaskHostGateway>, readings: Readings, interval: Duration) {
    let mut turns = tokio::time::interval(interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Ok(latest) = gateway.io_metrics().await {
            *readings.lock() = latest;
        }
    }
}
