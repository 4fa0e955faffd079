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
//!
//! An elastic job ([`Elastic`]) collects slots before anything is scheduled, and is scheduled anew,
//! as a whole, after every failure and for every change of its parallelism.

mod elastic;
mod failover;
pub(crate) mod readiness;
mod slots;

use std::collections::BTreeSet;

use hurtig_cluster_api::{
    ExecutionState, FailureClass, FailureInfo, JobStatus, RootExceptionHistoryEntry, SlotOffer,
    TaskDeploymentDescriptor, TaskStateUpdate,
};
use hurtig_graph::JobGraph;
use hurtig_metrics::Accumulators;
use hurtig_types::{AllocationId, ExecutionAttemptId, JobVertexId, TerminateKind};

use crate::{
    adaptive::Elastic, execution_graph::ExecutionGraph, restart::RestartBackoff,
    slot_pool::SlotPool,
};
use readiness::Readiness;

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
    /// Look for slots that nobody has needed for long.
    IdleSlots,
    /// An elastic job may take its next step.
    Elastic {
        /// Which wait: a later one supersedes it.
        round: u32,
    },
}

/// What the JobMaster is to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Tell the ResourceManager how many slots the job needs in all.
    DeclareSlots(u32),
    /// Give a slot back: it is no longer the job's.
    ReturnSlot(SlotOffer),
    /// The parallelism was decided: all subtasks are new and start from the latest checkpoint, and
    /// so do their coordinators. Their deployments follow.
    Rescaled,
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
    exceptions: Vec<RootExceptionHistoryEntry>,
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
    pub(crate) readiness: Readiness,
    /// What the ResourceManager has said last of slots that it cannot give: how many there are.
    available_slots: Option<u32>,
    idle_timer: bool,
    elastic: Option<Elastic>,
    rescales: u32,
    hold_parallelism: bool,
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
        let elastic = Elastic::of(&graph);
        let graph = ExecutionGraph::in_attempt(graph, first_attempt, now_ms);
        Self {
            readiness: Readiness::new(&graph, &pool),
            graph,
            available_slots: None,
            idle_timer: false,
            elastic,
            rescales: 0,
            hold_parallelism: false,
            pool,
            backoff,
            status: JobStatus::Created,
            transitions: vec![(JobStatus::Created, now_ms)],
            failures: Vec::new(),
            exceptions: Vec::new(),
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

    /// The same failures with where they happened and what came with them.
    pub fn exceptions(&self) -> &[RootExceptionHistoryEntry] {
        &self.exceptions
    }

    /// Why the job failed.
    pub fn root_failure(&self) -> Option<&FailureInfo> {
        self.root_failure.as_ref()
    }

    /// Number of restarts after failures.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How often the parallelism was changed without a failure.
    pub fn rescales(&self) -> u32 {
        self.rescales
    }

    /// The elastic side, if the job has one.
    pub fn elastic(&self) -> Option<&Elastic> {
        self.elastic.as_ref()
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
        if self.elastic.is_some() {
            self.start_elastic(now_ms, &mut commands);
            return commands;
        }
        self.set_status(JobStatus::Running, now_ms, &mut commands);
        commands.push(Command::DeclareSlots(self.pool.required() as u32));
        let all: Vec<usize> = (0..self.graph.executions().len()).collect();
        self.schedule(&all, now_ms, &mut commands);
        commands
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
        if self.graph.transition(index, update.state, now_ms).is_err() {
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
            ExecutionState::Finished => self.after_finish(index, now_ms, &mut commands),
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

    /// The savepoint that stops the job is complete: tasks finish where they stand. If one fails
    /// instead, all start over with it, since those that have finished are not at their end; a job
    /// that was drained fails.
    pub fn on_stopping(&mut self, kind: TerminateKind) {
        self.stopping = Some(kind);
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
                if self.graph.finished() == self.graph.executions().len() {
                    self.set_status(JobStatus::Finished, now_ms, commands);
                } else if self.elastic.is_some() {
                    self.restart_elastic(now_ms, commands);
                } else {
                    self.restart_ended_regions(now_ms, commands);
                }
            }
            _ => {}
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
            SchedulerTimer::IdleSlots => self.return_idle_slots(now_ms, &mut commands),
            SchedulerTimer::Elastic { round } => {
                self.on_elastic_timer(round, now_ms, &mut commands);
            }
        }
        commands
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
