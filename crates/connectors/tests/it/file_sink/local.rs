//! Behaviour one by one, on the local disk.

use std::{io::Read, path::Path, time::Duration};

use flate2::read::MultiGzDecoder;
use hurtig_connector_api::Sink;
use hurtig_connectors::file_sink::{
    BasePathBucketAssigner, BucketContext, DefaultRollingPolicy, Encoder, FileSink,
    GzipWriterFactory, Limits, OnCheckpointRollingPolicy, OutputFileConfig, PendingFile,
    SimpleStringEncoder,
};
use hurtig_types::{BoxError, JobId};

use super::cluster::{Cluster, block_on, files, lines};

fn by_digit(value: &u32, _: &BucketContext, bucket: &mut String) {
    bucket.push_str("digit=");
    bucket.push_str(&(value % 10).to_string());
}

fn never() -> DefaultRollingPolicy {
    let long = Duration::from_secs(1 << 30);
    DefaultRollingPolicy::new().with_rollover_interval(long).with_inactivity_interval(long)
}

fn rows(base: &Path) -> impl Sink<Input = u32, Committable = PendingFile> + use<> {
    FileSink::for_row_format(base.display().to_string(), SimpleStringEncoder)
        .with_bucket_assigner(by_digit)
        .with_rolling_policy(never())
}

fn hidden(base: &Path) -> usize {
    files(base, true).len()
}

#[test]
fn records_appear_in_their_buckets_when_the_checkpoint_of_the_end_is_complete() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let mut job = Cluster::start(rows(base.path()), 1);
        job.write(0, vec![1, 11, 2]).unwrap();
        let first = job.checkpoint().await.unwrap();
        job.complete(first.id, |_| true).unwrap();
        job.write(0, vec![21]).unwrap();
        assert!(lines(base.path()).is_empty(), "files go on behind the checkpoint");
        assert_eq!(hidden(base.path()), 2);
        job.end().await.unwrap();
    });
    let found = files(base.path(), false);
    let found: Vec<_> = found
        .iter()
        .map(|(path, text)| {
            let (bucket, name) = path.split_once('/').unwrap();
            assert!(name.starts_with("part-"), "{name}");
            (bucket, std::str::from_utf8(text).unwrap())
        })
        .collect();
    assert_eq!(found, [("digit=1", "1\n11\n21\n"), ("digit=2", "2\n")]);
    assert!(!base.path().join(".inprogress").exists());
}

#[test]
fn a_restored_writer_cuts_its_file_and_goes_on() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        for orderly in [false, true] {
            let mut job = Cluster::idle(rows(base.path()));
            job.job = JobId(u128::from(orderly));
            job.open(1, None).unwrap();
            job.write(0, vec![1]).unwrap();
            let snapshot = job.checkpoint().await.unwrap();
            // In no checkpoint that completes: the rest of one file, and another file.
            job.write(0, vec![11, 2]).unwrap();
            job.checkpoint().await.unwrap();
            job.write(0, vec![3]).unwrap();
            job.stop(orderly).unwrap();
            job.open(1, Some(&snapshot)).unwrap();
            assert_eq!(hidden(base.path()), 1, "only what is in the checkpoint");
            job.write(0, vec![21]).unwrap();
            job.end().await.unwrap();
            assert_eq!(hidden(base.path()), 0);
        }
    });
    assert_eq!(lines(base.path()), ["1", "1", "21", "21"]);
}

#[test]
fn open_files_are_spread_over_more_and_merged_into_fewer_writers() {
    for (before, after) in [(1, 3), (3, 1), (2, 5), (4, 3)] {
        let base = tempfile::tempdir().unwrap();
        block_on(async {
            let mut job = Cluster::start(rows(base.path()), before);
            for subtask in 0..before {
                job.write(subtask, vec![1, 2, 3]).unwrap();
            }
            let snapshot = job.checkpoint().await.unwrap();
            job.write(0, vec![4]).unwrap();
            job.stop(false).unwrap();
            job.open(after, Some(&snapshot)).unwrap();
            for subtask in 0..after {
                job.write(subtask, vec![1]).unwrap();
            }
            job.end().await.unwrap();
        });
        let of = |digit: &str| lines(base.path()).iter().filter(|line| *line == digit).count();
        assert_eq!((of("1"), of("2"), of("3"), of("4")), (before + after, before, before, 0));
        assert_eq!(hidden(base.path()), 0, "from {before} to {after}");
    }
}

#[test]
fn files_end_by_size_and_by_time() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let policy =
            never().with_max_part_size(5).with_inactivity_interval(Duration::from_millis(10));
        let sink = FileSink::for_row_format(base.path().display().to_string(), SimpleStringEncoder)
            .with_bucket_assigner(BasePathBucketAssigner)
            .with_bucket_check_interval(Duration::from_millis(4))
            .with_output_file_config(
                OutputFileConfig::new().with_part_prefix("n").with_part_suffix(".txt"),
            )
            .with_rolling_policy(policy);
        let mut job = Cluster::start(sink, 1);
        job.write(0, vec![100, 200, 300]).unwrap();
        for _ in 0..5 {
            tokio::time::advance(Duration::from_millis(4)).await;
            job.timers().unwrap();
        }
        job.write(0, vec![400]).unwrap();
        let snapshot = job.checkpoint().await.unwrap();
        job.complete(snapshot.id, |_| true).unwrap();
        let ended: Vec<_> = files(base.path(), false).into_iter().map(|(_, text)| text).collect();
        assert_eq!(ended, [b"100\n200\n".to_vec(), b"300\n".to_vec()]);
        job.end().await.unwrap();
    });
    assert_eq!(lines(base.path()), ["100", "200", "300", "400"]);
    for (path, _) in files(base.path(), false) {
        assert!(path.starts_with("n-") && path.ends_with(".txt"), "{path}");
    }
}

