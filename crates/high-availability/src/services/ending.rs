//! The end of a whole cluster, which its user wants: nothing of it is to be recovered, and whoever
//! stands by ends, too.
//!
//! The leader that is asked writes its token into the **end mark**, and then deletes what there is
//! of jobs. A JobManager obeys a mark with a higher token than the one that it found when it
//! started: so one that is started later under the same name begins a new cluster. The leader's
//! record stays, since tokens must go on growing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;

use super::HighAvailabilityServices;
use crate::{
    error::HighAvailabilityError,
    register::Patience,
    store::{Precondition, RecordStore, RecordStoreError, RecordVersion},
};

/// Key of the end mark.
const END_KEY: &str = "cluster-end";

/// The token in the mark, and the mark's version.
type Mark = (u64, Option<RecordVersion>);

async fn read(records: &dyn RecordStore) -> Result<Mark, RecordStoreError> {
    let Some(record) = records.get(END_KEY).await? else { return Ok((0, None)) };
    let token = std::str::from_utf8(&record.bytes).ok().and_then(|text| text.parse().ok());
    if token.is_none() {
        tracing::error!(key = END_KEY, "the mark of the cluster's end is damaged, and not obeyed");
    }
    Ok((token.unwrap_or(0), Some(record.version)))
}

impl HighAvailabilityServices {
    /// Ends the cluster: those that stand by are told, and everything of its jobs is deleted. Only
    /// for the leader of that token, when its roles have ended and before it leaves.
    ///
    /// # Errors
    /// If the service cannot be reached; what was not deleted a later leader finds.
    pub async fn end_cluster(&self, token: FencingToken) -> Result<(), HighAvailabilityError> {
        let records = self.backend.records();
        let mut patience = Patience::new(&self.retry);
        loop {
            let marked = async {
                let (known, version) = read(&*records).await?;
                if known >= token.0 {
                    return Ok(());
                }
                let condition = version.map_or(Precondition::Absent, Precondition::Unchanged);
                let text = Bytes::from(token.0.to_string());
                records.put(END_KEY, text, condition).await.map(drop)
            };
            match marked.await {
                Ok(()) => break,
                Err(error) => patience.after(END_KEY, error.into()).await?,
            }
        }
        self.clean_up_all_data().await
    }

    /// Looks at the mark as it is now, as often as it takes: what ended before counts for nothing.
    pub async fn watch_cluster_end(&self) -> ClusterEnd {
        let (records, retry) = (self.backend.records(), self.election.retry);
        loop {
            match read(&*records).await {
                Ok((before, version)) => return ClusterEnd { records, retry, before, version },
                Err(error) => tracing::debug!(%error, "whether a cluster has ended is not known"),
            }
            tokio::time::sleep(retry).await;
        }
    }
}

/// Waits for the end of a cluster.
#[derive(Debug)]
pub struct ClusterEnd {
    records: Arc<dyn RecordStore>,
    retry: Duration,
    before: u64,
    version: Option<RecordVersion>,
}

impl ClusterEnd {
    /// Returns when a leader ends the cluster: its token.
    pub async fn wait(mut self) -> FencingToken {
        loop {
            let looked = async {
                self.records.changed(END_KEY, self.version.as_ref()).await?;
                read(&*self.records).await
            };
            match looked.await {
                Ok((token, _)) if token > self.before => return FencingToken(token),
                Ok((_, version)) => self.version = version,
                Err(error) => {
                    tracing::debug!(%error, "whether the cluster ends is not known");
                    tokio::time::sleep(self.retry).await;
                }
            }
        }
    }
}
