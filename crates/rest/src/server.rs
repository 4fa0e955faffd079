//! The server: connections, limits, authentication, and from requests to handlers.
//!
//! 1. A connection gets a place with its first request; there are `max_connections` places, and it
//!    waits for one. There may be as many connections again without a place, and one more makes the
//!    oldest of them go: connections that ask for nothing keep nobody out. A head that does not come
//!    within `header_timeout` of the last answer closes a connection, and so does
//!    `idleness_timeout` without a byte in either direction.
//! 2. A request needs the bearer token, if one is set, before anything else is told.
//! 3. Its path and method lead to a [`route::Route`], which may need a setting
//!    (`web.submit.enable`, `web.cancel.enable`).
//! 4. The handler has `request_timeout`; its body has limits of its own (see [`call`]).
//!
//! A panic of a handler is an answer with status 500, and nothing more.
//!
//! While this JobManager does not lead, it knows nothing that clients could ask for: who brings the
//! token is sent to the one that leads (307), or is told that nobody does (503).

pub(crate) mod call;
pub mod config;
pub(crate) mod form;
pub(crate) mod reply;
pub mod route;
pub mod routes;
mod watched;

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc};

use async_trait::async_trait;
use futures::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hurtig_cluster_api::{BlobService, DispatcherGateway, LogSource, ProgramRunner};
use hurtig_config::Configuration;
use hurtig_env::{Clock, Doorway, Runtimes, Signal, Visitor};
use hurtig_storage::Stores;
use hurtig_types::ResourceId;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OnceCell, Semaphore, mpsc, watch},
};

pub use self::config::{RestServerConfig, RestServerError};
use self::{
    call::Call,
    reply::{Reply, ReplyBody, full},
    route::{Permission, Router},
    watched::Watched,
};
use crate::{
    error::{RestError, RestResult},
    openapi,
    operations::OperationTable,
};

/// Longest path and query, in bytes.
const LONGEST_URI: usize = 8 * 1024;

/// Most query parameters.
const MOST_QUERY_PARAMETERS: usize = 64;

/// Most bytes of a request's head.
const LARGEST_HEAD: usize = 64 * 1024;

/// Finds the logs of TaskManagers.
#[async_trait]
pub trait TaskManagerLogs: Send + Sync {
    /// Those of one; `None` if it is not known.
    async fn of_task_manager(&self, id: ResourceId) -> Option<Arc<dyn LogSource>>;
}

/// Somebody wants the cluster to end.
pub type ShutdownRequest = Arc<dyn Fn() + Send + Sync>;

/// What the server asks on behalf of its clients. What is `None` is answered with 503.
#[derive(Clone)]
pub struct RestServices {
    /// Jobs and TaskManagers.
    pub dispatcher: Arc<dyn DispatcherGateway>,
    /// Uploaded programs.
    pub blobs: Option<Arc<dyn BlobService>>,
    /// Makes jobs of them.
    pub programs: Option<Arc<dyn ProgramRunner>>,
    /// The JobManager's logs.
    pub logs: Option<Arc<dyn LogSource>>,
    /// The logs of TaskManagers.
    pub task_manager_logs: Option<Arc<dyn TaskManagerLogs>>,
    /// Where savepoints are, for their disposal.
    pub stores: Arc<Stores>,
    /// The cluster's configuration, for people.
    pub configuration: Configuration,
    /// `DELETE /cluster`.
    pub shutdown: Option<ShutdownRequest>,
    /// The clock.
    pub clock: Clock,
    /// Runs the server.
    pub runtimes: Runtimes,
    /// Makes trigger ids of this server differ from those of another.
    pub seed: u64,
}

/// What every request may need.
pub(crate) struct Context {
    pub(crate) services: RestServices,
    pub(crate) config: RestServerConfig,
    pub(crate) operations: Mutex<OperationTable>,
    pub(crate) triggers: std::sync::atomic::AtomicU64,
    router: Router,
    pub(crate) openapi: String,
}

/// Who answers requests.
#[derive(Clone)]
enum Leading {
    Here(Arc<Context>),
    /// The REST server at that address.
    At(String),
    Nobody,
}

/// What the server's connections share.
struct Shared {
    config: RestServerConfig,
    clock: Clock,
    leading: Mutex<Leading>,
}

/// A running server. When it is dropped it takes no new connections.
pub struct RestServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl RestServer {
    /// Binds the first port that is free, and serves.
    pub async fn start(
        config: RestServerConfig,
        services: RestServices,
    ) -> Result<Self, RestServerError> {
        let (clock, control) = (services.clock, services.runtimes.control.clone());
        let server = Self::bind(config, clock, &control).await?;
        server.lead(services);
        Ok(server)
    }

