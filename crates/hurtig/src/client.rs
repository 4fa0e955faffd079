//! A client's hold on a job that runs.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use hurtig_cluster_api::{
    CheckpointStatsSnapshot, DispatcherGateway, JobDetails, JobStatus, VertexBackPressure,
};
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_minicluster::MiniCluster;
use hurtig_types::{JobId, JobVertexId, SavepointFormat, TerminateKind};

use crate::{
    ExecuteError, JobExecutionResult, StreamExecutionEnvironment,
    execution::{finished, start_cluster},
    progress,
};

/// A submitted job. Its embedded cluster ends with the last clone of the client.
///
/// The calls wait for the cluster's answer; they must not be made on a thread of an asynchronous
/// executor.
#[derive(Clone)]
pub struct JobClient {
    job: JobId,
    cluster: Arc<MiniCluster>,
    show_progress: bool,
}

impl JobClient {
    pub(crate) fn submit(
        env: &StreamExecutionEnvironment,
        job_name: &str,
    ) -> Result<Self, ExecuteError> {
        #[cfg(feature = "cluster")]
        crate::host::become_host(env, job_name)?;
        let (graph, program) = env.build(job_name)?;
        let settings = env.settings.lock().clone();
        let cluster = Arc::new(start_cluster(&settings, &graph)?);
        let client = Self { job: graph.job_id, cluster, show_progress: settings.show_progress };
        client.ask(client.cluster.submit(graph, program.into()))?;
        Ok(client)
    }

    fn ask<T, E>(&self, question: impl Future<Output = Result<T, E>>) -> Result<T, ExecuteError>
    where
        ExecuteError: From<E>,
    {
        Ok(self.cluster.runtimes().control.block_on(question)?)
    }

    /// The job.
    pub fn job_id(&self) -> JobId {
        self.job
    }

    /// The cluster that runs the job.
    pub fn cluster(&self) -> &MiniCluster {
        &self.cluster
    }

    /// Its state.
    pub fn status(&self) -> Result<JobStatus, ExecuteError> {
        self.ask(self.cluster.dispatcher().job_status(self.job))
    }

    /// Its vertices, subtasks and metrics.
    pub fn details(&self) -> Result<JobDetails, ExecuteError> {
        self.ask(self.cluster.dispatcher().job_details(self.job))
    }

    /// Its accumulators as of now.
    pub fn accumulators(&self) -> Result<BTreeMap<String, AccumulatorValue>, ExecuteError> {
        self.ask(self.cluster.dispatcher().accumulators(self.job))
    }

    /// Starts to cancel the job; [`JobClient::wait`] tells when it has ended.
    pub fn cancel(&self) -> Result<(), ExecuteError> {
        self.ask(self.cluster.dispatcher().cancel_job(self.job))
    }

    /// Takes a checkpoint now, and returns the URL of its directory.
    pub fn trigger_checkpoint(&self) -> Result<String, ExecuteError> {
        self.ask(self.cluster.dispatcher().trigger_checkpoint(self.job, false))
    }

    /// Takes a canonical savepoint beneath a directory (a URL), and returns the URL of its own.
    pub fn trigger_savepoint(&self, directory: &str) -> Result<String, ExecuteError> {
        self.trigger_savepoint_with(directory, SavepointFormat::Canonical)
    }

    /// Takes a savepoint of a format beneath a directory (a URL), and returns the URL of its own.
    pub fn trigger_savepoint_with(
        &self,
        directory: &str,
        format: SavepointFormat,
    ) -> Result<String, ExecuteError> {
        let directory = directory.to_owned();
        self.ask(self.cluster.dispatcher().trigger_savepoint(self.job, directory, format))
    }

    /// Takes a canonical savepoint beneath a directory (a URL) and stops the job with it: nothing is
    /// processed after it, and what sinks have prepared becomes visible. Returns its URL once the
    /// job has finished.
    ///
    /// To [suspend](TerminateKind::Suspend) leaves the job where it is, to be resumed. To
    /// [drain](TerminateKind::Drain) ends its input first, so that all windows and timers fire.
    pub fn stop_with_savepoint(
        &self,
        directory: &str,
        kind: TerminateKind,
    ) -> Result<String, ExecuteError> {
        self.stop_with_savepoint_in(directory, SavepointFormat::Canonical, kind)
    }

    /// [`JobClient::stop_with_savepoint`] with a savepoint of that format.
    pub fn stop_with_savepoint_in(
        &self,
        directory: &str,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> Result<String, ExecuteError> {
        let (dispatcher, directory) = (self.cluster.dispatcher(), directory.to_owned());
        self.ask(dispatcher.stop_with_savepoint(self.job, directory, format, kind))
    }

    /// What is known of its checkpoints: counts, the latest of each kind, a history with what each
    /// subtask has measured.
    pub fn checkpoint_stats(&self) -> Result<CheckpointStatsSnapshot, ExecuteError> {
        self.ask(self.cluster.dispatcher().checkpoint_stats(self.job))
    }

    /// Metrics of the job that a query asks for, in its JobMaster and its tasks, as they are now.
    pub fn metrics(&self, query: MetricsQuery) -> Result<MetricsSnapshot, ExecuteError> {
        let query = query.with("job_id", self.job);
        self.ask(self.cluster.dispatcher().query_metrics(query))
    }

    /// How much a vertex is held up by those behind it; `None` if none of its subtasks runs.
    pub fn back_pressure(
        &self,
        vertex: JobVertexId,
    ) -> Result<Option<VertexBackPressure>, ExecuteError> {
        let metrics = self.metrics(VertexBackPressure::query(self.job, vertex))?;
        Ok(VertexBackPressure::of(&metrics))
    }

    /// Ends one TaskExecutor as if its process had gone. For tests of failover.
    pub fn stop_task_executor(&self, index: usize) {
        self.cluster.runtimes().control.block_on(self.cluster.stop_task_executor(index));
    }

    /// Waits for the job's end.
    ///
    /// # Errors
    /// If the job fails or is cancelled.
    pub fn wait(&self) -> Result<JobExecutionResult, ExecuteError> {
        let result = self.ask(async {
            if self.show_progress {
                progress::follow(self.cluster.dispatcher(), self.job).await
            } else {
                self.cluster.result(self.job).await
            }
        })?;
        if self.show_progress {
            progress::report(&result);
        }
        finished(result)
    }
}
