//! The pairs of an inner join, a batch at a time.
//!
//! Rows of a batch meet rows of state one by one, but the join's condition is evaluated over many
//! pairs at once, and what passes is given as it stands: nothing is computed per pair.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, UInt32Array};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::{filter::filter, take::take};
use hurtig_operator_api::Output;
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::FlowResult;

use crate::{
    config::{JoinKeys, SharedExpression},
    rows::{ByteRows, RowCodec, arrow_error, make_rows},
    sink::ROWS_PER_BATCH,
    stateless::condition,
};

/// Pairs of rows of a batch with rows of the other side.
pub(crate) struct Pairs {
    expression: Option<SharedExpression>,
    /// Of both sides; all may be NULL: what is nullable in a join's output need not be here, and
    /// the other way round.
    pairs: SchemaRef,
    /// Of what goes out.
    schema: SchemaRef,
    codecs: [RowCodec; 2],
    rows: Vec<u32>,
    kinds: Vec<RowKind>,
    others: ByteRows,
}

impl Pairs {
    pub(crate) fn new(
        keys: &JoinKeys,
        left: &SchemaRef,
        right: &SchemaRef,
        schema: &SchemaRef,
    ) -> FlowResult<Self> {
        let fields = left.fields().iter().chain(right.fields());
        let fields: Vec<_> = fields.map(|field| (**field).clone().with_nullable(true)).collect();
        Ok(Self {
            expression: keys.condition.clone(),
            pairs: Arc::new(Schema::new(fields)),
            schema: schema.clone(),
            codecs: [RowCodec::all(left)?, RowCodec::all(right)?],
            rows: Vec::new(),
            kinds: Vec::new(),
            others: ByteRows::default(),
        })
    }

    /// A row of the batch and one of the other side.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, kind: RowKind, other: &[u8]) {
        self.rows.push(row as u32);
        self.kinds.push(kind);
        self.others.push(other);
    }

    /// True if there are as many as go out at once.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_PER_BATCH
    }

    /// Gives those that fulfil the condition. The rows are those of input `side`.
    pub(crate) fn give(
        &mut self,
        side: usize,
        batch: &ChangelogBatch,
        out: &mut dyn Output,
    ) -> FlowResult {
        if self.rows.is_empty() {
            return Ok(());
        }
        let at = UInt32Array::from(std::mem::take(&mut self.rows));
        let mut kinds = std::mem::take(&mut self.kinds);
        let own = batch.rows.columns().iter().map(|column| take(column, &at, None));
        let own = own.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
        let other = self.codecs[1 - side].decode(self.others.iter())?;
        self.others.clear();
        let mut columns: Vec<ArrayRef> = match side {
            0 => own.into_iter().chain(other).collect(),
            _ => other.into_iter().chain(own).collect(),
        };
        if let Some(expression) = &self.expression {
            let pairs = make_rows(&self.pairs, columns.clone(), kinds.len())?;
            let mask = condition(&**expression, &pairs)?;
            if mask.true_count() == 0 {
                return Ok(());
            }
            if mask.true_count() < mask.len() {
                let kept = columns.iter().map(|column| filter(column, &mask));
                columns = kept.collect::<Result<_, _>>().map_err(arrow_error)?;
                kinds = kept_kinds(&kinds, &mask);
            }
        }
        let rows = make_rows(&self.schema, columns, kinds.len())?;
        out.emit(ChangelogBatch::new(rows, kinds).boxed())
    }
}

fn kept_kinds(kinds: &[RowKind], mask: &BooleanArray) -> Vec<RowKind> {
    let kept = kinds.iter().zip(mask).filter(|(_, kept)| *kept == Some(true));
    kept.map(|(kind, _)| *kind).collect()
}
