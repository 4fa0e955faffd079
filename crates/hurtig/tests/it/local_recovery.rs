//! Local recovery: what a failed job reads its state from, shown by damaging the other place.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
};

use hurtig::{CheckpointId, config::Configuration, graph::RestartStrategyConfig, prelude::*};

use crate::recovery::{counted, env, expected_counts, numbers, walk};

/// Damages all state in some directories and fails, once, some time after a checkpoint.
#[derive(Clone)]
struct Saboteur {
    directories: Vec<PathBuf>,
    attempt: u32,
    completed: bool,
    since: u32,
    damaged: Arc<AtomicU32>,
    attempts: Arc<AtomicU32>,
    /// The lowest record that an attempt after the first has seen.
    resumed_at: Arc<AtomicI64>,
}

/// Every file there is but for metadata: what may still become part of a checkpoint that this
/// subtask has acknowledged is written.
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
            self.resumed_at.fetch_min(value, SeqCst);
        }
        self.since += u32::from(self.completed);
        if self.attempt == 0 && self.since > 500 {
            for directory in &self.directories {
                self.damaged.fetch_add(damage(directory), SeqCst);
            }
            return Err("sabotage".into());
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
        since: 0,
        damaged: Arc::default(),
        attempts: Arc::default(),
        resumed_at: Arc::new(AtomicI64::new(i64::MAX)),
    };
    // One subtask fails, and what keeps state is elsewhere.
    let numbers = numbers(&env).map_with(saboteur.clone()).set_parallelism(1);
    let counts = counted(&numbers).execute_and_collect("local recovery");
    let counts = counts.map(|mut counts| {
        counts.sort_unstable();
        counts
    });
    let left = walk(copies.path());
    Outcome { counts: counts.map_err(|error| error.to_string()), saboteur, left }
}

const ON: &str = "execution.state-recovery.from-local: true";

#[test]
fn a_failed_task_restores_from_its_local_copy() {
    for parallelism in [1, 3] {
        let outcome = sabotaged(parallelism, ON, true, false);
        assert_eq!(outcome.counts.unwrap(), expected_counts(), "parallelism {parallelism}");
        assert!(outcome.saboteur.damaged.load(SeqCst) > 0, "there was something to damage");
        assert_eq!(outcome.saboteur.attempts.load(SeqCst), 1, "the first restore succeeds");
        assert!(outcome.saboteur.resumed_at.load(SeqCst) > 0, "it began anew");
        assert!(outcome.left.is_empty(), "{:?}", outcome.left);
    }
}

#[test]
fn a_damaged_local_copy_is_passed_over() {
    let outcome = sabotaged(3, ON, false, true);
    assert_eq!(outcome.counts.unwrap(), expected_counts());
    assert!(outcome.saboteur.damaged.load(SeqCst) > 0, "there was something to damage");
    assert_eq!(outcome.saboteur.attempts.load(SeqCst), 1, "the first restore succeeds");
    assert!(outcome.saboteur.resumed_at.load(SeqCst) > 0, "it began anew");
}

/// The counterparts of both: the damage is such that nothing can be restored.
#[test]
fn without_any_intact_file_there_is_no_restore() {
    for (yaml, local) in [
        (ON, true),
        ("", false),
        ("execution.checkpointing.local-backup.enabled: true", false),
        ("{execution.state-recovery.from-local: true, \
          execution.checkpointing.local-backup.enabled: false}", false),
    ] {
        let outcome = sabotaged(1, yaml, true, local);
        let error = outcome.counts.unwrap_err();
        assert!(error.contains("does not begin as a file of this format"), "{yaml}: {error}");
    }
}
