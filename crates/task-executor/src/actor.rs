//! The TaskExecutor's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    FencingToken, Inbox, JobHeartbeatAnswer, JobMasterGateway, Mailbox, Peer,
    ResourceManagerGateway, RpcError, RpcResult, SlotId, SlotOffer, TaskDeploymentDescriptor,
    TaskExecutorGateway, TaskExecutorRegistration,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{MetricGroup, MetricRegistry, MetricsQuery, MetricsSnapshot};
use hurtig_network::NetworkEnvironment;
use hurtig_operator_api::ProgramStore;
use hurtig_storage::{LocalStateStores, Stores};
use hurtig_task::{TaskHandle, TaskServices, spawn_task};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
    ResourceId,
};
use tokio::sync::oneshot;

use crate::{
    metrics,
    reports::{JobMasters, News, Reports},
    slot_table::TaskSlotTable,
};

/// Settings of a TaskExecutor.
#[derive(Clone, Debug)]
pub struct TaskExecutorConfig {
    /// `taskmanager.numberOfTaskSlots`.
    pub slots: u32,
    /// How long a slot waits to be accepted by a JobMaster.
    pub slot_timeout: Duration,
    /// `heartbeat.interval`.
    pub heartbeat_interval: Duration,
    /// `heartbeat.timeout`: a JobMaster that is silent for longer is lost.
    pub heartbeat_timeout: Duration,
}

/// Pause before a slot is offered again.
const OFFER_RETRY: Duration = Duration::from_millis(200);

type Reply<T> = oneshot::Sender<RpcResult<T>>;

