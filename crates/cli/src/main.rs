//! The command `hurtig`.
//!
//! Arguments ([`args`]) become one [`command::Command`], which gives an [`Outcome`]: text for
//! standard output, and an exit code:
//!
//! - 0: done.
//! - 1: it could not be done; the reason is on standard error.
//! - 2: the arguments are wrong.
//! - 3: done, and what was looked at is damaged.
//! - 4: the job has failed or was cancelled (with `--json`; without it, 1).
//!
//! A new command is a variant in [`args`] and a file beside `savepoint.rs`. Deliberately absent:
//! everything that a library could want; that is in the crates below.

mod args;
mod checkpoint;
mod config;
mod heartbeats;
mod processes;
mod remote;
mod savepoint;
mod sql;

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use args::{Arguments, CheckpointTopic, SavepointTopic, Topic};
use clap::{CommandFactory, Parser};
use hurtig_types::chain_text;
use serde::Serialize;

/// What a command has to say.
pub(crate) struct Outcome {
    text: String,
    code: u8,
}

impl Outcome {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 0 }
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

    pub(crate) fn damaged_if(self, damaged: bool) -> Self {
        Self { code: if damaged { 3 } else { 0 }, ..self }
    }

    pub(crate) fn failed_if(self, failed: bool) -> Self {
        Self { code: if failed { 4 } else { 0 }, ..self }
    }
}

/// How a command ends. Errors only go to people, with their causes.
pub(crate) type CommandResult = Result<Outcome, Box<dyn Error>>;

fn run(arguments: Arguments) -> CommandResult {
    match arguments.topic {
        Topic::Run(command) => remote::run(&command),
        Topic::Info(command) => remote::info(&command),
        Topic::List(command) => remote::list(&command),
        Topic::Status(command) => remote::status(&command),
        Topic::Cancel(command) => remote::cancel(&command),
        Topic::Stop(command) => remote::stop(&command),
        Topic::Savepoint(SavepointTopic { command, take }) => {
            match (command, &take.dispose, take.job) {
                (Some(command), ..) => savepoint::run(command),
                (None, Some(path), _) => remote::dispose(path, &take.cluster),
                (None, None, Some(job)) => remote::take_savepoint(job, &take),
                (None, None, None) => Err("a job or a command is missing".into()),
            }
        }
        Topic::Checkpoint(CheckpointTopic { command, take }) => match (command, take.job) {
            (Some(command), _) => checkpoint::run(command),
            (None, Some(job)) => remote::take_checkpoint(job, &take),
            (None, None) => Err("a job or a command is missing".into()),
        },
        Topic::Logs(command) => remote::logs(&command),
        Topic::Completion(command) => Ok(completion(command.shell)),
        Topic::Sql(command) => sql::run(&command),
        Topic::SqlJob(command) => sql::run_job(&command),
        Topic::Config(command) => config::run(&command),
        Topic::JobManager(command) => processes::job_manager(&command),
        Topic::TaskManager(command) => processes::task_manager(&command),
        Topic::Cluster(command) => processes::cluster(&command),
    }
}

/// The script that makes a shell complete this command.
fn completion(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hurtig", &mut script);
    Outcome::text(String::from_utf8_lossy(&script))
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

/// Options of Flink's that are words behind one dash: they are taken as they are known to people.
const ONE_DASH: &[(&str, &str)] =
    &[("-type", "--type"), ("-detached", "--detached"), ("-cm", "--claim-mode")];

/// What was typed, with options of Flink's as they are spelt here. What comes behind `--` is for a
/// program.
fn typed(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_ours = true;
    let spelt = given.map(|argument| {
        is_ours &= argument != "--";
        let known = ONE_DASH.iter().find(|(flinks, _)| is_ours && argument == *flinks);
        known.map_or(argument, |(_, ours)| (*ours).into())
    });
    spelt.collect()
}

fn main() -> ExitCode {
    if let Some(error) = processes::launch(std::env::args_os().skip(1)) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match run(Arguments::parse_from(typed(std::env::args_os()))) {
        Ok(outcome) if outcome.text.is_empty() => ExitCode::from(outcome.code),
        Ok(outcome) => match print(&outcome.text) {
            Ok(()) => ExitCode::from(outcome.code),
            // Whoever read has seen enough; how it went is told all the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(outcome.code),
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("error: {}", chain_text(&*error));
            ExitCode::FAILURE
        }
    }
}
