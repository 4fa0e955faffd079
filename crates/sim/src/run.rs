//! One run: a cluster in its world, the driver of faults, the client, and the checks at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hurtig::{graph::RestoreFrom, prelude::*};
use hurtig_cluster_api::{DispatcherGateway, JobResult, JobStatus, RpcError, RpcResult};
use hurtig_env::Runtimes;
use hurtig_filesystem::{Stores, object_store::path::Path};
use hurtig_minicluster::{ClusterSurroundings, MiniCluster, MiniClusterConfig};
use hurtig_network::NetworkConfig;
use hurtig_storage::LocalStateOptions;
use hurtig_types::{CheckpointRetentionPolicy, JobId, SavepointFormat, TerminateKind};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    check,
    external::External,
    faults::{Fault, Point, When},
    gateways::SimLinks,
    input::Input,
    local_disk::LocalDisk,
    programs::Plan,
    random::{Random, mix},
    records::services,
    scenario::{Scenario, Stop, StopKind},
    store::{SCHEME_AND_HOST, SimStore},
    transport::SimTransport,
    world::World,
};

/// How long a job may take once faults have stopped.
const PROGRESS_WITHIN_MS: u64 = 180_000;
/// What is left of former attempts comes to its end in that time.
const SETTLE_MS: u64 = 60_000;
/// Where checkpoints and savepoints are; metadata of those in the JobManager's memory, too.
const CHECKPOINTS: &str = "memory:///checkpoints";
const SAVEPOINTS: &str = "memory:///savepoints";

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened: equal for equal runs.
    pub hash: u64,
    /// Number of things that happened.
    pub events: u64,
    /// How long the run took in its own time.
    pub simulated_ms: u64,
    /// Restarts of its jobs.
    pub restarts: u32,
    /// Which faults have struck, and how often.
    pub struck: BTreeMap<&'static str, u32>,
    /// What is wrong.
    pub violations: Vec<String>,
    /// What happened, if it was to be kept.
    pub trace: Vec<String>,
}

/// Runs a scenario on the calling thread. `keep_trace` keeps what happens line by line.
///
/// # Panics
/// If no runtime can be built, which only a lack of memory can cause.
pub fn run(scenario: &Scenario, keep_trace: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let (world, struck) = World::new(scenario.seed, keep_trace);
        let restarts = simulate(scenario, &world, struck).await;
        Report {
            seed: scenario.seed,
            hash: world.hash(),
            events: world.events(),
            simulated_ms: world.now_ms(),
            restarts,
            struck: world.struck(),
            violations: world.violations(),
            trace: world.take_lines(),
        }
    })
}

/// A run's parts, as its client sees them.
struct Run<'a> {
    scenario: &'a Scenario,
    world: World,
    cluster: Arc<MiniCluster>,
    store: SimStore,
    external: External,
    inputs: [Input; 2],
    restarts: u32,
    /// Metadata files that may be there at the end.
    kept: BTreeSet<Path>,
    /// No sound checkpoint was left, and the job has failed for it, as it should.
    gave_up: bool,
}

