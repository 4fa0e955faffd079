//! Recoverable files on object stores: multipart uploads.
//!
//! 1. A file begins as bytes in memory. The first full part begins an upload; a note with the
//!    upload's id is put into the `.inprogress` directory, since stores do not let everybody list
//!    uploads. (A process that dies between the two leaves an upload that only a rule of the bucket
//!    cleans up.)
//! 2. Parts have equal sizes, as some stores want, and are uploaded in order, in the background.
//! 3. To persist a file is to wait for its parts; what is less than a part is the tail, which goes
//!    into the checkpoint. A resumed file goes on behind the parts of the checkpoint; later ones of
//!    the attempt that failed are replaced, or not named when the upload is completed.
//!    (An attempt that is cut off, but still alive, could replace a part of the next one. Completing
//!    the upload then fails: stores compare what a part was when it was named.)
//! 4. To close it is to upload the tail as the last part.
//! 5. To commit it is to complete the upload. If that fails, and the object is there with the right
//!    length, it has been completed before.
//! 6. What is left over is found by its note, and the upload is aborted.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use hurtig_env::Background;
use hurtig_types::codec;
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload,
    multipart::{MultipartStore, PartId},
    path::Path,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use crate::{
    error::FileSystemError,
    recoverable::{
        IN_PROGRESS_DIRECTORY, PartFile, PendingFile, RecoverableWriter, ResumableFile,
        Surroundings, Upload, hidden, unhidden,
    },
};

/// Bytes of one part. Stores want at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts of all files of one writer that are on their way, before it takes no more.
const PARTS_IN_FLIGHT: usize = 4;

/// Writes objects below a path of an object store.
#[derive(Clone)]
pub struct ObjectRecoverableWriter(Arc<Shared>);

struct Shared {
    base: String,
    store: Arc<dyn ObjectStore>,
    multipart: Arc<dyn MultipartStore>,
    root: Path,
    surroundings: Surroundings,
    part_bytes: usize,
    /// Bytes on their way to the store.
    in_flight: AtomicUsize,
}

/// What is noted of an upload.
#[derive(Serialize, Deserialize)]
struct Note {
    target: String,
    upload: String,
}

impl ObjectRecoverableWriter {
    /// Writes below `root`, which `base` names in what it returns.
    pub fn new(
        base: &str,
        store: Arc<dyn ObjectStore>,
        multipart: Arc<dyn MultipartStore>,
        root: Path,
        surroundings: Surroundings,
    ) -> Self {
        let base = base.to_owned();
        let (part_bytes, in_flight) = (PART_BYTES, AtomicUsize::new(0));
        Self(Arc::new(Shared { base, store, multipart, root, surroundings, part_bytes, in_flight }))
    }

    /// With parts of that many bytes: for stores that want other sizes. To be called before
    /// anything is written.
    #[must_use]
    pub fn with_part_bytes(self, part_bytes: usize) -> Self {
        let Shared { base, store, multipart, root, surroundings, .. } = &*self.0;
        Self(Arc::new(Shared {
            base: base.clone(),
            store: store.clone(),
            multipart: multipart.clone(),
            root: root.clone(),
            surroundings: surroundings.clone(),
            part_bytes: part_bytes.max(1),
            in_flight: AtomicUsize::new(0),
        }))
    }

    fn file(&self, name: String, target: String) -> ObjectFile {
        ObjectFile {
            shared: self.0.clone(),
            name,
            target,
            buffer: Vec::new(),
            sent: 0,
            known: None,
            uploader: None,
            failure: Arc::default(),
            marked: None,
        }
    }
}

impl Shared {
    fn target(&self, target: &str) -> Result<Path, FileSystemError> {
        let path = format!("{}/{target}", self.root);
        let parsed = Path::parse(path.trim_start_matches('/'));
        let action = format!("name {target}");
        parsed.map_err(|error| FileSystemError::store(action, &self.base)(error.into()))
    }

    fn note(&self, name: &str) -> Path {
        self.root.clone().join(IN_PROGRESS_DIRECTORY).join(hidden(name))
    }

