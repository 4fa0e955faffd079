//! Correlated conditions go up to where their query is joined.

use std::sync::Arc;

use datafusion_common::{Column, JoinType, ScalarValue};
use datafusion_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, FetchType, Filter, LogicalPlan, Operator, Projection,
    SkipType, Sort,
};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::nodes::{all_of, conjuncts};
use crate::{
    PlanError, PlanResult,
    plan::{OverFunction, OverNode, StreamingNode, StreamingNodeKind},
    types::{metadata, plan_field, schema_of},
};

/// The plan without its correlated conditions, and these. Columns that they name are there, behind
/// the plan's own.
pub(super) fn pull_up(plan: LogicalPlan) -> PlanResult<(LogicalPlan, Vec<Expr>)> {
    if plan.all_out_ref_exprs().is_empty() {
        return Ok((plan, Vec::new()));
    }
    match plan {
        LogicalPlan::Filter(filter) => {
            let (input, mut up) = pull_up(Arc::unwrap_or_clone(filter.input))?;
            let (outer, own): (Vec<Expr>, Vec<Expr>) =
                conjuncts(filter.predicate).into_iter().partition(Expr::contains_outer);
            up.extend(outer);
            let plan = match all_of(own) {
                Some(predicate) => {
                    LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?)
                }
                None => input,
            };
            Ok((plan, up))
        }
        LogicalPlan::Projection(projection) => {
            let (input, up) = pull_up(Arc::unwrap_or_clone(projection.input.clone()))?;
            project(projection, input, up)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let (input, up) = pull_up(Arc::unwrap_or_clone(aggregate.input))?;
            if !up.iter().all(is_equality) {
                let message = "an aggregate can be correlated by equality only";
                return Err(PlanError::new(message));
            }
            let mut group = aggregate.group_expr;
            let own = group.len();
            let all: Vec<_> = aggregate.schema.fields().iter().cloned().collect();
            let (keys, calls) = all.split_at(own);
            let mut added = Vec::new();
            for column in named(&up) {
                let expr = Expr::Column(column.clone());
                if !group.contains(&expr) {
                    added.push(input.schema().field_with_unqualified_name(&column.name)?.clone());
                    group.push(expr);
                }
            }
            let schema = schema_of([keys, &added, calls].concat())?;
            let grouped = Aggregate::try_new_with_schema(
                Arc::new(input),
                group,
                aggregate.aggr_expr,
                schema,
            )?;
            let grouped = LogicalPlan::Aggregate(grouped);
            if added.is_empty() {
                return Ok((grouped, up));
            }
            // The plan's own columns come first.
            let fields = [keys, calls, &added].concat();
            let columns =
                fields.iter().map(|one| Expr::Column(Column::new_unqualified(one.name())));
            let columns = columns.collect();
            let schema = schema_of(fields)?;
            let ordered = Projection::try_new_with_schema(columns, Arc::new(grouped), schema)?;
            Ok((LogicalPlan::Projection(ordered), up))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let (input, up) = pull_up(Arc::unwrap_or_clone(input))?;
            Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), up))
        }
        LogicalPlan::Sort(sort) => {
            let (input, up) = pull_up(Arc::unwrap_or_clone(sort.input))?;
            Ok((LogicalPlan::Sort(Sort { input: Arc::new(input), ..sort }), up))
        }
        LogicalPlan::Limit(limit) => {
            let rows = match (limit.get_skip_type()?, limit.get_fetch_type()?) {
                (SkipType::Literal(0), FetchType::Literal(Some(rows))) => rows as i64,
                _ => return Err(PlanError::new("a correlated query can have no OFFSET")),
            };
            top_list(Arc::unwrap_or_clone(limit.input), rows)
        }
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let (left, mut up) = pull_up(Arc::unwrap_or_clone(join.left))?;
            let (right, more) = pull_up(Arc::unwrap_or_clone(join.right))?;
            up.extend(more);
            let mut own = Vec::new();
            for (one, other) in join.on {
                let equal =
                    BinaryExpr { left: Box::new(one), op: Operator::Eq, right: Box::new(other) };
                own.push(Expr::BinaryExpr(equal));
            }
            own.extend(join.filter.map(conjuncts).unwrap_or_default());
            let (outer, own): (Vec<Expr>, Vec<Expr>) =
                own.into_iter().partition(Expr::contains_outer);
            up.extend(outer);
            let joined = super::decorrelate::join(left, right, JoinType::Inner, own)?;
            Ok((joined, up))
        }
        _ => Err(PlanError::new(
            "this query names columns of another in a way that is not supported",
        )),
    }
}

