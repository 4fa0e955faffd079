//! The streaming plan: what runs, and which changes flow.
//!
//! 1. [`StreamPlanner::plan`] turns an optimised logical plan into a tree of [`StreamNode`]s. Here
//!    patterns become operators of their own: windows, top lists, deduplication, interval joins.
//! 2. Inference settles, per node, which kinds of changes it gives ([`ModifyKinds`]), and whether
//!    updates come with the row as it was before ([`UpdateKind`]): as Flink 2.3's planner does it,
//!    since a sink sees the difference. What cannot be is an error in Flink's words.
//! 3. [`explain`] prints it.
//!
//! Columns are positions in a node's input; expressions are over its names, which are unique.
//! Deliberately absent: batches, state and threads, which are those of the operators.

mod aggregate;
mod changelog;
mod convert;
mod explain;
mod expressions;
mod infer;
mod join;
mod keys;
mod node;
mod over;
mod rank;
mod windows;

pub use changelog::{ModifyKinds, UpdateKind, changelog_mode, modify_kinds, update_kind};
pub use convert::{SinkTraits, SourceTraits, StreamPlanner, TableTraits};
pub use explain::explain;
pub use keys::upsert_keys;
pub use node::{
    AggregateCall, BoundKind, JoinKeys, OverCall, OverWindow, RankStrategy, ScannedTable, SortKey, StreamNode,
    StreamNodeKind, WindowInput, WindowProperty,
};
pub use windows::WindowColumns;

/// Why a plan cannot be streamed: for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StreamPlanError(pub String);

impl From<datafusion_common::DataFusionError> for StreamPlanError {
    fn from(error: datafusion_common::DataFusionError) -> Self {
        Self(error.strip_backtrace())
    }
}

/// A plan, or why there is none.
pub type StreamPlanResult<T> = std::result::Result<T, StreamPlanError>;

pub(crate) fn refused<T>(text: impl Into<String>) -> StreamPlanResult<T> {
    Err(StreamPlanError(text.into()))
}
