//! OVER: functions over windows of rows.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, LogicalPlan};
use hurtig_sql_parser::{
    ast::{
        FrameBound, FunctionCall, NullOrder, OverClause, WindowFrame, WindowFrameUnit,
        WindowSpecification,
    },
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, BoundExpression, ScopeColumn, expression::ExpressionBinder, group::Collector,
    output::Item,
};
use crate::{
    PlanError, PlanResult,
    plan::{OverFunction, OverNode, OverRange, StreamingNode, StreamingNodeKind},
    types::{TimeAttribute, plan_field, schema_of},
};

/// A function over a window of rows.
#[derive(Clone, Debug)]
pub(super) struct PlannedOver {
    partition: Vec<Expr>,
    order: Vec<(Expr, bool, bool)>,
    /// The time attribute that the first of the order is.
    time: Option<TimeAttribute>,
    function: OverFunction,
    expressions: Vec<Expr>,
    output: ScopeColumn,
}

impl PlannedOver {
    /// Whether an expression has its value.
    pub(super) fn is_in(&self, expr: &Expr) -> bool {
        let Expr::Column(output) = self.output.bound().expr else { return false };
        expr.column_refs().contains(&output)
    }

    /// Whether rows are counted, and how many before. Functions that take no frame have one of their
    /// own: ROW_NUMBER counts rows, the others go by the order.
    fn frame(&self) -> (bool, Option<i64>) {
        match &self.function {
            OverFunction::Ranking { name, .. } => (name == "ROW_NUMBER", None),
            OverFunction::Aggregate(range) => (range.rows, range.preceding),
        }
    }
}

impl ExpressionBinder<'_, '_> {
    /// A call with OVER.
    pub(super) fn over_call(
        &self,
        name: &str,
        call: &FunctionCall,
        over: &OverClause,
    ) -> PlanResult<BoundExpression> {
        let Some(collector) = self.collector.filter(|_| !self.in_aggregate) else {
            let message =
                format!("Windowed aggregate expression is illegal in {} clause", self.clause);
            return Err(PlanError::new(message));
        };
        let window = window_of(over, collector)?;
        let partition = self.all(&window.partition_by)?.into_iter().map(|one| one.expr).collect();
        let (mut order, mut time, mut moments) = (Vec::new(), None, false);
        for item in &window.order_by {
            let nulls_first =
                item.nulls.map_or(!item.descending, |nulls| nulls == NullOrder::First);
            let value = self.bind(&item.expr)?;
            if order.is_empty() {
                let kind = &value.data_type.kind;
                moments = matches!(kind, SqlTypeKind::Timestamp(_) | SqlTypeKind::TimestampLtz(_));
                time = value.time;
            }
            order.push((value.expr, !item.descending, nulls_first));
        }
        let (function, expressions, data_type) = if Self::is_ranking(name) {
            self.ranking(name, call)?
        } else {
            let frame = self.frame(window.frame.as_ref(), moments)?;
            if call.filter.is_some() {
                return Err(PlanError::new("OVER must be applied to aggregate function"));
            }
            let inner = Self { in_aggregate: false, ..*self };
            let (expr, data_type) = inner.aggregate(over_name(name), call, false)?;
            (OverFunction::Aggregate(frame), vec![expr], data_type)
        };
        let mut collector = collector.borrow_mut();
        let known = collector.overs.iter().find(|known| {
            known.partition == partition
                && known.order == order
                && known.function == function
                && known.expressions == expressions
        });
        if let Some(known) = known {
            return Ok(known.output.bound());
        }
        let output = self.binder.column(name, data_type);
        let bound = output.bound();
        collector.overs.push(PlannedOver { partition, order, time, function, expressions, output });
        Ok(bound)
    }

