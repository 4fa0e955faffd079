//! `+`, `-`, `*`, `/`, `%`: of numbers, and of times and intervals.

use std::sync::Arc;

use arrow_array::{
    Array,
    types::{
        ArrowPrimitiveType, Date32Type, Decimal128Type, DurationMillisecondType, Float32Type,
        Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalYearMonthType,
        Time32MillisecondType,
    },
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::operate::{check_divisor, combine, combine_decimals};
use crate::{
    api::CallError,
    calendar::{self, DAY_MS, moment::Moment},
    call::{Builtin, Call, Resolved, pure},
    columns::{Columns, Evaluated},
    decimal,
    types::{
        self,
        arithmetic::{Operation, result_kind},
        exact_digits, is_decimal, is_month_interval, is_numeric, is_time_interval, of,
    },
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("+", "a + b", |call| match call.len() {
        1 => identity(call),
        _ => plus(call),
    }),
    pure("-", "a - b", |call| match call.len() {
        1 => negate(call),
        _ => minus(call),
    }),
    pure("*", "a * b", times),
    pure("/", "a / b", |call| numeric(call, Operation::Divide)),
    pure("%", "a % b", |call| numeric(call, Operation::Modulo)),
    pure("MOD", "MOD(numeric1, numeric2)", |call| numeric(call, Operation::Modulo)),
    pure("MINUS_DATE", "(time1 - time2) unit", minus_date),
    pure("INTERVAL", "INTERVAL value unit", interval_of),
];

fn is_interval(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Interval(..))
}

fn identity(call: &Call<'_>) -> Resolved {
    if !is_numeric(call.kind(0)) && !is_interval(call.kind(0)) {
        return Err(call.mismatch());
    }
    let given = call.types();
    Ok(call.settled(given.clone(), given[0].clone(), |columns| columns.full(0)))
}

fn negate(call: &Call<'_>) -> Resolved {
    let given = call.types();
    let kind = given[0].kind.clone();
    if !is_numeric(&kind) && !is_interval(&kind) {
        return Err(call.mismatch());
    }
    Ok(call.settled(given.clone(), given[0].clone(), move |columns| {
        let array = columns.full(0)?;
        fn wrapping<T: ArrowPrimitiveType>(
            array: &dyn Array,
            of: impl Fn(T::Native) -> T::Native,
        ) -> Evaluated {
            let array = array.as_any().downcast_ref::<arrow_array::PrimitiveArray<T>>();
            let array = array.ok_or_else(|| EvalError::Internal("no number".to_owned()))?;
            Ok(Arc::new(array.unary::<_, T>(of).with_data_type(array.data_type().clone())))
        }
        match &kind {
            SqlTypeKind::TinyInt => wrapping::<Int8Type>(&array, i8::wrapping_neg),
            SqlTypeKind::SmallInt => wrapping::<Int16Type>(&array, i16::wrapping_neg),
            SqlTypeKind::Int => wrapping::<Int32Type>(&array, i32::wrapping_neg),
            SqlTypeKind::BigInt => wrapping::<Int64Type>(&array, i64::wrapping_neg),
            SqlTypeKind::Float => wrapping::<Float32Type>(&array, |value| -value),
            SqlTypeKind::Double => wrapping::<Float64Type>(&array, |value| -value),
            SqlTypeKind::Decimal { .. } => wrapping::<Decimal128Type>(&array, |value| -value),
            kind if is_month_interval(kind) => {
                wrapping::<IntervalYearMonthType>(&array, i32::wrapping_neg)
            }
            _ => wrapping::<DurationMillisecondType>(&array, i64::wrapping_neg),
        }
    }))
}

fn plus(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let (left, right) = (call.kind(0), call.kind(1));
    match (is_interval(left), is_interval(right)) {
        (false, false) => numeric(call, Operation::Add),
        (true, false) if types::is_datetime(right) => shift(call, 1, 0, 1),
        (false, true) if types::is_datetime(left) => shift(call, 0, 1, 1),
        (true, true) => intervals(call, 1),
        _ => Err(call.mismatch()),
    }
}

fn minus(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let (left, right) = (call.kind(0), call.kind(1));
    match (is_interval(left), is_interval(right)) {
        (false, false) => numeric(call, Operation::Subtract),
        (false, true) if types::is_datetime(left) => shift(call, 0, 1, -1),
        (true, true) => intervals(call, -1),
        _ => Err(call.mismatch()),
    }
}

fn times(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    match (is_interval(call.kind(0)), is_interval(call.kind(1))) {
        (true, false) => scale_interval(call, 0, 1),
        (false, true) => scale_interval(call, 1, 0),
        _ => numeric(call, Operation::Multiply),
    }
}

