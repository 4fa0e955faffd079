//! The parallelism that so many slots allow.
//!
//! Each slot sharing group gets as many slots as it cannot do without; what is left is divided
//! evenly, up to what each wants. A vertex then runs with as many subtasks as its group has slots,
//! within its bounds. Vertices between which records are forwarded, and those that are co-located,
//! have equal parallelism, whatever their groups have.

use std::collections::HashMap;

use hurtig_cluster_api::{JobResourceRequirements, ParallelismBounds};
use hurtig_graph::{JobGraph, JobVertex, ShipStrategy};
use hurtig_types::JobVertexId;

/// Bounds of all vertices of a job.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// As declared, by position.
    declared: Vec<ParallelismBounds>,
    /// Vertices of equal parallelism have equal numbers.
    sets: Vec<usize>,
    /// As they follow from the others of a set.
    effective: Vec<ParallelismBounds>,
    /// Position of the group of each vertex.
    group_of: Vec<usize>,
    /// Slots that each group needs and wants.
    groups: Vec<ParallelismBounds>,
}

/// Sum of the parallelism of vertices.
pub(super) fn total(parallelism: &[u32]) -> i64 {
    parallelism.iter().map(|p| i64::from(*p)).sum()
}

/// The most subtasks that a vertex can have.
fn most(vertex: &JobVertex) -> u32 {
    vertex.max_allowed_parallelism.unwrap_or(u32::MAX).min(vertex.max_parallelism).max(1)
}

impl Bounds {
    /// What a job asks for that was told nothing else: at least one subtask of each vertex, at most
    /// as many as the program says, or, in reactive mode, as there can be.
    pub fn of(graph: &JobGraph, reactive: bool) -> Self {
        let upper = |v: &JobVertex| if reactive { most(v) } else { v.parallelism.max(1) };
        let bounds = |v: &JobVertex| ParallelismBounds {
            lower_bound: 1,
            upper_bound: upper(v).min(most(v)),
        };
        Self::new(graph, graph.vertices.iter().map(bounds).collect())
    }

    /// What a user asks for.
    ///
    /// # Errors
    /// If it is not about every vertex of the job, or impossible.
    pub fn checked(graph: &JobGraph, asked: &JobResourceRequirements) -> Result<Self, String> {
        let known = |id: &JobVertexId| graph.vertices.iter().any(|vertex| vertex.id == *id);
        if let Some(unknown) = asked.vertices.keys().find(|id| !known(id)) {
            return Err(format!("the job has no vertex {unknown}"));
        }
        let mut declared = Vec::with_capacity(graph.vertices.len());
        for vertex in &graph.vertices {
            let (name, most) = (&vertex.name, most(vertex));
            let Some(bounds) = asked.vertices.get(&vertex.id).copied() else {
                return Err(format!("there are no bounds for vertex {name:?} ({})", vertex.id));
            };
            let ParallelismBounds { lower_bound, upper_bound } = bounds;
            if lower_bound == 0 || lower_bound > upper_bound {
                return Err(format!(
                    "bounds {lower_bound} to {upper_bound} of vertex {name:?} are not in order: \
                     the lower one must be at least 1 and at most the upper one"
                ));
            }
            if upper_bound > most {
                return Err(format!(
                    "vertex {name:?} cannot have parallelism {upper_bound}: {most} at most"
                ));
            }
            declared.push(bounds);
        }
        let bounds = Self::new(graph, declared);
        match bounds.effective.iter().position(|b| b.lower_bound > b.upper_bound) {
            Some(position) => Err(format!(
                "vertex {:?} must have the parallelism of others, and their bounds contradict it",
                graph.vertices[position].name
            )),
            None => Ok(bounds),
        }
    }