    /// Uploads one part, and begins the upload if it is the first.
    async fn put_part(
        &self,
        name: &str,
        target: &str,
        upload: &mut Option<Upload>,
        bytes: Vec<u8>,
    ) -> Result<(), FileSystemError> {
        let path = self.target(target)?;
        let begun = match upload {
            Some(upload) => upload,
            none => {
                let id = self.multipart.create_multipart(&path).await;
                let id =
                    id.map_err(FileSystemError::store("begin the upload of", path.as_ref()))?;
                let note = Note { target: target.to_owned(), upload: id.clone() };
                let begun = none.insert(Upload { id, parts: Vec::new() });
                let note_path = self.note(name);
                // Two strings always have an encoding.
                let note = codec::encode(&note).unwrap_or_default();
                let put = self.store.put(&note_path, note.into()).await;
                put.map_err(FileSystemError::store("write", note_path.as_ref()))?;
                begun
            }
        };
        let index = begun.parts.len();
        let put = self.multipart.put_part(&path, &begun.id, index, PutPayload::from(bytes)).await;
        let action = format!("upload part {} of", index + 1);
        let part = put.map_err(FileSystemError::store(action, path.as_ref()))?;
        begun.parts.push(part.content_id);
        Ok(())
    }

    async fn commit(&self, file: PendingFile) -> Result<(), FileSystemError> {
        let path = self.target(&file.target)?;
        let lost = || FileSystemError::Lost {
            in_progress: format!("the upload {}", file.name),
            target: path.to_string(),
            length: file.length,
        };
        let Upload { id, parts } = file.upload.clone().ok_or_else(lost)?;
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        if let Err(refused) = self.multipart.complete_multipart(&path, &id, parts).await {
            // It may have been completed before: then the object is there.
            match self.store.head(&path).await {
                Ok(found) if found.size == file.length => {}
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                    return Err(match refused {
                        object_store::Error::NotFound { .. } => lost(),
                        refused => FileSystemError::store("commit", path.as_ref())(refused),
                    });
                }
                Err(error) => return Err(FileSystemError::store("look for", path.as_ref())(error)),
            }
        }
        self.remove_note(&file.name).await
    }

    async fn remove_note(&self, name: &str) -> Result<(), FileSystemError> {
        let note = self.note(name);
        match self.store.delete(&note).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(FileSystemError::store("remove", note.as_ref())(error)),
        }
    }

    async fn abort(&self, name: &str, target: &str, upload: &str) -> Result<(), FileSystemError> {
        let path = self.target(target)?;
        match self.multipart.abort_multipart(&path, &upload.to_owned()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            // Stores differ in what they say of an upload that has been completed.
            Err(error) => {
                if self.store.head(&path).await.is_err() {
                    return Err(FileSystemError::store("abort the upload of", path.as_ref())(
                        error,
                    ));
                }
            }
        }
        self.remove_note(name).await
    }

    async fn discard(&self, name: &str) -> Result<(), FileSystemError> {
        let path = self.note(name);
        let read = match self.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => Err(error),
            Ok(found) => found.bytes().await,
        };
        let bytes = read.map_err(FileSystemError::store("read", path.as_ref()))?;
        match codec::decode::<Note>(&bytes) {
            Ok(note) => self.abort(name, &note.target, &note.upload).await,
            // Not ours, whatever its name.
            Err(_) => Ok(()),
        }
    }

    async fn in_progress(&self, prefix: &str) -> Result<Vec<String>, FileSystemError> {
        let directory = self.root.clone().join(IN_PROGRESS_DIRECTORY);
        let list = self.store.list(Some(&directory)).try_collect::<Vec<_>>().await;
        let list = list.map_err(FileSystemError::store("list", directory.as_ref()))?;
        let names = list.iter().filter_map(|object| unhidden(object.location.filename()?));
        let mut names: Vec<_> =
            names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn remove_committed(
        &self,
        is_obsolete: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> Result<(), FileSystemError> {
        let list = self.store.list(Some(&self.root)).try_collect::<Vec<_>>().await;
        let list = list.map_err(FileSystemError::store("list", self.root.as_ref()))?;
        for path in list.into_iter().map(|object| object.location) {
            let Some(mut below) = path.prefix_match(&self.root) else { continue };
            let is_hidden = below.any(|segment| segment.as_ref().starts_with('.'));
            if is_hidden || !path.filename().is_some_and(|name| is_obsolete(name)) {
                continue;
            }
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(FileSystemError::store("remove", path.as_ref())(error)),
            }
        }
        Ok(())
    }
}

