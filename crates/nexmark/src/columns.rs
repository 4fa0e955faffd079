//! Arrow record batches of the stream, with only the columns that a reader wants.
//!
//! A batch has a row per event, of whatever kind: `event_type` (Int32) and the structs `person`,
//! `auction` and `bid`, of which one is set in each row. BIGINT is Int64, VARCHAR is Utf8View,
//! TIMESTAMP(3) is Timestamp(Millisecond) without time zone. All columns are nullable, as in
//! `queries/ddl.sql`.
//!
//! How it is fast: a column that is not in the [`Projection`] is never computed; columns are
//! filled one by one, visiting only the rows of their kind; and text is a view of the static
//! tables, which all batches share as buffers, so none is copied except the computed columns of
//! persons. Hence a batch keeps alive up to 2 MB of tables that it did not allocate: writers that
//! copy whole buffers should compact view arrays first.
//!
//! Invariant: a column of a struct is null exactly where the struct is, so it can be read without
//! its struct. The row number `k` of a batch is the event at its first index plus `k` times the
//! number of splits.
//!
//! Deliberately absent: filters, and the computed column `dateTime` of the table with its
//! watermark, which are the planner's.

mod text;

use std::sync::Arc;

use arrow_array::builder::make_view;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    StructArray, TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use self::text::{TextTable, TextView, text_array};
use crate::generator::NexmarkGenerator;
use crate::lazy::{LazyAuction, LazyBid, LazyPerson};
use crate::model::EventKind;
use crate::projection::{AuctionColumn, BidColumn, Column, ColumnSet, PersonColumn, Projection};

/// How many events are passed over at most for each row that is wanted, if only one kind is.
const PASSED_PER_ROW: u64 = 64;

/// Generates the events of one split as record batches.
#[derive(Clone, Debug)]
pub struct ColumnGenerator {
    generator: NexmarkGenerator,
    projection: Projection,
    kind: Option<EventKind>,
    schema: SchemaRef,
}

impl ColumnGenerator {
    /// Continues at the position of `generator`, with only the columns of `projection`.
    pub fn new(generator: NexmarkGenerator, projection: Projection) -> Self {
        Self { generator, projection, kind: None, schema: schema_of(&projection) }
    }

    /// With rows for the events of one kind only; the others are passed over.
    #[must_use]
    pub fn only(self, kind: EventKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Index of the next event, as [`NexmarkGenerator::position`].
    pub fn position(&self) -> u64 {
        self.generator.position()
    }

    /// Continues elsewhere, as [`NexmarkGenerator::seek`].
    pub fn seek(&mut self, index: u64) {
        self.generator.seek(index);
    }

    /// The next events, at most `max_rows`, or `None` at the end of the split or for a `max_rows`
    /// of 0. Of a single kind there may be none.
    ///
    /// # Errors
    ///
    /// If Arrow refuses the columns, which would be a bug of this module; the position is then
    /// unchanged.
    pub fn next_batch(&mut self, max_rows: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let left = self.generator.remaining();
        if left == 0 || max_rows == 0 {
            return Ok(None);
        }
        let (first, step) = (self.position(), self.generator.step());
        let (batch, passed) = match self.kind {
            None => {
                let rows = usize::try_from(left).unwrap_or(usize::MAX).min(max_rows);
                (self.batch(first, rows)?, rows as u64)
            }
            Some(kind) => {
                let most = left.min((max_rows as u64).saturating_mul(PASSED_PER_ROW));
                let (mut indices, mut passed) = (Vec::with_capacity(max_rows), 0);
                while passed < most && indices.len() < max_rows {
                    let index = first.wrapping_add(step.wrapping_mul(passed));
                    if EventKind::of_index(index) == kind {
                        indices.push(index);
                    }
                    passed += 1;
                }
                (self.columns(&Rows::Chosen(indices))?, passed)
            }
        };
        self.seek(first.saturating_add(step.saturating_mul(passed)));
        Ok(Some(batch))
    }

    /// The `rows` events from index `first` on, in steps of the number of splits; neither the
    /// position nor the end of the stream matters.
    ///
    /// # Errors
    ///
    /// As [`Self::next_batch`].
    pub fn batch(&self, first: u64, rows: usize) -> Result<RecordBatch, ArrowError> {
        self.columns(&Rows::Range { first, step: self.generator.step(), rows })
    }

    fn columns(&self, rows: &Rows) -> Result<RecordBatch, ArrowError> {
        let source = &self.generator;
        let Projection { event_type, person, auction, bid } = self.projection;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        if event_type {
            columns.push(Arc::new(Int32Array::from_iter_values(
                rows.indices().map(|index| EventKind::of_index(index) as i32),
            )));
        }
        push_struct(&mut columns, person, rows, |index| source.lazy_person(index))?;
        push_struct(&mut columns, auction, rows, |index| source.lazy_auction(index))?;
        push_struct(&mut columns, bid, rows, |index| source.lazy_bid(index))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(self.schema(), columns, &options)
    }
}

/// The schema of the columns of a projection.
pub fn schema_of(projection: &Projection) -> SchemaRef {
    fn push_field<C: ArrowColumn>(fields: &mut Vec<Field>, set: ColumnSet<C>) {
        if !set.is_empty() {
            fields.push(Field::new(C::STRUCT_NAME, DataType::Struct(fields_of(set)), true));
        }
    }

    let mut fields = Vec::new();
    if projection.event_type {
        fields.push(Field::new(Projection::EVENT_TYPE, DataType::Int32, true));
    }
    push_field(&mut fields, projection.person);
    push_field(&mut fields, projection.auction);
    push_field(&mut fields, projection.bid);
    Arc::new(Schema::new(fields))
}

fn fields_of<C: ArrowColumn>(set: ColumnSet<C>) -> Fields {
    set.iter().map(|column| Field::new(column.name(), column.data_type(), true)).collect()
}

/// Appends the struct of the wanted columns, if there are any; `lazy` gives the record of an
/// index, or `None` for an event of another kind.
fn push_struct<C: ArrowColumn>(
    columns: &mut Vec<ArrayRef>,
    set: ColumnSet<C>,
    rows: &Rows,
    lazy: impl Fn(u64) -> Option<C::Record>,
) -> Result<(), ArrowError> {
    if !set.is_empty() {
        let records = Records::of(rows, lazy);
        let arrays = set.iter().map(|column| column.array(&records)).collect::<Result<_, _>>()?;
        let Records { nulls, len, .. } = records;
        let array = StructArray::try_new_with_length(fields_of(set), arrays, nulls, len)?;
        columns.push(Arc::new(array));
    }
    Ok(())
}

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// A column that Arrow has a type for.
trait ArrowColumn: Column {
    /// What the column is computed from.
    type Record;