enum Message {
    RequestSlot(SlotId, JobId, AllocationId, FencingToken, Arc<dyn JobMasterGateway>, Reply<()>),
    OfferAnswered(AllocationId, RpcResult<Vec<AllocationId>>),
    FreeSlot(AllocationId, String),
    Submit(Box<TaskDeploymentDescriptor>, FencingToken, Reply<()>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Checkpoint(ExecutionAttemptId, CheckpointNews),
    TaskEnded(ExecutionAttemptId),
    Ping(oneshot::Sender<()>),
    Heartbeat(JobId, Vec<AllocationId>, oneshot::Sender<JobHeartbeatAnswer>),
    /// The ResourceManager does not know this TaskExecutor.
    Unregistered,
    DisconnectJob(JobId, String),
    Shutdown(oneshot::Sender<()>),
}

/// What a task is told of checkpoints.
enum CheckpointNews {
    Trigger(CheckpointBarrier),
    Complete(CheckpointId),
    Aborted(CheckpointId),
}

/// What a TaskExecutor hands on to its tasks.
pub struct TaskExecutorServices {
    /// The data plane.
    pub network: NetworkEnvironment,
    /// The programs this process can run.
    pub programs: ProgramStore,
    /// Where tasks register metrics.
    pub metrics: MetricRegistry,
    /// The stores of checkpoints.
    pub stores: Arc<Stores>,
    /// Where copies of state are kept on this TaskExecutor, if they are.
    pub local_state: Option<Arc<LocalStateStores>>,
}

/// The actor.
pub struct TaskExecutor {
    resource: ResourceId,
    config: TaskExecutorConfig,
    slots: TaskSlotTable,
    tasks: BTreeMap<ExecutionAttemptId, TaskHandle>,
    job_masters: JobMasters,
    tokens: BTreeMap<JobId, FencingToken>,
    /// When a JobMaster was heard of last, in milliseconds.
    heard_ms: BTreeMap<JobId, i64>,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    network: NetworkEnvironment,
    programs: ProgramStore,
    metrics: MetricGroup,
    stores: Arc<Stores>,
    local_state: Option<Arc<LocalStateStores>>,
    reports: Reports,
    mailbox: Mailbox<Message>,
    runtimes: Runtimes,
    clock: Clock,
}

/// The way to a TaskExecutor.
#[derive(Clone)]
pub struct TaskExecutorHandle {
    resource: ResourceId,
    mailbox: Mailbox<Message>,
    metrics: MetricGroup,
}

impl TaskExecutor {
    /// Starts the actor; it registers with the ResourceManager.
    pub fn start(
        config: TaskExecutorConfig,
        resource_manager: Arc<dyn ResourceManagerGateway>,
        services: TaskExecutorServices,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> TaskExecutorHandle {
        let TaskExecutorServices { network, programs, metrics, stores, local_state } = services;
        let resource = network.address().resource;
        let metrics = metrics::register(&metrics, &network);
        let (mailbox, inbox) = Mailbox::new("TaskExecutor");
        let job_masters = JobMasters::default();
        let told = mailbox.clone();
        let control = runtimes.control.clone();
        let (reports, forward) = Reports::new(job_masters.clone(), move |news| {
            let told = told.clone();
            let message = match news {
                News::Ended(attempt) => Message::TaskEnded(attempt),
                News::JobMasterLost(job, reason) => Message::DisconnectJob(job, reason),
            };
            control.spawn(async move {
                // Without the actor there is nothing to clean up.
                let _ = told.tell(message).await;
            });
        });
        runtimes.control.spawn(forward);
        let executor = Self {
            resource,
            slots: TaskSlotTable::new(resource, config.slots),
            config,
            tasks: BTreeMap::new(),
            job_masters,
            tokens: BTreeMap::new(),
            heard_ms: BTreeMap::new(),
            resource_manager,
            network,
            programs,
            metrics,
            stores,
            local_state,
            reports,
            mailbox: mailbox.clone(),
            runtimes: runtimes.clone(),
            clock,
        };
        let handle = executor.handle();
        runtimes.control.spawn(executor.run(inbox));
        handle
    }

    fn handle(&self) -> TaskExecutorHandle {
        TaskExecutorHandle {
            resource: self.resource,
            mailbox: self.mailbox.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Registers with the ResourceManager, however often that takes.
    fn register(&self) {
        let registration = TaskExecutorRegistration {
            resource: self.resource,
            rpc_address: format!("TaskExecutor {}", self.resource),
            data_address: self.network.address().clone(),
            slots: self.slots.report(),
        };
        let gateway = Arc::new(self.handle());
        let (manager, mailbox) = (self.resource_manager.clone(), self.mailbox.clone());
        let pause = self.config.heartbeat_interval;
        self.runtimes.control.spawn(async move {
            let registering = async {
                while let Err(error) =
                    manager.register_task_executor(registration.clone(), gateway.clone()).await
                {
                    tracing::warn!(%error, "cannot register with the ResourceManager yet");
                    tokio::time::sleep(pause).await;
                }
            };
            tokio::select! {
                biased;
                () = mailbox.ended() => {}
                () = registering => {}
            }
        });
    }

    async fn run(mut self, mut inbox: Inbox<Message>) {
        self.register();
        let mut heartbeat = tokio::time::interval(self.config.heartbeat_interval);
        loop {
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(Message::Shutdown(done)) => {
                        self.shut_down(done);
                        return;
                    }
                    Some(message) => self.on_message(message),
                    None => return,
                },
                _ = heartbeat.tick() => self.beat(),
            }
        }
    }

    fn beat(&mut self) {
        for (slot, allocation) in self.slots.expire(self.clock.now_ms()) {
            self.announce_free(slot, allocation);
        }
        self.give_up_silent_job_masters();
        let (resource, report) = (self.resource, self.slots.report());
        let (manager, mailbox) = (self.resource_manager.clone(), self.mailbox.clone());
        self.runtimes.control.spawn(async move {
            match manager.heartbeat_from_task_executor(resource, report).await {
                Ok(()) => {}
                Err(RpcError::NotFound(_)) => {
                    // An actor that has ended need not register.
                    let _ = mailbox.tell(Message::Unregistered).await;
                }
                Err(error) => tracing::debug!(%error, "heartbeat failed"),
            }
        });
    }

    /// A JobMaster that has lost this TaskExecutor sends no heartbeats any more: its slots must
    /// come free, or nobody could use them.
    fn give_up_silent_job_masters(&mut self) {
        let timeout_ms = self.config.heartbeat_timeout.as_millis() as i64;
        let since = self.clock.now_ms() - timeout_ms;
        let silent: Vec<JobId> = self
            .heard_ms
            .iter()
            .filter(|(_, heard)| **heard < since)
            .map(|(job, _)| *job)
            .collect();
        for job in silent {
            let reason = format!("no heartbeat of the JobMaster for {timeout_ms} ms");
            self.disconnect_job(job, &reason);
        }
    }

    fn disconnect_job(&mut self, job: JobId, reason: &str) {
        tracing::debug!(%job, reason, "JobMaster disconnected");
        for allocation in self.slots.allocations_of(job) {
            self.free_slot(allocation);
        }
        self.forget_job_without_slots(job);
    }

    /// What a slot has kept on the disk goes with its grant.
    fn release_local_state(&self, allocation: AllocationId) {
        if let Some(local) = self.local_state.clone() {
            self.runtimes.control.spawn_blocking(move || local.release(allocation));
        }
    }

    fn announce_free(&self, slot: SlotId, allocation: AllocationId) {
        self.release_local_state(allocation);
        let manager = self.resource_manager.clone();
        self.runtimes.control.spawn(async move {
            // The next heartbeat repeats it.
            let _ = manager.notify_slot_available(slot, allocation).await;
        });
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::RequestSlot(slot, job, allocation, token, gateway, reply) => {
                let until_ms = self.clock.now_ms() + self.config.slot_timeout.as_millis() as i64;
                let allocated = self.slots.allocate(slot, job, allocation, until_ms);
                if allocated.is_ok() {
                    self.tokens.insert(job, token);
                    self.heard_ms.insert(job, self.clock.now_ms());
                    self.job_masters.lock().insert(job, gateway.clone());
                    self.offer(SlotOffer { allocation, slot }, gateway);
                }
                let answer = allocated.map_err(|e| RpcError::Rejected(e.to_string()));
                // Who asked may have gone; the slot's time-out cleans up.
                let _ = reply.send(answer);
            }
            Message::OfferAnswered(allocation, answer) => {
                let accepted = answer.is_ok_and(|accepted| accepted.contains(&allocation));
                if !accepted || self.slots.activate(allocation).is_err() {
                    // The next heartbeat tells that it is free. If it were told at once, a
                    // JobMaster and a ResourceManager that disagree would keep each other busy.
                    if let Some((_, allocation)) = self.free_quietly(allocation) {
                        self.release_local_state(allocation);
                    }
                }
            }
            Message::FreeSlot(allocation, reason) => {
                tracing::debug!(%allocation, reason, "slot freed");
                self.free_slot(allocation);
            }
            Message::Submit(deployment, token, reply) => {
                let _ = reply.send(self.submit(*deployment, token));
            }
            Message::Cancel(attempt) => {
                if let Some(task) = self.tasks.get(&attempt) {
                    task.cancel();
                }
            }
            Message::Event(attempt, operator, event) => {
                if let Some(task) = self.tasks.get(&attempt)
                    && let Err(error) = task.deliver_event(operator, event)
                {
                    tracing::warn!(%attempt, %error, "event lost: the task is cancelled");
                    task.cancel();
                }
            }
            Message::Checkpoint(attempt, news) => {
                // One that has ended needs no news.
                let Some(task) = self.tasks.get(&attempt) else { return };
                let told = match news {
                    CheckpointNews::Trigger(barrier) => task.trigger_checkpoint(barrier),
                    CheckpointNews::Complete(id) => task.checkpoint_complete(id),
                    CheckpointNews::Aborted(id) => task.checkpoint_aborted(id),
                };
                if let Err(error) = told {
                    tracing::warn!(%attempt, %error, "news lost: the task is cancelled");
                    task.cancel();
                }
            }
            Message::TaskEnded(attempt) => {
                self.tasks.remove(&attempt);
                if let Some((slot, allocation)) = self.slots.remove_task(attempt) {
                    self.announce_free(slot, allocation);
                }
                self.forget_job_without_slots(attempt.job);
            }
            Message::Ping(reply) => {
                // Who asked may have gone.
                let _ = reply.send(());
            }
            Message::Unregistered => self.register(),
            Message::Heartbeat(job, named, reply) => {
                if let Some(heard) = self.heard_ms.get_mut(&job) {
                    *heard = self.clock.now_ms();
                }
                let (missing, superfluous) = self.slots.compare(job, &named);
                let of_job = self.tasks.iter().filter(|(attempt, _)| attempt.job == job);
                let metrics = of_job.map(|(attempt, task)| (*attempt, task.io_metrics()));
                // Who asked may have gone.
                let _ = reply.send(JobHeartbeatAnswer { metrics: metrics.collect(), missing });
                superfluous.into_iter().for_each(|allocation| self.free_slot(allocation));
            }
            Message::DisconnectJob(job, reason) => self.disconnect_job(job, &reason),
            Message::Shutdown(done) => self.shut_down(done),
        }
    }

