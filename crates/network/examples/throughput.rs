//! How fast batches move, beside what the machine can do, in one run:
//!
//! 1. raw: one thread writes 32 KiB buffers to a TCP socket on the loopback interface, another
//!    reads them, and both copy each buffer once, as an encoder and a decoder would;
//! 2. remote: one channel, then eight, between two network stacks over the same interface;
//! 3. local: batches by pointer between two tasks;
//! 4. what setting up a shuffle with 187 500 local channels takes.
//!
//! `cargo run --release -p hurtig-network --example throughput [MiB]`

use std::{
    any::Any,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use hurtig_env::{Clock, OwnedRuntimes, Runtimes, Signal};
use hurtig_network::{
    ChannelSpec, InputGate, NetworkConfig, NetworkEnvironment, ResultPartition, TcpTransport,
};
use hurtig_operator_api::{EdgeFactory, PartitionContext, Partitioner};
use hurtig_types::{
    BoxedPayload, CodecError, EdgeId, ExecutionAttemptId, FlowError, FlowResult, JobId,
    JobVertexId, Payload, ResourceId, ResultPartitionId, StreamElement, element::ControlElement,
};

const BUFFER_BYTES: usize = 32 << 10;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Plain bytes: encoding and decoding are one copy each, so that the codec is not measured.
#[derive(Debug, Clone)]
struct Plain(Vec<u8>);

impl Payload for Plain {
    fn len(&self) -> usize {
        1
    }
    fn size_bytes(&self) -> usize {
        self.0.len()
    }
    fn split_off(&mut self, at: usize) -> BoxedPayload {
        Box::new(Plain(self.0.split_off(at)))
    }
    fn append(&mut self, other: BoxedPayload) -> Result<(), BoxedPayload> {
        Err(other)
    }
    fn clone_payload(&self) -> BoxedPayload {
        Box::new(self.clone())
    }
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
    fn type_name(&self) -> &'static str {
        "Plain"
    }
}

struct PlainEdge;

impl EdgeFactory for PlainEdge {
    fn create_partitioner(&self, _: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
        Err(FlowError::internal("not used"))
    }
    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError> {
        Ok(Box::new(Plain(bytes.to_vec())))
    }
}

fn id(number: u32) -> ResultPartitionId {
    let producer =
        ExecutionAttemptId { job: JobId(1), vertex: JobVertexId(1), subtask: number, attempt: 0 };
    ResultPartitionId { producer, edge: EdgeId(0) }
}

fn raw(clock: &Clock, buffers: usize) -> Outcome<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let start = clock.monotonic();
    std::thread::scope(|scope| -> Outcome {
        let writer = scope.spawn(move || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let source = vec![7u8; BUFFER_BYTES];
            let mut buffer = Vec::with_capacity(BUFFER_BYTES);
            for _ in 0..buffers {
                buffer.clear();
                buffer.extend_from_slice(&source);
                stream.write_all(&buffer)?;
            }
            Ok(())
        });
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0u8; BUFFER_BYTES];
        let mut taken = 0;
        for _ in 0..buffers {
            stream.read_exact(&mut buffer)?;
            let copy = buffer.clone();
            taken += std::hint::black_box(copy).len();
        }
        assert_eq!(taken, buffers * BUFFER_BYTES);
        writer.join().map_err(|_| "the writer panicked")??;
        Ok(())
    })?;
    Ok(clock.monotonic() - start)
}

