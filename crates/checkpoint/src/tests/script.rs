//! A small language for the coordinator's tests: one event per line, its commands below it.
//!
//! The job is `src` (two subtasks, one coordinator if `coordinator` is set), all to all to `map`
//! (two subtasks). Lines:
//!
//! ```text
//! @10                        the time
//! run                        every subtask runs in its current attempt
//! running|finish|fail src/0  a subtask enters a state; `rerun src/0`: in a new attempt
//! restart                    a failover begins
//! tick                       the periodic timer that was set last fires
//! timeout 1                  the timeout of checkpoint 1 fires
//! ack 1 src/0 e:f s:g s1:h   acknowledges with an exclusive file, a shared one, one of checkpoint 1;
//!                            d:f+g is a base with a delta, u:f is a union list, p:f a partial one,
//!                            `ending` says that the operators have finished
//! acks 1                     all who are awaited acknowledge without files
//! decline 1 src/0            declines
//! coord 1 ok|fail            the coordinator answers
//! written 1 | unwritten 1    the metadata was written or not
//! ask 7 checkpoint|full|savepoint|native|suspend|drain      a user's request
//! cancel 7                   takes it back
//! shutdown CANCELED          the end
//! start 7 claim|noclaim s7:f the job starts from snapshot 7 with these files
//! damaged 1                  a restore found checkpoint 1 damaged
//! point | stats              what would be restored; counters
//! ```

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use expect_test::Expect;
use hurtig_cluster_api::{ExecutionState, JobStatus};
use hurtig_graph::{DistributionPattern, ShipStrategy};
use hurtig_types::{
    CheckpointConfig, CheckpointException, CheckpointFailureReason, CheckpointId,
    CheckpointMetrics, CheckpointType, ExecutionAttemptId, JobId, JobVertexId, KeyGroupRange,
    KeyedStateHandle, OperatorId, OperatorStateHandle, OperatorSubtaskState, RecoveryClaimMode,
    SavepointFormat, SnapshotProgress, StateFile, StateLocation, StateScope, TaskStateSnapshot,
    TerminateKind,
    snapshot::{PartitionedState, RedistributionMode},
};

use crate::{
    CheckpointCommand, CheckpointCoordinator, CheckpointMetadata, CheckpointTimer, RequestId,
    RestorePoint, SnapshotRequest, Topology,
    coordinator::DiscardedPending,
    pending::PendingCheckpoint,
    plan::CheckpointPlan,
    topology::{InputInfo, OperatorInfo, SubtaskRef, VertexInfo},
};

pub(super) const NAMES: [&str; 2] = ["src", "map"];

pub(super) fn vertex(position: usize, parallelism: u32, coordinator: bool) -> VertexInfo {
    let id = position as u128 + 1;
    VertexInfo {
        id: JobVertexId(id),
        name: NAMES[position].to_owned(),
        parallelism,
        max_parallelism: 8,
        max_parallelism_derived: false,
        operators: vec![OperatorInfo {
            id: OperatorId(id),
            name: NAMES[position].to_owned(),
            uid: None,
            has_coordinator: coordinator,
            declared: Vec::new(),
        }],
        inputs: Vec::new(),
    }
}

pub(super) fn topology(coordinator: bool) -> Topology {
    let mut map = vertex(1, 2, false);
    map.inputs.push(InputInfo {
        producer: 0,
        producer_output: 0,
        ship: ShipStrategy::KeyGroup,
        pattern: DistributionPattern::AllToAll,
    });
    Topology { job: JobId(1), vertices: vec![vertex(0, 2, coordinator), map] }
}

pub(super) fn file(scope: StateScope, name: &str) -> StateFile {
    let location = StateLocation::Absolute(name.into());
    StateFile { location, scope, length: 10, checksum: 0 }
}

pub(super) fn periodic() -> CheckpointConfig {
    CheckpointConfig { interval_ms: Some(100), min_pause_ms: 100, ..CheckpointConfig::default() }
}

