//! The TaskManager's process.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_blob::{BlobCache, BlobCacheOptions};
use hurtig_cluster_api::{
    HostParentGateway, LeaderReceiver, LogSource, NOT_FENCED, PeerAddress, ResourceManagerGateway,
    TaskExecutorGateway,
};
use hurtig_config::{
    Configuration,
    catalogue::{
        cluster::{
            BLOB_CACHE_MAX_SIZE, BLOB_FETCH_RETRIES, BLOB_MAX_SIZE, ERROR_REGISTRATION_DELAY,
            HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, INITIAL_REGISTRATION_TIMEOUT,
            REFUSED_REGISTRATION_DELAY,
        },
        job_manager,
        task_manager::{
            NUM_TASK_SLOTS, REGISTRATION_TIMEOUT, SLOT_TIMEOUT, TASK_MANAGER_RESOURCE_ID,
        },
    },
};
use hurtig_env::{Clock, Runtimes};
use hurtig_high_availability::LeaderScope;
use hurtig_metrics::{MetricRegistry, MetricsQuery, MetricsSnapshot};
use hurtig_metrics_reporters::{MetricsService, MetricsSettings, MetricsSource, process};
use hurtig_process_host::{ProcessSupervisor, random_bits};
use hurtig_rpc::{Export, HOST_PARENT, LOG_SERVER, RpcConfig, RpcServer};
use hurtig_task_executor::{
    RegistrationConfig, TaskExecutor, TaskExecutorConfig, TaskExecutorHandle,
};
use hurtig_types::ResourceId;

use crate::{
    directories::WorkingDirectory,
    high_availability::{self, JOB_MANAGER, LeadersBlobs},
    host_calls::HostCalls,
    host_start::HostStarter,
    logs::LogDirectory,
    processes::{HOST_LAUNCHER, ProcessError},
    task_hosts::{ProcessTaskHosts, TaskHostOptions},
};

/// How long the ResourceManager is waited for when this process leaves.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running TaskManager. Dropping it ends the hosts and the server, and removes the working
/// directory.
pub struct TaskManagerProcess {
    resource: ResourceId,
    executor: TaskExecutorHandle,
    leader: LeaderReceiver<dyn ResourceManagerGateway>,
    endpoint: String,
    supervisor: ProcessSupervisor,
    _reporters: MetricsService,
    _exports: Vec<Export>,
    _server: RpcServer,
    _directory: WorkingDirectory,
}

/// The JobManager's endpoint.
fn job_manager_endpoint(configuration: &Configuration) -> Result<String, ProcessError> {
    let host = configuration.get(&job_manager::ADDRESS)?;
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let port = configuration.get(&job_manager::RPC_PORT)?;
    // An address of IPv6 stands in brackets where a port follows.
    Ok(match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    })
}

