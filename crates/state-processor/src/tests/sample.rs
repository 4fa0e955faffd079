//! A snapshot in memory with keyed state, timers, slices, and the three kinds of operator state.

use std::sync::Arc;

use hurtig_checkpoint::{CheckpointMetadata, OperatorState, model::METADATA_FORMAT_VERSION};
use hurtig_state_api::{ListStateDescriptor, ValueStateDescriptor};
use hurtig_state_heap::{
    BlockKind, CaptureWriter, KeyedStateStore, KeyedTable, TimerQueue, keyed_state_meta,
};
use hurtig_storage::Stores;
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, KeyGroupRange, KeyedStateHandle, OperatorId,
    OperatorStateHandle, OperatorSubtaskState, RedistributionMode, SavepointFormat, StateFile,
    StateKind, StateMeta, codec, key_group_of,
    snapshot::{PartitionedState, StatePartition},
    stable_hash,
};

use crate::snapshot::OpenSnapshot;

pub(crate) const MAX: u32 = 16;
pub(crate) const KEYS: u32 = 100;

/// Key `k` has the value `k * 10`, the list `[k, k + 1]` and a timer at `k`; key `k` of slice 500
/// has `-k`.
fn keyed_file(range: KeyGroupRange) -> (Vec<u8>, Vec<StateMeta>) {
    let mut store = KeyedStateStore::<u32>::new(range, MAX, 0);
    let value = store.value_state(&ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = store.list_state(&ListStateDescriptor::<u32>::new("list")).unwrap();
    let mut slice = KeyedTable::<u32, i64>::new(range, MAX);
    let mut timers = TimerQueue::<u32, ()>::default();
    for key in 0..KEYS {
        let hash = stable_hash(&key).unwrap();
        if !range.contains(key_group_of(hash, MAX)) {
            continue;
        }
        timers.register(i64::from(key), hash, &key, &());
        slice.insert(hash, &key, -i64::from(key));
        store.set_current_key(hash, key);
        value.update(&mut store, u64::from(key) * 10).unwrap();
        list.update(&mut store, vec![key, key + 1]).unwrap();
    }
    store.begin_capture(None);
    slice.begin_capture(None);
    timers.begin_capture();
    let (mut writer, mut bytes) = (CaptureWriter::default(), Vec::new());
    let mut metas: Vec<StateMeta> = store.metas().cloned().collect();
    while let Some((meta, block)) = store.next_block(64).unwrap() {
        let meta = meta.clone();
        writer.append(&meta, &block, &mut bytes).unwrap();
    }
    let meta = keyed_state_meta::<u32, i64>("_slices", StateKind::Aggregating);
    while let Some(mut block) = slice.next_block(64).unwrap() {
        block.namespace = 500;
        writer.append(&meta, &block, &mut bytes).unwrap();
    }
    metas.push(meta);
    let meta = keyed_state_meta::<u32, ()>("_timers", StateKind::Timers);
    while let Some(block) = timers.next_block(BlockKind::EventTimers, 64).unwrap() {
        writer.append(&meta, &block, &mut bytes).unwrap();
    }
    metas.push(meta);
    (bytes, metas)
}

fn lists(subtask: u32) -> (OperatorStateHandle, Vec<StateMeta>) {
    use RedistributionMode::{Broadcast, SplitDistribute, Union};
    let mut content = Vec::new();
    let mut state = |name: &str, mode, elements: Vec<Vec<u8>>| {
        let partitions = elements.iter().map(|element| {
            let (offset, length) = (content.len() as u64, element.len() as u64);
            content.extend_from_slice(element);
            StatePartition { offset, length }
        });
        let partitions = partitions.collect();
        PartitionedState { name: name.to_owned(), mode, partitions }
    };
    let text = |text: String| codec::encode(&text).unwrap();
    let pair = |pair: (u8, bool)| codec::encode(&pair).unwrap();
    let states = vec![
        state("split", SplitDistribute, (0..3).map(|n| text(format!("{subtask}/{n}"))).collect()),
        state("union", Union, vec![text(format!("of {subtask}"))]),
        state("rules", Broadcast, vec![pair((1, true)), pair((2, false))]),
    ];
    let metas = vec![
        StateMeta::of_elements::<String>("split", SplitDistribute),
        StateMeta::of_elements::<String>("union", Union),
        StateMeta::of_elements::<(u8, bool)>("rules", Broadcast),
    ];
    (OperatorStateHandle { file: StateFile::inline(&content), states }, metas)
}

/// The snapshot of a job of parallelism 3.
pub(crate) fn snapshot() -> OpenSnapshot {
    let mut operator = OperatorState {
        name: "everything".to_owned(),
        uid: Some("all".to_owned()),
        parallelism: 3,
        max_parallelism: MAX,
        fully_finished: false,
        finished_subtasks: Default::default(),
        ended_subtasks: Default::default(),
        states: Vec::new(),
        subtasks: Default::default(),
        coordinator_state: Some(vec![1, 2, 3]),
        inputs: Vec::new(),
    };
    for subtask in 0..3 {
        let key_groups = KeyGroupRange::of_subtask(subtask, 3, MAX);
        let (keyed, mut metas) = keyed_file(key_groups);
        let (list, more) = lists(subtask);
        metas.extend(more);
        operator.states = metas;
        let state = OperatorSubtaskState {
            keyed: vec![KeyedStateHandle { key_groups, chain: vec![StateFile::inline(&keyed)] }],
            operator: vec![list],
            ..OperatorSubtaskState::default()
        };
        operator.subtasks.insert(subtask, state);
    }
    let metadata = CheckpointMetadata {
        format_version: METADATA_FORMAT_VERSION,
        job: JobId(7),
        checkpoint_id: CheckpointId(5),
        checkpoint_type: CheckpointType::Savepoint {
            format: SavepointFormat::Canonical,
            terminate: None,
        },
        timestamp_ms: 12,
        operators: [(OperatorId(1), operator)].into(),
        master_states: Vec::new(),
    };
    let (metadata, stores) = (Arc::new(metadata), Arc::new(Stores::default()));
    OpenSnapshot { metadata, pointer: "memory:///s".into(), stores }
}

/// Waits for what is read.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}
