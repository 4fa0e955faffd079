//! Savepoints, checkpoints on demand, and the disposal of savepoints: started here, asked for by
//! trigger id.

use std::{future::Future, sync::atomic::Ordering::Relaxed};

use hurtig_cluster_api::{DispatcherGateway, RpcError, RpcResult};
use hurtig_state_processor::dispose;
use hurtig_types::{JobId, TerminateKind, chain_text};

use crate::{
    error::{RestError, RestResult},
    messages::operations::{
        AsynchronousOperationInfo, AsynchronousOperationResult, CheckpointInfo,
        CheckpointTriggerRequestBody, CheckpointTypeRequest, QueueStatusId,
        SavepointDisposalRequest, SavepointInfo, SavepointTriggerRequestBody, SerializedThrowable,
        StopWithSavepointRequestBody, TriggerResponse,
    },
    operations::{Begun, OperationKey, OperationKind, OperationStatus, TriggerId},
    server::{call::Call, spawn},
};

/// A fresh trigger id. It need not be a secret, only unlike others.
fn fresh_trigger(call: &Call) -> TriggerId {
    let number = call.context.triggers.fetch_add(1, Relaxed);
    let text = format!("{}:{number}:{}", call.context.services.seed, call.now_ms());
    TriggerId(JobId::from_bytes_hash(text.as_bytes()).0)
}

/// Starts work under an id, unless it was started before.
fn begin<F>(
    call: &Call,
    kind: OperationKind,
    job: Option<JobId>,
    trigger: Option<TriggerId>,
    work: F,
) -> RestResult<TriggerResponse>
where
    F: Future<Output = Result<Option<String>, String>> + Send + 'static,
{
    let trigger = trigger.unwrap_or_else(|| fresh_trigger(call));
    let key = OperationKey { kind, job, trigger };
    match call.context.operations.lock().begin(key, call.now_ms()) {
        Begun::Started => {
            let context = call.context.clone();
            spawn(&call.context, async move {
                let outcome = match work.await {
                    Ok(result) => OperationStatus::Succeeded(result),
                    Err(reason) => OperationStatus::Failed(reason),
                };
                let now = context.services.clock.now_ms();
                context.operations.lock().complete(key, outcome, now);
            });
        }
        Begun::Known => {}
        Begun::Refused => {
            return Err(RestError::unavailable("too many operations are under way"));
        }
    }
    Ok(TriggerResponse { request_id: trigger })
}

/// How the operation of a request stands: `None` while it is under way.
fn outcome<T>(
    call: &Call,
    kind: OperationKind,
    job: Option<JobId>,
    of: impl FnOnce(Result<Option<String>, SerializedThrowable>) -> T,
) -> RestResult<AsynchronousOperationResult<T>> {
    let trigger: TriggerId = call.parameter("triggerid")?;
    let key = OperationKey { kind, job, trigger };
    let status = call.context.operations.lock().status(key, call.now_ms());
    let result = match status {
        None => {
            let text = format!("There is no operation with trigger id {trigger}, or not any more.");
            return Err(RestError::not_found(text));
        }
        Some(OperationStatus::InProgress) => {
            let status = QueueStatusId::InProgress.into();
            return Ok(AsynchronousOperationResult { status, operation: None });
        }
        Some(OperationStatus::Succeeded(result)) => Ok(result),
        Some(OperationStatus::Failed(reason)) => Err(SerializedThrowable {
            class: "OperationFailed".to_owned(),
            stack_trace: reason,
            serialized_throwable: String::new(),
        }),
    };
    let status = QueueStatusId::Completed.into();
    Ok(AsynchronousOperationResult { status, operation: Some(of(result)) })
}

