//! Records in a directory that several processes of one host share.
//!
//! A record is a folder, its states are files in it that are named by their number; the highest
//! is the record. No process holds a lock, so one that is stopped at any point keeps nobody.
//!
//! 1. A writer that has read number `n` writes and syncs a file elsewhere, and links it to the
//!    name `n + 1`. The link fails if the name is taken: only one writer can follow `n`.
//! 2. It looks whether there is a higher number. If so, it was overtaken: either after its write,
//!    or before it, by so much that the name `n + 1` was free again. It cannot tell, and says so.
//!    A lower number than the highest is never read, so in the second case nothing was written.
//! 3. It deletes lower numbers but the last few. Readers that find their file deleted look again.
//!    So a folder has a dozen files at most, which one call to the system lists at one moment, and
//!    even a list that is not of one moment shows the highest number or one shortly before it.
//!
//! A record is deleted by renaming its folder away, so that a late link has no place to go.
//!
//! Deliberately absent: file systems without atomic links (use an object store then).

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hurtig_types::BoxError;

use super::{
    HighAvailabilityBackend, Latch, Precondition, RecordStore, RecordStoreError, RecordVersion,
    VersionedRecord, check_key,
};
use crate::election::ContenderId;

/// Ends the name of a record's folder, so that it is no other key's folder.
const RECORD_SUFFIX: &str = "@";
/// Where files are written before they get their names, and folders go that are deleted.
const SCRATCH: &str = "@scratch";
/// Earlier states of a record that stay.
const KEPT_STATES: u64 = 8;
/// Times that a reader looks again after the file it had found was deleted.
const MOST_LOOKS: usize = 100;

/// Records in a directory.
#[derive(Clone, Debug)]
pub struct DirectoryRecordStore {
    base: PathBuf,
    poll: Duration,
    /// Makes names in the scratch folder unique among the processes.
    owner: u128,
    names: Arc<AtomicU64>,
}

/// How a write ended.
#[derive(Debug, PartialEq, Eq)]
enum Linked {
    Written(u64),
    Conflict,
    Overtaken,
}

impl DirectoryRecordStore {
    /// Records in `base`, which is made if need be. `owner` must be unique among the processes
    /// that share it; those who wait for changes look every `poll`.
    pub fn new(base: PathBuf, owner: u128, poll: Duration) -> Self {
        Self { base, poll, owner, names: Arc::default() }
    }

    fn folder(&self, key: &str) -> PathBuf {
        self.base.join(format!("{key}{RECORD_SUFFIX}"))
    }

    fn scratch_name(&self) -> io::Result<PathBuf> {
        let folder = self.base.join(SCRATCH);
        fs::create_dir_all(&folder)?;
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        Ok(folder.join(format!("{:032x}-{number}", self.owner)))
    }

