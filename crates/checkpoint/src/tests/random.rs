//! The coordinator under random events: what must hold whatever happens.
//!
//! - Never more checkpoints under way than allowed.
//! - Every triggered checkpoint ends once; every request is answered once.
//! - No file is deleted that a retained checkpoint or a completed savepoint names.
//! - When the job has finished, every file that was ever acknowledged is deleted, but those of
//!   completed savepoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hurtig_cluster_api::{ExecutionState, JobStatus};
use hurtig_types::{
    CheckpointConfig, CheckpointFailureReason, CheckpointId, CheckpointMetrics, CheckpointType,
    ExecutionAttemptId, OperatorId, SavepointFormat, StateScope, TerminateKind,
};
use proptest::prelude::*;

use super::script::{file, snapshot, topology};
use crate::{
    AcknowledgeOutcome, CheckpointCommand, CheckpointCoordinator, CheckpointMetadata,
    CheckpointTimer, RequestId, RestorePoint, SnapshotRequest, pending::PendingPhase,
    topology::SubtaskRef,
};

#[derive(Clone, Debug)]
enum Event {
    Advance(u8),
    Tick,
    Timeout(u8),
    Acknowledge {
        checkpoint: u8,
        task: u8,
        compact: bool,
    },
    AcknowledgeAll(bool),
    Repeat(u8),
    Stranger(u8),
    Decline(u8),
    Coordinator(bool),
    Written(bool),
    Request(u8),
    Cancel(u8),
    Restart(u8),
    Finish(u8),
    /// From now on notifications of completion are lost on the way to `map`, or come again.
    LoseNotifications(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<u8>().prop_map(Event::Advance),
        8 => Just(Event::Tick),
        1 => any::<u8>().prop_map(Event::Timeout),
        12 => (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(checkpoint, task, compact)| {
            Event::Acknowledge { checkpoint, task, compact }
        }),
        6 => any::<bool>().prop_map(Event::AcknowledgeAll),
        2 => any::<u8>().prop_map(Event::Repeat),
        1 => any::<u8>().prop_map(Event::Stranger),
        1 => any::<u8>().prop_map(Event::Decline),
        8 => prop::bool::weighted(0.95).prop_map(Event::Coordinator),
        8 => prop::bool::weighted(0.95).prop_map(Event::Written),
        3 => any::<u8>().prop_map(Event::Request),
        1 => any::<u8>().prop_map(Event::Cancel),
        1 => any::<u8>().prop_map(Event::Restart),
        1 => any::<u8>().prop_map(Event::Finish),
        1 => any::<bool>().prop_map(Event::LoseNotifications),
    ]
}

/// The world around the coordinator.
struct World {
    coordinator: CheckpointCoordinator,
    max_concurrent: usize,
    now_ms: i64,
    timer: Option<CheckpointTimer>,
    attempts: BTreeMap<SubtaskRef, u32>,
    /// The shared files that each subtask knows to be part of a completed checkpoint.
    chains: BTreeMap<SubtaskRef, Vec<(Arc<str>, CheckpointId)>>,
    /// The shared files that each subtask named in each checkpoint.
    named: BTreeMap<(CheckpointId, SubtaskRef), Vec<(Arc<str>, CheckpointId)>>,
    sent: Vec<(ExecutionAttemptId, CheckpointId, Vec<String>)>,
    writing: Option<Arc<CheckpointMetadata>>,
    seen: BTreeSet<CheckpointId>,
    ended: BTreeMap<CheckpointId, u32>,
    asked: u64,
    answered: BTreeMap<u64, u32>,
    created: BTreeSet<Arc<str>>,
    deleted: BTreeSet<Arc<str>>,
    savepoint_files: BTreeSet<Arc<str>>,
    has_shut_down: bool,
    lose_notifications: bool,
}

