//! Keyed operators: reduce, and process functions with state and timers.

mod core;
mod process;
mod reduce;

use hurtig_env::Clock;
use hurtig_state_api::Key;
use hurtig_state_heap::{KeyedStateStore, TimerQueue};
use hurtig_types::{FlowError, MIN_TIMESTAMP, Record};

use crate::{Collector, OutputTag, RuntimeContext};

pub(crate) use core::{KeyedCore, TIMERS_PER_LOOK, keyed_life_cycle};
pub use process::{
    KeyedCoProcessFunction, KeyedCoProcessOperator, KeyedProcessFunction, KeyedProcessOperator,
};
pub use reduce::ReduceOperator;

pub(crate) fn not_open() -> FlowError {
    FlowError::internal("the operator was used before it was opened")
}

/// Event-time and processing-time timers of one operator.
pub struct Timers<K, N> {
    /// Those of event time.
    pub event: TimerQueue<K, N>,
    /// Those of the wall clock.
    pub processing: TimerQueue<K, N>,
    /// Event time.
    pub watermark: i64,
}

impl<K, N> Default for Timers<K, N> {
    fn default() -> Self {
        let (event, processing) = (TimerQueue::default(), TimerQueue::default());
        Self { event, processing, watermark: MIN_TIMESTAMP }
    }
}

impl<K, N> Timers<K, N> {
    /// The timers of event time or of the wall clock.
    pub fn of(&mut self, event_time: bool) -> &mut TimerQueue<K, N> {
        if event_time { &mut self.event } else { &mut self.processing }
    }
}

/// Which clock a timer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeDomain {
    /// Watermarks.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}

/// Called in `open` of a keyed function: registers state.
pub struct OpenContext<'a, K> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where state is registered.
    pub state: &'a mut KeyedStateStore<K>,
}

/// What a keyed function works with while it handles one record or timer.
pub struct KeyedContext<'a, K> {
    /// The states of the operator; handles read and write those of the current key.
    pub state: &'a mut KeyedStateStore<K>,
    timers: &'a mut Timers<K, ()>,
    timestamp: Option<i64>,
    clock: Clock,
}

impl<K: Key> KeyedContext<'_, K> {
    /// The current key.
    pub fn current_key(&self) -> &K {
        match self.state.current_key() {
            Some((_, key)) => key,
            None => unreachable!("the context exists only while a key is current"),
        }
    }

    /// Event time of the record, or the time of the timer; `None` if the stream has no timestamps.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// Event time so far: `i64::MIN` before the first watermark.
    pub fn current_watermark(&self) -> i64 {
        self.timers.watermark
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn current_processing_time(&self) -> i64 {
        self.clock.now_ms()
    }

    fn with_key<R>(&mut self, f: impl FnOnce(&mut Timers<K, ()>, u64, &K) -> R) -> Option<R> {
        let (hash, key) = self.state.current_key()?;
        Some(f(self.timers, hash, key))
    }

    /// Calls `on_timer` for the current key once the watermark reaches `time`.
    pub fn register_event_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.event.register(time, hash, key, &()));
    }

    /// Calls `on_timer` for the current key once the wall clock reaches `time`.
    pub fn register_processing_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.processing.register(time, hash, key, &()));
    }

    /// Deletes an event-time timer of the current key.
    pub fn delete_event_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.event.delete(time, hash, key, &()));
    }

    /// Deletes a processing-time timer of the current key.
    pub fn delete_processing_time_timer(&mut self, time: i64) {
        self.with_key(|timers, hash, key| timers.processing.delete(time, hash, key, &()));
    }

    /// Emits a record on a side output.
    pub fn output<O: Record, X: Record>(
        &self,
        out: &mut Collector<'_, O>,
        tag: &OutputTag<X>,
        value: X,
    ) {
        out.output(tag, value);
    }
}
