//! Triggers that fire again and again while the window is open.
//!
//! State is the time of the next firing, for which a timer is registered.

use std::time::Duration;

use hurtig_types::TimeWindow;

use super::{Trigger, TriggerContext, TriggerResult, time::fire_or_wait_for_the_end};
use crate::window::assigner::ms;

/// The firing after `time`: a multiple of the interval, at most the end of the window.
fn next_firing(interval_ms: i64, time: i64, window: TimeWindow) -> i64 {
    let begun = TimeWindow::start_of(time, 0, interval_ms);
    begun.saturating_add(interval_ms).min(window.max_timestamp())
}

/// The earlier of two planned firings.
fn earlier(into: &mut Option<i64>, from: Option<i64>) {
    *into = match (*into, from) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// Fires every interval of event time, and at the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousEventTimeTrigger {
    interval_ms: i64,
}

impl ContinuousEventTimeTrigger {
    /// Fires every `interval`, of at least a millisecond.
    pub fn of(interval: Duration) -> Self {
        Self { interval_ms: ms(interval).max(1) }
    }
}

impl<T> Trigger<T> for ContinuousEventTimeTrigger {
    type State = Option<i64>;

    fn on_element(
        &self,
        _: &T,
        timestamp: i64,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let result = fire_or_wait_for_the_end(context);
        if result == TriggerResult::Continue && next.is_none() {
            let time = next_firing(self.interval_ms, timestamp, context.window);
            *next = Some(time);
            context.register_event_time_timer(time);
        }
        result
    }

    fn on_event_time(
        &self,
        time: i64,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == context.window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        let after = next_firing(self.interval_ms, time, context.window);
        *next = Some(after);
        context.register_event_time_timer(after);
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_state(&self, into: &mut Option<i64>, from: Option<i64>) {
        earlier(into, from);
    }

    fn on_merge(&self, next: &mut Option<i64>, context: &mut TriggerContext<'_>) {
        if let Some(time) = *next {
            context.register_event_time_timer(time);
        }
    }

    fn clear(&self, next: &Option<i64>, context: &mut TriggerContext<'_>) {
        context.delete_event_time_timer(context.window.max_timestamp());
        if let Some(time) = *next {
            context.delete_event_time_timer(time);
        }
    }
}

/// Fires every interval of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousProcessingTimeTrigger {
    interval_ms: i64,
}

impl ContinuousProcessingTimeTrigger {
    /// Fires every `interval`, of at least a millisecond.
    pub fn of(interval: Duration) -> Self {
        Self { interval_ms: ms(interval).max(1) }
    }
}

impl<T> Trigger<T> for ContinuousProcessingTimeTrigger {
    type State = Option<i64>;

    fn on_element(
        &self,
        _: &T,
        _: i64,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.is_none() {
            let time = next_firing(self.interval_ms, context.now_ms, context.window);
            *next = Some(time);
            context.register_processing_time_timer(time);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        time: i64,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == context.window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        let after = next_firing(self.interval_ms, time, context.window);
        *next = Some(after);
        context.register_processing_time_timer(after);
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_state(&self, into: &mut Option<i64>, from: Option<i64>) {
        earlier(into, from);
    }

    fn on_merge(&self, next: &mut Option<i64>, context: &mut TriggerContext<'_>) {
        if let Some(time) = *next {
            context.register_processing_time_timer(time);
        }
    }

    fn clear(&self, next: &Option<i64>, context: &mut TriggerContext<'_>) {
        if let Some(time) = *next {
            context.delete_processing_time_timer(time);
        }
    }
}
