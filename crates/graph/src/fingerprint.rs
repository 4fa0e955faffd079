//! The fingerprint of a JobGraph.
//!
//! A job's processes build its graph again from the program. What they built must be what was
//! submitted, or a task would run another operator than the one it was deployed for. The
//! fingerprint covers all that names code or decides who speaks with whom: vertices, chains,
//! edges, parallelism. It leaves out what may differ: the job's id, its name, its settings.

use hurtig_types::{GraphFingerprint, codec};

use crate::JobGraph;

impl JobGraph {
    /// What the structure hashes to.
    pub fn fingerprint(&self) -> GraphFingerprint {
        // Plain data of lists and ordered maps: one graph has one encoding, and none fails.
        let bytes = codec::encode(&self.vertices).unwrap_or_default();
        GraphFingerprint::from_bytes_hash(&bytes)
    }
}
