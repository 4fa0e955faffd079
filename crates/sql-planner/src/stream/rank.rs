//! Top lists: a filter over the number of a row.

use std::collections::HashSet;

use datafusion_common::ScalarValue;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use super::{
    ExecNode, ExecNodeKind, PlannedOver, RankStrategy, StreamPlanResult, StreamPlanner,
    convert::{Needed, names_in},
    expressions::{column, column_of, integer, position, schema_of, unaliased},
    refused,
    windows::window_columns,
};

/// From which number to which.
struct Range {
    start: u64,
    end: u64,
}

impl StreamPlanner<'_> {
    /// Makes a top list of an OVER below, if the terms bound its number from above; those terms are
    /// taken out. `needed`: what of the filter's columns is used above it.
    pub(super) fn top_list(
        &self,
        node: ExecNode,
        terms: &mut Vec<Expr>,
        needed: &Needed,
    ) -> StreamPlanResult<ExecNode> {
        let Some(numbers) = number_columns(&node) else { return Ok(node) };
        let is_number = |expression: &Expr| {
            column_of(expression, &node.schema).is_some_and(|column| numbers.contains(&column))
        };
        let (bounds, others): (Vec<Expr>, Vec<Expr>) =
            terms.drain(..).partition(|term| bound_of(term, &is_number).is_some());
        let found = bounds.iter().filter_map(|term| bound_of(term, &is_number)).fold(
            (1_i64, None::<i64>),
            |(start, end), (low, high)| {
                let end = match (end, high) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                (start.max(low.unwrap_or(1)), end)
            },
        );
        let (start, Some(end)) = found else {
            terms.extend(others);
            terms.extend(bounds);
            return Ok(node);
        };
        *terms = others;
        let range = Range { start: start.max(1).unsigned_abs(), end: end.max(0).unsigned_abs() };
        let used: HashSet<String> = names_in(&*terms);
        let is_used = |index: &usize| {
            let name = node.schema.field(*index).name();
            used.contains(name) || needed.as_ref().is_none_or(|needed| needed.contains(name))
        };
        let with_number = numbers.iter().any(is_used) || computes_with_number(&node);
        replaced(node, &range, with_number)
    }
}

/// The columns that are the number of the row, if there is an OVER of nothing but that below.
fn number_columns(node: &ExecNode) -> Option<Vec<usize>> {
    match &node.kind {
        ExecNodeKind::OverAggregate(over) => match over.functions.as_slice() {
            [PlannedOver::Ranking { name, .. }] => {
                let is = matches!(name.as_str(), "ROW_NUMBER" | "RANK" | "DENSE_RANK");
                is.then(|| vec![node.schema.fields().len() - 1])
            }
            _ => None,
        },
        ExecNodeKind::Calc { projection, .. } => {
            let input = node.inputs.first()?;
            let below = number_columns(input)?;
            let is = |one: &Expr| {
                column_of(one, &input.schema).is_some_and(|column| below.contains(&column))
            };
            Some((0..projection.len()).filter(|index| is(&projection[*index])).collect())
        }
        _ => None,
    }
}

/// True if something on the way down is computed from the number.
fn computes_with_number(node: &ExecNode) -> bool {
    let ExecNodeKind::Calc { projection, condition } = &node.kind else { return false };
    let Some(input) = node.inputs.first() else { return false };
    let below = number_columns(input).unwrap_or_default();
    let uses = |one: &Expr| {
        one.column_refs().iter().any(|column| {
            position(&input.schema, &column.name).is_some_and(|column| below.contains(&column))
        })
    };
    let computed = projection.iter().filter(|one| column_of(one, &input.schema).is_none());
    computed.chain(condition).any(uses) || computes_with_number(input)
}