async fn simulate(
    scenario: &Scenario,
    world: &World,
    struck: mpsc::UnboundedReceiver<Fault>,
) -> u32 {
    let transport = SimTransport::new(world.clone());
    let store = SimStore::new(world.clone());
    let stores = Stores::default();
    stores.register(SCHEME_AND_HOST, Arc::new(store.clone()));
    let roots = match scenario.local_recovery.map(|_| tempfile::tempdir()).transpose() {
        Ok(roots) => roots,
        Err(error) => {
            world.violation(format_args!("no directory for local state: {error}"));
            return 0;
        }
    };
    let surroundings = ClusterSurroundings {
        runtimes: Runtimes::current(),
        clock: world.clock(),
        transport: Arc::new(transport.clone()),
        stores: Arc::new(stores),
        links: Arc::new(SimLinks::new(world.clone())),
        high_availability: scenario.job_managers.map(|_| services(world)),
        local_disk: scenario.local_recovery.map(|local| LocalDisk::new(world.clone(), local) as _),
    };
    let config = MiniClusterConfig {
        task_executors: scenario.task_executors,
        slots_per_task_executor: scenario.slots,
        network: NetworkConfig { buffer_bytes: scenario.buffer_bytes, ..NetworkConfig::default() },
        heartbeat_interval: Duration::from_millis(500),
        heartbeat_timeout: Duration::from_secs(5),
        job_managers: scenario.job_managers.unwrap_or(1),
        seed: scenario.seed | 1,
        local_state: scenario.local_recovery.zip(roots.as_ref()).map(|(local, roots)| {
            LocalStateOptions { roots: vec![roots.path().to_owned()], recovery: local.recovery }
        }),
        ..MiniClusterConfig::default()
    };
    let cluster = match MiniCluster::start_on(config, surroundings).await {
        Ok(cluster) => Arc::new(cluster),
        Err(error) => {
            world.violation(format_args!("no cluster: {error}"));
            return 0;
        }
    };
    let alive = Arc::new(Mutex::new((0..scenario.task_executors as usize).collect::<Vec<_>>()));
    let external = External::new(world.clone());
    let driver = Driver {
        cluster: cluster.clone(),
        transport,
        store: store.clone(),
        external: external.clone(),
        alive: alive.clone(),
        world: world.clone(),
    };
    tokio::spawn(driver.run(struck));
    schedule(scenario, world);
    for at_ms in scenario.late_task_executors_ms.iter().copied() {
        tokio::spawn(start_later(at_ms, cluster.clone(), alive.clone(), world.clone()));
    }
    let mut random = Random::new(mix(scenario.seed));
    let mut input = |events| Input::draw(&mut random, scenario.splits, events, scenario.keys);
    let mut run = Run {
        scenario,
        world: world.clone(),
        cluster: cluster.clone(),
        store,
        external,
        inputs: [input(scenario.events_per_split), input(scenario.events_per_split / 2 + 1)],
        restarts: 0,
        kept: BTreeSet::new(),
        gave_up: false,
    };
    let within = Duration::from_millis(scenario.calm_ms + PROGRESS_WITHIN_MS);
    match tokio::time::timeout(within, run.jobs()).await {
        Err(_) => {
            let state = run.describe().await;
            world.note(state);
            world.violation(format_args!("no progress within {PROGRESS_WITHIN_MS} ms"));
        }
        Ok(Err(problem)) => world.violation(problem),
        Ok(Ok(())) => run.check(&alive).await,
    }
    run.restarts
}

/// Lets faults with a time strike, and calm come at last.
fn schedule(scenario: &Scenario, world: &World) {
    for planned in &scenario.faults {
        match planned.when {
            When::AtStep(..) => world.plan(*planned),
            When::AtMs(at_ms) => {
                let (world, fault) = (world.clone(), planned.fault);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(at_ms)).await;
                    world.strike(fault);
                });
            }
        }
    }
    let (world, calm_ms) = (world.clone(), scenario.calm_ms);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(calm_ms)).await;
        world.calm_down();
    });
}

/// Carries out the faults that are more than a change of the weather.
struct Driver {
    cluster: Arc<MiniCluster>,
    transport: SimTransport,
    store: SimStore,
    external: External,
    alive: Arc<Mutex<Vec<usize>>>,
    world: World,
}

impl Driver {
    async fn run(self, mut struck: mpsc::UnboundedReceiver<Fault>) {
        while let Some(fault) = struck.recv().await {
            match fault {
                Fault::CutConnections => self.transport.cut_all(),
                Fault::KillTaskExecutor { which, back_after_ms } => {
                    self.kill_task_executor(which, back_after_ms).await;
                }
                Fault::KillJobMasters => self.kill_job_masters(),
                Fault::RottenFile { which } => self.rot(which).await,
                Fault::KillJobManager { back_after_ms } => self.kill_job_manager(back_after_ms),
                _ => self.world.violation(format_args!("{fault:?} is not for the driver")),
            }
        }
    }

    async fn kill_task_executor(&self, which: u64, back_after_ms: u64) {
        let index = {
            let mut alive = self.alive.lock();
            if alive.is_empty() {
                return;
            }
            let at = (which % alive.len() as u64) as usize;
            alive.swap_remove(at)
        };
        self.world.note(format_args!("TE{index} is killed"));
        self.cluster.stop_task_executor(index).await;
        let (cluster, alive) = (self.cluster.clone(), self.alive.clone());
        tokio::spawn(start_later(back_after_ms, cluster, alive, self.world.clone()));
    }

