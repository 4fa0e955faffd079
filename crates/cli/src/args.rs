//! What can be typed.

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
    /// Look into savepoints, and dispose of them.
    #[command(subcommand)]
    Savepoint(SavepointCommand),
    /// Look for checkpoints, and into them.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Explain the configuration: all options, or one.
    Config(ConfigCommand),
    /// Run a JobManager, until SIGTERM or SIGINT.
    #[command(name = "jobmanager")]
    JobManager(ProcessCommand),
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
