//! The ExecutionGraph as text and JSON, for people and tools; with the job's state and the
//! locations of its subtasks if the scheduler is asked.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    execution_graph::{Execution, ExecutionGraph},
    job_scheduler::JobScheduler,
    slot_pool::PhysicalSlot,
};

/// Finds the slot that an attempt was deployed to.
type Locate<'a> = &'a dyn Fn(&Execution) -> Option<&'a PhysicalSlot>;

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
        format!("ExecutionGraph of {:?}\n{}", self.graph.name, self.vertices_text(&|_| None))
    }

    fn vertices_text(&self, locate: Locate<'_>) -> String {
        let mut text = String::new();
        for (vertex, subtasks) in self.by_vertex() {
            let (name, parallelism) = (&vertex.name, vertex.parallelism);
            let _ = writeln!(text, "{name} parallelism {parallelism}/{}", vertex.max_parallelism);
            for index in subtasks {
                let execution = self.execution(index);
                let slot = execution.allocation.map(|slot| format!(" slot {slot}"));
                let location = locate(execution).map(|s| format!(" at {}", s.data_address.address));
                let _ = writeln!(
                    text,
                    "    {} region {} {:?} since {}{}{}",
                    self.task_name(index),
                    execution.region,
                    execution.state,
                    entered_state_ms(execution),
                    slot.unwrap_or_default(),
                    location.unwrap_or_default(),
                );
            }
        }
        text
    }

    /// All vertices with their subtasks.
    pub fn to_json(&self) -> Value {
        self.json(&|_| None)
    }

    fn json(&self, locate: Locate<'_>) -> Value {
        let vertices = self.by_vertex().map(|(vertex, subtasks)| {
            let subtasks: Vec<Value> = subtasks
                .into_iter()
                .map(|index| {
                    let execution = self.execution(index);
                    let slot = locate(execution);
                    json!({
                        "subtask": execution.attempt.subtask,
                        "attempt": execution.attempt.attempt,
                        "region": execution.region,
                        "status": execution.state,
                        "since": entered_state_ms(execution),
                        "timestamps": execution.timestamps,
                        "slot": execution.allocation.map(|slot| slot.to_string()),
                        "taskmanager-id": slot.map(|slot| slot.offer.slot.resource.to_string()),
                        "location": slot.map(|slot| &slot.data_address.address),
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

impl JobScheduler {
    /// The job's state, then its ExecutionGraph with locations.
    pub fn to_text(&self) -> String {
        let graph = self.graph();
        let name = &graph.graph.name;
        let mut text = format!("Job {name:?} {:?}, {} restarts\n", self.status(), self.restarts());
        for (status, since) in self.transitions() {
            let _ = writeln!(text, "    {status:?} since {since}");
        }
        text.push_str(&graph.vertices_text(&|execution| self.pool().slot(execution.allocation?)));
        text
    }

    /// The ExecutionGraph with locations, and the job's state and history.
    pub fn to_json(&self) -> Value {
        let mut value = self.graph().json(&|execution| self.pool().slot(execution.allocation?));
        value["state"] = json!(self.status());
        value["restarts"] = json!(self.restarts());
        let transitions = self.transitions().iter();
        value["transitions"] =
            transitions.map(|(status, ms)| json!({ "state": status, "since": ms })).collect();
        value
    }
}

fn entered_state_ms(execution: &Execution) -> i64 {
    execution.timestamps.get(&execution.state).copied().unwrap_or_default()
}
