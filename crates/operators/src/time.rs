//! Timestamps and watermarks.
//!
//! A [`WatermarkStrategy`] says how the records of a stream get their event time, how watermarks
//! follow from it, and after how long without records a stream counts as idle. It is applied by
//! the source, per split, or by an operator of its own.
//!
//! Watermarks are announced every `pipeline.auto-watermark-interval` of processing time, and once
//! more when the input ends. A watermark of `t` says that no record at or before `t` will follow.

use std::{sync::Arc, time::Duration};

use hurtig_env::Clock;
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_types::{
    Batch, BoxedPayload, FlowResult, MIN_TIMESTAMP, Record, StreamStatus, Watermark,
};

/// Generates watermarks from the timestamps of one stream or split. Called per batch.
pub trait WatermarkGenerator<T>: Send {
    /// Records with their timestamps. Returns a watermark that must follow at once (punctuated
    /// generators), if any.
    fn on_batch(&mut self, values: &[T], timestamps: &[i64]) -> Option<i64>;
    /// The watermark as of now.
    fn current(&self) -> i64;
}

/// The watermark trails the largest timestamp by a bound.
#[derive(Clone, Debug)]
pub struct BoundedOutOfOrderness {
    max_timestamp: i64,
    bound_ms: i64,
}

impl BoundedOutOfOrderness {
    /// A record may come this many milliseconds of event time late.
    pub fn new(bound_ms: i64) -> Self {
        // As Flink: far enough from the edge that the subtraction cannot overflow.
        Self { max_timestamp: MIN_TIMESTAMP.saturating_add(bound_ms).saturating_add(1), bound_ms }
    }
}

impl<T> WatermarkGenerator<T> for BoundedOutOfOrderness {
    fn on_batch(&mut self, _: &[T], timestamps: &[i64]) -> Option<i64> {
        let largest = timestamps.iter().copied().max().unwrap_or(MIN_TIMESTAMP);
        self.max_timestamp = self.max_timestamp.max(largest);
        None
    }

    fn current(&self) -> i64 {
        self.max_timestamp.saturating_sub(self.bound_ms).saturating_sub(1)
    }
}

/// Never a watermark.
#[derive(Clone, Debug)]
pub struct NoWatermarks;

impl<T> WatermarkGenerator<T> for NoWatermarks {
    fn on_batch(&mut self, _: &[T], _: &[i64]) -> Option<i64> {
        None
    }

    fn current(&self) -> i64 {
        MIN_TIMESTAMP
    }
}

/// A watermark whenever a function of a record gives one.
pub struct Punctuated<F> {
    f: F,
    current: i64,
}

impl<T, F: FnMut(&T, i64) -> Option<i64> + Send> WatermarkGenerator<T> for Punctuated<F> {
    fn on_batch(&mut self, values: &[T], timestamps: &[i64]) -> Option<i64> {
        let mut found = None;
        for (value, timestamp) in values.iter().zip(timestamps) {
            if let Some(watermark) = (self.f)(value, *timestamp)
                && watermark > self.current
            {
                self.current = watermark;
                found = Some(watermark);
            }
        }
        found
    }

    fn current(&self) -> i64 {
        self.current
    }
}

/// Assigns timestamps to a batch: overwrites the vector with one per value. The old timestamps,
/// if any, are passed in it.
type AssignTimestamps<T> = Arc<dyn Fn(&[T], &mut Vec<i64>) + Send + Sync>;
type CreateGenerator<T> = Arc<dyn Fn() -> Box<dyn WatermarkGenerator<T>> + Send + Sync>;

/// Settings of watermark alignment: sources of a group do not run ahead of each other by more than
/// the drift. Kept with the strategy for the source's coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkAlignment {
    /// Sources of the same group are aligned.
    pub group: String,
    /// How far one may be ahead of the slowest.
    pub max_drift: Duration,
    /// How often the group's watermark is announced.
    pub update_interval: Duration,
}

