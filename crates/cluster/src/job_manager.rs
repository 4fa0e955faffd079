//! The JobManager's process.

use std::{net::SocketAddr, path::Path, sync::Arc};

use async_trait::async_trait;
use hurtig_blob::{BlobStore, BlobStoreOptions};
use hurtig_cluster_api::{
    BlobService, BlobSource, DispatcherGateway, FencingToken, HostParentGateway, LogSource,
    NOT_FENCED, ProgramRunner, ResourceManagerGateway,
};
use hurtig_config::{
    Configuration,
    catalogue::cluster::{
        BLOB_MAX_SIZE, BLOB_STORAGE_DIRECTORY, BLOB_STORAGE_MAX_SIZE, HEARTBEAT_INTERVAL,
        HEARTBEAT_TIMEOUT,
    },
};
use hurtig_dispatcher::{Dispatcher, DispatcherServices};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_high_availability::{
    ContenderId, ElectionOptions, HighAvailabilityOptions, HighAvailabilityServices, RetryOptions,
    options::BackendOptions, store::memory::MemoryBackend,
};
use hurtig_metrics::MetricRegistry;
use hurtig_metrics_reporters::{MetricsService, MetricsSettings, process};
use hurtig_process_host::{ProcessSupervisor, random_bits};
use hurtig_resource_manager::{
    ResourceManager, ResourceManagerConfig, SlotManagerConfig, StandaloneDriver,
};
use hurtig_rest::{RestServer, RestServerConfig, RestServices, TaskManagerLogs};
use hurtig_rpc::{
    BLOB_SERVER, DISPATCHER, Export, HOST_PARENT, LOG_SERVER, RESOURCE_MANAGER, RpcConfig,
    RpcServer, RpcService,
};
use hurtig_storage::{Stores, checkpoints::memory_stores};
use hurtig_types::ResourceId;

use crate::{
    directories::WorkingDirectory,
    host_calls::HostCalls,
    host_start::HostStarter,
    job_masters::{JobMasterOptions, ProcessJobMasters},
    logs::LogDirectory,
    processes::{HOST_LAUNCHER, ProcessError},
    programs::ClusterPrograms,
};

/// Uploads that may be under way at once.
const UPLOADS: usize = 16;

/// The token of the JobManager, which leads from the start.
pub(crate) const LEADER: FencingToken = FencingToken(1);
/// A JobMaster waits for this part of the heartbeat's time-out for tasks of an earlier one.
const TAKEOVER_PART: u32 = 5;

/// The services of a JobManager without high availability: in memory, for as long as it lasts.
fn alone(runtimes: &Runtimes, clock: Clock) -> HighAvailabilityServices {
    let options = HighAvailabilityOptions {
        backend: BackendOptions::Memory,
        cluster_id: "standalone".to_owned(),
        election: ElectionOptions::default(),
        retry: RetryOptions::default(),
        // The Dispatcher remembers the last ones; more would be memory for ever.
        delete_results: true,
    };
    let backend = Arc::new(MemoryBackend::default());
    HighAvailabilityServices::over(backend, ContenderId(1), &options, clock, &runtimes.control)
}

/// A running JobManager. Dropping it ends the hosts of jobs and the server, and removes the working
/// directory.
pub struct JobManagerProcess {
    dispatcher: Arc<dyn DispatcherGateway>,
    resource_manager: Arc<dyn ResourceManagerGateway>,
    programs: Arc<dyn ProgramRunner>,
    blobs: BlobStore,
    logs: LogDirectory,
    endpoint: String,
    rest: RestServer,
    shut_down: Signal,
    _reporters: MetricsService,
    _exports: Vec<Export>,
    _server: RpcServer,
    _directory: WorkingDirectory,
}

