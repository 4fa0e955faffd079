//! The one connection to another process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hurtig_cluster_api::{RpcError, RpcResult};
use hurtig_env::{Clock, Runtimes};
use hurtig_tls::InternalTls;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::gate::Gate;
use crate::{
    RpcLimits,
    io::{OnRuntime, Severable},
};

/// Longest `host:port`: a name of DNS has at most 253 bytes.
const LONGEST_ENDPOINT_BYTES: usize = 260;
/// Bytes that a peer may send ahead on one stream, and on all of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Everything needed to dial.
struct Dialer {
    limits: RpcLimits,
    tls: Option<InternalTls>,
    runtimes: Runtimes,
    clock: Clock,
    closed: CancellationToken,
}

/// The processes that this one has clients for. One without clients is forgotten, and its
/// connection closed; so there are as many as the roles hold gateways to.
pub(crate) struct Endpoints {
    dialer: Arc<Dialer>,
    known: Mutex<HashMap<String, Weak<Endpoint>>>,
}

impl Endpoints {
    pub(crate) fn new(
        limits: RpcLimits,
        tls: Option<InternalTls>,
        runtimes: Runtimes,
        clock: Clock,
    ) -> Self {
        let closed = CancellationToken::new();
        let dialer = Arc::new(Dialer { limits, tls, runtimes, clock, closed });
        Self { dialer, known: Mutex::default() }
    }

    /// The process at `host:port`.
    pub(crate) fn get(&self, address: &str) -> RpcResult<Arc<Endpoint>> {
        let authority = address.parse::<http::uri::Authority>();
        let complete = authority.is_ok_and(|a| a.port_u16().is_some() && !a.as_str().contains('@'));
        if address.len() > LONGEST_ENDPOINT_BYTES || !complete {
            let shown: String = address.chars().take(LONGEST_ENDPOINT_BYTES).collect();
            return Err(RpcError::Rejected(format!("{shown:?} is no `host:port`")));
        }
        let mut known = self.known.lock();
        if let Some(endpoint) = known.get(address).and_then(Weak::upgrade) {
            return Ok(endpoint);
        }
        known.retain(|_, endpoint| endpoint.strong_count() > 0);
        let limits = &self.dialer.limits;
        let endpoint = Arc::new(Endpoint {
            address: address.to_owned(),
            dialer: self.dialer.clone(),
            state: Mutex::new(State {
                gate: Gate::new(limits.retry_pause, limits.longest_retry_pause),
                connection: Connection::None,
            }),
        });
        known.insert(address.to_owned(), Arc::downgrade(&endpoint));
        Ok(endpoint)
    }

    /// Closes all connections and lets none be made.
    pub(crate) fn close(&self) {
        self.dialer.closed.cancel();
    }
}

/// Another process.
pub(crate) struct Endpoint {
    address: String,
    dialer: Arc<Dialer>,
    state: Mutex<State>,
}

struct State {
    gate: Gate,
    connection: Connection,
}

type Dialling = Shared<BoxFuture<'static, Result<Link, Arc<str>>>>;

enum Connection {
    None,
    Dialling(Dialling),
    Open(Link),
}

impl Endpoint {
    /// The connection; dialled if there is none and the gate is open.
    pub(crate) async fn link(&self) -> Result<Link, Arc<str>> {
        let dialling = {
            let mut state = self.state.lock();
            let state = &mut *state;
            if let Connection::Open(link) = &state.connection {
                match link.end() {
                    None => return Ok(link.clone()),
                    Some((at, reason)) => {
                        state.gate.failed(at, reason, link.useful.load(Relaxed));
                        state.connection = Connection::None;
                    }
                }
            }
            match &state.connection {
                Connection::Dialling(dialling) => dialling.clone(),
                Connection::None | Connection::Open(_) => {
                    if let Some(reason) = state.gate.closed_at(self.dialer.clock.monotonic()) {
                        return Err(reason.clone());
                    }
                    let dialling = dial(self.dialer.clone(), self.address.clone()).boxed().shared();
                    state.connection = Connection::Dialling(dialling.clone());
                    dialling
                }
            }
        };
        let dialled = dialling.clone().await;
        let mut state = self.state.lock();
        // All who waited come here; the first one notes the result.
        if let Connection::Dialling(current) = &state.connection
            && current.ptr_eq(&dialling)
        {
            state.connection = match &dialled {
                Ok(link) => Connection::Open(link.clone()),
                Err(reason) => {
                    let now = self.dialer.clock.monotonic();
                    state.gate.failed(now, reason.clone(), false);
                    Connection::None
                }
            };
        }
        dialled
    }

    /// Ends when there is no connection and none can be made at once.
    pub(crate) async fn closed(&self) {
        if let Ok(mut link) = self.link().await {
            // The sender goes without a word only when its runtime does.
            let _ = link.ended.wait_for(Option::is_some).await;
        }
    }
}

async fn dial(dialer: Arc<Dialer>, address: String) -> Result<Link, Arc<str>> {
    let limits = &dialer.limits;
    let connecting = async {
        let stream = TcpStream::connect(&address).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let stream = Severable::new(stream, dialer.closed.clone());
        match &dialer.tls {
            None => handshake(stream, &dialer).await,
            Some(tls) => {
                let mut stream = tls.connect(stream);
                // Completed here, so that a refusal is told as one.
                stream.handshake().await.map_err(|e| format!("TLS: {e}"))?;
                handshake(stream, &dialer).await
            }
        }
    };
    let connected = tokio::select! {
        connected = tokio::time::timeout(limits.connect_timeout, connecting) => connected,
        () = dialer.closed.cancelled() => return Err("this process is shutting down".into()),
    };
    let late = || format!("no connection within {} ms", limits.connect_timeout.as_millis());
    let (requests, connection) = connected.map_err(|_| late())??;
    let (end, ended) = watch::channel(None);
    let (clock, closed) = (dialer.clock, dialer.closed.clone());
    dialer.runtimes.control.spawn(async move {
        let reason = tokio::select! {
            result = connection => match result {
                Ok(()) => "the connection was closed".to_owned(),
                Err(error) => innermost(&error),
            },
            () = closed.cancelled() => "this process is shutting down".to_owned(),
        };
        end.send_replace(Some((clock.monotonic(), reason.into())));
    });
    Ok(Link { requests, ended, useful: Arc::default() })
}

type Ending = BoxFuture<'static, hyper::Result<()>>;

/// Speaks HTTP/2: what sends requests, and what ends with the connection.
async fn handshake<S>(stream: S, dialer: &Dialer) -> Result<(SendRequest<Body>, Ending), String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = &dialer.limits;
    let (requests, connection) = Builder::new(OnRuntime(dialer.runtimes.control.clone()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .keep_alive_while_idle(true)
        // Answers to calls that were given up come late, and are no error.
        .max_concurrent_reset_streams(limits.max_calls_per_connection as usize)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    Ok((requests, connection.boxed()))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// An open connection.
#[derive(Clone)]
pub(crate) struct Link {
    requests: SendRequest<Body>,
    /// When and why it has ended.
    ended: watch::Receiver<Option<(Duration, Arc<str>)>>,
    /// There was an answer on it.
    useful: Arc<AtomicBool>,
}

impl Link {
    fn end(&self) -> Option<(Duration, Arc<str>)> {
        self.ended.borrow().clone()
    }

    /// An answer has come.
    pub(crate) fn answered(&self) {
        self.useful.store(true, Relaxed);
    }
}

impl tower_service::Service<http::Request<Body>> for Link {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.requests.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.requests.send_request(request).boxed()
    }
}
