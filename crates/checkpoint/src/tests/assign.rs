//! The assignment of state: what must be preserved, and what must be refused.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use hurtig_graph::{DistributionPattern, ShipStrategy, distribution::consumers_of};
use hurtig_types::{
    CheckpointId, CheckpointType, JobId, KeyGroupRange, KeyedStateHandle, OperatorId,
    OperatorStateHandle, OperatorSubtaskState, StateKind, StateMeta, StateScope,
    snapshot::{
        InputChannelState, PartitionedState, RedistributionMode, ResultSubpartitionState,
        StatePartition,
    },
};
use proptest::prelude::*;

use super::script::{NAMES, file, vertex};
use crate::{
    CheckpointMetadata, MasterState, OperatorState, Topology, assign_states,
    model::{ChainInput, METADATA_FORMAT_VERSION},
    topology::InputInfo,
};

const SRC: OperatorId = OperatorId(1);
const MAP: OperatorId = OperatorId(2);
const MAX: u32 = 8;

fn meta(name: &str, fingerprint: u64) -> StateMeta {
    let schema = format!("schema {fingerprint}");
    let (name, codec) = (name.to_owned(), "postcard-1".to_owned());
    StateMeta { name, kind: StateKind::Value, codec, schema, fingerprint }
}

fn operator(position: usize, parallelism: u32) -> OperatorState {
    OperatorState {
        name: NAMES[position].to_owned(),
        uid: None,
        parallelism,
        max_parallelism: MAX,
        fully_finished: false,
        finished_subtasks: BTreeSet::new(),
        ended_subtasks: BTreeSet::new(),
        states: Vec::new(),
        subtasks: BTreeMap::new(),
        coordinator_state: None,
        inputs: Vec::new(),
    }
}

fn metadata(operators: [OperatorState; 2]) -> CheckpointMetadata {
    let [src, map] = operators;
    CheckpointMetadata {
        format_version: METADATA_FORMAT_VERSION,
        job: JobId(1),
        checkpoint_id: CheckpointId(5),
        checkpoint_type: CheckpointType::Checkpoint,
        timestamp_ms: 0,
        operators: [(SRC, src), (MAP, map)].into(),
        master_states: Vec::<MasterState>::new(),
    }
}

fn job(producers: u32, consumers: u32, ship: ShipStrategy) -> Topology {
    let pattern = match ship {
        ShipStrategy::Forward | ShipStrategy::Rescale => DistributionPattern::Pointwise,
        _ => DistributionPattern::AllToAll,
    };
    let mut map = vertex(1, consumers, false);
    map.inputs.push(InputInfo { producer: 0, producer_output: 0, ship, pattern });
    Topology { job: JobId(1), vertices: vec![vertex(0, producers, false), map] }
}

fn keyed(parallelism: u32) -> OperatorState {
    let mut state = operator(1, parallelism);
    state.states = vec![meta("count", 1)];
    for subtask in 0..parallelism {
        let key_groups = KeyGroupRange::of_subtask(subtask, parallelism, MAX);
        let chain = vec![file(StateScope::Exclusive, &format!("k{subtask}"))];
        let keyed = vec![KeyedStateHandle { key_groups, chain }];
        state.subtasks.insert(subtask, OperatorSubtaskState { keyed, ..Default::default() });
    }
    state
}

fn refused(metadata: &CheckpointMetadata, topology: &Topology, expect: Expect) {
    let error = assign_states(metadata, topology, false).expect_err("it must be refused");
    let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
    expect.assert_eq(&format!("{error}{source}"));
}