    fn forget_job_without_slots(&mut self, job: JobId) {
        if self.slots.allocations_of(job).is_empty() {
            self.job_masters.lock().remove(&job);
            self.tokens.remove(&job);
            self.heard_ms.remove(&job);
            if self.tasks.keys().all(|attempt| attempt.job != job) {
                metrics::job_group(&self.metrics, job, "").close();
            }
        }
    }

    fn offer(&self, offer: SlotOffer, job_master: Arc<dyn JobMasterGateway>) {
        let gateway = Arc::new(self.handle());
        let (resource, address) = (self.resource, self.network.address().clone());
        let mailbox = self.mailbox.clone();
        let tries = self.config.slot_timeout.as_millis() / OFFER_RETRY.as_millis();
        self.runtimes.control.spawn(async move {
            let offer_once = || {
                let (address, gateway) = (address.clone(), gateway.clone());
                job_master.offer_slots(resource, address, gateway, vec![offer])
            };
            let mut answer = offer_once().await;
            for _ in 0..tries {
                // Nobody knows whether it was accepted: it is offered again, which does no harm.
                if !matches!(answer, Err(RpcError::Timeout(_))) {
                    break;
                }
                tokio::time::sleep(OFFER_RETRY).await;
                answer = offer_once().await;
            }
            let _ = mailbox.tell(Message::OfferAnswered(offer.allocation, answer)).await;
        });
    }

