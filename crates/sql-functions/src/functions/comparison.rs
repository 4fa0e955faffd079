//! `=` and its like, BETWEEN, IN, IS DISTINCT FROM.

use std::{collections::HashSet, sync::Arc};

use arrow_arith::boolean::{and_kleene, not, or_kleene};
use arrow_array::{Array, ArrayRef, BooleanArray, cast::AsArray};
use arrow_row::{RowConverter, SortField};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::compare::{Relation, compare, compare_arguments};
use crate::{
    api::{CallError, Operand},
    call::{Builtin, Call, Resolved, pure},
    columns::{Columns, Evaluated},
    types::{
        common_type, exact_digits, is_datetime, is_decimal, is_numeric, is_text, is_timestamp, of,
    },
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("=", "a = b", |call| relation(call, Relation::Equal)),
    pure("<>", "a <> b", |call| relation(call, Relation::NotEqual)),
    pure("!=", "a <> b", |call| relation(call, Relation::NotEqual)),
    pure("<", "a < b", |call| relation(call, Relation::Less)),
    pure("<=", "a <= b", |call| relation(call, Relation::LessOrEqual)),
    pure(">", "a > b", |call| relation(call, Relation::Greater)),
    pure(">=", "a >= b", |call| relation(call, Relation::GreaterOrEqual)),
    pure("IS DISTINCT FROM", "a IS DISTINCT FROM b", |call| distinct(call, true)),
    pure("IS NOT DISTINCT FROM", "a IS NOT DISTINCT FROM b", |call| distinct(call, false)),
    pure("BETWEEN", "a BETWEEN b AND c", |call| between(call, false)),
    pure("BETWEEN SYMMETRIC", "a BETWEEN SYMMETRIC b AND c", |call| between(call, true)),
    pure("IN", "a IN (b, c)", within),
];

/// What two operands must be to be compared, as Flink coerces them.
fn comparable(call: &Call<'_>, left: usize, right: usize) -> Result<[SqlDataType; 2], CallError> {
    let (a, b) = (&call.arguments[left].data_type, &call.arguments[right].data_type);
    let both = |kind: &SqlTypeKind| [of(kind.clone(), a.nullable), of(kind.clone(), b.nullable)];
    let (x, y) = (&a.kind, &b.kind);
    if *x == SqlTypeKind::Null {
        return Ok(both(y));
    }
    if *y == SqlTypeKind::Null {
        return Ok(both(x));
    }
    if (is_numeric(x) && is_text(y)) || (is_text(x) && is_numeric(y)) {
        return Err(CallError(format!(
            "implicit type conversion between {x} and {y} is not supported now"
        )));
    }
    if is_text(x) && is_text(y) {
        return Ok([a.clone(), b.clone()]);
    }
    if is_datetime(x) && is_text(y) {
        return Ok(both(x));
    }
    if is_text(x) && is_datetime(y) {
        return Ok(both(y));
    }
    // Decimals are compared with all their digits.
    if let (Some(digits), Some(other)) = (exact_digits(x), exact_digits(y))
        && (is_decimal(x) || is_decimal(y))
    {
        let decimal = crate::types::decimal::kind;
        return Ok([of(decimal(digits), a.nullable), of(decimal(other), b.nullable)]);
    }
    // A date is the point in time of its begin.
    match (x, y) {
        (SqlTypeKind::Date, _) if is_timestamp(y) => return Ok(both(y)),
        (_, SqlTypeKind::Date) if is_timestamp(x) => return Ok(both(x)),
        (SqlTypeKind::Timestamp(p), SqlTypeKind::TimestampLtz(q))
        | (SqlTypeKind::TimestampLtz(p), SqlTypeKind::Timestamp(q)) => {
            return Ok(both(&SqlTypeKind::TimestampLtz(*p.max(q))));
        }
        _ => {}
    }
    let common = common_type(&[a.clone(), b.clone()]).ok_or_else(|| call.mismatch())?;
    Ok(both(&common.kind))
}

fn relation(call: &Call<'_>, relation: Relation) -> Resolved {
    call.count(2, 2)?;
    let arguments = comparable(call, 0, 1)?.to_vec();
    let result = of(SqlTypeKind::Boolean, call.nullable());
    Ok(call.settled(arguments, result, move |columns| compare(columns, relation)))
}

fn distinct(call: &Call<'_>, distinct: bool) -> Resolved {
    call.count(2, 2)?;
    let arguments = comparable(call, 0, 1)?.to_vec();
    let result = SqlDataType::not_null(SqlTypeKind::Boolean);
    Ok(call.settled(arguments, result, move |columns| {
        let (left, right) = (columns.full(0)?, columns.full(1)?);
        let equal = compare(columns, Relation::Equal)?;
        let equal = equal.as_boolean();
        columns.make_booleans(|row| {
            let same = match (left.is_null(row), right.is_null(row)) {
                (true, true) => true,
                (false, false) => equal.is_valid(row) && equal.value(row),
                _ => false,
            };
            Some(same != distinct)
        })
    }))
}

