//! What a task's loop is doing right now: what a thread dump shows instead of a stack, since tasks
//! are no threads.
//!
//! The loop notes where it is when it goes from one part of its life to another, never per batch;
//! the operator that runs and the times of waiting are noted for other reasons already.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hurtig_types::CheckpointId;

/// A part of a task's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It takes turns between mailbox, timers and input.
    Runs,
    /// Operators are emitting or uploading what belongs before the barrier.
    PreparesCheckpoint,
    /// It stands behind the savepoint that stops the job.
    StandsStill,
    /// Its input has ended.
    Finishes,
    /// Everything is emitted, and not everything is read.
    AwaitsConsumers,
}

const PHASES: [Phase; 5] = [
    Phase::Runs,
    Phase::PreparesCheckpoint,
    Phase::StandsStill,
    Phase::Finishes,
    Phase::AwaitsConsumers,
];

/// Where a loop is.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    phase: AtomicU8,
    checkpoint: AtomicU64,
}

/// What else is known when somebody asks.
pub(crate) struct Surroundings<'a> {
    /// For how long it has been waiting for input.
    pub(crate) idle: Option<Duration>,
    /// For how long it has been waiting for room in its outputs.
    pub(crate) blocked: Option<Duration>,
    /// The loop has begun.
    pub(crate) began: bool,
    /// The loop has ended.
    pub(crate) ended: bool,
    /// Names of its operators, and which of them was called last.
    pub(crate) operators: &'a [String],
    pub(crate) current: usize,
    /// Messages that wait, and how long the oldest has waited.
    pub(crate) mails: usize,
    pub(crate) oldest: Option<Duration>,
}

impl Activity {
    /// The loop goes on to that.
    pub(crate) fn enter(&self, phase: Phase) {
        let number = PHASES.iter().position(|known| *known == phase).unwrap_or_default();
        self.phase.store(number as u8, Relaxed);
    }

    /// The same for what concerns a checkpoint; returns what it was doing.
    pub(crate) fn enter_for(&self, phase: Phase, checkpoint: CheckpointId) -> Phase {
        let before = self.phase();
        self.checkpoint.store(checkpoint.0, Relaxed);
        self.enter(phase);
        before
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES.get(usize::from(self.phase.load(Relaxed))).copied().unwrap_or(Phase::Runs)
    }

    /// In words.
    pub(crate) fn describe(&self, around: &Surroundings<'_>) -> String {
        let millis = |time: Duration| time.as_millis();
        let mut text = match (around.blocked, around.idle) {
            _ if around.ended => return "has ended".to_owned(),
            (Some(time), _) => format!("waits for room in its outputs for {} ms", millis(time)),
            (None, Some(time)) => format!("waits for input for {} ms", millis(time)),
            (None, None) => {
                let verb = if around.began { "works" } else { "is being initialized" };
                let (number, all) = (around.current + 1, around.operators.len());
                match around.operators.get(around.current) {
                    Some(name) => format!("{verb}, in operator {name:?} ({number} of {all})"),
                    None => verb.to_owned(),
                }
            }
        };
        let checkpoint = self.checkpoint.load(Relaxed);
        // Writing to a string cannot fail.
        let _ = match self.phase() {
            Phase::Runs => Ok(()),
            Phase::PreparesCheckpoint => write!(text, "; prepares checkpoint {checkpoint}"),
            Phase::StandsStill => write!(text, "; stands still behind savepoint {checkpoint}"),
            Phase::Finishes => write!(text, "; finishes its operators"),
            Phase::AwaitsConsumers => write!(text, "; what it has emitted is not all read yet"),
        };
        if around.mails > 0 {
            let _ = write!(text, "; {} messages wait in its mailbox", around.mails);
            if let Some(oldest) = around.oldest {
                let _ = write!(text, ", the oldest for {} ms", millis(oldest));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_does_is_said_in_words() {
        let activity = Activity::default();
        let operators = ["Source".to_owned(), "Map".to_owned()];
        let quiet = || Surroundings {
            idle: None,
            blocked: None,
            began: true,
            ended: false,
            operators: &operators,
            current: 1,
            mails: 0,
            oldest: None,
        };
        assert_eq!(activity.describe(&quiet()), "works, in operator \"Map\" (2 of 2)");
        let opening = Surroundings { began: false, current: 0, ..quiet() };
        assert_eq!(
            activity.describe(&opening),
            "is being initialized, in operator \"Source\" (1 of 2)"
        );
        let waits = Surroundings { idle: Some(Duration::from_millis(7)), ..quiet() };
        assert_eq!(activity.describe(&waits), "waits for input for 7 ms");
        let before = activity.enter_for(Phase::PreparesCheckpoint, CheckpointId(17));
        assert_eq!(before, Phase::Runs);
        let mails = Surroundings { mails: 2, oldest: Some(Duration::from_millis(9)), ..quiet() };
        assert_eq!(
            activity.describe(&mails),
            "works, in operator \"Map\" (2 of 2); prepares checkpoint 17; 2 messages wait in its \
             mailbox, the oldest for 9 ms"
        );
        activity.enter(Phase::AwaitsConsumers);
        let blocked = Surroundings { blocked: Some(Duration::from_secs(1)), ..quiet() };
        assert_eq!(
            activity.describe(&blocked),
            "waits for room in its outputs for 1000 ms; what it has emitted is not all read yet"
        );
        assert_eq!(activity.describe(&Surroundings { ended: true, ..quiet() }), "has ended");
    }
}