    fn ranking(
        &self,
        name: &str,
        call: &FunctionCall,
    ) -> PlanResult<(OverFunction, Vec<Expr>, SqlDataType)> {
        let arguments = self.arguments(call)?;
        let (least, most) = match name {
            "NTILE" => (1, 1),
            "LEAD" | "LAG" => (1, 3),
            _ => (0, 0),
        };
        if !(least..=most).contains(&arguments.len()) {
            let message = format!("Invalid number of arguments to function '{name}'");
            return Err(PlanError::new(message));
        }
        let mut arguments = arguments;
        let data_type = match name {
            "PERCENT_RANK" | "CUME_DIST" => SqlDataType::not_null(SqlTypeKind::Double),
            "LEAD" | "LAG" => {
                let mut data_type = arguments[0].data_type.clone();
                // As Flink has it: with a default even what is NULL in a row is none.
                data_type.nullable = arguments.get(2).is_none_or(|one| one.data_type.nullable);
                if let Some(default) = arguments.get(2).cloned() {
                    arguments[2] = self.binder.coerce(default, &data_type)?;
                }
                data_type
            }
            _ => SqlDataType::not_null(SqlTypeKind::BigInt),
        };
        let function = OverFunction::Ranking { name: name.to_owned(), arguments: arguments.len() };
        Ok((function, arguments.into_iter().map(|one| one.expr).collect(), data_type))
    }

    /// `moments`: the order is one of time.
    fn frame(&self, frame: Option<&WindowFrame>, moments: bool) -> PlanResult<OverRange> {
        let Some(frame) = frame else { return Ok(OverRange { rows: false, preceding: None }) };
        let rows = frame.unit == WindowFrameUnit::Rows;
        if !matches!(frame.end, None | Some(FrameBound::CurrentRow)) {
            let message = "OVER windows end at the current row: FOLLOWING is not supported";
            return Err(PlanError::new(message));
        }
        let preceding = match &frame.start {
            FrameBound::UnboundedPreceding => None,
            FrameBound::CurrentRow => Some(0),
            FrameBound::Preceding(expr) => {
                let bound = self.bind(expr)?;
                let Expr::Literal(value, _) = &bound.expr else {
                    return Err(PlanError::at(expr.span, "a constant is expected here"));
                };
                let number = matches!(value, ScalarValue::Int32(_) | ScalarValue::Int64(_));
                if !rows && moments && number {
                    let message = "Data Type mismatch between ORDER BY and RANGE clause";
                    return Err(PlanError::at(expr.span, message));
                }
                let count = match value {
                    ScalarValue::DurationMillisecond(Some(millis)) if !rows => Some(*millis),
                    ScalarValue::Int32(Some(count)) => Some(i64::from(*count)),
                    ScalarValue::Int64(Some(count)) => Some(*count),
                    _ => None,
                };
                let count = count.filter(|count| *count >= 0).ok_or_else(|| {
                    let wanted = if rows { "a number of rows" } else { "an interval of time" };
                    PlanError::at(expr.span, format!("{wanted} is expected here"))
                })?;
                Some(count)
            }
            FrameBound::UnboundedFollowing | FrameBound::Following(_) => {
                return Err(PlanError::new("OVER windows cannot start behind the current row"));
            }
        };
        Ok(OverRange { rows, preceding })
    }
}

/// The name of what computes a function over windows of rows. Flink computes variances there from
/// sums, and elsewhere row by row.
fn over_name(name: &str) -> &str {
    match name {
        "STDDEV_POP" => "$OVER_STDDEV_POP",
        "STDDEV_SAMP" | "STDDEV" => "$OVER_STDDEV_SAMP",
        "VAR_POP" => "$OVER_VAR_POP",
        "VAR_SAMP" | "VARIANCE" => "$OVER_VAR_SAMP",
        other => other,
    }
}

