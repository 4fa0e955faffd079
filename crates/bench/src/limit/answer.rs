//! Answers that can be compared: the number of rows and a sum of their digests, which does not
//! depend on their order.

use compact_str::CompactString;
use hurtig::{
    connector::{Sink, SinkWriter, WriterContext},
    prelude::*,
};
use hurtig_nexmark::Bid;
use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Barriers that writers have seen since they were last forgotten.
static BARRIERS: AtomicU64 = AtomicU64::new(0);

/// Number of checkpoints since the last call of [`forget_checkpoints`], times that of writers.
pub fn checkpoints() -> u64 {
    BARRIERS.load(Relaxed)
}

/// Counts from 0 again.
pub fn forget_checkpoints() {
    BARRIERS.store(0, Relaxed);
}

/// What came out of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    rows: i64,
    digest: i64,
}

impl Answer {
    /// Adds a row.
    #[inline]
    pub fn add(&mut self, row: &impl Row) {
        self.rows += 1;
        self.digest = self.digest.wrapping_add(row.digest() as i64);
    }
}

/// A row with a digest of all its columns.
pub trait Row {
    /// The digest.
    fn digest(&self) -> u64;
}

#[inline]
fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

#[inline]
fn text(value: &str) -> u64 {
    let bytes = value.as_bytes();
    let first = bytes.first().copied().unwrap_or(0);
    let last = bytes.last().copied().unwrap_or(0);
    bytes.len() as u64 | u64::from(first) << 32 | u64::from(last) << 40
}

impl Row for Bid {
    #[inline]
    fn digest(&self) -> u64 {
        let numbers = mix(mix(mix(1, self.auction as u64), self.bidder as u64), self.price as u64);
        let texts = mix(mix(numbers, text(&self.channel)), text(&self.url));
        mix(mix(texts, self.date_time as u64), text(&self.extra))
    }
}

impl Row for (i64, i64) {
    #[inline]
    fn digest(&self) -> u64 {
        mix(mix(2, self.0 as u64), self.1 as u64)
    }
}

impl Row for (i64, i64, i64, i64) {
    #[inline]
    fn digest(&self) -> u64 {
        mix(mix(mix(mix(3, self.0 as u64), self.1 as u64), self.2 as u64), self.3 as u64)
    }
}

impl Row for (CompactString, CompactString, CompactString, i64) {
    #[inline]
    fn digest(&self) -> u64 {
        let texts = mix(mix(mix(4, text(&self.0)), text(&self.1)), text(&self.2));
        mix(texts, self.3 as u64)
    }
}

impl Row for (CompactString, u64) {
    #[inline]
    fn digest(&self) -> u64 {
        let bytes = self.0.bytes();
        mix(bytes.fold(5, |hash, byte| mix(hash, u64::from(byte))), self.1)
    }
}

/// Digests what it gets; the sum is read from the job's accumulators.
struct DigestSink<T>(PhantomData<fn(T)>);

struct DigestWriter<T> {
    answer: Answer,
    context: WriterContext,
    types: PhantomData<fn(T)>,
}

impl<T> Sink for DigestSink<T>
where
    T: Row + Clone + Send + Serialize + for<'de> Deserialize<'de> + 'static,
{
    type Input = T;
    type Committable = ();

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, ()>>, BoxError> {
        Ok(Box::new(DigestWriter { answer: Answer::default(), context, types: PhantomData }))
    }
}

impl<T: Row> SinkWriter<T, ()> for DigestWriter<T> {
    fn write(&mut self, batch: hurtig::Batch<T>) -> Result<(), BoxError> {
        batch.values.iter().for_each(|row| self.answer.add(row));
        Ok(())
    }

    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError> {
        if end_of_input {
            self.context.accumulators.add_long("rows", self.answer.rows)?;
            // In halves: the accumulator's sum must not saturate.
            let digest = self.answer.digest as u64;
            self.context.accumulators.add_long("low", (digest & 0xFFFF_FFFF) as i64)?;
            self.context.accumulators.add_long("high", (digest >> 32) as i64)?;
        } else {
            BARRIERS.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

/// Executes a job whose last stream is `rows`, and digests them.
pub fn execute<T>(
    env: &StreamExecutionEnvironment,
    rows: &DataStream<T>,
) -> Result<Answer, ExecuteError>
where
    T: Row + Clone + Send + Serialize + for<'de> Deserialize<'de> + 'static,
{
    rows.sink_to(DigestSink(PhantomData));
    let result = env.execute("limit")?;
    let sum = |name: &str| result.counter(name).unwrap_or(0);
    let digest = (sum("low") as u64).wrapping_add((sum("high") as u64) << 32);
    Ok(Answer { rows: sum("rows"), digest: digest as i64 })
}
