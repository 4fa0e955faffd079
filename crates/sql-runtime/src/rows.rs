//! Rows as bytes: what keys and rows are in state.
//!
//! The bytes of keys and of places in an order are those of `arrow-row`: they compare as the values do
//! (ascending, NULL first). Whole rows, which nobody compares, take less ([`compact`](crate::compact)).
//! Equal values have equal bytes either way. Columns become bytes, and bytes columns, a batch at a time.
//!
//! **The hash of a key** is that of `hurtig_types::stable_hash` for a byte string, of those bytes:
//! edges and keyed operators compute the same one, and savepoints depend on it.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, Field, SchemaRef, SortOptions};
use arrow_select::take::take;
use hurtig_sql_common::{ChangelogBatch, EvalError};
use hurtig_types::{FlowError, FlowResult, stable_hash};
use serde::{Serialize, Serializer};

pub(crate) use crate::row_bytes::RowBytes;
use crate::{compact::CompactCodec, config::SortColumn};

/// The hash of a key.
#[inline]
pub(crate) fn hash_of(key: &[u8]) -> FlowResult<u64> {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    Ok(stable_hash(&Bytes(key))?)
}

/// A fault of a kernel or of the plan.
pub(crate) fn arrow_error(error: ArrowError) -> FlowError {
    eval_error(EvalError::from(error))
}

/// An expression has no value.
pub(crate) fn eval_error(error: EvalError) -> FlowError {
    let text = hurtig_sql_common::readable_message(error.to_string());
    match error {
        EvalError::Value(_) => FlowError::user(text),
        EvalError::Internal(_) => FlowError::internal(text),
    }
}

/// State and code do not fit.
pub(crate) fn state_error(error: hurtig_state_heap::StateError) -> FlowError {
    FlowError::internal(error)
}

/// Rows of a schema; there may be no columns at all.
pub(crate) fn make_rows(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> FlowResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| {
        FlowError::internal(format!("an operator's output does not fit its schema: {error}"))
    })
}

/// A map of things of one batch: no one who sends rows gains by making its keys collide, beyond
/// slowing down that batch.
pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// Rows as bytes, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct ByteRows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ByteRows {
    /// Adds a row; returns its number.
    #[inline]
    pub(crate) fn push(&mut self, row: &[u8]) -> u32 {
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
        number
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let row = &self.bytes[start..*end];
            start = *end;
            row
        })
    }

    /// A row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// Rows of these lengths, whose bytes are yet to be written.
    pub(crate) fn of_lengths(lengths: &[usize]) -> Self {
        let mut end = 0;
        let ends: Vec<usize> = lengths
            .iter()
            .map(|length| {
                end += length;
                end
            })
            .collect();
        Self { bytes: vec![0; end], ends }
    }

    /// The bytes, and where each row begins.
    pub(crate) fn parts(&mut self) -> (&mut [u8], Vec<usize>) {
        let starts = std::iter::once(0).chain(self.ends.iter().copied()).take(self.ends.len());
        (&mut self.bytes, starts.collect())
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Turns some columns into bytes and back.
#[derive(Debug)]
pub(crate) struct RowCodec {
    converter: Converter,
    columns: Vec<usize>,
    layout: Vec<(String, String)>,
}

#[derive(Debug)]
enum Converter {
    /// There are no columns.
    Nothing,
    /// As values compare.
    Sorted(RowConverter),
    /// In few bytes.
    Compact(CompactCodec),
}

/// Rows of one batch as bytes.
pub(crate) enum Encoded {
    /// Of no columns.
    Nothing,
    Sorted(Rows),
    Compact(ByteRows),
}

impl Encoded {
    /// The bytes of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Sorted(rows) => rows.row(row).data(),
            Self::Compact(rows) => rows.get(row),
        }
    }
}

