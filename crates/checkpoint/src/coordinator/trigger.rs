//! Events that begin checkpoints: the periodic timer, users' requests, snapshots of coordinators.

use hurtig_types::{
    CheckpointConfig, CheckpointException, CheckpointFailureReason, CheckpointId,
    CheckpointOptions, CheckpointType, OperatorId,
};

use super::{CheckpointCommand, CheckpointCoordinator, CheckpointTimer};
use crate::{
    pending::{PendingCheckpoint, PendingPhase, TaskAcknowledgeResult},
    plan::calculate_plan,
    requests::{QueuedRequest, RequestId, SnapshotRequest},
};

/// The longest pause between checkpoints: a year, as in Flink.
const LONGEST_PAUSE_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// Numbers that are reserved at once: so many may be left out when a JobMaster is lost.
pub const RESERVED_IDS: u64 = 8;

/// The schedule of periodic checkpoints.
#[derive(Clone, Debug)]
pub(super) struct PeriodicTrigger {
    interval_ms: Option<u64>,
    backlog_interval_ms: Option<u64>,
    min_pause_ms: u64,
    seed: u64,
    round: u64,
    next_ms: Option<i64>,
}

impl PeriodicTrigger {
    pub(super) fn new(config: &CheckpointConfig, seed: u64) -> Self {
        let min_pause_ms = config.min_pause_ms.min(LONGEST_PAUSE_MS);
        let at_least = |interval: u64| interval.max(min_pause_ms).max(1);
        Self {
            interval_ms: config.interval_ms.map(at_least),
            backlog_interval_ms: config.interval_during_backlog_ms.map(at_least),
            min_pause_ms,
            seed,
            round: 0,
            next_ms: None,
        }
    }

    fn interval(&self, backlog: bool) -> Option<u64> {
        let interval = self.interval_ms?;
        if backlog { self.backlog_interval_ms } else { Some(interval) }
    }

    /// A delay between the pause and the interval, so that jobs that start together spread.
    fn first_delay(&mut self, interval_ms: u64) -> u64 {
        self.seed =
            self.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let span = interval_ms - self.min_pause_ms.min(interval_ms) + 1;
        self.min_pause_ms.min(interval_ms) + (self.seed >> 33) % span
    }

    /// No timer that was set before counts any more.
    pub(super) fn stop(&mut self) {
        self.round += 1;
        self.next_ms = None;
    }

    fn schedule(&mut self, now_ms: i64, delay_ms: u64) -> CheckpointCommand {
        self.round += 1;
        self.next_ms = Some(now_ms.saturating_add_unsigned(delay_ms));
        CheckpointCommand::SetTimer(CheckpointTimer::Trigger { round: self.round }, delay_ms)
    }
}

impl CheckpointCoordinator {
    /// A timer that was asked for has fired.
    pub fn on_timer(&mut self, timer: CheckpointTimer, now_ms: i64) -> Vec<CheckpointCommand> {
        if self.shut_down.is_none() {
            match timer {
                CheckpointTimer::Timeout { checkpoint_id } => self.expire(checkpoint_id, now_ms),
                CheckpointTimer::Trigger { round } if round == self.periodic.round => {
                    self.periodic_trigger(now_ms);
                }
                CheckpointTimer::Trigger { .. } => {}
            }
        }
        self.run_queue(now_ms);
        self.take_commands()
    }

    /// A user asks for a snapshot. Answered by [`CheckpointCommand::CompleteRequest`].
    pub fn on_request(
        &mut self,
        answer: RequestId,
        request: SnapshotRequest,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        let terminates = request.checkpoint_type().is_synchronous();
        let queued = QueuedRequest { request, answer: Some(answer) };
        if self.shut_down.is_some() {
            self.refuse(&queued, CheckpointFailureReason::CheckpointCoordinatorShutdown.into());
        } else if self.stopping {
            let detail = "a savepoint that stops the job is under way";
            let reason = CheckpointFailureReason::CheckpointCoordinatorSuspend;
            self.refuse(&queued, CheckpointException::new(reason, detail));
        } else {
            if terminates {
                self.prepare_to_stop(now_ms);
            }
            if let Err(queued) = self.queue.push(queued) {
                let reason = CheckpointFailureReason::TooManyCheckpointRequests;
                self.request_failed(&queued, reason.into(), now_ms);
            }
            self.run_queue(now_ms);
        }
        self.take_commands()
    }

