//! Local recovery: second copies of state files on the TaskExecutor's disk.
//!
//! 1. A task tells when it begins a checkpoint, and gives each writer of a state file a
//!    [`LocalCopy`] to write the same bytes to.
//! 2. When the checkpoint is complete, copies that it does not need are deleted; when it is
//!    aborted, its own are.
//! 3. An attempt that starts from a checkpoint reads each file's copy, if there is one and it is
//!    intact, and the file itself if not.
//! 4. When a slot is given back, its copies go; when the process ends, all do. What a dead process
//!    has left is removed by the next one that uses the root.
//!
//! Invariants: a copy never counts as state. Whatever happens to it (the disk is full, a file is
//! damaged or gone), checkpoints complete and restores succeed as without it. It is read only if
//! its length and checksum are those of the handle.
//!
//! Deliberately absent: savepoints and state in handles, of which no copies are made; the choice
//! of the slot, which is the scheduler's.

use std::{
    collections::BTreeMap,
    io,
    path::{Path as DiskPath, PathBuf},
    sync::Arc,
};

use hurtig_filesystem::object_store::{
    self, ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path,
};
use hurtig_types::{AllocationId, CheckpointId, JobId, JobVertexId, ResourceId, StateFile};
use parking_lot::Mutex;

use crate::{error::StorageError, reader::StateReader, upload::FileUpload};

mod directory;
pub mod index;

use directory::OwnedDirectory;
use index::LocalIndex;

/// Why there is no local state.
#[derive(Debug, thiserror::Error)]
pub enum LocalStateError {
    /// A directory cannot be used.
    #[error("cannot keep local state in {}", root.display())]
    Root {
        /// The configured directory.
        root: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// How a TaskExecutor keeps local state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStateOptions {
    /// `execution.checkpointing.local-backup.dirs`: checkpoints are spread over them.
    pub roots: Vec<PathBuf>,
    /// `execution.state-recovery.from-local`. Without it copies are written, and never read.
    pub recovery: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subtask {
    job: JobId,
    vertex: JobVertexId,
    subtask: u32,
}

type Index = Arc<Mutex<LocalIndex<Path>>>;

/// All local state of one TaskExecutor. Dropping it removes it.
#[derive(Debug)]
pub struct LocalStateStores {
    store: Arc<dyn ObjectStore>,
    directories: Vec<OwnedDirectory>,
    recovery: bool,
    slots: Mutex<BTreeMap<AllocationId, BTreeMap<Subtask, Index>>>,
}

impl LocalStateStores {
    /// Makes the directories and sweeps those of the dead.
    ///
    /// # Errors
    /// If a root cannot be written to.
    pub fn open(
        options: &LocalStateOptions,
        resource: ResourceId,
    ) -> Result<Self, LocalStateError> {
        let store = LocalFileSystem::new().with_automatic_cleanup(true);
        Self::open_on(Arc::new(store), options, resource)
    }

    /// As [`Self::open`], with a given way to the disk.
    ///
    /// # Errors
    /// If a root cannot be written to.
    pub fn open_on(
        store: Arc<dyn ObjectStore>,
        options: &LocalStateOptions,
        resource: ResourceId,
    ) -> Result<Self, LocalStateError> {
        let directories = options.roots.iter().map(|root| {
            let failed = |source| LocalStateError::Root { root: root.clone(), source };
            let root = std::path::absolute(root).map_err(failed)?;
            OwnedDirectory::open(&root, resource).map_err(failed)
        });
        let directories = directories.collect::<Result<_, _>>()?;
        let slots = Mutex::default();
        Ok(Self { store, directories, recovery: options.recovery, slots })
    }

    /// The local state of a subtask in a slot; that of an earlier attempt, if there was one.
    pub fn subtask(
        self: &Arc<Self>,
        allocation: AllocationId,
        job: JobId,
        vertex: JobVertexId,
        subtask: u32,
    ) -> TaskLocalState {
        let subtask = Subtask { job, vertex, subtask };
        let mut slots = self.slots.lock();
        let index = slots.entry(allocation).or_default().entry(subtask).or_default().clone();
        TaskLocalState { index, stores: self.clone(), allocation, subtask }
    }

    fn slot_directories(&self, allocation: AllocationId) -> impl Iterator<Item = PathBuf> {
        let name = format!("aid_{allocation}");
        self.directories.iter().map(move |directory| directory.local_state().join(&name))
    }

    /// A slot is given back: nothing that it kept is read any more.
    pub fn forget(&self, allocation: AllocationId) {
        let slot = self.slots.lock().remove(&allocation);
        for index in slot.iter().flat_map(BTreeMap::values) {
            // Their files go with the directory.
            drop(index.lock().close());
        }
    }

    /// The same, and deletes what it kept. Blocks the thread.
    pub fn release(&self, allocation: AllocationId) {
        self.forget(allocation);
        for directory in self.slot_directories(allocation) {
            match std::fs::remove_dir_all(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let path = directory.display();
                    tracing::warn!(%path, %error, "local state of a slot could not be removed");
                }
            }
        }
    }

    /// The copy of a job's file, whichever of its subtasks has it.
    fn find(&self, job: JobId, url: &str) -> Option<Path> {
        let slots = self.slots.lock();
        let subtasks = slots.values().flatten().filter(|(subtask, _)| subtask.job == job);
        subtasks.into_iter().find_map(|(_, index)| index.lock().find(url).cloned())
    }
}

/// The local state of one subtask. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct TaskLocalState {
    index: Index,
    stores: Arc<LocalStateStores>,
    allocation: AllocationId,
    subtask: Subtask,
}

