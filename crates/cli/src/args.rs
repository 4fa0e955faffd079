//! What can be typed.

pub(crate) mod remote;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Stateful computation over streams.
#[derive(Debug, Parser)]
#[command(name = "hurtig", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) topic: Topic,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Run a program on a cluster.
    Run(remote::RunCommand),
    /// Show the plan of a program, without running it.
    Info(remote::ProgramArguments),
    /// List the jobs of a cluster that have not ended.
    List(remote::ListJobsCommand),
    /// Show a job with its vertices.
    Status(remote::JobCommand),
    /// Cancel a job.
    Cancel(remote::JobCommand),
    /// Stop a job with a savepoint.
    Stop(remote::StopCommand),
    /// Take a savepoint of a job; look into savepoints, and dispose of them.
    Savepoint(SavepointTopic),
    /// Take a checkpoint of a job; look for checkpoints, and into them.
    Checkpoint(CheckpointTopic),
    /// List the logs of a cluster's processes, or print one.
    Logs(remote::LogsCommand),
    /// Print what makes a shell complete commands.
    Completion(remote::CompletionCommand),
    /// Run SQL: scripts, statements, or a shell.
    Sql(SqlCommand),
    #[command(hide = true)]
    SqlJob(SqlJobCommand),
    /// Explain the configuration: all options, or one.
    Config(ConfigCommand),
    /// Run a JobManager, until SIGTERM or SIGINT.
    #[command(name = "jobmanager")]
    JobManager(JobManagerCommand),
    /// Run a TaskManager, until SIGTERM or SIGINT; then it leaves the cluster in order.
    #[command(name = "taskmanager")]
    TaskManager(ProcessCommand),
    /// Run a JobManager and TaskManagers on this machine, for trying out.
    Cluster(ClusterCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ProcessCommand {
    /// The directory of config.yaml.
    #[arg(long, env = "HURTIG_CONF_DIR", value_name = "DIR")]
    pub(crate) conf_dir: Option<PathBuf>,
    /// A property over those of the file.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct JobManagerCommand {
    #[command(flatten)]
    pub(crate) process: ProcessCommand,
    /// Start TaskManagers on this machine when jobs need them, and stop them when none does.
    #[arg(long)]
    pub(crate) start_taskmanagers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterCommand {
    #[command(flatten)]
    pub(crate) process: ProcessCommand,
    /// Number of TaskManagers.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) taskmanagers: u32,
    /// Where the TaskManagers' logs go; not set, a new directory among the temporary ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SavepointTopic {
    #[command(subcommand)]
    pub(crate) command: Option<SavepointCommand>,
    #[command(flatten)]
    pub(crate) take: remote::TakeSavepointCommand,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct CheckpointTopic {
    #[command(subcommand)]
    pub(crate) command: Option<CheckpointCommand>,
    #[command(flatten)]
    pub(crate) take: remote::TakeCheckpointCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SavepointCommand {
    /// Show what is inside: operators, states, sizes, files.
    Inspect(InspectCommand),
    /// Delete a savepoint, or a checkpoint that outlived its job, with the files that are its own.
    /// No job may be using it.
    Dispose(DisposeCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// List the checkpoints and savepoints in a directory: of one job, or of all.
    List(ListCommand),
    /// Show what is inside: operators, states, sizes, files.
    Inspect(InspectCommand),
}

#[derive(Debug, Args)]
pub(crate) struct InspectCommand {
    /// Its directory or metadata file: a path or a URL.
    pub(crate) path: String,
    /// Read keyed state, and count entries and timers.
    #[arg(long)]
    pub(crate) contents: bool,
    /// Read every file, and check its checksum.
    #[arg(long)]
    pub(crate) verify: bool,
    /// For tools.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DisposeCommand {
    /// Its directory or metadata file: a path or a URL.
    pub(crate) path: String,
    /// Also delete the shared files that no other checkpoint beside it names.
    #[arg(long)]
    pub(crate) with_shared: bool,
    /// For tools.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListCommand {
    /// The directory: a path or a URL.
    pub(crate) directory: String,
    /// For tools.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    /// The option to explain; all, if none is given.
    pub(crate) key: Option<String>,
    /// The directory of config.yaml.
    #[arg(long, env = "HURTIG_CONF_DIR", value_name = "DIR")]
    pub(crate) conf_dir: Option<PathBuf>,
    /// A property over those of the file.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
    /// Only options that are set.
    #[arg(long)]
    pub(crate) set: bool,
    /// For tools.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A statement that hosts of a cluster plan again; `hurtig sql` makes these arguments.
#[derive(Debug, Args)]
pub(crate) struct SqlJobCommand {
    pub(crate) program: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SqlCommand {
    /// Run jobs on a cluster: the address of its REST server. Without it they run in this process.
    #[arg(short = 'm', long = "jobmanager", value_name = "HOST:PORT")]
    pub(crate) job_manager: Option<String>,
    /// The directory of config.yaml, which says how to reach the cluster.
    #[arg(long, env = "HURTIG_CONF_DIR", value_name = "DIR")]
    pub(crate) conf_dir: Option<PathBuf>,
    /// Run the statements of a script; may be given more than once.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Run statements.
    #[arg(short = 'e', long = "execute", value_name = "STATEMENTS")]
    pub(crate) statements: Vec<String>,
    /// Run a script before all else: tables, settings.
    #[arg(short = 'i', long = "init", value_name = "FILE")]
    pub(crate) init: Vec<PathBuf>,
    /// The number of subtasks of each operator.
    #[arg(short = 'p', long, value_name = "N")]
    pub(crate) parallelism: Option<u32>,
    /// A setting, as SET sets it.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
    /// How results are shown.
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) output: Option<SqlOutput>,
    /// With `--output jsonl`: not each change, but the rows that are left at the end, sorted.
    #[arg(long)]
    pub(crate) materialize: bool,
    /// Where the shell keeps its history.
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
}

/// How results of SQL are shown.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SqlOutput {
    /// A table that changes.
    Table,
    /// Each change, as a row.
    Changelog,
    /// Each change, and how many there were.
    Tableau,
    /// Each change as JSON: {"op":"+I","row":[..]}.
    Jsonl,
}
