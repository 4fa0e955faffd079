//! EXISTS and IN as values: beside OR, below NOT, in SELECT.
//!
//! The input is joined, keeping its rows, with the distinct keys of the query and a column that is TRUE
//! where there are any. As each key comes once, no row of the input does so twice. IN is unknown if
//! nothing equal was found, but something that may be: then two more joins tell whether the query has
//! rows at all, and whether it has NULL.

use std::sync::Arc;

use datafusion_common::{Column, JoinType, ScalarValue};
use datafusion_expr::{
    Case, Distinct, Expr, Filter, LogicalPlan, Operator, Projection, Subquery, expr::InSubquery,
};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    decorrelate::{binary, join, opened, values},
    nodes::{data_type_of, equal_sides},
};
use crate::{
    PlanError, PlanResult,
    types::{metadata, plan_field, schema_of},
};

/// A value of the input and the column of the query that it must equal.
type Key = (Expr, Expr);

/// EXISTS as a value, over the plan that is given.
pub(super) fn exists_value(
    input: LogicalPlan,
    query: Subquery,
    negated: bool,
) -> PlanResult<(Expr, LogicalPlan)> {
    let (plan, on) = opened(query, &input)?;
    let keys = keys_of(&on, &input, &plan)?;
    let (mark, joined) = marked(input, plan, &keys, "there")?;
    let mark = Box::new(mark);
    Ok((if negated { Expr::IsNull(mark) } else { Expr::IsNotNull(mark) }, joined))
}

/// IN as a value, over the plan that is given. `plain`: unknown is as good as false.
pub(super) fn in_value(
    input: LogicalPlan,
    query: InSubquery,
    plain: bool,
) -> PlanResult<(Expr, LogicalPlan)> {
    let (operand, input) = values(*query.expr, input)?;
    let (plan, on) = opened(query.subquery, &input)?;
    let outer = keys_of(&on, &input, &plan)?;
    let column = Expr::Column(first_of(&plan)?);
    let mut keys = outer.clone();
    keys.push((operand.clone(), column.clone()));
    let operand_nullable = data_type_of(&operand, input.schema())?.nullable;
    let column_nullable = data_type_of(&column, plan.schema())?.nullable;
    let (mark, mut joined) = marked(input, plan.clone(), &keys, "equal")?;
    let found = Expr::IsNotNull(Box::new(mark));
    if plain || !(operand_nullable || column_nullable) {
        let value = if query.negated { Expr::Not(Box::new(found)) } else { found };
        return Ok((value, joined));
    }
    let (any, below) = marked(joined, plan.clone(), &outer, "any")?;
    joined = below;
    let mut unknown = Expr::IsNull(Box::new(operand));
    if column_nullable {
        let is_null = Expr::IsNull(Box::new(column));
        let nulls = LogicalPlan::Filter(Filter::try_new(is_null, Arc::new(plan))?);
        let (null, below) = marked(joined, nulls, &outer, "null")?;
        joined = below;
        unknown = binary(unknown, Operator::Or, Expr::IsNotNull(Box::new(null)));
    }
    let constant = |value: Option<bool>| {
        let data_type = SqlDataType { kind: SqlTypeKind::Boolean, nullable: value.is_none() };
        Box::new(Expr::Literal(ScalarValue::Boolean(value), Some(metadata(&data_type, None))))
    };
    let case = Case {
        expr: None,
        when_then_expr: vec![
            (Box::new(found), constant(Some(!query.negated))),
            (Box::new(Expr::IsNull(Box::new(any))), constant(Some(query.negated))),
            (Box::new(unknown), constant(None)),
        ],
        else_expr: Some(constant(Some(query.negated))),
    };
    Ok((Expr::Case(case), joined))
}

fn first_of(plan: &LogicalPlan) -> PlanResult<Column> {
    let first = plan.schema().columns().into_iter().next();
    first.ok_or_else(|| PlanError::new("internal: a query without columns"))
}

fn keys_of(on: &[Expr], input: &LogicalPlan, plan: &LogicalPlan) -> PlanResult<Vec<Key>> {
    let sides = on.iter().map(|one| equal_sides(one, input.schema(), plan.schema()));
    sides.collect::<Option<_>>().ok_or_else(|| {
        let message = "EXISTS and IN that are not between AND in WHERE or HAVING can be correlated by \
                       equality only";
        PlanError::new(message)
    })
}

/// The input beside a column that is TRUE where the query has the keys, and NULL where it has not.
fn marked(
    input: LogicalPlan,
    query: LogicalPlan,
    keys: &[Key],
    part: &str,
) -> PlanResult<(Expr, LogicalPlan)> {
    // Names of columns are unique, and so are those that are made of them.
    let first = first_of(&query)?.name;
    let (mut expressions, mut fields, mut on) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (value, key)) in keys.iter().enumerate() {
        let name = format!("{first}${part}{number}");
        let data_type = data_type_of(key, query.schema())?;
        expressions.push(key.clone());
        fields.push(Arc::new(plan_field(&name, &data_type, None)?));
        let key = Expr::Column(Column::new_unqualified(name));
        on.push(binary(value.clone(), Operator::Eq, key));
    }
    let name = format!("{first}${part}");
    let boolean = SqlDataType::not_null(SqlTypeKind::Boolean);
    let there = Some(metadata(&boolean, None));
    expressions.push(Expr::Literal(ScalarValue::Boolean(Some(true)), there));
    fields.push(Arc::new(plan_field(&name, &boolean, None)?));
    let schema = schema_of(fields)?;
    let keyed = Projection::try_new_with_schema(expressions, Arc::new(query), schema)?;
    let distinct = Distinct::All(Arc::new(LogicalPlan::Projection(keyed)));
    let joined = join(input, LogicalPlan::Distinct(distinct), JoinType::Left, on)?;
    Ok((Expr::Column(Column::new_unqualified(name)), joined))
}
