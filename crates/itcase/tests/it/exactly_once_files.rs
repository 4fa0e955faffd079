//! Exactly once to the outside, with real files: a keyed job with windows and timers writes
//! through the file sink while its tasks fail at random, by errors and panics, before and behind
//! the state and in the moment in which a checkpoint is complete. What is visible in the end is
//! compared with what the input gives, record by record.

use std::{
    collections::BTreeMap,
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use hurtig::{connectors::DataGeneratorSource, graph::RestartStrategyConfig, prelude::*};
use hurtig_filesystem::{
    Stores,
    object_store::{ObjectStore, ObjectStoreExt},
};

use crate::support::wait;

pub const RECORDS: i64 = 30_000;
const KEYS: i64 = 17;
const WINDOW_MS: i64 = 500;

/// Fails now and then, as long as a job may still fail.
#[derive(Clone)]
struct FailsAtRandom {
    seed: u64,
    /// One failure per so many records, about.
    rarity: u64,
    failures_left: Arc<AtomicU32>,
    state: u64,
}

impl FailsAtRandom {
    fn new(seed: u64, rarity: u64, failures_left: &Arc<AtomicU32>) -> Self {
        Self { seed, rarity, failures_left: failures_left.clone(), state: 0 }
    }

    fn draw(&mut self) -> u64 {
        // A linear congruential generator; its high bits are good enough.
        let (factor, term) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.state = self.state.wrapping_mul(factor).wrapping_add(term);
        self.state >> 33
    }

    fn may_fail(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.failures_left.fetch_update(SeqCst, SeqCst, take).is_ok()
    }
}

impl<T: hurtig_types::Record> MapFunction<T, T> for FailsAtRandom {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        let place = u64::from(context.subtask()) << 16 | u64::from(context.attempt());
        self.state = self.seed << 32 ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.draw();
        Ok(())
    }

    fn map(&mut self, value: T) -> Result<T, BoxError> {
        if self.draw().is_multiple_of(self.rarity) && self.may_fail() {
            if self.draw().is_multiple_of(2) {
                panic!("at random");
            }
            return Err("at random".into());
        }
        Ok(value)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        // Some sinks have heard of the checkpoint, others have not.
        if self.draw().is_multiple_of(12) && self.may_fail() {
            return Err("at a complete checkpoint".into());
        }
        Ok(())
    }
}

/// Counts the records of a key by second of event time, and tells by a timer at its end.
#[derive(Clone)]
struct CountsBySecond(Option<MapState<i64, i64>>);

impl KeyedProcessFunction<i64, i64, String> for CountsBySecond {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.0 = Some(context.state.map_state(&MapStateDescriptor::new("counts"))?);
        Ok(())
    }

    fn process(
        &mut self,
        value: i64,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let (counts, end) = (self.0.ok_or("open")?, value / 1_000 * 1_000 + 1_000);
        let count = counts.get(context.state, &end)?.copied().unwrap_or(0);
        counts.put(context.state, end, count + 1)?;
        context.register_event_time_timer(end);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, String>,
    ) -> Result<(), BoxError> {
        let count = self.0.ok_or("open")?.remove(context.state, &time)?.ok_or("no count")?;
        out.collect(format!("count {} {time} {count}", context.current_key()));
        Ok(())
    }
}

pub fn expected() -> Vec<String> {
    let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let mut counts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for n in 0..RECORDS {
        let key = n % KEYS;
        *sums.entry((key, n / WINDOW_MS * WINDOW_MS + WINDOW_MS)).or_default() += n;
        *counts.entry((key, n / 1_000 * 1_000 + 1_000)).or_default() += 1;
    }
    let sums = sums.into_iter().map(|((key, end), sum)| format!("sum {key} {end} {sum}"));
    let counts = counts.into_iter().map(|((key, at), n)| format!("count {key} {at} {n}"));
    let mut all: Vec<_> = sums.chain(counts).collect();
    all.sort();
    all
}

struct Run {
    seed: u64,
    parallelism: u32,
    task_executors: u32,
}

