//! When a TaskExecutor tries to register again, and when it gives up: the decisions, without I/O.
//!
//! 1. A registration that fails is tried again after a pause, which doubles from failure to failure
//!    up to a limit. One that the ResourceManager refuses waits for a time of its own.
//! 2. A registration or a heartbeat that is answered begins all pauses anew, and so does another
//!    leader.
//! 3. A TaskExecutor that no ResourceManager has answered for the timeout gives up: whoever started
//!    it can put another one in its place, perhaps with better settings.

use std::time::Duration;

use hurtig_cluster_api::RpcError;

/// Settings of a TaskExecutor's registration.
#[derive(Clone, Debug)]
pub struct RegistrationConfig {
    /// Pause after the first failure (`cluster.registration.initial-timeout`).
    pub first_pause: Duration,
    /// Longest pause (`cluster.registration.error-delay`).
    pub longest_pause: Duration,
    /// Pause after a refusal (`cluster.registration.refused-registration-delay`).
    pub refused_pause: Duration,
    /// `taskmanager.registration.timeout`; `None`: it never gives up.
    pub timeout: Option<Duration>,
}

impl Default for RegistrationConfig {
    /// Flink's pauses, and no end of patience.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            refused_pause: Duration::from_secs(30),
            timeout: None,
        }
    }
}

/// How it stands with the ResourceManager.
#[derive(Debug)]
pub(crate) struct Registration {
    config: RegistrationConfig,
    next_pause: Duration,
    /// When a ResourceManager has answered last, in milliseconds; at first, the start.
    heard_ms: i64,
}

impl Registration {
    pub(crate) fn new(config: RegistrationConfig, now_ms: i64) -> Self {
        Self { next_pause: config.first_pause, config, heard_ms: now_ms }
    }

    /// Another ResourceManager leads.
    pub(crate) fn on_leader(&mut self) {
        self.next_pause = self.config.first_pause;
    }

    /// The ResourceManager knows this TaskExecutor.
    pub(crate) fn on_answer(&mut self, now_ms: i64) {
        self.heard_ms = self.heard_ms.max(now_ms);
        self.next_pause = self.config.first_pause;
    }

    /// A registration has failed; returns the pause until the next one.
    pub(crate) fn on_failure(&mut self, error: &RpcError) -> Duration {
        if matches!(error, RpcError::Rejected(_)) {
            return self.config.refused_pause;
        }
        let pause = self.next_pause.min(self.config.longest_pause);
        self.next_pause = pause.saturating_mul(2).min(self.config.longest_pause);
        pause
    }

    /// True if it has waited in vain for as long as it may.
    pub(crate) fn is_hopeless(&self, now_ms: i64) -> bool {
        let silence = Duration::from_millis(now_ms.saturating_sub(self.heard_ms).max(0) as u64);
        self.config.timeout.is_some_and(|timeout| silence >= timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(timeout: Option<Duration>) -> Registration {
        let config = RegistrationConfig { timeout, ..RegistrationConfig::default() };
        Registration::new(config, 1_000)
    }

    fn unreachable() -> RpcError {
        RpcError::Timeout(1)
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew_after_an_answer() {
        let mut registration = registration(None);
        let mut pauses = || registration.on_failure(&unreachable()).as_millis();
        let first: Vec<_> = (0..9).map(|_| pauses()).collect();
        assert_eq!(first, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        registration.on_answer(5_000);
        assert_eq!(registration.on_failure(&unreachable()).as_millis(), 100);
        registration.on_failure(&unreachable());
        registration.on_leader();
        assert_eq!(registration.on_failure(&unreachable()).as_millis(), 100);
    }

    #[test]
    fn a_refusal_has_a_pause_of_its_own() {
        let mut registration = registration(None);
        let refused = RpcError::Rejected("not you".to_owned());
        assert_eq!(registration.on_failure(&refused).as_secs(), 30);
        assert_eq!(registration.on_failure(&unreachable()).as_millis(), 100);
    }

    #[test]
    fn patience_ends_a_timeout_after_the_last_answer() {
        let mut registration = registration(Some(Duration::from_secs(2)));
        assert!(!registration.is_hopeless(2_999) && registration.is_hopeless(3_000));
        registration.on_answer(2_500);
        // What comes late is no news.
        registration.on_answer(2_000);
        assert!(!registration.is_hopeless(4_499) && registration.is_hopeless(4_500));
        assert!(!self::registration(None).is_hopeless(i64::MAX));
    }
}
