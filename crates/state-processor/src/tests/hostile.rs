//! State whose bytes were changed, with the right checksums: an error or something sound.

use std::sync::Arc;

use hurtig_state_api::{ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor};
use hurtig_types::{StateFile, StateLocation};
use proptest::prelude::*;

use super::sample::{snapshot, wait};
use crate::{InspectOptions, SavepointReader, inspect};

/// Changes bytes of every file, and makes their checksums fit.
fn changed(changes: &[(prop::sample::Index, u8)]) -> crate::OpenSnapshot {
    let mut snapshot = snapshot();
    let mut metadata = (*snapshot.metadata).clone();
    for file in metadata.files_mut() {
        let StateLocation::Inline(bytes) = &file.location else { continue };
        let mut bytes = bytes.to_vec();
        for (at, with) in changes {
            let at = at.index(bytes.len());
            bytes[at] = *with;
        }
        *file = StateFile::inline(&bytes);
    }
    snapshot.metadata = Arc::new(metadata);
    snapshot
}

proptest! {
    #[test]
    fn changed_state_is_an_error_or_sound(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let snapshot = changed(&changes);
        let bytes = snapshot.metadata.state_size_bytes() as usize;
        let options = InspectOptions { contents: true, verify: true };
        wait(inspect(&snapshot, options)).unwrap();
        let reader = SavepointReader::of(snapshot).unwrap();
        let value = ValueStateDescriptor::<u64>::new("value");
        let records = reader.read_keyed_state::<u32, u64>("all", &value).unwrap();
        prop_assert!(records.map_while(Result::ok).count() <= bytes);
        let slices = reader.read_window_slices::<u32, i64>("all").unwrap();
        prop_assert!(slices.map_while(Result::ok).count() <= bytes);
        let split = ListStateDescriptor::<String>::new("split");
        prop_assert!(reader.read_list_state("all", &split).unwrap().count() <= 10);
        let rules = MapStateDescriptor::<u8, bool>::new("rules");
        prop_assert!(reader.read_broadcast_state("all", &rules).unwrap().count() <= 3);
    }
}

#[test]
fn changed_bytes_without_their_checksum_are_a_problem_of_the_report() {
    let mut snapshot = snapshot();
    let mut metadata = (*snapshot.metadata).clone();
    if let Some(file) = metadata.files_mut().next() {
        file.checksum ^= 1;
    }
    snapshot.metadata = Arc::new(metadata);
    let options = InspectOptions { contents: false, verify: true };
    let report = wait(inspect(&snapshot, options)).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let value = ValueStateDescriptor::<u64>::new("value");
    let reader = SavepointReader::of(snapshot).unwrap();
    let records = reader.read_keyed_state::<u32, u64>("all", &value).unwrap();
    assert!(records.last().is_some_and(|record| record.is_err()), "the end is not silent");
}
