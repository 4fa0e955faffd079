//! Local copies: which are kept, that they are read only if intact, and that they harm nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hurtig_types::{AllocationId, CheckpointId, JobVertexId, ResourceId, StateFile};
use proptest::prelude::*;
use tempfile::TempDir;

use super::sample::JOB;
use crate::{
    Compression, LocalStateOptions, LocalStateStores, StateTarget, StateWriter, StorageOptions,
    Stores, TaskLocalState, local::index::LocalIndex, reader::read_all,
};

const RESOURCE: ResourceId = ResourceId(5);
const SLOT: AllocationId = AllocationId(3);

fn url(name: &str) -> Arc<str> {
    name.into()
}

fn id(number: u64) -> CheckpointId {
    CheckpointId(number)
}

#[test]
fn a_chain_is_kept_until_a_complete_checkpoint_does_without_it() {
    let mut index = LocalIndex::default();
    for (number, base) in [(1, vec![]), (2, vec!["1"]), (3, vec!["1", "2"])] {
        index.begin(id(number), base.into_iter().map(url));
        assert_eq!(index.add(url(&number.to_string()), id(number), number), None);
        assert!(index.confirm(id(number)).is_empty(), "the whole chain is needed");
    }
    // 5 is under way and builds upon 3, when 4 completes, which was written anew.
    index.begin(id(4), []);
    index.begin(id(5), ["1", "2", "3"].map(url));
    assert_eq!(index.add(url("4"), id(4), 4), None);
    assert!(index.confirm(id(4)).is_empty(), "5 may complete");
    assert_eq!(index.abort(id(5)), [1, 2, 3]);
    assert_eq!(index.add(url("5"), id(5), 5), Some(5), "too late");
    assert_eq!(index.find("4"), Some(&4));
    assert!(index.abort(id(4)).is_empty(), "what is complete is not aborted");
}

#[test]
fn a_restore_leaves_its_checkpoint_and_numbers_may_come_again() {
    let mut index = LocalIndex::default();
    index.begin(id(1), []);
    assert_eq!(index.add(url("1"), id(1), 1), None);
    assert!(index.confirm(id(1)).is_empty());
    index.begin(id(2), [url("1")]);
    assert_eq!(index.add(url("2"), id(2), 2), None);
    assert!(index.abort(id(3)).is_empty());
    assert_eq!(index.restore(id(1)), [2]);
    assert_eq!(index.find("1"), Some(&1));
    assert_eq!(index.add(url("3, again"), id(3), 3), None);
    assert_eq!(index.confirm(id(3)), [1]);
    assert_eq!(index.close(), [3]);
    assert_eq!(index.add(url("4"), id(4), 4), Some(4));
}

#[derive(Clone, Debug)]
enum Event {
    /// A checkpoint is begun that builds upon the last complete one, or on nothing.
    Begin {
        anew: bool,
    },
    /// A file of the checkpoint that is so many before the last is copied.
    Add(u64),
    Confirm(u64),
    Abort(u64),
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<bool>().prop_map(|anew| Event::Begin { anew }),
        4 => (0u64..4).prop_map(Event::Add),
        2 => (0u64..4).prop_map(Event::Confirm),
        1 => (0u64..4).prop_map(Event::Abort),
        1 => Just(Event::Restore),
    ]
}

#[derive(Default)]
struct Model {
    latest: u64,
    complete: Option<u64>,
    /// All files that each checkpoint that may be restored consists of.
    files: BTreeMap<u64, BTreeSet<u64>>,
    given: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
}

