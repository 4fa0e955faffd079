//! One request over one connection, or over a few if it is sent on to the leader.

use std::io;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{ClientError, ClientResult, RestClient, errors_of, redirected};

/// Largest body of an error that is looked at.
const LARGEST_ERROR_BYTES: u64 = 1 << 20;

/// How often a request is sent on: leaders change, but not in a circle.
const HOPS: u32 = 4;

/// A connection, encrypted or not.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What is sent.
pub(super) enum RequestBody {
    Nothing,
    Json(Vec<u8>),
    /// A form, with its boundary.
    Form(String, UnsyncBoxBody<Bytes, io::Error>),
}

impl RequestBody {
    /// The same once more, unless it is read only once.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Nothing => Some(Self::Nothing),
            Self::Json(json) => Some(Self::Json(json.clone())),
            Self::Form(..) => None,
        }
    }
}

/// What the server answered.
enum Answered {
    Well(Answer),
    /// The server at that address answers.
    Elsewhere(String, ClientError),
}

/// An answer of which the body has not been read. Its connection ends with it.
pub(super) struct Answer {
    body: Incoming,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl RestClient {
    /// Sends a request, and reads the whole answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> ClientResult<Bytes> {
        let answering = async {
            let mut answer = self.open(method, path, body).await?;
            self.collect(&mut answer, self.max_content_length_bytes).await
        };
        let answered = tokio::time::timeout(self.answer_timeout, answering).await;
        answered.unwrap_or_else(|_| {
            let (address, timeout) = (self.address(), self.answer_timeout);
            Err(ClientError::Timeout { address, timeout })
        })
    }

    /// Sends a request, to the leader if it is told who that is; an answer that is an error is read
    /// here.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &str,
        mut body: RequestBody,
    ) -> ClientResult<Answer> {
        let (mut hops, mut tries) = (0, 0);
        loop {
            let again = body.again();
            let error = match self.open_here(method.clone(), path, body).await {
                Ok(Answered::Well(answer)) => return Ok(answer),
                Ok(Answered::Elsewhere(address, error)) => {
                    *self.address.lock() = address;
                    hops += 1;
                    error
                }
                // Nothing was sent, so it can be sent again, to the next leader.
                Err(error @ ClientError::Connect { .. }) => {
                    self.look_elsewhere().await;
                    if self.locator.is_none() || tries >= self.retries {
                        return Err(error);
                    }
                    tries += 1;
                    tokio::time::sleep(self.retry_pause).await;
                    error
                }
                Err(error) => return Err(error),
            };
            body = match again {
                Some(body) if hops <= HOPS => body,
                // A file was sent to the wrong one: the next try goes to the right one.
                _ => return Err(error),
            };
        }
    }

    async fn open_here(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> ClientResult<Answered> {
        let address = self.address();
        let request = self.request(method, path, body, &address)?;
        let connecting = TcpStream::connect(&address);
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let failed = |source| ClientError::Connect { address: address.clone(), source };
        let stream = connected.map_err(failed)?;
        let stream: Box<dyn ByteStream> = match &self.tls {
            Some(tls) => {
                let host = address.rsplit_once(':').map_or("", |(host, _)| host).to_owned();
                let failed = |source| ClientError::Handshake { address: address.clone(), source };
                let mut stream = tls.connect(&host, stream).map_err(failed)?;
                let agreed = tokio::time::timeout(self.connect_timeout, stream.handshake()).await;
                let agreed = agreed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                agreed.map_err(failed)?;
                Box::new(stream)
            }
            None => Box::new(stream),
        };
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|source| self.broken(source))?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "REST connection");
            }
        });
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(source) => {
                connection.abort();
                return Err(self.broken(source));
            }
        };
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        let leader = location
            .and_then(|location| redirected(location, &format!("/v1{path}"), self.tls.is_some()));
        let mut answer = Answer { body: response.into_body(), connection };
        if status.is_success() {
            return Ok(Answered::Well(answer));
        }
        let text = self.collect(&mut answer, LARGEST_ERROR_BYTES).await.unwrap_or_default();
        let error = ClientError::Refused { status, errors: errors_of(status, &text) };
        match leader.filter(|_| status == StatusCode::TEMPORARY_REDIRECT) {
            Some(leader) => Ok(Answered::Elsewhere(leader, error)),
            None => Err(error),
        }
    }

    /// The next bytes of an answer; `None` at its end.
    pub(super) async fn chunk(&self, answer: &mut Answer) -> ClientResult<Option<Bytes>> {
        while let Some(frame) = answer.body.frame().await {
            let frame = frame.map_err(|source| self.broken(source))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    async fn collect(&self, answer: &mut Answer, limit_bytes: u64) -> ClientResult<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk(answer).await? {
            if (all.len() + chunk.len()) as u64 > limit_bytes {
                return Err(ClientError::TooLarge { limit_bytes });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
        address: &str,
    ) -> ClientResult<Request<UnsyncBoxBody<Bytes, io::Error>>> {
        let mut builder = Request::builder()
            .method(method)
            .uri(format!("/v1{path}"))
            .header(header::HOST, address);
        if let Some(token) = &self.bearer_token {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let whole = |bytes: Vec<u8>| {
            Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
        };
        let request = match body {
            RequestBody::Nothing => builder.body(whole(Vec::new())),
            RequestBody::Json(json) => {
                builder.header(header::CONTENT_TYPE, "application/json").body(whole(json))
            }
            RequestBody::Form(boundary, form) => {
                let content_type = format!("multipart/form-data; boundary={boundary}");
                builder.header(header::CONTENT_TYPE, content_type).body(form)
            }
        };
        Ok(request?)
    }

    fn broken(&self, source: hyper::Error) -> ClientError {
        ClientError::Connection { address: self.address(), source }
    }
}
