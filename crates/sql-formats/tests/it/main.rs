//! Formats from outside: records in, texts of rows out, and the other way round.

#![allow(clippy::unwrap_used)]

mod change;
mod csv;
mod hostile;
mod json;
mod raw;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use hurtig_sql_common::{ChangelogBatch, columns};
use hurtig_sql_formats::{
    DecodedColumn, DecodingFormat, EncodingFormat, TableFormatError, text::TextWriter,
};
use hurtig_sql_parser::{SqlParser, types::SqlDataType};

/// Columns from `name TYPE` texts.
pub fn columns(columns: &[(&str, &str)]) -> Vec<(String, SqlDataType)> {
    let parser = SqlParser::default();
    let typed = |text: &str| parser.data_type(text).expect("a type");
    columns.iter().map(|(name, text)| ((*name).to_owned(), typed(text))).collect()
}

/// Options with the format's prefix.
pub fn options(format: &str, options: &[(&str, &str)]) -> BTreeMap<String, String> {
    let named = |(key, value): &(&str, &str)| (format!("{format}.{key}"), (*value).to_owned());
    options.iter().map(named).collect()
}

/// A format for columns.
pub fn decoding(
    format: &str,
    table: &[(&str, &str)],
    with: &[(&str, &str)],
) -> Result<DecodingFormat, TableFormatError> {
    DecodingFormat::from_options(format, &columns(table), &options(format, with))
}

/// All physical columns.
pub fn all(count: usize) -> Vec<DecodedColumn> {
    (0..count).map(|column| DecodedColumn::Physical { column, path: Vec::new() }).collect()
}

/// The rows of records as texts, `+I[..]`; a record that fails is its error.
pub fn decode(
    format: &str,
    table: &[(&str, &str)],
    with: &[(&str, &str)],
    records: &[&[u8]],
) -> Vec<String> {
    let made = decoding(format, table, with).expect("a format");
    let mut decoder = made.decoder(&all(table.len())).expect("a decoder");
    let mut errors = Vec::new();
    for record in records {
        if let Err(error) = decoder.decode(record) {
            errors.push(format!("{}: {}", error.offset, error.message));
        }
    }
    let decoded = decoder.finish().expect("columns");
    let fields = columns(table);
    let fields = fields.iter().map(|(name, data_type)| columns::field(name, data_type).unwrap());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(decoded.rows));
    let rows = RecordBatch::try_new_with_options(schema, decoded.columns, &options).unwrap();
    let batch = match decoded.kinds {
        Some(kinds) => ChangelogBatch::new(rows, kinds),
        None => ChangelogBatch::inserts(rows),
    };
    show(&batch).into_iter().chain(errors).collect()
}

/// Rows as texts.
pub fn show(batch: &ChangelogBatch) -> Vec<String> {
    let schema = batch.rows.schema();
    let columns = batch.rows.columns().iter().zip(schema.fields());
    let writers: Vec<_> = columns
        .map(|(array, field)| TextWriter::new(array.as_ref(), field, chrono_tz::UTC).unwrap())
        .collect();
    let row = |row: usize| {
        let mut out = Vec::new();
        for (nth, writer) in writers.iter().enumerate() {
            if nth > 0 {
                out.extend_from_slice(b"|");
            }
            writer.write(row, &mut out);
        }
        format!("{}[{}]", batch.kind(row).short(), String::from_utf8(out).unwrap())
    };
    (0..batch.rows.num_rows()).map(row).collect()
}

/// The bytes of rows, each as a text.
pub fn encode(format: &str, batch: &ChangelogBatch, with: &[(&str, &str)]) -> Vec<String> {
    let schema = batch.rows.schema();
    let typed = schema.fields().iter();
    let typed: Vec<_> =
        typed.map(|field| (field.name().clone(), columns::data_type(field).unwrap())).collect();
    let made = EncodingFormat::from_options(format, &typed, &options(format, with)).unwrap();
    let encoder = made.encoder(&batch.rows).unwrap();
    let row = |row| {
        let mut out = Vec::new();
        encoder.encode(row, batch.kind(row), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    (0..batch.rows.num_rows()).map(row).collect()
}

/// A batch from JSON records.
pub fn batch(table: &[(&str, &str)], records: &[&str]) -> ChangelogBatch {
    let made = decoding("json", table, &[]).unwrap();
    let mut decoder = made.decoder(&all(table.len())).unwrap();
    records.iter().for_each(|record| decoder.decode(record.as_bytes()).unwrap());
    let decoded = decoder.finish().unwrap();
    let fields = columns(table);
    let fields = fields.iter().map(|(name, data_type)| columns::field(name, data_type).unwrap());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    ChangelogBatch::inserts(RecordBatch::try_new(schema, decoded.columns).unwrap())
}

/// The lines of a file of the oracle.
pub fn oracle(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/../../tests/oracle/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("a file of the oracle");
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop_if(|last| last.is_empty());
    lines
}
