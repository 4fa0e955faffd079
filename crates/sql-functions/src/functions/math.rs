//! Mathematics: of DOUBLE, and of numbers as they are.

use std::sync::Arc;

use arrow_array::{
    Decimal128Array,
    types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type},
};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::temporal::round_time;
use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    columns::{Columns, Evaluated},
    decimal, java,
    types::{self, STRING, decimal::Digits, is_datetime, is_integer, is_text, of},
};

use Want::{Double, Int};

macro_rules! doubles {
    ($($name:literal $of:expr;)*) => {
        &[$(pure($name, concat!($name, "(numeric)"), |call| {
            call.simple(&[Double], SqlTypeKind::Double, |c| {
                let value = c.numbers::<Float64Type>(0)?;
                let of: fn(f64) -> f64 = $of;
                c.make_numbers::<Float64Type>(|row| value.get(row).map(of))
            })
        }),)*]
    };
}

/// Functions of one DOUBLE.
pub(super) const OF_DOUBLE: &[Builtin] = doubles! {
    "SQRT" f64::sqrt;
    "EXP" f64::exp;
    "LN" f64::ln;
    "LOG10" f64::log10;
    "LOG2" |value| value.ln() / 2f64.ln();
    "SIN" f64::sin;
    "COS" f64::cos;
    "TAN" f64::tan;
    "COT" |value| 1.0 / value.tan();
    "ASIN" f64::asin;
    "ACOS" f64::acos;
    "ATAN" f64::atan;
    "SINH" f64::sinh;
    "COSH" f64::cosh;
    "TANH" f64::tanh;
    "DEGREES" f64::to_degrees;
    "RADIANS" f64::to_radians;
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("POWER", "POWER(numeric1, numeric2)", |call| two(call, f64::powf)),
    pure("ATAN2", "ATAN2(numeric1, numeric2)", |call| {
        // There is no code for decimals.
        if (0..2).any(|index| types::is_decimal(call.kind(index))) {
            return Err(call.mismatch());
        }
        two(call, f64::atan2)
    }),
    pure("LOG", "LOG([base, ]numeric)", |call| {
        if call.len() == 2 {
            return two(call, |base, value| value.ln() / base.ln());
        }
        call.simple(&[Double], SqlTypeKind::Double, |c| {
            let value = c.numbers::<Float64Type>(0)?;
            c.make_numbers::<Float64Type>(|row| value.get(row).map(f64::ln))
        })
    }),
    pure("PI", "PI()", |call| constant(call, std::f64::consts::PI)),
    pure("E", "E()", |call| constant(call, std::f64::consts::E)),
    pure("ABS", "ABS(numeric)", abs),
    pure("SIGN", "SIGN(numeric)", sign),
    pure("FLOOR", "FLOOR(numeric) or FLOOR(time TO unit)", |call| whole(call, false)),
    pure("CEIL", "CEIL(numeric) or CEIL(time TO unit)", |call| whole(call, true)),
    pure("CEILING", "CEILING(numeric) or CEILING(time TO unit)", |call| whole(call, true)),
    pure("ROUND", "ROUND(numeric[, integer])", |call| round(call, false)),
    pure("TRUNCATE", "TRUNCATE(numeric[, integer])", |call| round(call, true)),
    pure("BIN", "BIN(integer)", |call| {
        call.simple(&[Want::BigInt], STRING, |c| {
            let value = c.numbers::<Int64Type>(0)?;
            c.make_texts(|row| value.get(row).map(|value| format!("{value:b}")))
        })
    }),
    pure("HEX", "HEX(numeric) or HEX(string)", |call| {
        if is_text(call.kind(0)) {
            return call.simple(&[Want::Text], STRING, |c| {
                let text = c.texts(0)?;
                c.make_texts(|row| text.get(row).map(|text| hex(text.as_bytes())))
            });
        }
        call.simple(&[Want::BigInt], STRING, |c| {
            let value = c.numbers::<Int64Type>(0)?;
            c.make_texts(|row| value.get(row).map(|value| format!("{value:X}")))
        })
    }),
];