    /// Binds the first port that is free. Nobody leads yet.
    pub async fn bind(
        config: RestServerConfig,
        clock: Clock,
        control: &tokio::runtime::Handle,
    ) -> Result<Self, RestServerError> {
        let listener = bind(&config).await?;
        let address = listener.local_addr().map_err(RestServerError::Listen)?;
        let shared = Arc::new(Shared { config, clock, leading: Mutex::new(Leading::Nobody) });
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        tracing::info!(%address, "REST server listens");
        let (serving, handle) = (shared.clone(), control.clone());
        control.spawn(async move {
            accept(listener, serving, stopped, &handle).await;
            end.send_replace(true);
        });
        Ok(Self { address, shared, stop, ended })
    }

    /// From now on requests are answered from these services. Operations of an earlier leadership
    /// are forgotten.
    pub fn lead(&self, services: RestServices) {
        let config = self.shared.config.clone();
        let router = Router::new(routes::all());
        let openapi = openapi::document(router.routes());
        let store_ms = u64::try_from(config.async_store_duration.as_millis()).unwrap_or(u64::MAX);
        let context = Context {
            services,
            config,
            operations: Mutex::new(OperationTable::new(store_ms)),
            triggers: Default::default(),
            router,
            openapi,
        };
        *self.shared.leading.lock() = Leading::Here(Arc::new(context));
    }

    /// From now on another JobManager leads: the one whose REST server is reached as `host:port`,
    /// or none that is known.
    pub fn follow(&self, leader: Option<String>) {
        *self.shared.leading.lock() = leader.map_or(Leading::Nobody, Leading::At);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends: takes no new connections, and waits for requests under way.
    pub async fn shut_down(&self) {
        self.stop.send_replace(true);
        let mut ended = self.ended.clone();
        // If the runtime is gone, so is the server.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

async fn bind(config: &RestServerConfig) -> Result<TcpListener, RestServerError> {
    let mut last: Option<io::Error> = None;
    for port in &config.ports {
        match TcpListener::bind((config.bind_address.as_str(), *port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(RestServerError::Bind {
        address: config.bind_address.clone(),
        ports: config.ports.clone(),
        source: last.unwrap_or_else(|| io::Error::other("no port is given")),
    })
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
    control: &tokio::runtime::Handle,
) {
    let places = Arc::new(Semaphore::new(shared.config.max_connections));
    let doorway = Doorway::new(shared.config.max_connections);
    // Ends when all connections have dropped their end.
    let (open, mut ended) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Also when the server is dropped.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (shared, stopped) = (shared.clone(), stopped.clone());
                let (visitor, places) = (doorway.enter(), places.clone());
                let open = open.clone();
                control.spawn(async move {
                    serve(stream, peer, shared, visitor, places, stopped).await;
                    drop(open);
                });
            }
            Err(error) => {
                // Most likely too many open files: others may close some.
                tracing::warn!(%error, "cannot take a REST connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    drop(open);
    // Nothing is ever sent.
    let _ = ended.recv().await;
}

/// Serves one connection until it ends.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    visitor: Visitor,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
) {
    // Latency counts more than packets here; a socket that refuses works all the same.
    let _ = stream.set_nodelay(true);
    match shared.config.tls.clone() {
        // The handshake comes with the first bytes of the head, and within its time.
        Some(tls) => talk(tls.accept(stream), peer, shared, visitor, places, stopped).await,
        None => talk(stream, peer, shared, visitor, places, stopped).await,
    }
}

/// Serves what is said over a connection.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    shared: Arc<Shared>,
    visitor: Visitor,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let (clock, idleness) = (shared.clock, shared.config.idleness_timeout);
    let header_timeout = shared.config.header_timeout;
    let (place, has_place) = (Arc::new(OnceCell::new()), Signal::new());
    let placed = has_place.clone();
    let service = service_fn(move |request| {
        let (shared, placed) = (shared.clone(), placed.clone());
        let (place, places) = (place.clone(), places.clone());
        async move {
            // Kept until the connection ends. Nobody closes the semaphore.
            let _ = place.get_or_init(|| places.acquire_owned()).await;
            placed.post();
            Ok::<_, Infallible>(answer(shared, request).await)
        }
    });
    let (stream, moved) = Watched::new(stream, clock);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut idle = pin!(moved.idle_for(idleness));
    let mut in_doorway = pin!(without_place(visitor, has_place));
    let (mut stopping, mut placed) = (false, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "REST connection");
                }
                return;
            }
            has_place = in_doorway.as_mut(), if !placed => {
                if !has_place {
                    tracing::debug!(%peer, "REST connection has made room");
                    return;
                }
                placed = true;
            }
            _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = idle.as_mut() => {
                tracing::debug!(%peer, "REST connection is idle");
                return;
            }
        }
    }
}

/// True when the connection has got a place, false when it must make room before.
async fn without_place(mut visitor: Visitor, has_place: Signal) -> bool {
    tokio::select! {
        biased;
        () = has_place.wait() => true,
        () = visitor.shown_out() => false,
    }
}

/// Answers a request, whatever it is.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<ReplyBody> {
    let patience = shared.config.request_timeout;
    let handled = std::panic::AssertUnwindSafe(handle(shared.clone(), request)).catch_unwind();
    let outcome = match tokio::time::timeout(patience, handled).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            tracing::error!("a REST handler has panicked");
            Err(RestError::internal("the request met a bug in the server"))
        }
        Err(_) => Err(RestError::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {} ms", patience.as_millis()),
        )),
    };
    let mut response = match outcome {
        Ok((status, reply)) => {
            let content_type = HeaderValue::from_static(reply.content_type());
            let mut response = Response::new(reply.into_body());
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
        }
        Err(error) => error_response(&error),
    };
    let allow_origin = &shared.config.allow_origin;
    if let Ok(origin) = HeaderValue::from_str(allow_origin) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