pub(super) struct Script {
    pub coordinator: CheckpointCoordinator,
    now_ms: i64,
    timer: Option<CheckpointTimer>,
    written: BTreeMap<CheckpointId, Arc<CheckpointMetadata>>,
    attempts: BTreeMap<SubtaskRef, u32>,
    output: String,
}

/// Runs a script and compares what comes of it.
pub(super) fn check(config: CheckpointConfig, has_coordinator: bool, script: &str, expect: Expect) {
    let topology = topology(has_coordinator);
    let coordinator = CheckpointCoordinator::new(config, topology, 0);
    let mut run = Script {
        coordinator,
        now_ms: 0,
        timer: None,
        written: BTreeMap::new(),
        attempts: BTreeMap::new(),
        output: String::new(),
    };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        run.line(line);
    }
    expect.assert_eq(&run.output);
}

pub(super) fn task_of(word: &str) -> SubtaskRef {
    let (name, index) = word.split_once('/').expect("a subtask");
    let vertex = NAMES.iter().position(|known| *known == name).expect("a vertex");
    SubtaskRef { vertex, subtask: index.parse().expect("an index") }
}

fn number(word: &str) -> CheckpointId {
    CheckpointId(word.parse().expect("a checkpoint"))
}

impl Script {
    fn attempt(&self, subtask: SubtaskRef) -> ExecutionAttemptId {
        ExecutionAttemptId {
            job: JobId(1),
            vertex: JobVertexId(subtask.vertex as u128 + 1),
            subtask: subtask.subtask,
            attempt: self.attempts.get(&subtask).copied().unwrap_or(0),
        }
    }

    fn enter(&mut self, word: &str, state: ExecutionState) -> Vec<CheckpointCommand> {
        let attempt = self.attempt(task_of(word));
        self.coordinator.on_task_state(attempt, state, self.now_ms)
    }

    fn line(&mut self, line: &str) {
        writeln!(self.output, "{line}").expect("memory");
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = self.now_ms;
        let commands = match *words.as_slice() {
            ["run"] => {
                let subtasks: Vec<SubtaskRef> = self.coordinator.topology().subtasks().collect();
                let states = subtasks.into_iter().map(|s| self.attempt(s));
                let attempts: Vec<ExecutionAttemptId> = states.collect();
                let run = |a| self.coordinator.on_task_state(a, ExecutionState::Running, now);
                attempts.into_iter().flat_map(run).collect()
            }
            ["running", task] => self.enter(task, ExecutionState::Running),
            ["finish", task] => self.enter(task, ExecutionState::Finished),
            ["fail", task] => self.enter(task, ExecutionState::Failed),
            ["rerun", task] => {
                *self.attempts.entry(task_of(task)).or_default() += 1;
                self.enter(task, ExecutionState::Running)
            }
            ["restart"] => self.coordinator.on_restarting(now),
            ["tick"] => {
                let timer = self.timer.take().expect("a timer was set");
                self.coordinator.on_timer(timer, now)
            }
            ["timeout", id] => {
                let timer = CheckpointTimer::Timeout { checkpoint_id: number(id) };
                self.coordinator.on_timer(timer, now)
            }
            ["acks", id] => self.acknowledge_all(number(id)),
            ["ack", id, task, ref files @ ..] => {
                let attempt = self.attempt(task_of(task));
                self.acknowledge(number(id), attempt, files)
            }
            ["oldack", id, task, ref files @ ..] => {
                let attempt = ExecutionAttemptId { attempt: 0, ..self.attempt(task_of(task)) };
                self.acknowledge(number(id), attempt, files)
            }
            ["decline", id, task] => {
                let attempt = self.attempt(task_of(task));
                let cause = CheckpointFailureReason::CheckpointDeclined.into();
                self.coordinator.on_decline(attempt, number(id), &cause, now)
            }
            ["coord", id, answer] => {
                let state = if answer == "ok" { Ok(vec![1]) } else { Err("boom".to_owned()) };
                self.coordinator.on_coordinator_snapshot(number(id), OperatorId(1), state, now)
            }
            ["written", id] => {
                let metadata = self.written[&number(id)].clone();
                self.coordinator.on_metadata_written(metadata, format!("dir-{id}").into(), now)
            }
            ["unwritten", id] => self.coordinator.on_metadata_failed(number(id), "disk full", now),
            ["ask", request, what] => {
                let request = RequestId(request.parse().expect("a request"));
                self.coordinator.on_request(request, asked(what), now)
            }
            ["cancel", request] => {
                let request = RequestId(request.parse().expect("a request"));
                self.coordinator.on_request_cancelled(request, now)
            }
            ["backlog", answer] => self.coordinator.on_backlog(OperatorId(1), answer == "on", now),
            ["shutdown", status] => self.coordinator.shut_down(status_of(status), now),
            ["start", id, mode, ref files @ ..] => {
                let mode = match mode {
                    "claim" => RecoveryClaimMode::Claim,
                    _ => RecoveryClaimMode::NoClaim,
                };
                let metadata = Arc::new(metadata_with(number(id), files));
                self.coordinator.start_from(metadata, "old".into(), mode)
            }
            ["damaged", id] => {
                let verdict = self.coordinator.on_damaged(number(id));
                return writeln!(self.output, "  {verdict:?}").expect("memory");
            }
            ["point"] => return self.restore_point(),
            ["stats"] => return self.stats(),
            [time] if time.starts_with('@') => {
                self.now_ms = time[1..].parse().expect("a time");
                return;
            }
            _ => panic!("unknown line {line:?}"),
        };
        self.print(commands);
    }

