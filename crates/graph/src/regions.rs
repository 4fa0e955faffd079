//! Pipelined regions: subtasks that must be restarted together because they exchange records
//! directly. All edges are pipelined, so a region is a connected component of subtasks; a graph
//! whose edges are all pointwise falls into several.

use std::collections::HashMap;

use hurtig_types::JobVertexId;

use crate::{
    distribution::channels_of,
    job_graph::{DistributionPattern, JobGraph},
};

/// The regions of a job: each a list of subtasks, ordered by vertex and index.
pub fn pipelined_regions(graph: &JobGraph) -> Vec<Vec<(JobVertexId, u32)>> {
    let mut first = HashMap::new();
    let mut subtasks = Vec::new();
    for vertex in &graph.vertices {
        first.insert(vertex.id, subtasks.len());
        subtasks.extend((0..vertex.parallelism).map(|subtask| (vertex.id, subtask)));
    }
    let mut parent: Vec<usize> = (0..subtasks.len()).collect();
    let parallelism: HashMap<JobVertexId, u32> =
        graph.vertices.iter().map(|vertex| (vertex.id, vertex.parallelism)).collect();
    for vertex in &graph.vertices {
        for input in &vertex.inputs {
            let (Some(producers), Some(producer_first)) =
                (parallelism.get(&input.producer), first.get(&input.producer))
            else {
                continue;
            };
            let own_first = first[&vertex.id];
            if input.pattern == DistributionPattern::AllToAll {
                // Everybody is connected through the first consumer: no need for all pairs.
                for producer in 0..*producers as usize {
                    join(&mut parent, producer_first + producer, own_first);
                }
                for consumer in 1..vertex.parallelism as usize {
                    join(&mut parent, own_first, own_first + consumer);
                }
                continue;
            }
            for consumer in 0..vertex.parallelism {
                let channels = channels_of(input.pattern, *producers, vertex.parallelism, consumer);
                for (producer, _) in channels {
                    let (a, b) =
                        (producer_first + producer as usize, own_first + consumer as usize);
                    join(&mut parent, a, b);
                }
            }
        }
    }
    let mut regions: Vec<Vec<(JobVertexId, u32)>> = Vec::new();
    let mut region_of_root = HashMap::new();
    for (index, subtask) in subtasks.iter().enumerate() {
        let root = find(&mut parent, index);
        let region = *region_of_root.entry(root).or_insert_with(|| {
            regions.push(Vec::new());
            regions.len() - 1
        });
        regions[region].push(*subtask);
    }
    regions
}

fn find(parent: &mut [usize], mut index: usize) -> usize {
    while parent[index] != index {
        parent[index] = parent[parent[index]];
        index = parent[index];
    }
    index
}

fn join(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parent, a), find(parent, b));
    parent[a.max(b)] = a.min(b);
}
