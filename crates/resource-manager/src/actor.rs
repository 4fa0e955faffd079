//! The ResourceManager's actor.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    FencingToken, Inbox, JobMasterGateway, Mailbox, ResourceManagerGateway, RpcError, RpcResult,
    SlotId, SlotReport, TaskExecutorGateway, TaskExecutorOverview, TaskExecutorRegistration,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_types::{AllocationId, JobId, ResourceId};
use tokio::sync::oneshot;

use crate::slot_manager::{Decision, SlotManager};

enum Message {
    Register(TaskExecutorRegistration, Arc<dyn TaskExecutorGateway>),
    Heartbeat(ResourceId, SlotReport, oneshot::Sender<bool>),
    Disconnect(ResourceId, String),
    SlotAvailable(SlotId, AllocationId),
    RegisterJob(JobId, FencingToken, Arc<dyn JobMasterGateway>, oneshot::Sender<RpcResult<()>>),
    DisconnectJob(JobId, FencingToken, oneshot::Sender<RpcResult<()>>),
    Required(JobId, FencingToken, u32, oneshot::Sender<RpcResult<()>>),
    /// A TaskExecutor follows that JobMaster.
    Follows(ResourceId, JobId, FencingToken),
    Answer(SlotId, AllocationId, bool),
    Overview(oneshot::Sender<Vec<TaskExecutorOverview>>),
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
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
}

/// The way to the ResourceManager.
#[derive(Clone)]
pub struct ResourceManagerHandle {
    mailbox: Mailbox<Message>,
    actor: tokio::task::AbortHandle,
}

impl ResourceManagerHandle {
    /// Ends the ResourceManager at once. TaskExecutors and their tasks stay.
    pub fn stop(&self) {
        self.actor.abort();
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
        };
        let actor = runtimes.control.spawn(manager.run(inbox)).abort_handle();
        ResourceManagerHandle { mailbox, actor }
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
        }
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
                    follows: BTreeMap::new(),
                };
                self.executors.insert(registration.resource, executor);
                tracing::info!(resource = %registration.resource, "TaskExecutor registered");
                self.tell_of_job_masters(registration.resource, &registration.slots);
                self.slots.on_report(registration.resource, &registration.slots)
            }
            Message::Heartbeat(resource, report, known) => {
                // Who asked may have gone.
                let _ = known.send(self.executors.contains_key(&resource));
                match self.executors.get_mut(&resource) {
                    Some(executor) => {
                        executor.last_heartbeat_ms = self.clock.now_ms();
                        self.tell_of_job_masters(resource, &report);
                        self.slots.on_report(resource, &report)
                    }
                    None => Vec::new(),
                }
            }
            Message::Disconnect(resource, reason) => self.lose(resource, &reason),
            Message::SlotAvailable(slot, allocation) => self.slots.on_free(slot, allocation),
            Message::RegisterJob(job, token, gateway, reply) => {
                let fenced = self.superseded(job, token);
                if fenced.is_none() {
                    self.jobs.insert(job, (token, gateway));
                    let all: Vec<ResourceId> = self.executors.keys().copied().collect();
                    for resource in all {
                        self.tell_of_job_master(resource, job);
                    }
                }
                // Who asked may have gone.
                let _ = reply.send(fenced.map_or(Ok(()), Err));
                Vec::new()
            }
            Message::DisconnectJob(job, token, reply) => {
                let fenced = self.superseded(job, token);
                let decisions = match fenced {
                    Some(_) => Vec::new(),
                    None => {
                        self.jobs.remove(&job);
                        self.slots.on_required(job, 0)
                    }
                };
                let _ = reply.send(fenced.map_or(Ok(()), Err));
                decisions
            }
            Message::Required(job, token, slots, reply) => {
                let fenced = self.superseded(job, token);
                let decisions = match fenced {
                    Some(_) => Vec::new(),
                    None => self.slots.on_required(job, slots),
                };
                let _ = reply.send(fenced.map_or(Ok(()), Err));
                decisions
            }
            Message::Follows(resource, job, token) => {
                if let Some(executor) = self.executors.get_mut(&resource) {
                    executor.follows.insert(job, token);
                }
                Vec::new()
            }
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
        };
        for decision in decisions {
            self.carry_out(decision);
        }
    }

    /// An error if a later JobMaster of the job has registered.
    fn superseded(&self, job: JobId, got: FencingToken) -> Option<RpcError> {
        let (current, _) = self.jobs.get(&job)?;
        (got < *current).then_some(RpcError::Fenced { got, current: *current })
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
}
