//! What a function of the index returns, at a bounded rate, as Flink's `DataGeneratorSource`.
//!
//! Each reader gets one contiguous range of indices, and its share of the rate. The position is
//! the next index; what a rate has missed is not part of it.
//!
//! # Rate
//!
//! Records are due at even distances from the first read on. A reader that is late catches up, but
//! for no more than [`MAX_CATCH_UP_MS`]: what was missed before that stays missed, so a long stall
//! is not followed by a flood. A reader with nothing due says when it will have, and never sleeps.

use std::{collections::VecDeque, sync::Arc};

use hurtig_connector_api::{
    Boundedness, PendingInput, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_env::Clock;
use hurtig_types::{BoxError, Record};
use serde::{Deserialize, Serialize};

use crate::splits::{StaticEnumerator, part_of};

/// How much lateness a limited reader makes up for, in milliseconds.
pub const MAX_CATCH_UP_MS: i64 = 1000;

/// A source of `f(0)`, `f(1)`, and so on.
pub struct DataGeneratorSource<F> {
    f: Arc<F>,
    count: Option<u64>,
    rate_per_second: Option<f64>,
}

impl<T, F> DataGeneratorSource<F>
where
    T: Record,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    /// `count` values of `f` (`None`: no end), over all readers `rate_per_second` of them (`None`:
    /// as fast as it goes).
    pub fn new(f: F, count: Option<u64>, rate_per_second: Option<f64>) -> Self {
        Self { f: Arc::new(f), count, rate_per_second }
    }

    fn rate_is_valid(&self) -> Result<(), BoxError> {
        match self.rate_per_second {
            Some(rate) if !rate.is_finite() || rate <= 0.0 => {
                Err(format!("a rate must be above 0 per second, got {rate}").into())
            }
            _ => Ok(()),
        }
    }
}

/// A range of indices that has some left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSplit {
    part: u32,
    next: u64,
    end: u64,
}

impl GeneratorSplit {
    /// How many indices are left.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

impl SourceSplit for GeneratorSplit {
    fn split_id(&self) -> String {
        self.part.to_string()
    }
}

impl<T, F> Source for DataGeneratorSource<F>
where
    T: Record,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    type Record = T;
    type Split = GeneratorSplit;

    fn boundedness(&self) -> Boundedness {
        match self.count {
            Some(_) => Boundedness::Bounded,
            None => Boundedness::Unbounded,
        }
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<GeneratorSplit>>, BoxError> {
        self.rate_is_valid()?;
        let count = u128::from(self.count.unwrap_or(u64::MAX));
        let splits = (0..parallelism).filter_map(|part| {
            let (start, end) = part_of(count, part, parallelism);
            (start < end).then_some(GeneratorSplit { part, next: start as u64, end: end as u64 })
        });
        Ok(Box::new(StaticEnumerator::new(splits, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<GeneratorSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<GeneratorSplit>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, GeneratorSplit>>, BoxError> {
        self.rate_is_valid()?;
        let share = f64::from(context.parallelism.max(1));
        Ok(Box::new(GeneratorReader {
            f: self.f.clone(),
            pace: self.rate_per_second.map(|rate| Pace::new(context.clock, rate / share)),
            splits: VecDeque::new(),
        }))
    }
}

/// When records are due.
struct Pace {
    clock: Clock,
    interval_ms: f64,
    /// Wall time of the first read.
    started_ms: Option<i64>,
    /// When the next record is due, in milliseconds after the first read.
    next_due_ms: f64,
}

impl Pace {
    fn new(clock: Clock, rate_per_second: f64) -> Self {
        Self { clock, interval_ms: 1000.0 / rate_per_second, started_ms: None, next_due_ms: 0.0 }
    }

    /// How many of at most `wanted` records are due, or the wall time at which one will be.
    fn due(&mut self, wanted: u64) -> Result<u64, i64> {
        let now_ms = self.clock.now_ms();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        let elapsed_ms = (now_ms - started_ms) as f64;
        self.next_due_ms = self.next_due_ms.max(elapsed_ms - MAX_CATCH_UP_MS as f64);
        if self.next_due_ms > elapsed_ms {
            // Beyond what a wall time can hold, the cast saturates: that is never, too.
            return Err(started_ms.saturating_add(self.next_due_ms.ceil() as i64));
        }
        let due = ((elapsed_ms - self.next_due_ms) / self.interval_ms) as u64;
        let count = due.saturating_add(1).min(wanted);
        self.next_due_ms += count as f64 * self.interval_ms;
        Ok(count)
    }
}

struct GeneratorReader<F> {
    f: Arc<F>,
    pace: Option<Pace>,
    splits: VecDeque<GeneratorSplit>,
}

impl<T, F> SourceReader<T, GeneratorSplit> for GeneratorReader<F>
where
    T: Record,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    fn add_splits(&mut self, splits: Vec<GeneratorSplit>) -> Result<(), BoxError> {
        self.splits.extend(splits);
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(split) = self.splits.front_mut() else {
            return Ok(ReadStatus::NeedSplit);
        };
        out.split = split.part;
        let mut count = split.remaining().min(max_records.max(1) as u64);
        if let Some(pace) = &mut self.pace
            && count > 0
        {
            match pace.due(count) {
                Ok(due) => count = due,
                Err(due_ms) => {
                    return Ok(ReadStatus::Wait { until_ms: Some(due_ms) });
                }
            }
        }
        let until = split.next + count;
        out.values.extend((split.next..until).map(|i| (self.f)(i)));
        split.next = until;
        if split.next >= split.end {
            self.splits.pop_front();
            out.split_finished = true;
        }
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<GeneratorSplit> {
        self.splits.iter().cloned().collect()
    }

    fn pending(&self) -> PendingInput {
        let records = self.splits.iter().map(GeneratorSplit::remaining);
        PendingInput { records: Some(records.fold(0, u64::saturating_add)), bytes: None }
    }
}
