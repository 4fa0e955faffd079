//! Whether a snapshot is sound and fits a job.

use std::collections::BTreeSet;

use hurtig_graph::DistributionPattern;
use hurtig_types::{
    KeyGroupRange, OperatorId, OperatorSubtaskState, key_group::MAX_PARALLELISM_LIMIT,
};

use super::{NonRestoredOperator, RestoreError};
use crate::{
    model::{CheckpointMetadata, OperatorState},
    topology::{Topology, VertexInfo},
};

/// Metadata that contradicts itself is refused before anything is computed from it.
pub fn check_metadata(metadata: &CheckpointMetadata) -> Result<(), RestoreError> {
    for (id, state) in &metadata.operators {
        operator_problem(state).map_or(Ok(()), |problem| {
            Err(RestoreError::Malformed {
                checkpoint_id: metadata.checkpoint_id,
                operator: *id,
                label: state.label().to_owned(),
                problem,
            })
        })?;
    }
    Ok(())
}

fn operator_problem(state: &OperatorState) -> Option<String> {
    let (parallelism, max) = (state.parallelism, state.max_parallelism);
    if parallelism == 0 || parallelism > max || max > MAX_PARALLELISM_LIMIT {
        return Some(format!("has parallelism {parallelism} of {max}"));
    }
    let finished = state.finished_subtasks.iter().chain(&state.ended_subtasks);
    let indices = state.subtasks.keys().chain(finished);
    if let Some(index) = indices.max().filter(|index| **index >= parallelism) {
        return Some(format!("has a subtask {index} of {parallelism}"));
    }
    // Its last records may still have been in flight.
    let has_state = |s: &OperatorSubtaskState| !s.keyed.is_empty() || !s.operator.is_empty();
    if state.fully_finished && state.subtasks.values().any(has_state) {
        return Some("has finished and has state".to_owned());
    }
    for (index, subtask) in &state.subtasks {
        let own = KeyGroupRange::of_subtask(*index, parallelism, max);
        for handle in &subtask.keyed {
            let (start, end) = (handle.key_groups.start, handle.key_groups.end);
            if start > end || start < own.start || end > own.end {
                return Some(format!("has key groups {start} to {end} in subtask {index}"));
            }
            if handle.chain.is_empty() {
                return Some(format!("has keyed state without a file in subtask {index}"));
            }
        }
        for handle in &subtask.operator {
            let length = handle.file.length;
            let mut partitions = handle.states.iter().flat_map(|state| &state.partitions);
            let outside =
                |offset: u64, len: u64| offset.checked_add(len).is_none_or(|e| e > length);
            if partitions.any(|partition| outside(partition.offset, partition.length)) {
                return Some(format!("has elements beyond their file in subtask {index}"));
            }
        }
    }
    if state
        .inputs
        .iter()
        .any(|input| !(1..=MAX_PARALLELISM_LIMIT).contains(&input.producer_parallelism))
    {
        return Some("has an input without producers".to_owned());
    }
    None
}

/// Returns the operators whose state is left behind, or refuses to and names them all.
pub fn check_operators(
    metadata: &CheckpointMetadata,
    topology: &Topology,
    allow_non_restored_state: bool,
) -> Result<Vec<NonRestoredOperator>, RestoreError> {
    let operators = topology.vertices.iter().flat_map(|vertex| &vertex.operators);
    let known: BTreeSet<OperatorId> = operators.map(|operator| operator.id).collect();
    let lost = metadata.operators.iter().filter(|(id, s)| !known.contains(id) && s.has_state());
    let operators: Vec<NonRestoredOperator> = lost
        .map(|(id, state)| NonRestoredOperator {
            operator: *id,
            label: state.label().to_owned(),
            states: state.states.iter().map(|meta| meta.name.clone()).collect(),
            bytes: state.size_bytes(),
        })
        .collect();
    if operators.is_empty() || allow_non_restored_state {
        return Ok(operators);
    }
    let (checkpoint_id, snapshot) = (metadata.checkpoint_id, metadata.checkpoint_type);
    Err(RestoreError::NonRestoredState { checkpoint_id, snapshot, operators })
}

/// Checks the states that operators declare before they are opened.
pub fn check_declared_states(
    metadata: &CheckpointMetadata,
    topology: &Topology,
) -> Result<(), RestoreError> {
    for operator in topology.vertices.iter().flat_map(|vertex| &vertex.operators) {
        let Some(state) = metadata.operators.get(&operator.id) else { continue };
        for declared in &operator.declared {
            let restored = state.states.iter().find(|meta| meta.name == declared.name);
            let Some(restored) = restored else { continue };
            declared.check_restorable_from(restored).map_err(|difference| {
                RestoreError::IncompatibleState {
                    operator: operator.id,
                    label: operator.uid.as_ref().unwrap_or(&operator.name).clone(),
                    state: declared.name.clone(),
                    difference,
                }
            })?;
        }
    }
    Ok(())
}

