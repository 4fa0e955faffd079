//! `hurtig checkpoint`: list, inspect.

use std::{fmt::Write, sync::Arc};

use hurtig_state_processor::{InspectOptions, inspect, list_snapshots};
use hurtig_storage::Stores;
use serde::Serialize;

use crate::{
    CommandResult, Outcome,
    args::{CheckpointCommand, ListCommand},
    processes::configure_stores,
    savepoint::inspect_snapshot,
    wait_for,
};

pub(crate) fn run(command: CheckpointCommand) -> CommandResult {
    match command {
        CheckpointCommand::List(command) => list(&command),
        CheckpointCommand::Inspect(command) => inspect_snapshot(&command),
    }
}

/// One line of the list. What cannot be opened has a problem, and nothing else.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line {
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Listed {
    job: String,
    checkpoint_id: u64,
    kind: String,
    format: Option<String>,
    timestamp_ms: i64,
    operators: usize,
    files: usize,
    state_size_bytes: u64,
}

fn list(command: &ListCommand) -> CommandResult {
    configure_stores(&command.process)?;
    let stores = Arc::new(Stores::default());
    let found = wait_for(list_snapshots(&command.directory, &stores))??;
    let mut lines = Vec::with_capacity(found.len());
    for (pointer, opened) in found {
        let line = match opened {
            Ok(snapshot) => {
                let report = wait_for(inspect(&snapshot, InspectOptions::default()))??;
                let snapshot = Some(Listed {
                    job: report.job,
                    checkpoint_id: report.checkpoint_id,
                    kind: report.kind,
                    format: report.format,
                    timestamp_ms: report.timestamp_ms,
                    operators: report.operators.len(),
                    files: report.files.len(),
                    state_size_bytes: report.state_size_bytes,
                });
                Line { pointer, snapshot, problem: None }
            }
            Err(error) => Line { pointer, snapshot: None, problem: Some(error.chain_text()) },
        };
        lines.push(line);
    }
    let damaged = lines.iter().any(|line| line.problem.is_some());
    Ok(Outcome::of(&lines, command.json, |lines| table(lines))?.damaged_if(damaged))
}

fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = match (&line.snapshot, &line.problem) {
            (Some(snapshot), _) => {
                let Listed { kind, checkpoint_id, job, timestamp_ms, state_size_bytes, .. } =
                    snapshot;
                writeln!(
                    text,
                    "{kind} {checkpoint_id} of job {job}, triggered {timestamp_ms}, \
                     {state_size_bytes} bytes: {}",
                    line.pointer
                )
            }
            (None, problem) => {
                let problem = problem.as_deref().unwrap_or_default();
                writeln!(text, "no usable checkpoint: {}: {problem}", line.pointer)
            }
        };
    }
    if lines.is_empty() {
        text.push_str("none\n");
    }
    text
}
