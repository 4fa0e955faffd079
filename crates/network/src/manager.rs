//! The connections of a TaskExecutor: at most one per peer.
//!
//! # How two TaskExecutors agree on one connection
//!
//! 1. Whoever needs a channel first creates the connection's entry and dials; requests wait in the
//!    entry.
//! 2. The dialling side sends `Hello` with both ids. The other side refuses to talk if it is not
//!    the one that was meant.
//! 3. The side that was dialled answers *accepted*, unless it serves a connection with that peer
//!    already, or dials the peer itself and has the smaller id: then its own dial has precedence
//!    and it answers *refused*.
//! 4. A side whose dial was refused waits for the peer's dial to arrive, and dials again if it does
//!    not.
//! 5. When a connection is lost, its entry is dropped and all its channels fail; the next request
//!    starts from 1.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::BytesMut;
use hurtig_cluster_api::PeerAddress;
use hurtig_env::Runtimes;
use hurtig_types::ResourceId;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};

use crate::{
    NetworkConfig,
    budget::Budget,
    connection::{ConnectionShared, IncomingRequest},
    frame::{self, Frame, MAGIC, Message, VERSION},
    registry::{Registry, Requested},
    subpartition::Consumer,
    transport::{BoxedStream, Listener, Transport},
};

/// Largest frame of a handshake.
const HANDSHAKE_FRAME_BYTES: usize = 1024;
/// Longest handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the first failed attempt to connect; doubled by each further one.
const FIRST_RETRY: Duration = Duration::from_millis(20);
/// Most connections whose handshake is under way.
const MAX_HANDSHAKES: usize = 1024;

struct Entry {
    connection: Arc<ConnectionShared>,
    dialling: bool,
}

pub(crate) struct Manager {
    own: ResourceId,
    config: NetworkConfig,
    runtimes: Runtimes,
    transport: Arc<dyn Transport>,
    pub(crate) registry: Arc<Registry>,
    budget: Arc<Budget>,
    connections: Mutex<HashMap<ResourceId, Entry>>,
    stop: watch::Sender<bool>,
    this: Weak<Manager>,
}

impl Manager {
    pub(crate) fn new(
        own: ResourceId,
        config: NetworkConfig,
        runtimes: Runtimes,
        transport: Arc<dyn Transport>,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            own,
            config,
            runtimes,
            transport,
            registry: Arc::default(),
            budget,
            connections: Mutex::default(),
            stop: watch::Sender::new(false),
            this: this.clone(),
        })
    }

    /// Ends all connections and stops listening.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
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
        let mut stop = self.stop.subscribe();
        self.runtimes.control.spawn(async move {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => {}
                () = future => {}
            }
        });
    }

    /// Accepts connections until everything stops.
    pub(crate) fn listen(&self, mut listener: Box<dyn Listener>) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        let handshakes = Arc::new(tokio::sync::Semaphore::new(MAX_HANDSHAKES));
        self.spawn(async move {
            loop {
                let Ok(permit) = handshakes.clone().acquire_owned().await else {
                    return;
                };
                match listener.accept().await {
                    Ok(stream) => {
                        let manager = this.clone();
                        this.spawn(async move {
                            let shaken =
                                tokio::time::timeout(HANDSHAKE_TIMEOUT, manager.answer(stream));
                            let shaken = shaken.await;
                            drop(permit);
                            match shaken {
                                Ok(Ok(Some((connection, stream, rest)))) => {
                                    manager.serve(connection, stream, rest).await;
                                }
                                Ok(Ok(None)) => {}
                                Ok(Err(reason)) => tracing::warn!(reason, "connection refused"),
                                Err(_) => tracing::warn!("handshake timed out"),
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
    }

    /// The connection to a peer, dialled if there is none.
    pub(crate) fn connection_to(&self, peer: &PeerAddress) -> Arc<ConnectionShared> {
        let mut connections = self.connections.lock();
        if let Some(entry) = connections.get(&peer.resource) {
            return entry.connection.clone();
        }
        let connection = ConnectionShared::new(peer.clone());
        let entry = Entry { connection: connection.clone(), dialling: true };
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
                    if connection.try_attach() {
                        self.serve(connection, stream, rest).await;
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
        if !connection.is_attached() {
            self.lost(&connection, &format!("cannot connect: {reason}"));
        }
    }

    async fn try_dial(
        &self,
        connection: &ConnectionShared,
    ) -> Result<Option<(BoxedStream, BytesMut)>, String> {
        let connected = self.transport.connect(&connection.peer.address).await;
        let mut stream = connected.map_err(|e| e.to_string())?;
        let to = connection.peer.resource;
        let hello = Message::Hello { magic: MAGIC, version: VERSION, from: self.own, to };
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
    ) -> Result<Option<(Arc<ConnectionShared>, BoxedStream, BytesMut)>, String> {
        let mut buffer = BytesMut::new();
        let Message::Hello { magic, version, from, to } = receive(&mut stream, &mut buffer).await?
        else {
            return Err("expected a handshake".to_owned());
        };
        if magic != MAGIC || version != VERSION {
            return Err(format!("the peer speaks another protocol (version {version})"));
        }
        if to != self.own {
            return Err(format!("the peer looks for TaskExecutor {to}, this is {}", self.own));
        }
        let adopted = self.adopt(from);
        send(&mut stream, &Message::HelloAnswer { accepted: adopted.is_some() }).await?;
        Ok(adopted.map(|connection| (connection, stream, buffer)))
    }

    /// Decides on a peer's dial: step 3 of the protocol.
    fn adopt(&self, from: ResourceId) -> Option<Arc<ConnectionShared>> {
        let mut connections = self.connections.lock();
        let entry = connections.entry(from).or_insert_with(|| Entry {
            connection: ConnectionShared::new(PeerAddress {
                resource: from,
                address: format!("TaskExecutor {from}"),
            }),
            dialling: false,
        });
        if entry.dialling && !entry.connection.is_attached() && self.own < from {
            return None;
        }
        entry.connection.try_attach().then(|| entry.connection.clone())
    }

    async fn serve(&self, connection: Arc<ConnectionShared>, stream: BoxedStream, rest: BytesMut) {
        let (reader, writer) = tokio::io::split(stream);
        let on_request = |request| self.on_request(&connection, request);
        let max = self.config.max_frame_bytes;
        let reason = tokio::select! {
            result = connection.read_loop(reader, rest, max, &self.budget, on_request) => result,
            result = connection.write_loop(writer, &self.registry) => result,
        };
        self.lost(&connection, &reason.err().unwrap_or_default());
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
    pub(crate) fn expire_later(&self, partition: hurtig_types::ResultPartitionId, ticket: u64) {
        let registry = self.registry.clone();
        let timeout = self.config.partition_request_timeout;
        self.spawn(async move {
            tokio::time::sleep(timeout).await;
            let reason =
                format!("partition {partition} was not found within {} ms", timeout.as_millis());
            registry.expire(partition, ticket, &reason);
        });
    }
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