const RUNS: [Run; 3] = [
    Run { seed: 1, parallelism: 1, task_executors: 1 },
    Run { seed: 2, parallelism: 2, task_executors: 2 },
    Run { seed: 3, parallelism: 3, task_executors: 1 },
];

/// Runs the job into a sink.
fn run(run: &Run, directory: &Path, sink_to: impl FnOnce(&DataStream<String>)) {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(run.parallelism).enable_checkpointing(15);
    // So that windows and timers go off all the time.
    env.set_task_executors(run.task_executors).set_auto_watermark_interval_ms(3);
    env.set_checkpoint_directory(&format!("file://{}/state", directory.display()));
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 100, delay_ms: 1 });
    let failures_left = Arc::new(AtomicU32::new(8));
    let fails = |place, rarity| FailsAtRandom::new(run.seed << 8 | place, rarity, &failures_left);

    let lines = program(&env, fails(1, 20_000));
    sink_to(&lines.map_with(fails(2, 400)).rebalance());

    let result = wait(&env.execute_async("exactly once").unwrap()).unwrap();
    assert!(result.restarts > 0, "seed {} has not failed", run.seed);
}

/// Lines of sums by windows, and of counts by timers. Operators have uids.
pub fn program(
    env: &StreamExecutionEnvironment,
    behind_source: impl MapFunction<i64, i64> + Clone + Sync + 'static,
) -> DataStream<String> {
    let source = DataGeneratorSource::new(|n| n as i64, Some(RECORDS as u64), Some(60_000.0));
    let strategy =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &i64| *n);
    let numbers = env.from_source(source, strategy, "Numbers").uid("numbers");
    let numbers = numbers.map_with(behind_source).uid("behind source");
    let sums = numbers
        .key_by(|n| n % KEYS)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(WINDOW_MS as u64)))
        .process(
            |key: &i64, window: TimeWindow, numbers: &[i64], out: &mut Collector<'_, String>| {
                let sum: i64 = numbers.iter().sum();
                out.collect(format!("sum {key} {} {sum}", window.end));
            },
        )
        .uid("sums");
    let counts = numbers.key_by(|n| n % KEYS).process(CountsBySecond(None)).uid("counts");
    sums.union(&[&counts])
}

/// Content of the visible files; no file may be left that is not.
pub fn read(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!name.starts_with('.'), "{} is left", path.display());
        if path.is_dir() {
            let bucket = read(&path).into_iter();
            files.extend(bucket.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.push((name, std::fs::read(path).unwrap()));
        }
    }
    files
}

pub fn assert_exactly_once(texts: impl IntoIterator<Item = String>, seed: u64) {
    let mut lines = Vec::new();
    for text in texts {
        assert!(text.ends_with('\n'), "a record was cut");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    let expected = expected();
    // The first difference alone: thousands of lines are hard to read.
    let difference = lines.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(difference, None, "seed {seed}");
    assert_eq!(lines.len(), expected.len(), "seed {seed}: lost or repeated");
}

#[expect(clippy::ptr_arg, reason = "the records are Strings")]
fn by_kind(line: &String, _: &BucketContext, bucket: &mut String) {
    bucket.push_str("kind=");
    bucket.push_str(line.split(' ').next().unwrap_or_default());
}

#[test]
fn files_that_go_on_behind_checkpoints_hold_each_record_once() {
    for this in RUNS {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        run(&this, directory.path(), |lines| {
            let policy = DefaultRollingPolicy::new()
                .with_max_part_size(4_000)
                .with_rollover_interval(Duration::from_millis(70));
            let sink = FileSink::for_row_format(output.to_str().unwrap(), SimpleStringEncoder)
                .with_bucket_assigner(by_kind)
                .with_bucket_check_interval(Duration::from_millis(10))
                .with_rolling_policy(policy);
            lines.sink_to(sink);
        });
        let files = read(&output);
        assert!(files.iter().all(|(name, _)| name.starts_with("kind=")));
        let texts = files.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap());
        assert_exactly_once(texts, this.seed);
    }
}