/// Bytes as hexadecimal digits in capitals.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn two(call: &Call<'_>, of: fn(f64, f64) -> f64) -> Resolved {
    call.simple(&[Double, Double], SqlTypeKind::Double, move |c| {
        let (left, right) = (c.numbers::<Float64Type>(0)?, c.numbers::<Float64Type>(1)?);
        c.make_numbers::<Float64Type>(|row| Some(of(left.get(row)?, right.get(row)?)))
    })
}

fn constant(call: &Call<'_>, value: f64) -> Resolved {
    call.optional(0, &[], SqlDataType::not_null(SqlTypeKind::Double), move |c| {
        c.make_numbers::<Float64Type>(|_| Some(value))
    })
}

fn decimals(
    c: &Columns<'_>,
    (precision, scale): Digits,
    of: impl Fn(i128) -> Option<i128>,
) -> Evaluated {
    let values = c.numbers::<Decimal128Type>(0)?;
    let mut builder = Decimal128Array::builder(c.rows);
    for row in 0..c.rows {
        let value = values.get(row).and_then(&of);
        builder.append_option(value.filter(|value| decimal::fits(*value, precision)));
    }
    let array = builder.finish();
    Ok(Arc::new(array.with_precision_and_scale(precision, scale as i8)?))
}

/// A function of a number that gives one of the same type, in each of the types.
struct Same {
    integer: fn(i64) -> i64,
    float: fn(f64) -> f64,
}

impl Same {
    fn evaluate(
        &self,
        c: &Columns<'_>,
        kind: &SqlTypeKind,
        of_decimal: impl Fn(i128) -> Option<i128>,
        digits: Digits,
    ) -> Evaluated {
        macro_rules! integers {
            ($type:ty, $native:ty) => {{
                let value = c.numbers::<$type>(0)?;
                c.make_numbers::<$type>(|row| {
                    Some((self.integer)(i64::from(value.get(row)?)) as $native)
                })
            }};
        }
        match kind {
            SqlTypeKind::TinyInt => integers!(Int8Type, i8),
            SqlTypeKind::SmallInt => integers!(Int16Type, i16),
            SqlTypeKind::Int => integers!(Int32Type, i32),
            SqlTypeKind::BigInt => integers!(Int64Type, i64),
            SqlTypeKind::Float => {
                let value = c.numbers::<Float32Type>(0)?;
                c.make_numbers::<Float32Type>(|row| {
                    Some((self.float)(f64::from(value.get(row)?)) as f32)
                })
            }
            SqlTypeKind::Double => {
                let value = c.numbers::<Float64Type>(0)?;
                c.make_numbers::<Float64Type>(|row| value.get(row).map(self.float))
            }
            _ => decimals(c, digits, of_decimal),
        }
    }
}

fn digits_of(kind: &SqlTypeKind) -> Digits {
    match kind {
        SqlTypeKind::Decimal { precision, scale } => (*precision, *scale),
        _ => (38, 0),
    }
}

fn abs(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let given = call.want(0, Want::Number)?;
    let kind = given.kind.clone();
    Ok(call.settled(vec![given.clone()], given, move |c| {
        Same { integer: i64::wrapping_abs, float: f64::abs }.evaluate(
            c,
            &kind,
            |value| Some(value.abs()),
            digits_of(&kind),
        )
    }))
}

fn sign(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let given = call.want(0, Want::Number)?;
    let kind = given.kind.clone();
    Ok(call.settled(vec![given.clone()], given, move |c| {
        let digits = digits_of(&kind);
        let unit = decimal::power(u32::from(digits.1)).unwrap_or(1);
        let float =
            |value: f64| if value == 0.0 || value.is_nan() { value } else { value.signum() };
        Same { integer: i64::signum, float }.evaluate(
            c,
            &kind,
            |value| Some(value.signum() * unit),
            digits,
        )
    }))
}