/// How a stream gets timestamps and watermarks.
pub struct WatermarkStrategy<T> {
    generator: CreateGenerator<T>,
    timestamps: Option<AssignTimestamps<T>>,
    idleness: Option<Duration>,
    alignment: Option<WatermarkAlignment>,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        Self {
            generator: self.generator.clone(),
            timestamps: self.timestamps.clone(),
            idleness: self.idleness,
            alignment: self.alignment.clone(),
        }
    }
}

impl<T: Record> WatermarkStrategy<T> {
    /// Watermarks by a generator of the user's own.
    pub fn for_generator<G, F>(create: F) -> Self
    where
        G: WatermarkGenerator<T> + 'static,
        F: Fn() -> G + Send + Sync + 'static,
    {
        Self {
            generator: Arc::new(move || Box::new(create())),
            timestamps: None,
            idleness: None,
            alignment: None,
        }
    }

    /// No watermarks at all.
    pub fn no_watermarks() -> Self {
        Self::for_generator(|| NoWatermarks)
    }

    /// For timestamps that never go back.
    pub fn for_monotonous_timestamps() -> Self {
        Self::for_generator(|| BoundedOutOfOrderness::new(0))
    }

    /// For records that come at most `bound` of event time late.
    pub fn for_bounded_out_of_orderness(bound: Duration) -> Self {
        let bound_ms = i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
        Self::for_generator(move || BoundedOutOfOrderness::new(bound_ms))
    }

    /// A watermark whenever `f(record, timestamp)` gives one.
    pub fn punctuated<F>(f: F) -> Self
    where
        F: FnMut(&T, i64) -> Option<i64> + Clone + Send + Sync + 'static,
    {
        Self::for_generator(move || Punctuated { f: f.clone(), current: MIN_TIMESTAMP })
    }

    /// Timestamps, in milliseconds, by a function of the record.
    #[must_use]
    pub fn with_timestamp_assigner(
        mut self,
        f: impl Fn(&T) -> i64 + Send + Sync + 'static,
    ) -> Self {
        self.timestamps = Some(Arc::new(move |values, timestamps| {
            timestamps.clear();
            timestamps.extend(values.iter().map(&f));
        }));
        self
    }

    /// After this long without records the stream counts as idle and holds nobody back.
    #[must_use]
    pub fn with_idleness(mut self, timeout: Duration) -> Self {
        self.idleness = Some(timeout);
        self
    }

    /// Aligns sources of the same group.
    #[must_use]
    pub fn with_watermark_alignment(mut self, alignment: WatermarkAlignment) -> Self {
        self.alignment = Some(alignment);
        self
    }

    /// The alignment, if one is set.
    pub fn alignment(&self) -> Option<&WatermarkAlignment> {
        self.alignment.as_ref()
    }

    /// A generator for one stream or split.
    pub fn create_generator(&self) -> Box<dyn WatermarkGenerator<T>> {
        (self.generator)()
    }

    /// Gives the records of a batch their timestamps.
    pub fn assign(&self, batch: &mut Batch<T>) {
        if let Some(assign) = &self.timestamps {
            let mut timestamps = batch.timestamps.take().unwrap_or_default();
            assign(&batch.values, &mut timestamps);
            batch.timestamps = Some(timestamps);
        }
    }
}

/// Decides when watermarks and statuses are announced. Shared by the operator and the source.
pub(crate) struct Announcer {
    interval_ms: i64,
    idleness_ms: Option<i64>,
    last_watermark: i64,
    next_ms: i64,
    last_record_ms: i64,
    idle: bool,
}

impl Announcer {
    pub(crate) fn new<T>(strategy: &WatermarkStrategy<T>, interval_ms: u64, clock: Clock) -> Self {
        let now = clock.now_ms();
        let interval_ms = interval_ms as i64;
        Self {
            interval_ms,
            idleness_ms: strategy.idleness.map(|idleness| idleness.as_millis() as i64),
            last_watermark: MIN_TIMESTAMP,
            next_ms: now + interval_ms,
            last_record_ms: now,
            idle: false,
        }
    }

