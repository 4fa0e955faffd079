//! What planning must know of the session.

use std::time::Duration;

use hurtig_sql_common::SqlContext;

/// Settings of a session that change plans.
#[derive(Clone, Debug)]
pub struct PlannerSettings {
    /// The zone and the clock.
    pub context: SqlContext,
    /// `table.exec.state.ttl`; 0: for ever.
    pub state_ttl_ms: i64,
    /// `table.exec.source.idle-timeout`; 0: never.
    pub source_idle_timeout_ms: i64,
    /// `table.optimizer.agg-phase-strategy`: global aggregates take two phases.
    pub two_phase: bool,
    /// `table.exec.sink.not-null-enforcer` is `DROP`.
    pub drop_null_rows: bool,
    /// `table.exec.source.cdc-events-duplicate`
    pub duplicate_changes: bool,
}

impl PlannerSettings {
    /// Flink's defaults.
    #[must_use]
    pub fn new(context: SqlContext) -> Self {
        Self {
            context,
            state_ttl_ms: 0,
            source_idle_timeout_ms: 0,
            two_phase: false,
            drop_null_rows: false,
            duplicate_changes: false,
        }
    }

    pub(crate) fn state_ttl(&self) -> Option<Duration> {
        positive(self.state_ttl_ms)
    }

    /// After how long without rows a source is idle.
    #[must_use]
    pub fn source_idle_timeout(&self) -> Option<Duration> {
        positive(self.source_idle_timeout_ms)
    }
}

fn positive(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}
