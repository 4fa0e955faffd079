//! JobMasters in processes of their own.
//!
//! 1. The binary and the files that the job refers to are kept until it has ended.
//! 2. Its JobMaster host is started, builds its graph and calls back with the JobMaster's gateway.
//! 3. When the JobMaster has a result, what clients may ask later is fetched, and the host told to
//!    end. From then on this process answers for the job.
//! 4. If the host ends without a result, the gateway's calls say so: the job is for the Dispatcher
//!    to launch again. The one that follows finds its checkpoints in the same register, which is
//!    this process's own.
//! 5. When this process leads no more, all hosts are killed, and none is started.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    BlobError, CheckpointPointer, CheckpointRegister, FencingToken, GatewayAddress, Identity,
    JobMasterGateway, JobMasterLauncher, JobStatus, NOT_FENCED, Peer, RpcError, RpcResult,
};
use hurtig_env::Runtimes;
use hurtig_graph::JobGraph;
use hurtig_job_host::{HostRole, JobMasterRole};
use hurtig_job_master::{clean_up, clean_up_late};
use hurtig_rpc::RpcService;
use hurtig_storage::Stores;
use hurtig_types::{JobId, error::chain_text};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    blobs::JobBlobs,
    host_calls::HostCall,
    host_start::{HostStarter, START_TIMEOUT, describe, new_host_id},
};

mod hosted;

use hosted::HostedJobMaster;

/// What JobMaster hosts are started with.
#[derive(Clone)]
pub(crate) struct JobMasterOptions {
    pub(crate) bind_host: String,
    pub(crate) host_name: Option<String>,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) takeover_timeout: Duration,
    pub(crate) seed: u64,
}

/// Starts JobMasters as processes.
pub(crate) struct ProcessJobMasters {
    starter: HostStarter,
    blobs: JobBlobs,
    options: JobMasterOptions,
    resource_manager: GatewayAddress,
    runtimes: Runtimes,
    /// Where registers of checkpoints are exported.
    service: RpcService,
    /// The stores of checkpoints.
    stores: Arc<Stores>,
    /// The latest of each job that has not been retired.
    running: Mutex<BTreeMap<JobId, Arc<HostedJobMaster>>>,
    /// True once this process leads no more.
    closed: watch::Sender<bool>,
}

impl ProcessJobMasters {
    pub(crate) fn new(
        starter: HostStarter,
        blobs: JobBlobs,
        options: JobMasterOptions,
        resource_manager: GatewayAddress,
        runtimes: Runtimes,
        service: RpcService,
        stores: Arc<Stores>,
    ) -> Self {
        let (running, closed) = (Mutex::default(), watch::channel(false).0);
        Self {
            starter,
            blobs,
            options,
            resource_manager,
            runtimes,
            service,
            stores,
            running,
            closed,
        }
    }

    /// Kills all hosts, and starts no others: another process leads, or will.
    pub(crate) fn close(&self) {
        let mut running = self.running.lock();
        self.closed.send_replace(true);
        std::mem::take(&mut *running).values().for_each(|hosted| hosted.kill());
    }

