//! Histograms over a window of the newest samples.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Most samples a histogram keeps unless told otherwise: the newest ones.
pub const HISTOGRAM_WINDOW: usize = 1024;

/// Distribution of the newest samples. Memory grows with the samples, up to the window.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Mutex<Window>>);

#[derive(Debug)]
struct Window {
    most: usize,
    samples: Vec<i64>,
    next: usize,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::with_window(HISTOGRAM_WINDOW)
    }
}

/// A histogram at one moment. All zero if there are no samples. All but `count` are of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramSnapshot {
    /// Samples ever added.
    pub count: u64,
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub stddev: f64,
    /// Median.
    pub p50: i64,
    /// 75th percentile.
    pub p75: i64,
    /// 95th percentile.
    pub p95: i64,
    /// 98th percentile.
    pub p98: i64,
    /// 99th percentile.
    pub p99: i64,
    /// 99.9th percentile.
    pub p999: i64,
}

impl HistogramSnapshot {
    /// The quantiles that reporters show, as Flink's do.
    pub fn quantiles(&self) -> [(f64, i64); 6] {
        [
            (0.5, self.p50),
            (0.75, self.p75),
            (0.95, self.p95),
            (0.98, self.p98),
            (0.99, self.p99),
            (0.999, self.p999),
        ]
    }
}

impl Histogram {
    /// A histogram of the newest `most` samples, at least one.
    pub fn with_window(most: usize) -> Self {
        let most = most.max(1);
        Self(Arc::new(Mutex::new(Window { most, samples: Vec::new(), next: 0, count: 0 })))
    }

    /// Adds a sample.
    pub fn update(&self, sample: i64) {
        let mut window = self.0.lock();
        window.count += 1;
        if window.samples.len() < window.most {
            window.samples.push(sample);
        } else {
            let next = window.next;
            window.samples[next] = sample;
            window.next = (next + 1) % window.most;
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
        let number = samples.len().max(1) as f64;
        let mean = samples.iter().map(|sample| *sample as f64).sum::<f64>() / number;
        let squares = samples.iter().map(|sample| (*sample as f64 - mean).powi(2)).sum::<f64>();
        HistogramSnapshot {
            count,
            min: at(0.0),
            max: at(1.0),
            mean,
            stddev: (squares / (number - 1.0).max(1.0)).sqrt(),
            p50: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            p98: at(0.98),
            p99: at(0.99),
            p999: at(0.999),
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
        assert_eq!((seen.p50, seen.p999), (976 + 512, 1999));
        assert_eq!(seen.mean, (977.0 + 2000.0) / 2.0);
    }

    #[test]
    fn a_small_window_forgets_soon() {
        let histogram = Histogram::with_window(4);
        [100, 2, 4, 4, 6].into_iter().for_each(|sample| histogram.update(sample));
        let seen = histogram.snapshot();
        assert_eq!((seen.count, seen.max, seen.mean), (5, 6, 4.0));
        assert!((seen.stddev - (8.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