    /// Records are about to be emitted.
    pub(crate) fn on_records(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult {
        self.last_record_ms = now_ms;
        if std::mem::take(&mut self.idle) {
            out.emit_status(StreamStatus::Active)?;
        }
        Ok(())
    }

    /// Announces a watermark if it is new.
    pub(crate) fn announce(&mut self, watermark: i64, out: &mut dyn Output) -> FlowResult {
        if watermark > self.last_watermark {
            self.last_watermark = watermark;
            if std::mem::take(&mut self.idle) {
                out.emit_status(StreamStatus::Active)?;
            }
            out.emit_watermark(Watermark(watermark))?;
        }
        Ok(())
    }

    /// When it wants to be called again.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        (self.interval_ms > 0).then_some(self.next_ms)
    }

    /// The interval has passed.
    pub(crate) fn on_time(
        &mut self,
        now_ms: i64,
        watermark: impl FnOnce() -> i64,
        out: &mut dyn Output,
    ) -> FlowResult {
        if self.interval_ms == 0 || now_ms < self.next_ms {
            return Ok(());
        }
        self.next_ms = now_ms + self.interval_ms;
        self.announce(watermark(), out)?;
        let silent = now_ms - self.last_record_ms;
        if !self.idle && self.idleness_ms.is_some_and(|idleness| silent >= idleness) {
            self.idle = true;
            out.emit_status(StreamStatus::Idle)?;
        }
        Ok(())
    }
}

/// Assigns timestamps and watermarks in the middle of a stream. Watermarks from further up are
/// ignored, except the one that ends event time.
pub struct TimestampsAndWatermarksOperator<T> {
    strategy: WatermarkStrategy<T>,
    generator: Box<dyn WatermarkGenerator<T>>,
    announcer: Option<Announcer>,
    clock: Option<Clock>,
}

impl<T: Record> TimestampsAndWatermarksOperator<T> {
    /// An operator that applies `strategy`.
    pub fn new(strategy: WatermarkStrategy<T>) -> Self {
        let generator = strategy.create_generator();
        Self { strategy, generator, announcer: None, clock: None }
    }
}

impl<T: Record> Operator for TimestampsAndWatermarksOperator<T> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let interval = context.auto_watermark_interval_ms;
        self.announcer = Some(Announcer::new(&self.strategy, interval, context.clock));
        self.clock = Some(context.clock);
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let mut batch = Batch::<T>::from_payload(batch)?;
        self.strategy.assign(&mut batch);
        let timestamps = batch.timestamps.as_deref().unwrap_or_default();
        let punctuated = self.generator.on_batch(&batch.values, timestamps);
        let (Some(announcer), Some(clock)) = (&mut self.announcer, self.clock) else {
            return Err(crate::keyed::not_open());
        };
        announcer.on_records(clock.now_ms(), out)?;
        out.emit(batch.boxed())?;
        match punctuated {
            Some(watermark) => announcer.announce(watermark, out),
            None => Ok(()),
        }
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        if watermark == Watermark::MAX
            && let Some(announcer) = &mut self.announcer
        {
            announcer.announce(watermark.0, out)?;
        }
        Ok(Progress::Done)
    }

    fn on_status(&mut self, _: StreamStatus, _: &mut dyn Output) -> FlowResult {
        Ok(())
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.announcer.as_ref().and_then(Announcer::next_ms)
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        if let Some(announcer) = &mut self.announcer {
            announcer.on_time(now_ms, || self.generator.current(), out)?;
        }
        Ok(Progress::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_generator_trails_by_its_bound_and_never_overflows() {
        let mut generator = BoundedOutOfOrderness::new(5);
        let current = |g: &BoundedOutOfOrderness| WatermarkGenerator::<()>::current(g);
        assert_eq!(current(&generator), MIN_TIMESTAMP);
        generator.on_batch(&[(), ()], &[100, 90]);
        assert_eq!(current(&generator), 94);
    }

    #[test]
    fn a_punctuated_generator_speaks_at_once() {
        let strategy = WatermarkStrategy::<i64>::punctuated(|v, _| (*v > 10).then_some(*v));
        let mut generator = strategy.create_generator();
        assert_eq!(generator.on_batch(&[3, 12, 11], &[0, 0, 0]), Some(12));
        assert_eq!(generator.on_batch(&[3], &[0]), None);
    }
}
