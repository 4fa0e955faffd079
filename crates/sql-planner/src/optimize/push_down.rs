//! Filters go towards the scans, and conditions of WHERE into the joins below.
//!
//! They stop above watermarks (which follow all rows), windows, OVER, limits and set operations,
//! whose results depend on the rows that a filter drops.

use std::{collections::HashMap, sync::Arc};

use datafusion_common::{
    DFSchema, JoinType,
    tree_node::{Transformed, TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{Distinct, Expr, Filter, Join, LogicalPlan, Projection, Sort, Union};

use super::{
    nodes::{all_of, conjuncts, equal_sides, join_schema},
    prune::gives_both,
};
use crate::{
    PlanResult,
    plan::{StreamingNode, StreamingNodeKind},
};

/// The plan with its filters as low as they may be.
pub(super) fn push_down(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    push(plan, Vec::new())
}

/// The most nodes that a filter grows to on its way. Columns stand for expressions over columns that
/// stand for expressions: what views compute from each other would multiply.
const MOST_NODES: usize = 2_000;

fn above(plan: LogicalPlan, filters: Vec<Expr>) -> PlanResult<LogicalPlan> {
    Ok(match all_of(filters) {
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?),
        None => plan,
    })
}

fn child(plan: &Arc<LogicalPlan>, filters: Vec<Expr>) -> PlanResult<Arc<LogicalPlan>> {
    Ok(Arc::new(push(plan.as_ref().clone(), filters)?))
}

fn push(plan: LogicalPlan, mut filters: Vec<Expr>) -> PlanResult<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Filter(filter) => {
            // The lower one comes first: what is above may rely on it.
            let mut all = conjuncts(filter.predicate);
            all.retain(|one| !is_true(one));
            all.append(&mut filters);
            return push(filter.input.as_ref().clone(), all);
        }
        LogicalPlan::Projection(projection) => {
            let (down, rest) = through(&projection.expr, &projection.schema, filters)?;
            let input = child(&projection.input, down)?;
            let projection =
                Projection::try_new_with_schema(projection.expr, input, projection.schema)?;
            above(LogicalPlan::Projection(projection), rest)?
        }
        LogicalPlan::Join(join) => self::join(join, filters)?,
        LogicalPlan::Aggregate(mut aggregate) => {
            let keys: Vec<String> = aggregate.group_expr.iter().map(column_name).collect();
            let (down, rest) = filters.into_iter().partition(|one| {
                let columns = one.column_refs();
                !columns.is_empty() && columns.iter().all(|column| keys.contains(&column.name))
            });
            aggregate.input = child(&aggregate.input, down)?;
            above(LogicalPlan::Aggregate(aggregate), rest)?
        }
        LogicalPlan::Union(union) => {
            let mut inputs = Vec::with_capacity(union.inputs.len());
            for input in &union.inputs {
                let names = union.schema.fields().iter().zip(input.schema().columns());
                let names: HashMap<String, Expr> = names
                    .map(|(field, column)| (field.name().clone(), Expr::Column(column)))
                    .collect();
                let mapped = filters.iter().map(|one| replaced(one.clone(), &names));
                inputs.push(child(input, mapped.collect::<PlanResult<_>>()?)?);
            }
            LogicalPlan::Union(Union { inputs, schema: union.schema })
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            LogicalPlan::Distinct(Distinct::All(child(&input, filters)?))
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let input = child(&sort.input, filters)?;
            LogicalPlan::Sort(Sort { input, ..sort })
        }
        LogicalPlan::Limit(mut limit) => {
            limit.input = child(&limit.input, Vec::new())?;
            above(LogicalPlan::Limit(limit), filters)?
        }
        LogicalPlan::Extension(_) => match StreamingNode::of(&plan) {
            Some(node) => streaming(node.clone(), filters)?,
            None => above(plan, filters)?,
        },
        other => above(other, filters)?,
    })
}

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        _ => String::new(),
    }
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion_common::ScalarValue::Boolean(Some(true)), _))
}

/// The filters over what the projection computes from, and those that must stay above it.
fn through(
    expressions: &[Expr],
    schema: &DFSchema,
    filters: Vec<Expr>,
) -> PlanResult<(Vec<Expr>, Vec<Expr>)> {
    let computed = schema.fields().iter().zip(expressions).map(|(field, expr)| {
        let expr = match expr {
            Expr::Alias(alias) => (*alias.expr).clone(),
            other => other.clone(),
        };
        (field.name().clone(), expr)
    });
    let computed: HashMap<String, Expr> = computed.collect();
    let (mut down, mut rest) = (Vec::new(), Vec::new());
    for filter in filters {
        let columns = filter.column_refs();
        let volatile =
            columns.iter().any(|column| computed.get(&column.name).is_none_or(Expr::is_volatile));
        if volatile || grows(&filter, &computed) {
            rest.push(filter);
        } else {
            down.push(replaced(filter, &computed)?);
        }
    }
    Ok((down, rest))
}

