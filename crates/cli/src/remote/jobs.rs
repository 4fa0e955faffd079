//! `hurtig list`, `status`, `cancel`.

use std::fmt::Write;

use hurtig_rest::messages::jobs::{JobDetailsInfo, JobSummary};
use serde_json::json;

use super::{ask, connect};
use crate::{
    CommandResult, Outcome,
    args::remote::{JobCommand, ListJobsCommand},
};

const ENDED: &[&str] = &["FINISHED", "FAILED", "CANCELED"];
const SCHEDULED: &[&str] = &["INITIALIZING", "CREATED"];

pub(crate) fn list(command: &ListJobsCommand) -> CommandResult {
    let (client, _) = connect(&command.cluster)?;
    let mut jobs = ask(client.jobs())?.jobs;
    if !command.all {
        // With neither flag, both kinds are wanted.
        let both = command.running == command.scheduled;
        jobs.retain(|job| {
            let state = job.state.as_str();
            let scheduled = SCHEDULED.contains(&state);
            !ENDED.contains(&state) && (both || scheduled == command.scheduled)
        });
    }
    Outcome::of(&jobs, command.cluster.json, |jobs| table(jobs))
}

fn table(jobs: &[JobSummary]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut text = String::new();
    for JobSummary { jid, name, state, tasks, duration, .. } in jobs {
        let count = |state: &str| tasks.get(state).copied().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{jid} {state} {}/{} tasks running, {} s: {name}",
            count("running"),
            count("total"),
            duration / 1000
        );
    }
    text
}

pub(crate) fn status(command: &JobCommand) -> CommandResult {
    let (client, _) = connect(&command.cluster)?;
    let details = ask(client.job(command.job))?;
    Outcome::of(&details, command.cluster.json, describe)
}

fn describe(details: &JobDetailsInfo) -> String {
    let mut text = format!(
        "{} {}, {} s: {}\n",
        details.jid,
        details.state,
        details.duration / 1000,
        details.name
    );
    for vertex in &details.vertices {
        let running = vertex.tasks.get("RUNNING").copied().unwrap_or_default();
        let metrics = &vertex.metrics;
        let _ = writeln!(
            text,
            "  {} {running}/{} running, {} records in, {} out: {}",
            vertex.status,
            vertex.parallelism,
            metrics.read_records,
            metrics.write_records,
            vertex.name
        );
    }
    text
}

pub(crate) fn cancel(command: &JobCommand) -> CommandResult {
    let (client, _) = connect(&command.cluster)?;
    let state = ask(async {
        client.cancel(command.job).await?;
        Ok(client.result(command.job).await?.application_status)
    })?;
    let answer = json!({ "job": command.job.to_string(), "status": state });
    Outcome::of(&answer, command.cluster.json, |_| match state.as_str() {
        "CANCELED" => format!("job {} is cancelled\n", command.job),
        other => format!("job {} has ended before: {other}\n", command.job),
    })
}