/// The projection above another input, which gives what the conditions name, too.
fn project(
    projection: Projection,
    input: LogicalPlan,
    up: Vec<Expr>,
) -> PlanResult<(LogicalPlan, Vec<Expr>)> {
    let mut expressions = projection.expr;
    let mut fields: Vec<_> = projection.schema.fields().iter().cloned().collect();
    for column in named(&up) {
        if fields.iter().any(|field| *field.name() == column.name) {
            continue;
        }
        fields.push(input.schema().field_with_unqualified_name(&column.name)?.clone());
        expressions.push(Expr::Column(column));
    }
    let schema = schema_of(fields)?;
    let projection = Projection::try_new_with_schema(expressions, Arc::new(input), schema)?;
    Ok((LogicalPlan::Projection(projection), up))
}

/// The first rows of an order, of each row that the query is correlated with: those of its keys.
fn top_list(plan: LogicalPlan, rows: i64) -> PlanResult<(LogicalPlan, Vec<Expr>)> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let (input, up) = top_list(Arc::unwrap_or_clone(projection.input.clone()), rows)?;
            project(projection, input, up)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let (input, up) = pull_up(Arc::unwrap_or_clone(sort.input))?;
            let by_column = sort.expr.iter().all(|one| matches!(one.expr, Expr::Column(_)));
            if !up.iter().all(is_equality) || !by_column {
                let message =
                    "a query with LIMIT can be correlated by equality only, and ordered by columns";
                return Err(PlanError::new(message));
            }
            let keys = named(&up);
            let kind = StreamingNodeKind::Over(OverNode {
                partition: keys.len(),
                order: sort.expr.iter().map(|one| (one.asc, one.nulls_first)).collect(),
                functions: vec![OverFunction::Ranking {
                    name: "ROW_NUMBER".to_owned(),
                    arguments: 0,
                }],
            });
            let mut expressions: Vec<Expr> = keys.into_iter().map(Expr::Column).collect();
            expressions.extend(sort.expr.into_iter().map(|one| one.expr));
            let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
            let first = fields.first().map_or("", |one| one.name());
            let (name, number) =
                (format!("{first}$number"), SqlDataType::not_null(SqlTypeKind::BigInt));
            fields.push(Arc::new(plan_field(&name, &number, None)?));
            let schema = schema_of(fields)?;
            let numbered = StreamingNode { kind, inputs: vec![input], expressions, schema };
            let bound = ScalarValue::Int64(Some(rows));
            let bound = Expr::Literal(bound, Some(metadata(&number, None)));
            let number = Expr::Column(Column::new_unqualified(name));
            let within = super::decorrelate::binary(number, Operator::LtEq, bound);
            let plan = Filter::try_new(within, Arc::new(numbered.into_plan()))?;
            Ok((LogicalPlan::Filter(plan), up))
        }
        _ => Err(PlanError::new("a correlated query with LIMIT needs ORDER BY")),
    }
}

/// Whether a query gives one row at most.
pub(super) fn is_single(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(one) => is_single(&one.input),
        LogicalPlan::Filter(one) => is_single(&one.input),
        LogicalPlan::Sort(one) => is_single(&one.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_single(input),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Limit(limit) => {
            let one = |expr: &Expr| {
                matches!(expr, Expr::Literal(datafusion_common::ScalarValue::Int64(Some(0 | 1)), _))
            };
            limit.fetch.as_ref().is_some_and(|fetch| one(fetch)) || is_single(&limit.input)
        }
        _ => false,
    }
}

fn is_equality(expr: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return false };
    let (left_outer, right_outer) = (left.contains_outer(), right.contains_outer());
    left_outer != right_outer
        && (!left_outer || left.column_refs().is_empty())
        && (!right_outer || right.column_refs().is_empty())
}

/// The inner columns of conditions, each once, in order.
fn named(conditions: &[Expr]) -> Vec<Column> {
    let mut all: Vec<Column> = Vec::new();
    for condition in conditions {
        let mut columns: Vec<&Column> = condition.column_refs().into_iter().collect();
        columns.sort();
        for column in columns {
            if !all.contains(column) {
                all.push(column.clone());
            }
        }
    }
    all
}
