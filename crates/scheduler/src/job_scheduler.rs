//! The scheduler of one job.
//!
//! # Life of a job
//!
//! 1. `start`: the job is RUNNING, its slots are declared, all subtasks are SCHEDULED.
//! 2. When every slot that a region needs is there, its subtasks are deployed together.
//! 3. A failed subtask fails its region: the others are cancelled; when all have ended and the
//!    restart delay has passed, new attempts are scheduled (RESTARTING until they are deployed).
//! 4. If the restart strategy gives up or restarting cannot help, the job is FAILING: everything is
//!    cancelled, then it is FAILED. A user's cancellation goes through CANCELLING to CANCELED.
//! 5. When all subtasks are FINISHED, so is the job.
//!
//! A lost input may be told before the failure that it follows from; the latter, when it comes,
//! becomes the job's reason. Messages of old attempts are ignored. Slots that do not come in time fail the subtasks that
//! wait for them.

use std::collections::BTreeSet;

use hurtig_cluster_api::{
    ExecutionState, FailureClass, FailureInfo, JobStatus, PeerAddress, SlotOffer,
    TaskDeploymentDescriptor, TaskStateUpdate,
};
use hurtig_graph::JobGraph;
use hurtig_metrics::Accumulators;
use hurtig_types::{AllocationId, ExecutionAttemptId, JobVertexId, ResourceId, TerminateKind};

use crate::{
    deployment::describe,
    execution_graph::ExecutionGraph,
    restart::RestartBackoff,
    slot_pool::{PhysicalSlot, SlotPool},
};

/// Most failures that a job remembers.
const REMEMBERED_FAILURES: usize = 16;

/// A wake-up that the scheduler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulerTimer {
    /// Schedule the regions again that wait for their restart.
    Restart,
    /// Slots have been missing for too long.
    SlotTimeout {
        /// Which wait: a later one supersedes it.
        round: u32,
    },
}

/// What the JobMaster is to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Tell the ResourceManager how many slots the job needs in all.
    DeclareSlots(u32),
    /// Deploy an attempt.
    Deploy(Box<TaskDeploymentDescriptor>),
    /// Cancel an attempt.
    Cancel {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The slot that it runs in.
        allocation: AllocationId,
    },
    /// Tell the coordinators of a vertex that a subtask starts over.
    ResetSubtask {
        /// The vertex.
        vertex: JobVertexId,
        /// The subtask.
        subtask: u32,
    },
    /// Call `on_timer` after this many milliseconds.
    SetTimer(SchedulerTimer, u64),
    /// The job has entered a state.
    StatusChanged(JobStatus),
    /// The job has ended for good.
    Ended,
}

/// The scheduler of one job.
#[derive(Debug)]
pub struct JobScheduler {
    pub(crate) graph: ExecutionGraph,
    pub(crate) pool: SlotPool,
    backoff: RestartBackoff,
    status: JobStatus,
    transitions: Vec<(JobStatus, i64)>,
    failures: Vec<FailureInfo>,
    root_failure: Option<FailureInfo>,
    restarts: u32,
    /// Regions whose subtasks are being cancelled for a restart, and those that wait for the delay.
    pub(crate) restarting: BTreeSet<usize>,
    /// The savepoint that stops the job is complete.
    stopping: Option<TerminateKind>,
    pub(crate) restart_at_ms: i64,
    slot_round: u32,
    waiting_for_slots: bool,
    /// The number that attempts of this JobMaster begin with.
    first_attempt: u32,
}

impl JobScheduler {
    /// The scheduler of a graph; `seed` feeds the jitter of restarts.
    pub fn new(graph: JobGraph, seed: u64, now_ms: i64) -> Self {
        Self::counting_from(0, graph, seed, now_ms)
    }

