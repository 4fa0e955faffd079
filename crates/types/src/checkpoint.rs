//! The words of the checkpoint protocol: what kind of snapshot is taken, how barriers behave, what
//! a task reports, why a checkpoint fails, and a job's settings. Plain data.
//!
//! Here, and not with the coordinator, because barriers, tasks and the roles' messages carry them.
//! Deliberately absent: the snapshots themselves ([`crate::snapshot`]) and every decision (crate
//! `checkpoint`).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// One checkpoint or savepoint of a job; counted up from 1, never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct CheckpointId(pub u64);

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a savepoint lays out its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SavepointFormat {
    /// The same for all backends: a savepoint can be resumed with another backend.
    Canonical,
    /// The backend's own: quick to write and to read.
    Native,
}

/// What becomes of the job after a savepoint that stops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TerminateKind {
    /// The job stops where it is and may be resumed.
    Suspend,
    /// Event time is driven to its end, windows and timers fire, then the job stops.
    Drain,
}

/// What kind of snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckpointType {
    /// A checkpoint; may refer to shared files of earlier ones.
    Checkpoint,
    /// A checkpoint that refers to no earlier one.
    FullCheckpoint,
    /// A savepoint: self-contained, and owned by the user.
    Savepoint {
        /// Layout.
        format: SavepointFormat,
        /// The job stops after it.
        terminate: Option<TerminateKind>,
    },
}

impl CheckpointType {
    /// True for every savepoint.
    pub fn is_savepoint(self) -> bool {
        matches!(self, Self::Savepoint { .. })
    }

    /// True for a savepoint in the format that is the same for all backends.
    pub fn is_canonical(self) -> bool {
        matches!(self, Self::Savepoint { format: SavepointFormat::Canonical, .. })
    }

    /// The layout of a savepoint.
    pub fn savepoint_format(self) -> Option<SavepointFormat> {
        match self {
            Self::Savepoint { format, .. } => Some(format),
            _ => None,
        }
    }

    /// True for a savepoint after which the job stops: tasks process nothing more until they know
    /// its outcome.
    pub fn is_synchronous(self) -> bool {
        self.terminate().is_some()
    }

    /// What becomes of the job afterwards.
    pub fn terminate(self) -> Option<TerminateKind> {
        match self {
            Self::Savepoint { terminate, .. } => terminate,
            _ => None,
        }
    }

    /// True if state files of earlier checkpoints may be referred to instead of written again.
    pub fn may_share_files(self) -> bool {
        self == Self::Checkpoint
    }
}

impl fmt::Display for CheckpointType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, terminate) = match self {
            Self::Checkpoint => return f.write_str("checkpoint"),
            Self::FullCheckpoint => return f.write_str("full checkpoint"),
            Self::Savepoint { format, terminate } => (format, terminate),
        };
        f.write_str(match format {
            SavepointFormat::Canonical => "canonical savepoint",
            SavepointFormat::Native => "native savepoint",
        })?;
        match terminate {
            None => Ok(()),
            Some(TerminateKind::Suspend) => f.write_str(" (suspend)"),
            Some(TerminateKind::Drain) => f.write_str(" (drain)"),
        }
    }
}

/// How a task with several inputs treats barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alignment {
    /// No input waits: after a restore records may be processed again.
    AtLeastOnce,
    /// Inputs whose barrier has come wait for the others.
    Aligned,
    /// As aligned; when a barrier has been under way for this long it turns unaligned.
    AlignedWithTimeout {
        /// Milliseconds since the checkpoint was triggered.
        timeout_ms: u64,
    },
    /// The barrier overtakes the records in flight, which become part of the snapshot.
    Unaligned,
}

/// What a barrier says of its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointOptions {
    /// What is taken.
    pub checkpoint_type: CheckpointType,
    /// How barriers behave.
    pub alignment: Alignment,
    /// Directory of a savepoint, as an absolute URL; `None` for the checkpoint's own directory.
    pub target: Option<Arc<str>>,
}

/// The guarantee that state has after a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckpointingMode {
    /// Every record counts once.
    ExactlyOnce,
    /// Every record counts, some perhaps twice.
    AtLeastOnce,
}

/// Which checkpoints outlive their job; as Flink's `execution.checkpointing.
/// externalized-checkpoint-retention`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckpointRetentionPolicy {
    /// Those of a job that failed or was cancelled.
    RetainOnCancellation,
    /// Those of a job that failed.
    RetainOnFailure,
    /// None.
    NeverRetainAfterTermination,
}

/// Who owns the files of the snapshot that a job is started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecoveryClaimMode {
    /// The job: the snapshot is treated as one of its own checkpoints and deleted with them.
    Claim,
    /// Somebody else: nothing of it is deleted, and the first checkpoint refers to none of it.
    NoClaim,
}

