//! Sources.
//!
//! # How splits reach readers
//!
//! 1. The enumerator starts with the job. Readers start with their subtasks and each asks for a
//!    split.
//! 2. The enumerator assigns splits, to whom it likes and when it likes, and says once per reader
//!    when there will be no more.
//! 3. A reader that has finished its splits asks for another; when it has none and will get none,
//!    it has ended.
//! 4. When a subtask fails, its splits that no checkpoint covers go back to the enumerator.
//!
//! A reader's position lives in its splits: [`SourceReader::snapshot`] returns them as they are to
//! be resumed.

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::MetricGroup;
use hurtig_types::{BoxError, Record};

/// Whether a source ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundedness {
    /// It ends by itself.
    Bounded,
    /// It goes on until it is stopped.
    Unbounded,
}

/// A part of the input that one reader reads, with its position.
pub trait SourceSplit: Record + Sync {
    /// Identifies the split within its source.
    fn split_id(&self) -> String;
}

/// A source.
pub trait Source: Send + Sync + 'static {
    /// What it reads.
    type Record: Record;
    /// Its splits.
    type Split: SourceSplit;

    /// Whether it ends.
    fn boundedness(&self) -> Boundedness;

    /// The enumerator of a job with that many readers.
    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;

    /// The enumerator of a job that goes on from a snapshot: `state` is what
    /// [`SplitEnumerator::snapshot`] gave. Readers keep the splits that they had.
    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;

    /// The reader of one subtask.
    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<Self::Record, Self::Split>>, BoxError>;
}

/// What an enumerator wants done.
#[derive(Debug)]
pub enum EnumeratorAction<S> {
    /// Give splits to a reader.
    Assign {
        /// The reader's subtask.
        subtask: u32,
        /// The splits.
        splits: Vec<S>,
    },
    /// Tell a reader that it will get no more.
    NoMoreSplits {
        /// The reader's subtask.
        subtask: u32,
    },
    /// Call `on_timer` after this many milliseconds (to look for new splits).
    CallAfterMs(u64),
}

/// Finds and assigns splits; one per job.
pub trait SplitEnumerator<S>: Send {
    /// The job starts.
    fn start(&mut self, actions: &mut Vec<EnumeratorAction<S>>) -> Result<(), BoxError> {
        let _ = actions;
        Ok(())
    }
    /// A reader has nothing to read.
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError>;
    /// Splits of a failed reader come back.
    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<S>,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError>;
    /// What it needs to go on: the splits that it has not assigned, how far it has looked.
    fn snapshot(&self) -> Result<Vec<u8>, BoxError>;
    /// The time asked for has passed.
    fn on_timer(&mut self, actions: &mut Vec<EnumeratorAction<S>>) -> Result<(), BoxError> {
        let _ = actions;
        Ok(())
    }
}

/// What a reader may know.
#[derive(Clone)]
pub struct ReaderContext {
    /// Its subtask.
    pub subtask: u32,
    /// Number of readers.
    pub parallelism: u32,
    /// The clock.
    pub clock: Clock,
    /// To be posted when a reader that had nothing has something.
    pub signal: Signal,
    /// Where background work may be spawned.
    pub runtimes: Runtimes,
    /// The operator's metrics.
    pub metrics: MetricGroup,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStatus {
    /// Call again at once.
    More,
    /// Nothing now: the reader posts the signal when there is, or wants to be called again at
    /// this wall time in milliseconds.
    Wait {
        /// Wall time of the next call at the latest.
        until_ms: Option<i64>,
    },
    /// The reader has no splits (left) and wants another.
    NeedSplit,
}

/// Where a reader puts what it reads: one batch of one split per call.
#[derive(Debug)]
pub struct SourceOutput<T> {
    /// The records.
    pub values: Vec<T>,
    /// One timestamp per record, in milliseconds, if the source knows them; else empty.
    pub timestamps: Vec<i64>,
    /// Which split they are from, as a small number of the reader's choice, for watermarks per
    /// split.
    pub split: u32,
    /// The split ended with these records.
    pub split_finished: bool,
    /// Bytes that were read for them, from a source that counts them.
    pub bytes: u64,
}

/// What is still to be read of the splits that a reader has, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingInput {
    /// Records.
    pub records: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

impl<T> Default for SourceOutput<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            timestamps: Vec::new(),
            split: 0,
            split_finished: false,
            bytes: 0,
        }
    }
}

/// Reads the splits of one subtask.
pub trait SourceReader<T, S>: Send {
    /// Splits were assigned.
    fn add_splits(&mut self, splits: Vec<S>) -> Result<(), BoxError>;
    /// Reads at most about `max_records` into `out`. Must not block for long.
    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError>;
    /// The splits as they are to be resumed: exactly behind what was read.
    fn snapshot(&self) -> Vec<S>;
    /// What is still to be read; asked behind every read.
    fn pending(&self) -> PendingInput {
        PendingInput::default()
    }
    /// Releases what it holds.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
