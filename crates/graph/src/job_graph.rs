//! The JobGraph: chains of operators as vertices, exchanged data sets between them. Plain data, the
//! form in which a job is submitted.

use std::collections::BTreeMap;

use hurtig_types::{
    BlobId, CheckpointConfig, EdgeId, GraphFingerprint, JobId, JobVertexId, OperatorId,
    RecoveryClaimMode, SideTag,
};
use serde::{Deserialize, Serialize};

use crate::{
    adaptive::AdaptiveConfig,
    transformation::{OperatorKind, ShipStrategy},
};

/// Where an output of a chained operator leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputTarget {
    /// To another operator of the chain, by position; always a later one.
    Chained {
        /// Position of the consumer in [`JobVertex::operators`].
        operator: usize,
        /// Which of its inputs (always 0: an operator with several inputs heads its chain).
        input_index: u32,
    },
    /// Out of the chain, to a data set of the vertex, by position in [`JobVertex::outputs`].
    DataSet(usize),
}

/// One output of a chained operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorOutput {
    /// The edge of the StreamGraph.
    pub edge: EdgeId,
    /// The side output that it reads, if not the main one.
    pub side_output: Option<SideTag>,
    /// Where it leads.
    pub target: OutputTarget,
}

/// One operator of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedOperator {
    /// Stable id.
    pub id: OperatorId,
    /// Name.
    pub name: String,
    /// The user's uid.
    pub uid: Option<String>,
    /// Role.
    pub kind: OperatorKind,
    /// It has a coordinator in the JobMaster.
    pub has_coordinator: bool,
    /// Outputs, in the order of edges.
    pub outputs: Vec<OperatorOutput>,
}

/// Which subtasks of a consumer read from which of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DistributionPattern {
    /// Each from all.
    AllToAll,
    /// Each from a share: forward and rescale.
    Pointwise,
}

/// What a vertex produces on one edge that leaves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntermediateDataSet {
    /// The edge; unique in the job.
    pub edge: EdgeId,
    /// The consuming vertex.
    pub consumer: JobVertexId,
    /// Partitioning.
    pub ship: ShipStrategy,
    /// Who reads from whom.
    pub pattern: DistributionPattern,
    /// Buffer timeout in milliseconds; -1 disables it.
    pub buffer_timeout_ms: i64,
}

/// What a vertex consumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEdge {
    /// The edge; unique in the job.
    pub edge: EdgeId,
    /// The producing vertex.
    pub producer: JobVertexId,
    /// Which input of the head operator it feeds.
    pub input_index: u32,
    /// Partitioning.
    pub ship: ShipStrategy,
    /// Who reads from whom.
    pub pattern: DistributionPattern,
}

/// A chain of operators that runs as one task per subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVertex {
    /// Equal to the id of the head operator.
    pub id: JobVertexId,
    /// Names of the operators, joined as in Flink: `a -> b -> (c, d)`.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Nobody has set that number for any operator of the chain: a snapshot that the job starts
    /// from may bring its own.
    pub max_parallelism_derived: bool,
    /// The most subtasks that an operator of the chain can have, if one has a limit of its own.
    pub max_allowed_parallelism: Option<u32>,
    /// Slot sharing group.
    pub slot_sharing_group: String,
    /// Co-location key.
    pub co_location_key: Option<String>,
    /// Runs on a thread of its own: one of its operators blocks.
    pub blocking: bool,
    /// The operators, head first, in topological order.
    pub operators: Vec<ChainedOperator>,
    /// Inputs, in the order of edges; empty for a source.
    pub inputs: Vec<JobEdge>,
    /// Outputs, in the order of edges.
    pub outputs: Vec<IntermediateDataSet>,
}

