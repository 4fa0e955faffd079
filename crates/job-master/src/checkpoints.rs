//! The CheckpointCoordinator's shell: carries its commands out, and holds what a restart needs.
//!
//! Commands for tasks and coordinators are returned as [`Effect`]s, in order; I/O is done here,
//! beside the JobMaster, and its end comes back as a message.
//!
//! # Coordinators and sources
//!
//! A coordinator takes its snapshot before the tasks are triggered. What it sends to a task in
//! between would be part of the task's snapshot, but not of its own: such events are held until
//! the trigger is on its way, and arrive behind it.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use hurtig_checkpoint::{
    CheckpointMetadata,
    assign::{StateAssignment, assign_states},
    completed::CompletedCheckpoint,
    coordinator::{
        CheckpointCommand as Command, CheckpointCoordinator, CheckpointTimer, DiscardedPending,
        RestorePoint, trigger::RESERVED_IDS,
    },
    requests::{RequestId, SnapshotRequest},
    stats::CheckpointStatsTracker,
    topology::Topology,
};
use hurtig_cluster_api::{
    CheckpointPointer, CheckpointRegister, CheckpointStatsCounts, CheckpointStatsSnapshot,
    JobStatus, Mailbox, RpcError, RpcResult,
};
use hurtig_env::Runtimes;
use hurtig_graph::{JobGraph, RestoreFrom};
use hurtig_storage::{
    CheckpointStorage, StorageError, StorageOptions, StoredCheckpoint, Stores, Verification,
    location_url,
};
use hurtig_types::{
    CheckpointBarrier, CheckpointId, CheckpointType, ExecutionAttemptId, FlowError, FlowResult,
    JobId, JobManagerTaskRestore, JobVertexId, OperatorId, RecoveryClaimMode, TerminateKind,
    chain_text,
};
use tokio::sync::oneshot;

use crate::{actor::Message, coordinators::CoordinatorStates};

mod damage;
mod recovery;

pub(crate) use recovery::registered;

/// Pause before the register or the store is asked again.
const REGISTER_RETRY: Duration = Duration::from_millis(500);

/// What the JobMaster does for a checkpoint.
#[derive(Debug)]
pub(crate) enum Effect {
    Trigger(ExecutionAttemptId, CheckpointBarrier),
    SnapshotCoordinator(CheckpointId, OperatorId),
    Complete(CheckpointId, Vec<ExecutionAttemptId>),
    Aborted(CheckpointId, Vec<ExecutionAttemptId>),
    /// Events that had been held.
    Deliver(Vec<HeldEvent>),
    /// What has become of the savepoint that is to stop the job: where it is.
    StopSavepoint(Result<String, String>),
    /// Too many checkpoints have failed.
    FailJob(String, Option<ExecutionAttemptId>),
    /// Another JobMaster has taken over.
    Superseded,
}

/// An event of a coordinator for a subtask.
#[derive(Debug)]
pub(crate) struct HeldEvent {
    pub(crate) vertex: JobVertexId,
    pub(crate) operator: OperatorId,
    pub(crate) subtask: u32,
    pub(crate) resets: u64,
    pub(crate) event: Vec<u8>,
}

/// What came of completing a checkpoint.
enum Written {
    /// It is complete: directory, and the limit of the numbers that are ours now.
    Complete(Arc<str>, Option<CheckpointId>),
    /// It is not, and never will be.
    Failed(String),
    /// Another JobMaster has taken over.
    Superseded,
}

type Writing = tokio::task::JoinHandle<(Arc<CheckpointMetadata>, Written)>;

/// Who wants to know what has become of a request.
pub(crate) enum Answer {
    /// A user.
    User(oneshot::Sender<RpcResult<String>>),
    /// The JobMaster, which then waits for the job's end.
    Stop,
}

