//! The TaskExecutor's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointNews, ExecutionState, FencingToken, Inbox, JobHeartbeatAnswer, JobMasterGateway,
    Leader, LeaderReceiver, Mailbox, OccupiedSlot, Peer, PeerAddress, ResourceManagerGateway,
    RpcError, RpcResult, SlotId, SlotOffer, TaskDeploymentDescriptor, TaskExecutorGateway,
    TaskExecutorRegistration,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::{MetricGroup, MetricsQuery, MetricsSnapshot};
use hurtig_types::{
    AllocationId, CheckpointBarrier, CheckpointId, ExecutionAttemptId, JobId, OperatorId,
    ResourceId,
};
use tokio::sync::{oneshot, watch};

use crate::{
    host::{
        HostListener, HostNews, HostNumber, Reply, StartedHost, TaskHost, TaskHostProvider,
        TaskStates,
    },
    ledger::TaskLedger,
    local_host::{LocalTaskHosts, TaskExecutorServices},
    metrics,
    reports::JobMasters,
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

/// Whose message it is. What a superseded leader says changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Speaker {
    /// This process.
    Own,
    ResourceManager(FencingToken),
    JobMaster(JobId, FencingToken),
}

type Envelope = (Speaker, Message);

enum Message {
    JobMasterChanged(JobId, FencingToken, Arc<dyn JobMasterGateway>, Reply<()>),
    /// A JobMaster that has taken over has answered the offer of what the job has here.
    OccupiedAnswered(JobId, FencingToken, Vec<AllocationId>, Vec<AllocationId>),
    RequestSlot(SlotId, JobId, AllocationId, FencingToken, Arc<dyn JobMasterGateway>, Reply<()>),
    OfferAnswered(AllocationId, RpcResult<Vec<AllocationId>>),
    FreeSlot(AllocationId, String),
    Submit(Box<TaskDeploymentDescriptor>, FencingToken, Reply<()>),
    Cancel(ExecutionAttemptId),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Checkpoint(ExecutionAttemptId, CheckpointNews),
    Host(HostNews),
    Ping(Reply<()>),
    Heartbeat(JobId, Vec<AllocationId>, Reply<JobHeartbeatAnswer>),
    /// The ResourceManager does not know this TaskExecutor.
    Unregistered(FencingToken),
    DisconnectJob(JobId, String),
    Shutdown(oneshot::Sender<()>),
}

/// The way here that one leader was given. Others pass it on by its identity, so each leader has one
/// of its own.
struct Line {
    mailbox: Mailbox<Envelope>,
    /// Those who hold the way learn of its end by it.
    open: watch::Sender<()>,
    /// When it was used last, in milliseconds.
    heard_ms: i64,
}

/// What one job has here.
struct JobEntry {
    /// The JobMaster that has accepted what the job has here.
    accepted_by: Option<FencingToken>,
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
    job_masters: JobMasters,
    ledger: TaskLedger,
    /// The leaders that are followed, and those that have spoken within `heartbeat.timeout`.
    lines: BTreeMap<Speaker, Line>,
    hosts: Arc<dyn TaskHostProvider>,
    hosts_started: HostNumber,
    listener: HostListener,
    /// The ResourceManager as far as it is known, and the one that is followed.
    leader: LeaderReceiver<dyn ResourceManagerGateway>,
    manager: Option<Leader<dyn ResourceManagerGateway>>,
    registering: Option<tokio::task::AbortHandle>,
    metrics: MetricGroup,
    mailbox: Mailbox<Envelope>,
    runtimes: Runtimes,
    clock: Clock,
}

/// The way to a TaskExecutor.
#[derive(Clone)]
pub struct TaskExecutorHandle {
    resource: ResourceId,
    mailbox: Mailbox<Envelope>,
    speaker: Speaker,
    /// Of a leader's way here: ends when the leader is neither followed nor heard of.
    open: Option<watch::Receiver<()>>,
    metrics: MetricGroup,
    hosts: Arc<dyn TaskHostProvider>,
}