impl RecoverableWriter for ObjectRecoverableWriter {
    fn create(&self, name: &str, target: &str) -> Result<Box<dyn PartFile>, FileSystemError> {
        self.0.target(target)?;
        Ok(Box::new(self.file(name.to_owned(), target.to_owned())))
    }

    fn resume(&self, file: ResumableFile) -> Result<Box<dyn PartFile>, FileSystemError> {
        let ResumableFile { name, target, length, upload, tail, .. } = file;
        self.0.target(&target)?;
        let mut resumed = self.file(name, target);
        resumed.sent = length.saturating_sub(tail.len() as u64);
        (resumed.known, resumed.buffer) = (upload, tail);
        Ok(Box::new(resumed))
    }

    fn commit(&self, file: PendingFile) -> BoxFuture<'static, Result<(), FileSystemError>> {
        let shared = self.0.clone();
        async move { shared.commit(file).await }.boxed()
    }

    fn in_progress(
        &self,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<String>, FileSystemError>> {
        let (shared, prefix) = (self.0.clone(), prefix.to_owned());
        async move { shared.in_progress(&prefix).await }.boxed()
    }

    fn discard(&self, name: &str) -> BoxFuture<'static, Result<(), FileSystemError>> {
        let (shared, name) = (self.0.clone(), name.to_owned());
        async move { shared.discard(&name).await }.boxed()
    }

    fn remove_committed(
        &self,
        is_obsolete: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> BoxFuture<'static, Result<(), FileSystemError>> {
        let shared = self.0.clone();
        async move { shared.remove_committed(is_obsolete).await }.boxed()
    }

    fn is_available(&self) -> bool {
        self.0.in_flight.load(SeqCst) < PARTS_IN_FLIGHT * self.0.part_bytes
    }
}

type Marked = Result<Option<Upload>, FileSystemError>;
type Failure = Arc<Mutex<Option<FileSystemError>>>;

/// What the uploader of a file is told. The queue holds no more bytes than are counted in flight.
enum Command {
    Part(Vec<u8>),
    /// Tell when everything before this is uploaded.
    Mark(oneshot::Sender<Marked>),
    /// The file is not wanted.
    Discard,
}

async fn run_uploader(
    shared: Arc<Shared>,
    (name, target): (String, String),
    mut upload: Option<Upload>,
    failure: Failure,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut failed = false;
    while let Some(command) = commands.recv().await {
        match command {
            Command::Part(bytes) => {
                let length = bytes.len();
                if !failed
                    && let Err(error) = shared.put_part(&name, &target, &mut upload, bytes).await
                {
                    failed = true;
                    *failure.lock() = Some(error);
                }
                shared.in_flight.fetch_sub(length, SeqCst);
                shared.surroundings.signal.post();
            }
            Command::Mark(reply) => {
                let marked =
                    if failed { Err(cause(&failure, &target)) } else { Ok(upload.clone()) };
                // A file that was dropped asks no more.
                let _ = reply.send(marked);
            }
            Command::Discard => {
                if let Some(upload) = upload
                    && let Err(error) = shared.abort(&name, &target, &upload.id).await
                {
                    tracing::warn!(error = %error, "an upload that nobody needs is left");
                }
                return;
            }
        }
    }
}

/// Why an upload has failed: told once, from then on it is just interrupted.
fn cause(failure: &Failure, target: &str) -> FileSystemError {
    let told = failure.lock().take();
    told.unwrap_or_else(|| FileSystemError::Interrupted { path: target.to_owned() })
}

/// The task that uploads parts. It ends with the file: parts of an attempt that has failed must
/// not take the place of those of the next.
struct Uploader {
    commands: mpsc::UnboundedSender<Command>,
    task: AbortHandle,
    outlives_file: bool,
}

impl Drop for Uploader {
    fn drop(&mut self) {
        if !self.outlives_file {
            self.task.abort();
        }
    }
}

struct ObjectFile {
    shared: Arc<Shared>,
    name: String,
    target: String,
    buffer: Vec<u8>,
    /// Bytes in parts.
    sent: u64,
    /// The upload when it was last looked at.
    known: Option<Upload>,
    uploader: Option<Uploader>,
    failure: Failure,
    marked: Option<Background<Marked>>,
}

