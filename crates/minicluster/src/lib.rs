//! The embedded cluster: all roles in one process, over in-memory gateways.
//!
//! The roles are those of the distributed cluster; only the gateways between them differ. With more
//! than one TaskExecutor the data plane between them is real TCP on the loopback interface.
//!
//! What a cluster stands on (executors, clock, transport, stores, the way to the ResourceManager)
//! is its [`ClusterSurroundings`]: a simulation brings its own.

mod job_manager;
mod launcher;
mod leading;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hurtig_cluster_api::{
    DispatcherGateway, FencingToken, JobResult, LeaderReceiver, ResourceManagerGateway, RpcResult,
    leader,
};
use hurtig_env::{Clock, OwnedRuntimes, Runtimes};
use hurtig_filesystem::object_store::ObjectStore;
use hurtig_graph::JobGraph;
use hurtig_high_availability::{
    ContenderId, HighAvailabilityError, HighAvailabilityOptions, HighAvailabilityServices,
    RetryOptions, options::BackendOptions, store::memory::MemoryBackend,
};
use hurtig_metrics::MetricRegistry;
pub use hurtig_metrics_reporters::MetricsSettings;
use hurtig_metrics_reporters::{MetricsService, ReporterError, process};
use hurtig_network::{
    MemoryTransport, NetworkConfig, NetworkEnvironment, NetworkError, NetworkUsage, TcpTransport,
    Transport,
};
use hurtig_operator_api::{Program, ProgramStore};
pub use hurtig_resource_manager::SlotManagerConfig;
pub use hurtig_storage::LocalStateOptions;
use hurtig_storage::{LocalStateError, LocalStateStores, Stores, checkpoints::memory_stores};
use hurtig_task_executor::{
    RegistrationConfig, TaskExecutor, TaskExecutorConfig, TaskExecutorHandle, TaskExecutorServices,
};
use hurtig_types::{JobId, ResourceId};
use parking_lot::Mutex;

use job_manager::{JobManager, JobManagerContext, Roles, resource_manager_of, retrieve};
pub use leading::LeadingDispatcher;

/// Settings of an embedded cluster.
#[derive(Clone, Debug)]
pub struct MiniClusterConfig {
    /// Number of TaskExecutors.
    pub task_executors: u32,
    /// Slots of each.
    pub slots_per_task_executor: u32,
    /// Threads that run tasks; `None` for one per core.
    pub compute_threads: Option<usize>,
    /// The network stack of each TaskExecutor.
    pub network: NetworkConfig,
    /// `heartbeat.interval`.
    pub heartbeat_interval: Duration,
    /// `heartbeat.timeout`.
    pub heartbeat_timeout: Duration,
    /// JobManagers that compete for leadership; without high availability there is one.
    pub job_managers: u32,
    /// `high-availability.*`: what survives a JobManager; `None` for none.
    pub high_availability: Option<HighAvailabilityOptions>,
    /// How slots are given to jobs.
    pub slots: SlotManagerConfig,
    /// Copies of state on the local disk, for local recovery; `None` for none.
    pub local_state: Option<LocalStateOptions>,
    /// `metrics.*`: scopes, latencies, reporters. There is one registry, and one of each reporter,
    /// for all roles.
    pub metrics: MetricsSettings,
    /// Makes ids of this cluster differ from those of another.
    pub seed: u64,
}

impl Default for MiniClusterConfig {
    fn default() -> Self {
        Self {
            task_executors: 1,
            slots_per_task_executor: 1,
            compute_threads: None,
            network: NetworkConfig::default(),
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_timeout: Duration::from_secs(50),
            job_managers: 1,
            high_availability: None,
            slots: SlotManagerConfig::default(),
            local_state: None,
            metrics: MetricsSettings::default(),
            seed: 1,
        }
    }
}

