//! A TaskManager's blobs: fetched once, kept while they are used, and after that as long as there
//! is room.
//!
//! Who asks for a blob that is being fetched waits for the same fetch. A blob is checked when it
//! has arrived; what the hash does not fit is fetched again, a limited number of times. Chunks are
//! asked for one after the other: the source bounds each, so memory is bounded whatever it is sent.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use hurtig_cluster_api::{BlobError, BlobSource};
use hurtig_types::BlobId;
use parking_lot::Mutex;

use crate::file::{UnfinishedFile, scan};

/// Bytes that are asked for at once.
const CHUNK_BYTES: u32 = 1 << 20;
/// Pause before a fetch is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Settings of a cache.
#[derive(Clone, Debug)]
pub struct BlobCacheOptions {
    /// The directory, which belongs to this cache alone. What an earlier process left is deleted:
    /// nobody checked it.
    pub directory: PathBuf,
    /// Bytes of blobs beyond which those that nobody uses are deleted, the least recently used
    /// first. Blobs in use may be more.
    pub max_bytes: u64,
    /// Largest blob that is fetched.
    pub max_blob_bytes: u64,
    /// `blob.fetch.retries`: how often a fetch is tried again.
    pub retries: u32,
}

/// A blob on this machine, which stays as long as this is held.
#[derive(Clone, Debug)]
pub struct CachedBlob(Arc<Blob>);

#[derive(Debug)]
struct Blob {
    id: BlobId,
    path: PathBuf,
    size_bytes: u64,
}

impl CachedBlob {
    /// The file: it can be read and executed, and must not be changed.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

#[derive(Default)]
struct State {
    /// Least recently used first.
    kept: Vec<CachedBlob>,
    bytes: u64,
    fetches: HashMap<BlobId, Weak<tokio::sync::Mutex<()>>>,
}

/// The cache. Cloning gives another handle to it.
#[derive(Clone)]
pub struct BlobCache(Arc<Inner>);

struct Inner {
    options: BlobCacheOptions,
    state: Mutex<State>,
}

impl BlobCache {
    /// An empty cache.
    ///
    /// # Errors
    /// If the directory cannot be created or emptied.
    pub fn open(options: BlobCacheOptions) -> io::Result<Self> {
        fs::create_dir_all(&options.directory)?;
        for (id, _) in scan(&options.directory)? {
            fs::remove_file(options.directory.join(id.to_string()))?;
        }
        Ok(Self(Arc::new(Inner { options, state: Mutex::default() })))
    }

    /// A blob that is here; it counts as used.
    fn find(&self, id: BlobId) -> Option<CachedBlob> {
        let mut state = self.0.state.lock();
        let at = state.kept.iter().position(|blob| blob.0.id == id)?;
        let blob = state.kept.remove(at);
        state.kept.push(blob.clone());
        Some(blob)
    }

    /// A blob, from here or from the source.
    pub async fn get(&self, id: BlobId, source: &dyn BlobSource) -> Result<CachedBlob, BlobError> {
        if let Some(blob) = self.find(id) {
            return Ok(blob);
        }
        let turn = {
            let mut state = self.0.state.lock();
            state.fetches.retain(|_, fetch| fetch.strong_count() > 0);
            match state.fetches.get(&id).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::default();
                    state.fetches.insert(id, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        let _turn = turn.lock().await;
        if let Some(blob) = self.find(id) {
            return Ok(blob);
        }
        let mut tries = self.0.options.retries;
        loop {
            match self.fetch(id, source).await {
                Ok(blob) => return Ok(blob),
                Err(error) if tries == 0 || matches!(error, BlobError::TooLarge { .. }) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(blob = %id, %error, "cannot fetch a blob yet");
                    tries -= 1;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn fetch(&self, id: BlobId, source: &dyn BlobSource) -> Result<CachedBlob, BlobError> {
        let failed = |error: io::Error| BlobError::Storage(error.to_string());
        let unreachable =
            |error| BlobError::Storage(format!("blob {id} cannot be fetched: {error}"));
        let limit_bytes = self.0.options.max_blob_bytes;
        let size_bytes = source.blob_size(id).await.map_err(unreachable)?;
        if size_bytes > limit_bytes {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        let directory = self.0.options.directory.clone();
        let mut file = UnfinishedFile::create(&directory).map_err(failed)?;
        let mut offset = 0;
        let mut arrived = Vec::new();
        while file.size_bytes < size_bytes {
            // What has come is written while the next bytes are on their way.
            let written = tokio::task::spawn_blocking(move || file.write(&arrived).map(|()| file));
            if offset < size_bytes {
                arrived = source.read_blob(id, offset, CHUNK_BYTES).await.map_err(unreachable)?;
                offset += arrived.len() as u64;
                if arrived.is_empty() || offset > size_bytes {
                    let text = format!("blob {id} has {offset} bytes instead of {size_bytes}");
                    return Err(BlobError::Storage(text));
                }
            } else {
                arrived = Vec::new();
            }
            file = written.await.map_err(io::Error::other).and_then(|file| file).map_err(failed)?;
        }
        let got = file.id();
        if got != id {
            return Err(BlobError::Storage(format!("under the name {id} came blob {got}")));
        }
        let named = tokio::task::spawn_blocking(move || file.name(&directory, false)).await;
        let path = named.map_err(io::Error::other).and_then(|path| path).map_err(failed)?;
        let blob = CachedBlob(Arc::new(Blob { id, path, size_bytes }));
        self.keep(blob.clone()).map_err(failed)?;
        Ok(blob)
    }

    /// Adds a blob; what nobody uses makes room.
    fn keep(&self, blob: CachedBlob) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.bytes += blob.0.size_bytes;
        state.kept.push(blob);
        while state.bytes > self.0.options.max_bytes {
            let is_unused = |blob: &CachedBlob| Arc::strong_count(&blob.0) == 1;
            let Some(at) = state.kept.iter().position(is_unused) else { break };
            let blob = state.kept.remove(at);
            state.bytes -= blob.0.size_bytes;
            fs::remove_file(&blob.0.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
