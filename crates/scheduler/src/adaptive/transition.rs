//! When a job takes the next step: it starts with the slots that it has, or changes its parallelism.
//!
//! ```text
//! Cooldown --> Idling --(sufficient)--> Stabilizing --(time)--> Stabilized
//!    |                                   ^   |                      |
//!    +------ slots came meanwhile -------+   | desired              | sufficient
//!                                            v                      v
//!                                         Transitioning <-----------+
//! ```
//! *Sufficient* slots allow the step, *desired* ones leave nothing to wait for. In *Stabilizing* the
//! step is taken as soon as slots are as desired, in *Stabilized* as soon as they are sufficient:
//! both when a checkpoint has completed (`on_trigger`), or after the longest delay without one.

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// All that the job wants.
    pub desired: bool,
    /// Enough for the step.
    pub sufficient: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Cooldown { until_ms: i64, first_change_ms: Option<i64> },
    Idling,
    Stabilizing { first_change_ms: i64, evaluate_at_ms: Option<i64> },
    Stabilized { first_change_ms: i64 },
    Transitioning,
}

/// One wait for one step.
#[derive(Clone, Debug)]
pub struct TransitionManager {
    phase: Phase,
    stabilization_ms: u64,
    max_delay_ms: u64,
}

fn after(at_ms: i64, delay_ms: u64) -> i64 {
    at_ms.saturating_add_unsigned(delay_ms)
}

impl TransitionManager {
    /// A wait that begins now with a cooldown.
    pub fn new(now_ms: i64, cooldown_ms: u64, stabilization_ms: u64, max_delay_ms: u64) -> Self {
        let phase = match cooldown_ms {
            0 => Phase::Idling,
            _ => Phase::Cooldown { until_ms: after(now_ms, cooldown_ms), first_change_ms: None },
        };
        Self { phase, stabilization_ms, max_delay_ms }
    }

    /// Nothing is waited for any more.
    pub fn stop(&mut self) {
        self.phase = Phase::Transitioning;
    }

    fn stabilize(&self, first_change_ms: i64) -> Phase {
        let evaluate_at_ms = Some(after(first_change_ms, self.max_delay_ms));
        Phase::Stabilizing { first_change_ms, evaluate_at_ms }
    }

    /// Slots or wishes have changed; [`TransitionManager::advance`] follows.
    pub fn on_change(&mut self, now_ms: i64, resources: Resources) {
        let delay_ms = self.max_delay_ms;
        match &mut self.phase {
            Phase::Cooldown { first_change_ms, .. } if resources.sufficient => {
                first_change_ms.get_or_insert(now_ms);
            }
            Phase::Idling if resources.sufficient => self.phase = self.stabilize(now_ms),
            Phase::Stabilizing { evaluate_at_ms, .. } => {
                evaluate_at_ms.get_or_insert(after(now_ms, delay_ms));
            }
            _ => {}
        }
    }

    /// It is a good moment for the step. True if it is to be taken.
    pub fn on_trigger(&mut self, resources: Resources) -> bool {
        match self.phase {
            Phase::Stabilizing { .. } if resources.desired => {}
            Phase::Stabilized { .. } if resources.sufficient => {}
            Phase::Stabilized { .. } => {
                self.phase = Phase::Idling;
                return false;
            }
            _ => return false,
        }
        self.phase = Phase::Transitioning;
        true
    }

    /// Time has passed. True if the step is to be taken.
    pub fn advance(&mut self, now_ms: i64, resources: Resources) -> bool {
        while self.wake_at().is_some_and(|at| at <= now_ms) {
            match self.phase {
                Phase::Cooldown { first_change_ms, .. } => {
                    self.phase = first_change_ms.map_or(Phase::Idling, |at| self.stabilize(at));
                }
                Phase::Stabilizing { first_change_ms, evaluate_at_ms } => {
                    if evaluate_at_ms.is_some_and(|at| at <= now_ms) && resources.desired {
                        self.phase = Phase::Transitioning;
                        return true;
                    }
                    self.phase = if after(first_change_ms, self.stabilization_ms) <= now_ms {
                        Phase::Stabilized { first_change_ms }
                    } else {
                        Phase::Stabilizing { first_change_ms, evaluate_at_ms: None }
                    };
                }
                Phase::Stabilized { .. } => return self.on_trigger(resources),
                Phase::Idling | Phase::Transitioning => return false,
            }
        }
        false
    }

