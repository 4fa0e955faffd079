//! What sources and sinks tell of themselves, by Flink's names (FLIP-33).
//!
//! All is noted per batch. Lags and idle times are computed by whoever asks, from the clock as it is
//! then; what nobody knows (a lag without timestamps, what waits in a source that cannot tell) is
//! not there, where Flink shows -1 or the smallest number.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use hurtig_connector_api::PendingInput;
use hurtig_env::Clock;
use hurtig_metrics::{Counter, Gauge, MetricGroup, names::*};
use hurtig_types::{MAX_TIMESTAMP, MIN_TIMESTAMP};

/// A number that is not known.
const UNKNOWN: i64 = i64::MIN;

fn known(cell: &AtomicI64) -> Option<i64> {
    Some(cell.load(Relaxed)).filter(|value| *value != UNKNOWN)
}

fn unknown() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(UNKNOWN))
}

/// The metrics of a source's operator.
#[derive(Debug)]
pub struct SourceMetrics {
    group: MetricGroup,
    errors: Counter,
    /// There once the source has told of bytes.
    bytes_in: Option<Counter>,
    fetch_lag: Arc<AtomicI64>,
    emit_lag: Arc<AtomicI64>,
    watermark: Arc<AtomicI64>,
    idle_since_ms: Arc<AtomicI64>,
    pending_records: Option<Gauge>,
    pending_bytes: Option<Gauge>,
}

impl SourceMetrics {
    /// Registers them in an operator's group.
    pub fn register(group: &MetricGroup, clock: Clock) -> Self {
        let [fetch_lag, emit_lag, watermark, idle_since_ms] = std::array::from_fn(|_| unknown());
        let lag = |cell: &Arc<AtomicI64>| {
            let cell = cell.clone();
            move || known(&cell)
        };
        group.computed_option(CURRENT_FETCH_EVENT_TIME_LAG, lag(&fetch_lag));
        group.computed_option(CURRENT_EMIT_EVENT_TIME_LAG, lag(&emit_lag));
        let latest = watermark.clone();
        group.computed_option(WATERMARK_LAG, move || {
            known(&latest).map(|watermark| clock.now_ms().saturating_sub(watermark))
        });
        let since = idle_since_ms.clone();
        group.computed(SOURCE_IDLE_TIME, move || {
            known(&since).map_or(0, |since| clock.now_ms().saturating_sub(since).max(0))
        });
        Self {
            errors: group.counter(NUM_RECORDS_IN_ERRORS),
            bytes_in: None,
            fetch_lag,
            emit_lag,
            watermark,
            idle_since_ms,
            pending_records: None,
            pending_bytes: None,
            group: group.clone(),
        }
    }

    /// Records were read, the last of them with that timestamp, and are about to go out.
    pub fn on_fetch(&self, now_ms: i64, timestamp: Option<i64>) {
        self.idle_since_ms.store(UNKNOWN, Relaxed);
        if let Some(timestamp) = timestamp {
            self.fetch_lag.store(now_ms.saturating_sub(timestamp), Relaxed);
        }
    }

    /// They went out.
    pub fn on_emit(&self, now_ms: i64, timestamp: Option<i64>) {
        if let Some(timestamp) = timestamp {
            self.emit_lag.store(now_ms.saturating_sub(timestamp), Relaxed);
        }
    }

    /// There was nothing to read.
    pub fn on_nothing(&self, now_ms: i64) {
        // Since the first time.
        let _ = self.idle_since_ms.compare_exchange(UNKNOWN, now_ms, Relaxed, Relaxed);
    }

    /// The source's watermark as it is now.
    pub fn on_watermark(&self, watermark: i64) {
        if watermark > MIN_TIMESTAMP && watermark < MAX_TIMESTAMP {
            self.watermark.store(watermark, Relaxed);
        }
    }

    /// Bytes were read.
    pub fn on_bytes(&mut self, bytes: u64) {
        if bytes > 0 {
            let group = &self.group;
            let counter = self.bytes_in.get_or_insert_with(|| {
                let counter = group.counter(NUM_BYTES_IN);
                group.rate_of(NUM_BYTES_IN_PER_SECOND, &counter);
                counter
            });
            counter.add(bytes);
        }
    }

    /// Records were none, or could not be read.
    pub fn on_errors(&self, records: u64) {
        if records > 0 {
            self.errors.add(records);
        }
    }

    /// What is still to be read, as far as the source can tell.
    pub fn on_pending(&mut self, pending: PendingInput) {
        let group = &self.group;
        let show = |gauge: &mut Option<Gauge>, name: &'static str, value: Option<u64>| {
            if let Some(value) = value {
                let gauge = gauge.get_or_insert_with(|| group.gauge(name));
                gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        };
        show(&mut self.pending_records, PENDING_RECORDS, pending.records);
        show(&mut self.pending_bytes, PENDING_BYTES, pending.bytes);
    }
}

/// The metrics of a sink's operator.
#[derive(Clone, Debug)]
pub struct SinkMetrics {
    sent: Counter,
    errors: Counter,
    send_time_ms: Gauge,
}