proptest! {
    #[test]
    fn every_key_group_goes_to_one_subtask(old in 1u32..=MAX, new in 1u32..=MAX) {
        let metadata = metadata([operator(0, 1), keyed(old)]);
        let topology = job(1, new, ShipStrategy::KeyGroup);
        let assignment = assign_states(&metadata, &topology, false).unwrap();
        let mut groups = Vec::new();
        for subtask in 0..new {
            let own = KeyGroupRange::of_subtask(subtask, new, MAX);
            let restore = &assignment.tasks[&(topology.vertices[1].id, subtask)];
            for handle in &restore.operators[&MAP].keyed {
                for group in handle.key_groups.start..=handle.key_groups.end {
                    prop_assert!(own.contains(group));
                    let owner = hurtig_types::operator_index_of(group, old, MAX);
                    let name = format!("k{owner}");
                    prop_assert_eq!(&**handle.chain[0].url().unwrap(), &name);
                    groups.push(group);
                }
            }
            prop_assert_eq!(&restore.operators[&MAP].states, &[meta("count", 1)]);
        }
        prop_assert_eq!(groups, (0..MAX).collect::<Vec<_>>());
    }

    #[test]
    fn list_state_is_redistributed_by_its_mode(
        old in 1u32..6,
        new in 1u32..6,
        sizes in prop::collection::vec((0u64..5, 0u64..3, any::<bool>()), 6),
    ) {
        let mut state = operator(1, old);
        let (mut all_split, mut all_union) = (Vec::new(), Vec::new());
        for subtask in 0..old {
            let (split, union, broadcast) = sizes[subtask as usize];
            let elements = |count: u64, from: u64| -> Vec<StatePartition> {
                (0..count).map(|i| StatePartition { offset: from + i, length: 1 }).collect()
            };
            let part = |name: &str, mode, partitions| {
                PartitionedState { name: name.to_owned(), mode, partitions }
            };
            let mut states = vec![
                part("split", RedistributionMode::SplitDistribute, elements(split, 0)),
                part("union", RedistributionMode::Union, elements(union, 5)),
            ];
            if broadcast {
                states.push(part("cast", RedistributionMode::Broadcast, elements(1, 9)));
            }
            all_split.extend((0..split).map(|i| (subtask, i)));
            all_union.extend((0..union).map(|i| (subtask, 5 + i)));
            let file = file(StateScope::Exclusive, &subtask.to_string());
            let operator = vec![OperatorStateHandle { file, states }];
            state.subtasks.insert(subtask, OperatorSubtaskState { operator, ..Default::default() });
        }
        let broadcasts = (0..old).any(|subtask| sizes[subtask as usize].2);
        let metadata = metadata([operator(0, 1), state]);
        let topology = job(1, new, ShipStrategy::Rebalance);
        let assignment = assign_states(&metadata, &topology, false).unwrap();
        let (mut split, mut per_subtask) = (Vec::new(), Vec::new());
        for subtask in 0..new {
            let restore = &assignment.tasks[&(topology.vertices[1].id, subtask)];
            let mut found: BTreeMap<&str, Vec<(u32, u64)>> = BTreeMap::new();
            for handle in &restore.operators[&MAP].operator {
                let from: u32 = handle.file.url().unwrap().parse().unwrap();
                for state in &handle.states {
                    let elements = state.partitions.iter().map(|p| (from, p.offset));
                    found.entry(&state.name).or_default().extend(elements);
                }
            }
            let mut union = found.remove("union").unwrap_or_default();
            union.sort_unstable();
            prop_assert_eq!(&union, &all_union);
            let copies = found.remove("cast").unwrap_or_default().len();
            prop_assert_eq!(copies, usize::from(broadcasts));
            let own = found.remove("split").unwrap_or_default();
            per_subtask.push(own.len());
            split.extend(own);
        }
        if old != new {
            let (least, most) = (per_subtask.iter().min(), per_subtask.iter().max());
            prop_assert!(most.unwrap() - least.unwrap() <= 1);
        }
        split.sort_unstable();
        prop_assert_eq!(split, all_split);
    }

    #[test]
    fn records_in_flight_reach_who_is_in_charge_of_them(
        old in (1u32..5, 1u32..5),
        new in (1u32..5, 1u32..5),
        by_key: bool,
    ) {
        let ship = if by_key { ShipStrategy::KeyGroup } else { ShipStrategy::Rebalance };
        let metadata = in_flight(old, ship);
        let topology = job(new.0, new.1, ship);
        let assignment = assign_states(&metadata, &topology, false).unwrap();
        // Who processes the records of each key group of each old channel, in which order.
        let mut processed: BTreeMap<(u32, u32, u32), Vec<String>> = BTreeMap::new();
        let groups = |range: KeyGroupRange| range.start..=range.end;
        for consumer in 0..new.1 {
            let task = &assignment.tasks[&(topology.vertices[1].id, consumer)];
            let own = KeyGroupRange::of_subtask(consumer, new.1, MAX);
            for state in &task.rescaled_channels {
                let before = KeyGroupRange::of_subtask(state.old_consumer, old.1, MAX);
                let filter = state.filter.unwrap_or(before);
                for group in groups(before).filter(|group| filter.contains(*group)) {
                    prop_assert!(!by_key || own.contains(group));
                    let key = (state.old_producer, state.old_consumer, group);
                    let names = state.files.iter().map(|file| file.url().unwrap().to_string());
                    processed.entry(key).or_default().extend(names);
                }
            }
            for state in &task.operators.get(&MAP).cloned().unwrap_or_default().input_channels {
                for group in groups(KeyGroupRange::of_subtask(consumer, old.1, MAX)) {
                    let key = (state.channel, consumer, group);
                    let name = state.file.url().unwrap().to_string();
                    processed.entry(key).or_default().push(name);
                }
            }
        }
        for producer in 0..new.0 {
            let task = &assignment.tasks[&(topology.vertices[0].id, producer)];
            for state in &task.operators.get(&SRC).cloned().unwrap_or_default().result_subpartitions {
                for group in groups(KeyGroupRange::of_subtask(state.subpartition, old.1, MAX)) {
                    let key = (producer, state.subpartition, group);
                    let name = state.file.url().unwrap().to_string();
                    processed.entry(key).or_default().push(name);
                }
            }
        }
        let mut expected = BTreeMap::new();
        for producer in 0..old.0 {
            for consumer in 0..old.1 {
                for group in groups(KeyGroupRange::of_subtask(consumer, old.1, MAX)) {
                    let files = vec![format!("in{producer}-{consumer}"), format!("out{producer}-{consumer}")];
                    expected.insert((producer, consumer, group), files);
                }
            }
        }
        prop_assert_eq!(processed, expected);
    }
}

