//! The first of two phases of window aggregates: what a batch has per key and slice.
//!
//! Rows that are late go on: only the second phase knows, by the watermark of all its inputs.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{ArrayRef, BinaryArray, UInt32Array};
use arrow_select::take::take;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::ChangelogBatch;
use hurtig_types::{BoxedPayload, FlowError, FlowResult};

use crate::{
    aggregates::Aggregates,
    config::LocalWindowAggregate,
    rows::{Grouping, RowCodec, arrow_error, make_rows, rows_of},
    time::{rowtimes, timestamps, to_local},
};

struct LocalWindows {
    config: LocalWindowAggregate,
    aggregates: Aggregates,
    keys: RowCodec,
}

impl OperatorFactory for LocalWindowAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        self.window.check().map_err(FlowError::user)?;
        Ok(Box::new(LocalWindows {
            aggregates: Aggregates::new(&self.calls, &self.input)?,
            keys: RowCodec::new(&self.input, &self.keys)?,
            config: self.clone(),
        }))
    }
}

impl Operator for LocalWindows {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = rows_of(batch)?;
        let rows = batch.rows.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let keys = self.keys.encode(&batch.rows)?;
        let by_key = Grouping::of(&keys, rows)?;
        let times = rowtimes(batch.rows.column(self.config.time))?;
        // Rows of one key and slice are one group; its first row has the key.
        let mut numbers: HashMap<(u32, i64), u32> = HashMap::new();
        let (mut first, mut slices) = (Vec::new(), Vec::new());
        let mut groups = Vec::with_capacity(rows);
        for (row, (key, time)) in by_key.groups.iter().zip(times.values()).enumerate() {
            let slice = self.config.window.slice_of(to_local(*time, self.config.zone));
            let next = slices.len() as u32;
            let group = *numbers.entry((*key, slice.0)).or_insert(next);
            if group == next {
                first.push(row as u32);
                slices.push(slice);
            }
            groups.push(group);
        }
        let retracts: Option<Vec<bool>> =
            batch.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| !kind.adds()).collect());
        let mut states: Vec<_> = slices.iter().map(|_| self.aggregates.empty()).collect();
        let retracts = retracts.as_deref();
        self.aggregates.accumulate(&mut states, &groups, &batch.rows, None, retracts)?;
        let first = UInt32Array::from(first);
        let keys = self.config.keys.iter().map(|at| take(batch.rows.column(*at), &first, None));
        let mut columns: Vec<ArrayRef> = keys.collect::<Result<_, _>>().map_err(arrow_error)?;
        let bytes =
            states.iter().map(hurtig_types::codec::encode).collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(BinaryArray::from_iter_values(&bytes)));
        let (starts, ends): (Vec<i64>, Vec<i64>) = slices.into_iter().unzip();
        for times in [starts, ends] {
            let field = self.config.schema.fields().get(columns.len());
            let field = field.ok_or_else(|| FlowError::internal("a slice without bounds"))?;
            columns.push(timestamps(times, field.data_type())?);
        }
        let rows = make_rows(&self.config.schema, columns, states.len())?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}