impl TaskExecutor {
    /// Starts the actor, with tasks in this process; it registers with the ResourceManager that
    /// leads, and with every one that comes after it.
    pub fn start(
        config: TaskExecutorConfig,
        resource_manager: LeaderReceiver<dyn ResourceManagerGateway>,
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
        resource_manager: LeaderReceiver<dyn ResourceManagerGateway>,
        address: PeerAddress,
        metrics: MetricGroup,
        runtimes: &Runtimes,
        clock: Clock,
        hosts: impl FnOnce(HostListener) -> Arc<dyn TaskHostProvider>,
    ) -> TaskExecutorHandle {
        let resource = address.resource;
        let (mailbox, inbox) = Mailbox::<Envelope>::new("TaskExecutor");
        let (told, control) = (mailbox.clone(), runtimes.control.clone());
        let listener: HostListener = Arc::new(move |news| {
            let told = told.clone();
            control.spawn(async move {
                // Without the actor there is nothing to clean up.
                let _ = told.tell((Speaker::Own, Message::Host(news))).await;
            });
        });
        let mut executor = Self {
            resource,
            data_address: address,
            slots: TaskSlotTable::new(resource, config.slots),
            config,
            jobs: BTreeMap::new(),
            job_masters: JobMasters::default(),
            ledger: TaskLedger::default(),
            lines: BTreeMap::new(),
            hosts: hosts(listener.clone()),
            hosts_started: 0,
            listener,
            manager: None,
            leader: resource_manager,
            registering: None,
            metrics,
            mailbox: mailbox.clone(),
            runtimes: runtimes.clone(),
            clock,
        };
        let handle = executor.handle(Speaker::Own);
        runtimes.control.spawn(executor.run(inbox));
        handle
    }

    /// The way here for one speaker.
    fn handle(&mut self, speaker: Speaker) -> TaskExecutorHandle {
        let line = (speaker != Speaker::Own).then(|| {
            self.lines.entry(speaker).or_insert_with(|| Line {
                mailbox: self.mailbox.under_another_identity(),
                open: watch::Sender::new(()),
                heard_ms: self.clock.now_ms(),
            })
        });
        TaskExecutorHandle {
            resource: self.resource,
            mailbox: line.as_ref().map_or(&self.mailbox, |line| &line.mailbox).clone(),
            speaker,
            open: line.map(|line| line.open.subscribe()),
            metrics: self.metrics.clone(),
            hosts: self.hosts.clone(),
        }
    }

    /// Gives up the ways here of leaders that are neither followed nor heard of.
    fn close_lines(&mut self) {
        let since = self.clock.now_ms() - self.config.heartbeat_timeout.as_millis() as i64;
        let (manager, job_masters) = (&self.manager, &self.job_masters);
        self.lines.retain(|speaker, line| {
            let is_followed = match speaker {
                Speaker::Own => true,
                Speaker::ResourceManager(token) => {
                    manager.as_ref().is_some_and(|manager| manager.token == *token)
                }
                Speaker::JobMaster(job, token) => job_masters.is_followed(*job, *token),
            };
            is_followed || line.heard_ms >= since
        });
    }

    /// Registers with the ResourceManager that is followed, however often that takes.
    fn register(&mut self) {
        if let Some(registering) = self.registering.take() {
            registering.abort();
        }
        let Some(Leader { token, gateway: manager }) = self.manager.clone() else { return };
        let registration = TaskExecutorRegistration {
            resource: self.resource,
            rpc_address: format!("TaskExecutor {}", self.resource),
            data_address: self.data_address.clone(),
            slots: self.slots.report(),
        };
        let gateway = Arc::new(self.handle(Speaker::ResourceManager(token)));
        let mailbox = self.mailbox.clone();
        let pause = self.config.heartbeat_interval;
        let registering = self.runtimes.control.spawn(async move {
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
        self.registering = Some(registering.abort_handle());
    }

    /// Follows the ResourceManager that leads now. While none is known the last one is kept: it may
    /// only be out of sight.
    fn follow_leader(&mut self) {
        let leader = self.leader.borrow_and_update().clone();
        let Some(leader) = leader else { return };
        let known = self.manager.as_ref().map(|manager| manager.token);
        if known.is_none_or(|known| known < leader.token) {
            tracing::info!(resource = %self.resource, token = ?leader.token, "ResourceManager");
            self.manager = Some(leader);
            self.register();
        }
    }

    async fn run(mut self, mut inbox: Inbox<Envelope>) {
        self.follow_leader();
        let mut heartbeat = tokio::time::interval(self.config.heartbeat_interval);
        let mut follows = true;
        loop {
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some((_, Message::Shutdown(done))) => {
                        self.shut_down(done);
                        return;
                    }
                    Some((speaker, message)) => {
                        if let Some(line) = self.lines.get_mut(&speaker) {
                            line.heard_ms = self.clock.now_ms();
                        }
                        match self.superseded(speaker) {
                            Some(fenced) => refuse(message, fenced),
                            None => self.on_message(message),
                        }
                    }
                    None => return,
                },
                changed = self.leader.changed(), if follows => {
                    // Without anybody who tells of leaders the last one stays.
                    follows = changed.is_ok();
                    self.follow_leader();
                }
                _ = heartbeat.tick() => self.beat(),
            }
        }
    }

