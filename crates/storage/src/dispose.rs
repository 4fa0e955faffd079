//! Disposing of a snapshot that belongs to no running job: a savepoint, or a checkpoint that
//! outlived its job.
//!
//! 1. The metadata is read; without it nothing is known, so nothing is deleted.
//! 2. Files beneath the snapshot's own directory are its own. Exclusive files elsewhere are not:
//!    whoever wrote that metadata has no say over other directories. They stay and are reported.
//! 3. Shared files may be named by other checkpoints of the same job. Unless asked for, a snapshot
//!    that has any is refused. Asked for, those are deleted that no other checkpoint beside it
//!    names; if the metadata of one of the others cannot be read, none is.
//! 4. The metadata goes first, so that what is left after a crash is no snapshot any more.
//!
//! The caller answers for no job using the snapshot: that cannot be seen from its files.

use std::{collections::BTreeSet, sync::Arc};

use hurtig_checkpoint::CheckpointMetadata;
use hurtig_types::StateScope;

use crate::{
    checkpoints::{CheckpointStorage, StoredCheckpoint},
    error::StorageError,
};

/// What a disposal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disposal {
    /// Files of state that were deleted, besides the metadata.
    pub deleted: Vec<Arc<str>>,
    /// Files that are named and were left: other checkpoints name them, or they lie elsewhere.
    pub kept: Vec<Arc<str>>,
}

/// The files of a snapshot by what may be done with them.
#[derive(Debug, Default)]
struct Ownership {
    own: BTreeSet<Arc<str>>,
    shared: BTreeSet<Arc<str>>,
    foreign: BTreeSet<Arc<str>>,
}

fn ownership(metadata: &CheckpointMetadata, directory: &str) -> Ownership {
    let inside = format!("{}/", directory.trim_end_matches('/'));
    let mut files = Ownership::default();
    for file in metadata.files() {
        let Some(url) = file.url() else { continue };
        let of = match file.scope {
            _ if url.starts_with(&*inside) => &mut files.own,
            StateScope::Shared { .. } => &mut files.shared,
            StateScope::Exclusive | StateScope::TaskOwned => &mut files.foreign,
        };
        of.insert(url.clone());
    }
    files
}

impl CheckpointStorage {
    /// Deletes a snapshot with all files that are its own. One that shares files with other
    /// checkpoints is refused, unless `with_shared`: then those go too that no other names.
    ///
    /// # Errors
    /// If there is no such snapshot, it shares files and that was not allowed, or the store fails.
    pub async fn dispose(
        &self,
        pointer: &str,
        with_shared: bool,
    ) -> Result<Disposal, StorageError> {
        let StoredCheckpoint { metadata, external_pointer } = self.load(pointer).await?;
        let Ownership { mut own, mut shared, foreign } = ownership(&metadata, &external_pointer);
        if !shared.is_empty() && !with_shared {
            let (url, files) = (external_pointer.to_string(), shared.len());
            return Err(StorageError::SharedFiles { url, files });
        }
        let mut kept = foreign;
        if !shared.is_empty() {
            let needed = self.named_by_others(&external_pointer).await?;
            let (of_others, unnamed) = shared
                .into_iter()
                .partition(|url| needed.as_ref().is_none_or(|needed| needed.contains(url)));
            shared = unnamed;
            kept.extend::<BTreeSet<Arc<str>>>(of_others);
            own.extend(shared);
        }
        let deleted: Vec<Arc<str>> = own.into_iter().collect();
        self.discard(&external_pointer, &deleted).await?;
        Ok(Disposal { deleted, kept: kept.into_iter().collect() })
    }

    /// The files that the other checkpoints in the same directory name; `None` if that cannot be
    /// known.
    async fn named_by_others(
        &self,
        directory: &str,
    ) -> Result<Option<BTreeSet<Arc<str>>>, StorageError> {
        let Some((parent, _)) = directory.rsplit_once('/') else { return Ok(None) };
        let mut named = BTreeSet::new();
        for other in self.snapshots_in(parent).await? {
            if other == directory {
                continue;
            }
            match self.load(&other).await {
                Ok(stored) => {
                    named.extend(stored.metadata.files().filter_map(|file| file.url().cloned()));
                }
                // One that came to nothing names nothing.
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::warn!(%other, %error, "a checkpoint cannot be read: shared files stay");
                    return Ok(None);
                }
            }
        }
        Ok(Some(named))
    }
}