    fn acknowledge_all(&mut self, id: CheckpointId) -> Vec<CheckpointCommand> {
        let pending = self.coordinator.pending().find(|p| p.id == id).expect("it is pending");
        let attempts: Vec<_> = pending.participants().filter(|a| pending.awaits(*a)).collect();
        attempts.into_iter().flat_map(|attempt| self.acknowledge(id, attempt, &[])).collect()
    }

    fn acknowledge(
        &mut self,
        id: CheckpointId,
        attempt: ExecutionAttemptId,
        files: &[&str],
    ) -> Vec<CheckpointCommand> {
        let snapshot = snapshot(id, attempt, files);
        let metrics = CheckpointMetrics { checkpointed_bytes: 10, ..Default::default() };
        let (outcome, commands) =
            self.coordinator.on_acknowledge(attempt, id, snapshot, metrics, self.now_ms);
        if outcome != crate::AcknowledgeOutcome::Success {
            writeln!(self.output, "  {outcome:?}").expect("memory");
        }
        commands
    }

    fn restore_point(&mut self) {
        match self.coordinator.restore_point() {
            RestorePoint::Wait => self.output.push_str("  wait\n"),
            RestorePoint::Nothing => self.output.push_str("  nothing\n"),
            RestorePoint::From(c) => writeln!(self.output, "  from {}", c.id()).expect("memory"),
        }
    }

    fn stats(&mut self) {
        let counts = self.coordinator.stats().counts;
        writeln!(self.output, "  {counts:?}").expect("memory");
        for checkpoint in self.coordinator.stats().history() {
            writeln!(
                self.output,
                "  {} {} {:?}: {}/{} in {} ms, {} bytes{}{}",
                checkpoint.checkpoint_type,
                checkpoint.id,
                checkpoint.status,
                checkpoint.num_acknowledged(),
                checkpoint.num_subtasks,
                checkpoint.duration_ms(),
                checkpoint.totals.checkpointed_bytes,
                if checkpoint.discarded { ", discarded" } else { "" },
                checkpoint.failure.as_ref().map(|e| format!(", {e}")).unwrap_or_default(),
            )
            .expect("memory");
        }
    }

