//! What the tests share: a payload of plain bytes, a transport that counts, delays and cuts
//! streams, and pairs of network stacks.

use std::{
    any::Any,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{future::BoxFuture, task::AtomicWaker};
use hurtig_cluster_api::PeerAddress;
use hurtig_env::{Runtimes, Signal};
use hurtig_network::{
    ChannelSpec, InputGate, MemoryTransport, NetworkConfig, NetworkEnvironment, ResultPartition,
    TcpTransport, TlsTransport, Transport,
    transport::{BoxedStream, Listener},
};
use hurtig_operator_api::{EdgeFactory, PartitionContext, Partitioner};
use hurtig_tls::{InternalTls, Protocol};
use hurtig_types::{
    BoxedPayload, CodecError, EdgeId, ExecutionAttemptId, FlowError, FlowResult, JobId,
    JobVertexId, Payload, ResourceId, ResultPartitionId, StreamElement,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Barrier,
};

use crate::authority::Authority;

/// A payload that is its own encoding.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    pub fn boxed(len: usize, fill: u8) -> BoxedPayload {
        Box::new(Blob(vec![fill; len]))
    }
}

impl Payload for Blob {
    fn len(&self) -> usize {
        1
    }
    fn size_bytes(&self) -> usize {
        self.0.len()
    }
    fn split_off(&mut self, at: usize) -> BoxedPayload {
        Box::new(Blob(self.0.split_off(at)))
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
        "Blob"
    }
}

pub struct BlobEdge;

impl EdgeFactory for BlobEdge {
    fn create_partitioner(&self, _: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
        Err(FlowError::internal("not used"))
    }
    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError> {
        Ok(Box::new(Blob(bytes.to_vec())))
    }
}

pub fn blob(element: StreamElement) -> Blob {
    match element {
        StreamElement::Batch(batch) => *batch.into_any().downcast::<Blob>().unwrap(),
        other => panic!("expected a batch, got {other:?}"),
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Tcp,
    Memory,
    Tls,
}

/// Small sizes, so that limits are reached quickly.
pub fn small() -> NetworkConfig {
    NetworkConfig {
        total_bytes: 1 << 20,
        buffer_bytes: 1024,
        buffers_per_channel: 2,
        floating_buffers_per_gate: 4,
        partition_request_timeout: Duration::from_secs(60),
        max_frame_bytes: 1 << 20,
        ..NetworkConfig::default()
    }
}

pub fn partition_id(number: u32) -> ResultPartitionId {
    ResultPartitionId {
        producer: ExecutionAttemptId {
            job: JobId(1),
            vertex: JobVertexId(2),
            subtask: number,
            attempt: 0,
        },
        edge: EdgeId(0),
    }
}

/// Lets a test look at and cut the streams of a transport.
#[derive(Clone)]
pub struct ProbedTransport {
    inner: Arc<dyn Transport>,
    probe: Arc<Probe>,
}

#[derive(Default)]
pub struct Probe {
    ends: Mutex<Vec<Arc<Cut>>>,
    pub meet: Mutex<Option<Arc<Barrier>>>,
}

#[derive(Default)]
struct Cut {
    is_cut: AtomicBool,
    closed: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Probe {
    /// Ends of streams that are open; a connection has two.
    pub fn open_ends(&self) -> usize {
        self.ends.lock().iter().filter(|e| !e.closed.load(SeqCst)).count()
    }

    /// Breaks all streams.
    pub fn cut_all(&self) {
        for end in self.ends.lock().iter() {
            end.is_cut.store(true, SeqCst);
            end.reader.wake();
            end.writer.wake();
        }
    }

    fn wrap(&self, stream: BoxedStream) -> BoxedStream {
        let cut = Arc::new(Cut::default());
        self.ends.lock().push(cut.clone());
        Box::new(ProbedStream { stream, cut })
    }
}

struct ProbedStream {
    stream: BoxedStream,
    cut: Arc<Cut>,
}

impl Drop for ProbedStream {
    fn drop(&mut self) {
        self.cut.closed.store(true, SeqCst);
    }
}

impl AsyncRead for ProbedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.reader.register(cx.waker());
        if self.cut.is_cut.load(SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProbedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.writer.register(cx.waker());
        if self.cut.is_cut.load(SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct ProbedListener {
    inner: Box<dyn Listener>,
    probe: Arc<Probe>,
}

impl Listener for ProbedListener {
    fn address(&self) -> String {
        self.inner.address()
    }
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async {
            let stream = self.inner.accept().await?;
            Ok(self.probe.wrap(stream))
        })
    }
}

impl Transport for ProbedTransport {
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let inner = self.inner.listen().await?;
            let probe = self.probe.clone();
            Ok(Box::new(ProbedListener { inner, probe }) as Box<dyn Listener>)
        })
    }
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let meet = self.probe.meet.lock().clone();
            if let Some(meet) = meet {
                meet.wait().await;
            }
            let stream = self.inner.connect(address).await?;
            Ok(self.probe.wrap(stream))
        })
    }
}

