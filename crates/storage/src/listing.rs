//! Finding snapshots in a directory.
//!
//! A directory may be that of one snapshot, of a job (`chk-<n>` below it), of all jobs' checkpoints
//! (a directory per job below it), or of savepoints.

use hurtig_filesystem::{
    Location,
    object_store::{self, ObjectStoreExt},
};

use crate::{
    checkpoints::CheckpointStorage,
    error::StorageError,
    layout::{self, METADATA_FILE},
};

fn is_job_directory(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl CheckpointStorage {
    /// The directories of snapshots directly in a directory, in the order of their names, with
    /// checkpoints by number.
    pub async fn snapshots_in(&self, url: &str) -> Result<Vec<String>, StorageError> {
        let mut names: Vec<String> = self.directories_in(url).await?;
        names.retain(|name| layout::is_snapshot_directory(name));
        names.sort_by_key(|name| (layout::checkpoint_of(name), name.clone()));
        Ok(names.into_iter().map(|name| format!("{}/{name}", url.trim_end_matches('/'))).collect())
    }

    /// The directories of snapshots at or below a directory: itself, those in it, those of its
    /// jobs.
    pub async fn find_snapshots(&self, url: &str) -> Result<Vec<String>, StorageError> {
        let url = url.trim_end_matches('/');
        let Location { store, path, .. } =
            self.stores().locate(&format!("{url}/{METADATA_FILE}"))?;
        match store.head(&path).await {
            Ok(_) => return Ok(vec![url.to_owned()]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => {
                return Err(StorageError::Store { action: "read", url: url.to_owned(), source });
            }
        }
        let mut found = self.snapshots_in(url).await?;
        let mut jobs = self.directories_in(url).await?;
        jobs.retain(|name| is_job_directory(name));
        jobs.sort();
        for job in jobs {
            found.extend(self.snapshots_in(&format!("{url}/{job}")).await?);
        }
        Ok(found)
    }

    async fn directories_in(&self, url: &str) -> Result<Vec<String>, StorageError> {
        let Location { store, path, .. } = self.stores().locate(url)?;
        let listed = store.list_with_delimiter(Some(&path)).await.map_err(|source| {
            StorageError::Store { action: "list", url: url.to_owned(), source }
        })?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        Ok(names.map(str::to_owned).collect())
    }
}
