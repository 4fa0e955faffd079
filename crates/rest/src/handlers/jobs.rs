//! Jobs: lists, details, plan, settings, accumulators, result, cancellation.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hurtig_cluster_api::{
    JobDetails, JobOverview, JobResourceRequirements, JobResult, JobStatus, ParallelismBounds,
};
use hurtig_graph::RestartStrategyConfig;
use hurtig_metrics::AccumulatorValue;
use hurtig_types::OperatorId;
use serde_json::{Value, json};

use super::{
    cluster::hide_secrets,
    exceptions::throwable,
    job_details,
    plan::plan,
    states::{JOB_STATES, aggregate, count_all, io_metrics, span, word},
};
use crate::{
    error::{RestError, RestResult},
    messages::{
        EmptyResponseBody,
        jobs::{
            ClientCoordinationRequestBody, ClientCoordinationResponseBody, ExecutionConfigInfo,
            JobAccumulatorsInfo, JobClientHeartbeatRequestBody, JobConfigInfo, JobDetailsInfo,
            JobDetailsVertexInfo, JobExecutionResultResponseBody, JobIdWithStatus,
            JobIdsWithStatusOverview, JobPlanInfo, JobResourceRequirementsBody, JobResultInfo,
            JobStatusInfo, JobSummary, JobVertexParallelismBounds, JobVertexResourceRequirements,
            MultipleJobsDetails, UserAccumulator,
        },
        operations::QueueStatusId,
    },
    server::{call::Call, route::QueryParameter},
};

pub(crate) const CANCEL_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "mode",
    description: "Only \"cancel\" (default): stopping is done with POST /jobs/:jobid/stop.",
}];

pub(crate) async fn ids(call: Call) -> RestResult<JobIdsWithStatusOverview> {
    let jobs = call.context.services.dispatcher.list_jobs().await?;
    let jobs = jobs
        .iter()
        .map(|job| JobIdWithStatus { id: job.job_id.to_string(), status: word(&job.status) });
    Ok(JobIdsWithStatusOverview { jobs: jobs.collect() })
}

pub(crate) async fn overview(call: Call) -> RestResult<MultipleJobsDetails> {
    let jobs = call.context.services.dispatcher.list_jobs().await?;
    let now = call.now_ms();
    Ok(MultipleJobsDetails { jobs: jobs.iter().map(|job| summary(job, now)).collect() })
}

fn summary(job: &JobOverview, now_ms: i64) -> JobSummary {
    let end = job.end_time_ms;
    let lower = |state: &String| state.to_ascii_lowercase();
    let mut tasks: BTreeMap<String, u32> =
        count_all(&job.tasks).iter().map(|(state, count)| (lower(state), *count)).collect();
    tasks.insert("total".to_owned(), job.tasks.values().sum());
    JobSummary {
        jid: job.job_id.to_string(),
        name: job.name.clone(),
        start_time: job.start_time_ms,
        end_time: end.unwrap_or(-1),
        duration: end.unwrap_or(now_ms) - job.start_time_ms,
        state: word(&job.status),
        last_modification: job.last_modification_ms,
        tasks,
        pending_operators: 0,
    }
}

pub(crate) async fn details(call: Call) -> RestResult<JobDetailsInfo> {
    let details = job_details(&call).await?;
    Ok(details_info(&details, call.now_ms()))
}

fn details_info(details: &JobDetails, now_ms: i64) -> JobDetailsInfo {
    let (overview, graph) = (&details.overview, &details.graph);
    let mut timestamps: BTreeMap<String, i64> =
        JOB_STATES.iter().map(|state| (word(state), 0)).collect();
    timestamps.insert("RECONCILING".to_owned(), 0);
    timestamps.insert(word(&JobStatus::Initializing), overview.start_time_ms);
    for (state, at) in &details.transitions {
        timestamps.insert(word(state), *at);
    }
    let mut status_counts = BTreeMap::new();
    let mut vertices = Vec::with_capacity(details.vertices.len());
    for vertex in &details.vertices {
        let (start_time, end_time, duration) = span(vertex.subtasks.iter(), now_ms);
        let status = aggregate(&vertex.states);
        *status_counts.entry(status).or_default() += 1;
        let group = graph.vertex(vertex.id).map(|vertex| vertex.slot_sharing_group.clone());
        let complete = vertex.subtasks.iter().all(|subtask| subtask.state.is_terminal());
        vertices.push(JobDetailsVertexInfo {
            id: vertex.id.to_string(),
            slot_sharing_group_id: group.unwrap_or_default(),
            name: vertex.name.clone(),
            max_parallelism: vertex.max_parallelism,
            parallelism: vertex.parallelism,
            status: word(&status),
            start_time,
            end_time,
            duration,
            tasks: count_all(&vertex.states),
            metrics: io_metrics(&vertex.metrics, complete),
        });
    }
    let end = overview.end_time_ms;
    JobDetailsInfo {
        jid: overview.job_id.to_string(),
        application_id: None,
        name: overview.name.clone(),
        is_stoppable: true,
        state: word(&overview.status),
        job_type: "STREAMING".to_owned(),
        start_time: overview.start_time_ms,
        end_time: end.unwrap_or(-1),
        duration: end.unwrap_or(now_ms) - overview.start_time_ms,
        max_parallelism: -1,
        now: now_ms,
        timestamps,
        vertices,
        status_counts: count_all(&status_counts),
        plan: plan(graph),
        stream_graph: None,
        pending_operators: 0,
    }
}

