//! To come.
use datafusion_expr::LogicalPlan;
use crate::PlanResult;
pub(super) fn decorrelate(plan: LogicalPlan) -> PlanResult<LogicalPlan> { Ok(plan) }
