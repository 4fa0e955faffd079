//! Counter, gauge and histogram.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`; call it once per batch.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
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

/// Most samples a histogram keeps: the newest ones.
pub const HISTOGRAM_WINDOW: usize = 1024;

/// Distribution of the newest [`HISTOGRAM_WINDOW`] samples.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Mutex<Window>>);

#[derive(Debug, Default)]
struct Window {
    samples: Vec<i64>,
    next: usize,
    count: u64,
}

/// A histogram at one moment. All zero if there are no samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Samples ever added.
    pub count: u64,
    /// Smallest of the window.
    pub min: i64,
    /// Largest of the window.
    pub max: i64,
    /// Median of the window.
    pub p50: i64,
    /// 95th percentile of the window.
    pub p95: i64,
    /// 99th percentile of the window.
    pub p99: i64,
}

impl Histogram {
    /// Adds a sample.
    pub fn update(&self, sample: i64) {
        let mut window = self.0.lock();
        window.count += 1;
        if window.samples.len() < HISTOGRAM_WINDOW {
            window.samples.push(sample);
        } else {
            let next = window.next;
            window.samples[next] = sample;
            window.next = (next + 1) % HISTOGRAM_WINDOW;
        }
    }

    /// The distribution now.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let (mut samples, count) = {
            let window = self.0.lock();
            (window.samples.clone(), window.count)
        };
        samples.sort_unstable();
        let at = |share: f64| {
            let index = (share * samples.len() as f64).ceil() as usize;
            samples.get(index.saturating_sub(1)).copied().unwrap_or(0)
        };
        HistogramSnapshot {
            count,
            min: at(0.0),
            max: at(1.0),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_keeps_the_newest_samples() {
        let histogram = Histogram::default();
        assert_eq!(histogram.snapshot(), HistogramSnapshot::default());
        (1..=2000).for_each(|n| histogram.update(n));
        let seen = histogram.snapshot();
        assert_eq!((seen.count, seen.min, seen.max), (2000, 977, 2000));
        assert_eq!(seen.p50, 976 + 512);
    }
}
