//! The ResourceManager, as the JobMaster speaks with it.
//!
//! Calls that fail are made again, since all of them are idempotent: first the registration, then,
//! whenever it has changed, the number of slots that the job needs, at last the farewell. The
//! JobMaster does not wait for any of it.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::{FencingToken, JobMasterGateway, ResourceManagerGateway, RpcError};
use hurtig_env::Runtimes;
use hurtig_types::JobId;
use tokio::sync::watch;

/// Pause before a call is made again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the farewell is tried; TaskExecutors give up what belongs to nobody by themselves.
const FAREWELLS: u32 = 120;

/// The way to the ResourceManager.
pub(crate) struct ManagerLink {
    job: JobId,
    token: FencingToken,
    gateway: Arc<dyn ResourceManagerGateway>,
    required: watch::Sender<u32>,
    runtimes: Runtimes,
    speaking: tokio::task::JoinHandle<()>,
}

impl ManagerLink {
    /// Registers the job.
    pub(crate) fn start(
        job: JobId,
        token: FencingToken,
        master: Arc<dyn JobMasterGateway>,
        gateway: Arc<dyn ResourceManagerGateway>,
        runtimes: &Runtimes,
    ) -> Self {
        let (required, mut wanted) = watch::channel(0);
        let manager = gateway.clone();
        let speaking = runtimes.control.spawn(async move {
            while let Err(error) = manager.register_job_master(job, token, master.clone()).await {
                if is_over(&error) {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
            while wanted.changed().await.is_ok() {
                loop {
                    let slots = *wanted.borrow_and_update();
                    match manager.declare_required_slots(job, token, slots).await {
                        Ok(()) => break,
                        Err(error) if is_over(&error) => return,
                        Err(_) => tokio::time::sleep(RETRY).await,
                    }
                }
            }
        });
        Self { job, token, gateway, required, runtimes: runtimes.clone(), speaking }
    }

    /// The job needs that many slots in all.
    pub(crate) fn require(&self, slots: u32) {
        self.required.send_replace(slots);
    }

    /// The job has ended. If the ResourceManager cannot be told at once, it will be.
    pub(crate) async fn end(self) {
        let Self { job, token, gateway, runtimes, speaking, .. } = self;
        // What is still being said must not come behind the farewell.
        speaking.abort();
        let _ = speaking.await;
        if gateway.disconnect_job_master(job, token).await.is_ok() {
            return;
        }
        runtimes.control.spawn(async move {
            for _ in 0..FAREWELLS {
                tokio::time::sleep(RETRY).await;
                match gateway.disconnect_job_master(job, token).await {
                    Ok(()) => return,
                    Err(error) if is_over(&error) => return,
                    Err(_) => {}
                }
            }
        });
    }
}

/// True if there is nobody to speak with any more.
fn is_over(error: &RpcError) -> bool {
    match error {
        RpcError::Unreachable { .. } => {
            tracing::warn!(%error, "the ResourceManager has gone");
            true
        }
        // Another JobMaster has taken over; TaskExecutors or the register will say so, too.
        RpcError::Fenced { .. } => true,
        _ => false,
    }
}