impl RowCodec {
    /// Of some columns of a schema.
    pub(crate) fn new(schema: &SchemaRef, columns: &[usize]) -> FlowResult<Self> {
        let sort = |column: &usize| {
            Self::field(schema, *column).map(|f| SortField::new(f.data_type().clone()))
        };
        let made = Self::of(columns.iter().map(sort).collect::<FlowResult<_>>()?, columns.to_vec());
        made?.of_fields(schema)
    }

    /// Of all columns, in few bytes that are no key.
    pub(crate) fn all(schema: &SchemaRef) -> FlowResult<Self> {
        let columns = (0..schema.fields().len()).collect();
        let types = schema.fields().iter().map(|field| field.data_type());
        let converter = match schema.fields().is_empty() {
            true => Converter::Nothing,
            false => Converter::Compact(CompactCodec::new(types)?),
        };
        Self { converter, columns, layout: Vec::new() }.of_fields(schema)
    }

    /// Of all columns, as a key.
    pub(crate) fn whole_key(schema: &SchemaRef) -> FlowResult<Self> {
        Self::new(schema, &(0..schema.fields().len()).collect::<Vec<_>>())
    }

    /// Of columns in an order: the bytes compare in that order.
    pub(crate) fn sorted(schema: &SchemaRef, order: &[SortColumn]) -> FlowResult<Self> {
        let sort = |by: &SortColumn| {
            let options = SortOptions { descending: by.descending, nulls_first: by.nulls_first };
            Self::field(schema, by.column)
                .map(|field| SortField::new_with_options(field.data_type().clone(), options))
        };
        let fields = order.iter().map(sort).collect::<FlowResult<_>>()?;
        Self::of(fields, order.iter().map(|by| by.column).collect())?.of_fields(schema)
    }

    /// Of values of these types.
    pub(crate) fn of_types<'a>(
        types: impl IntoIterator<Item = &'a arrow_schema::DataType>,
    ) -> FlowResult<Self> {
        let fields: Vec<_> = types.into_iter().map(|one| SortField::new(one.clone())).collect();
        let columns = (0..fields.len()).collect();
        Self::of(fields, columns)
    }

    fn field(schema: &SchemaRef, column: usize) -> FlowResult<&Arc<Field>> {
        schema.fields().get(column).ok_or_else(|| {
            let columns = schema.fields().len();
            FlowError::internal(format!("the plan names column {column} of {columns}"))
        })
    }

    fn of(fields: Vec<SortField>, columns: Vec<usize>) -> FlowResult<Self> {
        let converter = if fields.is_empty() {
            Converter::Nothing
        } else {
            Converter::Sorted(RowConverter::new(fields).map_err(arrow_error)?)
        };
        Ok(Self { converter, columns, layout: Vec::new() })
    }

    /// Notes names and types of the columns. Names are those that the user knows: the planner makes
    /// them unique by a number behind `#`, which another statement may not have.
    fn of_fields(mut self, schema: &SchemaRef) -> FlowResult<Self> {
        for at in &self.columns {
            let field = Self::field(schema, *at)?;
            let name = field.name().split('#').next().unwrap_or_default();
            self.layout.push((name.to_owned(), field.data_type().to_string()));
        }
        Ok(self)
    }

    /// Names and types of its columns; nothing for values that are no columns.
    pub(crate) fn layout(&self) -> &[(String, String)] {
        &self.layout
    }

    /// The bytes of its columns, of each row.
    pub(crate) fn encode(&self, rows: &RecordBatch) -> FlowResult<Encoded> {
        let columns: Vec<_> = self.columns.iter().map(|at| rows.column(*at).clone()).collect();
        self.encode_columns(&columns)
    }

    /// The bytes of its columns, of some rows.
    pub(crate) fn encode_some(&self, rows: &RecordBatch, chosen: &[u32]) -> FlowResult<Encoded> {
        let at = UInt32Array::from(chosen.to_vec());
        let columns = self.columns.iter().map(|column| take(rows.column(*column), &at, None));
        self.encode_columns(&columns.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?)
    }

    /// The bytes of columns.
    pub(crate) fn encode_columns(&self, columns: &[ArrayRef]) -> FlowResult<Encoded> {
        match &self.converter {
            Converter::Nothing => Ok(Encoded::Nothing),
            Converter::Sorted(converter) => {
                converter.convert_columns(columns).map(Encoded::Sorted).map_err(arrow_error)
            }
            Converter::Compact(codec) => codec.encode(columns).map(Encoded::Compact),
        }
    }

    /// The columns of bytes.
    pub(crate) fn decode<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [u8]>,
    ) -> FlowResult<Vec<ArrayRef>> {
        let rows: Vec<&[u8]> = rows.into_iter().collect();
        let converter = match &self.converter {
            Converter::Nothing => return Ok(Vec::new()),
            Converter::Compact(codec) => return codec.decode(&rows),
            Converter::Sorted(converter) => converter,
        };
        // The bytes are from this converter, or from state whose files have checksums.
        let parser = converter.parser();
        converter.convert_rows(rows.into_iter().map(|row| parser.parse(row))).map_err(arrow_error)
    }

    /// The bytes of a row of NULLs.
    pub(crate) fn null_row(&self, schema: &SchemaRef) -> FlowResult<RowBytes> {
        let null = |at: &usize| new_null_array(schema.field(*at).data_type(), 1);
        let columns: Vec<_> = self.columns.iter().map(null).collect();
        Ok(self.encode_columns(&columns)?.get(0).into())
    }

    /// Which rows have NULL in one of its columns for which `counts`; `None`: none has.
    pub(crate) fn nulls(
        &self,
        rows: &RecordBatch,
        counts: impl Fn(usize) -> bool,
    ) -> Option<Vec<bool>> {
        let mut found: Option<Vec<bool>> = None;
        for (index, at) in self.columns.iter().enumerate() {
            let column = rows.column(*at);
            let Some(nulls) = column.logical_nulls().filter(|n| n.null_count() > 0) else {
                continue;
            };
            if counts(index) {
                let found = found.get_or_insert_with(|| vec![false; rows.num_rows()]);
                found.iter_mut().zip(nulls.iter()).for_each(|(null, valid)| *null |= !valid);
            }
        }
        found
    }
}

