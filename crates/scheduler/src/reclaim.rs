//! What a new JobMaster does with the tasks that an earlier one has left. Pure.
//!
//! TaskExecutors offer the slots of the job with the tasks in them. The new JobMaster goes on with
//! the tasks only if that is as if nothing had happened:
//!
//! 1. Every subtask has one attempt, and it is RUNNING. A task that has ended, or is being
//!    cancelled, or not up yet was about to change something that only the earlier JobMaster knew.
//! 2. The attempts of a pipelined region have the same number: they were deployed together, and
//!    exchange data with each other.
//! 3. Slots serve what slot sharing lets them serve.
//! 4. Coordinators know nothing but what is in the latest completed checkpoint: no event of one has
//!    reached a task since. What a coordinator did later is lost with its JobMaster, such as the
//!    splits that it assigned; a task that has got them would read them, and the new coordinator
//!    assign them again. What tasks have asked of coordinators they ask again. Coordinators that own
//!    nothing may have spoken at any time.
//!
//! Otherwise everything restarts from the latest completed checkpoint, and the attempts that were
//! found are cancelled first. So it is if not all is clear in time.
//!
//! Invariant: once the verdict is not [`Verdict::Wait`], it does not change.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_cluster_api::{ExecutionState, JobStatus, OccupiedSlot, PeerAddress, SurvivingTask};
use hurtig_types::{
    AllocationId, CheckpointId, ExecutionAttemptId, JobVertexId, OperatorId, ResourceId,
};

use crate::{
    execution_graph::ExecutionGraph,
    job_scheduler::{Command, JobScheduler},
    slot_pool::{Offered, PhysicalSlot, SharedSlotId, placement::Placement},
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not clear yet.
    Wait,
    /// Go on with the tasks that were found.
    GoOn,
    /// Restart from the latest checkpoint, for that reason.
    Restart(String),
}

/// An attempt that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The attempt and what its TaskExecutor knows of it.
    pub task: SurvivingTask,
    /// Its slot.
    pub allocation: AllocationId,
}

/// Collects what TaskExecutors offer.
#[derive(Debug)]
pub struct Reclaim {
    /// The latest completed checkpoint.
    latest: Option<CheckpointId>,
    /// Operators whose coordinators must have been quiet, by vertex; and whether all coordinators can
    /// go on beside running tasks.
    coordinated: BTreeMap<JobVertexId, Vec<OperatorId>>,
    resumable: bool,
    subtasks: usize,
    slots: BTreeMap<AllocationId, PhysicalSlot>,
    found: BTreeMap<(JobVertexId, u32), Found>,
    /// States that were reported by tasks themselves: they may come before an offer or behind it.
    reported: BTreeMap<ExecutionAttemptId, ExecutionState>,
    verdict: Verdict,
}

impl Reclaim {
    /// Nothing has been offered yet. `resumable`: all coordinators can go on from a checkpoint
    /// beside running tasks. `stateless`: operators whose coordinators own nothing.
    pub fn new(
        graph: &ExecutionGraph,
        latest: Option<CheckpointId>,
        resumable: bool,
        stateless: &BTreeSet<OperatorId>,
    ) -> Self {
        let mut coordinated: BTreeMap<JobVertexId, Vec<OperatorId>> = BTreeMap::new();
        for vertex in &graph.graph.vertices {
            let operators = vertex.operators.iter().filter(|operator| operator.has_coordinator);
            let counted =
                operators.map(|operator| operator.id).filter(|id| !stateless.contains(id));
            let counted: Vec<OperatorId> = counted.collect();
            if !counted.is_empty() {
                coordinated.insert(vertex.id, counted);
            }
        }
        Self {
            latest,
            coordinated,
            resumable,
            subtasks: graph.executions().len(),
            slots: BTreeMap::new(),
            found: BTreeMap::new(),
            reported: BTreeMap::new(),
            verdict: Verdict::Wait,
        }
    }

    /// What is to be done, as far as is clear.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Every subtask was found.
    pub fn is_complete(&self) -> bool {
        self.found.len() == self.subtasks
    }

    /// The attempts that were found.
    pub fn found(&self) -> impl Iterator<Item = &Found> {
        self.found.values()
    }

