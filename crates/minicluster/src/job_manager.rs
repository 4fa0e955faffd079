//! A JobManager: Dispatcher, ResourceManager and JobMasters, as long as it leads.
//!
//! With high availability several of them compete. Each that is granted leadership recovers the
//! jobs, and only then tells where it is reached; each that loses it ends its roles, but not the
//! jobs: their tasks run on, and are taken over by the roles of the next leader.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hurtig_cluster_api::{FencingToken, Leader, LeaderReceiver, ResourceManagerGateway};
use hurtig_dispatcher::{Dispatcher, DispatcherHandle, DispatcherServices, JobStoreOptions};
use hurtig_high_availability::{
    HighAvailabilityServices, LeaderContender, LeaderElection, LeaderScope,
};
use hurtig_metrics::MetricGroup;
use hurtig_operator_api::ProgramStore;
use hurtig_resource_manager::{
    ResourceManager, ResourceManagerConfig, ResourceManagerHandle, SlotManagerConfig,
    StandaloneDriver,
};
use hurtig_types::JobId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::{Caller, ClusterSurroundings, launcher::Launcher};

/// The component under which leaders are found.
pub(crate) const COMPONENT: &str = "job_manager";

/// What the roles of a JobManager stand on.
#[derive(Clone)]
pub(crate) struct JobManagerContext {
    pub(crate) surroundings: ClusterSurroundings,
    pub(crate) programs: ProgramStore,
    pub(crate) seed: u64,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) slots: SlotManagerConfig,
    /// The group of the JobManager; of several in one process each takes the place of the last.
    pub(crate) metrics: MetricGroup,
    /// Those that have led, by address: what a name service is to processes.
    pub(crate) directory: Directory,
}

/// The roles of a JobManager that leads.
#[derive(Clone)]
pub(crate) struct Roles {
    pub(crate) dispatcher: DispatcherHandle,
    pub(crate) resource_manager: ResourceManagerHandle,
    pub(crate) launcher: Arc<Launcher>,
}

/// Where leaders are reached.
pub(crate) type Directory = Arc<Mutex<BTreeMap<String, Roles>>>;

impl Roles {
    pub(crate) fn start(
        context: &JobManagerContext,
        services: HighAvailabilityServices,
        token: FencingToken,
    ) -> Self {
        let surroundings = &context.surroundings;
        // Grants must differ from those of other leaders.
        let seed = context.seed.wrapping_add((token.0 - 1) << 32);
        let handle = ResourceManager::start_with(
            ResourceManagerConfig {
                seed,
                heartbeat_interval: context.heartbeat_interval,
                heartbeat_timeout: context.heartbeat_timeout,
                slots: context.slots.clone(),
            },
            Arc::new(StandaloneDriver),
            &surroundings.runtimes,
            surroundings.clock,
        );
        handle.register_metrics(&context.metrics);
        let resource_manager: Arc<dyn ResourceManagerGateway> = Arc::new(handle.clone());
        let launcher = Arc::new(Launcher {
            programs: context.programs.clone(),
            resource_manager: resource_manager.clone(),
            surroundings: surroundings.clone(),
            seed: context.seed,
            heartbeat_interval: context.heartbeat_interval,
            heartbeat_timeout: context.heartbeat_timeout,
            metrics: context.metrics.clone(),
            running: Mutex::default(),
            closed: false.into(),
        });
        let dispatcher = Dispatcher::start(
            DispatcherServices {
                job_store: JobStoreOptions::default(),
                launcher: launcher.clone(),
                high_availability: services,
                token,
                runtimes: surroundings.runtimes.clone(),
                clock: surroundings.clock,
                heartbeat_interval: context.heartbeat_interval,
                heartbeat_timeout: context.heartbeat_timeout,
            },
            surroundings.links.resource_manager(Caller::Dispatcher, resource_manager),
        )
        .with_metrics(context.metrics.clone());
        Self { dispatcher, resource_manager: handle, launcher }
    }

    /// Ends all roles at once, as if their process had gone.
    pub(crate) fn stop(&self) {
        self.dispatcher.stop();
        self.launcher.close();
        self.resource_manager.stop();
    }

    pub(crate) fn kill_job_master(&self, job: JobId) -> bool {
        self.launcher.kill(job)
    }
}

enum News {
    Granted(FencingToken),
    Revoked,
}

struct Contender(mpsc::UnboundedSender<News>);

impl LeaderContender for Contender {
    fn grant_leadership(&self, token: FencingToken) {
        // A JobManager that has ended leads nothing.
        let _ = self.0.send(News::Granted(token));
    }

    fn revoke_leadership(&self, _: FencingToken) {
        let _ = self.0.send(News::Revoked);
    }
}

/// A JobManager that competes for leadership.
pub(crate) struct JobManager {
    task: tokio::task::AbortHandle,
    /// What it leads with at present.
    roles: Arc<Mutex<Option<Roles>>>,
}

