//! Optimiser passes over logical plans, and expressions made ready to run.
//!
//! The passes are our own, not DataFusion's: those requalify columns, forget the data types of fields
//! and know nothing of streams. Names that are unique in the statement make ours short.
//!
//! 1. [`decorrelate`]: subqueries become joins.
//! 2. [`push_down`]: filters go towards the scans, conditions of WHERE into joins.
//! 3. [`prune`]: columns that nobody needs are not read.
//!
//! Behind them, where a setting asks for it, [`split_distinct`]: aggregates with DISTINCT in two steps.
//!
//! None moves a filter over a node of streams whose result depends on rows that the filter drops.

mod decorrelate;
mod evaluate;
mod existence;
mod guard;
mod nodes;
mod prune;
mod pull_up;
mod push_down;
mod split_distinct;

pub(crate) use decorrelate::lateral;
pub(crate) use evaluate::constant_value;
pub use evaluate::{physical_expression, physical_expressions};
pub(crate) use nodes::{all_of, equal_sides, join_schema};
pub use nodes::{conjuncts, data_type_of};
pub use split_distinct::DistinctSplit;
pub(crate) use split_distinct::split_distinct;

use datafusion_expr::LogicalPlan;

use crate::PlanResult;

/// The plan that the streaming planner takes: without subqueries, with filters and columns where
/// they cost least.
pub fn optimize(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let plan = decorrelate::decorrelate(plan)?;
    let plan = push_down::push_down(plan)?;
    prune::prune(plan)
}
