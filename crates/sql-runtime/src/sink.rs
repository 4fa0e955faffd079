//! Rows on their way out: gathered as bytes, given as columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::SchemaRef;
use hurtig_operator_api::Output;
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::FlowResult;

use crate::rows::{ByteRows, RowCodec, make_rows};

/// Most rows of one batch that goes out.
pub(crate) const ROWS_PER_BATCH: usize = 8192;

#[derive(Debug)]
struct Part {
    codec: RowCodec,
    rows: ByteRows,
}

impl Part {
    fn take(&mut self) -> FlowResult<Vec<ArrayRef>> {
        let columns = self.codec.decode(self.rows.iter())?;
        self.rows.clear();
        Ok(columns)
    }
}

/// Rows that consist of the rows of one or two inputs, and perhaps a number.
#[derive(Debug)]
pub(crate) struct RowSink {
    schema: SchemaRef,
    parts: Vec<Part>,
    numbers: Option<Vec<i64>>,
    kinds: Vec<RowKind>,
}

impl RowSink {
    /// Rows that are made of these parts.
    pub(crate) fn new(schema: &SchemaRef, codecs: Vec<RowCodec>) -> Self {
        let part = |codec| Part { codec, rows: ByteRows::default() };
        let parts = codecs.into_iter().map(part).collect();
        Self { schema: schema.clone(), parts, numbers: None, kinds: Vec::new() }
    }

    /// Rows of one input.
    pub(crate) fn whole(schema: &SchemaRef) -> FlowResult<Self> {
        Ok(Self::new(schema, vec![RowCodec::all(schema)?]))
    }

    /// A BIGINT column follows.
    pub(crate) fn with_number(mut self) -> Self {
        self.numbers = Some(Vec::new());
        self
    }

    /// A row of one part.
    pub(crate) fn push(&mut self, kind: RowKind, row: &[u8]) {
        self.parts[0].rows.push(row);
        self.kinds.push(kind);
    }

    /// A row of one part and a number, which is left out where rows have none.
    pub(crate) fn push_numbered(&mut self, kind: RowKind, row: &[u8], number: i64) {
        self.push(kind, row);
        if let Some(numbers) = &mut self.numbers {
            numbers.push(number);
        }
    }

    /// A row of two parts.
    pub(crate) fn push_pair(&mut self, kind: RowKind, left: &[u8], right: &[u8]) {
        self.parts[0].rows.push(left);
        self.parts[1].rows.push(right);
        self.kinds.push(kind);
    }

    /// Gives what has been gathered if that is a batch.
    pub(crate) fn flush_if_full(&mut self, out: &mut dyn Output) -> FlowResult {
        if self.kinds.len() >= ROWS_PER_BATCH { self.flush(out) } else { Ok(()) }
    }

    /// Gives what has been gathered.
    pub(crate) fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        if self.kinds.is_empty() {
            return Ok(());
        }
        let kinds = std::mem::take(&mut self.kinds);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for part in &mut self.parts {
            columns.extend(part.take()?);
        }
        if let Some(numbers) = &mut self.numbers {
            columns.push(Arc::new(Int64Array::from(std::mem::take(numbers))));
        }
        let rows = make_rows(&self.schema, columns, kinds.len())?;
        out.emit(ChangelogBatch::new(rows, kinds).boxed())
    }
}
