//! The embedded cluster: all roles in one process, over in-memory gateways.
//!
//! The roles are those of the distributed cluster; only the gateways between them differ. With more
//! than one TaskExecutor the data plane between them is real TCP on the loopback interface.

use std::{
    io,
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
use hurtig_metrics::MetricRegistry;
use hurtig_network::{
    MemoryTransport, NetworkConfig, NetworkEnvironment, NetworkError, NetworkUsage, TcpTransport,
    Transport,
};
use hurtig_operator_api::{Program, ProgramStore};
use hurtig_resource_manager::{ResourceManager, ResourceManagerHandle};
use hurtig_storage::{Stores, checkpoints::memory_stores};
use hurtig_task_executor::{
    TaskExecutor, TaskExecutorConfig, TaskExecutorHandle, TaskExecutorServices,
};
use hurtig_types::{JobId, ResourceId};

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
}

/// A running cluster. Dropping it ends all roles and tasks.
pub struct MiniCluster {
    dispatcher: DispatcherHandle,
    executors: Vec<(TaskExecutorHandle, NetworkEnvironment)>,
    programs: ProgramStore,
    metrics: MetricRegistry,
    runtimes: Runtimes,
    _owned: Option<OwnedRuntimes>,
}

struct Launcher {
    programs: ProgramStore,
    resource_manager: ResourceManagerHandle,
    runtimes: Runtimes,
    clock: Clock,
    seed: u64,
    launched: AtomicU64,
    heartbeat_interval: Duration,
    stores: Arc<Stores>,
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
            resource_manager: Arc::new(self.resource_manager.clone()),
            runtimes: self.runtimes.clone(),
            clock: self.clock,
            token: FencingToken(number),
            seed: self.seed.wrapping_add(number),
            heartbeat_interval: self.heartbeat_interval,
            stores: self.stores.clone(),
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
        let starting = Self::start_on(config, runtimes, Clock::system(), transport);
        let mut cluster = control.block_on(starting)?;
        cluster._owned = Some(owned);
        Ok(cluster)
    }

    /// Starts a cluster on given executors, clock and transport. For simulation and tests.
    pub async fn start_on(
        config: MiniClusterConfig,
        runtimes: Runtimes,
        clock: Clock,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, MiniClusterError> {
        let programs = ProgramStore::default();
        let metrics = MetricRegistry::default();
        let manager = ResourceManager::start(
            &runtimes,
            clock,
            config.seed,
            config.heartbeat_interval,
            config.heartbeat_timeout,
        );
        let stores = Arc::new(memory_stores());
        let mut executors = Vec::new();
        for number in 0..config.task_executors {
            let resource = ResourceId((u128::from(config.seed) << 64) | u128::from(number));
            let network = NetworkEnvironment::start(
                resource,
                config.network.clone(),
                runtimes.clone(),
                transport.clone(),
            );
            let network = network.await.map_err(MiniClusterError::Network)?;
            let handle = TaskExecutor::start(
                TaskExecutorConfig {
                    slots: config.slots_per_task_executor,
                    slot_timeout: Duration::from_secs(10),
                    heartbeat_interval: config.heartbeat_interval,
                },
                Arc::new(manager.clone()),
                TaskExecutorServices {
                    network: network.clone(),
                    programs: programs.clone(),
                    metrics: metrics.clone(),
                    stores: stores.clone(),
                },
                &runtimes,
                clock,
            );
            executors.push((handle, network));
        }
        let launcher = Launcher {
            programs: programs.clone(),
            resource_manager: manager.clone(),
            runtimes: runtimes.clone(),
            clock,
            seed: config.seed,
            launched: AtomicU64::new(0),
            heartbeat_interval: config.heartbeat_interval,
            stores,
        };
        let manager: Arc<dyn ResourceManagerGateway> = Arc::new(manager);
        let dispatcher = Dispatcher::start(Arc::new(launcher), manager, &runtimes);
        Ok(Self { dispatcher, executors, programs, metrics, runtimes, _owned: None })
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
        &self.runtimes
    }

    /// All metrics of the process.
    pub fn metrics(&self) -> &MetricRegistry {
        &self.metrics
    }

    /// Memory in use by each TaskExecutor's network stack.
    pub fn network_usage(&self) -> Vec<NetworkUsage> {
        self.executors.iter().map(|(_, network)| network.usage()).collect()
    }

    /// Ends one TaskExecutor as if its process had gone. For tests of failover.
    pub async fn stop_task_executor(&self, index: usize) {
        if let Some((executor, _)) = self.executors.get(index) {
            executor.shutdown().await;
        }
    }
}
