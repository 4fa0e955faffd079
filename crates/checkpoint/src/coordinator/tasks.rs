//! Events of tasks: running, finished, failed, restarted.
//!
//! The table knows each subtask's current attempt and state. Periodic checkpoints run while every
//! subtask is running or has finished. A failed task aborts the checkpoints that still wait for it;
//! the restart that follows aborts the others.

use hurtig_cluster_api::ExecutionState;
use hurtig_types::{
    CheckpointException, CheckpointFailureReason, CheckpointId, ExecutionAttemptId,
};

use super::{CheckpointCommand, CheckpointCoordinator};
use crate::{
    pending::PendingPhase,
    topology::{SubtaskRef, Topology},
};

/// Current attempt and state of each subtask.
#[derive(Clone, Debug)]
pub struct TaskTable {
    vertices: Vec<Vec<(ExecutionAttemptId, ExecutionState)>>,
}

impl TaskTable {
    /// All created, in attempt 0.
    pub fn new(topology: &Topology) -> Self {
        Self::in_attempt(topology, 0)
    }

    /// All created, in attempts of that number; earlier ones are superseded.
    fn in_attempt(topology: &Topology, attempt: u32) -> Self {
        let job = topology.job;
        let vertices = topology.vertices.iter().map(|info| {
            let attempts = (0..info.parallelism).map(|subtask| {
                let attempt = ExecutionAttemptId { job, vertex: info.id, subtask, attempt };
                (attempt, ExecutionState::Created)
            });
            attempts.collect()
        });
        Self { vertices: vertices.collect() }
    }

    /// State of a subtask.
    pub fn state(&self, subtask: SubtaskRef) -> ExecutionState {
        self.vertices[subtask.vertex][subtask.subtask as usize].1
    }

    /// Current attempt of a subtask.
    pub fn attempt(&self, subtask: SubtaskRef) -> ExecutionAttemptId {
        self.vertices[subtask.vertex][subtask.subtask as usize].0
    }

    /// Every subtask runs or has finished.
    pub fn all_started(&self) -> bool {
        let mut states = self.vertices.iter().flatten().map(|(_, state)| *state);
        states.all(|state| matches!(state, ExecutionState::Running | ExecutionState::Finished))
    }

    /// Takes over a state. `None` if nothing changes: it is known, of a superseded attempt, or of
    /// an unknown subtask. Otherwise the attempt that was current before.
    fn update(
        &mut self,
        topology: &Topology,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
    ) -> Option<ExecutionAttemptId> {
        let vertex = topology.position(attempt.vertex)?;
        let (current, old) = self.vertices[vertex].get_mut(attempt.subtask as usize)?;
        let known = *current == attempt && *old == state;
        if known || attempt.job != current.job || attempt.attempt < current.attempt {
            return None;
        }
        *old = state;
        Some(std::mem::replace(current, attempt))
    }
}

impl CheckpointCoordinator {
    /// A task has entered a state. A later attempt takes the place of an earlier one.
    pub fn on_task_state(
        &mut self,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        if self.shut_down.is_some() {
            return Vec::new();
        }
        let Some(before) = self.tasks.update(&self.topology, attempt, state) else {
            return Vec::new();
        };
        if before != attempt {
            self.abort_waiting_for(before, "is superseded".to_owned(), now_ms);
        }
        match state {
            ExecutionState::Finished => self.task_finished(attempt, now_ms),
            ExecutionState::Failed | ExecutionState::Canceled | ExecutionState::Canceling => {
                self.abort_waiting_for(attempt, format!("is {state:?}"), now_ms);
            }
            _ => {}
        }
        self.refresh_periodic(now_ms);
        self.run_queue(now_ms);
        self.take_commands()
    }

    /// Tasks are about to be restarted from the latest checkpoint.
    pub fn on_restarting(&mut self, now_ms: i64) -> Vec<CheckpointCommand> {
        let all = self.pending_ids(|p| p.phase != PendingPhase::Writing);
        self.abort_all(all, &CheckpointFailureReason::JobFailoverRegion.into(), now_ms);
        self.refuse_all(CheckpointFailureReason::CheckpointCoordinatorSuspend);
        self.stopping = false;
        self.periodic.stop();
        self.take_commands()
    }

    /// After [`CheckpointCoordinator::on_restarting`], when no metadata is being written any more:
    /// the parallelism has changed, and all tasks are new, in attempts of that number.
    pub fn on_rescaled(&mut self, topology: Topology, attempt: u32) {
        debug_assert!(self.pending.is_empty(), "what is pending is of the old parallelism");
        self.tasks = TaskTable::in_attempt(&topology, attempt);
        self.topology = topology;
    }

    fn abort_waiting_for(&mut self, attempt: ExecutionAttemptId, why: String, now_ms: i64) {
        let waiting = self.pending_ids(|p| p.awaits(attempt));
        let detail = format!("{attempt} {why}");
        let cause = CheckpointException::new(CheckpointFailureReason::TaskFailure, detail);
        self.abort_all(waiting, &cause, now_ms);
    }

    fn task_finished(&mut self, attempt: ExecutionAttemptId, now_ms: i64) {
        let waiting = self.pending_ids(|p| p.awaits(attempt));
        if !self.config.after_tasks_finish {
            let cause = CheckpointFailureReason::CheckpointDeclinedTaskClosing.into();
            self.abort_all(waiting, &cause, now_ms);
            return;
        }
        for id in waiting {
            if let Some(pending) = self.pending.get_mut(&id) {
                pending.on_finished(attempt);
            }
        }
        self.write_next(now_ms);
    }

    pub(super) fn pending_ids(
        &self,
        which: impl Fn(&crate::pending::PendingCheckpoint) -> bool,
    ) -> Vec<CheckpointId> {
        self.pending.values().filter(|pending| which(pending)).map(|pending| pending.id).collect()
    }
}