proptest! {
    /// What may still be restored is there; what is deleted is deleted once; and right after a
    /// checkpoint has completed, nothing is kept but for it and what is under way.
    #[test]
    fn what_may_be_restored_is_kept_and_nothing_else(events in prop::collection::vec(event(), 0..60)) {
        let mut index = LocalIndex::default();
        let mut model = Model::default();
        let mut next = 0;
        for event in events {
            let back = |back: u64| model.latest.checked_sub(back).filter(|id| *id > 0);
            let mut deleted = Vec::new();
            match event {
                Event::Begin { anew } => {
                    model.latest += 1;
                    let base = model.complete.filter(|_| !anew);
                    let base = base.and_then(|id| model.files.get(&id)).cloned().unwrap_or_default();
                    index.begin(id(model.latest), base.iter().map(|file| url(&file.to_string())));
                    model.files.insert(model.latest, base);
                }
                Event::Add(n) => {
                    let Some(of) = back(n) else { continue };
                    next += 1;
                    model.given.insert(next);
                    let late = index.add(url(&next.to_string()), id(of), next);
                    prop_assert_eq!(late.is_none(), model.files.contains_key(&of));
                    deleted.extend(late);
                    if let Some(files) = model.files.get_mut(&of) {
                        files.insert(next);
                    }
                }
                Event::Confirm(n) => {
                    let Some(of) = back(n).filter(|of| model.files.contains_key(of)) else { continue };
                    deleted = index.confirm(id(of));
                    model.complete = Some(of);
                    model.files = model.files.split_off(&of);
                }
                Event::Abort(n) => {
                    let of = back(n).filter(|of| Some(*of) > model.complete);
                    let Some(of) = of.filter(|of| model.files.contains_key(of)) else { continue };
                    deleted = index.abort(id(of));
                    model.files.remove(&of);
                }
                Event::Restore => {
                    let Some(of) = model.complete else { continue };
                    deleted = index.restore(id(of));
                    model.files.retain(|id, _| *id == of);
                    model.latest = of;
                }
            }
            for file in deleted {
                prop_assert!(model.deleted.insert(file), "{file} was deleted twice");
            }
            let needed: BTreeSet<u64> = model.files.values().flatten().copied().collect();
            let kept = |file: &u64| index.find(&file.to_string()).is_some();
            prop_assert!(needed.iter().all(kept));
            for file in &model.given {
                prop_assert_eq!(kept(file), needed.contains(file));
                prop_assert_eq!(kept(file), !model.deleted.contains(file));
            }
        }
    }
}

struct Disk {
    root: TempDir,
    _primary: TempDir,
    stores: Stores,
    options: StorageOptions,
    local: Arc<LocalStateStores>,
}

fn options(root: &Path, recovery: bool) -> LocalStateOptions {
    LocalStateOptions { roots: vec![root.to_owned()], recovery }
}

fn disk(recovery: bool) -> Disk {
    let (root, primary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let directory = Some(url::Url::from_directory_path(primary.path()).unwrap().into());
    let compression = Compression::None;
    let options_of_job = StorageOptions { directory, compression, ..StorageOptions::default() };
    let local = LocalStateStores::open(&options(root.path(), recovery), RESOURCE).unwrap();
    let (stores, local) = (Stores::default(), Arc::new(local));
    Disk { root, _primary: primary, stores, options: options_of_job, local }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let is_lock = path.file_name().is_some_and(|name| name == ".hurtig-local-state.lock");
        if path.is_dir() {
            found.extend(files(&path));
        } else if !is_lock {
            found.push(path);
        }
    }
    found
}

impl Disk {
    fn task(&self) -> TaskLocalState {
        self.local.subtask(SLOT, JOB, JobVertexId(7), 1)
    }

    /// A file of `length` bytes of a checkpoint, with its copy.
    async fn write(&self, checkpoint: u64, name: &str, length: usize) -> StateFile {
        let target = StateTarget::Shared(id(checkpoint));
        let writer = StateWriter::new(&self.stores, &self.options, JOB, &target, name).unwrap();
        let mut writer = writer.with_copy(self.task().copy(id(checkpoint), name));
        for chunk in content(length).chunks(300_000) {
            writer.write(chunk).await.unwrap();
        }
        writer.finish().await.unwrap()
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 1000) as u8).collect()
}

#[tokio::test]
async fn a_copy_is_read_as_long_as_it_is_intact() {
    let disk = disk(true);
    // One is written in one piece, the other in parts.
    for (name, length) in [("short", 1_000), ("long", 20_000_000)] {
        let file = disk.write(1, name, length).await;
        fs::remove_file(disk.stores.locate(file.url().unwrap()).unwrap().local.unwrap()).unwrap();
        assert_eq!(disk.task().read(&file).await, Some(content(length)), "{name}");
        assert!(read_all(&disk.stores, &file).await.is_err());
        let other = StateFile { checksum: file.checksum ^ 1, ..file.clone() };
        assert_eq!(disk.task().read(&other).await, None, "another file's content");
        let copy = files(disk.root.path()).into_iter().find(|path| path.ends_with(name)).unwrap();
        let bytes = fs::read(&copy).unwrap();
        for position in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            fs::write(&copy, damaged).unwrap();
            assert_eq!(disk.task().read(&file).await, None, "{name}, byte {position}");
        }
        fs::write(&copy, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(disk.task().read(&file).await, None, "{name} is cut");
        fs::write(&copy, &bytes).unwrap();
        assert!(disk.task().read(&file).await.is_some());
        fs::remove_file(&copy).unwrap();
        assert_eq!(disk.task().read(&file).await, None, "{name} is gone");
    }
}

