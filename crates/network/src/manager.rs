//! The connections of a TaskExecutor: at most one per peer.
//!
//! # How two TaskExecutors agree on one connection
//!
//! 1. Whoever needs a channel first creates the connection's entry and dials; requests wait in the
//!    entry.
//! 2. The dialling side sends `Hello` with its own address and the id of the side that it means.
//!    The other side refuses to talk if it is somebody else.
//! 3. The side that was dialled answers *accepted* or *refused* by the rule in
//!    [`handshake`](crate::handshake): of two dials that cross, that of the smaller id is taken.
//! 4. A side whose dial was refused waits for the peer's dial to arrive, and dials again if it does
//!    not.
//! 5. When a connection is lost, its entry is dropped and all its channels fail; the next request
//!    starts from 1.
//!
//! Whoever has attached a connection holds a [`Serving`] until the end, which makes step 5 happen
//! however that comes: an error, a panic, a timeout in the handshake or a shutdown.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::BytesMut;
use hurtig_cluster_api::PeerAddress;
use hurtig_env::{Doorway, Runtimes, Signal, Visitor};
use hurtig_types::{ResourceId, ResultPartitionId};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::Instant,
};

use crate::{
    NetworkConfig,
    budget::Budget,
    connection::{ConnectionShared, IncomingRequest, read::ReadContext},
    frame::{self, DATA_HEADER_BYTES, Frame, MAGIC, Message, VERSION},
    handshake::{Held, takes},
    registry::{Registry, Requested},
    subpartition::Consumer,
    transport::{BoxedStream, Listener, Transport},
};

/// Largest frame of a handshake.
const HANDSHAKE_FRAME_BYTES: usize = 4096;
/// Longest handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the first failed attempt to connect; doubled by each further one.
const FIRST_RETRY: Duration = Duration::from_millis(20);
/// Most connections whose handshake is under way. One more takes the place of the oldest, so
/// connections that say nothing stop nobody who does.
const MAX_HANDSHAKES: usize = 256;
/// Most peers. One more is refused.
const MAX_PEERS: usize = 1 << 16;

struct Entry {
    connection: Arc<ConnectionShared>,
    dialling: bool,
}

/// A request for a partition that is not there yet.
struct Expiry {
    at: Instant,
    partition: ResultPartitionId,
    ticket: u64,
}

/// The right to serve a connection. When it is dropped the connection is lost.
struct Serving {
    manager: Arc<Manager>,
    connection: Arc<ConnectionShared>,
    reason: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.manager.lost(&self.connection, &self.reason);
    }
}

/// Says once that everything is to stop. Whoever waits is woken in the order of waiting, which a
/// `watch` channel does not promise: a run could not be repeated.
#[derive(Clone, Default)]
struct Stop(Arc<(AtomicBool, Notify)>);

impl Stop {
    fn stop(&self) {
        self.0.0.store(true, SeqCst);
        self.0.1.notify_waiters();
    }

    fn is_stopped(&self) -> bool {
        self.0.0.load(SeqCst)
    }

    async fn stopped(&self) {
        // Counts from here on: a stop between the look and the wait is not missed.
        let notified = self.0.1.notified();
        if !self.is_stopped() {
            notified.await;
        }
    }
}

pub(crate) struct Manager {
    own: PeerAddress,
    config: NetworkConfig,
    runtimes: Runtimes,
    transport: Arc<dyn Transport>,
    pub(crate) registry: Arc<Registry>,
    budget: Arc<Budget>,
    connections: Mutex<BTreeMap<ResourceId, Entry>>,
    stop: Stop,
    /// In the order of time: all wait equally long.
    expiries: Mutex<VecDeque<Expiry>>,
    expiry_added: Signal,
    this: Weak<Manager>,
}

