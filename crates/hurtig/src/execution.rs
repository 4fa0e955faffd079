//! How a job is executed and how it can end.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hurtig_cluster_api::{FailureInfo, JobResult, JobStatus, RpcError, VertexDetails};
use hurtig_filesystem::set_process_options;
use hurtig_graph::{GraphError, JobGraph};
use hurtig_metrics::AccumulatorValue;
use hurtig_minicluster::{MiniCluster, MiniClusterError};
use hurtig_types::JobId;

use crate::environment::Settings;

/// Why a job has not ended well.
///
/// `Debug` reads like `Display`, because it is what a `main` that returns the error shows.
#[derive(thiserror::Error)]
pub enum ExecuteError {
    /// The program was put together wrongly.
    #[error("{0}")]
    Program(String),
    /// The program cannot become a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The embedded cluster cannot start.
    #[error(transparent)]
    Cluster(#[from] MiniClusterError),
    /// A role did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The job failed.
    #[error("job {name:?} failed: {failure}")]
    JobFailed {
        /// The job's name.
        name: String,
        /// Why.
        failure: FailureInfo,
    },
    /// The job was cancelled.
    #[error("job {name:?} was cancelled")]
    JobCanceled {
        /// The job's name.
        name: String,
    },
    /// The process is a host of a cluster, and cannot do what it was started for.
    #[error("{0}")]
    Host(String),
    /// Collected records cannot be read.
    #[error("cannot read the collected records: {0}")]
    Collect(String),
}

impl fmt::Debug for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobExecutionResult {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// From submission to the end.
    pub run_time: Duration,
    /// The user's accumulators, merged over all subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// Number of restarts.
    pub restarts: u32,
    /// What each vertex read and wrote.
    pub vertices: Vec<VertexDetails>,
}

impl JobExecutionResult {
    /// An accumulator that counts integers.
    pub fn counter(&self, name: &str) -> Option<i64> {
        match self.accumulators.get(name)? {
            AccumulatorValue::Long(n) => Some(*n),
            _ => None,
        }
    }
}

/// An id that no other job has.
#[allow(clippy::disallowed_methods)] // ids must differ between processes and runs
pub(crate) fn fresh_job_id() -> JobId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let text = format!("{now}:{}:{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    JobId::from_bytes_hash(text.as_bytes())
}

/// Number of slots that a job needs.
fn slots_needed(graph: &JobGraph) -> u32 {
    let mut widest: BTreeMap<&str, u32> = BTreeMap::new();
    for vertex in &graph.vertices {
        let slots = widest.entry(&vertex.slot_sharing_group).or_default();
        *slots = (*slots).max(vertex.parallelism);
    }
    widest.values().sum()
}

pub(crate) fn start_cluster(
    settings: &Settings,
    graph: &JobGraph,
) -> Result<MiniCluster, MiniClusterError> {
    let executors = settings.task_executors.max(1);
    let enough = slots_needed(graph).div_ceil(executors);
    let mut config = settings.cluster.clone();
    if !settings.object_stores.is_empty() {
        set_process_options(settings.object_stores.clone());
    }
    config.task_executors = executors;
    config.slots_per_task_executor = settings.slots.unwrap_or(enough);
    MiniCluster::start(config)
}

pub(crate) fn finished(result: JobResult) -> Result<JobExecutionResult, ExecuteError> {
    match (result.status, result.failure) {
        (JobStatus::Finished, _) => Ok(JobExecutionResult {
            job_id: result.job_id,
            name: result.name,
            run_time: Duration::from_millis(result.run_time_ms),
            accumulators: result.accumulators,
            restarts: result.restarts,
            vertices: result.vertices,
        }),
        (_, Some(failure)) => Err(ExecuteError::JobFailed { name: result.name, failure }),
        (_, None) => Err(ExecuteError::JobCanceled { name: result.name }),
    }
}