    /// The numbers of a record's states.
    fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    fn read(&self, key: &str) -> io::Result<Option<(Vec<u8>, u64)>> {
        let folder = self.folder(key);
        for _ in 0..MOST_LOOKS {
            let Some(number) = Self::numbers(&folder)?.into_iter().max() else {
                return Ok(None);
            };
            match fs::read(folder.join(number.to_string())) {
                Ok(bytes) => return Ok(Some((bytes, number))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the record changes faster than it can be read"))
    }

    fn write(&self, key: &str, bytes: &[u8], expected: u64) -> io::Result<Linked> {
        let folder = self.folder(key);
        let highest = Self::numbers(&folder)?.into_iter().max().unwrap_or(0);
        if highest != expected {
            return Ok(Linked::Conflict);
        }
        if expected == 0 {
            fs::create_dir_all(&folder)?;
        }
        self.link(&folder, bytes, expected)
    }

    /// Steps 1 to 3 of the module documentation; any time may have passed since the look before.
    fn link(&self, folder: &Path, bytes: &[u8], expected: u64) -> io::Result<Linked> {
        let scratch = self.scratch_name()?;
        let mut file = File::create_new(&scratch)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        let number = expected + 1;
        let name = folder.join(number.to_string());
        let linked = fs::hard_link(&scratch, &name);
        fs::remove_file(&scratch)?;
        match linked {
            Ok(()) => {}
            // The name is taken, or the record was deleted meanwhile.
            Err(error)
                if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) =>
            {
                return Ok(Linked::Conflict);
            }
            Err(error) => return Err(error),
        }
        sync_folder(folder)?;
        let numbers = Self::numbers(folder)?;
        let highest = numbers.iter().copied().max().unwrap_or(0);
        for old in numbers.into_iter().filter(|old| old + KEPT_STATES < highest) {
            remove_if_there(&folder.join(old.to_string()))?;
        }
        Ok(if highest == number { Linked::Written(number) } else { Linked::Overtaken })
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        let folder = self.folder(key);
        let away = self.scratch_name()?;
        match fs::rename(&folder, &away) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        if let Some(parent) = folder.parent().filter(|parent| *parent != self.base) {
            sync_folder(parent)?;
            // Fails unless it was the last record of its folder, which is as well.
            let _ = fs::remove_dir(parent);
        }
        fs::remove_dir_all(&away)
    }

    fn find(&self, folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == SCRATCH {
                continue;
            }
            let path = entry.path();
            match name.strip_suffix(RECORD_SUFFIX) {
                // A folder without a state is what a crash has left of a creation.
                Some(record) if !Self::numbers(&path)?.is_empty() => {
                    keys.push(format!("{prefix}/{record}"));
                }
                Some(_) => {}
                None if path.is_dir() => {
                    self.find(&path, &format!("{prefix}/{name}"), keys)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Runs file operations where they may block.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        run: impl FnOnce(&Self, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RecordStoreError> {
        check_key(action, key)?;
        let (store, owned) = (self.clone(), key.to_owned());
        let done = tokio::task::spawn_blocking(move || run(&store, &owned)).await;
        let result = done.map_err(|error| Box::new(error) as BoxError);
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => {
                Err(RecordStoreError::refused(action, key, error))
            }
            Ok(Err(error)) => Err(RecordStoreError::unavailable(action, key, error)),
            Err(error) => Err(RecordStoreError::unavailable(action, key, error)),
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // Deleted meanwhile: nothing to sync.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn version(number: u64) -> RecordVersion {
    RecordVersion::new(number.to_string())
}

#[async_trait]
impl RecordStore for DirectoryRecordStore {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        let read = self.blocking("read", key, |store, key| store.read(key)).await?;
        Ok(read.map(|(bytes, number)| VersionedRecord {
            bytes: bytes.into(),
            version: version(number),
        }))
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        let expected = match &precondition {
            Precondition::Absent => 0,
            Precondition::Unchanged(version) => version.0.parse().map_err(|error| {
                RecordStoreError::refused("write", key, Box::new(error) as BoxError)
            })?,
        };
        let run = move |store: &Self, key: &str| store.write(key, &bytes, expected);
        match self.blocking("write", key, run).await? {
            Linked::Written(number) => Ok(version(number)),
            Linked::Conflict => Err(RecordStoreError::conflict(key)),
            Linked::Overtaken => {
                let problem = "another write came at the same time";
                Err(RecordStoreError::unavailable("write", key, problem))
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        self.blocking("delete", key, |store, key| store.remove(key)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        let run = |store: &Self, folder: &str| {
            let mut keys = Vec::new();
            store.find(&store.base.join(folder), folder, &mut keys)?;
            keys.sort();
            Ok(keys)
        };
        self.blocking("list", folder, run).await
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        loop {
            tokio::time::sleep(self.poll).await;
            let run = |store: &Self, key: &str| Self::numbers(&store.folder(key));
            let now = self.blocking("watch", key, run).await?.into_iter().max().map(version);
            if now.as_ref() != seen {
                return Ok(());
            }
        }
    }
}

/// High availability in a directory that standby processes of one host share.
#[derive(Clone, Debug)]
pub struct DirectoryBackend {
    records: Arc<DirectoryRecordStore>,
}

impl DirectoryBackend {
    /// A backend in `base`. See [`DirectoryRecordStore::new`].
    pub fn new(base: impl AsRef<OsStr>, owner: u128, poll: Duration) -> Self {
        let base = PathBuf::from(base.as_ref());
        Self { records: Arc::new(DirectoryRecordStore::new(base, owner, poll)) }
    }
}

#[async_trait]
impl HighAvailabilityBackend for DirectoryBackend {
    fn records(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn blobs(&self) -> Arc<dyn RecordStore> {
        self.records.clone()
    }

    fn latch(&self, _: &str, _: ContenderId) -> Option<Latch> {
        None
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_stood_still_for_long_changes_nothing() {
        let base = tempfile::tempdir().unwrap();
        let store = DirectoryRecordStore::new(base.path().into(), 1, Duration::ZERO);
        let states = 3 * KEPT_STATES;
        for state in 0..states {
            assert_eq!(store.write("a", b"new", state).unwrap(), Linked::Written(state + 1));
        }
        let folder = store.folder("a");
        let files = fs::read_dir(&folder).unwrap().count() as u64;
        assert_eq!(files, KEPT_STATES + 1);
        // Each has looked before it stood still, and found its condition to hold.
        for expected in 0..states {
            let linked = store.link(&folder, b"late", expected).unwrap();
            let name_is_taken = expected + 1 >= states - KEPT_STATES;
            let outcome = if name_is_taken { Linked::Conflict } else { Linked::Overtaken };
            assert_eq!(linked, outcome, "{expected}");
            assert_eq!(store.read("a").unwrap(), Some((b"new".to_vec(), states)));
        }
        store.remove("a").unwrap();
        assert_eq!(store.link(&folder, b"late", states).unwrap(), Linked::Conflict);
        assert_eq!(store.read("a").unwrap(), None);
        assert_eq!(fs::read_dir(base.path().join(SCRATCH)).unwrap().count(), 0);
    }
}
