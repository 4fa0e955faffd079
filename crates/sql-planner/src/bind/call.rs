//! Calls of functions.

use datafusion_common::tree_node::TreeNode;
use datafusion_expr::{
    AggregateUDF, Case, Expr, Volatility,
    expr::{AggregateFunction, NullTreatment, ScalarFunction, Sort},
};
use hurtig_sql_functions::api::{CallArgument, ScalarFunction as FlinkFunction};
use hurtig_sql_parser::{
    Span,
    ast::{self, ExprKind, FunctionCall, FunctionValue, SelectQuantifier},
    types::{SqlDataType, SqlTypeKind},
};
use std::sync::Arc;

use super::{Binder, BoundExpression, expression::ExpressionBinder};
use crate::{
    PlanError, PlanResult,
    functions::{AggregateCoat, ScalarCoat},
    types::{TimeAttribute, with_nullability},
};

/// Aggregates that are NULL only if their values may be, whatever rows there are.
const NEVER_NULL: [&str; 11] = [
    "ARRAY_AGG",
    "ARRAY_AGG_IGNORE_NULLS",
    "LISTAGG",
    "COUNT",
    "APPROX_COUNT_DISTINCT",
    "COLLECT",
    "JSON_OBJECTAGG_NULL_ON_NULL",
    "JSON_OBJECTAGG_ABSENT_ON_NULL",
    "JSON_ARRAYAGG_NULL_ON_NULL",
    "JSON_ARRAYAGG_ABSENT_ON_NULL",
    "SUM0",
];

/// Functions over windows of rows that are no aggregates.
const RANKINGS: [&str; 8] =
    ["ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LEAD", "LAG"];

impl Binder<'_> {
    /// The name of a function in the library: users' functions have that of what implements them.
    pub(super) fn function_name(&self, call: &FunctionCall) -> PlanResult<String> {
        Ok(match self.catalogs.function(&call.name)? {
            Some(function) => function.implementation.to_uppercase(),
            None => call.name.last().to_uppercase(),
        })
    }

    /// A scalar function or operator of the library, by name.
    pub(super) fn call(
        &self,
        name: &str,
        arguments: Vec<BoundExpression>,
    ) -> PlanResult<BoundExpression> {
        let Some(function) = self.library.scalar(name) else {
            let error = PlanError::new(format!("No match found for function signature {name}"));
            let names = self.library.names();
            return Err(error.nearest(name, names.iter().map(String::as_str)));
        };
        self.apply(&*function, arguments)
    }

    fn apply(
        &self,
        function: &dyn FlinkFunction,
        arguments: Vec<BoundExpression>,
    ) -> PlanResult<BoundExpression> {
        let resolved = function.resolve(&call_arguments(&arguments)?)?;
        if resolved.arguments.len() != arguments.len() {
            return Err(PlanError::new(format!(
                "internal: {} resolved {} of {} arguments",
                function.name(),
                resolved.arguments.len(),
                arguments.len()
            )));
        }
        let pairs = arguments.into_iter().zip(&resolved.arguments);
        let arguments: Vec<Expr> = pairs
            .map(|(argument, to)| Ok(self.coerce(argument, to)?.expr))
            .collect::<PlanResult<_>>()?;
        if let Some(case) =
            lazy(function.name(), &arguments, &resolved.arguments, &resolved.result)?
        {
            return Ok(self.folded(case, resolved.result));
        }
        let volatility = match (function.is_deterministic(), function.is_dynamic()) {
            (false, _) => Volatility::Volatile,
            (true, true) => Volatility::Stable,
            (true, false) => Volatility::Immutable,
        };
        let result = resolved.result.clone();
        let coat = ScalarCoat::new(function.name(), resolved, volatility, self.context.clone())?;
        let call = ScalarFunction { func: coat.into_udf(), args: arguments };
        Ok(self.folded(Expr::ScalarFunction(call), result))
    }
}

/// Functions that leave some arguments alone, as CASE: what is not taken must not fail. Where nothing
/// can fail the function itself is faster.
fn lazy(
    name: &str,
    arguments: &[Expr],
    types: &[SqlDataType],
    result: &SqlDataType,
) -> PlanResult<Option<Expr>> {
    let may_fail =
        |expr: &Expr| expr.exists(|one| Ok(matches!(one, Expr::ScalarFunction(_)))).unwrap_or(true);
    // Branches have the type of the result, or else the function knows better.
    let typed = |all: &[SqlDataType]| all.iter().all(|one| one.kind == result.kind);
    let (when_then_expr, otherwise) = match (name, arguments) {
        ("IF", [condition, then, otherwise])
            if (may_fail(then) || may_fail(otherwise)) && typed(&types[1..]) =>
        {
            (vec![(condition.clone(), then.clone())], otherwise)
        }
        ("COALESCE" | "IFNULL", [first @ .., last])
            if arguments.iter().skip(1).any(may_fail) && typed(types) =>
        {
            let tested = |one: &Expr| (Expr::IsNotNull(Box::new(one.clone())), one.clone());
            (first.iter().map(tested).collect(), last)
        }
        _ => return Ok(None),
    };
    let boxed = |(when, then)| (Box::new(when), Box::new(then));
    let when_then_expr = when_then_expr.into_iter().map(boxed).collect();
    let else_expr = Some(Box::new(otherwise.clone()));
    Ok(Some(Expr::Case(Case { expr: None, when_then_expr, else_expr })))
}

