//! Vertices and their subtasks.

use std::collections::BTreeMap;

use hurtig_cluster_api::{
    ExecutionState, JobDetails, SubtaskDetails, TaskIoMetrics, VertexBackPressure,
};
use hurtig_metrics::{Accumulators, names};
use hurtig_types::{ExecutionAttemptId, ResourceId};

use super::{
    UNASSIGNED, job_details,
    jobs::user_accumulators,
    states::{aggregate, count_all, io_metrics, span, status_duration, word},
    summary::statistics,
    vertex,
};
use crate::{
    error::{RestError, RestResult},
    messages::{
        metrics::MetricEntry,
        vertices::{
            AggregatedTaskDetailsInfo, JobVertexAccumulatorsInfo, JobVertexBackPressureInfo,
            JobVertexDetailsInfo, JobVertexTaskManagersInfo, SubtaskAccumulatorsInfo,
            SubtaskBackPressureInfo, SubtaskExecutionAttemptAccumulatorsInfo,
            SubtaskExecutionAttemptDetailsInfo, SubtaskTimeInfo, SubtasksAllAccumulatorsInfo,
            SubtasksTimesInfo, VertexTaskManagerInfo,
        },
    },
    server::call::Call,
};

fn endpoint(attempt: &SubtaskDetails) -> String {
    attempt.endpoint.clone().unwrap_or_else(|| UNASSIGNED.to_owned())
}

fn resource_text(resource: Option<ResourceId>) -> String {
    resource.map_or_else(|| UNASSIGNED.to_owned(), |resource| resource.to_string())
}

/// One attempt as REST tells it.
fn attempt_info(attempt: &SubtaskDetails, now_ms: i64) -> SubtaskExecutionAttemptDetailsInfo {
    let (start_time, end_time, duration) = span([attempt].into_iter(), now_ms);
    SubtaskExecutionAttemptDetailsInfo {
        subtask: attempt.subtask,
        status: word(&attempt.state),
        attempt: attempt.attempt,
        endpoint: endpoint(attempt),
        start_time,
        end_time,
        duration,
        metrics: io_metrics(&attempt.metrics, attempt.state.is_terminal()),
        taskmanager_id: resource_text(attempt.task_executor),
        status_duration: status_duration(attempt, now_ms),
        other_concurrent_attempts: Vec::new(),
        start_time_compatible: start_time,
    }
}

fn aggregated(attempts: &[&SubtaskDetails], now_ms: i64) -> AggregatedTaskDetailsInfo {
    let readings: [(&str, fn(&TaskIoMetrics) -> u64); 7] = [
        ("read-bytes", |m| m.bytes_in),
        ("write-bytes", |m| m.bytes_out),
        ("read-records", |m| m.records_in),
        ("write-records", |m| m.records_out),
        ("accumulated-backpressured-time", |m| m.back_pressured_ms),
        ("accumulated-idle-time", |m| m.idle_ms),
        ("accumulated-busy-time", |m| m.busy_ms),
    ];
    let metrics = readings.map(|(name, reading)| {
        let values =
            attempts.iter().map(|a| i64::try_from(reading(&a.metrics)).unwrap_or(i64::MAX));
        (name.to_owned(), statistics(values))
    });
    let mut durations: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for attempt in attempts {
        for (state, duration) in status_duration(attempt, now_ms) {
            durations.entry(state).or_default().push(duration);
        }
    }
    let durations = durations.into_iter().map(|(state, values)| (state, statistics(values)));
    AggregatedTaskDetailsInfo { metrics: metrics.into(), status_duration: durations.collect() }
}

pub(crate) async fn details(call: Call) -> RestResult<JobVertexDetailsInfo> {
    let (id, now) = (call.vertex()?, call.now_ms());
    let details = job_details(&call).await?;
    let vertex = vertex(&details, id)?;
    let subtasks: Vec<&SubtaskDetails> = vertex.subtasks.iter().collect();
    Ok(JobVertexDetailsInfo {
        id: id.to_string(),
        name: vertex.name.clone(),
        parallelism: vertex.parallelism,
        max_parallelism: vertex.max_parallelism,
        now,
        aggregated: aggregated(&subtasks, now),
        subtasks: subtasks.into_iter().map(|subtask| attempt_info(subtask, now)).collect(),
    })
}