#[test]
fn compressed_files_that_end_at_checkpoints_hold_each_record_once() {
    for this in RUNS {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        run(&this, directory.path(), |lines| {
            let gzip = GzipWriterFactory::new(SimpleStringEncoder);
            let sink = FileSink::for_bulk_format(output.to_str().unwrap(), gzip)
                .with_bucket_assigner(BasePathBucketAssigner)
                .with_output_file_config(OutputFileConfig::new().with_part_suffix(".gz"));
            lines.sink_to(sink);
        });
        let texts = read(&output).into_iter().map(|(name, bytes)| {
            assert!(name.ends_with(".gz"));
            let mut text = String::new();
            MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            text
        });
        assert_exactly_once(texts, this.seed);
    }
}

#[test]
fn objects_hold_each_record_once() {
    for this in RUNS {
        let directory = tempfile::tempdir().unwrap();
        let stores = Arc::new(Stores::default());
        run(&this, directory.path(), |lines| {
            let sink = FileSink::for_row_format("memory:///output", SimpleStringEncoder)
                .with_bucket_assigner(by_kind)
                .with_stores(stores.clone())
                .with_rolling_policy(DefaultRollingPolicy::new().with_max_part_size(4_000));
            lines.sink_to(sink);
        });
        let store = stores.locate("memory:///output").unwrap().store;
        let runtime = hurtig_env::OwnedRuntimes::start(Some(1)).unwrap();
        let texts = runtime.handles().control.block_on(texts_of(&*store));
        assert_exactly_once(texts, this.seed);
    }
}

async fn texts_of(store: &dyn ObjectStore) -> Vec<String> {
    let mut texts = Vec::new();
    let listed = store.list_with_delimiter(Some(&"output".into())).await.unwrap();
    assert!(listed.objects.is_empty());
    for bucket in listed.common_prefixes {
        let files = store.list_with_delimiter(Some(&bucket)).await.unwrap().objects;
        if bucket.filename().is_some_and(|name| name.starts_with('.')) {
            assert!(files.is_empty(), "{files:?} are left");
        }
        for file in files {
            let bytes = store.get(&file.location).await.unwrap().bytes().await.unwrap();
            texts.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    }
    texts
}

#[test]
fn files_of_a_savepoint_go_on_at_another_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output");
    let build = |parallelism: u32, seen: Arc<AtomicBool>| {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism).enable_checkpointing(20);
        let source = DataGeneratorSource::new(|n| n as i64, Some(RECORDS as u64), Some(60_000.0));
        let policy = DefaultRollingPolicy::new();
        env.from_source(source, WatermarkStrategy::no_watermarks(), "Numbers")
            .uid("numbers")
            .map(move |n| {
                if n > RECORDS / 5 {
                    seen.store(true, SeqCst);
                }
                n
            })
            .sink_to(
                FileSink::for_row_format(output.to_str().unwrap(), SimpleStringEncoder)
                    .with_bucket_assigner(BasePathBucketAssigner)
                    .with_rolling_policy(policy),
            )
            .uid("files");
        env
    };
    let seen = Arc::new(AtomicBool::new(false));
    let first = build(3, seen.clone()).execute_async("first").unwrap();
    crate::support::eventually("a fifth was read", || seen.load(SeqCst));
    let savepoint = format!("file://{}/savepoint", directory.path().display());
    let mut taken = None;
    // Not before all tasks run.
    crate::support::eventually("a savepoint", || {
        taken = first.trigger_savepoint(&savepoint).ok();
        taken.is_some()
    });
    let savepoint = taken.unwrap();
    first.cancel().unwrap();
    first.wait().unwrap_err();
    assert!(!output.read_dir().unwrap().any(|f| f.unwrap().file_type().unwrap().is_file()));
    let second = build(2, Arc::default());
    second.restore_from(&savepoint, false);
    wait(&second.execute_async("second").unwrap()).unwrap();
    let mut numbers = Vec::new();
    for entry in output.read_dir().unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_file() {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            numbers.extend(text.lines().map(|line| line.parse::<i64>().unwrap()));
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers.len() as i64, RECORDS);
    assert!(numbers.into_iter().eq(0..RECORDS));
}
