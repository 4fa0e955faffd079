//! Commands for a running cluster. Names and short forms are Flink's.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hurtig_types::JobId;

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArguments {
    /// Address of the cluster's REST server; without it, rest.address and rest.port.
    #[arg(short = 'm', long = "jobmanager", value_name = "HOST:PORT")]
    pub(crate) job_manager: Option<String>,
    /// The directory of config.yaml.
    #[arg(long, env = "HURTIG_CONF_DIR", value_name = "DIR")]
    pub(crate) conf_dir: Option<PathBuf>,
    /// A property over those of the file.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,
    /// The cluster's id in high availability, as high-availability.cluster-id.
    #[arg(
        short = 'z',
        long = "zookeeper-namespace",
        alias = "zookeeperNamespace",
        value_name = "ID"
    )]
    pub(crate) cluster_id: Option<String>,
    /// For tools.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A program, and how it is started.
#[derive(Debug, Args)]
pub(crate) struct ProgramArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Parallelism of operators that set none.
    #[arg(short = 'p', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) parallelism: Option<u32>,
    /// The program: an executable file.
    pub(crate) binary: PathBuf,
    /// Its arguments.
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunCommand {
    #[command(flatten)]
    pub(crate) program: ProgramArguments,
    /// Do not wait for the job's end.
    #[arg(short = 'd', long)]
    pub(crate) detached: bool,
    /// The checkpoint or savepoint to start from.
    #[arg(short = 's', long = "from-savepoint", alias = "fromSavepoint", value_name = "PATH")]
    pub(crate) from_savepoint: Option<String>,
    /// Leave out state that no operator wants.
    #[arg(short = 'n', long, alias = "allowNonRestoredState", requires = "from_savepoint")]
    pub(crate) allow_non_restored_state: bool,
    /// Who owns the savepoint from then on.
    #[arg(long, alias = "claimMode", requires = "from_savepoint", ignore_case = true)]
    pub(crate) claim_mode: Option<ClaimModeArgument>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ClaimModeArgument {
    /// The job: the savepoint goes as checkpoints do.
    Claim,
    /// Somebody else: nothing of it is deleted.
    #[value(alias = "no_claim")]
    NoClaim,
}

#[derive(Debug, Args)]
pub(crate) struct ListJobsCommand {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Also jobs that have ended.
    #[arg(short = 'a', long)]
    pub(crate) all: bool,
    /// Only jobs that run.
    #[arg(short = 'r', long, conflicts_with = "all")]
    pub(crate) running: bool,
    /// Only jobs that were submitted and do not run yet.
    #[arg(short = 's', long, conflicts_with = "all")]
    pub(crate) scheduled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobCommand {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The job.
    pub(crate) job: JobId,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum FormatArgument {
    /// The same for all backends.
    #[default]
    Canonical,
    /// The backend's own.
    Native,
}

/// Reads a job where a command could stand, too.
fn job_or_command(
    commands: &'static str,
) -> impl Fn(&str) -> Result<JobId, String> + Clone + Send + Sync + 'static {
    move |text| {
        text.parse().map_err(|error: hurtig_types::ParseIdError| {
            format!("{error}, or the command {commands}")
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct StopCommand {
    #[command(flatten)]
    pub(crate) job: JobCommand,
    /// Where the savepoint goes; without it, beneath execution.checkpointing.savepoint-dir.
    #[arg(short = 'p', long = "savepoint-path", alias = "savepointPath", value_name = "DIR")]
    pub(crate) directory: Option<String>,
    /// Drive event time to its end first, so that windows and timers fire.
    #[arg(short = 'd', long)]
    pub(crate) drain: bool,
    /// Layout of the savepoint.
    #[arg(long = "type", value_enum, default_value_t, ignore_case = true)]
    pub(crate) format: FormatArgument,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TakeSavepointCommand {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The job; there is none if a command is given.
    #[arg(
        required_unless_present = "dispose",
        value_parser = job_or_command("inspect or dispose")
    )]
    pub(crate) job: Option<JobId>,
    /// Where it goes; without it, beneath execution.checkpointing.savepoint-dir.
    pub(crate) directory: Option<String>,
    /// Have the cluster delete this savepoint instead.
    #[arg(short = 'd', long, value_name = "PATH", conflicts_with = "job")]
    pub(crate) dispose: Option<String>,
    /// Its layout.
    #[arg(long = "type", value_enum, default_value_t, ignore_case = true)]
    pub(crate) format: FormatArgument,
    /// Do not wait for it.
    #[arg(long)]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TakeCheckpointCommand {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The job; there is none if a command is given.
    #[arg(required = true, value_parser = job_or_command("list or inspect"))]
    pub(crate) job: Option<JobId>,
    /// One that names no file of earlier ones, whatever is configured.
    #[arg(long)]
    pub(crate) full: bool,
    /// Do not wait for it.
    #[arg(long)]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsCommand {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Of this TaskManager instead of the JobManager.
    #[arg(short = 't', long, value_name = "ID")]
    pub(crate) taskmanager: Option<String>,
    /// The log to print; without it, logs are listed.
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionCommand {
    /// For this shell.
    pub(crate) shell: clap_complete::Shell,
}
