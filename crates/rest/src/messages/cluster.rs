//! The cluster as a whole, and the JobManager.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `/overview`: TaskManagers, slots and jobs in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterOverview {
    /// Registered TaskManagers.
    pub taskmanagers: u32,
    /// Their slots.
    pub slots_total: u32,
    /// Slots that are free.
    pub slots_available: u32,
    /// TaskManagers that are not to be used.
    pub taskmanagers_blocked: u32,
    /// Free slots of those.
    pub slots_free_and_blocked: u32,
    /// Jobs that have not ended.
    pub jobs_running: u32,
    /// Jobs that have ended by themselves.
    pub jobs_finished: u32,
    /// Jobs that users have ended.
    pub jobs_cancelled: u32,
    /// Jobs that failures have ended.
    pub jobs_failed: u32,
    /// Version of this software.
    pub flink_version: String,
    /// Its commit.
    pub flink_commit: String,
}

/// `/config`: what a web interface needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DashboardConfiguration {
    /// Milliseconds between two refreshes.
    pub refresh_interval: u64,
    /// Name of the server's time zone.
    pub timezone_name: String,
    /// Its distance from UTC, in milliseconds.
    pub timezone_offset: i64,
    /// Version of this software.
    pub flink_version: String,
    /// Its commit.
    pub flink_revision: String,
    /// What is allowed.
    pub features: DashboardFeatures,
}

/// What a web interface may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DashboardFeatures {
    /// Programs can be uploaded and run.
    pub web_submit: bool,
    /// Jobs can be cancelled.
    pub web_cancel: bool,
    /// Jobs can be rescaled.
    pub web_rescale: bool,
    /// This is a history server.
    pub web_history: bool,
}

/// One entry of a configuration; secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationInfoEntry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// `/jobmanager/environment`: the process. The fields are those of a JVM, where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentInfo {
    /// What runs the process.
    pub jvm: RuntimeInfo,
    /// Where code is loaded from: nowhere but the binary.
    pub classpath: Vec<String>,
}

/// What runs a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeInfo {
    /// Name and version.
    pub version: String,
    /// Architecture of the processor, and operating system.
    pub arch: String,
    /// Arguments of the process; secrets are hidden.
    pub options: Vec<String>,
}

/// Files that a process writes and people may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogListInfo {
    /// The files.
    pub logs: Vec<LogInfo>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogInfo {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written last.
    pub mtime: i64,
}

/// What the threads of a process do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadDumpInfo {
    /// The threads.
    pub thread_infos: Vec<ThreadInfo>,
}

/// What one thread does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThreadInfo {
    /// Its name.
    pub thread_name: String,
    /// What is known of it.
    pub stringified_thread_info: String,
}
