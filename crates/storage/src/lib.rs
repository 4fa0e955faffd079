//! Where checkpoints are kept: state files and metadata on any object store (local files, S3 and
//! what speaks its protocol), or in the JobManager's memory.
//!
//! - [`format`]: the bytes of a file, checksummed frame by frame; pure.
//! - [`metadata`]: the bytes of a metadata file; pure.
//! - [`layout`]: names of directories and files, as Flink's; pure.
//! - [`writer`], [`reader`]: state files, for tasks.
//! - [`local`]: second copies on the TaskExecutor's disk, for local recovery.
//! - [`checkpoints`]: metadata, recovery and deletion, for the JobMaster.
//! - [`dispose`], [`listing`]: snapshots that no job owns, for people and tools.
//!
//! Invariants: a metadata file is in place whole or not at all. A file that was torn, cut or
//! changed is never taken for intact: every byte is covered by a checksum, and every handle knows
//! length and checksum of what it names. Errors name the file.
//!
//! Deliberately absent: which checkpoint is kept or deleted (crate `checkpoint`), the contents of
//! state files, retries (the object store's own), secrets (options come from the configuration).

pub mod checkpoints;
pub mod dispose;
pub mod error;
pub mod format;
pub mod layout;
pub mod listing;
pub mod local;
pub mod metadata;
pub mod reader;
mod upload;
pub mod writer;

#[cfg(test)]
mod tests;

pub use checkpoints::{CheckpointStorage, StoredCheckpoint, Verification, files_of};
pub use dispose::Disposal;
pub use error::StorageError;
pub use format::{Compression, FormatError};
pub use hurtig_filesystem::{Stores, UrlError, location_url};
pub use local::{
    LocalCopy, LocalStateError, LocalStateOptions, LocalStateStores, Superfluous, TaskLocalState,
};
pub use writer::{StateTarget, StateWriter, StorageOptions};
