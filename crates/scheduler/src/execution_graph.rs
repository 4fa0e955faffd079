//! The ExecutionGraph: every subtask's current attempt, with its state and history.
//!
//! Invariant: states change only along [`ExecutionState::may_become`]; a message of an attempt that
//! is not the current one changes nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hurtig_cluster_api::{ExecutionState, PeerAddress, TaskIoMetrics};
use hurtig_graph::{JobGraph, JobVertex, pipelined_regions};
use hurtig_metrics::Accumulators;
use hurtig_types::{AllocationId, ExecutionAttemptId, JobVertexId};

/// Most attempts of a subtask that are remembered beside the current one; the oldest are forgotten
/// first. As Flink's `jobmanager.execution.attempts-history-size`.
pub const REMEMBERED_ATTEMPTS: usize = 16;

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
    /// The TaskExecutor that it was deployed to; known also when the slot is lost.
    pub location: Option<PeerAddress>,
    /// What it has read and written.
    pub metrics: TaskIoMetrics,
    /// The user's accumulators; filled when the attempt has ended.
    pub accumulators: Accumulators,
    /// Position of its region.
    pub region: usize,
    /// The attempts before this one, oldest first; they have none themselves.
    pub earlier: VecDeque<Execution>,
}

impl Execution {
    fn new(attempt: ExecutionAttemptId, region: usize, now_ms: i64) -> Self {
        Self {
            attempt,
            state: ExecutionState::Created,
            timestamps: BTreeMap::from([(ExecutionState::Created, now_ms)]),
            allocation: None,
            location: None,
            metrics: TaskIoMetrics::default(),
            accumulators: Accumulators::default(),
            region,
            earlier: VecDeque::new(),
        }
    }

    fn transition(&mut self, to: ExecutionState, now_ms: i64) -> Result<(), IllegalTransition> {
        if !self.state.may_become(to) {
            return Err(IllegalTransition { from: self.state, to });
        }
        self.state = to;
        self.timestamps.insert(to, now_ms);
        Ok(())
    }

    fn start_over(&mut self, first: u32, now_ms: i64) {
        let attempt = self.attempt.attempt.saturating_add(1).max(first);
        let attempt = ExecutionAttemptId { attempt, ..self.attempt };
        let next = Self::new(attempt, self.region, now_ms);
        let mut past = std::mem::replace(self, next);
        let mut earlier = std::mem::take(&mut past.earlier);
        if earlier.len() == REMEMBERED_ATTEMPTS {
            earlier.pop_front();
        }
        earlier.push_back(past);
        self.earlier = earlier;
    }

    fn take_over(
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
    /// Position of the vertex, and of its first subtask.
    first: HashMap<JobVertexId, (usize, usize)>,
    regions: Vec<Vec<usize>>,
    /// Attempts in a terminal state, and those of them that have finished.
    terminal: usize,
    finished: usize,
}

impl ExecutionGraph {
    /// All subtasks of a graph, created.
    pub fn new(graph: JobGraph, now_ms: i64) -> Self {
        Self::in_attempt(graph, 0, now_ms)
    }

    /// All subtasks of a graph, created, in attempts of that number.
    pub fn in_attempt(graph: JobGraph, attempt: u32, now_ms: i64) -> Self {
        let mut first = HashMap::new();
        let mut count = 0;
        for (position, vertex) in graph.vertices.iter().enumerate() {
            first.insert(vertex.id, (position, count));
            count += vertex.parallelism as usize;
        }
        let index = |(vertex, subtask): (JobVertexId, u32)| first[&vertex].1 + subtask as usize;
        let regions = pipelined_regions(&graph).into_iter();
        let regions: Vec<Vec<usize>> =
            regions.map(|region| region.into_iter().map(index).collect()).collect();
        let mut region_of = vec![0; count];
        for (region, members) in regions.iter().enumerate() {
            for member in members {
                region_of[*member] = region;
            }
        }
        let mut executions = Vec::with_capacity(count);
        for vertex in &graph.vertices {
            for subtask in 0..vertex.parallelism {
                let (job, vertex) = (graph.job_id, vertex.id);
                let attempt = ExecutionAttemptId { job, vertex, subtask, attempt };
                executions.push(Execution::new(attempt, region_of[executions.len()], now_ms));
            }
        }
        Self { graph, executions, first, regions, terminal: 0, finished: 0 }
    }

    /// An attempt enters a state.
    pub fn transition(
        &mut self,
        index: usize,
        to: ExecutionState,
        now_ms: i64,
    ) -> Result<(), IllegalTransition> {
        self.executions[index].transition(to, now_ms)?;
        self.terminal += usize::from(to.is_terminal());
        self.finished += usize::from(to == ExecutionState::Finished);
        Ok(())
    }

    /// Takes over an attempt of an earlier JobMaster as it was found.
    pub fn take_over(
        &mut self,
        index: usize,
        attempt: u32,
        state: ExecutionState,
        allocation: AllocationId,
        now_ms: i64,
    ) {
        self.executions[index].take_over(attempt, state, allocation, now_ms);
        self.terminal += usize::from(state.is_terminal());
        self.finished += usize::from(state == ExecutionState::Finished);
    }

    /// Replaces an attempt by the next one, whose number is at least `first`.
    pub fn start_over(&mut self, index: usize, first: u32, now_ms: i64) {
        let execution = &mut self.executions[index];
        self.terminal -= usize::from(execution.state.is_terminal());
        self.finished -= usize::from(execution.state == ExecutionState::Finished);
        execution.start_over(first, now_ms);
    }

    /// A number that no attempt of any subtask has had.
    pub fn next_attempt(&self) -> u32 {
        self.executions.iter().map(|e| e.attempt.attempt + 1).max().unwrap_or(0)
    }

    /// Position of a subtask.
    pub fn index_of(&self, vertex: JobVertexId, subtask: u32) -> Option<usize> {
        let (position, first) = self.first.get(&vertex)?;
        let parallelism = self.graph.vertices[*position].parallelism;
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

    /// One current attempt, to change; its state changes by [`ExecutionGraph::transition`].
    pub(crate) fn execution_mut(&mut self, index: usize) -> &mut Execution {
        &mut self.executions[index]
    }

    /// Positions of the subtasks of each region.
    pub fn regions(&self) -> &[Vec<usize>] {
        &self.regions
    }

    /// The vertex of a subtask.
    pub fn vertex_of(&self, index: usize) -> Option<&JobVertex> {
        Some(&self.graph.vertices[self.position_of(self.executions[index].attempt.vertex)?])
    }

    /// `name (2/4)#0`, as Flink names a task.
    pub fn task_name(&self, index: usize) -> String {
        let attempt = self.executions[index].attempt;
        let (name, parallelism) =
            self.vertex_of(index).map_or(("?", 0), |vertex| (&vertex.name, vertex.parallelism));
        format!("{name} ({}/{parallelism})#{}", attempt.subtask + 1, attempt.attempt)
    }

    /// Position of a vertex among those of the graph.
    pub fn position_of(&self, vertex: JobVertexId) -> Option<usize> {
        self.first.get(&vertex).map(|(position, _)| *position)
    }

    /// True if no attempt will change its state any more.
    pub fn all_terminal(&self) -> bool {
        self.terminal == self.executions.len()
    }

    /// Number of subtasks that have finished.
    pub fn finished(&self) -> usize {
        self.finished
    }
}
