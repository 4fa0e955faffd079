//! Handlers: one function per route. They ask the cluster and put its plain data into messages.
//!
//! What is computed from data alone is a function of its own (`info`, `details`, ...), without a
//! cluster, so that it can be tested by its input.

pub(crate) mod checkpoint_statistics;
pub(crate) mod checkpoints;
pub(crate) mod cluster;
pub(crate) mod exceptions;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod plan;
pub(crate) mod programs;
pub(crate) mod savepoints;
pub(crate) mod states;
pub(crate) mod summary;
pub(crate) mod task_managers;
pub(crate) mod vertices;

use hurtig_cluster_api::{JobDetails, VertexDetails};
use hurtig_types::JobVertexId;

use crate::{
    error::{RestError, RestResult},
    server::call::Call,
};

/// What Flink calls a place that is not known.
const UNASSIGNED: &str = "(unassigned)";

/// The job of a request.
async fn job_details(call: &Call) -> RestResult<JobDetails> {
    Ok(call.context.services.dispatcher.job_details(call.job()?).await?)
}

/// The vertex of a request.
fn vertex(details: &JobDetails, id: JobVertexId) -> RestResult<&VertexDetails> {
    let vertex = details.vertices.iter().find(|vertex| vertex.id == id);
    vertex.ok_or_else(|| RestError::not_found(format!("JobVertex {id} not found")))
}
