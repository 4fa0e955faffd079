//! Casts: Flink's rules, over whole columns.
//!
//! CAST fails with the first value that cannot be cast; TRY_CAST, and CAST with
//! `table.exec.legacy-cast-behaviour`, give NULL for it. Integers wrap around, numbers with a
//! fraction lose it, decimals are rounded half up, and a decimal that needs more digits than its type
//! has is NULL.

mod bytes;
mod nested;
mod number;
mod relabel;
mod temporal;
mod text;

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use hurtig_sql_common::{EvalError, SqlContext, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    api::{CallError, Kernel, Operand},
    columns::{Columns, Evaluated, repeat},
    types::{can_cast, is_binary, is_text},
};

pub use number::decimal_digits;
pub(crate) use relabel::{labelled, relabel};
pub use text::{BytesAs, Printer};

/// The kernel of CAST or TRY_CAST.
pub fn cast(
    from: &SqlDataType,
    to: &SqlDataType,
    try_cast: bool,
) -> Result<Arc<dyn Kernel>, CallError> {
    if !can_cast(from, to) {
        return Err(CallError(format!(
            "Cast function cannot convert value of type {from} to type {to}"
        )));
    }
    // What has no column has no cast either.
    for one in [from, to] {
        arrow_type(one).map_err(|error| CallError(error.to_string()))?;
    }
    Ok(Arc::new(Cast { from: from.clone(), to: to.clone(), try_cast }))
}

#[derive(Debug)]
struct Cast {
    from: SqlDataType,
    to: SqlDataType,
    try_cast: bool,
}

impl Kernel for Cast {
    fn evaluate(&self, operands: &[Operand], rows: usize, context: &SqlContext) -> Evaluated {
        let columns = Columns { operands, rows, context };
        let (array, constant) = columns.raw(0)?;
        let mode = Mode { context, gives_null: self.try_cast || context.legacy_cast };
        let result = cast_column(array, &self.from, &self.to, mode)?;
        if constant { repeat(&result, rows) } else { Ok(result) }
    }
}

/// How a cast behaves.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'a> {
    /// The session.
    pub context: &'a SqlContext,
    /// What cannot be cast is NULL.
    pub gives_null: bool,
}

impl Mode<'_> {
    /// A value, or what becomes of none.
    pub fn settle<T>(
        self,
        value: Option<T>,
        why: impl FnOnce() -> String,
    ) -> Result<Option<T>, EvalError> {
        match value {
            None if !self.gives_null => Err(EvalError::Value(why())),
            value => Ok(value),
        }
    }
}

/// Casts a column.
pub(crate) fn cast_column(
    array: &ArrayRef,
    from: &SqlDataType,
    to: &SqlDataType,
    mode: Mode<'_>,
) -> Evaluated {
    use SqlTypeKind::{
        Array, BigInt, Boolean, Date, Decimal, Double, Float, Int, Interval, Map, Multiset, Null,
        Row, SmallInt, Structured, Time, Timestamp, TimestampLtz, TinyInt,
    };
    let unsupported = || EvalError::Internal(format!("no cast from {from} to {to}"));
    if from.kind == to.kind {
        return labelled(array, to);
    }
    match &to.kind {
        _ if from.kind == Null => {
            let wanted = arrow_type(to).map_err(|error| EvalError::Internal(error.to_string()))?;
            Ok(new_null_array(&wanted, array.len()))
        }
        target if is_text(target) => text::to_text(array, from, target, mode.context),
        target if is_binary(target) => bytes::to_bytes(array, target),
        Boolean => number::to_boolean(array, &from.kind, mode),
        TinyInt | SmallInt | Int | BigInt | Float | Double => {
            number::to_number(array, &from.kind, &to.kind, mode)
        }
        Decimal { precision, scale } => {
            number::to_decimal(array, &from.kind, (*precision, *scale), mode)
        }
        Date | Time(_) | Timestamp(_) | TimestampLtz(_) => {
            temporal::to_time(array, &from.kind, &to.kind, mode)
        }
        Interval(resolution, _) => temporal::to_interval(array, &from.kind, *resolution, mode),
        Array(_) | Multiset(_) | Map(..) | Row(_) | Structured { .. } => {
            nested::cast_nested(array, from, to, mode)
        }
        _ => Err(unsupported()),
    }
}
