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
//!
//! Event time at a snapshot is kept with the key groups, since subtasks need not have been at the
//! same time when an unaligned checkpoint was taken. After a change of parallelism, the key groups
//! of one subtask may thus differ in which windows have fired; what is [`Ahead`] waits until event
//! time has come to it.

mod aligned;
mod core;

use std::{
    collections::{BTreeMap, VecDeque},
    marker::PhantomData,
};

use hurtig_metrics::Counter;
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::{AggregateFunction, Key};
use hurtig_state_heap::{IntoEntries, KeyedTable};
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowError, FlowResult, MIN_TIMESTAMP, Record, TimeWindow,
    Watermark, codec,
};

pub use self::aligned::AlignedWindows;
use self::core::{Ahead, SliceCore, WATERMARK};
use super::function::{WindowFunction, WindowFunctionState};
use crate::{
    Collector, KeySelector, OutputTag, RuntimeContext,
    key::BatchKeys,
    keyed::not_open,
    snapshot::{self, Capturing, keyed_snapshots},
};

/// Results emitted between two looks at the output.
const RESULTS_PER_LOOK: usize = 4096;

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
    core: Option<SliceCore<K, A::Accumulator>>,
    target: Option<Watermark>,
    firing: Option<Firing<K, A::Accumulator>>,
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
            core: None,
            target: None,
            firing: None,
            late: Counter::default(),
            types: PhantomData,
        }
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
    fn take_window(
        core: &mut SliceCore<K, A::Accumulator>,
        aggregate: &A,
        end: i64,
    ) -> FlowResult<Option<KeyedTable<K, A::Accumulator>>> {
        let window = core.windows.window_ending_at(end);
        let next_start = if core.windows.is_end_of_stream() {
            i64::MAX
        } else {
            window.start.saturating_add(core.windows.slide)
        };
        let mut kept = core.slices.split_off(&next_start);
        std::mem::swap(&mut kept, &mut core.slices);
        // `kept` now holds the slices that only this window, or none, still needs.
        let mut merged: Option<KeyedTable<K, A::Accumulator>> = None;
        for (start, mut table) in kept {
            SliceCore::capture_rest(&mut core.captured, start, &mut table)?;
            if start < window.start {
                continue;
            }
            match &mut merged {
                None => merged = Some(table),
                Some(merged) => {
                    for (hash, key, accumulator) in table.into_entries() {
                        let mut accumulator = Some(accumulator);
                        let (sum, fresh) = merged.get_or_insert_with(hash, &key, || {
                            accumulator.take().unwrap_or_else(|| aggregate.create_accumulator())
                        });
                        if !fresh && let Some(accumulator) = &accumulator {
                            aggregate.merge(sum, accumulator);
                        }
                    }
                }
            }
        }
        for (_, table) in core.slices.range(..end) {
            let merged = merged.get_or_insert_with(|| table.empty_like());
            for (hash, key, accumulator) in table.iter() {
                let (sum, fresh) = merged.get_or_insert_with(hash, key, || accumulator.clone());
                if !fresh {
                    aggregate.merge(sum, accumulator);
                }
            }
        }
        Ok(merged)
    }

    /// Evaluates the window that is being fired, key by key, until the output is full.
    fn emit_firing(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        let states = &mut self.core.as_mut().ok_or_else(not_open)?.states;
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
        let fired = firing.window.max_timestamp();
        self.firing = None;
        let core = self.core.as_mut().ok_or_else(not_open)?;
        core.watermark = core.watermark.max(fired);
        Ok(Progress::Done)
    }

    /// The end of the next window to fire, if the watermark has passed it.
    fn next_end(&mut self, watermark: Watermark) -> FlowResult<Option<i64>> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let due = |time: i64| time <= watermark.0;
        let is_next = |ahead: &mut Ahead<K, A::Accumulator>, next_end: Option<i64>| {
            due(ahead.watermark)
                && next_end.is_none_or(|end| end.saturating_sub(1) > ahead.watermark)
        };
        while let Some(ahead) = core.ahead.pop_if(|ahead| is_next(ahead, core.next_end)) {
            core.watermark = core.watermark.max(ahead.watermark);
            core.admit(ahead, |sum, accumulator| self.aggregate.merge(sum, accumulator))?;
        }
        Ok(core.next_end.filter(|end| due(end.saturating_sub(1))))
    }

    /// Chooses the window to fire after `end`.
    fn end_after(core: &SliceCore<K, A::Accumulator>, end: i64) -> Option<i64> {
        let first = *core.slices.first_key_value()?.0;
        let next = end.saturating_add(core.windows.slide);
        // Windows without records are skipped.
        Some(core.windows.first_end(first).max(next))
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
        let core = self.core.insert(SliceCore {
            windows: self.windows,
            key_groups: context.key_groups(),
            max_parallelism: context.max_parallelism,
            slices: BTreeMap::new(),
            current: None,
            next_end: None,
            watermark: MIN_TIMESTAMP,
            ahead: Vec::new(),
            states: WindowFunctionState::new(context, false),
            captured: VecDeque::new(),
            capturing: Capturing::default(),
        });
        if let Some(restored) = &context.restored {
            let watermarks = restored.list(WATERMARK).map(codec::decode);
            core.restore_watermarks(&watermarks.collect::<Result<Vec<_>, _>>()?);
        }
        snapshot::restore(core, context)?;
        if context.restored.is_some() {
            let starts: Vec<i64> = core.slices.keys().copied().collect();
            starts.into_iter().for_each(|start| core.expect_windows_of(start));
        }
        let runtime = RuntimeContext::new(context);
        let mut open = core.states.open_context(&runtime);
        self.function.open(&mut open).map_err(FlowError::user)?;
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
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let mut late: Vec<usize> = Vec::new();
        let (mut start, mut end) = (i64::MAX, i64::MIN);
        for (index, value) in values.iter().enumerate() {
            let timestamp = timestamps[index];
            if timestamp < start || timestamp >= end {
                let last_end = self.windows.last_end(timestamp);
                if last_end <= timestamp && !self.windows.is_end_of_stream() {
                    // Between two windows that do not touch (slide > size).
                    if timestamp <= core.watermark {
                        late.push(index);
                    }
                    continue;
                }
                if last_end.saturating_sub(1) <= core.watermark {
                    late.push(index);
                    continue;
                }
                let slice = self.windows.slice_start(timestamp);
                if core.current.as_ref().is_none_or(|(current, _)| *current != slice) {
                    core.switch_to(slice);
                }
                start = slice;
                end = if self.windows.is_end_of_stream() {
                    i64::MAX
                } else {
                    slice.saturating_add(self.windows.slice)
                };
            }
            let Some((_, table)) = &mut core.current else {
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
            let Some(end) = self.next_end(watermark)? else { break };
            let core = self.core.as_mut().ok_or_else(not_open)?;
            if let Some((start, table)) = core.current.take() {
                core.slices.insert(start, table);
            }
            if let Some(table) = Self::take_window(core, &self.aggregate, end)? {
                let window = core.windows.window_ending_at(end);
                self.firing = Some(Firing { window, left: table.into_entries() });
            }
            core.next_end = Self::end_after(core, end);
        }
        self.core.as_mut().ok_or_else(not_open)?.watermark = watermark.0;
        self.target = None;
        out.emit_watermark(watermark)?;
        Ok(Progress::Done)
    }

    fn prepare_barrier(&mut self, _: CheckpointId, out: &mut dyn Output) -> FlowResult {
        // A window that is being fired is in no snapshot: the rest of its results goes first.
        while let Some(watermark) = self.target.filter(|_| self.firing.is_some()) {
            // Either the firing is over now, or there is more of it.
            let _ = self.emit_firing(watermark, out)?;
        }
        Ok(())
    }

    keyed_snapshots!(core);

    fn close(&mut self) -> FlowResult {
        self.function.close().map_err(FlowError::user)
    }
}
