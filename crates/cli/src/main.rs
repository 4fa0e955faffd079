//! The command `hurtig`.
//!
//! Arguments ([`args`]) become one [`command::Command`], which gives an [`Outcome`]: text for
//! standard output, and an exit code:
//!
//! - 0: done.
//! - 1: it could not be done; the reason is on standard error.
//! - 2: the arguments are wrong.
//! - 3: done, and what was looked at is damaged.
//!
//! A new command is a variant in [`args`] and a file beside `savepoint.rs`. Deliberately absent:
//! everything that a library could want; that is in the crates below.

mod args;
mod checkpoint;
mod config;
mod savepoint;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use args::{Arguments, Topic};
use clap::Parser;
use hurtig_types::chain_text;
use serde::Serialize;

/// What a command has to say.
pub(crate) struct Outcome {
    text: String,
    damaged: bool,
}

impl Outcome {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), damaged: false }
    }

    /// A value as JSON, or what `text` makes of it.
    pub(crate) fn of<T: Serialize>(
        value: &T,
        json: bool,
        text: impl FnOnce(&T) -> String,
    ) -> CommandResult {
        let text = if json { serde_json::to_string_pretty(value)? } else { text(value) };
        Ok(Self::text(text))
    }

    pub(crate) fn damaged_if(mut self, damaged: bool) -> Self {
        self.damaged = damaged;
        self
    }
}

/// How a command ends. Errors only go to people, with their causes.
pub(crate) type CommandResult = Result<Outcome, Box<dyn Error>>;

fn run(arguments: Arguments) -> CommandResult {
    match arguments.topic {
        Topic::Savepoint(command) => savepoint::run(command),
        Topic::Checkpoint(command) => checkpoint::run(command),
        Topic::Config(command) => config::run(&command),
    }
}

/// Waits for what is read from files and stores.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(outcome) => match print(&outcome.text) {
            Ok(()) => ExitCode::from(if outcome.damaged { 3 } else { 0 }),
            // Whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("error: {}", chain_text(&*error));
            ExitCode::FAILURE
        }
    }
}
