//! What becomes of a process that is a host.

use std::{
    env,
    path::PathBuf,
    process::exit,
    sync::OnceLock,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use hurtig_env::{Clock, OwnedRuntimes};
use hurtig_graph::JobGraph;
use hurtig_operator_api::Program;
use hurtig_process_host::follow_parent;
use hurtig_tls::{InternalTls, Protocol};
use hurtig_types::GraphFingerprint;

use crate::{
    job_master, plan,
    spec::{HostRole, HostSpec, SPEC_VARIABLE, SpecError},
    task::{self, TaskHostSettings},
};

/// Exit code of a host that could not do its work.
const FAILED: i32 = 1;

/// Why a host cannot do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It was told nothing, or something it does not understand.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The program asked for a second job.
    #[error("a program that runs on a cluster executes one job, and this one has executed one")]
    SecondJob,
    /// The graph is not what was submitted.
    #[error(
        "the program has built another graph (fingerprint {built}) than the one that was submitted \
         (fingerprint {submitted}): it must build the same graph on every machine and every time it \
         runs, whatever time, randomness, files and environment say"
    )]
    Fingerprint {
        /// Of the graph that the program has built here.
        built: GraphFingerprint,
        /// Of the graph that was submitted.
        submitted: GraphFingerprint,
    },
    /// Something that it needs is not to be had.
    #[error("{0}")]
    Start(String),
}

/// A job's code, as `execute()` finds it.
pub struct JobCode {
    /// The graph that the program has built; its id is of no importance.
    pub graph: JobGraph,
    /// Its code.
    pub program: Program,
    /// What a task host works with.
    pub settings: TaskHostSettings,
}

/// What this process was told if it is a host, read once.
///
/// # Errors
/// If it was told something that it does not understand.
pub fn current() -> Result<Option<&'static HostSpec>, HostError> {
    static SPEC: OnceLock<Option<Result<HostSpec, String>>> = OnceLock::new();
    let read = || {
        let path = PathBuf::from(env::var_os(SPEC_VARIABLE)?);
        Some(HostSpec::read(&path).map_err(|error| hurtig_types::error::chain_text(&error)))
    };
    match SPEC.get_or_init(read) {
        None => Ok(None),
        Some(Ok(spec)) => Ok(Some(spec)),
        Some(Err(error)) => Err(HostError::Start(error.clone())),
    }
}

/// Ends this process as soon as its parent is gone, however busy it is. Called as early as
/// possible; further calls change nothing.
pub fn end_with_parent() {
    static FOLLOWS: AtomicBool = AtomicBool::new(false);
    if FOLLOWS.swap(true, SeqCst) {
        return;
    }
    if let Err(error) = follow_parent(|| exit(0)) {
        eprintln!("cannot watch the process that has started this one: {error}");
        exit(FAILED);
    }
}

fn check(built: &JobGraph, submitted: GraphFingerprint) -> Result<(), HostError> {
    let built = built.fingerprint();
    if built == submitted { Ok(()) } else { Err(HostError::Fingerprint { built, submitted }) }
}

/// Becomes what the process was started for. Returns only if that fails; otherwise the process
/// ends.
pub fn run(spec: &HostSpec, code: JobCode) -> HostError {
    static RAN: AtomicBool = AtomicBool::new(false);
    if RAN.swap(true, SeqCst) {
        return HostError::SecondJob;
    }
    match become_host(spec, code) {
        Ok(()) => exit(0),
        Err(error) => error,
    }
}

/// What protects a host's connections, as the cluster's configuration says.
#[derive(Clone, Default)]
pub(crate) struct HostTls {
    pub(crate) rpc: Option<InternalTls>,
    pub(crate) data: Option<InternalTls>,
}

impl HostTls {
    fn of(spec: &HostSpec) -> Result<Self, HostError> {
        let wrong = |error: String| HostError::Start(format!("TLS: {error}"));
        let configuration = spec.configuration().map_err(|error| wrong(error.to_string()))?;
        let tls = |protocol| {
            let tls = InternalTls::from_configuration(&configuration, protocol);
            tls.map_err(|error| wrong(hurtig_types::error::chain_text(&error)))
        };
        Ok(Self { rpc: tls(Protocol::Rpc)?, data: tls(Protocol::Data)? })
    }
}

fn become_host(spec: &HostSpec, code: JobCode) -> Result<(), HostError> {
    let no_threads = |error: std::io::Error| HostError::Start(format!("no threads: {error}"));
    if !tracing::dispatcher::has_been_set() && !matches!(spec.role, HostRole::Plan(_)) {
        // What a program logs by itself is its own affair; this is for those that do not.
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false);
        let _ = log.with_writer(std::io::stderr).try_init();
    }
    if !spec.stores.0.is_empty() {
        hurtig_filesystem::set_process_options(spec.stores.0.clone());
    }
    match &spec.role {
        HostRole::Plan(role) => {
            let graph = JobGraph { job_id: role.job, ..code.graph };
            Ok(plan::write_plan(role, graph)?)
        }
        HostRole::JobMaster(role) => {
            let runtimes = OwnedRuntimes::start(Some(1)).map_err(no_threads)?;
            let checked = check(&code.graph, role.graph.fingerprint());
            let program = checked.map(|()| code.program);
            let (metrics, clock) = (code.settings.metrics, Clock::system());
            let tls = HostTls::of(spec)?;
            let main = job_master::run(role, program, (metrics, tls), runtimes.handles(), clock);
            runtimes.handles().control.block_on(main)
        }
        HostRole::Task(role) => {
            let threads = code.settings.compute_threads;
            let runtimes = OwnedRuntimes::start(threads).map_err(no_threads)?;
            let program = check(&code.graph, role.fingerprint).map(|()| code.program);
            let (with, clock) = ((code.settings, HostTls::of(spec)?), Clock::system());
            let main = task::run(role, program, with, runtimes.handles(), clock);
            runtimes.handles().control.block_on(main)
        }
    }
}
