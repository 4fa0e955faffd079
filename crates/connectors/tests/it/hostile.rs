//! Snapshots of enumerators and readers, and committables, with bytes that were changed: restoring
//! and reading on gives an error or something that ends, never a panic.

use hurtig_connector_api::{ReadStatus, Source, SourceOutput, SplitEnumerator};
use hurtig_connectors::{
    CollectionSource, DataGeneratorSource, NexmarkSource, SequenceSource, TextFileSource,
    lines::PendingLineFile,
};
use hurtig_types::{BoxError, codec};
use proptest::{prelude::*, sample::Index};

use crate::driver::{in_runtime, reader_context};

/// A byte of a snapshot becomes another, or the snapshot ends there.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Cut(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, with)| Change::Byte(at, with)),
        1 => any::<Index>().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 1..5)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        match change {
            Change::Byte(at, with) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *with;
            }
            Change::Byte(..) => {}
            Change::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        }
    }
    bytes
}

/// Restores both sides of a source from changed bytes and lets them go on for a while.
fn go_on<S: Source>(source: &S, changes: &[Change]) -> Result<(), BoxError> {
    let mut enumerator = source.create_enumerator(2)?;
    let mut actions = Vec::new();
    enumerator.start(&mut actions)?;
    let state = changed(enumerator.snapshot()?, changes);
    if let Ok(mut restored) = source.restore_enumerator(2, &state) {
        ask(&mut *restored)?;
    }
    // Splits as a reader's snapshot holds them, one by one.
    for split in ask(&mut *enumerator)? {
        let bytes = changed(codec::encode(&split)?, changes);
        let Ok(split) = codec::decode::<S::Split>(&bytes) else { continue };
        let mut reader = source.create_reader(reader_context(0, 2))?;
        // Whatever it refuses, it refuses by an error.
        if reader.add_splits(vec![split]).is_err() {
            continue;
        }
        for _ in 0..20 {
            let mut out = SourceOutput::default();
            match reader.read(16, &mut out) {
                Ok(ReadStatus::More) => assert!(out.values.len() <= 10_000),
                _ => break,
            }
            let _ = codec::encode(&reader.snapshot())?;
        }
        // Closing says what was wrong, if anything.
        let _ = reader.close();
    }
    Ok(())
}

fn ask<S>(enumerator: &mut dyn SplitEnumerator<S>) -> Result<Vec<S>, BoxError> {
    let mut actions = Vec::new();
    for subtask in [0, 1, 0, 1] {
        if enumerator.on_split_request(subtask, &mut actions).is_err() {
            break;
        }
    }
    let splits = actions.into_iter().filter_map(|action| match action {
        hurtig_connector_api::EnumeratorAction::Assign { splits, .. } => Some(splits),
        _ => None,
    });
    Ok(splits.flatten().collect())
}

proptest! {
    #[test]
    fn sources_of_values_survive_changed_snapshots(changes in changes()) {
        in_runtime(|| -> Result<(), BoxError> {
            go_on(&SequenceSource::new(-20, 100), &changes)?;
            go_on(&CollectionSource::new((0..50).map(|n| format!("value {n}")))?, &changes)?;
            go_on(&DataGeneratorSource::new(|n| n, Some(90), None), &changes)?;
            go_on(&NexmarkSource::new(Some(100)), &changes)
        }).unwrap();
    }

    #[test]
    fn text_files_survive_changed_snapshots(changes in changes()) {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::write(directory.path().join(name), "one\ntwo\nthree\nfour\n").unwrap();
        }
        let source = TextFileSource::new(directory.path()).split_size_bytes(6);
        in_runtime(|| go_on(&source, &changes)).unwrap();
    }

    #[test]
    fn committables_of_random_bytes_are_errors_or_names(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(committable) = codec::decode::<PendingLineFile>(&bytes) {
            prop_assert!(codec::encode(&committable).unwrap().len() <= bytes.len());
        }
    }
}
