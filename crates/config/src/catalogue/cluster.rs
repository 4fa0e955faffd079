//! Options of all processes of a cluster: heartbeats, slots, directories, blobs.

use std::{num::NonZeroU32, time::Duration};

use crate::{option::options, value::MemorySize};

options! {
    /// Time between two heartbeats. Not set, the embedded cluster takes 1 s.
    Effective HEARTBEAT_INTERVAL: Duration = "heartbeat.interval", default "10 s";

    /// A process that is silent for this long is lost.
    Effective HEARTBEAT_TIMEOUT: Duration = "heartbeat.timeout", default "50 s";

    /// Heartbeats that may fail in a row before a process is lost. -1 counts silence only.
    Planned HEARTBEAT_RPC_FAILURE_THRESHOLD: i32 = "heartbeat.rpc-failure-threshold",
        default "2";

    /// How long a job waits for slots before it fails.
    Effective SLOT_REQUEST_TIMEOUT: Duration = "slot.request.timeout", default "5 min";

    /// A job returns slots that it has not used for this long.
    Effective SLOT_IDLE_TIMEOUT: Duration = "slot.idle.timeout", default "50 s",
        else ["heartbeat.timeout"];

    /// Number of TaskManagers of the embedded cluster.
    Effective MINI_CLUSTER_TASK_MANAGERS: NonZeroU32 = "minicluster.number-of-taskmanagers",
        default "1", was ["local.number-taskmanager"];

    /// Jobs are spread over all TaskManagers instead of filling one after the other: as
    /// `taskmanager.load-balance.mode: SLOTS`, unless that is set.
    Effective EVENLY_SPREAD_OUT_SLOTS: bool = "cluster.evenly-spread-out-slots", default "false";

    /// What a process does with an error that nobody caught: LOG or FAIL.
    Planned UNCAUGHT_EXCEPTION_HANDLING: String = "cluster.uncaught-exception-handling",
        default "LOG";

    /// Threads for reading and writing of a process. Not set, four per core.
    Planned IO_POOL_SIZE: Option<NonZeroU32> = "cluster.io-pool.size";

    /// A process that has met a fatal error exits at once.
    Planned HALT_ON_FATAL_ERROR: bool = "cluster.processes.halt-on-fatal-error", default "false";

    /// How long services may take to end.
    Planned CLUSTER_SERVICES_SHUTDOWN_TIMEOUT: Duration = "cluster.services.shutdown-timeout",
        default "30 s";

    /// Pause after the first registration that fails; each further failure doubles it.
    Effective INITIAL_REGISTRATION_TIMEOUT: Duration = "cluster.registration.initial-timeout",
        default "100 ms";

    /// Longest time that one registration may take.
    Planned MAX_REGISTRATION_TIMEOUT: Duration = "cluster.registration.max-timeout",
        default "30 s";

    /// Longest pause after a registration that fails.
    Effective ERROR_REGISTRATION_DELAY: Duration = "cluster.registration.error-delay",
        default "10 s";

    /// Pause after a registration that is refused.
    Effective REFUSED_REGISTRATION_DELAY: Duration = "cluster.registration.refused-registration-delay",
        default "30 s";

    /// Directories for temporary files, separated by commas or as in `PATH`. The first is the working
    /// directory of processes that have no other. Not set, the system's.
    Effective TMP_DIRS: Option<String> = "io.tmp.dirs", was ["taskmanager.tmp.dirs"];

    /// Working directory of processes.
    Effective PROCESS_WORKING_DIR_BASE: Option<String> = "process.working-dir";

    /// Working directory of TaskManagers.
    Effective TASK_MANAGER_PROCESS_WORKING_DIR_BASE: Option<String> =
        "process.taskmanager.working-dir", else ["process.working-dir"];

    /// Working directory of the JobManager.
    Effective JOB_MANAGER_PROCESS_WORKING_DIR_BASE: Option<String> =
        "process.jobmanager.working-dir", else ["process.working-dir"];

    /// Directory of what the hosts of jobs write to standard output and standard error. Not set,
    /// a part of the working directory of the process that has started them.
    Effective LOG_DIR: Option<String> = "env.log.dir";

    /// Full files that are kept of each output of a host.
    Effective LOG_MAX: u32 = "env.log.max", default "10";

    /// Port of the server that hands out programs. Blobs are read through the JobManager's port, so
    /// none is needed.
    Planned BLOB_SERVER_PORT: String = "blob.server.port", default "0";

    /// Directory of programs and other blobs; the JobManager finds those of an earlier process
    /// there. Not set, a part of the working directory, which goes with the process.
    Effective BLOB_STORAGE_DIRECTORY: Option<String> = "blob.storage.directory";

    /// Times that fetching a blob is tried again.
    Effective BLOB_FETCH_RETRIES: u32 = "blob.fetch.retries", default "5";

    /// Largest program or other blob.
    Effective BLOB_MAX_SIZE: MemorySize = "blob.max-size", default "2 gb";

    /// Most bytes of all blobs of the JobManager. Beyond it, those that no job uses are deleted,
    /// the oldest first; if that is not enough, uploads are refused.
    Effective BLOB_STORAGE_MAX_SIZE: MemorySize = "blob.storage.max-size", default "20 gb";

    /// Bytes of blobs on a TaskManager beyond which those that no host uses are deleted, the least
    /// recently used first.
    Effective BLOB_CACHE_MAX_SIZE: MemorySize = "blob.cache.max-size", default "10 gb";

    /// Scheme of paths that have none.
    Planned DEFAULT_FILESYSTEM_SCHEME: Option<String> = "fs.default-scheme";
}
