//! The ExecutionGraph as text and JSON, for people and tools.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::execution_graph::{Execution, ExecutionGraph};

impl ExecutionGraph {
    /// The current attempts of each vertex, in topological order.
    fn by_vertex(&self) -> impl Iterator<Item = (&hurtig_graph::JobVertex, Vec<usize>)> {
        self.graph.vertices.iter().map(|vertex| {
            let subtasks = 0..vertex.parallelism;
            (vertex, subtasks.filter_map(|subtask| self.index_of(vertex.id, subtask)).collect())
        })
    }

    /// One line per vertex, with its subtasks below.
    pub fn to_text(&self) -> String {
        let mut text = format!("ExecutionGraph of {:?}\n", self.graph.name);
        for (vertex, subtasks) in self.by_vertex() {
            let (name, parallelism) = (&vertex.name, vertex.parallelism);
            let _ = writeln!(text, "{name} parallelism {parallelism}/{}", vertex.max_parallelism);
            for index in subtasks {
                let execution = self.execution(index);
                let slot = execution.allocation.map(|slot| format!(" slot {slot}"));
                let _ = writeln!(
                    text,
                    "    {} region {} {:?} since {}{}",
                    self.task_name(index),
                    execution.region,
                    execution.state,
                    entered_state_ms(execution),
                    slot.unwrap_or_default()
                );
            }
        }
        text
    }

    /// All vertices with their subtasks.
    pub fn to_json(&self) -> Value {
        let vertices = self.by_vertex().map(|(vertex, subtasks)| {
            let subtasks: Vec<Value> = subtasks
                .into_iter()
                .map(|index| {
                    let execution = self.execution(index);
                    json!({
                        "subtask": execution.attempt.subtask,
                        "attempt": execution.attempt.attempt,
                        "region": execution.region,
                        "status": execution.state,
                        "since": entered_state_ms(execution),
                        "slot": execution.allocation.map(|slot| slot.to_string()),
                    })
                })
                .collect();
            json!({
                "id": vertex.id.to_string(),
                "name": vertex.name,
                "parallelism": vertex.parallelism,
                "maxParallelism": vertex.max_parallelism,
                "subtasks": subtasks,
            })
        });
        json!({
            "jid": self.graph.job_id.to_string(),
            "name": self.graph.name,
            "vertices": vertices.collect::<Vec<_>>(),
        })
    }
}

fn entered_state_ms(execution: &Execution) -> i64 {
    execution.timestamps.get(&execution.state).copied().unwrap_or_default()
}
