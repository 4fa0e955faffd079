//! The JobMaster's actor.
//!
//! One turn: take a message, tell the scheduler, carry out its commands. The actor ends when the
//! job has ended and its slots are given back; the result stays readable through the handle.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use hurtig_checkpoint::{coordinator::CheckpointTimer, requests::SnapshotRequest};
use hurtig_cluster_api::{
    CheckpointRegister, CheckpointStatsSnapshot, ExecutionState, FailureClass, FailureInfo,
    FencingToken, Inbox, JobDetails, JobResourceRequirements, JobStatus, Mailbox, OccupiedSlot,
    PeerAddress, ResourceManagerGateway, RpcError, RpcResult, SlotOffer, TaskExecutorGateway,
    TaskIoMetrics, TaskStateUpdate,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::JobGraph;
use hurtig_metrics::{Accumulators, MetricGroup};
use hurtig_operator_api::Program;
use hurtig_scheduler::{Command, JobScheduler, SchedulerTimer};
use hurtig_storage::Stores;
use hurtig_types::{
    AllocationId, CheckpointException, CheckpointId, CheckpointMetrics, ErrorClass,
    ExecutionAttemptId, FlowError, JobId, JobVertexId, OperatorId, ResourceId, SavepointFormat,
    TaskStateSnapshot, TerminateKind,
};
use tokio::sync::{oneshot, watch};

use crate::{
    checkpoints::{Answer, Checkpoints, Effect, HeldEvent, Superseded},
    coordinators::{Coordinators, StartFrom},
    details, elastic,
    executors::{ExecutorLink, Order},
    handle::{JobEnd, JobMasterHandle},
    manager::ManagerLink,
    metrics::JobMetrics,
    stop::StopRequest,
    takeover::{ATTEMPTS, Start, Takeover},
};

/// What a JobMaster works with.
#[derive(Clone)]
pub struct JobMasterServices {
    /// The job's code.
    pub program: Arc<Program>,
    /// Where slots come from.
    pub resource_manager: Arc<dyn ResourceManagerGateway>,
    /// Executors.
    pub runtimes: Runtimes,
    /// The clock.
    pub clock: Clock,
    /// Proof of leadership.
    pub token: FencingToken,
    /// Feeds the jitter of restarts.
    pub seed: u64,
    /// How often TaskExecutors are asked for metrics.
    pub heartbeat_interval: Duration,
    /// Where checkpoints are kept.
    pub stores: Arc<Stores>,
    /// The register of completed checkpoints.
    pub register: Arc<dyn CheckpointRegister>,
    /// How long it waits for the tasks of an earlier JobMaster to be offered.
    pub takeover_timeout: Duration,
    /// The group of the JobManager, in which the job's metrics are registered.
    pub metrics: MetricGroup,
}

pub(crate) enum Message {
    Offer {
        resource: ResourceId,
        address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
        reply: oneshot::Sender<Vec<AllocationId>>,
    },
    OfferOccupied {
        resource: ResourceId,
        address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<OccupiedSlot>,
        reply: oneshot::Sender<Vec<AllocationId>>,
    },
    /// Enough of waiting for tasks of an earlier JobMaster.
    TakeoverTimeout,
    IdsReserved(CheckpointId),
    /// Another JobMaster has taken over.
    Superseded,
    TaskState(TaskStateUpdate),
    OperatorEvent(ExecutionAttemptId, OperatorId, Vec<u8>),
    DeployFailed(ExecutionAttemptId, RpcError),
    ExecutorLost(ResourceId, String),
    SlotFailed(AllocationId, String),
    HostFailed(ResourceId, String),
    Metrics(Vec<(ExecutionAttemptId, TaskIoMetrics)>),
    CoordinatorEvent {
        vertex: JobVertexId,
        operator: OperatorId,
        subtask: u32,
        resets: u64,
        event: Vec<u8>,
    },
    /// From a coordinator of the start that counts resets from that number.
    CoordinatorFailed(u64, FlowError),
    CoordinatorSnapshot {
        checkpoint: CheckpointId,
        operator: OperatorId,
        state: Result<Vec<u8>, String>,
    },
    Acknowledge(ExecutionAttemptId, CheckpointId, Box<TaskStateSnapshot>, CheckpointMetrics),
    Decline(ExecutionAttemptId, CheckpointId, CheckpointException),
    CheckpointTimer(CheckpointTimer),
    MetadataWritten,
    /// Takes one now; a full one names no file of earlier ones.
    TriggerCheckpoint(bool, oneshot::Sender<RpcResult<String>>),
    TriggerSavepoint(String, SavepointFormat, oneshot::Sender<RpcResult<String>>),
    StopWithSavepoint(String, SavepointFormat, TerminateKind, oneshot::Sender<RpcResult<String>>),
    CheckpointStats(oneshot::Sender<CheckpointStatsSnapshot>),
    Timer(SchedulerTimer),
    NotEnoughSlots(u32),
    Requirements(oneshot::Sender<RpcResult<JobResourceRequirements>>),
    UpdateRequirements(JobResourceRequirements, oneshot::Sender<RpcResult<()>>),
    Cancel,
    Details(oneshot::Sender<JobDetails>),
    Accumulators(oneshot::Sender<Accumulators>),
    Request(OperatorId, Vec<u8>, oneshot::Sender<RpcResult<Vec<u8>>>),
}

/// The actor.
pub struct JobMaster {
    pub(crate) scheduler: JobScheduler,
    pub(crate) coordinators: Coordinators,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) executors: BTreeMap<ResourceId, ExecutorLink>,
    manager: ManagerLink,
    stop: Option<StopRequest>,
    /// Tasks are about to start over, whatever the scheduler says already.
    pub(crate) restoring: bool,
    pub(crate) services: JobMasterServices,
    pub(crate) mailbox: Mailbox<Message>,
    status: watch::Sender<JobStatus>,
    /// While tasks of an earlier JobMaster may be found.
    pub(crate) takeover: Option<Takeover>,
    /// Another JobMaster has taken over, or is to.
    pub(crate) superseded: bool,
    metrics: JobMetrics,
}