    fn data_type(self) -> DataType;

    fn array(self, rows: &Records<Self::Record>) -> Result<ArrayRef, ArrowError>;
}

impl ArrowColumn for PersonColumn {
    type Record = LazyPerson;

    fn data_type(self) -> DataType {
        match self {
            Self::Id => DataType::Int64,
            Self::DateTime => TIMESTAMP,
            Self::Name
            | Self::EmailAddress
            | Self::CreditCard
            | Self::City
            | Self::State
            | Self::Extra => DataType::Utf8View,
        }
    }

    fn array(self, rows: &Records<LazyPerson>) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Id => rows.bigint(LazyPerson::id),
            Self::Name => rows.computed_text(LazyPerson::name),
            Self::EmailAddress => rows.computed_text(LazyPerson::email_address),
            Self::CreditCard => rows.computed_text(LazyPerson::credit_card),
            Self::City => rows.computed_text(LazyPerson::city),
            Self::State => rows.computed_text(LazyPerson::state),
            Self::DateTime => rows.timestamp(LazyPerson::date_time),
            Self::Extra => rows.text(|row| TextView::letters(row.extra_span())),
        }
    }
}

impl ArrowColumn for AuctionColumn {
    type Record = LazyAuction;

    fn data_type(self) -> DataType {
        match self {
            Self::Id | Self::InitialBid | Self::Reserve | Self::Seller | Self::Category => {
                DataType::Int64
            }
            Self::DateTime | Self::Expires => TIMESTAMP,
            Self::ItemName | Self::Description | Self::Extra => DataType::Utf8View,
        }
    }

    fn array(self, rows: &Records<LazyAuction>) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Id => rows.bigint(LazyAuction::id),
            Self::ItemName => rows.text(|row| TextView::letters(row.item_name_span())),
            Self::Description => rows.text(|row| TextView::letters(row.description_span())),
            Self::InitialBid => rows.bigint(LazyAuction::initial_bid),
            Self::Reserve => rows.bigint(LazyAuction::reserve),
            Self::DateTime => rows.timestamp(LazyAuction::date_time),
            Self::Expires => rows.timestamp(LazyAuction::expires),
            Self::Seller => rows.bigint(LazyAuction::seller),
            Self::Category => rows.bigint(LazyAuction::category),
            Self::Extra => rows.text(|row| TextView::letters(row.extra_span())),
        }
    }
}

