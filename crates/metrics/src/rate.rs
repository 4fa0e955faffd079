//! Rates per second, as Flink's `MeterView` and `TimerGauge`: the growth of a number over the last
//! minute.
//!
//! A window keeps a reading every [`SPACING`]; the rate is computed when somebody asks, from the
//! number as it is then and the oldest reading. So a rate is right from the first second on, where
//! Flink's grows towards the truth for a minute, and updates cost nothing.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::Counter;

/// Time between two readings.
pub const SPACING: Duration = Duration::from_secs(5);
/// Readings that are kept: those of the last minute.
pub const READINGS: usize = 12;

/// Readings of a number that grows.
#[derive(Debug)]
pub(crate) struct RateWindow(VecDeque<(Duration, u64)>);

impl RateWindow {
    pub(crate) fn new(now: Duration, value: u64) -> Self {
        Self(VecDeque::from([(now, value)]))
    }

    /// Keeps a reading, if the last one is old enough.
    pub(crate) fn read(&mut self, now: Duration, value: u64) {
        if self.0.back().is_some_and(|(at, _)| now < *at + SPACING) {
            return;
        }
        if self.0.len() == READINGS {
            self.0.pop_front();
        }
        self.0.push_back((now, value));
    }

    /// Growth per second.
    pub(crate) fn per_second(&self, now: Duration, value: u64) -> f64 {
        let Some((at, before)) = self.0.front() else { return 0.0 };
        let seconds = now.saturating_sub(*at).as_secs_f64();
        if seconds <= 0.0 { 0.0 } else { value.saturating_sub(*before) as f64 / seconds }
    }
}

/// Counts events and knows how many there were per second.
#[derive(Clone, Debug)]
pub struct Meter {
    count: Counter,
    window: Arc<Mutex<RateWindow>>,
}

impl Meter {
    /// The rate of a counter, from now on.
    pub(crate) fn new(count: Counter, now: Duration) -> Self {
        let window = RateWindow::new(now, count.get());
        Self { count, window: Arc::new(Mutex::new(window)) }
    }

    /// `n` events have happened.
    pub fn mark(&self, n: u64) {
        self.count.add(n);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    pub(crate) fn read(&self, now: Duration) {
        self.window.lock().read(now, self.count.get());
    }

    pub(crate) fn per_second(&self, now: Duration) -> f64 {
        self.window.lock().per_second(now, self.count.get())
    }
}

type TimeSpent = Arc<dyn Fn(Duration) -> Duration + Send + Sync>;

/// How many milliseconds of each second were spent in a state.
#[derive(Clone)]
pub(crate) struct TimeShare {
    spent: TimeSpent,
    window: Arc<Mutex<RateWindow>>,
}

impl TimeShare {
    /// `spent` gives the time that was spent until a reading of the clock.
    pub(crate) fn new(spent: TimeSpent, now: Duration) -> Self {
        let window = RateWindow::new(now, micros(spent(now)));
        Self { spent, window: Arc::new(Mutex::new(window)) }
    }

    pub(crate) fn read(&self, now: Duration) {
        self.window.lock().read(now, micros((self.spent)(now)));
    }

    pub(crate) fn ms_per_second(&self, now: Duration) -> f64 {
        (self.per_second(now) * 1000.0).min(1000.0)
    }

    /// Seconds of each second.
    pub(crate) fn per_second(&self, now: Duration) -> f64 {
        let spent = micros((self.spent)(now));
        self.window.lock().per_second(now, spent) / 1e6
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeCounter;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_is_right_at_once_and_forgets_after_a_minute() {
        let meter = Meter::new(Counter::default(), at(100));
        assert_eq!(meter.per_second(at(100)), 0.0, "no time has passed");
        meter.mark(50);
        assert_eq!(meter.per_second(at(101)), 50.0);
        for second in 101..=200 {
            meter.read(at(second));
        }
        assert_eq!(meter.per_second(at(200)), 0.0, "the last minute was quiet");
        assert_eq!(meter.count(), 50);
        assert!(meter.window.lock().0.len() <= READINGS);
    }

    #[test]
    fn the_share_of_time_counts_a_state_that_lasts() {
        let time = TimeCounter::default();
        let counter = time.clone();
        let share = TimeShare::new(Arc::new(move |now| counter.total_at(now)), at(0));
        time.begin(at(2));
        assert_eq!(share.ms_per_second(at(4)), 500.0);
        time.end(at(4));
        assert_eq!(share.ms_per_second(at(8)), 250.0);
    }
}