    /// A file rots, and whoever reads it is made to: metadata is read by the next JobMaster, state
    /// by the next attempts of the tasks.
    async fn rot(&self, which: u64) {
        let Some(path) = self.store.rot(which).await else {
            return self.world.note("store: nothing may rot");
        };
        self.external.expect_fall_backs();
        if path.filename() == Some("_metadata") {
            self.kill_job_masters();
        } else {
            self.world.strike(Fault::UserCode(Point::Record));
        }
    }

    fn kill_job_masters(&self) {
        self.store.on_job_masters_lost();
        for job in self.cluster.job_masters() {
            if self.cluster.kill_job_master(job) {
                self.world.note("a JobMaster is killed");
            }
        }
    }

    fn kill_job_manager(&self, back_after_ms: u64) {
        let Some(index) = self.cluster.leading_job_manager() else {
            return self.kill_job_masters();
        };
        self.store.on_job_masters_lost();
        self.world.note(format_args!("JobManager {index} is killed"));
        self.cluster.kill_job_manager(index);
        let (cluster, world) = (self.cluster.clone(), self.world.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(back_after_ms)).await;
            if let Err(error) = cluster.start_job_manager() {
                world.violation(format_args!("no JobManager: {error}"));
            }
        });
    }
}

/// Another TaskExecutor comes.
async fn start_later(
    after_ms: u64,
    cluster: Arc<MiniCluster>,
    alive: Arc<Mutex<Vec<usize>>>,
    world: World,
) {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    match cluster.start_task_executor().await {
        Ok(index) => {
            world.note(format_args!("TE{index} comes"));
            alive.lock().push(index);
        }
        Err(error) => world.violation(format_args!("no TaskExecutor: {error}")),
    }
}

