//! Transformations: what the API's calls leave behind, one per operator, in the order of calls.
//!
//! Partitioning, side outputs and unions are no transformations of their own here: they are
//! properties of a [`TransformationInput`], since that is where they take effect.

use hurtig_types::SideTag;
use serde::{Deserialize, Serialize};

/// A transformation by its position in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransformationId(pub u32);

/// How records travel from an operator to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShipStrategy {
    /// To the subtask of the same index; needs equal parallelism.
    Forward,
    /// Round robin over all subtasks.
    Rebalance,
    /// Round robin over a local group of subtasks.
    Rescale,
    /// At random over all subtasks.
    Shuffle,
    /// To every subtask.
    Broadcast,
    /// To subtask 0.
    Global,
    /// By key group.
    KeyGroup,
    /// By a function of the user.
    Custom,
}

impl ShipStrategy {
    /// Whether barriers may overtake records: only where the records can be moved when the
    /// parallelism changes.
    pub fn may_be_unaligned(self) -> bool {
        matches!(self, Self::KeyGroup | Self::Rebalance | Self::Shuffle | Self::Global)
    }
}

/// Whether an operator may be chained, as in Flink 2.3's `ChainingStrategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChainingStrategy {
    /// To its predecessor and its successors.
    Always,
    /// To its successors only.
    Head,
    /// Never.
    Never,
}

/// What role an operator plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperatorKind {
    /// It has no input.
    Source,
    /// It has inputs and outputs.
    Operator,
    /// It has no output.
    Sink,
}

/// One input of a transformation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformationInput {
    /// Where the records come from.
    pub source: TransformationId,
    /// Which input of the operator they feed: 0, or 1 for the second input of a two-input
    /// operator. Several inputs with the same index form a union.
    pub input_index: u32,
    /// `None` if the user chose no partitioning: forward if the parallelism is equal, otherwise
    /// rebalance, as in Flink.
    pub ship: Option<ShipStrategy>,
    /// The side output that is read, if not the main one.
    pub side_output: Option<SideTag>,
}

/// One operator as the API describes it. `None` means "not set by the user".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformation {
    /// Position in the program.
    pub id: TransformationId,
    /// The operator's name.
    pub name: String,
    /// Role.
    pub kind: OperatorKind,
    /// The user's stable name for the operator's state.
    pub uid: Option<String>,
    /// Number of subtasks.
    pub parallelism: Option<u32>,
    /// Parallelism above which the operator must never run (1 for `window_all`): a larger setting
    /// is an error.
    pub max_allowed_parallelism: Option<u32>,
    /// Number of key groups.
    pub max_parallelism: Option<u32>,
    /// Chaining.
    pub chaining: ChainingStrategy,
    /// Slot sharing group; inherited from the inputs if they agree, else `default`.
    pub slot_sharing_group: Option<String>,
    /// Subtasks of the same index with the same key run in the same slot.
    pub co_location_key: Option<String>,
    /// Buffer timeout of its outputs in milliseconds; -1 disables the timeout.
    pub buffer_timeout_ms: Option<i64>,
    /// User code that blocks: the task gets a thread of its own.
    pub blocking: bool,
    /// The operator has a coordinator in the JobMaster.
    pub has_coordinator: bool,
    /// For a source: it ends by itself.
    pub bounded: bool,
    /// Its inputs.
    pub inputs: Vec<TransformationInput>,
}
