//! The server's side: accepts connections, admits them, answers calls.
//!
//! 1. A connection is accepted as **unproven**. Of unproven ones there is a fixed number; a new one
//!    beyond it takes the place of the oldest. So connections by the thousand that say nothing cost
//!    little, and keep nobody out who says something.
//! 2. With TLS, its handshake must succeed. Then it must begin with the preface of HTTP/2;
//!    anything else closes it before a parser sees it.
//! 3. Its first admissible call (right version, an export that exists) makes it **proven**. One
//!    that makes none within [`crate::RpcLimits::proof_timeout`] is closed.
//! 4. Pings tell whether the other side still lives; unanswered, they close it.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hurtig_config::value::PortRange;
use hurtig_env::{Clock, Runtimes};
use hurtig_tls::InternalTls;
use hyper::{server::conn::http2::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    RpcConfig, RpcService,
    exports::Exports,
    io::{OnRuntime, Prefixed},
};

mod admission;
mod call;
mod connections;

use connections::{Connection, Connections};

/// What every connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that a peer may send ahead on one stream, and on all of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of the headers of one call.
const HEADER_BYTES: u32 = 8 << 10;
/// Pause after a connection could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RpcServerError {
    /// No port is free, or the address is not of this host.
    #[error("cannot listen for RPC on {host}, port {ports}")]
    Bind {
        /// The address.
        host: String,
        /// The ports that were tried.
        ports: PortRange,
        /// Why the last of them failed.
        source: io::Error,
    },
}

/// A listening server; it ends when this is dropped.
#[derive(Debug)]
pub struct RpcServer {
    service: RpcService,
    stop: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
}

/// What the calls of all connections share.
struct Shared {
    service: RpcService,
    connections: Arc<Connections>,
    calls: Arc<Semaphore>,
    request_bytes: Arc<Semaphore>,
    tls: Option<InternalTls>,
    stop: CancellationToken,
}

impl RpcServer {
    /// Listens on the first free port.
    pub async fn start(
        config: RpcConfig,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Result<Self, RpcServerError> {
        let listener = listen(&config).await?;
        let bound = listener.local_addr().map_err(|source| RpcServerError::Bind {
            host: config.bind_host.clone(),
            ports: config.bind_ports.clone(),
            source,
        })?;
        let host = config.host.clone().unwrap_or_else(|| bound.ip().to_string());
        // An address of IPv6 stands in brackets where a port follows.
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let endpoint = format!("{host}:{}", config.port.unwrap_or(bound.port()));
        let limits = config.limits;
        let exports = Exports::new(endpoint, config.instance, limits.max_exports);
        let service =
            RpcService::new(exports, limits.clone(), config.tls.clone(), runtimes.clone(), clock);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            service: service.clone(),
            connections: Arc::new(Connections::new(
                limits.max_unproven_connections,
                limits.max_connections,
            )),
            calls: Arc::new(Semaphore::new(limits.max_calls)),
            request_bytes: Arc::new(Semaphore::new(limits.max_request_bytes)),
            tls: config.tls,
            stop: stop.clone(),
        });
        let accepting = runtimes.control.spawn(accept(listener, shared));
        Ok(Self { service, stop, accepting })
    }

    /// Exports and clients of the process.
    pub fn service(&self) -> &RpcService {
        &self.service
    }

    /// Ends exports and connections, and returns once the port is free.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // Fails only if it has panicked, and then it has ended as well.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.service.end();
    }
}

async fn listen(config: &RpcConfig) -> Result<TcpListener, RpcServerError> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for port in config.bind_ports.ports() {
        match TcpListener::bind((config.bind_host.as_str(), port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(RpcServerError::Bind {
        host: config.bind_host.clone(),
        ports: config.bind_ports.clone(),
        source: failure,
    })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let control = shared.service.runtimes().control.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = shared.connections.arrive();
                let shared = shared.clone();
                control.spawn(async move {
                    if let Err(reason) = run(stream, &connection, &shared).await {
                        tracing::debug!(%peer, %reason, "a connection was closed");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Runs a connection to its end.
async fn run(
    stream: TcpStream,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Result<(), String> {
    let unproven = async {
        tokio::time::sleep(shared.service.limits().proof_timeout).await;
        if connection.is_proven() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => Ok(()),
        () = connection.evicted() => Err("there were too many".to_owned()),
        () = unproven => Err("it made no admissible call in time".to_owned()),
        served = secure(stream, connection, shared) => served,
    }
}

async fn secure(
    stream: TcpStream,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    match &shared.tls {
        None => serve(stream, connection, shared).await,
        Some(tls) => serve(tls.accept(stream), connection, shared).await,
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut stream: S,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Result<(), String> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await.map_err(|e| e.to_string())?;
    if preface != PREFACE {
        return Err("it does not speak HTTP/2".to_owned());
    }
    let limits = shared.service.limits();
    let service = service_fn(|request| {
        let (connection, shared) = (connection.clone(), shared.clone());
        async move { Ok::<_, Infallible>(call::answer(request, &connection, &shared).await) }
    });
    Builder::new(OnRuntime(shared.service.runtimes().control.clone()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits.max_calls_per_connection)
        .max_header_list_size(HEADER_BYTES)
        // After a pause of this process many calls may have timed out together: no attack.
        .max_pending_accept_reset_streams(limits.max_calls_per_connection as usize)
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .serve_connection(TokioIo::new(Prefixed::new(PREFACE, stream)), service)
        .await
        .map_err(|e| e.to_string())
}
