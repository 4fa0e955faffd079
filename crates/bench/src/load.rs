//! A keyed job under full load, with a state whose size is known and which keys it touches chosen
//! from outside while it runs.
//!
//! ```text
//! generator -> key_by -> Touch (one value per key) -> sink that watches the time
//! ```
//! First every key comes once, which makes the state; then random keys, of all or of a part. The
//! sink is chained to the keyed function, so the time between two of its batches is that during
//! which the keyed task has not processed: its largest value is the pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use compact_str::CompactString;
use hurtig::{
    Batch,
    connector::{Sink, SinkWriter, WriterContext},
    connectors::DataGeneratorSource,
    prelude::*,
};
use parking_lot::Mutex;

/// Bytes of the text in each value.
const TEXT_BYTES: usize = 100;
/// Encoded bytes of one key with its value, about: key, count and the length of the text are
/// numbers of one to four bytes.
const ENTRY_BYTES: u64 = TEXT_BYTES as u64 + 6;

/// What the benchmark and its job share.
pub struct Load {
    keys: u64,
    parallelism: u32,
    /// Keys at random are below this; 0 while the state is being made.
    touched: AtomicU64,
    /// Keys that have a value.
    filled: AtomicU64,
    records: AtomicU64,
    longest_gap_us: AtomicU64,
    /// The next record fails its task.
    fail: AtomicBool,
    failed_at: Mutex<Option<Instant>>,
    recovered_at: Mutex<Option<Instant>>,
}

impl Load {
    /// A load on a state of about so many encoded bytes.
    pub fn new(state_bytes: u64, parallelism: u32) -> Arc<Self> {
        Arc::new(Self {
            keys: (state_bytes / ENTRY_BYTES).max(1),
            parallelism: parallelism.max(1),
            touched: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            records: AtomicU64::new(0),
            longest_gap_us: AtomicU64::new(0),
            fail: AtomicBool::new(false),
            failed_at: Mutex::new(None),
            recovered_at: Mutex::new(None),
        })
    }

    /// The job.
    pub fn build(self: &Arc<Self>, env: &StreamExecutionEnvironment) {
        let load = self.clone();
        let source = DataGeneratorSource::new(move |index| load.key(index), None, None);
        env.set_parallelism(self.parallelism);
        env.from_source(source, WatermarkStrategy::no_watermarks(), "Keys")
            .key_by(|key| *key)
            .process(Touch { load: self.clone(), state: None })
            .sink_to(Watch(self.clone()));
    }

    /// The key of a record. Reader `p` of `n` begins at `p / n` of all indices.
    #[inline]
    fn key(&self, index: u64) -> u64 {
        let touched = self.touched.load(Relaxed);
        if touched == 0 {
            let share = u64::MAX / u64::from(self.parallelism);
            let key = (index % share) * u64::from(self.parallelism) + index / share;
            return key % self.keys;
        }
        let random = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
        let random = random.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32;
        (random * touched) >> 32
    }

    /// Number of keys.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// True once every key has a value.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Relaxed) >= self.keys
    }

    /// True if a key was made more than once: it had been lost.
    pub fn has_lost_keys(&self) -> bool {
        self.filled.load(Relaxed) > self.keys
    }

    /// From now on random keys come, of a part of all.
    pub fn touch(&self, percent: u64) {
        self.touched.store((self.keys * percent / 100).max(1), Relaxed);
    }

    /// The longest time without a batch, and the number of records, since the last call.
    pub fn take_figures(&self) -> (Duration, u64) {
        let gap = Duration::from_micros(self.longest_gap_us.swap(0, Relaxed));
        (gap, self.records.swap(0, Relaxed))
    }

    /// Number of records since the figures were taken.
    pub fn records_so_far(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// Fails the task that gets the next record.
    pub fn fail(&self) {
        *self.recovered_at.lock() = None;
        self.fail.store(true, Relaxed);
    }

    /// From the failure to the first record after it.
    pub fn recovered_in(&self) -> Option<Duration> {
        let (failed, recovered) = (*self.failed_at.lock(), *self.recovered_at.lock());
        Some(recovered?.duration_since(failed?))
    }
}

/// A value: what it counts is all that changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Value {
    count: u64,
    text: CompactString,
}

#[derive(Clone)]
struct Touch {
    load: Arc<Load>,
    state: Option<ValueState<Value>>,
}

impl KeyedProcessFunction<u64, u64, u64> for Touch {
    fn open(&mut self, context: &mut OpenContext<'_, u64>) -> Result<(), BoxError> {
        self.state = Some(context.state.value_state(&ValueStateDescriptor::new("value"))?);
        Ok(())
    }

    fn process(
        &mut self,
        key: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, u64>,
    ) -> Result<(), BoxError> {
        if self.load.fail.load(Relaxed) && self.load.fail.swap(false, Relaxed) {
            *self.load.failed_at.lock() = Some(Instant::now());
            return Err("a failure as the benchmark wants it".into());
        }
        let state = self.state.ok_or("not open")?;
        let load = &self.load;
        let value = state.get_or_insert_with(context.state, || {
            load.filled.fetch_add(1, Relaxed);
            Value { count: 0, text: CompactString::from(format!("{key:0>TEXT_BYTES$}")) }
        })?;
        value.count += 1;
        out.collect(value.count);
        Ok(())
    }
}

struct Watch(Arc<Load>);

struct WatchWriter {
    load: Arc<Load>,
    last: Option<Instant>,
    is_restarted: bool,
}

impl Sink for Watch {
    type Input = u64;
    type Committable = ();

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<u64, ()>>, BoxError> {
        let is_restarted = context.attempt > 0;
        Ok(Box::new(WatchWriter { load: self.0.clone(), last: None, is_restarted }))
    }
}

impl SinkWriter<u64, ()> for WatchWriter {
    fn write(&mut self, batch: Batch<u64>) -> Result<(), BoxError> {
        let now = Instant::now();
        match self.last.replace(now) {
            Some(last) => {
                let gap = now.duration_since(last).as_micros() as u64;
                self.load.longest_gap_us.fetch_max(gap, Relaxed);
            }
            None if self.is_restarted => {
                self.load.recovered_at.lock().get_or_insert(now);
            }
            None => {}
        }
        self.load.records.fetch_add(batch.values.len() as u64, Relaxed);
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }
}
