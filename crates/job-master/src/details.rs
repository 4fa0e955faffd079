//! What clients see of a job, from the scheduler's state.

use std::collections::BTreeMap;

use hurtig_cluster_api::{
    CheckpointStatsCounts, ExecutionState, JobDetails, JobOverview, JobResult, SubtaskDetails,
    TaskIoMetrics, VertexDetails,
};
use hurtig_scheduler::{Execution, JobScheduler};
use hurtig_types::JobVertexId;

fn add(sum: &mut TaskIoMetrics, one: &TaskIoMetrics) {
    sum.records_in += one.records_in;
    sum.records_out += one.records_out;
    sum.bytes_in += one.bytes_in;
    sum.bytes_out += one.bytes_out;
    sum.busy_ms += one.busy_ms;
    sum.idle_ms += one.idle_ms;
    sum.back_pressured_ms += one.back_pressured_ms;
    sum.watermark = match (sum.watermark, one.watermark) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// One attempt, current or past.
fn attempt(execution: &Execution) -> SubtaskDetails {
    let location = execution.location.as_ref();
    SubtaskDetails {
        subtask: execution.attempt.subtask,
        attempt: execution.attempt.attempt,
        state: execution.state,
        task_executor: location.map(|location| location.resource),
        endpoint: location.map(|location| location.address.clone()),
        allocation: execution.allocation,
        timestamps: execution.timestamps.clone(),
        metrics: execution.metrics,
        accumulators: execution.accumulators.0.clone(),
    }
}

fn earlier_attempts(scheduler: &JobScheduler) -> BTreeMap<JobVertexId, Vec<SubtaskDetails>> {
    let mut earlier: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for execution in scheduler.graph().executions() {
        if !execution.earlier.is_empty() {
            let of_vertex = earlier.entry(execution.attempt.vertex).or_default();
            of_vertex.extend(execution.earlier.iter().map(attempt));
        }
    }
    earlier
}

pub(crate) fn vertices(scheduler: &JobScheduler) -> Vec<VertexDetails> {
    let graph = scheduler.graph();
    let mut executions = graph.executions().iter();
    let mut vertices = Vec::with_capacity(graph.graph.vertices.len());
    for vertex in &graph.graph.vertices {
        let mut metrics = TaskIoMetrics::default();
        let mut states: BTreeMap<ExecutionState, u32> = BTreeMap::new();
        let mut subtasks = Vec::with_capacity(vertex.parallelism as usize);
        for execution in executions.by_ref().take(vertex.parallelism as usize) {
            add(&mut metrics, &execution.metrics);
            *states.entry(execution.state).or_default() += 1;
            subtasks.push(attempt(execution));
        }
        vertices.push(VertexDetails {
            id: vertex.id,
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            states,
            subtasks,
            metrics,
        });
    }
    vertices
}

pub(crate) fn details(scheduler: &JobScheduler, checkpoints: CheckpointStatsCounts) -> JobDetails {
    let graph = &scheduler.graph().graph;
    let transitions = scheduler.transitions().to_vec();
    let start_time_ms = transitions.first().map_or(0, |(_, at)| *at);
    let ended = transitions.last().filter(|(status, _)| status.is_globally_terminal());
    let mut tasks: BTreeMap<ExecutionState, u32> = BTreeMap::new();
    let mut last_modification_ms = transitions.last().map_or(0, |(_, at)| *at);
    for execution in scheduler.graph().executions() {
        let entered = execution.timestamps.get(&execution.state).copied().unwrap_or_default();
        last_modification_ms = last_modification_ms.max(entered);
        *tasks.entry(execution.state).or_default() += 1;
    }
    JobDetails {
        overview: JobOverview {
            job_id: graph.job_id,
            name: graph.name.clone(),
            status: scheduler.status(),
            start_time_ms,
            end_time_ms: ended.map(|(_, at)| *at),
            last_modification_ms,
            tasks,
        },
        vertices: vertices(scheduler),
        transitions,
        failures: scheduler.failures().to_vec(),
        exceptions: scheduler.exceptions().to_vec(),
        earlier_attempts: earlier_attempts(scheduler),
        restarts: scheduler.restarts(),
        checkpoints,
        graph: graph.clone(),
    }
}

pub(crate) fn result(scheduler: &JobScheduler) -> JobResult {
    let details = details(scheduler, CheckpointStatsCounts::default());
    let overview = details.overview;
    let end_time_ms = overview.end_time_ms.unwrap_or(overview.start_time_ms);
    JobResult {
        job_id: overview.job_id,
        name: overview.name,
        status: overview.status,
        failure: scheduler.root_failure().cloned(),
        accumulators: scheduler.accumulators().0,
        run_time_ms: (end_time_ms - overview.start_time_ms).max(0) as u64,
        end_time_ms,
        restarts: details.restarts,
        vertices: details.vertices,
    }
}
