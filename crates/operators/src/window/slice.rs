//! Aggregation over aligned event-time windows, by slices.
//!
//! Tumbling and sliding windows of one size cut event time into *slices* of `gcd(size, slide)`: a
//! record belongs to exactly one slice, however many windows overlap there. State is one table of
//! accumulators per slice. When the watermark completes a window, the tables of its slices are
//! merged, once per slice and key, and emitted; slices that no later window needs are dropped
//! whole. So there are no timers per key, and a record costs one look-up.
//!
//! Exactly the default of Flink's windows: event-time trigger, no evictor, no allowed lateness.
//! Everything else is the general window operator's.
//!
//! Invariant: `next_end` is the end of the first window that has not fired; every slice in state is
//! part of it or of a later one.

use std::{collections::BTreeMap, marker::PhantomData};

use hurtig_metrics::Counter;
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::{AggregateFunction, Key};
use hurtig_state_heap::{IntoEntries, KeyedTable};
use hurtig_types::{
    Batch, BoxedPayload, FlowError, FlowResult, KeyGroupRange, MIN_TIMESTAMP, Record, TimeWindow,
    Watermark,
};

use super::function::{WindowFunction, WindowFunctionState};
use crate::{Collector, KeySelector, OutputTag, RuntimeContext, key::BatchKeys, keyed::not_open};

/// Results emitted between two looks at the output.
const RESULTS_PER_LOOK: usize = 4096;

/// Size, slide and offset of aligned windows, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignedWindows {
    size: i64,
    slide: i64,
    offset: i64,
    slice: i64,
}

impl AlignedWindows {
    /// Windows of `size` that begin every `slide`, at `offset + n * slide`.
    pub fn new(size: i64, slide: i64, offset: i64) -> Result<Self, String> {
        if size <= 0 || slide <= 0 || offset.unsigned_abs() >= slide.unsigned_abs() {
            return Err(format!(
                "windows need size > 0, slide > 0 and |offset| < slide; got size {size} ms, slide {slide} ms, offset {offset} ms"
            ));
        }
        Ok(Self { size, slide, offset, slice: gcd(size, slide) })
    }

    /// One window over all of event time, which ends with the stream.
    pub fn end_of_stream() -> Self {
        Self { size: 0, slide: 0, offset: 0, slice: 0 }
    }

    fn is_end_of_stream(&self) -> bool {
        self.size == 0
    }

    fn slice_start(&self, timestamp: i64) -> i64 {
        if self.is_end_of_stream() {
            return MIN_TIMESTAMP;
        }
        TimeWindow::start_of(timestamp, self.offset, self.slice)
    }

    /// End of the first window that contains the slice.
    fn first_end(&self, slice_start: i64) -> i64 {
        if self.is_end_of_stream() {
            return i64::MAX;
        }
        let last_slice_end = slice_start.saturating_add(self.slice);
        // The earliest window that still contains the slice ends at or after the slice's end.
        let start_of_earliest = TimeWindow::start_of(
            last_slice_end.saturating_sub(self.size).saturating_sub(1),
            self.offset,
            self.slide,
        );
        start_of_earliest.saturating_add(self.slide).saturating_add(self.size)
    }

    /// End of the last window that contains the timestamp.
    fn last_end(&self, timestamp: i64) -> i64 {
        if self.is_end_of_stream() {
            return i64::MAX;
        }
        TimeWindow::start_of(timestamp, self.offset, self.slide).saturating_add(self.size)
    }

