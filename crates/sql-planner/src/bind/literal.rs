//! Constants.

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use hurtig_sql_parser::{
    IntervalValue, Span,
    ast::{IntervalLiteral, Literal, NumberKind},
    types::{IntervalPrecisions, IntervalResolution, SqlDataType, SqlTypeKind, bounds},
};

use super::{Binder, BoundExpression};
use crate::{PlanError, PlanResult, types::metadata};

/// The type of intervals of months: Flink's planner keeps no other.
pub(super) fn interval_of_months() -> SqlTypeKind {
    let precisions = IntervalPrecisions {
        leading: bounds::DEFAULT_YEAR_PRECISION,
        fraction: bounds::DEFAULT_INTERVAL_SECOND_PRECISION,
    };
    SqlTypeKind::Interval(IntervalResolution::Month, precisions)
}

/// The type of intervals of time: Flink's planner keeps no other.
pub(super) fn interval_of_time() -> SqlTypeKind {
    let precisions = IntervalPrecisions { leading: bounds::DEFAULT_DAY_PRECISION, fraction: 3 };
    SqlTypeKind::Interval(IntervalResolution::Second, precisions)
}

/// A constant of a type.
pub(super) fn constant(value: ScalarValue, data_type: SqlDataType) -> BoundExpression {
    let expr = Expr::Literal(value, Some(metadata(&data_type, None)));
    BoundExpression::new(expr, data_type)
}

/// NULL of a type.
pub(super) fn null_of(data_type: &SqlDataType) -> PlanResult<BoundExpression> {
    let nullable = SqlDataType::nullable(data_type.kind.clone());
    let value = ScalarValue::try_from(&hurtig_sql_common::columns::arrow_type(&nullable)?)?;
    Ok(constant(value, nullable))
}

/// A text.
pub(super) fn text(value: &str) -> BoundExpression {
    // Java counts the halves of characters beyond the basic plane.
    let length = u32::try_from(value.encode_utf16().count()).unwrap_or(bounds::MAX_LENGTH);
    let data_type = SqlDataType::not_null(SqlTypeKind::Char(length));
    constant(ScalarValue::Utf8(Some(value.to_owned())), data_type)
}

/// TRUE or FALSE.
pub(super) fn boolean(value: bool) -> BoundExpression {
    constant(ScalarValue::Boolean(Some(value)), SqlDataType::not_null(SqlTypeKind::Boolean))
}

/// A BIGINT.
pub(super) fn big_int(value: i64) -> BoundExpression {
    constant(ScalarValue::Int64(Some(value)), SqlDataType::not_null(SqlTypeKind::BigInt))
}

impl Binder<'_> {
    /// A literal.
    pub(super) fn literal(&self, literal: &Literal, span: Span) -> PlanResult<BoundExpression> {
        let not_null = SqlDataType::not_null;
        let bound = match literal {
            Literal::Number(digits, kind) => number(digits, *kind),
            Literal::Text(value) => Ok(text(value)),
            Literal::Binary(bytes) => {
                let length = u32::try_from(bytes.len()).unwrap_or(bounds::MAX_LENGTH);
                let value = ScalarValue::Binary(Some(bytes.clone()));
                Ok(constant(value, not_null(SqlTypeKind::Binary(length))))
            }
            Literal::Boolean(value) => Ok(boolean(*value)),
            Literal::Unknown => null_of(&SqlDataType::nullable(SqlTypeKind::Boolean)),
            Literal::Null => null_of(&SqlDataType::nullable(SqlTypeKind::Null)),
            Literal::Date(value) => self.text_as(value, SqlTypeKind::Date),
            Literal::Time(value) => self.text_as(value, SqlTypeKind::Time(fraction(value))),
            Literal::Timestamp(value) => {
                self.text_as(value, SqlTypeKind::Timestamp(fraction(value)))
            }
            Literal::TimestampLtz(value) => {
                self.text_as(value, SqlTypeKind::TimestampLtz(fraction(value)))
            }
            Literal::Interval(interval) => interval_literal(interval),
        };
        bound.map_err(|error| error.within(span))
    }

    /// What the text of a date or time means, which the parser has checked.
    fn text_as(&self, value: &str, kind: SqlTypeKind) -> PlanResult<BoundExpression> {
        let value = text(value.trim());
        let mut bound = self.cast(value, &SqlDataType::not_null(kind), false)?;
        // A literal is no NULL, whatever casts of texts may give.
        bound.data_type.nullable = false;
        match bound.expr {
            Expr::Literal(value, _) if !value.is_null() => Ok(constant(value, bound.data_type)),
            _ => Err(PlanError::new("this is out of the range of its type")),
        }
    }
}

