//! The ResourceManager's actor.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    FencingToken, Identity, Inbox, JobMasterGateway, Mailbox, Peer, ResourceManagerGateway,
    RpcError, RpcResult, SlotId, SlotReport, TaskExecutorGateway, TaskExecutorOverview,
    TaskExecutorRegistration, gather_metrics,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{
    Gauge, MetricGroup, MetricsQuery, MetricsSnapshot,
    names::{NUM_REGISTERED_TASK_MANAGERS, TASK_SLOTS_AVAILABLE, TASK_SLOTS_TOTAL},
};
use hurtig_types::{AllocationId, JobId, ResourceId};
use tokio::sync::oneshot;

use crate::{
    driver::{ResourceDriver, StandaloneDriver, WorkerEnded, WorkerListener},
    slot_manager::{SlotCommand, SlotManager, SlotManagerConfig},
};

/// Settings of a ResourceManager.
#[derive(Clone, Debug)]
pub struct ResourceManagerConfig {
    /// Makes its grants and workers differ from those of another leader.
    pub seed: u64,
    /// `heartbeat.interval`: how often TaskExecutors are asked whether they live, and time-outs are
    /// looked for.
    pub heartbeat_interval: Duration,
    /// `heartbeat.timeout`: a TaskExecutor that is silent for longer is lost.
    pub heartbeat_timeout: Duration,
    /// Slots and workers.
    pub slots: SlotManagerConfig,
}

type Reply<T> = oneshot::Sender<RpcResult<T>>;

enum Message {
    Register(TaskExecutorRegistration, Arc<dyn TaskExecutorGateway>, Reply<()>),
    Heartbeat(ResourceId, SlotReport, oneshot::Sender<bool>),
    Disconnect(ResourceId, String),
    SlotAvailable(SlotId, AllocationId),
    RegisterJob(JobId, FencingToken, Arc<dyn JobMasterGateway>, Reply<()>),
    DisconnectJob(JobId, FencingToken, Reply<()>),
    Required(JobId, FencingToken, u32, Reply<()>),
    /// A TaskExecutor follows that JobMaster.
    Follows(ResourceId, JobId, FencingToken),
    Answer(SlotId, JobId, AllocationId, bool),
    WorkerEnded(WorkerEnded),
    Overview(oneshot::Sender<Vec<TaskExecutorOverview>>),
    Gateways(oneshot::Sender<Vec<Arc<dyn TaskExecutorGateway>>>),
}

/// What the cluster has.
#[derive(Clone, Debug, Default)]
struct ClusterMetrics {
    task_managers: Gauge,
    slots: Gauge,
    free_slots: Gauge,
}

struct Executor {
    gateway: Arc<dyn TaskExecutorGateway>,
    data_address: String,
    last_heartbeat_ms: i64,
    /// The JobMasters that it is known to follow.
    follows: BTreeMap<JobId, FencingToken>,
    /// Asks it whether it lives; ends with this entry.
    watch: tokio::task::AbortHandle,
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// The actor.
pub struct ResourceManager {
    slots: SlotManager,
    executors: BTreeMap<ResourceId, Executor>,
    jobs: BTreeMap<JobId, (FencingToken, Arc<dyn JobMasterGateway>)>,
    mailbox: Mailbox<Message>,
    runtimes: Runtimes,
    clock: Clock,
    driver: Arc<dyn ResourceDriver>,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    metrics: ClusterMetrics,
}

/// The way to the ResourceManager.
#[derive(Clone)]
pub struct ResourceManagerHandle {
    mailbox: Mailbox<Message>,
    metrics: ClusterMetrics,
    actor: tokio::task::AbortHandle,
}

impl ResourceManagerHandle {
    /// Ends the ResourceManager at once. TaskExecutors and their tasks stay.
    pub fn stop(&self) {
        self.actor.abort();
    }

    /// Shows what the cluster has in the group of a JobManager.
    pub fn register_metrics(&self, group: &MetricGroup) {
        let show = |name: &'static str, gauge: &Gauge| {
            let gauge = gauge.clone();
            group.computed(name, move || gauge.get());
        };
        show(NUM_REGISTERED_TASK_MANAGERS, &self.metrics.task_managers);
        show(TASK_SLOTS_TOTAL, &self.metrics.slots);
        show(TASK_SLOTS_AVAILABLE, &self.metrics.free_slots);
    }
}

impl ResourceManager {
    /// Starts the actor of a cluster that starts no TaskManagers by itself, with default slots.
    pub fn start(
        runtimes: &Runtimes,
        clock: Clock,
        seed: u64,
        heartbeat_interval: Duration,
        heartbeat_timeout: Duration,
    ) -> ResourceManagerHandle {
        let slots = SlotManagerConfig::default();
        let config = ResourceManagerConfig { seed, heartbeat_interval, heartbeat_timeout, slots };
        Self::start_with(config, Arc::new(StandaloneDriver), runtimes, clock)
    }

