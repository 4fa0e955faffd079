//! Windows: table functions in FROM, and the older ones in GROUP BY.

use std::borrow::Cow;

use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, LogicalPlan};
use hurtig_sql_parser::{
    Span,
    ast::{self, FunctionArgument, FunctionCall, FunctionValue},
    types::{SqlDataType, SqlTypeKind},
};

use super::{
    Binder, BoundExpression, Scope, ScopeColumn, WindowColumn, expression::ExpressionBinder,
    from::Source, join::fields_of, output::Item,
};
use crate::{
    PlanError, PlanResult,
    plan::{StreamingNode, StreamingNodeKind, WindowKind, WindowTable},
    types::{TimeAttribute, calcite_name, schema_of},
};

/// Whether a call in GROUP BY is an older group window.
pub(super) fn is_group_window(call: &FunctionCall) -> bool {
    let name = call.name.last();
    ["TUMBLE", "HOP", "SESSION"].iter().any(|window| name.eq_ignore_ascii_case(window))
        && (2..=4).contains(&call.arguments.len())
}

/// The node of an older group window; its three columns.
pub(super) fn group_window(
    binder: &ExpressionBinder<'_, '_>,
    call: &FunctionCall,
    plan: LogicalPlan,
    keys: Vec<BoundExpression>,
) -> PlanResult<(LogicalPlan, Vec<ScopeColumn>)> {
    let name = call.name.last().to_uppercase();
    let input = ExpressionBinder { clause: "GROUP BY", collector: None, ..*binder };
    let [time, rest @ ..] = &*call.arguments else {
        return Err(PlanError::new(format!("{name} needs a time")));
    };
    let value = input.bind(super::group::value_of(time)?)?;
    if value.time.is_none() {
        let message = format!(
            "Window can only be defined over a time attribute column, but is {}",
            calcite_name(&value.data_type)
        );
        return Err(PlanError::at(time.span, message));
    }
    let mut durations = Vec::new();
    for argument in rest {
        let bound = input.bind(super::group::value_of(argument)?)?;
        durations.push(duration(&bound, argument.span)?);
    }
    let kind = match (&*name, &*durations) {
        ("TUMBLE", [size]) => WindowKind::Tumble { size_ms: *size, offset_ms: 0 },
        ("TUMBLE", [size, offset]) => WindowKind::Tumble { size_ms: *size, offset_ms: *offset },
        ("HOP", [slide, size]) => {
            WindowKind::Hop { size_ms: *size, slide_ms: *slide, offset_ms: 0 }
        }
        ("HOP", [slide, size, offset]) => {
            WindowKind::Hop { size_ms: *size, slide_ms: *slide, offset_ms: *offset }
        }
        ("SESSION", [gap]) => WindowKind::Session { gap_ms: *gap },
        _ => return Err(PlanError::new(format!("{name} has another number of arguments"))),
    };
    let session = matches!(kind, WindowKind::Session { .. });
    let partition = if session { keys } else { Vec::new() };
    let mut columns = Vec::new();
    for column in plan.schema().columns() {
        columns.push(Item::pass(&plan, &column)?.column);
    }
    let time = BoundTime { value, span: time.span, of_group: true };
    let (plan, columns) = binder.binder.window_node(plan, columns, &time, kind, partition)?;
    let added = columns[columns.len() - 3..].to_vec();
    Ok((plan, added))
}

struct BoundTime {
    value: BoundExpression,
    span: Span,
    /// Of a group window, not of a function.
    of_group: bool,
}

