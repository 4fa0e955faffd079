//! Metadata, recovery and deletion, as the JobMaster needs them.
//!
//! - *Write*: the metadata file is put in one piece, only if there is none; state files are there
//!   before.
//! - *Recover*: the latest checkpoint whose metadata, and as far as asked whose files, are intact.
//!   Damaged ones are passed over with a warning that names the file, and left in place.
//! - *Delete*: the metadata file first, so that what is left after a crash is no checkpoint any
//!   more. What is gone already is no error.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use hurtig_checkpoint::{
    CheckpointMetadata, completed::DiscardedCheckpoint, coordinator::DiscardedPending,
};
use hurtig_filesystem::{
    Location, Stores,
    object_store::{
        self, GetOptions, GetRange, ObjectStoreExt, PutMode, PutOptions, PutPayload,
        memory::InMemory, path::Path,
    },
};
use hurtig_types::{CheckpointId, JobId, StateFile};

use crate::{
    error::StorageError,
    format::{ContentSummary, FormatError, TRAILER_BYTES, peek_trailer},
    layout::{self, METADATA_FILE},
    metadata,
    reader::read_all,
    writer::StorageOptions,
};

/// Requests at once, for checks and deletions.
const REQUESTS_IN_FLIGHT: usize = 16;

/// Where metadata is kept if the storage is the JobManager's memory.
const MEMORY_DIRECTORY: &str = "memory:///checkpoints";

/// How far files are checked before a checkpoint is taken for intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The metadata file alone.
    Metadata,
    /// Every file is there, ends where it should, and says that it holds what is named.
    Present,
    /// Every byte.
    Content,
}

/// A checkpoint that was found.
#[derive(Clone, Debug)]
pub struct StoredCheckpoint {
    /// Its metadata, with absolute URLs.
    pub metadata: Arc<CheckpointMetadata>,
    /// Its directory.
    pub external_pointer: Arc<str>,
}

/// The checkpoints of one job.
#[derive(Clone, Debug)]
pub struct CheckpointStorage {
    stores: Arc<Stores>,
    options: StorageOptions,
    job: JobId,
}

fn store_error(
    action: &'static str,
    url: &str,
) -> impl Fn(object_store::Error) -> StorageError + use<> {
    let url = url.to_owned();
    move |source| StorageError::Store { action, url: url.clone(), source }
}

impl CheckpointStorage {
    /// The checkpoints of that job.
    pub fn new(stores: Arc<Stores>, options: StorageOptions, job: JobId) -> Self {
        Self { stores, options, job }
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    fn base(&self) -> &str {
        self.options.directory.as_deref().unwrap_or(MEMORY_DIRECTORY)
    }

    fn directory(&self, checkpoint: CheckpointId, target: Option<&str>) -> String {
        match target {
            Some(directory) => directory.trim_end_matches('/').to_owned(),
            None => layout::checkpoint_directory(self.base(), self.job, checkpoint),
        }
    }

    /// Directory for a new savepoint beneath `base`; `random` makes it unique.
    pub fn savepoint_directory(&self, base: &str, random: u64) -> Arc<str> {
        layout::savepoint_directory(base, self.job, random).into()
    }

    /// Writes a metadata file, to a savepoint's directory or the checkpoint's own, and returns the
    /// directory. If the same file is there already, as after a lost answer, that is fine.
    pub async fn write_metadata(
        &self,
        metadata: &CheckpointMetadata,
        target: Option<&str>,
    ) -> Result<Arc<str>, StorageError> {
        let directory = self.directory(metadata.checkpoint_id, target);
        let url = format!("{directory}/{METADATA_FILE}");
        let bytes = metadata::encode(metadata, &directory)
            .map_err(|source| StorageError::Metadata { url: url.clone(), source })?;
        let Location { store, path, .. } = self.stores.locate(&url)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&path, PutPayload::from(bytes.clone()), options).await {
            Ok(_) => Ok(directory.into()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let read = store_error("read", &url);
                let there = store.get(&path).await.map_err(&read)?.bytes().await.map_err(&read)?;
                if there == bytes {
                    Ok(directory.into())
                } else {
                    Err(StorageError::Exists { url })
                }
            }
            Err(error) => Err(store_error("write", &url)(error)),
        }
    }

