//! Who takes part in a checkpoint: decided once, when it is triggered, from the states of all
//! subtasks.
//!
//! - Subtasks that run are waited for, and told of the outcome.
//! - Subtasks that have finished count as acknowledged. A vertex of which all have is fully
//!   finished and will not be run again after a restore.
//!
//! As Flink 2.3's `DefaultCheckpointPlanCalculator`; but all that run are triggered, and those that
//! have inputs wait for barriers unless their input has ended, which they know best.

use std::collections::BTreeSet;

use hurtig_cluster_api::ExecutionState;
use hurtig_types::{CheckpointException, CheckpointFailureReason};

use crate::{
    coordinator::tasks::TaskTable,
    topology::{SubtaskRef, Topology},
};

/// Who takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointPlan {
    /// Whose acknowledgement is needed; also those who are told of the outcome.
    pub to_wait_for: BTreeSet<SubtaskRef>,
    /// Finished before the checkpoint began.
    pub finished: BTreeSet<SubtaskRef>,
}

/// Decides who takes part, or why there can be no checkpoint now.
pub fn calculate_plan(
    topology: &Topology,
    tasks: &TaskTable,
    after_tasks_finish: bool,
) -> Result<CheckpointPlan, CheckpointException> {
    let refuse = |detail: String| {
        CheckpointException::new(CheckpointFailureReason::NotAllRequiredTasksRunning, detail)
    };
    let mut plan = CheckpointPlan::default();
    for subtask in topology.subtasks() {
        match tasks.state(subtask) {
            ExecutionState::Running => {
                plan.to_wait_for.insert(subtask);
            }
            ExecutionState::Finished => {
                plan.finished.insert(subtask);
            }
            state => {
                let task = topology.task_name(subtask);
                return Err(refuse(format!("{task} is {state:?}")));
            }
        }
    }
    if !plan.finished.is_empty() && !after_tasks_finish {
        return Err(refuse("some tasks have finished".to_owned()));
    }
    if plan.to_wait_for.is_empty() {
        return Err(refuse("all tasks have finished".to_owned()));
    }
    Ok(plan)
}
