//! Aggregates over windows of rows.

use datafusion_expr::Expr;

use super::{
    BoundKind, ExecNode, ExecNodeKind, OverWindow, PlannedOver, SortKey, StreamPlanResult,
    StreamPlanner,
    aggregate::aggregate_call,
    expressions::{ColumnsBefore, TimeAttribute, integer, schema_of, select, time_of},
    refused,
};
use crate::plan::{OverFunction, OverNode, OverRange, StreamingNode};

impl StreamPlanner<'_> {
    pub(super) fn over(
        &self,
        input: ExecNode,
        over: &OverNode,
        node: &StreamingNode,
    ) -> StreamPlanResult<ExecNode> {
        let width = input.schema.fields().len();
        let mut expressions = node.expressions.iter();
        let mut next = || match expressions.next() {
            Some(expression) => Ok(expression),
            None => refused::<&Expr>("internal: an OVER with too few expressions"),
        };
        let mut columns = ColumnsBefore::after_all(&input.schema);
        let mut partition = Vec::new();
        for _ in 0..over.partition {
            partition.push(columns.position(next()?)?);
        }
        let mut order = Vec::new();
        for (ascending, nulls_first) in &over.order {
            let column = columns.position(next()?)?;
            order.push(SortKey { column, ascending: *ascending, nulls_first: *nulls_first });
        }
        let mut functions = Vec::new();
        for function in &over.functions {
            functions.push(match function {
                OverFunction::Aggregate(frame) => {
                    let call = aggregate_call(next()?, &mut columns)?;
                    PlannedOver::Aggregate { call, frame: frame.clone() }
                }
                OverFunction::Ranking { name, .. } if name == "LEAD" => {
                    return refused("LEAD Function is not supported in stream mode.");
                }
                OverFunction::Ranking { name, arguments } => {
                    let mut of_call = Vec::new();
                    let mut offset = 1;
                    for index in 0..*arguments {
                        let argument = next()?;
                        if index == 1 {
                            let rows = integer(argument).and_then(|rows| u64::try_from(rows).ok());
                            let Some(rows) = rows else {
                                return refused(format!("The offset of {name} must be a constant"));
                            };
                            offset = rows;
                        } else {
                            of_call.push(columns.position(argument)?);
                        }
                    }
                    PlannedOver::Ranking { name: name.clone(), columns: of_call, offset }
                }
            });
        }
        let bound = match order.first() {
            None => BoundKind::Value,
            Some(first) if first.column >= width => BoundKind::Value,
            Some(first) => match time_of(&input, first.column) {
                Some(TimeAttribute::Rowtime) => BoundKind::EventTime,
                Some(TimeAttribute::Proctime) => BoundKind::ProcessingTime,
                None => BoundKind::Value,
            },
        };
        let input = columns.behind(input)?;
        let with_arguments = input.schema.fields().len();
        let results = node.schema.fields().iter().skip(width);
        let fields = input.schema.fields().iter().chain(results).cloned().collect();
        let window = OverWindow { partition, order, bound, functions };
        let given = schema_of(fields)?;
        let kind = ExecNodeKind::OverNode(window);
        let results = with_arguments..given.fields().len();
        let positions: Vec<usize> = (0..width).chain(results).collect();
        Ok(select(ExecNode::new(kind, vec![input], given), &positions, node.schema.clone()))
    }
}

/// What an OVER must be if it is no top list, in Flink's words.
pub(super) fn check(over: &OverWindow) -> StreamPlanResult<()> {
    if over.order.is_empty() {
        return refused(
            "Over Agg: The window rank function requires order by clause with non-constant fields. please re-check the over window statement.",
        );
    }
    if over.order.len() > 1 {
        return refused("The window can only be ordered by a single time column.");
    }
    if !over.order[0].ascending {
        return refused("The window can only be ordered in ASCENDING mode.");
    }
    let mut frames: Vec<&OverRange> = Vec::new();
    for function in &over.functions {
        if let PlannedOver::Aggregate { frame, .. } = function
            && !frames.contains(&frame)
        {
            frames.push(frame);
        }
    }
    if over.bound == BoundKind::Value && frames.iter().any(|frame| frame.preceding.is_some()) {
        return refused(
            "OVER windows' ordering in stream mode must be defined on a time attribute.",
        );
    }
    Ok(())
}