impl TaskLocalState {
    /// A checkpoint begins that builds upon these files.
    pub fn begin<'a>(&self, id: CheckpointId, base: impl IntoIterator<Item = &'a StateFile>) {
        let urls = base.into_iter().filter_map(|file| file.url().cloned());
        self.index.lock().begin(id, urls);
    }

    /// Where the copy of a new file of a checkpoint is to be written; `None` if it has no place.
    pub fn copy(&self, id: CheckpointId, name: &str) -> Option<LocalCopy> {
        let Subtask { job, vertex, subtask } = self.subtask;
        let count = self.stores.directories.len() as u64;
        let mut roots = self.stores.slot_directories(self.allocation);
        let slot = roots.nth(id.0.checked_rem(count)? as usize)?;
        let path: PathBuf = [
            slot.as_path(),
            DiskPath::new(&format!("jid_{job}")),
            DiskPath::new(&format!("vtx_{vertex}_sti_{subtask}")),
            DiskPath::new(&format!("chk_{id}")),
            DiskPath::new(name),
        ]
        .iter()
        .collect();
        match Path::from_absolute_path(&path) {
            Ok(path) => Some(LocalCopy { local: self.clone(), id, path }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no local copy can be made");
                None
            }
        }
    }

    /// A checkpoint is complete.
    pub fn confirm(&self, id: CheckpointId) -> Superfluous {
        self.superfluous(self.index.lock().confirm(id))
    }

    /// A checkpoint was given up.
    pub fn abort(&self, id: CheckpointId) -> Superfluous {
        self.superfluous(self.index.lock().abort(id))
    }

    /// The subtask starts from a checkpoint.
    pub fn restore(&self, id: CheckpointId) -> Superfluous {
        self.superfluous(self.index.lock().restore(id))
    }

    fn superfluous(&self, paths: Vec<Path>) -> Superfluous {
        Superfluous { store: self.stores.store.clone(), paths }
    }

    /// The content that a handle names, if there is an intact copy of it here.
    pub async fn read(&self, file: &StateFile) -> Option<Vec<u8>> {
        let url = file.url().filter(|_| self.stores.recovery)?;
        let Some(path) = self.stores.find(self.subtask.job, url) else {
            tracing::debug!(%url, "no local copy");
            return None;
        };
        match self.read_copy(&path, file).await {
            Ok(content) => {
                tracing::debug!(%url, %path, "restored from the local copy");
                Some(content)
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%url, error, "the local copy is of no use, its original is read");
                None
            }
        }
    }

    async fn read_copy(&self, path: &Path, file: &StateFile) -> Result<Vec<u8>, StorageError> {
        let mut reader =
            StateReader::open_at(&*self.stores.store, path, path.to_string(), file).await?;
        reader.read_to_end().await
    }
}

/// Copies that nobody needs any more.
#[must_use]
#[derive(Debug)]
pub struct Superfluous {
    store: Arc<dyn ObjectStore>,
    paths: Vec<Path>,
}

impl Superfluous {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Deletes them, and directories that are empty then.
    pub async fn delete(self) {
        for path in self.paths {
            delete(&*self.store, &path).await;
        }
    }
}

async fn delete(store: &dyn ObjectStore, path: &Path) {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => tracing::warn!(%path, %error, "a local copy could not be deleted"),
    }
}

/// Where the copy of one state file is to be written.
#[derive(Debug)]
pub struct LocalCopy {
    local: TaskLocalState,
    id: CheckpointId,
    path: Path,
}

/// A copy that is being written.
pub(crate) struct CopyUpload {
    copy: LocalCopy,
    upload: FileUpload,
}

impl LocalCopy {
    pub(crate) fn begin(self) -> CopyUpload {
        let upload = FileUpload::new(self.local.stores.store.clone(), self.path.clone());
        CopyUpload { copy: self, upload }
    }
}

impl CopyUpload {
    fn note(&self, error: &object_store::Error) {
        let path = &self.copy.path;
        tracing::warn!(%path, %error, "no local copy: the checkpoint goes on without");
    }

    /// Adds a part. Nothing is left of a copy that fails.
    pub(crate) async fn part(mut self, part: bytes::Bytes) -> Option<Self> {
        match self.upload.part(part).await {
            Ok(()) => Some(self),
            Err(error) => {
                self.note(&error);
                self.abort().await;
                None
            }
        }
    }

    /// Ends the copy of the file with that URL; from now on it is found.
    pub(crate) async fn finish(mut self, last: bytes::Bytes, url: &Arc<str>) {
        if let Err(error) = self.upload.finish(last).await {
            self.note(&error);
            return self.abort().await;
        }
        let LocalCopy { local, id, path } = self.copy;
        let late = local.index.lock().add(url.clone(), id, path);
        if let Some(path) = late {
            delete(&*local.stores.store, &path).await;
        }
    }

    /// Gives it up.
    pub(crate) async fn abort(mut self) {
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(path = %self.copy.path, %error, "a local copy could not be given up");
        }
    }
}
