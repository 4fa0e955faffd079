//! Jobs that have ended under earlier leaders, as far as lists show them.
//!
//! Their results are in the storage of high availability, one blob each. They are read once, when
//! somebody asks for a list for the first time: what ends from then on the Dispatcher knows itself.
//! Whoever asks meanwhile waits for it, but not for long: a storage that cannot be reached makes a
//! list shorter, and the next one tries again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use hurtig_cluster_api::{
    CheckpointStatsCounts, ExceptionHistoryEntry, ExecutionState, JobDetails, JobOverview,
    JobResult, JobStatus, RootExceptionHistoryEntry,
};
use hurtig_graph::{JobConfig, JobGraph};
use hurtig_types::JobId;
use tokio::sync::oneshot;

use crate::{actor::View, storage::JobStorage};

/// Most results that are read; of these the newest are shown.
const MOST_READ: usize = 4_096;
/// Requests to the storage at once.
const READS_AT_ONCE: usize = 16;
/// Those who ask wait no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that may wait.
const MOST_WAITERS: usize = 1_024;

type Reply = oneshot::Sender<Vec<View>>;

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Reading,
    Known,
}

/// What is known of them.
#[derive(Default)]
pub(crate) struct EarlierJobs {
    state: State,
    results: BTreeMap<JobId, Arc<JobResult>>,
    waiters: Vec<Reply>,
}

impl EarlierJobs {
    /// Somebody asks for a list: gives the answer back if it can be given now, and tells whether the
    /// storage is to be read.
    pub(crate) fn ask(&mut self, reply: Reply) -> (Option<Reply>, bool) {
        if matches!(self.state, State::Known) {
            return (Some(reply), false);
        }
        let reads = matches!(std::mem::replace(&mut self.state, State::Reading), State::Unknown);
        self.waiters.retain(|waiter| !waiter.is_closed());
        if self.waiters.len() >= MOST_WAITERS {
            return (Some(reply), reads);
        }
        self.waiters.push(reply);
        (None, reads)
    }

    /// The storage was read, if it could be. Gives those back who wait for it.
    pub(crate) fn on_read(&mut self, results: Option<Vec<JobResult>>) -> Vec<Reply> {
        self.state = if results.is_some() { State::Known } else { State::Unknown };
        for result in results.into_iter().flatten() {
            self.results.insert(result.job_id, Arc::new(result));
        }
        std::mem::take(&mut self.waiters)
    }

    pub(crate) fn get(&self, job: JobId) -> Option<&Arc<JobResult>> {
        self.results.get(&job)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<JobResult>> {
        self.results.values()
    }
}

impl JobStorage {
    /// The newest results of jobs that are cleaned up, at most so many; `None` if they cannot be read
    /// now.
    pub(crate) async fn earlier(&self, most: usize) -> Option<Vec<JobResult>> {
        let results = self.services.job_result_store(self.leader);
        let read = async {
            let jobs = results.clean(MOST_READ).await?;
            let reads = jobs.into_iter().map(|job| results.get(job));
            let reads = futures::stream::iter(reads).buffer_unordered(READS_AT_ONCE);
            Ok(reads.collect::<Vec<_>>().await)
        };
        let read: Result<_, hurtig_high_availability::HighAvailabilityError> =
            tokio::time::timeout(PATIENCE, read).await.ok()?;
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "results of earlier jobs cannot be listed");
                return None;
            }
        };
        // One that is damaged does not hide the others.
        let mut known: Vec<JobResult> = read.into_iter().filter_map(|r| r.ok().flatten()).collect();
        known.sort_by_key(|result| std::cmp::Reverse(result.end_time_ms));
        known.truncate(most);
        Some(known)
    }
}

/// The line of a list for a job of which only the result is known.
pub(crate) fn overview(result: &JobResult) -> JobOverview {
    let run_time_ms = i64::try_from(result.run_time_ms).unwrap_or(i64::MAX);
    let mut tasks: BTreeMap<ExecutionState, u32> = BTreeMap::new();
    for (state, count) in result.vertices.iter().flat_map(|vertex| &vertex.states) {
        *tasks.entry(*state).or_default() += count;
    }
    JobOverview {
        job_id: result.job_id,
        name: result.name.clone(),
        status: result.status,
        start_time_ms: result.end_time_ms.saturating_sub(run_time_ms),
        end_time_ms: Some(result.end_time_ms),
        last_modification_ms: result.end_time_ms,
        tasks,
    }
}

/// The same job in detail: as it ended, without its graph and what came before.
pub(crate) fn details(result: &JobResult) -> JobDetails {
    let overview = overview(result);
    let failures: Vec<_> = result.failure.iter().cloned().collect();
    let exception = |failure: &hurtig_cluster_api::FailureInfo| RootExceptionHistoryEntry {
        root: ExceptionHistoryEntry { failure: failure.clone(), location: None },
        concurrent: Vec::new(),
    };
    JobDetails {
        vertices: result.vertices.clone(),
        transitions: vec![
            (JobStatus::Created, overview.start_time_ms),
            (result.status, result.end_time_ms),
        ],
        exceptions: failures.iter().map(exception).collect(),
        failures,
        earlier_attempts: BTreeMap::new(),
        restarts: result.restarts,
        checkpoints: CheckpointStatsCounts::default(),
        graph: JobGraph {
            job_id: result.job_id,
            name: result.name.clone(),
            vertices: Vec::new(),
            config: JobConfig::default(),
        },
        overview,
    }
}
