//! The jobs of a session: in an embedded cluster, or on another one.

use std::{fmt, sync::Arc, time::Duration};

use hurtig::{JobClient, JobStatus, TerminateKind, raw::RawCollector};
use hurtig_sql_parser::Span;
use hurtig_types::{JobId, OperatorId};

use super::{Session, StatementResult, TextRow, program::SqlProgram};
use crate::SqlError;

/// A cluster that runs the jobs of a session.
///
/// The calls wait for its answer.
pub trait SqlCluster: fmt::Debug + Send + Sync {
    /// Submits a job whose code [`run_program`](crate::run_program) is.
    ///
    /// # Errors
    /// If it is refused.
    fn submit(&self, program: &SqlProgram) -> Result<JobId, ClusterError>;

    /// The jobs that it knows: id, name and state.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn jobs(&self) -> Result<Vec<(String, String, String)>, ClusterError>;

    /// The state of a job.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn status(&self, job: JobId) -> Result<JobStatus, ClusterError>;

    /// Starts to cancel a job; one that has ended stays as it is.
    ///
    /// # Errors
    /// If it cannot be asked.
    fn cancel(&self, job: JobId) -> Result<(), ClusterError>;

    /// Stops a job with a savepoint, and returns where that is. Without a directory the cluster's.
    ///
    /// # Errors
    /// If it fails.
    fn stop_with_savepoint(
        &self,
        job: JobId,
        directory: Option<&str>,
        kind: TerminateKind,
    ) -> Result<String, ClusterError>;

    /// Waits for a job's end.
    ///
    /// # Errors
    /// If it fails or is cancelled.
    fn wait(&self, job: JobId) -> Result<(), ClusterError>;

    /// What the sink that collects rows has, when it has some or `patience` has ended; `None` at the
    /// end of the job.
    ///
    /// # Errors
    /// If the job has failed, or cannot be asked.
    fn collect(
        &self,
        job: JobId,
        operator: OperatorId,
        patience: Duration,
    ) -> Result<Option<Vec<Vec<u8>>>, ClusterError>;
}

/// Why a cluster has not done what was asked. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClusterError(pub String);

/// The job of a statement.
#[derive(Clone)]
pub struct SqlJob {
    name: String,
    handle: Handle,
}

#[derive(Clone)]
enum Handle {
    Embedded(JobClient),
    Cluster { job: JobId, cluster: Arc<dyn SqlCluster> },
}

impl SqlJob {
    pub(super) fn embedded(name: String, client: JobClient) -> Self {
        Self { name, handle: Handle::Embedded(client) }
    }

    pub(super) fn on_cluster(name: String, job: JobId, cluster: Arc<dyn SqlCluster>) -> Self {
        Self { name, handle: Handle::Cluster { job, cluster } }
    }

    /// The client of a job in an embedded cluster.
    #[must_use]
    pub fn client(&self) -> Option<&JobClient> {
        match &self.handle {
            Handle::Embedded(client) => Some(client),
            Handle::Cluster { .. } => None,
        }
    }

