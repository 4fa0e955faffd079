//! Evictors: which records are taken out of a window before or after it is evaluated. As Flink
//! 2.3's. A window with an evictor keeps all its records, not an aggregate.

use std::time::Duration;

use hurtig_types::{Record, TimeWindow};
use serde::{Deserialize, Serialize};

use super::assigner::ms;

/// A record in a window, with its event time (`i64::MIN` if it has none).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamped<T> {
    /// The record.
    pub value: T,
    /// Its event time in milliseconds.
    pub timestamp: i64,
}

/// Takes records out of windows that are about to be, or have been, evaluated.
pub trait Evictor<T>: Clone + Send + Sync + 'static {
    /// False for [`NoEvictor`] alone: the window need not keep its records.
    const EVICTS: bool = true;

    /// Called before the window function; what is taken out is gone.
    fn evict_before(&self, elements: &mut Vec<Timestamped<T>>, window: TimeWindow);
    /// Called after the window function.
    fn evict_after(&self, elements: &mut Vec<Timestamped<T>>, window: TimeWindow) {
        let _ = (elements, window);
    }
}

/// Takes nothing out.
#[derive(Clone, Copy, Debug)]
pub struct NoEvictor;

impl<T> Evictor<T> for NoEvictor {
    const EVICTS: bool = false;

    fn evict_before(&self, _: &mut Vec<Timestamped<T>>, _: TimeWindow) {}
}

/// An evictor that can work after the window function instead of before.
#[derive(Clone, Debug)]
pub struct EvictAfter<E>(E);

impl<T: Record, E: Evictor<T>> Evictor<T> for EvictAfter<E> {
    fn evict_before(&self, _: &mut Vec<Timestamped<T>>, _: TimeWindow) {}

    fn evict_after(&self, elements: &mut Vec<Timestamped<T>>, window: TimeWindow) {
        self.0.evict_before(elements, window);
    }
}

macro_rules! after {
    () => {
        /// Evicts after the window function instead of before.
        #[must_use]
        pub fn after(self) -> EvictAfter<Self> {
            EvictAfter(self)
        }
    };
}

/// Keeps the last records of the window.
#[derive(Clone, Copy, Debug)]
pub struct CountEvictor {
    keep: usize,
}

impl CountEvictor {
    /// Keeps the last `keep` records.
    pub fn of(keep: usize) -> Self {
        Self { keep }
    }

    after!();
}

impl<T: Record> Evictor<T> for CountEvictor {
    fn evict_before(&self, elements: &mut Vec<Timestamped<T>>, _: TimeWindow) {
        let surplus = elements.len().saturating_sub(self.keep);
        elements.drain(..surplus);
    }
}

/// Keeps the records that are at most a span older than the latest.
#[derive(Clone, Copy, Debug)]
pub struct TimeEvictor {
    span_ms: i64,
}

impl TimeEvictor {
    /// Keeps the last `span` of event time.
    pub fn of(span: Duration) -> Self {
        Self { span_ms: ms(span) }
    }

    after!();
}

impl<T: Record> Evictor<T> for TimeEvictor {
    fn evict_before(&self, elements: &mut Vec<Timestamped<T>>, _: TimeWindow) {
        let Some(latest) = elements.iter().map(|element| element.timestamp).max() else {
            return;
        };
        if latest == i64::MIN {
            // No record has a timestamp.
            return;
        }
        let cutoff = latest.saturating_sub(self.span_ms);
        elements.retain(|element| element.timestamp > cutoff);
    }
}

/// Takes out the records that differ from the last one by a threshold or more.
#[derive(Clone, Debug)]
pub struct DeltaEvictor<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaEvictor<F> {
    /// Takes out records for which `delta(record, last)` is `threshold` or more.
    pub fn of(threshold: f64, delta: F) -> Self {
        Self { threshold, delta }
    }

    after!();
}

impl<T, F> Evictor<T> for DeltaEvictor<F>
where
    T: Record,
    F: Fn(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    fn evict_before(&self, elements: &mut Vec<Timestamped<T>>, _: TimeWindow) {
        let Some(last) = elements.last().cloned() else { return };
        elements.retain(|element| (self.delta)(&element.value, &last.value) < self.threshold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(evictor: &impl Evictor<i64>, elements: &[(i64, i64)]) -> Vec<i64> {
        let elements = elements
            .iter()
            .map(|(timestamp, value)| Timestamped { value: *value, timestamp: *timestamp });
        let mut elements: Vec<_> = elements.collect();
        evictor.evict_before(&mut elements, TimeWindow::GLOBAL);
        elements.iter().map(|element| element.value).collect()
    }

    #[test]
    fn evictors_keep_what_they_promise() {
        let elements = [(10, 1), (30, 9), (20, 4), (25, 5)];
        assert_eq!(left(&CountEvictor::of(2), &elements), [4, 5]);
        assert_eq!(left(&CountEvictor::of(9), &elements), [1, 9, 4, 5]);
        assert_eq!(left(&TimeEvictor::of(Duration::from_millis(10)), &elements), [9, 5]);
        let close = DeltaEvictor::of(4.0, |a: &i64, b: &i64| (a - b).abs() as f64);
        assert_eq!(left(&close, &elements), [4, 5]);
        assert!(left(&close, &[]).is_empty());
        assert_eq!(left(&CountEvictor::of(2).after(), &elements).len(), 4);
    }
}