    async fn start(
        &self,
        graph: JobGraph,
        token: FencingToken,
        register: Arc<dyn CheckpointRegister>,
    ) -> Result<Arc<HostedJobMaster>, RpcError> {
        let job = graph.job_id;
        let rejected = |reason: String| RpcError::Rejected(reason);
        let Some(program) = graph.config.program.clone() else {
            return Err(rejected(format!("job {job} has no program that could be started")));
        };
        let acquired = self.blobs.acquire(job, &program).await;
        acquired.map_err(|error| match error {
            // The storage may answer the next time.
            BlobError::Storage(reason) => RpcError::Unreachable { role: "blob storage", reason },
            error => RpcError::NotFound(error.to_string()),
        })?;
        let binary = self.blobs.store.path(program.binary);
        let binary = binary.map_err(|error| RpcError::NotFound(error.to_string()))?;
        // It ends with the host, whose JobMaster has no use for it after that.
        let register = self.service.export(register, NOT_FENCED)?;
        let host = new_host_id().map_err(rejected)?;
        let mut line = self.starter.calls().listen(host);
        let options = &self.options;
        let role = JobMasterRole {
            host,
            parent: self.starter.parent().clone(),
            graph,
            token,
            seed: options.seed.wrapping_add(token.0),
            resource_manager: self.resource_manager.clone(),
            bind_host: options.bind_host.clone(),
            host_name: options.host_name.clone(),
            heartbeat_interval: options.heartbeat_interval,
            register: register.address(),
            takeover_timeout: options.takeover_timeout,
        };
        let directory = self.starter.directory(&format!("jobmaster-{job}"));
        let directory =
            directory.map_err(|error| rejected(format!("no directory for a host: {error}")))?;
        let role = HostRole::JobMaster(Box::new(role));
        let (arguments, client) = (&program.arguments, &program.configuration);
        let host = self.starter.start(&binary, arguments, client, role, directory).await;
        let host = host.map_err(rejected)?;
        let cannot =
            |reason: String| format!("the JobMaster of job {job} cannot be started: {reason}");
        // The program was able to build its graph before: it may be again.
        let lost = |reason: String| RpcError::Unreachable { role: "JobMaster", reason };
        let ready = async {
            loop {
                tokio::select! {
                    biased;
                    said = line.said.recv() => match said {
                        Some(HostCall::JobMasterReady(gateway)) => return Ok(gateway),
                        Some(HostCall::Failed(reason)) => return Err(rejected(cannot(reason))),
                        Some(_) => {}
                        None => return Err(lost("nobody listens to it".to_owned())),
                    },
                    exit = host.process.exited() => return Err(lost(cannot(describe(&exit)))),
                }
            }
        };
        let ready = tokio::time::timeout(START_TIMEOUT, ready).await;
        let late = |_| {
            let reason = format!("it did not get ready within {} s", START_TIMEOUT.as_secs());
            rejected(cannot(reason))
        };
        let gateway = ready.map_err(late)??;
        Ok(HostedJobMaster::new(gateway, (host, register), &self.runtimes))
    }
}

#[async_trait]
impl JobMasterLauncher for ProcessJobMasters {
    async fn launch(
        &self,
        graph: JobGraph,
        token: FencingToken,
        register: Arc<dyn CheckpointRegister>,
    ) -> RpcResult<Arc<dyn JobMasterGateway>> {
        let job = graph.job_id;
        let over = || {
            let reason = "its JobManager leads no more".to_owned();
            RpcError::Unreachable { role: "JobMaster", reason }
        };
        let mut closed = self.closed.subscribe();
        // What cannot be started now may be tried again: its files are kept until it is retired.
        let hosted = tokio::select! {
            biased;
            // The sender is this object's.
            _ = closed.wait_for(|closed| *closed) => return Err(over()),
            hosted = self.start(graph, token, register) => hosted?,
        };
        let mut running = self.running.lock();
        if *self.closed.borrow() {
            hosted.kill();
            return Err(over());
        }
        running.insert(job, hosted.clone());
        Ok(hosted)
    }

    async fn stop(&self, job: JobId) {
        let hosted = self.running.lock().remove(&job);
        if let Some(hosted) = hosted {
            hosted.kill();
            hosted.until_ended().await;
        }
    }

    async fn retire(
        &self,
        graph: &JobGraph,
        status: JobStatus,
        checkpoints: Vec<CheckpointPointer>,
    ) -> RpcResult<Vec<String>> {
        let job = graph.job_id;
        let hosted = self.running.lock().remove(&job);
        if let Some(hosted) = hosted {
            hosted.until_ended().await;
        }
        let released = self.blobs.release(job).await;
        let cleaned = clean_up(graph, status, &checkpoints, self.stores.clone()).await;
        let kept = cleaned.map_err(|error| RpcError::Rejected(chain_text(&error)))?;
        released.map_err(|error| RpcError::Rejected(error.to_string()))?;
        Ok(kept)
    }

    async fn retire_late(&self, graph: &JobGraph, kept: &[String]) -> RpcResult<()> {
        let cleaned = clean_up_late(graph, kept, self.stores.clone()).await;
        cleaned.map_err(|error| RpcError::Rejected(chain_text(&error)))
    }
}

/// Identity of what is reached through this process alone.
fn peer(gone: impl Future<Output = ()> + Send + 'static) -> Peer {
    Peer::new(Identity::Unknown, gone)
}
