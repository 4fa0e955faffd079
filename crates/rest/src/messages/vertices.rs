//! Vertices and subtasks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jobs::{IOMetricsInfo, UserAccumulator};

/// `/jobs/:jobid/vertices/:vertexid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobVertexDetailsInfo {
    /// The vertex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// The server's time.
    pub now: i64,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskExecutionAttemptDetailsInfo>,
    /// Statistics over the subtasks.
    pub aggregated: AggregatedTaskDetailsInfo,
}

/// One attempt of a subtask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskExecutionAttemptDetailsInfo {
    /// Index of the subtask.
    pub subtask: u32,
    /// Its state.
    pub status: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Where it runs, or `(unassigned)`.
    pub endpoint: String,
    /// When it was deployed, or -1.
    pub start_time: i64,
    /// When it ended, or -1.
    pub end_time: i64,
    /// From the start to the end, or to now; or -1.
    pub duration: i64,
    /// What it read and wrote.
    pub metrics: IOMetricsInfo,
    /// The TaskManager that it runs on, or `(unassigned)`.
    pub taskmanager_id: String,
    /// How long it was in each state; -1 for states it was not in.
    pub status_duration: BTreeMap<String, i64>,
    /// Attempts beside it; there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_concurrent_attempts: Vec<SubtaskExecutionAttemptDetailsInfo>,
    /// The same as `start-time`, for old clients.
    #[serde(rename = "start_time")]
    pub start_time_compatible: i64,
}

/// Statistics over subtasks: `min`, `max`, `avg`, `sum`, `median`, `p25`, `p75`, `p95`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AggregatedTaskDetailsInfo {
    /// Of what they read and wrote.
    pub metrics: BTreeMap<String, BTreeMap<String, i64>>,
    /// Of how long they were in each state.
    pub status_duration: BTreeMap<String, BTreeMap<String, i64>>,
}

/// `/jobs/:jobid/vertices/:vertexid/subtasktimes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubtasksTimesInfo {
    /// The vertex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The server's time.
    pub now: i64,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskTimeInfo>,
}

/// Times of one subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubtaskTimeInfo {
    /// Its index.
    pub subtask: u32,
    /// Where it runs, or `(unassigned)`.
    pub endpoint: String,
    /// From when it was scheduled to its end, or to now; or -1.
    pub duration: i64,
    /// When it entered each state; 0 for states it has not been in.
    pub timestamps: BTreeMap<String, i64>,
}

/// `/jobs/:jobid/vertices/:vertexid/taskmanagers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobVertexTaskManagersInfo {
    /// The vertex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The server's time.
    pub now: i64,
    /// TaskManagers that run subtasks of it.
    pub taskmanagers: Vec<VertexTaskManagerInfo>,
}

/// A vertex's subtasks on one TaskManager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VertexTaskManagerInfo {
    /// Where it is, or `(unassigned)`.
    pub endpoint: String,
    /// State of its subtasks together.
    pub status: String,
    /// When the first of them was deployed, or -1.
    pub start_time: i64,
    /// When the last of them ended, or -1.
    pub end_time: i64,
    /// From the start to the end, or to now; or -1.
    pub duration: i64,
    /// What they read and wrote.
    pub metrics: IOMetricsInfo,
    /// Subtasks by state.
    pub status_counts: BTreeMap<String, u32>,
    /// The TaskManager, or `(unassigned)`.
    pub taskmanager_id: String,
    /// Statistics over them.
    pub aggregated: AggregatedTaskDetailsInfo,
}

/// `/jobs/:jobid/vertices/:vertexid/backpressure`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobVertexBackPressureInfo {
    /// `ok`, or `deprecated` if nothing is known.
    pub status: String,
    /// `ok`, `low` or `high`: that of the worst subtask.
    #[serde(rename = "backpressureLevel")]
    pub back_pressure_level: Option<String>,
    /// The same, for old clients.
    #[serde(rename = "backpressure-level")]
    pub back_pressure_level_compatible: Option<String>,
    /// When it was measured.
    #[serde(rename = "end-timestamp")]
    pub end_timestamp: Option<i64>,
    /// The subtasks.
    pub subtasks: Option<Vec<SubtaskBackPressureInfo>>,
}

/// Back pressure of one subtask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubtaskBackPressureInfo {
    /// Its index.
    pub subtask: u32,
    /// Its attempt.
    #[serde(rename = "attempt-number")]
    pub attempt_number: u32,
    /// `ok`, `low` or `high`.
    #[serde(rename = "backpressureLevel")]
    pub back_pressure_level: String,
    /// The same, for old clients.
    #[serde(rename = "backpressure-level")]
    pub back_pressure_level_compatible: String,
    /// Share of time spent waiting for room in the outputs, 0 to 1.
    pub ratio: f64,
    /// Share of time spent waiting for input.
    #[serde(rename = "idleRatio")]
    pub idle_ratio: f64,
    /// Share of time spent processing.
    #[serde(rename = "busyRatio")]
    pub busy_ratio: f64,
    /// Attempts beside it; there are none.
    #[serde(rename = "other-concurrent-attempts", default, skip_serializing_if = "Vec::is_empty")]
    pub other_concurrent_attempts: Vec<SubtaskBackPressureInfo>,
}

/// `/jobs/:jobid/vertices/:vertexid/accumulators`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobVertexAccumulatorsInfo {
    /// The vertex.
    pub id: String,
    /// The user's accumulators, merged over its subtasks.
    pub user_accumulators: Vec<UserAccumulator>,
}

/// `/jobs/:jobid/vertices/:vertexid/subtasks/accumulators`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubtasksAllAccumulatorsInfo {
    /// The vertex.
    pub id: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// The subtasks.
    pub subtasks: Vec<SubtaskAccumulatorsInfo>,
}

/// Accumulators of one subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskAccumulatorsInfo {
    /// Its index.
    pub subtask: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Where it runs, or `(unassigned)`.
    pub endpoint: String,
    /// The user's accumulators.
    pub user_accumulators: Vec<UserAccumulator>,
}

/// `/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt/accumulators`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SubtaskExecutionAttemptAccumulatorsInfo {
    /// Index of the subtask.
    pub subtask: u32,
    /// Number of the attempt.
    pub attempt: u32,
    /// The attempt's id.
    pub id: String,
    /// The user's accumulators.
    pub user_accumulators: Vec<UserAccumulator>,
}
