//! Triggers: when a window is evaluated and when its contents are dropped. As Flink 2.3's.
//!
//! A trigger object serves all keys and windows of a subtask. What it must remember of one of them
//! is its [`Trigger::State`], which the operator keeps with the window: it lives as long as the
//! window does, survives a purge, and is merged when windows merge.
//!
//! - [`time`]: at the end of the window, at the end of the input, never.
//! - [`continuous`]: again and again while the window is open.
//! - [`data`]: by count, by difference; and purging, which drops what another trigger fired.

pub mod continuous;
pub mod data;
pub mod time;

pub use continuous::{ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger};
pub use data::{CountTrigger, DeltaTrigger, PurgingTrigger};
pub use time::{EndOfStreamTrigger, EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger};

use hurtig_state_api::Key;
use hurtig_types::{Record, TimeWindow};

use crate::keyed::Timers;

/// What is to be done with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// Evaluate it and keep its contents.
    Fire,
    /// Drop its contents.
    Purge,
    /// Evaluate it and drop its contents.
    FireAndPurge,
}

impl TriggerResult {
    /// True if the window is to be evaluated.
    pub fn is_fire(self) -> bool {
        matches!(self, Self::Fire | Self::FireAndPurge)
    }

    /// True if its contents are to be dropped.
    pub fn is_purge(self) -> bool {
        matches!(self, Self::Purge | Self::FireAndPurge)
    }
}

/// Timers of one key and window, without the type of the key.
pub(crate) trait WindowTimers {
    fn register(&mut self, event_time: bool, time: i64, window: TimeWindow);
    fn delete(&mut self, event_time: bool, time: i64, window: TimeWindow);
}

/// The timers of an operator as seen from one key.
pub(crate) struct TimersOfKey<'a, K> {
    pub(crate) timers: &'a mut Timers<K, TimeWindow>,
    pub(crate) hash: u64,
    pub(crate) key: &'a K,
}

impl<K: Key> WindowTimers for TimersOfKey<'_, K> {
    fn register(&mut self, event_time: bool, time: i64, window: TimeWindow) {
        self.timers.of(event_time).register(time, self.hash, self.key, &window);
    }

    fn delete(&mut self, event_time: bool, time: i64, window: TimeWindow) {
        self.timers.of(event_time).delete(time, self.hash, self.key, &window);
    }
}

/// What a trigger works with: the window it is asked about, the two clocks and timers.
pub struct TriggerContext<'a> {
    pub(crate) window: TimeWindow,
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) timers: &'a mut dyn WindowTimers,
}

impl TriggerContext<'_> {
    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Event time so far: `i64::MIN` before the first watermark.
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    /// Calls `on_event_time` for this key and window once the watermark reaches `time`.
    pub fn register_event_time_timer(&mut self, time: i64) {
        self.timers.register(true, time, self.window);
    }

    /// Calls `on_processing_time` for this key and window once the wall clock reaches `time`.
    pub fn register_processing_time_timer(&mut self, time: i64) {
        self.timers.register(false, time, self.window);
    }

    /// Deletes an event-time timer of this key and window.
    pub fn delete_event_time_timer(&mut self, time: i64) {
        self.timers.delete(true, time, self.window);
    }

    /// Deletes a processing-time timer of this key and window.
    pub fn delete_processing_time_timer(&mut self, time: i64) {
        self.timers.delete(false, time, self.window);
    }
}

/// Decides when windows fire.
pub trait Trigger<T>: Clone + Send + Sync + 'static {
    /// What it remembers of one key and window; `Default` before its first record.
    type State: Record + Default;

    /// A record was added to the window.
    fn on_element(
        &self,
        value: &T,
        timestamp: i64,
        state: &mut Self::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult;

    /// An event-time timer of the window is due.
    fn on_event_time(
        &self,
        time: i64,
        state: &mut Self::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let _ = (time, state, context);
        TriggerResult::Continue
    }

    /// A processing-time timer of the window is due.
    fn on_processing_time(
        &self,
        time: i64,
        state: &mut Self::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let _ = (time, state, context);
        TriggerResult::Continue
    }

    /// True if it works for windows that merge.
    fn can_merge(&self) -> bool {
        false
    }

    /// Adds what is remembered of a window that is merged into another. Its timers have been
    /// deleted by [`Trigger::clear`].
    fn merge_state(&self, into: &mut Self::State, from: Self::State) {
        let _ = (into, from);
    }

    /// The context's window was made by merging others: `state` is what
    /// [`Trigger::merge_state`] has made of theirs.
    fn on_merge(&self, state: &mut Self::State, context: &mut TriggerContext<'_>) {
        let _ = (state, context);
    }

    /// The window goes away: deletes the timers that were registered for it.
    fn clear(&self, state: &Self::State, context: &mut TriggerContext<'_>) {
        let _ = (state, context);
    }

    /// False if the state says no more than that of a new window: a global window that has been
    /// purged is then forgotten.
    fn remembers(&self, state: &Self::State) -> bool {
        let _ = state;
        true
    }

    /// True if it fires once, when the watermark passes the end of the window, and for each record
    /// that comes later: aligned windows can then do without timers.
    fn is_at_end_of_window(&self) -> bool {
        false
    }
}
