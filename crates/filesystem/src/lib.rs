//! File systems: the local disk and object stores (S3 and what speaks its protocol, Google Cloud
//! Storage, Azure Blob Storage, memory), behind URLs.
//!
//! - [`stores`]: from URLs to object stores.
//! - [`recoverable`]: files that are invisible while they are written, can be resumed after a
//!   failure at a length that a checkpoint knows, and become visible whole. The basis of
//!   exactly-once file sinks.
//! - [`local`]: such files on the local disk: hidden, truncated to resume, renamed to commit.
//! - [`object`]: such files on object stores: multipart uploads.
//!
//! This crate owns `object_store`; the others reach its API through [`object_store`].
//!
//! Deliberately absent: which files belong to which checkpoint, names of files (their users know
//! both), retries of requests (the object store's own), secrets (options come from the
//! configuration).

pub mod configuration;
pub mod error;
pub mod local;
pub mod object;
pub mod recoverable;
pub mod stores;

pub use configuration::{configure_process, store_options};
pub use error::{FileSystemError, UrlError};
pub use recoverable::{PartFile, PendingFile, RecoverableWriter, ResumableFile, Upload};
pub use stores::{Location, Stores, location_url, set_process_options};

pub use object_store;
