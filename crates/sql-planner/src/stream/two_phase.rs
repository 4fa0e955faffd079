//! Aggregates in two phases: rows are aggregated where they are, before they are sent by key.
//!
//! As Flink 2.3's `TwoStageOptimizedAggregateRule`: a group aggregate is split if there are mini-batches
//! (else each row would be sent twice), the strategy allows it, and all its functions can merge what
//! parts of a group have come to. An aggregate of windows of event time that consist of slices needs no
//! mini-batches; it is split where TWO_PHASE asks for it. (Flink does so by AUTO,
//! too; here that waits for a measurement.) Done when all
//! changes are settled, which it does not alter.

use std::sync::Arc;

use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    ExecNode, ExecNodeKind, ModifyKinds, PlannedAggregate, StreamPlanResult, UpdateKind,
    WindowInput, expressions::schema_of,
};
use crate::{
    AggregatePhases, PlannerSettings, functions::AggregateCoat, plan::WindowKind, types::plan_field,
};

/// The column of what a part of a group has come to.
const PARTIAL: &str = "$accumulators";

/// Functions whose parts may have lost more than they were given, so that changes can be split, too.
const RETRACTABLE: [&str; 5] = ["COUNT", "SUM", "SUM0", "$SUM0", "AVG"];

/// Where a slice of windows starts and ends.
const SLICE: [&str; 2] = ["$slice_start", "$slice_end"];

/// Splits what pays.
pub(super) fn split(node: &mut ExecNode, settings: &PlannerSettings) -> StreamPlanResult<()> {
    for input in &mut node.inputs {
        split(input, settings)?;
    }
    let Some(input) = node.inputs.first() else { return Ok(()) };
    let retracts = !input.modify.is_insert_only();
    let (keys, kinds, slices) = match &node.kind {
        ExecNodeKind::GroupAggregate { keys, calls }
            if settings.mini_batch.is_some()
                && settings.aggregate_phases != AggregatePhases::One
                && can_split(calls, retracts) =>
        {
            let (keys, calls) = (keys.clone(), calls.clone());
            let local =
                ExecNodeKind::LocalGroupAggregate { keys: keys.clone(), calls: calls.clone() };
            let all = (0..keys.len()).collect();
            let global = ExecNodeKind::GlobalGroupAggregate { keys: all, calls, retracts };
            (keys, (local, global), false)
        }
        ExecNodeKind::WindowAggregate { keys, calls, properties, window }
            if settings.aggregate_phases == AggregatePhases::Two && can_split(calls, retracts) =>
        {
            let WindowInput::Time { window, time } = window else { return Ok(()) };
            if !window.event_time || matches!(window.kind, WindowKind::Session { .. }) {
                return Ok(());
            }
            let (keys, calls, window) = (keys.clone(), calls.clone(), window.clone());
            let local = ExecNodeKind::LocalWindowAggregate {
                keys: keys.clone(),
                calls: calls.clone(),
                window: window.clone(),
                time: *time,
            };
            let properties = properties.clone();
            let all = (0..keys.len()).collect();
            let global = ExecNodeKind::GlobalWindowAggregate {
                keys: all,
                calls,
                window,
                properties,
                retracts,
            };
            (keys, (local, global), true)
        }
        _ => return Ok(()),
    };
    let mut fields = Vec::new();
    for key in keys {
        fields.push(input.schema.fields()[key].clone());
    }
    let bytes = SqlDataType::not_null(SqlTypeKind::Varbinary(i32::MAX as u32));
    fields.push(Arc::new(plan_field(PARTIAL, &bytes, None)?));
    if slices {
        let moment = SqlDataType::not_null(SqlTypeKind::Timestamp(3));
        for name in SLICE {
            fields.push(Arc::new(plan_field(name, &moment, None)?));
        }
    }
    let (local, global) = kinds;
    let mut local = ExecNode::new(local, std::mem::take(&mut node.inputs), schema_of(fields)?);
    (local.modify, local.update) = (ModifyKinds::INSERT_ONLY, UpdateKind::None);
    (node.kind, node.inputs) = (global, vec![local]);
    Ok(())
}

fn can_split(calls: &[PlannedAggregate], retracts: bool) -> bool {
    !calls.is_empty()
        && calls.iter().all(|call| can_merge(call, retracts))
        && (!retracts || calls.iter().all(is_retractable))
}

fn can_merge(call: &PlannedAggregate, retracts: bool) -> bool {
    let coat = call.function.inner().downcast_ref::<AggregateCoat>();
    let resolved = coat.and_then(|coat| coat.resolve(retracts).ok());
    resolved.is_some_and(|resolved| resolved.kernel.can_merge())
}

fn is_retractable(call: &PlannedAggregate) -> bool {
    RETRACTABLE.contains(&call.function.name())
}
