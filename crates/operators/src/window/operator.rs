//! The general window operator: any assigner, trigger, evictor and allowed lateness.
//!
//! # One record
//!
//! 1. The assigner names its windows. If they merge, each is merged with the windows of the key
//!    that it touches: contents and trigger states are merged, timers move to the new window.
//! 2. A window whose clean-up time the watermark has passed is skipped. A record that was skipped
//!    for all its windows and is itself behind the watermark by more than the allowed lateness is
//!    late: it goes to the side output, or is dropped and counted.
//! 3. The record is added to the window's contents, then the trigger is asked.
//! 4. A timer is registered for the window's clean-up.
//!
//! # One timer
//!
//! The trigger is asked; at the clean-up time everything that is known of the window is dropped.
//! The clean-up time is the window's last millisecond plus the allowed lateness in event time, the
//! window's last millisecond in processing time, and never for the global window.
//!
//! State is one table: key to the windows of the key, ordered, each with contents and trigger
//! state. As Flink 2.3's `WindowOperator`; where Flink keeps a set of merging windows beside state,
//! the windows of a key are here in one value, so that merging is local to it.

use std::marker::PhantomData;

use hurtig_env::Clock;
use hurtig_metrics::Counter;
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_state_api::Key;
use hurtig_state_heap::{Block, KeyedTable, Timer, keyed_state_meta};
use hurtig_types::{
    Batch, BoxedPayload, FlowError, FlowResult, KeyGroupRange, MAX_TIMESTAMP, MIN_TIMESTAMP,
    Record, StateKind, StateMeta, TimeWindow, Watermark, codec::CodecError,
};
use serde::{Deserialize, Serialize};

use super::{
    assigner::WindowAssigner,
    contents::WindowContents,
    function::WindowFunctionState,
    trigger::{TimersOfKey, Trigger, TriggerContext, TriggerResult, WindowTimers},
};
use crate::{
    Collector, KeySelector, OutputTag, RuntimeContext,
    key::BatchKeys,
    keyed::{TIMERS_PER_LOOK, Timers, not_open},
    snapshot::{self, Capturing, KeyedParts, check_meta, keyed_snapshots, unreadable},
};

/// What is known of one window of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WindowEntry<C, S> {
    window: TimeWindow,
    /// `None` after a purge.
    contents: Option<C>,
    trigger: S,
}

type Entries<C, S> = Vec<WindowEntry<C, S>>;

/// The windows of a keyed stream.
pub struct WindowOperator<T, K, O, A, Tr, C>
where
    T: Record,
    K: Key,
    O: Record,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: WindowContents<T, K, O>,
{
    assigner: A,
    trigger: Tr,
    contents: C,
    lateness: Lateness,
    late_tag: Option<OutputTag<T>>,
    keys: BatchKeys<T, K>,
    core: Option<Core<K, C::State, Tr::State>>,
    assigned: Vec<TimeWindow>,
    types: PhantomData<fn() -> O>,
}

/// What comes with `open`.
struct Core<K, C, S> {
    entries: KeyedTable<K, Entries<C, S>>,
    timers: Timers<K, TimeWindow>,
    states: WindowFunctionState<K>,
    clock: Clock,
    late: Counter,
    firing_watermark: Option<Watermark>,
    firing_wall_ms: Option<i64>,
    key_groups: KeyGroupRange,
    max_parallelism: u32,
    capturing: Capturing,
}

impl<K: Key, C: Record, S: Record> Core<K, C, S> {
    fn meta() -> StateMeta {
        keyed_state_meta::<K, Entries<C, S>>("_windows", StateKind::Map)
    }
}

impl<K: Key, C: Record, S: Record> KeyedParts for Core<K, C, S> {
    fn begin(&mut self, since: Option<u32>) -> Option<u32> {
        self.timers.begin_capture();
        self.states.begin_capture(since);
        Some(self.entries.begin_capture(since))
    }

    fn next(
        &mut self,
        max_bytes: usize,
        take: &mut dyn FnMut(&StateMeta, Block) -> Result<(), CodecError>,
    ) -> Result<bool, CodecError> {
        if let Some(block) = self.entries.next_block(max_bytes)? {
            return take(&Self::meta(), block).map(|()| true);
        }
        Ok(self.timers.next(max_bytes, take)? || self.states.next(max_bytes, take)?)
    }

    fn cancel(&mut self) {
        self.entries.cancel_capture();
        self.timers.cancel_capture();
        self.states.cancel_capture();
    }

    fn forget_before(&mut self, capture: u32) {
        self.entries.forget_removals_before(capture);
        self.states.forget_before(capture);
    }

