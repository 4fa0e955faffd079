//! Records in flight.
//!
//! Edge by edge: if producer and consumer have as many subtasks as before, records go back to the
//! channel or subpartition that they were in. Otherwise those of both sides of the edge are
//! replayed by the consumer, first what its channels held, then what the producer's subpartitions
//! held, which is the order in which they would have come:
//!
//! - as many consumers as before: by the same consumer;
//! - by key group: by all who share key groups with the old consumer, each skipping what is not its;
//! - rebalance, shuffle: by one of the new consumers; global: by the first;
//! - other partitionings tie a record to its old channel, so the restore fails. Barriers do not
//!   overtake records there, see [`ShipStrategy::may_be_unaligned`].
//!
//! If the edges of a chain have changed, records in flight on them have no place, and the restore
//! fails.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_graph::{
    ShipStrategy,
    distribution::{channels_of, consumers_of},
};
use hurtig_types::{
    KeyGroupRange, OperatorId, OperatorSubtaskState, StateFile, snapshot::RescaledChannelState,
};

use super::{RestoreError, StateAssignment, keyed::intersect};
use crate::{
    model::{CheckpointMetadata, OperatorState},
    topology::{InputInfo, Topology, VertexInfo},
};

/// One edge, as it was and as it is.
struct Edge<'a> {
    gate: u32,
    input: &'a InputInfo,
    producer: &'a VertexInfo,
    consumer: &'a VertexInfo,
    max_parallelism: u32,
    old_producers: u32,
    old_consumers: u32,
    old_max_parallelism: u32,
}

/// Gives records in flight to whoever is to process them.
pub fn assign(
    metadata: &CheckpointMetadata,
    topology: &Topology,
    assignment: &mut StateAssignment,
) -> Result<(), RestoreError> {
    check_places(metadata, topology)?;
    for consumer in &topology.vertices {
        let max_parallelism = assignment.max_parallelism[&consumer.id];
        for (gate, input) in consumer.inputs.iter().enumerate() {
            let gate = gate as u32;
            let producer = &topology.vertices[input.producer];
            if !has_records(metadata, producer, consumer, gate, input) {
                continue;
            }
            let fail = |problem: &str| in_flight_error(metadata, consumer, problem);
            let state = metadata.operators.get(&consumer.head());
            let state = state.ok_or_else(|| fail("the operator is new"))?;
            let old = state.inputs.get(gate as usize).filter(|old| {
                (old.producer, old.producer_output) == (producer.head(), input.producer_output)
                    && (old.ship, old.pattern) == (input.ship, input.pattern)
            });
            let old = old.ok_or_else(|| fail("its inputs have changed"))?;
            let (old_producers, old_consumers) = (old.producer_parallelism, state.parallelism);
            let edge = Edge {
                gate,
                input,
                producer,
                consumer,
                max_parallelism,
                old_producers,
                old_consumers,
                old_max_parallelism: state.max_parallelism,
            };
            if (producer.parallelism, consumer.parallelism) == (old_producers, old_consumers) {
                edge.put_back(metadata, assignment);
            } else {
                edge.replay(metadata, assignment).map_err(|problem| fail(&problem))?;
            }
        }
    }
    Ok(())
}

fn in_flight_error(
    metadata: &CheckpointMetadata,
    vertex: &VertexInfo,
    problem: &str,
) -> RestoreError {
    let operator = vertex.head();
    let label = metadata.operators.get(&operator).map_or(&*vertex.name, OperatorState::label);
    RestoreError::InFlightData { operator, label: label.to_owned(), problem: problem.to_owned() }
}

fn subtasks_of(
    metadata: &CheckpointMetadata,
    operator: OperatorId,
) -> impl Iterator<Item = (u32, &OperatorSubtaskState)> {
    let state = metadata.operators.get(&operator).into_iter();
    state.flat_map(|state| state.subtasks.iter().map(|(index, subtask)| (*index, subtask)))
}

fn has_records(
    metadata: &CheckpointMetadata,
    producer: &VertexInfo,
    consumer: &VertexInfo,
    gate: u32,
    input: &InputInfo,
) -> bool {
    let mut inputs = subtasks_of(metadata, consumer.head());
    let mut outputs = subtasks_of(metadata, producer.head());
    inputs.any(|(_, subtask)| subtask.input_channels.iter().any(|state| state.gate == gate))
        || outputs.any(|(_, subtask)| {
            subtask.result_subpartitions.iter().any(|s| s.partition == input.producer_output)
        })
}

/// Every record in flight must belong to an edge of the job.
fn check_places(metadata: &CheckpointMetadata, topology: &Topology) -> Result<(), RestoreError> {
    for (position, vertex) in topology.vertices.iter().enumerate() {
        let consumers = topology.vertices.iter().flat_map(|vertex| &vertex.inputs);
        let outputs: BTreeSet<u32> = consumers
            .filter(|input| input.producer == position)
            .map(|input| input.producer_output)
            .collect();
        let gates = vertex.inputs.len() as u32;
        for (_, subtask) in subtasks_of(metadata, vertex.head()) {
            if subtask.input_channels.iter().any(|state| state.gate >= gates) {
                return Err(in_flight_error(metadata, vertex, "its inputs have changed"));
            }
            if subtask.result_subpartitions.iter().any(|s| !outputs.contains(&s.partition)) {
                return Err(in_flight_error(metadata, vertex, "its outputs have changed"));
            }
        }
        for operator in vertex.operators.iter().filter(|operator| operator.id != vertex.head()) {
            if subtasks_of(metadata, operator.id).any(|(_, s)| s.has_in_flight_data()) {
                let label = operator.uid.as_ref().unwrap_or(&operator.name).clone();
                let problem = "it no longer heads a chain".to_owned();
                return Err(RestoreError::InFlightData { operator: operator.id, label, problem });
            }
        }
    }
    Ok(())
}

