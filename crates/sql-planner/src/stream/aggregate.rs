//! Aggregates over groups and windows.

use std::sync::Arc;

use datafusion_common::DFSchemaRef;
use datafusion_expr::{Aggregate, Expr, expr::AggregateFunction};

use super::{
    ExecNode, ExecNodeKind, PlannedAggregate, PlannedWindowProperty, StreamPlanResult,
    StreamPlanner, WindowColumns, WindowInput,
    convert::hinted_ttl,
    expressions::{ColumnsBefore, column, column_of, schema_of, select, unaliased},
    refused,
    windows::window_columns,
};
use crate::plan::WindowKind;

impl StreamPlanner<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate) -> StreamPlanResult<ExecNode> {
        let input = self.convert(&aggregate.input, &None)?;
        let windows = window_columns(&input);
        let mut columns = ColumnsBefore::none(&input.schema);
        let mut groups = Vec::new();
        for expression in &aggregate.group_expr {
            if matches!(expression, Expr::GroupingSet(_)) {
                return refused("internal: grouping sets must have become an Expand node");
            }
            groups.push(columns.position(expression)?);
        }
        let mut calls = Vec::new();
        for expression in &aggregate.aggr_expr {
            calls.push(aggregate_call(expression, &mut columns)?);
        }
        if columns.is_empty() && !input.schema.fields().is_empty() {
            // COUNT(*) alone: rows are counted, whatever is in them.
            columns.position(&column(&input.schema, 0))?;
        }
        // The input's window columns, as columns behind the projection.
        let windows = windows.and_then(|windows| columns.moved(&windows));
        let node = columns.behind(input)?;
        let Some(windows) = windows.filter(|windows| windows.both_in(&groups)) else {
            let ttl_ms = hinted_ttl(&aggregate.input);
            return self.group_aggregate(node, &groups, calls, &aggregate.schema, ttl_ms);
        };
        self.window_aggregate(node, &groups, calls, &windows, &aggregate.schema)
    }

    fn group_aggregate(
        &self,
        input: ExecNode,
        groups: &[usize],
        calls: Vec<PlannedAggregate>,
        schema: &DFSchemaRef,
        ttl_ms: Option<i64>,
    ) -> StreamPlanResult<ExecNode> {
        let keys = distinct(groups);
        let given = keyed_fields(&keys, groups, calls.len(), schema)?;
        let positions = output_positions(&keys, groups, calls.len(), |_| None);
        let kind = ExecNodeKind::GroupAggregate { keys, calls };
        let mut node = ExecNode::new(kind, vec![input], given);
        node.state_ttl_ms[0] = ttl_ms;
        Ok(select(node, &positions, schema.clone()))
    }

    fn window_aggregate(
        &self,
        input: ExecNode,
        groups: &[usize],
        calls: Vec<PlannedAggregate>,
        windows: &WindowColumns,
        schema: &DFSchemaRef,
    ) -> StreamPlanResult<ExecNode> {
        let keys: Vec<usize> =
            distinct(groups).into_iter().filter(|one| !windows.has(*one)).collect();
        let mut properties: Vec<PlannedWindowProperty> = Vec::new();
        let mut property_of = Vec::new();
        for group in groups {
            let property = if windows.start.contains(group) {
                Some(PlannedWindowProperty::Start)
            } else if windows.end.contains(group) {
                Some(PlannedWindowProperty::End)
            } else if windows.time.contains(group) {
                Some(PlannedWindowProperty::Time)
            } else {
                None
            };
            property_of.push(property);
            if let Some(property) = property
                && !properties.contains(&property)
            {
                properties.push(property);
            }
        }
        let first = keys.len() + calls.len();
        let place = |group: usize| {
            let property = property_of[groups.iter().position(|one| *one == group)?]?;
            properties.iter().position(|one| *one == property).map(|index| first + index)
        };
        let positions = output_positions(&keys, groups, calls.len(), place);
        // Fields: keys and calls from the schema of the whole, properties behind them.
        let mut fields = Vec::new();
        for key in &keys {
            fields.push(schema.fields()[index_of(groups, *key)?].clone());
        }
        for call in 0..calls.len() {
            fields.push(schema.fields()[groups.len() + call].clone());
        }
        for property in &properties {
            let at = property_of.iter().position(|one| *one == Some(*property)).unwrap_or(0);
            fields.push(schema.fields()[at].clone());
        }
        let given = schema_of(fields)?;
        let (input, keys, calls, window) = window_input(input, keys, calls, windows)?;
        if let WindowInput::Time { window, .. } = &window {
            mergeable(&calls, &window.kind)?;
        }
        let kind = ExecNodeKind::WindowAggregate { keys, calls, window, properties };
        Ok(select(ExecNode::new(kind, vec![input], given), &positions, schema.clone()))
    }
}

