//! A stream as a table.
//!
//! 1. [`StreamTables`] knows the streams by number; a table's options name one.
//! 2. Where the table is scanned, an operator is added behind the stream, which makes of the records
//!    the columns that the scan asks for.

use std::{marker::PhantomData, sync::Arc};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, types::Int64Type};
use arrow_schema::{DataType, Schema as ArrowSchema, SchemaRef, TimeUnit};
use hurtig::{
    Batch, DataStream, ExecuteError, StreamExecutionEnvironment,
    connector::Boundedness,
    graph::OperatorKind,
    operator::{Operator, OperatorContext, OperatorFactory, Output, Progress},
    raw::{RawOperator, RawStream},
};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode, RowKind};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_types::{
    BoxedPayload, FlowError, FlowResult, MAX_TIMESTAMP, MIN_TIMESTAMP, Record, Watermark,
};
use parking_lot::RwLock;

use super::{ChangelogRow, StreamSchema, schema::quoted};
use crate::{
    SqlError,
    connectors::{Scan, ScanColumn, TableError, TableFactory, TableSink, TableSource, TableSpec},
    values::{RowValueError, RowWriter, columns_of},
};

/// What the connector is called.
const CONNECTOR: &str = "datastream";
/// The option with the stream's number.
const STREAM: &str = "stream";
/// The metadata column.
pub(super) const ROWTIME: &str = "rowtime";
/// Most streams of one session.
const MOST_STREAMS: usize = 100_000;

/// The streams that are tables of a session.
#[derive(Clone, Default)]
pub(crate) struct StreamTables(Arc<RwLock<Vec<Arc<dyn KnownStream>>>>);

impl StreamTables {
    /// Adds a stream of rows; returns the DDL of its table of that name.
    pub(crate) fn add_inserts<T: Record>(
        &self,
        stream: &DataStream<T>,
        schema: &StreamSchema,
        name: &str,
    ) -> Result<String, SqlError> {
        let known = Stream::new(stream.clone(), schema, ChangelogMode::INSERT_ONLY, Inserts);
        self.add::<T>(Arc::new(known), schema, name)
    }

    /// Adds a stream of changes; returns the DDL of its table of that name.
    pub(crate) fn add_changelog<T: Record>(
        &self,
        stream: &DataStream<ChangelogRow<T>>,
        schema: &StreamSchema,
        mode: ChangelogMode,
        name: &str,
    ) -> Result<String, SqlError> {
        let known = Stream::new(stream.clone(), schema, mode, Changes);
        self.add::<T>(Arc::new(known), schema, name)
    }

    fn add<T: Record>(
        &self,
        stream: Arc<dyn KnownStream>,
        schema: &StreamSchema,
        name: &str,
    ) -> Result<String, SqlError> {
        let columns = columns_of::<T>();
        let columns = columns.map_err(|error| SqlError::invalid(error.to_string(), None))?;
        for declared in schema.physical_names() {
            if !columns.iter().any(|(name, _)| name == declared) {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                let text = format!(
                    "the records of the stream have no field '{declared}': they have {}",
                    names.join(", ")
                );
                return Err(SqlError::invalid(text, None));
            }
        }
        let mut streams = self.0.write();
        if streams.len() == MOST_STREAMS {
            let text = format!("{MOST_STREAMS} streams are tables already");
            return Err(SqlError::invalid(text, None));
        }
        streams.push(stream);
        let (name, number, columns) = (quoted(name), streams.len() - 1, schema.ddl(&columns));
        Ok(format!(
            "CREATE TEMPORARY TABLE {name} (\n  {columns}\n) \
             WITH ('connector' = '{CONNECTOR}', '{STREAM}' = '{number}')"
        ))
    }
}

impl TableFactory for StreamTables {
    fn identifier(&self) -> &'static str {
        CONNECTOR
    }

    fn required_options(&self) -> &'static [&'static str] {
        &[STREAM]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &[]
    }

    fn source(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        let number = table.options.get(STREAM).and_then(|text| text.parse::<usize>().ok());
        let streams = self.0.read();
        let stream = number.and_then(|number| streams.get(number)).ok_or_else(|| {
            TableError(
                "the program has no such stream: such tables are made by from_data_stream, \
                        and live as long as their program"
                    .to_owned(),
            )
        })?;
        Ok(Some(stream.table(table)))
    }

    fn sink(&self, _: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        Ok(None)
    }
}

