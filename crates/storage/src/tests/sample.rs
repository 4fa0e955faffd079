//! A job with a bit of everything, and its metadata.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_checkpoint::{
    CheckpointMetadata, OperatorState, Topology,
    model::{ChainInput, METADATA_FORMAT_VERSION, MasterState},
    topology::{InputInfo, OperatorInfo, VertexInfo},
};
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, JobVertexId, KeyGroupRange, KeyedStateHandle, OperatorId,
    OperatorStateHandle, OperatorSubtaskState, StateFile, StateKind, StateMeta,
    snapshot::{
        InputChannelState, PartitionedState, RedistributionMode, ResultSubpartitionState,
        StatePartition,
    },
};

pub(super) const JOB: JobId = JobId(0xabcdef << 104);

pub(super) fn topology(parallelism: u32) -> Topology {
    let vertex = |id: u128, inputs| VertexInfo {
        id: JobVertexId(id),
        name: format!("v{id}"),
        parallelism,
        max_parallelism: 8,
        max_parallelism_derived: true,
        operators: vec![OperatorInfo {
            id: OperatorId(id),
            name: format!("v{id}"),
            uid: None,
            has_coordinator: false,
            declared: Vec::new(),
        }],
        inputs,
    };
    let input = InputInfo {
        producer: 0,
        producer_output: 0,
        ship: hurtig_graph::ShipStrategy::KeyGroup,
        pattern: hurtig_graph::DistributionPattern::AllToAll,
    };
    Topology { job: JOB, vertices: vec![vertex(1, Vec::new()), vertex(2, vec![input])] }
}

/// Metadata whose second operator keeps `files` as keyed state and some more in its handles.
pub(super) fn metadata(id: u64, files: Vec<StateFile>) -> CheckpointMetadata {
    let operator = |id: u128| OperatorState {
        name: format!("v{id}"),
        uid: Some(format!("uid-{id}")),
        parallelism: 2,
        max_parallelism: 8,
        fully_finished: false,
        finished_subtasks: BTreeSet::new(),
        ended_subtasks: BTreeSet::new(),
        states: vec![StateMeta {
            name: "count".into(),
            kind: StateKind::Value,
            codec: "postcard-1".into(),
            schema: "u64".into(),
            fingerprint: 7,
        }],
        subtasks: BTreeMap::new(),
        coordinator_state: Some(vec![1, 2, 3]),
        inputs: Vec::new(),
    };
    let (mut source, mut map) = (operator(1), operator(2));
    let file = StateFile::inline(b"0123456789");
    let partitions = vec![StatePartition { offset: 2, length: 4 }];
    let (name, mode) = ("list".to_owned(), RedistributionMode::Union);
    let state = OperatorSubtaskState {
        operator: vec![OperatorStateHandle {
            file: file.clone(),
            states: vec![PartitionedState { name, mode, partitions }],
        }],
        result_subpartitions: vec![ResultSubpartitionState {
            partition: 0,
            subpartition: 1,
            file: file.clone(),
        }],
        ..Default::default()
    };
    source.subtasks.insert(1, state);
    let key_groups = KeyGroupRange { start: 0, end: 3 };
    let state = OperatorSubtaskState {
        keyed: vec![KeyedStateHandle { key_groups, chain: files }],
        input_channels: vec![InputChannelState { gate: 0, channel: 1, file }],
        ..Default::default()
    };
    map.subtasks.insert(0, state);
    map.inputs = vec![ChainInput {
        producer: OperatorId(1),
        producer_output: 0,
        producer_parallelism: 2,
        ship: hurtig_graph::ShipStrategy::KeyGroup,
        pattern: hurtig_graph::DistributionPattern::AllToAll,
    }];
    CheckpointMetadata {
        format_version: METADATA_FORMAT_VERSION,
        job: JOB,
        checkpoint_id: CheckpointId(id),
        checkpoint_type: CheckpointType::Checkpoint,
        timestamp_ms: 1234,
        operators: [(OperatorId(1), source), (OperatorId(2), map)].into(),
        master_states: vec![MasterState { name: "m".into(), version: 1, bytes: vec![9] }],
    }
}
