//! Parts of plans and expressions.

use std::sync::Arc;

use arrow_schema::Field;
use datafusion_common::{DFSchema, DFSchemaRef, JoinType};
use datafusion_expr::{BinaryExpr, Expr, Operator};
use hurtig_sql_common::columns;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    PlanError, PlanResult,
    functions::{AggregateCoat, ScalarCoat},
    types::{plan_field, schema_of, time_attribute, with_nullability},
};

/// What AND joins.
#[must_use]
pub fn conjuncts(expr: Expr) -> Vec<Expr> {
    let mut all = Vec::new();
    let mut rest = vec![expr];
    while let Some(expr) = rest.pop() {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                rest.push(*right);
                rest.push(*left);
            }
            other => all.push(other),
        }
    }
    all
}

/// All with AND between them, as a tree of the least height.
pub(crate) fn all_of(mut all: Vec<Expr>) -> Option<Expr> {
    while all.len() > 1 {
        let mut pairs = Vec::with_capacity(all.len().div_ceil(2));
        let mut rest = all.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => datafusion_expr::and(left, right),
                None => left,
            });
        }
        all = pairs;
    }
    all.pop()
}

/// Left and right side of an equality between a left and a right input.
pub(crate) fn equal_sides(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left: one, op: Operator::Eq, right: other }) = expr else {
        return None;
    };
    if is_of(one, left) && is_of(other, right) {
        Some(((**one).clone(), (**other).clone()))
    } else if is_of(one, right) && is_of(other, left) {
        Some(((**other).clone(), (**one).clone()))
    } else {
        None
    }
}

/// Whether an expression has columns, all of them of that schema, and is no subquery.
pub(crate) fn is_of(expr: &Expr, schema: &DFSchema) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty()
        && columns.iter().all(|one| schema.has_column_with_unqualified_name(&one.name))
        && !expr.contains_outer()
        && !has_subquery(expr)
}

/// Whether there is a query in an expression.
pub(crate) fn has_subquery(expr: &Expr) -> bool {
    use datafusion_common::tree_node::TreeNode;
    let is_query = |one: &Expr| {
        Ok(matches!(
            one,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        ))
    };
    expr.exists(is_query).unwrap_or(true)
}

/// The columns of a join.
pub(crate) fn join_schema(
    left: &DFSchema,
    right: &DFSchema,
    join_type: JoinType,
) -> PlanResult<DFSchemaRef> {
    let fields = |schema: &DFSchema, outer: bool| -> PlanResult<Vec<Arc<Field>>> {
        let all = schema.fields().iter();
        if outer { all.map(nullable_field).collect() } else { Ok(all.cloned().collect()) }
    };
    let all = match join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => fields(left, false)?,
        JoinType::RightSemi | JoinType::RightAnti => fields(right, false)?,
        _ => {
            let left_outer = matches!(join_type, JoinType::Right | JoinType::Full);
            let right_outer = matches!(join_type, JoinType::Left | JoinType::Full);
            [fields(left, left_outer)?, fields(right, right_outer)?].concat()
        }
    };
    schema_of(all)
}

/// The field with NULL.
pub(crate) fn nullable_field(field: &Arc<Field>) -> PlanResult<Arc<Field>> {
    let data_type = with_nullability(&columns::data_type(field)?, true);
    Ok(Arc::new(plan_field(field.name(), &data_type, time_attribute(field))?))
}

/// The data type of an expression over columns of a plan. Of DataFusion's own expressions the kind
/// is exact; whether they can be NULL is only guessed (they can).
pub fn data_type_of(expr: &Expr, schema: &DFSchema) -> PlanResult<SqlDataType> {
    let boolean = |nullable| Ok(SqlDataType { kind: SqlTypeKind::Boolean, nullable });
    match expr {
        Expr::Column(column) => {
            Ok(columns::data_type(schema.field_with_unqualified_name(&column.name)?)?)
        }
        Expr::OuterReferenceColumn(field, _) => Ok(columns::data_type(field)?),
        Expr::Alias(alias) => data_type_of(&alias.expr, schema),
        Expr::Literal(value, Some(metadata)) => {
            let field = Field::new("", value.data_type(), value.is_null());
            Ok(columns::data_type(&metadata.add_to_field(field))?)
        }
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<ScalarCoat>() {
            Some(coat) => Ok(coat.call().result.clone()),
            None => {
                Err(PlanError::new(format!("internal: a foreign function {}", call.func.name())))
            }
        },
        Expr::AggregateFunction(call) => match call.func.inner().downcast_ref::<AggregateCoat>() {
            Some(coat) => Ok(coat.result().clone()),
            None => {
                Err(PlanError::new(format!("internal: a foreign function {}", call.func.name())))
            }
        },
        Expr::Case(case) => {
            let mut branches =
                case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            let typed = branches.find_map(|branch| {
                data_type_of(branch, schema).ok().filter(|one| one.kind != SqlTypeKind::Null)
            });
            let typed = typed.ok_or_else(|| PlanError::new("internal: a CASE without type"))?;
            Ok(with_nullability(&typed, true))
        }
        Expr::ScalarSubquery(query) => {
            let field = &query.subquery.schema().fields()[0];
            Ok(with_nullability(&columns::data_type(field)?, true))
        }
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Exists(_) => boolean(false),
        Expr::BinaryExpr(_)
        | Expr::Not(_)
        | Expr::InList(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_) => boolean(true),
        other => Err(PlanError::new(format!("internal: no data type for {other}"))),
    }
}
