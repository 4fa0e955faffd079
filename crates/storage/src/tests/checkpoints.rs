//! The storage on local files and in memory: writing, finding the latest intact checkpoint,
//! deleting.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use hurtig_checkpoint::{completed::DiscardedCheckpoint, coordinator::DiscardedPending};
use hurtig_types::{CheckpointId, StateFile, StateScope};
use tempfile::TempDir;

use super::sample::{JOB, metadata};
use crate::{
    CheckpointStorage, StateTarget, StateWriter, StorageError, StorageOptions, Stores,
    Verification, checkpoints::memory_stores, format::Compression, reader::read_all,
    writer::write_all,
};

pub(super) struct Local {
    pub(super) directory: TempDir,
    stores: Arc<Stores>,
    pub(super) options: StorageOptions,
    pub(super) storage: CheckpointStorage,
}

pub(super) fn local() -> Local {
    let directory = TempDir::new().unwrap();
    let url = url::Url::from_directory_path(directory.path()).unwrap();
    let options = StorageOptions { directory: Some(url.into()), ..StorageOptions::default() };
    let stores = Arc::new(Stores::default());
    let storage = CheckpointStorage::new(stores.clone(), options.clone(), JOB);
    Local { directory, stores, options, storage }
}

impl Local {
    pub(super) async fn state(&self, target: StateTarget, name: &str, content: &[u8]) -> StateFile {
        let stores = &self.stores;
        let mut writer = StateWriter::new(stores, &self.options, JOB, &target, name).unwrap();
        writer.write(content).await.unwrap();
        writer.finish().await.unwrap()
    }

    /// A checkpoint with one file of 100 kB.
    async fn checkpoint(&self, id: u64) -> Arc<str> {
        let target = StateTarget::Exclusive(CheckpointId(id));
        let file = self.state(target, "state", &big(id)).await;
        self.storage.write_metadata(&metadata(id, vec![file]), None).await.unwrap()
    }

    fn path(&self, id: u64, file: &str) -> PathBuf {
        self.directory.path().join(JOB.to_string()).join(format!("chk-{id}")).join(file)
    }

    async fn latest(&self, verification: Verification) -> Option<CheckpointId> {
        let latest = self.storage.latest_intact(verification).await.unwrap();
        latest.map(|checkpoint| checkpoint.metadata.checkpoint_id)
    }
}

/// 100 kB that do not compress.
pub(super) fn big(seed: u64) -> Vec<u8> {
    let mut x = seed + 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..100_000).map(|_| next()).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, by: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - by]).unwrap();
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged on this thread until the guard is dropped.
fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn directories_are_flinks() {
    let local = local();
    local.checkpoint(1).await;
    local.state(StateTarget::Shared(CheckpointId(1)), "sst", b"small").await;
    local.state(StateTarget::TaskOwned, "log", b"small").await;
    let job = local.directory.path().join(JOB.to_string());
    for file in ["chk-1/_metadata", "chk-1/state", "shared/sst", "taskowned/log"] {
        assert!(job.join(file).is_file(), "{file}");
    }
    let savepoint = local.storage.savepoint_directory("s3://b/sp/", 0xfedc_ba98_7654_3210);
    assert_eq!(&*savepoint, "s3://b/sp/savepoint-abcdef-ba9876543210");
}

#[tokio::test]
async fn small_state_stays_in_the_handle_and_large_state_is_uploaded_in_parts() {
    let local = local();
    let exclusive = StateTarget::Exclusive(CheckpointId(1));
    let small = local.state(exclusive.clone(), "small", &[1; 1000]).await;
    assert_eq!(small.url(), None);
    assert_eq!(read_all(&local.stores, &small).await.unwrap(), [1; 1000]);
    let options = StorageOptions { compression: Compression::None, ..local.options.clone() };
    let content: Vec<u8> = (0..40_000_000u32).map(|i| (i >> 5) as u8).collect();
    let mut writer = StateWriter::new(&local.stores, &options, JOB, &exclusive, "large").unwrap();
    for piece in content.chunks(999_983) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.length(), content.len() as u64);
    assert!(!local.path(1, "large").exists(), "it appears whole");
    let large = writer.finish().await.unwrap();
    assert!(fs::metadata(local.path(1, "large")).unwrap().len() > large.length);
    assert!(read_all(&local.stores, &large).await.unwrap() == content);
}

