//! Stable operator ids.
//!
//! An operator with a uid is identified by the hash of the uid alone. Without one, its id follows
//! from its place in the graph: the ids of its inputs, which of their outputs it reads, and how
//! many operators like it read the same input before it. So an id does not change when an
//! unrelated branch is added or something is renamed, but it does when the operators above it
//! change; only a uid protects from that.

use std::collections::HashMap;

use hurtig_types::OperatorId;

use crate::stream_graph::StreamGraph;

/// Ids of all operators, in the order of the graph's nodes.
pub(crate) fn operator_ids(graph: &StreamGraph) -> Vec<OperatorId> {
    let mut ids: Vec<Option<OperatorId>> = vec![None; graph.nodes.len()];
    let mut twins: HashMap<Vec<u8>, u32> = HashMap::new();
    loop {
        let mut left = false;
        for (index, node) in graph.nodes.iter().enumerate() {
            if ids[index].is_some() {
                continue;
            }
            if let Some(uid) = &node.uid {
                ids[index] = Some(OperatorId::from_bytes_hash(format!("uid:{uid}").as_bytes()));
                continue;
            }
            let mut text = format!("place:{:?}", node.kind).into_bytes();
            let mut complete = true;
            for edge in graph.edges.iter().filter(|edge| edge.target == node.id) {
                let Some(input) = ids[edge.source.0 as usize] else {
                    complete = false;
                    break;
                };
                let side = edge.side_output.as_ref().map_or("", |tag| &tag.0);
                text.extend_from_slice(format!("|{}:{input}:{side}", edge.input_index).as_bytes());
            }
            if !complete {
                left = true;
                continue;
            }
            let twin = twins.entry(text.clone()).or_default();
            text.extend_from_slice(format!("#{twin}").as_bytes());
            *twin += 1;
            ids[index] = Some(OperatorId::from_bytes_hash(&text));
        }
        if !left {
            break;
        }
    }
    ids.into_iter().flatten().collect()
}