#[test]
fn bulk_files_end_at_every_checkpoint() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let format = GzipWriterFactory::new(SimpleStringEncoder).with_level(1);
        let sink = FileSink::for_bulk_format(base.path().display().to_string(), format)
            .with_bucket_assigner(BasePathBucketAssigner)
            .with_rolling_policy(OnCheckpointRollingPolicy);
        let mut job = Cluster::start(sink, 1);
        let mut last = None;
        for round in 0..3u32 {
            job.write(0, (round * 50_000..(round + 1) * 50_000).collect()).unwrap();
            let snapshot = job.checkpoint().await.unwrap();
            job.complete(snapshot.id, |_| true).unwrap();
            assert_eq!(files(base.path(), false).len(), round as usize + 1);
            last = Some(snapshot);
        }
        job.write(0, vec![7]).unwrap();
        job.stop(false).unwrap();
        job.open(1, last.as_ref()).unwrap();
        assert_eq!(hidden(base.path()), 0);
        job.end().await.unwrap();
    });
    let mut numbers = Vec::new();
    for (_, bytes) in files(base.path(), false) {
        let mut text = String::new();
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        numbers.extend(text.lines().map(|line| line.parse::<u32>().unwrap()));
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..150_000));
}

#[test]
fn without_checkpoints_files_appear_at_the_end_and_an_attempt_begins_anew() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let mut job = Cluster::idle(rows(base.path()));
        job.checkpoints = false;
        job.open(2, None).unwrap();
        job.write(0, vec![1]).unwrap();
        job.write(1, vec![2]).unwrap();
        job.finish().await.unwrap();
        assert_eq!(lines(base.path()), ["1", "2"]);
        // Another vertex fails, so all of it is repeated.
        job.stop(false).unwrap();
        job.open(2, None).unwrap();
        job.write(0, vec![3]).unwrap();
        job.finish().await.unwrap();
        job.stop(true).unwrap();
    });
    assert_eq!(lines(base.path()), ["3"]);
}

#[test]
fn jobs_share_a_directory() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let mut first = Cluster::start(rows(base.path()), 2);
        first.write(0, vec![1]).unwrap();
        let snapshot = first.checkpoint().await.unwrap();
        let mut other = Cluster::idle(rows(base.path()));
        other.job = JobId(2);
        other.open(2, None).unwrap();
        other.write(0, vec![2]).unwrap();
        first.write(0, vec![11]).unwrap();
        first.stop(false).unwrap();
        first.open(2, Some(&snapshot)).unwrap();
        other.end().await.unwrap();
        first.end().await.unwrap();
    });
    assert_eq!(lines(base.path()), ["1", "2"]);
}

#[test]
fn a_job_that_is_cancelled_leaves_only_what_a_checkpoint_names() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let mut job = Cluster::start(rows(base.path()), 1);
        job.write(0, vec![1]).unwrap();
        job.stop(true).unwrap();
        assert_eq!(files(base.path(), true), []);
        job.open(1, None).unwrap();
        job.write(0, vec![1]).unwrap();
        job.checkpoint().await.unwrap();
        job.write(0, vec![2]).unwrap();
        job.stop(true).unwrap();
    });
    assert_eq!(hidden(base.path()), 1);
}

#[test]
fn more_buckets_than_files_may_be_open_are_written_all_the_same() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let sink = FileSink::for_row_format(base.path().display().to_string(), SimpleStringEncoder)
            .with_bucket_assigner(by_digit)
            .with_limits(Limits { open_parts: 3, buffered_bytes: 1 << 20 })
            .with_rolling_policy(never());
        let mut job = Cluster::start(sink, 1);
        job.write(0, (0..30).collect()).unwrap();
        job.end().await.unwrap();
    });
    assert_eq!(lines(base.path()).len(), 30);
    assert!(files(base.path(), false).len() > 10, "a file of each bucket had to end");
}

struct Refuses;

impl Encoder<u32> for Refuses {
    fn encode(&self, element: &u32, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Err(format!("{element} has no form").into())
    }
}

#[test]
fn errors_name_the_bucket_or_the_part() {
    let base = tempfile::tempdir().unwrap();
    block_on(async {
        let path = base.path().display().to_string();
        let assigner = |_: &u32, _: &BucketContext, bucket: &mut String| bucket.push_str("../up");
        let sink = FileSink::for_row_format(&path, SimpleStringEncoder);
        let mut job = Cluster::start(sink.with_bucket_assigner(assigner), 1);
        let error = job.write(0, vec![1]).unwrap_err().chain_text();
        assert_eq!(error, "\"../up\" cannot be a bucket: it leads elsewhere");

        let mut job = Cluster::start(FileSink::for_row_format(&path, Refuses), 1);
        let error = job.write(0, vec![1]).unwrap_err().chain_text();
        assert!(error.starts_with("cannot encode a record for part-"), "{error}");
        assert!(error.contains(&path) && error.ends_with(": 1 has no form"), "{error}");
    });
    std::fs::write(base.path().join("file"), "").unwrap();
    block_on(async {
        let path = base.path().join("file").display().to_string();
        let mut job = Cluster::start(FileSink::for_row_format(&path, SimpleStringEncoder), 1);
        let error = job.write(0, vec![1u32]).unwrap_err().chain_text();
        assert!(error.starts_with("cannot create ") && error.contains(&path), "{error}");
    });
}