    /// Reads the metadata of a checkpoint or savepoint; `pointer` is its directory or the metadata
    /// file itself.
    pub async fn load(&self, pointer: &str) -> Result<StoredCheckpoint, StorageError> {
        let pointer = pointer.trim_end_matches('/');
        let directory = pointer.strip_suffix(METADATA_FILE).unwrap_or(pointer);
        let directory = directory.trim_end_matches('/');
        let url = format!("{directory}/{METADATA_FILE}");
        let Location { store, path, .. } = self.stores.locate(&url)?;
        let read = store_error("read", &url);
        let bytes = store.get(&path).await.map_err(&read)?.bytes().await.map_err(&read)?;
        let metadata = Arc::new(metadata::decode(&bytes, &url, directory)?);
        Ok(StoredCheckpoint { metadata, external_pointer: directory.into() })
    }

    /// Numbers of all checkpoints of the job of which anything is there, oldest first. A new
    /// JobMaster must use none of them again.
    pub async fn list(&self) -> Result<Vec<CheckpointId>, StorageError> {
        let url = layout::job_directory(self.base(), self.job);
        let Location { store, path, .. } = self.stores.locate(&url)?;
        let listed = store.list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(store_error("list", &url))?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        let ids: BTreeSet<CheckpointId> = names.filter_map(layout::checkpoint_of).collect();
        Ok(ids.into_iter().collect())
    }

