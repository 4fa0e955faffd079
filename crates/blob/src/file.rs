//! Files that get their name when their content is known.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hurtig_types::BlobId;
use sha2::{Digest, Sha256};

/// What files begin with that have no name yet; they are deleted at the next start.
const UNFINISHED: &str = "unfinished-";

/// A file that is being written.
pub(crate) struct UnfinishedFile {
    path: PathBuf,
    file: File,
    hash: Sha256,
    pub(crate) size_bytes: u64,
}

impl UnfinishedFile {
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let path = directory.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        // What another process of that id has left is overwritten.
        let file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o700).open(&path)?;
        Ok(Self { path, file, hash: Sha256::new(), size_bytes: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// The content so far.
    pub(crate) fn id(&self) -> BlobId {
        BlobId(self.hash.clone().finalize().into())
    }

    /// Gives the file its name. It can be executed, and not be written. What must outlive a crash
    /// of the machine is on the disk before it has its name; a cache needs no such care.
    pub(crate) fn name(self, directory: &Path, durable: bool) -> io::Result<PathBuf> {
        let path = directory.join(self.id().to_string());
        self.file.set_permissions(Permissions::from_mode(0o500))?;
        if durable {
            self.file.sync_data()?;
        }
        fs::rename(&self.path, &path)?;
        Ok(path)
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        // Gone already if it has been named.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a directory of blobs holds: ids, sizes, and when each file was written.
pub(crate) fn scan(directory: &Path) -> io::Result<Vec<(BlobId, fs::Metadata)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Ok(id) = name.parse() {
            found.push((id, entry.metadata()?));
        } else if name.starts_with(UNFINISHED) {
            // Whoever wrote it has gone: the directory belongs to one process.
            fs::remove_file(entry.path())?;
        }
    }
    Ok(found)
}

/// Bytes of a file from an offset on.
pub(crate) fn read_at(path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let rest = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; length.min(usize::try_from(rest).unwrap_or(usize::MAX))];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