/// Arithmetic of two numbers. NULL takes the type of the other side.
fn numeric(call: &Call<'_>, operation: Operation) -> Resolved {
    call.count(2, 2)?;
    let (left, right) = (call.kind(0), call.kind(1));
    let (left, right) = match (left, right) {
        (SqlTypeKind::Null, _) => (right, right),
        (_, SqlTypeKind::Null) => (left, left),
        both => both,
    };
    let result = result_kind(operation, left, right).ok_or_else(|| call.mismatch())?;
    let nullable = |index: usize| call.arguments[index].data_type.nullable;
    let typed = |kind: &SqlTypeKind, index| of(kind.clone(), nullable(index));
    if let SqlTypeKind::Decimal { precision, scale } = result {
        let digits = |kind| exact_digits(kind).ok_or_else(|| call.mismatch());
        let (left, right) = (digits(left)?, digits(right)?);
        let arguments =
            vec![typed(&types::decimal::kind(left), 0), typed(&types::decimal::kind(right), 1)];
        // A result that needs more than 38 digits is NULL.
        let result = of(types::decimal::kind((precision, scale)), call.nullable());
        return Ok(call.settled(arguments, result, move |columns| {
            decimals(columns, operation, (left.1, right.1), (precision, scale))
        }));
    }
    if operation == Operation::Modulo && left != right {
        return Ok(remainder(call, [typed(left, 0), typed(right, 1)], result));
    }
    let arguments = vec![typed(&result, 0), typed(&result, 1)];
    let kind = result.clone();
    Ok(call.settled(arguments, of(result, call.nullable()), move |columns| {
        primitives(columns, operation, &kind)
    }))
}

/// The remainder of integers of different types is computed in the wider one, and has the divisor's.
fn remainder(
    call: &Call<'_>,
    arguments: [SqlDataType; 2],
    result: SqlTypeKind,
) -> crate::api::ResolvedCall {
    let wide = |one: SqlDataType| of(SqlTypeKind::BigInt, one.nullable);
    let (from, to) = (SqlTypeKind::BigInt, of(result, call.nullable()));
    let target = to.clone();
    call.settled(arguments.map(wide).to_vec(), to, move |columns| {
        let wide = primitives(columns, Operation::Modulo, &from)?;
        let mode = crate::cast::Mode { context: columns.context, gives_null: false };
        crate::cast::cast_column(&wide, &SqlDataType::nullable(from.clone()), &target, mode)
    })
}

fn decimals(
    columns: &Columns<'_>,
    operation: Operation,
    (s1, s2): (u8, u8),
    digits: types::decimal::Digits,
) -> Evaluated {
    let checked = |b: i128| match b {
        0 => Err(EvalError::Value("Division by zero".to_owned())),
        _ => Ok(()),
    };
    match operation {
        Operation::Add => {
            combine_decimals(columns, digits, |a, b| Ok(decimal::add((a, s1), (b, s2), digits)))
        }
        Operation::Subtract => {
            combine_decimals(columns, digits, |a, b| Ok(decimal::add((a, s1), (-b, s2), digits)))
        }
        Operation::Multiply => combine_decimals(columns, digits, |a, b| {
            Ok(decimal::multiply((a, s1), (b, s2), digits))
        }),
        Operation::Divide => combine_decimals(columns, digits, |a, b| {
            checked(b)?;
            Ok(decimal::divide((a, s1), (b, s2), digits))
        }),
        Operation::Modulo => combine_decimals(columns, digits, |a, b| {
            checked(b)?;
            Ok(decimal::modulo((a, s1), (b, s2), digits))
        }),
    }
}

fn primitives(columns: &Columns<'_>, operation: Operation, kind: &SqlTypeKind) -> Evaluated {
    macro_rules! integers {
        ($type:ty, $native:ty) => {
            match operation {
                Operation::Add => combine::<$type, $type, $type>(columns, <$native>::wrapping_add),
                Operation::Subtract => {
                    combine::<$type, $type, $type>(columns, <$native>::wrapping_sub)
                }
                Operation::Multiply => {
                    combine::<$type, $type, $type>(columns, <$native>::wrapping_mul)
                }
                // What is computed where the dividend is NULL does not show.
                Operation::Divide => {
                    check_divisor::<$type>(columns, 0)?;
                    combine::<$type, $type, $type>(columns, |a, b| {
                        if b == 0 { 0 } else { a.wrapping_div(b) }
                    })
                }
                Operation::Modulo => {
                    check_divisor::<$type>(columns, 0)?;
                    combine::<$type, $type, $type>(columns, |a, b| {
                        if b == 0 { 0 } else { a.wrapping_rem(b) }
                    })
                }
            }
        };
    }
    macro_rules! floats {
        ($type:ty) => {
            match operation {
                Operation::Add => combine::<$type, $type, $type>(columns, |a, b| a + b),
                Operation::Subtract => combine::<$type, $type, $type>(columns, |a, b| a - b),
                Operation::Multiply => combine::<$type, $type, $type>(columns, |a, b| a * b),
                Operation::Divide => combine::<$type, $type, $type>(columns, |a, b| a / b),
                Operation::Modulo => {
                    Err(EvalError::Internal("no remainder of floating point".to_owned()))
                }
            }
        };
    }
    match kind {
        SqlTypeKind::TinyInt => integers!(Int8Type, i8),
        SqlTypeKind::SmallInt => integers!(Int16Type, i16),
        SqlTypeKind::Int => integers!(Int32Type, i32),
        SqlTypeKind::BigInt => integers!(Int64Type, i64),
        SqlTypeKind::Float => floats!(Float32Type),
        SqlTypeKind::Double => floats!(Float64Type),
        other => Err(EvalError::Internal(format!("no arithmetic of {other}"))),
    }
}

