//! All services of high availability for one cluster.

use std::sync::Arc;

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;
use hurtig_env::Clock;
use hurtig_filesystem::Stores;
use hurtig_types::JobId;
use tokio::runtime::Handle;

use crate::{
    checkpoints::{CompletedCheckpointRegister, JobCheckpoints},
    election::{ContenderId, LeaderElection, LeaderScope},
    error::HighAvailabilityError,
    jobs::{Blobs, JOBS_KEY, JobGraphStore, JobResultStore, JobsContext},
    options::{BackendOptions, ElectionOptions, HighAvailabilityOptions, RetryOptions},
    register::FencedRegister,
    retrieval::LeaderRetrieval,
    store::{
        HighAvailabilityBackend, Precondition, RecordStore, RecordStoreError, RecordVersion,
        directory::{DirectoryBackend, DirectoryRecordStore},
        memory::MemoryBackend,
        object::{ObjectRecordStore, ObjectStoreBackend},
        zookeeper::{ZooKeeperBackend, ZooKeeperOptions},
    },
};

mod ending;

pub use ending::ClusterEnd;

/// The services of one process. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct HighAvailabilityServices {
    backend: Arc<dyn HighAvailabilityBackend>,
    me: ContenderId,
    election: ElectionOptions,
    retry: RetryOptions,
    delete_results: bool,
    blobs: Blobs,
    clock: Clock,
    control: Handle,
}

/// The store of a URL, in the folder of a cluster.
fn store_at(
    key: &'static str,
    url: &str,
    options: &HighAvailabilityOptions,
    me: ContenderId,
    stores: &Stores,
) -> Result<Place, HighAvailabilityError> {
    let located = stores.locate(url).map_err(|error| HighAvailabilityError::Configuration {
        key,
        problem: error.to_string(),
    })?;
    if let Some(local) = located.local {
        return Ok(Place::Directory(local.join(&options.cluster_id), me.0));
    }
    let parts = options.cluster_id.split('/').map(Into::into);
    let base = located.path.parts().chain(parts).collect();
    Ok(Place::Objects(located.store, base))
}

