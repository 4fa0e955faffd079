//! What makes a job elastic: when it waits for slots, when it changes its parallelism, and to what.
//!
//! # States
//!
//! ```text
//! Created --> WaitingForResources --> CreatingExecutionGraph --> Executing
//!                  ^                          ^                  |      |
//!                  |                          |    slots changed |      | failure
//!                  +------ Restarting <-------+------------------+------+
//! ```
//! 1. In *WaitingForResources* slots are collected: until there are all that the job wants, or for
//!    as long as more might come (stabilisation) if there are as many as it needs, or until its
//!    patience ends.
//! 2. The ExecutionGraph is created with the parallelism that the slots allow. That is one step
//!    here: the graph is known, so nothing is waited for.
//! 3. In *Executing*, slots that come may allow another parallelism. The change waits for a cooldown,
//!    for more slots, and for a checkpoint to restart from ([`transition`]).
//! 4. In *Restarting* everything is cancelled. After a failure the job then waits for slots; for a
//!    change of parallelism it goes on at once.
//!
//! As Flink 2.3's adaptive scheduler. The states at the end of a job are those of every job.
//!
//! Deliberately absent: slots (the pool's) and attempts (the ExecutionGraph's).

pub mod parallelism;
pub mod transition;

use hurtig_cluster_api::JobResourceRequirements;
use hurtig_graph::{AdaptiveConfig, JobGraph};

use parallelism::{Bounds, total};
use transition::{Resources, TransitionManager};

/// Where an elastic job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElasticState {
    /// It collects slots.
    WaitingForResources,
    /// It runs.
    Executing,
    /// Everything is being cancelled after a failure.
    Restarting,
    /// Everything is being cancelled for another parallelism.
    Rescaling,
}

/// The elastic side of a job.
#[derive(Clone, Debug)]
pub struct Elastic {
    config: AdaptiveConfig,
    bounds: Bounds,
    state: ElasticState,
    transition: TransitionManager,
    /// When its patience ends.
    wait_until_ms: Option<i64>,
    failed_checkpoints: u32,
    max_trigger_delay_ms: u64,
    timer: (u32, Option<i64>),
}

impl Elastic {
    /// The elastic side of a job, if it has one. It waits for nothing yet.
    pub fn of(graph: &JobGraph) -> Option<Self> {
        let config = graph.config.adaptive.clone()?;
        let interval_ms = graph.config.checkpoints.interval_ms.unwrap_or(0);
        let failures = u64::from(config.max_checkpoint_failures.max(1));
        let delay_ms = config.max_trigger_delay_ms;
        Some(Self {
            bounds: Bounds::of(graph, config.reactive),
            state: ElasticState::WaitingForResources,
            transition: TransitionManager::new(0, 0, 0, 0),
            wait_until_ms: None,
            failed_checkpoints: 0,
            max_trigger_delay_ms: delay_ms.unwrap_or(interval_ms.saturating_mul(failures)),
            timer: (0, None),
            config,
        })
    }

    /// Where it stands.
    pub fn state(&self) -> ElasticState {
        self.state
    }

    /// How many slots it wants.
    pub fn desired_slots(&self) -> usize {
        self.bounds.desired_slots()
    }

    /// How many slots it cannot do without.
    pub fn minimal_slots(&self) -> usize {
        self.bounds.minimal_slots()
    }

    /// Spare slots are left on all TaskManagers.
    pub fn evenly(&self) -> bool {
        !self.config.prefer_minimal_task_managers
    }

    /// What it asks for.
    pub fn requirements(&self, graph: &JobGraph) -> JobResourceRequirements {
        self.bounds.requirements(graph)
    }

    /// It asks for something else from now on.
    ///
    /// # Errors
    /// If that cannot be, with the reason.
    pub fn update(
        &mut self,
        graph: &JobGraph,
        requirements: &JobResourceRequirements,
    ) -> Result<(), String> {
        if self.config.reactive {
            return Err("a job in reactive mode takes every slot: it has no requirements that \
                        could be changed"
                .to_owned());
        }
        self.bounds = Bounds::checked(graph, requirements)?;
        Ok(())
    }

    /// The parallelism of each vertex that so many slots allow; `None` if they are too few.
    pub fn parallelism_for(&self, slots: usize) -> Option<Vec<u32>> {
        self.bounds.parallelism_for(slots)
    }

