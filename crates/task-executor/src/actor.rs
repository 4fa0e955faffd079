//! The TaskExecutor's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointNews, FencingToken, Inbox, JobHeartbeatAnswer, JobMasterGateway, Mailbox, Peer,
    PeerAddress, ResourceManagerGateway, RpcError, RpcResult, SlotId, SlotOffer,
    TaskDeploymentDescriptor, TaskExecutorGateway, TaskExecutorRegistration,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{MetricGroup, MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
    ResourceId,
};
use tokio::sync::oneshot;

use crate::{
    host::{HostListener, HostNews, HostNumber, Reply, StartedHost, TaskHost, TaskHostProvider},
    local_host::{LocalTaskHosts, TaskExecutorServices},
    metrics,
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

enum Message {
    RequestSlot(SlotId, JobId, AllocationId, FencingToken, Arc<dyn JobMasterGateway>, Reply<()>),
    OfferAnswered(AllocationId, RpcResult<Vec<AllocationId>>),
    FreeSlot(AllocationId, String),
    Submit(Box<TaskDeploymentDescriptor>, FencingToken, Reply<()>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Checkpoint(ExecutionAttemptId, CheckpointNews),
    Host(HostNews),
    Ping(oneshot::Sender<()>),
    Heartbeat(JobId, Vec<AllocationId>, oneshot::Sender<JobHeartbeatAnswer>),
    /// The ResourceManager does not know this TaskExecutor.
    Unregistered,
    DisconnectJob(JobId, String),
    Shutdown(oneshot::Sender<()>),
}

/// What one job has here.
struct JobEntry {
    /// The JobMaster.
    gateway: Arc<dyn JobMasterGateway>,
    token: FencingToken,
    /// When the JobMaster was heard of last, in milliseconds.
    heard_ms: i64,
    host: Box<dyn TaskHost>,
    number: HostNumber,
    /// Where the host's data plane is; nothing is offered before it is known.
    data_address: Option<PeerAddress>,
    /// Slots that wait for the host.
    to_offer: Vec<SlotOffer>,
}

/// The actor.
pub struct TaskExecutor {
    resource: ResourceId,
    config: TaskExecutorConfig,
    data_address: PeerAddress,
    slots: TaskSlotTable,
    /// The jobs that have slots here.
    jobs: BTreeMap<JobId, JobEntry>,
    hosts: Arc<dyn TaskHostProvider>,
    hosts_started: HostNumber,
    listener: HostListener,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    metrics: MetricGroup,
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
    hosts: Arc<dyn TaskHostProvider>,
}

impl TaskExecutor {
    /// Starts the actor, with tasks in this process; it registers with the ResourceManager.
    pub fn start(
        config: TaskExecutorConfig,
        resource_manager: Arc<dyn ResourceManagerGateway>,
        services: TaskExecutorServices,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> TaskExecutorHandle {
        let address = services.network.address().clone();
        let group = metrics::register(&services.metrics, &services.network);
        let metrics = group.clone();
        Self::start_with(config, resource_manager, address, group, runtimes, clock, |listener| {
            Arc::new(LocalTaskHosts::new(metrics, services, listener, runtimes, clock))
        })
    }

    /// Starts the actor, with tasks wherever the provider's hosts run them. `address` is what
    /// people are told of the data plane, `metrics` the TaskExecutor's group.
    pub fn start_with(
        config: TaskExecutorConfig,
        resource_manager: Arc<dyn ResourceManagerGateway>,
        address: PeerAddress,
        metrics: MetricGroup,
        runtimes: &Runtimes,
        clock: Clock,
        hosts: impl FnOnce(HostListener) -> Arc<dyn TaskHostProvider>,
    ) -> TaskExecutorHandle {
        let resource = address.resource;
        let (mailbox, inbox) = Mailbox::new("TaskExecutor");
        let (told, control) = (mailbox.clone(), runtimes.control.clone());
        let listener: HostListener = Arc::new(move |news| {
            let told = told.clone();
            control.spawn(async move {
                // Without the actor there is nothing to clean up.
                let _ = told.tell(Message::Host(news)).await;
            });
        });
        let executor = Self {
            resource,
            data_address: address,
            slots: TaskSlotTable::new(resource, config.slots),
            config,
            jobs: BTreeMap::new(),
            hosts: hosts(listener.clone()),
            hosts_started: 0,
            listener,
            resource_manager,
            metrics,
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
            hosts: self.hosts.clone(),
        }
    }

    /// Registers with the ResourceManager, however often that takes.
    fn register(&self) {
        let registration = TaskExecutorRegistration {
            resource: self.resource,
            rpc_address: format!("TaskExecutor {}", self.resource),
            data_address: self.data_address.clone(),
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
        self.forget_jobs_without_slots();
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
        let silent = self.jobs.iter().filter(|(_, entry)| entry.heard_ms < since);
        let silent: Vec<JobId> = silent.map(|(job, _)| *job).collect();
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
        self.forget_jobs_without_slots();
    }

    /// What a slot has kept on the disk goes with its grant. Hosts of other jobs have nothing.
    fn release_local_state(&mut self, allocation: AllocationId) {
        for entry in self.jobs.values_mut() {
            entry.host.release_slot(allocation);
        }
    }

    fn announce_free(&mut self, slot: SlotId, allocation: AllocationId) {
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
                    self.admit(job, token, gateway);
                    self.offer_when_ready(job, SlotOffer { allocation, slot });
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
                    self.forget_jobs_without_slots();
                }
            }
            Message::FreeSlot(allocation, reason) => {
                tracing::debug!(%allocation, reason, "slot freed");
                self.free_slot(allocation);
            }
            Message::Submit(deployment, token, reply) => self.submit(deployment, token, reply),
            Message::Cancel(attempt) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.cancel(attempt);
                }
            }
            Message::Event(attempt, operator, event) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.deliver_event(attempt, operator, event);
                }
            }
            Message::Checkpoint(attempt, news) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.notify_checkpoint(attempt, news);
                }
            }
            Message::Host(news) => self.on_host(news),
            Message::Ping(reply) => {
                // Who asked may have gone.
                let _ = reply.send(());
            }
            Message::Unregistered => self.register(),
            Message::Heartbeat(job, named, reply) => {
                let mut metrics = Vec::new();
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.heard_ms = self.clock.now_ms();
                    metrics = entry.host.io_metrics();
                }
                let (missing, superfluous) = self.slots.compare(job, &named);
                // Who asked may have gone.
                let _ = reply.send(JobHeartbeatAnswer { metrics, missing });
                superfluous.into_iter().for_each(|allocation| self.free_slot(allocation));
            }
            Message::DisconnectJob(job, reason) => self.disconnect_job(job, &reason),
            Message::Shutdown(done) => self.shut_down(done),
        }
    }

    /// A job has been given a slot: its host is started if this is its first.
    fn admit(&mut self, job: JobId, token: FencingToken, gateway: Arc<dyn JobMasterGateway>) {
        let heard_ms = self.clock.now_ms();
        if let Some(entry) = self.jobs.get_mut(&job) {
            (entry.token, entry.heard_ms, entry.gateway) = (token, heard_ms, gateway.clone());
            entry.host.set_job_master(gateway);
            return;
        }
        self.hosts_started += 1;
        let number = self.hosts_started;
        let started = self.hosts.start(job, number, gateway.clone(), self.listener.clone());
        let StartedHost { host, data_address } = started;
        let to_offer = Vec::new();
        let entry = JobEntry { gateway, token, heard_ms, host, number, data_address, to_offer };
        self.jobs.insert(job, entry);
    }

    fn on_host(&mut self, news: HostNews) {
        match news {
            HostNews::Ready(job, number, address) => {
                let entry = self.jobs.get_mut(&job).filter(|entry| entry.number == number);
                let Some(entry) = entry else { return };
                entry.data_address = Some(address);
                for offer in std::mem::take(&mut entry.to_offer) {
                    self.offer_when_ready(job, offer);
                }
            }
            HostNews::Lost(job, number, reason) => self.lose_host(job, number, &reason),
            HostNews::TaskEnded(attempt) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.forget(attempt);
                }
                if let Some((slot, allocation)) = self.slots.remove_task(attempt) {
                    self.announce_free(slot, allocation);
                }
                self.forget_jobs_without_slots();
            }
            HostNews::JobMasterLost(job, reason) => self.disconnect_job(job, &reason),
        }
    }

    /// A host is gone, and all tasks of its job here with it. The job gets new slots, and they a
    /// new host: what the JobMaster knows of these slots, their data address, is no longer true.
    fn lose_host(&mut self, job: JobId, number: HostNumber, reason: &str) {
        if self.jobs.get(&job).is_none_or(|entry| entry.number != number) {
            return;
        }
        let Some(entry) = self.jobs.remove(&job) else { return };
        tracing::warn!(job_id = %job, reason, "task host lost");
        let allocations = self.slots.allocations_of(job);
        let gateway = entry.gateway.clone();
        let told = allocations.clone();
        let resource = self.resource;
        let reason = format!("the task host on TaskExecutor {resource} is gone: {reason}");
        let was_ready = entry.data_address.is_some();
        self.runtimes.control.spawn(async move {
            if !was_ready {
                // The JobMaster knows nothing of these slots, and would wait for them.
                let _ = gateway.task_host_failed(resource, reason).await;
                return;
            }
            for allocation in told {
                // The JobMaster's next heartbeat finds out too.
                let _ = gateway.fail_slot(allocation, reason.clone()).await;
            }
        });
        for allocation in allocations {
            let (tasks, mut freed) = self.slots.free(allocation);
            for attempt in tasks {
                freed = self.slots.remove_task(attempt).or(freed);
            }
            // If it could not be started, the next heartbeat tells of the slots: told at once, they
            // would be given to the job again at once.
            if let Some((slot, allocation)) = freed.filter(|_| was_ready) {
                self.announce_free(slot, allocation);
            }
        }
        entry.host.abandon();
    }

    fn forget_jobs_without_slots(&mut self) {
        let without = self.jobs.keys().filter(|job| self.slots.allocations_of(**job).is_empty());
        let without: Vec<JobId> = without.copied().collect();
        for job in without {
            if let Some(entry) = self.jobs.remove(&job) {
                entry.host.end();
            }
        }
    }

    /// Offers a slot, now or when the host of its job is ready.
    fn offer_when_ready(&mut self, job: JobId, offer: SlotOffer) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        match entry.data_address.clone() {
            Some(address) => {
                let gateway = entry.gateway.clone();
                self.offer(offer, address, gateway);
            }
            None if entry.to_offer.contains(&offer) => {}
            None => entry.to_offer.push(offer),
        }
    }

    fn offer(&self, offer: SlotOffer, address: PeerAddress, job_master: Arc<dyn JobMasterGateway>) {
        let gateway = Arc::new(self.handle());
        let resource = self.resource;
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
            if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                entry.host.cancel(attempt);
            }
        }
        freed
    }

    fn submit(
        &mut self,
        deployment: Box<TaskDeploymentDescriptor>,
        token: FencingToken,
        reply: Reply<()>,
    ) {
        let attempt = deployment.attempt;
        let entry = self.jobs.get_mut(&attempt.job);
        let refused = match &entry {
            Some(entry) if entry.token != token => {
                Some(RpcError::Fenced { got: token, current: entry.token })
            }
            _ => {
                let added = self.slots.add_task(deployment.allocation, attempt).err();
                added.map(|e| RpcError::Rejected(format!("cannot run task {attempt}: {e}")))
            }
        };
        match (refused, entry) {
            (None, Some(entry)) => entry.host.submit(deployment, reply),
            (refused, _) => {
                let unknown =
                    || RpcError::NotFound(format!("job {} has no slot here", attempt.job));
                // Who asked may have gone: nothing has happened.
                let _ = reply.send(Err(refused.unwrap_or_else(unknown)));
            }
        }
    }

    fn shut_down(&mut self, done: oneshot::Sender<()>) {
        for (_, entry) in std::mem::take(&mut self.jobs) {
            entry.host.abandon();
        }
        self.hosts.shut_down();
        self.metrics.close();
        // Who asked may not wait for it.
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
        let mut snapshot = self.metrics.registry().snapshot(&own);
        snapshot.merge(self.hosts.query_metrics(own).await);
        Ok(snapshot)
    }
}
