//! What a task counts, shared between its loop and whoever reports it.
//!
//! The loop counts once per batch, wait or message. What can be computed from that (rates, shares of
//! time, the lag of the watermark) is computed when somebody asks.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicI64, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use hurtig_cluster_api::TaskIoMetrics;
use hurtig_env::Clock;
use hurtig_metrics::{
    Counter, Histogram, MetricGroup, TimeCounter,
    catalogue::{INPUT_BUFFERS, OUTPUT_BUFFERS},
    names::*,
};
use hurtig_network::{GateProbe, PartitionProbe};
use hurtig_types::MIN_TIMESTAMP;

use crate::activity::{Activity, Surroundings};

/// A number that is not there at first. Values at the end of the range are one less.
#[derive(Debug)]
pub struct Latest(AtomicI64);

impl Default for Latest {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Latest {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value.max(i64::MIN + 1), Relaxed);
    }

    /// The value, once there is one.
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Relaxed)).filter(|value| *value != i64::MIN)
    }
}

/// Counters of one task, written by its loop once per batch or wait.
#[derive(Debug, Default)]
pub struct TaskMetrics {
    /// Records that entered the chain.
    pub records_in: Counter,
    /// Records that left it.
    pub records_out: Counter,
    /// Bytes that entered through the network stack.
    pub bytes_in: Counter,
    /// Bytes that left through it.
    pub bytes_out: Counter,
    /// Batches that left through it.
    pub buffers_out: Counter,
    /// Messages that were handled.
    pub mails: Counter,
    /// How long the oldest message has waited when the mailbox is read, in milliseconds.
    mail_latency_ms: Histogram,
    /// When the oldest message that waits was posted, in microseconds of the monotonic clock and
    /// one more; 0 if none waits.
    posted_us: AtomicU64,
    /// Time spent waiting for input.
    pub idle: TimeCounter,
    /// Time spent waiting for room in the outputs.
    pub back_pressured: TimeCounter,
    /// True while it waits for room.
    pub is_back_pressured: AtomicBool,
    /// Microseconds since the loop began.
    pub elapsed_us: AtomicU64,
    /// When the loop began and ended, in microseconds of the monotonic clock.
    began_us: Latest,
    ended_us: Latest,
    /// Event time at the head of the chain.
    pub watermark: AtomicI64,
    /// True once a watermark was seen.
    pub has_watermark: AtomicBool,
    /// How long the last alignment took, in nanoseconds.
    pub alignment_ns: Latest,
    /// From the last checkpoint's trigger to its first barrier, in nanoseconds.
    pub start_delay_ns: Latest,
    /// From the deployment to `RUNNING`, in milliseconds.
    pub initialization_ms: Latest,
    /// True if the chain begins with a source: then what the head emits is what comes in.
    pub headed_by_source: bool,
    /// Which operator of the chain is running user code: for the message of a panic.
    pub current_operator: AtomicUsize,
    /// Where the loop is.
    pub(crate) activity: Activity,
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl TaskMetrics {
    /// New counters.
    pub fn shared(headed_by_source: bool) -> Arc<Self> {
        let watermark = AtomicI64::new(MIN_TIMESTAMP);
        Arc::new(Self { watermark, headed_by_source, ..Self::default() })
    }

    /// Event time has advanced.
    pub fn set_watermark(&self, watermark: i64) {
        self.watermark.store(watermark, Relaxed);
        self.has_watermark.store(true, Release);
    }

    fn watermark(&self) -> Option<i64> {
        self.has_watermark.load(Acquire).then(|| self.watermark.load(Relaxed))
    }

    /// A message is posted.
    pub fn mail_posted(&self, now: Duration) {
        let now_us = now.as_micros() as u64 + 1;
        // Of several that wait, the first one counts.
        let _ = self.posted_us.compare_exchange(0, now_us, Relaxed, Relaxed);
    }

    /// The mailbox is about to be read.
    pub fn mail_read(&self, now: impl FnOnce() -> Duration) {
        if self.posted_us.load(Relaxed) == 0 {
            return;
        }
        let now = now();
        let posted_us = self.posted_us.swap(0, Relaxed);
        if let Some(posted_us) = posted_us.checked_sub(1) {
            let waited_us = (now.as_micros() as u64).saturating_sub(posted_us);
            self.mail_latency_ms.update((waited_us / 1000) as i64);
        }
    }

    /// The loop begins.
    pub fn begin(&self, now: Duration) {
        self.began_us.set(micros(now));
    }

    /// The loop has ended.
    pub fn end(&self, now: Duration) {
        self.ended_us.set(micros(now));
    }

    /// Time in which the loop worked.
    fn busy(&self, now: Duration) -> Duration {
        let Some(began) = self.began_us.get() else { return Duration::ZERO };
        let until = self.ended_us.get().unwrap_or(micros(now));
        let waited = micros(self.idle.total_at(now) + self.back_pressured.total_at(now));
        Duration::from_micros(u64::try_from(until - began - waited).unwrap_or(0))
    }

    /// What the task is doing, in words.
    fn describe(&self, now: Duration, operators: &[String], mails: usize) -> String {
        let for_so_long = |time: &TimeCounter| time.since().map(|since| now.saturating_sub(since));
        let posted_us = self.posted_us.load(Relaxed).checked_sub(1);
        self.activity.describe(&Surroundings {
            idle: for_so_long(&self.idle),
            blocked: for_so_long(&self.back_pressured),
            began: self.began_us.get().is_some(),
            ended: self.ended_us.get().is_some(),
            operators,
            current: self.current_operator.load(Relaxed),
            mails,
            oldest: posted_us.map(|at| now.saturating_sub(Duration::from_micros(at))),
        })
    }

    /// The values as they are reported with heartbeats.
    pub fn snapshot(&self) -> TaskIoMetrics {
        let idle_us = self.idle.total().as_micros() as u64;
        let back_pressured_us = self.back_pressured.total().as_micros() as u64;
        let elapsed_us = self.elapsed_us.load(Relaxed);
        TaskIoMetrics {
            records_in: self.records_in.get(),
            records_out: self.records_out.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            busy_ms: elapsed_us.saturating_sub(idle_us + back_pressured_us) / 1000,
            idle_ms: idle_us / 1000,
            back_pressured_ms: back_pressured_us / 1000,
            watermark: self.watermark(),
        }
    }

    /// Registers all but those of buffers in the task's group. `mailbox` tells how many messages
    /// wait; operators have names.
    pub fn register(
        self: &Arc<Self>,
        group: &MetricGroup,
        clock: Clock,
        operators: Vec<String>,
        mailbox: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        let (mailbox, metrics) = (Arc::new(mailbox), self.clone());
        let queued = mailbox.clone();
        let mailbox = move || mailbox();
        let activity = move || metrics.describe(clock.monotonic(), &operators, queued());
        group.computed(CURRENT_ACTIVITY, activity);
        register_counter(group, NUM_RECORDS_IN, NUM_RECORDS_IN_PER_SECOND, &self.records_in);
        register_counter(group, NUM_RECORDS_OUT, NUM_RECORDS_OUT_PER_SECOND, &self.records_out);
        register_counter(group, NUM_BYTES_IN, NUM_BYTES_IN_PER_SECOND, &self.bytes_in);
        register_counter(group, NUM_BYTES_OUT, NUM_BYTES_OUT_PER_SECOND, &self.bytes_out);
        register_counter(group, NUM_BUFFERS_OUT, NUM_BUFFERS_OUT_PER_SECOND, &self.buffers_out);
        group.rate_of(MAILBOX_MAILS_PER_SECOND, &self.mails);
        group.computed(MAILBOX_QUEUE_SIZE, mailbox);
        group.histogram_of(MAILBOX_LATENCY_MS, self.mail_latency_ms.clone());
        group.time_share(IDLE_TIME_MS_PER_SECOND, &self.idle);
        group.time_total(ACCUMULATE_IDLE_TIME_MS, &self.idle);
        group.time_share(BACK_PRESSURED_TIME_MS_PER_SECOND, &self.back_pressured);
        group.time_total(ACCUMULATE_BACK_PRESSURED_TIME_MS, &self.back_pressured);
        let reader = |read: fn(&Self, Clock) -> Option<i64>| {
            let metrics = self.clone();
            move || read(&metrics, clock)
        };
        let busy = reader(|task, clock| Some(task.busy(clock.monotonic()).as_millis() as i64));
        group.computed_option(ACCUMULATE_BUSY_TIME_MS, busy);
        let metrics = self.clone();
        group.time_share_of(BUSY_TIME_MS_PER_SECOND, move |now| metrics.busy(now));
        let metrics = self.clone();
        group.computed(IS_BACK_PRESSURED, move || metrics.is_back_pressured.load(Relaxed));
        group.computed_option(CURRENT_INPUT_WATERMARK, reader(|task, _| task.watermark()));
        let lag = reader(|task, clock| Some(clock.now_ms().saturating_sub(task.watermark()?)));
        group.computed_option(WATERMARK_LAG, lag);
        let alignment = reader(|task, _| task.alignment_ns.get());
        group.computed_option(CHECKPOINT_ALIGNMENT_TIME, alignment);
        let start_delay = reader(|task, _| task.start_delay_ns.get());
        group.computed_option(CHECKPOINT_START_DELAY_NANOS, start_delay);
        let initialization = reader(|task, _| task.initialization_ms.get());
        group.computed_option(INITIALIZATION_TIME, initialization);
    }
}

pub(crate) fn register_counter(
    group: &MetricGroup,
    name: &'static str,
    per_second: &'static str,
    counter: &Counter,
) {
    group.register_counter(name, counter);
    group.rate_of(per_second, counter);
}

fn inside(group: &MetricGroup, names: &[&str]) -> MetricGroup {
    names.iter().fold(group.clone(), |group, name| group.group(name))
}

fn fullest(usages: impl Iterator<Item = f64>) -> f64 {
    usages.fold(0.0, f64::max)
}

/// Registers how full a task's gates and partitions are. Of several, the fullest counts.
pub(crate) fn register_buffers(
    group: &MetricGroup,
    gates: Vec<GateProbe>,
    partitions: Vec<PartitionProbe>,
) {
    if !gates.is_empty() {
        let (group, gates) = (inside(group, INPUT_BUFFERS), Arc::new(gates));
        let of = gates.clone();
        let length = move || of.iter().map(GateProbe::queue_length).sum::<usize>();
        group.computed(INPUT_QUEUE_LENGTH, length);
        group.computed(IN_POOL_USAGE, move || fullest(gates.iter().map(GateProbe::pool_usage)));
    }
    if !partitions.is_empty() {
        let (group, partitions) = (inside(group, OUTPUT_BUFFERS), Arc::new(partitions));
        let of = partitions.clone();
        let length = move || of.iter().map(PartitionProbe::queue_length).sum::<usize>();
        group.computed(OUTPUT_QUEUE_LENGTH, length);
        let usage = move || fullest(partitions.iter().map(PartitionProbe::pool_usage));
        group.computed(OUT_POOL_USAGE, usage);
    }
}

/// Counters of one operator.
#[derive(Debug, Default)]
pub(crate) struct OperatorMetrics {
    pub(crate) records_in: Counter,
    pub(crate) records_out: Counter,
    pub(crate) input_watermark: Arc<Latest>,
    pub(crate) output_watermark: Arc<Latest>,
}

impl OperatorMetrics {
    pub(crate) fn register(group: &MetricGroup) -> Self {
        let metrics = Self::default();
        register_counter(group, NUM_RECORDS_IN, NUM_RECORDS_IN_PER_SECOND, &metrics.records_in);
        register_counter(group, NUM_RECORDS_OUT, NUM_RECORDS_OUT_PER_SECOND, &metrics.records_out);
        let (input, output) = (metrics.input_watermark.clone(), metrics.output_watermark.clone());
        group.computed_option(CURRENT_INPUT_WATERMARK, move || input.get());
        group.computed_option(CURRENT_OUTPUT_WATERMARK, move || output.get());
        metrics
    }
}
