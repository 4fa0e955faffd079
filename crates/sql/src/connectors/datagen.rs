//! The connector `datagen`: rows from nowhere, at a rate.
//!
//! - `field`: what each field is, from its options.
//! - `column`: its values as columns.
//!
//! A value is a function of the row's index and the field, so that a job that goes on from a checkpoint
//! gives the rows that it would have given; only current times differ. With `p` readers, each has a
//! contiguous range of rows, and its share of the rate; an endless table is dealt out in turn.

mod column;
mod field;

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use hurtig_connector_api::{Boundedness, SourceSplit, SplitEnumerator};
use hurtig_connectors::splits::StaticEnumerator;
use hurtig_env::Clock;
use hurtig_operator_api::{OperatorContext, OperatorFactory};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode};
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

use self::field::FieldGenerator;
use super::{
    api::{Scan, ScanColumn, TableError, TableFactory, TableSink, TableSource, TableSpec},
    options::{TableOptions, invalid},
    source::{ROWS_PER_BATCH, Read, SplitReader, TableReading, TableSourceFactory},
};

/// Rows per second if nothing is said.
const DEFAULT_RATE: u64 = 10_000;
/// How much lateness a reader makes up for, in milliseconds.
const MAX_CATCH_UP_MS: i64 = 1000;

/// The factory.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatagenFactory;

impl TableFactory for DatagenFactory {
    fn identifier(&self) -> &'static str {
        "datagen"
    }

    fn required_options(&self) -> &'static [&'static str] {
        &[]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &[
            "rows-per-second",
            "number-of-rows",
            "scan.parallelism",
            "fields.#.kind",
            "fields.#.min",
            "fields.#.max",
            "fields.#.max-past",
            "fields.#.length",
            "fields.#.var-len",
            "fields.#.start",
            "fields.#.end",
            "fields.#.null-rate",
        ]
    }

    fn source(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        let options = TableOptions(&table.options);
        for key in table.options.keys() {
            let Some(rest) = key.strip_prefix("fields.") else { continue };
            let of = |(name, _): &(String, _)| {
                rest.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            if !table.columns.iter().any(of) {
                return Err(TableError(format!(
                    "Unsupported options found for 'datagen'. Unsupported options: {key}. There is \
                     no such field."
                )));
            }
        }
        let mut fields = Vec::new();
        for (name, data_type) in &table.columns {
            fields.push(FieldGenerator::of(options, name, data_type)?);
        }
        let rate = options.parsed::<u64>("rows-per-second")?.unwrap_or(DEFAULT_RATE);
        if rate == 0 {
            return Err(invalid("rows-per-second", "0", &"it must be greater than 0"));
        }
        let number = options.parsed::<u64>("number-of-rows")?;
        let sequences = fields.iter().filter_map(FieldGenerator::rows);
        Ok(Some(Arc::new(DatagenTable {
            rows: number.into_iter().chain(sequences).min(),
            fields: fields.into(),
            rate,
            parallelism: options.parallelism("scan.parallelism")?,
        })))
    }

    fn sink(&self, _: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        Ok(None)
    }
}

struct DatagenTable {
    fields: Arc<[FieldGenerator]>,
    rows: Option<u64>,
    rate: u64,
    parallelism: Option<u32>,
}

impl TableSource for DatagenTable {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::INSERT_ONLY
    }

    fn boundedness(&self) -> Boundedness {
        match self.rows {
            Some(_) => Boundedness::Bounded,
            None => Boundedness::Unbounded,
        }
    }

    fn takes_limit(&self) -> bool {
        true
    }

    fn ends_at_limit(&self) -> bool {
        true
    }

    fn parallelism(&self) -> Option<u32> {
        self.parallelism
    }

    fn factory(&self, scan: Scan) -> Result<Arc<dyn OperatorFactory>, TableError> {
        let mut fields = Vec::new();
        for column in &scan.columns {
            let ScanColumn::Physical { column, path } = column else {
                return Err(TableError("datagen has no metadata".to_owned()));
            };
            let lost = || TableError(format!("internal: there is no column {column} {path:?}"));
            let whole = self.fields.get(*column).ok_or_else(lost)?;
            fields.push(whole.inside(path).ok_or_else(lost)?);
        }
        let Scan { schema, watermark, gate, limit, .. } = scan;
        // As in Flink, a limit is a number of rows over all readers, and ends the table.
        let rows = self.rows.into_iter().chain(limit).min();
        let reading = DatagenReading { fields: fields.into(), rows, rate: self.rate, schema };
        Ok(Arc::new(TableSourceFactory::new(reading, watermark).behind(gate)))
    }
}

