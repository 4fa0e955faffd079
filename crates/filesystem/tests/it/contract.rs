//! What every recoverable writer does, whatever it writes to.

use std::{path::Path, sync::Arc};

use futures::TryStreamExt;
use hurtig_env::{Runtimes, Signal};
use hurtig_filesystem::{
    FileSystemError, PartFile, PendingFile, RecoverableWriter, ResumableFile, Stores,
    object::ObjectRecoverableWriter,
    object_store::{ObjectStore, ObjectStoreExt},
    recoverable::{Surroundings, open},
};
use hurtig_types::codec;
use proptest::prelude::*;

use crate::parts_store::PartsStore;

/// Bytes of a part in these tests.
pub const PART: usize = 16;

/// A place to write to, which outlives its writers.
pub struct Place {
    pub store: Option<Arc<PartsStore>>,
    directory: tempfile::TempDir,
}

impl Place {
    pub fn local() -> Self {
        Self { store: None, directory: tempfile::tempdir().unwrap() }
    }

    pub fn object() -> Self {
        Self { store: Some(PartsStore::new(PART)), ..Self::local() }
    }

    /// A writer as a new process would open it.
    pub fn writer(&self) -> (Arc<dyn RecoverableWriter>, Signal) {
        let signal = Signal::new();
        let surroundings = Surroundings { runtimes: Runtimes::current(), signal: signal.clone() };
        let writer: Arc<dyn RecoverableWriter> = match &self.store {
            None => {
                let base = self.directory.path().join("base").display().to_string();
                open(&Stores::default(), &base, surroundings).unwrap()
            }
            Some(store) => {
                let root = "out".into();
                let writer = ObjectRecoverableWriter::new(
                    "s3://bucket/out",
                    store.clone(),
                    store.clone(),
                    root,
                    surroundings,
                );
                Arc::new(writer.with_part_bytes(PART))
            }
        };
        (writer, signal)
    }

    /// What is visible, as `path=content`.
    pub async fn visible(&self) -> Vec<String> {
        let mut files = Vec::new();
        match &self.store {
            None => walk(&self.directory.path().join("base"), "", &mut files),
            Some(store) => {
                let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
                for object in objects {
                    let path = object.location.as_ref().strip_prefix("out/").unwrap();
                    if !path.starts_with('.') {
                        let bytes = store.get(&object.location).await.unwrap();
                        let bytes = bytes.bytes().await.unwrap();
                        files.push(format!("{path}={}", String::from_utf8_lossy(&bytes)));
                    }
                }
            }
        }
        files.sort();
        files
    }
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue;
        }
        if entry.path().is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), files);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            files.push(format!("{prefix}{name}={text}"));
        }
    }
}

pub async fn flushed(file: &dyn PartFile, signal: &Signal) {
    while !file.is_flushed() {
        signal.wait().await;
    }
}

pub async fn persist(file: &mut dyn PartFile, signal: &Signal) -> ResumableFile {
    file.flush().unwrap();
    flushed(file, signal).await;
    let state = file.persist().unwrap();
    codec::decode(&codec::encode(&state).unwrap()).unwrap()
}

pub async fn finish(mut file: Box<dyn PartFile>, signal: &Signal) -> PendingFile {
    file.close().unwrap();
    flushed(&*file, signal).await;
    let pending = file.finish().unwrap();
    codec::decode(&codec::encode(&pending).unwrap()).unwrap()
}

/// Runs a test on every kind of place.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    for place in [Place::local(), Place::object()] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(place));
    }
}

#[test]
fn a_file_is_visible_when_it_is_committed_and_only_once() {
    everywhere(|place| async move {
        let (writer, signal) = place.writer();
        let mut file = writer.create("one", "bucket/one.txt").unwrap();
        file.write(b"more than a part of sixteen bytes").unwrap();
        file.write(b", and a tail").unwrap();
        assert_eq!(file.length(), 45);
        let pending = finish(file, &signal).await;
        assert_eq!(writer.in_progress("").await.unwrap(), ["one"]);
        assert!(place.visible().await.is_empty());
        let expected = ["bucket/one.txt=more than a part of sixteen bytes, and a tail"];
        for _ in 0..3 {
            // Another process, each time.
            let (writer, _) = place.writer();
            writer.commit(pending.clone()).await.unwrap();
            assert_eq!(place.visible().await, expected);
            assert!(writer.in_progress("").await.unwrap().is_empty());
        }
    });
}

#[test]
fn a_resumed_file_goes_on_at_the_length_of_the_checkpoint() {
    for checkpointed in [1, 15, 16, 17, 32, 40] {
        everywhere(|place| async move {
            let text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH";
            let (writer, signal) = place.writer();
            let mut file = writer.create("f", "f").unwrap();
            file.write(&text.as_bytes()[..checkpointed]).unwrap();
            let state = persist(&mut *file, &signal).await;
            assert_eq!(state.length, checkpointed as u64);
            // What follows is lost with the process.
            file.write(&[b'-'; 3 * PART]).unwrap();
            persist(&mut *file, &signal).await;
            drop(file);
            // The next attempt fails too, just before it commits.
            for attempt in 0..2 {
                let (writer, signal) = place.writer();
                let mut file = writer.resume(state.clone()).unwrap();
                file.write(&text.as_bytes()[checkpointed..]).unwrap();
                assert_eq!(file.length(), text.len() as u64);
                let pending = finish(file, &signal).await;
                if attempt == 1 {
                    writer.commit(pending).await.unwrap();
                    assert_eq!(place.visible().await, [format!("f={text}")]);
                }
            }
        });
    }
}

