//! Savepoints as users meet them: formats, rescaling, claim modes, key groups, state that nobody
//! takes, statistics.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use hurtig::{
    CheckpointRetentionPolicy, CheckpointStatsStatus, ExecutionState, JobClient, JobDetails,
    JobOverview, JobStatus, RecoveryClaimMode, SavepointFormat, connectors::BlackHoleSink,
    graph::RestoreFrom, prelude::*,
};

use crate::recovery::{RECORDS, counted, env, numbers, numbers_at, walk};

fn url(directory: &Path) -> String {
    format!("file://{}", directory.display())
}

/// Counts and window sums, as one stream. Operators have uids, so that programs can change around
/// them.
fn all(numbers: &DataStream<i64>) -> DataStream<(i64, i64, i64)> {
    let windows = numbers
        .key_by(|n| n % 13)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(1_000)))
        .process(
            |key: &i64,
             window: TimeWindow,
             numbers: &[i64],
             out: &mut Collector<'_, (i64, i64, i64)>| {
                out.collect((*key, window.end, numbers.iter().sum()));
            },
        )
        .uid("windows");
    windows.union(&[&counted(numbers)])
}

/// Starts a job that takes seconds, and waits until it is in its middle.
fn half_way(env: &StreamExecutionEnvironment) -> JobClient {
    let (running, seen) = std::sync::mpsc::sync_channel(1);
    let numbered = numbers_at(env, 8_000.0).uid("numbers").map(move |n| {
        if n > RECORDS / 10 {
            let _ = running.try_send(());
        }
        n
    });
    all(&numbered).sink_to(BlackHoleSink::new());
    let client = env.execute_async("first half").unwrap();
    seen.recv_timeout(Duration::from_secs(60)).unwrap();
    // Records come out of the source while others are still being restored.
    let all_run = |details: JobDetails| {
        let JobOverview { status, tasks, .. } = details.overview;
        assert_eq!(status, JobStatus::Running, "{:?}", details.failures);
        // A reader for which there is no split has finished.
        let started = [ExecutionState::Running, ExecutionState::Finished];
        tasks.keys().all(|state| started.contains(state))
    };
    while !all_run(client.details().unwrap()) {
        std::thread::yield_now();
    }
    client
}

fn stop(client: &JobClient) {
    client.cancel().unwrap();
    client.wait().unwrap_err();
}

fn savepoint(
    env: &StreamExecutionEnvironment,
    directory: &Path,
    format: SavepointFormat,
) -> String {
    let client = half_way(env);
    let savepoint = client.trigger_savepoint_with(&url(directory), format).unwrap();
    stop(&client);
    savepoint
}

/// What the counts of the whole stream are, whatever it was interrupted by.
fn counts() -> Vec<(i64, i64, i64)> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    (0..RECORDS).for_each(|n| *counts.entry(n % 7).or_default() += 1);
    counts.into_iter().map(|(key, n)| (key, -1, n)).collect()
}

/// Runs the second half. Windows that fired in the first half are gone; the others must be whole.
fn finish(env: &StreamExecutionEnvironment) {
    let lowest = Arc::new(AtomicI64::new(i64::MAX));
    let resumed_at = lowest.clone();
    let numbered = numbers(env).uid("numbers").map(move |n| {
        lowest.fetch_min(n, SeqCst);
        n
    });
    let mut seen = all(&numbered).execute_and_collect("second half").unwrap();
    seen.sort_unstable();
    assert!(resumed_at.load(SeqCst) > 0, "it began anew");
    let (windows, counted): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(_, end, _)| *end >= 0);
    assert_eq!(counted, counts());
    assert!(!windows.is_empty());
    for (key, end, sum) in &windows {
        let expected: i64 = (end - 1_000..*end).filter(|n| n % 13 == *key).sum();
        assert_eq!(*sum, expected, "window until {end} of key {key}");
    }
    let last: Vec<_> = windows.iter().filter(|(_, end, _)| *end == RECORDS).collect();
    assert_eq!(last.len(), 13, "the last windows are all there");
}

/// The first job takes incremental checkpoints all the while.
#[test]
fn both_formats_resume_at_any_parallelism() {
    for format in [SavepointFormat::Canonical, SavepointFormat::Native] {
        let (directory, checkpoints) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = env(2);
        first.set_checkpoint_directory(&url(checkpoints.path()));
        let savepoint = savepoint(&first, directory.path(), format);
        drop(checkpoints);
        for parallelism in [1, 3, 5] {
            let env = env(parallelism);
            env.restore_from(&savepoint, false);
            finish(&env);
        }
    }
}

#[test]
fn a_savepoint_that_is_not_claimed_stays_as_it_is() {
    let (directory, checkpoints) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let savepoint = savepoint(&env(2), directory.path(), SavepointFormat::Canonical);
    let before = walk(directory.path());
    let env = env(2);
    env.set_checkpoint_directory(&url(checkpoints.path()));
    // A path is as good as a URL.
    env.restore_from(savepoint.strip_prefix("file://").unwrap(), false);
    finish(&env);
    assert_eq!(walk(directory.path()), before);
}

#[test]
fn a_claimed_savepoint_is_deleted_once_it_is_subsumed() {
    let (directory, checkpoints) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let savepoint = savepoint(&env(2), directory.path(), SavepointFormat::Native);
    let env = env(3);
    env.set_checkpoint_directory(&url(checkpoints.path()));
    env.restore_with(RestoreFrom {
        pointer: savepoint,
        allow_non_restored_state: false,
        claim_mode: RecoveryClaimMode::Claim,
    });
    finish(&env);
    let left = walk(directory.path());
    assert!(left.is_empty(), "{left:?}");
    let left = walk(checkpoints.path());
    assert!(left.is_empty(), "{left:?}");
}

