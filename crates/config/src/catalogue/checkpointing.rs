//! Options of checkpoints and savepoints.

use std::{num::NonZeroU32, time::Duration};

use hurtig_types::{CheckpointRetentionPolicy, CheckpointingMode, RecoveryClaimMode};

use crate::{
    option::options,
    value::{CheckpointStorageKind, MemorySize},
};

options! {
    /// Time between the triggers of two checkpoints. Not set, checkpoints are taken on demand only.
    Effective CHECKPOINTING_INTERVAL: Option<Duration> = "execution.checkpointing.interval";

    /// The interval while a source processes backlog. 0 stops checkpoints meanwhile.
    Effective CHECKPOINTING_INTERVAL_DURING_BACKLOG: Option<Duration> =
        "execution.checkpointing.interval-during-backlog";

    /// Whether a record counts exactly once or at least once in state after a recovery.
    Effective CHECKPOINTING_MODE: CheckpointingMode = "execution.checkpointing.mode",
        default "EXACTLY_ONCE";

    /// A checkpoint that takes longer is given up.
    Effective CHECKPOINTING_TIMEOUT: Duration = "execution.checkpointing.timeout", default "10 min";

    /// Shortest time between the end of a checkpoint and the trigger of the next.
    Effective MIN_PAUSE_BETWEEN_CHECKPOINTS: Duration = "execution.checkpointing.min-pause",
        default "0 ms";

    /// Most checkpoints under way at once.
    Effective MAX_CONCURRENT_CHECKPOINTS: NonZeroU32 =
        "execution.checkpointing.max-concurrent-checkpoints", default "1";

    /// Failed checkpoints in a row that the job survives. -1 for any number.
    Effective TOLERABLE_FAILURE_NUMBER: i32 =
        "execution.checkpointing.tolerable-failed-checkpoints", default "0";

    /// Barriers overtake records in flight, which become part of the checkpoint: quick under back
    /// pressure, and larger.
    Planned ENABLE_UNALIGNED: bool = "execution.checkpointing.unaligned.enabled", default "false",
        was ["execution.checkpointing.unaligned"];

    /// Barriers wait for alignment this long before they overtake. 0: they overtake at once.
    /// Counts only where unaligned checkpoints are enabled.
    Planned ALIGNED_CHECKPOINT_TIMEOUT: Duration =
        "execution.checkpointing.aligned-checkpoint-timeout", default "0 ms",
        was ["execution.checkpointing.alignment-timeout"];

    /// Which checkpoints outlive a job that was cancelled or has failed.
    Effective EXTERNALIZED_CHECKPOINT_RETENTION: CheckpointRetentionPolicy =
        "execution.checkpointing.externalized-checkpoint-retention",
        default "NO_EXTERNALIZED_CHECKPOINTS";

    /// Completed checkpoints that are kept.
    Effective MAX_RETAINED_CHECKPOINTS: NonZeroU32 = "execution.checkpointing.num-retained",
        default "1", was ["state.checkpoints.num-retained"];

    /// Where checkpoints are written.
    Planned CHECKPOINT_STORAGE: Option<CheckpointStorageKind> = "execution.checkpointing.storage",
        was ["state.checkpoint-storage"];

    /// Directory or URL of checkpoints; every process must reach it.
    Effective CHECKPOINTS_DIRECTORY: Option<String> = "execution.checkpointing.dir",
        was ["state.checkpoints.dir", "state.backend.fs.checkpointdir"];

    /// Checkpoints of a job lie in a directory below, named by the job's id.
    Planned CREATE_CHECKPOINT_SUB_DIR: bool = "execution.checkpointing.create-subdir",
        default "true", was ["state.checkpoints.create-subdir"];

    /// Directory or URL of savepoints whose request names none.
    Effective SAVEPOINT_DIRECTORY: Option<String> = "execution.checkpointing.savepoint-dir",
        was ["state.savepoints.dir", "savepoints.state.backend.fs.dir"];

    /// A checkpoint refers to the files of earlier ones for what has not changed.
    Planned INCREMENTAL_CHECKPOINTS: bool = "execution.checkpointing.incremental",
        default "false", was ["state.backend.incremental"];

    /// Checkpoints go on when some tasks have finished.
    Effective CHECKPOINTS_AFTER_TASKS_FINISH: bool =
        "execution.checkpointing.checkpoints-after-tasks-finish", default "true",
        was ["execution.checkpointing.checkpoints-after-tasks-finish.enabled"];

    /// Pieces of state smaller than this are kept in the metadata and not in a file of their own.
    Planned DATA_INLINE_THRESHOLD: MemorySize = "execution.checkpointing.data-inline-threshold",
        default "20 kb",
        was ["state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"];

    /// Small files of a checkpoint are written as one.
    Planned FILE_MERGING_ENABLED: bool = "execution.checkpointing.file-merging.enabled",
        default "false";

    /// Checkpoints are also kept on the local disk of the TaskManager, for a quick recovery.
    Effective LOCAL_BACKUP_ENABLED: bool = "execution.checkpointing.local-backup.enabled",
        default "false", else ["execution.state-recovery.from-local"];

    /// Directories of local checkpoints, separated by commas or as in `PATH`. Not set, the working
    /// directory of the process.
    Effective LOCAL_BACKUP_DIRS: Option<String> = "execution.checkpointing.local-backup.dirs",
        was ["taskmanager.state.local.root-dirs"];

    /// The snapshot from which a job starts.
    Effective SAVEPOINT_PATH: Option<String> = "execution.state-recovery.path",
        was ["execution.savepoint.path"];

    /// State of operators that the program no longer has is dropped instead of refusing to start.
    Effective SAVEPOINT_IGNORE_UNCLAIMED_STATE: bool =
        "execution.state-recovery.ignore-unclaimed-state", default "false",
        was ["execution.savepoint.ignore-unclaimed-state"];

    /// Whose the snapshot is from which a job starts. NO_CLAIM: nothing of it is ever deleted, and
    /// the first checkpoint refers to none of it. CLAIM: it becomes the job's own, and is deleted
    /// as its checkpoints are.
    Effective RECOVERY_CLAIM_MODE: RecoveryClaimMode = "execution.state-recovery.claim-mode",
        default "NO_CLAIM", was ["execution.savepoint-restore-mode"];

    /// A job recovers from local checkpoints where it can.
    Effective LOCAL_RECOVERY: bool = "execution.state-recovery.from-local", default "false",
        was ["state.backend.local-recovery"];
}
