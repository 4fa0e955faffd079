//! The ResourceManager's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    FencingToken, Inbox, JobMasterGateway, Mailbox, ResourceManagerGateway, RpcError, RpcResult,
    SlotId, SlotReport, TaskExecutorGateway, TaskExecutorOverview, TaskExecutorRegistration,
    gather_metrics,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{
    Gauge, MetricGroup, MetricsQuery, MetricsSnapshot,
    names::{NUM_REGISTERED_TASK_MANAGERS, TASK_SLOTS_AVAILABLE, TASK_SLOTS_TOTAL},
};
use hurtig_types::{AllocationId, JobId, ResourceId};
use tokio::sync::oneshot;

use crate::slot_manager::{Decision, SlotManager};

enum Message {
    Register(TaskExecutorRegistration, Arc<dyn TaskExecutorGateway>),
    Heartbeat(ResourceId, SlotReport, oneshot::Sender<bool>),
    Disconnect(ResourceId, String),
    SlotAvailable(SlotId, AllocationId),
    RegisterJob(JobId, FencingToken, Arc<dyn JobMasterGateway>),
    DisconnectJob(JobId),
    Required(JobId, u32),
    Answer(SlotId, AllocationId, bool),
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
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    metrics: ClusterMetrics,
}

/// The way to the ResourceManager.
#[derive(Clone)]
pub struct ResourceManagerHandle {
    mailbox: Mailbox<Message>,
    metrics: ClusterMetrics,
}

impl ResourceManagerHandle {
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
    /// Starts the actor. A TaskExecutor that is silent for `heartbeat_timeout` is lost, and so is
    /// one that cannot be reached any more when it is asked, every `heartbeat_interval`.
    pub fn start(
        runtimes: &Runtimes,
        clock: Clock,
        seed: u64,
        heartbeat_interval: Duration,
        heartbeat_timeout: Duration,
    ) -> ResourceManagerHandle {
        let (mailbox, inbox) = Mailbox::new("ResourceManager");
        let manager = Self {
            slots: SlotManager::new(seed),
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
        runtimes.control.spawn(manager.run(inbox));
        ResourceManagerHandle { mailbox, metrics }
    }

    async fn run(mut self, mut inbox: Inbox<Message>) {
        let mut check = tokio::time::interval(self.heartbeat_timeout / 2);
        loop {
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
                _ = check.tick() => self.expire_silent(),
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
        let decisions = match message {
            Message::Register(registration, gateway) => {
                let watch = self.watch(registration.resource, gateway.clone());
                let executor = Executor {
                    watch,
                    gateway,
                    data_address: registration.data_address.address,
                    last_heartbeat_ms: self.clock.now_ms(),
                };
                self.executors.insert(registration.resource, executor);
                tracing::info!(resource = %registration.resource, "TaskExecutor registered");
                self.slots.on_report(registration.resource, &registration.slots)
            }
            Message::Heartbeat(resource, report, known) => {
                // Who asked may have gone.
                let _ = known.send(self.executors.contains_key(&resource));
                match self.executors.get_mut(&resource) {
                    Some(executor) => {
                        executor.last_heartbeat_ms = self.clock.now_ms();
                        self.slots.on_report(resource, &report)
                    }
                    None => Vec::new(),
                }
            }
            Message::Disconnect(resource, reason) => self.lose(resource, &reason),
            Message::SlotAvailable(slot, allocation) => self.slots.on_free(slot, allocation),
            Message::RegisterJob(job, token, gateway) => {
                self.jobs.insert(job, (token, gateway));
                Vec::new()
            }
            Message::DisconnectJob(job) => {
                self.jobs.remove(&job);
                self.slots.on_required(job, 0)
            }
            Message::Required(job, slots) => self.slots.on_required(job, slots),
            Message::Answer(slot, allocation, accepted) => {
                self.slots.on_answer(slot, allocation, accepted)
            }
            Message::Overview(reply) => {
                let overview = self.executors.iter().map(|(resource, executor)| {
                    let (slots, free_slots) = self.slots.count(*resource);
                    TaskExecutorOverview {
                        resource: *resource,
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
        for decision in decisions {
            self.carry_out(decision);
        }
    }

    /// Asks a TaskExecutor again and again whether it lives, and reports when it is gone.
    fn watch(
        &self,
        resource: ResourceId,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> tokio::task::AbortHandle {
        let (mailbox, interval) = (self.mailbox.clone(), self.heartbeat_interval);
        let watching = self.runtimes.control.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
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

    fn lose(&mut self, resource: ResourceId, reason: &str) -> Vec<Decision> {
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
        self.slots.on_lost(resource)
    }

    fn expire_silent(&mut self) {
        let now = self.clock.now_ms();
        let timeout_ms = self.heartbeat_timeout.as_millis() as i64;
        let silent = self.executors.iter().filter(|(_, e)| now - e.last_heartbeat_ms > timeout_ms);
        let silent: Vec<ResourceId> = silent.map(|(resource, _)| *resource).collect();
        for resource in silent {
            let reason = format!("no heartbeat for {timeout_ms} ms");
            for decision in self.lose(resource, &reason) {
                self.carry_out(decision);
            }
        }
    }

    fn carry_out(&self, decision: Decision) {
        match decision {
            Decision::Allocate { slot, job, allocation } => {
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
                    let _ = mailbox.tell(Message::Answer(slot, allocation, accepted)).await;
                });
            }
            Decision::NotEnough { job, available } => {
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
    async fn register_task_executor(
        &self,
        registration: TaskExecutorRegistration,
        gateway: Arc<dyn TaskExecutorGateway>,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Register(registration, gateway)).await
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
        self.mailbox.tell(Message::RegisterJob(job, token, gateway)).await
    }

    async fn disconnect_job_master(&self, job: JobId) -> RpcResult<()> {
        self.mailbox.tell(Message::DisconnectJob(job)).await
    }

    async fn declare_required_slots(
        &self,
        job: JobId,
        _token: FencingToken,
        slots: u32,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Required(job, slots)).await
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
