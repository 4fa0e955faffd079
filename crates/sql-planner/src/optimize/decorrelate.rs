//! Subqueries become joins.
//!
//! | in | becomes |
//! |---|---|
//! | WHERE EXISTS, IN | a semi join on the correlated conditions (and the equality) |
//! | WHERE NOT EXISTS | an anti join |
//! | WHERE NOT IN | an anti join on "equal or unknown", so that NULL hides rows as it must |
//! | EXISTS, IN elsewhere | a left join with the distinct keys of the query, and a look at whether they are there ([`existence`](super::existence)) |
//! | a query as a value | a left join; with correlation its aggregate gets the keys of the join |
//! | LATERAL | a join on the correlated conditions; a LIMIT in it is one per key |
//!
//! Correlated conditions are pulled up from filters through projections, aggregates, DISTINCT, top
//! lists and inner joins. What else is correlated is refused.

use std::sync::Arc;

use datafusion_common::{
    Column, JoinConstraint, JoinType, NullEquality,
    tree_node::{Transformed, TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{
    Aggregate, BinaryExpr, Case, Expr, Filter, Join, LogicalPlan, Operator, Projection, Subquery,
    expr::{AggregateFunction, InSubquery, SetQuantifier},
};
use hurtig_sql_functions::api::CallArgument;

use super::{
    existence,
    nodes::{all_of, conjuncts, data_type_of, equal_sides, has_subquery, join_schema},
    pull_up::pull_up,
};
use crate::{
    PlanError, PlanResult,
    functions::{AggregateCoat, BuiltinFunctions, FunctionLibrary},
    plan::StreamingNode,
    types::{metadata, plan_field, schema_of, with_nullability},
};

/// The plan without subqueries.
pub(super) fn decorrelate(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let plan = with_inputs(plan, &mut |input| decorrelate(input))?;
    match plan {
        LogicalPlan::Filter(filter) if has_subquery(&filter.predicate) => self::filter(filter),
        LogicalPlan::Projection(projection) if projection.expr.iter().any(has_subquery) => {
            let schema = projection.schema;
            let mut input = projection.input.as_ref().clone();
            let mut expressions = Vec::with_capacity(projection.expr.len());
            for expr in projection.expr {
                let (expr, below) = values(expr, input)?;
                refuse(&expr)?;
                input = below;
                expressions.push(expr);
            }
            let projection = Projection::try_new_with_schema(expressions, Arc::new(input), schema)?;
            Ok(LogicalPlan::Projection(projection))
        }
        other => {
            let mut found = false;
            other.apply_expressions(|expr| {
                found |= has_subquery(expr);
                Ok(TreeNodeRecursion::Continue)
            })?;
            if found {
                Err(PlanError::new("a query cannot stand in this clause"))
            } else {
                Ok(other)
            }
        }
    }
}

/// The node with other inputs.
pub(super) fn with_inputs(
    plan: LogicalPlan,
    change: &mut dyn FnMut(LogicalPlan) -> PlanResult<LogicalPlan>,
) -> PlanResult<LogicalPlan> {
    let mut of = |input: Arc<LogicalPlan>| change(Arc::unwrap_or_clone(input)).map(Arc::new);
    Ok(match plan {
        LogicalPlan::Projection(mut node) => {
            node.input = of(node.input)?;
            LogicalPlan::Projection(node)
        }
        LogicalPlan::Filter(mut node) => {
            node.input = of(node.input)?;
            LogicalPlan::Filter(node)
        }
        LogicalPlan::Aggregate(mut node) => {
            node.input = of(node.input)?;
            LogicalPlan::Aggregate(node)
        }
        LogicalPlan::Sort(mut node) => {
            node.input = of(node.input)?;
            LogicalPlan::Sort(node)
        }
        LogicalPlan::Limit(mut node) => {
            node.input = of(node.input)?;
            LogicalPlan::Limit(node)
        }
        LogicalPlan::Join(mut node) => {
            (node.left, node.right) = (of(node.left)?, of(node.right)?);
            LogicalPlan::Join(node)
        }
        LogicalPlan::Union(mut node) => {
            node.inputs = node.inputs.into_iter().map(of).collect::<PlanResult<_>>()?;
            LogicalPlan::Union(node)
        }
        LogicalPlan::Distinct(datafusion_expr::Distinct::All(input)) => {
            LogicalPlan::Distinct(datafusion_expr::Distinct::All(of(input)?))
        }
        LogicalPlan::Extension(_) => match StreamingNode::of(&plan) {
            Some(node) => {
                let mut node = node.clone();
                node.inputs = node.inputs.into_iter().map(change).collect::<PlanResult<_>>()?;
                node.into_plan()
            }
            None => plan,
        },
        other => other,
    })
}

fn refuse(expr: &Expr) -> PlanResult<()> {
    if has_subquery(expr) {
        let message = "ANY and ALL of queries can only stand between AND in WHERE and HAVING";
        return Err(PlanError::new(message));
    }
    Ok(())
}

fn filter(filter: Filter) -> PlanResult<LogicalPlan> {
    let mut input = Arc::unwrap_or_clone(filter.input);
    let mut rest = Vec::new();
    for conjunct in conjuncts(filter.predicate) {
        match conjunct {
            Expr::Exists(exists) => input = exists_join(input, exists.subquery, exists.negated)?,
            Expr::InSubquery(query) => input = in_join(input, query)?,
            Expr::Not(inner) => match *inner {
                Expr::Exists(exists) => {
                    input = exists_join(input, exists.subquery, !exists.negated)?;
                }
                Expr::InSubquery(query) => {
                    let negated = !query.negated;
                    input = in_join(input, InSubquery { negated, ..query })?;
                }
                other => {
                    let (expr, below) = values(Expr::Not(Box::new(other)), input)?;
                    refuse(&expr)?;
                    input = below;
                    rest.push(expr);
                }
            },
            Expr::SetComparison(set) => {
                // x > ALL q: there is no row of q for which it is not so, or unknown.
                let all = set.quantifier == SetQuantifier::All;
                let (operand, below) = values(*set.expr, input)?;
                let (plan, mut on) = opened(set.subquery, &below)?;
                let column = Expr::Column(plan.schema().columns()[0].clone());
                let compared = binary(operand, set.op, column);
                on.push(if all { Expr::IsNotTrue(Box::new(compared)) } else { compared });
                let join_type = if all { JoinType::LeftAnti } else { JoinType::LeftSemi };
                input = join(below, plan, join_type, on)?;
            }
            other if has_subquery(&other) => {
                let (expr, below) = conditional(other, input)?;
                refuse(&expr)?;
                input = below;
                rest.push(expr);
            }
            other => rest.push(other),
        }
    }
    Ok(match all_of(rest) {
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?),
        None => input,
    })
}

/// The plan of a subquery and its correlated conditions, over the columns of both.
pub(super) fn opened(query: Subquery, outer: &LogicalPlan) -> PlanResult<(LogicalPlan, Vec<Expr>)> {
    lateral(Arc::unwrap_or_clone(query.subquery), outer)
}

/// A plan that names columns of one beside it without them, and what must hold of both.
pub(crate) fn lateral(
    plan: LogicalPlan,
    outer: &LogicalPlan,
) -> PlanResult<(LogicalPlan, Vec<Expr>)> {
    let plan = decorrelate(plan)?;
    let (plan, conditions) = pull_up(plan)?;
    let conditions = conditions.into_iter().map(|one| inner(one, outer));
    let conditions = conditions.collect::<PlanResult<Vec<_>>>()?;
    if !plan.all_out_ref_exprs().is_empty() {
        return Err(PlanError::new(
            "this query names columns of another in a way that is not supported",
        ));
    }
    Ok((plan, conditions))
}

/// The expression with the outer columns as columns.
fn inner(expr: Expr, outer: &LogicalPlan) -> PlanResult<Expr> {
    let schema = outer.schema();
    let changed = expr.transform(|one| {
        Ok(match one {
            Expr::OuterReferenceColumn(_, column)
                if schema.has_column_with_unqualified_name(&column.name) =>
            {
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(changed.data)
}

fn exists_join(input: LogicalPlan, query: Subquery, negated: bool) -> PlanResult<LogicalPlan> {
    let (plan, on) = opened(query, &input)?;
    join(input, plan, if negated { JoinType::LeftAnti } else { JoinType::LeftSemi }, on)
}

fn in_join(input: LogicalPlan, query: InSubquery) -> PlanResult<LogicalPlan> {
    let (operand, input) = values(*query.expr, input)?;
    let (plan, mut on) = opened(query.subquery, &input)?;
    let first = plan.schema().columns()[0].clone();
    let column = Expr::Column(first);
    let operand_nullable = data_type_of(&operand, input.schema())?.nullable;
    let nullable = operand_nullable || data_type_of(&column, plan.schema())?.nullable;
    let equal = binary(operand, Operator::Eq, column);
    if query.negated {
        // A NULL on either side makes NOT IN unknown, which is not true: the row must go.
        on.push(if nullable { Expr::IsNotFalse(Box::new(equal)) } else { equal });
        return join(input, plan, JoinType::LeftAnti, on);
    }
    on.push(equal);
    join(input, plan, JoinType::LeftSemi, on)
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
}

/// A join on conditions, equalities as its keys.
pub(super) fn join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    conditions: Vec<Expr>,
) -> PlanResult<LogicalPlan> {
    let (mut on, mut rest) = (Vec::new(), Vec::new());
    for condition in conditions {
        match equal_sides(&condition, left.schema(), right.schema()) {
            Some(sides) => on.push(sides),
            None => rest.push(condition),
        }
    }
    let schema = join_schema(left.schema(), right.schema(), join_type)?;
    Ok(LogicalPlan::Join(Join {
        left: Arc::new(left),
        right: Arc::new(right),
        on,
        filter: all_of(rest),
        join_type,
        join_constraint: JoinConstraint::On,
        schema,
        null_equality: NullEquality::NullEqualsNothing,
        null_aware: false,
    }))
}

/// A condition where unknown is as good as false, down to what AND and OR join.
fn conditional(expr: Expr, input: LogicalPlan) -> PlanResult<(Expr, LogicalPlan)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, input) = conditional(*left, input)?;
            let (right, input) = conditional(*right, input)?;
            Ok((binary(left, op, right), input))
        }
        Expr::InSubquery(query) if !query.negated => existence::in_value(input, query, true),
        other => values(other, input),
    }
}

/// Replaces each query in an expression by columns of joins below.
pub(super) fn values(expr: Expr, input: LogicalPlan) -> PlanResult<(Expr, LogicalPlan)> {
    let mut below = Some(input);
    let mut failed = None;
    let changed = expr.transform_down(|one| {
        let is_query =
            matches!(one, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_));
        let Some(input) = (if is_query { below.take() } else { None }) else {
            return Ok(Transformed::no(one));
        };
        let joined = match one.clone() {
            Expr::ScalarSubquery(query) => scalar_join(input, query),
            Expr::Exists(exists) => existence::exists_value(input, exists.subquery, exists.negated),
            Expr::InSubquery(query) => existence::in_value(input, query, false),
            other => Ok((other, input)),
        };
        match joined {
            Ok((value, input)) => {
                below = Some(input);
                Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
            }
            Err(error) => {
                failed = Some(error);
                Ok(Transformed::new(one, false, TreeNodeRecursion::Stop))
            }
        }
    })?;
    match (failed, below) {
        (None, Some(input)) => Ok((changed.data, input)),
        (Some(error), _) => Err(error),
        (None, None) => Err(PlanError::new("internal: a join was lost")),
    }
}