impl World {
    fn new(retained: usize, max_concurrent: usize, has_coordinator: bool) -> Self {
        let config = CheckpointConfig {
            interval_ms: Some(50),
            min_pause_ms: 10,
            retained,
            max_concurrent,
            tolerable_failed: None,
            ..CheckpointConfig::default()
        };
        let topology = topology(has_coordinator);
        let mut world = World {
            coordinator: CheckpointCoordinator::new(config, topology, 7),
            max_concurrent,
            now_ms: 0,
            timer: None,
            attempts: BTreeMap::new(),
            chains: BTreeMap::new(),
            named: BTreeMap::new(),
            sent: Vec::new(),
            writing: None,
            seen: BTreeSet::new(),
            ended: BTreeMap::new(),
            asked: 0,
            answered: BTreeMap::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            savepoint_files: BTreeSet::new(),
            has_shut_down: false,
            lose_notifications: false,
        };
        let subtasks: Vec<SubtaskRef> = world.coordinator.topology().subtasks().collect();
        for subtask in subtasks {
            world.enter(subtask, ExecutionState::Running);
        }
        world
    }

    fn attempt(&self, subtask: SubtaskRef) -> ExecutionAttemptId {
        let topology = self.coordinator.topology();
        ExecutionAttemptId {
            job: topology.job,
            vertex: topology.vertices[subtask.vertex].id,
            subtask: subtask.subtask,
            attempt: self.attempts.get(&subtask).copied().unwrap_or(0),
        }
    }

    fn subtask_of(attempt: ExecutionAttemptId) -> SubtaskRef {
        SubtaskRef { vertex: attempt.vertex.0 as usize - 1, subtask: attempt.subtask }
    }

    fn enter(&mut self, subtask: SubtaskRef, state: ExecutionState) {
        let attempt = self.attempt(subtask);
        let commands = self.coordinator.on_task_state(attempt, state, self.now_ms);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<CheckpointCommand>) {
        for command in commands {
            match command {
                CheckpointCommand::SetTimer(timer @ CheckpointTimer::Trigger { .. }, _) => {
                    self.timer = Some(timer);
                }
                CheckpointCommand::WriteMetadata { metadata, .. } => {
                    assert!(self.writing.is_none(), "one write at a time");
                    self.writing = Some(metadata);
                }
                CheckpointCommand::NotifyComplete { checkpoint_id, tasks, .. } => {
                    for attempt in tasks {
                        let subtask = Self::subtask_of(attempt);
                        if self.lose_notifications && subtask.vertex == 1 {
                            continue;
                        }
                        let named = self.named.get(&(checkpoint_id, subtask));
                        if let (true, Some(named)) = (attempt == self.attempt(subtask), named) {
                            self.chains.insert(subtask, named.clone());
                        }
                    }
                }
                CheckpointCommand::NotifyAborted { checkpoint_id, .. } => {
                    *self.ended.entry(checkpoint_id).or_default() += 1;
                }
                CheckpointCommand::DiscardCheckpoint(discarded) => {
                    self.deleted.extend(discarded.files)
                }
                CheckpointCommand::DiscardPending(discarded) => {
                    self.deleted.extend(discarded.files)
                }
                CheckpointCommand::DiscardState(files) => self.deleted.extend(files),
                CheckpointCommand::CompleteRequest { request, result } => {
                    *self.answered.entry(request.0).or_default() += 1;
                    if let Ok(completed) = result
                        && completed.metadata.checkpoint_type.is_savepoint()
                    {
                        let files = completed.metadata.files().filter_map(|f| f.url().cloned());
                        self.savepoint_files.extend(files);
                    }
                }
                CheckpointCommand::ShutDown => self.has_shut_down = true,
                _ => {}
            }
        }
        self.check();
    }

    fn check(&mut self) {
        self.seen.extend(self.coordinator.pending().map(|p| p.id));
        assert!(self.coordinator.pending().count() <= self.max_concurrent);
        for checkpoint in self.coordinator.completed().iter() {
            for file in checkpoint.metadata.files() {
                let url = file.url().expect("a file");
                assert!(!self.deleted.contains(url), "{url} of {} is needed", checkpoint.id());
            }
        }
        assert!(self.savepoint_files.is_disjoint(&self.deleted));
    }

