//! Jobs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `/jobs`: ids and states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobIdsWithStatusOverview {
    /// The jobs.
    pub jobs: Vec<JobIdWithStatus>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobIdWithStatus {
    /// The job.
    pub id: String,
    /// Its state.
    pub status: String,
}

/// `/jobs/overview`: all jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MultipleJobsDetails {
    /// The jobs, oldest first.
    pub jobs: Vec<JobSummary>,
}

/// A line of the overview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// The job.
    pub jid: String,
    /// Its name.
    pub name: String,
    /// When it was submitted.
    pub start_time: i64,
    /// When it ended, or -1.
    pub end_time: i64,
    /// From the start to the end, or to now.
    pub duration: i64,
    /// Its state.
    pub state: String,
    /// When it or one of its tasks has last changed its state.
    pub last_modification: i64,
    /// Tasks: `total`, and by state.
    pub tasks: BTreeMap<String, u32>,
    /// Operators that are not part of the graph yet.
    pub pending_operators: u32,
}

/// `/jobs/:jobid`: a job with its vertices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobDetailsInfo {
    /// The job.
    pub jid: String,
    /// The application that it belongs to.
    #[serde(rename = "application-id")]
    pub application_id: Option<String>,
    /// Its name.
    pub name: String,
    /// It can be stopped with a savepoint.
    #[serde(rename = "isStoppable")]
    pub is_stoppable: bool,
    /// Its state.
    pub state: String,
    /// `STREAMING` or `BATCH`.
    #[serde(rename = "job-type")]
    pub job_type: String,
    /// When it was submitted.
    #[serde(rename = "start-time")]
    pub start_time: i64,
    /// When it ended, or -1.
    #[serde(rename = "end-time")]
    pub end_time: i64,
    /// From the start to the end, or to now.
    pub duration: i64,
    /// Number of key groups, if it is set for the job; else -1.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: i64,
    /// The server's time.
    pub now: i64,
    /// When it entered each state; 0 for states it has not been in.
    pub timestamps: BTreeMap<String, i64>,
    /// Its vertices in topological order.
    pub vertices: Vec<JobDetailsVertexInfo>,
    /// Vertices by their state.
    #[serde(rename = "status-counts")]
    pub status_counts: BTreeMap<String, u32>,
    /// The plan.
    pub plan: JobPlan,
    /// The operators before they were chained, if they are known.
    #[serde(rename = "stream-graph")]
    pub stream_graph: Option<Value>,
    /// Operators that are not part of the graph yet.
    #[serde(rename = "pending-operators")]
    pub pending_operators: u32,
}

/// A vertex of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobDetailsVertexInfo {
    /// The vertex.
    pub id: String,
    /// Its slot sharing group.
    #[serde(rename = "slotSharingGroupId")]
    pub slot_sharing_group_id: String,
    /// Its name.
    pub name: String,
    /// Number of key groups.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: u32,
    /// Number of subtasks.
    pub parallelism: u32,
    /// State of its subtasks together.
    pub status: String,
    /// When the first subtask was deployed, or -1.
    #[serde(rename = "start-time")]
    pub start_time: i64,
    /// When the last subtask ended, or -1.
    #[serde(rename = "end-time")]
    pub end_time: i64,
    /// From the start to the end, or to now; or -1.
    pub duration: i64,
    /// Subtasks by state.
    pub tasks: BTreeMap<String, u32>,
    /// What they read and wrote.
    pub metrics: IOMetricsInfo,
}

/// What tasks read and wrote, and how they spent their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct IOMetricsInfo {
    /// Bytes read.
    pub read_bytes: u64,
    /// All tasks have told.
    pub read_bytes_complete: bool,
    /// Bytes written.
    pub write_bytes: u64,
    /// All tasks have told.
    pub write_bytes_complete: bool,
    /// Records read.
    pub read_records: u64,
    /// All tasks have told.
    pub read_records_complete: bool,
    /// Records written.
    pub write_records: u64,
    /// All tasks have told.
    pub write_records_complete: bool,
    /// Milliseconds spent waiting for room in the outputs.
    pub accumulated_backpressured_time: u64,
    /// Milliseconds spent waiting for input.
    pub accumulated_idle_time: u64,
    /// Milliseconds spent processing.
    pub accumulated_busy_time: f64,
}

/// `/jobs/:jobid/plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlanInfo {
    /// The plan.
    pub plan: JobPlan,
}

/// The vertices of a job and how they are connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobPlan {
    /// The job.
    pub jid: String,
    /// Its name.
    pub name: String,
    /// `STREAMING` or `BATCH`.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The vertices.
    pub nodes: Vec<PlanNode>,
}