    fn print(&mut self, commands: Vec<CheckpointCommand>) {
        for command in commands {
            if let CheckpointCommand::SetTimer(timer @ CheckpointTimer::Trigger { .. }, _) = command
            {
                self.timer = Some(timer);
            }
            if let CheckpointCommand::WriteMetadata { metadata, .. } = &command {
                self.written.insert(metadata.checkpoint_id, metadata.clone());
            }
            // Each checkpoint has its timeout; only the scripts on timeouts care.
            if !matches!(command, CheckpointCommand::SetTimer(CheckpointTimer::Timeout { .. }, _)) {
                writeln!(self.output, "  {}", describe(&command)).expect("memory");
            }
        }
    }
}

fn asked(what: &str) -> SnapshotRequest {
    let in_format = |format, terminate| SnapshotRequest::Savepoint {
        format,
        terminate,
        directory: "sp".into(),
    };
    let savepoint = |terminate| in_format(SavepointFormat::Canonical, terminate);
    match what {
        "checkpoint" => SnapshotRequest::Checkpoint { full: false },
        "full" => SnapshotRequest::Checkpoint { full: true },
        "savepoint" => savepoint(None),
        "native" => in_format(SavepointFormat::Native, None),
        "suspend" => savepoint(Some(TerminateKind::Suspend)),
        "drain" => savepoint(Some(TerminateKind::Drain)),
        _ => panic!("unknown request {what:?}"),
    }
}

fn status_of(word: &str) -> JobStatus {
    match word {
        "FINISHED" => JobStatus::Finished,
        "FAILED" => JobStatus::Failed,
        "CANCELED" => JobStatus::Canceled,
        "SUSPENDED" => JobStatus::Suspended,
        _ => panic!("unknown status {word:?}"),
    }
}

/// The metadata of a savepoint of another job.
fn metadata_with(id: CheckpointId, files: &[&str]) -> CheckpointMetadata {
    let topology = topology(false);
    let attempt = |subtask: SubtaskRef| ExecutionAttemptId {
        job: topology.job,
        vertex: topology.vertices[subtask.vertex].id,
        subtask: subtask.subtask,
        attempt: 0,
    };
    let to_wait_for = [task_of("map/0")].into();
    let plan = CheckpointPlan { to_wait_for, finished: Default::default() };
    let kind = CheckpointType::Checkpoint;
    let mut pending = PendingCheckpoint::new((id, kind), plan, attempt, &topology, 0);
    let attempt = attempt(task_of("map/0"));
    pending.acknowledge_task(attempt, snapshot(id, attempt, files));
    pending.finalize(&topology).expect("nothing has finished")
}

/// A snapshot with files as the scripts name them.
pub(super) fn snapshot(
    id: CheckpointId,
    attempt: ExecutionAttemptId,
    words: &[&str],
) -> TaskStateSnapshot {
    let mut state = OperatorSubtaskState::default();
    let mut progress = SnapshotProgress::Running;
    let key_groups = KeyGroupRange::of_subtask(attempt.subtask, 2, 8);
    for word in words {
        let (kind, name) = word.split_once(':').unwrap_or((word, ""));
        let scope = match kind {
            "ending" => {
                progress = SnapshotProgress::OperatorsFinished;
                continue;
            }
            "restored" => {
                progress = SnapshotProgress::FinishedOnRestore;
                continue;
            }
            "e" | "u" | "p" | "d" => StateScope::Exclusive,
            "s" => StateScope::Shared { created_by: id },
            older => StateScope::Shared { created_by: number(&older[1..]) },
        };
        let file = file(scope, name);
        if kind == "u" || kind == "p" {
            let partial = kind == "p";
            let mode =
                if partial { RedistributionMode::PartialUnion } else { RedistributionMode::Union };
            let name = kind.to_owned();
            let states = vec![PartitionedState { name, mode, partitions: Vec::new() }];
            state.operator.push(OperatorStateHandle { file, states });
        } else if kind == "d" {
            let chain = name.split('+').map(|name| self::file(scope, name)).collect();
            state.keyed.push(KeyedStateHandle { key_groups, chain });
        } else {
            state.keyed.push(KeyedStateHandle { key_groups, chain: vec![file] });
        }
    }
    let operators = [(OperatorId(attempt.vertex.0), state)].into();
    TaskStateSnapshot { progress, operators }
}