    /// Starts the actor. A TaskExecutor that is silent for `heartbeat_timeout` is lost, and so is
    /// one that cannot be reached any more when it is asked, every `heartbeat_interval`.
    pub fn start_with(
        config: ResourceManagerConfig,
        driver: Arc<dyn ResourceDriver>,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> ResourceManagerHandle {
        let (mailbox, inbox) = Mailbox::new("ResourceManager");
        let ResourceManagerConfig { seed, heartbeat_interval, heartbeat_timeout, slots } = config;
        let can_start = driver.can_start_workers();
        let manager = Self {
            slots: SlotManager::new(slots, seed, can_start, clock.now_ms()),
            driver,
            executors: BTreeMap::new(),
            jobs: BTreeMap::new(),
            mailbox: mailbox.clone(),
            runtimes: runtimes.clone(),
            clock,
            heartbeat_interval,
            heartbeat_timeout,
            metrics: ClusterMetrics::default(),
        };
        let metrics = manager.metrics.clone();
        let actor = runtimes.control.spawn(manager.run(inbox)).abort_handle();
        ResourceManagerHandle { mailbox, metrics, actor }
    }

    async fn run(mut self, mut inbox: Inbox<Message>) {
        let mut check = tokio::time::interval(self.heartbeat_timeout / 2);
        let mut look = tokio::time::interval(self.heartbeat_interval);
        loop {
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
                _ = check.tick() => self.expire_silent(),
                _ = look.tick() => {
                    let commands = self.slots.on_time(self.clock.now_ms());
                    self.carry_out_all(commands);
                }
            }
            self.count();
        }
    }

    fn count(&self) {
        let slots = self.executors.keys().map(|resource| self.slots.count(*resource));
        let (slots, free) = slots.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        self.metrics.task_managers.set(self.executors.len() as i64);
        self.metrics.slots.set(i64::from(slots));
        self.metrics.free_slots.set(i64::from(free));
    }

    fn on_message(&mut self, message: Message) {
        let now = self.clock.now_ms();
        let commands = match message {
            // Who asked may have gone, here and below.
            Message::Register(registration, gateway, reply) => {
                let registered = self.register(registration, gateway);
                let (answer, commands) = match registered {
                    Ok(commands) => (Ok(()), commands),
                    Err(reason) => (Err(RpcError::Rejected(reason)), Vec::new()),
                };
                let _ = reply.send(answer);
                commands
            }
            Message::Heartbeat(resource, report, known) => {
                let _ = known.send(self.executors.contains_key(&resource));
                match self.executors.get_mut(&resource) {
                    Some(executor) => {
                        executor.last_heartbeat_ms = now;
                        self.tell_of_job_masters(resource, &report);
                        self.slots.on_report(resource, &report, now)
                    }
                    None => Vec::new(),
                }
            }
            Message::Disconnect(resource, reason) => self.lose(resource, &reason),
            Message::SlotAvailable(slot, allocation) => self.slots.on_free(slot, allocation, now),
            Message::RegisterJob(job, token, gateway, reply) => {
                let current = self.check_token(job, token);
                if current.is_ok() {
                    self.jobs.insert(job, (token, gateway));
                    let all: Vec<ResourceId> = self.executors.keys().copied().collect();
                    for resource in all {
                        self.tell_of_job_master(resource, job);
                    }
                }
                let _ = reply.send(current);
                Vec::new()
            }
            Message::DisconnectJob(job, token, reply) => {
                let current = self.check_token(job, token);
                let is_current = current.is_ok();
                let _ = reply.send(current);
                if is_current {
                    self.jobs.remove(&job);
                    self.slots.on_required(job, 0, now)
                } else {
                    Vec::new()
                }
            }
            Message::Follows(resource, job, token) => {
                if let Some(executor) = self.executors.get_mut(&resource) {
                    executor.follows.insert(job, token);
                }
                Vec::new()
            }
            Message::Required(job, token, slots, reply) => {
                // Nothing is kept for a job that nobody has announced.
                let known = match self.jobs.contains_key(&job) {
                    true => Ok(()),
                    false => Err(RpcError::NotFound(format!("job {job} has no JobMaster here"))),
                };
                let current = known.and_then(|()| self.check_token(job, token));
                let is_current = current.is_ok();
                let _ = reply.send(current);
                if is_current { self.slots.on_required(job, slots, now) } else { Vec::new() }
            }
            Message::Answer(slot, job, allocation, accepted) => {
                self.slots.on_answer(slot, job, allocation, accepted, now)
            }
            Message::WorkerEnded(WorkerEnded { worker, reason }) => {
                tracing::info!(resource = %worker, reason, "worker ended");
                let mut commands = self.lose(worker, &reason);
                commands.extend(self.slots.on_worker_ended(worker, now));
                commands
            }
            Message::Overview(reply) => {
                let overview = self.executors.iter().map(|(resource, executor)| {
                    let (slots, free_slots) = self.slots.count(*resource);
                    TaskExecutorOverview {
                        resource: *resource,
                        endpoint: match executor.gateway.peer().identity() {
                            Identity::Remote(address) => Some(address.endpoint.clone()),
                            Identity::Actor(_) | Identity::Unknown => None,
                        },
                        data_address: executor.data_address.clone(),
                        slots,
                        free_slots,
                        last_heartbeat_ms: executor.last_heartbeat_ms,
                    }
                });
                // Who asked may have gone.
                let _ = reply.send(overview.collect());
                Vec::new()
            }
            Message::Gateways(reply) => {
                let gateways = self.executors.values().map(|e| e.gateway.clone());
                let _ = reply.send(gateways.collect());
                Vec::new()
            }
        };
        self.carry_out_all(commands);
    }

