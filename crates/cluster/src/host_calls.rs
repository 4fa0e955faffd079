//! What hosts say to the process that has started them, sorted by host.
//!
//! A host that nobody waits for is told so: it has been given up, and ends.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use hurtig_cluster_api::{
    HostId, HostParentGateway, JobMasterGateway, PeerAddress, RpcError, RpcResult, TaskHostGateway,
};
use hurtig_types::ExecutionAttemptId;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Calls of one host that may wait; beyond that it waits.
const WAITING_CALLS: usize = 1024;

/// What a host says.
pub(crate) enum HostCall {
    TaskHostReady(PeerAddress, Arc<dyn TaskHostGateway>),
    TaskEnded(ExecutionAttemptId),
    JobMasterLost(String),
    JobMasterReady(Arc<dyn JobMasterGateway>),
    Failed(String),
}

/// The hosts that are listened to. Cloning gives another handle.
#[derive(Clone, Default)]
pub(crate) struct HostCalls(Arc<Mutex<BTreeMap<HostId, mpsc::Sender<HostCall>>>>);

/// What one host says, until this is dropped.
pub(crate) struct HostLine {
    host: HostId,
    calls: HostCalls,
    pub(crate) said: mpsc::Receiver<HostCall>,
}

impl Drop for HostLine {
    fn drop(&mut self) {
        self.calls.0.lock().remove(&self.host);
    }
}

impl HostCalls {
    pub(crate) fn listen(&self, host: HostId) -> HostLine {
        let (sender, said) = mpsc::channel(WAITING_CALLS);
        self.0.lock().insert(host, sender);
        HostLine { host, calls: self.clone(), said }
    }

    async fn pass(&self, host: HostId, call: HostCall) -> RpcResult<()> {
        let unknown = || RpcError::NotFound("nobody waits for this host".to_owned());
        let line = self.0.lock().get(&host).cloned().ok_or_else(unknown)?;
        line.send(call).await.map_err(|_| unknown())
    }
}

#[async_trait]
impl HostParentGateway for HostCalls {
    async fn task_host_ready(
        &self,
        host: HostId,
        data_address: PeerAddress,
        gateway: Arc<dyn TaskHostGateway>,
    ) -> RpcResult<()> {
        self.pass(host, HostCall::TaskHostReady(data_address, gateway)).await
    }

    async fn task_ended(&self, host: HostId, attempt: ExecutionAttemptId) -> RpcResult<()> {
        self.pass(host, HostCall::TaskEnded(attempt)).await
    }

    async fn job_master_lost(&self, host: HostId, reason: String) -> RpcResult<()> {
        self.pass(host, HostCall::JobMasterLost(reason)).await
    }

    async fn job_master_ready(
        &self,
        host: HostId,
        gateway: Arc<dyn JobMasterGateway>,
    ) -> RpcResult<()> {
        self.pass(host, HostCall::JobMasterReady(gateway)).await
    }

    async fn host_failed(&self, host: HostId, reason: String) -> RpcResult<()> {
        self.pass(host, HostCall::Failed(reason)).await
    }
}
