//! The roles of a JobManager, for as long as it leads.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use async_trait::async_trait;
use hurtig_blob::BlobStore;
use hurtig_cluster_api::{
    DispatcherGateway, FencingToken, LogSource, NOT_FENCED, ProgramRunner, ResourceManagerGateway,
};
use hurtig_config::{
    Configuration,
    catalogue::job_manager::{JOB_STORE_EXPIRATION_TIME, JOB_STORE_MAX_CAPACITY},
};
use hurtig_dispatcher::{Dispatcher, DispatcherHandle, DispatcherServices, JobStoreOptions};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_high_availability::HighAvailabilityServices;
use hurtig_metrics::MetricGroup;
use hurtig_resource_manager::{
    ResourceDriver, ResourceManager, ResourceManagerConfig, ResourceManagerHandle,
    SlotManagerConfig,
};
use hurtig_rest::{RestServices, TaskManagerLogs};
use hurtig_rpc::{DISPATCHER, Export, LOG_SERVER, RESOURCE_MANAGER, RpcService};
use hurtig_storage::{Stores, checkpoints::memory_stores};
use hurtig_types::ResourceId;

use crate::{
    blobs::JobBlobs,
    host_start::HostStarter,
    job_masters::{JobMasterOptions, ProcessJobMasters},
    logs::LogDirectory,
    processes::ProcessError,
    programs::ClusterPrograms,
};

/// What roles stand on: it is there whether the JobManager leads or not.
pub(crate) struct RoleContext {
    pub(crate) configuration: Configuration,
    pub(crate) service: RpcService,
    pub(crate) blobs: JobBlobs,
    pub(crate) starter: HostStarter,
    pub(crate) logs: LogDirectory,
    pub(crate) job_masters: JobMasterOptions,
    pub(crate) resource_manager: ResourceManagerConfig,
    /// Starts TaskManagers, if anything does. What it has started runs on when this process leads
    /// no more; a later leadership stops only what it has started itself.
    pub(crate) driver: Arc<dyn ResourceDriver>,
    /// The group of the JobManager; those of a later leadership take the place of earlier ones.
    pub(crate) metrics: MetricGroup,
    pub(crate) shut_down: Signal,
    /// It was asked to end the whole cluster, with all that is kept of its jobs.
    pub(crate) ends_cluster: Arc<AtomicBool>,
    pub(crate) runtimes: Runtimes,
    pub(crate) clock: Clock,
}

/// The roles. Dropping them ends them at once; running tasks are not theirs.
pub(crate) struct Roles {
    pub(crate) dispatcher: Arc<DispatcherHandle>,
    pub(crate) resource_manager: Arc<dyn ResourceManagerGateway>,
    pub(crate) programs: Arc<dyn ProgramRunner>,
    job_masters: Arc<ProcessJobMasters>,
    resources: ResourceManagerHandle,
    _exports: Vec<Export>,
}

impl Roles {
    /// Starts them for a leader of that token. Without high availability they are not `fenced`:
    /// whoever finds their process by its address finds the only one.
    pub(crate) fn start(
        context: &RoleContext,
        services: HighAvailabilityServices,
        token: FencingToken,
        fenced: bool,
    ) -> Result<Self, ProcessError> {
        let RoleContext { service, runtimes, clock, .. } = context;
        let proof = if fenced { token } else { NOT_FENCED };
        // Grants must differ from those of other leaderships of this process.
        let config = &context.resource_manager;
        let resources = ResourceManager::start_with(
            ResourceManagerConfig {
                seed: config.seed.wrapping_add(token.0 << 32),
                slots: config.slots.clone(),
                ..*config
            },
            context.driver.clone(),
            runtimes,
            *clock,
        );
        resources.register_metrics(&context.metrics);
        let resource_manager: Arc<dyn ResourceManagerGateway> = Arc::new(resources.clone());
        let exported = service.export_as(RESOURCE_MANAGER, resource_manager.clone(), proof)?;
        let job_masters = Arc::new(ProcessJobMasters::new(
            context.starter.clone(),
            context.blobs.clone(),
            context.job_masters.clone(),
            exported.address(),
            runtimes.clone(),
            service.clone(),
            Arc::new(memory_stores()),
        ));
        let dispatcher = Dispatcher::start(
            DispatcherServices {
                launcher: job_masters.clone(),
                high_availability: services,
                job_store: job_store(&context.configuration)?,
                token,
                runtimes: runtimes.clone(),
                clock: *clock,
                heartbeat_interval: config.heartbeat_interval,
                heartbeat_timeout: config.heartbeat_timeout,
            },
            resource_manager.clone(),
        );
        let dispatcher = Arc::new(dispatcher.with_metrics(context.metrics.clone()));
        let gateway: Arc<dyn DispatcherGateway> = dispatcher.clone();
        let exports = vec![exported, service.export_as(DISPATCHER, gateway.clone(), proof)?];
        let programs =
            ClusterPrograms::new(context.blobs.clone(), context.starter.clone(), gateway);
        Ok(Self {
            dispatcher,
            resource_manager,
            programs: Arc::new(programs),
            job_masters,
            resources,
            _exports: exports,
        })
    }

    /// What REST is answered from.
    pub(crate) fn rest_services(&self, context: &RoleContext, seed: u64) -> RestServices {
        let dispatcher: Arc<dyn DispatcherGateway> = self.dispatcher.clone();
        let (asked, ends_cluster) = (context.shut_down.clone(), context.ends_cluster.clone());
        let shut_down = move || {
            ends_cluster.store(true, Relaxed);
            asked.post();
        };
        RestServices {
            dispatcher: dispatcher.clone(),
            blobs: Some(Arc::new(BlobStore::clone(&context.blobs.store))),
            programs: Some(self.programs.clone()),
            logs: Some(Arc::new(context.logs.clone())),
            task_manager_logs: Some(Arc::new(RemoteLogs {
                dispatcher,
                service: context.service.clone(),
            })),
            stores: Arc::new(Stores::default()),
            configuration: context.configuration.clone(),
            shutdown: Some(Arc::new(shut_down)),
            clock: context.clock,
            runtimes: context.runtimes.clone(),
            seed,
        }
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        self.dispatcher.stop();
        self.job_masters.close();
        self.resources.stop();
    }
}

/// Slots of the ResourceManager, as configured.
pub(crate) fn slots(configuration: &Configuration) -> Result<SlotManagerConfig, ProcessError> {
    Ok(SlotManagerConfig::from_configuration(configuration)?)
}

/// Which ended jobs are remembered, as configured.
fn job_store(configuration: &Configuration) -> Result<JobStoreOptions, ProcessError> {
    let default = JobStoreOptions::default();
    let most = configuration.get(&JOB_STORE_MAX_CAPACITY)?;
    let seconds = configuration.get(&JOB_STORE_EXPIRATION_TIME)?;
    Ok(JobStoreOptions {
        max_capacity: most.map_or(default.max_capacity, |most| most.get() as usize),
        expiration_ms: seconds.saturating_mul(1_000),
    })
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
