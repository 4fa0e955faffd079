//! Tables on the embedded cluster: connectors from files and generators to rows and files, and scripts.

#![allow(clippy::unwrap_used)]

#[path = "connectors/distinct.rs"]
mod distinct;
#[path = "connectors/files.rs"]
mod files;
#[path = "connectors/generated.rs"]
mod generated;
#[path = "connectors/limits.rs"]
mod limits;
#[path = "connectors/partitions.rs"]
mod partitions;
#[path = "connectors/scripts.rs"]
mod scripts;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow_schema::{Field, Fields, Schema, SchemaRef};
use hurtig::{
    StreamExecutionEnvironment,
    graph::{OperatorKind, ShipStrategy},
    operator::OperatorFactory,
    raw::{RawInput, RawOperator, RawStream},
};
use hurtig_env::Clock;
use hurtig_sql::connectors::{Connectors, Scan, ScanColumn, TableSpec, Write};
use hurtig_sql_common::{ChangelogBatch, SqlContext, columns};
use hurtig_sql_formats::text::TextWriter;
use hurtig_sql_parser::{SqlParser, types::SqlDataType};
use hurtig_sql_runtime::config::{Exchange, TableEdge};

/// A table of columns `name TYPE` with options.
pub fn table(columns: &[(&str, &str)], options: &[(&str, &str)]) -> TableSpec {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TableSpec {
        identifier: "`c`.`d`.`t`".to_owned(),
        columns: columns.iter().map(|(name, text)| ((*name).to_owned(), typed(text))).collect(),
        partition_keys: Vec::new(),
        primary_key: Vec::new(),
        options: options.collect::<BTreeMap<_, _>>(),
    }
}

fn typed(text: &str) -> SqlDataType {
    SqlParser::default().data_type(text).expect("a type")
}

/// A file or directory of the oracle.
pub fn oracle(name: &str) -> String {
    format!("{}/../../tests/oracle/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// All columns of a table.
pub fn whole(table: &TableSpec) -> Scan {
    let fields = table.columns.iter();
    let fields = fields.map(|(name, data_type)| columns::field(name, data_type).unwrap());
    Scan {
        columns: (0..table.columns.len()).map(ScanColumn::whole).collect(),
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        watermark: None,
        partitions: None,
        filters: Vec::new(),
        limit: None,
        casts: Vec::new(),
        context: SqlContext::new(Clock::system()),
        gate: None,
    }
}

/// Adds a column to a scan.
pub fn also(mut scan: Scan, column: ScanColumn, name: &str, data_type: &str) -> Scan {
    let added = Arc::new(columns::field(name, &typed(data_type)).unwrap());
    let all: Vec<Arc<Field>> = scan.schema.fields().iter().cloned().chain([added]).collect();
    scan.schema = Arc::new(Schema::new(Fields::from(all)));
    scan.columns.push(column);
    scan
}

fn edge(schema: &SchemaRef, stream: RawStream) -> RawInput {
    let schema = schema.clone();
    RawInput {
        stream,
        index: 0,
        ship: None,
        edge: Arc::new(move |ship| {
            let distribution = match ship {
                ShipStrategy::Forward => Exchange::Forward,
                _ => Exchange::Rebalance,
            };
            Arc::new(TableEdge { schema: schema.clone(), distribution })
        }),
    }
}

fn source(env: &StreamExecutionEnvironment, factory: Arc<dyn OperatorFactory>) -> RawStream {
    let operator =
        RawOperator { kind: OperatorKind::Source, ..RawOperator::new("Source", factory) };
    env.add_raw(operator, Vec::new())
}

/// The rows of a source as texts, sorted; or why there are none.
pub fn rows_of(
    factory: Arc<dyn OperatorFactory>,
    schema: &SchemaRef,
    parallelism: u32,
) -> Result<Vec<String>, String> {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(parallelism).show_progress(false);
    let stream = source(&env, factory);
    let collector = env.collect_raw("read", edge(schema, stream), Some(1));
    let mut collector = collector.map_err(|error| chain(&error))?;
    let mut rows = Vec::new();
    while let Some(batches) =
        collector.next(Duration::from_secs(1)).map_err(|error| chain(&error))?
    {
        for bytes in batches {
            rows.extend(show(&ChangelogBatch::decode(schema, &bytes).unwrap()));
        }
    }
    rows.sort();
    Ok(rows)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The rows of a table.
pub fn read(table: &TableSpec, scan: Scan, parallelism: u32) -> Result<Vec<String>, String> {
    let source = Connectors::default().source(table).map_err(|error| error.to_string())?;
    let schema = scan.schema.clone();
    let factory = source.factory(scan).map_err(|error| error.to_string())?;
    rows_of(factory, &schema, parallelism)
}

/// Copies the rows of a table to another one of the same columns.
pub fn copy(from: &TableSpec, to: &TableSpec, parallelism: u32) {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(parallelism).show_progress(false);
    let scan = whole(from);
    let schema = scan.schema.clone();
    let stream = source(&env, Connectors::default().source(from).unwrap().factory(scan).unwrap());
    let write = Write { schema: schema.clone(), overwrite: false, zone: chrono_tz::UTC };
    let factory = Connectors::default().sink(to).unwrap().factory(write).unwrap();
    let sink = RawOperator { kind: OperatorKind::Sink, ..RawOperator::new("Sink", factory) };
    env.add_raw(sink, vec![edge(&schema, stream)]);
    env.execute("copy").unwrap();
}

fn show(batch: &ChangelogBatch) -> Vec<String> {
    let schema = batch.rows.schema();
    let columns = batch.rows.columns().iter().zip(schema.fields());
    let writers: Vec<_> = columns
        .map(|(array, field)| TextWriter::new(array.as_ref(), field, chrono_tz::UTC).unwrap())
        .collect();
    let row = |row: usize| {
        let mut out = Vec::new();
        for (nth, writer) in writers.iter().enumerate() {
            if nth > 0 {
                out.push(b'|');
            }
            writer.write(row, &mut out);
        }
        format!("{}[{}]", batch.kind(row).short(), String::from_utf8(out).unwrap())
    };
    (0..batch.rows.num_rows()).map(row).collect()
}
