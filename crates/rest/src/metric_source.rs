//! Where the metrics come from that REST serves as `(id, value)`.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use hurtig_cluster_api::{DispatcherGateway, JobDetails, RpcResult, TaskIoMetrics};
use hurtig_metrics::names;
use hurtig_types::{JobId, JobVertexId, ResourceId};

/// Values by id; a value is a number or another short text, as in Flink's answers.
pub type MetricValues = BTreeMap<String, String>;

/// All metrics of a cluster, by what they are of. Ids are Flink's: the metric's name, of operators
/// with the operator's name before it.
#[async_trait]
pub trait MetricSource: Send + Sync {
    /// Of the JobManager.
    async fn job_manager(&self) -> RpcResult<MetricValues>;
    /// Of all TaskManagers, or of one.
    async fn task_managers(
        &self,
        only: Option<ResourceId>,
    ) -> RpcResult<BTreeMap<ResourceId, MetricValues>>;
    /// Of a job as a whole.
    async fn job(&self, job: JobId) -> RpcResult<MetricValues>;
    /// Of each subtask of a vertex.
    async fn subtasks(
        &self,
        job: JobId,
        vertex: JobVertexId,
    ) -> RpcResult<BTreeMap<u32, MetricValues>>;
}

/// What every cluster can tell: the counters that tasks report with their heartbeats, the state of
/// jobs, and the slots.
pub struct TaskIoMetricSource {
    dispatcher: Arc<dyn DispatcherGateway>,
}

impl TaskIoMetricSource {
    /// Asks that Dispatcher.
    pub fn new(dispatcher: Arc<dyn DispatcherGateway>) -> Self {
        Self { dispatcher }
    }
}

/// The counters of a task under Flink's ids.
pub(crate) fn io_values(metrics: &TaskIoMetrics) -> MetricValues {
    let mut values: MetricValues = [
        (names::NUM_RECORDS_IN, metrics.records_in),
        (names::NUM_RECORDS_OUT, metrics.records_out),
        (names::NUM_BYTES_IN, metrics.bytes_in),
        (names::NUM_BYTES_OUT, metrics.bytes_out),
        ("accumulateBusyTimeMs", metrics.busy_ms),
        ("accumulateIdleTimeMs", metrics.idle_ms),
        ("accumulateBackPressuredTimeMs", metrics.back_pressured_ms),
    ]
    .map(|(id, value)| (id.to_owned(), value.to_string()))
    .into();
    if let Some(watermark) = metrics.watermark {
        values.insert(names::CURRENT_INPUT_WATERMARK.to_owned(), watermark.to_string());
    }
    values
}

fn job_values(details: &JobDetails) -> MetricValues {
    let counts = &details.checkpoints;
    [
        ("numRestarts", u64::from(details.restarts)),
        ("fullRestarts", u64::from(details.restarts)),
        ("totalNumberOfCheckpoints", counts.total),
        ("numberOfInProgressCheckpoints", counts.in_progress),
        ("numberOfCompletedCheckpoints", counts.completed),
        ("numberOfFailedCheckpoints", counts.failed),
    ]
    .map(|(id, value)| (id.to_owned(), value.to_string()))
    .into()
}

#[async_trait]
impl MetricSource for TaskIoMetricSource {
    async fn job_manager(&self) -> RpcResult<MetricValues> {
        let executors = self.dispatcher.task_executors().await?;
        let jobs = self.dispatcher.list_jobs().await?;
        let running = jobs.iter().filter(|job| !job.status.is_globally_terminal()).count();
        let slots: u32 = executors.iter().map(|executor| executor.slots).sum();
        let free: u32 = executors.iter().map(|executor| executor.free_slots).sum();
        Ok([
            ("numRegisteredTaskManagers", executors.len() as u64),
            ("taskSlotsTotal", slots.into()),
            ("taskSlotsAvailable", free.into()),
            ("numRunningJobs", running as u64),
        ]
        .map(|(id, value)| (id.to_owned(), value.to_string()))
        .into())
    }

    async fn task_managers(
        &self,
        only: Option<ResourceId>,
    ) -> RpcResult<BTreeMap<ResourceId, MetricValues>> {
        let mut executors = self.dispatcher.task_executors().await?;
        executors.retain(|executor| only.is_none_or(|only| only == executor.resource));
        let values = executors.into_iter().map(|executor| {
            let values =
                [("taskSlotsTotal", executor.slots), ("taskSlotsAvailable", executor.free_slots)];
            let values = values.map(|(id, value)| (id.to_owned(), value.to_string()));
            (executor.resource, MetricValues::from(values))
        });
        Ok(values.collect())
    }

    async fn job(&self, job: JobId) -> RpcResult<MetricValues> {
        Ok(job_values(&self.dispatcher.job_details(job).await?))
    }

    async fn subtasks(
        &self,
        job: JobId,
        vertex: JobVertexId,
    ) -> RpcResult<BTreeMap<u32, MetricValues>> {
        let details = self.dispatcher.job_details(job).await?;
        let vertex = details.vertices.into_iter().find(|known| known.id == vertex);
        let subtasks = vertex.map(|vertex| vertex.subtasks).unwrap_or_default();
        Ok(subtasks.iter().map(|s| (s.subtask, io_values(&s.metrics))).collect())
    }
}
