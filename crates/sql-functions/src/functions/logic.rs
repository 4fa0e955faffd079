//! AND, OR, NOT and IS, in three values.

use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, is_not_null, is_null, or_kleene};
use arrow_array::{BooleanArray, cast::AsArray};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::comparison::negated;
use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    columns::{Columns, Evaluated},
    types::of,
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("AND", "a AND b", |call| connect(call, true)),
    pure("OR", "a OR b", |call| connect(call, false)),
    pure("NOT", "NOT a", |call| {
        call.simple(&[Want::Boolean], SqlTypeKind::Boolean, |columns| negated(&columns.full(0)?))
    }),
    pure("IS NULL", "a IS NULL", |call| {
        predicate(call, Want::Any, |columns| Ok(Arc::new(is_null(&columns.full(0)?)?)))
    }),
    pure("IS NOT NULL", "a IS NOT NULL", |call| {
        predicate(call, Want::Any, |columns| Ok(Arc::new(is_not_null(&columns.full(0)?)?)))
    }),
    pure("IS TRUE", "a IS TRUE", |call| truth(call, |value| value == Some(true))),
    pure("IS NOT TRUE", "a IS NOT TRUE", |call| truth(call, |value| value != Some(true))),
    pure("IS FALSE", "a IS FALSE", |call| truth(call, |value| value == Some(false))),
    pure("IS NOT FALSE", "a IS NOT FALSE", |call| truth(call, |value| value != Some(false))),
    pure("IS UNKNOWN", "a IS UNKNOWN", |call| truth(call, |value| value.is_none())),
    pure("IS NOT UNKNOWN", "a IS NOT UNKNOWN", |call| truth(call, |value| value.is_some())),
];

fn predicate(
    call: &Call<'_>,
    want: Want,
    of: impl Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
) -> Resolved {
    call.optional(1, &[want], SqlDataType::not_null(SqlTypeKind::Boolean), of)
}

fn truth(call: &Call<'_>, holds: fn(Option<bool>) -> bool) -> Resolved {
    predicate(call, Want::Boolean, move |columns| {
        let values = columns.booleans(0)?;
        columns.make_booleans(|row| Some(holds(values.get(row))))
    })
}

fn connect(call: &Call<'_>, all: bool) -> Resolved {
    call.count(2, usize::MAX)?;
    let arguments = (0..call.len()).map(|index| call.want(index, Want::Boolean));
    let arguments = arguments.collect::<Result<_, _>>()?;
    let result = of(SqlTypeKind::Boolean, call.nullable());
    Ok(call.settled(arguments, result, move |columns| {
        let mut result: BooleanArray = columns.full(0)?.as_boolean().clone();
        for index in 1..columns.len() {
            let next = columns.full(index)?;
            let connect = if all { and_kleene } else { or_kleene };
            result = connect(&result, next.as_boolean())?;
        }
        Ok(Arc::new(result))
    }))
}