/// How a failed region is restarted; as Flink's `restart-strategy.type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RestartStrategyConfig {
    /// Never.
    None,
    /// At most `attempts` times, `delay_ms` apart.
    FixedDelay {
        /// Most restarts.
        attempts: u32,
        /// Milliseconds between a failure and the restart.
        delay_ms: u64,
    },
    /// With a growing delay.
    ExponentialDelay {
        /// First delay in milliseconds.
        initial_ms: u64,
        /// Largest delay in milliseconds.
        max_ms: u64,
        /// Factor of growth.
        multiplier: f64,
        /// The delay falls back to the first after this many milliseconds without a failure.
        reset_threshold_ms: u64,
        /// Share of the delay that is varied at random, 0 to 1.
        jitter: f64,
        /// Most restarts before a reset; `None` for no limit.
        max_attempts: Option<u32>,
    },
    /// As long as there are at most `max_failures` within `interval_ms`.
    FailureRate {
        /// Most failures in the interval.
        max_failures: u32,
        /// The interval in milliseconds.
        interval_ms: u64,
        /// Milliseconds between a failure and the restart.
        delay_ms: u64,
    },
}

/// Settings that belong to the job and travel with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobConfig {
    /// Restart strategy.
    pub restart_strategy: RestartStrategyConfig,
    /// Event-time progress is announced at this interval, in milliseconds.
    pub auto_watermark_interval_ms: u64,
    /// How long to wait for slots, in milliseconds.
    pub slot_request_timeout_ms: u64,
    /// Latency markers are emitted at this interval, in milliseconds; 0 for none.
    pub latency_interval_ms: u64,
    /// The user's own parameters, shown to people and to rich functions.
    pub global_parameters: BTreeMap<String, String>,
    /// Checkpoints.
    pub checkpoints: CheckpointConfig,
    /// `execution.checkpointing.dir`: directory of all jobs' checkpoints, as a URL; `None`: the
    /// JobManager's memory.
    pub checkpoint_directory: Option<String>,
    /// Checkpoint or savepoint to start from.
    pub restore_from: Option<RestoreFrom>,
    /// The binary that has the job's code; `None` if the code is in the processes themselves.
    pub program: Option<ProgramReference>,
    /// The distributed cache: files that every task can read, by the name that the program gave.
    pub cached_files: BTreeMap<String, CachedFile>,
    /// The job is elastic: its parallelism follows the slots that there are.
    pub adaptive: Option<AdaptiveConfig>,
    /// `taskmanager.load-balance.mode: TASKS`: TaskManagers are to have equal numbers of tasks.
    pub balance_tasks: bool,
    /// `slot.idle.timeout`: slots that the job has not used for so many milliseconds are returned.
    pub slot_idle_timeout_ms: u64,
}

/// Where a job's code comes from, and how the processes that run it start it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramReference {
    /// The binary.
    pub binary: BlobId,
    /// Its name, for people.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What the one who submitted it has configured, by key; the program sees it over the
    /// cluster's configuration.
    pub configuration: BTreeMap<String, String>,
    /// The files of the distributed cache, by name; their content is known.
    pub files: BTreeMap<String, CachedFile>,
    /// [`JobGraph::fingerprint`] of the graph that was submitted: a process in which the program
    /// builds another one must not run it.
    pub fingerprint: GraphFingerprint,
}

/// A file of the distributed cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedFile {
    /// The path that was registered: where the program was planned, the file was there.
    pub path: String,
    /// It may be executed.
    pub executable: bool,
    /// Its content, once the job is submitted to a cluster of processes.
    pub blob: Option<BlobId>,
}

/// What a job starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreFrom {
    /// Directory of the checkpoint or savepoint, or its metadata file.
    pub pointer: String,
    /// State that no operator wants is left out, instead of refusing to start.
    pub allow_non_restored_state: bool,
    /// Who owns its files.
    pub claim_mode: RecoveryClaimMode,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            restart_strategy: RestartStrategyConfig::None,
            auto_watermark_interval_ms: 200,
            slot_request_timeout_ms: 300_000,
            latency_interval_ms: 0,
            global_parameters: BTreeMap::new(),
            checkpoints: CheckpointConfig::default(),
            checkpoint_directory: None,
            restore_from: None,
            program: None,
            cached_files: BTreeMap::new(),
            adaptive: None,
            balance_tasks: false,
            slot_idle_timeout_ms: 50_000,
        }
    }
}

/// A job, ready to be scheduled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobGraph {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// Vertices in topological order, sources first.
    pub vertices: Vec<JobVertex>,
    /// Settings.
    pub config: JobConfig,
}