    /// A user takes a request back. A checkpoint that is being written completes all the same.
    pub fn on_request_cancelled(
        &mut self,
        answer: RequestId,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        let cause = CheckpointException::from(CheckpointFailureReason::RequestCancelled);
        if let Some(queued) = self.queue.remove(answer) {
            self.request_failed(&queued, cause.clone(), now_ms);
        }
        let asked =
            self.pending_ids(|p| p.answer == Some(answer) && p.phase != PendingPhase::Writing);
        self.abort_all(asked, &cause, now_ms);
        self.run_queue(now_ms);
        self.take_commands()
    }

    /// A source has begun or ended to process backlog.
    pub fn on_backlog(
        &mut self,
        operator: OperatorId,
        backlog: bool,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        if backlog {
            self.backlog.insert(operator);
        } else {
            self.backlog.remove(&operator);
        }
        if let (true, Some(interval)) = (self.is_periodic(), self.interval()) {
            let in_an_interval = now_ms.saturating_add_unsigned(interval);
            if self.periodic.next_ms.is_none_or(|next| in_an_interval < next) {
                let command = self.periodic.schedule(now_ms, interval);
                self.commands.push(command);
            }
        }
        self.take_commands()
    }

    /// Numbers below this are this JobMaster's.
    pub fn on_ids_reserved(&mut self, limit: CheckpointId, now_ms: i64) -> Vec<CheckpointCommand> {
        self.id_limit = self.id_limit.max(Some(limit));
        self.reserving = None;
        self.run_queue(now_ms);
        self.take_commands()
    }

    /// A coordinator has taken its snapshot, or has failed to.
    pub fn on_coordinator_snapshot(
        &mut self,
        checkpoint_id: CheckpointId,
        operator: OperatorId,
        state: Result<Vec<u8>, String>,
        now_ms: i64,
    ) -> Vec<CheckpointCommand> {
        let Some(pending) = self.pending.get_mut(&checkpoint_id) else { return Vec::new() };
        match state {
            Ok(state) => {
                let result = pending.acknowledge_coordinator(operator, state);
                if result == TaskAcknowledgeResult::Success {
                    self.begin_tasks(checkpoint_id, now_ms);
                }
            }
            Err(error) if pending.awaited_coordinators().contains(&operator) => {
                let detail = format!("coordinator of operator {operator}: {error}");
                let reason = CheckpointFailureReason::TriggerCheckpointFailure;
                let cause = CheckpointException::new(reason, detail);
                self.abort(checkpoint_id, &cause, None, now_ms);
            }
            Err(_) => {}
        }
        self.run_queue(now_ms);
        self.take_commands()
    }

    fn interval(&self) -> Option<u64> {
        self.periodic.interval(!self.backlog.is_empty())
    }

    fn is_periodic(&self) -> bool {
        self.shut_down.is_none() && !self.stopping && self.tasks.all_started()
    }

    /// Starts or stops the schedule after anything it depends on has changed.
    pub(super) fn refresh_periodic(&mut self, now_ms: i64) {
        if !self.is_periodic() {
            self.periodic.stop();
        } else if let (None, Some(interval)) = (self.periodic.next_ms, self.interval()) {
            let delay = self.periodic.first_delay(interval);
            let command = self.periodic.schedule(now_ms, delay);
            self.commands.push(command);
        }
    }