/// From which number and to which a term says, if it is about the number alone.
fn bound_of(term: &Expr, is_number: &impl Fn(&Expr) -> bool) -> Option<(Option<i64>, Option<i64>)> {
    match unaliased(term) {
        Expr::Between(between) if !between.negated && is_number(&between.expr) => {
            Some((Some(integer(&between.low)?), Some(integer(&between.high)?)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, bound) = if is_number(left) {
                (*op, integer(right)?)
            } else if is_number(right) {
                (op.swap()?, integer(left)?)
            } else {
                return None;
            };
            match op {
                Operator::Eq => Some((Some(bound), Some(bound))),
                Operator::Lt => Some((None, Some(bound.checked_sub(1)?))),
                Operator::LtEq => Some((None, Some(bound))),
                Operator::Gt => Some((Some(bound.checked_add(1)?), None)),
                Operator::GtEq => Some((Some(bound), None)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The node with a top list in place of the OVER. Without the number its columns are left out, and
/// if it can only be one, it is a constant.
fn replaced(node: ExecNode, range: &Range, with_number: bool) -> StreamPlanResult<ExecNode> {
    match node.kind {
        ExecNodeKind::OverAggregate(over) => {
            if let [PlannedOver::Ranking { name, .. }] = over.functions.as_slice()
                && name != "ROW_NUMBER"
            {
                return refused(format!(
                    "{name} is not supported in top lists of streams: use ROW_NUMBER"
                ));
            }
            let Some(input) = node.inputs.into_iter().next() else {
                return refused("internal: an OVER without input");
            };
            if over.order.is_empty() {
                return refused(
                    "Over Agg: The window rank function requires order by clause with non-constant fields. please re-check the over window statement.",
                );
            }
            let constant = range.start == range.end;
            let given = with_number && !constant;
            let mut fields: Vec<_> = input.schema.fields().iter().cloned().collect();
            let number = node.schema.fields()[fields.len()].clone();
            if given {
                fields.push(number.clone());
            }
            let schema = schema_of(fields)?;
            let windows = window_columns(&input).filter(|one| one.both_in(&over.partition));
            let kind = match windows {
                Some(windows) => {
                    let partition = over.partition.into_iter();
                    ExecNodeKind::WindowRank {
                        partition: partition.filter(|one| !windows.has(*one)).collect(),
                        order: over.order,
                        start: range.start,
                        end: range.end,
                        with_number: given,
                        window_end: windows.end[0],
                        event_time: windows.window.event_time,
                    }
                }
                None => ExecNodeKind::Rank {
                    partition: over.partition,
                    order: over.order,
                    start: range.start,
                    end: range.end,
                    with_number: given,
                    strategy: RankStrategy::AppendFast,
                },
            };
            let ranked = ExecNode::new(kind, vec![input], schema);
            if !(with_number && constant) {
                return Ok(ranked);
            }
            let mut projection = super::expressions::all_columns(&ranked.schema);
            let value = ScalarValue::Int64(Some(i64::try_from(range.start).unwrap_or(i64::MAX)));
            projection.push(Expr::Literal(value, None));
            let fields = ranked.schema.fields().iter().cloned().chain([number]).collect();
            let kind = ExecNodeKind::Calc { projection, condition: None };
            Ok(ExecNode::new(kind, vec![ranked], schema_of(fields)?))
        }
        ExecNodeKind::Calc { projection, condition } => {
            let Some(input) = node.inputs.into_iter().next() else {
                return refused("internal: a Calc without input");
            };
            let below = replaced(input, range, with_number)?;
            let mut kept = Vec::new();
            let mut fields = Vec::new();
            for (index, expression) in projection.into_iter().enumerate() {
                let columns = expression.column_refs();
                if columns.iter().all(|one| position(&below.schema, &one.name).is_some()) {
                    fields.push(node.schema.fields()[index].clone());
                    kept.push(expression);
                }
            }
            if kept.is_empty() && !below.schema.fields().is_empty() {
                kept.push(column(&below.schema, 0));
                fields.push(below.schema.fields()[0].clone());
            }
            let kind = ExecNodeKind::Calc { projection: kept, condition };
            Ok(ExecNode::new(kind, vec![below], schema_of(fields)?))
        }
        kind => Ok(ExecNode { kind, ..node }),
    }
}