#[tokio::test]
async fn copies_are_pruned_from_the_disk() {
    let disk = disk(true);
    let task = disk.task();
    let first = disk.write(1, "first", 100).await;
    task.confirm(id(1)).delete().await;
    task.begin(id(2), [&first]);
    let second = disk.write(2, "second", 100).await;
    task.confirm(id(2)).delete().await;
    assert_eq!(files(disk.root.path()).len(), 2, "a delta and what it is to");
    task.begin(id(3), []);
    disk.write(3, "third", 100).await;
    task.abort(id(3)).delete().await;
    disk.write(3, "late", 100).await;
    assert_eq!(files(disk.root.path()).len(), 2);
    task.begin(id(4), []);
    let fourth = disk.write(4, "fourth", 100).await;
    task.confirm(id(4)).delete().await;
    let left = files(disk.root.path());
    assert!(left.len() == 1 && left[0].ends_with("chk_4/fourth"), "{left:?}");
    assert!(task.read(&fourth).await.is_some() && task.read(&second).await.is_none());
    assert!(read_all(&disk.stores, &first).await.is_ok(), "originals are not touched");
}

#[tokio::test]
async fn a_slot_that_is_given_back_leaves_nothing_and_takes_nothing() {
    let disk = disk(true);
    let other = disk.local.subtask(AllocationId(4), JOB, JobVertexId(7), 0);
    let task = disk.task();
    let copy = task.copy(id(1), "late");
    let file = disk.write(1, "state", 100).await;
    assert!(other.read(&file).await.is_some(), "any subtask of the job may read it");
    let (stores, options) = (&disk.stores, &disk.options);
    let target = StateTarget::Shared(id(1));
    let late = StateWriter::new(stores, options, JOB, &target, "late").unwrap();
    let mut late = late.with_copy(copy);
    disk.local.release(SLOT);
    assert!(files(disk.root.path()).is_empty());
    late.write(b"content").await.unwrap();
    let late = late.finish().await.unwrap();
    assert_eq!(read_all(stores, &late).await.unwrap(), b"content");
    assert!(files(disk.root.path()).is_empty());
    assert!(other.read(&file).await.is_none());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_does_not_fail_a_file() {
    let disk = disk(true);
    // Where directories are to be, there is a file.
    let own = fs::read_dir(disk.root.path()).unwrap().next().unwrap().unwrap().path();
    fs::write(own.join("localState"), "in the way").unwrap();
    for (name, length) in [("short", 1_000), ("long", 20_000_000)] {
        let file = disk.write(1, name, length).await;
        assert_eq!(disk.task().read(&file).await, None);
        assert_eq!(read_all(&disk.stores, &file).await.unwrap(), content(length));
    }
}

#[tokio::test]
async fn a_writer_that_is_given_up_leaves_no_copy() {
    let disk = disk(true);
    let target = StateTarget::Shared(id(1));
    let writer = StateWriter::new(&disk.stores, &disk.options, JOB, &target, "state").unwrap();
    let mut writer = writer.with_copy(disk.task().copy(id(1), "state"));
    writer.write(&content(20_000_000)).await.unwrap();
    writer.abort().await.unwrap();
    assert!(files(disk.root.path()).is_empty());
}

#[tokio::test]
async fn a_backup_alone_is_written_but_not_read() {
    let disk = disk(false);
    let file = disk.write(1, "state", 100).await;
    assert_eq!(files(disk.root.path()).len(), 1);
    assert_eq!(disk.task().read(&file).await, None);
}

#[tokio::test]
async fn what_the_dead_have_left_is_swept_and_the_living_stay() {
    let living = disk(true);
    let file = living.write(1, "state", 100).await;
    let root = living.root.path();
    let dead = root.join("tm_dead_0");
    let strange = root.join("tm_of_somebody_else");
    for directory in [&dead, &strange] {
        fs::create_dir_all(directory.join("localState/aid_1")).unwrap();
        fs::write(directory.join("localState/aid_1/state"), "left").unwrap();
    }
    fs::write(dead.join(".hurtig-local-state.lock"), "").unwrap();
    let same_id = LocalStateStores::open(&options(root, true), RESOURCE).unwrap();
    assert!(!dead.exists() && strange.exists());
    assert!(living.task().read(&file).await.is_some());
    let directories = || fs::read_dir(root).unwrap().count();
    assert_eq!(directories(), 3);
    drop(same_id);
    assert_eq!(directories(), 2, "it cleans up after itself");
}

#[test]
fn a_root_that_is_no_directory_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = LocalStateStores::open(&options(file.path(), true), RESOURCE).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}
