//! Blobs of jobs where the next JobManager finds them: in the storage of high availability.
//!
//! Each job has copies of its own, so that they go with it and nobody has to count who uses them.
//! They are written before the job is stored, and deleted behind its result; what is left of a
//! submission that was cut short is found by [`BlobArchive::retain`], since no job has its name.
//!
//! Invariant: a copy is whole or not there. What comes back is checked against its name.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use futures::TryStreamExt;
use hurtig_cluster_api::{BlobError, BlobInfo, BlobService};
use hurtig_filesystem::{
    Location, Stores,
    object_store::{
        self, ObjectStore, ObjectStoreExt, WriteMultipart, local::LocalFileSystem,
        path::Path as ObjectPath,
    },
};
use hurtig_types::{BlobId, JobId};

use crate::{BlobStore, file::read_at};

/// Folder of the copies, beside the other folders of high availability.
const FOLDER: &str = "blob";
/// Bytes that are read at once, and of a part of an upload.
const CHUNK_BYTES: usize = 8 << 20;
/// Parts of one upload that may be under way.
const PARTS: usize = 2;

/// The archive. Cloning gives another handle to it.
#[derive(Clone, Debug)]
pub struct BlobArchive {
    store: Arc<dyn ObjectStore>,
    base: ObjectPath,
}

fn failed(error: impl std::error::Error) -> BlobError {
    BlobError::Storage(hurtig_types::chain_text(&error))
}

impl BlobArchive {
    /// The archive of a cluster, below the directory or URL of high availability's storage.
    ///
    /// # Errors
    /// If that is no URL of a store, or the directory cannot be created.
    pub fn open(stores: &Stores, storage: &str, cluster: &str) -> Result<Self, BlobError> {
        let Location { store, path, local, .. } = stores.locate(storage).map_err(failed)?;
        if let Some(local) = local {
            let root = local.join(cluster);
            std::fs::create_dir_all(&root).map_err(failed)?;
            // The folders of jobs go with their last file.
            let store = LocalFileSystem::new_with_prefix(root).map_err(failed)?;
            let store = Arc::new(store.with_automatic_cleanup(true));
            return Ok(Self { store, base: ObjectPath::from(FOLDER) });
        }
        let folders = cluster.split('/').chain([FOLDER]).map(Into::into);
        Ok(Self { store, base: path.parts().chain(folders).collect() })
    }

    fn of_job(&self, job: JobId) -> ObjectPath {
        self.base.clone().join(format!("job_{job}"))
    }

    fn copy(&self, job: JobId, blob: BlobId) -> ObjectPath {
        self.of_job(job).join(blob.to_string())
    }

    /// Copies a file for a job, unless it is there.
    pub async fn keep(&self, job: JobId, blob: BlobId, file: &Path) -> Result<(), BlobError> {
        let copy = self.copy(job, blob);
        if self.store.head(&copy).await.is_ok() {
            return Ok(());
        }
        let upload = self.store.put_multipart(&copy).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, CHUNK_BYTES);
        let mut offset = 0;
        loop {
            let file = file.to_owned();
            let read = tokio::task::spawn_blocking(move || read_at(&file, offset, CHUNK_BYTES));
            let bytes = match read.await.map_err(io::Error::other).and_then(|read| read) {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Its parts would lie there for ever; if that fails, too, they do.
                    let _ = upload.abort().await;
                    return Err(failed(error));
                }
            };
            if bytes.is_empty() {
                upload.finish().await.map_err(failed)?;
                return Ok(());
            }
            offset += bytes.len() as u64;
            upload.wait_for_capacity(PARTS).await.map_err(failed)?;
            upload.write(&bytes);
        }
    }

    /// Brings a job's blob to a store.
    pub async fn fetch(
        &self,
        job: JobId,
        blob: BlobId,
        to: &BlobStore,
    ) -> Result<BlobInfo, BlobError> {
        let found = match self.store.get(&self.copy(job, blob)).await {
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::NotFound(blob)),
            found => found.map_err(failed)?,
        };
        let mut upload = to.begin_upload(&blob.to_string()).await?;
        let mut content = found.into_stream();
        while let Some(bytes) = content.try_next().await.map_err(failed)? {
            upload.write(&bytes).await?;
        }
        let info = upload.finish().await?;
        if info.id != blob {
            // What came is nobody's.
            let _ = to.delete(info.id).await;
            let got = info.id;
            return Err(BlobError::Storage(format!("under the name {blob} came blob {got}")));
        }
        Ok(info)
    }

    async fn delete(&self, prefix: &ObjectPath) -> Result<(), BlobError> {
        let found = self.store.list(Some(prefix));
        let found: Vec<_> = found.try_collect().await.map_err(failed)?;
        for copy in found {
            match self.store.delete(&copy.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Deletes the blobs of a job.
    pub async fn release(&self, job: JobId) -> Result<(), BlobError> {
        self.delete(&self.of_job(job)).await
    }

    /// Deletes the blobs of all jobs but these. Only for a leader that takes no jobs meanwhile.
    pub async fn retain(&self, jobs: &BTreeSet<JobId>) -> Result<(), BlobError> {
        let listed = self.store.list_with_delimiter(Some(&self.base)).await.map_err(failed)?;
        for folder in listed.common_prefixes {
            let job = folder.filename().and_then(|name| name.strip_prefix("job_")?.parse().ok());
            if job.is_some_and(|job: JobId| !jobs.contains(&job)) {
                self.delete(&folder).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