/// FLOOR and CEIL: of numbers, or of times to a unit.
fn whole(call: &Call<'_>, up: bool) -> Resolved {
    if call.len() == 2 || is_datetime(call.kind(0)) {
        return round_time(call, up);
    }
    call.count(1, 1)?;
    let given = call.want(0, Want::Number)?;
    let kind = given.kind.clone();
    let result = match &kind {
        SqlTypeKind::Decimal { precision, .. } => types::decimal::kind((*precision, 0)),
        kind => kind.clone(),
    };
    let (scale, digits) = (digits_of(&kind).1, digits_of(&result));
    Ok(call.settled(vec![given], of(result, call.nullable()), move |c| {
        let unit = decimal::power(u32::from(scale)).unwrap_or(1);
        let float: fn(f64) -> f64 = if up { f64::ceil } else { f64::floor };
        Same { integer: |value| value, float }.evaluate(
            c,
            &kind,
            |value| {
                let floor = value.div_euclid(unit);
                Some(if up && value.rem_euclid(unit) > 0 { floor + 1 } else { floor })
            },
            digits,
        )
    }))
}

fn round(call: &Call<'_>, truncate: bool) -> Resolved {
    call.count(1, 2)?;
    let given = call.want(0, Want::Number)?;
    let mut arguments = vec![given.clone()];
    if call.len() == 2 {
        arguments.push(call.want(1, Int)?);
    }
    let kind = given.kind.clone();
    let fixed = if call.len() == 1 { Some(0) } else { call.literal_int(1) };
    let result = match &kind {
        SqlTypeKind::Decimal { precision, scale } => types::decimal::kind(match fixed {
            Some(round) => types::decimal::rounding((*precision, *scale), round),
            None => (*precision, *scale),
        }),
        kind => kind.clone(),
    };
    let (from, to) = (digits_of(&kind), digits_of(&result));
    let result = of(result, call.nullable());
    Ok(call.settled(arguments, result, move |c| {
        let by = (c.len() > 1).then(|| c.numbers::<Int32Type>(1)).transpose()?;
        let by = |row: usize| match &by {
            Some(by) => by.get(row),
            None => Some(0),
        };
        macro_rules! integers {
            ($type:ty, $native:ty) => {{
                let value = c.numbers::<$type>(0)?;
                c.make_numbers::<$type>(|row| {
                    let value = i128::from(value.get(row)?);
                    Some(decimal::round(value, 0, by(row)?, truncate)? as $native)
                })
            }};
        }
        match &kind {
            kind if !is_integer(kind) && !types::is_approximate(kind) => {
                let values = c.numbers::<Decimal128Type>(0)?;
                let mut builder = Decimal128Array::builder(c.rows);
                for row in 0..c.rows {
                    let rounded = values.get(row).zip(by(row)).and_then(|(value, by)| {
                        let rounded = decimal::round(value, from.1, by, truncate)?;
                        decimal::rescale(rounded, from.1, to)
                    });
                    builder.append_option(rounded);
                }
                Ok(Arc::new(builder.finish().with_precision_and_scale(to.0, to.1 as i8)?))
            }
            SqlTypeKind::TinyInt => integers!(Int8Type, i8),
            SqlTypeKind::SmallInt => integers!(Int16Type, i16),
            SqlTypeKind::Int => integers!(Int32Type, i32),
            SqlTypeKind::BigInt => integers!(Int64Type, i64),
            SqlTypeKind::Float => {
                let value = c.numbers::<Float32Type>(0)?;
                c.make_numbers::<Float32Type>(|row| {
                    let rounded = round_double(f64::from(value.get(row)?), by(row)?, truncate);
                    Some(rounded as f32)
                })
            }
            _ => {
                let value = c.numbers::<Float64Type>(0)?;
                c.make_numbers::<Float64Type>(|row| {
                    Some(round_double(value.get(row)?, by(row)?, truncate))
                })
            }
        }
    }))
}

/// By its decimal digits, as `BigDecimal.valueOf` has them.
fn round_double(value: f64, digits: i32, truncate: bool) -> f64 {
    let mut text = String::new();
    java::print_double(value, &mut text);
    let exact = decimal::parse(&text, (38, 18));
    match exact.and_then(|exact| decimal::round(exact, 18, digits, truncate)) {
        Some(rounded) => decimal::to_double(rounded, 18),
        // Beyond 20 digits before the point nothing behind it is left.
        None => value,
    }
}
