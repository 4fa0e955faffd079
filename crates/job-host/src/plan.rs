//! The plan host: the graph of a program goes into a file.

use std::path::Path;

use hurtig_graph::JobGraph;
use hurtig_types::codec;
use serde::{Deserialize, Serialize};

use crate::spec::{PlanRole, SpecError, read_file, write_file};

/// Largest graph.
const LARGEST_PLAN_BYTES: u64 = 256 << 20;

/// What a plan host says of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedJob {
    /// The graph. Nothing in it refers to a binary yet: the host does not know its own.
    pub graph: JobGraph,
}

pub(crate) fn write_plan(role: &PlanRole, graph: JobGraph) -> Result<(), SpecError> {
    let path = &role.result;
    let bytes = codec::encode(&PlannedJob { graph });
    let malformed =
        |e: codec::CodecError| SpecError::Malformed { path: path.clone(), reason: e.to_string() };
    write_file(path, &bytes.map_err(malformed)?)
}

/// Reads what a plan host has written.
///
/// # Errors
/// If it has written nothing, or something else.
pub fn read_plan(path: &Path) -> Result<PlannedJob, SpecError> {
    let bytes = read_file(path, LARGEST_PLAN_BYTES)?;
    codec::decode(&bytes)
        .map_err(|e| SpecError::Malformed { path: path.to_owned(), reason: e.to_string() })
}