    /// The latest checkpoint that is intact, if there is any.
    pub async fn latest_intact(
        &self,
        verification: Verification,
    ) -> Result<Option<StoredCheckpoint>, StorageError> {
        for id in self.list().await?.into_iter().rev() {
            let directory = self.directory(id, None);
            match self.load_verified(&directory, verification).await {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error) if is_unfinished(&error) => {}
                Err(error) if error.is_damage() => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(
                        job_id = %self.job,
                        checkpoint_id = %id,
                        error = %error,
                        cause = cause.as_deref().unwrap_or_default(),
                        "a checkpoint is damaged, an earlier one is used"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Reads the metadata of a checkpoint and checks its files.
    pub async fn load_verified(
        &self,
        pointer: &str,
        verification: Verification,
    ) -> Result<StoredCheckpoint, StorageError> {
        let checkpoint = self.load(pointer).await?;
        self.verify(&checkpoint.metadata, verification).await?;
        Ok(checkpoint)
    }

    /// Checks the files of a checkpoint.
    pub async fn verify(
        &self,
        metadata: &CheckpointMetadata,
        verification: Verification,
    ) -> Result<(), StorageError> {
        // Owned, so that the whole is a future that any thread may run.
        let files: Vec<StateFile> = metadata.files().cloned().collect();
        let checks = files.into_iter().map(|file| async move {
            match verification {
                Verification::Metadata => Ok(()),
                Verification::Present => self.check_present(&file).await,
                Verification::Content => read_all(&self.stores, &file).await.map(drop),
            }
        });
        let mut checks = futures::stream::iter(checks).buffer_unordered(REQUESTS_IN_FLIGHT);
        while let Some(result) = checks.next().await {
            result?;
        }
        Ok(())
    }

    async fn check_present(&self, file: &StateFile) -> Result<(), StorageError> {
        let Some(url) = file.url() else {
            return read_all(&self.stores, file).await.map(drop);
        };
        let Location { store, path, .. } = self.stores.locate(url)?;
        let read = store_error("read", url);
        let range = Some(GetRange::Suffix(TRAILER_BYTES as u64));
        let options = GetOptions { range, ..GetOptions::default() };
        let got = store.get_opts(&path, options).await.map_err(&read)?;
        let length = got.meta.size;
        let last = got.bytes().await.map_err(&read)?;
        let url = url.to_string();
        let Some(found) = peek_trailer(&last) else {
            let source = FormatError::Truncated { length };
            return Err(StorageError::Damaged { url, source });
        };
        if found != (ContentSummary { length: file.length, checksum: file.checksum }) {
            let (length, checksum) = (found.length, found.checksum);
            return Err(StorageError::OtherContent { url, length, checksum });
        }
        Ok(())
    }

    /// Deletes a checkpoint that was given up.
    pub async fn discard_checkpoint(
        &self,
        discarded: &DiscardedCheckpoint,
    ) -> Result<(), StorageError> {
        self.discard(&discarded.external_pointer, &discarded.files).await
    }

    /// Deletes what is left of an aborted checkpoint.
    pub async fn discard_pending(&self, discarded: &DiscardedPending) -> Result<(), StorageError> {
        let directory = self.directory(discarded.checkpoint_id, discarded.target.as_deref());
        self.discard(&directory, &discarded.files).await
    }

    pub(crate) async fn discard(
        &self,
        directory: &str,
        files: &[Arc<str>],
    ) -> Result<(), StorageError> {
        self.delete(&format!("{directory}/{METADATA_FILE}")).await?;
        self.discard_files(files).await?;
        let name = directory.rsplit('/').next().unwrap_or_default();
        // Only what has the name of such a directory is swept: a user's may hold other things.
        if layout::is_snapshot_directory(name) {
            self.sweep(directory, &BTreeSet::new()).await
        } else {
            Ok(())
        }
    }

    /// Deletes files.
    pub async fn discard_files(&self, files: &[Arc<str>]) -> Result<(), StorageError> {
        let deletions = files.iter().cloned().map(|url| async move { self.delete(&url).await });
        let mut deletions = futures::stream::iter(deletions).buffer_unordered(REQUESTS_IN_FLIGHT);
        let mut first = Ok(());
        while let Some(result) = deletions.next().await {
            first = first.and(result);
        }
        first
    }

    /// Deletes what is left in the job's directory but for the files (URLs) that are to stay:
    /// files of tasks whose word of them was lost. For a job that has ended.
    pub async fn sweep_job(&self, kept: &[String]) -> Result<(), StorageError> {
        let paths = kept.iter().map(|url| Ok(self.stores.locate(url)?.path));
        let paths = paths.collect::<Result<BTreeSet<Path>, StorageError>>()?;
        self.sweep(&layout::job_directory(self.base(), self.job), &paths).await
    }

    async fn delete(&self, url: &str) -> Result<(), StorageError> {
        let Location { store, path, .. } = self.stores.locate(url)?;
        match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error("delete", url)(error)),
        }
    }

    /// Deletes what else is in a checkpoint's or savepoint's directory: files of tasks that never
    /// acknowledged.
    async fn sweep(&self, url: &str, kept: &BTreeSet<Path>) -> Result<(), StorageError> {
        let Location { store, path, local, .. } = self.stores.locate(url)?;
        let left: Vec<_> = store
            .list(Some(&path))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(store_error("list", url))?;
        // One that cannot be deleted does not keep the others.
        let mut first = Ok(());
        for file in left.into_iter().filter(|file| !kept.contains(file)) {
            match store.delete(&file).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => first = first.and(Err(store_error("delete", url)(error))),
            }
        }
        if let Some(local) = local {
            // Object stores have no directories. One that is not empty again, or gone, may stay.
            let _ = std::fs::remove_dir(local);
        }
        first
    }
}

/// What a checkpoint consists of: its metadata and the files that it names.
pub fn files_of(checkpoint: &StoredCheckpoint) -> impl Iterator<Item = String> {
    let metadata = format!("{}/{METADATA_FILE}", checkpoint.external_pointer);
    let named = checkpoint.metadata.files().filter_map(StateFile::url).map(|url| url.to_string());
    std::iter::once(metadata).chain(named)
}

/// A directory without a metadata file: a checkpoint that came to nothing.
fn is_unfinished(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Store { url, source: object_store::Error::NotFound { .. }, .. }
            if url.ends_with(METADATA_FILE)
    )
}

/// Stores in which `memory:` URLs lead to one new store in this process.
pub fn memory_stores() -> Stores {
    let stores = Stores::default();
    stores.register("memory://", Arc::new(InMemory::new()));
    stores
}
