//! Event time: signed milliseconds since the Unix epoch, and the half-open windows over it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Before every event. Also the watermark of a stream that has announced none yet.
pub const MIN_TIMESTAMP: i64 = i64::MIN;
/// After every event. As a watermark it says that nothing more will come.
pub const MAX_TIMESTAMP: i64 = i64::MAX;

/// A span of event time, `start` inclusive, `end` exclusive, both in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimeWindow {
    /// First millisecond inside.
    pub start: i64,
    /// First millisecond after.
    pub end: i64,
}

impl TimeWindow {
    /// The window over all of time: Flink's `GlobalWindow`.
    pub const GLOBAL: Self = Self::new(MIN_TIMESTAMP, MAX_TIMESTAMP);

    /// A window over `[start, end)`.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// The largest timestamp that still belongs to the window; the watermark that completes it.
    pub const fn max_timestamp(&self) -> i64 {
        self.end.saturating_sub(1)
    }

    /// Start of the window of `size` that holds `timestamp` when windows begin at
    /// `offset + n * size`. As Flink 2.3's `TimeWindow.getWindowStartWithOffset`, but right for
    /// every `i64` and every sign.
    pub const fn start_of(timestamp: i64, offset: i64, size: i64) -> i64 {
        let shifted = timestamp.wrapping_sub(offset);
        timestamp.saturating_sub(shifted.rem_euclid(size))
    }

    /// True if the two windows share a millisecond or touch, which is when Flink merges sessions.
    pub const fn intersects(&self, other: &TimeWindow) -> bool {
        self.start <= other.end && self.end >= other.start
    }

    /// The smallest window that covers both.
    pub fn cover(&self, other: &TimeWindow) -> TimeWindow {
        TimeWindow::new(self.start.min(other.start), self.end.max(other.end))
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_starts_are_aligned_on_both_sides_of_the_epoch() {
        assert_eq!(TimeWindow::start_of(7, 0, 5), 5);
        assert_eq!(TimeWindow::start_of(5, 0, 5), 5);
        assert_eq!(TimeWindow::start_of(-1, 0, 5), -5);
        assert_eq!(TimeWindow::start_of(7, 3, 5), 3);
        assert_eq!(TimeWindow::start_of(2, 3, 5), -2);
        assert_eq!(TimeWindow::start_of(7, -1, 5), 4);
    }

    #[test]
    fn touching_windows_intersect() {
        assert!(TimeWindow::new(0, 5).intersects(&TimeWindow::new(5, 9)));
        assert!(!TimeWindow::new(0, 5).intersects(&TimeWindow::new(6, 9)));
    }
}
