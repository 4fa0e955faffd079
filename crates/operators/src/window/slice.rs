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

use std::{
    collections::{BTreeMap, VecDeque},
    marker::PhantomData,
};

use hurtig_metrics::Counter;
use hurtig_operator_api::{ListStateData, Operator, OperatorContext, Output, Progress};
use hurtig_state_api::{AggregateFunction, Key};
use hurtig_state_heap::{Block, IntoEntries, KeyedTable, keyed_state_meta};
use hurtig_types::{
    Batch, BoxedPayload, FlowError, FlowResult, KeyGroupRange, MIN_TIMESTAMP, Record,
    RedistributionMode, StateKind, StateMeta, TimeWindow, Watermark, codec, codec::CodecError,
};

use super::function::{WindowFunction, WindowFunctionState};
use crate::{
    Collector, KeySelector, OutputTag, RuntimeContext,
    key::BatchKeys,
    keyed::not_open,
    snapshot::{
        self, Capturing, KeyedParts, check_meta, keyed_snapshots, list_state_meta, unreadable,
    },
};

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
    core: Option<SliceCore<K, A::Accumulator>>,
    target: Option<Watermark>,
    firing: Option<Firing<K, A::Accumulator>>,
    late: Counter,
    types: PhantomData<fn() -> O>,
}

/// What comes with `open`.
struct SliceCore<K, C> {
    windows: AlignedWindows,
    key_groups: KeyGroupRange,
    max_parallelism: u32,
    slices: BTreeMap<i64, KeyedTable<K, C>>,
    /// The slice that records fell into last, kept out of the map.
    current: Option<(i64, KeyedTable<K, C>)>,
    next_end: Option<i64>,
    watermark: i64,
    states: WindowFunctionState<K>,
    /// Blocks of slices that went while they were being captured.
    captured: VecDeque<Block>,
    capturing: Capturing,
}

impl<K: Key, C: Record> SliceCore<K, C> {
    fn meta() -> StateMeta {
        keyed_state_meta::<K, C>("_slices", StateKind::Aggregating)
    }

    /// Makes the slice that begins at `start` the current one.
    fn switch_to(&mut self, start: i64) {
        if let Some((old, table)) = self.current.take()
            && !table.is_empty()
        {
            self.slices.insert(old, table);
        }
        let table = self.slices.remove(&start);
        let table = table.unwrap_or_else(|| KeyedTable::new(self.key_groups, self.max_parallelism));
        self.current = Some((start, table));
        self.expect_windows_of(start);
    }

    /// The windows of a slice are going to fire, but for those that the watermark has passed.
    fn expect_windows_of(&mut self, start: i64) {
        let first_end = self.windows.first_end(start);
        let first_end = if first_end.saturating_sub(1) > self.watermark {
            first_end
        } else {
            let behind = self.watermark.saturating_add(1).saturating_sub(first_end);
            let steps = behind / self.windows.slide.max(1) + 1;
            first_end.saturating_add(steps.saturating_mul(self.windows.slide))
        };
        self.next_end = Some(self.next_end.map_or(first_end, |end| end.min(first_end)));
    }

    /// Captures the rest of a slice that is about to go.
    fn capture_rest(
        captured: &mut VecDeque<Block>,
        start: i64,
        table: &mut KeyedTable<K, C>,
    ) -> Result<(), CodecError> {
        while let Some(block) = table.next_block(1 << 16)? {
            captured.push_back(Block { namespace: start, ..block });
        }
        Ok(())
    }

    fn tables(&mut self) -> impl Iterator<Item = (i64, &mut KeyedTable<K, C>)> {
        let current = self.current.iter_mut().map(|(start, table)| (*start, table));
        self.slices.iter_mut().map(|(start, table)| (*start, table)).chain(current)
    }
}

/// The state that says how far event time was: windows that have fired do not fire again.
const WATERMARK: &str = "_watermark";

impl<K: Key, C: Record> KeyedParts for SliceCore<K, C> {
    fn begin(&mut self, _: Option<u32>) -> Option<u32> {
        // Slices come and go: changes since an earlier capture would be most of them.
        for (_, table) in self.tables() {
            table.begin_capture(None);
        }
        self.captured.clear();
        self.states.begin_capture(None);
        None
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        let meta = Self::meta();
        if let Some(block) = self.captured.pop_front() {
            return take(&meta, block).map(|()| true);
        }
        for (start, table) in self.tables().filter(|(_, table)| table.is_capturing()) {
            if let Some(block) = table.next_block(max_bytes)? {
                return take(&meta, Block { namespace: start, ..block }).map(|()| true);
            }
        }
        self.states.next(max_bytes, take)
    }

    fn cancel(&mut self) {
        self.tables().for_each(|(_, table)| table.cancel_capture());
        self.captured.clear();
        self.states.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.states.forget_before(capture);
    }

    fn operator_states(&self) -> Vec<ListStateData> {
        let elements = codec::encode(&self.watermark).into_iter().collect();
        let mode = RedistributionMode::PartialUnion;
        vec![ListStateData { name: WATERMARK.to_owned(), mode, elements }]
    }

    fn metas(&self) -> Vec<StateMeta> {
        let watermark = list_state_meta::<i64>(WATERMARK, RedistributionMode::PartialUnion);
        [Self::meta(), watermark].into_iter().chain(self.states.metas()).collect()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        let declared = Self::meta();
        if meta.name != declared.name {
            self.states.restore(meta, block);
            return Ok(());
        }
        check_meta(&declared, meta)?;
        if !self.key_groups.contains(block.key_group) {
            return Ok(());
        }
        let (key_groups, max_parallelism) = (self.key_groups, self.max_parallelism);
        let table = self.slices.entry(block.namespace);
        let table = table.or_insert_with(|| KeyedTable::new(key_groups, max_parallelism));
        table.restore(&block).map_err(|error| unreadable(meta, &error))
    }
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
        self.firing = None;
        Ok(Progress::Done)
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
            states: WindowFunctionState::new(context, false),
            captured: VecDeque::new(),
            capturing: Capturing::default(),
        });
        snapshot::restore(core, context)?;
        if let Some(restored) = &context.restored {
            // Subtasks may have been at different times: what has fired in all of them has fired.
            let watermarks = restored.list(WATERMARK).map(codec::decode::<i64>);
            let watermarks: Vec<i64> = watermarks.collect::<Result<_, _>>()?;
            core.watermark = watermarks.into_iter().min().unwrap_or(MIN_TIMESTAMP);
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
            let core = self.core.as_mut().ok_or_else(not_open)?;
            let Some(end) = core.next_end else { break };
            if end.saturating_sub(1) > watermark.0 {
                break;
            }
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

    keyed_snapshots!(core);

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