impl Binder<'_> {
    /// `TABLE(f(...))`
    pub(super) fn table_function(
        &self,
        call: &FunctionCall,
        outer: &[&Scope],
        span: Span,
    ) -> PlanResult<Source> {
        let name = call.name.last().to_uppercase();
        if matches!(&*name, "TO_CHANGELOG" | "FROM_CHANGELOG") {
            return self.changelog_function(&name, call, outer, span);
        }
        if !matches!(&*name, "TUMBLE" | "HOP" | "CUMULATE" | "SESSION") {
            return Err(PlanError::at(
                span,
                format!("No match found for function signature {name}"),
            ));
        }
        let parameters: &[&str] = match &*name {
            "TUMBLE" => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
            "HOP" => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
            "CUMULATE" => &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
            _ => &["DATA", "TIMECOL", "GAP"],
        };
        let arguments = by_parameter(&name, parameters, call, span)?;
        let Some(table) = arguments[0].and_then(table_of) else {
            return Err(PlanError::at(span, format!("{name} needs a table: TABLE t")));
        };
        let table = table.as_ref();
        let relation = self.query(&table.source, outer)?;
        let scope = Scope::of(vec![table_name(table)], relation.columns.clone());
        let descriptor = arguments[1].and_then(|one| match &one.value {
            FunctionValue::Descriptor(columns) => Some((columns, one.span)),
            _ => None,
        });
        let Some(([column], time_span)) = descriptor.map(|(columns, span)| (&**columns, span))
        else {
            return Err(PlanError::at(span, format!("{name} needs a time column: DESCRIPTOR(t)")));
        };
        let binder = ExpressionBinder::plain(self, &scope, &[], "a window");
        let value = binder.name(std::slice::from_ref(column))?;
        if !matches!(value.data_type.kind, SqlTypeKind::Timestamp(_) | SqlTypeKind::TimestampLtz(_))
        {
            let found = calcite_name(&SqlDataType::nullable(value.data_type.kind));
            let signature = match &*name {
                "TUMBLE" => {
                    "TUMBLE(TABLE table_name, DESCRIPTOR(timecol), datetime interval[, datetime interval])"
                }
                "SESSION" => {
                    "SESSION(TABLE table_name [PARTITION BY col], DESCRIPTOR(timecol), datetime interval)"
                }
                "HOP" => {
                    "HOP(TABLE table_name, DESCRIPTOR(timecol), datetime interval, datetime interval[, datetime interval])"
                }
                _ => {
                    "CUMULATE(TABLE table_name, DESCRIPTOR(timecol), datetime interval, datetime interval[, datetime interval])"
                }
            };
            return Err(PlanError::at(
                time_span,
                format!(
                    "The window function {signature} requires the timecol to be TIMESTAMP or TIMESTAMP_LTZ, but is {found}."
                ),
            ));
        }
        let mut durations = Vec::new();
        for argument in &arguments[2..] {
            durations.push(match argument {
                Some(argument) => {
                    let bound = binder.bind(super::group::value_of(argument)?)?;
                    Some(duration(&bound, argument.span)?)
                }
                None => None,
            });
        }
        let kind = window_kind(&name, &durations).map_err(|error| error.within(span))?;
        check_slices(&kind).map_err(|error| error.within(span))?;
        let mut partition = Vec::new();
        for key in &table.partition_by {
            partition.push(binder.name(std::slice::from_ref(key))?);
        }
        let time = BoundTime { value, span: time_span, of_group: false };
        let (plan, columns) =
            self.window_node(relation.plan, relation.columns, &time, kind, partition)?;
        Ok((plan, Scope::of(vec![table_name(table)], columns)))
    }

    fn window_node(
        &self,
        plan: LogicalPlan,
        mut columns: Vec<ScopeColumn>,
        time: &BoundTime,
        kind: WindowKind,
        partition: Vec<BoundExpression>,
    ) -> PlanResult<(LogicalPlan, Vec<ScopeColumn>)> {
        let Some(attribute) = time.value.time else {
            let found = calcite_name(&SqlDataType::nullable(time.value.data_type.kind.clone()));
            let message = format!(
                "The window function requires the timecol is a time attribute type, but is {found}."
            );
            return Err(PlanError::at(time.span, message).hint("declare WATERMARK FOR the column"));
        };
        check(&kind).map_err(|error| error.within(time.span))?;
        // Behind the window its time is window_time; the old one is a plain column.
        for column in &mut columns {
            if column.bound().expr == time.value.expr {
                column.time = None;
            }
            column.window = None;
        }
        let timestamp = SqlDataType::not_null(SqlTypeKind::Timestamp(3));
        let window_time = match time.value.data_type.kind {
            SqlTypeKind::TimestampLtz(_) => SqlDataType::not_null(SqlTypeKind::TimestampLtz(3)),
            _ => timestamp.clone(),
        };
        let added = [
            ("window_start", timestamp.clone(), WindowColumn::Start),
            ("window_end", timestamp, WindowColumn::End),
            ("window_time", window_time, WindowColumn::Time),
        ];
        for (name, data_type, role) in added {
            let mut column = self.column(name, data_type);
            column.window = Some(role);
            column.time = Some(attribute).filter(|_| role == WindowColumn::Time);
            columns.push(column);
        }
        let event_time = attribute == TimeAttribute::Rowtime;
        let kind =
            StreamingNodeKind::Window(WindowTable { kind, event_time, of_group: time.of_group });
        let mut expressions = vec![time.value.expr.clone()];
        expressions.extend(partition.into_iter().map(|one| one.expr));
        let schema = schema_of(fields_of(columns.iter())?)?;
        let node = StreamingNode { kind, inputs: vec![plan], expressions, schema };
        Ok((node.into_plan(), columns))
    }
}

/// The table that an argument is: `TABLE t`, or a query in parentheses.
fn table_of(argument: &FunctionArgument) -> Option<Cow<'_, ast::TableArgument>> {
    match &argument.value {
        FunctionValue::Table(table) => Some(Cow::Borrowed(table)),
        FunctionValue::Expr(ast::Expr { kind: ast::ExprKind::Query(query), span }) => {
            Some(Cow::Owned(ast::TableArgument {
                source: query.clone(),
                partition_by: Vec::new(),
                order_by: Vec::new(),
                span: *span,
            }))
        }
        _ => None,
    }
}

/// The alias under which a window's columns can be named: that of its table.
pub(super) fn table_name(table: &ast::TableArgument) -> String {
    match &table.source.body {
        ast::SqlQueryBody::Table(name) => name.last().to_owned(),
        _ => String::new(),
    }
}

