//! Blobs: files named by the hash of their content.
//!
//! The [`BlobStore`] of the JobManager takes uploads and keeps what jobs refer to. A [`BlobCache`]
//! on each TaskManager fetches what its hosts need, checks it, and keeps what was used last. With
//! high availability the [`BlobArchive`] has what jobs refer to for the next JobManager.
//!
//! Invariants: a file with a blob's name in a directory of this crate has the content that the name
//! says, whole, since it was hashed before it was given the name; a blob that a job refers to is
//! not deleted.

mod archive;
mod cache;
mod file;
mod store;

pub use archive::BlobArchive;
pub use cache::{BlobCache, BlobCacheOptions, CachedBlob};
pub use store::{BlobStore, BlobStoreOptions};
