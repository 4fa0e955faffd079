//! `hurtig savepoint JOB`, `checkpoint JOB`, `stop`.

use hurtig_rest::{
    TriggerId,
    messages::operations::{
        CheckpointTriggerRequestBody, CheckpointTypeRequest, SavepointFormatType, SavepointInfo,
        SavepointTriggerRequestBody, StopWithSavepointRequestBody,
    },
};
use hurtig_types::JobId;
use serde_json::json;

use super::{Failed, ask, connect};
use crate::{
    CommandResult, Outcome,
    args::remote::{
        ClusterArguments, FormatArgument, StopCommand, TakeCheckpointCommand, TakeSavepointCommand,
    },
};

fn format_type(format: FormatArgument) -> Option<SavepointFormatType> {
    Some(match format {
        FormatArgument::Canonical => SavepointFormatType::Canonical,
        FormatArgument::Native => SavepointFormatType::Native,
    })
}

/// What was started and not waited for.
fn started(what: &str, job: JobId, trigger: TriggerId, json: bool) -> CommandResult {
    let answer = json!({ "job": job.to_string(), "request-id": trigger });
    Outcome::of(&answer, json, |_| format!("{what} of job {job} is under way: {trigger}\n"))
}

/// Where a savepoint is.
fn taken(what: &'static str, job: JobId, info: &SavepointInfo, json: bool) -> CommandResult {
    if let Some(cause) = &info.failure_cause {
        return Err(Failed::of(what, cause).into());
    }
    let location = info.location.clone().unwrap_or_default();
    let answer = json!({ "job": job.to_string(), "location": location });
    Outcome::of(&answer, json, |_| format!("{location}\n"))
}

pub(crate) fn take_savepoint(job: JobId, command: &TakeSavepointCommand) -> CommandResult {
    let json = command.cluster.json;
    let (client, _) = connect(&command.cluster)?;
    let request = SavepointTriggerRequestBody {
        target_directory: command.directory.clone(),
        format_type: format_type(command.format),
        ..SavepointTriggerRequestBody::default()
    };
    let trigger = ask(client.trigger_savepoint(job, &request))?;
    if command.detached {
        return started("a savepoint", job, trigger, json);
    }
    taken("the savepoint", job, &ask(client.savepoint(job, trigger))?, json)
}

/// Has the cluster delete a savepoint: where it is, this machine need not reach.
pub(crate) fn dispose(path: &str, cluster: &ClusterArguments) -> CommandResult {
    let (client, _) = connect(cluster)?;
    let done = ask(client.dispose_savepoint(path))?;
    if let Some(cause) = &done.failure_cause {
        return Err(Failed::of("the disposal", cause).into());
    }
    let answer = json!({ "disposed": path });
    Outcome::of(&answer, cluster.json, |_| format!("savepoint {path} is disposed of\n"))
}

pub(crate) fn stop(command: &StopCommand) -> CommandResult {
    let (job, json) = (command.job.job, command.job.cluster.json);
    let (client, _) = connect(&command.job.cluster)?;
    let request = StopWithSavepointRequestBody {
        target_directory: command.directory.clone(),
        drain: Some(command.drain),
        format_type: format_type(command.format),
        trigger_id: None,
    };
    let trigger = ask(client.stop(job, &request))?;
    if command.detached {
        return started("the last savepoint", job, trigger, json);
    }
    taken("stopping", job, &ask(client.savepoint(job, trigger))?, json)
}

pub(crate) fn take_checkpoint(job: JobId, command: &TakeCheckpointCommand) -> CommandResult {
    let json = command.cluster.json;
    let (client, _) = connect(&command.cluster)?;
    let full = command.full.then_some(CheckpointTypeRequest::Full);
    let request = CheckpointTriggerRequestBody {
        checkpoint_type: full,
        ..CheckpointTriggerRequestBody::default()
    };
    let trigger = ask(client.trigger_checkpoint(job, &request))?;
    if command.detached {
        return started("a checkpoint", job, trigger, json);
    }
    let info = ask(client.checkpoint(job, trigger))?;
    if let Some(cause) = &info.failure_cause {
        return Err(Failed::of("the checkpoint", cause).into());
    }
    let answer = json!({ "job": job.to_string(), "checkpoint": info.checkpoint_id });
    let number = info.checkpoint_id.unwrap_or_default();
    Outcome::of(&answer, json, |_| format!("checkpoint {number} of job {job} is complete\n"))
}