    /// The job waits for slots from now on.
    pub(crate) fn wait(&mut self, now_ms: i64) {
        self.state = ElasticState::WaitingForResources;
        let stabilization_ms = self.config.submission_stabilization_ms;
        self.transition = TransitionManager::new(now_ms, 0, stabilization_ms, 0);
        let patience = self.config.resource_wait_timeout_ms;
        self.wait_until_ms = patience.map(|ms| now_ms.saturating_add_unsigned(ms));
    }

    /// The job runs from now on.
    pub(crate) fn execute(&mut self, now_ms: i64) {
        self.state = ElasticState::Executing;
        self.wait_until_ms = None;
        self.failed_checkpoints = 0;
        let AdaptiveConfig { cooldown_ms, executing_stabilization_ms: stabilization_ms, .. } =
            self.config;
        let delay_ms = self.max_trigger_delay_ms;
        self.transition = TransitionManager::new(now_ms, cooldown_ms, stabilization_ms, delay_ms);
    }

    /// Everything is cancelled from now on.
    pub(crate) fn restart(&mut self, state: ElasticState) {
        self.state = state;
        self.wait_until_ms = None;
        self.transition.stop();
    }

    /// What so many slots are to a job that has `graph`.
    fn resources(&self, slots: usize, graph: &JobGraph) -> Resources {
        let potential = self.bounds.parallelism_for(slots);
        let all = slots >= self.bounds.desired_slots();
        let is_sufficient = match (self.state, &potential) {
            (ElasticState::WaitingForResources, potential) => potential.is_some(),
            (ElasticState::Executing, Some(potential)) => {
                let current: Vec<u32> = graph.vertices.iter().map(|v| v.parallelism).collect();
                let gain = total(potential) - total(&current);
                let worth_it = gain <= 0 || gain >= i64::from(self.config.min_parallelism_increase);
                *potential != current && worth_it
            }
            _ => false,
        };
        Resources { desired: all && is_sufficient, sufficient: is_sufficient }
    }

    /// Slots or requirements have changed. True if the job is to take the next step.
    pub(crate) fn on_change(&mut self, slots: usize, graph: &JobGraph, now_ms: i64) -> bool {
        let resources = self.resources(slots, graph);
        self.transition.on_change(now_ms, resources);
        self.transition.advance(now_ms, resources)
    }

    /// Time has passed. True if the job is to take the next step.
    pub(crate) fn on_time(&mut self, slots: usize, graph: &JobGraph, now_ms: i64) -> bool {
        let resources = self.resources(slots, graph);
        self.transition.advance(now_ms, resources)
    }

    /// A checkpoint has completed or failed. True if the job is to take the next step.
    pub(crate) fn on_checkpoint(
        &mut self,
        completed: bool,
        slots: usize,
        graph: &JobGraph,
    ) -> bool {
        if self.state != ElasticState::Executing {
            return false;
        }
        self.failed_checkpoints = if completed { 0 } else { self.failed_checkpoints + 1 };
        let enough_failed = self.failed_checkpoints >= self.config.max_checkpoint_failures.max(1);
        let resources = self.resources(slots, graph);
        (completed || enough_failed) && self.transition.on_trigger(resources)
    }

    /// True if its patience has ended.
    pub(crate) fn is_out_of_patience(&self, now_ms: i64) -> bool {
        self.wait_until_ms.is_some_and(|until| now_ms >= until)
    }

    /// Its patience, in milliseconds.
    pub(crate) fn patience_ms(&self) -> u64 {
        self.config.resource_wait_timeout_ms.unwrap_or(u64::MAX)
    }

    /// The next wake-up, if it differs from the one that was asked for last: its number, and when.
    pub(crate) fn next_timer(&mut self) -> Option<(u32, i64)> {
        let wake = [self.transition.wake_at(), self.wait_until_ms].into_iter().flatten().min();
        let (round, known) = self.timer;
        if wake == known {
            return None;
        }
        self.timer = (round + 1, wake);
        wake.map(|at| (round + 1, at))
    }

    /// A wake-up: the time for which it was asked, if it still counts.
    pub(crate) fn on_timer(&mut self, round: u32) -> Option<i64> {
        let (current, at) = self.timer;
        if round != current {
            return None;
        }
        self.timer.1.take();
        at
    }
}
