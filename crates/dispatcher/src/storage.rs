//! Where the Dispatcher keeps jobs and results, so that another can go on with them.
//!
//! Calls are made again until there is a certain answer: what must be written waits while the
//! service of high availability cannot be reached. The only other end is that another Dispatcher
//! leads.

use std::{pin::Pin, sync::Arc, time::Duration};

use hurtig_cluster_api::{
    CheckpointRegister, FailureClass, FailureInfo, FencingToken, JobMasterLauncher, JobResult,
    JobStatus, RpcError,
};
use hurtig_graph::JobGraph;
use hurtig_high_availability::{
    HighAvailabilityError, HighAvailabilityServices, StoredJob, SubmittedJob,
};
use hurtig_types::{JobId, codec};

/// Pause before the service is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the deletion of a job's files is tried; what is left then stays.
const CLEAN_UPS: u32 = 20;
/// How often the deletion of what tasks have written behind the job's end is tried.
const LATE_CLEAN_UPS: u32 = 5;
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Another Dispatcher leads.
#[derive(Debug)]
pub(crate) struct Superseded;

/// The stores of one leader. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct JobStorage {
    pub(crate) services: HighAvailabilityServices,
    pub(crate) leader: FencingToken,
}

/// A job that an earlier leader has left.
pub(crate) enum LeftJob {
    Submitted(JobGraph),
    /// It has ended, and is to be cleaned up.
    Ended(Option<JobGraph>, JobResult),
    /// It must fail.
    Damaged(JobId, String),
}

/// The files of a job that has ended are deleted.
pub(crate) struct Retired {
    /// How many JobMasters it has had.
    pub(crate) job_masters: u32,
    /// Files (URLs) that stay.
    pub(crate) kept: Vec<String>,
}

type Answer<T> = Result<T, HighAvailabilityError>;
type Calling<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

