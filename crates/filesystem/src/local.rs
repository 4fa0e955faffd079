//! Recoverable files on the local disk.
//!
//! The bytes are in a hidden file. It is resumed by cutting it to the length that it had, and
//! committed by renaming it; the directories are brought to the disk too, so that a file that was
//! promised survives the machine.
//!
//! Everything is done at once, by the caller's thread; the futures are ready when they are made.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind::NotFound, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    error::FileSystemError,
    recoverable::{
        IN_PROGRESS_DIRECTORY, PartFile, PendingFile, RecoverableWriter, ResumableFile, hidden,
        unhidden,
    },
};

/// Attempts to create a file in a directory that others may remove when it is empty.
const CREATE_ATTEMPTS: u32 = 8;

/// Writes files below a directory of the local disk.
#[derive(Clone, Debug)]
pub struct LocalRecoverableWriter {
    base: String,
    directory: PathBuf,
}

impl LocalRecoverableWriter {
    /// Writes below `directory`, which `base` names in what it returns.
    pub fn new(base: &str, directory: PathBuf) -> Self {
        Self { base: base.to_owned(), directory }
    }

    fn hidden_directory(&self) -> PathBuf {
        self.directory.join(IN_PROGRESS_DIRECTORY)
    }

    fn hidden(&self, name: &str) -> PathBuf {
        self.hidden_directory().join(hidden(name))
    }

    fn part(&self, name: &str, target: &str, path: PathBuf, file: File, length: u64) -> LocalFile {
        LocalFile {
            base: self.base.clone(),
            name: name.to_owned(),
            target: target.to_owned(),
            path,
            file,
            written: length,
            directory_synced: false,
        }
    }

    fn commit_now(&self, file: &PendingFile) -> Result<(), FileSystemError> {
        let (from, to) = (self.hidden(&file.name), self.directory.join(&file.target));
        let into = to.parent().unwrap_or(&self.directory);
        create_directories(into)?;
        match fs::rename(&from, &to) {
            Ok(()) => sync_directory(into),
            Err(error) if error.kind() == NotFound => match fs::metadata(&to) {
                Ok(found) if found.len() == file.length => Ok(()),
                _ => Err(FileSystemError::Lost {
                    in_progress: from.display().to_string(),
                    target: to.display().to_string(),
                    length: file.length,
                }),
            },
            Err(error) => Err(FileSystemError::io("commit", &from)(error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, FileSystemError> {
        let directory = self.hidden_directory();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileSystemError::io("list", &directory))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(FileSystemError::io("list", &directory))?;
            let file_name = entry.file_name();
            let name = file_name.to_str().and_then(unhidden);
            names.extend(name.filter(|name| name.starts_with(prefix)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn create_directories(directory: &Path) -> Result<(), FileSystemError> {
    fs::create_dir_all(directory).map_err(FileSystemError::io("create", directory))
}

/// Brings the entries of a directory to the disk.
fn sync_directory(directory: &Path) -> Result<(), FileSystemError> {
    // Only Unix lets a directory be opened; elsewhere its entries are the file system's care.
    #[cfg(unix)]
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(FileSystemError::io("sync", directory))?;
    Ok(())
}

fn remove(path: &Path) -> Result<(), FileSystemError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != NotFound => Err(FileSystemError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes files below a directory by name; hidden directories are left alone.
fn remove_below(directory: &Path, is_obsolete: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let mut left = BTreeSet::from([directory.to_owned()]);
    while let Some(directory) = left.pop_first() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if entry.file_type()?.is_dir() {
                left.insert(entry.path());
            } else if is_obsolete(name) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

impl RecoverableWriter for LocalRecoverableWriter {
    fn create(&self, name: &str, target: &str) -> Result<Box<dyn PartFile>, FileSystemError> {
        let path = self.hidden(name);
        let mut attempts = 0;
        let file = loop {
            create_directories(&self.hidden_directory())?;
            attempts += 1;
            match File::create(&path) {
                Err(error) if error.kind() == NotFound && attempts < CREATE_ATTEMPTS => {}
                file => break file.map_err(FileSystemError::io("create", &path))?,
            }
        };
        Ok(Box::new(self.part(name, target, path, file, 0)))
    }

    fn resume(&self, resumable: ResumableFile) -> Result<Box<dyn PartFile>, FileSystemError> {
        let ResumableFile { name, target, length, .. } = resumable;
        let path = self.hidden(&name);
        let file = OpenOptions::new().write(true).open(&path);
        let mut file = file.map_err(FileSystemError::io("resume", &path))?;
        let found = file.metadata().map_err(FileSystemError::io("resume", &path))?.len();
        if found < length {
            let path = path.display().to_string();
            return Err(FileSystemError::Shortened { path, expected: length, found });
        }
        let cut = file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)));
        cut.map_err(FileSystemError::io("cut", &path))?;
        Ok(Box::new(self.part(&name, &target, path, file, length)))
    }

    fn commit(&self, file: PendingFile) -> BoxFuture<'static, Result<(), FileSystemError>> {
        futures::future::ready(self.commit_now(&file)).boxed()
    }

    fn in_progress(
        &self,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<String>, FileSystemError>> {
        futures::future::ready(self.list(prefix)).boxed()
    }

    fn discard(&self, name: &str) -> BoxFuture<'static, Result<(), FileSystemError>> {
        futures::future::ready(remove(&self.hidden(name))).boxed()
    }

    fn remove_committed(
        &self,
        is_obsolete: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> BoxFuture<'static, Result<(), FileSystemError>> {
        let removed = remove_below(&self.directory, &*is_obsolete);
        let removed = removed.map_err(FileSystemError::io("clean", &self.directory));
        futures::future::ready(removed).boxed()
    }

    fn close(&self) {
        // Only if it is empty, and then nobody misses it.
        let _ = fs::remove_dir(self.hidden_directory());
    }
}

struct LocalFile {
    base: String,
    name: String,
    target: String,
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    written: u64,
    /// The directory knows the file, also after a power failure.
    directory_synced: bool,
}

impl PartFile for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileSystemError> {
        self.file.write_all(bytes).map_err(FileSystemError::io("write", &self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn length(&self) -> u64 {
        self.written
    }

    fn buffered_bytes(&self) -> usize {
        0
    }

    fn flush(&mut self) -> Result<(), FileSystemError> {
        self.file.sync_data().map_err(FileSystemError::io("sync", &self.path))?;
        if !self.directory_synced
            && let Some(directory) = self.path.parent()
        {
            sync_directory(directory)?;
            self.directory_synced = true;
        }
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        true
    }

    fn persist(&mut self) -> Result<ResumableFile, FileSystemError> {
        Ok(ResumableFile {
            base: self.base.clone(),
            name: self.name.clone(),
            target: self.target.clone(),
            length: self.written,
            upload: None,
            tail: Vec::new(),
        })
    }

    fn close(&mut self) -> Result<(), FileSystemError> {
        self.flush()
    }

    fn finish(self: Box<Self>) -> Result<PendingFile, FileSystemError> {
        let Self { base, name, target, written: length, .. } = *self;
        Ok(PendingFile { base, name, target, length, upload: None })
    }

    fn discard(self: Box<Self>) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(error = %error, "a file that nobody needs is left");
        }
    }
}