    fn acknowledge(&mut self, attempt: ExecutionAttemptId, id: CheckpointId, compact: bool) {
        let subtask = Self::subtask_of(attempt);
        let pending = self.coordinator.pending().find(|p| p.id == id);
        let Some(kind) = pending.map(|p| p.checkpoint_type) else { return };
        let unique = format!("{id}-{attempt}");
        let mut words = vec![format!("e:x{unique}")];
        if !kind.is_savepoint() {
            let mut chain = Vec::new();
            if kind == CheckpointType::Checkpoint && !compact {
                chain = self.chains.get(&subtask).cloned().unwrap_or_default();
            }
            words.extend(chain.iter().map(|(url, by)| format!("s{by}:{url}")));
            words.push(format!("s:d{unique}"));
            chain.push((format!("d{unique}").into(), id));
            self.named.insert((id, subtask), chain);
        }
        self.send(attempt, id, words);
    }

    fn send(&mut self, attempt: ExecutionAttemptId, id: CheckpointId, words: Vec<String>) {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let snapshot = snapshot(id, attempt, &texts);
        self.created.extend(snapshot.files().filter_map(|file| file.url().cloned()));
        let metrics = CheckpointMetrics::default();
        let (outcome, commands) =
            self.coordinator.on_acknowledge(attempt, id, snapshot, metrics, self.now_ms);
        if outcome != AcknowledgeOutcome::Rejected {
            self.sent.push((attempt, id, words));
        }
        self.carry_out(commands);
    }

    fn restart(&mut self, choice: u8) {
        let subtasks: Vec<SubtaskRef> = self.coordinator.topology().subtasks().collect();
        let failed = subtasks[choice as usize % subtasks.len()];
        self.enter(failed, ExecutionState::Failed);
        let commands = self.coordinator.on_restarting(self.now_ms);
        self.carry_out(commands);
        while matches!(self.coordinator.restore_point(), RestorePoint::Wait) {
            self.written(true);
        }
        let latest = match self.coordinator.restore_point() {
            RestorePoint::From(latest) => Some(latest.id()),
            _ => None,
        };
        self.chains.clear();
        for subtask in subtasks {
            *self.attempts.entry(subtask).or_default() += 1;
            if let Some(named) = latest.and_then(|id| self.named.get(&(id, subtask))) {
                self.chains.insert(subtask, named.clone());
            }
            self.enter(subtask, ExecutionState::Running);
        }
    }

    fn written(&mut self, success: bool) {
        let Some(metadata) = self.writing.take() else { return };
        let id = metadata.checkpoint_id;
        let commands = if success {
            *self.ended.entry(id).or_default() += 1;
            self.coordinator.on_metadata_written(metadata, "dir".into(), self.now_ms)
        } else {
            self.coordinator.on_metadata_failed(id, "disk full", self.now_ms)
        };
        self.carry_out(commands);
    }

    fn request(&mut self, choice: u8) {
        let savepoint = |terminate| SnapshotRequest::Savepoint {
            format: SavepointFormat::Native,
            terminate,
            directory: "sp".into(),
        };
        let request = match choice % 8 {
            0 => savepoint(Some(TerminateKind::Suspend)),
            1 | 2 => savepoint(None),
            3 => SnapshotRequest::Checkpoint { full: true },
            _ => SnapshotRequest::Checkpoint { full: false },
        };
        self.asked += 1;
        let answer = RequestId(self.asked);
        let commands = self.coordinator.on_request(answer, request, self.now_ms);
        self.carry_out(commands);
    }

    fn pick(&self, choice: u8) -> Option<CheckpointId> {
        let ids: Vec<CheckpointId> = self.coordinator.pending().map(|p| p.id).collect();
        (!ids.is_empty()).then(|| ids[choice as usize % ids.len()])
    }

    fn awaited(&self, id: CheckpointId) -> Vec<ExecutionAttemptId> {
        let pending = self.coordinator.pending().find(|p| p.id == id);
        let pending = pending.filter(|p| p.phase != PendingPhase::Coordinators);
        let awaited = |p: &crate::pending::PendingCheckpoint| {
            p.participants().filter(|a| p.awaits(*a)).collect()
        };
        pending.map(awaited).unwrap_or_default()
    }

