//! Jobs that are stopped with a savepoint: what becomes visible before and after is compared with
//! what the whole input gives, record by record.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
};

use hurtig::{JobClient, JobStatus, TerminateKind, graph::RestartStrategyConfig, prelude::*};

use crate::{
    exactly_once_files::{RECORDS, assert_exactly_once, program, read},
    support::{eventually, wait},
};

/// Counts and sums what comes by, and may fail when a checkpoint is complete.
#[derive(Clone, Default)]
struct Observer {
    count: Arc<AtomicI64>,
    sum: Arc<AtomicI64>,
    fails_at_completion: Arc<AtomicBool>,
}

impl MapFunction<i64, i64> for Observer {
    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        self.count.fetch_add(1, SeqCst);
        self.sum.fetch_add(value, SeqCst);
        Ok(value)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        match self.fails_at_completion.swap(false, SeqCst) {
            true => Err("at a complete savepoint".into()),
            false => Ok(()),
        }
    }
}

/// How a job runs.
#[derive(Clone, Copy)]
struct Shape {
    parallelism: u32,
    task_executors: u32,
    /// Of checkpoints.
    interval_ms: u64,
}

/// Starts the job, from a savepoint if one is given.
fn start(shape: Shape, directory: &Path, observer: &Observer, from: Option<&str>) -> JobClient {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(shape.parallelism).enable_checkpointing(shape.interval_ms);
    env.set_task_executors(shape.task_executors).set_auto_watermark_interval_ms(3);
    env.set_checkpoint_directory(&format!("file://{}/state", directory.display()));
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 3, delay_ms: 1 });
    if let Some(savepoint) = from {
        env.restore_from(savepoint, false);
    }
    let output = directory.join("output");
    let sink = FileSink::for_row_format(output.to_str().unwrap(), SimpleStringEncoder)
        .with_bucket_assigner(BasePathBucketAssigner);
    program(&env, observer.clone()).rebalance().sink_to(sink).uid("files");
    env.execute_async("to be stopped").unwrap()
}

/// Asks until it is granted: not before all tasks run.
fn stop(client: &JobClient, directory: &Path, kind: TerminateKind) -> String {
    let savepoints = format!("file://{}/savepoints", directory.display());
    let mut taken = None;
    eventually("the job stops", || {
        assert_eq!(client.status().unwrap(), JobStatus::Running);
        taken = client.stop_with_savepoint(&savepoints, kind).ok();
        taken.is_some()
    });
    taken.unwrap()
}

fn texts(directory: &Path) -> Vec<String> {
    let files = read(&directory.join("output")).into_iter();
    files.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

fn has_seen(observer: &Observer, records: i64) {
    eventually("records come by", || observer.count.load(SeqCst) >= records);
}

#[test]
fn a_suspended_job_goes_on_where_it_stood() {
    let shapes = [(1, 1, 15, 2), (2, 2, 15, 5), (3, 1, 600_000, 1)];
    for (parallelism, task_executors, interval_ms, then_parallelism) in shapes {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let observer = Observer::default();
        let shape = Shape { parallelism, task_executors, interval_ms };
        let first = start(shape, directory, &observer, None);
        has_seen(&observer, RECORDS / 5);
        let savepoint = stop(&first, directory, TerminateKind::Suspend);
        assert_eq!(wait(&first).unwrap().restarts, 0);
        assert_eq!(first.status().unwrap(), JobStatus::Finished);
        assert!(observer.count.load(SeqCst) < RECORDS, "it was stopped in its middle");
        let shape = Shape { parallelism: then_parallelism, interval_ms: 15, ..shape };
        wait(&start(shape, directory, &observer, Some(&savepoint))).unwrap();
        assert_eq!(observer.count.load(SeqCst), RECORDS, "nothing was read twice");
        assert_exactly_once(texts(directory), 0);
    }
}

#[test]
fn a_drained_job_has_fired_all_windows_and_timers() {
    for (parallelism, task_executors) in [(1, 1), (3, 2)] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let observer = Observer::default();
        let shape = Shape { parallelism, task_executors, interval_ms: 15 };
        let first = start(shape, directory, &observer, None);
        has_seen(&observer, RECORDS / 5);
        let savepoint = stop(&first, directory, TerminateKind::Drain);
        assert_eq!(wait(&first).unwrap().restarts, 0);
        let (count, sum) = (observer.count.load(SeqCst), observer.sum.load(SeqCst));
        assert!(count < RECORDS, "it was stopped in its middle");
        let mut totals: BTreeMap<String, i64> = BTreeMap::new();
        for line in texts(directory).iter().flat_map(|text| text.lines()) {
            let fields: Vec<_> = line.split(' ').collect();
            *totals.entry(fields[0].to_owned()).or_default() += fields[3].parse::<i64>().unwrap();
        }
        let expected = [("count".to_owned(), count), ("sum".to_owned(), sum)];
        assert_eq!(totals, BTreeMap::from(expected));
        // It may be resumed: the sources go on, though windows that were cut in two come twice.
        wait(&start(shape, directory, &observer, Some(&savepoint))).unwrap();
        assert_eq!(observer.count.load(SeqCst), RECORDS, "nothing was read twice");
    }
}

#[test]
fn a_job_that_fails_behind_the_savepoint_goes_on_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let observer = Observer::default();
    let shape = Shape { parallelism: 2, task_executors: 2, interval_ms: 600_000 };
    let client = start(shape, directory, &observer, None);
    has_seen(&observer, RECORDS / 5);
    observer.fails_at_completion.store(true, SeqCst);
    let savepoints = format!("file://{}/savepoints", directory.display());
    let mut error = String::new();
    eventually("the savepoint is taken", || {
        let stopped = client.stop_with_savepoint(&savepoints, TerminateKind::Suspend);
        error = stopped.unwrap_err().to_string();
        error.contains("was taken")
    });
    assert!(error.contains("goes on from the savepoint"), "{error}");
    eventually("the last checkpoint is taken", || {
        // Not before all tasks run, and not when all have ended.
        let _ = client.trigger_checkpoint();
        client.status().unwrap() == JobStatus::Finished
    });
    assert_eq!(wait(&client).unwrap().restarts, 1);
    assert_exactly_once(texts(directory), 0);
}
