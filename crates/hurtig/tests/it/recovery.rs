//! State survives: failures under checkpoints, savepoints at another parallelism.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use hurtig::{
    connectors::{BlackHoleSink, DataGeneratorSource},
    graph::RestartStrategyConfig,
    prelude::*,
};

/// Fails the first attempts, each once a checkpoint is complete and some records have followed.
#[derive(Clone)]
struct FailsBehindCheckpoints {
    failures: u32,
    attempt: u32,
    completed: u32,
    since: u32,
    /// The lowest record that an attempt after the first has seen.
    resumed_at: Arc<AtomicI64>,
    restarts: Arc<AtomicU32>,
}

impl FailsBehindCheckpoints {
    fn new(failures: u32) -> Self {
        Self {
            failures,
            attempt: 0,
            completed: 0,
            since: 0,
            resumed_at: Arc::new(AtomicI64::new(i64::MAX)),
            restarts: Arc::default(),
        }
    }
}

impl MapFunction<i64, i64> for FailsBehindCheckpoints {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        self.restarts.fetch_max(self.attempt, SeqCst);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if self.attempt > 0 {
            self.resumed_at.fetch_min(value, SeqCst);
        }
        self.since += u32::from(self.completed > 0);
        if self.attempt < self.failures && self.since > 500 {
            return Err("time to fail".into());
        }
        Ok(value)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        self.completed += 1;
        Ok(())
    }
}

pub const RECORDS: i64 = 40_000;

pub fn numbers(env: &StreamExecutionEnvironment) -> DataStream<i64> {
    numbers_at(env, 80_000.0)
}

/// The same at another rate, which is no part of the source's state.
pub fn numbers_at(env: &StreamExecutionEnvironment, per_second: f64) -> DataStream<i64> {
    let source = DataGeneratorSource::new(|n| n as i64, Some(RECORDS as u64), Some(per_second));
    let strategy =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &i64| *n);
    env.from_source(source, strategy, "Numbers")
}

pub fn env(parallelism: u32) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(parallelism).enable_checkpointing(20);
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 100, delay_ms: 1 });
    env
}

/// Sums per key and window, with a count that is kept by timers: whatever is lost or repeated
/// shows.
fn sums(numbers: &DataStream<i64>) -> DataStream<(i64, i64, i64)> {
    let windows = numbers
        .key_by(|n| n % 13)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(1_000)))
        .process(
            |key: &i64,
             window: TimeWindow,
             numbers: &[i64],
             out: &mut Collector<'_, (i64, i64, i64)>| {
                out.collect((*key, window.end, numbers.iter().sum()));
            },
        );
    let counts = numbers.key_by(|n| n % 7).process(CountsUntilTheEnd(None));
    windows.union(&[&counts])
}

/// Counts records per key, and tells when event time has passed the last.
#[derive(Clone)]
struct CountsUntilTheEnd(Option<ValueState<i64>>);