/// A vertex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanNode {
    /// The vertex.
    pub id: String,
    /// Empty; Flink has the operator of a batch plan here.
    pub operator: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Empty, as above.
    pub operator_strategy: String,
    /// Its name.
    pub description: String,
    /// Empty, as above.
    pub optimizer_properties: Value,
    /// What it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<PlanInput>,
}

/// An edge to a vertex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanInput {
    /// The vertex that it comes from.
    pub id: String,
    /// Its number.
    pub num: u32,
    /// How data is exchanged.
    pub exchange: String,
    /// How it is partitioned.
    pub ship_strategy: String,
    /// Absent; Flink has the strategy of a batch plan here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_strategy: Option<String>,
    /// Absent, as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caching: Option<String>,
}

/// `/jobs/:jobid/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobConfigInfo {
    /// The job.
    pub jid: String,
    /// Its name.
    pub name: String,
    /// Its settings.
    pub execution_config: ExecutionConfigInfo,
}

/// Settings of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionConfigInfo {
    /// The restart strategy in words.
    pub restart_strategy: String,
    /// Largest parallelism of a vertex.
    pub job_parallelism: u32,
    /// Records are passed on without a copy.
    pub object_reuse_mode: bool,
    /// The user's parameters; secrets are hidden.
    pub user_config: BTreeMap<String, String>,
}

/// `/jobs/:jobid/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobStatusInfo {
    /// Its state.
    pub status: String,
}

/// `/jobs/:jobid/exceptions`: what went wrong, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobExceptionsInfoWithHistory {
    /// The failures.
    pub exception_history: JobExceptionHistory,
}

/// Failures of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobExceptionHistory {
    /// The failures, newest first.
    pub entries: Vec<RootExceptionInfo>,
    /// There are more.
    pub truncated: bool,
}

/// A failure that the job reacted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootExceptionInfo {
    /// What happened, and where.
    #[serde(flatten)]
    pub exception: ExceptionInfo,
    /// Failures of other tasks that came with it.
    pub concurrent_exceptions: Vec<ExceptionInfo>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionInfo {
    /// Its class: whose fault it is.
    pub exception_name: String,
    /// The whole text, with causes.
    pub stacktrace: String,
    /// When.
    pub timestamp: i64,
    /// What is known beyond the text.
    pub failure_labels: BTreeMap<String, String>,
    /// The task, if one failed.
    pub task_name: Option<String>,
    /// Where it ran.
    pub endpoint: Option<String>,
    /// The TaskManager that it ran on.
    pub task_manager_id: Option<String>,
}

/// `/jobs/:jobid/accumulators`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobAccumulatorsInfo {
    /// Always empty, as in Flink.
    pub job_accumulators: Vec<Value>,
    /// The user's accumulators, merged over all subtasks.
    pub user_task_accumulators: Vec<UserAccumulator>,
    /// Empty: values are texts here.
    pub serialized_user_task_accumulators: BTreeMap<String, Value>,
}

/// An accumulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserAccumulator {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value as text.
    pub value: String,
}

/// `/jobs/:jobid/execution-result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobExecutionResultResponseBody {
    /// Whether the job has ended.
    pub status: super::operations::QueueStatus,
    /// How, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_execution_result: Option<JobResultInfo>,
}

/// How a job has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobResultInfo {
    /// The job.
    pub id: String,
    /// `SUCCEEDED`, `FAILED` or `CANCELED`.
    pub application_status: String,
    /// The user's accumulators.
    pub accumulator_results: BTreeMap<String, Value>,
    /// From submission to the end.
    pub net_runtime: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<super::operations::SerializedThrowable>,
}

/// `/jobs/:jobid/resource-requirements`: bounds of each vertex's parallelism.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobResourceRequirementsBody {
    /// By vertex.
    pub job_vertex_resource_requirements: BTreeMap<String, JobVertexResourceRequirements>,
}

/// Requirements of one vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobVertexResourceRequirements {
    /// Bounds of its parallelism.
    pub parallelism: JobVertexParallelismBounds,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobVertexParallelismBounds {
    /// Fewest subtasks.
    pub lower_bound: u32,
    /// Most subtasks.
    pub upper_bound: u32,
}

/// `PATCH /jobs/:jobid/clientHeartbeat`: the client of a job is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobClientHeartbeatRequestBody {
    /// Until when that holds, in milliseconds since the epoch: then the job is cancelled.
    pub expired_timestamp: i64,
}

/// `POST /jobs/:jobid/coordinators/:operatorUid`: something for an operator's coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCoordinationRequestBody {
    /// The bytes in base64. What they mean is between the coordinator and its client.
    pub serialized_coordination_request: String,
}

/// What the coordinator says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCoordinationResponseBody {
    /// The bytes in base64.
    pub serialized_coordination_result: String,
}
