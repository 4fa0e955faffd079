//! What may be an argument or an answer of a gateway's method: plain data, and gateways.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_cluster_api::{GatewayAddress, RpcResult};
use serde::{Serialize, de::DeserializeOwned};

use crate::{RemoteGateway, RpcService};

/// A value that can be given to another process.
pub trait Argument: Sized + Send {
    /// What travels.
    type Wire: Serialize + DeserializeOwned + Send;

    /// On the sender's side.
    fn send(self, service: &RpcService) -> RpcResult<Self::Wire>;

    /// On the receiver's side.
    fn receive(wire: Self::Wire, service: &RpcService) -> RpcResult<Self>;
}

/// Declares types that travel as they are.
macro_rules! plain_arguments {
    ($($type:ty),* $(,)?) => {
        $(
            impl $crate::Argument for $type {
                type Wire = Self;

                fn send(self, _: &$crate::RpcService) -> hurtig_cluster_api::RpcResult<Self> {
                    Ok(self)
                }

                fn receive(
                    wire: Self,
                    _: &$crate::RpcService,
                ) -> hurtig_cluster_api::RpcResult<Self> {
                    Ok(wire)
                }
            }
        )*
    };
}

pub(crate) use plain_arguments;

plain_arguments!((), bool, u32, u64, i64, String, Vec<u8>, GatewayAddress);

/// Lists and maps of plain data.
macro_rules! plain_container {
    ([$($bound:tt)*] $type:ty) => {
        impl<$($bound)*> Argument for $type {
            type Wire = Self;

            fn send(self, _: &RpcService) -> RpcResult<Self> {
                Ok(self)
            }

            fn receive(wire: Self, _: &RpcService) -> RpcResult<Self> {
                Ok(wire)
            }
        }
    };
}

plain_container!([T: Argument<Wire = T> + Serialize + DeserializeOwned] Option<T>);
plain_container!([K: Ord + Send + Serialize + DeserializeOwned, V: Send + Serialize + DeserializeOwned]
    BTreeMap<K, V>);

/// A gateway travels as its address; the receiver gets a client, or what the address leads to if
/// that is in its own process.
impl<G: RemoteGateway + ?Sized> Argument for Arc<G> {
    type Wire = GatewayAddress;

    fn send(self, service: &RpcService) -> RpcResult<GatewayAddress> {
        service.address_of(&self)
    }

    fn receive(wire: GatewayAddress, service: &RpcService) -> RpcResult<Self> {
        service.resolve(wire)
    }
}
