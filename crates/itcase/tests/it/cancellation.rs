//! Cancellation ends a job within a second, whatever its tasks are waiting for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
        mpsc::sync_channel,
    },
    time::Duration,
};

use hurtig::{
    Batch, JobStatus,
    connector::{Sink, SinkWriter, WriterContext},
    connectors::{BlackHoleSink, DataGeneratorSource},
    graph::RestartStrategyConfig,
    prelude::*,
};

use parking_lot::Mutex;

use crate::support::{GatedSource, PATIENCE, eventually, timed, wait};

/// What the contract of the engine promises.
const IN_TIME: Duration = Duration::from_secs(1);

fn endless(env: &StreamExecutionEnvironment, rate: Option<f64>) -> DataStream<u64> {
    let source = DataGeneratorSource::new(|n| n, None, rate);
    env.from_source(source, WatermarkStrategy::no_watermarks(), "Endless")
}

/// Cancels a job and looks how it ends.
fn cancel_in_time(client: &JobClient) {
    let (outcome, took) = timed(|| {
        client.cancel().unwrap();
        wait(client)
    });
    let canceled = matches!(&outcome, Err(ExecuteError::JobCanceled { name }) if name == "job");
    assert!(canceled, "{outcome:?}");
    assert!(took < IN_TIME, "took {took:?}");
    assert_eq!(client.status().unwrap(), JobStatus::Canceled);
    let details = client.details().unwrap();
    let states = details.transitions.iter().map(|(status, _)| *status);
    assert!(states.rev().take(2).eq([JobStatus::Canceled, JobStatus::Cancelling]));
}

/// Counts how often it was opened and closed, and what it has seen.
#[derive(Clone, Default)]
struct Watched {
    opened: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
    seen: Arc<AtomicU64>,
}

impl MapFunction<u64, u64> for Watched {
    fn open(&mut self, _: &RuntimeContext) -> Result<(), BoxError> {
        self.opened.fetch_add(1, SeqCst);
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64, BoxError> {
        self.seen.fetch_add(1, SeqCst);
        Ok(value)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.closed.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[test]
fn a_busy_job_over_two_task_executors() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(4).set_task_executors(2);
    let watched = Watched::default();
    endless(&env, None)
        .key_by(|n| n % 1_000)
        .reduce(|sum, n| *sum = sum.wrapping_add(n))
        .rebalance()
        .map_with(watched.clone())
        .sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("records flow", || watched.seen.load(SeqCst) > 10_000);
    cancel_in_time(&client);
    // Cancelled tasks are closed like others.
    assert_eq!((watched.opened.load(SeqCst), watched.closed.load(SeqCst)), (4, 4));
    // Once more changes nothing.
    client.cancel().unwrap();
    assert_eq!(client.status().unwrap(), JobStatus::Canceled);
}

#[test]
fn a_job_whose_sources_have_nothing() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3);
    let (numbers, _gate) = GatedSource::stream(&env, 30);
    let watched = Watched::default();
    numbers.map(|n| n as u64).rebalance().map_with(watched.clone()).sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("all is read", || watched.seen.load(SeqCst) == 30);
    cancel_in_time(&client);
    assert_eq!(watched.closed.load(SeqCst), 3);
}

#[test]
fn a_job_whose_next_record_is_due_in_a_day() {
    let env = StreamExecutionEnvironment::new();
    let watched = Watched::default();
    let rare = endless(&env, Some(1.0 / 86_400.0));
    rare.map_with(watched.clone()).sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("the first record is there", || watched.seen.load(SeqCst) == 1);
    cancel_in_time(&client);
}

/// A sink that takes one batch and is then busy with it for ever, without blocking.
#[derive(Clone, Default)]
struct BusySink(Arc<AtomicU32>);

impl Sink for BusySink {
    type Input = u64;
    type Committable = ();

    fn create_writer(&self, _: WriterContext) -> Result<Box<dyn SinkWriter<u64, ()>>, BoxError> {
        Ok(Box::new(BusyWriter { batches: self.0.clone(), busy: false }))
    }
}

struct BusyWriter {
    batches: Arc<AtomicU32>,
    busy: bool,
}

impl SinkWriter<u64, ()> for BusyWriter {
    fn write(&mut self, _: Batch<u64>) -> Result<(), BoxError> {
        assert!(!self.busy, "it said that it takes no more");
        self.busy = true;
        self.batches.fetch_add(1, SeqCst);
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Err("nothing must be flushed after a cancellation".into())
    }

    fn is_available(&self) -> bool {
        !self.busy
    }
}

const NETWORK_BYTES: usize = 1 << 20;

