//! The connector `nexmark-gen`, also called `nexmark`: the deterministic events of Nexmark, as columns.
//!
//! Reader `k` of `p` generates the events whose index is `k` modulo `p`; the position is the next
//! index. Only the columns and nested fields that are read are computed. TableOptions: `events.num`, the
//! number of events over all readers; without it the stream does not end.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, StringViewArray, StructArray,
    cast::AsArray, types::Int32Type,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use hurtig_connector_api::{Boundedness, SourceSplit, SplitEnumerator};
use hurtig_connectors::splits::StaticEnumerator;
use hurtig_nexmark::{EventKind, NexmarkGenerator, Projection, columns::ColumnGenerator};
use hurtig_operator_api::{OperatorContext, OperatorFactory};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode};
use hurtig_sql_parser::types::SqlTypeKind;
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

use super::{
    api::{
        ColumnFilter, Scan, ScanColumn, TableError, TableFactory, TableSink, TableSource, TableSpec,
    },
    options::TableOptions,
    source::{Read, SplitReader, TableReading, TableSourceFactory},
};

/// The factory, under one of its two names.
#[derive(Clone, Copy, Debug)]
pub struct NexmarkFactory(pub &'static str);

impl TableFactory for NexmarkFactory {
    fn identifier(&self) -> &'static str {
        self.0
    }

    fn required_options(&self) -> &'static [&'static str] {
        &[]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &["events.num"]
    }

    fn source(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        let events = TableOptions(&table.options).parsed::<u64>("events.num")?;
        let all = (0..table.columns.len()).map(ScanColumn::whole).collect::<Vec<_>>();
        let source = NexmarkTable { table: table.clone(), events };
        source.gives(&all)?;
        Ok(Some(Arc::new(source)))
    }

    fn sink(&self, _: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        Ok(None)
    }
}

struct NexmarkTable {
    table: TableSpec,
    events: Option<u64>,
}

/// The names that lead to a column: `bid`, or `bid` and `price`.
type Names = Vec<String>;

impl NexmarkTable {
    /// What the columns are called, and what of the events they need.
    fn gives(&self, columns: &[ScanColumn]) -> Result<(Vec<Names>, Projection), TableError> {
        let mut gives = Vec::new();
        let mut paths = Vec::new();
        for column in columns {
            let ScanColumn::Physical { column, path } = column else {
                return Err(TableError("nexmark-gen has no metadata".to_owned()));
            };
            let lost = || TableError(format!("internal: there is no column {column}"));
            let (name, data_type) = self.table.columns.get(*column).ok_or_else(lost)?;
            let (mut names, mut kind) = (vec![name.clone()], &data_type.kind);
            for index in path {
                let SqlTypeKind::Row(fields) = kind else { return Err(lost()) };
                let field = fields.get(*index).ok_or_else(lost)?;
                names.push(field.name.clone());
                kind = &field.data_type.kind;
            }
            match kind {
                // A ROW of the table may have fewer fields than the generator's.
                SqlTypeKind::Row(fields) => {
                    paths.extend(fields.iter().map(|field| {
                        names.iter().chain([&field.name]).cloned().collect::<Vec<_>>().join(".")
                    }));
                }
                _ => paths.push(names.join(".")),
            }
            gives.push(names);
        }
        let projection = Projection::of_paths(paths.iter().map(String::as_str));
        let projection = projection.map_err(|error| TableError(error.to_string()))?;
        Ok((gives, projection))
    }
}

impl NexmarkTable {
    /// The kind of event that a filter lets pass, if it is one on `event_type`.
    fn kind(&self, filter: &ColumnFilter) -> Option<EventKind> {
        let ScanColumn::Physical { column, path } = &filter.column else { return None };
        let (name, _) = self.table.columns.get(*column)?;
        let wanted = filter.value.as_primitive_opt::<Int32Type>()?;
        if name != Projection::EVENT_TYPE || !path.is_empty() || wanted.len() != 1 {
            return None;
        }
        let kinds = [EventKind::Person, EventKind::Auction, EventKind::Bid];
        kinds.into_iter().find(|kind| *kind as i32 == wanted.value(0))
    }
}

