//! The CheckpointCoordinator: a state machine that is told of one event at a time and answers with
//! commands. One file per group of events.
//!
//! # Life of a checkpoint
//!
//! 1. The periodic timer fires, or a user asks ([`trigger`]). The request waits until fewer than
//!    the most concurrent checkpoints are under way and no other one is being triggered, so that
//!    barriers enter the sources in the order of checkpoint ids.
//! 2. The checkpoint gets its number and its plan. Coordinators take their snapshots, then tasks
//!    are triggered.
//! 3. Tasks acknowledge ([`acknowledge`]). A decline, a failed task, a restarting region or the
//!    timeout aborts it ([`abort`]); what was acknowledged, also later, is deleted.
//! 4. When all have acknowledged, the metadata file is written ([`complete`]), of one checkpoint
//!    after the other. Then it is complete: older pending checkpoints are aborted, the oldest
//!    retained one is given up, tasks and coordinators are notified.
//!
//! # Invariants
//!
//! - Every triggered checkpoint ends once, complete or aborted.
//! - A checkpoint whose metadata is being written is not aborted, and nobody restores meanwhile
//!   ([`RestorePoint::Wait`]): else a restore could find a checkpoint of a history that never was.
//! - No file is deleted that a retained checkpoint names.
//! - Messages of superseded attempts change nothing, but their files are deleted.
//!
//! Deliberately absent: I/O, names of directories (the storage's), the contents of state.

pub mod abort;
pub mod acknowledge;
pub mod complete;
pub mod restore;
pub mod tasks;
pub mod trigger;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use hurtig_cluster_api::JobStatus;
use hurtig_types::{
    CheckpointConfig, CheckpointException, CheckpointId, CheckpointOptions, ExecutionAttemptId,
    OperatorId,
};

pub use acknowledge::AcknowledgeOutcome;
pub use restore::RestorePoint;

use crate::{
    completed::{CompletedCheckpoint, CompletedCheckpointStore, DiscardedCheckpoint},
    failures::{CheckpointFailureManager, CheckpointJobFailure},
    model::CheckpointMetadata,
    pending::PendingCheckpoint,
    requests::{RequestId, RequestQueue},
    shared::SharedStateRegistry,
    stats::{CheckpointStatsTracker, DEFAULT_HISTORY_SIZE},
    topology::Topology,
};

/// Completed savepoints that are remembered, so that late acknowledgements do not delete their
/// files. Of checkpoints older than a forgotten one, files that come late are left alone.
const REMEMBERED_SAVEPOINTS: usize = 16;

/// A wake-up that the coordinator asks for. Timers are not taken back: outdated ones do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckpointTimer {
    /// The next periodic checkpoint is due.
    Trigger {
        /// Which schedule: a later one supersedes it.
        round: u64,
    },
    /// A checkpoint has taken too long.
    Timeout {
        /// Which.
        checkpoint_id: CheckpointId,
    },
}

/// What is left of a checkpoint that was aborted and is to be deleted, as far as it exists: first
/// the metadata file, then the files, then the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardedPending {
    /// Which.
    pub checkpoint_id: CheckpointId,
    /// Directory of a savepoint; otherwise it is the checkpoint's own.
    pub target: Option<Arc<str>>,
    /// Files that were acknowledged and nobody else names.
    pub files: Vec<Arc<str>>,
}