/// True if a filter has too many nodes when its columns are replaced, and gets more by that.
fn grows(filter: &Expr, computed: &HashMap<String, Expr>) -> bool {
    let mut columns = filter.column_refs_counts().into_iter();
    let added = columns.try_fold(0, |added: usize, (column, count)| {
        let nodes = nodes(computed.get(&column.name)?, MOST_NODES) - 1;
        Some(added.saturating_add(nodes.saturating_mul(count)))
    });
    added.is_none_or(|added| {
        added > 0 && added.saturating_add(nodes(filter, MOST_NODES)) > MOST_NODES
    })
}

/// How many nodes an expression has; not counted beyond a limit.
fn nodes(expr: &Expr, limit: usize) -> usize {
    let mut count = 0;
    let counted = expr.apply(|_| {
        count += 1;
        Ok(if count > limit { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    // Counting cannot fail; if it did, the expression would be taken for a large one.
    counted.map_or(limit + 1, |_| count)
}

/// The expression with other ones in the place of columns.
pub(super) fn replaced(expr: Expr, by: &HashMap<String, Expr>) -> PlanResult<Expr> {
    let replaced = expr.transform_down(|one| {
        Ok(match &one {
            Expr::Column(column) => match by.get(&column.name) {
                // What takes its place is not looked at again.
                Some(other) => Transformed::new(other.clone(), true, TreeNodeRecursion::Jump),
                None => Transformed::no(one),
            },
            _ => Transformed::no(one),
        })
    })?;
    Ok(replaced.data)
}

fn within(expr: &Expr, schema: &DFSchema) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty()
        && columns.iter().all(|one| schema.has_column_with_unqualified_name(&one.name))
}

fn join(join: Join, filters: Vec<Expr>) -> PlanResult<LogicalPlan> {
    use JoinType::{Inner, Left, LeftAnti, LeftSemi, Right};
    let (mut left, mut right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let (mut on, mut condition) = (join.on.clone(), Vec::new());
    let kind = join.join_type;
    for filter in filters {
        let volatile = filter.is_volatile();
        if !volatile
            && within(&filter, join.left.schema())
            && matches!(kind, Inner | Left | LeftSemi | LeftAnti)
        {
            left.push(filter);
        } else if !volatile && within(&filter, join.right.schema()) && matches!(kind, Inner | Right)
        {
            right.push(filter);
        } else if kind == Inner && gives_both(kind) {
            match equal_sides(&filter, join.left.schema(), join.right.schema()) {
                Some(sides) => on.push(sides),
                None => condition.push(filter),
            }
        } else {
            rest.push(filter);
        }
    }
    // Conditions of ON: rows of the side that need not be there can be dropped before.
    for filter in join.filter.clone().map(conjuncts).unwrap_or_default() {
        let volatile = filter.is_volatile();
        if is_true(&filter) {
            continue;
        }
        if !volatile
            && within(&filter, join.left.schema())
            && matches!(kind, Inner | Right | LeftSemi)
        {
            left.push(filter);
        } else if !volatile
            && within(&filter, join.right.schema())
            && matches!(kind, Inner | Left | LeftSemi | LeftAnti)
        {
            right.push(filter);
        } else {
            match equal_sides(&filter, join.left.schema(), join.right.schema()) {
                Some(sides) => on.push(sides),
                None => condition.push(filter),
            }
        }
    }
    let (left, right) = (child(&join.left, left)?, child(&join.right, right)?);
    let schema = join_schema(left.schema(), right.schema(), kind)?;
    let join = Join { left, right, on, filter: all_of(condition), schema, ..join };
    above(LogicalPlan::Join(join), rest)
}

fn streaming(mut node: StreamingNode, filters: Vec<Expr>) -> PlanResult<LogicalPlan> {
    let of_left = matches!(
        node.kind,
        StreamingNodeKind::TemporalJoin { .. } | StreamingNodeKind::Correlate { .. }
    );
    let (down, rest) = filters.into_iter().partition(|filter| {
        of_left && !filter.is_volatile() && within(filter, node.inputs[0].schema())
    });
    let mut down = Some(down);
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for input in node.inputs {
        inputs.push(push(input, down.take().unwrap_or_default())?);
    }
    node.inputs = inputs;
    above(node.into_plan(), rest)
}
