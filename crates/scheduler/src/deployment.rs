//! Deployment descriptors: what a TaskExecutor needs to run one attempt.

use hurtig_cluster_api::{
    ChannelDescriptor, GateDescriptor, PeerAddress, TaskDeploymentDescriptor,
};
use hurtig_graph::distribution::{channels_of, consumers_of};
use hurtig_types::ResultPartitionId;

use crate::{execution_graph::ExecutionGraph, slot_pool::SlotPool};

/// The descriptor of one attempt, or `None` if a slot of its own or of a producer is missing.
pub(crate) fn describe(
    graph: &ExecutionGraph,
    pool: &SlotPool,
    index: usize,
) -> Option<TaskDeploymentDescriptor> {
    let attempt = graph.execution(index).attempt;
    let vertex = graph.vertex_of(index)?;
    let own_slot = pool.slot_for(&vertex.slot_sharing_group, attempt.subtask)?;
    let mut gates = Vec::with_capacity(vertex.inputs.len());
    for input in &vertex.inputs {
        let producer = graph.graph.vertex(input.producer)?;
        let (producers, consumers) = (producer.parallelism, vertex.parallelism);
        let mut channels = Vec::new();
        for (subtask, subpartition) in
            channels_of(input.pattern, producers, consumers, attempt.subtask)
        {
            let producing = graph.execution(graph.index_of(producer.id, subtask)?).attempt;
            let slot = pool.slot_for(&producer.slot_sharing_group, subtask)?;
            let partition = ResultPartitionId { producer: producing, edge: input.edge };
            let producer: PeerAddress = slot.data_address.clone();
            channels.push(ChannelDescriptor { partition, subpartition, producer });
        }
        gates.push(GateDescriptor { edge: input.edge, channels });
    }
    let mut subpartitions = Vec::with_capacity(vertex.outputs.len());
    let mut consumers = Vec::with_capacity(vertex.outputs.len());
    for output in &vertex.outputs {
        let consumer = graph.graph.vertex(output.consumer)?;
        let readers =
            consumers_of(output.pattern, vertex.parallelism, consumer.parallelism, attempt.subtask);
        subpartitions.push(readers.len() as u32);
        consumers.push((consumer.parallelism, consumer.max_parallelism));
    }
    Some(TaskDeploymentDescriptor {
        attempt,
        allocation: own_slot.offer.allocation,
        job_name: graph.graph.name.clone(),
        vertex: vertex.clone(),
        gates,
        subpartitions,
        consumers,
        config: graph.graph.config.clone(),
        restore: None,
    })
}