impl Manager {
    pub(crate) fn new(
        own: PeerAddress,
        config: NetworkConfig,
        runtimes: Runtimes,
        transport: Arc<dyn Transport>,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            own,
            registry: Arc::new(Registry::new(config.buffer_bytes)),
            config,
            runtimes,
            transport,
            budget,
            connections: Mutex::default(),
            stop: Stop::default(),
            expiries: Mutex::default(),
            expiry_added: Signal::new(),
            this: this.clone(),
        })
    }

    /// Ends all connections and stops listening.
    pub(crate) fn stop(&self) {
        self.stop.stop();
        let connections = std::mem::take(&mut *self.connections.lock());
        for entry in connections.into_values() {
            entry.connection.fail("shut down");
        }
    }

    /// Number of peers with a connection.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.lock().len()
    }

    /// Runs a future until it ends or everything stops.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.runtimes.control.spawn(async move {
            tokio::select! {
                biased;
                () = stop.stopped() => {}
                () = future => {}
            }
        });
    }

    /// Accepts connections until everything stops.
    pub(crate) fn listen(&self, mut listener: Box<dyn Listener>) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        let handshakes = Doorway::new(MAX_HANDSHAKES);
        self.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok(stream) => {
                        let (manager, visitor) = (this.clone(), handshakes.enter());
                        this.spawn(async move { manager.receive_peer(stream, visitor).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
    }

    /// Serves a connection that has come, if its handshake is as it should be.
    async fn receive_peer(&self, stream: BoxedStream, mut visitor: Visitor) {
        let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.answer(stream));
        let shaken = tokio::select! {
            biased;
            shaken = shaken => shaken,
            () = visitor.shown_out() => {
                tracing::debug!("a connection that said nothing has made room");
                return;
            }
        };
        drop(visitor);
        match shaken {
            Ok(Ok(Some((serving, stream, rest)))) => serving.run(stream, rest).await,
            Ok(Ok(None)) => {}
            Ok(Err(reason)) => tracing::warn!(reason, "connection refused"),
            Err(_) => tracing::debug!("handshake timed out"),
        }
    }

    /// The connection to a peer, dialled if there is none.
    pub(crate) fn connection_to(&self, peer: &PeerAddress) -> Arc<ConnectionShared> {
        let mut connections = self.connections.lock();
        if let Some(entry) = connections.get(&peer.resource) {
            return entry.connection.clone();
        }
        let connection = ConnectionShared::new(peer.clone());
        let entry = Entry { connection: connection.clone(), dialling: true };
        if self.stop.is_stopped() {
            // Whatever is requested of it fails.
            connection.fail("shut down");
            return connection;
        }
        connections.insert(peer.resource, entry);
        drop(connections);
        if let Some(manager) = self.this.upgrade() {
            let connection = connection.clone();
            self.spawn(async move { manager.dial(connection).await });
        }
        connection
    }

    async fn dial(&self, connection: Arc<ConnectionShared>) {
        let mut pause = FIRST_RETRY;
        let mut reason = String::new();
        for _ in 0..self.config.connect_attempts.max(1) {
            if connection.is_attached() || connection.is_dead() {
                return;
            }
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.try_dial(&connection)).await {
                Ok(Ok(Some((stream, rest)))) => {
                    if let Some(serving) = self.attach(&connection) {
                        serving.run(stream, rest).await;
                    }
                    return;
                }
                Ok(Ok(None)) => reason = "the peer refused the connection".to_owned(),
                Ok(Err(error)) => reason = error,
                Err(_) => reason = "no answer".to_owned(),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        if let Some(mut serving) = self.attach(&connection) {
            serving.reason = format!("cannot connect: {reason}");
        }
    }

    /// Claims a connection; `None` if somebody serves it.
    fn attach(&self, connection: &Arc<ConnectionShared>) -> Option<Serving> {
        let manager = self.this.upgrade()?;
        connection.try_attach().then(|| Serving {
            manager,
            connection: connection.clone(),
            reason: "shut down".to_owned(),
        })
    }

    async fn try_dial(
        &self,
        connection: &ConnectionShared,
    ) -> Result<Option<(BoxedStream, BytesMut)>, String> {
        let connected = self.transport.connect(&connection.peer.address).await;
        let mut stream = connected.map_err(|e| e.to_string())?;
        let to = connection.peer.resource;
        let hello = Message::Hello { magic: MAGIC, version: VERSION, from: self.own.clone(), to };
        send(&mut stream, &hello).await?;
        let mut buffer = BytesMut::new();
        match receive(&mut stream, &mut buffer).await? {
            Message::HelloAnswer { accepted } => Ok(accepted.then_some((stream, buffer))),
            other => Err(format!("expected the answer to a handshake, got {other:?}")),
        }
    }

    /// Answers a peer that dialled. `None` if its connection is not used.
    async fn answer(
        &self,
        mut stream: BoxedStream,
    ) -> Result<Option<(Serving, BoxedStream, BytesMut)>, String> {
        let mut buffer = BytesMut::new();
        let Message::Hello { magic, version, from, to } = receive(&mut stream, &mut buffer).await?
        else {
            return Err("expected a handshake".to_owned());
        };
        if magic != MAGIC || version != VERSION {
            return Err(format!("the peer speaks another protocol (version {version})"));
        }
        let own = self.own.resource;
        if to != own || from.resource == own {
            return Err(format!("TaskExecutor {} looks for {to}, this is {own}", from.resource));
        }
        let adopted = self.adopt(from);
        send(&mut stream, &Message::HelloAnswer { accepted: adopted.is_some() }).await?;
        Ok(adopted.map(|serving| (serving, stream, buffer)))
    }

    /// Decides on a peer's dial: step 3 of the protocol.
    fn adopt(&self, from: PeerAddress) -> Option<Serving> {
        let mut connections = self.connections.lock();
        let peer = from.resource;
        let held = match connections.get(&peer) {
            None => Held::Nothing,
            Some(entry) if entry.connection.is_attached() => Held::Serving,
            Some(entry) if entry.dialling => Held::Dialling,
            Some(_) => Held::Nothing,
        };
        let full = connections.len() >= MAX_PEERS && !connections.contains_key(&peer);
        if full || !takes(self.own.resource, peer, held) {
            return None;
        }
        let entry = connections
            .entry(peer)
            .or_insert_with(|| Entry { connection: ConnectionShared::new(from), dialling: false });
        let connection = entry.connection.clone();
        drop(connections);
        self.attach(&connection)
    }

    fn lost(&self, connection: &Arc<ConnectionShared>, reason: &str) {
        let mut connections = self.connections.lock();
        let peer = connection.peer.resource;
        if connections.get(&peer).is_some_and(|e| Arc::ptr_eq(&e.connection, connection)) {
            connections.remove(&peer);
        }
        drop(connections);
        connection.fail(reason);
    }

    fn on_request(&self, connection: &Arc<ConnectionShared>, request: IncomingRequest) {
        let IncomingRequest { channel, partition, subpartition } = request;
        let consumer = Consumer::Remote { connection: connection.clone(), channel };
        match self.registry.request(partition, subpartition, consumer) {
            Requested::Attached => {}
            Requested::Refused(reason) => connection.fail_sender(channel, reason),
            Requested::Waiting(ticket) => self.expire_later(partition, ticket),
        }
    }

    /// Lets a request for a partition that never comes fail.
    pub(crate) fn expire_later(&self, partition: ResultPartitionId, ticket: u64) {
        {
            let mut expiries = self.expiries.lock();
            // Under the lock, so that the queue is in the order of time.
            let at = Instant::now() + self.config.partition_request_timeout;
            expiries.push_back(Expiry { at, partition, ticket });
        }
        self.expiry_added.post();
    }

    /// Lets requests expire until everything stops.
    pub(crate) fn watch_expiries(&self) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        self.spawn(async move {
            loop {
                let next = this.expiries.lock().front().map(|e| e.at);
                match next {
                    None => this.expiry_added.wait().await,
                    Some(at) => {
                        tokio::time::sleep_until(at).await;
                        this.expire_due();
                    }
                }
            }
        });
    }

    fn expire_due(&self) {
        let now = Instant::now();
        let timeout_ms = self.config.partition_request_timeout.as_millis();
        loop {
            let due = {
                let mut expiries = self.expiries.lock();
                if expiries.front().is_none_or(|e| e.at > now) {
                    return;
                }
                expiries.pop_front()
            };
            let Some(Expiry { partition, ticket, .. }) = due else {
                return;
            };
            let reason = format!("partition {partition} was not found within {timeout_ms} ms");
            self.registry.expire(partition, ticket, &reason);
        }
    }
}

