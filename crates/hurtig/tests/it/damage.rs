//! Checkpoints that are damaged while the job runs: the latest intact one is used.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use hurtig::{graph::RestartStrategyConfig, prelude::*};

use crate::recovery::{RECORDS, counted, env, numbers, walk};

/// When so many checkpoints are complete, flips a bit in all state that the last of them has added,
/// and fails, once.
#[derive(Clone)]
struct FlipsBits {
    directory: PathBuf,
    after: u32,
    attempt: u32,
    completed: u32,
    failing: bool,
    flipped: Arc<AtomicU32>,
    attempts: Arc<AtomicU32>,
    replayed: Arc<AtomicU32>,
}

/// In the middle of every file that was made for that checkpoint.
fn flip(directory: &Path, checkpoint: CheckpointId) -> u32 {
    let of_checkpoint = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Vertex, subtask, attempt, checkpoint, operator, kind.
        name.split('-').nth(3).is_some_and(|id| *id == checkpoint.to_string())
    };
    let mut flipped = 0;
    for path in walk(directory).into_iter().filter(of_checkpoint) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        flipped += 1;
    }
    flipped
}

impl MapFunction<i64, i64> for FlipsBits {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        self.attempts.fetch_max(self.attempt, SeqCst);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if self.attempt > 0 {
            self.replayed.fetch_add(1, SeqCst);
        }
        if std::mem::take(&mut self.failing) { Err("bits were flipped".into()) } else { Ok(value) }
    }

    fn notify_checkpoint_complete(&mut self, id: CheckpointId) -> Result<(), BoxError> {
        self.completed += 1;
        if self.attempt == 0 && self.completed == self.after {
            self.flipped.store(flip(&self.directory, id), SeqCst);
            self.failing = true;
        }
        Ok(())
    }
}

struct Outcome {
    counts: Result<Vec<(i64, i64, i64)>, String>,
    job: FlipsBits,
}

/// Runs a job that retains so many checkpoints, the last of which is damaged when there are `after`.
fn damaged(parallelism: u32, retained: usize, after: u32) -> Outcome {
    let checkpoints = tempfile::tempdir().unwrap();
    let env = env(parallelism);
    env.set_checkpoint_config(CheckpointConfig {
        interval_ms: Some(20),
        // No other checkpoint completes before the job fails.
        min_pause_ms: 150,
        retained,
        ..CheckpointConfig::default()
    });
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 5, delay_ms: 1 });
    env.set_task_executors(if parallelism > 1 { 2 } else { 1 });
    env.set_checkpoint_directory(&format!("file://{}", checkpoints.path().display()));
    let job = FlipsBits {
        directory: checkpoints.path().to_owned(),
        after,
        attempt: 0,
        completed: 0,
        failing: false,
        flipped: Arc::default(),
        attempts: Arc::default(),
        replayed: Arc::default(),
    };
    // One subtask fails, and what keeps state is elsewhere.
    let numbers = numbers(&env).map_with(job.clone()).set_parallelism(1);
    let counts = counted(&numbers).execute_and_collect("damage").map(|mut counts| {
        counts.sort_unstable();
        counts
    });
    let left = walk(checkpoints.path());
    assert!(left.is_empty(), "what was damaged goes with the job: {left:?}");
    Outcome { counts: counts.map_err(|error| error.to_string()), job }
}

#[test]
fn a_flipped_bit_makes_the_job_go_on_from_the_checkpoint_before() {
    for parallelism in [1, 3] {
        let Outcome { counts, job } = damaged(parallelism, 2, 2);
        let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
        (0..RECORDS).for_each(|n| *expected.entry(n % 7).or_default() += 1);
        let expected: Vec<_> = expected.into_iter().map(|(key, n)| (key, -1, n)).collect();
        assert_eq!(counts, Ok(expected));
        assert!(job.flipped.load(SeqCst) > 0, "there was something to damage");
        assert_eq!(job.attempts.load(SeqCst), 2, "one more restart than without the damage");
        assert!(i64::from(job.replayed.load(SeqCst)) < RECORDS, "it began anew");
    }
}

#[test]
fn a_job_without_another_checkpoint_fails_and_names_the_file() {
    let Outcome { counts, job } = damaged(1, 1, 1);
    let error = counts.unwrap_err();
    assert!(error.contains("-0-keyed is damaged"), "{error}");
    assert!(error.contains("there is no other completed checkpoint"), "{error}");
    assert!(job.attempts.load(SeqCst) <= 1, "it tried again and again");
}
