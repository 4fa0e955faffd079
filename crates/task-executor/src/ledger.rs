//! What a TaskExecutor remembers of its tasks for a JobMaster that takes the job over. Pure.
//!
//! What coordinators have told a task is part of a checkpoint if it came before that checkpoint's
//! trigger: a coordinator's events and triggers reach the task in the order in which they pass
//! here. So a checkpoint that began behind the last event to an operator covers everything that its
//! coordinator has told it; see `hurtig_scheduler::reclaim` for what follows from that.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_cluster_api::{ExecutionState, SurvivingTask};
use hurtig_types::{CheckpointId, ExecutionAttemptId, OperatorId};

/// Checkpoints that are remembered per task; beyond that the oldest is forgotten, which at worst
/// costs a restart.
const REMEMBERED: usize = 64;

#[derive(Debug, Default)]
struct Entry {
    began: BTreeSet<CheckpointId>,
    /// Of operators that were spoken to.
    quiet_since: BTreeMap<OperatorId, BTreeSet<CheckpointId>>,
    under_way: BTreeSet<CheckpointId>,
}

/// The tasks of a TaskExecutor.
#[derive(Debug, Default)]
pub(crate) struct TaskLedger {
    entries: BTreeMap<ExecutionAttemptId, Entry>,
}

fn remember(set: &mut BTreeSet<CheckpointId>, id: CheckpointId) {
    set.insert(id);
    if set.len() > REMEMBERED {
        set.pop_first();
    }
}

impl TaskLedger {
    /// A task starts, from a checkpoint or from nothing. One that is known goes on.
    pub(crate) fn on_start(&mut self, task: ExecutionAttemptId, restored: Option<CheckpointId>) {
        let entry = Entry { began: restored.into_iter().collect(), ..Entry::default() };
        self.entries.entry(task).or_insert(entry);
    }

    /// A coordinator's event was delivered to one of its operators.
    pub(crate) fn on_event(&mut self, task: ExecutionAttemptId, operator: OperatorId) {
        if let Some(entry) = self.entries.get_mut(&task) {
            // Operators are as many as the task has.
            entry.quiet_since.entry(operator).or_default().clear();
        }
    }

    /// A checkpoint begins.
    pub(crate) fn on_trigger(&mut self, task: ExecutionAttemptId, id: CheckpointId) {
        if let Some(entry) = self.entries.get_mut(&task) {
            remember(&mut entry.began, id);
            entry.quiet_since.values_mut().for_each(|began| remember(began, id));
            remember(&mut entry.under_way, id);
        }
    }

    /// A checkpoint is complete, and subsumes those before it.
    pub(crate) fn on_complete(&mut self, task: ExecutionAttemptId, id: CheckpointId) {
        if let Some(entry) = self.entries.get_mut(&task) {
            entry.under_way = entry.under_way.split_off(&CheckpointId(id.0 + 1));
            // No earlier one can be the latest any more.
            entry.began = entry.began.split_off(&id);
            entry.quiet_since.values_mut().for_each(|began| *began = began.split_off(&id));
        }
    }

    /// A checkpoint was given up.
    pub(crate) fn on_aborted(&mut self, task: ExecutionAttemptId, id: CheckpointId) {
        if let Some(entry) = self.entries.get_mut(&task) {
            entry.under_way.remove(&id);
        }
    }

    /// A task has ended.
    pub(crate) fn on_end(&mut self, task: ExecutionAttemptId) {
        self.entries.remove(&task);
    }

    /// What a JobMaster that takes over is told.
    pub(crate) fn surviving(
        &self,
        attempt: ExecutionAttemptId,
        state: ExecutionState,
    ) -> SurvivingTask {
        let entry = self.entries.get(&attempt);
        let listed = |set: &BTreeSet<CheckpointId>| set.iter().copied().collect();
        let quiet_since = entry.into_iter().flat_map(|entry| &entry.quiet_since);
        SurvivingTask {
            attempt,
            state,
            began: entry.map(|entry| listed(&entry.began)).unwrap_or_default(),
            quiet_since: quiet_since.map(|(operator, began)| (*operator, listed(began))).collect(),
            under_way: entry.map(|entry| listed(&entry.under_way)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hurtig_types::{JobId, JobVertexId};

    use super::*;

    const TASK: ExecutionAttemptId =
        ExecutionAttemptId { job: JobId(1), vertex: JobVertexId(1), subtask: 0, attempt: 0 };

    /// Checkpoints since which the operator of that number is quiet, and those under way.
    fn known_of(ledger: &TaskLedger, operator: u128) -> (Vec<u64>, Vec<u64>) {
        let task = ledger.surviving(TASK, ExecutionState::Running);
        let quiet =
            (1..=100).filter(|id| task.is_quiet_since(OperatorId(operator), CheckpointId(*id)));
        (quiet.collect(), task.under_way.into_iter().map(|id| id.0).collect())
    }

    fn known(ledger: &TaskLedger) -> (Vec<u64>, Vec<u64>) {
        known_of(ledger, 1)
    }

    #[test]
    fn an_event_is_covered_by_the_checkpoints_that_begin_behind_it() {
        let mut ledger = TaskLedger::default();
        ledger.on_start(TASK, Some(CheckpointId(3)));
        assert_eq!(known(&ledger), (vec![3], vec![]));
        ledger.on_event(TASK, OperatorId(1));
        assert_eq!(known(&ledger), (vec![], vec![]));
        assert_eq!(known_of(&ledger, 2).0, [3], "nobody has spoken to the other one");
        ledger.on_trigger(TASK, CheckpointId(4));
        ledger.on_trigger(TASK, CheckpointId(5));
        assert_eq!(known(&ledger), (vec![4, 5], vec![4, 5]));
        ledger.on_complete(TASK, CheckpointId(4));
        assert_eq!(known(&ledger), (vec![4, 5], vec![5]));
        ledger.on_event(TASK, OperatorId(1));
        assert_eq!(known_of(&ledger, 2).0, [4, 5]);
        ledger.on_aborted(TASK, CheckpointId(5));
        assert_eq!(known(&ledger), (vec![], vec![]));
        ledger.on_end(TASK);
        ledger.on_trigger(TASK, CheckpointId(6));
        assert_eq!(known(&ledger), (vec![], vec![]));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut ledger = TaskLedger::default();
        ledger.on_start(TASK, None);
        (1..=100).for_each(|id| ledger.on_trigger(TASK, CheckpointId(id)));
        let (quiet, under_way) = known(&ledger);
        assert_eq!((quiet.len(), under_way.first()), (REMEMBERED, Some(&37)));
    }
}
