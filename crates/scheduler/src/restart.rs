//! Restart strategies, as Flink's `restart-strategy.type`.

use std::collections::VecDeque;

use hurtig_graph::RestartStrategyConfig;

/// Decides after each failure. Times are milliseconds of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct RestartBackoff {
    config: RestartStrategyConfig,
    restarts: u32,
    delay_ms: u64,
    last_failure_ms: Option<i64>,
    failures: VecDeque<i64>,
    random: u64,
}

impl RestartBackoff {
    /// A strategy; `seed` feeds the jitter.
    pub fn new(config: RestartStrategyConfig, seed: u64) -> Self {
        let delay_ms = match &config {
            RestartStrategyConfig::ExponentialDelay { initial_ms, .. } => *initial_ms,
            _ => 0,
        };
        Self {
            config,
            restarts: 0,
            delay_ms,
            last_failure_ms: None,
            failures: VecDeque::new(),
            random: seed | 1,
        }
    }

    /// A failure at `now_ms`: the delay before the restart in milliseconds, or `None` if the job
    /// fails.
    pub fn on_failure(&mut self, now_ms: i64) -> Option<u64> {
        let delay = match self.config.clone() {
            RestartStrategyConfig::None => None,
            RestartStrategyConfig::FixedDelay { attempts, delay_ms } => {
                (self.restarts < attempts).then_some(delay_ms)
            }
            RestartStrategyConfig::FailureRate { max_failures, interval_ms, delay_ms } => {
                let begin = now_ms.saturating_sub_unsigned(interval_ms);
                self.failures.retain(|failure| *failure > begin);
                self.failures.push_back(now_ms);
                (self.failures.len() <= max_failures as usize).then_some(delay_ms)
            }
            RestartStrategyConfig::ExponentialDelay {
                initial_ms,
                max_ms,
                multiplier,
                reset_threshold_ms,
                jitter,
                max_attempts,
            } => {
                let calm = self.last_failure_ms.is_some_and(|last| {
                    now_ms.saturating_sub(last) as u64 >= reset_threshold_ms + self.delay_ms
                });
                if calm {
                    self.delay_ms = initial_ms;
                    self.restarts = 0;
                }
                if max_attempts.is_some_and(|most| self.restarts >= most) {
                    return None;
                }
                let delay = self.delay_ms;
                let grown = (delay as f64 * multiplier).min(max_ms as f64);
                self.delay_ms = (grown as u64).clamp(initial_ms.min(max_ms), max_ms);
                let spread = (delay as f64 * jitter) as i64;
                let offset =
                    if spread > 0 { self.next_random() % (2 * spread + 1) - spread } else { 0 };
                Some(delay.saturating_add_signed(offset).min(max_ms))
            }
        };
        self.last_failure_ms = Some(now_ms);
        if delay.is_some() {
            self.restarts += 1;
        }
        delay
    }

    fn next_random(&mut self) -> i64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 1) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(config: RestartStrategyConfig, failures: &[i64]) -> Vec<Option<u64>> {
        let mut backoff = RestartBackoff::new(config, 7);
        failures.iter().map(|now| backoff.on_failure(*now)).collect()
    }

    #[test]
    fn none_never_restarts() {
        assert_eq!(delays(RestartStrategyConfig::None, &[0]), [None]);
    }

    #[test]
    fn fixed_delay_counts_attempts() {
        let config = RestartStrategyConfig::FixedDelay { attempts: 2, delay_ms: 5 };
        assert_eq!(delays(config, &[0, 1, 2]), [Some(5), Some(5), None]);
    }

    #[test]
    fn failure_rate_forgets_old_failures() {
        let config =
            RestartStrategyConfig::FailureRate { max_failures: 2, interval_ms: 100, delay_ms: 1 };
        assert_eq!(delays(config, &[0, 50, 120, 130]), [Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn exponential_delay_grows_to_its_bound_and_resets() {
        let config = RestartStrategyConfig::ExponentialDelay {
            initial_ms: 10,
            max_ms: 35,
            multiplier: 2.0,
            reset_threshold_ms: 1000,
            jitter: 0.0,
            max_attempts: None,
        };
        let seen = delays(config, &[0, 20, 60, 120, 5000]);
        assert_eq!(seen, [Some(10), Some(20), Some(35), Some(35), Some(10)]);
    }
}
