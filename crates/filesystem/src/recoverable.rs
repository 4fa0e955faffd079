//! Files that survive failures at a known length and become visible whole.
//!
//! # Life of a file
//!
//! 1. [`RecoverableWriter::create`]: the file has a name while it is written, and a target, where
//!    it is to appear. Nobody sees it there.
//! 2. [`PartFile::write`] takes bytes, best many at a time. An object store gets them when they are
//!    enough for a part.
//! 3. At a checkpoint: [`PartFile::flush`], then, once [`PartFile::is_flushed`],
//!    [`PartFile::persist`] gives a [`ResumableFile`], from which the file can be resumed at
//!    exactly this length, whatever is written later.
//! 4. [`PartFile::close`] begins to write the rest; once flushed, [`PartFile::finish`] gives a
//!    [`PendingFile`].
//! 5. [`RecoverableWriter::commit`] makes a pending file visible. Doing it again changes nothing.
//! 6. What was neither resumed nor committed is left over: [`RecoverableWriter::in_progress`] lists
//!    it by name, [`RecoverableWriter::discard`] removes it.
//!
//! Files are kept under their names in the directory `.inprogress` of the base, as `.NAME.inprogress`
//! (the bytes themselves on a local disk, a note of the upload on an object store), so leftovers
//! are found without a look at what is committed.
//!
//! Memory is bounded by the caller: [`PartFile::buffered_bytes`] says what a file holds, and while
//! [`RecoverableWriter::is_available`] is false too much is on its way to the store.

use std::sync::Arc;

use futures::future::BoxFuture;
use hurtig_env::{Runtimes, Signal};
use serde::{Deserialize, Serialize};

use crate::{
    error::FileSystemError, local::LocalRecoverableWriter, object::ObjectRecoverableWriter,
    stores::Stores,
};

/// Directory of what is not visible yet.
pub const IN_PROGRESS_DIRECTORY: &str = ".inprogress";

/// The parts of a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The store's name of the upload.
    pub id: String,
    /// The store's names of its parts, in order.
    pub parts: Vec<String>,
}

/// A file that is complete and waits to be made visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFile {
    /// The directory below which it is, as it was opened.
    pub base: String,
    /// Its name while it is not visible.
    pub name: String,
    /// Where it is to appear, relative to the base.
    pub target: String,
    /// Its length in bytes.
    pub length: u64,
    /// On an object store: the upload.
    pub upload: Option<Upload>,
}

/// A file as it can be resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumableFile {
    /// The directory below which it is, as it was opened.
    pub base: String,
    /// Its name while it is not visible.
    pub name: String,
    /// Where it is to appear, relative to the base.
    pub target: String,
    /// Its length in bytes, with the tail.
    pub length: u64,
    /// On an object store: the upload, if it has begun.
    pub upload: Option<Upload>,
    /// On an object store: the bytes behind the last part. Stores refuse small parts, so a
    /// checkpoint keeps them.
    pub tail: Vec<u8>,
}

/// One file that is being written.
pub trait PartFile: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileSystemError>;
    /// Bytes so far.
    fn length(&self) -> u64;
    /// Bytes that it holds in memory, without those on their way to the store.
    fn buffered_bytes(&self) -> usize;
    /// Makes sure that nothing of the file is in memory only, so far as that depends on it, or
    /// begins to.
    fn flush(&mut self) -> Result<(), FileSystemError>;
    /// True once what [`PartFile::flush`] or [`PartFile::close`] began has ended, well or not.
    fn is_flushed(&self) -> bool;
    /// The file as it was when it was flushed; nothing may have been appended since.
    fn persist(&mut self) -> Result<ResumableFile, FileSystemError>;
    /// No more bytes: writes the rest, or begins to.
    fn close(&mut self) -> Result<(), FileSystemError>;
    /// The closed file, once it is flushed.
    fn finish(self: Box<Self>) -> Result<PendingFile, FileSystemError>;
    /// Removes it, as far as possible.
    fn discard(self: Box<Self>);
}

/// Writes files below one base directory. See the module documentation.
pub trait RecoverableWriter: Send + Sync {
    /// Begins a file. `name` must be unique; one that is left over of that name is replaced.
    /// `target` is relative to the base.
    fn create(&self, name: &str, target: &str) -> Result<Box<dyn PartFile>, FileSystemError>;
    /// Goes on with a file, behind the bytes that it had then.
    fn resume(&self, file: ResumableFile) -> Result<Box<dyn PartFile>, FileSystemError>;
    /// Makes a file visible; one that is already is left alone.
    fn commit(&self, file: PendingFile) -> BoxFuture<'static, Result<(), FileSystemError>>;
    /// Names of files that are not visible yet and begin with `prefix`.
    fn in_progress(&self, prefix: &str)
    -> BoxFuture<'static, Result<Vec<String>, FileSystemError>>;
    /// Removes a file that is not visible; one that is gone is no error.
    fn discard(&self, name: &str) -> BoxFuture<'static, Result<(), FileSystemError>>;
    /// Removes visible files whose path relative to the base `is_obsolete`, by the last segment.
    fn remove_committed(
        &self,
        is_obsolete: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> BoxFuture<'static, Result<(), FileSystemError>>;
    /// False while so much is on its way to the store that nothing should be added.
    fn is_available(&self) -> bool {
        true
    }
    /// Removes what is of no more use, when the last file is written.
    fn close(&self) {}
}

/// What a writer that works in the background needs.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Executors.
    pub runtimes: Runtimes,
    /// Posted when something has ended.
    pub signal: Signal,
}

/// Opens a base directory: a path of the local disk, or a URL.
pub fn open(
    stores: &Stores,
    base: &str,
    surroundings: Surroundings,
) -> Result<Arc<dyn RecoverableWriter>, FileSystemError> {
    if !base.contains("://") {
        return Ok(Arc::new(LocalRecoverableWriter::new(base, base.into())));
    }
    let location = stores.locate(base)?;
    if let Some(directory) = location.local {
        return Ok(Arc::new(LocalRecoverableWriter::new(base, directory)));
    }
    let url = base.to_owned();
    let multipart = location.multipart.ok_or(FileSystemError::NoMultipart { url })?;
    let (store, path) = (location.store, location.path);
    Ok(Arc::new(ObjectRecoverableWriter::new(base, store, multipart, path, surroundings)))
}

/// The file name of a file that is not visible.
pub(crate) fn hidden(name: &str) -> String {
    format!(".{name}.inprogress")
}

/// The inverse of [`hidden`].
pub(crate) fn unhidden(file_name: &str) -> Option<&str> {
    file_name.strip_prefix('.')?.strip_suffix(".inprogress")
}