/// Several network stacks over one transport.
pub struct Cluster {
    pub stacks: Vec<NetworkEnvironment>,
    pub transport: Arc<dyn Transport>,
    pub probe: Arc<Probe>,
}

impl Cluster {
    pub async fn start(kind: Kind, stacks: usize, config: NetworkConfig) -> Self {
        let inner: Arc<dyn Transport> = match kind {
            Kind::Tcp => Arc::new(TcpTransport::loopback()),
            Kind::Memory => Arc::new(MemoryTransport::default()),
            Kind::Tls => Arc::new(TlsTransport::new(Arc::new(TcpTransport::loopback()), tls())),
        };
        let probe = Arc::new(Probe::default());
        let transport: Arc<dyn Transport> =
            Arc::new(ProbedTransport { inner, probe: probe.clone() });
        let mut started = Vec::new();
        for number in 0..stacks {
            let resource = ResourceId(number as u128 + 1);
            let stack = NetworkEnvironment::start(
                resource,
                config.clone(),
                Runtimes::current(),
                transport.clone(),
            );
            started.push(stack.await.unwrap());
        }
        Self { stacks: started, transport, probe }
    }

    pub fn address(&self, stack: usize) -> PeerAddress {
        self.stacks[stack].address().clone()
    }

    pub fn producer(&self, stack: usize, number: u32, subpartitions: usize) -> Producer {
        let signal = Signal::new();
        let partition = self.stacks[stack].create_partition(
            partition_id(number),
            subpartitions,
            signal.clone(),
        );
        Producer { partition: partition.unwrap(), signal }
    }

    /// A gate of `stack` over (producing stack, partition, subpartition).
    pub fn consumer(&self, stack: usize, channels: &[(usize, u32, usize)]) -> Consumer {
        let specs = channels.iter().map(|c| self.spec(*c)).collect();
        let signal = Signal::new();
        let gate = self.stacks[stack].create_gate(specs, Arc::new(BlobEdge), signal.clone());
        Consumer { gate: gate.unwrap(), signal }
    }

    pub fn spec(&self, (producer, number, subpartition): (usize, u32, usize)) -> ChannelSpec {
        ChannelSpec {
            partition: partition_id(number),
            subpartition,
            producer: self.address(producer),
        }
    }

    pub fn used_bytes(&self) -> usize {
        self.stacks.iter().map(|s| s.usage().used_bytes).sum()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for stack in &self.stacks {
            stack.shutdown();
        }
    }
}

pub struct Producer {
    pub partition: ResultPartition,
    pub signal: Signal,
}

impl Producer {
    pub async fn available(&self) {
        within("the partition to become available", async {
            while !self.partition.is_available() {
                self.signal.wait().await;
            }
        })
        .await;
    }

    pub async fn all_consumed(&self) {
        within("all consumers to finish", async {
            while !self.partition.all_consumed() {
                self.signal.wait().await;
            }
        })
        .await;
    }
}

pub struct Consumer {
    pub gate: InputGate,
    pub signal: Signal,
}

impl Consumer {
    pub async fn try_next(&mut self) -> FlowResult<(usize, StreamElement)> {
        within("an element to arrive", async {
            loop {
                if let Some(taken) = self.gate.poll()? {
                    return Ok(taken);
                }
                self.signal.wait().await;
            }
        })
        .await
    }

    pub async fn next(&mut self) -> (usize, StreamElement) {
        self.try_next().await.unwrap()
    }

    pub async fn failure(&mut self) -> FlowError {
        loop {
            if let Err(error) = self.try_next().await {
                return error;
            }
        }
    }
}

/// Fails the test if `future` takes too long.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Waits until a condition holds that nobody signals.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// TLS with a certificate of its own, for all stacks of a test.
fn tls() -> InternalTls {
    let authority = Authority::new();
    let config = authority.configured("stack");
    InternalTls::from_configuration(&config, Protocol::Data).unwrap().unwrap()
}

/// Runs each listed test over TCP, over memory and over TLS.
#[macro_export]
macro_rules! over_all_transports {
    ($($name:ident),* $(,)?) => {
        mod tcp {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::harness::Kind::Tcp).await })*
        }
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::harness::Kind::Memory).await })*
        }
        mod tls {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::harness::Kind::Tls).await })*
        }
    };
}
