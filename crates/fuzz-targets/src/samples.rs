//! A job with a bit of everything, and its metadata.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_checkpoint::{
    CheckpointMetadata, OperatorState, Topology,
    model::{ChainInput, METADATA_FORMAT_VERSION, MasterState},
    topology::{InputInfo, OperatorInfo, VertexInfo},
};
use hurtig_graph::{DistributionPattern, ShipStrategy};
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, JobVertexId, KeyGroupRange, KeyedStateHandle, OperatorId,
    OperatorStateHandle, OperatorSubtaskState, StateFile, StateKind, StateLocation, StateMeta,
    StateScope,
    snapshot::{
        InputChannelState, PartitionedState, RedistributionMode, ResultSubpartitionState,
        StatePartition,
    },
};

const JOB: JobId = JobId(0xabcdef << 104);
const MAX_PARALLELISM: u32 = 8;

/// A source and, behind a shuffle by key, an operator.
pub(crate) fn topology(parallelism: u32) -> Topology {
    let vertex = |id: u128, inputs| VertexInfo {
        id: JobVertexId(id),
        name: format!("v{id}"),
        parallelism,
        max_parallelism: MAX_PARALLELISM,
        max_parallelism_derived: true,
        operators: vec![OperatorInfo {
            id: OperatorId(id),
            name: format!("v{id}"),
            uid: None,
            has_coordinator: id == 1,
            declared: Vec::new(),
        }],
        inputs,
    };
    let input = InputInfo {
        producer: 0,
        producer_output: 0,
        ship: ShipStrategy::KeyGroup,
        pattern: DistributionPattern::AllToAll,
    };
    Topology { job: JOB, vertices: vec![vertex(1, Vec::new()), vertex(2, vec![input])] }
}

/// The handle of a file.
pub(crate) fn file(url: &str) -> StateFile {
    let location = StateLocation::Absolute(url.into());
    StateFile { location, scope: StateScope::Exclusive, length: 1, checksum: 2 }
}

fn operator(id: u128) -> OperatorState {
    OperatorState {
        name: format!("v{id}"),
        uid: Some(format!("uid-{id}")),
        parallelism: 2,
        max_parallelism: MAX_PARALLELISM,
        fully_finished: false,
        finished_subtasks: BTreeSet::from([0]),
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
    }
}

/// Metadata of such a job, whose second operator keeps these files as keyed state.
pub(crate) fn metadata(files: Vec<StateFile>) -> CheckpointMetadata {
    let (mut source, mut keyed) = (operator(1), operator(2));
    let small = StateFile::inline(b"0123456789");
    let list = PartitionedState {
        name: "list".to_owned(),
        mode: RedistributionMode::Union,
        partitions: vec![StatePartition { offset: 2, length: 4 }],
    };
    let outputs = ResultSubpartitionState { partition: 0, subpartition: 1, file: small.clone() };
    let of_source = OperatorSubtaskState {
        operator: vec![OperatorStateHandle { file: small.clone(), states: vec![list] }],
        result_subpartitions: vec![outputs],
        ..Default::default()
    };
    source.subtasks.insert(1, of_source);
    let key_groups = KeyGroupRange { start: 0, end: 3 };
    let of_keyed = OperatorSubtaskState {
        keyed: vec![KeyedStateHandle { key_groups, chain: files }],
        input_channels: vec![InputChannelState { gate: 0, channel: 1, file: small }],
        ..Default::default()
    };
    keyed.subtasks.insert(0, of_keyed);
    keyed.inputs = vec![ChainInput {
        producer: OperatorId(1),
        producer_output: 0,
        producer_parallelism: 2,
        ship: ShipStrategy::KeyGroup,
        pattern: DistributionPattern::AllToAll,
    }];
    CheckpointMetadata {
        format_version: METADATA_FORMAT_VERSION,
        job: JOB,
        checkpoint_id: CheckpointId(3),
        checkpoint_type: CheckpointType::Checkpoint,
        timestamp_ms: 1234,
        operators: [(OperatorId(1), source), (OperatorId(2), keyed)].into(),
        master_states: vec![MasterState { name: "m".into(), version: 1, bytes: vec![9] }],
    }
}