pub(crate) async fn times(call: Call) -> RestResult<SubtasksTimesInfo> {
    let (id, now) = (call.vertex()?, call.now_ms());
    let details = job_details(&call).await?;
    let vertex = vertex(&details, id)?;
    Ok(SubtasksTimesInfo {
        id: id.to_string(),
        name: vertex.name.clone(),
        now,
        subtasks: vertex.subtasks.iter().map(|subtask| subtask_times(subtask, now)).collect(),
    })
}

fn subtask_times(subtask: &SubtaskDetails, now_ms: i64) -> SubtaskTimeInfo {
    let at = |state: &ExecutionState| subtask.timestamps.get(state).copied();
    let end = if subtask.state.is_terminal() { at(&subtask.state) } else { None };
    let duration = at(&ExecutionState::Scheduled).map_or(-1, |from| end.unwrap_or(now_ms) - from);
    let mut timestamps: BTreeMap<String, i64> = super::states::EXECUTION_STATES
        .iter()
        .map(|state| (word(state), at(state).unwrap_or_default()))
        .collect();
    timestamps.insert("RECONCILING".to_owned(), 0);
    SubtaskTimeInfo { subtask: subtask.subtask, endpoint: endpoint(subtask), duration, timestamps }
}

pub(crate) async fn task_managers(call: Call) -> RestResult<JobVertexTaskManagersInfo> {
    let (id, now) = (call.vertex()?, call.now_ms());
    let details = job_details(&call).await?;
    let vertex = vertex(&details, id)?;
    let mut groups: BTreeMap<Option<ResourceId>, Vec<&SubtaskDetails>> = BTreeMap::new();
    for subtask in &vertex.subtasks {
        groups.entry(subtask.task_executor).or_default().push(subtask);
    }
    let groups = groups.into_iter();
    Ok(JobVertexTaskManagersInfo {
        id: id.to_string(),
        name: vertex.name.clone(),
        now,
        taskmanagers: groups.map(|(resource, group)| group_info(resource, &group, now)).collect(),
    })
}

fn group_info(
    resource: Option<ResourceId>,
    group: &[&SubtaskDetails],
    now_ms: i64,
) -> VertexTaskManagerInfo {
    let mut counts = BTreeMap::new();
    let mut sum = TaskIoMetrics::default();
    for subtask in group {
        *counts.entry(subtask.state).or_default() += 1;
        sum.records_in += subtask.metrics.records_in;
        sum.records_out += subtask.metrics.records_out;
        sum.bytes_in += subtask.metrics.bytes_in;
        sum.bytes_out += subtask.metrics.bytes_out;
        sum.busy_ms += subtask.metrics.busy_ms;
        sum.idle_ms += subtask.metrics.idle_ms;
        sum.back_pressured_ms += subtask.metrics.back_pressured_ms;
    }
    let (start_time, end_time, duration) = span(group.iter().copied(), now_ms);
    let complete = group.iter().all(|subtask| subtask.state.is_terminal());
    VertexTaskManagerInfo {
        endpoint: group.first().map_or_else(|| UNASSIGNED.to_owned(), |first| endpoint(first)),
        status: word(&aggregate(&counts)),
        start_time,
        end_time,
        duration,
        metrics: io_metrics(&sum, complete),
        status_counts: count_all(&counts),
        taskmanager_id: resource_text(resource),
        aggregated: aggregated(group, now_ms),
    }
}

pub(crate) async fn watermarks(call: Call) -> RestResult<Vec<MetricEntry>> {
    let id = call.vertex()?;
    let details = job_details(&call).await?;
    let subtasks = vertex(&details, id)?.subtasks.iter();
    let known = subtasks.filter_map(|subtask| {
        let watermark = subtask.metrics.watermark?;
        let id = format!("{}.{}", subtask.subtask, names::CURRENT_INPUT_WATERMARK);
        Some(MetricEntry { id, value: Some(watermark.to_string()) })
    });
    Ok(known.collect())
}

pub(crate) async fn back_pressure(call: Call) -> RestResult<JobVertexBackPressureInfo> {
    let (job, id) = (call.job()?, call.vertex()?);
    let details = job_details(&call).await?;
    vertex(&details, id)?;
    let query = VertexBackPressure::query(job, id);
    let metrics = call.context.services.dispatcher.query_metrics(query).await?;
    Ok(back_pressure_info(VertexBackPressure::of(&metrics), call.now_ms()))
}