#[test]
fn a_job_under_back_pressure_of_a_sink_that_takes_no_more() {
    for task_executors in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(2).set_task_executors(task_executors);
        env.set_network_memory_bytes(NETWORK_BYTES);
        let sink = BusySink::default();
        endless(&env, None).rebalance().map(|n| n).disable_chaining().sink_to(sink.clone());
        let client = env.execute_async("job").unwrap();
        eventually("both sinks are busy", || sink.0.load(SeqCst) == 2);
        let usage = || client.cluster().network_usage();
        eventually("records pile up", || {
            usage().iter().any(|usage| usage.used_bytes >= NETWORK_BYTES / 8)
        });
        cancel_in_time(&client);
        assert_eq!(sink.0.load(SeqCst), 2, "a busy writer gets nothing");
        assert!(usage().iter().all(|usage| usage.peak_bytes <= 2 * NETWORK_BYTES), "{:?}", usage());
    }
}

#[test]
fn a_job_that_has_read_all_but_cannot_finish() {
    let env = StreamExecutionEnvironment::new();
    let sink = BusySink::default();
    env.from_collection(vec![1u64]).sink_to(sink.clone());
    let client = env.execute_async("job").unwrap();
    eventually("the sink is busy", || sink.0.load(SeqCst) == 1);
    cancel_in_time(&client);
}

#[test]
fn a_job_that_waits_for_its_restart() {
    let env = StreamExecutionEnvironment::new();
    let delay_ms = 3_600_000;
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 1, delay_ms });
    let fails = |_| Err::<u64, BoxError>("no luck".into());
    endless(&env, None).try_map(fails).sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("it restarts", || client.status().unwrap() == JobStatus::Restarting);
    cancel_in_time(&client);
}

#[test]
fn a_job_that_waits_for_slots() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(3).set_task_slots(2);
    endless(&env, None).rebalance().map(|n| n).sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("it is scheduled", || client.status().unwrap() == JobStatus::Running);
    cancel_in_time(&client);
}

/// Emits far more than its outputs take whenever event time advances.
#[derive(Clone)]
struct Storm(Arc<AtomicU64>);

impl KeyedProcessFunction<u64, u64, u64> for Storm {
    fn process(
        &mut self,
        value: u64,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<'_, u64>,
    ) -> Result<(), BoxError> {
        context.register_event_time_timer(value as i64);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, u64>,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, SeqCst);
        (0..100).for_each(|n| out.collect(n));
        // There is always another one due.
        context.register_event_time_timer(time + 1);
        Ok(())
    }
}

#[test]
fn a_job_with_a_storm_of_timers() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let fired = Arc::new(AtomicU64::new(0));
    // The end of the input is the end of event time: the timers never run out.
    env.from_collection((0..10_000u64).collect())
        .key_by(|n| *n)
        .process(Storm(fired.clone()))
        .rebalance()
        .map(|n| n)
        .sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    eventually("timers fire", || fired.load(SeqCst) > 20_000);
    cancel_in_time(&client);
}

#[test]
fn blocking_user_code_has_threads_of_its_own() {
    let env = StreamExecutionEnvironment::new();
    env.set_compute_threads(1);
    let (release, released) = sync_channel::<()>(1);
    let (entered, inside) = sync_channel(1);
    let released = Arc::new(Mutex::new(released));
    let stuck = env.from_collection(vec![1u64]).map(move |n| {
        entered.send(()).unwrap();
        released.lock().recv_timeout(PATIENCE).unwrap();
        n
    });
    stuck.disable_chaining().blocking().sink_to(BlackHoleSink::new());
    // The other tasks have the one thread that there is.
    let watched = Watched::default();
    endless(&env, None).rebalance().map_with(watched.clone()).sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    eventually("others run", || watched.seen.load(SeqCst) > 100_000);
    client.cancel().unwrap();
    eventually("it is cancelling", || client.status().unwrap() == JobStatus::Cancelling);
    release.send(()).unwrap();
    cancel_in_time(&client);
}

#[test]
fn a_client_that_goes_away_takes_its_cluster_along() {
    let watched = Watched::default();
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let numbers = endless(&env, None).rebalance().map_with(watched.clone());
    numbers.sink_to(BlackHoleSink::new());
    let client = env.execute_async("job").unwrap();
    drop((env, numbers));
    eventually("records flow", || watched.seen.load(SeqCst) > 1_000);
    let (_, took) = timed(|| drop(client));
    assert!(took < IN_TIME, "took {took:?}");
    // Program and tasks are gone: what they shared with the test is the test's alone.
    assert_eq!(Arc::strong_count(&watched.seen), 1);
}
