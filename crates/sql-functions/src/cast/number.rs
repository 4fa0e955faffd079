//! Casts to numbers and to BOOLEAN.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal128Array, PrimitiveArray,
    StringArray,
    cast::AsArray,
    types::{
        Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, IntervalYearMonthType,
    },
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::SqlTypeKind;

use super::Mode;
use crate::{
    columns::{Evaluated, downcast},
    decimal, java,
    types::{decimal::Digits, exact_digits, is_text},
};

/// Why a text is no number: as Flink says it.
fn no_number(text: &str, why: &str) -> String {
    format!("For input string: '{text}'. {why}")
}

/// An integer as Flink reads it: digits behind a point are checked and dropped.
fn parse_integer(text: &str) -> Result<i64, &'static str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.is_empty() {
        return Err("Input is empty.");
    }
    if unsigned.is_empty() {
        return Err("Input has only positive or negative symbol.");
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err("Invalid character found.");
    }
    let mut value = 0i64;
    for byte in whole.bytes() {
        let digit = i64::from(byte - b'0');
        let next = value.checked_mul(10).and_then(|value| value.checked_sub(digit));
        value = next.ok_or("Overflow.")?;
    }
    if text.starts_with('-') { Ok(value) } else { value.checked_neg().ok_or("Overflow.") }
}

/// The name of what is read, in the message of a float that cannot be.
fn parse_text<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    mode: Mode<'_>,
    read: impl Fn(&str) -> Result<T::Native, &'static str>,
) -> Evaluated {
    let texts = downcast::<StringArray>(array)?;
    let mut builder = PrimitiveArray::<T>::builder(texts.len());
    for text in texts {
        builder.append_option(match text {
            None => None,
            Some(text) => match read(text.trim()) {
                Ok(value) => Some(value),
                Err(why) => mode.settle(None, || no_number(text, why))?,
            },
        });
    }
    Ok(Arc::new(builder.finish()))
}

/// To TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE.
pub(super) fn to_number(
    array: &ArrayRef,
    from: &SqlTypeKind,
    to: &SqlTypeKind,
    mode: Mode<'_>,
) -> Evaluated {
    fn narrow<T: TryFrom<i64>>(text: &str) -> Result<T, &'static str> {
        T::try_from(parse_integer(text)?).map_err(|_| "Overflow.")
    }
    const NO_FLOAT: &str = "It is no floating-point number.";
    if is_text(from) {
        return match to {
            SqlTypeKind::TinyInt => parse_text::<Int8Type>(array, mode, narrow),
            SqlTypeKind::SmallInt => parse_text::<Int16Type>(array, mode, narrow),
            SqlTypeKind::Int => parse_text::<Int32Type>(array, mode, narrow),
            SqlTypeKind::BigInt => parse_text::<Int64Type>(array, mode, parse_integer),
            SqlTypeKind::Float => parse_text::<Float32Type>(array, mode, |text| {
                java::parse_float(text).ok_or(NO_FLOAT)
            }),
            _ => parse_text::<Float64Type>(array, mode, |text| {
                java::parse_double(text).ok_or(NO_FLOAT)
            }),
        };
    }
    // A float becomes an INT first, if the integer is shorter.
    match to {
        SqlTypeKind::TinyInt => convert::<Int8Type>(array, from, |v| v as i8, |v| v as i32 as i8),
        SqlTypeKind::SmallInt => {
            convert::<Int16Type>(array, from, |v| v as i16, |v| v as i32 as i16)
        }
        SqlTypeKind::Int => convert::<Int32Type>(array, from, |v| v as i32, |v| v as i32),
        SqlTypeKind::BigInt => convert::<Int64Type>(array, from, |v| v, |v| v as i64),
        SqlTypeKind::Float => {
            exact_to_float::<Float32Type>(array, from, |v| v as f32, |v| v as f32)
        }
        _ => exact_to_float::<Float64Type>(array, from, |v| v as f64, |v| v),
    }
}

fn exact_to_float<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    from: &SqlTypeKind,
    integer: impl Fn(i64) -> T::Native,
    float: impl Fn(f64) -> T::Native,
) -> Evaluated {
    let SqlTypeKind::Decimal { scale, .. } = from else {
        return convert::<T>(array, from, integer, float);
    };
    let values = downcast::<Decimal128Array>(array)?;
    Ok(Arc::new(values.unary::<_, T>(|value| float(decimal::to_double(value, *scale)))))
}