    /// The same for a JobMaster whose attempts are counted from `first_attempt`.
    pub fn counting_from(first_attempt: u32, graph: JobGraph, seed: u64, now_ms: i64) -> Self {
        let pool = SlotPool::new(&graph);
        let backoff = RestartBackoff::new(graph.config.restart_strategy.clone(), seed);
        Self {
            graph: ExecutionGraph::new(graph, first_attempt, now_ms),
            pool,
            backoff,
            status: JobStatus::Created,
            transitions: vec![(JobStatus::Created, now_ms)],
            failures: Vec::new(),
            root_failure: None,
            restarts: 0,
            restarting: BTreeSet::new(),
            stopping: None,
            restart_at_ms: 0,
            slot_round: 0,
            waiting_for_slots: false,
            first_attempt,
        }
    }

    /// The number that attempts of this JobMaster begin with.
    pub fn first_attempt(&self) -> u32 {
        self.first_attempt
    }

    /// State of the job.
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// The subtasks.
    pub fn graph(&self) -> &ExecutionGraph {
        &self.graph
    }

    /// The slots.
    pub fn pool(&self) -> &SlotPool {
        &self.pool
    }

    /// When the job entered each state, in order.
    pub fn transitions(&self) -> &[(JobStatus, i64)] {
        &self.transitions
    }

    /// The newest failures, oldest first.
    pub fn failures(&self) -> &[FailureInfo] {
        &self.failures
    }

    /// Why the job failed.
    pub fn root_failure(&self) -> Option<&FailureInfo> {
        self.root_failure.as_ref()
    }

    /// Number of restarts.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The accumulators of all subtasks, merged; those of different kinds under one name keep the
    /// first kind.
    pub fn accumulators(&self) -> Accumulators {
        let mut merged = Accumulators::default();
        for execution in self.graph.executions() {
            for (name, value) in &execution.accumulators.0 {
                // A mismatch was reported to the user code that caused it.
                let _ = merged.add(name, value);
            }
        }
        merged
    }

    pub(crate) fn set_status(
        &mut self,
        status: JobStatus,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        if self.status != status && !self.status.is_globally_terminal() {
            self.status = status;
            self.transitions.push((status, now_ms));
            commands.push(Command::StatusChanged(status));
            if status.is_globally_terminal() {
                commands.push(Command::Ended);
            }
        }
    }

    /// Before the job starts: the numbers of key groups that a snapshot has brought.
    pub fn take_over_max_parallelism(&mut self, of: impl Iterator<Item = (JobVertexId, u32)>) {
        for (id, max_parallelism) in of {
            let mut vertices = self.graph.graph.vertices.iter_mut();
            if let Some(vertex) = vertices.find(|vertex| vertex.id == id) {
                vertex.max_parallelism = max_parallelism;
            }
        }
    }

    /// Starts the job.
    pub fn start(&mut self, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        self.set_status(JobStatus::Running, now_ms, &mut commands);
        commands.push(Command::DeclareSlots(self.pool.required() as u32));
        let all: Vec<usize> = (0..self.graph.executions().len()).collect();
        self.schedule(&all, now_ms, &mut commands);
        commands
    }

    fn schedule(&mut self, indices: &[usize], now_ms: i64, commands: &mut Vec<Command>) {
        for index in indices {
            // Created attempts can always be scheduled.
            let _ = self.graph.execution_mut(*index).transition(ExecutionState::Scheduled, now_ms);
        }
        self.deploy_ready(now_ms, commands);
    }

    /// Deploys the regions that wait and whose slots are all there.
    fn deploy_ready(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let mut left_waiting = false;
        for region in 0..self.graph.regions().len() {
            let members = self.graph.regions()[region].clone();
            let scheduled = |i: &usize| self.graph.execution(*i).state == ExecutionState::Scheduled;
            let waiting: Vec<usize> = members.iter().copied().filter(scheduled).collect();
            if waiting.is_empty() {
                continue;
            }
            let described: Option<Vec<_>> =
                waiting.iter().map(|i| describe(&self.graph, &self.pool, *i)).collect();
            let Some(described) = described else {
                left_waiting = true;
                continue;
            };
            for (index, deployment) in waiting.iter().zip(described) {
                let execution = self.graph.execution_mut(*index);
                let _ = execution.transition(ExecutionState::Deploying, now_ms);
                execution.allocation = Some(deployment.allocation);
                commands.push(Command::Deploy(Box::new(deployment)));
            }
        }
        if left_waiting && !self.waiting_for_slots {
            self.slot_round += 1;
            let timer = SchedulerTimer::SlotTimeout { round: self.slot_round };
            commands
                .push(Command::SetTimer(timer, self.graph.graph.config.slot_request_timeout_ms));
        }
        self.waiting_for_slots = left_waiting;
        if !left_waiting && self.status == JobStatus::Restarting && self.restarting.is_empty() {
            self.set_status(JobStatus::Running, now_ms, commands);
        }
    }