    /// The job's id.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        match &self.handle {
            Handle::Embedded(client) => client.job_id(),
            Handle::Cluster { job, .. } => *job,
        }
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state.
    ///
    /// # Errors
    /// If the cluster cannot be asked.
    pub fn status(&self) -> Result<JobStatus, SqlError> {
        match &self.handle {
            Handle::Embedded(client) => Ok(client.status()?),
            Handle::Cluster { job, cluster } => Ok(cluster.status(*job)?),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it fails.
    pub fn wait(&self) -> Result<(), SqlError> {
        match &self.handle {
            Handle::Embedded(client) => {
                client.wait()?;
            }
            Handle::Cluster { job, cluster } => cluster.wait(*job)?,
        }
        Ok(())
    }

    /// Starts to cancel it.
    ///
    /// # Errors
    /// If the cluster cannot be asked.
    pub fn cancel(&self) -> Result<(), SqlError> {
        match &self.handle {
            Handle::Embedded(client) => Ok(client.cancel()?),
            Handle::Cluster { job, cluster } => Ok(cluster.cancel(*job)?),
        }
    }

    /// Stops it with a savepoint beneath a directory, and returns where that is.
    ///
    /// # Errors
    /// If it fails.
    pub fn stop_with_savepoint(
        &self,
        directory: &str,
        kind: TerminateKind,
    ) -> Result<String, SqlError> {
        match &self.handle {
            Handle::Embedded(client) => Ok(client.stop_with_savepoint(directory, kind)?),
            Handle::Cluster { job, cluster } => {
                Ok(cluster.stop_with_savepoint(*job, Some(directory), kind)?)
            }
        }
    }
}

/// Where the rows of a query come from.
pub(super) enum RowCollector {
    Embedded(RawCollector),
    Cluster { job: SqlJob, operator: OperatorId, ended: bool },
}

impl RowCollector {
    pub(super) fn next(&mut self, patience: Duration) -> Result<Option<Vec<Vec<u8>>>, SqlError> {
        match self {
            Self::Embedded(collector) => Ok(collector.next(patience)?),
            Self::Cluster { ended: true, .. } => Ok(None),
            Self::Cluster { job, operator, ended } => {
                let Handle::Cluster { job, cluster } = &job.handle else { return Ok(None) };
                let found = cluster.collect(*job, *operator, patience)?;
                *ended = found.is_none();
                Ok(found)
            }
        }
    }
}

/// Jobs that a session remembers, for SHOW JOBS and STOP JOB; the oldest are forgotten first.
const JOBS: usize = 1000;

impl Session {
    pub(super) fn remember(&mut self, job: SqlJob) {
        if self.jobs.len() == JOBS {
            self.jobs.remove(0);
        }
        self.jobs.push(job);
    }

    /// SHOW JOBS: those of the cluster, or with embedded ones those of the session.
    pub(super) fn show_jobs(&self) -> Result<StatementResult, SqlError> {
        let columns = ["job id", "job name", "status"].map(str::to_owned).to_vec();
        let rows = match &self.cluster {
            Some(cluster) => {
                let row = |(id, name, status)| vec![Some(id), Some(name), Some(status)];
                cluster.jobs()?.into_iter().map(row).collect()
            }
            None => {
                let row = |job: &SqlJob| -> Result<TextRow, SqlError> {
                    let status = format!("{:?}", job.status()?).to_uppercase();
                    Ok(vec![Some(job.job_id().to_string()), Some(job.name.clone()), Some(status)])
                };
                self.jobs.iter().map(row).collect::<Result<_, _>>()?
            }
        };
        Ok(StatementResult::Rows { columns, rows })
    }

    /// STOP JOB.
    pub(super) fn stop_job(
        &self,
        id: &str,
        savepoint: bool,
        drain: bool,
        span: Span,
    ) -> Result<StatementResult, SqlError> {
        let known = self.jobs.iter().find(|job| job.job_id().to_string() == id).cloned();
        let job = match (&self.cluster, known) {
            (_, Some(job)) => job,
            (Some(cluster), None) => {
                let job = id.parse().map_err(|error: hurtig_types::ParseIdError| {
                    SqlError::invalid(error.to_string(), Some(span))
                })?;
                SqlJob::on_cluster(String::new(), job, cluster.clone())
            }
            (None, None) => {
                return Err(SqlError::invalid(format!("this session has no job {id}"), Some(span)));
            }
        };
        if !savepoint {
            job.cancel()?;
            return Ok(StatementResult::Done);
        }
        let kind = if drain { TerminateKind::Drain } else { TerminateKind::Suspend };
        let directory = self.settings.get("execution.checkpointing.savepoint-dir");
        let path = match (&job.handle, directory) {
            (_, Some(directory)) => job.stop_with_savepoint(directory, kind)?,
            // The cluster may have one of its own.
            (Handle::Cluster { job, cluster }, None) => {
                cluster.stop_with_savepoint(*job, None, kind)?
            }
            (Handle::Embedded(_), None) => {
                let text = "execution.checkpointing.savepoint-dir is not set";
                return Err(SqlError::invalid(text, Some(span)));
            }
        };
        let columns = vec!["savepoint path".to_owned()];
        Ok(StatementResult::Rows { columns, rows: vec![vec![Some(path)]] })
    }
}