/// A stream whose type is known behind it.
trait KnownStream: Send + Sync {
    /// The source of a table over it.
    fn table(&self, spec: &TableSpec) -> Arc<dyn TableSource>;
}

/// How records of type `R` are rows of type `T`.
trait Reading<R, T>: Clone + Send + Sync + 'static {
    fn row<'a>(&self, record: &'a R) -> &'a T;
    fn kind(&self, record: &R) -> RowKind;
}

/// Records are rows to insert.
#[derive(Clone, Copy)]
struct Inserts;

impl<T> Reading<T, T> for Inserts {
    fn row<'a>(&self, record: &'a T) -> &'a T {
        record
    }

    fn kind(&self, _: &T) -> RowKind {
        RowKind::Insert
    }
}

/// Records say what they do.
#[derive(Clone, Copy)]
struct Changes;

impl<T> Reading<ChangelogRow<T>, T> for Changes {
    fn row<'a>(&self, record: &'a ChangelogRow<T>) -> &'a T {
        &record.row
    }

    fn kind(&self, record: &ChangelogRow<T>) -> RowKind {
        record.kind
    }
}

struct Stream<R, T, H> {
    stream: DataStream<R>,
    keeps_watermark: bool,
    mode: ChangelogMode,
    reading: H,
    rows: PhantomData<fn() -> T>,
}

impl<R: Record, T: Record, H: Reading<R, T>> Stream<R, T, H> {
    fn new(stream: DataStream<R>, schema: &StreamSchema, mode: ChangelogMode, reading: H) -> Self {
        let keeps_watermark = schema.keeps_watermark();
        Self { stream, keeps_watermark, mode, reading, rows: PhantomData }
    }
}

impl<R: Record, T: Record, H: Reading<R, T>> KnownStream for Stream<R, T, H> {
    fn table(&self, spec: &TableSpec) -> Arc<dyn TableSource> {
        Arc::new(StreamSource::<R, T, H> {
            stream: self.stream.clone(),
            keeps_watermark: self.keeps_watermark,
            mode: self.mode,
            reading: self.reading.clone(),
            columns: spec.columns.iter().map(|(name, _)| name.clone()).collect(),
            rows: PhantomData,
        })
    }
}

struct StreamSource<R, T, H> {
    stream: DataStream<R>,
    keeps_watermark: bool,
    mode: ChangelogMode,
    reading: H,
    /// The physical columns of the table.
    columns: Vec<String>,
    rows: PhantomData<fn() -> T>,
}

