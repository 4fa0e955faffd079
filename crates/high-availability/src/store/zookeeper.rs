//! Records in ZooKeeper, and its line of contenders.
//!
//! A record is a node, its version the node's. A contender's place in line is an ephemeral
//! sequential node. Nodes beneath `<root>/<cluster id>`:
//!
//! ```text
//! records/...                   records by their keys
//! latch/<key>/<contender>-<n>   places in line; the lowest number is first
//! ```
//!
//! What is bulky does not belong into ZooKeeper: it is kept in the storage directory.
//!
//! - [`session`]: one session for all, which outlives connections.
//! - [`latch`]: places in line.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error, Stat};

use super::{
    HighAvailabilityBackend, Latch, Precondition, RecordStore, RecordStoreError, RecordVersion,
    VersionedRecord, check_key,
};
use crate::election::ContenderId;

mod latch;
mod session;

use session::Session;

/// How ZooKeeper is reached.
#[derive(Clone, Debug)]
pub struct ZooKeeperOptions {
    /// `host:port,host:port`.
    pub quorum: String,
    /// The node beneath which everything is, without a `/` at its ends; may be empty.
    pub root: String,
    /// ZooKeeper ends the session after this much silence.
    pub session_timeout: Duration,
    /// A server that is silent for this long is left for another.
    pub connection_timeout: Duration,
    /// A request without an answer is given up after this long.
    pub request_timeout: Duration,
}

fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

fn failure(action: &'static str, key: &str, error: Error) -> RecordStoreError {
    match error {
        Error::BadVersion | Error::NodeExists => RecordStoreError::conflict(key),
        Error::NoAuth | Error::AuthFailed | Error::InvalidAcl | Error::BadArguments(_) => {
            RecordStoreError::refused(action, key, error)
        }
        error => RecordStoreError::unavailable(action, key, error),
    }
}

/// Creation and number of changes: a node that was deleted and made again is another.
fn version(stat: &Stat) -> RecordVersion {
    RecordVersion::new(format!("{:x}.{}", stat.czxid, stat.version))
}

fn number_of(key: &str, version: &RecordVersion) -> Result<i32, RecordStoreError> {
    let number = version.0.split_once('.').and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| RecordStoreError::refused("write", key, "the version is of another store"))
}

/// Records as nodes of ZooKeeper.
#[derive(Debug)]
pub struct ZooKeeperRecordStore {
    session: Arc<Session>,
    base: String,
    request_timeout: Duration,
}

impl ZooKeeperRecordStore {
    fn path(&self, action: &'static str, key: &str) -> Result<String, RecordStoreError> {
        check_key(action, key)?;
        Ok(format!("{}/{key}", self.base))
    }

    /// Runs a request on the session, for as long as a request may take.
    async fn request<T>(
        &self,
        action: &'static str,
        key: &str,
        run: impl AsyncFnOnceClient<T>,
    ) -> Result<T, RecordStoreError> {
        let limited = tokio::time::timeout(self.request_timeout, async {
            let client = self.session.client().await;
            run.run(client).await
        });
        match limited.await {
            Ok(result) => result.map_err(|error| failure(action, key, error)),
            Err(elapsed) => Err(RecordStoreError::unavailable(action, key, elapsed)),
        }
    }
}

/// A request that takes a client along, so that its future can be sent between threads.
trait AsyncFnOnceClient<T>: Send {
    fn run(self, client: Client) -> BoxFuture<'static, Result<T, Error>>;
}

impl<T, F: FnOnce(Client) -> BoxFuture<'static, Result<T, Error>> + Send> AsyncFnOnceClient<T>
    for F
{
    fn run(self, client: Client) -> BoxFuture<'static, Result<T, Error>> {
        self(client)
    }
}

/// Creates a node, and the nodes above it if need be.
async fn create(client: &Client, path: &str, data: &[u8]) -> Result<Stat, Error> {
    match client.create(path, data, &persistent()).await {
        Err(Error::NoNode) => {
            if let Some((parent, _)) = path.rsplit_once('/') {
                client.mkdir(parent, &persistent()).await?;
            }
            client.create(path, data, &persistent()).await.map(|(stat, _)| stat)
        }
        created => created.map(|(stat, _)| stat),
    }
}

