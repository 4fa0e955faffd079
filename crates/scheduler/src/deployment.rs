//! Deployment descriptors: what a TaskExecutor needs to run one attempt.
//!
//! Attempts that are deployed together share what is equal: the vertex, the settings, and the list
//! of producers of an edge on which everybody reads from everybody.

use std::{collections::HashMap, sync::Arc};

use hurtig_cluster_api::{GateDescriptor, ProducerDescriptor, TaskDeploymentDescriptor};
use hurtig_graph::{
    DistributionPattern, JobConfig, JobEdge, JobVertex,
    distribution::{channels_of, consumers_of},
};
use hurtig_types::{EdgeId, ResultPartitionId};

use crate::{execution_graph::ExecutionGraph, slot_pool::SlotPool};

/// Describes attempts that are deployed at the same time.
pub(crate) struct Deployment<'a> {
    graph: &'a ExecutionGraph,
    pool: &'a SlotPool,
    config: Arc<JobConfig>,
    vertices: HashMap<usize, Arc<JobVertex>>,
    producers: HashMap<EdgeId, Arc<[ProducerDescriptor]>>,
}

impl<'a> Deployment<'a> {
    pub(crate) fn new(graph: &'a ExecutionGraph, pool: &'a SlotPool) -> Self {
        let config = Arc::new(graph.graph.config.clone());
        Self { graph, pool, config, vertices: HashMap::new(), producers: HashMap::new() }
    }

    /// The descriptor of one attempt, or `None` if a slot of its own or of a producer is missing.
    pub(crate) fn describe(&mut self, index: usize) -> Option<TaskDeploymentDescriptor> {
        let attempt = self.graph.execution(index).attempt;
        let position = self.graph.position_of(attempt.vertex)?;
        let own_slot = self.pool.slot_for(position, attempt.subtask)?;
        let vertices = &self.graph.graph.vertices;
        let vertex = self.vertices.entry(position);
        let vertex = vertex.or_insert_with(|| Arc::new(vertices[position].clone())).clone();
        let mut gates = Vec::with_capacity(vertex.inputs.len());
        for input in &vertex.inputs {
            gates.push(self.gate(input, vertex.parallelism, attempt.subtask)?);
        }
        let mut subpartitions = Vec::with_capacity(vertex.outputs.len());
        let mut consumers = Vec::with_capacity(vertex.outputs.len());
        for output in &vertex.outputs {
            let consumer = &vertices[self.graph.position_of(output.consumer)?];
            let (producers, width) = (vertex.parallelism, consumer.parallelism);
            let readers = consumers_of(output.pattern, producers, width, attempt.subtask);
            subpartitions.push(readers.len() as u32);
            consumers.push((consumer.parallelism, consumer.max_parallelism));
        }
        Some(TaskDeploymentDescriptor {
            attempt,
            allocation: own_slot.offer.allocation,
            job_name: self.graph.graph.name.clone(),
            vertex,
            gates,
            subpartitions,
            consumers,
            config: self.config.clone(),
            restore: None,
        })
    }

    fn gate(&mut self, input: &JobEdge, consumers: u32, subtask: u32) -> Option<GateDescriptor> {
        let edge = input.edge;
        let position = self.graph.position_of(input.producer)?;
        let producers = self.graph.graph.vertices[position].parallelism;
        if input.pattern == DistributionPattern::AllToAll {
            let known = self.producers.get(&edge).cloned();
            let producers = match known {
                Some(producers) => producers,
                None => {
                    let all = self.producers(input, position, 0..producers)?;
                    self.producers.insert(edge, all.clone());
                    all
                }
            };
            return Some(GateDescriptor { edge, subpartition: subtask, producers });
        }
        let channels = channels_of(input.pattern, producers, consumers, subtask);
        // Pointwise, all channels of a consumer have the same number at their producers.
        let subpartition = channels.first()?.1;
        debug_assert!(channels.iter().all(|(_, of)| *of == subpartition));
        let of = channels.into_iter().map(|(producer, _)| producer);
        Some(GateDescriptor { edge, subpartition, producers: self.producers(input, position, of)? })
    }

    fn producers(
        &self,
        input: &JobEdge,
        position: usize,
        subtasks: impl Iterator<Item = u32>,
    ) -> Option<Arc<[ProducerDescriptor]>> {
        let describe = |subtask| {
            let index = self.graph.index_of(input.producer, subtask)?;
            let producer = self.graph.execution(index).attempt;
            let slot = self.pool.slot_for(position, subtask)?;
            let partition = ResultPartitionId { producer, edge: input.edge };
            Some(ProducerDescriptor { partition, producer: slot.data_address.clone() })
        };
        subtasks.map(describe).collect()
    }
}