/// A sum or difference of two intervals of a kind.
fn intervals(call: &Call<'_>, sign: i64) -> Resolved {
    if is_month_interval(call.kind(0)) != is_month_interval(call.kind(1)) {
        return Err(call.mismatch());
    }
    let months = is_month_interval(call.kind(0));
    let common = types::common_type(&call.types()).ok_or_else(|| call.mismatch())?;
    Ok(call.settled(call.types(), common, move |columns| {
        if months {
            combine::<IntervalYearMonthType, IntervalYearMonthType, IntervalYearMonthType>(
                columns,
                |a, b| a.wrapping_add(b.wrapping_mul(sign as i32)),
            )
        } else {
            combine::<DurationMillisecondType, DurationMillisecondType, DurationMillisecondType>(
                columns,
                |a, b| a.wrapping_add(b.wrapping_mul(sign)),
            )
        }
    }))
}

/// An interval times an integer: of other numbers Flink has no code for it.
fn scale_interval(call: &Call<'_>, interval: usize, factor: usize) -> Resolved {
    if !types::is_integer(call.kind(factor)) || !is_interval(call.kind(interval)) {
        return Err(call.mismatch());
    }
    let months = is_month_interval(call.kind(interval));
    let mut arguments = call.types();
    arguments[factor].kind = SqlTypeKind::BigInt;
    let result = of(call.kind(interval).clone(), call.nullable());
    Ok(call.settled(arguments, result, move |columns| {
        let factor = columns.numbers::<Int64Type>(factor)?;
        if months {
            let months = columns.numbers::<IntervalYearMonthType>(interval)?;
            return columns.make_numbers::<IntervalYearMonthType>(|row| {
                Some(i64::from(months.get(row)?).wrapping_mul(factor.get(row)?) as i32)
            });
        }
        let time = columns.numbers::<DurationMillisecondType>(interval)?;
        columns.make_numbers::<DurationMillisecondType>(|row| {
            Some(time.get(row)?.wrapping_mul(factor.get(row)?))
        })
    }))
}

/// A time plus or minus an interval.
fn shift(call: &Call<'_>, time: usize, interval: usize, sign: i32) -> Resolved {
    let kind = call.kind(time).clone();
    let months = is_month_interval(call.kind(interval));
    if !months && !is_time_interval(call.kind(interval)) {
        return Err(call.mismatch());
    }
    // A date stays one: of an interval only the whole days count.
    let result = of(kind.clone(), call.nullable());
    Ok(call.settled(call.types(), result, move |columns| {
        let months_of = months.then(|| columns.numbers::<IntervalYearMonthType>(interval));
        let months_of = months_of.transpose()?;
        let time_of = (!months).then(|| columns.numbers::<DurationMillisecondType>(interval));
        let time_of = time_of.transpose()?;
        let by = |row| match (&months_of, &time_of) {
            (Some(months), _) => months.get(row).map(|by| (by.wrapping_mul(sign), 0)),
            (None, Some(time)) => time.get(row).map(|by| (0, by.wrapping_mul(i64::from(sign)))),
            (None, None) => None,
        };
        match &kind {
            SqlTypeKind::Date => {
                let dates = columns.numbers::<Date32Type>(time)?;
                columns.make_numbers::<Date32Type>(|row| {
                    let (months, ms) = by(row)?;
                    let day = calendar::add_months(dates.get(row)?, months);
                    Some(day.wrapping_add((ms / DAY_MS) as i32))
                })
            }
            SqlTypeKind::Time(_) => {
                let times = columns.numbers::<Time32MillisecondType>(time)?;
                columns.make_numbers::<Time32MillisecondType>(|row| {
                    let (_, ms) = by(row)?;
                    Some(((i64::from(times.get(row)?) + DAY_MS + ms % DAY_MS) % DAY_MS) as i32)
                })
            }
            SqlTypeKind::Timestamp(precision) | SqlTypeKind::TimestampLtz(precision) => {
                let zoned = matches!(kind, SqlTypeKind::TimestampLtz(_));
                let times = columns.moments(time)?;
                columns.make_moments(*precision, zoned, |row| {
                    let at = times.get(row)?;
                    let (months, ms) = by(row)?;
                    let moved =
                        if months == 0 { at.ms } else { calendar::add_months_ms(at.ms, months) };
                    Some(Moment { ms: moved.wrapping_add(ms), nanos: at.nanos })
                })
            }
            _ => Err(EvalError::Internal(format!("no interval is added to {kind}"))),
        }
    }))
}

