//! Savepoints that stop the job.
//!
//! 1. To **drain**, a task finishes its operators when the barrier has come on all inputs (a
//!    source: when it is triggered), as if the input had ended. The barrier follows what they emit.
//! 2. The savepoint is taken as any other. Then the task stands still: it reads mail and writes its
//!    state, but processes nothing.
//! 3. When the savepoint is complete, sinks commit, and the task ends as it stands: it has FINISHED,
//!    though its consumers never read an end of input, as they end in the same way.
//! 4. When the savepoint is given up, a task that has drained fails, since it has told its consumers
//!    what was not so; one that was merely suspended goes on.
//!
//! As Flink 2.3's synchronous savepoints, in which suspended tasks fail as well.

use hurtig_types::{CheckpointId, FlowError, FlowResult};

use crate::{
    activity::Phase,
    stream_task::{StreamTask, TaskInput},
};

/// How a savepoint that stops the job stands in a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// There is none.
    #[default]
    No,
    /// The operators are being finished for it, or have been.
    Drained(CheckpointId),
    /// It was taken, and nothing is processed.
    Suspended(CheckpointId),
    /// It is complete.
    Complete,
}

impl Stopping {
    pub(crate) fn is_complete(self) -> bool {
        self == Self::Complete
    }

    fn is_of(self, checkpoint: CheckpointId) -> bool {
        matches!(self, Self::Drained(id) | Self::Suspended(id) if id == checkpoint)
    }

    pub(crate) fn on_complete(&mut self, checkpoint: CheckpointId) {
        if self.is_of(checkpoint) {
            *self = Self::Complete;
        }
    }

    pub(crate) fn on_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        match self {
            Self::Drained(id) if *id == checkpoint => Err(FlowError::external(format!(
                "savepoint {checkpoint}, for which the job was drained, was given up"
            ))),
            Self::Suspended(id) if *id == checkpoint => {
                *self = Self::No;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl StreamTask {
    /// Step 1: the input ends here.
    pub(crate) async fn drain(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.stopping = Stopping::Drained(checkpoint);
        let open = match &mut self.input {
            TaskInput::Source => vec![0],
            TaskInput::Gates(input) => input.end_all(),
        };
        for input in open {
            self.chain.end_input(0, input)?;
            self.settle(false).await?;
        }
        self.finish_operators().await
    }

    /// Steps 2 to 4: until it is known what becomes of the savepoint.
    pub(crate) async fn stand_still(&mut self, checkpoint: CheckpointId) -> FlowResult {
        if self.stopping == Stopping::No {
            self.stopping = Stopping::Suspended(checkpoint);
        }
        let before = self.metrics.activity.enter_for(Phase::StandsStill, checkpoint);
        loop {
            self.check_cancelled()?;
            let mut worked = false;
            while let Ok(mail) = self.mailbox.try_recv() {
                self.on_mail(mail)?;
                worked = true;
            }
            worked |= self.checkpoints.write_some(&mut self.chain)?;
            match self.stopping {
                Stopping::No => {
                    self.metrics.activity.enter(before);
                    return Ok(());
                }
                Stopping::Complete if self.chain.stop()? => return Ok(()),
                _ => {}
            }
            if !worked {
                self.signal.wait().await;
            }
        }
    }
}