impl JobMaster {
    /// Starts the actor and the job.
    pub fn start(graph: JobGraph, services: JobMasterServices) -> JobMasterHandle {
        let (mailbox, inbox) = Mailbox::new("JobMaster");
        let (status, status_seen) = watch::channel(JobStatus::Initializing);
        let (ended, ended_seen) = watch::channel(None);
        let runtimes = services.runtimes.clone();
        let checkpoints = Checkpoints::new(
            &graph,
            services.stores.clone(),
            services.register.clone(),
            services.seed,
            runtimes.clone(),
            mailbox.clone(),
        );
        let program = graph.config.program.clone().map(Arc::new);
        let scheduler = JobScheduler::new(graph, services.seed, services.clock.now_ms());
        let actor = Arc::new(OnceLock::new());
        let (job, name) = (scheduler.graph().graph.job_id, &scheduler.graph().graph.name);
        let metrics = JobMetrics::new(&services.metrics, job, name, services.clock);
        let handle = JobMasterHandle {
            program,
            job,
            metrics: services.metrics.clone(),
            mailbox: mailbox.clone(),
            status: status_seen,
            ended: ended_seen,
            actor: actor.clone(),
        };
        let manager = ManagerLink::start(
            scheduler.graph().graph.job_id,
            services.token,
            Arc::new(handle.clone()),
            services.resource_manager.clone(),
            &runtimes,
        );
        let master = Self {
            scheduler,
            manager,
            coordinators: Coordinators::default(),
            checkpoints,
            executors: BTreeMap::new(),
            stop: None,
            restoring: false,
            services,
            mailbox,
            status,
            takeover: None,
            superseded: false,
            metrics,
        };
        let running = runtimes.control.spawn(master.run(inbox, ended));
        // Set once, here.
        let _ = actor.set(running.abort_handle());
        handle
    }