fn convert<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    from: &SqlTypeKind,
    integer: impl Fn(i64) -> T::Native,
    float: impl Fn(f64) -> T::Native,
) -> Evaluated {
    Ok(match from {
        SqlTypeKind::TinyInt => {
            let values = downcast::<PrimitiveArray<Int8Type>>(array)?;
            Arc::new(values.unary::<_, T>(|value| integer(i64::from(value))))
        }
        SqlTypeKind::SmallInt => {
            let values = downcast::<PrimitiveArray<Int16Type>>(array)?;
            Arc::new(values.unary::<_, T>(|value| integer(i64::from(value))))
        }
        SqlTypeKind::Int => {
            let values = downcast::<PrimitiveArray<Int32Type>>(array)?;
            Arc::new(values.unary::<_, T>(|value| integer(i64::from(value))))
        }
        SqlTypeKind::BigInt => {
            Arc::new(downcast::<PrimitiveArray<Int64Type>>(array)?.unary::<_, T>(integer))
        }
        SqlTypeKind::Float => {
            let values = downcast::<PrimitiveArray<Float32Type>>(array)?;
            Arc::new(values.unary::<_, T>(|value| float(f64::from(value))))
        }
        SqlTypeKind::Double => {
            Arc::new(downcast::<PrimitiveArray<Float64Type>>(array)?.unary::<_, T>(float))
        }
        SqlTypeKind::Decimal { scale, .. } => {
            let values = downcast::<Decimal128Array>(array)?;
            Arc::new(values.unary::<_, T>(|value| integer(decimal::to_integer(value, *scale))))
        }
        SqlTypeKind::Boolean => {
            let values = downcast::<BooleanArray>(array)?;
            let values = values.iter().map(|value| value.map(|value| integer(i64::from(value))));
            Arc::new(values.collect::<PrimitiveArray<T>>())
        }
        SqlTypeKind::Interval(resolution, _) if resolution.is_year_month() => {
            let values = downcast::<PrimitiveArray<IntervalYearMonthType>>(array)?;
            Arc::new(values.unary::<_, T>(|value| integer(i64::from(value))))
        }
        SqlTypeKind::Interval(..) => {
            let values = downcast::<PrimitiveArray<DurationMillisecondType>>(array)?;
            Arc::new(values.unary::<_, T>(integer))
        }
        other => return Err(EvalError::Internal(format!("{other} is no number"))),
    })
}

/// Digits of a number as a decimal; of those that are not exact, the most there are.
#[must_use]
pub fn decimal_digits(kind: &SqlTypeKind) -> Digits {
    exact_digits(kind).unwrap_or((38, 18))
}

/// To DECIMAL. What has too many digits is NULL, but for a text, which fails.
pub(super) fn to_decimal(
    array: &ArrayRef,
    from: &SqlTypeKind,
    digits: Digits,
    mode: Mode<'_>,
) -> Evaluated {
    let result: Decimal128Array = match from {
        SqlTypeKind::Decimal { scale, .. } => {
            let values = downcast::<Decimal128Array>(array)?;
            values.unary_opt(|value| decimal::rescale(value, *scale, digits))
        }
        SqlTypeKind::Double => array
            .as_primitive::<Float64Type>()
            .unary_opt::<_, Decimal128Type>(|value| of_double(value, digits)),
        SqlTypeKind::Float => array
            .as_primitive::<Float32Type>()
            .unary_opt::<_, Decimal128Type>(|value| of_double(f64::from(value), digits)),
        kind if is_text(kind) => {
            let texts = downcast::<StringArray>(array)?;
            let mut builder = Decimal128Array::builder(texts.len());
            for text in texts {
                builder.append_option(match text {
                    None => None,
                    Some(text) => mode.settle(decimal::parse(text.trim(), digits), || {
                        no_number(text, "It is no such decimal, or overflows.")
                    })?,
                });
            }
            builder.finish()
        }
        _ => {
            let numbers = convert::<Int64Type>(array, from, |value| value, |value| value as i64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            numbers.unary_opt(|value| decimal::rescale(i128::from(value), 0, digits))
        }
    };
    let (precision, scale) = digits;
    Ok(Arc::new(result.with_precision_and_scale(precision, scale as i8)?))
}

/// By its text, as `BigDecimal.valueOf`.
fn of_double(value: f64, digits: Digits) -> Option<i128> {
    let mut text = String::new();
    java::print_double(value, &mut text);
    decimal::parse(&text, digits)
}

/// To BOOLEAN.
pub(super) fn to_boolean(array: &ArrayRef, from: &SqlTypeKind, mode: Mode<'_>) -> Evaluated {
    if is_text(from) {
        let texts = downcast::<StringArray>(array)?;
        let mut builder = BooleanArray::builder(texts.len());
        for text in texts {
            builder.append_option(match text {
                None => None,
                Some(text) => {
                    mode.settle(truth_of(text), || format!("Cannot parse '{text}' as BOOLEAN."))?
                }
            });
        }
        return Ok(Arc::new(builder.finish()));
    }
    let result: BooleanArray = match from {
        SqlTypeKind::Decimal { .. } => {
            downcast::<Decimal128Array>(array)?.iter().map(|v| v.map(|v| v != 0)).collect()
        }
        SqlTypeKind::Float | SqlTypeKind::Double => {
            let values = exact_to_float::<Float64Type>(array, from, |v| v as f64, |v| v)?;
            values.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v != 0.0)).collect()
        }
        _ => {
            let values = convert::<Int64Type>(array, from, |value| value, |value| value as i64)?;
            values.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v != 0)).collect()
        }
    };
    Ok(Arc::new(result))
}

fn truth_of(text: &str) -> Option<bool> {
    const YES: [&str; 5] = ["t", "true", "y", "yes", "1"];
    const NO: [&str; 5] = ["f", "false", "n", "no", "0"];
    if YES.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(true);
    }
    NO.iter().any(|word| text.eq_ignore_ascii_case(word)).then_some(false)
}