    fn periodic_trigger(&mut self, now_ms: i64) {
        match (self.interval(), self.periodic.next_ms) {
            (Some(interval), Some(due)) => {
                let next = due.saturating_add_unsigned(interval);
                let delay = u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0);
                let command = self.periodic.schedule(now_ms, delay);
                self.commands.push(command);
            }
            _ => return self.periodic.stop(),
        }
        if self.queue.push(QueuedRequest::periodic()).is_err() {
            self.stats.on_refused();
        }
    }

    /// Nothing else is taken besides a savepoint that stops the job.
    fn prepare_to_stop(&mut self, now_ms: i64) {
        let reason = CheckpointFailureReason::CheckpointCoordinatorSuspend;
        let all = self.pending_ids(|p| p.phase != PendingPhase::Writing);
        self.abort_all(all, &reason.into(), now_ms);
        self.refuse_all(reason);
        self.stopping = true;
        self.periodic.stop();
    }

    /// Begins whatever may begin now.
    pub(super) fn run_queue(&mut self, now_ms: i64) {
        while let Some(first) = self.queue.first() {
            let triggering = self.pending.values().any(|p| p.phase == PendingPhase::Coordinators);
            if triggering || self.pending.len() >= self.config.max_concurrent {
                return;
            }
            if first.is_periodic() && self.pause_if_too_early(now_ms) {
                continue;
            }
            if self.id_limit.is_some_and(|limit| self.next_id >= limit) {
                let limit = CheckpointId(self.next_id.0 + RESERVED_IDS);
                if self.reserving != Some(limit) {
                    self.reserving = Some(limit);
                    self.commands.push(CheckpointCommand::ReserveIds(limit));
                }
                return;
            }
            if let Some(request) = self.queue.pop() {
                self.begin(request, now_ms);
            }
        }
    }

    /// Drops the periodic request that is first if the pause is not over.
    fn pause_if_too_early(&mut self, now_ms: i64) -> bool {
        let Some(last) = self.last_completion_ms else { return false };
        let earliest = last.saturating_add_unsigned(self.periodic.min_pause_ms);
        if earliest <= now_ms {
            return false;
        }
        self.queue.pop();
        let command = self.periodic.schedule(now_ms, earliest.abs_diff(now_ms));
        self.commands.push(command);
        true
    }

    fn begin(&mut self, queued: QueuedRequest, now_ms: i64) {
        let plan = calculate_plan(&self.topology, &self.tasks, self.config.after_tasks_finish);
        let plan = match plan {
            Ok(plan) => plan,
            Err(cause) => return self.request_failed(&queued, cause, now_ms),
        };
        let id = self.next_id;
        self.next_id.0 += 1;
        let mut checkpoint_type = queued.request.checkpoint_type();
        let unclaimed = self.completed.latest().is_some_and(|latest| !latest.owned);
        if unclaimed && checkpoint_type == CheckpointType::Checkpoint {
            checkpoint_type = CheckpointType::FullCheckpoint;
        }
        self.stats.on_triggered(id, checkpoint_type, plan.to_wait_for.len(), now_ms);
        let tasks = &self.tasks;
        let mut pending = PendingCheckpoint::new(
            (id, checkpoint_type),
            plan,
            |subtask| tasks.attempt(subtask),
            &self.topology,
            now_ms,
        );
        pending.target = queued.request.target();
        pending.answer = queued.answer;
        pending.may_name_files_from = self.completed.lowest();
        let timeout = CheckpointTimer::Timeout { checkpoint_id: id };
        self.commands.push(CheckpointCommand::SetTimer(timeout, self.config.timeout_ms));
        for operator in pending.awaited_coordinators() {
            let operator = *operator;
            self.commands
                .push(CheckpointCommand::SnapshotCoordinator { checkpoint_id: id, operator });
        }
        self.pending.insert(id, pending);
        self.begin_tasks(id, now_ms);
    }

    /// Goes on to the tasks if no coordinator is awaited.
    fn begin_tasks(&mut self, id: CheckpointId, now_ms: i64) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if pending.phase == PendingPhase::Coordinators && pending.awaited_coordinators().is_empty()
        {
            pending.phase = PendingPhase::Tasks;
            self.trigger_tasks(id);
            self.write_next(now_ms);
        }
    }

    /// Triggers all tasks that take part.
    fn trigger_tasks(&mut self, id: CheckpointId) {
        let Some(pending) = self.pending.get(&id) else { return };
        let options = CheckpointOptions {
            checkpoint_type: pending.checkpoint_type,
            alignment: self.config.alignment_of(pending.checkpoint_type),
            target: pending.target.clone(),
        };
        for attempt in pending.participants().filter(|attempt| pending.awaits(*attempt)) {
            self.commands.push(CheckpointCommand::TriggerTask {
                attempt,
                checkpoint_id: id,
                timestamp_ms: pending.timestamp_ms,
                options: options.clone(),
            });
        }
    }

    /// A request has failed before it became a checkpoint.
    fn request_failed(&mut self, queued: &QueuedRequest, cause: CheckpointException, now_ms: i64) {
        self.stats.on_refused();
        let checkpoint_type = queued.request.checkpoint_type();
        if let Some(cause) = self.failures.on_failure(None, checkpoint_type, &cause, None) {
            self.commands.push(CheckpointCommand::FailJob { cause, task: None });
        }
        self.refuse(queued, cause);
        if checkpoint_type.is_synchronous() {
            self.stopping = false;
            self.refresh_periodic(now_ms);
        }
    }

    fn refuse(&mut self, queued: &QueuedRequest, cause: CheckpointException) {
        if let Some(request) = queued.answer {
            self.commands.push(CheckpointCommand::CompleteRequest { request, result: Err(cause) });
        }
    }

    pub(super) fn refuse_all(&mut self, reason: CheckpointFailureReason) {
        for queued in self.queue.drain() {
            self.refuse(&queued, reason.into());
        }
    }
}