    fn free_slot(&mut self, allocation: AllocationId) {
        if let Some((slot, allocation)) = self.free_quietly(allocation) {
            self.announce_free(slot, allocation);
        }
    }

    /// Frees a slot; returns it if it is free at once.
    fn free_quietly(&mut self, allocation: AllocationId) -> Option<(SlotId, AllocationId)> {
        let (tasks, freed) = self.slots.free(allocation);
        for attempt in tasks {
            if let Some(task) = self.tasks.get(&attempt) {
                task.cancel();
            }
        }
        freed
    }

    fn submit(
        &mut self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()> {
        let attempt = deployment.attempt;
        if let Some(current) = self.tokens.get(&attempt.job)
            && *current != token
        {
            return Err(RpcError::Fenced { got: token, current: *current });
        }
        if self.tasks.contains_key(&attempt) {
            return Ok(());
        }
        let Some(program) = self.programs.get(attempt.job) else {
            let job = attempt.job;
            return Err(RpcError::NotFound(format!("the code of job {job} is not known here")));
        };
        self.slots
            .add_task(deployment.allocation, attempt)
            .map_err(|e| RpcError::Rejected(format!("cannot run task {attempt}: {e}")))?;
        let services = TaskServices {
            program,
            network: self.network.clone(),
            runtimes: self.runtimes.clone(),
            clock: self.clock,
            listener: Arc::new(self.reports.clone()),
            metrics: metrics::job_group(&self.metrics, attempt.job, &deployment.job_name),
            stores: self.stores.clone(),
            local_state: self.local_state.as_ref().map(|local| {
                let ExecutionAttemptId { job, vertex, subtask, .. } = attempt;
                local.subtask(deployment.allocation, job, vertex, subtask)
            }),
        };
        self.tasks.insert(attempt, spawn_task(deployment, services));
        Ok(())
    }

    fn shut_down(&mut self, done: oneshot::Sender<()>) {
        // Without a farewell, as when a process has gone: the end of a task that is cancelled here
        // would look like that of one that goes on elsewhere.
        self.job_masters.lock().clear();
        for task in self.tasks.values() {
            task.cancel();
        }
        self.network.shutdown();
        self.metrics.close();
        let _ = done.send(());
    }
}

impl TaskExecutorHandle {
    /// Its id.
    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    /// Its group of metrics.
    pub fn metric_group(&self) -> &MetricGroup {
        &self.metrics
    }

    /// Ends it: tasks are cancelled, connections closed. Others are not told; they find out.
    pub async fn shutdown(&self) {
        // One that has ended already needs no more.
        let _ = self.mailbox.ask(Message::Shutdown).await;
    }
}

#[async_trait]
impl TaskExecutorGateway for TaskExecutorHandle {
    fn peer(&self) -> Peer {
        self.mailbox.peer()
    }

    async fn request_slot(
        &self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.mailbox
            .ask(|reply| Message::RequestSlot(slot, job, allocation, token, job_master, reply))
            .await?
    }

    async fn free_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::FreeSlot(allocation, reason)).await
    }

    async fn submit_task(
        &self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::Submit(Box::new(deployment), token, reply)).await?
    }

    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.mailbox.tell(Message::Cancel(attempt)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Event(attempt, operator, event)).await
    }

    async fn trigger_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        barrier: CheckpointBarrier,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Trigger(barrier);
        self.mailbox.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_complete(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Complete(checkpoint);
        self.mailbox.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_aborted(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Aborted(checkpoint);
        self.mailbox.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn heartbeat_from_resource_manager(&self) -> RpcResult<()> {
        self.mailbox.ask(Message::Ping).await
    }

    async fn heartbeat_from_job_master(
        &self,
        job: JobId,
        slots: Vec<AllocationId>,
    ) -> RpcResult<JobHeartbeatAnswer> {
        self.mailbox.ask(|reply| Message::Heartbeat(job, slots, reply)).await
    }

    async fn disconnect_job_master(&self, job: JobId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::DisconnectJob(job, reason)).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        // The registry may be shared with others of this process.
        let own = query.with("tm_id", self.resource);
        Ok(self.metrics.registry().snapshot(&own))
    }
}