    async fn run(mut self, mut inbox: Inbox<Message>, ended: watch::Sender<Option<Arc<JobEnd>>>) {
        let mut over = match self.prepare().await {
            Ok(Start::Superseded) => return,
            Ok(Start::Beginning(states)) => {
                self.start_coordinators(&StartFrom::Beginning(states));
                let commands = self.scheduler.start(self.now());
                self.carry_out(commands).await
            }
            Ok(Start::Takeover(states)) => {
                self.begin_takeover(states);
                false
            }
            // Another try may find the store well again.
            Err(error) if error.class == ErrorClass::External && self.is_takeover() => {
                let error = error.chain_text();
                tracing::error!(job_id = %self.job(), error, "the job cannot be taken over yet");
                return;
            }
            Err(error) => {
                let mut commands = Vec::new();
                let failure = self.describe(&error);
                self.scheduler.fail_job(failure, self.now(), &mut commands);
                self.carry_out(commands).await
            }
        };
        let mut heartbeat = tokio::time::interval(self.services.heartbeat_interval);
        while !over && !self.superseded {
            self.metrics.update(&self.scheduler, self.checkpoints.tracker());
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => over = self.on_message(message).await,
                    None => break,
                },
                _ = heartbeat.tick() => self.beat(),
            }
        }
        let shut_down = match self.superseded {
            true => Err(Superseded),
            false => self.checkpoints.shut_down(self.now()).await,
        };
        let Ok(effects) = shut_down else {
            // The job goes on with another: nothing is told, and nothing deleted.
            tracing::info!(job_id = %self.job(), token = ?self.services.token, "superseded");
            return;
        };
        for effect in effects {
            if let Effect::StopSavepoint(taken) = effect {
                self.stop = self.stop.take().and_then(|stop| stop.on_savepoint(taken));
            }
        }
        for link in self.executors.values() {
            link.send(Order::Disconnect);
        }
        let status = self.scheduler.status();
        let end = JobEnd {
            result: details::result(&self.scheduler),
            details: self.details(),
            checkpoints: self.checkpoints.stats(),
        };
        self.metrics.close();
        self.manager.end().await;
        ended.send_replace(Some(Arc::new(end)));
        self.status.send_replace(status);
        if let Some(stop) = self.stop.take() {
            stop.on_end(status);
        }
    }

    /// Heartbeats, with the slots that the job has on each TaskExecutor.
    fn beat(&self) {
        for (resource, link) in &self.executors {
            let slots = match &self.takeover {
                Some(takeover) => takeover.slots_on(*resource),
                None => self.scheduler.pool().on_resource(*resource),
            };
            link.send(Order::Heartbeat(slots));
        }
    }

    pub(crate) fn job(&self) -> JobId {
        self.scheduler.graph().graph.job_id
    }

    pub(crate) fn start_coordinators(&mut self, from: &StartFrom) {
        self.coordinators.start(from, &self.services.runtimes, &self.mailbox);
    }

    fn details(&self) -> JobDetails {
        details::details(&self.scheduler, self.checkpoints.counts())
    }

    pub(crate) fn now(&self) -> i64 {
        self.services.clock.now_ms()
    }

    fn describe(&self, error: &FlowError) -> FailureInfo {
        let class = match error.class {
            ErrorClass::User => FailureClass::User,
            ErrorClass::External => FailureClass::External,
            ErrorClass::InputLost => FailureClass::InputLost,
            ErrorClass::DamagedState(checkpoint) => FailureClass::DamagedState(checkpoint),
            ErrorClass::Fatal => FailureClass::Fatal,
            ErrorClass::Internal | ErrorClass::Cancelled => FailureClass::Internal,
        };
        FailureInfo { class, message: error.chain_text(), task: None, timestamp_ms: self.now() }
    }

    /// Handles a message; true if the job is over.
    async fn on_message(&mut self, message: Message) -> bool {
        let message = match self.takeover {
            Some(_) => match self.on_takeover_message(message).await {
                Ok(over) => return over,
                Err(message) => message,
            },
            None => message,
        };
        let now = self.now();
        let mut commands = match message {
            Message::OfferOccupied { resource, address, gateway, slots, reply } => {
                let (accepted, commands) = self.scheduler.on_occupied_slots(&slots, &address, now);
                if !accepted.is_empty() {
                    self.link(resource, gateway);
                }
                // Who offered may have gone: it will be reported lost.
                let _ = reply.send(accepted);
                commands
            }
            Message::TakeoverTimeout => Vec::new(),
            Message::IdsReserved(below) => {
                let effects = self.checkpoints.on(|c| c.on_ids_reserved(below, now));
                self.effects_alone(effects)
            }
            Message::Superseded => {
                self.superseded = true;
                Vec::new()
            }
            Message::Offer { resource, address, gateway, slots, reply } => {
                let (accepted, commands) = self.scheduler.on_slots_offered(&slots, &address, now);
                if !accepted.is_empty() {
                    self.link(resource, gateway);
                }
                // Who offered may have gone: it will be reported lost.
                let _ = reply.send(accepted);
                commands
            }
            Message::TaskState(mut update) => {
                let (attempt, state) = (update.attempt, update.state);
                let mut commands = self.look_for_damage(&mut update).await;
                commands.extend(self.scheduler.on_task_state(update, now));
                let effects = self.checkpoints.on(|c| c.on_task_state(attempt, state, now));
                self.take_effect(effects, &mut commands);
                commands
            }
            Message::Acknowledge(attempt, checkpoint, snapshot, metrics) => {
                let effects = self.checkpoints.on(|coordinator| {
                    let (outcome, commands) =
                        coordinator.on_acknowledge(attempt, checkpoint, *snapshot, metrics, now);
                    tracing::debug!(%attempt, %checkpoint, ?outcome, "acknowledged");
                    commands
                });
                self.effects_alone(effects)
            }
            Message::Decline(attempt, checkpoint, reason) => {
                tracing::info!(%attempt, %checkpoint, %reason, "checkpoint declined");
                let effects =
                    self.checkpoints.on(|c| c.on_decline(attempt, checkpoint, &reason, now));
                self.effects_alone(effects)
            }
            Message::CheckpointTimer(timer) => {
                let effects = self.checkpoints.on(|c| c.on_timer(timer, now));
                self.effects_alone(effects)
            }
            Message::MetadataWritten => {
                let effects = self.checkpoints.on_metadata(now).await;
                self.effects_alone(effects)
            }
            Message::CoordinatorSnapshot { checkpoint, operator, state } => {
                let effects =
                    self.checkpoints.on_coordinator_snapshot(checkpoint, operator, state, now);
                self.effects_alone(effects)
            }
            Message::TriggerCheckpoint(full, reply) => {
                let request = SnapshotRequest::Checkpoint { full };
                let effects = self.checkpoints.request(request, Answer::User(reply), now);
                self.effects_alone(effects)
            }
            Message::TriggerSavepoint(base, format, reply) => {
                let request = self.savepoint(&base, format, None);
                let effects = self.checkpoints.request(request, Answer::User(reply), now);
                self.effects_alone(effects)
            }
            Message::StopWithSavepoint(base, format, kind, reply) => {
                if self.stop.is_some() {
                    // Who asked may have gone.
                    let _ = reply.send(Err(RpcError::Rejected("the job stops already".into())));
                    Vec::new()
                } else {
                    self.stop = Some(StopRequest::new(kind, reply));
                    let request = self.savepoint(&base, format, Some(kind));
                    let effects = self.checkpoints.request(request, Answer::Stop, now);
                    self.effects_alone(effects)
                }
            }
            Message::OperatorEvent(attempt, operator, event) => {
                // Events of superseded attempts are dropped here.
                match self.scheduler.graph().current(attempt) {
                    Some(_) => match self.coordinators.event(operator, attempt.subtask, event) {
                        Ok(()) => Vec::new(),
                        Err(reason) => self.fail(FlowError::internal(reason)),
                    },
                    None => Vec::new(),
                }
            }
            Message::DeployFailed(attempt, error) => {
                let update = TaskStateUpdate {
                    attempt,
                    state: ExecutionState::Failed,
                    failure: Some(FailureInfo {
                        class: FailureClass::External,
                        message: format!("deployment failed: {error}"),
                        task: self
                            .scheduler
                            .graph()
                            .current(attempt)
                            .map(|index| self.scheduler.graph().task_name(index)),
                        timestamp_ms: now,
                    }),
                    metrics: TaskIoMetrics::default(),
                    accumulators: BTreeMap::new(),
                };
                self.scheduler.on_task_state(update, now)
            }
            Message::ExecutorLost(resource, reason) => {
                self.executors.remove(&resource);
                self.scheduler.on_resource_lost(resource, &reason, now)
            }
            Message::SlotFailed(allocation, reason) => {
                self.scheduler.on_slot_lost(allocation, &reason, now)
            }
            Message::HostFailed(resource, reason) => {
                tracing::warn!(%resource, reason, "a task host cannot be started");
                self.fail_running(&reason, None)
            }
            Message::Metrics(metrics) => {
                for (attempt, reading) in metrics {
                    self.scheduler.on_metrics(attempt, reading);
                }
                Vec::new()
            }
            Message::CoordinatorEvent { vertex, operator, subtask, resets, event } => {
                let event = HeldEvent { vertex, operator, subtask, resets, event };
                if let Some(event) = self.checkpoints.hold(event) {
                    self.send_to_subtask(event);
                }
                Vec::new()
            }
            Message::CoordinatorFailed(start, error) => {
                match self.coordinators.is_of_this_start(start) {
                    true => self.fail(error),
                    false => Vec::new(),
                }
            }
            Message::NotEnoughSlots(available) => {
                self.scheduler.on_not_enough_slots(available);
                Vec::new()
            }
            Message::Requirements(reply) => {
                // Who asked may have gone.
                let _ = reply.send(elastic::requirements(&self.scheduler));
                Vec::new()
            }
            Message::UpdateRequirements(requirements, reply) => {
                let updated = self.scheduler.update_requirements(&requirements, now);
                let (answer, commands) = match updated {
                    Ok(commands) => (Ok(()), commands),
                    Err(reason) => (Err(RpcError::Rejected(reason)), Vec::new()),
                };
                let _ = reply.send(answer);
                commands
            }
            Message::Timer(timer) => self.scheduler.on_timer(timer, now),
            Message::Cancel => self.scheduler.cancel(now),
            Message::Details(reply) => {
                let _ = reply.send(self.details());
                Vec::new()
            }
            Message::CheckpointStats(reply) => {
                let _ = reply.send(self.checkpoints.stats());
                Vec::new()
            }
            Message::Accumulators(reply) => {
                let _ = reply.send(self.scheduler.accumulators());
                Vec::new()
            }
            Message::Request(operator, request, reply) => {
                self.coordinators.request(operator, request, reply);
                Vec::new()
            }
        };
        commands.extend(self.scheduler.hold_parallelism(self.stop.is_some(), now));
        self.carry_out(commands).await
    }

    /// Begins to speak with a TaskExecutor, unless it does already.
    pub(crate) fn link(&mut self, resource: ResourceId, gateway: Arc<dyn TaskExecutorGateway>) {
        let (job, services, mailbox) = (self.job(), &self.services, &self.mailbox);
        self.executors.entry(resource).or_insert_with(|| {
            let (token, runtimes) = (services.token, &services.runtimes);
            ExecutorLink::start(job, resource, gateway, token, runtimes, mailbox.clone())
        });
    }

    /// A request for a savepoint, with a directory of its own beneath `base`.
    fn savepoint(
        &self,
        base: &str,
        format: SavepointFormat,
        terminate: Option<TerminateKind>,
    ) -> SnapshotRequest {
        let directory = self.checkpoints.savepoint_directory(base, self.now());
        SnapshotRequest::Savepoint { format, terminate, directory }
    }

    /// A coordinator cannot go on: the whole job fails, since what it knows is lost with it.
    pub(crate) fn fail(&mut self, error: FlowError) -> Vec<Command> {
        let mut commands = Vec::new();
        let failure = self.describe(&error);
        self.scheduler.fail_job(failure, self.now(), &mut commands);
        commands
    }

    pub(crate) fn effects_alone(&mut self, effects: Vec<Effect>) -> Vec<Command> {
        let mut commands = Vec::new();
        self.take_effect(effects, &mut commands);
        commands
    }

    /// Does what checkpoints need done; what the scheduler makes of it is added to `commands`.
    pub(crate) fn take_effect(&mut self, effects: Vec<Effect>, commands: &mut Vec<Command>) {
        for effect in effects {
            let told = match effect {
                Effect::Trigger(attempt, barrier) => {
                    self.order(attempt, Order::TriggerCheckpoint(attempt, barrier));
                    Ok(())
                }
                Effect::Complete(checkpoint, attempts) => {
                    for attempt in attempts {
                        self.order(attempt, Order::CheckpointComplete(attempt, checkpoint));
                    }
                    commands.extend(self.scheduler.on_checkpoint_ended(true, self.now()));
                    self.coordinators.checkpoint_complete(checkpoint)
                }
                Effect::Aborted(checkpoint, attempts) => {
                    for attempt in attempts {
                        self.order(attempt, Order::CheckpointAborted(attempt, checkpoint));
                    }
                    commands.extend(self.scheduler.on_checkpoint_ended(false, self.now()));
                    Ok(())
                }
                Effect::SnapshotCoordinator(checkpoint, operator) => {
                    self.coordinators.snapshot(operator, checkpoint)
                }
                Effect::Deliver(events) => {
                    events.into_iter().for_each(|event| self.send_to_subtask(event));
                    Ok(())
                }
                Effect::Superseded => {
                    self.superseded = true;
                    Ok(())
                }
                Effect::StopSavepoint(taken) => {
                    let (stop, is_taken) = (self.stop.take(), taken.is_ok());
                    let kind = stop.as_ref().map(|stop| stop.kind).filter(|_| is_taken);
                    self.stop = stop.and_then(|stop| stop.on_savepoint(taken));
                    match kind {
                        // A task has failed while the savepoint was being completed.
                        Some(kind) if self.is_restarting() => {
                            self.stop = self.stop.take().and_then(StopRequest::on_restart);
                            commands.extend(self.restart_from_stop(kind));
                        }
                        Some(kind) => self.scheduler.on_stopping(kind),
                        None => {}
                    }
                    Ok(())
                }
                Effect::FailJob(cause, task) => {
                    commands.extend(self.fail_running(&cause, task));
                    Ok(())
                }
            };
            if let Err(reason) = told {
                commands.extend(self.fail(FlowError::internal(reason)));
            }
        }
    }

    /// Sends an order to the TaskExecutor of an attempt, if it is there.
    pub(crate) fn order(&self, attempt: ExecutionAttemptId, order: Order) {
        let graph = self.scheduler.graph();
        let Some(index) = graph.current(attempt) else { return };
        let link = graph.execution(index).allocation.and_then(|slot| self.link_of(slot));
        if let Some(link) = link {
            link.send(order);
        }
    }

    /// Fails a task, or any that runs, so that the restart strategy decides what follows.
    fn fail_running(&mut self, cause: &str, task: Option<ExecutionAttemptId>) -> Vec<Command> {
        let graph = self.scheduler.graph();
        let running = |index: &usize| !graph.execution(*index).state.is_terminal();
        let named = task.and_then(|attempt| graph.current(attempt)).filter(running);
        let any = || (0..graph.executions().len()).find(running);
        let Some(index) = named.or_else(any) else {
            return Vec::new();
        };
        let attempt = graph.execution(index).attempt;
        let failure = FailureInfo {
            class: FailureClass::External,
            message: cause.to_owned(),
            task: Some(graph.task_name(index)),
            timestamp_ms: self.now(),
        };
        self.order(attempt, Order::Cancel(attempt));
        let update = TaskStateUpdate {
            attempt,
            state: ExecutionState::Failed,
            failure: Some(failure),
            metrics: TaskIoMetrics::default(),
            accumulators: BTreeMap::new(),
        };
        self.scheduler.on_task_state(update, self.now())
    }

    fn send_to_subtask(&self, event: HeldEvent) {
        let HeldEvent { vertex, operator, subtask, resets, event } = event;
        if !self.coordinators.is_current(operator, subtask, resets) {
            return;
        }
        let graph = self.scheduler.graph();
        let Some(index) = graph.index_of(vertex, subtask) else {
            return;
        };
        let execution = graph.execution(index);
        // A subtask that is not deployed will be reset, and asks again.
        let slot = execution.allocation.and_then(|a| self.scheduler.pool().slot(a));
        if let Some(slot) = slot
            && let Some(link) = self.executors.get(&slot.offer.slot.resource)
        {
            link.send(Order::Event(execution.attempt, operator, event));
        }
    }

    /// Tasks are about to start over: gives up checkpoints under way, and finds the one that they
    /// start from.
    pub(crate) async fn prepare_restart(
        &mut self,
        commands: &mut Vec<Command>,
    ) -> Result<Option<CheckpointId>, FlowError> {
        let now = self.now();
        self.restoring = true;
        let effects = self.checkpoints.on(|coordinator| coordinator.on_restarting(now));
        self.take_effect(effects, commands);
        let mut effects = Vec::new();
        let restored = self.checkpoints.restore_point(now, &mut effects).await;
        self.take_effect(effects, commands);
        self.restoring = false;
        restored
    }

    /// A subtask starts over: what its last attempt came to is history, even if it had finished.
    fn note_created(&mut self, vertex: JobVertexId, subtask: u32, commands: &mut Vec<Command>) {
        let graph = self.scheduler.graph();
        let Some(index) = graph.index_of(vertex, subtask) else { return };
        let (attempt, now) = (graph.execution(index).attempt, self.now());
        if attempt.attempt >= self.scheduler.first_attempt().saturating_add(ATTEMPTS) {
            // The numbers that follow are the next JobMaster's, so let it go on.
            tracing::warn!(job_id = %attempt.job, "too many restarts for one JobMaster");
            self.superseded = true;
        }
        let effects =
            self.checkpoints.on(|c| c.on_task_state(attempt, ExecutionState::Created, now));
        self.take_effect(effects, commands);
    }

    pub(crate) fn link_of(&self, allocation: AllocationId) -> Option<&ExecutorLink> {
        let slot = self.scheduler.pool().slot(allocation)?;
        self.executors.get(&slot.offer.slot.resource)
    }

    /// Carries out commands; true if the job is over.
    pub(crate) async fn carry_out(&mut self, commands: Vec<Command>) -> bool {
        let mut over = false;
        for command in commands {
            match command {
                Command::DeclareSlots(slots) => self.manager.require(slots),
                Command::Deploy(deployment) => {
                    over |= Box::pin(self.deploy(deployment)).await;
                }
                Command::ReturnSlot(offer) => {
                    if let Some(link) = self.executors.get(&offer.slot.resource) {
                        link.send(Order::FreeSlot(offer.allocation));
                    }
                }
                Command::Rescaled => over |= Box::pin(self.on_rescaled()).await,
                Command::Cancel { attempt, allocation } => {
                    if let Some(link) = self.link_of(allocation) {
                        link.send(Order::Cancel(attempt));
                    }
                }
                Command::ResetSubtask { vertex, subtask } => {
                    let mut commands = Vec::new();
                    let restored = self.prepare_restart(&mut commands).await;
                    self.note_created(vertex, subtask, &mut commands);
                    let reset = restored.and_then(|restored| {
                        let reset = self.coordinators.reset(vertex, subtask, restored);
                        reset.map_err(FlowError::internal)
                    });
                    if let Err(error) = reset {
                        commands.extend(self.fail(error));
                    }
                    over |= Box::pin(self.carry_out(commands)).await;
                }
                Command::SetTimer(timer, delay_ms) => {
                    let mailbox = self.mailbox.clone();
                    self.services.runtimes.control.spawn(async move {
                        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                        // A job that is over needs no timers.
                        let _ = mailbox.tell(Message::Timer(timer)).await;
                    });
                }
                Command::StatusChanged(status) => {
                    tracing::info!(
                        job_id = %self.scheduler.graph().graph.job_id, ?status, "job status changed"
                    );
                    if status == JobStatus::Restarting {
                        self.stop = self.stop.take().and_then(StopRequest::on_restart);
                    }
                    // The terminal states are published with the result.
                    if !status.is_globally_terminal() {
                        self.status.send_replace(status);
                    }
                }
                Command::Ended => over = true,
            }
        }
        over
    }
}
