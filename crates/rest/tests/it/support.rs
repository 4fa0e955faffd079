//! An embedded cluster with a REST server, a job that waits, and answers without what differs from
//! run to run.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use hurtig::{
    connector::{
        Boundedness, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit,
        SplitEnumerator,
    },
    connectors::{BlackHoleSink, StaticEnumerator},
    prelude::*,
};
use hurtig_cluster_api::DispatcherGateway;
use hurtig_config::Configuration;
use hurtig_env::Clock;
use hurtig_minicluster::{MiniCluster, MiniClusterConfig};
use hurtig_rest::{RestClient, RestServer, RestServerConfig, RestServices};
use hurtig_types::JobId;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Nothing here takes long: who waits longer than this waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster and its server.
pub struct Cluster {
    pub cluster: MiniCluster,
    pub server: RestServer,
    pub client: RestClient,
}

/// What a server is given that answers for a cluster.
pub fn services(cluster: &MiniCluster) -> RestServices {
    let dispatcher: Arc<dyn DispatcherGateway> = Arc::new(cluster.dispatcher().clone());
    RestServices {
        blobs: None,
        programs: None,
        logs: None,
        task_manager_logs: None,
        stores: Arc::default(),
        configuration: Configuration::new(),
        shutdown: None,
        clock: Clock::system(),
        runtimes: cluster.runtimes().clone(),
        seed: 1,
        dispatcher,
    }
}

/// A cluster of one TaskExecutor, with what a test changes of server and services.
pub fn start_with(config: RestServerConfig, change: impl FnOnce(&mut RestServices)) -> Cluster {
    let cluster = MiniCluster::start(MiniClusterConfig {
        slots_per_task_executor: 2,
        compute_threads: Some(1),
        heartbeat_interval: Duration::from_millis(20),
        ..MiniClusterConfig::default()
    })
    .unwrap();
    let mut services = services(&cluster);
    change(&mut services);
    let config = RestServerConfig { ports: vec![0], ..config };
    let server = cluster.runtimes().control.block_on(RestServer::start(config, services)).unwrap();
    let address = server.address().to_string();
    let client = RestClient::new(&address, &Configuration::new()).unwrap();
    Cluster { cluster, server, client }
}

pub fn start() -> Cluster {
    start_with(RestServerConfig::default(), |_| {})
}

impl Cluster {
    /// Waits for an answer; panics if there is none.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let control = &self.cluster.runtimes().control;
        let done = control.block_on(async { tokio::time::timeout(PATIENCE, work).await });
        done.expect("an answer in time")
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn get(&self, path: &str) -> Value {
        self.wait(self.client.get(path)).unwrap()
    }

    /// Sends bytes, and reads until the server closes.
    pub fn raw(&self, bytes: &[u8]) -> String {
        self.wait(raw(self.address(), bytes))
    }

    /// Status and body of a request.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n\
             {body}",
            body.len()
        );
        let answer = self.raw(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {head:?}")), body.to_owned())
    }

    /// Submits a job.
    pub fn submit(&self, env: &StreamExecutionEnvironment, name: &str) -> JobId {
        let id = JobId::from_bytes_hash(name.as_bytes());
        let (graph, program) = env.job_graph(name, id).unwrap();
        self.wait(self.cluster.submit(graph, program.into())).unwrap();
        id
    }

    /// Submits the job of [`sums`], and waits until all of its tasks run.
    pub fn submit_sums(&self, gate: &Gate) -> JobId {
        let job = self.submit(&sums(gate), "sums");
        self.eventually(&format!("/jobs/{job}"), |answer| answer["status-counts"]["RUNNING"] == 2);
        job
    }

    /// Asks until the answer is as wanted; panics if it never is.
    pub fn eventually(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let clock = Clock::system();
        let began = clock.monotonic();
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(clock.monotonic() - began < PATIENCE, "{path} is still {answer}");
        }
    }
}

/// Sends bytes to a server, and reads until it closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early closes while bytes are still being sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Ten numbers, kept back until the gate opens, summed up by key.
pub fn sums(gate: &Gate) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    env.from_source(Ten(gate.clone()), WatermarkStrategy::no_watermarks(), "Ten")
        .uid("ten")
        .key_by(|n| n % 2)
        .reduce(|sum, n| *sum += n)
        .uid("sums")
        .sink_to(BlackHoleSink::new());
    env
}