impl ObjectFile {
    fn interrupted(&self) -> FileSystemError {
        FileSystemError::Interrupted { path: self.target.clone() }
    }

    fn commands(&mut self) -> &mpsc::UnboundedSender<Command> {
        let uploader = self.uploader.get_or_insert_with(|| {
            let (sender, commands) = mpsc::unbounded_channel();
            let names = (self.name.clone(), self.target.clone());
            let (shared, failure) = (self.shared.clone(), self.failure.clone());
            let run = run_uploader(shared, names, self.known.clone(), failure, commands);
            let task = self.shared.surroundings.runtimes.control.spawn(run).abort_handle();
            Uploader { commands: sender, task, outlives_file: false }
        });
        &uploader.commands
    }

    fn send(&mut self, part: Vec<u8>) -> Result<(), FileSystemError> {
        let length = part.len();
        self.shared.in_flight.fetch_add(length, SeqCst);
        self.sent += length as u64;
        let sent = self.commands().send(Command::Part(part));
        sent.map_err(|_| self.interrupted())
    }

    fn mark(&mut self) -> Result<(), FileSystemError> {
        let Some(uploader) = &self.uploader else { return Ok(()) };
        let (reply, marked) = oneshot::channel();
        uploader.commands.send(Command::Mark(reply)).map_err(|_| self.interrupted())?;
        let target = self.target.clone();
        let Surroundings { runtimes, signal } = &self.shared.surroundings;
        self.marked = Some(Background::spawn(&runtimes.control, signal, async move {
            let marked = marked.await;
            marked.unwrap_or(Err(FileSystemError::Interrupted { path: target }))
        }));
        Ok(())
    }

    /// Sends full parts.
    fn drain(&mut self) -> Result<(), FileSystemError> {
        if let Some(failure) = self.failure.lock().take() {
            return Err(failure);
        }
        while self.buffer.len() >= self.shared.part_bytes {
            let rest = self.buffer.split_off(self.shared.part_bytes);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.send(part)?;
        }
        Ok(())
    }

    /// Takes what the last mark has told.
    fn settle(&mut self) -> Result<(), FileSystemError> {
        if let Some(mut marked) = self.marked.take() {
            let told = marked.take().unwrap_or_else(|| Err(self.interrupted()));
            self.known = told?;
        }
        Ok(())
    }
}

impl PartFile for ObjectFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileSystemError> {
        self.buffer.extend_from_slice(bytes);
        self.drain()
    }

    fn length(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn flush(&mut self) -> Result<(), FileSystemError> {
        self.drain()?;
        self.mark()
    }

    fn is_flushed(&self) -> bool {
        self.marked.as_ref().is_none_or(Background::is_done)
    }

    fn persist(&mut self) -> Result<ResumableFile, FileSystemError> {
        self.settle()?;
        Ok(ResumableFile {
            base: self.shared.base.clone(),
            name: self.name.clone(),
            target: self.target.clone(),
            length: self.length(),
            upload: self.known.clone(),
            tail: self.buffer.clone(),
        })
    }

    fn close(&mut self) -> Result<(), FileSystemError> {
        self.drain()?;
        // An upload has at least one part, even if that is empty.
        if !self.buffer.is_empty() || self.sent == 0 {
            let part = std::mem::take(&mut self.buffer);
            self.send(part)?;
        }
        self.buffer = Vec::new();
        // A resumed file may have nothing to add.
        if self.uploader.is_some() { self.mark() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<PendingFile, FileSystemError> {
        self.settle()?;
        Ok(PendingFile {
            base: self.shared.base.clone(),
            length: self.length(),
            upload: self.known.take(),
            name: self.name,
            target: self.target,
        })
    }

    fn discard(mut self: Box<Self>) {
        if let Some(mut uploader) = self.uploader.take() {
            uploader.outlives_file = true;
            // An uploader that has gone has nothing to abort.
            let _ = uploader.commands.send(Command::Discard);
        } else if let Some(upload) = self.known.take() {
            let (shared, name, target) = (self.shared.clone(), self.name, self.target);
            self.shared.surroundings.runtimes.control.spawn(async move {
                if let Err(error) = shared.abort(&name, &target, &upload.id).await {
                    tracing::warn!(error = %error, "an upload that nobody needs is left");
                }
            });
        }
    }
}