    fn metas(&self) -> Vec<StateMeta> {
        let timers = Timers::<K, TimeWindow>::meta();
        [Self::meta(), timers].into_iter().chain(self.states.metas()).collect()
    }

    fn restore(&mut self, meta: &StateMeta, block: Block) -> FlowResult {
        if self.timers.restore(meta, &block, self.key_groups, self.max_parallelism)? {
            return Ok(());
        }
        let declared = Self::meta();
        if meta.name == declared.name {
            check_meta(&declared, meta)?;
            return self.entries.restore(&block).map_err(|error| unreadable(meta, &error));
        }
        self.states.restore(meta, block);
        Ok(())
    }
}

/// When windows are too late.
#[derive(Clone, Copy, Debug)]
struct Lateness {
    event_time: bool,
    allowed_ms: i64,
}

impl Lateness {
    /// When a window is forgotten, in its clock; `None`: never.
    fn cleanup_time(self, window: TimeWindow) -> Option<i64> {
        if window == TimeWindow::GLOBAL {
            return None;
        }
        let end = window.max_timestamp();
        let time = if self.event_time { end.saturating_add(self.allowed_ms) } else { end };
        (time != MAX_TIMESTAMP).then_some(time)
    }

    fn is_window_late(self, window: TimeWindow, watermark: i64) -> bool {
        self.event_time && self.cleanup_time(window).is_some_and(|time| time <= watermark)
    }

    fn is_record_late(self, timestamp: i64, watermark: i64) -> bool {
        self.event_time && timestamp.saturating_add(self.allowed_ms) <= watermark
    }
}

impl<T, K, O, A, Tr, C> WindowOperator<T, K, O, A, Tr, C>
where
    T: Record,
    K: Key,
    O: Record,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: WindowContents<T, K, O>,
{
    /// An operator over a keyed stream. Late records go to `late_tag`, or are dropped and counted.
    pub fn new(
        selector: KeySelector<T, K>,
        assigner: A,
        trigger: Tr,
        contents: C,
        allowed_lateness_ms: i64,
        late_tag: Option<OutputTag<T>>,
    ) -> Self {
        let event_time = assigner.is_event_time();
        Self {
            assigner,
            trigger,
            contents,
            lateness: Lateness { event_time, allowed_ms: allowed_lateness_ms },
            late_tag,
            keys: BatchKeys::new(selector),
            core: None,
            assigned: Vec::new(),
            types: PhantomData,
        }
    }

    /// Fires due timers until there are none or the output is full.
    fn fire_timers(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let mut collector = Collector::new(out);
        let mut fired = 0;
        loop {
            let wall =
                core.firing_wall_ms.and_then(|now_ms| core.timers.processing.pop_due(now_ms));
            let (timer, event_time) = match wall {
                Some(timer) => (timer, false),
                None => {
                    core.firing_wall_ms = None;
                    let watermark = core.firing_watermark;
                    match watermark.and_then(|watermark| core.timers.event.pop_due(watermark.0)) {
                        Some(timer) => (timer, true),
                        None => break,
                    }
                }
            };
            core.on_timer(
                &timer,
                event_time,
                self.lateness,
                &self.trigger,
                &mut self.contents,
                &mut collector,
            )?;
            fired += 1;
            if fired % TIMERS_PER_LOOK == 0 && collector.is_blocked() {
                collector.finish()?;
                return Ok(Progress::More);
            }
        }
        collector.finish()?;
        if let Some(watermark) = core.firing_watermark.take() {
            out.emit_watermark(watermark)?;
        }
        Ok(Progress::Done)
    }
}

/// The place of a window in the ordered windows of a key.
fn find<C, S>(entries: &Entries<C, S>, window: TimeWindow) -> Result<usize, usize> {
    // Most records belong to the latest window.
    match entries.last() {
        Some(last) if last.window == window => Ok(entries.len() - 1),
        Some(last) if last.window < window => Err(entries.len()),
        None => Err(0),
        Some(_) => entries.binary_search_by(|entry| entry.window.cmp(&window)),
    }
}

