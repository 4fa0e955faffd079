//! The JobMaster's actor.
//!
//! One turn: take a message, tell the scheduler, carry out its commands. The actor ends when the
//! job has ended and its slots are given back; the result stays readable through the handle.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_checkpoint::{coordinator::CheckpointTimer, requests::SnapshotRequest};
use hurtig_cluster_api::{
    CheckpointStatsSnapshot, ExecutionState, FailureClass, FailureInfo, FencingToken, Inbox,
    JobDetails, JobMasterGateway, JobResourceRequirements, JobResult, JobStatus, Mailbox, Peer,
    PeerAddress, ResourceManagerGateway, RpcError, RpcResult, SlotOffer, TaskExecutorGateway,
    TaskIoMetrics, TaskStateUpdate,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_graph::{JobGraph, ProgramReference};
use hurtig_metrics::{
    AccumulatorValue, Accumulators, MetricGroup, MetricsQuery, MetricsSnapshot, ScopeKind,
};
use hurtig_operator_api::Program;
use hurtig_scheduler::{Command, JobScheduler, SchedulerTimer};
use hurtig_storage::Stores;
use hurtig_types::{
    AllocationId, CheckpointException, CheckpointId, CheckpointMetrics, ErrorClass,
    ExecutionAttemptId, FlowError, FlowResult, JobId, JobVertexId, OperatorId, ResourceId,
    SavepointFormat, TaskStateSnapshot, TerminateKind,
};
use tokio::sync::{oneshot, watch};

use crate::{
    checkpoints::{Answer, Checkpoints, Effect, HeldEvent},
    coordinators::Coordinators,
    details, elastic,
    executors::{ExecutorLink, Order},
    manager::ManagerLink,
    metrics::JobMetrics,
    stop::StopRequest,
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
    TriggerCheckpoint(oneshot::Sender<RpcResult<String>>),
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
    metrics: JobMetrics,
}

/// What is known of a job that has ended.
struct JobEnd {
    result: JobResult,
    details: JobDetails,
    checkpoints: CheckpointStatsSnapshot,
}

/// The way to a JobMaster; it answers for the job's result also after the actor has ended.
#[derive(Clone)]
pub struct JobMasterHandle {
    program: Option<Arc<ProgramReference>>,
    job: JobId,
    metrics: MetricGroup,
    mailbox: Mailbox<Message>,
    status: watch::Receiver<JobStatus>,
    ended: watch::Receiver<Option<Arc<JobEnd>>>,
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
            services.seed,
            runtimes.clone(),
            mailbox.clone(),
        );
        let program = graph.config.program.clone().map(Arc::new);
        let scheduler = JobScheduler::new(graph, services.seed, services.clock.now_ms());
        let (job, name) = (scheduler.graph().graph.job_id, &scheduler.graph().graph.name);
        let metrics = JobMetrics::new(&services.metrics, job, name, services.clock);
        let handle = JobMasterHandle {
            program,
            job,
            metrics: services.metrics.clone(),
            mailbox: mailbox.clone(),
            status: status_seen,
            ended: ended_seen,
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
            metrics,
        };
        runtimes.control.spawn(master.run(inbox, ended));
        handle
    }

    async fn run(mut self, mut inbox: Inbox<Message>, ended: watch::Sender<Option<Arc<JobEnd>>>) {
        let failure = self.prepare().await.err();
        let mut over = match failure {
            Some(error) => {
                let mut commands = Vec::new();
                let failure = self.describe(&error);
                self.scheduler.fail_job(failure, self.now(), &mut commands);
                self.carry_out(commands).await
            }
            None => {
                let commands = self.scheduler.start(self.now());
                self.carry_out(commands).await
            }
        };
        let mut heartbeat = tokio::time::interval(self.services.heartbeat_interval);
        while !over {
            self.metrics.update(&self.scheduler, self.checkpoints.tracker());
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => over = self.on_message(message).await,
                    None => break,
                },
                _ = heartbeat.tick() => {
                    for (resource, link) in &self.executors {
                        let slots = self.scheduler.pool().on_resource(*resource);
                        link.send(Order::Heartbeat(slots));
                    }
                }
            }
        }
        for link in self.executors.values() {
            link.send(Order::Disconnect);
        }
        let status = self.scheduler.status();
        for effect in self.checkpoints.shut_down(status, self.now()).await {
            if let Effect::StopSavepoint(taken) = effect {
                self.stop = self.stop.take().and_then(|stop| stop.on_savepoint(taken));
            }
        }
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

    /// What comes before the first task: the snapshot to start from, and the coordinators.
    async fn prepare(&mut self) -> FlowResult {
        let config = &self.scheduler.graph().graph.config;
        config.checkpoints.validate().map_err(FlowError::fatal)?;
        let restored = match config.restore_from.clone() {
            Some(from) => {
                let restored = self.checkpoints.start_from(&from, self.now()).await?;
                self.scheduler.take_over_max_parallelism(self.checkpoints.max_parallelism());
                Some(restored)
            }
            None => None,
        };
        if self.scheduler.elastic().is_some() {
            // Its coordinators are started when its parallelism is known.
            return Ok(());
        }
        let graph = &self.scheduler.graph().graph;
        let (program, runtimes) = (&self.services.program, &self.services.runtimes);
        self.coordinators =
            Coordinators::start(graph, program, runtimes, &self.mailbox, restored.as_ref())?;
        Ok(())
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
            ErrorClass::Fatal => FailureClass::Fatal,
            ErrorClass::Internal | ErrorClass::Cancelled => FailureClass::Internal,
        };
        FailureInfo { class, message: error.chain_text(), task: None, timestamp_ms: self.now() }
    }

    /// Handles a message; true if the job is over.
    async fn on_message(&mut self, message: Message) -> bool {
        let now = self.now();
        let mut commands = match message {
            Message::Offer { resource, address, gateway, slots, reply } => {
                let (accepted, commands) = self.scheduler.on_slots_offered(&slots, &address, now);
                if !accepted.is_empty() {
                    let job = self.scheduler.graph().graph.job_id;
                    let services = &self.services;
                    let mailbox = &self.mailbox;
                    self.executors.entry(resource).or_insert_with(|| {
                        let (token, runtimes) = (services.token, &services.runtimes);
                        ExecutorLink::start(
                            job,
                            resource,
                            gateway,
                            token,
                            runtimes,
                            mailbox.clone(),
                        )
                    });
                }
                // Who offered may have gone: it will be reported lost.
                let _ = reply.send(accepted);
                commands
            }
            Message::TaskState(update) => {
                let (attempt, state) = (update.attempt, update.state);
                let mut commands = self.scheduler.on_task_state(update, now);
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
            Message::TriggerCheckpoint(reply) => {
                let request = SnapshotRequest::Checkpoint { full: false };
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

    fn effects_alone(&mut self, effects: Vec<Effect>) -> Vec<Command> {
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
    fn order(&self, attempt: ExecutionAttemptId, order: Order) {
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
    async fn prepare_restart(
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

#[async_trait]
impl JobMasterGateway for JobMasterHandle {
    fn peer(&self) -> Peer {
        self.mailbox.peer()
    }

    async fn offer_slots(
        &self,
        resource: ResourceId,
        address: PeerAddress,
        gateway: Arc<dyn TaskExecutorGateway>,
        slots: Vec<SlotOffer>,
    ) -> RpcResult<Vec<AllocationId>> {
        self.mailbox.ask(|reply| Message::Offer { resource, address, gateway, slots, reply }).await
    }

    async fn update_task_state(&self, update: TaskStateUpdate) -> RpcResult<()> {
        self.mailbox.tell(Message::TaskState(update)).await
    }

    async fn send_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::OperatorEvent(attempt, operator, event)).await
    }

    async fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) -> RpcResult<()> {
        let snapshot = Box::new(snapshot);
        self.mailbox.tell(Message::Acknowledge(attempt, checkpoint, snapshot, metrics)).await
    }

    async fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::Decline(attempt, checkpoint, reason)).await
    }

    async fn trigger_checkpoint(&self) -> RpcResult<String> {
        self.mailbox.ask(Message::TriggerCheckpoint).await?
    }

    async fn stop_with_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> RpcResult<String> {
        self.mailbox.ask(|reply| Message::StopWithSavepoint(directory, format, kind, reply)).await?
    }

    async fn trigger_savepoint(
        &self,
        directory: String,
        format: SavepointFormat,
    ) -> RpcResult<String> {
        self.mailbox.ask(|reply| Message::TriggerSavepoint(directory, format, reply)).await?
    }

    async fn checkpoint_stats(&self) -> RpcResult<CheckpointStatsSnapshot> {
        let answer = self.mailbox.ask(Message::CheckpointStats).await;
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.checkpoints.clone()),
            None => Err(error),
        })
    }

    async fn fail_slot(&self, allocation: AllocationId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::SlotFailed(allocation, reason)).await
    }

    async fn disconnect_task_executor(
        &self,
        resource: ResourceId,
        reason: String,
    ) -> RpcResult<()> {
        self.mailbox.tell(Message::ExecutorLost(resource, reason)).await
    }

    async fn task_host_failed(&self, resource: ResourceId, reason: String) -> RpcResult<()> {
        self.mailbox.tell(Message::HostFailed(resource, reason)).await
    }

    async fn notify_not_enough_slots(&self, available: u32) -> RpcResult<()> {
        self.mailbox.tell(Message::NotEnoughSlots(available)).await
    }

    async fn resource_requirements(&self) -> RpcResult<JobResourceRequirements> {
        self.mailbox.ask(Message::Requirements).await?
    }

    async fn update_resource_requirements(
        &self,
        requirements: JobResourceRequirements,
    ) -> RpcResult<()> {
        self.mailbox.ask(|reply| Message::UpdateRequirements(requirements, reply)).await?
    }

    async fn program(&self) -> RpcResult<Option<ProgramReference>> {
        Ok(self.program.as_deref().cloned())
    }

    async fn cancel(&self) -> RpcResult<()> {
        match self.mailbox.tell(Message::Cancel).await {
            // It has ended: there is nothing left to cancel.
            Err(RpcError::Unreachable { .. }) if self.ended.borrow().is_some() => Ok(()),
            other => other,
        }
    }

    async fn status(&self) -> RpcResult<JobStatus> {
        Ok(*self.status.borrow())
    }

    async fn details(&self) -> RpcResult<JobDetails> {
        let answer = self.mailbox.ask(Message::Details).await;
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.details.clone()),
            None => Err(error),
        })
    }

    async fn accumulators(&self) -> RpcResult<BTreeMap<String, AccumulatorValue>> {
        let answer = self.mailbox.ask(Message::Accumulators).await.map(|a| a.0);
        answer.or_else(|error| match &*self.ended.borrow() {
            Some(end) => Ok(end.result.accumulators.clone()),
            None => Err(error),
        })
    }

    async fn query_metrics(&self, query: MetricsQuery) -> RpcResult<MetricsSnapshot> {
        let of_jobs = [ScopeKind::JobManagerJob, ScopeKind::JobManagerOperator];
        let query = query.with("job_id", self.job).restricted_to(&of_jobs);
        Ok(query.map(|query| self.metrics.registry().snapshot(&query)).unwrap_or_default())
    }

    async fn result(&self) -> RpcResult<JobResult> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        let end = end.ok().and_then(|end| end.clone());
        end.map(|end| end.result.clone()).ok_or(RpcError::Unreachable {
            role: "JobMaster",
            reason: "it has ended without a result".to_owned(),
        })
    }

    async fn coordination_request(
        &self,
        operator: OperatorId,
        request: Vec<u8>,
    ) -> RpcResult<Vec<u8>> {
        self.mailbox.ask(|reply| Message::Request(operator, request, reply)).await?
    }
}