/// A write whose condition does not hold must be refused.
fn must_conflict(
    key: &str,
    written: Result<RecordVersion, RecordStoreError>,
) -> Result<(), HighAvailabilityError> {
    match written {
        Err(RecordStoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(HighAvailabilityError::Unconditional { key: key.to_owned() }),
    }
}

enum Place {
    Directory(std::path::PathBuf, u128),
    Objects(
        Arc<dyn hurtig_filesystem::object_store::ObjectStore>,
        hurtig_filesystem::object_store::path::Path,
    ),
}

/// The option that names the storage.
const STORAGE_DIR: &str = "high-availability.storageDir";

impl HighAvailabilityServices {
    /// The services of a configuration. `me` must be drawn at random for each life of a process.
    pub fn open(
        options: &HighAvailabilityOptions,
        me: ContenderId,
        stores: &Stores,
        clock: Clock,
        control: &Handle,
    ) -> Result<Self, HighAvailabilityError> {
        let poll = options.election.retry;
        let at = |url: &str| store_at(STORAGE_DIR, url, options, me, stores);
        let backend: Arc<dyn HighAvailabilityBackend> = match &options.backend {
            BackendOptions::Memory => Arc::new(MemoryBackend::default()),
            BackendOptions::Directory(url) => match at(url)? {
                Place::Directory(path, owner) => Arc::new(DirectoryBackend::new(path, owner, poll)),
                Place::Objects(..) => {
                    return Err(HighAvailabilityError::Configuration {
                        key: STORAGE_DIR,
                        problem: "must be a local directory for DIRECTORY".to_owned(),
                    });
                }
            },
            BackendOptions::ObjectStore(url) => match at(url)? {
                Place::Objects(store, base) => Arc::new(ObjectStoreBackend::new(store, base, poll)),
                Place::Directory(..) => {
                    return Err(HighAvailabilityError::Configuration {
                        key: STORAGE_DIR,
                        problem: "must not be a local directory for OBJECT_STORE: use DIRECTORY"
                            .to_owned(),
                    });
                }
            },
            BackendOptions::ZooKeeper {
                quorum,
                root,
                session_timeout,
                connection_timeout,
                storage,
            } => {
                let blobs: Arc<dyn RecordStore> = match at(storage)? {
                    Place::Directory(path, owner) => {
                        Arc::new(DirectoryRecordStore::new(path, owner, poll))
                    }
                    Place::Objects(store, base) => {
                        Arc::new(ObjectRecordStore::new(store, base, poll))
                    }
                };
                let zookeeper = ZooKeeperOptions {
                    quorum: quorum.clone(),
                    root: root.clone(),
                    session_timeout: *session_timeout,
                    connection_timeout: *connection_timeout,
                    request_timeout: options.election.request_timeout,
                };
                let cluster = &options.cluster_id;
                Arc::new(ZooKeeperBackend::new(&zookeeper, cluster, blobs, control))
            }
        };
        Ok(Self::over(backend, me, options, clock, control))
    }

    /// Services over a backend.
    pub fn over(
        backend: Arc<dyn HighAvailabilityBackend>,
        me: ContenderId,
        options: &HighAvailabilityOptions,
        clock: Clock,
        control: &Handle,
    ) -> Self {
        let retry = options.retry.clone();
        let blobs = Blobs::new(backend.blobs(), me, retry.clone());
        Self {
            backend,
            me,
            election: options.election.clone(),
            retry,
            delete_results: options.delete_results,
            blobs,
            clock,
            control: control.clone(),
        }
    }

    /// Sees to it that the backend keeps its word: there are object stores that take conditional
    /// writes and ignore the condition, and with such a one nothing here would hold. Called once,
    /// before the first election; leaves nothing behind unless it fails.
    pub async fn check_backend(&self) -> Result<(), HighAvailabilityError> {
        for store in [self.backend.records(), self.backend.blobs()] {
            let key = format!("probes/{}", self.me);
            store.delete(&key).await?;
            let write = |text: &'static str, precondition| {
                store.put(&key, Bytes::from_static(text.as_bytes()), precondition)
            };
            let first = write("1", Precondition::Absent).await?;
            must_conflict(&key, write("2", Precondition::Absent).await)?;
            let first = Precondition::Unchanged(first);
            write("3", first.clone()).await?;
            must_conflict(&key, write("4", first.clone()).await)?;
            store.delete(&key).await?;
            must_conflict(&key, write("5", first).await)?;
        }
        Ok(())
    }

    /// Enters the election of a scope.
    pub fn leader_election(&self, scope: LeaderScope) -> LeaderElection {
        let (options, control) = (self.election.clone(), &self.control);
        LeaderElection::start(&*self.backend, scope, self.me, options, self.clock, control)
    }

    /// Follows a component of the leader of a scope.
    pub fn leader_retrieval(&self, scope: LeaderScope, component: &str) -> LeaderRetrieval {
        let retry = self.election.retry;
        LeaderRetrieval::start(self.backend.records(), scope, component, retry, &self.control)
    }

    fn jobs(&self, token: FencingToken) -> JobsContext {
        let records = self.backend.records();
        JobsContext {
            index: FencedRegister::new(records.clone(), JOBS_KEY, token, self.retry.clone()),
            records,
            blobs: self.blobs.clone(),
            retry: self.retry.clone(),
            delete_results: self.delete_results,
        }
    }

    /// Graphs of jobs, for the leader of the cluster.
    pub fn job_graph_store(&self, token: FencingToken) -> JobGraphStore {
        JobGraphStore::new(self.jobs(token))
    }

    /// Results of jobs, for the leader of the cluster. Reading one needs no leadership.
    pub fn job_result_store(&self, token: FencingToken) -> JobResultStore {
        JobResultStore::new(self.jobs(token))
    }

    /// Completed checkpoints of a job, for the leader of that job.
    pub fn completed_checkpoints(
        &self,
        job: JobId,
        token: FencingToken,
    ) -> CompletedCheckpointRegister {
        let (records, key) = (self.backend.records(), JobCheckpoints::key(job));
        let register = FencedRegister::new(records, key, token, self.retry.clone());
        CompletedCheckpointRegister::new(job, register)
    }

    /// Deletes what is left of a job that has ended, and marks its result as clean. `token` is the
    /// cluster's leader's. May be called again after a crash at any point.
    pub async fn clean_up_job(
        &self,
        job: JobId,
        token: FencingToken,
    ) -> Result<(), HighAvailabilityError> {
        let results = self.job_result_store(token);
        if results.must_be_cleaned_up(job).await? {
            // Records of a job are never made again after this: see the protocol of the crate.
            let records = self.backend.records();
            records.delete(&JobCheckpoints::key(job)).await?;
            records.delete(&LeaderScope::Job(job).record_key()).await?;
        }
        results.mark_clean(job).await
    }

    /// Deletes everything of the cluster's jobs: none can be recovered afterwards. For a cluster that
    /// was shut down by its user. The leader's record stays: its tokens must grow.
    async fn clean_up_all_data(&self) -> Result<(), HighAvailabilityError> {
        let (records, blobs) = (self.backend.records(), self.backend.blobs());
        records.delete(JOBS_KEY).await?;
        for key in records.list("jobs").await? {
            records.delete(&key).await?;
        }
        for folder in ["job-blobs", "job-results"] {
            for key in blobs.list(folder).await? {
                blobs.delete(&key).await?;
            }
        }
        Ok(())
    }

    /// Ends sessions. What is stored stays. Elections are closed before.
    pub async fn close(&self) {
        self.backend.close().await;
    }
}
