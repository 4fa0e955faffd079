//! Bytes of snapshots that were changed after their checksums were computed, or made up: reading
//! them gives an error or something sound, and never more than the bytes could hold.

use std::collections::HashMap;

use hurtig_state_api::{
    Key, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, ValueStateDescriptor,
};
use hurtig_types::{CodecError, KeyGroupRange, Record, StateKind, stable_hash};
use proptest::prelude::*;

use crate::{
    Block, BlockKind, CaptureWriter, KeyedStateStore, KeyedTable, TimerQueue, keyed_state_meta,
    read_blocks,
};

const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: 127 };
const GROUPS: u32 = 128;

fn store() -> KeyedStateStore<String> {
    KeyedStateStore::new(ALL, GROUPS, 0)
}

/// A file with every kind of state, and timers.
fn file() -> Vec<u8> {
    let mut store = store();
    let value = store.value_state(&ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = store.list_state(&ListStateDescriptor::<String>::new("list")).unwrap();
    let map = store.map_state(&MapStateDescriptor::<u32, Vec<i64>>::new("map")).unwrap();
    let rows = store.append_list_state("rows").unwrap();
    let reduce = ReducingStateDescriptor::<i64>::new("reduced", |a, b| *a += b);
    let reduced = store.reducing_state(&reduce).unwrap();
    let mut timers = TimerQueue::<String, ()>::default();
    for number in 0..12u32 {
        let key = format!("key {number}");
        let hash = stable_hash(&key).unwrap();
        timers.register(i64::from(number) * 1000, hash, &key, &());
        store.set_current_key(hash, key);
        value.update(&mut store, u64::from(number)).unwrap();
        list.add(&mut store, format!("element {number}")).unwrap();
        map.put(&mut store, number, vec![1, 2, 3]).unwrap();
        rows.add(&mut store, [&b"one"[..], b"two"].into_iter()).unwrap();
        reduced.add(&mut store, 7).unwrap();
    }
    store.begin_capture(None);
    timers.begin_capture();
    let (mut writer, mut bytes) = (CaptureWriter::default(), Vec::new());
    while let Some((meta, block)) = store.next_block(100).unwrap() {
        let meta = meta.clone();
        writer.append(&meta, &block, &mut bytes).unwrap();
    }
    let meta = keyed_state_meta::<String, ()>("_timers", StateKind::Timers);
    while let Some(block) = timers.next_block(BlockKind::EventTimers, 100).unwrap() {
        writer.append(&meta, &block, &mut bytes).unwrap();
    }
    bytes
}

/// Restores a file as operators do, and counts what came of it.
fn restore(bytes: &[u8]) -> Result<usize, String> {
    let mut store = store();
    let mut timers = TimerQueue::<String, ()>::default();
    read_blocks(bytes, |meta, block| match block.kind {
        BlockKind::Entries | BlockKind::Removals => {
            store.restore(meta, block);
            Ok(())
        }
        BlockKind::EventTimers | BlockKind::ProcessingTimers => timers.restore(&block, ALL, GROUPS),
    })
    .map_err(|error| error.to_string())?;
    let text = |error: crate::StateError| error.to_string();
    store.value_state(&ValueStateDescriptor::<u64>::new("value")).map_err(text)?;
    store.list_state(&ListStateDescriptor::<String>::new("list")).map_err(text)?;
    store.map_state(&MapStateDescriptor::<u32, Vec<i64>>::new("map")).map_err(text)?;
    store.append_list_state("rows").map_err(text)?;
    let reduce = ReducingStateDescriptor::<i64>::new("reduced", |a, b| *a += b);
    store.reducing_state(&reduce).map_err(text)?;
    let mut keys = 0;
    store.each_key(|hash, key| {
        assert_eq!(hash, stable_hash(key).unwrap(), "a key lies where nobody finds it");
        keys += 1;
    });
    Ok(keys + timers.len())
}

fn restore_table<K: Key, V: Record>(block: &Block) -> Result<usize, CodecError> {
    let mut table = KeyedTable::<K, V>::new(ALL, GROUPS);
    table.restore(block)?;
    Ok(table.len())
}

#[test]
fn an_intact_file_restores_whole() {
    assert_eq!(restore(&file()), Ok(6 * 12));
}

/// Entries that take no bytes are all the same: a count of four thousand million is no work.
#[test]
fn a_count_of_nothing_is_no_work() {
    let key_group = hurtig_types::key_group_of(stable_hash(&()).unwrap(), GROUPS);
    for kind in [BlockKind::Entries, BlockKind::Removals] {
        let block = Block { key_group, kind, namespace: 0, count: u32::MAX, bytes: Vec::new() };
        assert!(restore_table::<(), ()>(&block).unwrap() <= 1);
        assert!(restore_table::<u8, u8>(&block).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_errors_or_sound(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = file();
        let whole = bytes.len();
        for (at, with) in changes {
            bytes[at.index(whole)] = with;
        }
        if cuts {
            bytes.truncate(cut.index(whole));
        }
        if let Ok(restored) = restore(&bytes) {
            prop_assert!(restored <= whole, "each takes a byte at least");
        }
    }

    #[test]
    fn made_up_blocks_are_errors_or_sound(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        count in prop_oneof![0u32..20, any::<u32>()],
        key_group in 0u32..200,
        kind in prop::sample::select(vec![
            BlockKind::Entries,
            BlockKind::Removals,
            BlockKind::EventTimers,
            BlockKind::ProcessingTimers,
        ]),
    ) {
        let length = bytes.len();
        let block = Block { key_group, kind, namespace: 0, count, bytes };
        for restored in [
            restore_table::<u8, u8>(&block),
            restore_table::<u32, Vec<String>>(&block),
            restore_table::<(String, u64), HashMap<u32, i64>>(&block),
        ] {
            prop_assert!(restored.unwrap_or(0) <= length);
        }
        let mut timers = TimerQueue::<u32, (i64, i64)>::default();
        if timers.restore(&block, ALL, GROUPS).is_ok() {
            prop_assert!(timers.len() <= length);
        }
    }
}
