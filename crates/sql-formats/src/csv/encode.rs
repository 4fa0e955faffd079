//! From columns to CSV, as Flink's `RowDataToCsvConverters` and Jackson's generator.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use arrow_schema::{DataType, TimeUnit};
use hurtig_sql_common::RowKind;

use super::CsvOptions;
use crate::{
    encoding::RowEncoder,
    format::TableFormatError,
    scalar::{base64, decimal, time, time::TimestampFormat},
    text::{Timestamps, write_double, write_float},
};

/// Longer texts are quoted without a look at them.
const LOOKED_AT_BYTES: usize = 24;

/// Writes the rows of a batch.
pub(crate) struct CsvEncoder<'a> {
    options: Arc<CsvOptions>,
    rows: &'a RecordBatch,
}

impl<'a> CsvEncoder<'a> {
    pub(crate) fn new(
        rows: &'a RecordBatch,
        options: Arc<CsvOptions>,
    ) -> Result<Self, TableFormatError> {
        let unsupported = |data_type: &DataType| match data_type {
            DataType::Map(..) => true,
            DataType::List(element) => element.data_type().is_nested(),
            DataType::Struct(fields) => fields.iter().any(|field| field.data_type().is_nested()),
            _ => false,
        };
        for field in rows.schema_ref().fields() {
            if unsupported(field.data_type()) {
                return Err(TableFormatError(format!(
                    "The csv format does not support the type of column {}: {}",
                    field.name(),
                    field.data_type()
                )));
            }
        }
        Ok(Self { options, rows })
    }

    fn field(
        &self,
        array: &dyn Array,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TableFormatError> {
        let options = &*self.options;
        if array.is_null(row) {
            out.extend_from_slice(options.null_literal.as_deref().unwrap_or_default().as_bytes());
            return Ok(());
        }
        match array.data_type() {
            // What is a number to Jackson is never quoted.
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Interval(_)
            | DataType::Duration(_) => self.scalar(array, row, out),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                let mut text = Vec::new();
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        text.extend_from_slice(options.element_delimiter.as_bytes());
                    }
                    self.element(list.values().as_ref(), at as usize, &mut text)?;
                }
                quote(&text, options, out);
                Ok(())
            }
            DataType::Struct(_) => {
                let mut text = Vec::new();
                for (nth, column) in array.as_struct().columns().iter().enumerate() {
                    if nth > 0 {
                        text.extend_from_slice(options.element_delimiter.as_bytes());
                    }
                    self.element(column.as_ref(), row, &mut text)?;
                }
                quote(&text, options, out);
                Ok(())
            }
            _ => {
                let mut text = Vec::new();
                self.scalar(array, row, &mut text)?;
                quote(&text, options, out);
                Ok(())
            }
        }
    }

    fn element(
        &self,
        array: &dyn Array,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TableFormatError> {
        if array.is_null(row) {
            let literal = self.options.null_literal.as_deref().unwrap_or_default();
            out.extend_from_slice(literal.as_bytes());
            return Ok(());
        }
        self.scalar(array, row, out)
    }

    fn scalar(
        &self,
        array: &dyn Array,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TableFormatError> {
        use std::io::Write;
        macro_rules! number {
            ($kind:ident) => {{
                // Writing to memory cannot fail.
                let _ = write!(out, "{}", array.as_primitive::<types::$kind>().value(row));
            }};
        }
        match array.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let value = array.as_boolean().value(row);
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::Interval(_) => number!(IntervalYearMonthType),
            DataType::Duration(_) => number!(DurationMillisecondType),
            DataType::Float32 => {
                write_float(array.as_primitive::<types::Float32Type>().value(row), out);
            }
            DataType::Float64 => {
                write_double(array.as_primitive::<types::Float64Type>().value(row), out);
            }
            DataType::Decimal128(_, scale) => {
                let value = array.as_primitive::<types::Decimal128Type>().value(row);
                let scale = u8::try_from(*scale).unwrap_or(0);
                if self.options.scientific_decimals {
                    decimal::write_short(value, scale, out);
                } else {
                    decimal::write_stripped(value, scale, out);
                }
            }
            DataType::Date32 => {
                let days = array.as_primitive::<types::Date32Type>().value(row);
                time::write_date(i64::from(days), out);
            }
            DataType::Time32(TimeUnit::Millisecond) => {
                let millis = array.as_primitive::<types::Time32MillisecondType>().value(row);
                let millis = i64::from(millis);
                time::write_time(millis / 1000, out);
                time::write_fraction(millis % 1000 * 1_000_000, 0, out);
            }
            DataType::Timestamp(unit, zone) => {
                let times = Timestamps::of(array, *unit);
                let (value, unit) = times
                    .ok_or_else(|| TableFormatError("internal: seconds".to_owned()))?
                    .value(row);
                time::write_timestamp(value, unit, TimestampFormat::Sql, zone.is_some(), out);
            }
            DataType::Utf8 => {
                out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
            }
            DataType::Binary => base64::encode(array.as_binary::<i32>().value(row), out),
            other => return Err(TableFormatError(format!("internal: {other} in CSV"))),
        }
        Ok(())
    }
}

/// Appends a text, in quotes if it is long or has a byte that might mean something.
fn quote(text: &[u8], options: &CsvOptions, out: &mut Vec<u8>) {
    let Some(quote) = options.quote else {
        escape(text, options, out);
        return;
    };
    // Whatever sorts up to the delimiter, the quote or a line end might be one of them.
    let safe = options.delimiter.max(quote).max(b'\r');
    let harmless = |byte: &u8| *byte > safe && Some(*byte) != options.escape;
    if text.len() <= LOOKED_AT_BYTES && text.iter().all(harmless) {
        out.extend_from_slice(text);
        return;
    }
    out.push(quote);
    for byte in text {
        if *byte == quote {
            // Doubled, even where there is a character that escapes.
            out.push(quote);
        } else if Some(*byte) == options.escape {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(quote);
}

/// Appends a text that cannot be quoted.
fn escape(text: &[u8], options: &CsvOptions, out: &mut Vec<u8>) {
    for byte in text {
        if let Some(escape) = options.escape
            && (*byte == escape || *byte == options.delimiter)
        {
            out.push(escape);
        }
        out.push(*byte);
    }
}

impl RowEncoder for CsvEncoder<'_> {
    fn encode(&self, row: usize, _: RowKind, out: &mut Vec<u8>) -> Result<(), TableFormatError> {
        for (nth, column) in self.rows.columns().iter().enumerate() {
            if nth > 0 {
                out.push(self.options.delimiter);
            }
            self.field(column.as_ref(), row, out)?;
        }
        Ok(())
    }
}
