//! Counter, gauge and the time that is spent in a state.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`; call it once per batch.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that can be set.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// What a gauge may show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GaugeValue {
    /// A whole number.
    Long(i64),
    /// Any number.
    Double(f64),
    /// Something else; only people can read it.
    Text(String),
}

impl GaugeValue {
    /// As a number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Long(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            Self::Text(_) => None,
        }
    }
}

impl From<i64> for GaugeValue {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<f64> for GaugeValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<usize> for GaugeValue {
    fn from(value: usize) -> Self {
        Self::Long(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u64> for GaugeValue {
    fn from(value: u64) -> Self {
        Self::Long(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for GaugeValue {
    fn from(value: bool) -> Self {
        Self::Long(value.into())
    }
}

impl From<String> for GaugeValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// Time spent in a state that is entered and left again, such as waiting. Who reads it while the
/// state lasts sees that time too: a task that has waited for an hour is idle now.
#[derive(Clone, Debug, Default)]
pub struct TimeCounter(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    total: Duration,
    since: Option<Duration>,
}

impl TimeCounter {
    /// The state is entered at a reading of the monotonic clock.
    pub fn begin(&self, now: Duration) {
        self.0.lock().since = Some(now);
    }

    /// The state is left.
    pub fn end(&self, now: Duration) {
        let mut spent = self.0.lock();
        if let Some(since) = spent.since.take() {
            spent.total += now.saturating_sub(since);
        }
    }

    /// When the state was entered that lasts, if one does.
    pub fn since(&self) -> Option<Duration> {
        self.0.lock().since
    }

    /// What was spent in states that have been left.
    pub fn total(&self) -> Duration {
        self.0.lock().total
    }

    /// The same, and what has been spent in a state that lasts.
    pub fn total_at(&self, now: Duration) -> Duration {
        let spent = self.0.lock();
        spent.total + spent.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_a_state_that_lasts_can_be_read() {
        let idle = TimeCounter::default();
        let at = Duration::from_secs;
        idle.begin(at(1));
        idle.end(at(3));
        idle.begin(at(10));
        assert_eq!((idle.total(), idle.total_at(at(14))), (at(2), at(6)));
        assert_eq!(idle.since(), Some(at(10)));
        idle.end(at(14));
        idle.end(at(20));
        assert_eq!((idle.total(), idle.total_at(at(30))), (at(6), at(6)));
    }
}
