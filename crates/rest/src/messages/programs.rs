//! Programs: uploaded binaries. Flink's are jars; the paths under `/jars` answer too.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jobs::JobPlan;

/// `/binaries` and `/jars`: what was uploaded, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JarListInfo {
    /// Where to upload.
    pub address: String,
    /// The files.
    pub files: Vec<JarFileInfo>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JarFileInfo {
    /// Its content's hash, SHA-256 in hexadecimal.
    pub id: String,
    /// The name that it was uploaded under.
    pub name: String,
    /// When.
    pub uploaded: i64,
    /// Bytes.
    #[serde(default)]
    pub size: u64,
    /// What can be run: a binary has one `main`.
    pub entry: Vec<JarEntryInfo>,
}

/// What can be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JarEntryInfo {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
}

/// What came of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JarUploadResponseBody {
    /// Its id, after a slash: Flink's clients take what follows the last slash.
    pub filename: String,
    /// `success`.
    pub status: String,
}

/// Who owns the snapshot that a job is started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClaimMode {
    /// The job.
    Claim,
    /// Somebody else.
    NoClaim,
}

/// `POST /binaries/:binaryid/run` and `/plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JarRunRequestBody {
    /// Ignored: a binary has one `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub program_args_list: Option<Vec<String>>,
    /// Parallelism of operators that set none.
    #[serde(default)]
    pub parallelism: Option<u32>,
    /// The job's id.
    #[serde(default)]
    pub job_id: Option<String>,
    /// State that no operator wants is left out.
    #[serde(default)]
    pub allow_non_restored_state: Option<bool>,
    /// The checkpoint or savepoint to start from.
    #[serde(default)]
    pub savepoint_path: Option<String>,
    /// Who owns it.
    #[serde(default)]
    pub claim_mode: Option<ClaimMode>,
    /// The same by an older name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_mode: Option<ClaimMode>,
    /// Configuration for this job alone.
    #[serde(default)]
    pub flink_configuration: Option<BTreeMap<String, String>>,
}

/// The job that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JarRunResponseBody {
    /// The job.
    pub jobid: String,
    /// The application that it belongs to: there are none.
    #[serde(rename = "applicationId", default)]
    pub application_id: Option<String>,
}

/// The plan of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramPlanInfo {
    /// The plan.
    pub plan: JobPlan,
}
