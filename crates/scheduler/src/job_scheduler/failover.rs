//! Failures: a region restarts, or the job fails.

use hurtig_cluster_api::{
    ExceptionHistoryEntry, ExecutionState, FailureClass, FailureInfo, JobStatus,
    RootExceptionHistoryEntry,
};
use hurtig_types::{ExecutionAttemptId, TerminateKind};

use super::{Command, JobScheduler, REMEMBERED_FAILURES, SchedulerTimer};
use crate::adaptive::ElasticState;

impl JobScheduler {
    /// Adds a failure to the history; `index` is the task that failed, if one did.
    pub(super) fn remember(&mut self, failure: FailureInfo, index: Option<usize>) {
        if self.failures.len() == REMEMBERED_FAILURES {
            self.failures.remove(0);
            self.exceptions.remove(0);
        }
        let root = self.history_entry(failure.clone(), index);
        self.exceptions.push(RootExceptionHistoryEntry { root, concurrent: Vec::new() });
        self.failures.push(failure);
    }

    fn history_entry(&self, failure: FailureInfo, index: Option<usize>) -> ExceptionHistoryEntry {
        let location = index.and_then(|index| self.graph.execution(index).location.clone());
        ExceptionHistoryEntry { failure, location }
    }

    /// Adds a failure to what came with the last one.
    fn remember_concurrent(&mut self, failure: FailureInfo, index: usize) {
        let entry = self.history_entry(failure, Some(index));
        if let Some(last) = self.exceptions.last_mut()
            && last.concurrent.len() < REMEMBERED_FAILURES
        {
            last.concurrent.push(entry);
        }
    }

    /// A subtask has failed: restart its region, or fail the job.
    pub(super) fn handle_failure(
        &mut self,
        index: usize,
        failure: FailureInfo,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        let region = self.graph.execution(index).region;
        let restarting = self.restarting.contains(&region);
        if restarting || !matches!(self.status, JobStatus::Running | JobStatus::Restarting) {
            self.handle_further_failure(index, restarting, failure, now_ms, commands);
            return;
        }
        self.remember(failure.clone(), Some(index));
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
        if self.elastic.is_some() {
            self.cancel_elastic(ElasticState::Restarting, now_ms, commands);
        } else {
            self.set_status(JobStatus::Restarting, now_ms, commands);
            // Other regions must not go on from a checkpoint that does not count any more.
            let is_damage = matches!(failure.class, FailureClass::DamagedState(_));
            let all = 0..self.graph.regions().len();
            let regions = if stopping.is_some() || is_damage { all } else { region..region + 1 };
            self.restart_regions(regions, now_ms, commands);
        }
        let at_ms = now_ms.saturating_add_unsigned(delay_ms);
        self.restart_at_ms = self.restart_at_ms.max(at_ms);
        commands.push(Command::SetTimer(SchedulerTimer::Restart, delay_ms));
    }

    fn restart_regions(
        &mut self,
        regions: std::ops::Range<usize>,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        for region in regions {
            if self.restarting.insert(region) {
                self.cancel_all(&self.graph.regions()[region].clone(), now_ms, commands);
            }
        }
    }

    /// A subtask has failed whose region is being cancelled for a failure that was told before: a
    /// consequence, or, if that one was only that an input was lost, the cause.
    fn handle_further_failure(
        &mut self,
        index: usize,
        restarting: bool,
        failure: FailureInfo,
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        if failure.class == FailureClass::InputLost {
            return;
        }
        if restarting {
            if let FailureClass::DamagedState(_) = failure.class
                && self.elastic.is_none()
            {
                self.restart_regions(0..self.graph.regions().len(), now_ms, commands);
            }
            if failure.class == FailureClass::Fatal {
                self.remember(failure.clone(), Some(index));
                self.fail_job(failure, now_ms, commands);
            } else if self.failures.last().is_some_and(|f| f.class == FailureClass::InputLost) {
                self.remember(failure, Some(index));
            } else {
                self.remember_concurrent(failure, index);
            }
        } else if let Some(root) = &mut self.root_failure
            && self.status == JobStatus::Failing
            && root.class == FailureClass::InputLost
        {
            *root = failure.clone();
            self.remember(failure, Some(index));
        } else if self.status == JobStatus::Failing {
            self.remember_concurrent(failure, index);
        }
    }

    /// Fails the job; the first reason is kept, unless it is that an input was lost and the reason
    /// for that comes before the end.
    pub fn fail_job(&mut self, failure: FailureInfo, now_ms: i64, commands: &mut Vec<Command>) {
        if self.status.is_globally_terminal() || self.status == JobStatus::Failing {
            return;
        }
        if self.failures.last() != Some(&failure) {
            self.remember(failure.clone(), None);
        }
        self.root_failure.get_or_insert(failure);
        self.set_status(JobStatus::Failing, now_ms, commands);
        self.end_all(now_ms, commands);
    }

    pub(crate) fn cancel_all(
        &mut self,
        indices: &[usize],
        now_ms: i64,
        commands: &mut Vec<Command>,
    ) {
        use ExecutionState::*;
        for index in indices {
            let execution = self.graph.execution(*index);
            let attempt = execution.attempt;
            match (execution.state, execution.allocation) {
                (Created | Scheduled, _) | (_, None) => {
                    let _ = self.graph.transition(*index, Canceled, now_ms);
                }
                (Deploying | Initializing | Running, Some(allocation)) => {
                    let _ = self.graph.transition(*index, Canceling, now_ms);
                    commands.push(Command::Cancel { attempt, allocation });
                }
                (Canceling | Finished | Canceled | Failed, _) => {}
            }
        }
    }

    pub(super) fn restart_ended_regions(&mut self, now_ms: i64, commands: &mut Vec<Command>) {
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
            let mut more_slots = false;
            for index in &members {
                if self.graph.execution(*index).state == ExecutionState::Finished
                    && let Some(shared) = self.shared_of(*index)
                {
                    more_slots |= self.pool.on_started_over(shared);
                }
                self.graph.start_over(*index, self.first_attempt, now_ms);
                let attempt = self.graph.execution(*index).attempt;
                let ExecutionAttemptId { vertex, subtask, .. } = attempt;
                commands.push(Command::ResetSubtask { vertex, subtask });
            }
            if more_slots {
                commands.push(Command::DeclareSlots(self.pool.required() as u32));
            }
            self.schedule(&members, now_ms, commands);
        }
    }
}
