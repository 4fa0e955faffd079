//! Triggers at the end of the window.

use hurtig_types::TimeWindow;

use super::{Trigger, TriggerContext, TriggerResult};

/// Fires when the watermark passes the end of the window, and for each record that comes later.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTimeTrigger;

impl<T> Trigger<T> for EventTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        fire_or_wait_for_the_end(context)
    }

    fn on_event_time(
        &self,
        time: i64,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        fire_at_end(context.window, time)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, (): &mut (), context: &mut TriggerContext<'_>) {
        // A window that has ended fires with the record that made it, not by a timer.
        let end = context.window.max_timestamp();
        if end > context.watermark {
            context.register_event_time_timer(end);
        }
    }

    fn clear(&self, (): &(), context: &mut TriggerContext<'_>) {
        context.delete_event_time_timer(context.window.max_timestamp());
    }

    fn is_at_end_of_window(&self) -> bool {
        true
    }
}

/// Fires if the watermark has passed the window; else has the end of the window called.
pub(super) fn fire_or_wait_for_the_end(context: &mut TriggerContext<'_>) -> TriggerResult {
    let end = context.window.max_timestamp();
    if end <= context.watermark {
        return TriggerResult::Fire;
    }
    context.register_event_time_timer(end);
    TriggerResult::Continue
}

fn fire_at_end(window: TimeWindow, time: i64) -> TriggerResult {
    if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
}

/// Fires when the wall clock passes the end of the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessingTimeTrigger;

impl<T> Trigger<T> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        context.register_processing_time_timer(context.window.max_timestamp());
        TriggerResult::Continue
    }

    fn on_processing_time(&self, _: i64, (): &mut (), _: &mut TriggerContext<'_>) -> TriggerResult {
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, (): &mut (), context: &mut TriggerContext<'_>) {
        let end = context.window.max_timestamp();
        if end > context.now_ms {
            context.register_processing_time_timer(end);
        }
    }

    fn clear(&self, (): &(), context: &mut TriggerContext<'_>) {
        context.delete_processing_time_timer(context.window.max_timestamp());
    }
}

/// Never fires.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverTrigger;

impl<T> Trigger<T> for NeverTrigger {
    type State = ();

    fn on_element(&self, _: &T, _: i64, (): &mut (), _: &mut TriggerContext<'_>) -> TriggerResult {
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }
}

/// Fires when the input ends. For [`GlobalWindows`](crate::window::assigner::GlobalWindows).
#[derive(Clone, Copy, Debug, Default)]
pub struct EndOfStreamTrigger;

impl<T> Trigger<T> for EndOfStreamTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        context.register_event_time_timer(TimeWindow::GLOBAL.max_timestamp());
        TriggerResult::Continue
    }

    fn on_event_time(&self, time: i64, (): &mut (), _: &mut TriggerContext<'_>) -> TriggerResult {
        fire_at_end(TimeWindow::GLOBAL, time)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&self, (): &mut (), context: &mut TriggerContext<'_>) {
        context.register_event_time_timer(TimeWindow::GLOBAL.max_timestamp());
    }

    fn clear(&self, (): &(), context: &mut TriggerContext<'_>) {
        context.delete_event_time_timer(TimeWindow::GLOBAL.max_timestamp());
    }

    fn is_at_end_of_window(&self) -> bool {
        true
    }
}
