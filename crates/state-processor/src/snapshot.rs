//! A snapshot that was opened: metadata that is sound, and the way to its files.

use std::sync::Arc;

use hurtig_checkpoint::{CheckpointMetadata, OperatorState, assign::check::check_metadata};
use hurtig_storage::{
    CheckpointStorage, Disposal, StorageError, StorageOptions, Stores, location_url,
};
use hurtig_types::{JobId, OperatorId};

use crate::error::StateProcessorError;

/// A checkpoint or savepoint.
#[derive(Clone, Debug)]
pub struct OpenSnapshot {
    /// The content of its metadata, with absolute URLs.
    pub metadata: Arc<CheckpointMetadata>,
    /// Its directory.
    pub pointer: Arc<str>,
    /// Where its files are.
    pub stores: Arc<Stores>,
}

/// The storage of whatever job: what is read here is named by whole URLs.
fn storage(stores: &Arc<Stores>) -> CheckpointStorage {
    CheckpointStorage::new(stores.clone(), StorageOptions::default(), JobId(0))
}

/// Deletes a savepoint, or a checkpoint that outlived its job, with all files that are its own; see
/// [`hurtig_storage::dispose`].
///
/// # Errors
/// If it is none, shares files that are not to be deleted, or the store fails.
pub async fn dispose(
    path: &str,
    stores: &Arc<Stores>,
    with_shared: bool,
) -> Result<Disposal, StateProcessorError> {
    Ok(storage(stores).dispose(&location_url(path)?, with_shared).await?)
}

/// The snapshots at or below a directory: opened, or why they cannot be.
///
/// # Errors
/// If the directory cannot be listed.
pub async fn list_snapshots(
    path: &str,
    stores: &Arc<Stores>,
) -> Result<Vec<(String, Result<OpenSnapshot, StateProcessorError>)>, StateProcessorError> {
    let found = storage(stores).find_snapshots(&location_url(path)?).await?;
    let mut opened = Vec::with_capacity(found.len());
    for pointer in found {
        let snapshot = OpenSnapshot::open(&pointer, stores).await;
        opened.push((pointer, snapshot));
    }
    Ok(opened)
}

impl OpenSnapshot {
    /// Opens a snapshot: the URL or path of its directory or its metadata file.
    ///
    /// # Errors
    /// If there is none, or its metadata is damaged or contradicts itself.
    pub async fn open(path: &str, stores: &Arc<Stores>) -> Result<Self, StateProcessorError> {
        let stored = storage(stores).load(&location_url(path)?).await?;
        check_metadata(&stored.metadata).map_err(|source| StateProcessorError::Unsound {
            pointer: stored.external_pointer.to_string(),
            source: Box::new(source),
        })?;
        let (metadata, pointer) = (stored.metadata, stored.external_pointer);
        Ok(Self { metadata, pointer, stores: stores.clone() })
    }

    /// Checks every byte of one file.
    pub(crate) async fn read(
        &self,
        file: &hurtig_types::StateFile,
    ) -> Result<Vec<u8>, StorageError> {
        hurtig_storage::reader::read_all(&self.stores, file).await
    }

    /// The operator with that uid, or that id in hexadecimal digits.
    ///
    /// # Errors
    /// If there is none; the error names those that are there.
    pub fn operator(&self, uid: &str) -> Result<(OperatorId, &OperatorState), StateProcessorError> {
        let operators = || self.metadata.operators.iter();
        let by_uid = operators().find(|(_, state)| state.uid.as_deref() == Some(uid));
        let found = by_uid.or_else(|| operators().find(|(id, _)| id.to_string() == uid));
        found.map(|(id, state)| (*id, state)).ok_or_else(|| {
            let known = operators().map(|(id, state)| match &state.uid {
                Some(uid) => format!("{uid:?}"),
                None => format!("{:?} ({id})", state.name),
            });
            StateProcessorError::UnknownOperator {
                pointer: self.pointer.to_string(),
                wanted: uid.to_owned(),
                known: known.collect(),
            }
        })
    }
}