/// Windows that share rows, or grow together, are made of parts, which not all functions of Flink allow.
fn mergeable(calls: &[PlannedAggregate], window: &WindowKind) -> StreamPlanResult<()> {
    if matches!(window, WindowKind::Tumble { .. }) {
        return Ok(());
    }
    let ordered = |name: &str| name.starts_with("FIRST_VALUE") || name.starts_with("LAST_VALUE");
    match calls.iter().map(|call| call.function.name()).find(|name| ordered(name)) {
        None => Ok(()),
        Some(name) => refused(format!(
            "{name} cannot be merged, which windows need that are not of TUMBLE: Could not find an implementation method 'merge' for function '{name}'"
        )),
    }
}

/// The operator makes the windows itself if the window function is near, and nothing but the group
/// has looked at its columns.
fn window_input(
    input: ExecNode,
    keys: Vec<usize>,
    calls: Vec<PlannedAggregate>,
    windows: &WindowColumns,
) -> StreamPlanResult<(ExecNode, Vec<usize>, Vec<PlannedAggregate>, WindowInput)> {
    if let Some((lifted, time)) = without_window(&input)
        && partition_fits(&keys, &input)
        && let Some(keys) = moved(&keys, &input, &lifted)
        && let Some(calls) = moved_calls(&calls, &input, &lifted)
    {
        let window = windows.window.clone();
        return Ok((lifted, keys, calls, WindowInput::Time { window, time }));
    }
    let (Some(start), Some(end)) = (windows.start.first(), windows.end.first()) else {
        return refused("internal: a window without bounds");
    };
    let window = WindowInput::Attached { window: windows.window.clone(), start: *start, end: *end };
    Ok((input, keys, calls, window))
}

/// Sessions are those of the group if both are kept apart by the same columns; other windows always
/// are.
fn partition_fits(keys: &[usize], node: &ExecNode) -> bool {
    let Some(partition) = session_partition(node) else { return true };
    let below = keys.iter().map(|key| below_window(node, *key)).collect::<Option<Vec<usize>>>();
    below.is_some_and(|keys| {
        keys.len() == partition.len() && partition.iter().all(|one| keys.contains(one))
    })
}

/// The columns of its input by which a window function below keeps sessions apart.
fn session_partition(node: &ExecNode) -> Option<&[usize]> {
    match &node.kind {
        ExecNodeKind::Calc { .. } => session_partition(node.inputs.first()?),
        ExecNodeKind::WindowTableFunction { partition, window, .. } => {
            matches!(window.kind, WindowKind::Session { .. }).then_some(partition)
        }
        _ => None,
    }
}

/// Which column of the window function below a column is.
fn below_window(node: &ExecNode, position: usize) -> Option<usize> {
    match &node.kind {
        ExecNodeKind::Calc { projection, .. } => {
            let input = node.inputs.first()?;
            below_window(input, column_of(projection.get(position)?, &input.schema)?)
        }
        _ => Some(position),
    }
}