    fn step(&mut self, event: Event) {
        let now = self.now_ms;
        match event {
            Event::Advance(ms) => self.now_ms += i64::from(ms),
            Event::Tick => {
                if let Some(timer) = self.timer.take() {
                    let commands = self.coordinator.on_timer(timer, now);
                    self.carry_out(commands);
                }
            }
            Event::Timeout(choice) => {
                if let Some(checkpoint_id) = self.pick(choice) {
                    let timer = CheckpointTimer::Timeout { checkpoint_id };
                    let commands = self.coordinator.on_timer(timer, now);
                    self.carry_out(commands);
                }
            }
            Event::Acknowledge { checkpoint, task, compact } => {
                if let Some(id) = self.pick(checkpoint) {
                    let awaited = self.awaited(id);
                    if !awaited.is_empty() {
                        self.acknowledge(awaited[task as usize % awaited.len()], id, compact);
                    }
                }
            }
            Event::AcknowledgeAll(compact) => {
                if let Some(id) = self.pick(0) {
                    for attempt in self.awaited(id) {
                        self.acknowledge(attempt, id, compact);
                    }
                }
            }
            Event::Repeat(choice) => {
                if !self.sent.is_empty() {
                    let (attempt, id, words) = self.sent[choice as usize % self.sent.len()].clone();
                    self.send(attempt, id, words);
                }
            }
            Event::Stranger(choice) => {
                let subtasks: Vec<SubtaskRef> = self.coordinator.topology().subtasks().collect();
                let subtask = subtasks[choice as usize % subtasks.len()];
                let attempt = ExecutionAttemptId { attempt: 1000, ..self.attempt(subtask) };
                let id = self.pick(choice).unwrap_or(CheckpointId(u64::from(choice)));
                self.send(attempt, id, vec![format!("e:stranger{id}-{attempt}")]);
            }
            Event::Decline(choice) => {
                if let Some(id) = self.pick(choice)
                    && let Some(attempt) = self.awaited(id).first()
                {
                    let cause = CheckpointFailureReason::CheckpointDeclined.into();
                    let commands = self.coordinator.on_decline(*attempt, id, &cause, now);
                    self.carry_out(commands);
                }
            }
            Event::Coordinator(success) => {
                let waits =
                    self.coordinator.pending().find(|p| !p.awaited_coordinators().is_empty());
                if let Some(id) = waits.map(|p| p.id) {
                    let state = if success { Ok(vec![1]) } else { Err("boom".to_owned()) };
                    let operator = OperatorId(1);
                    let commands =
                        self.coordinator.on_coordinator_snapshot(id, operator, state, now);
                    self.carry_out(commands);
                }
            }
            Event::Written(success) => self.written(success),
            Event::Request(choice) => self.request(choice),
            Event::Cancel(choice) => {
                let answer = RequestId(u64::from(choice) % (self.asked + 1));
                let commands = self.coordinator.on_request_cancelled(answer, now);
                self.carry_out(commands);
            }
            Event::LoseNotifications(lose) => self.lose_notifications = lose,
            Event::Restart(choice) => self.restart(choice),
            Event::Finish(choice) => {
                let subtask = SubtaskRef { vertex: 0, subtask: u32::from(choice) % 2 };
                self.enter(subtask, ExecutionState::Finished);
            }
        }
    }

    fn end(mut self) {
        let commands = self.coordinator.shut_down(JobStatus::Finished, self.now_ms);
        self.carry_out(commands);
        self.written(true);
        assert!(self.has_shut_down);
        for id in &self.seen {
            assert_eq!(self.ended.get(id), Some(&1), "ends of checkpoint {id}");
        }
        let answers: Vec<(u64, u32)> = self.answered.clone().into_iter().collect();
        assert_eq!(answers, (1..=self.asked).map(|id| (id, 1)).collect::<Vec<_>>());
        let left: Vec<_> = self.created.difference(&self.deleted).cloned().collect();
        let kept: Vec<_> = self.savepoint_files.iter().cloned().collect();
        assert_eq!(left, kept, "files that are left");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(
        retained in 1usize..4,
        max_concurrent in 1usize..4,
        has_coordinator: bool,
        events in prop::collection::vec(event(), 1..300),
    ) {
        let mut world = World::new(retained, max_concurrent, has_coordinator);
        for event in events {
            world.step(event);
        }
        world.end();
    }
}

#[test]
fn a_shared_file_belongs_to_who_created_it() {
    let shared = file(StateScope::Shared { created_by: CheckpointId(3) }, "f");
    let own = |id| crate::pending::own_files([&shared].into_iter(), CheckpointId(id)).len();
    assert_eq!((own(3), own(4)), (1, 0));
}