    /// Slots are offered; returns the grants that are accepted.
    pub fn on_slots_offered(
        &mut self,
        offers: &[SlotOffer],
        data_address: &PeerAddress,
        now_ms: i64,
    ) -> (Vec<AllocationId>, Vec<Command>) {
        let mut commands = Vec::new();
        if self.status.is_globally_terminal() {
            return (Vec::new(), commands);
        }
        let accepted = offers.iter().filter(|offer| {
            self.pool.offer(PhysicalSlot { offer: **offer, data_address: data_address.clone() })
        });
        let accepted = accepted.map(|offer| offer.allocation).collect();
        if matches!(self.status, JobStatus::Running | JobStatus::Restarting) {
            self.deploy_ready(now_ms, &mut commands);
        }
        (accepted, commands)
    }

    /// An attempt has changed its state.
    pub fn on_task_state(&mut self, update: TaskStateUpdate, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(index) = self.graph.current(update.attempt) else {
            return commands;
        };
        let execution = self.graph.execution_mut(index);
        execution.metrics = update.metrics;
        if update.state.is_terminal() {
            execution.accumulators = Accumulators(update.accumulators);
        }
        // Repeated and overtaken messages are of no use; nothing else is illegal from a task.
        if execution.transition(update.state, now_ms).is_err() {
            return commands;
        }
        match update.state {
            ExecutionState::Failed => {
                let failure = update.failure.unwrap_or_else(|| FailureInfo {
                    class: FailureClass::Internal,
                    message: "the task failed without giving a reason".to_owned(),
                    task: Some(self.graph.task_name(index)),
                    timestamp_ms: now_ms,
                });
                self.handle_failure(index, failure, now_ms, &mut commands);
            }
            // Nobody asked for it: its TaskExecutor did, because it lost this JobMaster.
            ExecutionState::Canceled
                if self.status == JobStatus::Running || self.status == JobStatus::Restarting =>
            {
                let region = self.graph.execution(index).region;
                if !self.restarting.contains(&region) {
                    let failure = FailureInfo {
                        class: FailureClass::External,
                        message: "the task was cancelled by its TaskExecutor".to_owned(),
                        task: Some(self.graph.task_name(index)),
                        timestamp_ms: now_ms,
                    };
                    self.handle_failure(index, failure, now_ms, &mut commands);
                }
            }
            _ => {}
        }
        self.after_change(now_ms, &mut commands);
        commands
    }

    fn remember(&mut self, failure: FailureInfo) {
        if self.failures.len() == REMEMBERED_FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(failure);
    }

    /// A subtask has failed: restart its region, or fail the job.
    fn handle_failure(
        &mut self,
        index: usize,
        failure: FailureInfo,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        let region = self.graph.execution(index).region;
        let restarting = self.restarting.contains(&region);
        if restarting || !matches!(self.status, JobStatus::Running | JobStatus::Restarting) {
            self.handle_further_failure(restarting, failure, now_ms, commands);
            return;
        }
        self.remember(failure.clone());
        let stopping = self.stopping.take();
        let delay = match failure.class {
            FailureClass::Fatal => None,
            // Its windows have fired with what there was: going on would make them fire again.
            _ if stopping == Some(TerminateKind::Drain) => None,
            _ => self.backoff.on_failure(now_ms),
        };
        let Some(delay_ms) = delay else {
            self.fail_job(failure, now_ms, commands);
            return;
        };
        self.restarts += 1;
        self.set_status(JobStatus::Restarting, now_ms, commands);
        let all = 0..self.graph.regions().len();
        let regions = if stopping.is_some() { all } else { region..region + 1 };
        for region in regions {
            self.restarting.insert(region);
            self.cancel_all(&self.graph.regions()[region].clone(), now_ms, commands);
        }
        let at_ms = now_ms.saturating_add_unsigned(delay_ms);
        self.restart_at_ms = self.restart_at_ms.max(at_ms);
        commands.push(Command::SetTimer(SchedulerTimer::Restart, delay_ms));
    }