    /// An error if another leader has taken the speaker's place.
    fn superseded(&self, speaker: Speaker) -> Option<RpcError> {
        let (got, current) = match speaker {
            Speaker::Own => return None,
            Speaker::ResourceManager(token) => (token, self.manager.as_ref()?.token),
            Speaker::JobMaster(job, token) => (token, self.job_masters.get(job)?.token),
        };
        (got < current).then_some(RpcError::Fenced { got, current })
    }

    fn beat(&mut self) {
        for (slot, allocation) in self.slots.expire(self.clock.now_ms()) {
            self.announce_free(slot, allocation);
        }
        self.forget_jobs_without_slots();
        self.give_up_silent_job_masters();
        self.close_lines();
        let Some(Leader { token, gateway: manager }) = self.manager.clone() else { return };
        let (resource, report) = (self.resource, self.slots.report());
        let mailbox = self.mailbox.clone();
        self.runtimes.control.spawn(async move {
            match manager.heartbeat_from_task_executor(resource, report).await {
                Ok(()) => {}
                Err(RpcError::NotFound(_)) => {
                    // An actor that has ended need not register.
                    let _ = mailbox.tell((Speaker::Own, Message::Unregistered(token))).await;
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
            // Nobody needs to hear what becomes of its tasks: what they report must not hold
            // anything up here.
            self.job_masters.forget(job);
            if let Some(entry) = self.jobs.get_mut(&job) {
                entry.host.forget_job_master();
            }
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
        let Some(Leader { gateway: manager, .. }) = self.manager.clone() else { return };
        self.runtimes.control.spawn(async move {
            // The next heartbeat repeats it.
            let _ = manager.notify_slot_available(slot, allocation).await;
        });
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::JobMasterChanged(job, token, gateway, reply) => {
                let followed = self.job_masters.get(job).map(|leader| leader.token);
                let answer = match followed.filter(|followed| *followed > token) {
                    Some(current) => Err(RpcError::Fenced { got: token, current }),
                    None => {
                        if !self.slots.occupied_by(job).is_empty() {
                            self.follow_job_master(job, Leader { token, gateway });
                        }
                        Ok(())
                    }
                };
                // Who asked may have gone.
                let _ = reply.send(answer);
            }
            Message::OccupiedAnswered(job, token, offered, accepted) => {
                if !self.job_masters.is_followed(job, token) {
                    return;
                }
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.accepted_by = Some(token);
                }
                for allocation in offered {
                    if !accepted.contains(&allocation) {
                        self.free_slot(allocation);
                    } else if self.slots.activate(allocation).is_err() {
                        tracing::debug!(%allocation, "an accepted slot is free by now");
                    }
                }
            }
            Message::RequestSlot(slot, job, allocation, token, gateway, reply) => {
                let followed = self.job_masters.get(job).map(|leader| leader.token);
                if let Some(current) = followed.filter(|followed| *followed > token) {
                    let _ = reply.send(Err(RpcError::Fenced { got: token, current }));
                    return;
                }
                let until_ms = self.clock.now_ms() + self.config.slot_timeout.as_millis() as i64;
                let others = !self.slots.occupied_by(job).is_empty();
                let allocated = self.slots.allocate(slot, job, allocation, until_ms);
                if allocated.is_ok() {
                    let leader = Leader { token, gateway };
                    if others {
                        self.follow_job_master(job, leader);
                    } else {
                        self.admit(job, leader);
                    }
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
                    self.ledger.on_event(attempt);
                    entry.host.deliver_event(attempt, operator, event);
                }
            }
            Message::Checkpoint(attempt, news) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    match &news {
                        CheckpointNews::Trigger(barrier) => {
                            self.ledger.on_trigger(attempt, barrier.checkpoint_id);
                        }
                        CheckpointNews::Complete(id) => self.ledger.on_complete(attempt, *id),
                        CheckpointNews::Aborted(id) => self.ledger.on_aborted(attempt, *id),
                    }
                    entry.host.notify_checkpoint(attempt, news);
                }
            }
            Message::Host(news) => self.on_host(news),
            Message::Ping(reply) => {
                // Who asked may have gone.
                let _ = reply.send(Ok(()));
            }
            Message::Unregistered(by) => {
                if self.manager.as_ref().is_some_and(|manager| manager.token == by) {
                    self.register();
                }
            }
            Message::Heartbeat(job, named, reply) => {
                let mut metrics = Vec::new();
                if let Some(entry) = self.jobs.get_mut(&job) {
                    entry.heard_ms = self.clock.now_ms();
                    metrics = entry.host.io_metrics();
                }
                let (missing, superfluous) = self.slots.compare(job, &named);
                // Who asked may have gone.
                let _ = reply.send(Ok(JobHeartbeatAnswer { metrics, missing }));
                superfluous.into_iter().for_each(|allocation| self.free_slot(allocation));
            }
            Message::DisconnectJob(job, reason) => self.disconnect_job(job, &reason),
            Message::Shutdown(done) => self.shut_down(done),
        }
    }

