//! Pairs of rows of both sides of a join, a batch at a time.
//!
//! Rows meet one by one, but the join's condition is evaluated over many pairs at once, and what
//! passes is given as it stands: nothing is computed per pair. A row of many pairs becomes columns
//! once.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
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

/// Gathers pairs of rows.
pub(super) struct Pairs {
    expression: Option<SharedExpression>,
    /// Of both sides; all may be NULL: what is nullable in a join's output need not be here, and
    /// the other way round.
    schema: SchemaRef,
    codecs: [RowCodec; 2],
    rows: [ByteRows; 2],
    /// Of each pair, the rows.
    at: [Vec<u32>; 2],
    kinds: Vec<RowKind>,
}

/// Pairs as columns: left, then right.
pub(super) struct Joined {
    columns: Vec<ArrayRef>,
    kinds: Vec<RowKind>,
    /// Which fulfil the condition; `None`: all.
    mask: Option<BooleanArray>,
}

impl Pairs {
    pub(super) fn new(keys: &JoinKeys, left: &SchemaRef, right: &SchemaRef) -> FlowResult<Self> {
        let fields = left.fields().iter().chain(right.fields());
        let fields: Vec<_> = fields.map(|field| (**field).clone().with_nullable(true)).collect();
        Ok(Self {
            expression: keys.condition.clone(),
            schema: Arc::new(Schema::new(fields)),
            codecs: [RowCodec::all(left)?, RowCodec::all(right)?],
            rows: <[ByteRows; 2]>::default(),
            at: <[Vec<u32>; 2]>::default(),
            kinds: Vec::new(),
        })
    }

    /// The number of a row of a side, for the pairs until they are joined.
    #[inline]
    pub(super) fn row(&mut self, side: usize, row: &[u8]) -> u32 {
        self.rows[side].push(row)
    }

    /// A pair of rows: their numbers, or those that they have in a batch.
    #[inline]
    pub(super) fn push(&mut self, kind: RowKind, left: u32, right: u32) {
        self.at[0].push(left);
        self.at[1].push(right);
        self.kinds.push(kind);
    }

    /// True if there are as many as are joined at once.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.kinds.len() >= ROWS_PER_BATCH
    }

    /// True if pairs must fulfil something.
    pub(super) fn has_condition(&self) -> bool {
        self.expression.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Which of some pairs of rows fulfil the condition; `None`: all do. Nothing else is being gathered.
    pub(super) fn matching<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> FlowResult<Option<Vec<bool>>> {
        if !self.has_condition() {
            return Ok(None);
        }
        for (left, right) in pairs {
            let (left, right) = (self.row(0, left), self.row(1, right));
            self.push(RowKind::Insert, left, right);
        }
        if self.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.join(None)?.holds().collect()))
    }

    /// What has been gathered. With `batch`, the numbers of a side are those of its rows.
    pub(super) fn join(&mut self, batch: Option<(usize, &RecordBatch)>) -> FlowResult<Joined> {
        let kinds = std::mem::take(&mut self.kinds);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for side in 0..2 {
            let at = std::mem::take(&mut self.at[side]);
            let rows = match batch {
                Some((given, batch)) if given == side => batch.columns().to_vec(),
                _ => self.codecs[side].decode(self.rows[side].iter())?,
            };
            self.rows[side].clear();
            columns.extend(repeated(rows, at)?);
        }
        let mask = match &self.expression {
            None => None,
            Some(expression) => {
                let pairs = make_rows(&self.schema, columns.clone(), kinds.len())?;
                let mask = condition(&**expression, &pairs)?;
                (mask.true_count() < mask.len()).then_some(mask)
            }
        };
        Ok(Joined { columns, kinds, mask })
    }
}

/// Rows as often as pairs have them.
fn repeated(columns: Vec<ArrayRef>, at: Vec<u32>) -> FlowResult<Vec<ArrayRef>> {
    let in_order = at.iter().enumerate().all(|(index, row)| index == *row as usize);
    if in_order && columns.first().is_none_or(|column| column.len() == at.len()) {
        return Ok(columns);
    }
    let at = UInt32Array::from(at);
    columns.iter().map(|column| take(column, &at, None).map_err(arrow_error)).collect()
}

impl Joined {
    /// For each pair, whether it fulfils the condition.
    pub(super) fn holds(&self) -> impl Iterator<Item = bool> + '_ {
        let mask = self.mask.as_ref();
        (0..self.kinds.len())
            .map(move |pair| mask.is_none_or(|mask| mask.is_valid(pair) && mask.value(pair)))
    }

    /// Gives those that fulfil the condition.
    pub(super) fn give(mut self, schema: &SchemaRef, out: &mut dyn Output) -> FlowResult {
        if let Some(mask) = &self.mask {
            if mask.true_count() == 0 {
                return Ok(());
            }
            let kinds = self.kinds.iter().zip(self.holds()).filter(|(_, holds)| *holds);
            let kinds = kinds.map(|(kind, _)| *kind).collect();
            let kept = self.columns.iter().map(|column| filter(column, mask));
            self.columns = kept.collect::<Result<_, _>>().map_err(arrow_error)?;
            self.kinds = kinds;
        }
        if self.kinds.is_empty() {
            return Ok(());
        }
        let rows = make_rows(schema, self.columns, self.kinds.len())?;
        out.emit(ChangelogBatch::new(rows, self.kinds).boxed())
    }
}
