//! To come.
use datafusion_expr::LogicalPlan;
use crate::PlanResult;
pub(super) fn push_down(plan: LogicalPlan) -> PlanResult<LogicalPlan> { Ok(plan) }
