//! The JobManager's blobs.
//!
//! A blob is a file, and beside it a file with its name and time of upload, which is written after
//! it: without one, a blob is a leftover of an upload and is deleted at the start. Hashing and
//! writing happen on threads that may wait for a disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    BlobError, BlobInfo, BlobService, BlobSource, BlobUpload, RpcError, RpcResult,
};
use hurtig_types::{BlobId, JobId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::file::{UnfinishedFile, read_at, scan};

/// Most bytes of one answer to [`BlobSource::read_blob`].
const CHUNK_BYTES: u32 = 1 << 20;
/// Most bytes of a blob's name.
const NAME_BYTES: usize = 255;

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct BlobStoreOptions {
    /// The directory, which belongs to this store alone.
    pub directory: PathBuf,
    /// Largest blob.
    pub max_blob_bytes: u64,
    /// Most bytes of all blobs together. When they are reached, blobs that no job refers to make
    /// room, those of the oldest upload first.
    pub max_total_bytes: u64,
    /// Most uploads at once; further ones wait.
    pub max_uploads: usize,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<BlobId, BlobInfo>,
    /// Which blobs each job refers to.
    of_jobs: BTreeMap<JobId, BTreeSet<BlobId>>,
    /// Bytes of all blobs and of uploads under way.
    total_bytes: u64,
}

impl State {
    fn user_of(&self, id: BlobId) -> Option<JobId> {
        let mut jobs = self.of_jobs.iter();
        jobs.find(|(_, blobs)| blobs.contains(&id)).map(|(job, _)| *job)
    }
}

/// The store. Cloning gives another handle to it.
#[derive(Clone)]
pub struct BlobStore(Arc<Inner>);

struct Inner {
    options: BlobStoreOptions,
    state: Mutex<State>,
    uploads: Arc<Semaphore>,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
}

fn storage(error: io::Error) -> BlobError {
    BlobError::Storage(error.to_string())
}

fn info_path(directory: &Path, id: BlobId) -> PathBuf {
    directory.join(format!("{id}.json"))
}

impl BlobStore {
    /// Opens a store: what an earlier process has kept in the directory is there again.
    ///
    /// # Errors
    /// If the directory cannot be created or read.
    pub fn open(
        options: BlobStoreOptions,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let directory = &options.directory;
        fs::create_dir_all(directory)?;
        let mut state = State::default();
        for (id, metadata) in scan(directory)? {
            let described = fs::read(info_path(directory, id)).ok();
            let info = described.and_then(|bytes| serde_json::from_slice::<BlobInfo>(&bytes).ok());
            match info.filter(|info| info.id == id && info.size_bytes == metadata.len()) {
                Some(info) => {
                    state.total_bytes += info.size_bytes;
                    state.blobs.insert(id, info);
                }
                None => fs::remove_file(directory.join(id.to_string()))?,
            }
        }
        Ok(Self(Arc::new(Inner {
            uploads: Arc::new(Semaphore::new(options.max_uploads.max(1))),
            options,
            state: Mutex::new(state),
            now_ms: Box::new(now_ms),
        })))
    }

    fn directory(&self) -> &Path {
        &self.0.options.directory
    }

    /// The file of a blob, for a process on this machine.
    pub fn path(&self, id: BlobId) -> Result<PathBuf, BlobError> {
        if !self.0.state.lock().blobs.contains_key(&id) {
            return Err(BlobError::NotFound(id));
        }
        Ok(self.directory().join(id.to_string()))
    }

    /// A job refers to blobs: they stay until it is released. All of them must be there.
    pub fn reference(
        &self,
        job: JobId,
        blobs: impl IntoIterator<Item = BlobId>,
    ) -> Result<(), BlobError> {
        let mut state = self.0.state.lock();
        let blobs: BTreeSet<BlobId> = blobs.into_iter().collect();
        if let Some(missing) = blobs.iter().find(|id| !state.blobs.contains_key(id)) {
            return Err(BlobError::NotFound(*missing));
        }
        state.of_jobs.entry(job).or_default().extend(blobs);
        Ok(())
    }

    /// A job has ended.
    pub fn release(&self, job: JobId) {
        self.0.state.lock().of_jobs.remove(&job);
    }

    /// Adds a file of this machine.
    pub async fn put_file(&self, path: &Path) -> Result<BlobInfo, BlobError> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut upload = self.begin_upload(&name.unwrap_or_default()).await?;
        let mut offset = 0;
        loop {
            let path = path.to_owned();
            let read = move || read_at(&path, offset, CHUNK_BYTES as usize);
            let bytes = tokio::task::spawn_blocking(read).await;
            let bytes = bytes.map_err(io::Error::other).and_then(|read| read).map_err(storage)?;
            if bytes.is_empty() {
                return upload.finish().await;
            }
            upload.write(&bytes).await?;
            offset += bytes.len() as u64;
        }
    }

    /// Counts bytes that are about to be written; old blobs make room for them.
    fn take_room(&self, bytes: u64) -> Result<(), BlobError> {
        let limit_bytes = self.0.options.max_total_bytes;
        let mut state = self.0.state.lock();
        while state.total_bytes.saturating_add(bytes) > limit_bytes {
            let unused = state.blobs.values().filter(|info| state.user_of(info.id).is_none());
            let oldest = unused.min_by_key(|info| (info.uploaded_ms, info.id)).map(|info| info.id);
            let Some(oldest) = oldest else { return Err(BlobError::Full { limit_bytes }) };
            tracing::info!(blob = %oldest, "deleted to make room");
            self.remove(&mut state, oldest).map_err(storage)?;
        }
        state.total_bytes += bytes;
        Ok(())
    }

    fn remove(&self, state: &mut State, id: BlobId) -> io::Result<()> {
        // What describes it goes first: without it, the rest is a leftover.
        for path in [info_path(self.directory(), id), self.directory().join(id.to_string())] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if let Some(info) = state.blobs.remove(&id) {
            state.total_bytes -= info.size_bytes;
        }
        Ok(())
    }

    fn finish(&self, file: UnfinishedFile, name: String) -> Result<BlobInfo, BlobError> {
        let (id, size_bytes) = (file.id(), file.size_bytes);
        let info = BlobInfo { id, name, size_bytes, uploaded_ms: (self.0.now_ms)() };
        let described = serde_json::to_vec(&info).map_err(io::Error::from).map_err(storage)?;
        let directory = self.directory();
        // Under the lock, so that no deletion of the same content comes in between.
        let mut state = self.0.state.lock();
        if !state.blobs.contains_key(&id) {
            file.name(directory, true).map_err(storage)?;
            state.total_bytes += size_bytes;
        }
        let path = info_path(directory, id);
        let new = path.with_extension("new");
        fs::write(&new, described).and_then(|()| fs::rename(&new, &path)).map_err(storage)?;
        state.blobs.insert(id, info.clone());
        Ok(info)
    }
}

