//! What an elastic job asks for: bounds of the parallelism of each vertex. They can be changed
//! while it runs, as Flink's `/jobs/:jobid/resource-requirements`.

use std::collections::BTreeMap;

use hurtig_types::JobVertexId;
use serde::{Deserialize, Serialize};

/// Bounds of the parallelism of a vertex, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParallelismBounds {
    /// With less the job does not run.
    pub lower_bound: u32,
    /// More is of no use.
    pub upper_bound: u32,
}

/// What a job asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResourceRequirements {
    /// Bounds of every vertex.
    pub vertices: BTreeMap<JobVertexId, ParallelismBounds>,
}
