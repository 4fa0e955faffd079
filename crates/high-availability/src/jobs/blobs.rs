//! Blobs: bytes that are written once under a name that is never used twice.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;
use hurtig_types::JobId;

use crate::{
    election::ContenderId,
    error::HighAvailabilityError,
    options::RetryOptions,
    register::Patience,
    sealed,
    store::{Precondition, RecordStore, RecordStoreError},
};

/// Folder of the blobs of jobs that have not been cleaned up.
pub(crate) const FOLDER: &str = "job-blobs";

/// Blobs, with checksums.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    store: Arc<dyn RecordStore>,
    owner: ContenderId,
    names: Arc<AtomicU64>,
    retry: RetryOptions,
}

impl Blobs {
    /// `owner` makes names unique among processes.
    pub fn new(store: Arc<dyn RecordStore>, owner: ContenderId, retry: RetryOptions) -> Self {
        Self { store, owner, names: Arc::default(), retry }
    }

    /// Writes bytes of a job under a new name.
    pub async fn put_new(
        &self,
        job: JobId,
        token: FencingToken,
        content: &[u8],
    ) -> Result<String, HighAvailabilityError> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let key = format!("{FOLDER}/{job}-{}-{}-{number}", token.0, self.owner);
        self.put(&key, content).await?;
        Ok(key)
    }

    /// Writes bytes, unless the name is taken: whoever has taken it had the same to write.
    pub async fn put(&self, key: &str, content: &[u8]) -> Result<(), HighAvailabilityError> {
        let bytes = sealed::seal(content);
        let mut patience = Patience::new(&self.retry);
        loop {
            match self.store.put(key, bytes.clone(), Precondition::Absent).await {
                Ok(_) | Err(RecordStoreError::Conflict { .. }) => return Ok(()),
                Err(error) => patience.after(key, error.into()).await?,
            }
        }
    }

    /// Reads bytes; `None` if there is no such blob.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, HighAvailabilityError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            match self.store.get(key).await {
                Ok(None) => return Ok(None),
                Ok(Some(record)) => {
                    let opened = sealed::open(&record.bytes);
                    return opened.map(Some).map_err(|problem| HighAvailabilityError::Damaged {
                        key: key.to_owned(),
                        problem,
                    });
                }
                Err(error) => patience.after(key, error.into()).await?,
            }
        }
    }

    /// Deletes a blob that nothing names. If that fails, the next recovery does it.
    pub async fn discard(&self, key: &str) {
        if let Err(error) = self.store.delete(key).await {
            tracing::debug!(key, error = %error, "a blob that is not needed could not be deleted");
        }
    }

    /// The blobs of a folder.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, HighAvailabilityError> {
        Ok(self.store.list(folder).await?)
    }
}
