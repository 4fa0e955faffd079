//! Records as objects of an object store with conditional writes: S3 and what speaks its protocol
//! (`If-None-Match`, `If-Match`), Google Cloud Storage, Azure Blob Storage.
//!
//! The version of a record is the object's ETag (and version, where the store has one). ETags of
//! S3 are digests of the content, so a content must not come back: fenced records and leaders'
//! records carry counters that only grow.
//!
//! An answer of "precondition failed" to a request that the client had sent twice may hide that
//! the first was carried out; the decisions above find that out by reading again, since they are
//! idempotent.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use hurtig_filesystem::object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion, path::Path,
};

use super::{
    HighAvailabilityBackend, Latch, Precondition, RecordStore, RecordStoreError, RecordVersion,
    VersionedRecord, check_key,
};
use crate::election::ContenderId;

/// Records as objects beneath a path.
#[derive(Debug)]
pub struct ObjectRecordStore {
    store: Arc<dyn ObjectStore>,
    base: Path,
    poll: Duration,
}

/// The text of a version: ETag and version, with their lengths known from the first line.
fn to_version(e_tag: Option<String>, version: Option<String>) -> RecordVersion {
    let part =
        |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
    RecordVersion::new(format!("{}\n{}", part(e_tag), part(version)))
}

fn from_version(version: &RecordVersion) -> UpdateVersion {
    let (e_tag, version) = version.0.split_once('\n').unwrap_or((&version.0, "-"));
    let part = |text: &str| text.strip_prefix('+').map(str::to_owned);
    UpdateVersion { e_tag: part(e_tag), version: part(version) }
}

fn failure(action: &'static str, key: &str, error: Error) -> RecordStoreError {
    match error {
        Error::AlreadyExists { .. } | Error::Precondition { .. } => RecordStoreError::conflict(key),
        Error::NotImplemented { .. }
        | Error::NotSupported { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => RecordStoreError::refused(action, key, error),
        error => RecordStoreError::unavailable(action, key, error),
    }
}

impl ObjectRecordStore {
    /// Records beneath `base`; those who wait for changes look every `poll`.
    pub fn new(store: Arc<dyn ObjectStore>, base: Path, poll: Duration) -> Self {
        Self { store, base, poll }
    }

    fn path(&self, action: &'static str, key: &str) -> Result<Path, RecordStoreError> {
        check_key(action, key)?;
        Ok(Path::from_iter(self.base.parts().chain(Path::from(key).parts())))
    }
}

#[async_trait]
impl RecordStore for ObjectRecordStore {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        let path = self.path("read", key)?;
        let got = match self.store.get(&path).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure("read", key, error)),
        };
        let version = to_version(got.meta.e_tag.clone(), got.meta.version.clone());
        let bytes = got.bytes().await.map_err(|error| failure("read", key, error))?;
        Ok(Some(VersionedRecord { bytes, version }))
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        let path = self.path("write", key)?;
        let is_update = matches!(precondition, Precondition::Unchanged(_));
        let mode = match &precondition {
            Precondition::Absent => PutMode::Create,
            Precondition::Unchanged(version) => PutMode::Update(from_version(version)),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from(bytes), options).await {
            Ok(put) => Ok(to_version(put.e_tag, put.version)),
            // The object to be replaced is gone.
            Err(Error::NotFound { .. }) if is_update => Err(RecordStoreError::conflict(key)),
            Err(error) => Err(failure("write", key, error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        let path = self.path("delete", key)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure("delete", key, error)),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        let path = self.path("list", folder)?;
        let listed = self.store.list(Some(&path)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| failure("list", folder, error))?;
        let mut keys: Vec<String> = Vec::with_capacity(listed.len());
        for object in listed {
            let parts = object.location.prefix_match(&self.base);
            keys.extend(parts.map(|parts| {
                parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
            }));
        }
        keys.sort();
        Ok(keys)
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        let path = self.path("watch", key)?;
        loop {
            tokio::time::sleep(self.poll).await;
            let now = match self.store.head(&path).await {
                Ok(meta) => Some(to_version(meta.e_tag, meta.version)),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(failure("watch", key, error)),
            };
            if now.as_ref() != seen {
                return Ok(());
            }
        }
    }
}

/// High availability on an object store.
#[derive(Clone, Debug)]
pub struct ObjectStoreBackend {
    records: Arc<ObjectRecordStore>,
}

impl ObjectStoreBackend {
    /// A backend beneath `base`.
    pub fn new(store: Arc<dyn ObjectStore>, base: Path, poll: Duration) -> Self {
        Self { records: Arc::new(ObjectRecordStore::new(store, base, poll)) }
    }
}

#[async_trait]
impl HighAvailabilityBackend for ObjectStoreBackend {
    fn records(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn blobs(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn latch(&self, _: &str, _: ContenderId) -> Option<Latch> {
        None
    }

    async fn close(&self) {}
}