impl TableSource for NexmarkTable {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::INSERT_ONLY
    }

    fn boundedness(&self) -> Boundedness {
        match self.events {
            Some(_) => Boundedness::Bounded,
            None => Boundedness::Unbounded,
        }
    }

    fn reads_nested(&self) -> bool {
        true
    }

    fn takes_filter(&self, filter: &ColumnFilter) -> bool {
        self.kind(filter).is_some()
    }

    fn factory(&self, scan: Scan) -> Result<Arc<dyn OperatorFactory>, TableError> {
        let (gives, projection) = self.gives(&scan.columns)?;
        let kinds: Vec<Option<EventKind>> =
            scan.filters.iter().map(|filter| self.kind(filter)).collect();
        // An event is of one kind.
        let never = kinds.iter().any(|kind| *kind != kinds[0]);
        let kind = kinds.first().copied().flatten();
        let Scan { schema, watermark, .. } = scan;
        let events = if never { Some(0) } else { self.events };
        let reading = NexmarkReading { events, gives, projection, kind, schema };
        Ok(Arc::new(TableSourceFactory::new(reading, watermark)))
    }
}

#[derive(Clone)]
struct NexmarkReading {
    events: Option<u64>,
    gives: Vec<Names>,
    projection: Projection,
    kind: Option<EventKind>,
    schema: SchemaRef,
}

/// The events of one reader, with its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NexmarkSplit {
    split: u32,
    splits: u32,
    next: u64,
}

impl SourceSplit for NexmarkSplit {
    fn split_id(&self) -> String {
        format!("{}/{}", self.split, self.splits)
    }
}

impl TableReading for NexmarkReading {
    type Split = NexmarkSplit;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        let splits = (0..parallelism).map(|split| NexmarkSplit {
            split,
            splits: parallelism,
            next: u64::from(split),
        });
        Ok(Box::new(StaticEnumerator::new(splits, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<NexmarkSplit>::restored(state, parallelism)?))
    }

    fn open(
        &self,
        split: NexmarkSplit,
        _: &OperatorContext,
    ) -> Result<Box<dyn SplitReader<NexmarkSplit>>, BoxError> {
        let mut generator = NexmarkGenerator::new(split.split, split.splits, self.events)?;
        generator.seek(split.next);
        let mut generator = ColumnGenerator::new(generator, self.projection);
        if let Some(kind) = self.kind {
            generator = generator.only(kind);
        }
        Ok(Box::new(NexmarkReader { generator, reading: self.clone(), split }))
    }
}

struct NexmarkReader {
    generator: ColumnGenerator,
    reading: NexmarkReading,
    split: NexmarkSplit,
}

impl SplitReader<NexmarkSplit> for NexmarkReader {
    fn read(&mut self, max_rows: usize) -> Result<Read, BoxError> {
        let Some(events) = self.generator.next_batch(max_rows.max(1))? else {
            return Ok(Read::End);
        };
        let fields = self.reading.schema.fields().iter().zip(&self.reading.gives);
        let columns = fields.map(|(field, names)| column(&events, names, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(events.num_rows()));
        let schema = self.reading.schema.clone();
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Read::Rows(ChangelogBatch::inserts(rows)))
    }

    fn position(&mut self) -> Result<NexmarkSplit, BoxError> {
        Ok(NexmarkSplit { next: self.generator.position(), ..self.split.clone() })
    }
}

/// A column of the events, in the type of the table's.
fn column(events: &RecordBatch, names: &[String], wanted: &DataType) -> Result<ArrayRef, BoxError> {
    let missing = || format!("internal: the events have no {}", names.join("."));
    let (first, rest) = names.split_first().ok_or_else(missing)?;
    let mut array = events.column_by_name(first).ok_or_else(missing)?.clone();
    for name in rest {
        let rows = array.as_struct_opt().ok_or_else(missing)?;
        array = rows.column_by_name(name).ok_or_else(missing)?.clone();
    }
    in_type(&array, wanted)
}

fn in_type(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, BoxError> {
    let DataType::Struct(fields) = wanted else {
        return match (array.as_string_view_opt(), wanted) {
            (Some(views), DataType::Utf8) => Ok(Arc::new(texts(views)?)),
            _ if array.data_type() == wanted => Ok(array.clone()),
            _ => Ok(cast(array, wanted)?),
        };
    };
    let rows: &StructArray = array.as_struct_opt().ok_or("internal: a ROW of what is none")?;
    let mut columns = Vec::new();
    for field in fields {
        let found = rows.column_by_name(field.name());
        columns.push(in_type(found.ok_or("internal: a lost field")?, field.data_type())?);
    }
    let nulls: Option<NullBuffer> = rows.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?))
}

/// Views as texts one behind the other: one allocation, and no look at what is text already.
fn texts(views: &StringViewArray) -> Result<StringArray, BoxError> {
    // The low half of a view is the length.
    let lengths = views.views().iter().map(|view| *view as u32 as usize);
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
    for row in 0..views.len() {
        bytes.extend_from_slice(views.value(row).as_bytes());
    }
    Ok(StringArray::try_new(offsets, Buffer::from_vec(bytes), views.nulls().cloned())?)
}