    /// A job has been given a slot: its host is started if this is its first.
    fn admit(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        if self.jobs.contains_key(&job) {
            // What it had here before is about to go.
            self.set_job_master(job, leader, None);
        } else {
            self.job_masters.follow(job, leader.clone());
            self.hosts_started += 1;
            let number = self.hosts_started;
            let started = self.hosts.start(job, number, leader, self.listener.clone());
            let StartedHost { host, data_address } = started;
            let (accepted_by, to_offer) = (None, Vec::new());
            let heard_ms = self.clock.now_ms();
            let entry = JobEntry { accepted_by, heard_ms, host, number, data_address, to_offer };
            self.jobs.insert(job, entry);
        }
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.accepted_by = Some(token);
        }
    }

    /// Has a job's tasks report to this JobMaster. Who wants to know gets the tasks' states.
    fn set_job_master(
        &mut self,
        job: JobId,
        leader: Leader<dyn JobMasterGateway>,
        states: Option<Reply<TaskStates>>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.heard_ms = self.clock.now_ms();
        if states.is_none() && self.job_masters.is_followed(job, leader.token) {
            return;
        }
        self.job_masters.follow(job, leader.clone());
        let (reply, answer) = oneshot::channel();
        entry.host.set_job_master(leader, states.unwrap_or(reply));
        drop(answer);
    }

    fn on_host(&mut self, news: HostNews) {
        match news {
            HostNews::Ready(job, number, address) => {
                let entry = self.jobs.get_mut(&job).filter(|entry| entry.number == number);
                let Some(entry) = entry else { return };
                entry.data_address = Some(address);
                let (to_offer, accepted_by) =
                    (std::mem::take(&mut entry.to_offer), entry.accepted_by);
                match self.job_masters.get(job) {
                    // It has taken over meanwhile.
                    Some(leader) if accepted_by != Some(leader.token) => {
                        self.offer_occupied(job, leader);
                    }
                    _ => to_offer.into_iter().for_each(|offer| self.offer_when_ready(job, offer)),
                }
            }
            HostNews::Lost(job, number, reason) => self.lose_host(job, number, &reason),
            HostNews::TaskEnded(attempt) => {
                if let Some(entry) = self.jobs.get_mut(&attempt.job) {
                    entry.host.forget(attempt);
                }
                self.ledger.on_end(attempt);
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
        let leader = self.job_masters.get(job);
        self.job_masters.forget(job);
        let told = allocations.clone();
        let resource = self.resource;
        let reason = format!("the task host on TaskExecutor {resource} is gone: {reason}");
        let was_ready = entry.data_address.is_some();
        self.runtimes.control.spawn(async move {
            // One that comes later finds nothing here.
            let Some(Leader { gateway, .. }) = leader else { return };
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
                self.ledger.on_end(attempt);
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
                self.job_masters.forget(job);
            }
        }
    }

    /// Offers a slot, now or when the host of its job is ready.
    fn offer_when_ready(&mut self, job: JobId, offer: SlotOffer) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        match entry.data_address.clone() {
            Some(address) => {
                let Some(leader) = self.job_masters.get(job) else { return };
                self.offer(job, offer, address, leader);
            }
            None if entry.to_offer.contains(&offer) => {}
            None => entry.to_offer.push(offer),
        }
    }

    /// Follows the JobMaster of a job that has slots here, and offers it what is in them.
    fn follow_job_master(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let is_ready = entry.data_address.is_some();
        let is_accepted = entry.accepted_by == Some(token);
        // In the latter case it is being offered, or will be when the host is ready.
        if is_accepted || self.job_masters.is_followed(job, token) {
            self.set_job_master(job, leader, None);
        } else if is_ready {
            self.offer_occupied(job, leader);
        } else {
            self.set_job_master(job, leader, None);
        }
    }

    /// Offers a JobMaster that has taken over what its job has here, with the states that tasks
    /// have when they begin to report to it.
    fn offer_occupied(&mut self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        let token = leader.token;
        let data_address = self.jobs.get(&job).and_then(|entry| entry.data_address.clone());
        let Some(address) = data_address else { return };
        // One that has ended and whose end is being told is not among those with a state.
        let surviving =
            |attempt: &ExecutionAttemptId| self.ledger.surviving(*attempt, ExecutionState::Failed);
        let occupied = self.slots.occupied_by(job).into_iter().map(|(offer, tasks)| OccupiedSlot {
            offer,
            tasks: tasks.iter().map(surviving).collect(),
        });
        let mut slots: Vec<OccupiedSlot> = occupied.collect();
        let offered: Vec<AllocationId> = slots.iter().map(|slot| slot.offer.allocation).collect();
        let gateway = Arc::new(self.handle(Speaker::JobMaster(job, token)));
        let resource = self.resource;
        let (told, states) = oneshot::channel();
        self.set_job_master(job, leader.clone(), Some(told));
        let (mailbox, job_masters) = (self.mailbox.clone(), self.job_masters.clone());
        self.runtimes.control.spawn(async move {
            let states = match states.await {
                Ok(Ok(states)) => states.into_iter().collect::<BTreeMap<_, _>>(),
                // It is lost, which is told as such.
                Err(_) => return,
                Ok(Err(error)) => {
                    let reason = format!("tasks were not told of it: {error}");
                    let lost = Message::Host(HostNews::JobMasterLost(job, reason));
                    let _ = mailbox.tell((Speaker::Own, lost)).await;
                    return;
                }
            };
            for task in slots.iter_mut().flat_map(|slot| &mut slot.tasks) {
                task.state = states.get(&task.attempt).copied().unwrap_or(task.state);
            }
            // As long as nobody else is followed: what it has not got it cannot take over.
            while job_masters.is_followed(job, token) {
                let (address, gateway) = (address.clone(), gateway.clone());
                let offering =
                    leader.gateway.offer_occupied_slots(resource, address, gateway, slots.clone());
                match offering.await {
                    Ok(accepted) => {
                        let answer = Message::OccupiedAnswered(job, token, offered, accepted);
                        // Without the actor there are no slots.
                        let _ = mailbox.tell((Speaker::Own, answer)).await;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%job, %error, "occupied slots are offered again");
                        job_masters.changed_or(OFFER_RETRY).await;
                    }
                }
            }
        });
    }

    fn offer(
        &mut self,
        job: JobId,
        offer: SlotOffer,
        address: PeerAddress,
        leader: Leader<dyn JobMasterGateway>,
    ) {
        let Leader { token, gateway: job_master } = leader;
        let gateway = Arc::new(self.handle(Speaker::JobMaster(job, token)));
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
            let answered = Message::OfferAnswered(offer.allocation, answer);
            let _ = mailbox.tell((Speaker::Own, answered)).await;
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
        let followed = self.job_masters.get(attempt.job).map(|leader| leader.token);
        let refused = match followed {
            Some(current) if current != token => Some(RpcError::Fenced { got: token, current }),
            _ => {
                let added = self.slots.add_task(deployment.allocation, attempt).err();
                added.map(|e| RpcError::Rejected(format!("cannot run task {attempt}: {e}")))
            }
        };
        match (refused, entry) {
            (None, Some(entry)) => {
                let restored = deployment.restore.as_ref().map(|restore| restore.checkpoint_id);
                self.ledger.on_start(attempt, restored);
                entry.host.submit(deployment, reply);
            }
            (refused, _) => {
                let unknown =
                    || RpcError::NotFound(format!("job {} has no slot here", attempt.job));
                // Who asked may have gone: nothing has happened.
                let _ = reply.send(Err(refused.unwrap_or_else(unknown)));
            }
        }
    }

    fn shut_down(&mut self, done: oneshot::Sender<()>) {
        self.job_masters.forget_all();
        for (_, entry) in std::mem::take(&mut self.jobs) {
            entry.host.abandon();
        }
        self.hosts.shut_down();
        self.metrics.close();
        // Who asked may not wait for it.
        let _ = done.send(());
    }
}

