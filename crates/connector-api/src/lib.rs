//! The contract of sources and sinks.
//!
//! A [`Source`] consists of a [`SplitEnumerator`], which lives in the JobMaster and finds and
//! assigns splits, and of [`SourceReader`]s, one per subtask, which read them. A [`Sink`] consists
//! of [`SinkWriter`]s, one per subtask, and of a [`Committer`] for what a writer has prepared.

pub mod sink;
pub mod source;

pub use sink::{Committer, Sink, SinkWriter, WriterContext, WriterState};
pub use source::{
    Boundedness, EnumeratorAction, PendingInput, ReadStatus, ReaderContext, Source, SourceOutput,
    SourceReader, SourceSplit, SplitEnumerator,
};
