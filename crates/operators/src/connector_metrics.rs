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
