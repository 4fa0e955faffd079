//! What goes over the wire: plain data with Flink's field names. Times are milliseconds since the
//! Unix epoch, durations milliseconds, and -1 stands for "not yet" where Flink has it so.
//!
//! Descriptions of types and fields are also those of the OpenAPI document.

pub mod checkpoints;
pub mod cluster;
pub mod jobs;
pub mod metrics;
pub mod operations;
pub mod programs;
pub mod task_managers;
pub mod vertices;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an error is sent as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorResponseBody {
    /// What went wrong, for people.
    pub errors: Vec<String>,
}

/// An empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmptyResponseBody {}
