//! A leader that crashes before or after any request of a job's life, and one that takes over.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use hurtig_cluster_api::{FencingToken, job::JobStatus};
use hurtig_high_availability::{
    ContenderId, HighAvailabilityBackend, HighAvailabilityError, HighAvailabilityServices, Latch,
    Precondition, RecordStore, RecordStoreError, RecordVersion, StoredJob, SubmittedJob,
    VersionedRecord, store::memory::MemoryBackend,
};
use tokio::sync::Notify;

use crate::harness::{job, result, services, soon};

/// Carries out so many requests; at the next one the process has crashed.
#[derive(Debug)]
struct Crashing {
    inner: Arc<dyn RecordStore>,
    left: AtomicI64,
    /// The fatal request is carried out, but its answer does not arrive.
    after: bool,
    /// Conditions of writes are ignored.
    careless: bool,
    /// It does not crash the process: the answer is only uncertain.
    uncertain: bool,
    crashed: Notify,
}

impl Crashing {
    async fn pass<T>(
        &self,
        request: impl Future<Output = Result<T, RecordStoreError>>,
    ) -> Result<T, RecordStoreError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) != 0 {
            return request.await;
        }
        if self.after {
            let _ = request.await;
        }
        if self.uncertain {
            let (action, key) = ("try", "a record".to_owned());
            return Err(RecordStoreError::Unavailable { action, key, source: "lost".into() });
        }
        self.crashed.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl RecordStore for Crashing {
    async fn get(&self, key: &str) -> Result<Option<VersionedRecord>, RecordStoreError> {
        self.pass(self.inner.get(key)).await
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        precondition: Precondition,
    ) -> Result<RecordVersion, RecordStoreError> {
        let precondition = match self.inner.get(key).await? {
            Some(there) if self.careless => Precondition::Unchanged(there.version),
            None if self.careless => Precondition::Absent,
            _ => precondition,
        };
        self.pass(self.inner.put(key, bytes, precondition)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RecordStoreError> {
        self.pass(self.inner.delete(key)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, RecordStoreError> {
        self.pass(self.inner.list(folder)).await
    }

    async fn changed(
        &self,
        key: &str,
        seen: Option<&RecordVersion>,
    ) -> Result<(), RecordStoreError> {
        self.inner.changed(key, seen).await
    }
}

#[derive(Clone, Debug)]
struct CrashingBackend(Arc<Crashing>);

#[async_trait]
impl HighAvailabilityBackend for CrashingBackend {
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

/// What clients were told; the truth must agree with it.
#[derive(Default)]
struct Promised {
    submitted: bool,
    ended: bool,
}

async fn live(
    process: &HighAvailabilityServices,
    promised: &mut Promised,
) -> Result<(), HighAvailabilityError> {
    let token = FencingToken(1);
    let graphs = process.job_graph_store(token);
    graphs.recover().await?;
    graphs.put(&SubmittedJob { job: job(1), graph: Bytes::from_static(b"graph") }).await?;
    promised.submitted = true;
    let results = process.job_result_store(token);
    results.create_dirty(&result(job(1), JobStatus::Finished)).await?;
    promised.ended = true;
    process.clean_up_job(job(1), token).await
}

fn crash_at(
    store: &MemoryBackend,
    request: i64,
    after: bool,
    uncertain: bool,
) -> (HighAvailabilityServices, Arc<Crashing>) {
    let inner = store.records();
    let (left, crashed) = (AtomicI64::new(request), Notify::new());
    let careless = false;
    let crashing = Arc::new(Crashing { inner, left, after, careless, uncertain, crashed });
    (services(Arc::new(CrashingBackend(crashing.clone())), 1), crashing)
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_request_loses_no_job_and_runs_none_twice() {
    let mut crashes = 0;
    for after in [false, true] {
        for request in 0.. {
            let store = MemoryBackend::default();
            let (process, crashing) = crash_at(&store, request, after, false);
            let mut promised = Promised::default();
            let survived = tokio::select! {
                done = live(&process, &mut promised) => { done.unwrap(); true }
                () = crashing.crashed.notified() => false,
            };
            take_over(&store, &promised, &format!("after {after}, request {request}")).await;
            if survived {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes > 30, "{crashes} crashes");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_at_any_request_changes_nothing() {
    for after in [false, true] {
        for request in 0.. {
            let store = MemoryBackend::default();
            let (process, crashing) = crash_at(&store, request, after, true);
            let mut promised = Promised::default();
            // What is not tried again by itself fails as uncertain, and the caller tries again.
            while let Err(error) = live(&process, &mut promised).await {
                let known = matches!(
                    error,
                    HighAvailabilityError::JobExists { .. }
                        | HighAvailabilityError::JobEnded { .. }
                );
                assert!(known || error.is_uncertain(), "request {request}: {error:?}");
                if known {
                    break;
                }
            }
            take_over(&store, &promised, &format!("after {after}, request {request}")).await;
            if crashing.left.load(Ordering::Relaxed) >= 0 {
                break;
            }
        }
    }
}

/// The same leader goes on: a job of which it was told that it is known can be launched.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_known_has_its_records() {
    let mut retried = 0;
    for after in [false, true] {
        for request in 0.. {
            let store = MemoryBackend::default();
            let leader = services(Arc::new(store.clone()), 1);
            leader.job_graph_store(FencingToken(1)).recover().await.unwrap();
            let (process, crashing) = crash_at(&store, request, after, false);
            let submitted = SubmittedJob { job: job(1), graph: Bytes::from_static(b"graph") };
            let graphs = process.job_graph_store(FencingToken(1));
            let first = graphs.put(&submitted);
            // The first try is given up in the middle.
            let survived = tokio::select! {
                done = first => { done.unwrap(); true }
                () = crashing.crashed.notified() => false,
            };
            if survived {
                break;
            }
            match graphs.put(&submitted).await {
                Ok(()) => {}
                Err(HighAvailabilityError::JobExists { .. }) => retried += 1,
                other => panic!("after {after}, request {request}: {other:?}"),
            }
            let register = process.completed_checkpoints(job(1), FencingToken(1));
            register.recover().await.unwrap_or_else(|error| {
                panic!("after {after}, request {request}: no records: {error}")
            });
        }
    }
    assert!(retried > 2, "{retried} tries found the job");
}

/// A new leader does what is left to do.
async fn take_over(store: &MemoryBackend, promised: &Promised, at: &str) {
    let (process, token) = (services(Arc::new(store.clone()), 2), FencingToken(2));
    let (graphs, results) = (process.job_graph_store(token), process.job_result_store(token));
    let found = soon("recovery", graphs.recover()).await.unwrap();
    let has_ended = results.has_result(job(1)).await.unwrap();
    assert!(!promised.ended || has_ended, "{at}: the result was lost");
    let submitted = SubmittedJob { job: job(1), graph: Bytes::from_static(b"graph") };
    match found.as_slice() {
        [StoredJob::Submitted(found)] => {
            assert!(!has_ended, "{at}: a job that has ended would run again");
            assert_eq!(*found, submitted, "{at}");
            // Its JobMaster finds its records.
            process.completed_checkpoints(job(1), FencingToken(1)).recover().await.unwrap();
            results.create_dirty(&result(job(1), JobStatus::Finished)).await.unwrap();
        }
        [StoredJob::Dirty(_)] => assert!(has_ended, "{at}"),
        [] if has_ended => {}
        [] => {
            assert!(!promised.submitted, "{at}: the job was lost");
            graphs.put(&submitted).await.unwrap();
            results.create_dirty(&result(job(1), JobStatus::Finished)).await.unwrap();
        }
        other => panic!("{at}: {other:?}"),
    }
    process.clean_up_job(job(1), token).await.unwrap();
    assert_eq!(graphs.recover().await.unwrap(), [], "{at}");
    let again = graphs.put(&submitted).await;
    assert!(matches!(again, Err(HighAvailabilityError::JobEnded { .. })), "{at}: {again:?}");
    // Nothing is left but the record of jobs and the result.
    let records = store.records();
    for (folder, left) in [("jobs", 0), ("job-blobs", 0), ("job-results", 1)] {
        assert_eq!(records.list(folder).await.unwrap().len(), left, "{at}: {folder}");
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let careless = Crashing {
        inner: MemoryBackend::default().records(),
        left: AtomicI64::new(-1),
        after: false,
        careless: true,
        uncertain: false,
        crashed: Notify::new(),
    };
    let process = services(Arc::new(CrashingBackend(Arc::new(careless))), 1);
    let found = process.check_backend().await;
    assert!(matches!(found, Err(HighAvailabilityError::Unconditional { .. })), "{found:?}");
}