/// Milliseconds of a time: of dates their first.
pub(super) fn milliseconds<'a>(
    columns: &Columns<'a>,
    index: usize,
) -> Result<Box<dyn Fn(usize) -> Option<i64> + 'a>, EvalError> {
    use arrow_schema::DataType;
    let (array, _) = columns.raw(index)?;
    Ok(match array.data_type() {
        DataType::Date32 => {
            let dates = columns.numbers::<Date32Type>(index)?;
            Box::new(move |row| Some(i64::from(dates.get(row)?) * DAY_MS))
        }
        DataType::Time32(_) => {
            let times = columns.numbers::<Time32MillisecondType>(index)?;
            Box::new(move |row| times.get(row).map(i64::from))
        }
        _ => {
            let times = columns.moments(index)?;
            Box::new(move |row| times.get(row).map(|at| at.ms))
        }
    })
}

/// The difference of two times as an interval.
fn minus_date(call: &Call<'_>) -> Resolved {
    call.count(3, 3)?;
    let unit = call.literal_text(2).unwrap_or("SECOND");
    let months = matches!(unit, "YEAR" | "QUARTER" | "MONTH");
    if !(0..2).all(|index| types::is_datetime(call.kind(index))) {
        return Err(call.mismatch());
    }
    let (first, second) = (call.kind(0), call.kind(1));
    if !types::are_comparable(first, second) || !types::are_same_times(first, second) {
        return Err(CallError("Parameters must be of the same type".to_owned()));
    }
    let result = if months { types::MONTHS } else { types::SECONDS };
    let result = of(result, call.nullable());
    Ok(call.settled(call.types(), result, move |columns| {
        let (left, right) = (milliseconds(columns, 0)?, milliseconds(columns, 1)?);
        if months {
            columns.make_numbers::<IntervalYearMonthType>(|row| {
                Some(calendar::months_between(left(row)?, right(row)?))
            })
        } else {
            columns.make_numbers::<DurationMillisecondType>(|row| {
                Some(left(row)?.wrapping_sub(right(row)?))
            })
        }
    }))
}

/// Milliseconds of a unit of time, or the months of a longer one.
pub(super) fn unit_of(unit: &str) -> Option<(i64, bool)> {
    Some(match unit {
        "YEAR" => (12, true),
        "QUARTER" => (3, true),
        "MONTH" => (1, true),
        "WEEK" => (7 * DAY_MS, false),
        "DAY" => (DAY_MS, false),
        "HOUR" => (3_600_000, false),
        "MINUTE" => (60_000, false),
        "SECOND" => (1000, false),
        "MILLISECOND" => (1, false),
        _ => return None,
    })
}

/// So many of a unit, as an interval.
fn interval_of(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let unit = call.literal_text(1).and_then(unit_of);
    let (unit, months) = unit.ok_or_else(|| call.mismatch())?;
    let mut arguments = call.types();
    let nullable = arguments[0].nullable;
    if !is_numeric(&arguments[0].kind) && arguments[0].kind != SqlTypeKind::Null {
        return Err(call.mismatch());
    }
    let exact = !types::is_approximate(&arguments[0].kind) && !is_decimal(&arguments[0].kind);
    arguments[0] = of(if exact { SqlTypeKind::BigInt } else { SqlTypeKind::Double }, nullable);
    let result: SqlDataType = of(if months { types::MONTHS } else { types::SECONDS }, nullable);
    Ok(call.settled(arguments, result, move |columns| {
        let whole = exact.then(|| columns.numbers::<Int64Type>(0)).transpose()?;
        let broken = (!exact).then(|| columns.numbers::<Float64Type>(0)).transpose()?;
        let value = |row| match (&whole, &broken) {
            (Some(whole), _) => whole.get(row).map(|count| count.wrapping_mul(unit)),
            (None, Some(broken)) => broken.get(row).map(|count| (count * unit as f64) as i64),
            (None, None) => None,
        };
        if months {
            columns.make_numbers::<IntervalYearMonthType>(|row| value(row).map(|v| v as i32))
        } else {
            columns.make_numbers::<DurationMillisecondType>(value)
        }
    }))
}
