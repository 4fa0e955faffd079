//! Sinks: writer and committer.
//!
//! 1. Each subtask has a writer. It may buffer and may write where nobody looks yet.
//! 2. At a checkpoint, and at the end of input, [`SinkWriter::flush`] begins to bring everything to
//!    where it survives the process. If that takes time it goes on in the background, and the
//!    barrier waits for [`SinkWriter::is_flushed`].
//! 3. [`SinkWriter::prepare_commit`] returns what is to be made visible; everything written before
//!    it belongs to it, or to the state that [`SinkWriter::snapshot`] returns next.
//! 4. [`Committer::commit`] makes it visible, after the checkpoint has completed. It may be called
//!    again with the same committables after a failure and must then do nothing new. It may go on
//!    in the background: until [`Committer::is_committing`] is false and [`Committer::outcome`] was
//!    taken, checkpoints keep the committables.
//!
//! Everything that goes on in the background posts the context's signal when it ends.
//!
//! A sink that writes directly has `()` as committable and no committer.

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_types::{Batch, BoxError, CheckpointId, JobId, OperatorId, Record};

/// What a writer may know.
#[derive(Clone)]
pub struct WriterContext {
    /// The job.
    pub job: JobId,
    /// The sink's operator: unique within the job, and the same after a restart.
    pub operator: OperatorId,
    /// Its subtask.
    pub subtask: u32,
    /// Number of writers.
    pub parallelism: u32,
    /// Attempt number, from 0.
    pub attempt: u32,
    /// The clock.
    pub clock: Clock,
    /// To be posted when a writer that was not available is.
    pub signal: Signal,
    /// Where background work may be spawned.
    pub runtimes: Runtimes,
    /// The operator's metrics.
    pub metrics: MetricGroup,
    /// The user's accumulators.
    pub accumulators: SharedAccumulators,
    /// The job takes checkpoints; if not, everything is committed at the end of input.
    pub checkpoints: bool,
    /// The checkpoint that the job goes on from.
    pub restored_checkpoint: Option<CheckpointId>,
    /// What the writers of that checkpoint gave in [`SinkWriter::snapshot`].
    pub restored: Option<WriterState>,
}

/// What writers need to go on from a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterState {
    /// Each element goes to one writer, whatever their number is then.
    pub split: Vec<Vec<u8>>,
    /// All elements of all writers go to every writer, so they should be few and small.
    pub union: Vec<Vec<u8>>,
}

/// A sink.
pub trait Sink: Send + Sync + 'static {
    /// What it takes.
    type Input: Record;
    /// What a writer prepares and the committer commits.
    type Committable: Record;

    /// The writer of one subtask.
    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<Self::Input, Self::Committable>>, BoxError>;

    /// The committer, if there is something to commit.
    fn create_committer(
        &self,
        context: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<Self::Committable>>>, BoxError> {
        let _ = context;
        Ok(None)
    }
}

/// Writes the records of one subtask.
pub trait SinkWriter<T, C>: Send {
    /// Writes records.
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError>;
    /// Makes sure that nothing is buffered in memory only, or begins to. `end_of_input` if nothing
    /// will follow.
    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError>;
    /// True once what the last [`SinkWriter::flush`] began is over, well or not: an error is told
    /// by [`SinkWriter::prepare_commit`].
    fn is_flushed(&self) -> bool {
        true
    }
    /// What is to be committed for all records since the last call; called when it is flushed.
    fn prepare_commit(&mut self) -> Result<Vec<C>, BoxError> {
        Ok(Vec::new())
    }
    /// What a writer needs to go on from a checkpoint; called after
    /// [`SinkWriter::prepare_commit`].
    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        Ok(WriterState::default())
    }
    /// False while it cannot take more.
    fn is_available(&self) -> bool {
        true
    }
    /// Wall time in milliseconds at which `on_processing_time` wants to be called next.
    fn next_processing_timer_ms(&self) -> Option<i64> {
        None
    }
    /// Wall time has reached `now_ms`, at or after the time asked for.
    fn on_processing_time(&mut self, now_ms: i64) -> Result<(), BoxError> {
        let _ = now_ms;
        Ok(())
    }
    /// Releases what it holds; what was not committed may be undone.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Makes visible what writers have prepared.
pub trait Committer<C>: Send {
    /// Commits, or begins to; what was committed before is left alone. Not called while an earlier
    /// call goes on.
    fn commit(&mut self, committables: Vec<C>) -> Result<(), BoxError>;
    /// True while [`Committer::commit`] goes on in the background.
    fn is_committing(&self) -> bool {
        false
    }
    /// How the last commit ended: what could not be committed and is to be tried again after the
    /// next checkpoint, before anything newer.
    fn outcome(&mut self) -> Result<Vec<C>, BoxError> {
        Ok(Vec::new())
    }
}