fn tasks(attempts: &[ExecutionAttemptId]) -> String {
    let name = |a: &ExecutionAttemptId| {
        let name = NAMES[a.vertex.0 as usize - 1];
        if a.attempt == 0 {
            format!("{name}/{}", a.subtask)
        } else {
            format!("{name}/{}#{}", a.subtask, a.attempt)
        }
    };
    attempts.iter().map(name).collect::<Vec<_>>().join(" ")
}

fn answer(result: &Result<crate::CompletedCheckpoint, CheckpointException>) -> String {
    match result {
        Ok(completed) => format!("{} in {}", completed.id(), completed.external_pointer),
        Err(error) => error.to_string(),
    }
}

fn describe(command: &CheckpointCommand) -> String {
    match command {
        CheckpointCommand::SetTimer(CheckpointTimer::Trigger { .. }, delay) => {
            format!("tick in {delay}")
        }
        CheckpointCommand::SetTimer(CheckpointTimer::Timeout { checkpoint_id }, delay) => {
            format!("timeout {checkpoint_id} in {delay}")
        }
        CheckpointCommand::SnapshotCoordinator { checkpoint_id, operator } => {
            format!("snapshot {checkpoint_id} of coordinator {}", NAMES[operator.0 as usize - 1])
        }
        CheckpointCommand::TriggerTask { attempt, checkpoint_id, options, .. } => {
            let (kind, alignment) = (options.checkpoint_type, options.alignment);
            format!("trigger {checkpoint_id} {} ({kind}, {alignment:?})", tasks(&[*attempt]))
        }
        CheckpointCommand::WriteMetadata { metadata, target } => {
            let finished = metadata.operators.values().filter(|o| o.fully_finished);
            let finished: Vec<&str> = finished.map(|o| &*o.name).collect();
            let part = metadata.operators.values().filter(|o| !o.finished_subtasks.is_empty());
            let part: Vec<&str> = part.map(|o| &*o.name).collect();
            let mut text = format!("write {}", metadata.checkpoint_id);
            if let Some(target) = target {
                text += &format!(" to {target}");
            }
            if !finished.is_empty() {
                text += &format!(", finished {finished:?}");
            }
            if !part.is_empty() {
                text += &format!(", finished in part {part:?}");
            }
            text
        }
        CheckpointCommand::NotifyComplete { checkpoint_id, tasks: attempts, .. } => {
            format!("complete {checkpoint_id} -> {}", tasks(attempts))
        }
        CheckpointCommand::NotifyAborted { checkpoint_id, tasks: attempts, .. } => {
            format!("aborted {checkpoint_id} -> {}", tasks(attempts))
        }
        CheckpointCommand::DiscardCheckpoint(d) => {
            format!("discard {} {:?}", d.external_pointer, d.files)
        }
        CheckpointCommand::DiscardPending(DiscardedPending { checkpoint_id, target, files }) => {
            let target = target.as_ref().map(|t| format!(" in {t}")).unwrap_or_default();
            format!("discard pending {checkpoint_id}{target} {files:?}")
        }
        CheckpointCommand::DiscardState(files) => format!("discard {files:?}"),
        CheckpointCommand::FailJob { cause, .. } => format!("fail job: {cause}"),
        CheckpointCommand::CompleteRequest { request, result } => {
            format!("answer {}: {}", request.0, answer(result))
        }
        CheckpointCommand::ReserveIds(below) => format!("reserve ids below {below}"),
        CheckpointCommand::ShutDown => "shut down".to_owned(),
    }
}
