//! Data types as columns.
//!
//! | data type | column |
//! |---|---|
//! | CHAR, VARCHAR, STRING | `Utf8` |
//! | BINARY, VARBINARY, BYTES | `Binary` |
//! | BOOLEAN; TINYINT to BIGINT; FLOAT, DOUBLE | the like-named |
//! | DECIMAL(p, s) | `Decimal128(p, s)` |
//! | DATE | `Date32` |
//! | TIME(p) | `Time32(ms)`, as Flink keeps milliseconds |
//! | TIMESTAMP(p) | `Timestamp(unit)`: ms to p = 3, µs to 6, ns to 9 (years 1678 to 2262 only) |
//! | TIMESTAMP_LTZ(p) | the same with the zone `UTC` |
//! | INTERVAL of months; of time | `Interval(YearMonth)`; `Duration(ms)` |
//! | ARRAY, ROW | `List` (its field is `element`), `Struct` |
//! | MAP, MULTISET | `Map` (entries `key`, `value`); a multiset maps to the INT count |
//! | VARIANT | `Utf8`: the value as JSON |
//! | NULL | `Null` |
//!
//! The column of a type alone forgets lengths, precisions and the like, so that a [`Field`] carries
//! the whole type in its metadata, as the summary string that the parser reads: [`field`] and
//! [`data_type`] are inverse to each other.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use hurtig_sql_parser::{
    SqlParser,
    types::{IntervalResolution, SqlDataType, SqlTypeKind},
};

/// Key of the metadata of a field: its data type.
pub const TYPE: &str = "hurtig.type";
/// Key of the metadata of a field that is a time attribute: `rowtime` or `proctime`.
pub const TIME_ATTRIBUTE: &str = "hurtig.time";

/// A data type has no column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("values of type {0} are not supported")]
pub struct UnsupportedType(pub String);

/// What of a TIMESTAMP's precision a column keeps.
#[must_use]
pub fn time_unit(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// The type of the column of a data type.
pub fn arrow_type(data_type: &SqlDataType) -> Result<DataType, UnsupportedType> {
    Ok(match &data_type.kind {
        SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_) | SqlTypeKind::Variant => DataType::Utf8,
        SqlTypeKind::Boolean => DataType::Boolean,
        SqlTypeKind::Binary(_) | SqlTypeKind::Varbinary(_) => DataType::Binary,
        SqlTypeKind::Decimal { precision, scale } => {
            // Flink's bounds: at most 38 digits, the scale within them.
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        SqlTypeKind::TinyInt => DataType::Int8,
        SqlTypeKind::SmallInt => DataType::Int16,
        SqlTypeKind::Int => DataType::Int32,
        SqlTypeKind::BigInt => DataType::Int64,
        SqlTypeKind::Float => DataType::Float32,
        SqlTypeKind::Double => DataType::Float64,
        SqlTypeKind::Date => DataType::Date32,
        SqlTypeKind::Time(_) => DataType::Time32(TimeUnit::Millisecond),
        SqlTypeKind::Timestamp(precision) => DataType::Timestamp(time_unit(*precision), None),
        SqlTypeKind::TimestampLtz(precision) => {
            DataType::Timestamp(time_unit(*precision), Some("UTC".into()))
        }
        SqlTypeKind::Interval(resolution, _) if is_of_months(*resolution) => {
            DataType::Interval(IntervalUnit::YearMonth)
        }
        SqlTypeKind::Interval(..) => DataType::Duration(TimeUnit::Millisecond),
        SqlTypeKind::Array(element) => DataType::List(Arc::new(field("element", element)?)),
        SqlTypeKind::Map(key, value) => map_of(field("key", key)?, field("value", value)?),
        SqlTypeKind::Multiset(element) => {
            let count = SqlDataType::not_null(SqlTypeKind::Int);
            map_of(field("key", element)?, field("value", &count)?)
        }
        SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. } => {
            let fields = fields.iter().map(|one| field(&one.name, &one.data_type));
            DataType::Struct(fields.collect::<Result<Fields, _>>()?)
        }
        SqlTypeKind::Null => DataType::Null,
        SqlTypeKind::TimestampWithTimeZone(_) | SqlTypeKind::Raw { .. } | SqlTypeKind::Named(_) => {
            return Err(UnsupportedType(data_type.to_string()));
        }
    })
}

fn map_of(key: Field, value: Field) -> DataType {
    // Arrow wants keys without NULL; what Flink's maps may have as a key is kept apart by its users.
    let entries = Fields::from(vec![key.with_nullable(false), value]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// True for intervals of years and months.
#[must_use]
pub fn is_of_months(resolution: IntervalResolution) -> bool {
    use IntervalResolution::{Month, Year, YearToMonth};
    matches!(resolution, Year | YearToMonth | Month)
}

/// A field of that data type, which it remembers.
pub fn field(name: &str, data_type: &SqlDataType) -> Result<Field, UnsupportedType> {
    let metadata = [(TYPE.to_owned(), data_type.to_string())].into();
    let arrow = arrow_type(data_type)?;
    Ok(Field::new(name, arrow, data_type.nullable).with_metadata(metadata))
}

/// The data type that [`field`] was given.
pub fn data_type(field: &Field) -> Result<SqlDataType, UnsupportedType> {
    let unknown = || UnsupportedType(format!("{} (column {})", field.data_type(), field.name()));
    type_of_text(field.metadata().get(TYPE).ok_or_else(unknown)?)
}

/// The data type whose display that text is.
pub fn type_of_text(text: &str) -> Result<SqlDataType, UnsupportedType> {
    // Types of literals alone, which no statement can name.
    match text {
        "NULL" => return Ok(SqlDataType::nullable(SqlTypeKind::Null)),
        "CHAR(0)" => return Ok(SqlDataType::nullable(SqlTypeKind::Char(0))),
        "CHAR(0) NOT NULL" => return Ok(SqlDataType::not_null(SqlTypeKind::Char(0))),
        "BINARY(0)" => return Ok(SqlDataType::nullable(SqlTypeKind::Binary(0))),
        "BINARY(0) NOT NULL" => return Ok(SqlDataType::not_null(SqlTypeKind::Binary(0))),
        _ => {}
    }
    SqlParser::default().data_type(text).map_err(|_| UnsupportedType(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_remembers_its_type() {
        let types = [
            "CHAR(3)",
            "STRING NOT NULL",
            "DECIMAL(10, 2)",
            "TIME(0)",
            "TIMESTAMP(6)",
            "TIMESTAMP_LTZ(3) NOT NULL",
            "INTERVAL YEAR TO MONTH",
            "INTERVAL DAY(2) TO SECOND(3)",
            "ARRAY<ROW<`a` INT NOT NULL, `b c` MAP<STRING, MULTISET<BIGINT>>>>",
            "BYTES",
        ];
        for text in types {
            let data_type = SqlParser::default().data_type(text).unwrap();
            let made = field("x", &data_type).unwrap();
            assert_eq!(super::data_type(&made).unwrap(), data_type, "{text}");
            assert_eq!(made.is_nullable(), data_type.nullable);
        }
    }
}
