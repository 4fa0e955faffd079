//! Columns that nobody needs are not read.
//!
//! Names are unique, so that a set of names says what is needed. A plan gives at least the columns
//! that are asked for, in their order; where positions count, a projection makes them exact.

use std::{collections::HashSet, sync::Arc};

use datafusion_common::{DFSchema, DFSchemaRef, JoinType};
use datafusion_expr::{
    Aggregate, Distinct, Expr, Filter, Join, Limit, LogicalPlan, Projection, Sort, TableScan, Union,
};

use super::nodes::join_schema;
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
    types::{TimeAttribute, schema_of, time_attribute},
};

type Names = HashSet<String>;

/// The plan with the columns that it has, and no others below.
pub(super) fn prune(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    exactly(plan, None)
}

/// Pruned to exactly those columns; all of them without.
fn exactly(plan: LogicalPlan, positions: Option<&[usize]>) -> PlanResult<LogicalPlan> {
    let all: Vec<usize> = (0..plan.schema().fields().len()).collect();
    let positions = positions.unwrap_or(&all);
    let wanted: Vec<String> =
        positions.iter().map(|at| plan.schema().field(*at).name().clone()).collect();
    let plan = needed(plan, &wanted.iter().cloned().collect())?;
    let given = plan.schema().fields().iter().map(|one| one.name());
    if given.eq(wanted.iter()) {
        return Ok(plan);
    }
    let fields = wanted
        .iter()
        .map(|name| Ok(plan.schema().fields()[position(plan.schema(), name)?].clone()));
    let schema = schema_of(fields.collect::<PlanResult<_>>()?)?;
    let columns =
        wanted.iter().map(|name| Expr::Column(datafusion_common::Column::new_unqualified(name)));
    let projection = Projection::try_new_with_schema(columns.collect(), Arc::new(plan), schema)?;
    Ok(LogicalPlan::Projection(projection))
}

fn position(schema: &DFSchema, name: &str) -> PlanResult<usize> {
    schema
        .index_of_column_by_name(None, name)
        .ok_or_else(|| PlanError::new(format!("internal: column {name} is gone")))
}

/// What expressions need beside what is needed already.
fn with<'e>(names: &Names, expressions: impl IntoIterator<Item = &'e Expr>) -> Names {
    let mut all = names.clone();
    for expr in expressions {
        all.extend(expr.column_refs().into_iter().map(|column| column.name.clone()));
    }
    all
}

fn none<'e>(expressions: impl IntoIterator<Item = &'e Expr>) -> Names {
    with(&Names::new(), expressions)
}

/// The positions of a schema that are needed; one of them if none is, since rows must be counted.
fn kept(schema: &DFSchema, names: &Names) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    let kept: Vec<usize> =
        fields.filter(|(_, field)| names.contains(field.name())).map(|(at, _)| at).collect();
    if kept.is_empty() && !schema.fields().is_empty() { vec![0] } else { kept }
}

fn some_of(schema: &DFSchema, positions: &[usize]) -> PlanResult<DFSchemaRef> {
    schema_of(positions.iter().map(|at| schema.fields()[*at].clone()).collect())
}

fn child(plan: &Arc<LogicalPlan>, names: &Names) -> PlanResult<Arc<LogicalPlan>> {
    Ok(Arc::new(needed(plan.as_ref().clone(), names)?))
}

fn needed(plan: LogicalPlan, names: &Names) -> PlanResult<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::TableScan(scan) => {
            let kept = kept(&scan.projected_schema, names);
            let projected_schema = some_of(&scan.projected_schema, &kept)?;
            let projection = match &scan.projection {
                None => kept,
                Some(before) => kept.into_iter().map(|at| before[at]).collect(),
            };
            LogicalPlan::TableScan(TableScan {
                projection: Some(projection),
                projected_schema,
                ..scan
            })
        }
        LogicalPlan::Projection(projection) => {
            let kept = kept(&projection.schema, names);
            let expressions: Vec<Expr> =
                kept.iter().map(|at| projection.expr[*at].clone()).collect();
            let input = child(&projection.input, &none(&expressions))?;
            let schema = some_of(&projection.schema, &kept)?;
            LogicalPlan::Projection(Projection::try_new_with_schema(expressions, input, schema)?)
        }
        LogicalPlan::Filter(filter) => {
            let input = child(&filter.input, &with(names, [&filter.predicate]))?;
            LogicalPlan::Filter(Filter::try_new(filter.predicate, input)?)
        }
        LogicalPlan::Sort(sort) => {
            let input = child(&sort.input, &with(names, sort.expr.iter().map(|one| &one.expr)))?;
            LogicalPlan::Sort(Sort { input, ..sort })
        }
        LogicalPlan::Limit(limit) => {
            let input = child(&limit.input, names)?;
            LogicalPlan::Limit(Limit { input, ..limit })
        }
        LogicalPlan::Join(join) => self::join(join, names)?,
        LogicalPlan::Aggregate(aggregate) => self::aggregate(aggregate, names)?,
        LogicalPlan::Union(union) => {
            let kept = kept(&union.schema, names);
            let inputs = union
                .inputs
                .iter()
                .map(|input| Ok(Arc::new(exactly(input.as_ref().clone(), Some(&kept))?)));
            let inputs = inputs.collect::<PlanResult<_>>()?;
            LogicalPlan::Union(Union { inputs, schema: some_of(&union.schema, &kept)? })
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = exactly(input.as_ref().clone(), None)?;
            LogicalPlan::Distinct(Distinct::All(Arc::new(input)))
        }
        LogicalPlan::Extension(_) => {
            let Some(node) = StreamingNode::of(&plan) else {
                return Err(PlanError::new("internal: a foreign node"));
            };
            streaming(node.clone(), names)?
        }
        other => other,
    })
}

