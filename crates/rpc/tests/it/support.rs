//! Servers for tests.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::{FencingToken, GatewayAddress, NOT_FENCED};
use hurtig_env::{Clock, Runtimes};
use hurtig_rpc::{Export, RemoteGateway, RpcConfig, RpcLimits, RpcServer};

/// Longest wait for something that must happen; only a failing test waits so long.
const SOON: Duration = Duration::from_secs(20);

/// A server on a free port of the loopback interface.
pub async fn server(instance: u128) -> RpcServer {
    server_with(instance, |_| ()).await
}

/// The same with other limits.
pub async fn server_with(instance: u128, change: impl FnOnce(&mut RpcLimits)) -> RpcServer {
    let mut config = RpcConfig::loopback(instance);
    change(&mut config.limits);
    RpcServer::start(config, &Runtimes::current(), Clock::system()).await.unwrap()
}

/// Two processes: one with the gateway, the other with a client of it.
pub async fn connected<G: RemoteGateway + ?Sized>(
    gateway: Arc<G>,
) -> (RpcServer, RpcServer, Export, Arc<G>) {
    let (callee, caller) = (server(1).await, server(2).await);
    let export = callee.service().export(gateway, NOT_FENCED).unwrap();
    let client = caller.service().connect(export.address()).unwrap();
    (callee, caller, export, client)
}

/// What must happen soon.
pub async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what).await.expect("it did not happen")
}

/// Waits for a permit and takes it.
pub async fn one(of: &tokio::sync::Semaphore) {
    soon(of.acquire()).await.unwrap().forget();
}

/// An address with another token.
pub fn with_token(mut address: GatewayAddress, token: u64) -> GatewayAddress {
    address.token = FencingToken(token);
    address
}