/// Answers a superseded leader.
fn refuse(message: Message, fenced: RpcError) {
    tracing::debug!(%fenced, "message of a superseded leader");
    // Who asked may have gone; others find out by what they ask.
    match message {
        Message::JobMasterChanged(.., reply)
        | Message::RequestSlot(.., reply)
        | Message::Submit(.., reply)
        | Message::Ping(reply) => drop(reply.send(Err(fenced))),
        Message::Heartbeat(.., reply) => drop(reply.send(Err(fenced))),
        _ => {}
    }
}

impl TaskExecutorHandle {
    async fn tell(&self, message: Message) -> RpcResult<()> {
        self.mailbox.tell((self.speaker, message)).await
    }

    async fn ask<R>(&self, message: impl FnOnce(Reply<R>) -> Message) -> RpcResult<R> {
        self.mailbox.ask(|reply| (self.speaker, message(reply))).await?
    }

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
        let _ = self.mailbox.ask(|done| (self.speaker, Message::Shutdown(done))).await;
    }
}

#[async_trait]
impl TaskExecutorGateway for TaskExecutorHandle {
    fn peer(&self) -> Peer {
        let peer = self.mailbox.peer();
        let Some(mut open) = self.open.clone() else { return peer };
        let identity = peer.identity().clone();
        Peer::new(identity, async move {
            tokio::select! {
                biased;
                () = peer.gone() => {}
                // Nothing is ever sent, so it ends with the line.
                _ = open.changed() => {}
            }
        })
    }