/// The rows of a batch by key: which key each has, and where each key comes first.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// The group of each row.
    pub groups: Vec<u32>,
    /// The first row of each group.
    pub first: Vec<u32>,
    /// The hash of each group.
    pub hashes: Vec<u64>,
}

impl Grouping {
    /// Groups equal keys.
    pub(crate) fn of(keys: &Encoded, rows: usize) -> FlowResult<Self> {
        let mut table: hashbrown::HashTable<u32> =
            hashbrown::HashTable::with_capacity(rows.min(1024));
        let mut made = Self { groups: Vec::with_capacity(rows), ..Self::default() };
        let Self { groups, first, hashes } = &mut made;
        for row in 0..rows {
            let key = keys.get(row);
            let hash = hash_of(key)?;
            let found = table.entry(
                hash,
                |group| {
                    hashes[*group as usize] == hash
                        && keys.get(first[*group as usize] as usize) == key
                },
                |group| hashes[*group as usize],
            );
            let group = match found {
                hashbrown::hash_table::Entry::Occupied(found) => *found.get(),
                hashbrown::hash_table::Entry::Vacant(vacant) => {
                    let group = first.len() as u32;
                    vacant.insert(group);
                    first.push(row as u32);
                    hashes.push(hash);
                    group
                }
            };
            groups.push(group);
        }
        Ok(made)
    }

    /// The rows of each group, in order.
    pub(crate) fn rows_by_group(&self) -> Vec<Vec<u32>> {
        let mut rows = vec![Vec::new(); self.first.len()];
        for (row, group) in self.groups.iter().enumerate() {
            rows[*group as usize].push(row as u32);
        }
        rows
    }
}

/// Takes the rows of a payload.
pub(crate) fn rows_of(payload: hurtig_types::BoxedPayload) -> FlowResult<ChangelogBatch> {
    Ok(ChangelogBatch::from_payload(payload)?)
}
