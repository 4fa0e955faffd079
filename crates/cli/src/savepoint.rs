//! `hurtig savepoint`: inspect, dispose.

use std::{fmt::Write, sync::Arc};

use hurtig_state_processor::{InspectOptions, OpenSnapshot, dispose, inspect};
use hurtig_storage::Stores;
use serde::Serialize;

use crate::{
    CommandResult, Outcome,
    args::{DisposeCommand, InspectCommand, SavepointCommand},
    processes::configure_stores,
    wait_for,
};

pub(crate) fn run(command: SavepointCommand) -> CommandResult {
    match command {
        SavepointCommand::Inspect(command) => inspect_snapshot(&command),
        SavepointCommand::Dispose(command) => dispose_snapshot(&command),
    }
}

pub(crate) fn inspect_snapshot(command: &InspectCommand) -> CommandResult {
    configure_stores(&command.process)?;
    let options = InspectOptions { contents: command.contents, verify: command.verify };
    let stores = Arc::new(Stores::default());
    let report = wait_for(async {
        inspect(&OpenSnapshot::open(&command.path, &stores).await?, options).await
    })??;
    let damaged = !report.problems.is_empty();
    Ok(Outcome::of(&report, command.json, ToString::to_string)?.damaged_if(damaged))
}

#[derive(Serialize)]
struct Disposed {
    deleted: Vec<String>,
    kept: Vec<String>,
}

fn dispose_snapshot(command: &DisposeCommand) -> CommandResult {
    configure_stores(&command.process)?;
    let stores = Arc::new(Stores::default());
    let disposal = wait_for(dispose(&command.path, &stores, command.with_shared))??;
    let texts = |files: &[Arc<str>]| files.iter().map(ToString::to_string).collect();
    let disposed = Disposed { deleted: texts(&disposal.deleted), kept: texts(&disposal.kept) };
    Outcome::of(&disposed, command.json, |disposed| {
        let mut text =
            format!("disposed of {} and {} files of state\n", command.path, disposed.deleted.len());
        if !disposed.kept.is_empty() {
            text.push_str("left, as other checkpoints name them or they lie elsewhere:\n");
        }
        for file in &disposed.kept {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {file}");
        }
        text
    })
}