/// Why an embedded cluster cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MiniClusterError {
    /// No threads.
    #[error("cannot start the executors")]
    Runtimes(#[source] io::Error),
    /// No data plane.
    #[error("cannot start a TaskExecutor")]
    Network(#[source] NetworkError),
    /// No high availability.
    #[error("cannot start a JobManager")]
    HighAvailability(#[source] HighAvailabilityError),
    /// No socket for a reporter.
    #[error(transparent)]
    Reporter(ReporterError),
    /// No place for copies of state.
    #[error("cannot start a TaskExecutor")]
    LocalState(#[source] LocalStateError),
}

/// Who has a gateway to the ResourceManager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The Dispatcher.
    Dispatcher,
    /// The JobMaster of that job.
    JobMaster(JobId),
    /// A TaskExecutor.
    TaskExecutor(ResourceId),
}

/// The ways to the ResourceManager, which may be longer than a call. All other gateways pass
/// through its messages, so who stands here sees every message between roles.
pub trait Links: Send + Sync {
    /// The ResourceManager as `caller` sees it.
    fn resource_manager(
        &self,
        caller: Caller,
        gateway: Arc<dyn ResourceManagerGateway>,
    ) -> Arc<dyn ResourceManagerGateway>;
}

/// Calls that lead straight to the role.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectLinks;

impl Links for DirectLinks {
    fn resource_manager(
        &self,
        _: Caller,
        gateway: Arc<dyn ResourceManagerGateway>,
    ) -> Arc<dyn ResourceManagerGateway> {
        gateway
    }
}

/// What a cluster stands on.
#[derive(Clone)]
pub struct ClusterSurroundings {
    /// The executors.
    pub runtimes: Runtimes,
    /// The clock.
    pub clock: Clock,
    /// The data plane between TaskExecutors.
    pub transport: Arc<dyn Transport>,
    /// Where checkpoints are kept.
    pub stores: Arc<Stores>,
    /// The control plane.
    pub links: Arc<dyn Links>,
    /// What survives a JobManager; `None` for a cluster with one, without high availability.
    pub high_availability: Option<OpenServices>,
    /// The way to the disks with local state; `None` for the system's. Only used with
    /// [`MiniClusterConfig::local_state`].
    pub local_disk: Option<Arc<dyn ObjectStore>>,
}

/// Gives each process of a cluster its services of high availability.
pub type OpenServices = Arc<
    dyn Fn(ContenderId) -> Result<HighAvailabilityServices, HighAvailabilityError> + Send + Sync,
>;

/// A running cluster. Dropping it ends all roles and tasks.
pub struct MiniCluster {
    dispatcher: LeadingDispatcher,
    context: JobManagerContext,
    job_managers: Mutex<Vec<JobManager>>,
    /// By number; `None` while one is being started.
    executors: Mutex<Vec<Option<(TaskExecutorHandle, NetworkEnvironment)>>>,
    config: MiniClusterConfig,
    metrics: MetricRegistry,
    reporters: MetricsService,
    _owned: Option<OwnedRuntimes>,
}

impl MiniCluster {
    /// Starts a cluster with threads of its own.
    pub fn start(config: MiniClusterConfig) -> Result<Self, MiniClusterError> {
        let owned =
            OwnedRuntimes::start(config.compute_threads).map_err(MiniClusterError::Runtimes)?;
        let runtimes = owned.handles();
        let control = runtimes.control.clone();
        let transport: Arc<dyn Transport> = if config.task_executors > 1 {
            Arc::new(TcpTransport::loopback())
        } else {
            // Nobody to talk to: no socket is needed.
            Arc::new(MemoryTransport::default())
        };
        let stores = Arc::new(memory_stores());
        let high_availability = config.high_availability.clone();
        let surroundings = ClusterSurroundings {
            high_availability: high_availability.map(|o| open_services(o, &stores, &control)),
            runtimes,
            clock: Clock::system(),
            transport,
            stores,
            links: Arc::new(DirectLinks),
            local_disk: None,
        };
        let mut cluster = control.block_on(Self::start_on(config, surroundings))?;
        cluster._owned = Some(owned);
        Ok(cluster)
    }

    /// Starts a cluster on given surroundings. For simulation and tests.
    pub async fn start_on(
        config: MiniClusterConfig,
        surroundings: ClusterSurroundings,
    ) -> Result<Self, MiniClusterError> {
        let clock = surroundings.clock;
        let metrics =
            MetricRegistry::new(config.metrics.options.clone(), move || clock.monotonic());
        let reporters = MetricsService::start(
            &metrics,
            Arc::new(metrics.clone()),
            &config.metrics.reporters,
            &surroundings.runtimes.control,
            Arc::new(move || clock.now_ms() / 1000),
        );
        let reporters = reporters.await.map_err(MiniClusterError::Reporter)?;
        let job_manager = metrics.job_manager("localhost");
        process::register(&job_manager);
        let context = JobManagerContext {
            surroundings,
            programs: ProgramStore::default(),
            seed: config.seed,
            heartbeat_interval: config.heartbeat_interval,
            heartbeat_timeout: config.heartbeat_timeout,
            directory: Arc::default(),
            slots: config.slots.clone(),
            metrics: job_manager,
        };
        let leaders: LeaderReceiver<Roles> = match &context.surroundings.high_availability {
            Some(open) => {
                let services = open(contender(config.seed, u32::MAX as usize));
                let services = services.map_err(MiniClusterError::HighAvailability)?;
                retrieve(&context, &services)
            }
            None => {
                let token = FencingToken(1);
                let roles = Roles::start(&context, alone(&context.surroundings), token);
                leader::fixed(token, Arc::new(roles))
            }
        };
        let cluster = Self {
            dispatcher: LeadingDispatcher { leaders },
            context,
            job_managers: Mutex::default(),
            executors: Mutex::default(),
            metrics,
            reporters,
            config,
            _owned: None,
        };
        if cluster.context.surroundings.high_availability.is_some() {
            for _ in 0..cluster.config.job_managers {
                cluster.start_job_manager()?;
            }
        }
        for _ in 0..cluster.config.task_executors {
            cluster.start_task_executor().await?;
        }
        Ok(cluster)
    }

    /// Adds a TaskExecutor, which may take the place of one that has gone; returns its index.
    pub async fn start_task_executor(&self) -> Result<usize, MiniClusterError> {
        let number = {
            let mut executors = self.executors.lock();
            executors.push(None);
            executors.len() - 1
        };
        let resource = ResourceId((u128::from(self.config.seed) << 64) | number as u128);
        let surroundings = &self.context.surroundings;
        let network = NetworkEnvironment::start(
            resource,
            self.config.network.clone(),
            surroundings.runtimes.clone(),
            surroundings.transport.clone(),
        );
        let network = network.await.map_err(MiniClusterError::Network)?;
        let local_state = self.config.local_state.as_ref();
        let local_state = local_state.map(|options| match surroundings.local_disk.clone() {
            Some(disk) => LocalStateStores::open_on(disk, options, resource),
            None => LocalStateStores::open(options, resource),
        });
        let local_state = local_state.transpose().map_err(MiniClusterError::LocalState)?;
        let caller = Caller::TaskExecutor(resource);
        let handle = TaskExecutor::start(
            TaskExecutorConfig {
                slots: self.config.slots_per_task_executor,
                slot_timeout: Duration::from_secs(10),
                heartbeat_interval: self.config.heartbeat_interval,
                heartbeat_timeout: self.config.heartbeat_timeout,
                registration: RegistrationConfig::default(),
            },
            self.resource_manager(caller),
            TaskExecutorServices {
                network: network.clone(),
                programs: self.context.programs.clone(),
                metrics: self.metrics.clone(),
                stores: surroundings.stores.clone(),
                local_state: local_state.map(Arc::new),
                cached_files: Arc::default(),
            },
            &surroundings.runtimes,
            surroundings.clock,
        );
        process::register(handle.metric_group());
        self.executors.lock()[number] = Some((handle, network));
        Ok(number)
    }

    fn resource_manager(&self, caller: Caller) -> LeaderReceiver<dyn ResourceManagerGateway> {
        resource_manager_of(self.dispatcher.leaders.clone(), &self.context, caller)
    }

    /// Adds a JobManager that competes for leadership; returns its index. Without high availability
    /// there can be none besides the first.
    pub fn start_job_manager(&self) -> Result<usize, MiniClusterError> {
        let Some(open) = &self.context.surroundings.high_availability else { return Ok(0) };
        let mut job_managers = self.job_managers.lock();
        let number = job_managers.len();
        let services = open(contender(self.config.seed, number));
        let services = services.map_err(MiniClusterError::HighAvailability)?;
        job_managers.push(JobManager::start(number, self.context.clone(), services));
        Ok(number)
    }

    /// The JobManager that leads, as far as it knows. For tests of failover.
    pub fn leading_job_manager(&self) -> Option<usize> {
        self.job_managers.lock().iter().position(JobManager::leads)
    }

    /// Ends a JobManager with its JobMasters as if its process had gone. For tests of failover.
    pub fn kill_job_manager(&self, index: usize) {
        if let Some(job_manager) = self.job_managers.lock().get(index) {
            job_manager.kill();
        }
    }

    /// The jobs that have a JobMaster under the JobManager that leads.
    pub fn job_masters(&self) -> Vec<JobId> {
        let leader = self.dispatcher.leaders.borrow().clone();
        leader.map(|leader| leader.gateway.launcher.jobs()).unwrap_or_default()
    }

    /// Ends the JobMaster of a job as if its process had gone; false if there is none. For tests of
    /// failover.
    pub fn kill_job_master(&self, job: JobId) -> bool {
        let leader = self.dispatcher.leaders.borrow().clone();
        leader.is_some_and(|leader| leader.gateway.kill_job_master(job))
    }

    /// Submits a job with its code.
    pub async fn submit(&self, graph: JobGraph, program: Arc<Program>) -> RpcResult<()> {
        let job = graph.job_id;
        self.context.programs.insert(job, program);
        let submitted = self.dispatcher.submit_job(graph).await;
        if submitted.is_err() {
            self.context.programs.remove(job);
        }
        submitted
    }

    /// Waits for a job's end.
    pub async fn result(&self, job: JobId) -> RpcResult<JobResult> {
        self.dispatcher.job_result(job).await
    }

    /// The Dispatcher that leads: everything else that a client may ask.
    pub fn dispatcher(&self) -> &LeadingDispatcher {
        &self.dispatcher
    }

    /// The executors, for clients that run beside the cluster.
    pub fn runtimes(&self) -> &Runtimes {
        &self.context.surroundings.runtimes
    }

    /// All metrics of the process.
    pub fn metrics(&self) -> &MetricRegistry {
        &self.metrics
    }

    /// Where reporters that are asked (Prometheus) can be asked, by their names.
    pub fn reporter_addresses(&self) -> &[(String, SocketAddr)] {
        self.reporters.addresses()
    }

    /// Memory in use by each TaskExecutor's network stack.
    pub fn network_usage(&self) -> Vec<NetworkUsage> {
        let executors = self.executors.lock();
        let usage = |executor: &Option<(_, NetworkEnvironment)>| match executor {
            Some((_, network)) => network.usage(),
            None => NetworkUsage::default(),
        };
        executors.iter().map(usage).collect()
    }

    /// Ends one TaskExecutor as if its process had gone. For tests of failover.
    pub async fn stop_task_executor(&self, index: usize) {
        let executor = {
            let executors = self.executors.lock();
            executors.get(index).and_then(Option::as_ref).map(|(executor, _)| executor.clone())
        };
        if let Some(executor) = executor {
            executor.shutdown().await;
        }
    }
}

/// Identifies a contender among those of its cluster.
fn contender(seed: u64, number: usize) -> ContenderId {
    ContenderId((u128::from(seed) << 64) | number as u128)
}

/// Opens the services of a configuration for each contender.
fn open_services(
    options: HighAvailabilityOptions,
    stores: &Arc<Stores>,
    control: &tokio::runtime::Handle,
) -> OpenServices {
    let (stores, control, clock) = (stores.clone(), control.clone(), Clock::system());
    // Memory is shared by the contenders of this process, as other places are by processes.
    let memory = Arc::new(MemoryBackend::default());
    Arc::new(move |me| match options.backend {
        BackendOptions::Memory => {
            Ok(HighAvailabilityServices::over(memory.clone(), me, &options, clock, &control))
        }
        _ => HighAvailabilityServices::open(&options, me, &stores, clock, &control),
    })
}

/// The services of a cluster without high availability: in memory, for as long as it lasts.
fn alone(surroundings: &ClusterSurroundings) -> HighAvailabilityServices {
    let options = HighAvailabilityOptions {
        backend: BackendOptions::Memory,
        cluster_id: "embedded".to_owned(),
        election: hurtig_high_availability::ElectionOptions::default(),
        retry: RetryOptions::default(),
        // The Dispatcher remembers the last ones; more would be memory for ever.
        delete_results: true,
    };
    HighAvailabilityServices::over(
        Arc::new(MemoryBackend::default()),
        ContenderId(1),
        &options,
        surroundings.clock,
        &surroundings.runtimes.control,
    )
}

impl Drop for MiniCluster {
    fn drop(&mut self) {
        for job_manager in self.job_managers.lock().iter() {
            job_manager.kill();
        }
    }
}