impl ExpressionBinder<'_, '_> {
    /// A call by name: scalar, aggregate, or over a window.
    pub(super) fn function(&self, call: &FunctionCall, span: Span) -> PlanResult<BoundExpression> {
        let name = self.function_name(call)?;
        if let Some(over) = &call.over {
            return self.over_call(&name, call, over);
        }
        if let Some(grouping) = self.grouping
            && let Some(bound) = grouping.auxiliary(self, &name, call)?
        {
            return Ok(bound);
        }
        if RANKINGS.contains(&&*name) {
            return Err(PlanError::at(span, "OVER clause is necessary for window functions"));
        }
        if self.binder.library.aggregate(&name).is_some() {
            return self.aggregate_call(&name, call, span);
        }
        if call.filter.is_some() || call.quantifier == SelectQuantifier::Distinct {
            let message =
                format!("{name} is no aggregate function: it takes no DISTINCT and no FILTER");
            return Err(PlanError::at(span, message));
        }
        if matches!(&*name, "TUMBLE" | "HOP" | "SESSION") {
            let message = format!("{name} can only stand in GROUP BY or FROM");
            return Err(PlanError::at(span, message));
        }
        if name == "JSON" {
            let message = "The JSON() function is currently only supported inside JSON_ARRAY() or as \
                           the VALUE param of JSON_OBJECT()";
            return Err(PlanError::at(span, message));
        }
        if name == "JSON_STRING"
            && let [argument] = &*call.arguments
            && let FunctionValue::Expr(one) = &argument.value
            && let ExprKind::Builtin(made) = &one.kind
            && matches!(
                **made,
                ast::BuiltinCall::JsonObject { .. } | ast::BuiltinCall::JsonArray { .. }
            )
        {
            // What is made there is JSON already.
            return self.bind(one);
        }
        let arguments = self.arguments(call)?;
        if name == "PROCTIME" && arguments.is_empty() {
            let mut bound = self.binder.call(&name, arguments)?;
            bound.time = Some(TimeAttribute::Proctime);
            return Ok(bound);
        }
        if name == "CURRENT_DATABASE" && arguments.is_empty() {
            let kind = SqlTypeKind::Varchar(i32::MAX.unsigned_abs());
            let name = super::literal::text(self.binder.catalogs.current_database());
            return self.binder.coerce(name, &SqlDataType::not_null(kind));
        }
        if name == "CURRENT_WATERMARK"
            && let [argument] = arguments.as_slice()
            && argument.time != Some(TimeAttribute::Rowtime)
        {
            let message = "The argument of CURRENT_WATERMARK() must be a rowtime attribute.";
            return Err(PlanError::at(span, message));
        }
        self.binder.call(&name, arguments)
    }

    /// Its name in the library: users' functions have the name of what implements them.
    fn function_name(&self, call: &FunctionCall) -> PlanResult<String> {
        self.binder.function_name(call)
    }