    async fn request_slot(
        &self,
        slot: SlotId,
        job: JobId,
        allocation: AllocationId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::RequestSlot(slot, job, allocation, token, job_master, reply))
            .await
    }

    async fn job_master_changed(
        &self,
        job: JobId,
        token: FencingToken,
        job_master: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::JobMasterChanged(job, token, job_master, reply)).await
    }

    async fn free_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.tell(Message::FreeSlot(allocation, reason)).await
    }

    async fn submit_task(
        &self,
        deployment: TaskDeploymentDescriptor,
        token: FencingToken,
    ) -> RpcResult<()> {
        self.ask(|reply| Message::Submit(Box::new(deployment), token, reply)).await
    }

    async fn cancel_task(&self, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.tell(Message::Cancel(attempt)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.tell(Message::Event(attempt, operator, event)).await
    }

    async fn trigger_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        barrier: CheckpointBarrier,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Trigger(barrier);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_complete(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Complete(checkpoint);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn notify_checkpoint_aborted(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
    ) -> RpcResult<()> {
        let news = CheckpointNews::Aborted(checkpoint);
        self.tell(Message::Checkpoint(attempt, news)).await
    }

    async fn heartbeat_from_resource_manager(&self) -> RpcResult<()> {
        self.ask(Message::Ping).await
    }

    async fn heartbeat_from_job_master(
        &self,
        job: JobId,
        slots: Vec<AllocationId>,
    ) -> RpcResult<JobHeartbeatAnswer> {
        self.ask(|reply| Message::Heartbeat(job, slots, reply)).await
    }

    async fn disconnect_job_master(&self, job: JobId, reason: String) -> RpcResult<()> {
        self.tell(Message::DisconnectJob(job, reason)).await
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        // The registry may be shared with others of this process.
        let own = query.with("tm_id", self.resource);
        let mut snapshot = self.metrics.registry().snapshot(&own);
        snapshot.merge(self.hosts.query_metrics(own).await);
        Ok(snapshot)
    }
}
