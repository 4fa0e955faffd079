//! The directory of one TaskExecutor's local state.
//!
//! ```text
//! <root>/tm_<resource id>_<n>/.hurtig-local-state.lock    locked as long as the process lives
//! <root>/tm_<resource id>_<n>/localState/aid_<allocation>/jid_<job>/vtx_<vertex>_sti_<subtask>/chk_<id>/
//! ```
//! Below `localState` the names are Flink's. The operating system gives a lock back when its
//! process ends, however it does: so whoever gets the lock of another directory knows that its
//! owner is dead, and removes it. Processes may share a root.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use hurtig_types::ResourceId;

const PREFIX: &str = "tm_";
/// Only a directory with such a file is ours to remove: a root may be shared with anybody.
const LOCK: &str = ".hurtig-local-state.lock";
/// Directories of one TaskExecutor's id that are tried, and so most processes that share a root
/// and ids.
const MOST_NUMBERS: u32 = 4096;

/// A directory of our own. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct OwnedDirectory {
    path: PathBuf,
    _lock: File,
}

impl OwnedDirectory {
    /// Makes one below `root`, which is made if there is none, and removes those of the dead.
    pub(crate) fn open(root: &Path, resource: ResourceId) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        sweep(root);
        for number in 0..MOST_NUMBERS {
            let path = root.join(format!("{PREFIX}{resource}_{number}"));
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // Another process may sweep between the two steps; then the next number is tried.
            let Ok(lock) = File::create(path.join(LOCK)) else { continue };
            if lock.try_lock().is_ok() && path.join(LOCK).exists() {
                return Ok(Self { path, _lock: lock });
            }
        }
        let problem = format!("{MOST_NUMBERS} directories of TaskExecutor {resource} are in use");
        Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
    }

    pub(crate) fn local_state(&self) -> PathBuf {
        self.path.join("localState")
    }
}

impl Drop for OwnedDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "local state could not be removed");
        }
    }
}

/// Removes directories whose owners are dead. What cannot be removed is left to the next one.
fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    let entries = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        // One without a lock is being made, or was when its maker died: an empty one does no harm.
        let Ok(lock) = File::options().write(true).open(path.join(LOCK)) else { continue };
        match lock.try_lock() {
            Ok(()) => match fs::remove_dir_all(&path) {
                Ok(()) => tracing::debug!(path = %path.display(), "local state of a dead process"),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "left-over local state stays");
                }
            },
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                tracing::debug!(path = %path.display(), %error, "no lock can be had");
            }
        }
    }
}
