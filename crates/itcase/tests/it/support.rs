//! What the tests share: a source that waits for the test, a sink that the test can look into, and
//! guards against hanging.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use hurtig::{
    Batch, JobClient,
    connector::{
        Boundedness, ReadStatus, ReaderContext, Sink, SinkWriter, Source, SourceOutput,
        SourceReader, SourceSplit, SplitEnumerator, WriterContext,
    },
    connectors::StaticEnumerator,
    prelude::*,
};
use hurtig_cluster_api::FailureInfo;
use hurtig_env::{Clock, Signal};
use parking_lot::Mutex;

/// Nothing here takes long: who waits longer than this waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Executes a program; panics if that does not end.
pub fn execute(env: &StreamExecutionEnvironment) -> Result<JobExecutionResult, ExecuteError> {
    wait(&env.execute_async("job")?)
}

/// Waits for the end of a job; panics if there is none.
pub fn wait(client: &JobClient) -> Result<JobExecutionResult, ExecuteError> {
    let (done, ended) = mpsc::sync_channel(1);
    let waiting = client.clone();
    let spawned = std::thread::Builder::new().spawn(move || {
        // The test has given up if nobody listens any more.
        let _ = done.send(waiting.wait());
    });
    spawned.unwrap();
    ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let vertices = client.details().unwrap().vertices.into_iter();
        let states: Vec<_> = vertices.map(|v| (v.name, v.states, v.metrics)).collect();
        panic!("the job has not ended: {states:#?}")
    })
}

/// Why a job failed.
pub fn failure(outcome: Result<JobExecutionResult, ExecuteError>) -> FailureInfo {
    match outcome {
        Err(ExecuteError::JobFailed { failure, .. }) => failure,
        Err(other) => panic!("expected a failed job, got {other}"),
        Ok(_) => panic!("expected a failed job, but it finished"),
    }
}

/// A process in which a job has failed runs the next one.
pub fn assert_another_job_runs() {
    let env = StreamExecutionEnvironment::new();
    let (numbers, seen) = VecSink::new();
    env.from_sequence(1, 3).map(|n| n * 2).sink_to(numbers);
    execute(&env).unwrap();
    assert_eq!(*seen.lock(), [2, 4, 6]);
}

/// Waits until something holds; panics if it never does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let began = clock.monotonic();
    while !holds() {
        assert!(clock.monotonic() - began < PATIENCE, "still not: {what}");
        std::thread::yield_now();
    }
}

/// How long something takes.
pub fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let clock = Clock::system();
    let began = clock.monotonic();
    let result = f();
    (result, clock.monotonic() - began)
}

/// Holds sources back until a test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    open: AtomicBool,
    waiting: Mutex<Vec<Signal>>,
}

impl Gate {
    pub fn open(&self) {
        self.0.open.store(true, SeqCst);
        self.0.waiting.lock().drain(..).for_each(|signal| signal.post());
    }

    /// True if open; otherwise the signal will be posted when it is.
    fn passed_or_wait(&self, signal: &Signal) -> bool {
        self.0.waiting.lock().push(signal.clone());
        self.0.open.load(SeqCst)
    }
}

/// The numbers from 0 on, of which each reader has its share; it ends when the gate is open.
pub struct GatedSource {
    pub count: i64,
    pub gate: Gate,
}

impl GatedSource {
    pub fn stream(env: &StreamExecutionEnvironment, count: i64) -> (hurtig::DataStream<i64>, Gate) {
        let gate = Gate::default();
        let source = Self { count, gate: gate.clone() };
        (env.from_source(source, WatermarkStrategy::no_watermarks(), "Gated"), gate)
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Share {
    next: i64,
    end: i64,
}

impl SourceSplit for Share {
    fn split_id(&self) -> String {
        self.end.to_string()
    }
}

impl Source for GatedSource {
    type Record = i64;
    type Split = Share;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<Share>>, BoxError> {
        let readers = i64::from(parallelism);
        let shares = (0..readers).map(|part| Share {
            next: self.count * part / readers,
            end: self.count * (part + 1) / readers,
        });
        Ok(Box::new(StaticEnumerator::new(shares, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<Share>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<Share>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<i64, Share>>, BoxError> {
        let (gate, signal) = (self.gate.clone(), context.signal);
        Ok(Box::new(GatedReader { gate, signal, shares: VecDeque::new() }))
    }
}

struct GatedReader {
    gate: Gate,
    signal: Signal,
    shares: VecDeque<Share>,
}

impl SourceReader<i64, Share> for GatedReader {
    fn add_splits(&mut self, splits: Vec<Share>) -> Result<(), BoxError> {
        self.shares.extend(splits);
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<i64>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(share) = self.shares.front_mut() else {
            return Ok(ReadStatus::NeedSplit);
        };
        if share.next == share.end {
            if !self.gate.passed_or_wait(&self.signal) {
                return Ok(ReadStatus::Wait { until_ms: None });
            }
            self.shares.pop_front();
            out.split_finished = true;
            return Ok(ReadStatus::More);
        }
        let until = (share.next + max_records as i64).min(share.end);
        out.values.extend(share.next..until);
        share.next = until;
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<Share> {
        self.shares.iter().cloned().collect()
    }
}

/// A sink whose records the test can look at while the job runs.
pub struct VecSink<T>(Arc<Mutex<Vec<T>>>);

impl<T: Send + 'static> VecSink<T> {
    pub fn new() -> (Self, Arc<Mutex<Vec<T>>>) {
        let records = Arc::new(Mutex::new(Vec::new()));
        (Self(records.clone()), records)
    }
}

impl<T> Sink for VecSink<T>
where
    T: Clone + Send + Serialize + serde::de::DeserializeOwned + 'static,
{
    type Input = T;
    type Committable = ();

    fn create_writer(&self, _: WriterContext) -> Result<Box<dyn SinkWriter<T, ()>>, BoxError> {
        Ok(Box::new(VecWriter(self.0.clone())))
    }
}

struct VecWriter<T>(Arc<Mutex<Vec<T>>>);

impl<T: Send> SinkWriter<T, ()> for VecWriter<T> {
    fn write(&mut self, mut batch: Batch<T>) -> Result<(), BoxError> {
        self.0.lock().append(&mut batch.values);
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }
}
