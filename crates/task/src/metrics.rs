//! What a task counts, shared between its loop and whoever reports it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use hurtig_cluster_api::TaskIoMetrics;
use hurtig_types::MIN_TIMESTAMP;

/// Counters of one task, written by its loop once per batch or wait.
#[derive(Debug, Default)]
pub struct TaskMetrics {
    /// Records that entered the chain.
    pub records_in: AtomicU64,
    /// Records that left it.
    pub records_out: AtomicU64,
    /// Bytes that entered through the network stack.
    pub bytes_in: AtomicU64,
    /// Bytes that left through it.
    pub bytes_out: AtomicU64,
    /// Microseconds spent waiting for input.
    pub idle_us: AtomicU64,
    /// Microseconds spent waiting for room in the outputs.
    pub back_pressured_us: AtomicU64,
    /// Microseconds since the loop began.
    pub elapsed_us: AtomicU64,
    /// Event time at the head of the chain.
    pub watermark: AtomicI64,
    /// True once a watermark was seen.
    pub has_watermark: AtomicBool,
    /// True if the chain begins with a source: then what the head emits is what comes in.
    pub headed_by_source: bool,
    /// Which operator of the chain is running user code: for the message of a panic.
    pub current_operator: AtomicUsize,
}

impl TaskMetrics {
    /// New counters.
    pub fn shared(headed_by_source: bool) -> Arc<Self> {
        let watermark = AtomicI64::new(MIN_TIMESTAMP);
        Arc::new(Self { watermark, headed_by_source, ..Self::default() })
    }

    /// Adds to a counter of microseconds.
    pub fn add_time(counter: &AtomicU64, time: Duration) {
        counter.fetch_add(time.as_micros() as u64, Relaxed);
    }

    /// Event time has advanced.
    pub fn set_watermark(&self, watermark: i64) {
        self.watermark.store(watermark, Relaxed);
        self.has_watermark.store(true, Relaxed);
    }

    /// The values as they are reported.
    pub fn snapshot(&self) -> TaskIoMetrics {
        let idle_us = self.idle_us.load(Relaxed);
        let back_pressured_us = self.back_pressured_us.load(Relaxed);
        let elapsed_us = self.elapsed_us.load(Relaxed);
        TaskIoMetrics {
            records_in: self.records_in.load(Relaxed),
            records_out: self.records_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            busy_ms: elapsed_us.saturating_sub(idle_us + back_pressured_us) / 1000,
            idle_ms: idle_us / 1000,
            back_pressured_ms: back_pressured_us / 1000,
            watermark: self.has_watermark.load(Relaxed).then(|| self.watermark.load(Relaxed)),
        }
    }
}
