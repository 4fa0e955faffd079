//! From the StreamGraph to the JobGraph: operators are chained.
//!
//! Two operators are chained if all of these hold, as in Flink:
//! 1. chaining is enabled for the job;
//! 2. the downstream operator has exactly one input edge;
//! 3. both are in the same slot sharing group;
//! 4. the upstream operator's strategy is ALWAYS or HEAD, the downstream's is ALWAYS;
//! 5. the edge is forward;
//! 6. both have the same parallelism and the same max parallelism.

use hurtig_types::{JobId, JobVertexId};

use crate::{
    job_graph::{
        ChainedOperator, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph,
        JobVertex, OperatorOutput, OutputTarget,
    },
    stream_graph::{StreamEdge, StreamGraph, StreamNode},
    transformation::{ChainingStrategy, ShipStrategy, TransformationId},
};

/// True if the two ends of an edge run in one chain.
pub fn is_chainable(graph: &StreamGraph, edge: &StreamEdge) -> bool {
    let upstream = &graph.nodes[edge.source.0 as usize];
    let downstream = &graph.nodes[edge.target.0 as usize];
    let inputs = graph.edges.iter().filter(|other| other.target == edge.target).count();
    graph.chaining_enabled
        && inputs == 1
        && upstream.slot_sharing_group == downstream.slot_sharing_group
        && matches!(upstream.chaining, ChainingStrategy::Always | ChainingStrategy::Head)
        && downstream.chaining == ChainingStrategy::Always
        && edge.ship == ShipStrategy::Forward
        && upstream.parallelism == downstream.parallelism
        && upstream.max_parallelism == downstream.max_parallelism
}

/// Which subtasks of a consumer read from which of a producer.
pub fn pattern_of(ship: ShipStrategy) -> DistributionPattern {
    match ship {
        ShipStrategy::Forward | ShipStrategy::Rescale => DistributionPattern::Pointwise,
        _ => DistributionPattern::AllToAll,
    }
}

/// Derives the JobGraph.
pub fn build_job_graph(graph: &StreamGraph, job_id: JobId, config: JobConfig) -> JobGraph {
    let chained: Vec<bool> = graph.edges.iter().map(|edge| is_chainable(graph, edge)).collect();
    // The head of each operator's chain.
    let mut head: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for (edge, chained) in graph.edges.iter().zip(&chained) {
            let (source, target) = (edge.source.0 as usize, edge.target.0 as usize);
            if *chained && head[target] != head[source] {
                head[target] = head[source];
                changed = true;
            }
        }
    }
    let heads: Vec<usize> = (0..graph.nodes.len()).filter(|index| head[*index] == *index).collect();
    let vertices = heads.iter().map(|head_index| build_vertex(graph, &chained, &head, *head_index));
    let vertices = in_topological_order(vertices.collect());
    JobGraph { job_id, name: graph.job_name.clone(), vertices, config }
}

fn vertex_id(node: &StreamNode) -> JobVertexId {
    JobVertexId(node.operator_id.0)
}

/// Operators of a chain, depth first, so that consumers come after their producers.
fn members(graph: &StreamGraph, chained: &[bool], index: usize, found: &mut Vec<usize>) {
    found.push(index);
    for (edge, chained_edge) in graph.edges.iter().zip(chained) {
        if *chained_edge && edge.source.0 as usize == index {
            members(graph, chained, edge.target.0 as usize, found);
        }
    }
}

fn chain_name(graph: &StreamGraph, chained: &[bool], index: usize) -> String {
    let next = graph.edges.iter().zip(chained);
    let next: Vec<String> = next
        .filter(|(edge, chained_edge)| **chained_edge && edge.source.0 as usize == index)
        .map(|(edge, _)| chain_name(graph, chained, edge.target.0 as usize))
        .collect();
    let name = &graph.nodes[index].name;
    match next.as_slice() {
        [] => name.clone(),
        [one] => format!("{name} -> {one}"),
        many => format!("{name} -> ({})", many.join(", ")),
    }
}

fn build_vertex(graph: &StreamGraph, chained: &[bool], head: &[usize], index: usize) -> JobVertex {
    let node = &graph.nodes[index];
    let mut chain = Vec::new();
    members(graph, chained, index, &mut chain);
    let position = |id: TransformationId| chain.iter().position(|m| *m == id.0 as usize);
    let mut outputs = Vec::new();
    let mut operators = Vec::with_capacity(chain.len());
    for member in &chain {
        let member_node = &graph.nodes[*member];
        let mut operator_outputs = Vec::new();
        for (edge, chained_edge) in graph.edges.iter().zip(chained) {
            if edge.source != member_node.id {
                continue;
            }
            let target = match position(edge.target) {
                Some(operator) if *chained_edge => {
                    OutputTarget::Chained { operator, input_index: edge.input_index }
                }
                _ => {
                    let consumer = &graph.nodes[head[edge.target.0 as usize]];
                    outputs.push(IntermediateDataSet {
                        edge: edge.id,
                        consumer: vertex_id(consumer),
                        ship: edge.ship,
                        pattern: pattern_of(edge.ship),
                        buffer_timeout_ms: member_node.buffer_timeout_ms,
                    });
                    OutputTarget::DataSet(outputs.len() - 1)
                }
            };
            let side_output = edge.side_output.clone();
            operator_outputs.push(OperatorOutput { edge: edge.id, side_output, target });
        }
        operators.push(ChainedOperator {
            id: member_node.operator_id,
            name: member_node.name.clone(),
            uid: member_node.uid.clone(),
            kind: member_node.kind,
            has_coordinator: member_node.has_coordinator,
            outputs: operator_outputs,
        });
    }
    let inputs = graph.edges.iter().zip(chained);
    let inputs = inputs
        .filter(|(edge, chained_edge)| !**chained_edge && edge.target == node.id)
        .map(|(edge, _)| JobEdge {
            edge: edge.id,
            producer: vertex_id(&graph.nodes[head[edge.source.0 as usize]]),
            input_index: edge.input_index,
            ship: edge.ship,
            pattern: pattern_of(edge.ship),
        })
        .collect();
    JobVertex {
        id: vertex_id(node),
        name: chain_name(graph, chained, index),
        parallelism: node.parallelism,
        max_parallelism: node.max_parallelism,
        max_parallelism_derived: chain.iter().all(|m| graph.nodes[*m].max_parallelism_derived),
        max_allowed_parallelism: chain
            .iter()
            .filter_map(|m| graph.nodes[*m].max_allowed_parallelism)
            .min(),
        slot_sharing_group: node.slot_sharing_group.clone(),
        co_location_key: chain.iter().find_map(|m| graph.nodes[*m].co_location_key.clone()),
        blocking: chain.iter().any(|m| graph.nodes[*m].blocking),
        operators,
        inputs,
        outputs,
    }
}

fn in_topological_order(vertices: Vec<JobVertex>) -> Vec<JobVertex> {
    let mut ordered: Vec<JobVertex> = Vec::with_capacity(vertices.len());
    let mut left = vertices;
    while !left.is_empty() {
        let known = |id: &JobVertexId| ordered.iter().any(|vertex| vertex.id == *id);
        let (ready, waiting): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|v| v.inputs.iter().all(|input| known(&input.producer)));
        if ready.is_empty() {
            // Cannot happen for an acyclic StreamGraph; losing vertices would be worse.
            ordered.extend(waiting);
            break;
        }
        ordered.extend(ready);
        left = waiting;
    }
    ordered
}
