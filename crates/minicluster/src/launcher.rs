//! Starts JobMasters in this process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use async_trait::async_trait;
use hurtig_cluster_api::{
    CheckpointPointer, CheckpointRegister, FencingToken, JobMasterGateway, JobMasterLauncher,
    JobStatus, ResourceManagerGateway, RpcError, RpcResult,
};
use hurtig_graph::JobGraph;
use hurtig_job_master::{JobMaster, JobMasterHandle, JobMasterServices, clean_up, clean_up_late};
use hurtig_metrics::MetricGroup;
use hurtig_operator_api::ProgramStore;
use hurtig_types::{JobId, chain_text};
use parking_lot::Mutex;

use crate::{Caller, ClusterSurroundings};

/// A JobMaster waits for this part of the heartbeat's time-out for tasks of an earlier one.
const TAKEOVER_PART: u32 = 5;

/// The JobMasters of one JobManager.
pub(crate) struct Launcher {
    pub(crate) programs: ProgramStore,
    pub(crate) resource_manager: Arc<dyn ResourceManagerGateway>,
    pub(crate) surroundings: ClusterSurroundings,
    pub(crate) seed: u64,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) metrics: MetricGroup,
    pub(crate) running: Mutex<BTreeMap<JobId, JobMasterHandle>>,
    /// The JobManager leads no more: nothing is started.
    pub(crate) closed: AtomicBool,
}

impl Launcher {
    /// Ends a JobMaster as if its process had gone. Nobody is told.
    pub(crate) fn kill(&self, job: JobId) -> bool {
        let job_master = self.running.lock().remove(&job);
        job_master.is_some_and(|job_master| {
            job_master.stop();
            true
        })
    }

    /// The jobs that have a JobMaster.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        self.running.lock().keys().copied().collect()
    }

    /// Ends all JobMasters, and starts no others.
    pub(crate) fn close(&self) {
        self.closed.store(true, Release);
        let running = std::mem::take(&mut *self.running.lock());
        running.values().for_each(JobMasterHandle::stop);
    }
}

#[async_trait]
impl JobMasterLauncher for Launcher {
    async fn launch(
        &self,
        graph: JobGraph,
        token: FencingToken,
        register: Arc<dyn CheckpointRegister>,
    ) -> RpcResult<Arc<dyn JobMasterGateway>> {
        let job = graph.job_id;
        let program = self
            .programs
            .get(job)
            .ok_or_else(|| RpcError::NotFound(format!("the code of job {job} is not known")))?;
        let services = JobMasterServices {
            program,
            resource_manager: self
                .surroundings
                .links
                .resource_manager(Caller::JobMaster(job), self.resource_manager.clone()),
            runtimes: self.surroundings.runtimes.clone(),
            clock: self.surroundings.clock,
            token,
            seed: self.seed.wrapping_add(token.0),
            heartbeat_interval: self.heartbeat_interval,
            stores: self.surroundings.stores.clone(),
            metrics: self.metrics.clone(),
            register,
            takeover_timeout: self.heartbeat_timeout / TAKEOVER_PART,
        };
        let mut running = self.running.lock();
        if self.closed.load(Acquire) {
            let reason = "its JobManager leads no more".to_owned();
            return Err(RpcError::Unreachable { role: "JobMaster", reason });
        }
        let job_master = JobMaster::start(graph, services);
        if let Some(before) = running.insert(job, job_master.clone()) {
            before.stop();
        }
        Ok(Arc::new(job_master))
    }

    async fn stop(&self, job: JobId) {
        self.kill(job);
    }

    async fn retire(
        &self,
        graph: &JobGraph,
        status: JobStatus,
        checkpoints: Vec<CheckpointPointer>,
    ) -> RpcResult<Vec<String>> {
        self.running.lock().remove(&graph.job_id);
        self.programs.remove(graph.job_id);
        let stores = self.surroundings.stores.clone();
        let cleaned = clean_up(graph, status, &checkpoints, stores).await;
        cleaned.map_err(|error| RpcError::Rejected(chain_text(&error)))
    }

    async fn retire_late(&self, graph: &JobGraph, kept: &[String]) -> RpcResult<()> {
        let cleaned = clean_up_late(graph, kept, self.surroundings.stores.clone()).await;
        cleaned.map_err(|error| RpcError::Rejected(chain_text(&error)))
    }
}
