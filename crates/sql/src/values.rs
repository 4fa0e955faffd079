//! Values of Rust types as values of SQL.
//!
//! A type is what its serde derives make of it; [`columns_of`] and [`data_type_of`] find out which
//! columns that are, and [`RowReader`] and [`RowWriter`] carry rows over, a batch at a time.
//!
//! | Rust | SQL |
//! |---|---|
//! | `bool`; `i8`, `i16`, `i32`, `i64` | BOOLEAN; TINYINT, SMALLINT, INT, BIGINT |
//! | `u8`, `u16`, `u32`; `u64` | SMALLINT, INT, BIGINT; DECIMAL(20, 0) |
//! | `f32`, `f64` | FLOAT, DOUBLE |
//! | `String`, `char`, enums without content | STRING |
//! | `Vec<u8>` and other bytes | BYTES |
//! | [`Timestamp`], [`TimestampLtz`], [`Date`], [`Time`] | TIMESTAMP(3), TIMESTAMP_LTZ(3), DATE, TIME(3) |
//! | [`Decimal`] | DECIMAL(38, 18) |
//! | `Vec<T>`, maps | ARRAY, MAP |
//! | structs; tuples | ROW with the names of the fields; with f0, f1, ... |
//! | `Option<T>` | the same with NULL; everything else is NOT NULL |
//!
//! A declared column may have another type than its field: numbers become what they fit into, texts
//! are read as times and decimals, whole numbers as times are milliseconds (DATE: days).

mod infer;
mod read;
mod text;
mod types;
mod write;

pub use infer::{columns_of, data_type_of};
pub use read::{ColumnReader, RowReader};
pub use types::{Date, Decimal, Time, Timestamp, TimestampLtz};
pub use write::{ColumnWriter, RowWriter};

/// A value does not fit. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowValueError(pub String);

impl serde::de::Error for RowValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::ser::Error for RowValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<arrow_schema::ArrowError> for RowValueError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self(error.to_string())
    }
}
