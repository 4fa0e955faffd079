//! When an endpoint may be dialled: the decision, without I/O.
//!
//! After a connection has broken, or could not be made, the gate is closed for a pause, in which
//! calls fail at once. Each failure in a row doubles the pause. A connection that was of use makes
//! up for the failures before it.

use std::{sync::Arc, time::Duration};

/// Tells when to dial.
#[derive(Debug)]
pub(crate) struct Gate {
    pause: Duration,
    longest: Duration,
    failures: u32,
    closed: Option<(Duration, Arc<str>)>,
}

impl Gate {
    pub(crate) fn new(pause: Duration, longest: Duration) -> Self {
        Self { pause, longest, failures: 0, closed: None }
    }

    /// The reason why it must not be dialled now, if it must not.
    pub(crate) fn closed_at(&self, now: Duration) -> Option<&Arc<str>> {
        self.closed.as_ref().filter(|(until, _)| now < *until).map(|(_, reason)| reason)
    }

    /// A connection could not be made, or broke, at `at`. `useful`: there had been answers on it.
    pub(crate) fn failed(&mut self, at: Duration, reason: Arc<str>, useful: bool) {
        self.failures = if useful { 0 } else { self.failures };
        // Beyond that many doublings every pause is the longest.
        let pause = self.pause.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.closed = Some((at.saturating_add(pause), reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_useful_connection() {
        let ms = Duration::from_millis;
        let mut gate = Gate::new(ms(50), ms(300));
        assert_eq!(gate.closed_at(ms(0)), None);
        let mut now = ms(1_000);
        for pause in [50, 100, 200, 300, 300] {
            gate.failed(now, "refused".into(), false);
            assert_eq!(gate.closed_at(now + ms(pause - 1)).map(|r| &**r), Some("refused"));
            now += ms(pause);
            assert_eq!(gate.closed_at(now), None, "open after {pause} ms");
        }
        gate.failed(now, "reset".into(), true);
        assert!(gate.closed_at(now + ms(49)).is_some());
        assert_eq!(gate.closed_at(now + ms(50)), None);
        for _ in 0..100 {
            gate.failed(now, "refused".into(), false);
        }
        assert_eq!(gate.closed_at(now + ms(300)), None);
    }
}
