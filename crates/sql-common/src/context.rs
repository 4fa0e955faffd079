//! What an expression may know beside its arguments.

use std::cell::Cell;

use hurtig_env::Clock;

thread_local! {
    /// Expressions are shared by subtasks and know nothing of theirs; but a batch is worked on by one
    /// thread without a pause, so that its operator can say here where event time is.
    static WATERMARK: Cell<i64> = const { Cell::new(i64::MIN) };
}

/// Says where event time is for the expressions that this thread evaluates next.
pub fn set_current_watermark(ms: i64) {
    WATERMARK.set(ms);
}

/// Where event time is, in milliseconds; none before the first watermark.
#[must_use]
pub fn current_watermark() -> Option<i64> {
    Some(WATERMARK.get()).filter(|ms| *ms != i64::MIN)
}

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