impl Run<'_> {
    /// The client: submits, stops and resumes as the scenario wants.
    async fn jobs(&mut self) -> Result<(), String> {
        let retention = match self.scenario.stop {
            Some(Stop { kind: StopKind::RetainedCheckpoint, .. }) => {
                CheckpointRetentionPolicy::RetainOnCancellation
            }
            _ => CheckpointRetentionPolicy::NeverRetainAfterTermination,
        };
        let first = self.submit(1, self.scenario.parallelism, None, retention).await?;
        let Some(stop) = self.scenario.stop else {
            let result = self.result(first).await?;
            let reason = result.failure.as_ref().map_or("", |failure| failure.message.as_str());
            self.gave_up = self.store.has_rot_spread() && reason.contains("damaged");
            return if self.gave_up { Ok(()) } else { finished(&result) };
        };
        let running = self.cluster.result(first);
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(stop.at_ms), running).await {
            let result = result.map_err(|error| error.to_string())?;
            self.restarts += result.restarts;
            return finished(&result);
        }
        if stop.kind == StopKind::Suspend {
            return match self.suspend(first).await? {
                Some(pointer) => self.resume(stop.then_parallelism, Some(pointer)).await,
                None => finished(&self.result(first).await?),
            };
        }
        let mut pointer = None;
        if stop.kind == StopKind::Savepoint {
            pointer = self.savepoint(first).await?;
        }
        let result = self.cancel(first).await?;
        if result.status != JobStatus::Canceled {
            return finished(&result);
        }
        if stop.kind == StopKind::RetainedCheckpoint {
            pointer = self.retained(first);
        }
        self.resume(stop.then_parallelism, pointer).await
    }

    /// Cancels a job, however often it must be asked for: a JobManager that is lost takes the wish
    /// along.
    async fn cancel(&mut self, job: JobId) -> Result<JobResult, String> {
        loop {
            self.world.note("client cancels");
            let cancelled = self.cluster.dispatcher().cancel_job(job).await;
            if let Err(error) = cancelled.filter_lost() {
                return Err(format!("cannot cancel: {error}"));
            }
            let waited = tokio::time::timeout(Duration::from_secs(2), self.cluster.result(job));
            if let Ok(result) = waited.await {
                return self.ended(result.map_err(|error| error.to_string())?);
            }
        }
    }

    /// Goes on from a snapshot; a store that fails meanwhile can make that fail, too.
    async fn resume(&mut self, parallelism: u32, pointer: Option<String>) -> Result<(), String> {
        let never = CheckpointRetentionPolicy::NeverRetainAfterTermination;
        for number in 2u64.. {
            let job = self.submit(number, parallelism, pointer.clone(), never).await?;
            let result = self.result(job).await?;
            let failure = result.failure.as_ref().map_or("", |failure| failure.message.as_str());
            let excused = result.status == JobStatus::Failed && failure.contains("injected:");
            if !excused {
                return finished(&result);
            }
            self.world.note(format_args!("job {number} could not start: {failure}"));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// A savepoint, however often it must be asked for; `None` if the job has ended before.
    async fn savepoint(&mut self, job: JobId) -> Result<Option<String>, String> {
        loop {
            self.world.note("client asks for a savepoint");
            let dispatcher = self.cluster.dispatcher();
            match dispatcher
                .trigger_savepoint(job, SAVEPOINTS.to_owned(), SavepointFormat::Canonical)
                .await
            {
                Ok(pointer) => {
                    self.world.note(format_args!("savepoint {pointer}"));
                    self.keep(&pointer);
                    return Ok(Some(pointer));
                }
                Err(error) => {
                    if let RpcError::Unreachable { .. } = error {
                        self.lose_savepoint();
                    }
                    self.world.note(format_args!("no savepoint: {error}"));
                }
            }
            if self.has_ended(job).await? {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops a job with a savepoint, however often that must be asked for; `None` if it has come to
    /// its end.
    async fn suspend(&mut self, job: JobId) -> Result<Option<String>, String> {
        let mut lost = false;
        loop {
            self.world.note("client stops the job with a savepoint");
            let (directory, kind) = (SAVEPOINTS.to_owned(), TerminateKind::Suspend);
            let format = SavepointFormat::Canonical;
            let dispatcher = self.cluster.dispatcher();
            match dispatcher.stop_with_savepoint(job, directory, format, kind).await {
                Ok(pointer) => {
                    self.world.note(format_args!("stopped with savepoint {pointer}"));
                    self.keep(&pointer);
                    let result = self.result(job).await?;
                    return finished(&result).map(|()| Some(pointer));
                }
                Err(error) => {
                    if let RpcError::Unreachable { .. } = error {
                        self.lose_savepoint();
                        lost = true;
                    }
                    let error = error.to_string();
                    self.world.note(format_args!("not stopped: {error}"));
                    // A savepoint that the job goes on from is told of.
                    let taken = error.split_once("the savepoint ").map(|(_, rest)| rest);
                    let pointer = taken.and_then(|rest| rest.split_once(" was taken"));
                    pointer.into_iter().for_each(|(pointer, _)| self.keep(pointer));
                }
            }
            if self.has_ended(job).await? {
                // Whether by itself or by a savepoint whose answer was lost: what came behind the
                // last one is taken back and done again.
                let last = self.store.last_metadata_beneath(SAVEPOINTS).filter(|_| lost);
                let result = self.result(job).await?;
                return finished(&result).map(|()| last);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn has_ended(&self, job: JobId) -> Result<bool, String> {
        match self.cluster.dispatcher().job_status(job).await {
            Ok(status) => Ok(status.is_globally_terminal()),
            Err(RpcError::Unreachable { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The answer to a request for a savepoint was lost with a JobMaster: nobody knows what there is
    /// of it.
    fn lose_savepoint(&self) {
        self.store.excuse_directory(SAVEPOINTS.trim_start_matches(SCHEME_AND_HOST));
    }

    /// A savepoint is the client's: it may be there at the end.
    fn keep(&mut self, pointer: &str) {
        let path = pointer.trim_start_matches(SCHEME_AND_HOST);
        self.kept.insert(Path::from(format!("{path}/_metadata")));
    }

    /// The last checkpoint that a job has left behind.
    fn retained(&mut self, job: JobId) -> Option<String> {
        let directory = CHECKPOINTS.trim_start_matches(SCHEME_AND_HOST);
        let left = self.store.metadata_beneath(&format!("{directory}/{job}"));
        let number = |path: &Path| {
            let parts: Vec<_> = path.parts().collect();
            let name = parts.iter().rev().nth(1)?;
            name.as_ref().strip_prefix("chk-")?.parse::<u64>().ok()
        };
        // One whose metadata could not be written for certain, or not be deleted, is none.
        let left: Vec<Path> =
            left.into_iter().filter(|path| !self.store.is_excused(path)).collect();
        let last = left.iter().max_by_key(|path| number(path))?;
        self.kept.extend(left.iter().filter(|path| !self.store.is_uncertain(path)).cloned());
        let directory = last.as_ref().trim_end_matches("/_metadata").to_owned();
        Some(format!("{SCHEME_AND_HOST}/{directory}"))
    }

    async fn submit(
        &self,
        number: u64,
        parallelism: u32,
        from: Option<String>,
        retention: CheckpointRetentionPolicy,
    ) -> Result<JobId, String> {
        let scenario = self.scenario;
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism).set_max_parallelism(scenario.max_parallelism);
        env.set_auto_watermark_interval_ms(50);
        env.set_restart_strategy(scenario.restarts.clone());
        if let Some(adaptive) = &scenario.adaptive {
            env.set_adaptive(adaptive.clone());
        }
        env.set_checkpoint_config(CheckpointConfig { retention, ..scenario.checkpoints.clone() });
        if scenario.directory {
            env.set_checkpoint_directory(CHECKPOINTS);
        }
        let plan = Plan {
            env: env.clone(),
            world: self.world.clone(),
            inputs: self.inputs.clone(),
            longest_pause_ms: scenario.longest_pause_ms,
            extra_stage: scenario.extra_stage,
        };
        scenario.program.build(&plan, &self.external, scenario.broken_sink);
        let job = JobId::from_bytes_hash(format!("{}:{number}", scenario.seed).as_bytes());
        let (mut graph, program) =
            env.job_graph("simulated", job).map_err(|error| error.to_string())?;
        graph.config.restore_from = from.map(|pointer| RestoreFrom {
            pointer,
            allow_non_restored_state: false,
            claim_mode: hurtig_types::RecoveryClaimMode::NoClaim,
        });
        self.world.note(format_args!("client submits job {number}"));
        let submitted = self.cluster.submit(graph, program.into()).await;
        submitted.map_err(|error| format!("cannot submit job {number}: {error}"))?;
        Ok(job)
    }

    async fn result(&mut self, job: JobId) -> Result<JobResult, String> {
        let result = self.cluster.result(job).await.map_err(|error| error.to_string())?;
        self.ended(result)
    }

    fn ended(&mut self, result: JobResult) -> Result<JobResult, String> {
        self.world.note(format_args!("job ended: {:?}", result.status));
        self.restarts += result.restarts;
        Ok(result)
    }

    /// The state of a cluster that makes no progress.
    async fn describe(&self) -> String {
        let Ok(jobs) = self.cluster.dispatcher().list_jobs().await else {
            return "the Dispatcher does not answer".to_owned();
        };
        let mut text = String::new();
        for job in jobs.iter().filter(|job| !job.status.is_globally_terminal()) {
            if let Ok(details) = self.cluster.dispatcher().job_details(job.job_id).await {
                text.push_str(&format!("{details:#?}\n"));
            }
        }
        let executors = self.cluster.dispatcher().task_executors().await;
        format!("{text}{executors:#?}")
    }

    async fn check(&mut self, alive: &Mutex<Vec<usize>>) {
        tokio::time::sleep(Duration::from_millis(SETTLE_MS)).await;
        let model = self.scenario.program.model(&self.inputs);
        let output = check::same_output(&self.external.committed(), &model);
        if let (Err(problem), false) = (output, self.gave_up) {
            self.world.violation(problem);
        }
        for problem in check::files(&self.store, &self.kept).await {
            self.world.violation(problem);
        }
        let alive = alive.lock().clone();
        for problem in check::resources(&self.cluster, &alive).await {
            self.world.violation(problem);
        }
    }
}

/// A call that was lost with its leader is no problem of the client's.
trait FilterLost {
    fn filter_lost(self) -> Self;
}

impl FilterLost for RpcResult<()> {
    fn filter_lost(self) -> Self {
        match self {
            Err(RpcError::Unreachable { .. }) => Ok(()),
            other => other,
        }
    }
}

fn finished(result: &JobResult) -> Result<(), String> {
    match (result.status, &result.failure) {
        (JobStatus::Finished, _) => Ok(()),
        (status, failure) => {
            let reason = failure.as_ref().map_or("no reason", |failure| failure.message.as_str());
            Err(format!("the job has ended as {status:?}: {reason}"))
        }
    }
}
