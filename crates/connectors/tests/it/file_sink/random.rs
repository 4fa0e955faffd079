//! Random lives of a job against a naive model: what was written up to the checkpoint that the job
//! goes on from, and nothing else, is visible in the end, each record once. In between, nothing is
//! visible that no completed checkpoint covers.

use std::{path::Path, sync::Arc, time::Duration};

use futures::TryStreamExt;
use hurtig_connector_api::Sink;
use hurtig_connectors::file_sink::{
    BucketContext, DefaultRollingPolicy, FileSink, OnCheckpointRollingPolicy, PendingFile,
    SimpleStringEncoder, Stores,
};
use hurtig_filesystem::object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::cluster::{Cluster, Snapshot, block_on, files, lines};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many records to a subtask.
    Write(usize, u32),
    /// Time passes.
    Wait(u64),
    /// A checkpoint that completes; the subtasks of the mask hear of it.
    Checkpoint(u8),
    /// A checkpoint that does not.
    Abort,
    /// The attempt fails, with or without closing its operators, and the job goes on at another
    /// parallelism.
    Crash(bool, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..4, 1u32..12).prop_map(|(subtask, n)| Step::Write(subtask, n)),
        1 => (1u64..40).prop_map(Step::Wait),
        3 => any::<u8>().prop_map(Step::Checkpoint),
        1 => Just(Step::Abort),
        2 => (any::<bool>(), 1usize..4).prop_map(|(orderly, p)| Step::Crash(orderly, p)),
    ];
    prop::collection::vec(step, 0..40)
}

/// What is visible, and how many files are not yet.
trait Place {
    async fn visible(&self) -> Vec<String>;
    async fn hidden(&self) -> usize;
}

struct Disk<'a>(&'a Path);

impl Place for Disk<'_> {
    async fn visible(&self) -> Vec<String> {
        lines(self.0)
    }
    async fn hidden(&self) -> usize {
        files(self.0, true).len()
    }
}

struct Memory(Arc<dyn ObjectStore>);

impl Memory {
    async fn objects(&self, hidden: bool) -> Vec<String> {
        let objects: Vec<_> = self.0.list(None).try_collect().await.unwrap();
        let mut texts = Vec::new();
        for object in objects {
            if object.location.as_ref().contains("/.") == hidden {
                let bytes = self.0.get(&object.location).await.unwrap().bytes().await.unwrap();
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        texts
    }
}

impl Place for Memory {
    async fn visible(&self) -> Vec<String> {
        let texts = self.objects(false).await;
        let mut lines: Vec<_> =
            texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        lines.sort();
        lines
    }
    async fn hidden(&self) -> usize {
        self.objects(true).await.len()
    }
}

/// The model: records by number, and how many of them each completed checkpoint covers.
async fn live<S>(sink: S, place: impl Place, steps: &[Step])
where
    S: Sink<Input = u32, Committable = PendingFile>,
{
    let mut job = Cluster::start(sink, 2);
    let mut written: Vec<u32> = Vec::new();
    let mut next = 0;
    let mut complete: Option<(Snapshot, Vec<u32>)> = None;
    for step in steps {
        match *step {
            Step::Write(subtask, n) => {
                let values: Vec<u32> = (next..next + n).collect();
                next += n;
                written.extend(&values);
                job.write(subtask, values).unwrap();
            }
            Step::Wait(ms) => {
                tokio::time::advance(Duration::from_millis(ms)).await;
                job.timers().unwrap();
            }
            Step::Checkpoint(mask) => {
                let snapshot = job.checkpoint().await.unwrap();
                let id = snapshot.id;
                complete = Some((snapshot, written.clone()));
                job.complete(id, |subtask| mask & (1 << subtask) != 0).unwrap();
                job.timers().unwrap();
            }
            Step::Abort => {
                job.checkpoint().await.unwrap();
            }
            Step::Crash(orderly, parallelism) => {
                job.stop(orderly).unwrap();
                written = complete.as_ref().map_or(Vec::new(), |(_, then)| then.clone());
                let snapshot = complete.as_ref().map(|(snapshot, _)| snapshot);
                // Without a checkpoint to name them, subtasks come back as they were.
                let parallelism = if snapshot.is_some() { parallelism } else { 2 };
                job.open(parallelism, snapshot).unwrap();
            }
        }
        let covered = complete.as_ref().map_or(&[][..], |(_, covered)| covered);
        for line in place.visible().await {
            let value: u32 = line.parse().unwrap();
            assert!(covered.contains(&value), "{value} is visible too early");
        }
    }
    job.end().await.unwrap();
    let mut expected: Vec<_> = written.iter().map(u32::to_string).collect();
    expected.sort();
    assert_eq!(place.visible().await, expected);
    assert_eq!(place.hidden().await, 0, "files that nobody needs");
}

fn by_digit(value: &u32, _: &BucketContext, bucket: &mut String) {
    bucket.push_str(&(value % 3).to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn files_that_go_on_behind_checkpoints_hold_each_record_once(steps in steps()) {
        let base = tempfile::tempdir().unwrap();
        let policy = DefaultRollingPolicy::new()
            .with_max_part_size(12)
            .with_rollover_interval(Duration::from_millis(50))
            .with_inactivity_interval(Duration::from_millis(30));
        let sink = FileSink::for_row_format(base.path().display().to_string(), SimpleStringEncoder)
            .with_bucket_assigner(by_digit)
            .with_bucket_check_interval(Duration::from_millis(10))
            .with_rolling_policy(policy);
        block_on(live(sink, Disk(base.path()), &steps));
    }

    #[test]
    fn files_that_end_at_checkpoints_hold_each_record_once(steps in steps()) {
        let base = tempfile::tempdir().unwrap();
        let sink = FileSink::for_row_format(base.path().display().to_string(), SimpleStringEncoder)
            .with_bucket_assigner(by_digit)
            .with_rolling_policy(OnCheckpointRollingPolicy);
        block_on(live(sink, Disk(base.path()), &steps));
    }

    #[test]
    fn objects_hold_each_record_once(steps in steps()) {
        let stores = Arc::new(Stores::default());
        let place = Memory(stores.locate("memory:///").unwrap().store);
        let policy = DefaultRollingPolicy::new()
            .with_max_part_size(12)
            .with_rollover_interval(Duration::from_millis(50));
        let sink = FileSink::for_row_format("memory:///out", SimpleStringEncoder)
            .with_bucket_assigner(by_digit)
            .with_bucket_check_interval(Duration::from_millis(10))
            .with_rolling_policy(policy)
            .with_stores(stores);
        block_on(live(sink, place, &steps));
    }
}