    fn register(
        &mut self,
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> Result<Vec<SlotCommand>, String> {
        let (resource, now) = (registration.resource, self.clock.now_ms());
        let commands = self.slots.on_registered(resource, &registration.slots, now)?;
        let executor = Executor {
            watch: self.watch(resource, gateway.clone()),
            gateway,
            data_address: registration.data_address.address,
            last_heartbeat_ms: now,
            follows: BTreeMap::new(),
        };
        self.executors.insert(resource, executor);
        self.tell_of_job_masters(resource, &registration.slots);
        tracing::info!(%resource, "TaskExecutor registered");
        Ok(commands)
    }

    /// A JobMaster that was superseded is not listened to.
    fn check_token(&self, job: JobId, got: FencingToken) -> RpcResult<()> {
        match self.jobs.get(&job) {
            Some((current, _)) if got < *current => {
                Err(RpcError::Fenced { got, current: *current })
            }
            _ => Ok(()),
        }
    }

    /// Tells a TaskExecutor of the JobMasters of the jobs that it has slots of.
    fn tell_of_job_masters(&mut self, resource: ResourceId, report: &SlotReport) {
        let jobs: BTreeSet<JobId> =
            report.slots.iter().filter_map(|slot| slot.allocated).map(|(_, job)| job).collect();
        if let Some(executor) = self.executors.get_mut(&resource) {
            executor.follows.retain(|job, _| jobs.contains(job));
        }
        for job in jobs {
            self.tell_of_job_master(resource, job);
        }
    }

    /// Tells a TaskExecutor of the JobMaster of a job, unless it follows it already. If it cannot
    /// be told now, its next heartbeat has it told again. One without slots of the job does not
    /// mind.
    fn tell_of_job_master(&self, resource: ResourceId, job: JobId) {
        let Some(executor) = self.executors.get(&resource) else { return };
        let Some((token, job_master)) = self.jobs.get(&job).cloned() else { return };
        if executor.follows.get(&job) == Some(&token) {
            return;
        }
        let (gateway, mailbox) = (executor.gateway.clone(), self.mailbox.clone());
        self.runtimes.control.spawn(async move {
            if gateway.job_master_changed(job, token, job_master).await.is_ok() {
                // Without the actor nobody needs to know.
                let _ = mailbox.tell(Message::Follows(resource, job, token)).await;
            }
        });
    }

    /// Asks a TaskExecutor again and again whether it lives, and reports when it is gone; at once,
    /// if its connection breaks.
    fn watch(
        &self,
        resource: ResourceId,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> tokio::task::AbortHandle {
        let (mailbox, interval) = (self.mailbox.clone(), self.heartbeat_interval);
        let watching = self.runtimes.control.spawn(async move {
            let mut gone = pin!(gateway.peer().gone());
            loop {
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    () = gone.as_mut() => {
                        let reason = "it has ended, or the connection to it broke".to_owned();
                        // Without the actor nobody needs to know.
                        let _ = mailbox.tell(Message::Disconnect(resource, reason)).await;
                        return;
                    }
                }
                // Other answers say at least that somebody is there.
                let answer = gateway.heartbeat_from_resource_manager().await;
                if let Err(error @ RpcError::Unreachable { .. }) = answer {
                    let gone = Message::Disconnect(resource, error.to_string());
                    // Without the actor nobody needs to know.
                    let _ = mailbox.tell(gone).await;
                    return;
                }
            }
        });
        watching.abort_handle()
    }

    fn lose(&mut self, resource: ResourceId, reason: &str) -> Vec<SlotCommand> {
        if self.executors.remove(&resource).is_none() {
            return Vec::new();
        }
        tracing::warn!(%resource, reason, "TaskExecutor lost");
        for (_, job_master) in self.jobs.values() {
            let job_master = job_master.clone();
            let reason = reason.to_owned();
            self.runtimes.control.spawn(async move {
                // A JobMaster that has gone needs no word.
                let _ = job_master.disconnect_task_executor(resource, reason).await;
            });
        }
        self.slots.on_lost(resource, self.clock.now_ms())
    }

    fn expire_silent(&mut self) {
        let now = self.clock.now_ms();
        let timeout_ms = self.heartbeat_timeout.as_millis() as i64;
        let silent = self.executors.iter().filter(|(_, e)| now - e.last_heartbeat_ms > timeout_ms);
        let silent: Vec<ResourceId> = silent.map(|(resource, _)| *resource).collect();
        for resource in silent {
            let reason = format!("no heartbeat for {timeout_ms} ms");
            let commands = self.lose(resource, &reason);
            self.carry_out_all(commands);
        }
    }

    fn carry_out_all(&mut self, commands: Vec<SlotCommand>) {
        commands.into_iter().for_each(|command| self.carry_out(command));
    }

    /// Where drivers tell of ends.
    fn worker_listener(&self) -> WorkerListener {
        let (mailbox, control) = (self.mailbox.clone(), self.runtimes.control.clone());
        Arc::new(move |ended| {
            let mailbox = mailbox.clone();
            control.spawn(async move {
                // Without the actor nobody needs to know.
                let _ = mailbox.tell(Message::WorkerEnded(ended)).await;
            });
        })
    }

    fn carry_out(&mut self, command: SlotCommand) {
        match command {
            SlotCommand::StartWorker(worker) => {
                tracing::info!(resource = %worker, "worker started");
                self.driver.start_worker(worker, self.worker_listener());
            }
            SlotCommand::StopWorker { worker, reason } => {
                tracing::info!(resource = %worker, reason, "worker stopped");
                self.executors.remove(&worker);
                self.driver.stop_worker(worker);
            }
            SlotCommand::Allocate { slot, job, allocation } => {
                let executor = self.executors.get(&slot.resource).map(|e| e.gateway.clone());
                let job_master = self.jobs.get(&job).cloned();
                let mailbox = self.mailbox.clone();
                self.runtimes.control.spawn(async move {
                    let accepted = match (executor, job_master) {
                        (Some(executor), Some((token, gateway))) => executor
                            .request_slot(slot, job, allocation, token, gateway)
                            .await
                            .inspect_err(|error| tracing::debug!(%error, "slot request refused"))
                            .is_ok(),
                        _ => false,
                    };
                    // If this actor has ended, nobody waits for the answer.
                    let _ = mailbox.tell(Message::Answer(slot, job, allocation, accepted)).await;
                });
            }
            SlotCommand::NotEnough { job, available } => {
                let Some((_, job_master)) = self.jobs.get(&job).cloned() else {
                    return;
                };
                self.runtimes.control.spawn(async move {
                    let _ = job_master.notify_not_enough_slots(available).await;
                });
            }
        }
    }
}

#[async_trait]
impl ResourceManagerGateway for ResourceManagerHandle {
    fn peer(&self) -> Peer {
        self.mailbox.peer()
    }