impl<K: Key, C: Record, S: Record + Default> Core<K, C, S> {
    /// Merges a new window of a session with those that it touches. `None`: the window is late.
    fn merge<T, O: Record>(
        &mut self,
        (hash, key): (u64, &K),
        window: TimeWindow,
        now_ms: i64,
        lateness: Lateness,
        trigger: &impl Trigger<T, State = S>,
        contents: &impl WindowContents<T, K, O, State = C>,
    ) -> Option<TimeWindow> {
        let watermark = self.states.watermark;
        let alone = || (!lateness.is_window_late(window, watermark)).then_some(window);
        let Some(entries) = self.entries.get_mut(hash, key) else {
            return alone();
        };
        // Windows of one key are ordered and never touch each other.
        let first = entries.partition_point(|entry| entry.window.end < window.start);
        let touching = entries[first..].iter().take_while(|entry| entry.window.start <= window.end);
        let touching = touching.count();
        let mut cover = window;
        for entry in &entries[first..first + touching] {
            cover = cover.cover(&entry.window);
        }
        if touching == 0 {
            return alone();
        }
        if touching == 1 && cover == entries[first].window {
            return Some(cover);
        }
        let mut timers = TimersOfKey { timers: &mut self.timers, hash, key };
        let mut merged = WindowEntry { window: cover, contents: None, trigger: S::default() };
        for entry in entries.drain(first..first + touching) {
            let mut context =
                TriggerContext { window: entry.window, watermark, now_ms, timers: &mut timers };
            trigger.clear(&entry.trigger, &mut context);
            trigger.merge_state(&mut merged.trigger, entry.trigger);
            if let Some(time) = lateness.cleanup_time(entry.window) {
                timers.delete(lateness.event_time, time, entry.window);
            }
            match (&mut merged.contents, entry.contents) {
                (Some(into), Some(from)) => contents.merge(into, from),
                (into @ None, from) => *into = from,
                (Some(_), None) => {}
            }
        }
        let mut context = TriggerContext { window: cover, watermark, now_ms, timers: &mut timers };
        trigger.on_merge(&mut merged.trigger, &mut context);
        entries.insert(first, merged);
        Some(cover)
    }

    /// Adds a record to one window and does what the trigger says.
    #[allow(clippy::too_many_arguments)] // the parts of one operator, borrowed apart
    fn add<T, O: Record>(
        &mut self,
        (hash, key): (u64, &K),
        window: TimeWindow,
        (value, timestamp): (&T, i64),
        now_ms: i64,
        lateness: Lateness,
        trigger: &impl Trigger<T, State = S>,
        contents: &mut impl WindowContents<T, K, O, State = C>,
        out: &mut Collector<'_, O>,
    ) -> FlowResult {
        let (entries, _) = self.entries.get_or_insert_with(hash, key, Vec::new);
        let index = match find(entries, window) {
            Ok(index) => index,
            Err(index) => {
                let fresh = WindowEntry { window, contents: None, trigger: S::default() };
                entries.insert(index, fresh);
                index
            }
        };
        let entry = &mut entries[index];
        contents.add(entry.contents.get_or_insert_with(|| contents.create()), value, timestamp);
        let mut timers = TimersOfKey { timers: &mut self.timers, hash, key };
        let watermark = self.states.watermark;
        let mut context = TriggerContext { window, watermark, now_ms, timers: &mut timers };
        let result = trigger.on_element(value, timestamp, &mut entry.trigger, &mut context);
        if let Some(time) = lateness.cleanup_time(window) {
            timers.register(lateness.event_time, time, window);
        }
        if result == TriggerResult::Continue {
            return Ok(());
        }
        evaluate(entry, result, (hash, key), &mut self.states, contents, out)?;
        // The global window has no clean-up time: it goes when nothing is left to remember.
        if window == TimeWindow::GLOBAL
            && entry.contents.is_none()
            && !trigger.remembers(&entry.trigger)
        {
            self.entries.remove(hash, key);
        }
        Ok(())
    }

    /// Asks the trigger at a due timer; forgets the window at its clean-up time.
    fn on_timer<T, O: Record>(
        &mut self,
        timer: &Timer<K, TimeWindow>,
        event_time: bool,
        lateness: Lateness,
        trigger: &impl Trigger<T, State = S>,
        contents: &mut impl WindowContents<T, K, O, State = C>,
        out: &mut Collector<'_, O>,
    ) -> FlowResult {
        let (hash, key, window) = (timer.hash, &timer.key, timer.namespace);
        let Some(entries) = self.entries.get_mut(hash, key) else {
            return Ok(());
        };
        let Ok(index) = find(entries, window) else {
            return Ok(());
        };
        let now_ms = self.clock.now_ms();
        let watermark = self.states.watermark;
        let mut timers = TimersOfKey { timers: &mut self.timers, hash, key };
        let mut context = TriggerContext { window, watermark, now_ms, timers: &mut timers };
        let entry = &mut entries[index];
        let result = if event_time {
            trigger.on_event_time(timer.time, &mut entry.trigger, &mut context)
        } else {
            trigger.on_processing_time(timer.time, &mut entry.trigger, &mut context)
        };
        let is_cleanup =
            lateness.event_time == event_time && lateness.cleanup_time(window) == Some(timer.time);
        if is_cleanup {
            trigger.clear(&entry.trigger, &mut context);
        }
        evaluate(entry, result, (hash, key), &mut self.states, contents, out)?;
        if is_cleanup {
            entries.remove(index);
            if entries.is_empty() {
                self.entries.remove(hash, key);
            }
            let mut context = self.states.context(hash, key, window);
            contents.clear(&mut context).map_err(FlowError::user)?;
        }
        Ok(())
    }
}