/// Keeps sources from ending.
#[derive(Clone, Default)]
pub struct Gate(Arc<(AtomicBool, parking_lot::Mutex<Vec<hurtig_env::Signal>>)>);

impl Gate {
    pub fn open(&self) {
        self.0.0.store(true, SeqCst);
        self.0.1.lock().drain(..).for_each(|signal| signal.post());
    }
}

struct Ten(Gate);

#[derive(Clone, Serialize, Deserialize)]
struct Part {
    number: i64,
    emitted: bool,
}

impl SourceSplit for Part {
    fn split_id(&self) -> String {
        self.number.to_string()
    }
}

impl Source for Ten {
    type Record = i64;
    type Split = Part;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<Part>>, BoxError> {
        let parts = (0..i64::from(parallelism)).map(|number| Part { number, emitted: false });
        Ok(Box::new(StaticEnumerator::new(parts, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<Part>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<Part>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<i64, Part>>, BoxError> {
        Ok(Box::new(TenReader { gate: self.0.clone(), signal: context.signal, part: None }))
    }
}

struct TenReader {
    gate: Gate,
    signal: hurtig_env::Signal,
    part: Option<Part>,
}

impl SourceReader<i64, Part> for TenReader {
    fn add_splits(&mut self, splits: Vec<Part>) -> Result<(), BoxError> {
        self.part = splits.into_iter().next_back().or(self.part.take());
        Ok(())
    }

    fn read(&mut self, _: usize, out: &mut SourceOutput<i64>) -> Result<ReadStatus, BoxError> {
        let Some(part) = &mut self.part else { return Ok(ReadStatus::NeedSplit) };
        if !part.emitted {
            part.emitted = true;
            out.values.extend(part.number * 5..part.number * 5 + 5);
            return Ok(ReadStatus::More);
        }
        self.gate.0.1.lock().push(self.signal.clone());
        if !self.gate.0.0.load(SeqCst) {
            return Ok(ReadStatus::Wait { until_ms: None });
        }
        self.part = None;
        out.split_finished = true;
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<Part> {
        self.part.iter().cloned().collect()
    }
}

/// Fields whose values are times, and differ from run to run.
const TIMES: &[&str] = &[
    "now",
    "start-time",
    "end-time",
    "start_time",
    "duration",
    "last-modification",
    "timestamp",
    "net-runtime",
    "trigger_timestamp",
    "latest_ack_timestamp",
    "end_to_end_duration",
    "ack_timestamp",
    "start_delay",
    "timeSinceLastHeartbeat",
    "end-timestamp",
];

/// Fields of objects or statistics in which all values are times.
const ALL_TIMES: &[&str] = &[
    "timestamps",
    "status-duration",
    "checkpoint",
    "checkpoint_duration",
    "alignment",
    "end_to_end_duration",
    "start_delay",
    "accumulated-busy-time",
    "accumulated-idle-time",
    "accumulated-backpressured-time",
];

/// An answer without what differs from run to run: times become `<time>` if they are known, ids
/// that are drawn become letters in the order in which they come.
pub struct Mask {
    names: BTreeMap<String, String>,
}

impl Mask {
    /// These ids have names of their own.
    pub fn new(names: &[(String, &str)]) -> Self {
        Self { names: names.iter().map(|(id, name)| (id.clone(), (*name).to_owned())).collect() }
    }

    pub fn apply(&mut self, value: &Value) -> String {
        let mut value = value.clone();
        self.mask(&mut value, false);
        serde_json::to_string_pretty(&value).unwrap()
    }

    fn mask(&mut self, value: &mut Value, time: bool) {
        match value {
            Value::Object(fields) => {
                let taken = std::mem::take(fields);
                for (key, mut value) in taken {
                    let time = time && key != "id"
                        || ALL_TIMES.contains(&key.as_str())
                        || (TIMES.contains(&key.as_str()) && !value.is_object());
                    self.mask(&mut value, time);
                    fields.insert(self.text(&key), value);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask(value, time)),
            Value::Number(number) if time && number.as_i64() != Some(-1) => {
                let known = number.as_f64().is_some_and(|n| n >= 1_000_000_000.0);
                *value = Value::from(if known { "<time>" } else { "<duration>" });
            }
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) -> String {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return text.to_owned();
        }
        let next = format!("<id {}>", self.names.len());
        self.names.entry(text.to_owned()).or_insert(next).clone()
    }
}