/// A job's settings; the names are Flink's under `execution.checkpointing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointConfig {
    /// Milliseconds between the triggers of two checkpoints; `None`: only on demand.
    pub interval_ms: Option<u64>,
    /// The same while a source processes backlog; `None`: none meanwhile.
    pub interval_during_backlog_ms: Option<u64>,
    /// Fewest milliseconds between the end of one checkpoint and the trigger of the next.
    pub min_pause_ms: u64,
    /// Most checkpoints under way at once.
    pub max_concurrent: usize,
    /// A checkpoint that takes longer is aborted.
    pub timeout_ms: u64,
    /// Failures in a row that the job survives; `None`: any number.
    pub tolerable_failed: Option<u32>,
    /// Guarantee.
    pub mode: CheckpointingMode,
    /// Barriers may overtake records.
    pub unaligned: bool,
    /// They do so after this many milliseconds; 0: at once.
    pub aligned_timeout_ms: u64,
    /// Completed checkpoints that are kept.
    pub retained: usize,
    /// What outlives the job.
    pub retention: CheckpointRetentionPolicy,
    /// Checkpoints go on when some tasks have finished.
    pub after_tasks_finish: bool,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            interval_ms: None,
            interval_during_backlog_ms: None,
            min_pause_ms: 0,
            max_concurrent: 1,
            timeout_ms: 600_000,
            tolerable_failed: Some(0),
            mode: CheckpointingMode::ExactlyOnce,
            unaligned: false,
            aligned_timeout_ms: 0,
            retained: 1,
            retention: CheckpointRetentionPolicy::NeverRetainAfterTermination,
            after_tasks_finish: true,
        }
    }
}

/// Settings that contradict themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointConfigError {
    /// A number that must not be zero.
    #[error("execution.checkpointing.{0} must be at least 1")]
    Zero(&'static str),
    /// Barriers of two checkpoints may not overtake each other.
    #[error("unaligned checkpoints need max-concurrent-checkpoints to be 1, not {0}")]
    UnalignedConcurrent(usize),
    /// At-least-once has nothing to align.
    #[error("unaligned checkpoints need the mode EXACTLY_ONCE")]
    UnalignedAtLeastOnce,
}

impl CheckpointConfig {
    /// Checks what cannot be expressed in the types.
    pub fn validate(&self) -> Result<(), CheckpointConfigError> {
        use CheckpointConfigError::*;
        for (value, name) in [
            (self.interval_ms.unwrap_or(1), "interval"),
            (self.timeout_ms, "timeout"),
            (self.max_concurrent as u64, "max-concurrent-checkpoints"),
            (self.retained as u64, "num-retained"),
        ] {
            if value == 0 {
                return Err(Zero(name));
            }
        }
        if self.unaligned && self.max_concurrent > 1 {
            return Err(UnalignedConcurrent(self.max_concurrent));
        }
        if self.unaligned && self.mode == CheckpointingMode::AtLeastOnce {
            return Err(UnalignedAtLeastOnce);
        }
        Ok(())
    }

    /// How barriers of a snapshot of that type behave: a savepoint never holds records in flight.
    pub fn alignment_of(&self, checkpoint_type: CheckpointType) -> Alignment {
        match (self.mode, self.unaligned && !checkpoint_type.is_savepoint()) {
            (CheckpointingMode::AtLeastOnce, _) => Alignment::AtLeastOnce,
            (CheckpointingMode::ExactlyOnce, false) => Alignment::Aligned,
            (CheckpointingMode::ExactlyOnce, true) if self.aligned_timeout_ms == 0 => {
                Alignment::Unaligned
            }
            (CheckpointingMode::ExactlyOnce, true) => {
                Alignment::AlignedWithTimeout { timeout_ms: self.aligned_timeout_ms }
            }
        }
    }
}

/// What one subtask measured of one checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMetrics {
    /// Bytes that were written for this checkpoint.
    pub checkpointed_bytes: u64,
    /// Bytes of the whole snapshot, with what it shares with earlier ones.
    pub total_bytes: u64,
    /// Milliseconds during which the task stood still for the snapshot.
    pub sync_duration_ms: u64,
    /// Milliseconds of writing beside the processing.
    pub async_duration_ms: u64,
    /// Milliseconds between the first barrier and the last.
    pub alignment_duration_ms: u64,
    /// Milliseconds from the trigger to the first barrier.
    pub start_delay_ms: u64,
    /// Bytes that were processed during alignment.
    pub processed_bytes: u64,
    /// Bytes of records in flight that became part of the snapshot.
    pub persisted_bytes: u64,
    /// Barriers overtook records.
    pub unaligned: bool,
}

