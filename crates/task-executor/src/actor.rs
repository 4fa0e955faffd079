//! The TaskExecutor's actor.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hurtig_cluster_api::{
    CheckpointNews, FencingToken, Inbox, JobHeartbeatAnswer, JobMasterGateway, Leader,
    LeaderReceiver, Mailbox, PeerAddress, ResourceManagerGateway, RpcError, RpcResult, SlotId,
    SlotOffer, TaskDeploymentDescriptor, TaskExecutorRegistration,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_metrics::MetricGroup;
use hurtig_types::{AllocationId, ExecutionAttemptId, JobId, OperatorId, ResourceId};
use tokio::sync::{oneshot, watch};

use crate::{
    host::{HostListener, HostNews, HostNumber, Reply, TaskHost, TaskHostProvider},
    ledger::TaskLedger,
    local_host::{LocalTaskHosts, TaskExecutorServices},
    metrics,
    registration::{Registration, RegistrationConfig},
    reports::JobMasters,
    slot_table::TaskSlotTable,
};

mod handle;
mod jobs;

pub use handle::TaskExecutorHandle;

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
    /// How it registers, and when it gives up.
    pub registration: RegistrationConfig,
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
    /// The ResourceManager knows this TaskExecutor.
    Registered(FencingToken),
    /// A registration has failed.
    NotRegistered(FencingToken, RpcError),
    /// It is time for the next registration.
    RegisterAgain(FencingToken),
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
    registration: Registration,
    /// True when no ResourceManager is hoped for any more.
    gave_up: watch::Sender<bool>,
    metrics: MetricGroup,
    mailbox: Mailbox<Envelope>,
    runtimes: Runtimes,
    clock: Clock,
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
            registration: Registration::new(config.registration.clone(), clock.now_ms()),
            gave_up: watch::Sender::new(false),
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
            gave_up: self.gave_up.subscribe(),
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

    /// Registers with the ResourceManager that is followed.
    fn register(&mut self) {
        let Some(Leader { token, gateway: manager }) = self.manager.clone() else { return };
        let registration = TaskExecutorRegistration {
            resource: self.resource,
            rpc_address: format!("TaskExecutor {}", self.resource),
            data_address: self.data_address.clone(),
            slots: self.slots.report(),
        };
        let gateway = Arc::new(self.handle(Speaker::ResourceManager(token)));
        self.later(async move {
            match manager.register_task_executor(registration, gateway).await {
                Ok(()) => Message::Registered(token),
                Err(error) => Message::NotRegistered(token, error),
            }
        });
    }

    /// Sends itself what becomes of a registration, or of the wait for the next one. There is one
    /// of them at a time.
    fn later(&mut self, registering: impl Future<Output = Message> + Send + 'static) {
        if let Some(registering) = self.registering.take() {
            registering.abort();
        }
        let mailbox = self.mailbox.clone();
        let registering = self.runtimes.control.spawn(async move {
            tokio::select! {
                biased;
                () = mailbox.ended() => {}
                message = registering => {
                    // An actor that has ended need not register.
                    let _ = mailbox.tell((Speaker::Own, message)).await;
                }
            }
        });
        self.registering = Some(registering.abort_handle());
    }

    fn follows(&self, token: FencingToken) -> bool {
        self.manager.as_ref().is_some_and(|manager| manager.token == token)
    }

    fn on_registration(&mut self, token: FencingToken, failure: Option<RpcError>) {
        if !self.follows(token) {
            return;
        }
        match failure {
            None => self.registration.on_answer(self.clock.now_ms()),
            Some(error) => {
                let pause = self.registration.on_failure(&error);
                let pause_ms = pause.as_millis() as u64;
                tracing::warn!(%error, pause_ms, "cannot register with the ResourceManager yet");
                self.later(async move {
                    tokio::time::sleep(pause).await;
                    Message::RegisterAgain(token)
                });
            }
        }
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
            self.registration.on_leader();
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
        if self.registration.is_hopeless(self.clock.now_ms()) && !self.gave_up.send_replace(true) {
            tracing::error!(resource = %self.resource, "no ResourceManager has been found in time");
        }
        let Some(Leader { token, gateway: manager }) = self.manager.clone() else { return };
        let (resource, report) = (self.resource, self.slots.report());
        let mailbox = self.mailbox.clone();
        self.runtimes.control.spawn(async move {
            let message = match manager.heartbeat_from_task_executor(resource, report).await {
                Ok(()) => Message::Registered(token),
                Err(RpcError::NotFound(_)) => Message::Unregistered(token),
                Err(error) => {
                    tracing::debug!(%error, "heartbeat failed");
                    return;
                }
            };
            // An actor that has ended need not register.
            let _ = mailbox.tell((Speaker::Own, message)).await;
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
                    self.ledger.on_event(attempt, operator);
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
                // A registration that is under way, or waits for its time, is left alone.
                let idle = self.registering.as_ref().is_none_or(|task| task.is_finished());
                if idle && self.follows(by) {
                    self.register();
                }
            }
            Message::Registered(by) => self.on_registration(by, None),
            Message::NotRegistered(by, error) => self.on_registration(by, Some(error)),
            Message::RegisterAgain(by) => {
                if self.follows(by) {
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
