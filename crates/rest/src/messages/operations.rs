//! Asynchronous operations: savepoints, checkpoints, disposals.

use hurtig_types::SavepointFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operations::TriggerId;

/// What was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TriggerResponse {
    /// By this id it is asked for.
    pub request_id: TriggerId,
}

/// Whether something is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueStatus {
    /// The state.
    pub id: QueueStatusId,
}

/// The states of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum QueueStatusId {
    /// Under way.
    InProgress,
    /// Over, well or not.
    Completed,
}

impl From<QueueStatusId> for QueueStatus {
    fn from(id: QueueStatusId) -> Self {
        Self { id }
    }
}

/// How an operation stands; `operation` is there when it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AsynchronousOperationResult<T> {
    /// Whether it is over.
    pub status: QueueStatus,
    /// What came of it.
    pub operation: Option<T>,
}

/// A failure as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SerializedThrowable {
    /// Its class.
    pub class: String,
    /// The whole text.
    pub stack_trace: String,
    /// Empty: nothing is serialised.
    #[serde(default)]
    pub serialized_throwable: String,
}

/// What came of a savepoint: one of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SavepointInfo {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<SerializedThrowable>,
}

/// What came of a checkpoint: one of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointInfo {
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<u64>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<SerializedThrowable>,
}

/// What came of an operation without a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AsynchronousOperationInfo {
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_cause: Option<SerializedThrowable>,
}

/// Layout of a savepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SavepointFormatType {
    /// The same for all backends.
    #[default]
    Canonical,
    /// The backend's own.
    Native,
}

impl From<SavepointFormatType> for SavepointFormat {
    fn from(format: SavepointFormatType) -> Self {
        match format {
            SavepointFormatType::Canonical => Self::Canonical,
            SavepointFormatType::Native => Self::Native,
        }
    }
}

/// `POST /jobs/:jobid/savepoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavepointTriggerRequestBody {
    /// Beneath this directory; without it, beneath `execution.checkpointing.savepoint-dir`.
    #[serde(rename = "target-directory", default)]
    pub target_directory: Option<String>,
    /// The job is cancelled afterwards.
    #[serde(rename = "cancel-job", default)]
    pub cancel_job: Option<bool>,
    /// Layout; canonical by default.
    #[serde(rename = "formatType", default)]
    pub format_type: Option<SavepointFormatType>,
    /// An id of the client's own, which makes it safe to ask again.
    #[serde(rename = "triggerId", default)]
    pub trigger_id: Option<TriggerId>,
}

/// `POST /jobs/:jobid/stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopWithSavepointRequestBody {
    /// Beneath this directory; without it, beneath `execution.checkpointing.savepoint-dir`.
    #[serde(default)]
    pub target_directory: Option<String>,
    /// Event time is driven to its end first, so that windows and timers fire.
    #[serde(default)]
    pub drain: Option<bool>,
    /// Layout; canonical by default.
    #[serde(default)]
    pub format_type: Option<SavepointFormatType>,
    /// An id of the client's own, which makes it safe to ask again.
    #[serde(default)]
    pub trigger_id: Option<TriggerId>,
}

/// Kinds of checkpoints that can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckpointTypeRequest {
    /// As the job has it.
    #[default]
    Configured,
    /// One that refers to no earlier one.
    Full,
    /// One that may refer to earlier ones.
    Incremental,
}

/// `POST /jobs/:jobid/checkpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckpointTriggerRequestBody {
    /// Which kind.
    #[serde(default)]
    pub checkpoint_type: Option<CheckpointTypeRequest>,
    /// An id of the client's own, which makes it safe to ask again.
    #[serde(default)]
    pub trigger_id: Option<TriggerId>,
}

/// `POST /savepoint-disposal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SavepointDisposalRequest {
    /// Its directory or metadata file.
    pub savepoint_path: String,
}
