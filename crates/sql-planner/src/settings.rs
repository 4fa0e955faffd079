//! What planning must know of the session.

use std::time::Duration;

use hurtig_sql_common::SqlContext;

use crate::optimize::DistinctSplit;

/// In how many phases rows are aggregated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AggregatePhases {
    /// In two where that pays.
    #[default]
    Auto,
    /// In one.
    One,
    /// In two where it can be.
    Two,
}

/// Whether changes are put in the order of a sink's primary key before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpsertMaterialize {
    /// Never.
    None,
    /// Where the input's own key is another.
    #[default]
    Auto,
    /// Always, for sinks that take updates by key.
    Force,
}

/// How long rows may be held back, to be worked on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniBatchSettings {
    /// At most so many rows.
    pub size: usize,
    /// At most so long.
    pub latency: Duration,
}

/// Settings of a session that change plans.
#[derive(Clone, Debug)]
pub struct PlannerSettings {
    /// The zone and the clock.
    pub context: SqlContext,
    /// `table.exec.state.ttl`; 0: for ever.
    pub state_ttl_ms: i64,
    /// `table.exec.source.idle-timeout`; 0: never.
    pub source_idle_timeout_ms: i64,
    /// `table.optimizer.agg-phase-strategy`
    pub aggregate_phases: AggregatePhases,
    /// `table.optimizer.distinct-agg.split.*`, if it is enabled.
    pub distinct_split: Option<DistinctSplit>,
    /// `table.exec.mini-batch.*`, if they are enabled.
    pub mini_batch: Option<MiniBatchSettings>,
    /// `table.exec.sink.upsert-materialize`
    pub upsert_materialize: UpsertMaterialize,
    /// `table.exec.sink.type-length-enforcer`: whether values are cut and padded (or refused), if their
    /// lengths count at all.
    pub trims_lengths: Option<bool>,
    /// `table.exec.sink.not-null-enforcer` is `DROP`.
    pub drop_null_rows: bool,
    /// `table.exec.source.cdc-events-duplicate`
    pub duplicate_changes: bool,
    /// `table.optimizer.reuse-sub-plan-enabled`: parts of a plan that are the same are computed once.
    pub reuses_parts: bool,
    /// `table.optimizer.reuse-source-enabled`: also those that only read a table.
    pub reuses_sources: bool,
}

impl PlannerSettings {
    /// Flink's defaults.
    #[must_use]
    pub fn new(context: SqlContext) -> Self {
        Self {
            context,
            state_ttl_ms: 0,
            source_idle_timeout_ms: 0,
            aggregate_phases: AggregatePhases::Auto,
            distinct_split: None,
            mini_batch: None,
            upsert_materialize: UpsertMaterialize::Auto,
            trims_lengths: None,
            drop_null_rows: false,
            duplicate_changes: false,
            reuses_parts: true,
            reuses_sources: true,
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

pub(crate) fn positive(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// Flink's durations: a number and a unit; without a unit milliseconds.
#[must_use]
pub fn duration_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: i64 = number.parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}
