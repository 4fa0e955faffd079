//! The clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall-clock and monotonic time. Cloning is cheap.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_wall_ms: i64,
}

impl Clock {
    /// A clock that starts at the system's wall time.
    #[allow(clippy::disallowed_methods)] // the one place that may look at the system's clock
    pub fn system() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::starting_at(since_epoch.as_millis() as i64)
    }

    /// A clock that shows `wall_ms` now. For simulation.
    pub fn starting_at(wall_ms: i64) -> Self {
        Self { started: Instant::now(), started_wall_ms: wall_ms }
    }

    /// Milliseconds since the Unix epoch; never goes back.
    pub fn now_ms(&self) -> i64 {
        self.started_wall_ms + self.started.elapsed().as_millis() as i64
    }

    /// Time since the clock was made.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant at which [`Clock::now_ms`] will be `wall_ms`; now, if that has passed.
    pub fn instant_at(&self, wall_ms: i64) -> Instant {
        let ahead_ms = wall_ms.saturating_sub(self.started_wall_ms).max(0) as u64;
        // A century is far enough: beyond it, Instant could overflow.
        self.started + Duration::from_millis(ahead_ms.min(100 * 365 * 86_400_000))
    }
}
