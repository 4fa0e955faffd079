//! Records between two TaskExecutors over one loopback TCP connection, beside a bare copy loop over
//! such a connection in the same run.
//!
//! Both send buffers of the same size. The exchange does with them what it does with batches of
//! records: the producer encodes them (one copy), they wait for credit, share a connection with
//! everything else, and the consumer decodes them (a look at both ends); all with threads of its
//! own on each side. The consumer checks that every buffer comes, whole, once and in order.

use std::{
    any::Any,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use hurtig::{ParameterTool, prelude::BoxError};
use hurtig_env::{OwnedRuntimes, Runtimes, Signal};
use hurtig_network::{
    ChannelSpec, InputGate, NetworkConfig, NetworkEnvironment, ResultPartition, TcpTransport,
};
use hurtig_operator_api::{EdgeFactory, PartitionContext, Partitioner};
use hurtig_types::{
    BoxedPayload, CodecError, EdgeId, ExecutionAttemptId, FlowError, FlowResult, JobId,
    JobVertexId, Payload, ResourceId, ResultPartitionId, StreamElement, element::ControlElement,
};

/// The bars: one of them is to be reached.
const MB_PER_S: f64 = 1000.0;
const SHARE: f64 = 0.7;
/// Bytes of the sequence numbers at both ends of a buffer.
const ENDS: usize = 16;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let bytes: usize = parameters.parse_or("buffer-bytes", 32 << 10)?;
    let total_mb: u64 = parameters.parse_or("megabytes", 2000)?;
    let runs: usize = parameters.parse_or("runs", 5)?;
    let bytes = bytes.max(ENDS);
    let buffers = (total_mb * 1_000_000 / bytes as u64).max(1);
    let (mut bare, mut exchanged) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        bare.push(speed(buffers, bytes, bare_copies(buffers, bytes)?));
        exchanged.push(speed(buffers, bytes, exchange(buffers, bytes)?));
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let (bare, exchanged) = (median(&mut bare), median(&mut exchanged));
    let share = exchanged / bare;
    let verdict = if exchanged >= MB_PER_S || share >= SHARE { "within" } else { "MISSES" };
    println!("buffers of {bytes} bytes over one loopback TCP connection, median of {runs} runs");
    println!("  bare copy loop   {bare:>7.0} MB/s");
    println!("  exchange         {exchanged:>7.0} MB/s, {share:.2} of it");
    println!("  {verdict} the bar of {MB_PER_S} MB/s or {SHARE} of the copy loop");
    Ok(true)
}

fn speed(buffers: u64, bytes: usize, took: Duration) -> f64 {
    (buffers * bytes as u64) as f64 / 1e6 / took.as_secs_f64()
}

/// One thread writes, the other reads.
fn bare_copies(buffers: u64, bytes: usize) -> Result<Duration, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut writer = TcpStream::connect(listener.local_addr()?)?;
    let (mut reader, _) = listener.accept()?;
    writer.set_nodelay(true)?;
    let began = Instant::now();
    let writing = std::thread::Builder::new().spawn(move || {
        let buffer = vec![7; bytes];
        (0..buffers).try_for_each(|_| writer.write_all(&buffer))
    })?;
    let (mut buffer, mut read) = (vec![0; bytes], 0);
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            length => read += length as u64,
        }
    }
    let took = began.elapsed();
    writing.join().map_err(|_| "the writer has panicked")??;
    if read != buffers * bytes as u64 {
        return Err(format!("{read} bytes were read").into());
    }
    Ok(took)
}

/// A buffer on its way: its number, and bytes that all of them share.
#[derive(Debug)]
struct Buffer {
    number: u64,
    bytes: Arc<[u8]>,
}

