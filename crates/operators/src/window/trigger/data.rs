//! Triggers by what the records are, and purging.

use hurtig_types::Record;

use super::{Trigger, TriggerContext, TriggerResult};

/// Fires with every `n`-th record of a window.
#[derive(Clone, Copy, Debug)]
pub struct CountTrigger {
    n: u64,
}

impl CountTrigger {
    /// Fires with every `n`-th record.
    pub fn of(n: u64) -> Self {
        Self { n }
    }
}

impl<T> Trigger<T> for CountTrigger {
    type State = u64;

    fn on_element(
        &self,
        _: &T,
        _: i64,
        count: &mut u64,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        *count += 1;
        if *count < self.n {
            return TriggerResult::Continue;
        }
        *count = 0;
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge_state(&self, into: &mut u64, from: u64) {
        *into += from;
    }

    fn remembers(&self, count: &u64) -> bool {
        *count > 0
    }
}

/// Fires when a record differs by more than a threshold from the one that fired last (the first,
/// to begin with).
#[derive(Clone, Debug)]
pub struct DeltaTrigger<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaTrigger<F> {
    /// Fires when `delta(last, record)` is above `threshold`.
    pub fn of(threshold: f64, delta: F) -> Self {
        Self { threshold, delta }
    }
}

impl<T, F> Trigger<T> for DeltaTrigger<F>
where
    T: Record,
    F: Fn(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    type State = Option<T>;

    fn on_element(
        &self,
        value: &T,
        _: i64,
        last: &mut Option<T>,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        match last {
            Some(known) if (self.delta)(known, value) <= self.threshold => TriggerResult::Continue,
            Some(known) => {
                *known = value.clone();
                TriggerResult::Fire
            }
            None => {
                *last = Some(value.clone());
                TriggerResult::Continue
            }
        }
    }
}

/// Drops the window's contents whenever another trigger fires.
#[derive(Clone, Copy, Debug)]
pub struct PurgingTrigger<Tr>(Tr);

impl<Tr> PurgingTrigger<Tr> {
    /// Purges what `trigger` fires.
    pub fn of(trigger: Tr) -> Self {
        Self(trigger)
    }
}

fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() { TriggerResult::FireAndPurge } else { result }
}

impl<T, Tr: Trigger<T>> Trigger<T> for PurgingTrigger<Tr> {
    type State = Tr::State;

    fn on_element(
        &self,
        value: &T,
        timestamp: i64,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_element(value, timestamp, state, context))
    }

    fn on_event_time(
        &self,
        time: i64,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_event_time(time, state, context))
    }

    fn on_processing_time(
        &self,
        time: i64,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_processing_time(time, state, context))
    }

    fn can_merge(&self) -> bool {
        self.0.can_merge()
    }

    fn merge_state(&self, into: &mut Tr::State, from: Tr::State) {
        self.0.merge_state(into, from);
    }

    fn on_merge(&self, state: &mut Tr::State, context: &mut TriggerContext<'_>) {
        self.0.on_merge(state, context);
    }

    fn clear(&self, state: &Tr::State, context: &mut TriggerContext<'_>) {
        self.0.clear(state, context);
    }

    fn remembers(&self, state: &Tr::State) -> bool {
        self.0.remembers(state)
    }
}