/// Paths of the nodes with content beneath a node.
async fn list(client: &Client, path: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(parent) = open.pop() {
        let children = match client.list_children(&parent).await {
            Ok(children) => children,
            Err(Error::NoNode) => continue,
            Err(error) => return Err(error),
        };
        for child in children {
            let child = format!("{parent}/{child}");
            // Nodes above others are empty.
            if client.check_stat(&child).await?.is_some_and(|stat| stat.data_length > 0) {
                found.push(child.clone());
            }
            open.push(child);
        }
    }
    found.sort();
    Ok(found)
}

#[async_trait]
impl RecordStore for ZooKeeperRecordStore {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        let path = self.path("read", key)?;
        let run = move |client: Client| -> BoxFuture<'static, _> {
            Box::pin(async move {
                // The server that answers may lag behind: sync makes it catch up.
                client.sync(&path).await?;
                match client.get_data(&path).await {
                    Ok((data, stat)) => {
                        Ok(Some(VersionedRecord { bytes: data.into(), version: version(&stat) }))
                    }
                    Err(Error::NoNode) => Ok(None),
                    Err(error) => Err(error),
                }
            })
        };
        self.request("read", key, run).await
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        let path = self.path("write", key)?;
        let expected = match &precondition {
            Precondition::Absent => None,
            Precondition::Unchanged(version) => Some(number_of(key, version)?),
        };
        let run = move |client: Client| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let stat = match expected {
                    None => create(&client, &path, &bytes).await?,
                    Some(_) => match client.set_data(&path, &bytes, expected).await {
                        // The node to be replaced is gone.
                        Err(Error::NoNode) => return Err(Error::BadVersion),
                        set => set?,
                    },
                };
                Ok(version(&stat))
            })
        };
        self.request("write", key, run).await
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        let path = self.path("delete", key)?;
        let base = self.base.clone();
        let run = move |client: Client| -> BoxFuture<'static, _> {
            Box::pin(async move {
                match client.delete(&path, None).await {
                    Ok(()) | Err(Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
                let parent = path.rsplit_once('/').map(|(parent, _)| parent);
                if let Some(parent) = parent.filter(|parent| *parent != base) {
                    // Fails unless it was the last record of its folder, which is as well.
                    let _ = client.delete(parent, None).await;
                }
                Ok(())
            })
        };
        self.request("delete", key, run).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        let path = self.path("list", folder)?;
        let run = move |client: Client| -> BoxFuture<'static, _> {
            Box::pin(async move {
                client.sync(&path).await?;
                list(&client, &path).await
            })
        };
        let paths = self.request("list", folder, run).await?;
        let skip = self.base.len() + 1;
        Ok(paths.into_iter().map(|path| path[skip..].to_owned()).collect())
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        let path = self.path("watch", key)?;
        let run = move |client: Client| -> BoxFuture<'static, _> {
            Box::pin(async move { client.check_and_watch_stat(&path).await })
        };
        let (stat, watcher) = self.request("watch", key, run).await?;
        if stat.as_ref().map(version).as_ref() == seen {
            // Also ends with the session, after which another look is due.
            watcher.changed().await;
        }
        Ok(())
    }
}

/// High availability with ZooKeeper.
#[derive(Debug)]
pub struct ZooKeeperBackend {
    session: Arc<Session>,
    records: Arc<ZooKeeperRecordStore>,
    blobs: Arc<dyn RecordStore>,
    latches: String,
    control: Handle,
}

impl ZooKeeperBackend {
    /// A backend for one cluster. Connects in the background, for as long as it takes.
    pub fn new(
        options: &ZooKeeperOptions,
        cluster_id: &str,
        blobs: Arc<dyn RecordStore>,
        control: &Handle,
    ) -> Self {
        let root = [&*options.root, cluster_id].into_iter().filter(|part| !part.is_empty());
        let base: String = root.map(|part| format!("/{part}")).collect();
        let session = Arc::new(Session::open(options, control));
        let records = Arc::new(ZooKeeperRecordStore {
            session: session.clone(),
            base: format!("{base}/records"),
            request_timeout: options.request_timeout,
        });
        let latches = format!("{base}/latch");
        Self { session, records, blobs, latches, control: control.clone() }
    }
}

#[async_trait]
impl HighAvailabilityBackend for ZooKeeperBackend {
    fn records(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn blobs(&self) -> Arc<dyn RecordStore> {
        self.blobs.clone()
    }

    fn latch(&self, scope_key: &str, contender: ContenderId) -> Option<Latch> {
        let folder = format!("{}/{scope_key}", self.latches);
        Some(latch::enter(self.session.clone(), folder, contender, &self.control))
    }

    async fn close(&self) {
        self.session.close().await;
    }
}
