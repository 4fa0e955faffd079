//! The first of two phases, and what it writes.

use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::ChangelogBatch;
use hurtig_types::{FlowError, FlowResult};

use crate::{
    aggregates::{Accumulator, Aggregates},
    config::LocalGroupAggregate,
    rows::{Grouping, RowCodec, arrow_error, make_rows, rows_of},
};

/// What [`LocalGroupAggregate`] and its like wrote.
pub(crate) fn decode_partials(
    rows: &RecordBatch,
    column: usize,
    aggregates: &Aggregates,
) -> FlowResult<Vec<Accumulator>> {
    let column = rows.column(column).as_any().downcast_ref::<arrow_array::BinaryArray>();
    let column = column.ok_or_else(|| FlowError::internal("partial results are no bytes"))?;
    let distinct = aggregates.calls.iter().filter(|call| call.distinct).count();
    column
        .iter()
        .map(|bytes| {
            let partial: Accumulator = hurtig_types::codec::decode(bytes.unwrap_or_default())?;
            if partial.states.len() != aggregates.calls.len() || partial.distinct.len() != distinct
            {
                return Err(FlowError::internal("partial results are of other calls"));
            }
            Ok(partial)
        })
        .collect()
}

/// The first of two phases. Keeps nothing between batches.
struct LocalOperator {
    aggregates: Aggregates,
    keys: RowCodec,
    key_columns: Vec<usize>,
    schema: SchemaRef,
}

impl OperatorFactory for LocalGroupAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(LocalOperator {
            aggregates: Aggregates::new(&self.calls, &self.input)?,
            keys: RowCodec::new(&self.input, &self.keys)?,
            key_columns: self.keys.clone(),
            schema: self.schema.clone(),
        }))
    }
}

impl Operator for LocalOperator {
    fn process(
        &mut self,
        _: usize,
        batch: hurtig_types::BoxedPayload,
        out: &mut dyn Output,
    ) -> FlowResult {
        let batch = rows_of(batch)?;
        let keys = self.keys.encode(&batch.rows)?;
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        let mut groups: Vec<_> = grouping.first.iter().map(|_| self.aggregates.empty()).collect();
        let retracts: Option<Vec<bool>> =
            batch.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| !kind.adds()).collect());
        let retracts = retracts.as_deref();
        self.aggregates.accumulate(&mut groups, &grouping.groups, &batch.rows, None, retracts)?;
        let first = UInt32Array::from(grouping.first);
        let keys = self.key_columns.iter().map(|at| take(batch.rows.column(*at), &first, None));
        let mut columns = keys.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
        let bytes =
            groups.iter().map(hurtig_types::codec::encode).collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(arrow_array::BinaryArray::from_iter_values(&bytes)));
        let rows = make_rows(&self.schema, columns, groups.len())?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}