fn told<T>(result: RpcResult<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The directory of a savepoint: the request's, or the configured one.
fn directory(call: &Call, wanted: Option<String>) -> RestResult<String> {
    if let Some(wanted) = wanted.filter(|wanted| !wanted.trim().is_empty()) {
        return Ok(wanted);
    }
    let option = &hurtig_config::catalogue::checkpointing::SAVEPOINT_DIRECTORY;
    let configured = call.context.services.configuration.get(option);
    let configured = configured.map_err(|error| RestError::internal(error.to_string()))?;
    configured.ok_or_else(|| {
        let text = format!(
            "Config key [{}] is not set. Property [target-directory] must be provided.",
            option.key()
        );
        RestError::bad_request(text)
    })
}

pub(crate) async fn trigger(
    call: Call,
    body: SavepointTriggerRequestBody,
) -> RestResult<TriggerResponse> {
    let job = call.job()?;
    let directory = directory(&call, body.target_directory)?;
    let dispatcher = call.context.services.dispatcher.clone();
    // An unknown job is told at once.
    dispatcher.job_status(job).await?;
    let cancel = body.cancel_job.unwrap_or(false);
    let format = body.format_type.unwrap_or_default().into();
    begin(&call, OperationKind::Savepoint, Some(job), body.trigger_id, async move {
        let location = told(dispatcher.trigger_savepoint(job, directory, format).await)?;
        if cancel {
            told(dispatcher.cancel_job(job).await)?;
        }
        Ok(Some(location))
    })
}

pub(crate) async fn stop(
    call: Call,
    body: StopWithSavepointRequestBody,
) -> RestResult<TriggerResponse> {
    let job = call.job()?;
    let directory = directory(&call, body.target_directory)?;
    let dispatcher = call.context.services.dispatcher.clone();
    dispatcher.job_status(job).await?;
    let kind = match body.drain.unwrap_or(false) {
        true => TerminateKind::Drain,
        false => TerminateKind::Suspend,
    };
    let format = body.format_type.unwrap_or_default().into();
    begin(&call, OperationKind::Savepoint, Some(job), body.trigger_id, async move {
        told(dispatcher.stop_with_savepoint(job, directory, format, kind).await).map(Some)
    })
}

pub(crate) async fn status(call: Call) -> RestResult<AsynchronousOperationResult<SavepointInfo>> {
    let job = call.job()?;
    outcome(&call, OperationKind::Savepoint, Some(job), |result| match result {
        Ok(location) => SavepointInfo { location, failure_cause: None },
        Err(cause) => SavepointInfo { location: None, failure_cause: Some(cause) },
    })
}

pub(crate) async fn trigger_checkpoint(
    call: Call,
    body: CheckpointTriggerRequestBody,
) -> RestResult<TriggerResponse> {
    let job = call.job()?;
    let full = body.checkpoint_type == Some(CheckpointTypeRequest::Full);
    let dispatcher = call.context.services.dispatcher.clone();
    dispatcher.job_status(job).await?;
    begin(&call, OperationKind::Checkpoint, Some(job), body.trigger_id, async move {
        let pointer = told(dispatcher.trigger_checkpoint(job, full).await)?;
        let id = told(number_of(&*dispatcher, job, &pointer).await)?;
        Ok(Some(id.to_string()))
    })
}

/// The number of the checkpoint that is there.
async fn number_of(
    dispatcher: &dyn DispatcherGateway,
    job: JobId,
    pointer: &str,
) -> RpcResult<u64> {
    let stats = dispatcher.checkpoint_stats(job).await?;
    let known = stats.history.iter().chain(&stats.latest_completed);
    let mut there = known.filter(|checkpoint| checkpoint.external_path.as_deref() == Some(pointer));
    let found = there.next().map(|checkpoint| checkpoint.id.0);
    found.ok_or_else(|| {
        RpcError::NotFound(format!("the checkpoint is complete, at {pointer}, but forgotten"))
    })
}

pub(crate) async fn checkpoint_status(
    call: Call,
) -> RestResult<AsynchronousOperationResult<CheckpointInfo>> {
    let job = call.job()?;
    outcome(&call, OperationKind::Checkpoint, Some(job), |result| match result {
        Ok(id) => {
            CheckpointInfo { checkpoint_id: id.and_then(|id| id.parse().ok()), failure_cause: None }
        }
        Err(cause) => CheckpointInfo { checkpoint_id: None, failure_cause: Some(cause) },
    })
}

pub(crate) async fn dispose_savepoint(
    call: Call,
    body: SavepointDisposalRequest,
) -> RestResult<TriggerResponse> {
    let stores = call.context.services.stores.clone();
    begin(&call, OperationKind::SavepointDisposal, None, None, async move {
        let disposed = dispose(&body.savepoint_path, &stores, false).await;
        disposed.map(|_| None).map_err(|error| chain_text(&error))
    })
}

pub(crate) async fn disposal_status(
    call: Call,
) -> RestResult<AsynchronousOperationResult<AsynchronousOperationInfo>> {
    outcome(&call, OperationKind::SavepointDisposal, None, |result| AsynchronousOperationInfo {
        failure_cause: result.err(),
    })
}