impl JobManagerProcess {
    /// Starts the roles. `launcher` is the program that hosts are started by, the one that
    /// understands [`HOST_LAUNCHER`].
    ///
    /// # Errors
    /// If the configuration is wrong, or a port or directory cannot be had.
    pub async fn start(
        configuration: &Configuration,
        launcher: &Path,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Result<Self, ProcessError> {
        let random = || random_bits().map_err(ProcessError::Random);
        let resource = ResourceId(random()?);
        let directory = WorkingDirectory::of_job_manager(configuration, resource)?;
        let directory = directory.map_err(ProcessError::Directory)?;
        let config = RpcConfig::job_manager(configuration, random()?)?;
        let (bind_host, host_name) = (config.bind_host.clone(), config.host.clone());
        let server = RpcServer::start(config, runtimes, clock).await?;
        let service = server.service().clone();

        let blobs = BlobStoreOptions {
            directory: match configuration.get(&BLOB_STORAGE_DIRECTORY)? {
                Some(directory) => directory.into(),
                None => directory.path().join("blobs"),
            },
            max_blob_bytes: configuration.get(&BLOB_MAX_SIZE)?.bytes(),
            max_total_bytes: configuration.get(&BLOB_STORAGE_MAX_SIZE)?.bytes(),
            max_uploads: UPLOADS,
        };
        let blobs = BlobStore::open(blobs, move || clock.now_ms());
        let blobs = blobs.map_err(ProcessError::Directory)?;

        let heartbeat_interval = configuration.get(&HEARTBEAT_INTERVAL)?;
        let heartbeat_timeout = configuration.get(&HEARTBEAT_TIMEOUT)?;
        let seed = random()? as u64;
        let metrics = MetricsSettings::from_configuration(configuration)?;
        let registry = MetricRegistry::new(metrics.options, move || clock.monotonic());
        let reporters = MetricsService::start(
            &registry,
            Arc::new(registry.clone()),
            &metrics.reporters,
            &runtimes.control,
            Arc::new(move || clock.now_ms() / 1000),
        );
        let reporters = reporters.await?;
        let group = registry.job_manager(host_name.as_deref().unwrap_or("localhost"));
        process::register(&group);
        let resource_manager = ResourceManager::start_with(
            ResourceManagerConfig {
                seed,
                heartbeat_interval,
                heartbeat_timeout,
                slots: SlotManagerConfig::from_configuration(configuration)?,
            },
            Arc::new(StandaloneDriver),
            runtimes,
            clock,
        );
        resource_manager.register_metrics(&group);
        let resource_manager: Arc<dyn ResourceManagerGateway> = Arc::new(resource_manager);
        let mut exports = Vec::new();
        let exported = service.export_as(RESOURCE_MANAGER, resource_manager.clone(), NOT_FENCED)?;
        let resource_manager_address = exported.address();
        exports.push(exported);

        let launch = (launcher.to_owned(), vec![HOST_LAUNCHER.into()]);
        let supervisor = ProcessSupervisor::start(Some(launch), runtimes.control.clone());
        let supervisor = supervisor.map_err(ProcessError::Threads)?;
        let calls = HostCalls::default();
        let parent: Arc<dyn HostParentGateway> = Arc::new(calls.clone());
        let parent = service.export_as(HOST_PARENT, parent, NOT_FENCED)?;
        let logs = directory.logs(configuration)?;
        let starter = HostStarter::new(
            supervisor,
            directory.path(),
            logs.clone(),
            calls,
            parent.address(),
            configuration,
        )?;
        exports.push(parent);
        let options = JobMasterOptions {
            resource_manager: resource_manager_address,
            bind_host,
            host_name,
            heartbeat_interval,
            takeover_timeout: heartbeat_timeout / TAKEOVER_PART,
            seed,
        };
        let launcher = ProcessJobMasters::new(
            starter.clone(),
            blobs.clone(),
            options,
            runtimes.clone(),
            service.clone(),
            Arc::new(memory_stores()),
        );
        let dispatcher = Dispatcher::start(
            DispatcherServices {
                launcher: Arc::new(launcher),
                high_availability: alone(runtimes, clock),
                token: LEADER,
                runtimes: runtimes.clone(),
                clock,
                heartbeat_interval,
                heartbeat_timeout,
            },
            resource_manager.clone(),
        );
        let dispatcher: Arc<dyn DispatcherGateway> = Arc::new(dispatcher.with_metrics(group));
        exports.push(service.export_as(DISPATCHER, dispatcher.clone(), NOT_FENCED)?);
        let source: Arc<dyn BlobSource> = Arc::new(blobs.clone());
        exports.push(service.export_as(BLOB_SERVER, source, NOT_FENCED)?);
        let logs = LogDirectory(logs);
        let log_source: Arc<dyn LogSource> = Arc::new(logs.clone());
        exports.push(service.export_as(LOG_SERVER, log_source, NOT_FENCED)?);
        let programs = ClusterPrograms::new(blobs.clone(), starter, dispatcher.clone());
        let programs: Arc<dyn ProgramRunner> = Arc::new(programs);
        let shut_down = Signal::new();
        let asked = shut_down.clone();
        let rest = RestServer::start(
            RestServerConfig::of(configuration)?,
            RestServices {
                dispatcher: dispatcher.clone(),
                blobs: Some(Arc::new(blobs.clone())),
                programs: Some(programs.clone()),
                logs: Some(Arc::new(logs.clone())),
                task_manager_logs: Some(Arc::new(RemoteLogs {
                    dispatcher: dispatcher.clone(),
                    service: service.clone(),
                })),
                stores: Arc::new(Stores::default()),
                configuration: configuration.clone(),
                shutdown: Some(Arc::new(move || asked.post())),
                clock,
                runtimes: runtimes.clone(),
                seed: random()? as u64,
            },
        );
        let rest = rest.await?;
        let endpoint = service.endpoint().to_owned();
        tracing::info!(endpoint, rest = %rest.address(), "the JobManager is there");
        Ok(Self {
            rest,
            shut_down,
            dispatcher,
            resource_manager,
            programs,
            blobs,
            logs,
            endpoint,
            _reporters: reporters,
            _exports: exports,
            _server: server,
            _directory: directory,
        })
    }

    /// `host:port` by which other processes reach it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where REST is answered.
    pub fn rest_address(&self) -> SocketAddr {
        self.rest.address()
    }

    /// Waits until a client asks the cluster to end.
    pub async fn asked_to_end(&self) {
        self.shut_down.wait().await;
    }

    /// The Dispatcher.
    pub fn dispatcher(&self) -> Arc<dyn DispatcherGateway> {
        self.dispatcher.clone()
    }

    /// The ResourceManager.
    pub fn resource_manager(&self) -> Arc<dyn ResourceManagerGateway> {
        self.resource_manager.clone()
    }

    /// Makes jobs of uploaded programs.
    pub fn programs(&self) -> Arc<dyn ProgramRunner> {
        self.programs.clone()
    }

    /// Uploaded programs.
    pub fn blobs(&self) -> Arc<dyn BlobService> {
        Arc::new(self.blobs.clone())
    }

    /// What the hosts that it has started have written.
    pub fn logs(&self) -> Arc<dyn LogSource> {
        Arc::new(self.logs.clone())
    }
}

/// The logs of TaskManagers, from their processes.
struct RemoteLogs {
    dispatcher: Arc<dyn DispatcherGateway>,
    service: RpcService,
}

#[async_trait]
impl TaskManagerLogs for RemoteLogs {
    async fn of_task_manager(&self, id: ResourceId) -> Option<Arc<dyn LogSource>> {
        let executors = self.dispatcher.task_executors().await.ok()?;
        let executor = executors.into_iter().find(|executor| executor.resource == id)?;
        self.service.connect_to(&executor.endpoint?, LOG_SERVER, NOT_FENCED).ok()
    }
}