    /// The tasks must restart, whatever is found.
    pub fn must_restart(&mut self, reason: &str) {
        self.restart(reason);
    }

    fn restart(&mut self, reason: impl Into<String>) {
        if self.verdict == Verdict::Wait {
            self.verdict = Verdict::Restart(reason.into());
        }
    }

    /// A TaskExecutor offers what the job has there; again is fine.
    pub fn on_offer(
        &mut self,
        slots: &[OccupiedSlot],
        data_address: &PeerAddress,
        graph: &ExecutionGraph,
    ) -> &Verdict {
        for slot in slots {
            let (offer, allocation) = (slot.offer, slot.offer.allocation);
            let physical = PhysicalSlot { offer, data_address: data_address.clone() };
            self.slots.insert(allocation, physical);
            for task in &slot.tasks {
                self.on_task(task.clone(), allocation, graph);
            }
        }
        self.judge(graph);
        &self.verdict
    }

    fn on_task(&mut self, task: SurvivingTask, allocation: AllocationId, graph: &ExecutionGraph) {
        let attempt = task.attempt;
        if attempt.job != graph.graph.job_id
            || graph.index_of(attempt.vertex, attempt.subtask).is_none()
        {
            return self.restart(format!("{attempt} is not of this job"));
        }
        let state = self.reported.get(&attempt).copied().unwrap_or(task.state);
        if state != ExecutionState::Running {
            self.restart(format!("{attempt} is {state:?}"));
        }
        let quiet = self.coordinated.get(&attempt.vertex).map(|operators| {
            let latest = self.latest?;
            Some(operators.iter().all(|operator| task.is_quiet_since(*operator, latest)))
        });
        match quiet {
            Some(None) => {
                self.restart("there is no checkpoint that coordinators could go on from");
            }
            Some(Some(false)) => self.restart(format!(
                "a coordinator has spoken with {attempt} since the latest checkpoint"
            )),
            Some(Some(true)) | None => {}
        }
        if !self.resumable {
            self.restart("a coordinator cannot go on beside running tasks");
        }
        let found = Found { task, allocation };
        let key = (attempt.vertex, attempt.subtask);
        let other = self.found.get(&key).map(|other| other.task.attempt);
        if let Some(other) = other.filter(|other| *other != attempt) {
            self.restart(format!("{attempt} is not the only attempt of its subtask"));
            // The later one is kept, so that new attempts get higher numbers.
            if other.attempt > attempt.attempt {
                return;
            }
        }
        self.found.insert(key, found);
    }

    /// A task reports its state to the new JobMaster, which does not know it yet.
    pub fn on_task_state(
        &mut self,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
        graph: &ExecutionGraph,
    ) -> &Verdict {
        // A repeated report may be older than what is known.
        if self.reported.get(&attempt).is_none_or(|known| known.may_become(state)) {
            self.reported.insert(attempt, state);
        }
        let known = self.found.values().any(|found| found.task.attempt == attempt);
        if known && state != ExecutionState::Running {
            self.restart(format!("{attempt} is {state:?}"));
        }
        self.judge(graph);
        &self.verdict
    }

    /// A TaskExecutor is lost.
    pub fn on_lost(&mut self, resource: ResourceId) -> &Verdict {
        let before = self.slots.len();
        self.slots.retain(|_, slot| slot.offer.slot.resource != resource);
        if self.slots.len() != before {
            let slots = &self.slots;
            self.found.retain(|_, found| slots.contains_key(&found.allocation));
            self.restart(format!("TaskExecutor {resource} is lost"));
        }
        &self.verdict
    }

    /// Not everything has been offered in time.
    pub fn on_timeout(&mut self) -> &Verdict {
        let (found, subtasks) = (self.found.len(), self.subtasks);
        self.restart(format!("{found} of {subtasks} tasks were found in time"));
        &self.verdict
    }

    fn judge(&mut self, graph: &ExecutionGraph) {
        if self.verdict != Verdict::Wait || self.found.len() < self.subtasks {
            return;
        }
        if let Some(problem) = self.inconsistency(graph) {
            return self.restart(problem);
        }
        self.verdict = Verdict::GoOn;
    }