    /// The arguments of a call that takes values only.
    pub(super) fn arguments(&self, call: &FunctionCall) -> PlanResult<Vec<BoundExpression>> {
        let mut all = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            match &argument.value {
                FunctionValue::Expr(expr) => all.push(self.bind(expr)?),
                _ => return Err(PlanError::at(argument.span, "a value is expected here")),
            }
        }
        Ok(all)
    }

    fn aggregate_call(
        &self,
        name: &str,
        call: &FunctionCall,
        span: Span,
    ) -> PlanResult<BoundExpression> {
        if self.in_aggregate {
            return Err(PlanError::at(span, "Aggregate expressions cannot be nested"));
        }
        let Some(collector) = self.collector else {
            let message = format!("Aggregate expression is illegal in {} clause", self.clause);
            return Err(PlanError::at(span, message));
        };
        let inner =
            ExpressionBinder { grouping: None, collector: None, in_aggregate: true, ..*self };
        let global = self.grouping.is_none_or(super::group::Grouping::may_be_empty);
        let (expr, data_type) = inner.aggregate(name, call, global)?;
        Ok(collector.borrow_mut().aggregate(self.binder, name, expr, data_type))
    }

    /// An aggregate over rows that this binder names, and its type.
    pub(super) fn aggregate(
        &self,
        name: &str,
        call: &FunctionCall,
        global: bool,
    ) -> PlanResult<(Expr, SqlDataType)> {
        let star = matches!(
            &*call.arguments,
            [ast::FunctionArgument { value: FunctionValue::Expr(ast::Expr { kind: ExprKind::Wildcard(qualifier), .. }), .. }]
                if qualifier.is_empty()
        );
        if star && name != "COUNT" {
            return Err(PlanError::new(format!("{name} cannot be of *")));
        }
        let arguments = if star { Vec::new() } else { self.arguments(call)? };
        if name == "COUNT" && arguments.len() > 1 {
            return Err(PlanError::new("We now only support the count of one field."));
        }
        if call.null_treatment.is_some() && name != "ARRAY_AGG" {
            let message =
                format!("Cannot specify IGNORE NULLS or RESPECT NULLS following '{name}'");
            return Err(PlanError::new(message));
        }
        if !call.within_group.is_empty() {
            let message =
                format!("Aggregate expression '{name}' must not contain a WITHIN GROUP clause");
            return Err(PlanError::new(message));
        }
        let filter = call.filter.as_ref().map(|filter| {
            let inner = Self { clause: "FILTER", ..*self };
            inner.condition(filter)
        });
        let filter = filter.transpose()?;
        let ignores = call.null_treatment == Some(ast::NullTreatment::Ignore);
        let name = if name == "ARRAY_AGG" && ignores { "ARRAY_AGG_IGNORE_NULLS" } else { name };
        let distinct = call.quantifier == SelectQuantifier::Distinct;
        let mut order_by = Vec::new();
        for item in call.order_by.iter().chain(&call.within_group) {
            let nulls_first =
                item.nulls.map_or(!item.descending, |nulls| nulls == ast::NullOrder::First);
            order_by.push(Sort {
                expr: self.bind(&item.expr)?.expr,
                asc: !item.descending,
                nulls_first,
            });
        }
        let nulls = call.null_treatment.map(|treatment| match treatment {
            ast::NullTreatment::Ignore => NullTreatment::IgnoreNulls,
            ast::NullTreatment::Respect => NullTreatment::RespectNulls,
        });
        self.settle(name, arguments, filter, distinct, global, order_by, nulls)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a clause of the call")]
    pub(super) fn settle(
        &self,
        name: &str,
        arguments: Vec<BoundExpression>,
        filter: Option<BoundExpression>,
        distinct: bool,
        global: bool,
        order_by: Vec<Sort>,
        nulls: Option<NullTreatment>,
    ) -> PlanResult<(Expr, SqlDataType)> {
        if distinct
            && let [argument] = &*arguments
            && !can_be_distinct(&argument.data_type.kind)
        {
            let shown = SqlDataType::nullable(argument.data_type.kind.clone());
            return Err(PlanError::new(format!(
                "Distinct aggregate function does not support type: {shown}."
            )));
        }
        let function = self.binder.library.aggregate(name);
        let function = function.ok_or_else(|| {
            PlanError::new(format!("No match found for function signature {name}"))
        })?;
        let resolved = function.resolve(&call_arguments(&arguments)?, false)?;
        let pairs = arguments.into_iter().zip(&resolved.arguments);
        let arguments = pairs
            .map(|(argument, to)| self.binder.coerce(argument, to))
            .collect::<PlanResult<Vec<_>>>()?;
        let nullable = resolved.result.nullable
            || ((global || filter.is_some())
                && !NEVER_NULL.contains(&name.trim_end_matches("_OF_JSON")));
        let result = with_nullability(&resolved.result, nullable);
        let coat = AggregateCoat::new(function, call_arguments(&arguments)?, result.clone())?;
        let func: Arc<AggregateUDF> = coat.into_udf();
        let filter = filter.map(|filter| Box::new(filter.expr));
        let args = arguments.into_iter().map(|one| one.expr).collect();
        let call = AggregateFunction::new_udf(func, args, distinct, filter, order_by, nulls);
        Ok((Expr::AggregateFunction(call), result))
    }

    /// Whether a name is that of a ranking function.
    pub(super) fn is_ranking(name: &str) -> bool {
        RANKINGS.contains(&name)
    }
}

/// Whether DISTINCT can keep values of a type: not what is made of parts, but arrays.
fn can_be_distinct(kind: &SqlTypeKind) -> bool {
    !matches!(
        kind,
        SqlTypeKind::Binary(_)
            | SqlTypeKind::Varbinary(_)
            | SqlTypeKind::Row(_)
            | SqlTypeKind::Map { .. }
            | SqlTypeKind::Multiset(_)
    )
}

/// What functions see of their arguments.
pub(super) fn call_arguments(arguments: &[BoundExpression]) -> PlanResult<Vec<CallArgument>> {
    let one = |argument: &BoundExpression| {
        let literal = match &argument.expr {
            // An untyped NULL is a value, too, but tells nothing.
            Expr::Literal(value, _) if argument.data_type.kind != SqlTypeKind::Null => {
                Some(value.to_array_of_size(1)?)
            }
            _ => None,
        };
        Ok(CallArgument { data_type: argument.data_type.clone(), literal })
    };
    arguments.iter().map(one).collect()
}
