//! Sinks: writer and committer.
//!
//! 1. Each subtask has a writer. It may buffer and may write where nobody looks yet.
//! 2. [`SinkWriter::prepare_commit`] (at a checkpoint, and at the end of input) returns what is to
//!    be made visible; everything written before it belongs to it.
//! 3. [`Committer::commit`] makes it visible, after the checkpoint has completed. It may be called
//!    again with the same committables after a failure and must then do nothing new.
//!
//! A sink that writes directly has `()` as committable and no committer.

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_types::{Batch, BoxError, JobId, Record};

/// What a writer may know.
#[derive(Clone)]
pub struct WriterContext {
    /// The job.
    pub job: JobId,
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
    /// What the writers of a checkpoint gave in [`SinkWriter::snapshot`], if the job goes on from
    /// one: of all subtasks, whatever their number was.
    pub restored: Option<Vec<Vec<u8>>>,
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
    /// Makes sure that nothing is buffered in memory only. `end_of_input` if nothing will follow.
    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError>;
    /// What is to be committed for all records since the last call.
    fn prepare_commit(&mut self) -> Result<Vec<C>, BoxError> {
        Ok(Vec::new())
    }
    /// What a writer needs to go on from a checkpoint; called after
    /// [`SinkWriter::prepare_commit`].
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(None)
    }
    /// False while it cannot take more.
    fn is_available(&self) -> bool {
        true
    }
    /// Releases what it holds; what was not committed may be undone.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Makes visible what writers have prepared.
pub trait Committer<C>: Send {
    /// Commits; what was committed before is left alone.
    fn commit(&mut self, committables: Vec<C>) -> Result<(), BoxError>;
}