fn error_response(error: &RestError) -> Response<ReplyBody> {
    let body = serde_json::to_vec(&error.body()).unwrap_or_default();
    let mut response = Response::new(full(body));
    *response.status_mut() = error.status;
    let json = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(Ok(allow)) = error.allow.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if let Some(Ok(location)) = error.location.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if error.status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    // What is left of the request's body would be taken for the next request.
    if !error.status.is_server_error() || error.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> RestResult<(StatusCode, Reply)> {
    authenticate(&shared.config, &request)?;
    let (head, body) = request.into_parts();
    let uri_bytes = head.uri.path().len() + head.uri.query().map_or(0, str::len);
    if uri_bytes > LONGEST_URI {
        let text = format!("the URI is longer than {LONGEST_URI} bytes");
        return Err(RestError::new(StatusCode::URI_TOO_LONG, text));
    }
    let leading = shared.leading.lock().clone();
    let context = match leading {
        Leading::Here(context) => context,
        Leading::At(leader) => {
            let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
            return Err(RestError::elsewhere(&leader, path, shared.config.tls.is_some()));
        }
        Leading::Nobody => return Err(RestError::unavailable("no JobManager leads at present")),
    };
    let segments = segments(head.uri.path())?;
    let (route, path) = context.router.find(&head.method, &segments)?;
    let config = &context.config;
    match route.permission {
        Permission::Submit if !config.submit_enabled => {
            return Err(RestError::forbidden("web.submit.enable is false"));
        }
        Permission::Cancel if !config.cancel_enabled => {
            return Err(RestError::forbidden("web.cancel.enable is false"));
        }
        _ => {}
    }
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let query = query.take(MOST_QUERY_PARAMETERS);
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let call = Call {
        path,
        query: query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        body: Some(body),
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
        content_length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        context,
    };
    Ok((route.status, route.run(call).await?))
}

/// The segments of a path, decoded, without the version before them.
fn segments(path: &str) -> RestResult<Vec<String>> {
    let decode = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8();
        decoded
            .map(|text| text.into_owned())
            .map_err(|_| RestError::bad_request("the path is not UTF-8"))
    };
    let mut segments = path.split('/').skip(1).map(decode).collect::<RestResult<Vec<_>>>()?;
    if segments.len() > 1 && segments[0] == "v1" {
        segments.remove(0);
    }
    Ok(segments)
}

fn authenticate(config: &RestServerConfig, request: &Request<Incoming>) -> RestResult<()> {
    let Some(token) = &config.bearer_token else { return Ok(()) };
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match given {
        Some(given) if same_secret(given.as_bytes(), token.as_bytes()) => Ok(()),
        _ => Err(RestError::new(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong")),
    }
}

/// Compares in a time that does not tell how much is right.
fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differences) == 0 && a.len() == b.len()
}

/// Runs beside requests, for operations that outlast them.
pub(crate) fn spawn(context: &Context, work: impl Future<Output = ()> + Send + 'static) {
    context.services.runtimes.control.spawn(work);
}