pub(crate) async fn plan_of_job(call: Call) -> RestResult<JobPlanInfo> {
    Ok(JobPlanInfo { plan: plan(&job_details(&call).await?.graph) })
}

pub(crate) async fn config(call: Call) -> RestResult<JobConfigInfo> {
    let graph = job_details(&call).await?.graph;
    let parallelism = graph.vertices.iter().map(|vertex| vertex.parallelism).max();
    let parameters = graph.config.global_parameters.iter();
    Ok(JobConfigInfo {
        jid: graph.job_id.to_string(),
        name: graph.name.clone(),
        execution_config: ExecutionConfigInfo {
            restart_strategy: restart_strategy(&graph.config.restart_strategy),
            job_parallelism: parallelism.unwrap_or(1),
            object_reuse_mode: true,
            user_config: parameters
                .map(|(key, value)| (key.clone(), hide_secrets(key, value)))
                .collect(),
        },
    })
}

fn restart_strategy(strategy: &RestartStrategyConfig) -> String {
    match strategy {
        RestartStrategyConfig::None => "Restart deactivated.".to_owned(),
        RestartStrategyConfig::FixedDelay { attempts, delay_ms } => {
            format!("Restart with fixed delay ({delay_ms} ms). Max number of restarts: {attempts}.")
        }
        RestartStrategyConfig::ExponentialDelay { initial_ms, max_ms, multiplier, .. } => format!(
            "Restart with exponential delay: starting at {initial_ms} ms, multiplied by \
             {multiplier} up to {max_ms} ms."
        ),
        RestartStrategyConfig::FailureRate { max_failures, interval_ms, delay_ms } => format!(
            "Failure rate restart with maximum of {max_failures} failures within interval \
             {interval_ms} ms and fixed delay {delay_ms} ms."
        ),
    }
}

pub(crate) async fn status(call: Call) -> RestResult<JobStatusInfo> {
    let status = call.context.services.dispatcher.job_status(call.job()?).await?;
    Ok(JobStatusInfo { status: word(&status) })
}

/// Accumulators as texts.
pub(crate) fn user_accumulators(
    accumulators: &BTreeMap<String, AccumulatorValue>,
) -> Vec<UserAccumulator> {
    let texts = accumulators.iter().map(|(name, value)| {
        let (kind, value) = match value {
            AccumulatorValue::Long(n) => ("LongCounter", n.to_string()),
            AccumulatorValue::Double(n) => ("DoubleCounter", n.to_string()),
            AccumulatorValue::Min(n) => ("DoubleMinimum", n.to_string()),
            AccumulatorValue::Max(n) => ("DoubleMaximum", n.to_string()),
            AccumulatorValue::Average { count, sum } => {
                ("AverageAccumulator", (sum / (*count).max(1) as f64).to_string())
            }
            AccumulatorValue::Histogram(counts) => ("Histogram", format!("{counts:?}")),
        };
        UserAccumulator { name: name.clone(), kind: kind.to_owned(), value }
    });
    texts.collect()
}

pub(crate) const ACCUMULATORS_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "includeSerializedValue",
    description: "Accepted; values are texts in any case.",
}];

pub(crate) async fn accumulators(call: Call) -> RestResult<JobAccumulatorsInfo> {
    call.query::<bool>("includeSerializedValue")?;
    let accumulators = call.context.services.dispatcher.accumulators(call.job()?).await?;
    Ok(JobAccumulatorsInfo {
        user_task_accumulators: user_accumulators(&accumulators),
        ..JobAccumulatorsInfo::default()
    })
}

pub(crate) async fn execution_result(call: Call) -> RestResult<JobExecutionResultResponseBody> {
    let (job, dispatcher) = (call.job()?, &call.context.services.dispatcher);
    if !dispatcher.job_status(job).await?.is_globally_terminal() {
        let status = QueueStatusId::InProgress.into();
        return Ok(JobExecutionResultResponseBody { status, job_execution_result: None });
    }
    let result = dispatcher.job_result(job).await?;
    Ok(JobExecutionResultResponseBody {
        status: QueueStatusId::Completed.into(),
        job_execution_result: Some(result_info(&result)),
    })
}

