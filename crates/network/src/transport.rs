//! Where the bytes of connections go: TCP, with TLS or without, or memory for tests and simulation.

use std::{collections::HashMap, io, sync::Arc};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

mod tls;

pub use tls::TlsTransport;

/// A stream of bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connected stream.
pub type BoxedStream = Box<dyn ByteStream>;

/// Accepts connections.
pub trait Listener: Send {
    /// The address that peers dial.
    fn address(&self) -> String;
    /// Waits for the next connection.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>>;
}

/// Dials and listens.
pub trait Transport: Send + Sync {
    /// Listens on an address of the transport's choice.
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Connects to an address.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>>;
}

/// TCP.
#[derive(Clone, Debug)]
pub struct TcpTransport {
    /// `host:port` to listen on; port 0 for any.
    pub bind: String,
    /// Name or address that peers dial; not set, the one that is listened on.
    pub host: Option<String>,
}

impl TcpTransport {
    /// TCP on the loopback interface, any port.
    pub fn loopback() -> Self {
        Self { bind: "127.0.0.1:0".to_owned(), host: None }
    }
}

struct TcpAccept(TcpListener, String);

impl Listener for TcpAccept {
    fn address(&self) -> String {
        self.1.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async {
            let (stream, _) = self.0.accept().await?;
            // One that is closed already shows it when it is read.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as BoxedStream)
        })
    }
}

impl Transport for TcpTransport {
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let listener = TcpListener::bind(&self.bind).await?;
            let bound = listener.local_addr()?;
            let address = match &self.host {
                // An address of IPv6 stands in brackets where a port follows.
                Some(host) if host.contains(':') && !host.starts_with('[') => {
                    format!("[{host}]:{}", bound.port())
                }
                Some(host) => format!("{host}:{}", bound.port()),
                None => bound.to_string(),
            };
            Ok(Box::new(TcpAccept(listener, address)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxedStream)
        })
    }
}

/// Connections in memory, between all that share a clone.
#[derive(Clone, Debug, Default)]
pub struct MemoryTransport {
    listeners: Arc<Mutex<HashMap<String, mpsc::Sender<DuplexStream>>>>,
}

/// Bytes in flight in one direction of a connection in memory.
const MEMORY_STREAM_BYTES: usize = 256 << 10;

struct MemoryAccept(mpsc::Receiver<DuplexStream>, String);

impl Listener for MemoryAccept {
    fn address(&self) -> String {
        self.1.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxedStream>> {
        Box::pin(async {
            let stream = self.0.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok(Box::new(stream) as BoxedStream)
        })
    }
}

impl Transport for MemoryTransport {
    fn listen(&self) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async {
            let (sender, receiver) = mpsc::channel(64);
            let mut listeners = self.listeners.lock();
            let address = format!("memory:{}", listeners.len());
            listeners.insert(address.clone(), sender);
            Ok(Box::new(MemoryAccept(receiver, address)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let listener = self.listeners.lock().get(address).cloned();
            let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (mine, theirs) = tokio::io::duplex(MEMORY_STREAM_BYTES);
            listener.send(theirs).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(mine) as BoxedStream)
        })
    }
}
