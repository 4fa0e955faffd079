//! From the list of a gateway's methods to its client and its server side.

use std::sync::Arc;

use futures::future::BoxFuture;
use hurtig_cluster_api::{Peer, RpcResult};

use crate::{Remote, RpcService};

/// A gateway trait that can be called from other processes; implemented for `dyn Trait` by
/// [`gateway!`].
pub trait RemoteGateway: Send + Sync + 'static {
    /// The trait's name, part of the path of its methods.
    const KIND: &'static str;
    /// The role's name, for errors.
    const ROLE: &'static str;

    /// Who is behind the gateway.
    fn peer(&self) -> Peer;

    /// A client of a gateway in another process.
    fn client(remote: Remote) -> Arc<Self>;

    /// Calls a method with encoded arguments; returns the encoded answer.
    fn dispatch<'a>(
        &'a self,
        method: &'a str,
        arguments: &'a [u8],
        service: &'a RpcService,
    ) -> BoxFuture<'a, RpcResult<Vec<u8>>>;
}

/// Makes a gateway trait callable from other processes.
///
/// Each line is a method of the trait: `ask` if it answers soon, so that the time-out of calls
/// applies, `wait` if it waits by nature, so that it ends only with an answer or the connection.
/// Arguments stand in the trait's order, under the trait's names. A method that is missing here is
/// an error of the compiler, unless the trait has a body for it.
macro_rules! gateway {
    ($gateway:ident, $role:literal: $(
        $patience:ident $method:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;
    )*) => {
        struct Client($crate::Remote);

        #[async_trait::async_trait]
        impl $gateway for Client {
            fn peer(&self) -> hurtig_cluster_api::Peer {
                self.0.peer()
            }

            $(
                async fn $method(
                    &self,
                    $($argument: $type),*
                ) -> hurtig_cluster_api::RpcResult<$answer> {
                    let arguments =
                        ($($crate::Argument::send($argument, self.0.service())?,)*);
                    self.0
                        .call(
                            concat!("/hurtig.", stringify!($gateway), "/", stringify!($method)),
                            &arguments,
                            $crate::gateway::patience!($patience),
                        )
                        .await
                }
            )*
        }

        impl $crate::RemoteGateway for dyn $gateway {
            const KIND: &'static str = stringify!($gateway);
            const ROLE: &'static str = $role;

            fn peer(&self) -> hurtig_cluster_api::Peer {
                $gateway::peer(self)
            }

            fn client(remote: $crate::Remote) -> std::sync::Arc<Self> {
                std::sync::Arc::new(Client(remote))
            }

            fn dispatch<'a>(
                &'a self,
                method: &'a str,
                arguments: &'a [u8],
                service: &'a $crate::RpcService,
            ) -> futures::future::BoxFuture<'a, hurtig_cluster_api::RpcResult<Vec<u8>>> {
                Box::pin(async move {
                    match method {
                        $(stringify!($method) => {
                            let ($($argument,)*): ($(<$type as $crate::Argument>::Wire,)*) =
                                $crate::gateway::decode(stringify!($method), arguments)?;
                            $(let $argument =
                                <$type as $crate::Argument>::receive($argument, service)?;)*
                            let answer = $gateway::$method(self, $($argument),*).await?;
                            $crate::gateway::encode($crate::Argument::send(answer, service)?)
                        })*
                        unknown => Err($crate::gateway::unknown_method(Self::KIND, unknown)),
                    }
                })
            }
        }
    };
}

macro_rules! patience {
    (ask) => {
        $crate::Patience::Ask
    };
    (wait) => {
        $crate::Patience::Wait
    };
}

pub(crate) use {gateway, patience};

pub(crate) fn decode<T: serde::de::DeserializeOwned>(method: &str, bytes: &[u8]) -> RpcResult<T> {
    hurtig_types::codec::decode(bytes).map_err(|error| {
        hurtig_cluster_api::RpcError::Rejected(format!("malformed arguments of {method}: {error}"))
    })
}

pub(crate) fn encode<T: serde::Serialize>(answer: T) -> RpcResult<Vec<u8>> {
    hurtig_types::codec::encode(&answer)
        .map_err(|error| hurtig_cluster_api::RpcError::Rejected(error.to_string()))
}

pub(crate) fn unknown_method(kind: &str, method: &str) -> hurtig_cluster_api::RpcError {
    let method: String = method.chars().take(64).collect();
    hurtig_cluster_api::RpcError::Rejected(format!("{kind} has no method {method:?}"))
}