    fn inconsistency(&self, graph: &ExecutionGraph) -> Option<String> {
        for region in graph.regions() {
            let numbers: BTreeSet<u32> = region
                .iter()
                .filter_map(|index| {
                    let ExecutionAttemptId { vertex, subtask, .. } =
                        graph.execution(*index).attempt;
                    Some(self.found.get(&(vertex, subtask))?.task.attempt.attempt)
                })
                .collect();
            if numbers.len() > 1 {
                return Some("a region was being restarted".to_owned());
            }
        }
        let mut serves: BTreeMap<AllocationId, SharedSlotId> = BTreeMap::new();
        let mut served: BTreeMap<SharedSlotId, AllocationId> = BTreeMap::new();
        let placement = Placement::of(&graph.graph);
        for ((vertex, subtask), found) in &self.found {
            let id = placement.shared_of(graph.position_of(*vertex)?, *subtask)?;
            let of_slot = serves.entry(found.allocation).or_insert(id);
            let of_id = served.entry(id).or_insert(found.allocation);
            if *of_slot != id || *of_id != found.allocation {
                return Some("tasks do not share slots as they should".to_owned());
            }
        }
        None
    }
}

impl JobScheduler {
    /// Takes over what was found, and goes on with it or restarts it, as the verdict says.
    pub fn take_over(&mut self, reclaim: &Reclaim, now_ms: i64) -> Vec<Command> {
        for found in reclaim.found() {
            let ExecutionAttemptId { vertex, subtask, attempt, .. } = found.task.attempt;
            let Some(index) = self.graph.index_of(vertex, subtask) else { continue };
            if let (Some(shared), Some(slot)) =
                (self.shared_of(index), reclaim.slots.get(&found.allocation))
            {
                // Where two claim one place, the first has it; the other is offered below.
                if self.pool.adopt(shared, slot.clone()) {
                    self.readiness.served(shared);
                }
            }
            let attempt_id = found.task.attempt;
            let state = reclaim.reported.get(&attempt_id).copied().unwrap_or(found.task.state);
            self.graph.take_over(index, attempt, state, found.allocation, now_ms);
            if state == ExecutionState::Finished
                && let Some(shared) = self.shared_of(index)
            {
                self.pool.on_finished(shared, now_ms);
            }
        }
        for slot in reclaim.slots.values() {
            if let Offered::Serves(shared) = self.pool.offer(slot.clone(), now_ms) {
                self.readiness.served(shared);
            }
        }
        for shared in self.pool.serve_waiting() {
            self.readiness.served(shared);
        }
        let mut commands = Vec::new();
        self.set_status(JobStatus::Running, now_ms, &mut commands);
        commands.push(Command::DeclareSlots(self.pool.required() as u32));
        if *reclaim.verdict() != Verdict::GoOn {
            self.set_status(JobStatus::Restarting, now_ms, &mut commands);
            self.restarting = (0..self.graph.regions().len()).collect();
            self.restart_at_ms = now_ms;
            let all: Vec<usize> = (0..self.graph.executions().len()).collect();
            self.cancel_all(&all, now_ms, &mut commands);
        }
        self.after_change(now_ms, &mut commands);
        commands
    }

    /// What a TaskExecutor offers behind the verdict: slots whose tasks are the current ones, or
    /// that hold none. What is not accepted is freed there.
    pub fn on_occupied_slots(
        &mut self,
        slots: &[OccupiedSlot],
        data_address: &PeerAddress,
        now_ms: i64,
    ) -> (Vec<AllocationId>, Vec<Command>) {
        let is_ours = |slot: &&OccupiedSlot| {
            let known = self.pool.slot(slot.offer.allocation).is_some();
            let current = |task: &SurvivingTask| {
                let index = self.graph.current(task.attempt);
                index.is_some_and(|index| {
                    self.graph.execution(index).allocation == Some(slot.offer.allocation)
                })
            };
            let ended = |task: &SurvivingTask| task.state.is_terminal();
            slot.tasks.iter().all(|task| ended(task) || (known && current(task)))
        };
        let ours: Vec<_> = slots.iter().filter(is_ours).map(|slot| slot.offer).collect();
        self.on_slots_offered(&ours, data_address, now_ms)
    }
}

#[cfg(test)]
mod tests;