/// The same rows before the window function, and the position of the time in them.
fn without_window(node: &ExecNode) -> Option<(ExecNode, usize)> {
    match &node.kind {
        ExecNodeKind::WindowTableFunction { time, .. } => {
            Some((node.inputs.first()?.clone(), *time))
        }
        ExecNodeKind::Calc { projection, condition } => {
            let input = node.inputs.first()?;
            let windows = window_columns(input)?;
            let uses = |expression: &Expr| {
                expression.column_refs().iter().any(|one| {
                    super::expressions::position(&input.schema, &one.name)
                        .is_some_and(|position| windows.has(position))
                })
            };
            if condition.as_ref().is_some_and(uses) {
                return None;
            }
            let (below, time) = without_window(input)?;
            let mut kept = Vec::new();
            let mut fields = Vec::new();
            for (index, expression) in projection.iter().enumerate() {
                let plain = column_of(expression, &input.schema);
                if plain.is_some_and(|position| windows.has(position)) {
                    continue;
                }
                if uses(expression) {
                    return None;
                }
                kept.push(expression.clone());
                fields.push(node.schema.fields()[index].clone());
            }
            let time = match kept.iter().position(|one| column_of(one, &below.schema) == Some(time))
            {
                Some(position) => position,
                None => {
                    kept.push(column(&below.schema, time));
                    fields.push(below.schema.fields()[time].clone());
                    kept.len() - 1
                }
            };
            let kind = ExecNodeKind::Calc { projection: kept, condition: condition.clone() };
            Some((ExecNode::new(kind, vec![below], schema_of(fields).ok()?), time))
        }
        _ => None,
    }
}

fn moved(columns: &[usize], from: &ExecNode, to: &ExecNode) -> Option<Vec<usize>> {
    let place = |column: &usize| {
        super::expressions::position(&to.schema, from.schema.field(*column).name())
    };
    columns.iter().map(place).collect()
}

fn moved_calls(
    calls: &[PlannedAggregate],
    from: &ExecNode,
    to: &ExecNode,
) -> Option<Vec<PlannedAggregate>> {
    let of_call = |call: &PlannedAggregate| {
        let filter = match call.filter {
            Some(filter) => Some(*moved(&[filter], from, to)?.first()?),
            None => None,
        };
        Some(PlannedAggregate {
            arguments: moved(&call.arguments, from, to)?,
            filter,
            ..call.clone()
        })
    };
    calls.iter().map(of_call).collect()
}

/// A call, its arguments as columns.
pub(super) fn aggregate_call(
    expression: &Expr,
    columns: &mut ColumnsBefore,
) -> StreamPlanResult<PlannedAggregate> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = unaliased(expression) else {
        return refused(format!("internal: {expression} is no aggregate"));
    };
    let mut arguments = Vec::new();
    for argument in &params.args {
        arguments.push(columns.position(argument)?);
    }
    let filter = match &params.filter {
        Some(filter) => Some(columns.position(filter)?),
        None => None,
    };
    Ok(PlannedAggregate {
        function: Arc::clone(func),
        arguments,
        call: unaliased(expression).clone(),
        distinct: params.distinct,
        filter,
    })
}

fn distinct(columns: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    for column in columns {
        if !seen.contains(column) {
            seen.push(*column);
        }
    }
    seen
}

fn index_of(groups: &[usize], key: usize) -> StreamPlanResult<usize> {
    match groups.iter().position(|one| *one == key) {
        Some(index) => Ok(index),
        None => refused("internal: a key that is no group"),
    }
}

fn keyed_fields(
    keys: &[usize],
    groups: &[usize],
    calls: usize,
    schema: &DFSchemaRef,
) -> StreamPlanResult<DFSchemaRef> {
    let mut fields = Vec::new();
    for key in keys {
        fields.push(schema.fields()[index_of(groups, *key)?].clone());
    }
    fields.extend((0..calls).map(|call| schema.fields()[groups.len() + call].clone()));
    schema_of(fields)
}

/// Where the columns of the logical aggregate are in what the operator gives.
fn output_positions(
    keys: &[usize],
    groups: &[usize],
    calls: usize,
    property: impl Fn(usize) -> Option<usize>,
) -> Vec<usize> {
    let of_group = |group: &usize| {
        property(*group).or_else(|| keys.iter().position(|key| key == group)).unwrap_or(0)
    };
    let groups = groups.iter().map(of_group);
    groups.chain((0..calls).map(|call| keys.len() + call)).collect()
}