    /// When to call [`TransitionManager::advance`].
    pub fn wake_at(&self) -> Option<i64> {
        match self.phase {
            Phase::Cooldown { until_ms, .. } => Some(until_ms),
            Phase::Stabilizing { first_change_ms, evaluate_at_ms } => {
                let stable = after(first_change_ms, self.stabilization_ms);
                Some(evaluate_at_ms.map_or(stable, |at| at.min(stable)))
            }
            Phase::Stabilized { first_change_ms } => {
                Some(after(first_change_ms, self.max_delay_ms))
            }
            Phase::Idling | Phase::Transitioning => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Resources = Resources { desired: false, sufficient: false };
    const SUFFICIENT: Resources = Resources { desired: false, sufficient: true };
    const DESIRED: Resources = Resources { desired: true, sufficient: true };

    /// Runs a script of `time change|trigger|time nothing|sufficient|desired` lines; returns when
    /// the step is taken.
    fn taken_at(mut manager: TransitionManager, script: &str) -> Option<i64> {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let now: i64 = words[0].parse().unwrap();
            let resources = match words[2] {
                "nothing" => NOTHING,
                "sufficient" => SUFFICIENT,
                "desired" => DESIRED,
                other => panic!("{other}"),
            };
            let taken = match words[1] {
                "change" => {
                    manager.on_change(now, resources);
                    manager.advance(now, resources)
                }
                "trigger" => manager.on_trigger(resources),
                "time" => manager.advance(now, resources),
                other => panic!("{other}"),
            };
            if taken {
                assert_eq!(manager.wake_at(), None, "a step is taken once");
                return Some(now);
            }
        }
        None
    }

    #[test]
    fn a_job_that_waits_starts_at_once_with_all_it_wants_and_later_with_enough() {
        let waiting = || TransitionManager::new(0, 0, 10, 0);
        assert_eq!(taken_at(waiting(), "5 change desired"), Some(5));
        let script = "5 change nothing\n 6 change sufficient\n 15 time sufficient";
        assert_eq!(taken_at(waiting(), script), None);
        let script = "6 change sufficient\n 8 change sufficient\n 16 time sufficient";
        assert_eq!(taken_at(waiting(), script), Some(16));
        let script = "6 change sufficient\n 9 change desired";
        assert_eq!(taken_at(waiting(), script), Some(9));
    }

    #[test]
    fn what_was_enough_and_is_no_longer_does_not_count() {
        let waiting = TransitionManager::new(0, 0, 10, 0);
        let script = "6 change sufficient\n 16 time nothing\n 17 change sufficient\n 26 time sufficient\n 27 time sufficient";
        assert_eq!(taken_at(waiting, script), Some(27));
    }

    #[test]
    fn a_change_during_the_cooldown_counts_behind_it() {
        let running = || TransitionManager::new(0, 30, 60, 0);
        assert_eq!(taken_at(running(), "10 change desired\n 29 time desired"), None);
        assert_eq!(taken_at(running(), "10 change desired\n 30 time desired"), Some(30));
        let script =
            "10 change sufficient\n 30 time sufficient\n 69 time sufficient\n 70 time sufficient";
        assert_eq!(taken_at(running(), script), Some(70));
        assert_eq!(taken_at(running(), "30 time nothing\n 40 change desired"), Some(40));
    }

    #[test]
    fn a_change_waits_for_a_checkpoint_but_not_for_ever() {
        let running = || TransitionManager::new(0, 0, 60, 100);
        let script = "10 change desired\n 20 trigger desired";
        assert_eq!(taken_at(running(), script), Some(20));
        let script = "10 change sufficient\n 20 trigger sufficient\n 70 time sufficient\n 80 trigger sufficient";
        assert_eq!(taken_at(running(), script), Some(80));
        let script =
            "10 change sufficient\n 70 time sufficient\n 109 time sufficient\n 110 time sufficient";
        assert_eq!(taken_at(running(), script), Some(110));
    }
}
