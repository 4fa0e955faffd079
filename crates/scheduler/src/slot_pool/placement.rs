//! Which subtasks share a slot. A function of the graph alone, so that a later JobMaster, which
//! finds tasks in their slots, comes to the same answer.
//!
//! Subtasks of equal index share one, so every slot holds a whole slice of the pipeline, and slots
//! of low index hold more than others if vertices differ in their parallelism. With
//! `taskmanager.load-balance.mode: TASKS` a vertex that is narrower than its group begins where the
//! one before it has ended, so that slots differ by as few tasks as can be. Co-located vertices
//! begin together.

use std::collections::HashMap;

use hurtig_graph::JobGraph;

use super::SharedSlotId;

/// Where the subtasks of one vertex are.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: u32,
    /// The index of the shared slot of its first subtask.
    first: u32,
}

/// The shared slots of a graph.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Names of the slot sharing groups, and how many slots each needs.
    groups: Vec<(String, u32)>,
    /// By the position of the vertex.
    places: Vec<Place>,
}

impl Placement {
    /// The shared slots that a graph needs.
    pub fn of(graph: &JobGraph) -> Self {
        let mut positions: HashMap<&str, usize> = HashMap::new();
        let mut groups: Vec<(String, u32)> = Vec::new();
        let mut places = Vec::with_capacity(graph.vertices.len());
        for vertex in &graph.vertices {
            let name = vertex.slot_sharing_group.as_str();
            let group = *positions.entry(name).or_insert_with(|| {
                groups.push((name.to_owned(), 0));
                groups.len() - 1
            });
            groups[group].1 = groups[group].1.max(vertex.parallelism);
            places.push(Place { group: group as u32, first: 0 });
        }
        if graph.config.balance_tasks {
            balance(graph, &groups, &mut places);
        }
        Self { groups, places }
    }

    /// Names of the slot sharing groups, and how many slots each needs.
    pub fn groups(&self) -> &[(String, u32)] {
        &self.groups
    }

    /// The shared slot of a subtask of the vertex at that position.
    pub fn shared_of(&self, vertex: usize, subtask: u32) -> Option<SharedSlotId> {
        let Place { group, first } = *self.places.get(vertex)?;
        let width = self.groups.get(group as usize)?.1;
        // A subtask that there is not has no slot either.
        (subtask < width).then(|| SharedSlotId { group, index: (first + subtask) % width })
    }
}

fn balance(graph: &JobGraph, groups: &[(String, u32)], places: &mut [Place]) {
    let mut next = vec![0; groups.len()];
    let mut together: HashMap<&str, u32> = HashMap::new();
    for (vertex, place) in graph.vertices.iter().zip(places) {
        let group = place.group as usize;
        let width = groups[group].1;
        if vertex.parallelism >= width {
            continue;
        }
        let known = vertex.co_location_key.as_deref().map(|key| together.entry(key));
        place.first = match known {
            None => next[group],
            Some(entry) => *entry.or_insert(next[group]),
        };
        if place.first == next[group] {
            next[group] = (place.first + vertex.parallelism) % width;
        }
    }
}
