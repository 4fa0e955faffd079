//! TaskManagers that are children of a JobManager, on its machine.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use hurtig_config::Configuration;
use hurtig_env::Runtimes;
use hurtig_resource_manager::LocalProcessDriver;
use hurtig_types::ResourceId;

use crate::processes::HOST_LAUNCHER;

/// How long a TaskManager may take to leave.
pub(crate) const LEAVE_GRACE: Duration = Duration::from_secs(20);

/// Who starts TaskManagers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskManagerStart {
    /// People or scripts.
    #[default]
    Standalone,
    /// The JobManager, on its machine: as many as jobs need, and for no longer.
    OnDemand,
}

/// Arguments of the command that runs a TaskManager of this cluster.
pub(crate) fn task_manager_arguments(
    configuration: &Configuration,
    job_manager: &str,
    id: Option<ResourceId>,
) -> Vec<OsString> {
    let (host, port) = job_manager.rsplit_once(':').unwrap_or((job_manager, "6123"));
    let mut settings = configuration.without_secrets();
    settings.insert("jobmanager.rpc.address".to_owned(), host.to_owned());
    settings.insert("jobmanager.rpc.port".to_owned(), port.to_owned());
    if let Some(id) = id {
        settings.insert("taskmanager.resource-id".to_owned(), id.to_string());
    }
    let properties = settings.iter().flat_map(|(key, value)| {
        ["-D".to_owned().into(), OsString::from(format!("{key}={value}"))]
    });
    std::iter::once("taskmanager".into()).chain(properties).collect()
}

/// Where what a TaskManager says goes; nowhere, if that cannot be written.
fn output(logs: &Path, worker: ResourceId) -> io::Result<(Stdio, Stdio)> {
    fs::create_dir_all(logs)?;
    let log = File::create(logs.join(format!("taskmanager-{worker}.log")))?;
    Ok((log.try_clone()?.into(), log.into()))
}

/// The driver that starts TaskManagers on demand. They end with this process.
pub(crate) fn on_demand(
    configuration: &Configuration,
    launcher: &Path,
    job_manager: &str,
    logs: PathBuf,
    runtimes: &Runtimes,
) -> Arc<LocalProcessDriver> {
    let (configuration, launcher) = (configuration.clone(), launcher.to_owned());
    let job_manager = job_manager.to_owned();
    let command = move |worker: ResourceId| {
        let mut command = Command::new(&launcher);
        command.args([HOST_LAUNCHER, &std::process::id().to_string()]).arg(&launcher);
        command.args(task_manager_arguments(&configuration, &job_manager, Some(worker)));
        command.env_remove("HURTIG_CONF_DIR").stdin(Stdio::null());
        let (out, err) = output(&logs, worker).unwrap_or_else(|error| {
            tracing::warn!(%worker, %error, "what a TaskManager says is not kept");
            (Stdio::null(), Stdio::null())
        });
        command.stdout(out).stderr(err);
        command
    };
    Arc::new(LocalProcessDriver::new(command, LEAVE_GRACE, runtimes))
}