    /// A subtask has failed whose region is being cancelled for a failure that was told before: a
    /// consequence, or, if that one was only that an input was lost, the cause.
    fn handle_further_failure(
        &mut self,
        restarting: bool,
        failure: FailureInfo,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        if failure.class == FailureClass::InputLost {
            return;
        }
        if restarting {
            if failure.class == FailureClass::Fatal {
                self.remember(failure.clone());
                self.fail_job(failure, now_ms, commands);
            } else if self.failures.last().is_some_and(|f| f.class == FailureClass::InputLost) {
                self.remember(failure);
            }
        } else if let Some(root) = &mut self.root_failure
            && self.status == JobStatus::Failing
            && root.class == FailureClass::InputLost
        {
            *root = failure.clone();
            self.remember(failure);
        }
    }

    /// The savepoint that stops the job is complete: tasks finish where they stand. If one fails
    /// instead, all start over with it, since those that have finished are not at their end; a job
    /// that was drained fails.
    pub fn on_stopping(&mut self, kind: TerminateKind) {
        self.stopping = Some(kind);
    }

    /// Fails the job; the first reason is kept, unless it is that an input was lost and the reason
    /// for that comes before the end.
    pub fn fail_job(&mut self, failure: FailureInfo, now_ms: i64, commands: &mut Vec<Command>) {
        if self.status.is_globally_terminal() || self.status == JobStatus::Failing {
            return;
        }
        self.root_failure.get_or_insert(failure);
        self.set_status(JobStatus::Failing, now_ms, commands);
        self.end_all(now_ms, commands);
    }

    /// Cancels the job.
    pub fn cancel(&mut self, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        if matches!(self.status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting) {
            self.set_status(JobStatus::Cancelling, now_ms, &mut commands);
            self.end_all(now_ms, &mut commands);
        }
        commands
    }

    fn end_all(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        self.restarting.clear();
        let all: Vec<usize> = (0..self.graph.executions().len()).collect();
        self.cancel_all(&all, now_ms, commands);
        self.after_change(now_ms, commands);
    }

    pub(crate) fn cancel_all(
        &mut self,
        indices: &[usize],
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        use ExecutionState::*;
        for index in indices {
            let execution = self.graph.execution_mut(*index);
            match (execution.state, execution.allocation) {
                (Created | Scheduled, _) | (_, None) => {
                    let _ = execution.transition(Canceled, now_ms);
                }
                (Deploying | Initializing | Running, Some(allocation)) => {
                    let _ = execution.transition(Canceling, now_ms);
                    commands.push(Command::Cancel { attempt: execution.attempt, allocation });
                }
                (Canceling | Finished | Canceled | Failed, _) => {}
            }
        }
    }

    /// Looks whether the job, or a region that waits for its end, can go on.
    pub(crate) fn after_change(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        match self.status {
            JobStatus::Failing if self.graph.all_terminal() => {
                self.set_status(JobStatus::Failed, now_ms, commands);
            }
            JobStatus::Cancelling if self.graph.all_terminal() => {
                self.set_status(JobStatus::Canceled, now_ms, commands);
            }
            JobStatus::Running | JobStatus::Restarting => {
                let executions = self.graph.executions();
                if executions.iter().all(|e| e.state == ExecutionState::Finished) {
                    self.set_status(JobStatus::Finished, now_ms, commands);
                } else {
                    self.restart_ended_regions(now_ms, commands);
                }
            }
            _ => {}
        }
    }