fn in_flight((producers, consumers): (u32, u32), ship: ShipStrategy) -> CheckpointMetadata {
    let topology = job(producers, consumers, ship);
    let pattern = topology.vertices[1].inputs[0].pattern;
    let (mut src, mut map) = (operator(0, producers), operator(1, consumers));
    map.inputs = vec![ChainInput {
        producer: SRC,
        producer_output: 0,
        producer_parallelism: producers,
        ship,
        pattern,
    }];
    for producer in 0..producers {
        let mut state = OperatorSubtaskState::default();
        let targets = consumers_of(pattern, producers, consumers, producer);
        for (subpartition, consumer) in targets.enumerate() {
            let file = file(StateScope::Exclusive, &format!("out{producer}-{consumer}"));
            let subpartition = subpartition as u32;
            state.result_subpartitions.push(ResultSubpartitionState {
                partition: 0,
                subpartition,
                file,
            });
        }
        src.subtasks.insert(producer, state);
    }
    for consumer in 0..consumers {
        let mut state = OperatorSubtaskState::default();
        let sources =
            hurtig_graph::distribution::channels_of(pattern, producers, consumers, consumer);
        for (channel, (producer, _)) in sources.into_iter().enumerate() {
            let file = file(StateScope::Exclusive, &format!("in{producer}-{consumer}"));
            let channel = channel as u32;
            state.input_channels.push(InputChannelState { gate: 0, channel, file });
        }
        map.subtasks.insert(consumer, state);
    }
    metadata([src, map])
}