impl<R: Record, T: Record, H: Reading<R, T>> TableSource for StreamSource<R, T, H> {
    fn changelog_mode(&self) -> ChangelogMode {
        self.mode
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn metadata(&self) -> Vec<(String, SqlDataType)> {
        let rowtime = hurtig_sql_parser::types::SqlTypeKind::TimestampLtz(3);
        vec![(ROWTIME.to_owned(), SqlDataType::nullable(rowtime))]
    }

    fn parallelism(&self) -> Option<u32> {
        self.stream.parallelism()
    }

    fn makes_watermarks(&self) -> bool {
        self.keeps_watermark
    }

    fn add(
        &self,
        env: &StreamExecutionEnvironment,
        operator: RawOperator,
    ) -> Result<RawStream, ExecuteError> {
        // The stream's own sources begin the program; this one only carries over.
        let operator = RawOperator { kind: OperatorKind::Operator, ..operator };
        env.add_raw_behind(&self.stream, operator)
    }

    fn factory(&self, scan: Scan) -> Result<Arc<dyn OperatorFactory>, TableError> {
        let fields = columns_of::<T>().map_err(|error| TableError(error.to_string()))?;
        let mut plan = Plan { schema: scan.schema.clone(), fields: Vec::new(), places: Vec::new() };
        for column in &scan.columns {
            match column {
                ScanColumn::Physical { column, path } if path.is_empty() => {
                    let name = self.columns.get(*column).cloned().unwrap_or_default();
                    let position = fields.iter().position(|(field, _)| *field == name);
                    let position = position.ok_or_else(|| {
                        TableError(format!("the records of the stream have no field '{name}'"))
                    })?;
                    plan.places.push(Place::Field(plan.fields.len()));
                    plan.fields.push((position, name));
                }
                ScanColumn::Metadata(key) if key == ROWTIME => plan.places.push(Place::Rowtime),
                ScanColumn::Metadata(key) => {
                    let text = format!("a stream has the metadata '{ROWTIME}', not '{key}'");
                    return Err(TableError(text));
                }
                ScanColumn::Physical { .. } => {
                    return Err(TableError("a stream is read by whole columns".to_owned()));
                }
            }
        }
        Ok(Arc::new(StreamToTable::<R, T, H> {
            plan: Arc::new(plan),
            keeps_watermark: self.keeps_watermark,
            reading: self.reading.clone(),
            types: PhantomData,
        }))
    }
}

/// How batches are made.
struct Plan {
    schema: SchemaRef,
    /// The fields of records that are read: position and name.
    fields: Vec<(usize, String)>,
    /// Where each column of the batch comes from.
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
enum Place {
    /// One of the fields that are read.
    Field(usize),
    /// The timestamp of the record.
    Rowtime,
}

impl Plan {
    /// The schema of the fields alone.
    fn of_fields(&self) -> SchemaRef {
        let fields = self.places.iter().zip(self.schema.fields());
        let fields = fields.filter(|(place, _)| matches!(place, Place::Field(_)));
        Arc::new(ArrowSchema::new(fields.map(|(_, field)| field.clone()).collect::<Vec<_>>()))
    }
}

struct StreamToTable<R, T, H> {
    plan: Arc<Plan>,
    keeps_watermark: bool,
    reading: H,
    types: PhantomData<fn() -> (R, T)>,
}

impl<R: Record, T: Record, H: Reading<R, T>> OperatorFactory for StreamToTable<R, T, H> {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let writer = RowWriter::new(self.plan.of_fields(), &self.plan.fields);
        Ok(Box::new(Converter::<R, T, H> {
            writer: writer.map_err(FlowError::internal)?,
            plan: self.plan.clone(),
            keeps_watermark: self.keeps_watermark,
            reading: self.reading.clone(),
            types: PhantomData,
        }))
    }
}

struct Converter<R, T, H> {
    writer: RowWriter,
    plan: Arc<Plan>,
    keeps_watermark: bool,
    reading: H,
    types: PhantomData<fn() -> (R, T)>,
}

impl<R: Record, T: Record, H: Reading<R, T>> Converter<R, T, H> {
    fn rows(&mut self, batch: &Batch<R>) -> Result<RecordBatch, RowValueError> {
        for record in &batch.values {
            self.writer.write(self.reading.row(record))?;
        }
        let written = self.writer.finish()?;
        let columns = self.plan.places.iter().zip(self.plan.schema.fields());
        let columns = columns.map(|(place, field)| match place {
            Place::Field(index) => Ok(written.column(*index).clone()),
            Place::Rowtime => rowtime(batch.timestamps.as_deref(), field.data_type()),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.values.len()));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)?)
    }
}

/// The timestamps of records as a column.
fn rowtime(timestamps: Option<&[i64]>, data_type: &DataType) -> Result<ArrayRef, RowValueError> {
    use arrow_array::types::TimestampMillisecondType;
    let timestamps = timestamps.ok_or_else(|| {
        RowValueError(
            "the records of the stream have no timestamps: it needs a WatermarkStrategy that \
             assigns them"
                .to_owned(),
        )
    })?;
    let known = |time: &i64| (MIN_TIMESTAMP < *time && *time < MAX_TIMESTAMP).then_some(*time);
    let millis: Int64Array = timestamps.iter().map(known).collect();
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => Ok(Arc::new(
            millis.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone.clone()),
        )),
        DataType::Int64 => Ok(Arc::new(millis.unary::<_, Int64Type>(|millis| millis))),
        _ => Err(RowValueError(
            "the metadata 'rowtime' is a TIMESTAMP_LTZ(3), a TIMESTAMP(3) or a BIGINT".to_owned(),
        )),
    }
}

impl<R: Record, T: Record, H: Reading<R, T>> Operator for Converter<R, T, H> {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = Batch::<R>::from_payload(batch)?;
        let rows = self.rows(&batch).map_err(FlowError::user)?;
        let kinds = batch.values.iter().map(|record| self.reading.kind(record)).collect();
        out.emit(ChangelogBatch::new(rows, kinds).boxed())
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        // Where another is declared, an operator behind this one makes it; the end remains the end.
        if self.keeps_watermark || watermark == Watermark::MAX {
            out.emit_watermark(watermark)?;
        }
        Ok(Progress::Done)
    }
}