impl KeyedProcessFunction<i64, i64, (i64, i64, i64)> for CountsUntilTheEnd {
    fn open(&mut self, context: &mut OpenContext<'_, i64>) -> Result<(), BoxError> {
        self.0 = Some(context.state.value_state(&ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        _: i64,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<'_, (i64, i64, i64)>,
    ) -> Result<(), BoxError> {
        *self.0.ok_or("open")?.get_or_insert_with(context.state, || 0)? += 1;
        context.register_event_time_timer(RECORDS + 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<'_, (i64, i64, i64)>,
    ) -> Result<(), BoxError> {
        let count = self.0.ok_or("open")?.clear(context.state)?;
        out.collect((*context.current_key(), -1, count.unwrap_or(-1)));
        Ok(())
    }
}

fn expected() -> Vec<(i64, i64, i64)> {
    let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for n in 0..RECORDS {
        *sums.entry((n % 13, n / 1_000 * 1_000 + 1_000)).or_default() += n;
        *sums.entry((n % 7, -1)).or_default() += 1;
    }
    let mut expected: Vec<_> = sums.into_iter().map(|((key, end), sum)| (key, end, sum)).collect();
    expected.sort_unstable();
    expected
}

#[test]
fn a_failed_job_goes_on_from_its_checkpoint_without_loss_or_repetition() {
    let aligned = CheckpointConfig { interval_ms: Some(20), ..CheckpointConfig::default() };
    let unaligned = CheckpointConfig { unaligned: true, ..aligned.clone() };
    let with_timeout = CheckpointConfig { aligned_timeout_ms: 1, ..unaligned.clone() };
    for (parallelism, task_executors, config) in [
        (1, 1, &aligned),
        (3, 2, &aligned),
        (2, 1, &unaligned),
        (3, 2, &unaligned),
        (3, 2, &with_timeout),
    ] {
        let env = env(parallelism);
        env.set_task_executors(task_executors).set_checkpoint_config(config.clone());
        let failing = FailsBehindCheckpoints::new(2);
        let (resumed_at, restarts) = (failing.resumed_at.clone(), failing.restarts.clone());
        let mut seen =
            sums(&numbers(&env).map_with(failing)).execute_and_collect("recovery").unwrap();
        seen.sort_unstable();
        assert_eq!(seen, expected(), "parallelism {parallelism}, {config:?}");
        assert!(restarts.load(SeqCst) >= 2);
        assert!(resumed_at.load(SeqCst) > 0, "it began anew");
    }
}

#[test]
fn checkpoints_on_disk_are_deleted_with_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let env = env(2);
    env.set_checkpoint_directory(&format!("file://{}", directory.path().display()));
    let failing = FailsBehindCheckpoints::new(1);
    let restarts = failing.restarts.clone();
    let mut seen = sums(&numbers(&env).map_with(failing)).execute_and_collect("on disk").unwrap();
    seen.sort_unstable();
    assert_eq!(seen, expected());
    assert!(restarts.load(SeqCst) >= 1);
    let left: Vec<_> = walk(directory.path());
    assert!(left.is_empty(), "{left:?}");
}

pub fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_savepoint_resumes_at_another_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    // Without end, so that the savepoint is taken in the middle.
    let (running, seen) = std::sync::mpsc::sync_channel(1);
    let first = env(2);
    let numbered = numbers(&first).uid("numbers").map(move |n| {
        // The same subtask has had the first number by then.
        if n == RECORDS / 4 {
            let _ = running.try_send(());
        }
        n
    });
    counted(&numbered).sink_to(BlackHoleSink::new());
    let client = first.execute_async("first half").unwrap();
    seen.recv_timeout(Duration::from_secs(30)).unwrap();
    let savepoint = client.trigger_savepoint(&url).unwrap();
    client.cancel().unwrap();
    client.wait().unwrap_err();
    for parallelism in [1, 3, 5] {
        let env = env(parallelism);
        env.restore_from(&savepoint, false);
        let lowest = Arc::new(AtomicI64::new(i64::MAX));
        let resumed_at = lowest.clone();
        let numbered = numbers(&env).uid("numbers").map(move |n| {
            lowest.fetch_min(n, SeqCst);
            n
        });
        let mut counts = counted(&numbered).execute_and_collect("second half").unwrap();
        counts.sort_unstable();
        let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
        (0..RECORDS).for_each(|n| *expected.entry(n % 7).or_default() += 1);
        let expected: Vec<_> = expected.into_iter().map(|(key, n)| (key, -1, n)).collect();
        assert_eq!(counts, expected, "parallelism {parallelism}");
        assert!(resumed_at.load(SeqCst) > 0, "it began anew");
    }
    // State that nobody takes is not dropped in silence.
    let other = env(1);
    other.restore_from(&savepoint, false);
    numbers(&other).sink_to(BlackHoleSink::new());
    let error = other.execute("other program").unwrap_err().to_string();
    assert!(error.contains("non-restored state") && error.contains("counts"), "{error}");
}

pub fn counted(numbers: &DataStream<i64>) -> DataStream<(i64, i64, i64)> {
    numbers.key_by(|n| n % 7).process(CountsUntilTheEnd(None)).uid("counts")
}

/// Fails at every few thousandth record of its life, the first attempts.
#[derive(Clone)]
struct FailsAtRandom {
    attempt: u32,
    left: u64,
    seed: u64,
}

impl MapFunction<(i64, i64, i64), (i64, i64, i64)> for FailsAtRandom {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        let mixed = (u64::from(self.attempt) << 8 | u64::from(context.subtask()) | self.seed << 20)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.left = 20 + (mixed >> 40) % 120;
        Ok(())
    }

    fn map(&mut self, value: (i64, i64, i64)) -> Result<(i64, i64, i64), BoxError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && self.attempt < 4 {
            return Err("at random".into());
        }
        Ok(value)
    }
}

#[test]
fn a_file_sink_writes_each_record_once_whatever_fails() {
    for (seed, parallelism, task_executors, unaligned) in
        [(1, 1, 1, false), (2, 2, 1, true), (3, 3, 2, false), (4, 3, 2, true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("output");
        let env = env(parallelism);
        env.set_task_executors(task_executors);
        let interval_ms = Some(20);
        env.set_checkpoint_config(CheckpointConfig {
            interval_ms,
            unaligned,
            ..Default::default()
        });
        env.set_checkpoint_directory(&format!("file://{}/state", directory.path().display()));
        sums(&numbers(&env))
            .map_with(FailsAtRandom { attempt: 0, left: 0, seed })
            .rebalance()
            .sink_to(hurtig::connectors::LineFileSink::new(
                &output,
                |(key, end, sum): &(i64, i64, i64), line: &mut Vec<u8>| {
                    line.extend_from_slice(format!("{key} {end} {sum}").as_bytes());
                },
            ));
        let result = env.execute("exactly once").unwrap();
        let mut lines = Vec::new();
        for path in walk(&output) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!name.ends_with(".inprogress"), "{name} belongs to nothing");
            if !name.starts_with('.') {
                lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
            }
        }
        lines.sort();
        let expected = expected().into_iter().map(|(key, end, sum)| format!("{key} {end} {sum}"));
        let mut expected: Vec<_> = expected.collect();
        expected.sort();
        assert_eq!(lines, expected, "seed {seed}");
        assert!(result.restarts > 0, "seed {seed} has not failed");
    }
}
