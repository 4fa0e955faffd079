//! The gateways of this process that others may call.
//!
//! Each export has an id that contains the process's instance, so that it can never mean a gateway
//! of another process that happens to have the same address later. An export may also have a
//! well-known name, which means whatever bears it now.
//!
//! What is exported by [`crate::RpcService::export`] lives as long as its guard. A gateway that is
//! merely passed as an argument is exported until its actor has ended; if that cannot be known,
//! until the server ends.

use std::{any::Any, collections::HashMap, sync::Arc};

use futures::future::BoxFuture;
use hurtig_cluster_api::{FencingToken, GatewayAddress, Identity, RpcError, RpcResult};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{RemoteGateway, RpcService};

/// A gateway of any kind.
pub(crate) trait Exported: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        method: &'a str,
        arguments: &'a [u8],
        service: &'a RpcService,
    ) -> BoxFuture<'a, RpcResult<Vec<u8>>>;

    /// The `Arc<G>`.
    fn gateway(&self) -> &(dyn Any + Send + Sync);
}

struct Kept<G: ?Sized>(Arc<G>);

impl<G: RemoteGateway + ?Sized> Exported for Kept<G> {
    fn dispatch<'a>(
        &'a self,
        method: &'a str,
        arguments: &'a [u8],
        service: &'a RpcService,
    ) -> BoxFuture<'a, RpcResult<Vec<u8>>> {
        self.0.dispatch(method, arguments, service)
    }

    fn gateway(&self) -> &(dyn Any + Send + Sync) {
        &self.0
    }
}

/// Which gateway it is, within this process. The numbers mean it while it is exported, since the
/// export holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Actor(usize),
    Pointer(usize),
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) gateway: Arc<dyn Exported>,
    pub(crate) kind: &'static str,
    pub(crate) role: &'static str,
    pub(crate) token: FencingToken,
    pub(crate) ended: CancellationToken,
    key: Key,
    name: Option<Arc<str>>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<Arc<str>, Entry>,
    by_name: HashMap<Arc<str>, Arc<str>>,
    by_key: HashMap<(&'static str, Key), Arc<str>>,
    next: u64,
}

/// The table of exports.
pub(crate) struct Exports {
    endpoint: String,
    instance: u128,
    max_exports: usize,
    table: Mutex<Table>,
}

impl Exports {
    pub(crate) fn new(endpoint: String, instance: u128, max_exports: usize) -> Self {
        Self { endpoint, instance, max_exports, table: Mutex::default() }
    }

    /// The address that others use for this process.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What is exported under an id or a name.
    pub(crate) fn find(&self, export: &str) -> Option<Entry> {
        let table = self.table.lock();
        let id = table.by_name.get(export).map_or(export, |id| id);
        table.by_id.get(id).cloned()
    }

    pub(crate) fn insert<G: RemoteGateway + ?Sized>(
        &self,
        gateway: Arc<G>,
        name: Option<&str>,
        token: FencingToken,
    ) -> RpcResult<Arc<str>> {
        let key = key_of(&gateway, gateway.peer().identity());
        let mut table = self.table.lock();
        if table.by_id.len() >= self.max_exports {
            let reason = format!("{} gateways are exported already", self.max_exports);
            return Err(RpcError::Rejected(reason));
        }
        let name: Option<Arc<str>> = name.map(Arc::from);
        if let Some(name) = &name
            && table.by_name.contains_key(name)
        {
            return Err(RpcError::Rejected(format!("there is an export of name {name:?}")));
        }
        table.next += 1;
        let id: Arc<str> = format!("{}-{:032x}-{}", G::KIND, self.instance, table.next).into();
        let entry = Entry {
            gateway: Arc::new(Kept(gateway)),
            kind: G::KIND,
            role: G::ROLE,
            token,
            ended: CancellationToken::new(),
            key,
            name: name.clone(),
        };
        table.by_id.insert(id.clone(), entry);
        table.by_key.insert((G::KIND, key), id.clone());
        if let Some(name) = name {
            table.by_name.insert(name, id.clone());
        }
        Ok(id)
    }

    /// The address of a gateway of this process, if it is exported.
    pub(crate) fn address_of<G: RemoteGateway + ?Sized>(
        &self,
        gateway: &Arc<G>,
        identity: &Identity,
    ) -> Option<GatewayAddress> {
        let table = self.table.lock();
        let id = table.by_key.get(&(G::KIND, key_of(gateway, identity)))?;
        table.by_id.get(id).map(|entry| self.address(id, entry.token))
    }

    pub(crate) fn address(&self, id: &str, token: FencingToken) -> GatewayAddress {
        GatewayAddress { endpoint: self.endpoint.clone(), export: id.to_owned(), token }
    }

    fn set_token(&self, id: &str, token: FencingToken) {
        if let Some(entry) = self.table.lock().by_id.get_mut(id) {
            entry.token = token;
        }
    }

    fn token(&self, id: &str) -> Option<FencingToken> {
        self.table.lock().by_id.get(id).map(|entry| entry.token)
    }

    /// Ends an export, and the calls to it that are under way.
    pub(crate) fn remove(&self, id: &str) {
        let mut table = self.table.lock();
        let Some(entry) = table.by_id.remove(id) else { return };
        if let Some(name) = &entry.name {
            table.by_name.remove(name);
        }
        let key = (entry.kind, entry.key);
        if table.by_key.get(&key).is_some_and(|latest| **latest == *id) {
            table.by_key.remove(&key);
        }
        drop(table);
        entry.ended.cancel();
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        for entry in table.by_id.values() {
            entry.ended.cancel();
        }
    }
}

fn key_of<G: ?Sized>(gateway: &Arc<G>, identity: &Identity) -> Key {
    match identity {
        Identity::Actor(actor) => Key::Actor(*actor),
        // A client of another process is passed on by its address, unless it is exported on
        // purpose; then it is this object that is exported.
        Identity::Remote(_) | Identity::Unknown => {
            Key::Pointer(Arc::as_ptr(gateway).cast::<()>() as usize)
        }
    }
}

/// An exported gateway; the export ends when this is dropped.
pub struct Export {
    service: RpcService,
    id: Arc<str>,
    name: Option<Arc<str>>,
}

impl Export {
    pub(crate) fn new(service: RpcService, id: Arc<str>, name: Option<&str>) -> Self {
        Self { service, id, name: name.map(Arc::from) }
    }

    /// Where others find this very gateway, with its current token.
    pub fn address(&self) -> GatewayAddress {
        let exports = self.service.exports();
        exports.address(&self.id, exports.token(&self.id).unwrap_or(FencingToken(0)))
    }

    /// Its well-known name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// From now on messages must carry this token.
    pub fn set_token(&self, token: FencingToken) {
        self.service.exports().set_token(&self.id, token);
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.service.exports().remove(&self.id);
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Export").field(&self.id).finish()
    }
}
