//! `hurtig jobmanager`, `hurtig taskmanager`, `hurtig cluster`: the processes of a cluster.
//!
//! They log to standard error, and write one line to standard output when they are there.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
};

use hurtig_cluster::{
    HOST_LAUNCHER, JobManagerProcess, TaskManagerStart, run_job_manager, run_local_cluster,
    run_task_manager,
};
use hurtig_config::{CONFIG_FILE_NAME, Configuration};
use tracing_subscriber::EnvFilter;

use crate::{
    CommandResult, Outcome,
    args::{ClusterCommand, JobManagerCommand, ProcessCommand},
};

/// The variable that says what is logged, as `info` or `hurtig_rpc=debug`.
const LOG_VARIABLE: &str = "HURTIG_LOG";

/// If this process is to become a host, it does; returns only if it cannot.
pub(crate) fn launch(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    if arguments.next()? != HOST_LAUNCHER {
        return None;
    }
    let error = hurtig_process_host::exec_as_child(arguments);
    Some(hurtig_types::error::chain_text(&error))
}

/// The configuration of a process: config.yaml, and what the command line says.
fn configuration(command: &ProcessCommand) -> Result<Configuration, Box<dyn std::error::Error>> {
    let mut configuration = Configuration::new();
    let directory = command.conf_dir.as_ref().filter(|path| !path.as_os_str().is_empty());
    if let Some(directory) = directory {
        configuration.load(&directory.join(CONFIG_FILE_NAME))?;
    }
    for property in &command.properties {
        configuration.add_dynamic(property)?;
    }
    configuration.validate()?;
    for warning in configuration.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(configuration)
}

/// Object stores are opened as the configuration says.
pub(crate) fn configure_stores(command: &ProcessCommand) -> Result<(), Box<dyn std::error::Error>> {
    Ok(hurtig_filesystem::configure_process(&configuration(command)?)?)
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE);
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // Fails only if somebody logs already.
    let _ = log.with_writer(io::stderr).try_init();
}

fn announce(what: &str, endpoint: &str) {
    // Who started this process may not listen.
    let _ = writeln!(io::stdout(), "{what} {endpoint}");
}

fn announce_job_manager(process: &JobManagerProcess) {
    announce("JobManager", &format!("{} REST {}", process.endpoint(), process.rest_address()));
}

fn this_program() -> io::Result<PathBuf> {
    env::current_exe()
}

pub(crate) fn job_manager(command: &JobManagerCommand) -> CommandResult {
    let configuration = configuration(&command.process)?;
    log_to_stderr();
    let launcher = this_program()?;
    let task_managers = match command.start_taskmanagers {
        true => TaskManagerStart::OnDemand,
        false => TaskManagerStart::Standalone,
    };
    run_job_manager(&configuration, &launcher, task_managers, announce_job_manager)?;
    Ok(Outcome::text(""))
}

pub(crate) fn task_manager(command: &ProcessCommand) -> CommandResult {
    let configuration = configuration(command)?;
    log_to_stderr();
    let launcher = this_program()?;
    run_task_manager(&configuration, &launcher, |at| announce("TaskManager", at))?;
    Ok(Outcome::text(""))
}

pub(crate) fn cluster(command: &ClusterCommand) -> CommandResult {
    let configuration = configuration(&command.process)?;
    log_to_stderr();
    let (launcher, number) = (this_program()?, command.taskmanagers);
    let logs = command.logs.clone();
    run_local_cluster(&configuration, &launcher, number, logs, announce_job_manager)?;
    Ok(Outcome::text(""))
}
