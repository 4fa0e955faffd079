//! The contract of backends: small records with conditional writes.
//!
//! Keys are paths of plain names: letters, digits, `-`, `_`, `.`, separated by `/`. A key is not
//! also the folder of another key.
//!
//! What every store promises:
//! - A read returns what the last successful write left: no stale reads, no torn ones.
//! - A conditional write takes effect at one moment, and only if its condition holds at that
//!   moment. [`RecordStoreError::Conflict`] means that it had no effect;
//!   [`RecordStoreError::Unavailable`] means that it may have had one, or may still have.
//! - Versions of one key do not repeat as long as its contents do not.
//!
//! Deliberately absent: transactions over several keys (object stores have none), conditional
//! deletion (nothing here needs it).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use hurtig_types::BoxError;
use tokio::sync::{oneshot, watch};

use crate::election::ContenderId;

pub mod directory;
pub mod memory;
pub mod object;
pub mod zookeeper;

/// Names one state of a record. Its text has meaning only for its store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordVersion(pub Arc<str>);

impl RecordVersion {
    /// A version from its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RecordVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedRecord {
    /// Its content.
    pub bytes: Bytes,
    /// Its version.
    pub version: RecordVersion,
}

/// On which condition a record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// There is none yet.
    Absent,
    /// It is still the one that was read.
    Unchanged(RecordVersion),
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RecordStoreError {
    /// The condition does not hold; nothing was written.
    #[error("record {key:?} is not as the write expects it")]
    Conflict {
        /// The record.
        key: String,
    },
    /// No answer, or one that tells nothing: a write may have happened. Trying again may help.
    #[error("no certain answer to {action} of record {key:?}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The record.
        key: String,
        /// Why.
        source: BoxError,
    },
    /// The store refuses, and will go on to.
    #[error("cannot {action} record {key:?}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The record.
        key: String,
        /// Why.
        source: BoxError,
    },
}

impl RecordStoreError {
    pub(crate) fn unavailable(
        action: &'static str,
        key: &str,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::Unavailable { action, key: key.to_owned(), source: source.into() }
    }

    pub(crate) fn refused(action: &'static str, key: &str, source: impl Into<BoxError>) -> Self {
        Self::Refused { action, key: key.to_owned(), source: source.into() }
    }

    pub(crate) fn conflict(key: &str) -> Self {
        Self::Conflict { key: key.to_owned() }
    }
}

/// Records with conditional writes. See the module documentation for what they promise.
#[async_trait]
pub trait RecordStore: Send + Sync + fmt::Debug {
    /// Reads a record; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError>;

    /// Writes a record if the condition holds, and returns its new version.
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError>;

    /// Deletes a record. One that is not there is fine.
    async fn delete(&self, key: &str) -> Result<(), RecordStoreError>;

    /// The keys beneath a folder, in order; none if there is no such folder.
    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError>;

    /// Returns once a record may be another than `seen`, at the latest some seconds after it has
    /// become so. May return without a change.
    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError>;
}

/// A backend of high availability: all that differs between ZooKeeper, object stores and others.
#[async_trait]
pub trait HighAvailabilityBackend: Send + Sync + fmt::Debug {
    /// Small records, which many processes read and write.
    fn records(&self) -> Arc<dyn RecordStore>;

    /// Bulky records that are written once: graphs and results.
    fn blobs(&self) -> Arc<dyn RecordStore>;

    /// Enters a line of contenders, if the backend can tell who may lead without leases. `None`
    /// means that contenders go by leases.
    fn latch(&self, scope_key: &str, contender: ContenderId) -> Option<Latch>;

    /// Ends sessions and tasks of the backend.
    async fn close(&self);
}

/// What a backend's line of contenders says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatchState {
    /// The contender is the first in line: it may take over.
    pub first: bool,
    /// The backend can be reached. While it cannot, `first` is as it was.
    pub connected: bool,
}

/// A place in a line of contenders; dropping it leaves the line.
#[derive(Debug)]
pub struct Latch {
    /// The state of the place.
    pub state: watch::Receiver<LatchState>,
    /// Whoever keeps the place waits for its other end.
    _place: oneshot::Sender<()>,
}

impl Latch {
    /// A place, and what ends when it is left.
    pub fn new(state: watch::Receiver<LatchState>) -> (Self, oneshot::Receiver<()>) {
        let (place, left) = oneshot::channel();
        (Self { state, _place: place }, left)
    }
}

/// Refuses keys that are no plain paths: they come from configuration and from names of jobs.
pub(crate) fn check_key(action: &'static str, key: &str) -> Result<(), RecordStoreError> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let name =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if key.len() <= 512 && key.split('/').all(name) {
        return Ok(());
    }
    Err(RecordStoreError::refused(action, key, "the key is not a path of plain names"))
}
