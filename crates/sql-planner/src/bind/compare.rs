//! Comparisons, casts and common types.

use datafusion_expr::{BinaryExpr, Expr, Operator, Volatility, expr::ScalarFunction};
use hurtig_sql_functions::api::ResolvedCall;
use hurtig_sql_parser::{
    ast::Comparison,
    types::{SqlDataType, SqlTypeKind},
};

use super::{Binder, BoundExpression, literal};
use crate::{
    PlanError, PlanResult,
    functions::ScalarCoat,
    types::{calcite_name, with_nullability},
};

impl Binder<'_> {
    /// A value as another type: nothing, NULL, or a cast. Nullability stays the value's.
    pub(super) fn cast(
        &self,
        value: BoundExpression,
        to: &SqlDataType,
        is_try: bool,
    ) -> PlanResult<BoundExpression> {
        if matches!(value.data_type.kind, SqlTypeKind::Null) {
            return literal::null_of(to);
        }
        let kernel = self.library.cast(&value.data_type, to, is_try)?;
        let nullable = value.data_type.nullable || is_try;
        let result = with_nullability(to, nullable);
        let call = ResolvedCall {
            arguments: vec![value.data_type.clone()],
            result: result.clone(),
            kernel,
        };
        let name = if is_try { "TRY_CAST" } else { "CAST" };
        let coat = ScalarCoat::new(name, call, Volatility::Immutable, self.context.clone())?;
        let function = ScalarFunction { func: coat.into_udf(), args: vec![value.expr] };
        Ok(self.folded(Expr::ScalarFunction(function), result))
    }

    /// The same, without a call where the type is the same but for NULL.
    pub(super) fn coerce(
        &self,
        value: BoundExpression,
        to: &SqlDataType,
    ) -> PlanResult<BoundExpression> {
        if value.data_type.kind == to.kind { Ok(value) } else { self.cast(value, to, false) }
    }

    /// All as their common type, and that type.
    pub(super) fn unify(
        &self,
        values: Vec<BoundExpression>,
    ) -> PlanResult<Option<(Vec<BoundExpression>, SqlDataType)>> {
        let types: Vec<SqlDataType> = values.iter().map(|one| one.data_type.clone()).collect();
        let Some(common) = self.common_type(&types) else { return Ok(None) };
        let values = values.into_iter().map(|one| self.coerce(one, &common));
        Ok(Some((values.collect::<PlanResult<Vec<_>>>()?, common)))
    }

    /// The common type of values.
    pub(super) fn common_type(&self, types: &[SqlDataType]) -> Option<SqlDataType> {
        if let [first, rest @ ..] = types
            && rest.iter().all(|one| one.kind == first.kind)
        {
            return Some(with_nullability(first, types.iter().any(|one| one.nullable)));
        }
        self.library.common_type(types)
    }

    /// `a = b` and the like.
    pub(super) fn compare(
        &self,
        left: BoundExpression,
        comparison: Comparison,
        right: BoundExpression,
    ) -> PlanResult<BoundExpression> {
        let (operator, symbol) = match comparison {
            Comparison::Equal => (Operator::Eq, "="),
            Comparison::NotEqual => (Operator::NotEq, "<>"),
            Comparison::Less => (Operator::Lt, "<"),
            Comparison::LessOrEqual => (Operator::LtEq, "<="),
            Comparison::Greater => (Operator::Gt, ">"),
            Comparison::GreaterOrEqual => (Operator::GtEq, ">="),
        };
        let nullable = left.data_type.nullable || right.data_type.nullable;
        let (left, right) = self.comparable(left, right, symbol)?;
        let expr = binary(left.expr, operator, right.expr);
        let data_type = with_nullability(&SqlDataType::nullable(SqlTypeKind::Boolean), nullable);
        Ok(self.folded(expr, data_type))
    }

    /// Both as the type that they are compared in.
    pub(super) fn comparable(
        &self,
        left: BoundExpression,
        right: BoundExpression,
        symbol: &str,
    ) -> PlanResult<(BoundExpression, BoundExpression)> {
        let types = [left.data_type.clone(), right.data_type.clone()];
        let common = match self.common_type(&types) {
            // Flink compares texts with times as those times; with numbers it does not.
            None => text_beside(&types[0], &types[1]),
            common => common,
        };
        let ordered = !matches!(symbol, "=" | "<>" | "IS DISTINCT FROM" | "IS NOT DISTINCT FROM");
        let common = common.filter(|common| {
            use SqlTypeKind::{Array, Map, Multiset, Row};
            !ordered || !matches!(common.kind, Map(..) | Multiset(_) | Row(_) | Array(_))
        });
        let Some(common) = common else {
            let (left, right) = (calcite_name(&types[0]), calcite_name(&types[1]));
            let (left, right) =
                (left.trim_end_matches(" NOT NULL"), right.trim_end_matches(" NOT NULL"));
            return Err(PlanError::new(format!(
                "Cannot apply '{symbol}' to arguments of type '<{left}> {symbol} <{right}>'. Supported form(s): '<COMPARABLE_TYPE> {symbol} <COMPARABLE_TYPE>'"
            )));
        };
        Ok((self.coerce(left, &common)?, self.coerce(right, &common)?))
    }

    /// The constant that an expression without columns is; the expression itself if it has no value,
    /// so that the error comes when it runs, as in Flink.
    pub(super) fn folded(&self, expr: Expr, data_type: SqlDataType) -> BoundExpression {
        match crate::optimize::constant_value(&expr) {
            Some(value) => literal::constant(value, data_type),
            None => BoundExpression::new(expr, data_type),
        }
    }
}

/// A text is compared with a time as one.
fn text_beside(left: &SqlDataType, right: &SqlDataType) -> Option<SqlDataType> {
    let is_text =
        |one: &SqlDataType| matches!(one.kind, SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_));
    let is_time = |one: &SqlDataType| {
        use SqlTypeKind::{Date, Time, Timestamp, TimestampLtz};
        matches!(one.kind, Date | Time(_) | Timestamp(_) | TimestampLtz(_))
    };
    match (is_text(left), is_text(right)) {
        (true, false) if is_time(right) => Some(SqlDataType::nullable(right.kind.clone())),
        (false, true) if is_time(left) => Some(SqlDataType::nullable(left.kind.clone())),
        _ => None,
    }
}

/// An operator of DataFusion's.
pub(super) fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op: operator, right: Box::new(right) })
}