/// All that is about checkpoints in one JobMaster.
pub(crate) struct Checkpoints {
    coordinator: CheckpointCoordinator,
    topology: Topology,
    storage: CheckpointStorage,
    register: Arc<dyn CheckpointRegister>,
    runtimes: Runtimes,
    mailbox: Mailbox<Message>,
    allow_non_restored_state: bool,
    assignment: Option<(CheckpointId, StateAssignment)>,
    writing: Option<Writing>,
    discards: tokio::task::JoinSet<()>,
    /// Ends with the deletion that was begun last.
    last_discard: Option<oneshot::Receiver<()>>,
    held: BTreeMap<OperatorId, (CheckpointId, Vec<HeldEvent>)>,
    answers: HashMap<RequestId, Answer>,
    requests: u64,
    seed: u64,
    shut_down: bool,
}

impl Checkpoints {
    pub(crate) fn new(
        graph: &JobGraph,
        stores: Arc<Stores>,
        register: Arc<dyn CheckpointRegister>,
        seed: u64,
        runtimes: Runtimes,
        mailbox: Mailbox<Message>,
    ) -> Self {
        let topology = Topology::from(graph);
        let config = graph.config.checkpoints.clone();
        let options = StorageOptions {
            directory: graph.config.checkpoint_directory.clone(),
            ..StorageOptions::default()
        };
        Self {
            coordinator: CheckpointCoordinator::new(config, topology.clone(), seed),
            topology,
            storage: CheckpointStorage::new(stores, options, graph.job_id),
            register,
            runtimes,
            mailbox,
            allow_non_restored_state: false,
            assignment: None,
            writing: None,
            discards: tokio::task::JoinSet::new(),
            last_discard: None,
            held: BTreeMap::new(),
            answers: HashMap::new(),
            requests: 0,
            seed,
            shut_down: false,
        }
    }

    /// The latest completed snapshot was to stop the job.
    pub(crate) fn was_stopping(&self) -> Option<TerminateKind> {
        let latest = self.coordinator.completed().latest()?;
        // One that the job was started from has stopped another.
        if latest.metadata.job != self.topology.job {
            return None;
        }
        match latest.metadata.checkpoint_type {
            CheckpointType::Savepoint { terminate, .. } => terminate,
            _ => None,
        }
    }

    /// The latest completed checkpoint.
    pub(crate) fn latest(&self) -> Option<CheckpointId> {
        self.coordinator.completed().latest().map(CompletedCheckpoint::id)
    }

