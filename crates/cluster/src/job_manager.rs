//! The JobManager's process: what it has whether it leads or not, and its part in the election.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hurtig_blob::{BlobArchive, BlobStore, BlobStoreOptions};
use hurtig_cluster_api::{
    BlobService, BlobSource, DispatcherGateway, FencingToken, HostParentGateway, LogSource,
    NOT_FENCED, ProgramRunner, ResourceManagerGateway,
};
use hurtig_config::{
    Configuration,
    catalogue::{
        cluster::{
            BLOB_MAX_SIZE, BLOB_STORAGE_DIRECTORY, BLOB_STORAGE_MAX_SIZE, HEARTBEAT_INTERVAL,
            HEARTBEAT_TIMEOUT,
        },
        rest::REST_ADDRESS,
    },
};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_filesystem::Stores;
use hurtig_high_availability::HighAvailabilityOptions;
use hurtig_metrics::MetricRegistry;
use hurtig_metrics_reporters::{MetricsService, MetricsSettings, process};
use hurtig_process_host::{ProcessSupervisor, random_bits};
use hurtig_resource_manager::{
    LocalProcessDriver, ResourceDriver, ResourceManagerConfig, StandaloneDriver,
};
use hurtig_rest::{RestServer, RestServerConfig};
use hurtig_rpc::{BLOB_SERVER, Export, HOST_PARENT, LOG_SERVER, RpcConfig, RpcServer};
use hurtig_types::ResourceId;
use tokio::sync::watch;

use crate::{
    blobs::JobBlobs,
    directories::WorkingDirectory,
    high_availability::{alone, open},
    host_calls::HostCalls,
    host_start::HostStarter,
    job_masters::JobMasterOptions,
    leadership::{Candidacy, Competitor, Leading},
    logs::LogDirectory,
    processes::{HOST_LAUNCHER, ProcessError},
    roles::{RoleContext, Roles, slots},
    workers::{TaskManagerStart, on_demand},
};

/// Uploads that may be under way at once.
const UPLOADS: usize = 16;

/// The token of a JobManager without high availability, which leads from the start.
pub(crate) const LEADER: FencingToken = FencingToken(1);
/// A JobMaster waits for this part of the heartbeat's time-out for tasks of an earlier one.
const TAKEOVER_PART: u32 = 5;

/// A running JobManager. Dropping it ends the hosts of jobs and the server, and removes the working
/// directory.
pub struct JobManagerProcess {
    /// None without high availability. Dropped first: it ends the roles.
    competitor: Option<Competitor>,
    leading: Arc<Leading>,
    context: Arc<RoleContext>,
    rest: Arc<RestServer>,
    /// TaskManagers that it has started itself.
    workers: Option<Arc<LocalProcessDriver>>,
    _reporters: MetricsService,
    _exports: Vec<Export>,
    _server: RpcServer,
    _directory: WorkingDirectory,
}

