//! A JobManager's part in the election: what it does when it leads, and when it does not.
//!
//! 1. It contends, once it knows that the service of high availability keeps its word.
//! 2. Granted leadership, it starts its roles. When the Dispatcher has recovered the jobs of
//!    earlier leaders, REST is answered here, and the leader's record is told where this process is.
//! 3. Revoked, or granted again, it ends its roles and the JobMasters that they have started. Tasks
//!    run on: the next leader takes them over.
//! 4. While it does not lead, its REST server points at the one that does.
//! 5. It ends when a leader ends the whole cluster. A leader that is asked to deletes what is kept of
//!    the jobs before it leaves.
//!
//! Deliberately absent: the end of a leadership by anything but the election. A Dispatcher that
//! finds itself superseded stands still until the election says so, too.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Fuse},
};
use hurtig_cluster_api::FencingToken;
use hurtig_high_availability::{
    HighAvailabilityError, HighAvailabilityServices, LeaderContender, LeaderElection, LeaderScope,
};
use hurtig_rest::RestServer;
use hurtig_types::{JobId, error::chain_text};
use tokio::sync::{mpsc, watch};

use crate::{
    high_availability::{FoundLeader, JOB_MANAGER, REST_SERVER},
    roles::{RoleContext, Roles},
};

/// Pause before something is tried again that needs the service of high availability.
const RETRY: Duration = Duration::from_secs(1);
/// How long the service may take when this process leaves.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long it may take to delete what is kept of the cluster's jobs.
const DELETION: Duration = Duration::from_secs(60);

/// The roles of this process, while it leads.
pub(crate) type Leading = watch::Sender<Option<Arc<Roles>>>;

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

/// What a contender has.
pub(crate) struct Candidacy {
    pub(crate) context: Arc<RoleContext>,
    pub(crate) services: HighAvailabilityServices,
    pub(crate) rest: Arc<RestServer>,
    /// `host:port` of the REST server, for clients.
    pub(crate) rest_address: String,
    pub(crate) leading: Arc<Leading>,
    /// Makes trigger ids of this process differ from those of another.
    pub(crate) seed: u64,
}

/// A JobManager that competes. Dropping it ends its roles as a crash would.
pub(crate) struct Competitor {
    election: LeaderElection,
    services: HighAvailabilityServices,
    leading: Arc<Leading>,
    task: tokio::task::AbortHandle,
}

impl Competitor {
    pub(crate) fn start(candidacy: Candidacy) -> Self {
        let election = candidacy.services.leader_election(LeaderScope::Cluster);
        let (services, leading) = (candidacy.services.clone(), candidacy.leading.clone());
        let control = candidacy.context.runtimes.control.clone();
        let task = control.spawn(compete(candidacy, election.clone())).abort_handle();
        Self { election, services, leading, task }
    }

    /// Leaves in order: another can lead at once. Or, if this is the leader and it is to end the
    /// whole cluster, nobody can.
    pub(crate) async fn leave(&self, ends_cluster: bool) {
        self.task.abort();
        self.leading.send_replace(None);
        let left = async {
            let token = self.election.leadership().borrow().token();
            if let Some(token) = token.filter(|_| ends_cluster)
                && let Err(error) = self.services.end_cluster(token).await
            {
                let error = chain_text(&error);
                tracing::warn!(error, "something of the cluster's jobs is left");
            }
            self.election.close().await;
            self.services.close().await;
        };
        let limit = if ends_cluster { DELETION } else { FAREWELL };
        if tokio::time::timeout(limit, left).await.is_err() {
            tracing::warn!("high availability was not told that this JobManager ends");
        }
    }
}

impl Drop for Competitor {
    fn drop(&mut self) {
        self.task.abort();
        self.leading.send_replace(None);
    }
}

