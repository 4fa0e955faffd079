//! High availability as processes use it: their services, and the leader for those that follow it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_cluster_api::{
    BlobSource, FencingToken, Leader, LeaderReceiver, NOT_FENCED, ResourceManagerGateway, RpcError,
    RpcResult,
};
use hurtig_config::Configuration;
use hurtig_env::Clock;
use hurtig_filesystem::Stores;
use hurtig_high_availability::{
    ContenderId, ElectionOptions, HighAvailabilityOptions, HighAvailabilityServices,
    LeaderInformation, LeaderScope, RetryOptions, options::BackendOptions,
    store::memory::MemoryBackend,
};
use hurtig_process_host::random_bits;
use hurtig_rpc::{BLOB_SERVER, RESOURCE_MANAGER, RpcService};
use hurtig_types::BlobId;
use tokio::{runtime::Handle, sync::watch};

use crate::ProcessError;

/// What is written of a leader: where its process is called.
pub(crate) const JOB_MANAGER: &str = "job_manager";
/// What is written of a leader: where its REST server is.
pub(crate) const REST_SERVER: &str = "rest_server";

/// A leader as it is known and changes.
pub(crate) type FoundLeader = watch::Receiver<Option<LeaderInformation>>;

/// The services of a JobManager without high availability: in memory, for as long as it lasts.
pub(crate) fn alone(clock: Clock, control: &Handle) -> HighAvailabilityServices {
    let options = HighAvailabilityOptions {
        backend: BackendOptions::Memory,
        cluster_id: "standalone".to_owned(),
        election: ElectionOptions::default(),
        retry: RetryOptions::default(),
        // The Dispatcher remembers the last ones; more would be memory for ever.
        delete_results: true,
    };
    let backend = Arc::new(MemoryBackend::default());
    HighAvailabilityServices::over(backend, ContenderId(1), &options, clock, control)
}

/// The services that a configuration asks for; `None` without high availability.
pub(crate) fn open(
    configuration: &Configuration,
    clock: Clock,
    control: &Handle,
) -> Result<Option<(HighAvailabilityOptions, HighAvailabilityServices)>, ProcessError> {
    let options = HighAvailabilityOptions::from_configuration(configuration)?;
    if !options.is_enabled() {
        return Ok(None);
    }
    let me = ContenderId(random_bits().map_err(ProcessError::Random)?);
    let stores = Stores::default();
    let services = HighAvailabilityServices::open(&options, me, &stores, clock, control)?;
    Ok(Some((options, services)))
}

/// Waits for the REST address of the leader, as `host:port`; `None` without high availability.
///
/// # Errors
/// If high availability is configured wrongly, or no leader is found in time.
pub async fn leading_rest_address(
    configuration: &Configuration,
    patience: Duration,
) -> Result<Option<String>, ProcessError> {
    let Some((_, services)) = open(configuration, Clock::system(), &Handle::current())? else {
        return Ok(None);
    };
    let mut found = services.leader_retrieval(LeaderScope::Cluster, REST_SERVER).watch();
    // Whether it came in time is seen below.
    let waited = async { found.wait_for(Option::is_some).await.is_ok() };
    let _ = tokio::time::timeout(patience, waited).await;
    let address = found.borrow().as_ref().map(|leader| leader.address.to_string());
    services.close().await;
    address.map(Some).ok_or(ProcessError::NoLeader { seconds: patience.as_secs() })
}

/// The ResourceManager of whoever leads. A leader that has left stays known until there is another.
pub(crate) fn resource_manager(
    mut found: FoundLeader,
    service: RpcService,
    control: &Handle,
) -> LeaderReceiver<dyn ResourceManagerGateway> {
    let (sender, receiver) = watch::channel(None);
    control.spawn(async move {
        loop {
            let leader = found.borrow_and_update().clone();
            if let Some(LeaderInformation { token, address }) = leader {
                match service.connect_to::<dyn ResourceManagerGateway>(
                    &address,
                    RESOURCE_MANAGER,
                    token,
                ) {
                    Ok(gateway) => {
                        tracing::info!(token = token.0, %address, "a JobManager leads");
                        sender.send_replace(Some(Leader { token, gateway }));
                    }
                    Err(error) => tracing::error!(%address, %error, "the leader has no address"),
                }
            }
            tokio::select! {
                biased;
                changed = found.changed() => if changed.is_err() {
                    // It never changes again: whoever holds the receiver keeps it.
                    sender.closed().await;
                    return;
                },
                () = sender.closed() => return,
            }
        }
    });
    receiver
}

/// The blobs of whoever leads.
pub(crate) struct LeadersBlobs {
    pub(crate) found: FoundLeader,
    pub(crate) service: RpcService,
}

impl LeadersBlobs {
    fn leader(&self) -> RpcResult<Arc<dyn BlobSource>> {
        let leader = self.found.borrow().clone();
        let nobody = || RpcError::Unreachable {
            role: "blob server",
            reason: "no JobManager leads at present".to_owned(),
        };
        self.service.connect_to(&leader.ok_or_else(nobody)?.address, BLOB_SERVER, NOT_FENCED)
    }
}

#[async_trait]
impl BlobSource for LeadersBlobs {
    async fn blob_size(&self, id: BlobId) -> RpcResult<u64> {
        self.leader()?.blob_size(id).await
    }

    async fn read_blob(&self, id: BlobId, offset: u64, length: u32) -> RpcResult<Vec<u8>> {
        self.leader()?.read_blob(id, offset, length).await
    }
}

/// A leader that never changes.
pub(crate) fn fixed(token: FencingToken, endpoint: &str) -> FoundLeader {
    let leader = LeaderInformation { token, address: endpoint.into() };
    watch::channel(Some(leader)).1
}