impl JobManagerProcess {
    /// Starts the process. Without high availability it leads from the start; otherwise it competes
    /// with others from now on. `launcher` is the program that hosts are started by, the one that
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
        let start = TaskManagerStart::Standalone;
        Self::start_with(configuration, launcher, start, runtimes, clock).await
    }

    /// The same, with a word on who starts TaskManagers.
    ///
    /// # Errors
    /// As [`JobManagerProcess::start`].
    pub async fn start_with(
        configuration: &Configuration,
        launcher: &Path,
        task_managers: TaskManagerStart,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Result<Self, ProcessError> {
        hurtig_filesystem::configure_process(configuration)?;
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
        let store = blobs.map_err(ProcessError::Directory)?;
        let high_availability = open(configuration, clock, &runtimes.control)?;
        let archive = match &high_availability {
            Some((options, _)) => archive(options)?,
            None => None,
        };

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
        let launch = (launcher.to_owned(), vec![HOST_LAUNCHER.into()]);
        let supervisor = ProcessSupervisor::start(Some(launch), runtimes.control.clone());
        let supervisor = supervisor.map_err(ProcessError::Threads)?;
        let calls = HostCalls::default();
        let parent: Arc<dyn HostParentGateway> = Arc::new(calls.clone());
        let parent = service.export_as(HOST_PARENT, parent, NOT_FENCED)?;
        let logs = directory.logs(configuration)?;
        let endpoint = service.endpoint().to_owned();
        let workers = (task_managers == TaskManagerStart::OnDemand)
            .then(|| on_demand(configuration, launcher, &endpoint, logs.clone(), runtimes));
        let starter = HostStarter::new(
            supervisor,
            directory.path(),
            logs.clone(),
            calls,
            parent.address(),
            configuration,
        )?;
        let source: Arc<dyn BlobSource> = Arc::new(store.clone());
        let logs = LogDirectory(logs);
        let log_source: Arc<dyn LogSource> = Arc::new(logs.clone());
        let exports = vec![
            parent,
            service.export_as(BLOB_SERVER, source, NOT_FENCED)?,
            service.export_as(LOG_SERVER, log_source, NOT_FENCED)?,
        ];
        let rest = RestServerConfig::of(configuration)?;
        let rest = Arc::new(RestServer::bind(rest, clock, &runtimes.control).await?);
        let rest_address = rest_address(configuration, rest.address(), host_name.as_deref())?;
        let context = Arc::new(RoleContext {
            configuration: configuration.clone(),
            service,
            blobs: JobBlobs { store, archive },
            starter,
            logs,
            job_masters: JobMasterOptions {
                bind_host,
                host_name,
                heartbeat_interval,
                takeover_timeout: heartbeat_timeout / TAKEOVER_PART,
                seed,
            },
            resource_manager: ResourceManagerConfig {
                seed,
                heartbeat_interval,
                heartbeat_timeout,
                slots: slots(configuration)?,
            },
            driver: match &workers {
                Some(workers) => workers.clone(),
                None => Arc::new(StandaloneDriver) as Arc<dyn ResourceDriver>,
            },
            metrics: group,
            shut_down: Signal::new(),
            ends_cluster: Arc::default(),
            runtimes: runtimes.clone(),
            clock,
        });
        let leading: Arc<Leading> = Arc::new(watch::channel(None).0);
        let (seed, context_of_roles) = (random()? as u64, context.clone());
        let competitor = match high_availability {
            Some((_, services)) => Some(Competitor::start(Candidacy {
                context: context_of_roles,
                services,
                rest: rest.clone(),
                rest_address,
                leading: leading.clone(),
                seed,
            })),
            None => {
                let services = alone(clock, &runtimes.control);
                let roles = Roles::start(&context, services, LEADER, false)?;
                rest.lead(roles.rest_services(&context, seed));
                leading.send_replace(Some(Arc::new(roles)));
                None
            }
        };
        tracing::info!(endpoint, rest = %rest.address(), "the JobManager is there");
        Ok(Self {
            competitor,
            leading,
            context,
            rest,
            workers,
            _reporters: reporters,
            _exports: exports,
            _server: server,
            _directory: directory,
        })
    }

    /// `host:port` by which other processes reach it.
    pub fn endpoint(&self) -> &str {
        self.context.service.endpoint()
    }

    /// Where REST is answered.
    pub fn rest_address(&self) -> SocketAddr {
        self.rest.address()
    }

    /// Waits until a client asks the cluster to end, here or, where it stands by, at the leader.
    pub async fn asked_to_end(&self) {
        self.context.shut_down.wait().await;
    }

    /// Ends in order. With high availability another JobManager can lead at once, and goes on with
    /// the jobs; but if a client has asked for the end of the cluster, nothing is kept of its jobs,
    /// and those that stand by end, too.
    pub async fn leave(self) {
        if let Some(competitor) = &self.competitor {
            competitor.leave(self.context.ends_cluster.load(Relaxed)).await;
            if self.context.ends_cluster.load(Relaxed) {
                self.context.blobs.retain(&BTreeSet::new()).await;
            }
        }
        if let Some(workers) = &self.workers {
            // First the ResourceManager, which would start others in their place.
            self.leading.send_replace(None);
            workers.stop_all().await;
        }
    }

    fn roles(&self) -> Option<Arc<Roles>> {
        self.leading.borrow().clone()
    }

    /// The Dispatcher, while this process leads.
    pub fn dispatcher(&self) -> Option<Arc<dyn DispatcherGateway>> {
        self.roles().map(|roles| roles.dispatcher.clone() as Arc<dyn DispatcherGateway>)
    }

    /// The ResourceManager, while this process leads.
    pub fn resource_manager(&self) -> Option<Arc<dyn ResourceManagerGateway>> {
        self.roles().map(|roles| roles.resource_manager.clone())
    }

    /// Makes jobs of uploaded programs, while this process leads.
    pub fn programs(&self) -> Option<Arc<dyn ProgramRunner>> {
        self.roles().map(|roles| roles.programs.clone())
    }

    /// Uploaded programs.
    pub fn blobs(&self) -> Arc<dyn BlobService> {
        Arc::new(self.context.blobs.store.clone())
    }

    /// What the hosts that it has started have written.
    pub fn logs(&self) -> Arc<dyn LogSource> {
        Arc::new(self.context.logs.clone())
    }
}

impl Drop for JobManagerProcess {
    fn drop(&mut self) {
        self.leading.send_replace(None);
    }
}

/// Where the blobs of jobs are kept for the next leader.
fn archive(options: &HighAvailabilityOptions) -> Result<Option<BlobArchive>, ProcessError> {
    let Some(storage) = options.storage() else { return Ok(None) };
    Ok(Some(BlobArchive::open(&Stores::default(), storage, &options.cluster_id)?))
}

/// Where clients on other hosts find the REST server: under `rest.address`, else where it listens,
/// else, if that is everywhere, under the JobManager's name.
fn rest_address(
    configuration: &Configuration,
    bound: SocketAddr,
    host_name: Option<&str>,
) -> Result<String, ProcessError> {
    let host = match configuration.get(&REST_ADDRESS)? {
        Some(host) => host,
        None if bound.ip().is_unspecified() => host_name.unwrap_or("localhost").to_owned(),
        None => bound.ip().to_string(),
    };
    let port = bound.port();
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}
