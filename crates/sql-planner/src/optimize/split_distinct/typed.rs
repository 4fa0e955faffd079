//! Expressions that know their types, and calls that are made of them.

use std::sync::Arc;

use datafusion_common::{Column, ScalarValue};
use datafusion_expr::{
    BinaryExpr, Expr, Operator, Volatility,
    expr::{AggregateFunction, ScalarFunction},
};
use hurtig_sql_common::SqlContext;
use hurtig_sql_functions::{
    api::{CallArgument, ResolvedCall},
    cast, registry,
};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    PlanError, PlanResult,
    functions::{AggregateCoat, ScalarCoat},
    types::{metadata, with_nullability},
};

/// An expression and its type.
#[derive(Clone)]
pub(super) struct Typed {
    pub expr: Expr,
    pub data_type: SqlDataType,
}

pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

pub(super) fn literal(value: ScalarValue, kind: SqlTypeKind) -> Typed {
    let data_type = SqlDataType { nullable: value.is_null(), ..SqlDataType::not_null(kind) };
    Typed { expr: Expr::Literal(value, Some(metadata(&data_type, None))), data_type }
}

pub(super) fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        other => other.to_string(),
    }
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// A call of a scalar function, its arguments cast to what it takes.
pub(super) fn scalar_call(
    context: &Arc<SqlContext>,
    name: &str,
    shown: &str,
    arguments: Vec<Typed>,
) -> PlanResult<Typed> {
    let missing = || PlanError::new(format!("internal: there is no function {name}"));
    let function = registry::lookup_scalar(name).ok_or_else(missing)?;
    let resolved = function.resolve(&call_arguments(&arguments)?)?;
    let mut args = Vec::new();
    for (argument, to) in arguments.into_iter().zip(&resolved.arguments) {
        args.push(cast_to(context, argument, to.kind.clone())?.expr);
    }
    let data_type = resolved.result.clone();
    let volatility = Volatility::Immutable;
    let coat = ScalarCoat::new(shown, resolved, volatility, context.clone())?;
    let call = ScalarFunction { func: coat.into_udf(), args };
    Ok(Typed { expr: Expr::ScalarFunction(call), data_type })
}

pub(super) fn cast_to(
    context: &Arc<SqlContext>,
    value: Typed,
    kind: SqlTypeKind,
) -> PlanResult<Typed> {
    if value.data_type.kind == kind {
        return Ok(value);
    }
    let result = SqlDataType { nullable: value.data_type.nullable, ..SqlDataType::nullable(kind) };
    let kernel = cast(&value.data_type, &result, false)?;
    let arguments = vec![value.data_type.clone()];
    let call = ResolvedCall { arguments, result: result.clone(), kernel };
    let volatility = Volatility::Immutable;
    let coat = ScalarCoat::new("CAST", call, volatility, context.clone())?;
    let call = ScalarFunction { func: coat.into_udf(), args: vec![value.expr] };
    Ok(Typed { expr: Expr::ScalarFunction(call), data_type: result })
}

pub(super) fn call_arguments(arguments: &[Typed]) -> PlanResult<Vec<CallArgument>> {
    let one = |argument: &Typed| {
        let literal = match &argument.expr {
            Expr::Literal(value, _) => Some(value.to_array_of_size(1)?),
            _ => None,
        };
        Ok(CallArgument { data_type: argument.data_type.clone(), literal })
    };
    arguments.iter().map(one).collect()
}

/// A call of an aggregate function. Of the type `wanted`, if that differs in NULL alone.
pub(super) fn aggregate_call(
    name: &str,
    arguments: Vec<Typed>,
    distinct: bool,
    filter: Option<Expr>,
    wanted: Option<&SqlDataType>,
) -> PlanResult<Typed> {
    let missing = || PlanError::new(format!("internal: there is no aggregate {name}"));
    let function = registry::lookup_aggregate(name).ok_or_else(missing)?;
    let given = call_arguments(&arguments)?;
    let resolved = function.resolve(&given, false)?;
    let data_type = match wanted {
        Some(wanted) if wanted.kind == resolved.result.kind => wanted.clone(),
        Some(_) => resolved.result,
        // All rows of a bucket may be filtered away.
        None if filter.is_some() && !matches!(name, "COUNT" | "$SUM0") => {
            with_nullability(&resolved.result, true)
        }
        None => resolved.result,
    };
    let coat = AggregateCoat::new(function, given, data_type.clone())?;
    let args = arguments.into_iter().map(|one| one.expr).collect();
    let filter = filter.map(Box::new);
    let call =
        AggregateFunction::new_udf(coat.into_udf(), args, distinct, filter, Vec::new(), None);
    Ok(Typed { expr: Expr::AggregateFunction(call), data_type })
}
