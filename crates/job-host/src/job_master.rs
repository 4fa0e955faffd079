//! The JobMaster host.
//!
//! It tells its parent when the JobMaster runs, and then waits for the parent's word to end: the
//! parent asks for the job's result first.

use std::sync::Arc;

use hurtig_cluster_api::{
    CheckpointRegister, HostParentGateway, JobMasterGateway, NOT_FENCED, Peer,
    ResourceManagerGateway,
};
use hurtig_env::{Clock, Runtimes};
use hurtig_job_master::{JobMaster, JobMasterServices};
use hurtig_metrics::{MetricOptions, MetricRegistry};
use hurtig_operator_api::Program;
use hurtig_process_host::random_bits;
use hurtig_rpc::{JOB_MASTER, RpcConfig, RpcServer, RpcService};
use hurtig_storage::checkpoints::memory_stores;

use crate::{
    run::{HostError, HostTls},
    spec::JobMasterRole,
};

pub(crate) fn failed(what: &str, error: impl std::error::Error) -> HostError {
    HostError::Start(format!("{what}: {}", hurtig_types::error::chain_text(&error)))
}

/// The way to the process that has started this one.
pub(crate) fn parent_of(
    service: &RpcService,
    address: &hurtig_cluster_api::GatewayAddress,
) -> Result<Arc<dyn HostParentGateway>, HostError> {
    service.connect(address.clone()).map_err(|e| failed("the parent", e))
}

pub(crate) async fn run(
    role: &JobMasterRole,
    program: Result<Program, HostError>,
    (metrics, tls): (MetricOptions, HostTls),
    runtimes: Runtimes,
    clock: Clock,
) -> Result<(), HostError> {
    let instance = random_bits().map_err(|e| failed("no random number", e))?;
    let config = RpcConfig {
        bind_host: role.bind_host.clone(),
        host: role.host_name.clone(),
        tls: tls.rpc,
        ..RpcConfig::loopback(instance)
    };
    let server = RpcServer::start(config, &runtimes, clock).await;
    let server = server.map_err(|e| failed("the RPC server", e))?;
    let service = server.service();
    let parent = parent_of(service, &role.parent)?;
    let program = match program {
        Ok(program) => program,
        Err(error) => {
            // The parent learns of it by the exit, too.
            let _ = parent.host_failed(role.host, error.to_string()).await;
            return Err(error);
        }
    };
    let resource_manager: Arc<dyn ResourceManagerGateway> = service
        .connect(role.resource_manager.clone())
        .map_err(|e| failed("the ResourceManager", e))?;
    let register: Arc<dyn CheckpointRegister> =
        service.connect(role.register.clone()).map_err(|e| failed("the register", e))?;
    let metrics = MetricRegistry::new(metrics, move || clock.monotonic());
    let metrics = metrics.job_manager(role.host_name.as_deref().unwrap_or("localhost"));
    let master: Arc<dyn JobMasterGateway> = Arc::new(JobMaster::start(
        role.graph.clone(),
        JobMasterServices {
            program: Arc::new(program),
            resource_manager,
            runtimes,
            clock,
            token: role.token,
            seed: role.seed,
            heartbeat_interval: role.heartbeat_interval,
            stores: Arc::new(memory_stores()),
            metrics,
            register,
            takeover_timeout: role.takeover_timeout,
        },
    ));
    // Held to the end: the result is asked for when the actor has ended.
    let _export = service
        .export_as(JOB_MASTER, master.clone(), NOT_FENCED)
        .map_err(|e| failed("the JobMaster", e))?;
    let ready = parent.job_master_ready(role.host, master).await;
    ready.map_err(|e| failed("the parent", e))?;
    until_gone(parent.peer()).await;
    Ok(())
}

/// The parent's word to end is the end of standard input, which ends the process. If its process is
/// gone, so is its connection.
pub(crate) async fn until_gone(parent: Peer) {
    parent.gone().await;
    tracing::warn!("the process that has started this one is gone");
}
