//! The StreamGraph: one [`StreamNode`] per operator, with everything resolved that does not depend
//! on chaining: parallelism, max parallelism, partitioning, slot sharing, operator ids.

use hurtig_types::{EdgeId, OperatorId, SideTag};
use serde::{Deserialize, Serialize};

use crate::transformation::{ChainingStrategy, OperatorKind, ShipStrategy, TransformationId};

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamNode {
    /// Its transformation; also its position in the graph.
    pub id: TransformationId,
    /// Stable id.
    pub operator_id: OperatorId,
    /// Name.
    pub name: String,
    /// Role.
    pub kind: OperatorKind,
    /// The user's uid.
    pub uid: Option<String>,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Nobody has set that number: it was derived from the parallelism, and a snapshot that the job
    /// starts from may bring its own.
    pub max_parallelism_derived: bool,
    /// The most subtasks that the operator can have, if it has a limit of its own.
    pub max_allowed_parallelism: Option<u32>,
    /// Chaining.
    pub chaining: ChainingStrategy,
    /// Slot sharing group.
    pub slot_sharing_group: String,
    /// Co-location key.
    pub co_location_key: Option<String>,
    /// Buffer timeout in milliseconds; -1 disables it.
    pub buffer_timeout_ms: i64,
    /// Runs on a thread of its own.
    pub blocking: bool,
    /// Has a coordinator.
    pub has_coordinator: bool,
    /// Ends by itself (sources); for others, all sources above it do.
    pub bounded: bool,
}

/// One edge between two operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEdge {
    /// Position among the edges.
    pub id: EdgeId,
    /// Producer.
    pub source: TransformationId,
    /// Consumer.
    pub target: TransformationId,
    /// Which input of the consumer.
    pub input_index: u32,
    /// Partitioning.
    pub ship: ShipStrategy,
    /// The side output that is read, if not the main one.
    pub side_output: Option<SideTag>,
}

/// The graph of operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamGraph {
    /// Name of the job.
    pub job_name: String,
    /// Operators, by transformation id.
    pub nodes: Vec<StreamNode>,
    /// Edges, by edge id: ordered by target, then by the order of the target's inputs.
    pub edges: Vec<StreamEdge>,
    /// False if chaining is disabled for the whole job.
    pub chaining_enabled: bool,
}
