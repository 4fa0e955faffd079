//! The ExecutionGraph: every subtask's current attempt, with its state and history.
//!
//! Invariant: states change only along [`ExecutionState::may_become`]; a message of an attempt that
//! is not the current one changes nothing.

use std::collections::{BTreeMap, HashMap};

use hurtig_cluster_api::{ExecutionState, TaskIoMetrics};
use hurtig_graph::{JobGraph, JobVertex, pipelined_regions};
use hurtig_metrics::Accumulators;
use hurtig_types::{AllocationId, ExecutionAttemptId, JobVertexId};

/// A state change that is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalTransition {
    /// From.
    pub from: ExecutionState,
    /// To.
    pub to: ExecutionState,
}

impl std::fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an execution cannot go from {:?} to {:?}", self.from, self.to)
    }
}

impl std::error::Error for IllegalTransition {}

/// The current attempt of one subtask.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The attempt.
    pub attempt: ExecutionAttemptId,
    /// Its state.
    pub state: ExecutionState,
    /// When it entered each state, in milliseconds since the Unix epoch.
    pub timestamps: BTreeMap<ExecutionState, i64>,
    /// The slot that it was deployed to.
    pub allocation: Option<AllocationId>,
    /// What it has read and written.
    pub metrics: TaskIoMetrics,
    /// The user's accumulators; filled when the attempt has ended.
    pub accumulators: Accumulators,
    /// Position of its region.
    pub region: usize,
}

impl Execution {
    fn new(attempt: ExecutionAttemptId, region: usize, now_ms: i64) -> Self {
        Self {
            attempt,
            state: ExecutionState::Created,
            timestamps: BTreeMap::from([(ExecutionState::Created, now_ms)]),
            allocation: None,
            metrics: TaskIoMetrics::default(),
            accumulators: Accumulators::default(),
            region,
        }
    }

    /// Enters a state.
    pub fn transition(&mut self, to: ExecutionState, now_ms: i64) -> Result<(), IllegalTransition> {
        if !self.state.may_become(to) {
            return Err(IllegalTransition { from: self.state, to });
        }
        self.state = to;
        self.timestamps.insert(to, now_ms);
        Ok(())
    }

    /// Replaces the attempt by the next one, whose number is at least `first`.
    pub fn start_over(&mut self, first: u32, now_ms: i64) {
        let attempt = self.attempt.attempt.saturating_add(1).max(first);
        let attempt = ExecutionAttemptId { attempt, ..self.attempt };
        *self = Self::new(attempt, self.region, now_ms);
    }

    /// Takes over an attempt of an earlier JobMaster as it was found.
    pub fn take_over(
        &mut self,
        attempt: u32,
        state: ExecutionState,
        allocation: AllocationId,
        now_ms: i64,
    ) {
        let attempt = ExecutionAttemptId { attempt, ..self.attempt };
        *self = Self::new(attempt, self.region, now_ms);
        self.state = state;
        self.timestamps.insert(state, now_ms);
        self.allocation = Some(allocation);
    }
}

/// All subtasks of a job.
#[derive(Clone, Debug)]
pub struct ExecutionGraph {
    /// The job.
    pub graph: JobGraph,
    executions: Vec<Execution>,
    first: HashMap<JobVertexId, usize>,
    regions: Vec<Vec<usize>>,
}

impl ExecutionGraph {
    /// All subtasks of a graph, created. Their attempts are counted from `first_attempt`.
    pub fn new(graph: JobGraph, first_attempt: u32, now_ms: i64) -> Self {
        let mut first = HashMap::new();
        let mut count = 0;
        for vertex in &graph.vertices {
            first.insert(vertex.id, count);
            count += vertex.parallelism as usize;
        }
        let regions: Vec<Vec<usize>> = pipelined_regions(&graph)
            .into_iter()
            .map(|region| {
                region
                    .into_iter()
                    .map(|(vertex, subtask)| first[&vertex] + subtask as usize)
                    .collect()
            })
            .collect();
        let mut region_of = vec![0; count];
        for (region, members) in regions.iter().enumerate() {
            for member in members {
                region_of[*member] = region;
            }
        }
        let mut executions = Vec::with_capacity(count);
        for vertex in &graph.vertices {
            for subtask in 0..vertex.parallelism {
                let attempt = ExecutionAttemptId {
                    job: graph.job_id,
                    vertex: vertex.id,
                    subtask,
                    attempt: first_attempt,
                };
                executions.push(Execution::new(attempt, region_of[executions.len()], now_ms));
            }
        }
        Self { graph, executions, first, regions }
    }

    /// Position of a subtask.
    pub fn index_of(&self, vertex: JobVertexId, subtask: u32) -> Option<usize> {
        let parallelism = self.graph.vertex(vertex)?.parallelism;
        let first = self.first.get(&vertex)?;
        (subtask < parallelism).then(|| first + subtask as usize)
    }

    /// Position of an attempt if it is the current one of its subtask.
    pub fn current(&self, attempt: ExecutionAttemptId) -> Option<usize> {
        let index = self.index_of(attempt.vertex, attempt.subtask)?;
        (self.executions[index].attempt == attempt).then_some(index)
    }

    /// All current attempts, vertex by vertex.
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// One current attempt.
    pub fn execution(&self, index: usize) -> &Execution {
        &self.executions[index]
    }

    /// One current attempt, to change.
    pub fn execution_mut(&mut self, index: usize) -> &mut Execution {
        &mut self.executions[index]
    }

    /// Positions of the subtasks of each region.
    pub fn regions(&self) -> &[Vec<usize>] {
        &self.regions
    }

    /// The vertex of a subtask.
    pub fn vertex_of(&self, index: usize) -> Option<&JobVertex> {
        self.graph.vertex(self.executions[index].attempt.vertex)
    }

    /// `name (2/4)#0`, as Flink names a task.
    pub fn task_name(&self, index: usize) -> String {
        let attempt = self.executions[index].attempt;
        let (name, parallelism) =
            self.vertex_of(index).map_or(("?", 0), |vertex| (&vertex.name, vertex.parallelism));
        format!("{name} ({}/{parallelism})#{}", attempt.subtask + 1, attempt.attempt)
    }

    /// True if no attempt will change its state any more.
    pub fn all_terminal(&self) -> bool {
        self.executions.iter().all(|execution| execution.state.is_terminal())
    }
}