/// Number of key groups of a vertex: what its operators' state was divided into, if any was.
pub fn max_parallelism(
    metadata: &CheckpointMetadata,
    vertex: &VertexInfo,
) -> Result<u32, RestoreError> {
    let mut fixed: Option<u32> = None;
    for operator in &vertex.operators {
        let Some(state) = metadata.operators.get(&operator.id) else { continue };
        let bound = |subtask: &hurtig_types::OperatorSubtaskState| {
            !subtask.keyed.is_empty() || subtask.has_in_flight_data()
        };
        if !state.subtasks.values().any(bound) {
            continue;
        }
        let restored = state.max_parallelism;
        let open = if vertex.max_parallelism_derived { None } else { Some(vertex.max_parallelism) };
        let (id, label) = (operator.id, state.label().to_owned());
        if let Some(declared) = fixed.or(open).filter(|declared| *declared != restored) {
            return Err(RestoreError::MaxParallelism { operator: id, label, restored, declared });
        }
        if vertex.parallelism > restored {
            let (parallelism, max_parallelism) = (vertex.parallelism, restored);
            let operator = id;
            return Err(RestoreError::Parallelism {
                operator,
                label,
                parallelism,
                max_parallelism,
            });
        }
        fixed = Some(restored);
    }
    Ok(fixed.unwrap_or(vertex.max_parallelism))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FinishedState {
    AllRunning,
    PartiallyFinished,
    FullyFinished,
}

/// Which vertices have finished. A finished vertex is not run again, so whatever feeds it must have
/// finished as well, or at least have come to its end: what it has emitted has been read.
pub fn check_finished(
    metadata: &CheckpointMetadata,
    topology: &Topology,
) -> Result<Vec<bool>, RestoreError> {
    use FinishedState::*;
    let mut states = Vec::with_capacity(topology.vertices.len());
    for vertex in &topology.vertices {
        let fail = |problem: String| RestoreError::FinishedOperators {
            vertex: vertex.name.clone(),
            id: vertex.id,
            problem,
        };
        let state = finished_state(metadata, vertex).map_err(fail)?;
        for input in &vertex.inputs {
            let Some(producer) = states.get(input.producer) else { continue };
            if has_ended(metadata, &topology.vertices[input.producer]) {
                continue;
            }
            let name = &topology.vertices[input.producer].name;
            let possible = match (state, input.pattern) {
                (AllRunning, _) => true,
                (FullyFinished, _) => *producer == FullyFinished,
                (PartiallyFinished, DistributionPattern::AllToAll) => *producer == FullyFinished,
                (PartiallyFinished, DistributionPattern::Pointwise) => *producer != AllRunning,
            };
            if !possible {
                return Err(fail(format!(
                    "it is {state:?} and its producer {name:?} {producer:?}"
                )));
            }
        }
        states.push(state);
    }
    Ok(states.into_iter().map(|state| state == FullyFinished).collect())
}

/// Every subtask has finished or will emit nothing.
fn has_ended(metadata: &CheckpointMetadata, vertex: &VertexInfo) -> bool {
    metadata.operators.get(&vertex.head()).is_some_and(|state| {
        let over = |subtask| {
            state.finished_subtasks.contains(&subtask) || state.ended_subtasks.contains(&subtask)
        };
        state.fully_finished || (0..state.parallelism).all(over)
    })
}

fn finished_state(
    metadata: &CheckpointMetadata,
    vertex: &VertexInfo,
) -> Result<FinishedState, String> {
    let mut first: Option<(FinishedState, &str)> = None;
    for operator in &vertex.operators {
        let state = match metadata.operators.get(&operator.id) {
            Some(state) if state.fully_finished => FinishedState::FullyFinished,
            Some(state) if !state.finished_subtasks.is_empty() => FinishedState::PartiallyFinished,
            _ => FinishedState::AllRunning,
        };
        match first {
            None => first = Some((state, &operator.name)),
            Some((other, name)) if other != state => {
                let this = &operator.name;
                return Err(format!("operator {name:?} is {other:?}, operator {this:?} {state:?}"));
            }
            Some(_) => {}
        }
    }
    Ok(first.map_or(FinishedState::AllRunning, |(state, _)| state))
}
