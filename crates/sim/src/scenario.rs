//! What a seed stands for: program, cluster, checkpoints, faults. Plain data, so that a failing
//! seed can be printed, and changed by hand to find out what matters.

use hurtig_graph::{AdaptiveConfig, RestartStrategyConfig};
use hurtig_types::CheckpointConfig;

use crate::{
    faults::{Fault, Planned, Step, When},
    programs::{PROGRAMS, ProgramKind},
    random::Random,
};

/// How a job is stopped in the middle, to be resumed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// A savepoint, then a cancellation.
    Savepoint,
    /// A cancellation that retains the last checkpoint.
    RetainedCheckpoint,
    /// A savepoint with which the job stops, so that nothing is processed behind it.
    Suspend,
}

/// A stop in the middle.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// When, after the submission.
    pub at_ms: u64,
    /// How.
    pub kind: StopKind,
    /// Parallelism of the job that goes on.
    pub then_parallelism: u32,
}

/// Local recovery. Disks stay as they are when faults have stopped: a copy never counts.
#[derive(Clone, Copy, Debug)]
pub struct LocalRecovery {
    /// Copies are read; else they are only written.
    pub recovery: bool,
    /// So many writes and reads in a thousand fail.
    pub failing_permille: u32,
    /// So many copies in a thousand are not what was written.
    pub damaged_permille: u32,
}

