//! Where the leader is, for those that follow it: TaskExecutors, JobMasters, clients.
//!
//! What was last known stays known while the service of high availability cannot be reached: a
//! leader that is gone is found out by heartbeats, and a new one by its record.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::FencingToken;
use tokio::{runtime::Handle, sync::watch};

use crate::{
    election::{LeaderRecord, LeaderScope},
    store::{RecordStore, RecordStoreError, RecordVersion},
};

/// A leader and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderInformation {
    /// Its token, which messages to it carry.
    pub token: FencingToken,
    /// The component's address.
    pub address: Arc<str>,
}

/// Follows the leader of one component.
#[derive(Clone, Debug)]
pub struct LeaderRetrieval {
    leader: watch::Receiver<Option<LeaderInformation>>,
}

impl LeaderRetrieval {
    /// Follows `component` of the leader of a scope. Ends when the last clone is dropped.
    pub fn start(
        store: Arc<dyn RecordStore>,
        scope: LeaderScope,
        component: &str,
        retry: Duration,
        control: &Handle,
    ) -> Self {
        let (sender, leader) = watch::channel(None);
        let (key, component) = (scope.record_key(), component.to_owned());
        control.spawn(async move {
            tokio::select! {
                () = follow(store, &key, &component, retry, &sender) => {}
                () = sender.closed() => {}
            }
        });
        Self { leader }
    }

    /// The leader as it is known now.
    pub fn leader(&self) -> Option<LeaderInformation> {
        self.leader.borrow().clone()
    }

    /// The leader as it is and changes.
    pub fn watch(&self) -> watch::Receiver<Option<LeaderInformation>> {
        self.leader.clone()
    }
}

async fn follow(
    store: Arc<dyn RecordStore>,
    key: &str,
    component: &str,
    retry: Duration,
    sender: &watch::Sender<Option<LeaderInformation>>,
) {
    let mut seen: Option<Option<RecordVersion>> = None;
    loop {
        let looked = look(&*store, key, component, &mut seen, sender).await;
        if let Err(error) = looked {
            tracing::debug!(key, error = %error, "the leader's record is not reachable");
            seen = None;
            tokio::time::sleep(retry).await;
        }
    }
}

/// Waits for a change since `seen`, if anything was seen, and reads.
async fn look(
    store: &dyn RecordStore,
    key: &str,
    component: &str,
    seen: &mut Option<Option<RecordVersion>>,
    sender: &watch::Sender<Option<LeaderInformation>>,
) -> Result<(), RecordStoreError> {
    if let Some(seen) = seen {
        store.changed(key, seen.as_ref()).await?;
    }
    let found = store.get(key).await?;
    *seen = Some(found.as_ref().map(|found| found.version.clone()));
    let leader = match found.map(|found| LeaderRecord::from_bytes(&found.bytes)) {
        None => None,
        Some(Ok(record)) => information(&record, component),
        Some(Err(error)) => {
            tracing::error!(key, error = %error, "the leader's record is damaged");
            return Ok(());
        }
    };
    sender.send_if_modified(|known| {
        let is_new = *known != leader;
        *known = leader;
        is_new
    });
    Ok(())
}

fn information(record: &LeaderRecord, component: &str) -> Option<LeaderInformation> {
    record.holder.as_ref()?;
    let address = record.addresses.get(component)?;
    Some(LeaderInformation { token: FencingToken(record.token), address: (&**address).into() })
}