impl TaskManagerProcess {
    /// Starts the TaskExecutor, which registers as soon as there is a ResourceManager. `launcher`
    /// is the program that hosts are started by, the one that understands [`HOST_LAUNCHER`].
    ///
    /// # Errors
    /// If the configuration is wrong, or a port or directory cannot be had.
    pub async fn start(
        configuration: &Configuration,
        launcher: &Path,
        runtimes: &Runtimes,
        clock: Clock,
    ) -> Result<Self, ProcessError> {
        hurtig_filesystem::configure_process(configuration)?;
        let random = || random_bits().map_err(ProcessError::Random);
        let resource = match configuration.get(&TASK_MANAGER_RESOURCE_ID)? {
            // A name of the user's: one process of that name at a time.
            // One that a JobManager has started is told the very id.
            Some(name) => {
                name.parse().unwrap_or_else(|_| ResourceId::from_bytes_hash(name.as_bytes()))
            }
            None => ResourceId(random()?),
        };
        let directory = WorkingDirectory::of_task_manager(configuration, resource)?;
        let directory = directory.map_err(ProcessError::Directory)?;
        let config = RpcConfig::task_manager(configuration, random()?)?;
        let (bind_host, host_name) = (config.bind_host.clone(), config.host.clone());
        let server = RpcServer::start(config, runtimes, clock).await?;
        let service = server.service().clone();
        let found = match high_availability::open(configuration, clock, &runtimes.control)? {
            Some((_, services)) => {
                services.leader_retrieval(LeaderScope::Cluster, JOB_MANAGER).watch()
            }
            // The leader is fixed from the start; whoever is found there is the only one.
            None => high_availability::fixed(NOT_FENCED, &job_manager_endpoint(configuration)?),
        };
        let leader =
            high_availability::resource_manager(found.clone(), service.clone(), &runtimes.control);
        let cache = BlobCache::open(BlobCacheOptions {
            directory: directory.path().join("blobs"),
            max_bytes: configuration.get(&BLOB_CACHE_MAX_SIZE)?.bytes(),
            max_blob_bytes: configuration.get(&BLOB_MAX_SIZE)?.bytes(),
            retries: configuration.get(&BLOB_FETCH_RETRIES)?,
        });
        let cache = cache.map_err(ProcessError::Directory)?;

        let launch = (launcher.to_owned(), vec![HOST_LAUNCHER.into()]);
        let supervisor = ProcessSupervisor::start(Some(launch), runtimes.control.clone());
        let supervisor = supervisor.map_err(ProcessError::Threads)?;
        let calls = HostCalls::default();
        let parent: Arc<dyn HostParentGateway> = Arc::new(calls.clone());
        let parent = service.export_as(HOST_PARENT, parent, NOT_FENCED)?;
        let logs = directory.logs(configuration)?;
        let starter = HostStarter::new(
            supervisor.clone(),
            directory.path(),
            logs.clone(),
            calls,
            parent.address(),
            configuration,
        )?;
        let log_source: Arc<dyn LogSource> = Arc::new(LogDirectory(logs));
        let exports = vec![parent, service.export_as(LOG_SERVER, log_source, NOT_FENCED)?];

        let heartbeat_interval = configuration.get(&HEARTBEAT_INTERVAL)?;
        let endpoint = service.endpoint().to_owned();
        let hosts = ProcessTaskHosts {
            starter,
            cache,
            blobs: Arc::new(LeadersBlobs { found, service: service.clone() }),
            options: Arc::new(TaskHostOptions {
                resource,
                bind_host,
                host_name,
                readings: heartbeat_interval,
            }),
            runtimes: runtimes.clone(),
            ready: Default::default(),
        };
        let metrics = MetricsSettings::from_configuration(configuration)?;
        let registry = MetricRegistry::new(metrics.options, move || clock.monotonic());
        let host = endpoint.rsplit_once(':').map_or("localhost", |(host, _)| host);
        let group = registry.task_manager(host, &resource.to_string());
        process::register(&group);
        let executor = TaskExecutor::start_with(
            TaskExecutorConfig {
                slots: configuration.get(&NUM_TASK_SLOTS)?.get(),
                slot_timeout: configuration.get(&SLOT_TIMEOUT)?,
                heartbeat_interval,
                heartbeat_timeout: configuration.get(&HEARTBEAT_TIMEOUT)?,
                registration: RegistrationConfig {
                    first_pause: configuration.get(&INITIAL_REGISTRATION_TIMEOUT)?,
                    longest_pause: configuration.get(&ERROR_REGISTRATION_DELAY)?,
                    refused_pause: configuration.get(&REFUSED_REGISTRATION_DELAY)?,
                    timeout: Some(configuration.get(&REGISTRATION_TIMEOUT)?),
                },
            },
            leader.clone(),
            // Hosts have data planes of their own.
            PeerAddress { resource, address: endpoint.clone() },
            group,
            runtimes,
            clock,
            |_| Arc::new(hosts),
        );
        let reporters = MetricsService::start(
            &registry,
            Arc::new(OfExecutor(executor.clone())),
            &metrics.reporters,
            &runtimes.control,
            Arc::new(move || clock.now_ms() / 1000),
        );
        let reporters = reporters.await?;
        tracing::info!(%resource, endpoint, "the TaskManager is there");
        Ok(Self {
            resource,
            executor,
            leader,
            endpoint,
            supervisor,
            _reporters: reporters,
            _exports: exports,
            _server: server,
            _directory: directory,
        })
    }

    /// Its id.
    pub fn resource(&self) -> ResourceId {
        self.resource
    }

    /// `host:port` by which other processes reach it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns when no ResourceManager has answered for `taskmanager.registration.timeout`.
    pub async fn gave_up(&self) {
        self.executor.gave_up().await;
    }

    /// Leaves the cluster: the ResourceManager is told, and tells JobMasters, which restart what
    /// ran here elsewhere at once, as with Flink's TaskManagers. Then hosts end.
    pub async fn leave(self, reason: &str) {
        let leader = self.leader.borrow().clone();
        if let Some(leader) = leader {
            let told = leader.gateway.disconnect_task_executor(self.resource, reason.to_owned());
            match tokio::time::timeout(FAREWELL, told).await {
                Ok(Ok(())) => {}
                // It will find out.
                Ok(Err(error)) => tracing::info!(%error, "the ResourceManager was not told"),
                Err(_) => tracing::info!("the ResourceManager was not told in time"),
            }
        }
        self.executor.shutdown().await;
        self.supervisor.until_idle().await;
    }
}

/// The metrics of a TaskManager and of its hosts.
struct OfExecutor(TaskExecutorHandle);

#[async_trait]
impl MetricsSource for OfExecutor {
    async fn metrics(&self) -> MetricsSnapshot {
        // It answers without the actor, for as long as this process lives.
        self.0.query_metrics(MetricsQuery::all()).await.unwrap_or_default()
    }
}
