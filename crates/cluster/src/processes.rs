//! What the commands of the processes do: start, wait for a signal, end in order.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use hurtig_cluster_api::RpcError;
use hurtig_config::{ConfigError, ConfigErrors, Configuration};
use hurtig_env::{Clock, OwnedRuntimes, Runtimes};
use hurtig_metrics_reporters::{ReporterError, SettingsError};
use hurtig_process_host::{ExitReason, OutputOptions, ProcessSpec, ProcessSupervisor, random_bits};
use hurtig_rest::RestServerError;
use hurtig_rpc::RpcServerError;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    JobManagerProcess, TaskManagerProcess,
    workers::{LEAVE_GRACE, TaskManagerStart, task_manager_arguments},
};

/// The argument that makes a program a launcher of hosts: what follows it goes to
/// [`hurtig_process_host::exec_as_child`].
pub const HOST_LAUNCHER: &str = "__launch-host";

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A key or value is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys or values are wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigErrors),
    /// TLS is asked for, and cannot be had; or an address is malformed.
    #[error(transparent)]
    Tls(#[from] hurtig_tls::TlsError),
    /// Settings of metrics are wrong.
    #[error(transparent)]
    Metrics(#[from] SettingsError),
    /// A reporter of metrics cannot start.
    #[error(transparent)]
    Reporter(#[from] ReporterError),
    /// The port cannot be had.
    #[error(transparent)]
    Server(#[from] RpcServerError),
    /// REST cannot be answered.
    #[error(transparent)]
    Rest(#[from] RestServerError),
    /// A gateway cannot be offered or found.
    #[error(transparent)]
    Gateway(#[from] RpcError),
    /// A directory cannot be used.
    #[error("cannot use a directory for files")]
    Directory(#[source] io::Error),
    /// High availability is configured wrongly.
    #[error(transparent)]
    HighAvailability(#[from] hurtig_high_availability::HighAvailabilityError),
    /// The storage of high availability cannot be used.
    #[error("high-availability.storageDir cannot be used")]
    Storage(#[from] hurtig_cluster_api::BlobError),
    /// High availability knows no leader.
    #[error("no JobManager was found to lead within {seconds} s")]
    NoLeader {
        /// How long it was waited.
        seconds: u64,
    },
    /// A TaskManager has given up.
    #[error("no ResourceManager has answered for taskmanager.registration.timeout")]
    NoResourceManager,
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[source] io::Error),
    /// Signals cannot be caught.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// A process that is needed did not start.
    #[error("cannot start a TaskManager")]
    Child(#[source] hurtig_process_host::SpawnError),
}

/// What a process was told to end by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT: the terminal's interrupt.
    Interrupt,
    /// A client has asked for it.
    Client,
}

impl std::fmt::Display for StopSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Client => "a client's request",
        })
    }
}

/// Waits for a signal to end. The next one ends the process at once.
///
/// # Errors
/// If signals cannot be caught.
pub async fn until_stopped() -> Result<StopSignal, ProcessError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ProcessError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ProcessError::Signals)?;
    let stop = tokio::select! {
        biased;
        _ = terminate.recv() => StopSignal::Terminate,
        _ = interrupt.recv() => StopSignal::Interrupt,
    };
    tokio::spawn(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(stop)
}

/// Waits until a JobManager is told to end, by a signal or by a client.
async fn until_told(process: &JobManagerProcess) -> Result<StopSignal, ProcessError> {
    tokio::select! {
        biased;
        stop = until_stopped() => stop,
        () = process.asked_to_end() => Ok(StopSignal::Client),
    }
}

/// Runs what a process does on threads of its own. It runs no tasks, so one of each kind suffices.
fn on_runtimes<T>(
    main: impl AsyncFnOnce(Runtimes) -> Result<T, ProcessError>,
) -> Result<T, ProcessError> {
    let owned = OwnedRuntimes::start(Some(1)).map_err(ProcessError::Threads)?;
    let runtimes = owned.handles();
    runtimes.control.clone().block_on(main(runtimes))
}

/// `hurtig jobmanager`: runs until a signal comes. `started` is called when it is there.
///
/// Without high availability its end is the end of its JobMasters, as in Flink. TaskManagers cancel
/// what they ran for them, and wait for the next JobManager. With high availability another one
/// goes on with the jobs.
///
/// # Errors
/// If it cannot start.
pub fn run_job_manager(
    configuration: &Configuration,
    launcher: &Path,
    task_managers: TaskManagerStart,
    started: impl FnOnce(&JobManagerProcess),
) -> Result<(), ProcessError> {
    on_runtimes(async |runtimes| {
        let clock = Clock::system();
        let starting =
            JobManagerProcess::start_with(configuration, launcher, task_managers, &runtimes, clock);
        let process = starting.await?;
        started(&process);
        let stop = until_told(&process).await?;
        tracing::info!(%stop, "the JobManager ends");
        process.leave().await;
        Ok(())
    })
}

/// `hurtig taskmanager`: runs until a signal comes. `started` is called with the endpoint.
///
/// # Errors
/// If it cannot start.
pub fn run_task_manager(
    configuration: &Configuration,
    launcher: &Path,
    started: impl FnOnce(&str),
) -> Result<(), ProcessError> {
    on_runtimes(async |runtimes| {
        let process =
            TaskManagerProcess::start(configuration, launcher, &runtimes, Clock::system()).await?;
        started(process.endpoint());
        let stop = tokio::select! {
            biased;
            stop = until_stopped() => stop?,
            () = process.gave_up() => {
                process.leave("the TaskManager has given up").await;
                return Err(ProcessError::NoResourceManager);
            }
        };
        tracing::info!(%stop, "the TaskManager leaves");
        process.leave(&format!("the TaskManager was told to end ({stop})")).await;
        Ok(())
    })
}

/// `hurtig cluster`: a JobManager in this process, TaskManagers as its children, on this machine.
/// `started` is called when they are there.
///
/// # Errors
/// If it cannot start.
pub fn run_local_cluster(
    configuration: &Configuration,
    launcher: &Path,
    task_managers: u32,
    logs: Option<PathBuf>,
    started: impl FnOnce(&JobManagerProcess),
) -> Result<(), ProcessError> {
    on_runtimes(async |runtimes| {
        let process =
            JobManagerProcess::start(configuration, launcher, &runtimes, Clock::system()).await?;
        let launch = (launcher.to_owned(), vec![HOST_LAUNCHER.into()]);
        let supervisor = ProcessSupervisor::start(Some(launch), runtimes.control.clone());
        let supervisor = supervisor.map_err(ProcessError::Threads)?;
        let random = random_bits().map_err(ProcessError::Random)?;
        let logs =
            logs.unwrap_or_else(|| std::env::temp_dir().join(format!("hurtig-cluster-{random:x}")));
        let mut children = Vec::new();
        let ending = Arc::new(AtomicBool::new(false));
        for number in 0..task_managers {
            let child = task_manager(configuration, launcher, process.endpoint(), &logs, number);
            let child = supervisor.spawn(child).await.map_err(ProcessError::Child)?;
            let (exited, ending) = (child.exited(), ending.clone());
            runtimes.control.spawn(async move {
                let exit = exited.await;
                let (reason, words) = (exit.reason, exit.last_words);
                if ending.load(SeqCst) && reason == ExitReason::Code(0) {
                    tracing::info!(number, "a TaskManager has left");
                } else {
                    tracing::error!(number, %reason, words, "a TaskManager has ended");
                }
            });
            children.push(child);
        }
        started(&process);
        let stop = until_told(&process).await?;
        tracing::info!(%stop, "the cluster ends");
        ending.store(true, SeqCst);
        children.iter().for_each(|child| child.terminate(LEAVE_GRACE));
        for child in &children {
            child.exited().await;
        }
        process.leave().await;
        Ok(())
    })
}

/// A TaskManager as a child process, with this process's configuration.
fn task_manager(
    configuration: &Configuration,
    launcher: &Path,
    job_manager: &str,
    logs: &Path,
    number: u32,
) -> ProcessSpec {
    ProcessSpec {
        program: launcher.to_owned(),
        arguments: task_manager_arguments(configuration, job_manager, None),
        environment: vec![("HURTIG_CONF_DIR".into(), None)],
        directory: std::env::current_dir().unwrap_or_else(|_| std::env::temp_dir()),
        output: OutputOptions {
            directory: logs.to_owned(),
            name: format!("taskmanager-{number}"),
            file_bytes: 10 << 20,
            full_files: 10,
        },
    }
}
