//! The client's side: one connection per process, and calls on it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use hurtig_cluster_api::{GatewayAddress, Identity, Peer, RpcError, RpcResult};
use hurtig_types::codec;
use serde::Serialize;
use tonic::{
    Code, Request, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    Argument, RemoteGateway, RpcService,
    wire::{
        EXPORT_HEADER, FRAME_HEADER_BYTES, PROTOCOL_VERSION, RawCodec, TOKEN_HEADER,
        VERSION_HEADER, WireError,
    },
};

mod endpoint;
mod gate;

pub(crate) use endpoint::{Endpoint, Endpoints};

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as any answer may take.
    Ask,
    /// As long as the connection lives: the call waits for something to happen.
    Wait,
}

/// One gateway of another process, without its methods.
pub struct Remote {
    service: RpcService,
    endpoint: Arc<Endpoint>,
    address: GatewayAddress,
    role: &'static str,
    origin: Uri,
    metadata: MetadataMap,
}

impl Remote {
    pub(crate) fn new<G: RemoteGateway + ?Sized>(
        service: RpcService,
        endpoint: Arc<Endpoint>,
        address: GatewayAddress,
    ) -> RpcResult<Self> {
        let malformed = || RpcError::Rejected(format!("{address} is no address of a gateway"));
        let origin = Uri::builder()
            .scheme("http")
            .authority(address.endpoint.as_str())
            .path_and_query("/")
            .build()
            .map_err(|_| malformed())?;
        let mut metadata = MetadataMap::with_capacity(3);
        metadata.insert(VERSION_HEADER, MetadataValue::from_static(PROTOCOL_VERSION));
        let export = MetadataValue::try_from(address.export.as_str()).map_err(|_| malformed())?;
        metadata.insert(EXPORT_HEADER, export);
        metadata.insert(TOKEN_HEADER, MetadataValue::from(address.token.0));
        Ok(Self { service, endpoint, address, role: G::ROLE, origin, metadata })
    }

    /// The service that it belongs to.
    pub fn service(&self) -> &RpcService {
        &self.service
    }

    /// The gateway's address, and the end of its connection.
    pub fn peer(&self) -> Peer {
        let endpoint = self.endpoint.clone();
        let identity = Identity::Remote(self.address.clone());
        Peer::new(identity, async move { endpoint.closed().await })
    }

    /// Calls the method of a path.
    pub async fn call<A: Serialize, R: Argument>(
        &self,
        path: &'static str,
        arguments: &A,
        patience: Patience,
    ) -> RpcResult<R> {
        let request =
            codec::encode(arguments).map_err(|error| RpcError::Rejected(error.to_string()))?;
        let limit = self.service.limits().frame_size_bytes;
        if request.len() > limit {
            let size = request.len();
            return Err(RpcError::Rejected(format!(
                "{path} was not sent: it has {size} bytes, and pekko.framesize allows {limit}"
            )));
        }
        let exchange = self.exchange(path, request.into(), limit);
        let message = match patience {
            Patience::Wait => exchange.await?,
            Patience::Ask => {
                let within: Duration = self.service.limits().ask_timeout;
                let answered = tokio::time::timeout(within, exchange).await;
                answered.map_err(|_| RpcError::Timeout(within.as_millis() as u64))??
            }
        };
        let answer = read_answer(&message, self.role);
        let malformed = |error| RpcError::Rejected(format!("malformed answer to {path}: {error}"));
        R::receive(answer.map_err(malformed)??, &self.service)
    }

    async fn exchange(&self, path: &'static str, bytes: Bytes, limit: usize) -> RpcResult<Bytes> {
        let unreachable = |reason: String| RpcError::Unreachable {
            role: self.role,
            reason: format!("{}: {reason}", self.address.endpoint),
        };
        let link = self.endpoint.link().await.map_err(|reason| unreachable(reason.to_string()))?;
        let mut grpc = tonic::client::Grpc::with_origin(link.clone(), self.origin.clone())
            .max_decoding_message_size(limit + FRAME_HEADER_BYTES);
        let request = Request::from_parts(self.metadata.clone(), Default::default(), bytes);
        match grpc.unary(request, PathAndQuery::from_static(path), RawCodec).await {
            Ok(answer) => {
                link.answered();
                Ok(answer.into_inner())
            }
            Err(status) => Err(match status.code() {
                Code::FailedPrecondition
                | Code::InvalidArgument
                | Code::OutOfRange
                | Code::ResourceExhausted
                | Code::Unimplemented => RpcError::Rejected(status.message().to_owned()),
                _ => unreachable(reason_of(&status)),
            }),
        }
    }
}

/// The innermost cause says most: "connection reset by peer" rather than "transport error".
fn reason_of(status: &Status) -> String {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(status);
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// A byte that says which, then the answer or the error.
fn read_answer<W: serde::de::DeserializeOwned>(
    message: &[u8],
    role: &'static str,
) -> Result<RpcResult<W>, String> {
    match message.split_first() {
        Some((0, answer)) => codec::decode(answer).map(Ok).map_err(|e| e.to_string()),
        Some((1, error)) => {
            let error: WireError = codec::decode(error).map_err(|e| e.to_string())?;
            Ok(Err(error.seen_from(role)))
        }
        Some((tag, _)) => Err(format!("it begins with {tag}")),
        None => Err("it is empty".to_owned()),
    }
}