impl Serving {
    /// Serves the connection until it is lost.
    async fn run(mut self, stream: BoxedStream, rest: BytesMut) {
        let (reader, writer) = tokio::io::split(stream);
        let Self { manager, connection, .. } = &self;
        let on_request = |request| manager.on_request(connection, request);
        let context = ReadContext {
            budget: &manager.budget,
            buffers: &manager.registry.buffers,
            max_frame_bytes: manager.config.max_frame_bytes,
        };
        let max_batch_bytes = max_batch_bytes(&manager.config);
        // In a fixed order, so that a run can be repeated; both are polled whenever one has work.
        let result = tokio::select! {
            biased;
            result = connection.read_loop(reader, rest, context, on_request) => result,
            result = connection.write_loop(writer, &manager.registry, max_batch_bytes) => result,
        };
        self.reason = result.err().unwrap_or_default();
    }
}

/// The longest batch that fits a frame.
pub(crate) fn max_batch_bytes(config: &NetworkConfig) -> usize {
    let frame = config.max_frame_bytes.min(u32::MAX as usize);
    frame.saturating_sub(DATA_HEADER_BYTES)
}

async fn send(stream: &mut BoxedStream, message: &Message) -> Result<(), String> {
    let mut bytes = Vec::new();
    frame::write_message(message, &mut bytes).map_err(|e| e.to_string())?;
    stream.write_all(&bytes).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())
}

async fn receive(stream: &mut BoxedStream, buffer: &mut BytesMut) -> Result<Message, String> {
    loop {
        match frame::read_frame(buffer, HANDSHAKE_FRAME_BYTES).map_err(|e| e.to_string())? {
            Some(Frame::Message(message)) => return Ok(message),
            Some(Frame::Data { .. }) => return Err("records before the handshake".to_owned()),
            None => {}
        }
        if stream.read_buf(buffer).await.map_err(|e| e.to_string())? == 0 {
            return Err("closed during the handshake".to_owned());
        }
    }
}
