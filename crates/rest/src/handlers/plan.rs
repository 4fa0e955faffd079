//! A job's plan.

use hurtig_graph::{JobGraph, ship_name};
use serde_json::json;

use crate::messages::jobs::{JobPlan, PlanInput, PlanNode};

/// The plan of a graph.
pub(crate) fn plan(graph: &JobGraph) -> JobPlan {
    let nodes = graph.vertices.iter().map(|vertex| PlanNode {
        id: vertex.id.to_string(),
        operator: String::new(),
        parallelism: vertex.parallelism,
        operator_strategy: String::new(),
        description: vertex.name.clone(),
        optimizer_properties: json!({}),
        inputs: (0..)
            .zip(&vertex.inputs)
            .map(|(num, input)| PlanInput {
                id: input.producer.to_string(),
                num,
                exchange: "pipelined_bounded".to_owned(),
                ship_strategy: ship_name(input.ship).to_owned(),
                local_strategy: None,
                caching: None,
            })
            .collect(),
    });
    JobPlan {
        jid: graph.job_id.to_string(),
        name: graph.name.clone(),
        job_type: "STREAMING".to_owned(),
        nodes: nodes.collect(),
    }
}
