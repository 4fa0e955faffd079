//! State files, as tasks write them.
//!
//! Content that stays below the threshold is kept in the handle, as small files are costly
//! everywhere. Beyond it, the file is uploaded in parts while it is being written; a few
//! parts are in memory besides the one that fills. A file appears whole, when
//! it is finished, or not at all; a writer that is dropped leaves nothing (but parts that the
//! store's own rules clean up, if the upload was not aborted).
//!
//! A file may have a local [copy](StateWriter::with_copy), which gets the same bytes.
//!
//! With the JobManager's memory as storage, all content is kept in handles, up to a limit.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use hurtig_filesystem::{Stores, object_store};
use hurtig_types::{CheckpointId, JobId, StateFile, StateLocation, StateScope};

use crate::{
    error::StorageError,
    format::{Compression, FileEncoder, FileKind},
    layout,
    local::{CopyUpload, LocalCopy},
    upload::FileUpload,
};

/// Bytes of one part of an upload; stores want at least 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// The same where files are local: no call goes far, so that memory counts more.
const LOCAL_PART_BYTES: usize = 1024 * 1024;
/// Room for what is encoded beyond the end of a part.
const BEYOND_PART_BYTES: usize = 320 * 1024;
/// Files that [`write_all`] writes at once.
const FILES_IN_FLIGHT: usize = 8;

/// How state is stored; the names are Flink's under `execution.checkpointing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Directory of all jobs' checkpoints, as a URL; `None`: the JobManager's memory.
    pub directory: Option<String>,
    /// Content below this many bytes is kept in the handle (`data-inline-threshold`).
    pub inline_threshold_bytes: usize,
    /// Most bytes of one piece of state in the JobManager's memory.
    pub max_memory_state_bytes: usize,
    /// Compression.
    pub compression: Compression,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            directory: None,
            inline_threshold_bytes: 20 * 1024,
            max_memory_state_bytes: 5 * 1024 * 1024,
            compression: Compression::default(),
        }
    }
}

/// What a state file belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateTarget {
    /// To one checkpoint.
    Exclusive(CheckpointId),
    /// To a savepoint in that directory.
    Savepoint(Arc<str>),
    /// To several checkpoints, this one first.
    Shared(CheckpointId),
    /// To the task.
    TaskOwned,
}

impl StateTarget {
    fn scope(&self) -> StateScope {
        match self {
            Self::Exclusive(_) | Self::Savepoint(_) => StateScope::Exclusive,
            Self::Shared(created_by) => StateScope::Shared { created_by: *created_by },
            Self::TaskOwned => StateScope::TaskOwned,
        }
    }

    fn directory(&self, base: &str, job: JobId) -> String {
        match self {
            Self::Exclusive(id) => layout::checkpoint_directory(base, job, *id),
            Self::Savepoint(directory) => directory.trim_end_matches('/').to_owned(),
            Self::Shared(_) => layout::shared_directory(base, job),
            Self::TaskOwned => layout::task_owned_directory(base, job),
        }
    }
}

/// Writes one state file.
pub struct StateWriter {
    name: String,
    url: Option<String>,
    scope: StateScope,
    file: Option<FileUpload>,
    copy: Option<CopyUpload>,
    /// Content goes to the handle while it is shorter than this.
    inline_below_bytes: usize,
    /// Longer content is refused.
    limit_bytes: usize,
    plain: Vec<u8>,
    encoder: Option<FileEncoder>,
    compression: Compression,
    part_bytes: usize,
    encoded: Vec<u8>,
}

impl StateWriter {
    /// Begins a file. `name` must be unique within the target's directory, also among attempts that
    /// came to nothing.
    pub fn new(
        stores: &Stores,
        options: &StorageOptions,
        job: JobId,
        target: &StateTarget,
        name: &str,
    ) -> Result<Self, StorageError> {
        let directory = match (target, &options.directory) {
            (StateTarget::Savepoint(_), base) => {
                Some(target.directory(base.as_deref().unwrap_or_default(), job))
            }
            (_, Some(base)) => Some(target.directory(base, job)),
            (_, None) => None,
        };
        let url = directory.map(|directory| format!("{directory}/{name}"));
        let location = url.as_deref().map(|url| stores.locate(url)).transpose()?;
        let in_memory = location.is_none();
        let is_local = location.as_ref().is_some_and(|location| location.local.is_some());
        let file = location.map(|location| FileUpload::new(location.store, location.path));
        // A shared file is named again by later checkpoints; in a handle it would be copied.
        let may_be_inline = in_memory || target.scope() == StateScope::Exclusive;
        let inline_below_bytes = match (in_memory, may_be_inline) {
            (true, _) => usize::MAX,
            (false, true) => options.inline_threshold_bytes,
            (false, false) => 0,
        };
        Ok(Self {
            name: name.to_owned(),
            url,
            scope: target.scope(),
            file,
            copy: None,
            inline_below_bytes,
            limit_bytes: if in_memory { options.max_memory_state_bytes } else { usize::MAX },
            plain: Vec::new(),
            encoder: None,
            compression: options.compression,
            part_bytes: if is_local { LOCAL_PART_BYTES } else { PART_BYTES },
            encoded: Vec::new(),
        })
    }

