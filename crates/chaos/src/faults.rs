//! What happens to the processes, and when: drawn from a seed, so that a run can be repeated as far
//! as real processes allow.

use std::time::Duration;

/// Who is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Victim {
    /// One of the JobManagers.
    JobManager(usize),
    /// One of the TaskManagers.
    TaskManager(usize),
    /// ZooKeeper.
    ZooKeeper,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// SIGKILL; it is started again after that long.
    Kill {
        /// Until the restart.
        back_after: Duration,
    },
    /// SIGSTOP; SIGCONT after that long.
    Stop {
        /// Until it goes on.
        for_: Duration,
    },
    /// SIGTERM, and a new start once it has ended.
    Restart,
}

/// One entry of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedStrike {
    /// Time since the fault before it.
    pub after: Duration,
    /// Who.
    pub victim: Victim,
    /// What.
    pub fault: Strike,
}

/// Small, fixed, good enough (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Draws a plan of `count` faults for that many processes. Without JobManagers that may be hit,
/// ZooKeeper is not hit either.
pub fn plan(
    seed: u64,
    count: usize,
    job_managers: usize,
    task_managers: usize,
) -> Vec<PlannedStrike> {
    let mut random = Random(seed);
    let mut one = || {
        let victim = match random.below(10) {
            _ if job_managers == 0 => {
                Victim::TaskManager(random.below(task_managers as u64) as usize)
            }
            0..3 => Victim::JobManager(random.below(job_managers as u64) as usize),
            3..9 => Victim::TaskManager(random.below(task_managers as u64) as usize),
            _ => Victim::ZooKeeper,
        };
        let fault = match random.below(10) {
            0..5 => Strike::Kill { back_after: random.millis(100, 3_000) },
            5..8 => Strike::Stop { for_: random.millis(200, 6_000) },
            // ZooKeeper's script knows no orderly end.
            _ if victim == Victim::ZooKeeper => Strike::Stop { for_: random.millis(200, 2_000) },
            _ => Strike::Restart,
        };
        // Mostly while the cluster still recovers from the one before; now and then it is at rest.
        let after = match random.below(3) {
            0 => random.millis(20, 500),
            1 => random.millis(500, 2_000),
            _ => random.millis(2_000, 5_000),
        };
        PlannedStrike { after, victim, fault }
    };
    std::iter::repeat_with(&mut one).take(count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_plans_reach_everybody() {
        assert_eq!(plan(7, 60, 2, 3), plan(7, 60, 2, 3));
        assert_ne!(plan(7, 60, 2, 3), plan(8, 60, 2, 3));
        let victims: BTreeSet<Victim> = plan(1, 60, 2, 3).iter().map(|p| p.victim).collect();
        assert_eq!(victims.len(), 6, "{victims:?}");
    }
}