fn join(join: Join, names: &Names) -> PlanResult<LogicalPlan> {
    let sides = join.on.iter().flat_map(|(left, right)| [left, right]);
    let all = with(names, sides.chain(&join.filter));
    let (left, right) = (child(&join.left, &all)?, child(&join.right, &all)?);
    let schema = join_schema(left.schema(), right.schema(), join.join_type)?;
    Ok(LogicalPlan::Join(Join { left, right, schema, ..join }))
}

fn aggregate(aggregate: Aggregate, names: &Names) -> PlanResult<LogicalPlan> {
    let groups = aggregate.group_expr.len();
    let mut positions: Vec<usize> = (0..groups).collect();
    let calls = aggregate.schema.fields().iter().enumerate().skip(groups);
    positions.extend(calls.filter(|(_, one)| names.contains(one.name())).map(|(at, _)| at));
    if positions.is_empty() {
        positions.push(0);
    }
    let calls: Vec<Expr> = positions
        .iter()
        .filter_map(|at| at.checked_sub(groups))
        .map(|at| aggregate.aggr_expr[at].clone())
        .collect();
    let input = child(&aggregate.input, &none(aggregate.group_expr.iter().chain(&calls)))?;
    let schema = some_of(&aggregate.schema, &positions)?;
    let pruned = Aggregate::try_new_with_schema(input, aggregate.group_expr, calls, schema)?;
    Ok(LogicalPlan::Aggregate(pruned))
}

fn streaming(mut node: StreamingNode, names: &Names) -> PlanResult<LogicalPlan> {
    match &node.kind {
        StreamingNodeKind::Sink { .. }
        | StreamingNodeKind::SetOperation { .. }
        | StreamingNodeKind::ToChangelog { .. }
        | StreamingNodeKind::FromChangelog { .. } => {
            let inputs = node.inputs.into_iter().map(|input| exactly(input, None));
            node.inputs = inputs.collect::<PlanResult<_>>()?;
            return Ok(node.into_plan());
        }
        StreamingNodeKind::Expand { .. } => {
            let names = none(&node.expressions);
            let inputs = node.inputs.into_iter().map(|input| needed(input, &names));
            node.inputs = inputs.collect::<PlanResult<_>>()?;
            return Ok(node.into_plan());
        }
        StreamingNodeKind::Watermark
        | StreamingNodeKind::Window(_)
        | StreamingNodeKind::Over(_)
        | StreamingNodeKind::TemporalJoin { .. }
        | StreamingNodeKind::Correlate { .. }
        | StreamingNodeKind::StateTtl { .. } => {}
    }
    // All columns of the inputs pass, and those that the node adds follow.
    let passed: usize = node.inputs.iter().map(|input| input.schema().fields().len()).sum();
    let added = node.schema.fields()[passed..].to_vec();
    let mut all = with(names, &node.expressions);
    if let (StreamingNodeKind::TemporalJoin { .. }, [_, versions]) = (&node.kind, &*node.inputs) {
        // No expression names the time of a version.
        let fields = versions.schema().fields().iter();
        let times = fields.filter(|field| time_attribute(field) == Some(TimeAttribute::Rowtime));
        all.extend(times.map(|field| field.name().clone()));
    }
    let inputs = node.inputs.into_iter().map(|input| needed(input, &all));
    node.inputs = inputs.collect::<PlanResult<_>>()?;
    let mut fields = Vec::new();
    for input in &node.inputs {
        for field in input.schema().fields() {
            fields.push(node.schema.fields()[position(&node.schema, field.name())?].clone());
        }
    }
    fields.extend(added);
    node.schema = schema_of(fields)?;
    Ok(node.into_plan())
}

/// Whether a join gives the columns of both sides.
#[must_use]
pub(super) fn gives_both(join_type: JoinType) -> bool {
    matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full)
}
