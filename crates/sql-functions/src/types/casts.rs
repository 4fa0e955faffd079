//! Which types can be cast to which: Flink's `LogicalTypeCasts`.

use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{is_binary, is_datetime, is_decimal, is_integer, is_numeric, is_text, is_timestamp};

/// Whether a value may become one of the other type without a CAST.
#[must_use]
pub fn can_implicitly_cast(from: &SqlDataType, to: &SqlDataType) -> bool {
    use SqlTypeKind::{
        BigInt, Binary, Char, Date, Double, Float, Int, Null, SmallInt, Time, Timestamp,
        TimestampLtz, TinyInt, Varbinary, Varchar,
    };
    let (source, target) = (&from.kind, &to.kind);
    match (source, target) {
        (Null, _) => to.nullable,
        _ if source == target => true,
        (Char(_), Char(_)) | (Binary(_), Binary(_)) => true,
        (_, Varchar(_)) => is_text(source),
        (_, Varbinary(_)) => is_binary(source),
        (_, SqlTypeKind::Decimal { .. } | Double) => is_numeric(source),
        (TinyInt, SmallInt | Int | BigInt) | (SmallInt, Int | BigInt) | (Int, BigInt) => true,
        (_, Float) => is_integer(source) || is_decimal(source),
        (Time(_), Time(_)) | (Timestamp(_), Date | Time(_)) => true,
        (_, Timestamp(_) | TimestampLtz(_)) => is_timestamp(source),
        (SqlTypeKind::Interval(a, _), SqlTypeKind::Interval(b, _)) => {
            a.is_year_month() == b.is_year_month()
        }
        _ => nested(source, target, &can_implicitly_cast),
    }
}

/// Whether there is a CAST.
#[must_use]
pub fn can_cast(from: &SqlDataType, to: &SqlDataType) -> bool {
    use SqlTypeKind::{
        BigInt, Boolean, Date, Decimal, Double, Float, Int, Interval, Null, SmallInt, Time,
        Timestamp, TimestampLtz, TinyInt,
    };
    if can_implicitly_cast(from, to) {
        return true;
    }
    let (source, target) = (&from.kind, &to.kind);
    let exact = is_integer(source) || is_decimal(source);
    match target {
        _ if *source == Null => true,
        _ if is_text(target) => !matches!(source, SqlTypeKind::Named(_) | SqlTypeKind::Variant),
        Boolean => is_text(source) || is_numeric(source),
        _ if is_binary(target) => is_text(source) || is_binary(source),
        TinyInt | SmallInt | Int | BigInt | Decimal { .. } | Float | Double => {
            is_numeric(source) || is_text(source) || *source == Boolean
        }
        Date => is_text(source) || is_timestamp(source),
        Time(_) => is_text(source) || is_timestamp(source),
        Timestamp(_) | TimestampLtz(_) => is_text(source) || is_datetime(source),
        Interval(..) => exact,
        _ => nested(source, target, &can_cast),
    }
}

fn nested(
    source: &SqlTypeKind,
    target: &SqlTypeKind,
    can: &dyn Fn(&SqlDataType, &SqlDataType) -> bool,
) -> bool {
    use SqlTypeKind::{Array, Map, Multiset, Row, Structured};
    match (source, target) {
        (Array(a), Array(b)) | (Multiset(a), Multiset(b)) => can(a, b),
        (Map(key, value), Map(other_key, other_value)) => {
            can(key, other_key) && can(value, other_value)
        }
        (
            Row(fields) | Structured { fields, .. },
            Row(others) | Structured { fields: others, .. },
        ) => {
            fields.len() == others.len()
                && fields.iter().zip(others).all(|(a, b)| can(&a.data_type, &b.data_type))
        }
        _ => false,
    }
}
