//! Graphs as text, JSON and DOT, for people and tools.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    job_graph::{JobGraph, JobVertex},
    stream_graph::StreamGraph,
    transformation::{OperatorKind, ShipStrategy},
};

/// The name of a strategy as Flink's plans print it.
pub fn ship_name(ship: ShipStrategy) -> &'static str {
    match ship {
        ShipStrategy::Forward => "FORWARD",
        ShipStrategy::Rebalance => "REBALANCE",
        ShipStrategy::Rescale => "RESCALE",
        ShipStrategy::Shuffle => "SHUFFLE",
        ShipStrategy::Broadcast => "BROADCAST",
        ShipStrategy::Global => "GLOBAL",
        ShipStrategy::KeyGroup => "HASH",
        ShipStrategy::Custom => "CUSTOM",
    }
}

fn pact(kind: OperatorKind) -> &'static str {
    match kind {
        OperatorKind::Source => "Data Source",
        OperatorKind::Operator => "Operator",
        OperatorKind::Sink => "Data Sink",
    }
}

impl StreamGraph {
    /// One line per operator, with its inputs below.
    pub fn to_text(&self) -> String {
        let mut text = format!("StreamGraph of {:?}\n", self.job_name);
        for node in &self.nodes {
            let _ = writeln!(
                text,
                "{} {} \"{}\" parallelism {}/{} slot group {}",
                node.id.0,
                pact(node.kind),
                node.name,
                node.parallelism,
                node.max_parallelism,
                node.slot_sharing_group
            );
            for edge in self.edges.iter().filter(|edge| edge.target == node.id) {
                let side =
                    edge.side_output.as_ref().map_or(String::new(), |t| format!(" side {t}"));
                let ship = ship_name(edge.ship);
                let _ = writeln!(
                    text,
                    "    <- {ship} {} input {}{side}",
                    edge.source.0, edge.input_index
                );
            }
        }
        text
    }

    /// Flink's execution plan: `{"nodes": [{id, type, pact, contents, parallelism, predecessors}]}`.
    pub fn to_json(&self) -> Value {
        let nodes = self.nodes.iter().map(|node| {
            let inputs = self.edges.iter().filter(|edge| edge.target == node.id);
            let predecessors: Vec<Value> = inputs
                .map(|edge| {
                    json!({
                        "id": edge.source.0,
                        "ship_strategy": ship_name(edge.ship),
                        "side": if edge.input_index == 0 { "first" } else { "second" },
                    })
                })
                .collect();
            let mut value = json!({
                "id": node.id.0,
                "type": node.name,
                "pact": pact(node.kind),
                "contents": node.name,
                "parallelism": node.parallelism,
            });
            if !predecessors.is_empty() {
                value["predecessors"] = predecessors.into();
            }
            value
        });
        json!({ "nodes": nodes.collect::<Vec<_>>() })
    }

    /// For Graphviz.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph stream_graph {\n");
        for node in &self.nodes {
            let label =
                format!("{}\\nparallelism {}", node.name.replace('"', "'"), node.parallelism);
            let _ = writeln!(text, "  n{} [label=\"{label}\"];", node.id.0);
        }
        for edge in &self.edges {
            let label = ship_name(edge.ship);
            let _ =
                writeln!(text, "  n{} -> n{} [label=\"{label}\"];", edge.source.0, edge.target.0);
        }
        text.push_str("}\n");
        text
    }
}

impl JobGraph {
    /// The vertex of that id.
    pub fn vertex(&self, id: hurtig_types::JobVertexId) -> Option<&JobVertex> {
        self.vertices.iter().find(|vertex| vertex.id == id)
    }

    /// One line per vertex, with its inputs below.
    pub fn to_text(&self) -> String {
        let mut text = format!("JobGraph of {:?}\n", self.name);
        for (index, vertex) in self.vertices.iter().enumerate() {
            let _ = writeln!(
                text,
                "{index} [{}] parallelism {}/{} slot group {}",
                vertex.name, vertex.parallelism, vertex.max_parallelism, vertex.slot_sharing_group
            );
            for input in &vertex.inputs {
                let producer = self.vertices.iter().position(|v| v.id == input.producer);
                let _ = writeln!(
                    text,
                    "    <- {} {} input {}",
                    ship_name(input.ship),
                    producer.map_or("?".to_owned(), |p| p.to_string()),
                    input.input_index
                );
            }
        }
        text
    }

    /// Flink's job plan, as under `/jobs/:jobid/plan`.
    pub fn to_json(&self) -> Value {
        let nodes = self.vertices.iter().map(|vertex| {
            let inputs = vertex.inputs.iter().enumerate().map(|(num, input)| {
                json!({
                    "num": num,
                    "id": input.producer.to_string(),
                    "ship_strategy": ship_name(input.ship),
                    "exchange": "pipelined_bounded",
                })
            });
            let inputs: Vec<Value> = inputs.collect();
            let mut value = json!({
                "id": vertex.id.to_string(),
                "parallelism": vertex.parallelism,
                "operator": "",
                "operator_strategy": "",
                "description": vertex.name,
                "optimizer_properties": {},
            });
            if !inputs.is_empty() {
                value["inputs"] = inputs.into();
            }
            value
        });
        json!({
            "jid": self.job_id.to_string(),
            "name": self.name,
            "type": "STREAMING",
            "nodes": nodes.collect::<Vec<_>>(),
        })
    }
}
