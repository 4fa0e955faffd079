//! The embedded cluster: all roles in one process, over in-memory gateways.
//!
//! The roles are those of the distributed cluster; only the gateways between them differ. With more
//! than one TaskExecutor the data plane between them is real TCP on the loopback interface.
//!
//! What a cluster stands on (executors, clock, transport, stores, the way to the ResourceManager)
//! is its [`ClusterSurroundings`]: a simulation brings its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    DispatcherGateway, FencingToken, JobMasterGateway, JobMasterLauncher, JobResult,
    ResourceManagerGateway, RpcError, RpcResult,
};
use hurtig_dispatcher::{Dispatcher, DispatcherHandle};
use hurtig_env::{Clock, OwnedRuntimes, Runtimes};
use hurtig_graph::JobGraph;
use hurtig_job_master::{JobMaster, JobMasterServices};
use hurtig_metrics::{MetricGroup, MetricRegistry};
pub use hurtig_metrics_reporters::MetricsSettings;
use hurtig_metrics_reporters::{MetricsService, ReporterError, process};
use hurtig_network::{
    MemoryTransport, NetworkConfig, NetworkEnvironment, NetworkError, NetworkUsage, TcpTransport,
    Transport,
};
use hurtig_operator_api::{Program, ProgramStore};
pub use hurtig_resource_manager::SlotManagerConfig;
use hurtig_resource_manager::{ResourceManager, ResourceManagerConfig, StandaloneDriver};
pub use hurtig_storage::LocalStateOptions;
use hurtig_storage::{LocalStateError, LocalStateStores, Stores, checkpoints::memory_stores};
use hurtig_task_executor::{
    TaskExecutor, TaskExecutorConfig, TaskExecutorHandle, TaskExecutorServices,
};
use hurtig_types::{JobId, ResourceId};
use parking_lot::Mutex;

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
}

/// A running cluster. Dropping it ends all roles and tasks.
pub struct MiniCluster {
    dispatcher: DispatcherHandle,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    executors: Mutex<Vec<(TaskExecutorHandle, NetworkEnvironment)>>,
    config: MiniClusterConfig,
    programs: ProgramStore,
    metrics: MetricRegistry,
    reporters: MetricsService,
    surroundings: ClusterSurroundings,
    _owned: Option<OwnedRuntimes>,
}

struct Launcher {
    programs: ProgramStore,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    surroundings: ClusterSurroundings,
    seed: u64,
    launched: AtomicU64,
    heartbeat_interval: Duration,
    metrics: MetricGroup,
}

#[async_trait]
impl JobMasterLauncher for Launcher {
    async fn launch(&self, graph: JobGraph) -> RpcResult<Arc<dyn JobMasterGateway>> {
        let job = graph.job_id;
        let program = self
            .programs
            .get(job)
            .ok_or_else(|| RpcError::NotFound(format!("the code of job {job} is not known")))?;
        let number = self.launched.fetch_add(1, Relaxed) + 1;
        let services = JobMasterServices {
            program,
            resource_manager: self
                .surroundings
                .links
                .resource_manager(Caller::JobMaster(job), self.resource_manager.clone()),
            runtimes: self.surroundings.runtimes.clone(),
            clock: self.surroundings.clock,
            token: FencingToken(number),
            seed: self.seed.wrapping_add(number),
            heartbeat_interval: self.heartbeat_interval,
            stores: self.surroundings.stores.clone(),
            metrics: self.metrics.clone(),
        };
        Ok(Arc::new(JobMaster::start(graph, services)))
    }