struct Upload {
    store: BlobStore,
    name: String,
    /// `None` while a thread has it.
    file: Option<UnfinishedFile>,
    /// Bytes that are counted for it.
    counted: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.store.0.state.lock().total_bytes -= self.counted;
    }
}

impl Upload {
    /// Lets a thread that may wait do something with the file.
    async fn with_file<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut UnfinishedFile) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let broken = || BlobError::Storage("an earlier write has failed".to_owned());
        let mut file = self.file.take().ok_or_else(broken)?;
        let done = tokio::task::spawn_blocking(move || (work(&mut file), file)).await;
        let (result, file) = done.map_err(io::Error::other).map_err(storage)?;
        if result.is_ok() {
            self.file = Some(file);
        }
        result.map_err(storage)
    }
}

#[async_trait]
impl BlobUpload for Upload {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let limit_bytes = self.store.0.options.max_blob_bytes;
        let more = bytes.len() as u64;
        if self.counted.saturating_add(more) > limit_bytes {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        self.store.take_room(more)?;
        self.counted += more;
        let bytes = bytes.to_vec();
        self.with_file(move |file| file.write(&bytes)).await
    }

    async fn finish(mut self: Box<Self>) -> Result<BlobInfo, BlobError> {
        let broken = || BlobError::Storage("an earlier write has failed".to_owned());
        let file = self.file.take().ok_or_else(broken)?;
        let (store, name) = (self.store.clone(), self.name.clone());
        let finished = tokio::task::spawn_blocking(move || store.finish(file, name)).await;
        finished.map_err(io::Error::other).map_err(storage)?
    }
}

#[async_trait]
impl BlobService for BlobStore {
    async fn begin_upload(&self, name: &str) -> Result<Box<dyn BlobUpload>, BlobError> {
        // It is shown, and never part of a path.
        let fine = !name.is_empty()
            && name.len() <= NAME_BYTES
            && !name.chars().any(|c| c.is_control() || c == '/');
        if !fine {
            return Err(BlobError::BadName(name.chars().take(80).collect()));
        }
        let ended = |_| BlobError::Storage("the store has ended".to_owned());
        let permit = self.0.uploads.clone().acquire_owned().await.map_err(ended)?;
        let directory = self.directory().to_owned();
        let file = tokio::task::spawn_blocking(move || UnfinishedFile::create(&directory)).await;
        let file = file.map_err(io::Error::other).and_then(|file| file).map_err(storage)?;
        let (store, name) = (self.clone(), name.to_owned());
        Ok(Box::new(Upload { store, name, file: Some(file), counted: 0, _permit: permit }))
    }

    async fn list(&self) -> Result<Vec<BlobInfo>, BlobError> {
        let mut all: Vec<_> = self.0.state.lock().blobs.values().cloned().collect();
        all.sort_by_key(|info| (std::cmp::Reverse(info.uploaded_ms), info.id));
        Ok(all)
    }

    async fn info(&self, id: BlobId) -> Result<BlobInfo, BlobError> {
        self.0.state.lock().blobs.get(&id).cloned().ok_or(BlobError::NotFound(id))
    }

    async fn delete(&self, id: BlobId) -> Result<(), BlobError> {
        let mut state = self.0.state.lock();
        if !state.blobs.contains_key(&id) {
            return Err(BlobError::NotFound(id));
        }
        match state.user_of(id) {
            Some(job) => Err(BlobError::InUse { id, job }),
            None => self.remove(&mut state, id).map_err(storage),
        }
    }
}

#[async_trait]
impl BlobSource for BlobStore {
    async fn blob_size(&self, id: BlobId) -> RpcResult<u64> {
        let info = self.info(id).await.map_err(|e| RpcError::NotFound(e.to_string()))?;
        Ok(info.size_bytes)
    }

    async fn read_blob(&self, id: BlobId, offset: u64, length: u32) -> RpcResult<Vec<u8>> {
        let path = self.path(id).map_err(|e| RpcError::NotFound(e.to_string()))?;
        let length = length.min(CHUNK_BYTES) as usize;
        let read = tokio::task::spawn_blocking(move || read_at(&path, offset, length)).await;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        read.map_err(|error| RpcError::Rejected(format!("blob {id} cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests;