#[test]
fn a_resumed_file_may_have_nothing_to_add() {
    for text in ["tail", "0123456789abcdef", "0123456789abcdef and a tail"] {
        everywhere(|place| async move {
            let (writer, signal) = place.writer();
            let mut file = writer.create("f", "f").unwrap();
            file.write(text.as_bytes()).unwrap();
            let state = persist(&mut *file, &signal).await;
            drop(file);
            let (writer, signal) = place.writer();
            let pending = finish(writer.resume(state).unwrap(), &signal).await;
            writer.commit(pending).await.unwrap();
            assert_eq!(place.visible().await, [format!("f={text}")]);
        });
    }
}

#[test]
fn leftovers_are_found_by_name_and_removed() {
    everywhere(|place| async move {
        let (writer, signal) = place.writer();
        for name in ["a-1", "a-2", "b-1"] {
            let mut file = writer.create(name, name).unwrap();
            file.write(&[b'x'; PART + 1]).unwrap();
            persist(&mut *file, &signal).await;
        }
        let mut wanted = writer.create("a-3", "a-3").unwrap();
        wanted.write(&[b'y'; PART]).unwrap();
        let wanted = finish(wanted, &signal).await;
        let (writer, _) = place.writer();
        assert_eq!(writer.in_progress("a-").await.unwrap(), ["a-1", "a-2", "a-3"]);
        for name in ["a-1", "a-2", "a-1", "never-there"] {
            writer.discard(name).await.unwrap();
        }
        assert_eq!(writer.in_progress("").await.unwrap(), ["a-3", "b-1"]);
        writer.commit(wanted).await.unwrap();
        assert_eq!(place.visible().await, ["a-3=yyyyyyyyyyyyyyyy"]);
        if let Some(store) = &place.store {
            assert_eq!(store.open_uploads(), 1, "that of b-1");
        }
    });
}

#[test]
fn a_file_that_is_not_wanted_leaves_nothing() {
    everywhere(|place| async move {
        let (writer, signal) = place.writer();
        let mut file = writer.create("f", "f").unwrap();
        file.write(&[b'x'; 3 * PART]).unwrap();
        persist(&mut *file, &signal).await;
        file.discard();
        while !writer.in_progress("").await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(place.store.is_none_or(|store| store.open_uploads() == 0));
    });
}

#[test]
fn a_lost_file_is_an_error_that_names_it() {
    everywhere(|place| async move {
        let (writer, signal) = place.writer();
        let mut file = writer.create("f", "bucket/f").unwrap();
        file.write(b"content").unwrap();
        let pending = finish(file, &signal).await;
        writer.discard("f").await.unwrap();
        let error = writer.commit(pending).await.unwrap_err();
        assert!(matches!(error, FileSystemError::Lost { length: 7, .. }), "{error}");
        assert!(error.to_string().contains("bucket/f"), "{error}");
    });
}

#[test]
fn visible_files_are_removed_by_name_and_hidden_ones_are_not() {
    everywhere(|place| async move {
        let (writer, signal) = place.writer();
        for target in ["a/x-1", "b/c/x-2", "y-1"] {
            let mut file = writer.create("f", target).unwrap();
            file.write(b"z").unwrap();
            let pending = finish(file, &signal).await;
            writer.commit(pending).await.unwrap();
        }
        let mut file = writer.create("x-3", "x-3").unwrap();
        file.write(&[b'z'; PART]).unwrap();
        persist(&mut *file, &signal).await;
        writer.remove_committed(Arc::new(|name: &str| name.starts_with("x-"))).await.unwrap();
        assert_eq!(place.visible().await, ["y-1=z"]);
        assert_eq!(writer.in_progress("").await.unwrap(), ["x-3"]);
    });
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u8, usize),
    Persist,
    /// The process dies and another goes on from what was persisted last.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (b'a'..=b'z', 0usize..40).prop_map(|(byte, times)| Step::Write(byte, times)),
        2 => Just(Step::Persist),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_holds_what_was_written_and_not_lost(steps in steps()) {
        everywhere(|place| {
            let steps = steps.clone();
            async move {
                let (mut writer, mut signal) = place.writer();
                let mut file = writer.create("f", "f").unwrap();
                let (mut text, mut persisted) = (Vec::new(), None);
                for step in steps {
                    match step {
                        Step::Write(byte, times) => {
                            file.write(&vec![byte; times]).unwrap();
                            text.extend(std::iter::repeat_n(byte, times));
                        }
                        Step::Persist => {
                            persisted = Some((persist(&mut *file, &signal).await, text.clone()));
                        }
                        Step::Crash => {
                            (writer, signal) = place.writer();
                            match &persisted {
                                Some((state, then)) => {
                                    text.clone_from(then);
                                    file = writer.resume(state.clone()).unwrap();
                                }
                                None => {
                                    text.clear();
                                    writer.discard("f").await.unwrap();
                                    file = writer.create("f", "f").unwrap();
                                }
                            }
                        }
                    }
                    assert_eq!(file.length(), text.len() as u64);
                }
                let pending = finish(file, &signal).await;
                writer.commit(pending).await.unwrap();
                let expected = format!("f={}", String::from_utf8(text).unwrap());
                assert_eq!(place.visible().await, [expected]);
            }
        });
    }
}