fn back_pressure_info(
    measured: Option<VertexBackPressure>,
    now_ms: i64,
) -> JobVertexBackPressureInfo {
    let Some(measured) = measured else {
        return JobVertexBackPressureInfo {
            status: "deprecated".to_owned(),
            back_pressure_level: None,
            back_pressure_level_compatible: None,
            end_timestamp: None,
            subtasks: None,
        };
    };
    let subtasks = measured.subtasks.iter().map(|subtask| SubtaskBackPressureInfo {
        subtask: subtask.subtask,
        attempt_number: subtask.attempt,
        back_pressure_level: word(&subtask.level),
        back_pressure_level_compatible: word(&subtask.level),
        ratio: subtask.ratio,
        idle_ratio: subtask.idle_ratio,
        busy_ratio: subtask.busy_ratio,
        other_concurrent_attempts: Vec::new(),
    });
    JobVertexBackPressureInfo {
        status: "ok".to_owned(),
        back_pressure_level: Some(word(&measured.level)),
        back_pressure_level_compatible: Some(word(&measured.level)),
        end_timestamp: Some(now_ms),
        subtasks: Some(subtasks.collect()),
    }
}

pub(crate) async fn accumulators(call: Call) -> RestResult<JobVertexAccumulatorsInfo> {
    let id = call.vertex()?;
    let details = job_details(&call).await?;
    let mut merged = Accumulators::default();
    for subtask in &vertex(&details, id)?.subtasks {
        for (name, value) in &subtask.accumulators {
            // A mismatch was reported to the user code that caused it.
            let _ = merged.add(name, value);
        }
    }
    Ok(JobVertexAccumulatorsInfo {
        id: id.to_string(),
        user_accumulators: user_accumulators(&merged.0),
    })
}

pub(crate) async fn subtask_accumulators(call: Call) -> RestResult<SubtasksAllAccumulatorsInfo> {
    let id = call.vertex()?;
    let details = job_details(&call).await?;
    let vertex = vertex(&details, id)?;
    let subtasks = vertex.subtasks.iter().map(|subtask| SubtaskAccumulatorsInfo {
        subtask: subtask.subtask,
        attempt: subtask.attempt,
        endpoint: endpoint(subtask),
        user_accumulators: user_accumulators(&subtask.accumulators),
    });
    Ok(SubtasksAllAccumulatorsInfo {
        id: id.to_string(),
        parallelism: vertex.parallelism,
        subtasks: subtasks.collect(),
    })
}

/// The subtask of a request: its current attempt.
fn subtask<'a>(call: &Call, details: &'a JobDetails) -> RestResult<&'a SubtaskDetails> {
    let index: u32 = call.parameter("subtaskindex")?;
    let vertex = vertex(details, call.vertex()?)?;
    let subtask = vertex.subtasks.iter().find(|subtask| subtask.subtask == index);
    subtask.ok_or_else(|| {
        let text = format!("Invalid subtask index for vertex {}: {index}", vertex.id);
        RestError::not_found(text)
    })
}

/// The attempt of a request, which may be a past one.
fn attempt<'a>(call: &Call, details: &'a JobDetails) -> RestResult<&'a SubtaskDetails> {
    let current = subtask(call, details)?;
    let number: u32 = call.parameter("attempt")?;
    let earlier = details.earlier_attempts.get(&call.vertex()?).into_iter().flatten();
    let found = [current]
        .into_iter()
        .chain(earlier)
        .find(|a| a.subtask == current.subtask && a.attempt == number);
    found.ok_or_else(|| RestError::not_found(format!("Could not find execution attempt {number}")))
}

pub(crate) async fn current_attempt(call: Call) -> RestResult<SubtaskExecutionAttemptDetailsInfo> {
    let details = job_details(&call).await?;
    Ok(attempt_info(subtask(&call, &details)?, call.now_ms()))
}

pub(crate) async fn any_attempt(call: Call) -> RestResult<SubtaskExecutionAttemptDetailsInfo> {
    let details = job_details(&call).await?;
    Ok(attempt_info(attempt(&call, &details)?, call.now_ms()))
}

pub(crate) async fn attempt_accumulators(
    call: Call,
) -> RestResult<SubtaskExecutionAttemptAccumulatorsInfo> {
    let details = job_details(&call).await?;
    let found = attempt(&call, &details)?;
    let id = ExecutionAttemptId {
        job: details.overview.job_id,
        vertex: call.vertex()?,
        subtask: found.subtask,
        attempt: found.attempt,
    };
    Ok(SubtaskExecutionAttemptAccumulatorsInfo {
        subtask: found.subtask,
        attempt: found.attempt,
        id: id.to_string(),
        user_accumulators: user_accumulators(&found.accumulators),
    })
}