#[tokio::test]
async fn a_file_that_is_given_up_leaves_nothing() {
    let local = local();
    let target = StateTarget::Exclusive(CheckpointId(1));
    let options = StorageOptions { compression: Compression::None, ..local.options.clone() };
    let mut writer = StateWriter::new(&local.stores, &options, JOB, &target, "state").unwrap();
    writer.write(&vec![3; 20_000_000]).await.unwrap();
    writer.abort().await.unwrap();
    assert!(!local.path(1, "state").exists());
}

#[tokio::test]
async fn many_files_are_written_at_once_in_order() {
    let local = local();
    let files: Vec<_> = (0..30u8)
        .map(|i| {
            let content = Bytes::from(vec![i; 30_000]);
            (StateTarget::Exclusive(CheckpointId(1)), format!("f{i}"), content)
        })
        .collect();
    let handles = write_all(&local.stores, &local.options, JOB, files).await.unwrap();
    for (i, handle) in handles.iter().enumerate() {
        assert_eq!(read_all(&local.stores, handle).await.unwrap(), vec![i as u8; 30_000]);
    }
}

#[tokio::test]
async fn the_latest_intact_checkpoint_is_used_and_the_damaged_file_named() {
    use Verification::{Content, Metadata, Present};
    let local = local();
    for id in [2, 9, 10] {
        local.checkpoint(id).await;
    }
    fs::create_dir(local.path(11, "")).unwrap();
    assert_eq!(local.latest(Content).await, Some(CheckpointId(10)));
    assert_eq!(local.storage.list().await.unwrap(), [2, 9, 10, 11].map(CheckpointId));

    let (log, guard) = log();
    flip(&local.path(10, "state"), 50_000);
    assert_eq!(local.latest(Present).await, Some(CheckpointId(10)), "its end is intact");
    assert_eq!(local.latest(Content).await, Some(CheckpointId(9)));
    cut(&local.path(10, "state"), 1);
    assert_eq!(local.latest(Present).await, Some(CheckpointId(9)));
    flip(&local.path(9, "_metadata"), 100);
    assert_eq!(local.latest(Metadata).await, Some(CheckpointId(10)));
    cut(&local.path(10, "_metadata"), 200);
    assert_eq!(local.latest(Metadata).await, Some(CheckpointId(2)));
    fs::remove_file(local.path(2, "state")).unwrap();
    assert_eq!(local.latest(Present).await, None);
    drop(guard);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    for file in ["chk-10/state", "chk-9/_metadata", "chk-10/_metadata", "chk-2/state"] {
        assert!(warnings.iter().any(|line| line.contains(file)), "{file} in {text}");
    }
}

#[tokio::test]
async fn a_torn_file_of_any_length_is_passed_over() {
    let local = local();
    local.checkpoint(1).await;
    local.checkpoint(2).await;
    for file in ["state", "_metadata"] {
        let whole = fs::read(local.path(2, file)).unwrap();
        for length in [0, 1, 15, 16, 39, 40, 41, whole.len() / 2, whole.len() - 1] {
            fs::write(local.path(2, file), &whole[..length]).unwrap();
            for verification in [Verification::Present, Verification::Content] {
                let latest = local.latest(verification).await;
                assert_eq!(latest, Some(CheckpointId(1)), "{file} of {length} bytes");
            }
        }
        fs::write(local.path(2, file), whole).unwrap();
    }
    assert_eq!(local.latest(Verification::Content).await, Some(CheckpointId(2)));
}

#[tokio::test]
async fn an_intact_file_of_another_checkpoint_is_not_taken() {
    let local = local();
    local.checkpoint(1).await;
    local.checkpoint(2).await;
    fs::copy(local.path(1, "state"), local.path(2, "state")).unwrap();
    assert_eq!(local.latest(Verification::Present).await, Some(CheckpointId(1)));
}