    fn new(graph: &JobGraph, declared: Vec<ParallelismBounds>) -> Self {
        let sets = equal_parallelism(graph);
        let mut effective = declared.clone();
        for (position, set) in sets.iter().enumerate() {
            let members = || sets.iter().zip(&declared).filter(|(of, _)| *of == set);
            let lower_bound = members().map(|(_, b)| b.lower_bound).max().unwrap_or(1);
            let upper_bound = members().map(|(_, b)| b.upper_bound).min().unwrap_or(1);
            effective[position] = ParallelismBounds { lower_bound, upper_bound };
        }
        let mut positions: HashMap<&str, usize> = HashMap::new();
        let mut groups: Vec<ParallelismBounds> = Vec::new();
        let mut group_of = Vec::with_capacity(graph.vertices.len());
        for (vertex, bounds) in graph.vertices.iter().zip(&effective) {
            let group = *positions.entry(&vertex.slot_sharing_group).or_insert_with(|| {
                groups.push(ParallelismBounds { lower_bound: 0, upper_bound: 0 });
                groups.len() - 1
            });
            groups[group].lower_bound = groups[group].lower_bound.max(bounds.lower_bound);
            groups[group].upper_bound = groups[group].upper_bound.max(bounds.upper_bound);
            group_of.push(group);
        }
        Self { declared, sets, effective, group_of, groups }
    }

    /// What was declared.
    pub fn requirements(&self, graph: &JobGraph) -> JobResourceRequirements {
        let ids = graph.vertices.iter().map(|vertex| vertex.id);
        JobResourceRequirements { vertices: ids.zip(self.declared.iter().copied()).collect() }
    }

    /// Slots that the job wants.
    pub fn desired_slots(&self) -> usize {
        self.groups.iter().map(|group| group.upper_bound as usize).sum()
    }

    /// Slots that the job needs.
    pub fn minimal_slots(&self) -> usize {
        self.groups.iter().map(|group| group.lower_bound as usize).sum()
    }

    /// The parallelism of each vertex with that many slots; `None` if they are too few.
    pub fn parallelism_for(&self, slots: usize) -> Option<Vec<u32>> {
        let mut left = slots.checked_sub(self.minimal_slots())?;
        // Those that want least first: what they do not take is for the others.
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        let room =
            |group: &usize| self.groups[*group].upper_bound - self.groups[*group].lower_bound;
        order.sort_by_key(room);
        let mut given = vec![0; self.groups.len()];
        for (done, group) in order.iter().enumerate() {
            let share = left.div_ceil(order.len() - done).min(room(group) as usize);
            left -= share;
            given[*group] = self.groups[*group].lower_bound + share as u32;
        }
        let own = |position: usize| given[self.group_of[position]];
        let of_set = |set: usize| {
            let members = (0..self.sets.len()).filter(|position| self.sets[*position] == set);
            members.map(own).min().unwrap_or(1)
        };
        let parallelism = self.sets.iter().zip(&self.effective);
        Some(parallelism.map(|(set, bounds)| of_set(*set).min(bounds.upper_bound)).collect())
    }
}

/// Numbers the vertices; those that must have equal parallelism get equal numbers.
fn equal_parallelism(graph: &JobGraph) -> Vec<usize> {
    let positions: HashMap<JobVertexId, usize> =
        graph.vertices.iter().enumerate().map(|(position, v)| (v.id, position)).collect();
    let mut sets: Vec<usize> = (0..graph.vertices.len()).collect();
    let mut join = |a: usize, b: usize| {
        let (from, to) = (sets[a].max(sets[b]), sets[a].min(sets[b]));
        sets.iter_mut().filter(|set| **set == from).for_each(|set| *set = to);
    };
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for (position, vertex) in graph.vertices.iter().enumerate() {
        for input in vertex.inputs.iter().filter(|input| input.ship == ShipStrategy::Forward) {
            if let Some(producer) = positions.get(&input.producer) {
                join(*producer, position);
            }
        }
        if let Some(key) = &vertex.co_location_key {
            join(*by_key.entry(key).or_insert(position), position);
        }
    }
    sets
}