    fn restart_ended_regions(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        if now_ms < self.restart_at_ms {
            return;
        }
        let ended = |region: &usize| {
            let members = &self.graph.regions()[*region];
            members.iter().all(|index| self.graph.execution(*index).state.is_terminal())
        };
        let ready: Vec<usize> = self.restarting.iter().copied().filter(ended).collect();
        for region in ready {
            self.restarting.remove(&region);
            let members = self.graph.regions()[region].clone();
            for index in &members {
                let execution = self.graph.execution_mut(*index);
                execution.start_over(self.first_attempt, now_ms);
                let ExecutionAttemptId { vertex, subtask, .. } = execution.attempt;
                commands.push(Command::ResetSubtask { vertex, subtask });
            }
            self.schedule(&members, now_ms, commands);
        }
    }

    /// A timer that was asked for.
    pub fn on_timer(&mut self, timer: SchedulerTimer, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        match timer {
            SchedulerTimer::Restart => {
                // The clock that measured the delay may be a little ahead of this one.
                self.restart_at_ms = self.restart_at_ms.min(now_ms);
                self.after_change(now_ms, &mut commands);
            }
            SchedulerTimer::SlotTimeout { round } => {
                if self.waiting_for_slots && round == self.slot_round {
                    self.waiting_for_slots = false;
                    self.on_slot_timeout(now_ms, &mut commands);
                }
            }
        }
        commands
    }

    fn on_slot_timeout(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let executions = self.graph.executions();
        let waiting = executions.iter().position(|e| e.state == ExecutionState::Scheduled);
        let Some(index) = waiting else { return };
        let timeout_ms = self.graph.graph.config.slot_request_timeout_ms;
        let failure = FailureInfo {
            class: FailureClass::External,
            message: format!(
                "{} of {} slots are missing after {timeout_ms} ms (slot.request.timeout): \
                 start more TaskManagers, give them more slots (taskmanager.numberOfTaskSlots), \
                 or lower the parallelism",
                self.pool.missing(),
                self.pool.required(),
            ),
            task: None,
            timestamp_ms: now_ms,
        };
        self.handle_failure(index, failure, now_ms, commands);
        self.after_change(now_ms, commands);
    }

    /// A slot is lost: what ran in it has failed.
    pub fn on_slot_lost(
        &mut self,
        allocation: AllocationId,
        reason: &str,
        now_ms: i64,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.pool.lose(allocation) {
            return commands;
        }
        let in_slot =
            |e: &crate::Execution| e.allocation == Some(allocation) && !e.state.is_terminal();
        let executions = self.graph.executions().iter().enumerate();
        let affected: Vec<usize> = executions.filter(|(_, e)| in_slot(e)).map(|(i, _)| i).collect();
        for index in affected {
            let task = Some(self.graph.task_name(index));
            let was_cancelling = self.graph.execution(index).state == ExecutionState::Canceling;
            let end =
                if was_cancelling { ExecutionState::Canceled } else { ExecutionState::Failed };
            let _ = self.graph.execution_mut(index).transition(end, now_ms);
            if !was_cancelling {
                let failure = FailureInfo {
                    class: FailureClass::External,
                    message: format!("its slot was lost: {reason}"),
                    task,
                    timestamp_ms: now_ms,
                };
                self.handle_failure(index, failure, now_ms, &mut commands);
            }
        }
        self.after_change(now_ms, &mut commands);
        commands
    }

    /// A TaskExecutor is lost with all its slots.
    pub fn on_resource_lost(
        &mut self,
        resource: ResourceId,
        reason: &str,
        now_ms: i64,
    ) -> Vec<Command> {
        let lost = self.pool.on_resource(resource);
        lost.into_iter().flat_map(|slot| self.on_slot_lost(slot, reason, now_ms)).collect()
    }

    /// New readings of a running attempt.
    pub fn on_metrics(
        &mut self,
        attempt: ExecutionAttemptId,
        metrics: hurtig_cluster_api::TaskIoMetrics,
    ) {
        if let Some(index) = self.graph.current(attempt) {
            let execution = self.graph.execution_mut(index);
            if !execution.state.is_terminal() {
                execution.metrics = metrics;
            }
        }
    }
}
