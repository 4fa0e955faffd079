//! Backends under test, and contenders that tell what happens to them.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hurtig_cluster_api::{
    FencingToken,
    job::{JobResult, JobStatus},
};
use hurtig_env::Clock;
use hurtig_filesystem::object_store::memory::InMemory;
use hurtig_high_availability::{
    ContenderId, ElectionOptions, HighAvailabilityBackend, HighAvailabilityOptions,
    HighAvailabilityServices, LeaderContender, LeaderElection, LeaderScope, RetryOptions,
    options::BackendOptions,
    store::{directory::DirectoryBackend, memory::MemoryBackend, object::ObjectStoreBackend},
};
use hurtig_types::JobId;
use tokio::{runtime::Handle, sync::mpsc};

/// Nothing that is waited for takes longer, unless it is broken.
pub const LIMIT: Duration = Duration::from_secs(60);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// A place that processes share.
pub struct Cluster {
    backend: Box<dyn Fn(u128) -> Arc<dyn HighAvailabilityBackend> + Send + Sync>,
    processes: AtomicU64,
}

impl Cluster {
    pub fn new(
        backend: impl Fn(u128) -> Arc<dyn HighAvailabilityBackend> + Send + Sync + 'static,
    ) -> Self {
        Self { backend: Box::new(backend), processes: AtomicU64::new(1) }
    }

    pub fn memory() -> Self {
        let backend = MemoryBackend::default();
        Self::new(move |_| Arc::new(backend.clone()))
    }

    pub fn objects() -> Self {
        let store = Arc::new(InMemory::new());
        let poll = Duration::from_millis(20);
        Self::new(move |_| {
            Arc::new(ObjectStoreBackend::new(store.clone(), "ha/cluster".into(), poll))
        })
    }

    pub fn directory() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let poll = Duration::from_millis(20);
        Self::new(move |owner| {
            // The folder lives as long as the cluster.
            let path = folder.path().join("cluster");
            Arc::new(DirectoryBackend::new(path, owner, poll))
        })
    }

    /// Another process.
    pub fn process(&self) -> HighAvailabilityServices {
        let me = u128::from(self.processes.fetch_add(1, Ordering::Relaxed));
        let backend = (self.backend)(me);
        services(backend, me)
    }

    pub fn backend(&self) -> Arc<dyn HighAvailabilityBackend> {
        (self.backend)(u128::from(self.processes.fetch_add(1, Ordering::Relaxed)))
    }
}

pub fn options() -> HighAvailabilityOptions {
    HighAvailabilityOptions {
        backend: BackendOptions::Memory,
        cluster_id: "cluster".to_owned(),
        election: ElectionOptions {
            lease: Duration::from_millis(1000),
            retry: Duration::from_millis(50),
            request_timeout: Duration::from_millis(1000),
        },
        retry: RetryOptions {
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(100),
            patience: Duration::from_secs(20),
        },
        delete_results: false,
    }
}

pub fn services(backend: Arc<dyn HighAvailabilityBackend>, me: u128) -> HighAvailabilityServices {
    let (clock, control) = (Clock::system(), Handle::current());
    HighAvailabilityServices::over(backend, ContenderId(me), &options(), clock, &control)
}

/// What has happened to a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Granted(FencingToken),
    Revoked(FencingToken),
}

struct Teller(mpsc::UnboundedSender<Told>);

impl LeaderContender for Teller {
    fn grant_leadership(&self, token: FencingToken) {
        // The test may have ended.
        let _ = self.0.send(Told::Granted(token));
    }

    fn revoke_leadership(&self, token: FencingToken) {
        let _ = self.0.send(Told::Revoked(token));
    }
}

pub struct Contender {
    pub election: LeaderElection,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Contender {
    pub async fn enter(process: &HighAvailabilityServices, scope: LeaderScope) -> Self {
        let election = process.leader_election(scope);
        let (sender, told) = mpsc::unbounded_channel();
        election.contend(Arc::new(Teller(sender))).await.unwrap();
        Self { election, told }
    }

    pub async fn next(&mut self) -> Told {
        soon("news of leadership", self.told.recv()).await.unwrap()
    }

    pub async fn granted(&mut self) -> FencingToken {
        match self.next().await {
            Told::Granted(token) => token,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is told for that long.
    pub async fn hears_nothing_for(&mut self, time: Duration) {
        if let Ok(told) = tokio::time::timeout(time, self.told.recv()).await {
            panic!("{told:?}");
        }
    }
}

pub fn job(number: u128) -> JobId {
    JobId(number)
}

pub fn result(job: JobId, status: JobStatus) -> JobResult {
    JobResult {
        job_id: job,
        name: "a job".to_owned(),
        status,
        failure: None,
        accumulators: Default::default(),
        run_time_ms: 17,
        end_time_ms: 1_017,
        restarts: 2,
        vertices: Vec::new(),
    }
}