impl ArrowColumn for BidColumn {
    type Record = LazyBid;

    fn data_type(self) -> DataType {
        match self {
            Self::Auction | Self::Bidder | Self::Price => DataType::Int64,
            Self::DateTime => TIMESTAMP,
            Self::Channel | Self::Url | Self::Extra => DataType::Utf8View,
        }
    }

    fn array(self, rows: &Records<LazyBid>) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Auction => rows.bigint(LazyBid::auction),
            Self::Bidder => rows.bigint(LazyBid::bidder),
            Self::Price => rows.bigint(LazyBid::price),
            Self::Channel => rows.text(|row| TextView::channel_name(row.channel_number())),
            Self::Url => rows.text(|row| TextView::channel_url(row.channel_number())),
            Self::DateTime => rows.timestamp(LazyBid::date_time),
            Self::Extra => rows.text(|row| TextView::letters(row.extra_span())),
        }
    }
}

/// The events of a batch.
enum Rows {
    /// So many, `step` indices from one to the next.
    Range { first: u64, step: u64, rows: usize },
    /// Those, all of one kind.
    Chosen(Vec<u64>),
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Self::Range { rows, .. } => *rows,
            Self::Chosen(indices) => indices.len(),
        }
    }

    fn indices(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).map(|row| match self {
            Self::Range { first, step, .. } => first.wrapping_add((row as u64).wrapping_mul(*step)),
            Self::Chosen(indices) => indices.get(row).copied().unwrap_or_default(),
        })
    }
}

/// The rows of a batch that hold one kind of event, each with its row number; null elsewhere.
struct Records<T> {
    records: Vec<(usize, T)>,
    /// `None`: every row holds it.
    nulls: Option<NullBuffer>,
    len: usize,
}

impl<T> Records<T> {
    /// `lazy` gives the record of an index, or `None` for an event of another kind.
    fn of(rows: &Rows, lazy: impl Fn(u64) -> Option<T>) -> Self {
        let len = rows.len();
        let mut records = Vec::with_capacity(len);
        let indices = rows.indices().enumerate();
        records.extend(indices.filter_map(|(row, index)| Some((row, lazy(index)?))));
        let nulls = (records.len() < len).then(|| {
            let mut set = BooleanBufferBuilder::new(len);
            set.append_n(len, false);
            records.iter().for_each(|(row, _): &(usize, T)| set.set_bit(*row, true));
            NullBuffer::new(set.finish())
        });
        Self { records, nulls, len }
    }

    /// `value` in the rows of this kind, the default elsewhere.
    #[inline]
    fn fill<V: Clone + Default>(&self, value: impl Fn(&T) -> V) -> Vec<V> {
        if self.nulls.is_none() {
            return self.records.iter().map(|(_, record)| value(record)).collect();
        }
        let mut values = vec![V::default(); self.len];
        for (row, record) in &self.records {
            if let Some(slot) = values.get_mut(*row) {
                *slot = value(record);
            }
        }
        values
    }

    #[inline]
    fn bigint(&self, value: impl Fn(&T) -> i64) -> Result<ArrayRef, ArrowError> {
        let values = self.fill(value).into();
        Ok(Arc::new(Int64Array::try_new(values, self.nulls.clone())?))
    }

    #[inline]
    fn timestamp(&self, value: impl Fn(&T) -> i64) -> Result<ArrayRef, ArrowError> {
        let values = self.fill(value).into();
        Ok(Arc::new(TimestampMillisecondArray::try_new(values, self.nulls.clone())?))
    }

    /// Text that is a view of a table.
    #[inline]
    fn text<B: TextTable>(&self, view: impl Fn(&T) -> TextView<B>) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(text_array(self.fill(view), self.nulls.clone())?))
    }

    /// Text that is in no table, and is copied into a buffer of the column's own.
    fn computed_text<S: AsRef<str>>(&self, text: impl Fn(&T) -> S) -> Result<ArrayRef, ArrowError> {
        let mut copies = Vec::new();
        let mut views = vec![0; self.len];
        for (row, record) in &self.records {
            let text = text(record);
            let bytes = text.as_ref().as_bytes();
            if let (Some(slot), Ok(offset)) = (views.get_mut(*row), u32::try_from(copies.len())) {
                *slot = make_view(bytes, 0, offset);
                copies.extend_from_slice(bytes);
            }
        }
        let buffers = [Buffer::from_vec(copies)];
        let nulls = self.nulls.clone();
        Ok(Arc::new(StringViewArray::try_new(views.into(), buffers, nulls)?))
    }
}