    async fn retire(&self, job: JobId) {
        self.programs.remove(job);
    }
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
        let surroundings = ClusterSurroundings {
            runtimes,
            clock: Clock::system(),
            transport,
            stores: Arc::new(memory_stores()),
            links: Arc::new(DirectLinks),
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
        let programs = ProgramStore::default();
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
        let resource_manager = ResourceManager::start_with(
            ResourceManagerConfig {
                seed: config.seed,
                heartbeat_interval: config.heartbeat_interval,
                heartbeat_timeout: config.heartbeat_timeout,
                slots: config.slots.clone(),
            },
            Arc::new(StandaloneDriver),
            &surroundings.runtimes,
            surroundings.clock,
        );
        resource_manager.register_metrics(&job_manager);
        let resource_manager: Arc<dyn ResourceManagerGateway> = Arc::new(resource_manager);
        let launcher = Launcher {
            programs: programs.clone(),
            resource_manager: resource_manager.clone(),
            surroundings: surroundings.clone(),
            seed: config.seed,
            launched: AtomicU64::new(0),
            heartbeat_interval: config.heartbeat_interval,
            metrics: job_manager.clone(),
        };
        let manager =
            surroundings.links.resource_manager(Caller::Dispatcher, resource_manager.clone());
        let dispatcher = Dispatcher::start(Arc::new(launcher), manager, &surroundings.runtimes)
            .with_metrics(job_manager);
        let cluster = Self {
            dispatcher,
            resource_manager,
            executors: Mutex::default(),
            programs,
            metrics,
            reporters,
            surroundings,
            config,
            _owned: None,
        };
        for _ in 0..cluster.config.task_executors {
            cluster.start_task_executor().await?;
        }
        Ok(cluster)
    }

    /// Adds a TaskExecutor, which may take the place of one that has gone; returns its index.
    pub async fn start_task_executor(&self) -> Result<usize, MiniClusterError> {
        let number = self.executors.lock().len();
        let resource = ResourceId((u128::from(self.config.seed) << 64) | number as u128);
        let surroundings = &self.surroundings;
        let network = NetworkEnvironment::start(
            resource,
            self.config.network.clone(),
            surroundings.runtimes.clone(),
            surroundings.transport.clone(),
        );
        let network = network.await.map_err(MiniClusterError::Network)?;
        let local_state = self.config.local_state.as_ref();
        let local_state = local_state.map(|options| LocalStateStores::open(options, resource));
        let local_state = local_state.transpose().map_err(MiniClusterError::LocalState)?;
        let caller = Caller::TaskExecutor(resource);
        let handle = TaskExecutor::start(
            TaskExecutorConfig {
                slots: self.config.slots_per_task_executor,
                slot_timeout: Duration::from_secs(10),
                heartbeat_interval: self.config.heartbeat_interval,
                heartbeat_timeout: self.config.heartbeat_timeout,
            },
            surroundings.links.resource_manager(caller, self.resource_manager.clone()),
            TaskExecutorServices {
                network: network.clone(),
                programs: self.programs.clone(),
                metrics: self.metrics.clone(),
                stores: surroundings.stores.clone(),
                local_state: local_state.map(Arc::new),
                cached_files: Arc::default(),
            },
            &surroundings.runtimes,
            surroundings.clock,
        );
        process::register(handle.metric_group());
        self.executors.lock().push((handle, network));
        Ok(number)
    }

    /// Submits a job with its code.
    pub async fn submit(&self, graph: JobGraph, program: Arc<Program>) -> RpcResult<()> {
        let job = graph.job_id;
        self.programs.insert(job, program);
        let submitted = self.dispatcher.submit_job(graph).await;
        if submitted.is_err() {
            self.programs.remove(job);
        }
        submitted
    }

    /// Waits for a job's end.
    pub async fn result(&self, job: JobId) -> RpcResult<JobResult> {
        self.dispatcher.job_result(job).await
    }

    /// The Dispatcher: everything else that a client may ask.
    pub fn dispatcher(&self) -> &DispatcherHandle {
        &self.dispatcher
    }

    /// The executors, for clients that run beside the cluster.
    pub fn runtimes(&self) -> &Runtimes {
        &self.surroundings.runtimes
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
        self.executors.lock().iter().map(|(_, network)| network.usage()).collect()
    }

    /// Ends one TaskExecutor as if its process had gone. For tests of failover.
    pub async fn stop_task_executor(&self, index: usize) {
        let executor = self.executors.lock().get(index).map(|(executor, _)| executor.clone());
        if let Some(executor) = executor {
            executor.shutdown().await;
        }
    }
}
