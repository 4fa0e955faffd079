//! States of jobs, vertices and subtasks, and times derived from them, as Flink shows them.

use std::collections::BTreeMap;

use hurtig_cluster_api::{ExecutionState, JobStatus, SubtaskDetails, TaskIoMetrics};
use serde::Serialize;

use crate::messages::jobs::IOMetricsInfo;

/// All states of an attempt.
pub(crate) const EXECUTION_STATES: [ExecutionState; 9] = [
    ExecutionState::Created,
    ExecutionState::Scheduled,
    ExecutionState::Deploying,
    ExecutionState::Initializing,
    ExecutionState::Running,
    ExecutionState::Finished,
    ExecutionState::Canceling,
    ExecutionState::Canceled,
    ExecutionState::Failed,
];

/// All states of a job.
pub(crate) const JOB_STATES: [JobStatus; 10] = [
    JobStatus::Initializing,
    JobStatus::Created,
    JobStatus::Running,
    JobStatus::Failing,
    JobStatus::Failed,
    JobStatus::Cancelling,
    JobStatus::Canceled,
    JobStatus::Finished,
    JobStatus::Restarting,
    JobStatus::Suspended,
];

/// The word that a unit-like value is serialised as.
pub(crate) fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// How many in each state, for all states; Flink's `RECONCILING` is never there.
pub(crate) fn count_all(counts: &BTreeMap<ExecutionState, u32>) -> BTreeMap<String, u32> {
    let count = |state: &ExecutionState| counts.get(state).copied().unwrap_or_default();
    let mut all: BTreeMap<String, u32> =
        EXECUTION_STATES.iter().map(|state| (word(state), count(state))).collect();
    all.insert("RECONCILING".to_owned(), 0);
    all
}

/// The state of subtasks together, as Flink 2.3's `ExecutionJobVertex` aggregates it.
pub(crate) fn aggregate(counts: &BTreeMap<ExecutionState, u32>) -> ExecutionState {
    use ExecutionState::*;
    let any = |state: &ExecutionState| counts.get(state).is_some_and(|count| *count > 0);
    let all: u32 = counts.values().sum();
    match [Failed, Canceling, Canceled, Initializing, Running].iter().find(|state| any(state)) {
        Some(state) => *state,
        None if any(&Finished) && counts[&Finished] == all => Finished,
        None if any(&Finished) => Running,
        None => Created,
    }
}

/// When the first of some attempts was deployed, when the last ended, and how long that is; -1 for
/// what is not known yet.
pub(crate) fn span<'a>(
    attempts: impl Iterator<Item = &'a SubtaskDetails>,
    now_ms: i64,
) -> (i64, i64, i64) {
    let (mut start, mut end, mut all_ended) = (i64::MAX, 0, true);
    for attempt in attempts {
        if let Some(deployed) = attempt.timestamps.get(&ExecutionState::Deploying) {
            start = start.min(*deployed);
        }
        all_ended &= attempt.state.is_terminal();
        end = end.max(attempt.timestamps.get(&attempt.state).copied().unwrap_or_default());
    }
    match (start, all_ended) {
        (i64::MAX, _) => (-1, -1, -1),
        (start, true) => (start, end, end - start),
        (start, false) => (start, -1, now_ms - start),
    }
}

/// How long an attempt was in each state; -1 for those it was not in.
pub(crate) fn status_duration(attempt: &SubtaskDetails, now_ms: i64) -> BTreeMap<String, i64> {
    use ExecutionState::*;
    let at = |state: ExecutionState| attempt.timestamps.get(&state).copied();
    let path = [Created, Scheduled, Deploying, Initializing, Running];
    let ended = [Finished, Canceled, Failed].into_iter().find_map(at);
    let mut durations = BTreeMap::new();
    for (index, state) in path.into_iter().enumerate() {
        let next = path[index + 1..].iter().copied().find_map(at);
        let until = next.or(at(Canceling)).or(ended).unwrap_or(now_ms);
        let duration = at(state).map_or(-1, |from| (until - from).max(0));
        durations.insert(word(&state), duration);
    }
    durations
}

/// What was read and written, as REST tells it. Readings come with heartbeats, so until an attempt
/// has ended they may be behind.
pub(crate) fn io_metrics(metrics: &TaskIoMetrics, complete: bool) -> IOMetricsInfo {
    IOMetricsInfo {
        read_bytes: metrics.bytes_in,
        read_bytes_complete: complete,
        write_bytes: metrics.bytes_out,
        write_bytes_complete: complete,
        read_records: metrics.records_in,
        read_records_complete: complete,
        write_records: metrics.records_out,
        write_records_complete: complete,
        accumulated_backpressured_time: metrics.back_pressured_ms,
        accumulated_idle_time: metrics.idle_ms,
        accumulated_busy_time: metrics.busy_ms as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ExecutionState::*;

    fn attempt(times: &[(ExecutionState, i64)]) -> SubtaskDetails {
        SubtaskDetails {
            subtask: 0,
            attempt: 0,
            state: times.last().expect("a state").0,
            task_executor: None,
            endpoint: None,
            allocation: None,
            timestamps: times.iter().copied().collect(),
            metrics: TaskIoMetrics::default(),
            accumulators: BTreeMap::new(),
        }
    }

    #[test]
    fn the_state_of_a_vertex_is_that_of_the_worst_subtask() {
        let of = |states: &[ExecutionState]| {
            let mut counts = BTreeMap::new();
            states.iter().for_each(|state| *counts.entry(*state).or_default() += 1);
            aggregate(&counts)
        };
        assert_eq!(of(&[Running, Failed]), Failed);
        assert_eq!(of(&[Running, Initializing]), Initializing);
        assert_eq!(of(&[Finished, Finished]), Finished);
        assert_eq!(of(&[Finished, Scheduled]), Running);
        assert_eq!(of(&[Scheduled, Deploying]), Created);
        assert_eq!(of(&[]), Created);
    }

    #[test]
    fn times_are_unknown_before_the_deployment_and_open_until_the_end() {
        let created = attempt(&[(Created, 5), (Scheduled, 6)]);
        let running = attempt(&[(Created, 5), (Scheduled, 6), (Deploying, 8), (Running, 20)]);
        let finished = attempt(&[(Created, 5), (Deploying, 7), (Running, 9), (Finished, 30)]);
        assert_eq!(span([&created].into_iter(), 50), (-1, -1, -1));
        assert_eq!(span([&created, &running].into_iter(), 50), (8, -1, 42));
        assert_eq!(span([&running, &finished].into_iter(), 50), (7, -1, 43));
        assert_eq!(span([&finished].into_iter(), 50), (7, 30, 23));
        let durations = status_duration(&running, 50);
        let shown = ["CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING"];
        assert_eq!(shown.map(|state| durations[state]), [1, 2, 12, -1, 30]);
    }
}