async fn produce(
    mut partition: ResultPartition,
    signal: Signal,
    batches: usize,
    batch: impl Fn() -> BoxedPayload,
) -> FlowResult {
    for number in 0..batches {
        while !partition.is_available() {
            signal.wait().await;
        }
        partition.push(0, batch())?;
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    partition.broadcast_control(ControlElement::EndOfInput)?;
    while !partition.all_consumed() {
        signal.wait().await;
    }
    Ok(())
}

async fn consume(mut gate: InputGate, signal: Signal) -> FlowResult<usize> {
    let mut batches = 0;
    while !gate.is_finished() {
        match gate.poll()? {
            Some((_, StreamElement::Batch(batch))) => {
                batches += 1;
                std::hint::black_box(batch.len());
                if batches % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Some(_) => {}
            None => signal.wait().await,
        }
    }
    Ok(batches)
}

/// Moves `batches` batches from `from` to `to`, spread over `pairs` producers and consumers.
async fn exchange(
    clock: Clock,
    stacks: (&NetworkEnvironment, &NetworkEnvironment),
    runtimes: (&Runtimes, &Runtimes),
    pairs: u32,
    batches: usize,
    bytes: usize,
) -> Outcome<Duration> {
    let (from, to) = stacks;
    let each = batches / pairs as usize;
    let mut tasks = Vec::new();
    let mut consumers = Vec::new();
    let start = clock.monotonic();
    for number in 0..pairs {
        let signal = Signal::new();
        let partition = from.create_partition(id(number), 1, signal.clone())?;
        let spec = ChannelSpec {
            partition: id(number),
            subpartition: 0,
            producer: from.address().clone(),
        };
        let arrived = Signal::new();
        let gate = to.create_gate(vec![spec], Arc::new(PlainEdge), arrived.clone())?;
        let source = Plain(vec![7; bytes]);
        // The batch itself is made outside of what is measured as far as that is possible: a copy.
        let batch = move || source.clone_payload();
        tasks.push(runtimes.0.compute.spawn(produce(partition, signal, each, batch)));
        consumers.push(runtimes.1.compute.spawn(consume(gate, arrived)));
    }
    for consumer in consumers {
        let taken = consumer.await?.map_err(|e| e.to_string())?;
        assert_eq!(taken, each);
    }
    let elapsed = clock.monotonic() - start;
    for task in tasks {
        task.await?.map_err(|e| e.to_string())?;
    }
    Ok(elapsed)
}

async fn start(resource: u128, runtimes: &Runtimes) -> Outcome<NetworkEnvironment> {
    let config = NetworkConfig { buffer_bytes: BUFFER_BYTES, ..NetworkConfig::default() };
    let transport = Arc::new(TcpTransport::loopback());
    let stack =
        NetworkEnvironment::start(ResourceId(resource), config, runtimes.clone(), transport);
    Ok(stack.await?)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

fn large_shuffle(clock: &Clock, stack: &NetworkEnvironment) -> Outcome {
    let (side, edges) = (250u32, 3u32);
    let before = resident_bytes();
    let start = clock.monotonic();
    let mut partitions = Vec::new();
    for number in 0..side * edges {
        partitions.push(stack.create_partition(id(number), side as usize, Signal::new())?);
    }
    let mut gates = Vec::new();
    for edge in 0..edges {
        for subpartition in 0..side as usize {
            let channels = (0..side).map(|number| ChannelSpec {
                partition: id(edge * side + number),
                subpartition,
                producer: stack.address().clone(),
            });
            let gate = stack.create_gate(channels.collect(), Arc::new(PlainEdge), Signal::new())?;
            gates.push(gate);
        }
    }
    let channels = side * side * edges;
    let bytes = (resident_bytes() - before) / channels as usize;
    let ms = (clock.monotonic() - start).as_millis();
    println!("{channels} local channels: set up in {ms} ms, {bytes} bytes each");
    Ok(())
}

fn main() -> Outcome {
    let mib = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(4096usize);
    let batches = (mib << 20) / BUFFER_BYTES;
    let clock_runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = clock_runtime.enter();
    let clock = Clock::system();
    let owned = [OwnedRuntimes::start(Some(1))?, OwnedRuntimes::start(Some(1))?];
    let runtimes = [owned[0].handles(), owned[1].handles()];
    let rate = |elapsed: Duration| (mib as f64 * 1.048_576) / elapsed.as_secs_f64();
    clock_runtime.block_on(async {
        let one = start(1, &runtimes[0]).await?;
        let two = start(2, &runtimes[1]).await?;
        let both = (&runtimes[0], &runtimes[1]);
        for round in 1..=3 {
            let raw = rate(raw(&clock, batches)?);
            let single = exchange(clock, (&one, &two), both, 1, batches, BUFFER_BYTES).await?;
            let eight = exchange(clock, (&one, &two), both, 8, batches, BUFFER_BYTES).await?;
            let (single, eight) = (rate(single), rate(eight));
            println!(
                "round {round}: raw TCP {raw:.0} MB/s | remote, 1 channel {single:.0} MB/s ({:.2}) \
                 | remote, 8 channels {eight:.0} MB/s ({:.2})",
                single / raw,
                eight / raw
            );
        }
        let small = 2_000_000;
        let local = exchange(clock, (&one, &one), both, 1, small, 100).await?;
        println!("local, 1 channel: {:.0} batches/s", small as f64 / local.as_secs_f64());
        let usage = [one.usage(), two.usage()];
        println!("most memory in use: {} and {} bytes", usage[0].peak_bytes, usage[1].peak_bytes);
        large_shuffle(&clock, &one)?;
        one.shutdown();
        two.shutdown();
        Ok(())
    })
}
