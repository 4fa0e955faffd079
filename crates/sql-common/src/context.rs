//! What an expression may know beside its arguments.

use hurtig_env::Clock;

/// The session's settings that reach into expressions, and the clock.
#[derive(Clone, Debug)]
pub struct SqlContext {
    /// `table.local-time-zone`: the zone of TIMESTAMP_LTZ's text.
    pub zone: chrono_tz::Tz,
    /// The wall clock, for PROCTIME() and the like.
    pub clock: Clock,
    /// `table.exec.legacy-cast-behaviour`: a cast that fails gives NULL instead of an error.
    pub legacy_cast: bool,
}

impl SqlContext {
    /// Flink's defaults, in UTC.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { zone: chrono_tz::UTC, clock, legacy_cast: false }
    }
}