#[test]
fn state_of_an_operator_that_is_gone_is_left_behind_only_on_demand() {
    let metadata = metadata([operator(0, 1), keyed(2)]);
    let mut topology = job(1, 2, ShipStrategy::KeyGroup);
    topology.vertices.pop();
    refused(
        &metadata,
        &topology,
        expect![[
            r#"checkpoint 5 has state of operators that the job does not have: "map" (00000000000000000000000000000002) with state ["count"], 20 bytes; to go on without that state allow non-restored state (execution.state-recovery.ignore-unclaimed-state, --allow-non-restored-state)"#
        ]],
    );
    let assignment = assign_states(&metadata, &topology, true).unwrap();
    assert_eq!(assignment.left_behind[0].operator, MAP);
}

#[test]
fn every_operator_that_would_be_left_behind_is_named() {
    let mut src = operator(0, 1);
    src.coordinator_state = Some(vec![1, 2, 3]);
    let metadata = metadata([src, keyed(2)]);
    let mut topology = job(1, 1, ShipStrategy::Forward);
    for vertex in &mut topology.vertices {
        vertex.operators[0].id = OperatorId(vertex.id.0 + 10);
    }
    let error = assign_states(&metadata, &topology, false).expect_err("two are gone");
    let crate::RestoreError::NonRestoredState { operators, .. } = &error else {
        panic!("{error}");
    };
    let named: Vec<(&str, u64)> = operators.iter().map(|o| (&*o.label, o.bytes)).collect();
    assert_eq!(named, [("src", 3), ("map", 20)]);
    let text = error.to_string();
    assert!(text.contains("\"src\"") && text.contains("\"map\""), "{text}");
}

#[test]
fn the_number_of_key_groups_is_fixed_by_keyed_state_alone() {
    let mut topology = job(1, 2, ShipStrategy::KeyGroup);
    topology.vertices[1].max_parallelism = 16;
    let with_state = metadata([operator(0, 1), keyed(2)]);
    refused(
        &with_state,
        &topology,
        expect![[
            r#"operator "map" (00000000000000000000000000000002) has state in 8 key groups, but the job sets its max parallelism to 16"#
        ]],
    );
    let id = topology.vertices[1].id;
    let without = metadata([operator(0, 1), operator(1, 2)]);
    assert_eq!(assign_states(&without, &topology, false).unwrap().max_parallelism[&id], 16);
    topology.vertices[1].max_parallelism_derived = true;
    assert_eq!(assign_states(&with_state, &topology, false).unwrap().max_parallelism[&id], MAX);
    topology.vertices[1].parallelism = 9;
    refused(
        &with_state,
        &topology,
        expect![[
            r#"operator "map" (00000000000000000000000000000002) has state in 8 key groups, too few for parallelism 9"#
        ]],
    );
}

#[test]
fn an_incompatible_state_is_named_with_its_difference() {
    let metadata = metadata([operator(0, 1), keyed(2)]);
    let mut topology = job(1, 2, ShipStrategy::KeyGroup);
    topology.vertices[1].operators[0].declared = vec![meta("new", 7), meta("count", 2)];
    refused(
        &metadata,
        &topology,
        expect![[
            r#"state "count" of operator "map" (00000000000000000000000000000002) cannot be restored: its schema was "schema 1" and is "schema 2" now"#
        ]],
    );
}

