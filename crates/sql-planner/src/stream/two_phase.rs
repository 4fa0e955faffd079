//! Aggregates in two phases: rows are aggregated where they are, before they are sent by key.
//!
//! As Flink 2.3's `TwoStageOptimizedAggregateRule`: a group aggregate is split if there are mini-batches
//! (else each row would be sent twice), the strategy allows it, and all its functions can merge what
//! parts of a group have come to. Done when all changes are settled, which it does not alter.

use std::sync::Arc;

use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    ExecNode, ExecNodeKind, ModifyKinds, PlannedAggregate, StreamPlanResult, UpdateKind,
    expressions::schema_of,
};
use crate::{AggregatePhases, PlannerSettings, types::plan_field};

/// The column of what a part of a group has come to.
const PARTIAL: &str = "$accumulators";

/// Functions whose parts may have lost more than they were given, so that changes can be split, too.
const RETRACTABLE: [&str; 5] = ["COUNT", "SUM", "SUM0", "$SUM0", "AVG"];

/// Splits what pays.
pub(super) fn split(node: &mut ExecNode, settings: &PlannerSettings) -> StreamPlanResult<()> {
    if settings.mini_batch.is_none() || settings.aggregate_phases == AggregatePhases::One {
        return Ok(());
    }
    for input in &mut node.inputs {
        split(input, settings)?;
    }
    let ExecNodeKind::GroupAggregate { keys, calls } = &node.kind else { return Ok(()) };
    let Some(input) = node.inputs.first() else { return Ok(()) };
    let retracts = !input.modify.is_insert_only();
    if calls.is_empty() || retracts && !calls.iter().all(is_retractable) {
        return Ok(());
    }
    let mut fields = Vec::new();
    for key in keys {
        fields.push(input.schema.fields()[*key].clone());
    }
    let bytes = SqlDataType::not_null(SqlTypeKind::Varbinary(i32::MAX as u32));
    fields.push(Arc::new(plan_field(PARTIAL, &bytes, None)?));
    let of_input = ExecNodeKind::LocalGroupAggregate { keys: keys.clone(), calls: calls.clone() };
    let kind = ExecNodeKind::GlobalGroupAggregate {
        keys: (0..keys.len()).collect(),
        calls: calls.clone(),
        retracts,
    };
    let mut local = ExecNode::new(of_input, std::mem::take(&mut node.inputs), schema_of(fields)?);
    (local.modify, local.update) = (ModifyKinds::INSERT_ONLY, UpdateKind::None);
    (node.kind, node.inputs) = (kind, vec![local]);
    Ok(())
}

fn is_retractable(call: &PlannedAggregate) -> bool {
    RETRACTABLE.contains(&call.function.name())
}