/// What the JobMaster is to do.
#[derive(Clone, Debug)]
pub enum CheckpointCommand {
    /// Call `on_timer` after this many milliseconds.
    SetTimer(CheckpointTimer, u64),
    /// Ask a coordinator for its snapshot; answer with `on_coordinator_snapshot`.
    SnapshotCoordinator {
        /// The checkpoint.
        checkpoint_id: CheckpointId,
        /// The operator.
        operator: OperatorId,
    },
    /// Tell a task to begin.
    TriggerTask {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The checkpoint.
        checkpoint_id: CheckpointId,
        /// When it was triggered, in milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// What barriers say.
        options: CheckpointOptions,
    },
    /// Write the metadata file, atomically; answer with `on_metadata_written` or
    /// `on_metadata_failed`. It must be answered, however long it takes.
    WriteMetadata {
        /// Content.
        metadata: Arc<CheckpointMetadata>,
        /// Directory of a savepoint; otherwise it is the checkpoint's own.
        target: Option<Arc<str>>,
    },
    /// Make the numbers up to there (exclusive) this JobMaster's; answer with `on_ids_reserved`.
    ReserveIds(CheckpointId),
    /// Tell tasks and coordinators that a checkpoint is complete.
    NotifyComplete {
        /// The checkpoint.
        checkpoint_id: CheckpointId,
        /// When it was triggered, in milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// The attempts.
        tasks: Vec<ExecutionAttemptId>,
    },
    /// Tell tasks and coordinators that a checkpoint was aborted. Tasks that stand still for a
    /// savepoint that was to stop the job go on.
    NotifyAborted {
        /// The checkpoint.
        checkpoint_id: CheckpointId,
        /// The latest that is complete.
        latest_completed: Option<CheckpointId>,
        /// The attempts.
        tasks: Vec<ExecutionAttemptId>,
    },
    /// Delete a checkpoint that was given up: first its metadata file, then its exclusive files,
    /// then its directory. Shared files stay.
    DiscardCheckpoint(DiscardedCheckpoint),
    /// Delete what is left of an aborted checkpoint.
    DiscardPending(DiscardedPending),
    /// Delete files.
    DiscardState(Vec<Arc<str>>),
    /// Fail the job, under its restart strategy.
    FailJob {
        /// Why.
        cause: CheckpointJobFailure,
        /// The task that is to blame.
        task: Option<ExecutionAttemptId>,
    },
    /// Answer a user's request.
    CompleteRequest {
        /// Which.
        request: RequestId,
        /// The snapshot, or why there is none.
        result: Result<CompletedCheckpoint, CheckpointException>,
    },
    /// Everything has come to its end after `shut_down`.
    ShutDown,
}

/// The coordinator of one job.
#[derive(Debug)]
pub struct CheckpointCoordinator {
    config: CheckpointConfig,
    topology: Topology,
    tasks: tasks::TaskTable,
    queue: RequestQueue,
    pending: BTreeMap<CheckpointId, PendingCheckpoint>,
    completed: CompletedCheckpointStore,
    savepoints: VecDeque<CompletedCheckpoint>,
    forgotten_savepoint: Option<CheckpointId>,
    shared: SharedStateRegistry,
    failures: CheckpointFailureManager,
    stats: CheckpointStatsTracker,
    next_id: CheckpointId,
    /// Numbers from here on are not this JobMaster's yet.
    id_limit: Option<CheckpointId>,
    /// The limit that was asked for.
    reserving: Option<CheckpointId>,
    periodic: trigger::PeriodicTrigger,
    last_completion_ms: Option<i64>,
    backlog: BTreeSet<OperatorId>,
    /// A savepoint that stops the job was asked for and has not failed.
    stopping: bool,
    shut_down: Option<JobStatus>,
    commands: Vec<CheckpointCommand>,
}

impl CheckpointCoordinator {
    /// The coordinator of a job; `seed` spreads the first checkpoints of many jobs.
    pub fn new(config: CheckpointConfig, topology: Topology, seed: u64) -> Self {
        let tasks = tasks::TaskTable::new(&topology);
        let periodic = trigger::PeriodicTrigger::new(&config, seed);
        Self {
            queue: RequestQueue::default(),
            pending: BTreeMap::new(),
            completed: CompletedCheckpointStore::new(config.retained),
            savepoints: VecDeque::new(),
            forgotten_savepoint: None,
            shared: SharedStateRegistry::default(),
            failures: CheckpointFailureManager::new(config.tolerable_failed),
            stats: CheckpointStatsTracker::new(DEFAULT_HISTORY_SIZE),
            next_id: CheckpointId(1),
            id_limit: None,
            reserving: None,
            periodic,
            last_completion_ms: None,
            backlog: BTreeSet::new(),
            stopping: false,
            shut_down: None,
            commands: Vec::new(),
            config,
            topology,
            tasks,
        }
    }

    /// The job.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Checkpoints under way.
    pub fn pending(&self) -> impl Iterator<Item = &PendingCheckpoint> {
        self.pending.values()
    }

    /// Retained checkpoints, oldest first.
    pub fn completed(&self) -> &CompletedCheckpointStore {
        &self.completed
    }

    /// What is known for people.
    pub fn stats(&self) -> &CheckpointStatsTracker {
        &self.stats
    }

    /// The number of the next checkpoint.
    pub fn next_id(&self) -> CheckpointId {
        self.next_id
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn take_commands(&mut self) -> Vec<CheckpointCommand> {
        std::mem::take(&mut self.commands)
    }
}