    /// Numbers of key groups that the snapshot has brought.
    pub(crate) fn max_parallelism(&self) -> impl Iterator<Item = (JobVertexId, u32)> + '_ {
        self.topology.vertices.iter().map(|vertex| (vertex.id, vertex.max_parallelism))
    }

    /// What is known of the checkpoints.
    pub(crate) fn stats(&self) -> CheckpointStatsSnapshot {
        self.coordinator.stats().snapshot()
    }

    /// The same, as the coordinator keeps it.
    pub(crate) fn tracker(&self) -> &CheckpointStatsTracker {
        self.coordinator.stats()
    }

    /// How many checkpoints.
    pub(crate) fn counts(&self) -> CheckpointStatsCounts {
        self.coordinator.stats().counts
    }

    /// What tasks that start now are restored from; waits for metadata that is being written.
    pub(crate) async fn restore_point(
        &mut self,
        now_ms: i64,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<CheckpointId>, FlowError> {
        if matches!(self.coordinator.restore_point(), RestorePoint::Wait)
            && let Some(writing) = self.writing.take()
            && let Ok((metadata, result)) = writing.await
        {
            effects.extend(self.metadata_ended(metadata, result, now_ms));
        }
        let RestorePoint::From(latest) = self.coordinator.restore_point() else {
            return Ok(None);
        };
        let id = latest.id();
        if self.assignment.as_ref().is_none_or(|(known, _)| *known != id) {
            let assignment = assign_states(&latest.metadata, &self.topology, true)
                .map_err(|error| FlowError::fatal(chain_text(&error)))?;
            self.assignment = Some((id, assignment));
        }
        self.coordinator.on_restored(now_ms);
        Ok(Some(id))
    }

    /// The parallelism has changed, and all tasks are new. After `on_restarting`; tasks and
    /// coordinators are then restored from [`Checkpoints::restore_point`].
    pub(crate) async fn on_rescaled(
        &mut self,
        graph: &JobGraph,
        attempt: u32,
        now_ms: i64,
        effects: &mut Vec<Effect>,
    ) {
        // One after the other, until none is left that was complete before the change.
        while let Some(writing) = self.writing.take() {
            if let Ok((metadata, result)) = writing.await {
                effects.extend(self.metadata_ended(metadata, result, now_ms));
            }
        }
        self.topology = Topology::from(graph);
        self.coordinator.on_rescaled(self.topology.clone(), attempt);
        self.assignment = None;
    }

    /// The states of the coordinators, after [`Checkpoints::restore_point`].
    pub(crate) fn coordinators(&self) -> Option<(CheckpointId, BTreeMap<OperatorId, Vec<u8>>)> {
        let (id, assignment) = self.assignment.as_ref()?;
        Some((*id, assignment.coordinators.clone()))
    }

    /// What one subtask starts from, after [`Checkpoints::restore_point`].
    pub(crate) fn restore_of(
        &self,
        attempt: ExecutionAttemptId,
    ) -> Option<Box<JobManagerTaskRestore>> {
        let (_, assignment) = self.assignment.as_ref()?;
        let restore = assignment.tasks.get(&(attempt.vertex, attempt.subtask))?;
        Some(Box::new(restore.clone()))
    }

    /// Tells the coordinator of one event and carries out what it wants.
    pub(crate) fn on(
        &mut self,
        event: impl FnOnce(&mut CheckpointCoordinator) -> Vec<Command>,
    ) -> Vec<Effect> {
        let commands = event(&mut self.coordinator);
        self.carry_out(commands)
    }

    /// A user asks for a checkpoint, or for a savepoint beneath a directory.
    pub(crate) fn request(
        &mut self,
        request: SnapshotRequest,
        answer: Answer,
        now_ms: i64,
    ) -> Vec<Effect> {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.answers.insert(id, answer);
        self.on(|coordinator| coordinator.on_request(id, request, now_ms))
    }

    /// A directory for a new savepoint.
    /// A directory for the savepoint of the next request: no other request of this JobMaster has
    /// it, nor, as time goes on, one of another JobMaster of the job.
    pub(crate) fn savepoint_directory(&self, base: &str, now_ms: i64) -> Arc<str> {
        let unique = format!("{now_ms}:{}:{}", self.seed, self.requests);
        let unique = JobId::from_bytes_hash(unique.as_bytes()).0 as u64;
        self.storage.savepoint_directory(base, unique)
    }

    /// The metadata file that was being written is there, or is not.
    pub(crate) async fn on_metadata(&mut self, now_ms: i64) -> Vec<Effect> {
        let Some(writing) = self.writing.take() else {
            return Vec::new();
        };
        match writing.await {
            Ok((metadata, result)) => self.metadata_ended(metadata, result, now_ms),
            // Only a process that ends stops it.
            Err(_) => Vec::new(),
        }
    }

    fn metadata_ended(
        &mut self,
        metadata: Arc<CheckpointMetadata>,
        written: Written,
        now_ms: i64,
    ) -> Vec<Effect> {
        let id = metadata.checkpoint_id;
        match written {
            Written::Complete(pointer, limit) => self.on(|coordinator| {
                let mut commands = coordinator.on_metadata_written(metadata, pointer, now_ms);
                if let Some(limit) = limit {
                    commands.extend(coordinator.on_ids_reserved(limit, now_ms));
                }
                commands
            }),
            Written::Failed(error) => {
                self.on(|coordinator| coordinator.on_metadata_failed(id, &error, now_ms))
            }
            Written::Superseded => vec![Effect::Superseded],
        }
    }

    /// True if the event is held until a trigger is on its way.
    pub(crate) fn hold(&mut self, event: HeldEvent) -> Option<HeldEvent> {
        match self.held.get_mut(&event.operator) {
            Some((_, events)) => {
                events.push(event);
                None
            }
            None => Some(event),
        }
    }

    /// A coordinator's snapshot has come: what it sends from now on is held.
    pub(crate) fn on_coordinator_snapshot(
        &mut self,
        checkpoint: CheckpointId,
        operator: OperatorId,
        state: Result<Vec<u8>, String>,
        now_ms: i64,
    ) -> Vec<Effect> {
        let is_pending = self.coordinator.pending().any(|pending| pending.id == checkpoint);
        if is_pending && state.is_ok() {
            let (known, _) = self.held.entry(operator).or_insert((checkpoint, Vec::new()));
            *known = checkpoint;
        }
        self.on(|coordinator| {
            coordinator.on_coordinator_snapshot(checkpoint, operator, state, now_ms)
        })
    }

    /// Events that were held for a checkpoint.
    fn release(&mut self, checkpoint: CheckpointId, effects: &mut Vec<Effect>) {
        let of_checkpoint =
            |(_, (known, _)): &(&OperatorId, &(CheckpointId, _))| *known == checkpoint;
        let operators: Vec<OperatorId> =
            self.held.iter().filter(of_checkpoint).map(|(operator, _)| *operator).collect();
        for operator in operators {
            if let Some((_, events)) = self.held.remove(&operator) {
                effects.push(Effect::Deliver(events));
            }
        }
    }

    fn carry_out(&mut self, commands: Vec<Command>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut triggered = None;
        for command in commands {
            match command {
                Command::SetTimer(timer, delay_ms) => self.set_timer(timer, delay_ms),
                Command::SnapshotCoordinator { checkpoint_id, operator } => {
                    effects.push(Effect::SnapshotCoordinator(checkpoint_id, operator));
                }
                Command::TriggerTask { attempt, checkpoint_id, timestamp_ms, options } => {
                    let barrier = CheckpointBarrier { checkpoint_id, timestamp_ms, options };
                    effects.push(Effect::Trigger(attempt, barrier));
                    triggered = Some(checkpoint_id);
                }
                Command::WriteMetadata { metadata, target } => self.complete(metadata, target),
                Command::ReserveIds(below) => {
                    let (register, mailbox) = (self.register.clone(), self.mailbox.clone());
                    self.runtimes.control.spawn(async move {
                        let message = match registered(&mailbox, || register.reserve(below)).await {
                            Ok(()) => Message::IdsReserved(below),
                            Err(error) => {
                                tracing::warn!(%error, "no numbers for checkpoints");
                                Message::Superseded
                            }
                        };
                        // A JobMaster that has ended needs no numbers.
                        let _ = mailbox.tell(message).await;
                    });
                }
                Command::NotifyComplete { checkpoint_id, tasks, .. } => {
                    tracing::info!(%checkpoint_id, "checkpoint complete");
                    effects.push(Effect::Complete(checkpoint_id, tasks));
                }
                Command::NotifyAborted { checkpoint_id, tasks, .. } => {
                    tracing::info!(%checkpoint_id, "checkpoint aborted");
                    self.release(checkpoint_id, &mut effects);
                    effects.push(Effect::Aborted(checkpoint_id, tasks));
                }
                Command::DiscardCheckpoint(discarded) => {
                    self.discard(async move |storage| storage.discard_checkpoint(&discarded).await);
                }
                Command::DiscardPending(discarded) => {
                    self.release(discarded.checkpoint_id, &mut effects);
                    self.discard(async move |storage| storage.discard_pending(&discarded).await);
                }
                Command::DiscardState(files) => {
                    self.discard(async move |storage| storage.discard_files(&files).await);
                }
                Command::FailJob { cause, task } => {
                    effects.push(Effect::FailJob(cause.to_string(), task));
                }
                Command::CompleteRequest { request, result } => {
                    let result = result.map(|completed| completed.external_pointer.to_string());
                    let result = result.map_err(|error| error.to_string());
                    match self.answers.remove(&request) {
                        Some(Answer::User(answer)) => {
                            // Who asked may have gone.
                            let _ = answer.send(result.map_err(RpcError::Rejected));
                        }
                        Some(Answer::Stop) => effects.push(Effect::StopSavepoint(result)),
                        None => {}
                    }
                }
                Command::ShutDown => self.shut_down = true,
            }
        }
        if let Some(checkpoint) = triggered {
            self.release(checkpoint, &mut effects);
        }
        effects
    }

    /// Writes the metadata of a checkpoint, then its pointer, which completes it.
    fn complete(&mut self, metadata: Arc<CheckpointMetadata>, target: Option<Arc<str>>) {
        let subsumed = self.coordinator.subsumed_by(&metadata);
        let is_users = metadata.checkpoint_type.is_savepoint();
        let limit = CheckpointId(self.coordinator.next_id().0 + RESERVED_IDS);
        let (storage, register) = (self.storage.clone(), self.register.clone());
        let mailbox = self.mailbox.clone();
        self.writing = Some(self.runtimes.control.spawn(async move {
            let written = match storage.write_metadata(&metadata, target.as_deref()).await {
                // A savepoint is the user's.
                // A savepoint is the user's; but what was committed for one that stops the job must
                // not be repeated, so that the next JobMaster has to know it.
                Ok(directory) if is_users && !metadata.checkpoint_type.is_synchronous() => {
                    Written::Complete(directory, None)
                }
                Ok(directory) => {
                    let pointer = CheckpointPointer {
                        id: metadata.checkpoint_id,
                        external_pointer: directory.to_string(),
                        owned: !is_users,
                    };
                    let add = || register.add(pointer.clone(), subsumed.clone(), limit);
                    match registered(&mailbox, add).await {
                        Ok(()) => Written::Complete(directory, Some(limit)),
                        Err(RpcError::Rejected(problem)) => Written::Failed(problem),
                        Err(_) => Written::Superseded,
                    }
                }
                Err(error) => Written::Failed(chain_text(&error)),
            };
            tokio::spawn(async move {
                // A JobMaster that has ended has waited for the file itself.
                let _ = mailbox.tell(Message::MetadataWritten).await;
            });
            (metadata, written)
        }));
    }

    fn set_timer(&self, timer: CheckpointTimer, delay_ms: u64) {
        let mailbox = self.mailbox.clone();
        self.runtimes.control.spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
            // A job that is over needs no timers.
            let _ = mailbox.tell(Message::CheckpointTimer(timer)).await;
        });
    }

    fn discard<F>(&mut self, delete: impl FnOnce(CheckpointStorage) -> F)
    where
        F: Future<Output = Result<(), StorageError>> + Send + 'static,
    {
        let deleting = delete(self.storage.clone());
        // One after the other: a shared file goes behind the metadata of the last checkpoint that
        // names it.
        let (done, last) = oneshot::channel();
        let before = self.last_discard.replace(last);
        self.discards.spawn_on(
            async move {
                let _done: oneshot::Sender<()> = done;
                if let Some(before) = before {
                    // Ends by being dropped.
                    let _ = before.await;
                }
                if let Err(error) = deleting.await {
                    tracing::warn!(error = chain_text(&error), "state could not be deleted");
                }
            },
            &self.runtimes.control,
        );
        // What has been deleted needs no place any more.
        while self.discards.try_join_next().is_some() {}
    }

    /// The job has ended: checkpoints under way come to their end. Returns what has become of the
    /// last snapshots; there are no tasks any more that could be told. Completed ones stay until the
    /// job's result is stored (see [`crate::clean_up`]): else the loss of this process meanwhile
    /// would leave a job that has neither result nor checkpoint.
    pub(crate) async fn shut_down(&mut self, now_ms: i64) -> Result<Vec<Effect>, Superseded> {
        let mut effects =
            self.on(|coordinator| coordinator.shut_down(JobStatus::Suspended, now_ms));
        while !self.shut_down && self.writing.is_some() {
            effects.extend(self.on_metadata(now_ms).await);
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Superseded)) {
            return Err(Superseded);
        }
        while self.discards.join_next().await.is_some() {}
        Ok(effects)
    }
}

/// Another JobMaster has taken over.
#[derive(Debug)]
pub(crate) struct Superseded;