/// The window with what it builds upon.
fn window_of(
    over: &OverClause,
    collector: &std::cell::RefCell<Collector>,
) -> PlanResult<WindowSpecification> {
    let (mut window, mut base) = match over {
        OverClause::Named(name) => {
            let empty = WindowSpecification {
                base: None,
                partition_by: Vec::new(),
                order_by: Vec::new(),
                frame: None,
                span: name.span,
            };
            (empty, Some(name.clone()))
        }
        OverClause::Window(window) => ((**window).clone(), window.base.clone()),
    };
    let collector = collector.borrow();
    // A window can build upon those before it only, so that this ends.
    let mut known = &*collector.windows;
    while let Some(name) = base.take() {
        let position = known.iter().rposition(|one| one.name == name);
        let position = position.ok_or_else(|| {
            PlanError::at(name.span, format!("Window '{}' not found", name.value))
        })?;
        let found = &known[position].window;
        known = &known[..position];
        if window.partition_by.is_empty() {
            window.partition_by.clone_from(&found.partition_by);
        }
        if window.order_by.is_empty() {
            window.order_by.clone_from(&found.order_by);
        }
        if window.frame.is_none() {
            window.frame.clone_from(&found.frame);
        }
        base.clone_from(&found.base);
    }
    Ok(window)
}

impl Binder<'_> {
    /// The node of OVER calls above a plan. As in Flink, they are of one window.
    pub(super) fn over_nodes(
        &self,
        calls: Vec<PlannedOver>,
        plan: LogicalPlan,
    ) -> PlanResult<LogicalPlan> {
        let Some(first) = calls.first().cloned() else { return Ok(plan) };
        let same = |call: &PlannedOver| {
            call.partition == first.partition
                && call.order == first.order
                && call.frame() == first.frame()
        };
        if !calls.iter().all(same) {
            let message = "Over Agg: Unsupported use of OVER windows. All aggregates must be computed on the same window. please re-check the over window statement.";
            return Err(PlanError::new(message));
        }
        self.over_node(&first, calls, plan)
    }

    fn over_node(
        &self,
        first: &PlannedOver,
        calls: Vec<PlannedOver>,
        plan: LogicalPlan,
    ) -> PlanResult<LogicalPlan> {
        let mut items = Vec::new();
        for column in plan.schema().columns() {
            items.push(Item::pass(&plan, &column)?);
        }
        let passed = items.len();
        let mut expressions = Vec::new();
        for expr in first.partition.iter().chain(first.order.iter().map(|(expr, _, _)| expr)) {
            expressions.push(self.as_column(&mut items, &plan, expr.clone())?);
        }
        // PROCTIME() is a time attribute without being a column.
        if let (Some(Expr::Column(column)), Some(time)) =
            (expressions.get(first.partition.len()), first.time)
            && let Some(item) = items.iter_mut().find(|one| one.column.column == column.name)
        {
            item.column.time = Some(time);
        }
        let order = first.order.iter().map(|(_, ascending, first)| (*ascending, *first)).collect();
        let mut functions = Vec::new();
        let mut outputs = Vec::new();
        for call in calls {
            for mut expr in call.expressions {
                if let Expr::AggregateFunction(call) = &mut expr {
                    let params = &mut call.params;
                    let filter = params.filter.iter_mut().map(|one| &mut **one);
                    for inner in params.args.iter_mut().chain(filter) {
                        *inner = self.as_column(&mut items, &plan, std::mem::take(inner))?;
                    }
                } else {
                    expr = self.as_column(&mut items, &plan, expr)?;
                }
                expressions.push(expr);
            }
            functions.push(call.function);
            outputs.push(call.output);
        }
        let input = if items.len() > passed { self.project_items(plan, items)? } else { plan };
        let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
        for output in &outputs {
            fields.push(Arc::new(plan_field(&output.column, &output.data_type, None)?));
        }
        let partition = first.partition.len();
        let kind = StreamingNodeKind::Over(OverNode { partition, order, functions });
        let schema = schema_of(fields)?;
        Ok(StreamingNode { kind, inputs: vec![input], expressions, schema }.into_plan())
    }
}
