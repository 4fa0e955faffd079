//! The steps of an elastic job: see [`crate::adaptive`].

use hurtig_cluster_api::{FailureClass, FailureInfo, JobResourceRequirements, JobStatus};

use super::{Command, JobScheduler, Readiness, SchedulerTimer};
use crate::{
    adaptive::{Elastic, ElasticState},
    execution_graph::ExecutionGraph,
};

/// A step that is due while the parallelism is held is looked at again after so long.
const HELD_MS: u64 = 200;

impl JobScheduler {
    pub(super) fn start_elastic(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        // A snapshot that the job starts from may have changed what its vertices can have.
        self.elastic = Elastic::of(&self.graph.graph);
        let Some(elastic) = &self.elastic else { return };
        self.pool.collect(elastic.desired_slots());
        commands.push(Command::DeclareSlots(self.pool.required() as u32));
        self.wait_for_resources(now_ms, commands);
    }

    /// Whether the job may take its next steps at all. One that runs keeps its parallelism while
    /// it is being stopped with a savepoint.
    fn is_elastic_now(&self) -> bool {
        let state = self.elastic.as_ref().map(|elastic| elastic.state());
        let status = self.status;
        let held = self.hold_parallelism || self.stopping.is_some();
        matches!(status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting)
            && !(held && state == Some(ElasticState::Executing))
    }

    fn wait_for_resources(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        if let Some(elastic) = &mut self.elastic {
            elastic.wait(now_ms);
        }
        self.on_slots_changed(now_ms, commands);
    }

    /// Slots have come, or the job asks for other ones.
    pub(super) fn on_slots_changed(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        if !self.is_elastic_now() {
            return;
        }
        let slots = self.pool.len();
        let Some(elastic) = &mut self.elastic else { return };
        if elastic.on_change(slots, &self.graph.graph, now_ms) {
            self.take_step(now_ms, commands);
        }
        self.set_elastic_timer(now_ms, commands);
        self.watch_idle_slots(commands);
    }

    /// A user wants the job to stop with a savepoint, or no longer: its parallelism stays as it is
    /// meanwhile.
    pub fn hold_parallelism(&mut self, hold: bool, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        if std::mem::replace(&mut self.hold_parallelism, hold) && !hold {
            self.on_slots_changed(now_ms, &mut commands);
        }
        commands
    }