impl JobManager {
    /// Enters the election.
    pub(crate) fn start(
        number: usize,
        context: JobManagerContext,
        services: HighAvailabilityServices,
    ) -> Self {
        let roles = Arc::new(Mutex::new(None));
        let control = context.surroundings.runtimes.control.clone();
        let compete = compete(number, context, services, roles.clone());
        Self { task: control.spawn(compete).abort_handle(), roles }
    }

    /// True if it leads.
    pub(crate) fn leads(&self) -> bool {
        self.roles.lock().is_some()
    }

    /// Ends it as if its process had gone: its lease runs on until it has run out.
    pub(crate) fn kill(&self) {
        self.task.abort();
        if let Some(roles) = self.roles.lock().take() {
            roles.stop();
        }
    }
}

/// Leads whenever it is granted to; ends with the election.
async fn compete(
    number: usize,
    context: JobManagerContext,
    services: HighAvailabilityServices,
    roles: Arc<Mutex<Option<Roles>>>,
) {
    let election = services.leader_election(LeaderScope::Cluster);
    // Grants and revocations come in turns, and seldom.
    let (sender, mut news) = mpsc::unbounded_channel();
    if election.contend(Arc::new(Contender(sender))).await.is_err() {
        return;
    }
    while let Some(change) = news.recv().await {
        if let Some(before) = roles.lock().take() {
            before.stop();
        }
        let News::Granted(token) = change else { continue };
        let leading = Roles::start(&context, services.clone(), token);
        *roles.lock() = Some(leading.clone());
        let announcing = announce(number, &context, &election, token, leading);
        tokio::pin!(announcing);
        tokio::select! {
            biased;
            () = &mut announcing => {}
            // Leadership is lost before anybody has heard of it.
            () = lost(&election, token) => {}
        }
    }
}

async fn lost(election: &LeaderElection, token: FencingToken) {
    let mut leadership = election.leadership();
    // Fails when the election is over.
    let _ = leadership.wait_for(|leadership| leadership.token() != Some(token)).await;
}

/// Tells where the leader is reached, once it has recovered its jobs.
async fn announce(
    number: usize,
    context: &JobManagerContext,
    election: &LeaderElection,
    token: FencingToken,
    roles: Roles,
) {
    if roles.dispatcher.ready().await.is_err() {
        return;
    }
    let address = format!("JobManager {number}, leader {}", token.0);
    context.directory.lock().insert(address.clone(), roles);
    match election.confirm_leadership(token, COMPONENT, &address).await {
        Ok(true) => tracing::info!(number, token = token.0, "a JobManager leads"),
        Ok(false) | Err(_) => {
            context.directory.lock().remove(&address);
        }
    }
}

/// The leader as it is found through high availability.
pub(crate) fn retrieve(
    context: &JobManagerContext,
    services: &HighAvailabilityServices,
) -> LeaderReceiver<Roles> {
    let (sender, receiver) = watch::channel(None);
    let mut found = services.leader_retrieval(LeaderScope::Cluster, COMPONENT).watch();
    let directory = context.directory.clone();
    context.surroundings.runtimes.control.spawn(async move {
        loop {
            let leader = found.borrow_and_update().clone();
            if let Some(leader) = leader {
                let mut directory = directory.lock();
                if let Some(roles) = directory.get(&*leader.address).cloned() {
                    // Those that led before are not asked for any more.
                    directory.retain(|address, _| **address == *leader.address);
                    let gateway = Arc::new(roles);
                    sender.send_replace(Some(Leader { token: leader.token, gateway }));
                }
            }
            tokio::select! {
                biased;
                changed = found.changed() => if changed.is_err() {
                    return;
                },
                () = sender.closed() => return,
            }
        }
    });
    receiver
}

/// The ResourceManager of the leader, as one TaskExecutor sees it.
pub(crate) fn resource_manager_of(
    mut leaders: LeaderReceiver<Roles>,
    context: &JobManagerContext,
    caller: Caller,
) -> LeaderReceiver<dyn ResourceManagerGateway> {
    let links = context.surroundings.links.clone();
    let of = move |leader: &Leader<Roles>| {
        let gateway = Arc::new(leader.gateway.resource_manager.clone());
        Leader { token: leader.token, gateway: links.resource_manager(caller, gateway) }
    };
    let first = leaders.borrow_and_update().as_ref().map(&of);
    let (sender, receiver) = watch::channel(first);
    context.surroundings.runtimes.control.spawn(async move {
        loop {
            tokio::select! {
                biased;
                changed = leaders.changed() => if changed.is_err() {
                    // It never changes: whoever holds the receiver keeps it.
                    sender.closed().await;
                    return;
                },
                () = sender.closed() => return,
            }
            // One after the other: who waits on one channel is woken in any order, and a simulation
            // must run the same twice.
            if let Caller::TaskExecutor(resource) = caller {
                let turn_ms = (resource.0 & u128::from(u8::MAX)) as u64;
                tokio::time::sleep(Duration::from_millis(turn_ms)).await;
            }
            let leader = leaders.borrow_and_update().as_ref().map(&of);
            sender.send_replace(leader);
        }
    });
    receiver
}