/// Waits until the service keeps its word; one that does not must not be used.
async fn check(services: &HighAvailabilityServices) {
    while let Err(error) = services.check_backend().await {
        match error {
            HighAvailabilityError::Unconditional { .. } => {
                tracing::error!(error = chain_text(&error), "this JobManager will never lead");
                return std::future::pending().await;
            }
            _ => tracing::warn!(error = chain_text(&error), "high availability is not reachable"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn compete(candidacy: Candidacy, election: LeaderElection) {
    let mut found = candidacy.services.leader_retrieval(LeaderScope::Cluster, REST_SERVER).watch();
    candidacy.point_at_leader(&mut found);
    // Grants and revocations come in turns, and seldom.
    let (sender, mut news) = mpsc::unbounded_channel();
    let mut ending = async {
        candidacy.services.watch_cluster_end().await.wait().await;
    }
    .boxed()
    .fuse();
    let mut entering = enter(&candidacy.services, &election, sender).boxed().fuse();
    let mut announcing: Fuse<BoxFuture<'_, ()>> = Fuse::terminated();
    loop {
        tokio::select! {
            biased;
            change = news.recv() => match change {
                Some(News::Granted(token)) => {
                    announcing = candidacy.lead(&election, token).boxed().fuse();
                }
                Some(News::Revoked) => {
                    announcing = Fuse::terminated();
                    candidacy.leading.send_replace(None);
                    candidacy.point_at_leader(&mut found);
                }
                None => return,
            },
            () = &mut entering => {}
            () = &mut ending => {
                tracing::info!("the leader ends the cluster");
                candidacy.context.shut_down.post();
            }
            () = &mut announcing => {}
            changed = found.changed() => {
                if changed.is_err() {
                    return;
                }
                if candidacy.leading.borrow().is_none() {
                    candidacy.point_at_leader(&mut found);
                }
            }
        }
    }
}

async fn enter(
    services: &HighAvailabilityServices,
    election: &LeaderElection,
    news: mpsc::UnboundedSender<News>,
) {
    check(services).await;
    // Fails when the election is over.
    let _ = election.contend(Arc::new(Contender(news))).await;
}

impl Candidacy {
    fn point_at_leader(&self, found: &mut FoundLeader) {
        let leader = found.borrow_and_update().clone().map(|leader| leader.address.to_string());
        // What is left of this process's own leadership, or of one before it at the same port.
        self.rest.follow(leader.filter(|address| *address != self.rest_address));
    }

    /// Starts the roles, and tells where they are once they know their jobs.
    async fn lead(&self, election: &LeaderElection, token: FencingToken) {
        // Names of the earlier roles' gateways must be free.
        self.leading.send_replace(None);
        let roles = match Roles::start(&self.context, self.services.clone(), token, true) {
            Ok(roles) => Arc::new(roles),
            Err(error) => {
                tracing::error!(error = chain_text(&error), "this JobManager cannot lead");
                return;
            }
        };
        self.leading.send_replace(Some(roles.clone()));
        if roles.dispatcher.ready().await.is_err() {
            return;
        }
        self.forget_blobs(token).await;
        self.rest.lead(roles.rest_services(&self.context, self.seed.wrapping_add(token.0 << 32)));
        let endpoint = self.context.service.endpoint();
        for (component, address) in [(JOB_MANAGER, endpoint), (REST_SERVER, &*self.rest_address)] {
            match election.confirm_leadership(token, component, address).await {
                Ok(true) => {}
                // It will be told that it leads no more.
                Ok(false) | Err(_) => return,
            }
        }
        tracing::info!(
            token = token.0,
            endpoint,
            rest = self.rest_address,
            "this JobManager leads"
        );
    }

    /// Blobs of jobs that were never submitted. Nobody submits one before the leader is announced.
    async fn forget_blobs(&self, token: FencingToken) {
        match self.services.job_graph_store(token).job_ids().await {
            Ok(jobs) => {
                let jobs: BTreeSet<JobId> = jobs.into_iter().collect();
                self.context.blobs.retain(&jobs).await;
            }
            Err(error) => {
                tracing::debug!(error = chain_text(&error), "it is not known which blobs to keep");
            }
        }
    }
}
