//! What is in state files: keyed state and timers, lists, records in flight.

use hurtig_network::in_flight::{self, InFlightElement};
use hurtig_state_api::{
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, ValueStateDescriptor,
};
use hurtig_state_heap::{
    BlockKind, CaptureWriter, KeyedStateStore, StateError, TimerQueue, keyed_state_meta,
    read_blocks,
};
use hurtig_types::{
    BoxedPayload, KeyGroupRange, OperatorStateHandle, RedistributionMode, StateFile, StateKind,
    StreamStatus, Watermark,
    element::ControlElement,
    snapshot::{PartitionedState, StatePartition},
    stable_hash,
};

const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: 127 };
const GROUPS: u32 = 128;

fn store() -> KeyedStateStore<String> {
    KeyedStateStore::new(ALL, GROUPS, 0)
}

/// Keyed state and timers, restored as operators do. Nothing more comes of bytes than they can
/// hold, and keys are where they are looked for.
pub fn keyed_state(bytes: &[u8]) {
    let mut store = store();
    let mut timers = TimerQueue::<String, ()>::default();
    let read = read_blocks(bytes, |meta, block| match block.kind {
        BlockKind::Entries | BlockKind::Removals => {
            store.restore(meta, block);
            Ok(())
        }
        BlockKind::EventTimers | BlockKind::ProcessingTimers => timers.restore(&block, ALL, GROUPS),
    });
    if read.is_err() || register(&mut store).is_err() {
        return;
    }
    let mut keys = 0;
    store.each_key(|hash, key| {
        assert_eq!(hash, stable_hash(key).expect("a key"), "a key lies where nobody finds it");
        keys += 1;
    });
    assert!(keys + timers.len() <= bytes.len(), "each takes a byte at least");
}

fn register(store: &mut KeyedStateStore<String>) -> Result<(), StateError> {
    store.value_state(&ValueStateDescriptor::<u64>::new("value"))?;
    store.list_state(&ListStateDescriptor::<String>::new("list"))?;
    store.map_state(&MapStateDescriptor::<u32, Vec<i64>>::new("map"))?;
    store.reducing_state(&ReducingStateDescriptor::<i64>::new("reduced", |a, b| *a += b))?;
    Ok(())
}

/// Files with every kind of state, and timers.
pub fn keyed_states() -> Vec<Vec<u8>> {
    [0, 1, 12].map(|keys| keyed_file(keys).expect("intact state can be written")).into()
}

fn keyed_file(keys: u32) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut store = store();
    let value = store.value_state(&ValueStateDescriptor::<u64>::new("value"))?;
    let list = store.list_state(&ListStateDescriptor::<String>::new("list"))?;
    let map = store.map_state(&MapStateDescriptor::<u32, Vec<i64>>::new("map"))?;
    let reduce = ReducingStateDescriptor::<i64>::new("reduced", |a, b| *a += b);
    let reduced = store.reducing_state(&reduce)?;
    let mut timers = TimerQueue::<String, ()>::default();
    for number in 0..keys {
        let key = format!("key {number}");
        let hash = stable_hash(&key)?;
        timers.register(i64::from(number) * 1000, hash, &key, &());
        store.set_current_key(hash, key);
        value.update(&mut store, u64::from(number))?;
        list.add(&mut store, format!("element {number}"))?;
        map.put(&mut store, number, vec![1, 2, 3])?;
        reduced.add(&mut store, 7)?;
    }
    store.begin_capture(None);
    timers.begin_capture();
    let (mut writer, mut bytes) = (CaptureWriter::default(), Vec::new());
    while let Some((meta, block)) = store.next_block(100)? {
        let meta = meta.clone();
        writer.append(&meta, &block, &mut bytes)?;
    }
    let meta = keyed_state_meta::<String, ()>("_timers", StateKind::Timers);
    while let Some(block) = timers.next_block(BlockKind::EventTimers, 100)? {
        writer.append(&meta, &block, &mut bytes)?;
    }
    Ok(bytes)
}

/// Lists of operator state: places from the metadata, within a file. The first half of the bytes
/// are places, 16 bytes each, the rest is the file.
pub fn operator_lists(bytes: &[u8]) {
    let (places, content) = bytes.split_at(bytes.len() / 2);
    let number = |bytes: &[u8]| {
        let mut number = [0; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(number)
    };
    let partitions = places
        .chunks_exact(16)
        .map(|place| StatePartition { offset: number(&place[..8]), length: number(&place[8..]) });
    let partitions: Vec<_> = partitions.collect();
    let handle = OperatorStateHandle {
        file: StateFile::inline(content),
        states: vec![PartitionedState {
            name: "list".to_owned(),
            mode: RedistributionMode::SplitDistribute,
            partitions: partitions.clone(),
        }],
    };
    let inside = partitions
        .iter()
        .all(|place| u128::from(place.offset) + u128::from(place.length) <= content.len() as u128);
    match hurtig_task::restore::lists(&handle, content) {
        Ok(lists) => {
            assert!(inside, "something was read that is not there");
            assert!(
                lists.iter().map(|list| list.elements.len()).sum::<usize>() <= partitions.len()
            );
        }
        Err(error) => {
            assert!(!inside, "{error}");
            assert!(error.to_string().contains("\"list\""), "it names the state: {error}");
        }
    }
}

/// Places and files that fit.
pub fn lists() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    for (offset, length) in [(0u64, 8u64), (8, 8), (16, 0)] {
        bytes.extend(offset.to_le_bytes());
        bytes.extend(length.to_le_bytes());
    }
    let content: Vec<u8> = (0..bytes.len() as u8).collect();
    bytes.extend(content);
    vec![Vec::new(), bytes]
}

/// Records in flight of a channel. What can be read can be written and read again.
pub fn in_flight(bytes: &[u8]) {
    let Ok(elements) = in_flight::decode(bytes) else { return };
    assert!(elements.len() <= bytes.len(), "each takes a byte at least");
    for element in &elements {
        if let InFlightElement::Control(control) = element {
            let mut again = Vec::new();
            in_flight::put_control(control, &mut again).expect("what was read can be written");
            let read = in_flight::decode(&again).expect("what was written can be read");
            assert_eq!(read.len(), 1);
        }
    }
}

/// Channels with records, watermarks and states of idleness.
pub fn in_flight_elements() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let put = |result: hurtig_types::FlowResult| result.expect("intact elements can be written");
    for number in 0..3i64 {
        let batch: BoxedPayload = Box::new(hurtig_types::Batch::new(vec![number; 4]));
        put(in_flight::put_batch(&batch, &mut bytes));
        let watermark = ControlElement::Watermark(Watermark(number));
        put(in_flight::put_control(&watermark, &mut bytes));
        put(in_flight::put_control(&ControlElement::Status(StreamStatus::Idle), &mut bytes));
    }
    vec![Vec::new(), bytes]
}
