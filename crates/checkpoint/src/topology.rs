//! A job as far as checkpoints look at it: vertices, their operators, who feeds whom.
//!
//! Derived from a JobGraph. Vertices stand in topological order, producers first; everything else
//! in this crate relies on it.

use std::collections::{BTreeMap, HashMap};

use hurtig_graph::{DistributionPattern, JobGraph, ShipStrategy};
use hurtig_types::{JobId, JobVertexId, OperatorId, StateMeta};

/// A job.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The job.
    pub job: JobId,
    /// Vertices, producers first.
    pub vertices: Vec<VertexInfo>,
}

/// One vertex.
#[derive(Clone, Debug)]
pub struct VertexInfo {
    /// Id.
    pub id: JobVertexId,
    /// Name.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// The number of key groups was derived, not set by the user: that of a snapshot may take its
    /// place.
    pub max_parallelism_derived: bool,
    /// Operators, head first.
    pub operators: Vec<OperatorInfo>,
    /// Inputs.
    pub inputs: Vec<InputInfo>,
}

/// One operator.
#[derive(Clone, Debug)]
pub struct OperatorInfo {
    /// Id.
    pub id: OperatorId,
    /// Name.
    pub name: String,
    /// The user's uid.
    pub uid: Option<String>,
    /// It has a coordinator.
    pub has_coordinator: bool,
    /// The states that it declares, as far as that is known before it is opened; the others are
    /// checked when the operator asks for them.
    pub declared: Vec<StateMeta>,
}

/// One input of a vertex.
#[derive(Clone, Debug)]
pub struct InputInfo {
    /// Position of the producer among the vertices.
    pub producer: usize,
    /// Position of the data set among the producer's outputs.
    pub producer_output: u32,
    /// Partitioning.
    pub ship: ShipStrategy,
    /// Who reads from whom.
    pub pattern: DistributionPattern,
}

/// One subtask of a [`Topology`]: position of the vertex, and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubtaskRef {
    /// Position of the vertex.
    pub vertex: usize,
    /// Index of the subtask.
    pub subtask: u32,
}

impl VertexInfo {
    /// The head of the chain.
    pub fn head(&self) -> OperatorId {
        OperatorId(self.id.0)
    }
}

impl Topology {
    /// All subtasks, producers first.
    pub fn subtasks(&self) -> impl Iterator<Item = SubtaskRef> + '_ {
        self.vertices.iter().enumerate().flat_map(|(vertex, info)| {
            (0..info.parallelism).map(move |subtask| SubtaskRef { vertex, subtask })
        })
    }

    /// A subtask as people know it: `name (2/4)`.
    pub fn task_name(&self, subtask: SubtaskRef) -> String {
        let vertex = &self.vertices[subtask.vertex];
        format!("{} ({}/{})", vertex.name, subtask.subtask + 1, vertex.parallelism)
    }

    /// Numbers of key groups that a snapshot brings, where the job leaves them open.
    pub fn take_over_max_parallelism(&mut self, of: &BTreeMap<JobVertexId, u32>) {
        for vertex in &mut self.vertices {
            if let Some(max) = of.get(&vertex.id).filter(|_| vertex.max_parallelism_derived) {
                vertex.max_parallelism = *max;
            }
        }
    }

    /// Position of a vertex.
    pub fn position(&self, id: JobVertexId) -> Option<usize> {
        self.vertices.iter().position(|vertex| vertex.id == id)
    }
}

impl From<&JobGraph> for Topology {
    fn from(graph: &JobGraph) -> Self {
        let positions: HashMap<JobVertexId, usize> =
            graph.vertices.iter().enumerate().map(|(index, vertex)| (vertex.id, index)).collect();
        let vertices = graph.vertices.iter().map(|vertex| {
            let operators = vertex.operators.iter().map(|operator| OperatorInfo {
                id: operator.id,
                name: operator.name.clone(),
                uid: operator.uid.clone(),
                has_coordinator: operator.has_coordinator,
                declared: Vec::new(),
            });
            let inputs = vertex.inputs.iter().filter_map(|edge| {
                let producer = *positions.get(&edge.producer)?;
                let mut outputs = graph.vertices[producer].outputs.iter();
                let producer_output = outputs.position(|output| output.edge == edge.edge)? as u32;
                let (ship, pattern) = (edge.ship, edge.pattern);
                Some(InputInfo { producer, producer_output, ship, pattern })
            });
            VertexInfo {
                id: vertex.id,
                name: vertex.name.clone(),
                parallelism: vertex.parallelism,
                max_parallelism: vertex.max_parallelism,
                max_parallelism_derived: vertex.max_parallelism_derived,
                operators: operators.collect(),
                inputs: inputs.collect(),
            }
        });
        Self { job: graph.job_id, vertices: vertices.collect() }
    }
}
