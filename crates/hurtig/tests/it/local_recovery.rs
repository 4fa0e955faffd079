//! Local recovery: what a failed job reads its state from, shown by damaging the other place.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use hurtig::{config::Configuration, graph::RestartStrategyConfig, prelude::*};

use crate::recovery::{RECORDS, counted, env, numbers};

/// Damages all state in some directories and fails, once, when there is some. That is right after a
/// checkpoint has completed, so that no other is under way.
#[derive(Clone)]
struct Saboteur {
    directories: Vec<PathBuf>,
    attempt: u32,
    completed: bool,
    damaged: Arc<AtomicU32>,
    attempts: Arc<AtomicU32>,
    /// Records that attempts after the first have seen.
    replayed: Arc<AtomicU32>,
}

/// Every file there is but for metadata.
fn damage(directory: &Path) -> u32 {
    let mut damaged = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            damaged += damage(&path);
        } else if name != "_metadata" && name != ".hurtig-local-state.lock" {
            // It may be deleted at this moment, as superfluous.
            let file = fs::OpenOptions::new().write(true).truncate(true).open(&path);
            damaged += u32::from(file.and_then(|mut file| file.write_all(b"damaged")).is_ok());
        }
    }
    damaged
}

impl MapFunction<i64, i64> for Saboteur {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        self.attempt = context.attempt();
        self.attempts.fetch_max(self.attempt, SeqCst);
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<i64, BoxError> {
        if self.attempt > 0 {
            self.replayed.fetch_add(1, SeqCst);
        }
        if self.attempt == 0 && std::mem::take(&mut self.completed) {
            let damaged = self.directories.iter().map(|directory| damage(directory)).sum();
            self.damaged.store(damaged, SeqCst);
            if damaged > 0 {
                return Err("sabotage".into());
            }
        }
        Ok(value)
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Result<(), BoxError> {
        self.completed = true;
        Ok(())
    }
}

struct Outcome {
    counts: Result<Vec<(i64, i64, i64)>, String>,
    saboteur: Saboteur,
    left: Vec<PathBuf>,
}

/// Runs a job with state that is damaged in the directories `primary` and `local`, as asked.
fn sabotaged(parallelism: u32, yaml: &str, primary: bool, local: bool) -> Outcome {
    let (checkpoints, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let env = env(parallelism);
    env.set_checkpoint_config(CheckpointConfig {
        interval_ms: Some(20),
        min_pause_ms: 300,
        ..CheckpointConfig::default()
    });
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 3, delay_ms: 1 });
    env.set_task_executors(if parallelism > 1 { 2 } else { 1 });
    env.set_checkpoint_directory(&format!("file://{}", checkpoints.path().display()));
    let mut configuration = Configuration::new();
    configuration.add_yaml(yaml, "config.yaml").unwrap();
    let dirs = format!("execution.checkpointing.local-backup.dirs={}", copies.path().display());
    configuration.add_dynamic(&dirs).unwrap();
    env.configure(configuration).unwrap();
    let damaged = [(primary, &checkpoints), (local, &copies)].into_iter().filter(|(it, _)| *it);
    let saboteur = Saboteur {
        directories: damaged.map(|(_, directory)| directory.path().to_owned()).collect(),
        attempt: 0,
        completed: false,
        damaged: Arc::default(),
        attempts: Arc::default(),
        replayed: Arc::default(),
    };
    // One subtask fails, and what keeps state is elsewhere.
    let numbers = numbers(&env).map_with(saboteur.clone()).set_parallelism(1);
    let counts = counted(&numbers).execute_and_collect("local recovery");
    let counts = counts.map(|mut counts| {
        counts.sort_unstable();
        counts
    });
    let left = fs::read_dir(copies.path()).unwrap().map(|entry| entry.unwrap().path());
    let left = left.collect();
    Outcome { counts: counts.map_err(|error| error.to_string()), saboteur, left }
}

const ON: &str = "execution.state-recovery.from-local: true\n";

/// The job went on from its checkpoint at the first attempt, without loss or repetition.
fn assert_recovered(outcome: &Outcome) {
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    (0..RECORDS).for_each(|n| *expected.entry(n % 7).or_default() += 1);
    let expected: Vec<_> = expected.into_iter().map(|(key, n)| (key, -1, n)).collect();
    assert_eq!(outcome.counts.as_ref(), Ok(&expected));
    assert!(outcome.saboteur.damaged.load(SeqCst) > 0, "there was something to damage");
    assert_eq!(outcome.saboteur.attempts.load(SeqCst), 1, "the first restore succeeds");
    let replayed = i64::from(outcome.saboteur.replayed.load(SeqCst));
    assert!(replayed < RECORDS, "it began anew");
}

#[test]
fn a_failed_task_restores_from_its_local_copy() {
    for parallelism in [1, 3] {
        let outcome = sabotaged(parallelism, ON, true, false);
        assert_recovered(&outcome);
        assert!(outcome.left.is_empty(), "{:?}", outcome.left);
    }
}

#[test]
fn a_damaged_local_copy_is_passed_over() {
    assert_recovered(&sabotaged(3, ON, false, true));
}

/// The counterparts of both: with such damage nothing can be restored from elsewhere.
#[test]
fn without_any_intact_file_there_is_no_restore() {
    let backup = "execution.checkpointing.local-backup.enabled";
    for (yaml, local) in [
        (ON, true),
        ("", false),
        (&*format!("{backup}: true\n"), false),
        (&*format!("{ON}{backup}: false\n"), false),
    ] {
        let error = sabotaged(1, yaml, true, local).counts.unwrap_err();
        assert!(error.contains("does not begin as a file of this format"), "{yaml}: {error}");
    }
}
