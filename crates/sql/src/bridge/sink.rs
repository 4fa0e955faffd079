//! The rows of a query as a stream of records.

use std::{marker::PhantomData, sync::Arc};

use arrow_array::{Array, ArrayRef, cast::AsArray, types::*};
use arrow_schema::{DataType, TimeUnit};
use hurtig::{
    Batch,
    operator::{Operator, OperatorContext, OperatorFactory, Output},
};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::{BoxedPayload, FlowError, FlowResult, Record};

use super::ChangelogRow;
use crate::values::{RowReader, RowValueError};

/// Makes records of type `R` of rows of type `T`.
pub(crate) trait Making<R, T>: Clone + Send + Sync + 'static {
    fn record(&self, kind: RowKind, row: T) -> R;
}

/// Rows are the records.
#[derive(Clone, Copy)]
pub(crate) struct Rows;

impl<T> Making<T, T> for Rows {
    fn record(&self, _: RowKind, row: T) -> T {
        row
    }
}

/// Records say what rows do.
#[derive(Clone, Copy)]
pub(crate) struct Changes;

impl<T> Making<ChangelogRow<T>, T> for Changes {
    fn record(&self, kind: RowKind, row: T) -> ChangelogRow<T> {
        ChangelogRow { kind, row }
    }
}

/// The operator behind a query.
pub(crate) struct TableToStream<R, T, M> {
    names: Arc<[String]>,
    rowtime: Option<usize>,
    making: M,
    types: PhantomData<fn() -> (R, T)>,
}

impl<R: Record, T: Record, M: Making<R, T>> TableToStream<R, T, M> {
    /// Of rows whose columns have these names, and of which that one is the event time.
    pub(crate) fn new(names: Vec<String>, rowtime: Option<usize>, making: M) -> Self {
        Self { names: names.into(), rowtime, making, types: PhantomData }
    }
}

impl<R: Record, T: Record, M: Making<R, T>> OperatorFactory for TableToStream<R, T, M> {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let (names, making) = (self.names.clone(), self.making.clone());
        let converter =
            Converter::<R, T, M> { names, rowtime: self.rowtime, making, types: PhantomData };
        Ok(Box::new(converter))
    }
}

struct Converter<R, T, M> {
    names: Arc<[String]>,
    rowtime: Option<usize>,
    making: M,
    types: PhantomData<fn() -> (R, T)>,
}

impl<R: Record, T: Record, M: Making<R, T>> Converter<R, T, M> {
    fn records(&self, batch: &ChangelogBatch) -> Result<Batch<R>, RowValueError> {
        let reader = RowReader::new(&batch.rows, &self.names)?;
        let rows = 0..batch.rows.num_rows();
        let records = rows.map(|row| {
            let value: T = reader.read(row)?;
            Ok(self.making.record(batch.kind(row), value))
        });
        let records = records.collect::<Result<Vec<R>, RowValueError>>()?;
        match self.rowtime {
            Some(column) => {
                let times = timestamps(batch.rows.column(column))?;
                Ok(Batch::with_timestamps(records, times))
            }
            None => Ok(Batch::new(records)),
        }
    }
}

/// The event times of rows.
fn timestamps(column: &ArrayRef) -> Result<Vec<i64>, RowValueError> {
    if column.null_count() > 0 {
        return Err(RowValueError("the event time of a row is NULL".to_owned()));
    }
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(column.as_primitive::<TimestampMillisecondType>().values().to_vec())
        }
        other => Err(RowValueError(format!("an event time of type {other}"))),
    }
}

impl<R: Record, T: Record, M: Making<R, T>> Operator for Converter<R, T, M> {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = ChangelogBatch::from_payload(batch)?;
        out.emit(self.records(&batch).map_err(FlowError::user)?.boxed())
    }
}