fn result_info(result: &JobResult) -> JobResultInfo {
    let application_status = match result.status {
        JobStatus::Finished => "SUCCEEDED",
        JobStatus::Failed => "FAILED",
        JobStatus::Canceled => "CANCELED",
        _ => "UNKNOWN",
    };
    let value = |value: &AccumulatorValue| -> Value {
        match value {
            AccumulatorValue::Long(n) => json!(n),
            AccumulatorValue::Double(n) | AccumulatorValue::Min(n) | AccumulatorValue::Max(n) => {
                json!(n)
            }
            AccumulatorValue::Average { count, sum } => json!(sum / (*count).max(1) as f64),
            AccumulatorValue::Histogram(counts) => json!(counts),
        }
    };
    JobResultInfo {
        id: result.job_id.to_string(),
        application_status: application_status.to_owned(),
        accumulator_results: result
            .accumulators
            .iter()
            .map(|(name, accumulator)| (name.clone(), value(accumulator)))
            .collect(),
        net_runtime: result.run_time_ms,
        failure_cause: result.failure.as_ref().map(throwable),
    }
}

pub(crate) async fn cancel(call: Call) -> RestResult<EmptyResponseBody> {
    match call.query::<String>("mode")?.as_deref() {
        None | Some("cancel") => {}
        Some("stop") => {
            let text = "The termination mode \"stop\" has been removed. Use POST \
                /jobs/:jobid/stop to stop a job with a savepoint.";
            return Err(RestError::new(http::StatusCode::PERMANENT_REDIRECT, text));
        }
        Some(other) => {
            return Err(RestError::bad_request(format!("{other:?} is no way to end a job")));
        }
    }
    let (job, dispatcher) = (call.job()?, &call.context.services.dispatcher);
    if dispatcher.job_status(job).await?.is_globally_terminal() {
        let text = format!("Job {job} has already reached a terminal state");
        return Err(RestError::new(http::StatusCode::CONFLICT, text));
    }
    dispatcher.cancel_job(job).await?;
    Ok(EmptyResponseBody {})
}

pub(crate) async fn resource_requirements(call: Call) -> RestResult<JobResourceRequirementsBody> {
    let requirements = call.context.services.dispatcher.resource_requirements(call.job()?).await?;
    let bounds = requirements.vertices.into_iter().map(|(vertex, bounds)| {
        let parallelism = JobVertexParallelismBounds {
            lower_bound: bounds.lower_bound,
            upper_bound: bounds.upper_bound,
        };
        (vertex.to_string(), JobVertexResourceRequirements { parallelism })
    });
    Ok(JobResourceRequirementsBody { job_vertex_resource_requirements: bounds.collect() })
}

pub(crate) async fn update_resource_requirements(
    call: Call,
    body: JobResourceRequirementsBody,
) -> RestResult<EmptyResponseBody> {
    let bounds = body.job_vertex_resource_requirements.into_iter().map(|(vertex, bounds)| {
        let vertex = vertex.parse().map_err(|error: hurtig_types::ParseIdError| {
            RestError::bad_request(error.to_string())
        })?;
        let JobVertexParallelismBounds { lower_bound, upper_bound } = bounds.parallelism;
        Ok((vertex, ParallelismBounds { lower_bound, upper_bound }))
    });
    let vertices = bounds.collect::<RestResult<_>>()?;
    let requirements = JobResourceRequirements { vertices };
    let dispatcher = &call.context.services.dispatcher;
    dispatcher.update_resource_requirements(call.job()?, requirements).await?;
    Ok(EmptyResponseBody {})
}

pub(crate) async fn client_heartbeat(
    call: Call,
    body: JobClientHeartbeatRequestBody,
) -> RestResult<EmptyResponseBody> {
    let dispatcher = &call.context.services.dispatcher;
    dispatcher.report_job_client_heartbeat(call.job()?, body.expired_timestamp).await?;
    Ok(EmptyResponseBody {})
}

pub(crate) async fn coordination_request(
    call: Call,
    body: ClientCoordinationRequestBody,
) -> RestResult<ClientCoordinationResponseBody> {
    let wrong = |error: base64::DecodeError| RestError::bad_request(error.to_string());
    let request = BASE64.decode(&body.serialized_coordination_request).map_err(wrong)?;
    let (job, operator) = (call.job()?, call.parameter::<OperatorId>("operatorUid")?);
    let dispatcher = &call.context.services.dispatcher;
    let answer = dispatcher.coordination_request(job, operator, request).await?;
    Ok(ClientCoordinationResponseBody { serialized_coordination_result: BASE64.encode(answer) })
}