#[derive(Clone)]
struct DatagenReading {
    fields: Arc<[FieldGenerator]>,
    rows: Option<u64>,
    rate: u64,
    schema: SchemaRef,
}

/// The rows of one reader: `next`, and every `step`-th behind it up to `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DatagenSplit {
    part: u32,
    next: u64,
    step: u64,
    end: u64,
}

impl SourceSplit for DatagenSplit {
    fn split_id(&self) -> String {
        self.part.to_string()
    }
}

impl TableReading for DatagenReading {
    type Split = DatagenSplit;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<DatagenSplit>>, BoxError> {
        let parts = u64::from(parallelism.max(1));
        let splits = (0..parallelism.max(1)).map(|part| match self.rows {
            Some(rows) => {
                let at =
                    |part: u64| (u128::from(rows) * u128::from(part) / u128::from(parts)) as u64;
                let part64 = u64::from(part);
                DatagenSplit { part, next: at(part64), step: 1, end: at(part64 + 1) }
            }
            None => DatagenSplit { part, next: u64::from(part), step: parts, end: u64::MAX },
        });
        Ok(Box::new(StaticEnumerator::new(splits, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<DatagenSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<DatagenSplit>::restored(state, parallelism)?))
    }

    fn open(
        &self,
        split: DatagenSplit,
        context: &OperatorContext,
    ) -> Result<Box<dyn SplitReader<DatagenSplit>>, BoxError> {
        let rate = self.rate as f64 / f64::from(context.parallelism.max(1));
        Ok(Box::new(DatagenReader {
            reading: self.clone(),
            pace: Pace { clock: context.clock, rate, started_ms: None, given: 0.0 },
            split,
        }))
    }
}

/// When rows are due.
struct Pace {
    clock: Clock,
    rate: f64,
    started_ms: Option<i64>,
    /// Rows since the start, and what was missed for good.
    given: f64,
}

impl Pace {
    /// How many of at most `wanted` rows are due, or the wall time at which one is.
    fn due(&mut self, wanted: u64) -> Result<u64, i64> {
        let now_ms = self.clock.now_ms();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        let rows_until = |ms: i64| (ms - started_ms) as f64 * self.rate / 1000.0;
        // The first row is due at once.
        let due = rows_until(now_ms) + 1.0;
        self.given = self.given.max(rows_until(now_ms - MAX_CATCH_UP_MS));
        let count = (due - self.given) as u64;
        if count == 0 {
            let wait_ms = ((self.given + 1.0 - due) * 1000.0 / self.rate).ceil();
            return Err(now_ms.saturating_add((wait_ms as i64).max(1)));
        }
        let count = count.min(wanted);
        self.given += count as f64;
        Ok(count)
    }
}

struct DatagenReader {
    reading: DatagenReading,
    pace: Pace,
    split: DatagenSplit,
}

impl SplitReader<DatagenSplit> for DatagenReader {
    fn read(&mut self, max_rows: usize) -> Result<Read, BoxError> {
        let DatagenSplit { next, step, end, .. } = self.split;
        if next >= end {
            return Ok(Read::End);
        }
        let left = (end - next).div_ceil(step);
        let most = left.min(max_rows.clamp(1, ROWS_PER_BATCH) as u64);
        let count = match self.pace.due(most) {
            Ok(count) => count,
            Err(due_ms) => return Ok(Read::Wait(due_ms)),
        };
        let rows: Vec<u64> = (0..count).map(|nth| next.wrapping_add(nth * step)).collect();
        let now_ms = self.pace.clock.now_ms();
        let columns = self.reading.fields.iter().map(|field| column::of(field, &rows, now_ms));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = self.reading.schema.clone();
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        self.split.next = next.saturating_add(count.saturating_mul(step));
        Ok(Read::Rows(ChangelogBatch::inserts(batch)))
    }

    fn position(&mut self) -> Result<DatagenSplit, BoxError> {
        Ok(self.split.clone())
    }
}