    /// A checkpoint has completed: a good moment to change the parallelism. Failed ones in a row
    /// are waited for only so often.
    pub fn on_checkpoint_ended(&mut self, completed: bool, now_ms: i64) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.is_elastic_now() {
            return commands;
        }
        let slots = self.pool.len();
        let Some(elastic) = &mut self.elastic else { return commands };
        if elastic.on_checkpoint(completed, slots, &self.graph.graph) {
            self.take_step(now_ms, &mut commands);
        }
        self.set_elastic_timer(now_ms, &mut commands);
        commands
    }

    fn set_elastic_timer(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        if let Some((round, at_ms)) = self.elastic.as_mut().and_then(|e| e.next_timer()) {
            let delay_ms = at_ms.saturating_sub(now_ms).max(0) as u64;
            commands.push(Command::SetTimer(SchedulerTimer::Elastic { round }, delay_ms));
        }
    }

    pub(super) fn on_elastic_timer(
        &mut self,
        round: u32,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        let slots = self.pool.len();
        let is_elastic_now = self.is_elastic_now();
        let Some(elastic) = &mut self.elastic else { return };
        let Some(at_ms) = elastic.on_timer(round) else { return };
        if !is_elastic_now {
            if !self.status.is_globally_terminal()
                && let Some((round, _)) = elastic.next_timer()
            {
                commands.push(Command::SetTimer(SchedulerTimer::Elastic { round }, HELD_MS));
            }
            return;
        }
        // The clock that measured the delay may be a little ahead of this one.
        let now_ms = now_ms.max(at_ms);
        let is_out_of_patience = elastic.is_out_of_patience(now_ms);
        if elastic.on_time(slots, &self.graph.graph, now_ms) {
            self.take_step(now_ms, commands);
        } else if is_out_of_patience {
            self.end_of_patience(now_ms, commands);
        }
        self.set_elastic_timer(now_ms, commands);
    }

    fn end_of_patience(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let Some(elastic) = &self.elastic else { return };
        let (had, needed) = (self.pool.len(), elastic.minimal_slots());
        if had >= needed {
            self.create_execution_graph(now_ms, commands);
            return;
        }
        let failure = FailureInfo {
            class: FailureClass::External,
            message: format!(
                "{} of {needed} slots are missing after {} ms \
                 (jobmanager.adaptive-scheduler.submission.resource-wait-timeout): {}",
                needed - had,
                elastic.patience_ms(),
                self.describe_missing(needed),
            ),
            task: None,
            timestamp_ms: now_ms,
        };
        self.fail_job(failure, now_ms, commands);
    }

    fn take_step(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        match self.elastic.as_ref().map(|elastic| elastic.state()) {
            Some(ElasticState::WaitingForResources) => {
                self.create_execution_graph(now_ms, commands);
            }
            Some(ElasticState::Executing) => {
                self.rescales += 1;
                self.cancel_elastic(ElasticState::Rescaling, now_ms, commands);
                self.after_change(now_ms, commands);
            }
            Some(ElasticState::Restarting | ElasticState::Rescaling) | None => {}
        }
    }

    /// Everything is cancelled, to start anew when it has ended.
    pub(super) fn cancel_elastic(
        &mut self,
        state: ElasticState,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        if let Some(elastic) = &mut self.elastic {
            elastic.restart(state);
        }
        self.restarting = (0..self.graph.regions().len()).collect();
        self.set_status(JobStatus::Restarting, now_ms, commands);
        let all: Vec<usize> = (0..self.graph.executions().len()).collect();
        self.cancel_all(&all, now_ms, commands);
    }

    /// Looks whether everything has ended that was cancelled.
    pub(super) fn restart_elastic(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let Some(elastic) = &self.elastic else { return };
        if !self.graph.all_terminal() {
            return;
        }
        match elastic.state() {
            ElasticState::Restarting if now_ms >= self.restart_at_ms => {
                self.wait_for_resources(now_ms, commands);
            }
            ElasticState::Rescaling if elastic.parallelism_for(self.pool.len()).is_some() => {
                self.create_execution_graph(now_ms, commands);
                self.set_elastic_timer(now_ms, commands);
            }
            ElasticState::Rescaling => self.wait_for_resources(now_ms, commands),
            _ => {}
        }
    }

    /// Creates the ExecutionGraph that the slots allow, and deploys it.
    fn create_execution_graph(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
        let slots = self.pool.len();
        let Some(elastic) = &mut self.elastic else { return };
        let Some(parallelism) = elastic.parallelism_for(slots) else { return };
        elastic.execute(now_ms);
        let evenly = elastic.evenly();
        let has_run = self.graph.executions().iter().any(|e| e.allocation.is_some());
        let attempt = if has_run { self.graph.next_attempt() } else { self.first_attempt };
        let mut graph = self.graph.graph.clone();
        for (vertex, parallelism) in graph.vertices.iter_mut().zip(parallelism) {
            vertex.parallelism = parallelism;
        }
        let arranged = self.pool.arrange(&graph, evenly, now_ms);
        debug_assert!(arranged, "the parallelism was computed from the slots");
        self.graph = ExecutionGraph::in_attempt(graph, attempt, now_ms);
        self.readiness = Readiness::new(&self.graph, &self.pool);
        self.restarting.clear();
        self.restart_at_ms = 0;
        commands.push(Command::Rescaled);
        self.set_status(JobStatus::Running, now_ms, commands);
        let all: Vec<usize> = (0..self.graph.executions().len()).collect();
        self.schedule(&all, now_ms, commands);
        self.watch_idle_slots(commands);
    }

    /// What an elastic job asks for.
    pub fn requirements(&self) -> Option<JobResourceRequirements> {
        self.elastic.as_ref().map(|elastic| elastic.requirements(&self.graph.graph))
    }

    /// An elastic job asks for something else from now on.
    ///
    /// # Errors
    /// If the job is not elastic, or cannot have that, with the reason.
    pub fn update_requirements(
        &mut self,
        requirements: &JobResourceRequirements,
        now_ms: i64,
    ) -> Result<Vec<Command>, String> {
        let Some(elastic) = &mut self.elastic else {
            return Err("only elastic jobs have requirements that can be changed \
                        (jobmanager.scheduler: adaptive)"
                .to_owned());
        };
        elastic.update(&self.graph.graph, requirements)?;
        let mut commands = Vec::new();
        self.pool.set_target(elastic.desired_slots());
        commands.push(Command::DeclareSlots(self.pool.required() as u32));
        self.on_slots_changed(now_ms, &mut commands);
        Ok(commands)
    }
}
