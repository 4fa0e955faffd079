//! The streaming plan: what runs, and which changes flow.
//!
//! 1. [`StreamPlanner::plan`] turns an optimised logical plan into a tree of [`ExecNode`]s. Here
//!    patterns become operators of their own: windows, top lists, deduplication, interval joins.
//! 2. Inference settles, per node, which kinds of changes it gives ([`ModifyKinds`]), and whether
//!    updates come with the row as it was before ([`UpdateKind`]): as Flink 2.3's planner does it,
//!    since a sink sees the difference. What cannot be is an error in Flink's words.
//! 3. [`explain`] prints it; [`Identities`] say which state an operator goes on with.
//!
//! Columns are positions in a node's input; expressions are over its names, which are unique.
//! Deliberately absent: batches, state and threads, which are those of the operators.

mod advice;
mod aggregate;
mod calc;
mod changelog;
mod constants;
mod convert;
mod cost;
mod explain;
mod expressions;
mod identity;
mod infer;
mod join;
mod keys;
mod node;
mod operators;
mod over;
mod partitions;
mod print;
mod rank;
mod reuse;
mod rows_of_changes;
mod scans;
mod state;
mod two_phase;
mod unnest;
mod windows;

pub use advice::non_deterministic_update;
pub use changelog::{ModifyKinds, UpdateKind, changelog_mode, modify_kinds, update_kind};
pub use convert::{SinkTraits, SourceTraits, StreamPlanner, TableTraits};
pub use explain::{ExplainOptions, describe, explain};
pub use identity::Identities;
pub use keys::upsert_keys;
pub use node::{
    BoundKind, EquiKeys, ExecNode, ExecNodeKind, OverWindow, PlannedAggregate, PlannedOver,
    PlannedWindowProperty, RankStrategy, ScanFilter, ScannedField, SortKey, WindowInput,
};
pub use operators::arrow_schema;
pub use partitions::{PartitionCondition, PartitionHint, PartitionListing};
pub use reuse::SharedParts;
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

impl From<crate::PlanError> for StreamPlanError {
    fn from(error: crate::PlanError) -> Self {
        Self(error.message)
    }
}

impl From<StreamPlanError> for crate::PlanError {
    fn from(error: StreamPlanError) -> Self {
        Self::new(error.0)
    }
}

/// A plan, or why there is none.
pub type StreamPlanResult<T> = std::result::Result<T, StreamPlanError>;

pub(crate) fn refused<T>(text: impl Into<String>) -> StreamPlanResult<T> {
    Err(StreamPlanError(text.into()))
}

/// What runs for one statement: a query, or the sinks of a statement set.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// A tree for each sink, or the query's.
    pub roots: Vec<ExecNode>,
}

impl StreamPlan {
    /// The columns of the query.
    #[must_use]
    pub fn output_schema(&self) -> Option<arrow_schema::SchemaRef> {
        self.roots.first().map(arrow_schema)
    }

    /// The changes of the query.
    #[must_use]
    pub fn changelog_mode(&self) -> Option<hurtig_sql_common::ChangelogMode> {
        self.roots.first().map(ExecNode::changelog_mode)
    }

    /// As text.
    #[must_use]
    pub fn explain(&self, options: ExplainOptions) -> String {
        self.roots.iter().map(|root| explain(root, options)).collect::<Vec<_>>().join("\n")
    }

    /// Whether an aggregate would do better in two phases.
    #[must_use]
    pub fn wants_two_phases(&self) -> bool {
        fn wants(node: &ExecNode) -> bool {
            advice::wants_two_phases(node) || node.inputs.iter().any(wants)
        }
        self.roots.iter().any(wants)
    }

    /// Where updates may miss the rows that they are of.
    #[must_use]
    pub fn non_deterministic_update(&self) -> Option<String> {
        self.roots.iter().find_map(non_deterministic_update)
    }
}

/// The streaming plan of bound statements: optimised, with all changes settled. `before`: the rows
/// before updates are wanted of a query.
pub fn plan_stream(
    bound: &[datafusion_expr::LogicalPlan],
    settings: &crate::PlannerSettings,
    tables: &dyn TableTraits,
    before: bool,
) -> crate::PlanResult<StreamPlan> {
    let planner = StreamPlanner { tables, settings };
    let mut roots = Vec::new();
    for plan in bound {
        let mut optimized = crate::optimize::optimize(plan.clone())?;
        if let Some(split) = settings.distinct_split {
            let context = std::sync::Arc::new(settings.context.clone());
            optimized = crate::optimize::split_distinct(optimized, split, &context)?;
        }
        roots.push(planner.plan(&optimized, before)?);
    }
    Ok(StreamPlan { roots })
}