/// The arguments in the order of the parameters, by position or by name.
pub(super) fn by_parameter<'c>(
    name: &str,
    parameters: &[&str],
    call: &'c FunctionCall,
    span: Span,
) -> PlanResult<Vec<Option<&'c FunctionArgument>>> {
    let mut all = vec![None; parameters.len()];
    for (position, argument) in call.arguments.iter().enumerate() {
        let position = match &argument.name {
            None => position,
            Some(parameter) => {
                let known =
                    parameters.iter().position(|one| parameter.value.eq_ignore_ascii_case(one));
                known.ok_or_else(|| {
                    let message = format!("{name} has no parameter '{}'", parameter.value);
                    PlanError::at(argument.span, message)
                        .nearest(&parameter.value, parameters.iter().copied())
                })?
            }
        };
        let slot = all.get_mut(position).ok_or_else(|| {
            PlanError::at(span, format!("Invalid number of arguments to function '{name}'"))
        })?;
        if slot.replace(argument).is_some() {
            return Err(PlanError::at(argument.span, "this argument is given twice"));
        }
    }
    Ok(all)
}

fn window_kind(name: &str, durations: &[Option<i64>]) -> PlanResult<WindowKind> {
    let missing = || PlanError::new(format!("Invalid number of arguments to function '{name}'"));
    let needed = |position: usize| durations.get(position).copied().flatten().ok_or_else(missing);
    let offset = |position: usize| durations.get(position).copied().flatten().unwrap_or(0);
    Ok(match name {
        "TUMBLE" => WindowKind::Tumble { size_ms: needed(0)?, offset_ms: offset(1) },
        "HOP" => {
            let (slide_ms, size_ms) = (needed(0)?, needed(1)?);
            WindowKind::Hop { size_ms, slide_ms, offset_ms: offset(2) }
        }
        "CUMULATE" => {
            let (step_ms, size_ms) = (needed(0)?, needed(1)?);
            WindowKind::Cumulate { size_ms, step_ms, offset_ms: offset(2) }
        }
        _ => WindowKind::Session { gap_ms: needed(0)? },
    })
}

/// The most windows that a row may be in: each of them is emitted, and kept until then.
const MAX_WINDOWS: i64 = 1 << 17;

fn check(kind: &WindowKind) -> PlanResult<()> {
    let few = |name: &str, size: i64, step: i64| {
        if size / step < MAX_WINDOWS {
            return Ok(());
        }
        let message = format!("{name} would put each row into more than {MAX_WINDOWS} windows");
        Err(PlanError::new(message))
    };
    let positive = |name: &str, all: &[i64]| {
        if all.iter().all(|one| *one > 0) {
            return Ok(());
        }
        Err(PlanError::new(format!("{name} table function requires positive sizes")))
    };
    match kind {
        WindowKind::Tumble { size_ms, offset_ms } => {
            positive("TUMBLE", &[*size_ms])?;
            if offset_ms.unsigned_abs() >= size_ms.unsigned_abs() {
                return Err(PlanError::new(format!(
                    "TUMBLE table function parameters must satisfy abs(offset) < size, but got size {size_ms}ms and offset {offset_ms}ms"
                )));
            }
        }
        WindowKind::Hop { size_ms, slide_ms, .. } => {
            positive("HOP", &[*size_ms, *slide_ms])?;
            few("HOP", *size_ms, *slide_ms)?;
        }
        WindowKind::Cumulate { size_ms, step_ms, .. } => {
            positive("CUMULATE", &[*size_ms, *step_ms])?;
            few("CUMULATE", *size_ms, *step_ms)?;
        }
        WindowKind::Session { gap_ms } => positive("SESSION", &[*gap_ms])?,
    }
    Ok(())
}

/// Table functions want windows of whole slices; the older group windows do not.
fn check_slices(kind: &WindowKind) -> PlanResult<()> {
    match kind {
        WindowKind::Hop { size_ms, slide_ms, .. } if *slide_ms > 0 && size_ms % slide_ms != 0 => {
            Err(PlanError::new(format!(
                "HOP table function based aggregate requires size must be an integral multiple of slide, but got size {size_ms} ms and slide {slide_ms} ms"
            )))
        }
        WindowKind::Cumulate { size_ms, step_ms, .. } if *step_ms > 0 && size_ms % step_ms != 0 => {
            Err(PlanError::new(format!(
                "CUMULATE table function based aggregate requires maxSize must be an integral multiple of step, but got maxSize {size_ms} ms and step {step_ms} ms"
            )))
        }
        _ => Ok(()),
    }
}

/// A constant interval of time, in milliseconds.
fn duration(bound: &BoundExpression, span: Span) -> PlanResult<i64> {
    match &bound.expr {
        Expr::Literal(ScalarValue::DurationMillisecond(Some(millis)), _) => Ok(*millis),
        _ => Err(PlanError::at(span, "a constant interval of time is expected here")),
    }
}
