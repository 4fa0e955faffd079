//! The records of high availability: in memory, and failing as the weather is.
//!
//! A read may fail. A write may have no effect, or have its effect without an answer: whoever
//! writes sees the same.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hurtig_high_availability::{
    ContenderId, ElectionOptions, HighAvailabilityBackend, HighAvailabilityOptions,
    HighAvailabilityServices, Latch, Precondition, RecordStore, RecordStoreError, RecordVersion,
    RetryOptions, VersionedRecord, options::BackendOptions, store::memory::MemoryRecordStore,
};
use hurtig_minicluster::OpenServices;
use tokio::runtime::Handle;

use crate::{faults::Step, world::World};

/// How long a request without an answer takes.
const TIMEOUT_MS: u64 = 100;

/// Records and bulky records in one place.
#[derive(Debug)]
struct SimRecords {
    world: World,
    inner: Arc<dyn RecordStore>,
}

#[derive(Debug)]
struct SimBackend(Arc<SimRecords>);

fn unavailable(action: &'static str, key: &str) -> RecordStoreError {
    RecordStoreError::Unavailable { action, key: key.to_owned(), source: "injected".into() }
}

impl SimRecords {
    async fn request<T>(
        &self,
        action: &'static str,
        key: &str,
        request: impl Future<Output = Result<T, RecordStoreError>>,
    ) -> Result<T, RecordStoreError> {
        let fate = self.world.fate_of_record();
        if fate.lost {
            tokio::time::sleep(Duration::from_millis(TIMEOUT_MS)).await;
            return Err(unavailable(action, key));
        }
        let answer = request.await;
        if fate.unanswered {
            self.world.note(format_args!("records: no answer to {action} of {key}"));
            tokio::time::sleep(Duration::from_millis(TIMEOUT_MS)).await;
            return Err(unavailable(action, key));
        }
        answer
    }
}

#[async_trait]
impl RecordStore for SimRecords {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        self.request("read", key, self.inner.get(key)).await
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        // Renewals of leases would drown everything else.
        if key != "leader" && self.world.pass(Step::PutRecord, key) {
            tokio::task::yield_now().await;
        }
        self.request("write", key, self.inner.put(key, bytes, precondition)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        self.request("delete", key, self.inner.delete(key)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        self.request("list", folder, self.inner.list(folder)).await
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        self.inner.changed(key, seen).await
    }
}

#[async_trait]
impl HighAvailabilityBackend for SimBackend {
    fn records(&self) -> Arc<dyn RecordStore> {
        self.0.clone()
    }

    fn blobs(&self) -> Arc<dyn RecordStore> {
        self.0.clone()
    }

    fn latch(&self, _: &str, _: ContenderId) -> Option<Latch> {
        None
    }

    async fn close(&self) {}
}

/// What gives each JobManager of a run its services.
pub fn services(world: &World) -> OpenServices {
    let inner: Arc<MemoryRecordStore> = Arc::default();
    let backend = Arc::new(SimBackend(Arc::new(SimRecords { world: world.clone(), inner })));
    let options = HighAvailabilityOptions {
        backend: BackendOptions::Memory,
        cluster_id: "simulated".to_owned(),
        election: ElectionOptions {
            lease: Duration::from_millis(2_000),
            retry: Duration::from_millis(200),
            request_timeout: Duration::from_millis(500),
        },
        retry: RetryOptions {
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(500),
            patience: Duration::from_secs(2),
        },
        delete_results: false,
    };
    let clock = world.clock();
    Arc::new(move |me| {
        let control = Handle::current();
        Ok(HighAvailabilityServices::over(backend.clone(), me, &options, clock, &control))
    })
}
