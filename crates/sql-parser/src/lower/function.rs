//! Calls of functions, and windows.

use sqlparser::ast as sql;

use super::{Lowered, Lowering};
use crate::{
    ast::{
        BuiltinCall, Expr, ExprKind, FrameBound, FunctionArgument, FunctionCall, FunctionValue,
        JsonBehavior, JsonEmptyOrError, JsonNullClause, JsonPathInput, NullTreatment, OrderItem,
        OverClause, SelectQuantifier, TimeUnit, TrimSide, WindowFrame, WindowFrameUnit,
        WindowSpecification,
    },
    span::Span,
    types::SqlDataType,
};

impl Lowering<'_> {
    /// A call with plain arguments.
    pub(super) fn call(&self, name: &str, arguments: Vec<sql::Expr>, span: Span) -> sql::Expr {
        let name = sql::Ident::with_span(self.span(span), name);
        let arguments = arguments
            .into_iter()
            .map(|expr| sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Expr(expr)));
        sql::Expr::Function(function(vec![name].into(), arguments.collect()))
    }

    pub(super) fn lower_call(&self, call: &FunctionCall, span: Span) -> Lowered<sql::Function> {
        if !call.within_distinct.is_empty() {
            return self.refuse(span, "WITHIN DISTINCT");
        }
        // Names of functions are not quoted: their case does not count.
        let name: Vec<sql::Ident> = call
            .name
            .0
            .iter()
            .map(|part| sql::Ident::with_span(self.span(part.span), part.value.clone()))
            .collect();
        let arguments = call.arguments.iter().map(|argument| self.argument(argument));
        let mut lowered = function(name.into(), arguments.collect::<Lowered<_>>()?);
        if let sql::FunctionArguments::List(list) = &mut lowered.args {
            list.duplicate_treatment = match call.quantifier {
                SelectQuantifier::None => None,
                SelectQuantifier::All => Some(sql::DuplicateTreatment::All),
                SelectQuantifier::Distinct => Some(sql::DuplicateTreatment::Distinct),
            };
            if !call.order_by.is_empty() {
                let order_by = self.order_items(&call.order_by)?;
                list.clauses.push(sql::FunctionArgumentClause::OrderBy(order_by));
            }
        }
        if !call.parentheses {
            lowered.args = sql::FunctionArguments::None;
        }
        lowered.within_group = self.order_items(&call.within_group)?;
        lowered.filter = self.optional(call.filter.as_ref())?.map(Box::new);
        lowered.null_treatment = call.null_treatment.map(|treatment| match treatment {
            NullTreatment::Ignore => sql::NullTreatment::IgnoreNulls,
            NullTreatment::Respect => sql::NullTreatment::RespectNulls,
        });
        lowered.over = match &call.over {
            None => None,
            Some(OverClause::Named(name)) => Some(sql::WindowType::NamedWindow(self.ident(name))),
            Some(OverClause::Window(window)) => {
                Some(sql::WindowType::WindowSpec(self.window(window)?))
            }
        };
        Ok(lowered)
    }

    pub(super) fn argument(&self, argument: &FunctionArgument) -> Lowered<sql::FunctionArg> {
        let arg = match &argument.value {
            FunctionValue::Expr(Expr { kind: ExprKind::Wildcard(parts), .. })
                if parts.is_empty() =>
            {
                sql::FunctionArgExpr::Wildcard
            }
            FunctionValue::Expr(expr) => sql::FunctionArgExpr::Expr(self.lower_expr(expr)?),
            _ => return self.refuse(argument.span, "this argument"),
        };
        Ok(match &argument.name {
            None => sql::FunctionArg::Unnamed(arg),
            Some(name) => sql::FunctionArg::Named {
                name: self.ident(name),
                arg,
                operator: sql::FunctionArgOperator::RightArrow,
            },
        })
    }

    pub(super) fn optional(&self, expr: Option<&Expr>) -> Lowered<Option<sql::Expr>> {
        expr.map(|expr| self.lower_expr(expr)).transpose()
    }

    pub(super) fn order_items(&self, items: &[OrderItem]) -> Lowered<Vec<sql::OrderByExpr>> {
        items
            .iter()
            .map(|item| {
                let nulls_first = item.nulls.map(|nulls| nulls == crate::ast::NullOrder::First);
                let options = sql::OrderByOptions { asc: Some(!item.descending), nulls_first };
                Ok(sql::OrderByExpr {
                    expr: self.lower_expr(&item.expr)?,
                    options,
                    with_fill: None,
                })
            })
            .collect()
    }

    pub(super) fn window(&self, window: &WindowSpecification) -> Lowered<sql::WindowSpec> {
        Ok(sql::WindowSpec {
            window_name: window.base.as_ref().map(|base| self.ident(base)),
            partition_by: self.all(&window.partition_by)?,
            order_by: self.order_items(&window.order_by)?,
            window_frame: window.frame.as_ref().map(|frame| self.frame(frame)).transpose()?,
        })
    }

    fn frame(&self, frame: &WindowFrame) -> Lowered<sql::WindowFrame> {
        Ok(sql::WindowFrame {
            units: match frame.unit {
                WindowFrameUnit::Rows => sql::WindowFrameUnits::Rows,
                WindowFrameUnit::Range => sql::WindowFrameUnits::Range,
            },
            start_bound: self.bound(&frame.start)?,
            end_bound: frame.end.as_ref().map(|end| self.bound(end)).transpose()?,
        })
    }

    fn bound(&self, bound: &FrameBound) -> Lowered<sql::WindowFrameBound> {
        let boxed = |expr: &Expr| Ok(Some(Box::new(self.lower_expr(expr)?)));
        Ok(match bound {
            FrameBound::CurrentRow => sql::WindowFrameBound::CurrentRow,
            FrameBound::UnboundedPreceding => sql::WindowFrameBound::Preceding(None),
            FrameBound::UnboundedFollowing => sql::WindowFrameBound::Following(None),
            FrameBound::Preceding(expr) => sql::WindowFrameBound::Preceding(boxed(expr)?),
            FrameBound::Following(expr) => sql::WindowFrameBound::Following(boxed(expr)?),
        })
    }

    pub(super) fn lower_builtin(&self, call: &BuiltinCall, span: Span) -> Lowered<sql::Expr> {
        let lower = |expr: &Expr| self.lower_expr(expr);
        let boxed = |expr: &Expr| self.lower_expr(expr).map(Box::new);
        let unit_text = |unit: &TimeUnit| self.text(unit.word(), span);
        Ok(match call {
            BuiltinCall::Extract { unit, operand } => sql::Expr::Extract {
                field: self.field(*unit, span),
                syntax: sql::ExtractSyntax::From,
                expr: boxed(operand)?,
            },
            BuiltinCall::Round { up, operand, unit } => {
                let field = sql::CeilFloorKind::DateTimeField(self.field(*unit, span));
                let expr = boxed(operand)?;
                if *up { sql::Expr::Ceil { expr, field } } else { sql::Expr::Floor { expr, field } }
            }
            BuiltinCall::TimestampAdd { unit, count, operand } => self.call(
                "timestampadd",
                vec![unit_text(unit), lower(count)?, lower(operand)?],
                span,
            ),
            BuiltinCall::TimestampDiff { unit, from, to } => {
                self.call("timestampdiff", vec![unit_text(unit), lower(from)?, lower(to)?], span)
            }
            BuiltinCall::Position { needle, haystack, from: None } => {
                sql::Expr::Position { expr: boxed(needle)?, r#in: boxed(haystack)? }
            }
            BuiltinCall::Position { needle, haystack, from: Some(from) } => {
                self.call("position", vec![lower(needle)?, lower(haystack)?, lower(from)?], span)
            }
            BuiltinCall::Overlay { operand, placing, from, length } => sql::Expr::Overlay {
                expr: boxed(operand)?,
                overlay_what: boxed(placing)?,
                overlay_from: boxed(from)?,
                overlay_for: self.optional(length.as_ref())?.map(Box::new),
            },
            BuiltinCall::Trim { side, characters, operand } => sql::Expr::Trim {
                trim_where: Some(match side {
                    TrimSide::Both => sql::TrimWhereField::Both,
                    TrimSide::Leading => sql::TrimWhereField::Leading,
                    TrimSide::Trailing => sql::TrimWhereField::Trailing,
                }),
                trim_what: self.optional(characters.as_ref())?.map(Box::new),
                expr: boxed(operand)?,
                trim_characters: None,
            },
            BuiltinCall::Semantics { .. } => return self.refuse(span, "a function of patterns"),
            BuiltinCall::JsonExists { input, on_error } => {
                let mut all = self.json_input(input, span)?;
                if let Some(behavior) = on_error {
                    self.json_behavior(&mut all, behavior, JsonEmptyOrError::Error, span)?;
                }
                self.call("json_exists", all, span)
            }
            BuiltinCall::JsonValue { input, returning, behaviors } => {
                let mut all = self.json_input(input, span)?;
                self.json_returning(&mut all, returning.as_ref(), span);
                for (behavior, when) in behaviors {
                    self.json_behavior(&mut all, behavior, *when, span)?;
                }
                self.call("json_value", all, span)
            }
            BuiltinCall::JsonQuery { input, returning, wrapper, behaviors } => {
                let mut all = self.json_input(input, span)?;
                self.json_returning(&mut all, returning.as_ref(), span);
                if let Some(wrapper) = wrapper {
                    all.push(self.text(&format!("WRAPPER {wrapper:?}").to_uppercase(), span));
                }
                for (behavior, when) in behaviors {
                    self.json_behavior(&mut all, behavior, *when, span)?;
                }
                self.call("json_query", all, span)
            }
            BuiltinCall::JsonObject { entries, on_null } => {
                let mut all = vec![self.json_nulls(*on_null, JsonNullClause::Null, span)];
                for entry in entries {
                    all.extend([lower(&entry.key)?, lower(&entry.value)?]);
                }
                self.call("json_object", all, span)
            }
            BuiltinCall::JsonArray { elements, on_null } => {
                let mut all = vec![self.json_nulls(*on_null, JsonNullClause::Absent, span)];
                all.extend(self.all(elements)?);
                self.call("json_array", all, span)
            }
            BuiltinCall::JsonObjectAgg { entry, on_null, filter } => {
                let nulls = self.json_nulls(*on_null, JsonNullClause::Null, span);
                let all = vec![nulls, lower(&entry.key)?, lower(&entry.value)?];
                self.aggregate(self.call("json_objectagg", all, span), &[], filter.as_ref())?
            }
            BuiltinCall::JsonArrayAgg { element, order_by, on_null, filter } => {
                let nulls = self.json_nulls(*on_null, JsonNullClause::Absent, span);
                let call = self.call("json_arrayagg", vec![nulls, lower(element)?], span);
                self.aggregate(call, order_by, filter.as_ref())?
            }
        })
    }

    fn aggregate(
        &self,
        mut call: sql::Expr,
        order_by: &[OrderItem],
        filter: Option<&Expr>,
    ) -> Lowered<sql::Expr> {
        if let sql::Expr::Function(function) = &mut call {
            function.filter = self.optional(filter)?.map(Box::new);
            if let (sql::FunctionArguments::List(list), false) =
                (&mut function.args, order_by.is_empty())
            {
                let order_by = self.order_items(order_by)?;
                list.clauses.push(sql::FunctionArgumentClause::OrderBy(order_by));
            }
        }
        Ok(call)
    }

    fn json_input(&self, input: &JsonPathInput, span: Span) -> Lowered<Vec<sql::Expr>> {
        if !input.passing.is_empty() {
            return self.refuse(span, "PASSING");
        }
        Ok(vec![self.lower_expr(&input.document)?, self.lower_expr(&input.path)?])
    }

    fn json_returning(&self, all: &mut Vec<sql::Expr>, to: Option<&SqlDataType>, span: Span) {
        all.extend(to.map(|data_type| self.text(&format!("RETURNING {data_type}"), span)));
    }

    /// `'NULL ON EMPTY'`; a default comes behind `'DEFAULT ON EMPTY'` as an argument of its own.
    fn json_behavior(
        &self,
        all: &mut Vec<sql::Expr>,
        behavior: &JsonBehavior,
        when: JsonEmptyOrError,
        span: Span,
    ) -> Lowered<()> {
        let when = match when {
            JsonEmptyOrError::Empty => "ON EMPTY",
            JsonEmptyOrError::Error => "ON ERROR",
        };
        if let JsonBehavior::Default(value) = behavior {
            all.push(self.text(&format!("DEFAULT {when}"), span));
            all.push(self.lower_expr(value)?);
        } else {
            all.push(self.text(&format!("{behavior} {when}"), span));
        }
        Ok(())
    }

    fn json_nulls(
        &self,
        clause: Option<JsonNullClause>,
        default: JsonNullClause,
        span: Span,
    ) -> sql::Expr {
        self.text(
            match clause.unwrap_or(default) {
                JsonNullClause::Null => "NULL ON NULL",
                JsonNullClause::Absent => "ABSENT ON NULL",
            },
            span,
        )
    }

    fn field(&self, unit: TimeUnit, span: Span) -> sql::DateTimeField {
        match unit {
            TimeUnit::Year => sql::DateTimeField::Year,
            TimeUnit::Quarter => sql::DateTimeField::Quarter,
            TimeUnit::Month => sql::DateTimeField::Month,
            TimeUnit::Week => sql::DateTimeField::Week(None),
            TimeUnit::Day => sql::DateTimeField::Day,
            TimeUnit::Hour => sql::DateTimeField::Hour,
            TimeUnit::Minute => sql::DateTimeField::Minute,
            TimeUnit::Second => sql::DateTimeField::Second,
            other => {
                sql::DateTimeField::Custom(sql::Ident::with_span(self.span(span), other.word()))
            }
        }
    }
}

fn function(name: sql::ObjectName, args: Vec<sql::FunctionArg>) -> sql::Function {
    let list = sql::FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    sql::Function {
        name,
        uses_odbc_syntax: false,
        parameters: sql::FunctionArguments::None,
        args: sql::FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