#[test]
fn finished_operators_are_not_run_again() {
    let mut src = operator(0, 2);
    src.fully_finished = true;
    let finished = metadata([src, keyed(2)]);
    let topology = job(3, 2, ShipStrategy::KeyGroup);
    let assignment = assign_states(&finished, &topology, false).unwrap();
    for ((vertex, _), restore) in &assignment.tasks {
        assert_eq!(restore.finished, vertex.0 == SRC.0);
    }
    let mut map = operator(1, 2);
    map.fully_finished = true;
    refused(
        &metadata([operator(0, 2), map]),
        &topology,
        expect![[
            r#"vertex "map" (00000000000000000000000000000002) cannot be restored as finished: it is FullyFinished and its producer "src" AllRunning"#
        ]],
    );
    let mut map = keyed(2);
    map.finished_subtasks.insert(0);
    refused(
        &metadata([operator(0, 2), map]),
        &topology,
        expect![[
            r#"vertex "map" (00000000000000000000000000000002) cannot be restored as finished: it is PartiallyFinished and its producer "src" AllRunning"#
        ]],
    );
}

/// One consumer has read the end of all producers and is gone, while they wait for another.
#[test]
fn a_subtask_may_finish_before_the_last_of_its_producers() {
    let mut src = operator(0, 2);
    src.finished_subtasks.insert(0);
    src.ended_subtasks.insert(1);
    let mut map = keyed(2);
    map.finished_subtasks.insert(0);
    let assignment =
        assign_states(&metadata([src, map]), &job(2, 2, ShipStrategy::KeyGroup), false).unwrap();
    assert!(assignment.tasks.values().all(|restore| !restore.finished));
}

#[test]
fn records_in_flight_that_have_no_place_are_refused() {
    let metadata = in_flight((2, 2), ShipStrategy::Forward);
    assert!(assign_states(&metadata, &job(2, 2, ShipStrategy::Forward), false).is_ok());
    refused(
        &metadata,
        &job(3, 3, ShipStrategy::Forward),
        expect![[
            r#"records in flight of operator "map" (00000000000000000000000000000002) cannot be restored: Forward partitioning allows no change of parallelism from 2 to 3; take a savepoint or an aligned checkpoint first"#
        ]],
    );
    refused(
        &metadata,
        &job(2, 2, ShipStrategy::Rebalance),
        expect![[
            r#"records in flight of operator "map" (00000000000000000000000000000002) cannot be restored: its inputs have changed"#
        ]],
    );
    let mut topology = job(2, 2, ShipStrategy::Forward);
    topology.vertices[1].inputs.clear();
    refused(
        &metadata,
        &topology,
        expect![[
            r#"records in flight of operator "src" (00000000000000000000000000000001) cannot be restored: its outputs have changed"#
        ]],
    );
}

#[test]
fn unsound_metadata_is_refused() {
    let topology = job(1, 2, ShipStrategy::KeyGroup);
    let broken = |change: fn(&mut OperatorState)| {
        let mut map = keyed(2);
        change(&mut map);
        metadata([operator(0, 1), map])
    };
    refused(
        &broken(|map| map.parallelism = 0),
        &topology,
        expect![[
            r#"the metadata of checkpoint 5 is not sound: operator "map" (00000000000000000000000000000002) has parallelism 0 of 8"#
        ]],
    );
    refused(
        &broken(|map| map.max_parallelism = u32::MAX),
        &topology,
        expect![[
            r#"the metadata of checkpoint 5 is not sound: operator "map" (00000000000000000000000000000002) has parallelism 2 of 4294967295"#
        ]],
    );
    let outside = |map: &mut OperatorState| {
        let handle = &mut map.subtasks.get_mut(&0).unwrap().keyed[0];
        handle.key_groups = KeyGroupRange { start: 3, end: 4 };
    };
    refused(
        &broken(outside),
        &topology,
        expect![[
            r#"the metadata of checkpoint 5 is not sound: operator "map" (00000000000000000000000000000002) has key groups 3 to 4 in subtask 0"#
        ]],
    );
    let empty = |map: &mut OperatorState| {
        map.subtasks.get_mut(&1).unwrap().keyed[0].chain.clear();
    };
    refused(
        &broken(empty),
        &topology,
        expect![[
            r#"the metadata of checkpoint 5 is not sound: operator "map" (00000000000000000000000000000002) has keyed state without a file in subtask 1"#
        ]],
    );
}
