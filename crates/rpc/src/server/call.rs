//! One call: admitted by its headers, received within limits, answered.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt;
use hurtig_cluster_api::{FencingToken, NOT_FENCED, RpcError, RpcResult};
use hurtig_types::codec;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{
    Status,
    body::Body,
    codec::{EncodeBody, SingleMessageCompressionOverride},
};

use super::{Connection, Shared};
use crate::{
    exports::Entry,
    wire::{
        EXPORT_HEADER, FRAME_HEADER_BYTES, PATH_PREFIX, PROTOCOL_VERSION, RawCodec, TOKEN_HEADER,
        VERSION_HEADER, WireError,
    },
};

/// Why a call was not made.
enum Refusal {
    /// The caller does not speak as it should, or a limit is reached.
    Status(Status),
    /// The gateway's error.
    Error(RpcError),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Answers a call, one way or another.
pub(crate) async fn answer(
    request: Request<Incoming>,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Response<Body> {
    let limit = shared.service.limits().frame_size_bytes;
    let result = match perform(request, connection, shared).await {
        Ok(answer) if answer.len() > limit => {
            let size = answer.len();
            Err(RpcError::Rejected(format!(
                "the answer has {size} bytes, and pekko.framesize allows {limit}"
            )))
        }
        Ok(answer) => Ok(answer),
        Err(Refusal::Error(error)) => Err(error),
        Err(Refusal::Status(status)) => return status.into_http(),
    };
    respond(result)
}

async fn perform(
    request: Request<Incoming>,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Result<Vec<u8>, Refusal> {
    let (head, body) = request.into_parts();
    let (kind, method) = method_of(head.uri.path()).ok_or_else(|| {
        Status::unimplemented("no such method: this is the RPC port of a Hurtig process")
    })?;
    check_version(&head.headers)?;
    let entry = find(&head.headers, kind, shared)?;
    if !connection.prove() {
        return Err(Status::resource_exhausted("too many connections").into());
    }
    check_token(&head.headers, entry.token)?;
    let busy = |_| Status::resource_exhausted("too many calls are under way");
    let _call = shared.calls.clone().try_acquire_owned().map_err(busy)?;
    let limits = shared.service.limits();
    let receiving = receive(body, limits.frame_size_bytes, shared.request_bytes.clone());
    let received = tokio::time::timeout(limits.ask_timeout, receiving).await;
    let late = |_| Status::deadline_exceeded("the request did not arrive in time");
    let (arguments, memory) = received.map_err(late)??;
    let role = entry.role;
    let ended = || RpcError::Unreachable { role, reason: "it has ended".to_owned() };
    let answer = tokio::select! {
        biased;
        () = entry.ended.cancelled() => Err(ended()),
        answer = entry.gateway.dispatch(method, &arguments, &shared.service) => answer,
    };
    drop(memory);
    Ok(answer?)
}

/// Gateway and method of `/hurtig.<gateway>/<method>`.
fn method_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix(PATH_PREFIX)?.split_once('/')
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check_version(headers: &HeaderMap) -> Result<(), Status> {
    match text(headers, VERSION_HEADER) {
        Some(PROTOCOL_VERSION) => Ok(()),
        theirs => {
            let theirs: String = theirs.unwrap_or("unknown").chars().take(64).collect();
            Err(Status::failed_precondition(format!(
                "version {theirs} cannot speak with version {PROTOCOL_VERSION}: all processes of a \
                 cluster and its jobs must be built from one release"
            )))
        }
    }
}

fn find(headers: &HeaderMap, kind: &str, shared: &Shared) -> Result<Entry, Refusal> {
    let export = text(headers, EXPORT_HEADER)
        .ok_or_else(|| Status::invalid_argument("the header of the export is missing"))?;
    let entry = shared.service.exports().find(export);
    // It may have been there: to the caller it has ended, which is how an actor seems, too.
    let gone = || Status::unavailable("there is no such gateway here, or it has ended");
    let entry = entry.ok_or_else(gone)?;
    if entry.kind != kind {
        let other = format!("what was called is a {}", entry.kind);
        return Err(Status::invalid_argument(other).into());
    }
    Ok(entry)
}

fn check_token(headers: &HeaderMap, current: FencingToken) -> RpcResult<()> {
    let got = match headers.get(TOKEN_HEADER) {
        None => Some(NOT_FENCED),
        Some(value) => value.to_str().ok().and_then(|v| v.parse().ok()).map(FencingToken),
    };
    let got = got.ok_or_else(|| RpcError::Rejected("malformed fencing token".to_owned()))?;
    if got == current { Ok(()) } else { Err(RpcError::Fenced { got, current }) }
}

/// Receives the one message of a request: as many bytes as were sent, no more than `limit`, and
/// within what all requests together may take.
async fn receive(
    mut body: Incoming,
    limit: usize,
    budget: Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Status> {
    let mut received = BytesMut::new();
    let mut memory: Option<OwnedSemaphorePermit> = None;
    let mut expected = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Status::cancelled(format!("the request broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let permits =
            u32::try_from(data.len()).map_err(|_| Status::out_of_range("a frame is too long"))?;
        let acquired = budget.clone().acquire_many_owned(permits).await;
        let acquired = acquired.map_err(|_| Status::unavailable("the server is shutting down"))?;
        match &mut memory {
            Some(memory) => memory.merge(acquired),
            None => memory = Some(acquired),
        }
        received.extend_from_slice(&data);
        if expected.is_none() {
            expected = message_len(&received, limit)?;
        }
        if expected.is_some_and(|len| received.len() > FRAME_HEADER_BYTES + len) {
            return Err(Status::invalid_argument("a request has one message"));
        }
    }
    match expected {
        Some(len) if received.len() == FRAME_HEADER_BYTES + len => {
            received.advance(FRAME_HEADER_BYTES);
            Ok((received.freeze(), memory))
        }
        _ => Err(Status::invalid_argument("the request's message is incomplete")),
    }
}

/// The message's length, once its frame's header has come.
fn message_len(received: &[u8], limit: usize) -> Result<Option<usize>, Status> {
    let Some((header, _)) = received.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Ok(None);
    };
    let [compressed, a, b, c, d] = *header;
    if compressed != 0 {
        return Err(Status::unimplemented("requests are not compressed"));
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len > limit {
        let text = format!("the request has {len} bytes, and pekko.framesize allows {limit}");
        return Err(Status::out_of_range(text));
    }
    Ok(Some(len))
}

/// A byte that says which, then the answer or the error.
fn respond(result: Result<Vec<u8>, RpcError>) -> Response<Body> {
    let mut message = Vec::new();
    match result {
        Ok(answer) => {
            message.reserve_exact(answer.len() + 1);
            message.push(0);
            message.extend_from_slice(&answer);
        }
        Err(error) => {
            message.push(1);
            if let Err(error) = codec::encode_into(&WireError::from(error), &mut message) {
                return Status::internal(error.to_string()).into_http();
            }
        }
    }
    let messages = stream::iter([Ok(Bytes::from(message))]);
    let uncompressed = SingleMessageCompressionOverride::default();
    let body = EncodeBody::new_server(RawCodec, messages, None, uncompressed, None);
    let mut response = Response::new(Body::new(body));
    let grpc = tonic::metadata::GRPC_CONTENT_TYPE;
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