/// Fires and purges a window as the trigger said.
fn evaluate<T, K: Key, O: Record, C, S>(
    entry: &mut WindowEntry<C, S>,
    result: TriggerResult,
    (hash, key): (u64, &K),
    states: &mut WindowFunctionState<K>,
    contents: &mut impl WindowContents<T, K, O, State = C>,
    out: &mut Collector<'_, O>,
) -> FlowResult {
    if result.is_fire()
        && let Some(state) = &mut entry.contents
    {
        out.set_timestamp(Some(entry.window.max_timestamp()));
        let mut context = states.context(hash, key, entry.window);
        contents.fire(&mut context, state, out).map_err(FlowError::user)?;
    }
    if result.is_purge() {
        entry.contents = None;
    }
    Ok(())
}

impl<T, K, O, A, Tr, C> Operator for WindowOperator<T, K, O, A, Tr, C>
where
    T: Record,
    K: Key,
    O: Record,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: WindowContents<T, K, O>,
{
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let mut entries = KeyedTable::new(context.key_groups(), context.max_parallelism);
        entries.track_removals();
        let core = self.core.insert(Core {
            entries,
            timers: Timers::default(),
            states: WindowFunctionState::new(context, self.assigner.is_merging()),
            clock: context.clock,
            late: context.metrics.counter(hurtig_metrics::names::NUM_LATE_RECORDS_DROPPED),
            firing_watermark: None,
            firing_wall_ms: None,
            key_groups: context.key_groups(),
            max_parallelism: context.max_parallelism,
            capturing: Capturing::default(),
        });
        snapshot::restore(core, context)?;
        let runtime = RuntimeContext::new(context);
        self.contents.open(&mut core.states.open_context(&runtime)).map_err(FlowError::user)
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        let mut batch = Batch::<T>::from_payload(batch)?;
        self.keys.load(&mut batch)?;
        let Batch { values, timestamps, .. } = batch;
        if timestamps.is_none() && self.lateness.event_time && !values.is_empty() {
            return Err(super::without_timestamps());
        }
        let now_ms = core.clock.now_ms();
        let watermark = core.states.watermark;
        let mut collector = Collector::new(out);
        for (index, value) in values.iter().enumerate() {
            let timestamp = timestamps.as_ref().map_or(MIN_TIMESTAMP, |all| all[index]);
            let key = (self.keys.hashes[index], &self.keys.keys[index]);
            self.assigned.clear();
            self.assigner.assign(value, timestamp, now_ms, &mut self.assigned);
            let mut skipped = true;
            for window in &self.assigned {
                let window = if self.assigner.is_merging() {
                    let (trigger, contents) = (&self.trigger, &self.contents);
                    core.merge(key, *window, now_ms, self.lateness, trigger, contents)
                } else {
                    Some(*window).filter(|w| !self.lateness.is_window_late(*w, watermark))
                };
                let Some(window) = window else { continue };
                skipped = false;
                core.add(
                    key,
                    window,
                    (value, timestamp),
                    now_ms,
                    self.lateness,
                    &self.trigger,
                    &mut self.contents,
                    &mut collector,
                )?;
            }
            if skipped && self.lateness.is_record_late(timestamp, watermark) {
                match &self.late_tag {
                    Some(tag) => {
                        collector.set_timestamp(Some(timestamp));
                        collector.output(tag, value.clone());
                    }
                    None => core.late.add(1),
                }
            }
        }
        collector.finish()
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        let core = self.core.as_mut().ok_or_else(not_open)?;
        core.states.watermark = watermark.0;
        core.firing_watermark = Some(watermark);
        self.fire_timers(out)
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.core.as_ref()?.timers.processing.next_time()
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        self.core.as_mut().ok_or_else(not_open)?.firing_wall_ms = Some(now_ms);
        self.fire_timers(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        self.fire_timers(out)
    }

    keyed_snapshots!(core);

    fn close(&mut self) -> FlowResult {
        self.contents.close().map_err(FlowError::user)
    }
}