impl Payload for Buffer {
    fn len(&self) -> usize {
        1
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn split_off(&mut self, _: usize) -> BoxedPayload {
        Box::new(Self { number: self.number, bytes: Arc::new([]) })
    }

    fn append(&mut self, other: BoxedPayload) -> Result<(), BoxedPayload> {
        Err(other)
    }

    fn clone_payload(&self) -> BoxedPayload {
        Box::new(Self { number: self.number, bytes: self.bytes.clone() })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(self.bytes.get(ENDS..).unwrap_or_default());
        out.extend_from_slice(&self.number.to_le_bytes());
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn type_name(&self) -> &'static str {
        "Buffer"
    }
}

/// Decodes buffers of the one length that is sent.
struct Decoder(usize);

impl EdgeFactory for Decoder {
    fn create_partitioner(&self, _: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
        Err(FlowError::internal("there is one channel"))
    }

    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError> {
        let number = |end: Option<&[u8; 8]>| end.map(|bytes| u64::from_le_bytes(*bytes));
        let (first, last) = (number(bytes.first_chunk()), number(bytes.last_chunk()));
        match first {
            Some(number) if first == last && bytes.len() == self.0 => {
                Ok(Box::new(Buffer { number, bytes: Arc::new([]) }))
            }
            _ => Err(CodecError::Malformed("a buffer is not as it was sent".to_owned())),
        }
    }
}

/// One side: a network stack with threads of its own.
struct Side {
    owned: OwnedRuntimes,
    network: NetworkEnvironment,
}

impl Side {
    fn start(number: u128) -> Result<Self, BoxError> {
        let owned = OwnedRuntimes::start(Some(1))?;
        let runtimes = owned.handles();
        let network = runtimes.control.block_on(NetworkEnvironment::start(
            ResourceId(number),
            NetworkConfig::default(),
            runtimes.clone(),
            Arc::new(TcpTransport::loopback()),
        ))?;
        Ok(Self { owned, network })
    }

    fn runtimes(&self) -> Runtimes {
        self.owned.handles()
    }
}

fn exchange(buffers: u64, bytes: usize) -> Result<Duration, BoxError> {
    let (near, far) = (Side::start(1)?, Side::start(2)?);
    let producer =
        ExecutionAttemptId { job: JobId(1), vertex: JobVertexId(1), subtask: 0, attempt: 0 };
    let id = ResultPartitionId { producer, edge: EdgeId(0) };
    let available = Signal::new();
    let partition = near.network.create_partition(id, 1, available.clone())?;
    let arrived = Signal::new();
    let producer = near.network.address().clone();
    let channel = ChannelSpec { partition: id, subpartition: 0, producer };
    let gate = far.network.create_gate(vec![channel], Arc::new(Decoder(bytes)), arrived.clone())?;
    let began = Instant::now();
    let producing = near.runtimes().compute.spawn(produce(partition, available, buffers, bytes));
    let consuming = far.runtimes().compute.spawn(consume(gate, arrived, buffers));
    far.runtimes().control.block_on(consuming)??;
    let took = began.elapsed();
    near.runtimes().control.block_on(producing)??;
    near.network.shutdown();
    far.network.shutdown();
    Ok(took)
}

async fn produce(
    mut partition: ResultPartition,
    available: Signal,
    buffers: u64,
    bytes: usize,
) -> FlowResult<()> {
    let bytes: Arc<[u8]> = vec![7; bytes].into();
    for number in 0..buffers {
        while !partition.is_available() {
            available.wait().await;
        }
        partition.push(0, Box::new(Buffer { number, bytes: bytes.clone() }))?;
    }
    partition.broadcast_control(ControlElement::EndOfInput)?;
    while !partition.all_consumed() {
        available.wait().await;
    }
    Ok(())
}

async fn consume(mut gate: InputGate, arrived: Signal, buffers: u64) -> FlowResult<()> {
    let mut expected = 0;
    loop {
        let element = loop {
            match gate.poll()? {
                Some((_, element)) => break element,
                None => arrived.wait().await,
            }
        };
        let batch = match element {
            StreamElement::Batch(batch) => batch,
            StreamElement::EndOfInput if expected == buffers => {
                return Ok(());
            }
            other => return Err(FlowError::internal(format!("unexpected {other:?}"))),
        };
        match batch.into_any().downcast::<Buffer>() {
            Ok(buffer) if buffer.number == expected => expected += 1,
            _ => return Err(FlowError::internal("a buffer came out of turn")),
        }
    }
}