/// A retained checkpoint shares files with the ones before it, which lie beside it.
#[test]
fn a_retained_checkpoint_is_the_jobs_if_claimed_and_untouched_if_not() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let env_in = |directory: &Path| {
        let env = env(2);
        env.set_checkpoint_config(CheckpointConfig {
            interval_ms: Some(20),
            retention: CheckpointRetentionPolicy::RetainOnCancellation,
            ..CheckpointConfig::default()
        });
        env.set_checkpoint_directory(&url(directory));
        env
    };
    let client = half_way(&env_in(first.path()));
    client.trigger_checkpoint().unwrap();
    client.trigger_checkpoint().unwrap();
    stop(&client);
    let pointer =
        client.checkpoint_stats().unwrap().latest_completed.unwrap().external_path.unwrap();
    let before = walk(first.path());
    assert!(before.iter().any(|path| path.ends_with("_metadata")), "{before:?}");
    assert!(before.iter().any(|path| path.to_string_lossy().contains("/shared/")), "{before:?}");
    for claim_mode in [RecoveryClaimMode::NoClaim, RecoveryClaimMode::Claim] {
        let env = env_in(second.path());
        env.restore_with(RestoreFrom {
            pointer: pointer.to_string(),
            allow_non_restored_state: false,
            claim_mode,
        });
        finish(&env);
        assert_eq!(walk(second.path()), Vec::<std::path::PathBuf>::new());
        let left = walk(first.path());
        match claim_mode {
            RecoveryClaimMode::NoClaim => assert_eq!(left, before),
            RecoveryClaimMode::Claim => assert!(left.is_empty(), "{left:?}"),
        }
    }
}

#[test]
fn the_first_checkpoint_without_a_claim_is_full() {
    let (directory, checkpoints) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let savepoint = savepoint(&env(2), directory.path(), SavepointFormat::Native);
    // On demand alone, so that the first one is known.
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_checkpoint_directory(&url(checkpoints.path()));
    env.restore_from(&savepoint, false);
    let client = half_way(&env);
    client.trigger_checkpoint().unwrap();
    client.trigger_checkpoint().unwrap();
    client.trigger_savepoint(&url(directory.path())).unwrap();
    let stats = client.checkpoint_stats().unwrap();
    let kinds: Vec<_> = stats.history.iter().map(|c| c.checkpoint_type.to_string()).collect();
    assert_eq!(kinds, ["full checkpoint", "checkpoint", "canonical savepoint"]);
    assert!(stats.history.iter().all(|c| c.status == CheckpointStatsStatus::Completed));
    let restored = stats.latest_restored.clone().unwrap();
    assert_eq!((&*restored.external_path, stats.counts.restored), (&*savepoint, 1));
    let latest = stats.latest_completed.clone().unwrap();
    assert!(latest.totals.total_bytes > 0 && latest.num_acknowledged() == latest.num_subtasks);
    assert_eq!(stats.latest_savepoint.clone().map(|s| s.id.0), Some(latest.id.0 + 1));
    assert_eq!(client.details().unwrap().checkpoints.restored, 1);
    stop(&client);
    let stats = client.checkpoint_stats().unwrap();
    assert_eq!(stats.counts.completed, 3, "they stay known when the job has ended");
}

#[test]
fn key_groups_are_those_of_the_savepoint_unless_declared() {
    let directory = tempfile::tempdir().unwrap();
    let first = env(2);
    first.set_max_parallelism(4);
    let savepoint = savepoint(&first, directory.path(), SavepointFormat::Canonical);
    // Left open: what the savepoint has, also in later snapshots.
    let open = env(3);
    open.restore_from(&savepoint, false);
    let client = half_way(&open);
    let vertices = client.details().unwrap().vertices;
    assert!(vertices.iter().any(|vertex| vertex.max_parallelism == 4), "{vertices:?}");
    let second = client.trigger_savepoint(&url(directory.path())).unwrap();
    stop(&client);
    let third = env(4);
    third.restore_from(&second, false);
    finish(&third);
    let refused = |env: &StreamExecutionEnvironment| {
        env.restore_from(&second, false);
        all(&numbers(env).uid("numbers").map(|n| n)).sink_to(BlackHoleSink::new());
        env.execute("refused").unwrap_err().to_string()
    };
    let error = refused(&env(5));
    assert!(error.contains("4 key groups, too few for parallelism 5"), "{error}");
    let declared = env(2);
    declared.set_max_parallelism(8);
    let error = refused(&declared);
    assert!(error.contains("4 key groups") && error.contains("max parallelism to 8"), "{error}");
}

#[test]
fn every_operator_whose_state_would_be_lost_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let savepoint = savepoint(&env(2), directory.path(), SavepointFormat::Canonical);
    let other = env(1);
    other.restore_from(&savepoint, false);
    numbers(&other).uid("numbers").sink_to(BlackHoleSink::new());
    let error = other.execute("other program").unwrap_err().to_string();
    for part in ["\"counts\"", "\"windows\"", " bytes", "--allow-non-restored-state"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!error.contains("\"numbers\""), "{error}");
    // Allowed, what still matches is kept: here the counts, without the windows.
    let changed = env(3);
    changed.restore_from(&savepoint, true);
    let counted = counted(&numbers(&changed).uid("numbers").map(|n| n));
    let mut seen = counted.execute_and_collect("changed program").unwrap();
    seen.sort_unstable();
    assert_eq!(seen, counts());
}