/// Everything about one run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed, which also feeds what is drawn during the run.
    pub seed: u64,
    /// What runs.
    pub program: ProgramKind,
    /// A stage of its own stands behind the sources.
    pub extra_stage: bool,
    /// Parallelism.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// TaskExecutors at the start.
    pub task_executors: u32,
    /// Slots of each.
    pub slots: u32,
    /// JobManagers that compete for leadership; `None` for one without high availability.
    pub job_managers: Option<u32>,
    /// Splits of each input.
    pub splits: u32,
    /// Events of each split.
    pub events_per_split: u32,
    /// Number of keys.
    pub keys: u32,
    /// Longest pause of a source between two reads.
    pub longest_pause_ms: u64,
    /// Buffers of the data plane.
    pub buffer_bytes: usize,
    /// Checkpoints.
    pub checkpoints: CheckpointConfig,
    /// Whether they are written to a directory; else to the JobManager's memory.
    pub directory: bool,
    /// Restarts. There is no bound on them, since every fault passes.
    pub restarts: RestartStrategyConfig,
    /// Stops in the middle.
    pub stop: Option<Stop>,
    /// Elastic jobs have settings of their own, and may have to begin with fewer slots.
    pub adaptive: Option<AdaptiveConfig>,
    /// When further TaskExecutors come.
    pub late_task_executors_ms: Vec<u64>,
    /// Local recovery, and how bad the disks are, if there is any.
    pub local_recovery: Option<LocalRecovery>,
    /// What goes wrong.
    pub faults: Vec<Planned>,
    /// From when on nothing goes wrong any more.
    pub calm_ms: u64,
    /// The sink commits before it may: for the test of the checkers.
    pub broken_sink: bool,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let parallelism = random.between(1, 4) as u32;
        let task_executors = random.between(1, 3) as u32;
        let then_parallelism = random.between(1, 4) as u32;
        let widest = parallelism.max(then_parallelism);
        let calm_ms = random.between(1_000, 12_000);
        let faults = random.between(0, 9);
        let interval_ms = random.between(20, 800);
        let max_concurrent = random.between(1, 3) as usize;
        let unaligned = random.permille(400);
        let checkpoints = CheckpointConfig {
            interval_ms: Some(interval_ms),
            min_pause_ms: if random.permille(300) { random.between(0, 200) } else { 0 },
            max_concurrent: if unaligned { 1 } else { max_concurrent },
            unaligned,
            aligned_timeout_ms: *random.pick(&[0, 0, 1, 20, 200]),
            timeout_ms: random.between(500, 10_000),
            tolerable_failed: random.permille(200).then(|| random.between(0, 3) as u32),
            retained: random.between(1, 3) as usize,
            ..CheckpointConfig::default()
        };
        let restarts = if random.permille(700) {
            RestartStrategyConfig::FixedDelay {
                attempts: u32::MAX,
                delay_ms: *random.pick(&[1, 1, 1, 10, 100, 500]),
            }
        } else {
            RestartStrategyConfig::ExponentialDelay {
                initial_ms: random.between(1, 100),
                max_ms: 2_000,
                multiplier: 1.5,
                reset_threshold_ms: 5_000,
                jitter: 0.1,
                max_attempts: None,
            }
        };
        let stop = random.permille(350).then(|| Stop {
            at_ms: random.between(100, 4_000),
            kind: *random.pick(&[
                StopKind::Savepoint,
                StopKind::RetainedCheckpoint,
                StopKind::Suspend,
            ]),
            then_parallelism,
        });
        let mut scenario = Self {
            seed,
            program: *random.pick(PROGRAMS),
            extra_stage: random.permille(500),
            parallelism,
            max_parallelism: *random.pick(&[4, 7, 16, 128]),
            task_executors,
            slots: widest.div_ceil(task_executors) + random.between(0, 1) as u32,
            job_managers: random.permille(500).then(|| random.between(1, 3) as u32),
            splits: random.between(1, 5) as u32,
            events_per_split: random.between(10, 160) as u32,
            keys: random.between(1, 24) as u32,
            longest_pause_ms: random.between(0, 120),
            buffer_bytes: *random.pick(&[64, 512, 4 << 10, 32 << 10]),
            checkpoints,
            directory: random.permille(800),
            restarts,
            stop,
            faults: (0..faults).map(|_| Planned::draw(random, calm_ms)).collect(),
            calm_ms,
            broken_sink: false,
            adaptive: None,
            late_task_executors_ms: Vec::new(),
            local_recovery: None,
        };
        scenario.draw_elastic(random);
        scenario.local_recovery = random.permille(400).then(|| LocalRecovery {
            recovery: random.permille(900),
            failing_permille: *random.pick(&[0, 0, 50, 500]),
            damaged_permille: *random.pick(&[0, 0, 50, 500]),
        });
        scenario.draw_rot(random);
        scenario
    }

    /// Files that rot, in a job that keeps an earlier checkpoint to fall back to. One that is
    /// resumed from a rotten snapshot could not be.
    fn draw_rot(&mut self, random: &mut Random) {
        let falls_back = self.directory && self.checkpoints.retained > 1;
        let rots = falls_back && self.stop.is_none() && self.adaptive.is_none();
        let rotten = if rots && random.permille(800) { random.between(1, 3) } else { 0 };
        self.faults.extend((0..rotten).map(|_| Planned {
            when: When::AtStep(Step::PutMetadata, random.between(3, 12)),
            fault: Fault::RottenFile { which: random.number() },
        }));
    }

    fn draw_elastic(&mut self, random: &mut Random) {
        if random.permille(300) {
            self.adaptive = Some(AdaptiveConfig {
                reactive: random.permille(200),
                // Slots come in the end, however late.
                resource_wait_timeout_ms: None,
                submission_stabilization_ms: random.between(0, 800),
                cooldown_ms: random.between(0, 1_500),
                executing_stabilization_ms: random.between(0, 800),
                max_trigger_delay_ms: random.permille(500).then(|| random.between(0, 2_000)),
                max_checkpoint_failures: random.between(1, 3) as u32,
                min_parallelism_increase: random.between(1, 3) as u32,
                prefer_minimal_task_managers: random.permille(500),
            });
            self.slots = random.between(1, u64::from(self.slots)) as u32;
        }
        let late = if self.adaptive.is_some() { random.between(0, 3) } else { 0 };
        self.late_task_executors_ms =
            (0..late).map(|_| random.between(1, self.calm_ms + 2_000)).collect();
    }

    /// The same without faults.
    pub fn without_faults(mut self) -> Self {
        self.faults.clear();
        if let Some(local) = &mut self.local_recovery {
            (local.failing_permille, local.damaged_permille) = (0, 0);
        }
        self
    }
}