fn between(call: &Call<'_>, symmetric: bool) -> Resolved {
    call.count(3, 3)?;
    let first = comparable(call, 0, 1)?;
    let second = comparable(call, 0, 2)?;
    // One type for the operand: that which both comparisons agree on.
    let arguments = if first[0] == second[0] {
        let [operand, low] = first;
        let [_, high] = second;
        vec![operand, low, high]
    } else {
        let common = common_type(&call.types()).ok_or_else(|| call.mismatch())?;
        let given = call.arguments.iter();
        given.map(|one| of(common.kind.clone(), one.data_type.nullable)).collect()
    };
    let result = of(SqlTypeKind::Boolean, call.nullable());
    Ok(call.settled(arguments, result, move |columns| {
        let inside = |low, high| -> Evaluated {
            let above = compare_arguments(columns, 0, low, Relation::GreaterOrEqual)?;
            let below = compare_arguments(columns, 0, high, Relation::LessOrEqual)?;
            Ok(Arc::new(and_kleene(above.as_boolean(), below.as_boolean())?))
        };
        let plain = inside(1, 2)?;
        if !symmetric {
            return Ok(plain);
        }
        let turned = inside(2, 1)?;
        Ok(Arc::new(or_kleene(plain.as_boolean(), turned.as_boolean())?))
    }))
}

/// IN: by a set of the constants, if all are, otherwise one comparison after the other.
fn within(call: &Call<'_>) -> Resolved {
    if call.len() < 2 {
        return Err(call.mismatch());
    }
    // The values have one type, as those of VALUES, which the operand is compared with.
    let mut list = call.types();
    let operand = list.remove(0);
    let values = common_type(&list).ok_or_else(|| call.mismatch())?;
    let common = if values.kind == SqlTypeKind::Null {
        operand.clone()
    } else {
        let one = crate::api::CallArgument { data_type: values, literal: None };
        let pair = [call.arguments[0].clone(), one];
        let pair = Call { name: call.name, signature: call.signature, arguments: &pair };
        comparable(&pair, 0, 1)?;
        common_type(&[pair.arguments[0].data_type.clone(), pair.arguments[1].data_type.clone()])
            .or_else(|| comparable(&pair, 0, 1).ok().map(|[first, _]| first))
            .ok_or_else(|| call.mismatch())?
    };
    let given = call.arguments.iter();
    let arguments = given.map(|one| of(common.kind.clone(), one.data_type.nullable)).collect();
    let result = of(SqlTypeKind::Boolean, call.nullable());
    Ok(call.settled(arguments, result, |columns| {
        let constant = |operand: &Operand| matches!(operand, Operand::Constant(_));
        if columns.operands[1..].iter().all(constant) { in_set(columns) } else { in_list(columns) }
    }))
}

fn in_list(columns: &Columns<'_>) -> Evaluated {
    let mut found: Option<BooleanArray> = None;
    for index in 1..columns.len() {
        let equal = compare_arguments(columns, 0, index, Relation::Equal)?;
        found = Some(match found {
            None => equal.as_boolean().clone(),
            Some(found) => or_kleene(&found, equal.as_boolean())?,
        });
    }
    Ok(Arc::new(found.unwrap_or_else(|| BooleanArray::from(vec![false; columns.rows]))))
}

fn in_set(columns: &Columns<'_>) -> Evaluated {
    // Few values are compared faster than they are looked up.
    if columns.len() <= 4 {
        return in_list(columns);
    }
    let operand = columns.full(0)?;
    let converter = RowConverter::new(vec![SortField::new(operand.data_type().clone())])?;
    let mut values = HashSet::with_capacity(columns.len());
    let mut unknown = false;
    for index in 1..columns.len() {
        let (value, _) = columns.raw(index)?;
        if value.is_null(0) {
            unknown = true;
            continue;
        }
        let rows = converter.convert_columns(std::slice::from_ref(value))?;
        values.insert(rows.row(0).owned());
    }
    let rows = converter.convert_columns(&[operand.clone()])?;
    let values: HashSet<&[u8]> = values.iter().map(AsRef::as_ref).collect();
    columns.make_booleans(|row| {
        if operand.is_null(row) {
            return None;
        }
        let found = values.contains(rows.row(row).as_ref());
        (found || !unknown).then_some(found)
    })
}

/// NOT of a column of truth values.
pub(super) fn negated(array: &ArrayRef) -> Evaluated {
    Ok(Arc::new(not(array.as_boolean())?))
}
