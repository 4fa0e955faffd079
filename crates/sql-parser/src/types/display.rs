//! Types as Flink's summary strings.

use std::fmt;

use super::{RowField, SqlDataType, SqlTypeKind, bounds::MAX_LENGTH};
use crate::print::{QuotedName, TextLiteral};

impl fmt::Display for SqlDataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        // NULL has no other nullability.
        if self.nullable { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}

impl fmt::Display for SqlTypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::Varchar(MAX_LENGTH) => f.write_str("STRING"),
            Self::Varchar(length) => write!(f, "VARCHAR({length})"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Binary(length) => write!(f, "BINARY({length})"),
            Self::Varbinary(MAX_LENGTH) => f.write_str("BYTES"),
            Self::Varbinary(length) => write!(f, "VARBINARY({length})"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Date => f.write_str("DATE"),
            Self::Time(precision) => write!(f, "TIME({precision})"),
            Self::Timestamp(precision) => write!(f, "TIMESTAMP({precision})"),
            Self::TimestampWithTimeZone(precision) => {
                write!(f, "TIMESTAMP({precision}) WITH TIME ZONE")
            }
            Self::TimestampLtz(precision) => write!(f, "TIMESTAMP_LTZ({precision})"),
            Self::Interval(resolution, precisions) => {
                let (first, last) = resolution.fields();
                write!(f, "INTERVAL {first}")?;
                if resolution.has_years() || resolution.has_days() {
                    write!(f, "({})", precisions.leading)?;
                }
                match last {
                    Some("SECOND") => write!(f, " TO SECOND({})", precisions.fraction),
                    Some(last) => write!(f, " TO {last}"),
                    None if resolution.has_seconds() => write!(f, "({})", precisions.fraction),
                    None => Ok(()),
                }
            }
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Multiset(element) => write!(f, "MULTISET<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                write_fields(f, fields, true)?;
                f.write_str(">")
            }
            Self::Structured { class, fields } => {
                write!(f, "STRUCTURED<{}", TextLiteral(class))?;
                write_fields(f, fields, false)?;
                f.write_str(">")
            }
            Self::Variant => f.write_str("VARIANT"),
            Self::Raw { class, serializer } => {
                write!(f, "RAW({}, {})", TextLiteral(class), TextLiteral(serializer))
            }
            Self::Null => f.write_str("NULL"),
            Self::Named(name) => name.fmt(f),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[RowField], first: bool) -> fmt::Result {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 || !first {
            f.write_str(", ")?;
        }
        write!(f, "{} {}", QuotedName(&field.name), field.data_type)?;
        if let Some(description) = &field.description {
            write!(f, " {}", TextLiteral(description))?;
        }
    }
    Ok(())
}
