//! The formats of tables: from bytes to columns and back.
//!
//! - [`DecodingFormat`] is a format with its options for a table's columns; its [`Decoder`]s read
//!   one record after the other into columns, and give them as arrays.
//! - [`EncodingFormat`] is the other direction: a [`RowEncoder`] of a batch appends the bytes of one
//!   row after the other.
//! - [`text`] writes values as Flink's CAST to STRING does.
//!
//! Formats: `json`, `csv`, `raw`, `debezium-json`, `canal-json`, `maxwell-json`,
//! `ogg-json`, with Flink's options.
//!
//! Invariants: whatever bytes come in, a decoder gives rows or an error that says where, in time and
//! memory in proportion to the record; a record that fails leaves nothing behind.
//!
//! Deliberately absent: files, positions in them and what becomes of records that fail (the
//! connectors'), and formats of whole files such as Parquet.

mod cdc;
mod column;
mod csv;
mod encoding;
mod fault;
mod format;
mod json;
mod options;
mod raw;
mod scalar;
pub mod text;

use arrow_array::ArrayRef;
use hurtig_sql_parser::types::SqlDataType;

pub use encoding::{EncodingFormat, RowEncoder};
pub use fault::DecodeError;
pub use format::{Decoded, DecodedColumn, Decoder, DecodingFormat, Framing, TableFormatError};

/// A column that has the same value in all rows: what a text means (the directory of a partition), or
/// NULL.
pub fn constant(
    data_type: &SqlDataType,
    text: Option<&str>,
    rows: usize,
) -> Result<ArrayRef, TableFormatError> {
    csv::decode::constant(data_type, text, rows)
}