async fn certain<'a, T>(
    action: &str,
    mut call: impl FnMut() -> Calling<'a, T> + Send,
) -> Result<Answer<T>, Superseded> {
    loop {
        match call().await {
            Err(error) if error.is_uncertain() => {
                tracing::warn!(action, error = %error, "no certain answer, trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) if error.is_fenced() => {
                tracing::info!(action, error = %error, "another Dispatcher leads");
                return Err(Superseded);
            }
            answer => return Ok(answer),
        }
    }
}

impl JobStorage {
    /// Stores a job; the error is for its user.
    pub(crate) async fn put(&self, graph: &JobGraph) -> Result<Result<(), String>, Superseded> {
        let bytes = match codec::encode(graph) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(format!("the JobGraph cannot be stored: {error}"))),
        };
        let submitted = SubmittedJob { job: graph.job_id, graph: bytes.into() };
        let store = self.services.job_graph_store(self.leader);
        let mut tries = 0;
        let stored = certain("store a job", || {
            tries += 1;
            Box::pin(store.put(&submitted))
        });
        Ok(match stored.await? {
            // An earlier try, whose answer was lost, has stored it.
            Err(HighAvailabilityError::JobExists { .. }) if tries > 1 => Ok(()),
            answer => answer.map_err(|error| error.to_string()),
        })
    }

    /// All jobs that earlier leaders have left.
    pub(crate) async fn recover(&self) -> Result<Vec<LeftJob>, Superseded> {
        let graphs = self.services.job_graph_store(self.leader);
        let stored = loop {
            match certain("recover jobs", || Box::pin(graphs.recover())).await? {
                Ok(stored) => break stored,
                Err(error) => {
                    // A person must look; without knowing which jobs there are nobody can lead.
                    tracing::error!(error = %error, "jobs cannot be recovered");
                    tokio::time::sleep(RETRY * 10).await;
                }
            }
        };
        let mut left = Vec::new();
        for job in stored {
            left.push(match job {
                StoredJob::Submitted(SubmittedJob { job, graph }) => match codec::decode(&graph) {
                    Ok(graph) => LeftJob::Submitted(graph),
                    Err(error) => LeftJob::Damaged(job, format!("its JobGraph: {error}")),
                },
                StoredJob::Damaged { job, problem } => LeftJob::Damaged(job, problem),
                StoredJob::Dirty(job) => match self.ended(job).await? {
                    Some((graph, result)) => LeftJob::Ended(graph, result),
                    None => continue,
                },
            });
        }
        Ok(left)
    }

    async fn ended(&self, job: JobId) -> Result<Option<(Option<JobGraph>, JobResult)>, Superseded> {
        let graphs = self.services.job_graph_store(self.leader);
        let Some(result) = self.result(job).await? else { return Ok(None) };
        let graph = certain("read a job", || Box::pin(graphs.get(job))).await?;
        let graph = graph.ok().flatten().and_then(|stored| codec::decode(&stored.graph).ok());
        Ok(Some((graph, result)))
    }

    /// How a job has ended, if it is known.
    pub(crate) async fn result(&self, job: JobId) -> Result<Option<JobResult>, Superseded> {
        let results = self.services.job_result_store(self.leader);
        let read = certain("read a result", || Box::pin(results.get(job))).await?;
        Ok(read.unwrap_or_else(|error| {
            tracing::error!(job_id = %job, error = %error, "a result cannot be read");
            None
        }))
    }

    /// Stores how a job has ended; returns the result that counts, which is the first.
    pub(crate) async fn end(&self, result: JobResult) -> Result<JobResult, Superseded> {
        let results = self.services.job_result_store(self.leader);
        let job = result.job_id;
        let stored = certain("store a result", || Box::pin(results.create_dirty(&result)));
        match stored.await? {
            Ok(()) => Ok(result),
            Err(HighAvailabilityError::JobEnded { .. }) => {
                Ok(self.result(job).await?.unwrap_or(result))
            }
            Err(error) => {
                tracing::error!(job_id = %job, error = %error, "a result could not be stored");
                Ok(result)
            }
        }
    }

    /// The register of a job's checkpoints for the JobMaster of that token.
    pub(crate) fn register(&self, job: JobId, token: FencingToken) -> Arc<dyn CheckpointRegister> {
        Arc::new(self.services.completed_checkpoints(job, token))
    }

    /// Deletes the files that a job has left, but those that are to stay. `token` is above those of
    /// all its JobMasters. If files cannot be deleted it is tried again for some time; nobody waits
    /// for that, so `after_first` is called behind the first try.
    pub(crate) async fn clean_up<F: Future<Output = ()>>(
        &self,
        graph: Option<&JobGraph>,
        (job, status): (JobId, JobStatus),
        token: FencingToken,
        launcher: &dyn JobMasterLauncher,
        after_first: impl FnOnce() -> F,
    ) -> Result<Option<Retired>, Superseded> {
        let mut cleaned = None;
        let register = self.services.completed_checkpoints(job, token);
        let left = certain("take a register over", || Box::pin(register.recover())).await?;
        if let Err(error) = &left {
            // Without it nobody knows what is to be kept. If it is gone, this was done before.
            tracing::debug!(job_id = %job, error = %error, "no register, so no file is deleted");
        }
        let mut after_first = Some(after_first);
        if let (Some(graph), Ok(left)) = (graph, left) {
            let mut pause = RETRY;
            for tries_left in (0..CLEAN_UPS).rev() {
                let retired = launcher.retire(graph, status, left.completed.clone()).await;
                if let Some(told) = after_first.take() {
                    told().await;
                }
                match retired {
                    Ok(kept) => {
                        // The last of them is this one.
                        let job_masters = left.job_masters.saturating_sub(1);
                        cleaned = Some(Retired { job_masters, kept });
                        break;
                    }
                    Err(error) if tries_left == 0 => {
                        tracing::warn!(job_id = %job, %error, "files of the job are left behind");
                    }
                    Err(_) => tokio::time::sleep(pause).await,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        if let Some(told) = after_first.take() {
            told().await;
        }
        Ok(cleaned)
    }

    /// Deletes what tasks that outlived their JobMaster have written since [`Self::clean_up`].
    pub(crate) async fn clean_up_late(
        &self,
        graph: &JobGraph,
        retired: &Retired,
        launcher: &dyn JobMasterLauncher,
    ) {
        for _ in 0..LATE_CLEAN_UPS {
            match launcher.retire_late(graph, &retired.kept).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::info!(job_id = %graph.job_id, %error, "late files are there still");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Deletes the records of a job that has ended, but its result.
    pub(crate) async fn forget(&self, job: JobId) -> Result<(), Superseded> {
        let clean = certain("clean up", || Box::pin(self.services.clean_up_job(job, self.leader)));
        if let Err(error) = clean.await? {
            tracing::error!(job_id = %job, error = %error, "records of the job are left behind");
        }
        Ok(())
    }
}

/// The result of a job whose JobMaster could give none.
pub(crate) fn failed(job: JobId, name: &str, reason: String, now_ms: i64) -> JobResult {
    JobResult {
        job_id: job,
        name: name.to_owned(),
        status: JobStatus::Failed,
        failure: Some(FailureInfo {
            class: FailureClass::Internal,
            message: reason,
            task: None,
            timestamp_ms: now_ms,
        }),
        accumulators: std::collections::BTreeMap::new(),
        run_time_ms: 0,
        end_time_ms: now_ms,
        restarts: 0,
        vertices: Vec::new(),
    }
}

pub(crate) fn unknown(job: JobId) -> RpcError {
    RpcError::NotFound(format!("there is no job {job}"))
}
