//! What a process has of RPC: exports of its own, clients of others.

use std::sync::Arc;

use hurtig_cluster_api::{FencingToken, GatewayAddress, Identity, NOT_FENCED, RpcError, RpcResult};
use hurtig_env::{Clock, Runtimes};
use hurtig_tls::InternalTls;

use crate::{
    RemoteGateway, RpcLimits,
    client::{Endpoints, Remote},
    exports::{Export, Exports},
};

struct Inner {
    /// Empty endpoint: this process has no server, and can export nothing.
    exports: Exports,
    endpoints: Endpoints,
    limits: RpcLimits,
    runtimes: Runtimes,
}

/// A process's exports and clients. Cloning is cheap.
#[derive(Clone)]
pub struct RpcService(Arc<Inner>);

impl RpcService {
    pub(crate) fn new(
        exports: Exports,
        limits: RpcLimits,
        tls: Option<InternalTls>,
        runtimes: Runtimes,
        clock: Clock,
    ) -> Self {
        let endpoints = Endpoints::new(limits.clone(), tls, runtimes.clone(), clock);
        Self(Arc::new(Inner { exports, endpoints, limits, runtimes }))
    }

    /// A service of a process that only calls others and is not called: it cannot pass gateways of
    /// its own as arguments.
    pub fn client_only(
        limits: RpcLimits,
        tls: Option<InternalTls>,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Self {
        Self::new(Exports::new(String::new(), 0, 0), limits, tls, runtimes.clone(), clock)
    }

    /// `host:port` that others use for this process; empty if it has no server.
    pub fn endpoint(&self) -> &str {
        self.0.exports.endpoint()
    }

    /// Limits and times.
    pub fn limits(&self) -> &RpcLimits {
        &self.0.limits
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.0.exports
    }

    pub(crate) fn runtimes(&self) -> &Runtimes {
        &self.0.runtimes
    }

    /// Lets others call a gateway of this process while the guard is held. Messages must carry
    /// `token`; [`NOT_FENCED`] means that they must carry none.
    pub fn export<G: RemoteGateway + ?Sized>(
        &self,
        gateway: Arc<G>,
        token: FencingToken,
    ) -> RpcResult<Export> {
        self.export_named(gateway, None, token)
    }

    /// The same under a well-known name as well, which nothing else may bear at the time.
    pub fn export_as<G: RemoteGateway + ?Sized>(
        &self,
        name: &str,
        gateway: Arc<G>,
        token: FencingToken,
    ) -> RpcResult<Export> {
        self.export_named(gateway, Some(name), token)
    }

    fn export_named<G: RemoteGateway + ?Sized>(
        &self,
        gateway: Arc<G>,
        name: Option<&str>,
        token: FencingToken,
    ) -> RpcResult<Export> {
        let id = self.insert(gateway, name, token)?;
        Ok(Export::new(self.clone(), id, name))
    }

    fn insert<G: RemoteGateway + ?Sized>(
        &self,
        gateway: Arc<G>,
        name: Option<&str>,
        token: FencingToken,
    ) -> RpcResult<Arc<str>> {
        if self.endpoint().is_empty() {
            let reason = format!("a {} cannot be called here: there is no RPC server", G::ROLE);
            return Err(RpcError::Rejected(reason));
        }
        self.0.exports.insert(gateway, name, token)
    }

    /// A gateway of another process. Nothing is dialled before the first call.
    pub fn connect<G: RemoteGateway + ?Sized>(&self, address: GatewayAddress) -> RpcResult<Arc<G>> {
        let endpoint = self.0.endpoints.get(&address.endpoint)?;
        Remote::new::<G>(self.clone(), endpoint, address).map(G::client)
    }

    /// The gateway of a well-known name. `token`: the one that its leader is believed to have.
    pub fn connect_to<G: RemoteGateway + ?Sized>(
        &self,
        endpoint: &str,
        name: &str,
        token: FencingToken,
    ) -> RpcResult<Arc<G>> {
        let (endpoint, export) = (endpoint.to_owned(), name.to_owned());
        self.connect(GatewayAddress { endpoint, export, token })
    }

    /// Waits until a process is gone: its connection, which is made if there is none, is broken or
    /// cannot be made.
    pub async fn closed(&self, endpoint: &str) -> RpcResult<()> {
        self.0.endpoints.get(endpoint)?.closed().await;
        Ok(())
    }

    /// The address by which others can call a gateway. One of another process is passed on as it
    /// is; one of this process is exported if it is not yet, until its actor ends.
    pub fn address_of<G: RemoteGateway + ?Sized>(
        &self,
        gateway: &Arc<G>,
    ) -> RpcResult<GatewayAddress> {
        let peer = gateway.peer();
        if let Identity::Remote(address) = peer.identity() {
            return Ok(address.clone());
        }
        if let Some(address) = self.0.exports.address_of(gateway, peer.identity()) {
            return Ok(address);
        }
        let id = self.insert(gateway.clone(), None, NOT_FENCED)?;
        if let Identity::Actor(_) = peer.identity() {
            let (service, id) = (Arc::downgrade(&self.0), id.clone());
            self.0.runtimes.control.spawn(async move {
                peer.gone().await;
                if let Some(service) = service.upgrade() {
                    service.exports.remove(&id);
                }
            });
        }
        Ok(self.0.exports.address(&id, NOT_FENCED))
    }

    /// The gateway behind an address that has come with a message: that of this process itself, or
    /// a client.
    pub(crate) fn resolve<G: RemoteGateway + ?Sized>(
        &self,
        address: GatewayAddress,
    ) -> RpcResult<Arc<G>> {
        let own = address.endpoint == self.endpoint() && address.token == NOT_FENCED;
        let found = own.then(|| self.0.exports.find(&address.export)).flatten();
        let found = found.filter(|entry| entry.token == NOT_FENCED);
        let gateway = found.and_then(|entry| entry.gateway.gateway().downcast_ref().cloned());
        gateway.map_or_else(|| self.connect(address), Ok)
    }

    /// Ends exports and connections.
    pub(crate) fn end(&self) {
        self.0.exports.clear();
        self.0.endpoints.close();
    }
}

impl std::fmt::Debug for RpcService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RpcService").field(&self.endpoint()).finish()
    }
}