    /// The same bytes go to a local copy too, if they leave the handle. What becomes of the copy
    /// has no say in what becomes of the file.
    #[must_use]
    pub fn with_copy(mut self, copy: Option<LocalCopy>) -> Self {
        self.copy = copy.map(LocalCopy::begin);
        self
    }

    /// Bytes of content so far; the next byte has this offset.
    pub fn length(&self) -> u64 {
        self.encoder.as_ref().map_or(self.plain.len() as u64, FileEncoder::length)
    }

    /// Adds content.
    pub async fn write(&mut self, content: &[u8]) -> Result<(), StorageError> {
        if self.encoder.is_none() {
            if self.plain.len() + content.len() > self.limit_bytes {
                let (name, limit) = (self.name.clone(), self.limit_bytes);
                return Err(StorageError::TooLarge { name, limit });
            }
            if self.plain.len() + content.len() < self.inline_below_bytes {
                self.plain.extend_from_slice(content);
                return Ok(());
            }
            self.leave_handle();
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.write(content, &mut self.encoded);
        }
        while self.encoded.len() >= self.part_bytes {
            let mut rest = Vec::with_capacity(self.part_bytes + BEYOND_PART_BYTES);
            rest.extend_from_slice(&self.encoded[self.part_bytes..]);
            let mut part = std::mem::replace(&mut self.encoded, rest);
            part.truncate(self.part_bytes);
            self.upload_part(part).await?;
        }
        Ok(())
    }

    fn leave_handle(&mut self) {
        let mut encoder = FileEncoder::new(FileKind::State, self.compression, &mut self.encoded);
        encoder.write(&std::mem::take(&mut self.plain), &mut self.encoded);
        self.encoder = Some(encoder);
    }

    fn error(&self, source: object_store::Error) -> StorageError {
        let url = self.url.clone().unwrap_or_else(|| self.name.clone());
        StorageError::Store { action: "write", url, source }
    }

    async fn upload_part(&mut self, part: Vec<u8>) -> Result<(), StorageError> {
        let part = Bytes::from(part);
        if let Some(file) = &mut self.file {
            let sent = file.part(part.clone()).await;
            sent.map_err(|source| self.error(source))?;
        }
        if let Some(copy) = self.copy.take() {
            self.copy = copy.part(part).await;
        }
        Ok(())
    }

    /// Ends the file and names it.
    pub async fn finish(mut self) -> Result<StateFile, StorageError> {
        let Some(encoder) = self.encoder.take() else {
            let inline = self.file.is_none() || self.plain.len() < self.inline_below_bytes;
            if inline {
                return Ok(StateFile {
                    scope: StateScope::Exclusive,
                    ..StateFile::inline(&self.plain)
                });
            }
            self.leave_handle();
            return Box::pin(self.finish()).await;
        };
        let summary = encoder.finish(&mut self.encoded);
        let last = Bytes::from(std::mem::take(&mut self.encoded));
        if let Some(file) = &mut self.file {
            let finished = file.finish(last.clone()).await;
            finished.map_err(|source| self.error(source))?;
        }
        let url: Arc<str> = self.url.clone().unwrap_or_default().into();
        if let Some(copy) = self.copy.take() {
            copy.finish(last, &url).await;
        }
        let (length, checksum) = (summary.length, summary.checksum);
        Ok(StateFile {
            location: StateLocation::Absolute(url),
            scope: self.scope,
            length,
            checksum,
        })
    }

    /// Gives the file up, and what was uploaded of it.
    pub async fn abort(mut self) -> Result<(), StorageError> {
        if let Some(copy) = self.copy.take() {
            copy.abort().await;
        }
        if let Some(file) = &mut self.file {
            let aborted = file.abort().await;
            aborted.map_err(|source| self.error(source))?;
        }
        Ok(())
    }
}

/// Writes whole files, several at once; the handles stand in the order of the files.
pub async fn write_all(
    stores: &Stores,
    options: &StorageOptions,
    job: JobId,
    files: Vec<(StateTarget, String, Bytes)>,
) -> Result<Vec<StateFile>, StorageError> {
    let writes = files.into_iter().map(async |(target, name, content)| {
        let mut writer = StateWriter::new(stores, options, job, &target, &name)?;
        writer.write(&content).await?;
        writer.finish().await
    });
    let mut writes = futures::stream::iter(writes).buffered(FILES_IN_FLIGHT);
    let mut handles = Vec::new();
    while let Some(handle) = writes.next().await {
        handles.push(handle?);
    }
    Ok(handles)
}