impl Edge<'_> {
    /// Nothing has changed: every channel and subpartition has its records again.
    fn put_back(&self, metadata: &CheckpointMetadata, assignment: &mut StateAssignment) {
        for (index, subtask) in subtasks_of(metadata, self.consumer.head()) {
            let states = subtask.input_channels.iter().filter(|state| state.gate == self.gate);
            let Some(task) = assignment.tasks.get_mut(&(self.consumer.id, index)) else { continue };
            let operator = task.operators.entry(self.consumer.head()).or_default();
            operator.input_channels.extend(states.cloned());
        }
        for (index, subtask) in subtasks_of(metadata, self.producer.head()) {
            let of_edge = self.input.producer_output;
            let states = subtask.result_subpartitions.iter().filter(|s| s.partition == of_edge);
            let Some(task) = assignment.tasks.get_mut(&(self.producer.id, index)) else { continue };
            let operator = task.operators.entry(self.producer.head()).or_default();
            operator.result_subpartitions.extend(states.cloned());
        }
    }

    fn replay(
        &self,
        metadata: &CheckpointMetadata,
        assignment: &mut StateAssignment,
    ) -> Result<(), String> {
        for ((old_consumer, old_producer), files) in self.by_channel(metadata)? {
            for (subtask, filter) in self.new_consumers(old_consumer)? {
                let task = (self.consumer.id, subtask);
                let Some(restore) = assignment.tasks.get_mut(&task) else { continue };
                restore.rescaled_channels.push(RescaledChannelState {
                    gate: self.gate,
                    old_producer,
                    old_consumer,
                    files: files.clone(),
                    filter,
                });
            }
        }
        Ok(())
    }

    /// The files of each old channel, by consumer and producer, in the order of their records.
    fn by_channel(
        &self,
        metadata: &CheckpointMetadata,
    ) -> Result<BTreeMap<(u32, u32), Vec<StateFile>>, String> {
        let (producers, consumers) = (self.old_producers, self.old_consumers);
        let mut channels: BTreeMap<(u32, u32), Vec<StateFile>> = BTreeMap::new();
        for (consumer, subtask) in subtasks_of(metadata, self.consumer.head()) {
            let sources = channels_of(self.input.pattern, producers, consumers, consumer);
            for state in subtask.input_channels.iter().filter(|state| state.gate == self.gate) {
                let source = sources.get(state.channel as usize);
                let (producer, _) =
                    source.ok_or_else(|| format!("there was no channel {}", state.channel))?;
                channels.entry((consumer, *producer)).or_default().push(state.file.clone());
            }
        }
        for (producer, subtask) in subtasks_of(metadata, self.producer.head()) {
            if producer >= producers {
                return Err(format!("there was no producer {producer}"));
            }
            let targets = consumers_of(self.input.pattern, producers, consumers, producer);
            let of_edge = self.input.producer_output;
            for state in subtask.result_subpartitions.iter().filter(|s| s.partition == of_edge) {
                let consumer = targets.start.saturating_add(state.subpartition);
                if !targets.contains(&consumer) {
                    return Err(format!("there was no subpartition {}", state.subpartition));
                }
                channels.entry((consumer, producer)).or_default().push(state.file.clone());
            }
        }
        Ok(channels)
    }

    /// Who processes what an old consumer had before it, and which part of it.
    fn new_consumers(&self, old: u32) -> Result<Vec<(u32, Option<KeyGroupRange>)>, String> {
        let parallelism = self.consumer.parallelism;
        if parallelism == self.old_consumers {
            return Ok(vec![(old, None)]);
        }
        match self.input.ship {
            ShipStrategy::KeyGroup => {
                let max = self.max_parallelism;
                if max != self.old_max_parallelism {
                    let old = self.old_max_parallelism;
                    return Err(format!(
                        "they were cut into {old} key groups, now there are {max}"
                    ));
                }
                let range = KeyGroupRange::of_subtask(old, self.old_consumers, max);
                let new = (0..parallelism).filter_map(|subtask| {
                    let own = KeyGroupRange::of_subtask(subtask, parallelism, max);
                    intersect(range, own).map(|_| (subtask, Some(own)))
                });
                Ok(new.collect())
            }
            ShipStrategy::Rebalance | ShipStrategy::Shuffle => Ok(vec![(old % parallelism, None)]),
            ShipStrategy::Global => Ok(vec![(0, None)]),
            other => {
                let before = self.old_consumers;
                Err(format!(
                    "{other:?} partitioning allows no change of parallelism from {before} to \
                     {parallelism}; take a savepoint or an aligned checkpoint first"
                ))
            }
        }
    }
}
