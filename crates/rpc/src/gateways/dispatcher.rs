//! The Dispatcher's gateway.

use std::collections::BTreeMap;

use hurtig_cluster_api::{
    CheckpointStatsSnapshot, DispatcherGateway, JobDetails, JobOverview, JobResourceRequirements,
    JobResult, JobStatus, TaskExecutorOverview,
};
use hurtig_graph::JobGraph;
use hurtig_metrics::{AccumulatorValue, MetricsQuery, MetricsSnapshot};
use hurtig_types::{JobId, OperatorId, SavepointFormat, TerminateKind};

use crate::{argument::plain_arguments, gateway::gateway};

gateway! { DispatcherGateway, "Dispatcher":
    wait submit_job(graph: JobGraph) -> ();
    ask list_jobs() -> Vec<JobOverview>;
    ask job_status(job: JobId) -> JobStatus;
    ask job_details(job: JobId) -> JobDetails;
    ask cancel_job(job: JobId) -> ();
    ask report_job_client_heartbeat(job: JobId, expired_timestamp_ms: i64) -> ();
    wait trigger_checkpoint(job: JobId, full: bool) -> String;
    wait trigger_savepoint(job: JobId, directory: String, format: SavepointFormat) -> String;
    wait stop_with_savepoint(
        job: JobId,
        directory: String,
        format: SavepointFormat,
        kind: TerminateKind,
    ) -> String;
    ask checkpoint_stats(job: JobId) -> CheckpointStatsSnapshot;
    wait job_result(job: JobId) -> JobResult;
    ask accumulators(job: JobId) -> BTreeMap<String, AccumulatorValue>;
    ask resource_requirements(job: JobId) -> JobResourceRequirements;
    ask update_resource_requirements(job: JobId, requirements: JobResourceRequirements) -> ();
    ask coordination_request(job: JobId, operator: OperatorId, request: Vec<u8>) -> Vec<u8>;
    ask task_executors() -> Vec<TaskExecutorOverview>;
    ask query_metrics(query: MetricsQuery) -> MetricsSnapshot;
}

plain_arguments!(
    CheckpointStatsSnapshot,
    JobDetails,
    JobGraph,
    JobId,
    JobResourceRequirements,
    JobResult,
    JobStatus,
    MetricsQuery,
    MetricsSnapshot,
    OperatorId,
    SavepointFormat,
    TerminateKind,
    Vec<JobOverview>,
    Vec<TaskExecutorOverview>,
);