/// Why a checkpoint failed or a request was refused; as Flink 2.3's `CheckpointFailureReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the texts are in `message`")]
pub enum CheckpointFailureReason {
    PeriodicSchedulerShutdown,
    TooManyCheckpointRequests,
    MinimumTimeBetweenCheckpoints,
    NotAllRequiredTasksRunning,
    IoException,
    CheckpointAsyncException,
    CheckpointExpired,
    CheckpointSubsumed,
    CheckpointDeclined,
    CheckpointDeclinedTaskNotReady,
    CheckpointDeclinedTaskClosing,
    CheckpointDeclinedSubsumed,
    CheckpointDeclinedOnCancellationBarrier,
    CheckpointDeclinedInputEndOfStream,
    CheckpointCoordinatorShutdown,
    CheckpointCoordinatorSuspend,
    JobFailoverRegion,
    TaskFailure,
    TaskCheckpointFailure,
    FinalizeCheckpointFailure,
    TriggerCheckpointFailure,
    /// Not Flink's: the client took its request back.
    RequestCancelled,
}

impl CheckpointFailureReason {
    /// The reason in words.
    pub fn message(self) -> &'static str {
        use CheckpointFailureReason::*;
        match self {
            PeriodicSchedulerShutdown => "periodic checkpoints have been stopped",
            TooManyCheckpointRequests => "too many requests are waiting already",
            MinimumTimeBetweenCheckpoints => "the pause after the last checkpoint is not over",
            NotAllRequiredTasksRunning => "not all tasks that take part are running",
            IoException => "the storage failed while the checkpoint was triggered",
            CheckpointAsyncException => "a task could not write its snapshot",
            CheckpointExpired => "it did not complete in time",
            CheckpointSubsumed => "a later checkpoint completed first",
            CheckpointDeclined => "a task declined it",
            CheckpointDeclinedTaskNotReady => "a task declined it: not ready",
            CheckpointDeclinedTaskClosing => "a task declined it: closing",
            CheckpointDeclinedSubsumed => "a task has seen the barrier of a later one",
            CheckpointDeclinedOnCancellationBarrier => "an input of a task cancelled it",
            CheckpointDeclinedInputEndOfStream => "an input of a task has ended",
            CheckpointCoordinatorShutdown => "the job has ended",
            CheckpointCoordinatorSuspend => "checkpoints are suspended",
            JobFailoverRegion => "a region of the job restarts",
            TaskFailure => "a task failed",
            TaskCheckpointFailure => "a task failed because of the checkpoint",
            FinalizeCheckpointFailure => "it could not be finalised",
            TriggerCheckpointFailure => "it could not be triggered",
            RequestCancelled => "the request was cancelled",
        }
    }

    /// True if the checkpoint failed before a task heard of it.
    pub fn is_pre_flight(self) -> bool {
        use CheckpointFailureReason::*;
        matches!(
            self,
            PeriodicSchedulerShutdown
                | TooManyCheckpointRequests
                | MinimumTimeBetweenCheckpoints
                | NotAllRequiredTasksRunning
                | IoException
        )
    }

    /// True if it counts against the failures that the job survives.
    pub fn counts_as_failure(self) -> bool {
        use CheckpointFailureReason::*;
        matches!(
            self,
            IoException
                | CheckpointAsyncException
                | CheckpointDeclined
                | CheckpointExpired
                | FinalizeCheckpointFailure
        )
    }
}

impl fmt::Display for CheckpointFailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// A failed checkpoint: the reason, and what is known beyond it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointException {
    /// Which kind of failure.
    pub reason: CheckpointFailureReason,
    /// The particulars; may be empty.
    pub detail: String,
}

impl CheckpointException {
    /// A failure with its particulars.
    pub fn new(reason: CheckpointFailureReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl From<CheckpointFailureReason> for CheckpointException {
    fn from(reason: CheckpointFailureReason) -> Self {
        Self { reason, detail: String::new() }
    }
}

impl fmt::Display for CheckpointException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.message())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl std::error::Error for CheckpointException {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savepoints_never_hold_records_in_flight() {
        let config = CheckpointConfig { unaligned: true, ..Default::default() };
        let savepoint =
            CheckpointType::Savepoint { format: SavepointFormat::Native, terminate: None };
        assert_eq!(config.alignment_of(CheckpointType::Checkpoint), Alignment::Unaligned);
        assert_eq!(config.alignment_of(savepoint), Alignment::Aligned);
        let config = CheckpointConfig { aligned_timeout_ms: 7, ..config };
        assert_eq!(
            config.alignment_of(CheckpointType::Checkpoint),
            Alignment::AlignedWithTimeout { timeout_ms: 7 }
        );
    }

    #[test]
    fn contradictions_in_the_settings_are_found() {
        assert_eq!(CheckpointConfig::default().validate(), Ok(()));
        let config = CheckpointConfig { unaligned: true, max_concurrent: 2, ..Default::default() };
        assert_eq!(config.validate(), Err(CheckpointConfigError::UnalignedConcurrent(2)));
        let config = CheckpointConfig { retained: 0, ..Default::default() };
        let error = config.validate().unwrap_err().to_string();
        assert_eq!(error, "execution.checkpointing.num-retained must be at least 1");
    }
}