impl SinkMetrics {
    /// Registers them in an operator's group. What a sink sends in bytes it counts itself.
    pub fn register(group: &MetricGroup) -> Self {
        let sent = group.counter(NUM_RECORDS_SEND);
        group.rate_of(NUM_RECORDS_SEND_PER_SECOND, &sent);
        let errors = group.counter(NUM_RECORDS_SEND_ERRORS);
        group.register_counter(NUM_RECORDS_OUT_ERRORS, &errors);
        Self { sent, errors, send_time_ms: group.gauge(CURRENT_SEND_TIME) }
    }

    /// A batch was written, or could not be.
    pub fn on_write(&self, records: u64, took: Duration, is_written: bool) {
        if is_written {
            self.sent.add(records);
            self.send_time_ms.set(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
        } else {
            self.errors.add(records);
        }
    }
}

/// The metrics of a committer.
#[derive(Clone, Debug)]
pub(crate) struct CommitterMetrics {
    pub(crate) total: Counter,
    pub(crate) successful: Counter,
    pub(crate) retried: Counter,
    pub(crate) failed: Counter,
    pub(crate) pending: Gauge,
}

impl CommitterMetrics {
    pub(crate) fn register(group: &MetricGroup) -> Self {
        // A committer does not tell what it found committed: it is successful.
        group.counter(ALREADY_COMMITTED_COMMITTABLES);
        Self {
            total: group.counter(TOTAL_COMMITTABLES),
            successful: group.counter(SUCCESSFUL_COMMITTABLES),
            retried: group.counter(RETRIED_COMMITTABLES),
            failed: group.counter(FAILED_COMMITTABLES),
            pending: group.gauge(PENDING_COMMITTABLES),
        }
    }
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::{GaugeValue, MetricValue, MetricsQuery};

    use super::*;

    /// Values of a group, as they are now.
    fn value(group: &MetricGroup, name: &str) -> Option<f64> {
        let snapshot = group.registry().snapshot(&MetricsQuery::all().name(name));
        let found = snapshot.iter().find(|(_, sample)| sample.name == name)?;
        match &found.1.value {
            MetricValue::Count(count) => Some(*count as f64),
            MetricValue::Gauge(GaugeValue::Long(value)) => Some(*value as f64),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_source_tells_what_it_knows() {
        let group = MetricGroup::detached();
        let clock = Clock::starting_at(10_000);
        let mut metrics = SourceMetrics::register(&group, clock);
        assert_eq!(value(&group, SOURCE_IDLE_TIME), Some(0.0));
        for unknown in [CURRENT_EMIT_EVENT_TIME_LAG, WATERMARK_LAG, PENDING_BYTES, NUM_BYTES_IN] {
            assert_eq!(value(&group, unknown), None, "{unknown}");
        }
        metrics.on_fetch(10_000, Some(9_000));
        metrics.on_emit(10_005, Some(9_000));
        assert_eq!(value(&group, CURRENT_FETCH_EVENT_TIME_LAG), Some(1_000.0));
        assert_eq!(value(&group, CURRENT_EMIT_EVENT_TIME_LAG), Some(1_005.0));
        metrics.on_watermark(MIN_TIMESTAMP);
        assert_eq!(value(&group, WATERMARK_LAG), None, "there was none yet");
        metrics.on_watermark(8_000);
        assert!(value(&group, WATERMARK_LAG) >= Some(2_000.0));
        metrics.on_bytes(7);
        metrics.on_bytes(5);
        assert_eq!(value(&group, NUM_BYTES_IN), Some(12.0));
        metrics.on_pending(PendingInput { records: None, bytes: Some(90) });
        assert_eq!(
            (value(&group, PENDING_BYTES), value(&group, PENDING_RECORDS)),
            (Some(90.0), None)
        );
        metrics.on_errors(2);
        assert_eq!(value(&group, NUM_RECORDS_IN_ERRORS), Some(2.0));
        // Idle since the first time that there was nothing, until there is something.
        metrics.on_nothing(4_000);
        metrics.on_nothing(9_000);
        assert!(value(&group, SOURCE_IDLE_TIME) >= Some(6_000.0));
        metrics.on_fetch(10_000, None);
        assert_eq!(value(&group, SOURCE_IDLE_TIME), Some(0.0));
    }

    #[test]
    fn a_sink_counts_what_it_has_sent_and_what_it_could_not() {
        let group = MetricGroup::detached();
        let metrics = SinkMetrics::register(&group);
        metrics.on_write(10, Duration::from_millis(3), true);
        metrics.on_write(4, Duration::from_millis(9), false);
        assert_eq!(value(&group, NUM_RECORDS_SEND), Some(10.0));
        assert_eq!(value(&group, NUM_RECORDS_SEND_ERRORS), Some(4.0));
        assert_eq!(value(&group, NUM_RECORDS_OUT_ERRORS), Some(4.0));
        assert_eq!(value(&group, CURRENT_SEND_TIME), Some(3.0));
    }
}
