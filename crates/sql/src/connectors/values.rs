//! Rows that are given in the program: for tests, and for what the planner knows beforehand.
//!
//! Reader 0 reads them, in order; the position is the next row.

use std::sync::Arc;

use hurtig_connector_api::{SourceSplit, SplitEnumerator};
use hurtig_connectors::splits::StaticEnumerator;
use hurtig_operator_api::{OperatorContext, OperatorFactory};
use hurtig_sql_common::ChangelogBatch;
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

use super::{
    api::ScanWatermark,
    source::{Read, SplitReader, TableReading, TableSourceFactory},
};

/// A source of rows; batches are emitted as they are given, but for their size.
#[must_use]
pub fn values(
    batches: Vec<ChangelogBatch>,
    watermark: Option<ScanWatermark>,
) -> Arc<dyn OperatorFactory> {
    Arc::new(TableSourceFactory::new(Values(batches.into()), watermark))
}

struct Values(Arc<[ChangelogBatch]>);

/// How many rows were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ValuesSplit {
    batch: usize,
    row: usize,
}

impl SourceSplit for ValuesSplit {
    fn split_id(&self) -> String {
        "values".to_owned()
    }
}

impl TableReading for Values {
    type Split = ValuesSplit;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<ValuesSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::new([ValuesSplit { batch: 0, row: 0 }], parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<ValuesSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<ValuesSplit>::restored(state, parallelism)?))
    }

    fn open(
        &self,
        split: ValuesSplit,
        _: &OperatorContext,
    ) -> Result<Box<dyn SplitReader<ValuesSplit>>, BoxError> {
        Ok(Box::new(ValuesReader { batches: self.0.clone(), split }))
    }
}

struct ValuesReader {
    batches: Arc<[ChangelogBatch]>,
    split: ValuesSplit,
}

impl SplitReader<ValuesSplit> for ValuesReader {
    fn read(&mut self, max_rows: usize) -> Result<Read, BoxError> {
        let Some(batch) = self.batches.get(self.split.batch) else { return Ok(Read::End) };
        let left = batch.rows.num_rows().saturating_sub(self.split.row);
        let count = left.min(max_rows.max(1));
        let rows = batch.slice(self.split.row, count);
        self.split.row += count;
        if count == left {
            self.split = ValuesSplit { batch: self.split.batch + 1, row: 0 };
        }
        Ok(Read::Rows(rows))
    }

    fn position(&mut self) -> Result<ValuesSplit, BoxError> {
        Ok(self.split.clone())
    }
}