    async fn register_task_executor(
        &self,
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::Register(registration, gateway, reply)).await?
    }

    async fn heartbeat_from_task_executor(
        &self,
        resource: ResourceId,
        slots: SlotReport,
    ) -> RpcResult<()> {
        match self.mailbox.ask(|known| Message::Heartbeat(resource, slots, known)).await? {
            true => Ok(()),
            // It was lost and is back, or its registration did not arrive.
            false => Err(RpcError::NotFound(format!("TaskExecutor {resource} is not registered"))),
        }
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Disconnect(resource, reason)).await
    }

    async fn notify_slot_available(&self, slot: SlotId, allocation: AllocationId) -> RpcResult<()> {
        self.mailbox.tell(Message::SlotAvailable(slot, allocation)).await
    }

    async fn register_job_master(
        &self,
        job: JobId,
        token: FencingToken,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::RegisterJob(job, token, gateway, reply)).await?
    }

    async fn disconnect_job_master(&self, job: JobId, token: FencingToken) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::DisconnectJob(job, token, reply)).await?
    }

    async fn declare_required_slots(
        &self,
        job: JobId,
        token: FencingToken,
        slots: u32,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::Required(job, token, slots, reply)).await?
    }

    async fn task_executors(&self) -> RpcResult<Vec<TaskExecutorOverview>> {
        self.mailbox.ask(Message::Overview).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        let gateways = self.mailbox.ask(Message::Gateways).await?;
        let questions = gateways.into_iter().map(|gateway| {
            let query = query.clone();
            async move { gateway.query_metrics(query).await }
        });
        Ok(gather_metrics(questions).await)
    }
}