#[tokio::test]
async fn deletion_leaves_what_others_need() {
    let local = local();
    let shared = local.state(StateTarget::Shared(CheckpointId(1)), "sst", &big(1)).await;
    local.checkpoint(2).await;
    let pointer = local.checkpoint(1).await;
    fs::write(local.path(1, "left-by-a-task"), b"x").unwrap();
    let files = vec![format!("{pointer}/state").into()];
    let checkpoint_id = CheckpointId(1);
    let discarded = DiscardedCheckpoint { checkpoint_id, external_pointer: pointer, files };
    local.storage.discard_checkpoint(&discarded).await.unwrap();
    local.storage.discard_checkpoint(&discarded).await.unwrap();
    assert!(!local.path(1, "").exists());
    assert_eq!(local.latest(Verification::Content).await, Some(CheckpointId(2)));
    assert_eq!(read_all(&local.stores, &shared).await.unwrap(), big(1));

    fs::create_dir(local.path(3, "")).unwrap();
    fs::write(local.path(3, "state"), b"x").unwrap();
    let (checkpoint_id, target) = (CheckpointId(3), None);
    let discarded = DiscardedPending { checkpoint_id, target, files: Vec::new() };
    local.storage.discard_pending(&discarded).await.unwrap();
    assert!(!local.path(3, "").exists());
    local.storage.discard_files(&[shared.url().unwrap().clone()]).await.unwrap();
    assert!(read_all(&local.stores, &shared).await.is_err());
}

#[tokio::test]
async fn a_savepoint_can_be_moved_and_disposed_of() {
    let local = local();
    let base = local.options.directory.clone().unwrap();
    let directory = local.storage.savepoint_directory(&base, 1);
    let target = StateTarget::Savepoint(directory.clone());
    let file = local.state(target, "state", &big(4)).await;
    assert_eq!(file.scope, StateScope::Exclusive);
    let written = local.storage.write_metadata(&metadata(4, vec![file]), Some(&directory)).await;
    assert_eq!(written.unwrap(), directory);
    let (before, after) =
        (local.directory.path().join("savepoint-abcdef-000000000001"), "savepoint-moved");
    fs::rename(&before, local.directory.path().join(after)).unwrap();
    let pointer = format!("{base}{after}");
    let loaded = local.storage.load_verified(&pointer, Verification::Content).await.unwrap();
    let same = local.storage.load(&format!("{pointer}/_metadata")).await.unwrap();
    assert_eq!(loaded.metadata, same.metadata);
    local.storage.dispose(&pointer, false).await.unwrap();
    assert!(!local.directory.path().join(after).exists());
    let error = local.storage.load(&pointer).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read file:///"), "{error}");
}

#[tokio::test]
async fn metadata_is_written_once() {
    let local = local();
    let first = metadata(1, Vec::new());
    let pointer = local.storage.write_metadata(&first, None).await.unwrap();
    assert_eq!(local.storage.write_metadata(&first, None).await.unwrap(), pointer);
    let mut other = first.clone();
    other.timestamp_ms += 1;
    let error = local.storage.write_metadata(&other, None).await.unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    assert_eq!(*local.storage.load(&pointer).await.unwrap().metadata, first);
}

#[tokio::test]
async fn the_job_managers_memory_takes_small_state() {
    let stores = Arc::new(memory_stores());
    let options = StorageOptions { max_memory_state_bytes: 50_000, ..StorageOptions::default() };
    let storage = CheckpointStorage::new(stores.clone(), options.clone(), JOB);
    let target = StateTarget::Shared(CheckpointId(1));
    let mut writer = StateWriter::new(&stores, &options, JOB, &target, "state").unwrap();
    writer.write(&[5; 40_000]).await.unwrap();
    let error = writer.write(&[5; 40_000]).await.unwrap_err();
    let text = r#"state "state" exceeds the 50000 bytes that fit into the JobManager's memory"#;
    assert_eq!(error.to_string(), text);
    let mut writer = StateWriter::new(&stores, &options, JOB, &target, "state").unwrap();
    writer.write(&[5; 40_000]).await.unwrap();
    let file = writer.finish().await.unwrap();
    assert_eq!((file.url(), file.scope), (None, StateScope::Exclusive));
    storage.write_metadata(&metadata(1, vec![file]), None).await.unwrap();
    let latest = storage.latest_intact(Verification::Content).await.unwrap().unwrap();
    assert_eq!(latest.metadata.checkpoint_id, CheckpointId(1));
    storage.dispose(&latest.external_pointer, false).await.unwrap();
    assert!(storage.latest_intact(Verification::Metadata).await.unwrap().is_none());
}

#[tokio::test]
async fn a_url_that_is_none_is_named() {
    let local = local();
    for url in ["no url", "gopher://x/y", "relative/path"] {
        let error = local.storage.load(url).await.unwrap_err().to_string();
        assert!(error.contains(url), "{error}");
    }
}
