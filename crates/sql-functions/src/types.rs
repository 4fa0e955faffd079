//! Rules between types: common types, implicit casts, and the types of decimal arithmetic.
//!
//! The rules are Flink's (`LogicalTypeMerging`, `LogicalTypeCasts`), where queries meet Calcite's the
//! two agree but for FLOAT with DOUBLE, which [`arithmetic`] treats as Calcite does.

pub mod arithmetic;
mod casts;
mod common;
pub mod decimal;

use hurtig_sql_parser::types::{
    IntervalPrecisions, IntervalResolution, SqlDataType, SqlTypeKind, bounds::MAX_LENGTH,
};

pub use casts::{can_cast, can_implicitly_cast};
pub use common::{common_type, least_restrictive};

/// STRING.
pub const STRING: SqlTypeKind = SqlTypeKind::Varchar(MAX_LENGTH);
/// BYTES.
pub const BYTES: SqlTypeKind = SqlTypeKind::Varbinary(MAX_LENGTH);
/// The type of the difference of two times: Flink's `INTERVAL SECOND(3)`.
pub const SECONDS: SqlTypeKind = SqlTypeKind::Interval(
    IntervalResolution::Second,
    IntervalPrecisions { leading: 2, fraction: 3 },
);

/// Whether values of the types can be equal: numbers, texts and bytes among themselves, else one type.
#[must_use]
pub fn are_comparable(a: &SqlTypeKind, b: &SqlTypeKind) -> bool {
    let same = std::mem::discriminant(a) == std::mem::discriminant(b);
    let both = |is: fn(&SqlTypeKind) -> bool| is(a) && is(b);
    same || both(is_numeric) || both(is_text) || both(is_binary) || both(is_timestamp)
}

/// A type with that nullability.
#[must_use]
pub fn of(kind: SqlTypeKind, nullable: bool) -> SqlDataType {
    SqlDataType { kind, nullable }
}

/// CHAR, VARCHAR, STRING.
#[must_use]
pub fn is_text(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_))
}

/// BINARY, VARBINARY, BYTES.
#[must_use]
pub fn is_binary(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Binary(_) | SqlTypeKind::Varbinary(_))
}

/// TINYINT to BIGINT.
#[must_use]
pub fn is_integer(kind: &SqlTypeKind) -> bool {
    use SqlTypeKind::{BigInt, Int, SmallInt, TinyInt};
    matches!(kind, TinyInt | SmallInt | Int | BigInt)
}

/// FLOAT and DOUBLE.
#[must_use]
pub fn is_approximate(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Float | SqlTypeKind::Double)
}

/// DECIMAL.
#[must_use]
pub fn is_decimal(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Decimal { .. })
}

/// All numbers.
#[must_use]
pub fn is_numeric(kind: &SqlTypeKind) -> bool {
    is_integer(kind) || is_approximate(kind) || is_decimal(kind)
}

/// TIMESTAMP and TIMESTAMP_LTZ.
#[must_use]
pub fn is_timestamp(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Timestamp(_) | SqlTypeKind::TimestampLtz(_))
}

/// Whether times can be subtracted: dates and timestamps can, but TIMESTAMP_LTZ and TIME only from
/// their own.
#[must_use]
pub fn are_same_times(a: &SqlTypeKind, b: &SqlTypeKind) -> bool {
    use SqlTypeKind::{Null, Time, TimestampLtz};
    let apart = |kind: &SqlTypeKind| match kind {
        Time(_) => 1,
        TimestampLtz(_) => 2,
        _ => 0,
    };
    *a == Null || *b == Null || apart(a) == apart(b)
}

/// DATE, TIME and timestamps.
#[must_use]
pub fn is_datetime(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Date | SqlTypeKind::Time(_)) || is_timestamp(kind)
}

/// Intervals of months.
#[must_use]
pub fn is_month_interval(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Interval(resolution, _) if resolution.is_year_month())
}

/// Intervals of time.
#[must_use]
pub fn is_time_interval(kind: &SqlTypeKind) -> bool {
    matches!(kind, SqlTypeKind::Interval(resolution, _) if !resolution.is_year_month())
}

/// Digits of an exact number, and those behind its point.
#[must_use]
pub fn exact_digits(kind: &SqlTypeKind) -> Option<(u8, u8)> {
    Some(match kind {
        SqlTypeKind::TinyInt => (3, 0),
        SqlTypeKind::SmallInt => (5, 0),
        SqlTypeKind::Int => (10, 0),
        SqlTypeKind::BigInt => (19, 0),
        SqlTypeKind::Decimal { precision, scale } => (*precision, *scale),
        _ => return None,
    })
}

/// Length of a text or of bytes.
#[must_use]
pub fn length_of(kind: &SqlTypeKind) -> Option<u32> {
    match kind {
        SqlTypeKind::Char(length)
        | SqlTypeKind::Varchar(length)
        | SqlTypeKind::Binary(length)
        | SqlTypeKind::Varbinary(length) => Some(*length),
        _ => None,
    }
}
/// The type of intervals of months: Flink's `INTERVAL MONTH`.
pub const MONTHS: SqlTypeKind = SqlTypeKind::Interval(
    IntervalResolution::Month,
    IntervalPrecisions { leading: 2, fraction: 6 },
);