/// A number, with or without a sign.
fn number(signed: &str, kind: NumberKind) -> PlanResult<BoundExpression> {
    let not_null = SqlDataType::not_null;
    let out_of_range =
        || PlanError::new(format!("Numeric literal '{}' out of range", shown(signed)));
    if kind == NumberKind::Approximate {
        let value: f64 = signed.parse().map_err(|_| PlanError::new("this is no number"))?;
        if value.is_infinite() {
            return Err(out_of_range());
        }
        return Ok(constant(ScalarValue::Float64(Some(value)), not_null(SqlTypeKind::Double)));
    }
    // Nothing behind the point is no fraction.
    let signed = signed.strip_suffix('.').unwrap_or(signed);
    if !signed.contains('.') {
        if let Ok(value) = signed.parse::<i32>() {
            return Ok(constant(ScalarValue::Int32(Some(value)), not_null(SqlTypeKind::Int)));
        }
        let value = signed.parse::<i64>().map_err(|_| out_of_range())?;
        return Ok(constant(ScalarValue::Int64(Some(value)), not_null(SqlTypeKind::BigInt)));
    }
    let (sign, digits) = match signed.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, signed),
    };
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let too_long = || {
        let most = bounds::MAX_DECIMAL_PRECISION;
        PlanError::new(format!("Numeric literal '{}' has more than {most} digits", shown(signed)))
    };
    let all = format!("{whole}{behind}");
    let precision = u8::try_from(all.len().max(1)).map_err(|_| too_long())?;
    let scale = u8::try_from(behind.len()).map_err(|_| too_long())?;
    if precision > bounds::MAX_DECIMAL_PRECISION {
        return Err(too_long());
    }
    let value: i128 = if all.is_empty() { 0 } else { all.parse().map_err(|_| too_long())? };
    let value =
        ScalarValue::Decimal128(Some(sign * value), precision, i8::try_from(scale).unwrap_or(0));
    Ok(constant(value, not_null(SqlTypeKind::Decimal { precision, scale })))
}

/// Of very many digits the first are enough.
fn shown(digits: &str) -> String {
    digits.get(..100).map_or(digits.to_owned(), |first| format!("{first}..."))
}

fn interval_literal(interval: &IntervalLiteral) -> PlanResult<BoundExpression> {
    let out_of_range = || PlanError::new("this interval is too long");
    Ok(match interval.value().map_err(PlanError::new)? {
        IntervalValue::Months(months) => {
            let months = i32::try_from(months).map_err(|_| out_of_range())?;
            let value = ScalarValue::IntervalYearMonth(Some(months));
            constant(value, SqlDataType::not_null(interval_of_months()))
        }
        IntervalValue::Nanoseconds(nanos) => {
            let millis = i64::try_from(nanos / 1_000_000).map_err(|_| out_of_range())?;
            let value = ScalarValue::DurationMillisecond(Some(millis));
            constant(value, SqlDataType::not_null(interval_of_time()))
        }
    })
}

/// Digits behind the second.
fn fraction(text: &str) -> u8 {
    let digits = text.trim().rsplit_once('.').map_or(0, |(_, digits)| digits.len());
    u8::try_from(digits).unwrap_or(u8::MAX).min(bounds::MAX_SECOND_PRECISION)
}