    fn window_ending_at(&self, end: i64) -> TimeWindow {
        if self.is_end_of_stream() {
            return TimeWindow::new(MIN_TIMESTAMP, end);
        }
        TimeWindow::new(end.saturating_sub(self.size), end)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Firing<K, C> {
    window: TimeWindow,
    left: IntoEntries<K, C>,
}

/// Aggregates per key and aligned window.
pub struct SliceWindowOperator<T, K, O, A, F>
where
    T: Record,
    K: Key,
    A: AggregateFunction<T>,
{
    windows: AlignedWindows,
    aggregate: A,
    function: F,
    late_tag: Option<OutputTag<T>>,
    keys: BatchKeys<T, K>,
    slices: BTreeMap<i64, KeyedTable<K, A::Accumulator>>,
    /// The slice that records fell into last, kept out of the map.
    current: Option<(i64, KeyedTable<K, A::Accumulator>)>,
    next_end: Option<i64>,
    states: Option<WindowFunctionState<K>>,
    watermark: i64,
    target: Option<Watermark>,
    firing: Option<Firing<K, A::Accumulator>>,
    range: Option<(KeyGroupRange, u32)>,
    late: Counter,
    types: PhantomData<fn() -> O>,
}

impl<T, K, O, A, F> SliceWindowOperator<T, K, O, A, F>
where
    T: Record,
    K: Key,
    O: Record,
    A: AggregateFunction<T>,
    F: WindowFunction<K, A::Output, O>,
{
    /// An operator over a keyed stream. Late records go to `late_tag`, or are dropped and counted.
    pub fn new(
        selector: KeySelector<T, K>,
        windows: AlignedWindows,
        aggregate: A,
        function: F,
        late_tag: Option<OutputTag<T>>,
    ) -> Self {
        Self {
            windows,
            aggregate,
            function,
            late_tag,
            keys: BatchKeys::new(selector),
            slices: BTreeMap::new(),
            current: None,
            next_end: None,
            states: None,
            watermark: MIN_TIMESTAMP,
            target: None,
            firing: None,
            range: None,
            late: Counter::default(),
            types: PhantomData,
        }
    }

    /// Makes the slice that begins at `start` the current one.
    fn switch_to(&mut self, start: i64) -> FlowResult {
        let (range, max_parallelism) = self.range.ok_or_else(not_open)?;
        if let Some((old, table)) = self.current.take()
            && !table.is_empty()
        {
            self.slices.insert(old, table);
        }
        let table = self.slices.remove(&start);
        let table = table.unwrap_or_else(|| KeyedTable::new(range, max_parallelism));
        self.current = Some((start, table));
        let first_end = self.windows.first_end(start);
        // Windows that the watermark has passed do not fire again.
        let first_end = if first_end.saturating_sub(1) > self.watermark {
            first_end
        } else {
            let behind = self.watermark.saturating_add(1).saturating_sub(first_end);
            let steps = behind / self.windows.slide.max(1) + 1;
            first_end.saturating_add(steps.saturating_mul(self.windows.slide))
        };
        self.next_end = Some(self.next_end.map_or(first_end, |end| end.min(first_end)));
        Ok(())
    }

    fn emit_late(&mut self, late: Batch<T>, out: &mut dyn Output) -> FlowResult {
        match &self.late_tag {
            Some(tag) => out.emit_side(tag.tag(), late.boxed()),
            None => {
                self.late.add(late.values.len() as u64);
                Ok(())
            }
        }
    }

    /// Takes the merged accumulators of the window that ends at `end`, and drops the slices that
    /// no later window needs.
    fn take_window(&mut self, end: i64) -> Option<KeyedTable<K, A::Accumulator>> {
        let window = self.windows.window_ending_at(end);
        let next_start = if self.windows.is_end_of_stream() {
            i64::MAX
        } else {
            window.start.saturating_add(self.windows.slide)
        };
        let mut kept = self.slices.split_off(&next_start);
        std::mem::swap(&mut kept, &mut self.slices);
        // `kept` now holds the slices that only this window, or none, still needs.
        let mut merged: Option<KeyedTable<K, A::Accumulator>> = None;
        for (start, table) in kept {
            if start < window.start {
                continue;
            }
            match &mut merged {
                None => merged = Some(table),
                Some(merged) => {
                    for (hash, key, accumulator) in table.into_entries() {
                        let mut accumulator = Some(accumulator);
                        let (sum, fresh) = merged.get_or_insert_with(hash, &key, || {
                            accumulator
                                .take()
                                .unwrap_or_else(|| self.aggregate.create_accumulator())
                        });
                        if !fresh && let Some(accumulator) = &accumulator {
                            self.aggregate.merge(sum, accumulator);
                        }
                    }
                }
            }
        }
        for (_, table) in self.slices.range(..end) {
            let merged = merged.get_or_insert_with(|| table.empty_like());
            for (hash, key, accumulator) in table.iter() {
                let (sum, fresh) = merged.get_or_insert_with(hash, key, || accumulator.clone());
                if !fresh {
                    self.aggregate.merge(sum, accumulator);
                }
            }
        }
        merged
    }

    /// Evaluates the window that is being fired, key by key, until the output is full.
    fn emit_firing(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        let states = self.states.as_mut().ok_or_else(not_open)?;
        states.watermark = watermark.0;
        let Some(firing) = &mut self.firing else {
            return Ok(Progress::Done);
        };
        let mut collector = Collector::new(out);
        collector.set_timestamp(Some(firing.window.max_timestamp()));
        let mut emitted = 0;
        for (hash, key, accumulator) in firing.left.by_ref() {
            let result = self.aggregate.final_result(accumulator);
            let mut context = states.context(hash, &key, firing.window);
            let function = &mut self.function;
            let processed = function.process(&mut context, result, &mut collector);
            processed.and_then(|()| function.clear(&mut context)).map_err(FlowError::user)?;
            emitted += 1;
            if emitted % RESULTS_PER_LOOK == 0 && collector.is_blocked() {
                collector.finish()?;
                return Ok(Progress::More);
            }
        }
        collector.finish()?;
        self.firing = None;
        Ok(Progress::Done)
    }

    /// Chooses the window to fire after `end`.
    fn end_after(&self, end: i64) -> Option<i64> {
        let first = *self.slices.first_key_value()?.0;
        let next = end.saturating_add(self.windows.slide);
        // Windows without records are skipped.
        Some(self.windows.first_end(first).max(next))
    }
}

impl<T, K, O, A, F> Operator for SliceWindowOperator<T, K, O, A, F>
where
    T: Record,
    K: Key,
    O: Record,
    A: AggregateFunction<T>,
    F: WindowFunction<K, A::Output, O>,
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        self.range = Some((context.key_groups(), context.max_parallelism));
        let mut states = WindowFunctionState::new(context, false);
        let runtime = RuntimeContext::new(context);
        self.function.open(&mut states.open_context(&runtime)).map_err(FlowError::user)?;
        self.states = Some(states);
        self.late = context.metrics.counter(hurtig_metrics::names::NUM_LATE_RECORDS_DROPPED);
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let mut batch = Batch::<T>::from_payload(batch)?;
        if batch.timestamps.is_none() {
            if !self.windows.is_end_of_stream() {
                return Err(super::without_timestamps());
            }
            batch.timestamps = Some(vec![0; batch.values.len()]);
        }
        self.keys.load(&mut batch)?;
        let Batch { values, timestamps, .. } = batch;
        let timestamps = timestamps.unwrap_or_default();
        let mut late: Vec<usize> = Vec::new();
        let (mut start, mut end) = (i64::MAX, i64::MIN);
        for (index, value) in values.iter().enumerate() {
            let timestamp = timestamps[index];
            if timestamp < start || timestamp >= end {
                let last_end = self.windows.last_end(timestamp);
                if last_end <= timestamp && !self.windows.is_end_of_stream() {
                    // Between two windows that do not touch (slide > size).
                    if timestamp <= self.watermark {
                        late.push(index);
                    }
                    continue;
                }
                if last_end.saturating_sub(1) <= self.watermark {
                    late.push(index);
                    continue;
                }
                let slice = self.windows.slice_start(timestamp);
                if self.current.as_ref().is_none_or(|(current, _)| *current != slice) {
                    self.switch_to(slice)?;
                }
                start = slice;
                end = if self.windows.is_end_of_stream() {
                    i64::MAX
                } else {
                    slice.saturating_add(self.windows.slice)
                };
            }
            let Some((_, table)) = &mut self.current else {
                return Err(not_open());
            };
            let (accumulator, _) =
                table.get_or_insert_with(self.keys.hashes[index], &self.keys.keys[index], || {
                    self.aggregate.create_accumulator()
                });
            self.aggregate.add(accumulator, value);
        }
        if late.is_empty() {
            return Ok(());
        }
        let late = Batch::with_timestamps(
            late.iter().map(|index| values[*index].clone()).collect(),
            late.iter().map(|index| timestamps[*index]).collect(),
        );
        self.emit_late(late, out)
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        self.target = Some(watermark);
        self.resume(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        let Some(watermark) = self.target else {
            return Ok(Progress::Done);
        };
        loop {
            if self.emit_firing(watermark, out)? == Progress::More {
                return Ok(Progress::More);
            }
            let Some(end) = self.next_end else { break };
            if end.saturating_sub(1) > watermark.0 {
                break;
            }
            if let Some((start, table)) = self.current.take() {
                self.slices.insert(start, table);
            }
            if let Some(table) = self.take_window(end) {
                let window = self.windows.window_ending_at(end);
                self.firing = Some(Firing { window, left: table.into_entries() });
            }
            self.next_end = self.end_after(end);
        }
        self.watermark = watermark.0;
        self.target = None;
        out.emit_watermark(watermark)?;
        Ok(Progress::Done)
    }

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_window_ends_agree_with_the_definition() {
        for (size, slide, offset) in [(10, 10, 0), (10, 2, 0), (10, 4, 1), (3, 7, 2), (10, 10, -3)]
        {
            let windows = AlignedWindows::new(size, slide, offset).unwrap();
            for timestamp in -40..40 {
                let slice = windows.slice_start(timestamp);
                assert!(slice <= timestamp && timestamp < slice + windows.slice);
                let starts = (-100..100).map(|n| offset + n * slide);
                let ends: Vec<i64> = starts
                    .filter(|start| *start <= slice && slice + windows.slice <= start + size)
                    .map(|start| start + size)
                    .collect();
                if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
                    let case = (size, slide, offset, timestamp);
                    assert_eq!(windows.first_end(slice), *first, "{case:?}");
                    assert_eq!(windows.last_end(timestamp), *last, "{case:?}");
                }
            }
        }
    }

    #[test]
    fn impossible_windows_are_refused() {
        assert!(AlignedWindows::new(0, 1, 0).unwrap_err().contains("size > 0"));
        assert!(AlignedWindows::new(5, 5, 5).is_err());
    }
}