fn scalar_join(input: LogicalPlan, query: Subquery) -> PlanResult<(Expr, LogicalPlan)> {
    let counts = is_count(&query.subquery);
    let mut query = query;
    if !super::pull_up::is_single(&query.subquery) {
        query.subquery = Arc::new(single_value(Arc::unwrap_or_clone(query.subquery))?);
    }
    let (plan, on) = opened(query, &input)?;
    let column: Column = plan.schema().columns()[0].clone();
    let data_type = data_type_of(&Expr::Column(column.clone()), plan.schema())?;
    let correlated = !on.is_empty();
    let joined = join(input, plan, JoinType::Left, on)?;
    let value = Expr::Column(column);
    if !(counts && correlated) {
        return Ok((value, joined));
    }
    // COUNT of no rows is 0, but a group without rows is not there.
    let zero = Expr::Literal(
        datafusion_common::ScalarValue::Int64(Some(0)),
        Some(metadata(&data_type, None)),
    );
    let case = Case {
        expr: None,
        when_then_expr: vec![(Box::new(Expr::IsNull(Box::new(value.clone()))), Box::new(zero))],
        else_expr: Some(Box::new(value)),
    };
    Ok((Expr::Case(case), joined))
}

/// The only row of a query; more than one fail the job.
fn single_value(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let name = "SINGLE_VALUE";
    let function = BuiltinFunctions.aggregate(name);
    let function = function.ok_or_else(|| PlanError::new(format!("internal: no {name}")))?;
    let column = plan.schema().columns()[0].clone();
    let value = Expr::Column(column.clone());
    let data_type = data_type_of(&value, plan.schema())?;
    let result = with_nullability(&data_type, true);
    let argument = CallArgument { data_type, literal: None };
    let coat = AggregateCoat::new(function, vec![argument], result.clone())?;
    let call =
        AggregateFunction::new_udf(coat.into_udf(), vec![value], false, None, Vec::new(), None);
    let given = format!("{}$single", column.name);
    let schema = schema_of(vec![Arc::new(plan_field(&given, &result, None)?)])?;
    let call = Expr::AggregateFunction(call).alias(given);
    let plan = Aggregate::try_new_with_schema(Arc::new(plan), Vec::new(), vec![call], schema)?;
    Ok(LogicalPlan::Aggregate(plan))
}

/// Whether the only column of a query is COUNT.
fn is_count(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => match &*projection.expr {
            [Expr::Alias(alias)] if matches!(*alias.expr, Expr::Column(_)) => {
                is_count(&projection.input)
            }
            _ => false,
        },
        LogicalPlan::Aggregate(aggregate) => match &*aggregate.aggr_expr {
            [Expr::Alias(alias)] => match &*alias.expr {
                Expr::AggregateFunction(call) => call.func.name() == "COUNT",
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}
