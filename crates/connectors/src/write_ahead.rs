//! The base of sinks for systems without transactions: Flink's `GenericWriteAheadSink`.
//!
//! 1. Records are kept, encoded, until the next checkpoint; there they become a *segment*, which is
//!    part of the checkpoint.
//! 2. When the checkpoint is complete, its segments are sent to the system, in order: a segment
//!    that the system does not take now is tried again after the next checkpoint, and those behind
//!    it wait.
//! 3. A [`CheckpointCommitter`] remembers outside of the job which segments were sent. So a segment
//!    that is sent again after a failure, because nobody knows whether it was, is passed over.
//!
//! What remains is the moment between the last record of a segment and the committer's note: a
//! failure there sends the segment twice. A system that takes segment and note together, or whose
//! writes are idempotent, gets each record once.
//!
//! # Bounds
//!
//! A writer keeps the records between two checkpoints in memory, and a checkpoint holds those that
//! are not sent. More than [`WriteAheadSink::with_max_segment_bytes`] is an error, since to wait
//! would hold back the very barrier that ends the segment.

use std::sync::Arc;

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext, WriterState};
use hurtig_types::{
    Batch, BoxError, Record,
    codec::{self, CodecError},
    snapshot::state_checksum,
};
use serde::{Deserialize, Serialize};

/// Bytes of one chunk of a segment: what is decoded at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Identifies a segment, whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentId {
    /// A hash of the sink (job and operator) and of the life of the writer that made it: its
    /// attempt, and the checkpoint that it was restored from.
    pub writer: u64,
    /// The subtask that made it.
    pub subtask: u32,
    /// Its number among those of that writer.
    pub number: u64,
}

/// Records of one writer between two checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name.
    pub id: SegmentId,
    /// Number of records.
    pub records: u64,
    /// The records, some in each chunk.
    chunks: Vec<Arc<[u8]>>,
}

impl Segment {
    /// Reads the records back, chunk by chunk.
    pub fn chunks<T: Record>(&self) -> impl Iterator<Item = Result<Vec<T>, CodecError>> {
        self.chunks.iter().map(|chunk| {
            let (total, mut rest, mut values) = (chunk.len(), &chunk[..], Vec::new());
            while !rest.is_empty() {
                let (value, behind) = codec::decode_prefix(rest, total)?;
                values.push(value);
                rest = behind;
            }
            Ok(values)
        })
    }
}

/// Remembers, outside of the job, which segments were sent. It may forget what is older than the
/// oldest checkpoint that the job may go on from.
pub trait CheckpointCommitter: Send + 'static {
    /// True if the segment was sent.
    fn is_committed(&mut self, segment: &SegmentId) -> Result<bool, BoxError>;
    /// The segment was sent.
    fn commit(&mut self, segment: &SegmentId) -> Result<(), BoxError>;
}

/// The system that records are sent to.
pub trait WriteAheadTarget<T>: Send + 'static {
    /// Sends the records of a segment; false if it cannot take them now, and none was taken.
    fn send(&mut self, segment: &Segment) -> Result<bool, BoxError>;
}

/// A target of a function.
impl<T, F> WriteAheadTarget<T> for F
where
    F: FnMut(&Segment) -> Result<bool, BoxError> + Send + 'static,
{
    fn send(&mut self, segment: &Segment) -> Result<bool, BoxError> {
        self(segment)
    }
}

/// Connects to a system: gives the target and what remembers its segments.
pub type Connected<T> = (Box<dyn WriteAheadTarget<T>>, Box<dyn CheckpointCommitter>);

/// A sink that sends what a completed checkpoint holds. See the module documentation.
pub struct WriteAheadSink<T, F> {
    connect: Arc<F>,
    max_segment_bytes: usize,
    types: std::marker::PhantomData<fn(T)>,
}

/// More records came between two checkpoints than may be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {limit} bytes were written since the last checkpoint: take checkpoints more often, \
     or allow more"
)]
pub struct SegmentTooLarge {
    /// The most bytes of a segment.
    pub limit: usize,
}

impl<T, F> WriteAheadSink<T, F>
where
    T: Record,
    F: Fn(&WriterContext) -> Result<Connected<T>, BoxError> + Send + Sync + 'static,
{
    /// `connect` is called once per subtask.
    pub fn new(connect: F) -> Self {
        let types = std::marker::PhantomData;
        Self { connect: Arc::new(connect), max_segment_bytes: 256 << 20, types }
    }

    /// The most bytes that a writer keeps between two checkpoints; 256 MiB if not given.
    #[must_use]
    pub fn with_max_segment_bytes(mut self, bytes: usize) -> Self {
        self.max_segment_bytes = bytes;
        self
    }
}

impl<T, F> Sink for WriteAheadSink<T, F>
where
    T: Record,
    F: Fn(&WriterContext) -> Result<Connected<T>, BoxError> + Send + Sync + 'static,
{
    type Input = T;
    type Committable = Segment;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, Segment>>, BoxError> {
        let restored = context.restored_checkpoint.map(|checkpoint| checkpoint.0);
        let life = (context.job.0, context.operator.0, context.attempt, restored);
        let writer = state_checksum(&codec::encode(&life)?);
        Ok(Box::new(SegmentWriter {
            next: SegmentId { writer, subtask: context.subtask, number: 0 },
            limit: self.max_segment_bytes,
            bytes: 0,
            records: 0,
            chunks: Vec::new(),
            chunk: Vec::new(),
        }))
    }

    fn create_committer(
        &self,
        context: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<Segment>>>, BoxError> {
        let (target, committer) = (self.connect)(context)?;
        Ok(Some(Box::new(Sender { target, committer, refused: Vec::new() })))
    }
}

struct SegmentWriter {
    next: SegmentId,
    limit: usize,
    /// In full chunks.
    bytes: usize,
    records: u64,
    chunks: Vec<Arc<[u8]>>,
    chunk: Vec<u8>,
}

impl SegmentWriter {
    fn end_chunk(&mut self) {
        if !self.chunk.is_empty() {
            self.bytes += self.chunk.len();
            self.chunks.push(self.chunk.as_slice().into());
            self.chunk.clear();
        }
    }
}

impl<T: Record> SinkWriter<T, Segment> for SegmentWriter {
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        for value in &batch.values {
            let before = self.chunk.len();
            codec::encode_into(value, &mut self.chunk)?;
            if self.chunk.len() == before {
                // A record without bytes could not be told from none.
                return Err("records of a write-ahead sink must not encode to nothing".into());
            }
            if self.chunk.len() >= CHUNK_BYTES {
                self.end_chunk();
            }
        }
        self.records += batch.values.len() as u64;
        if self.bytes + self.chunk.len() > self.limit {
            return Err(SegmentTooLarge { limit: self.limit }.into());
        }
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<Segment>, BoxError> {
        self.end_chunk();
        if self.chunks.is_empty() {
            return Ok(Vec::new());
        }
        let (id, records) = (self.next, std::mem::take(&mut self.records));
        self.next.number += 1;
        self.bytes = 0;
        Ok(vec![Segment { id, records, chunks: std::mem::take(&mut self.chunks) }])
    }

    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        // A writer that starts again is another, so its numbers begin anew.
        Ok(WriterState::default())
    }
}

struct Sender<T> {
    target: Box<dyn WriteAheadTarget<T>>,
    committer: Box<dyn CheckpointCommitter>,
    refused: Vec<Segment>,
}

impl<T: Record> Committer<Segment> for Sender<T> {
    fn commit(&mut self, committables: Vec<Segment>) -> Result<(), BoxError> {
        let mut segments = committables.into_iter();
        while let Some(segment) = segments.next() {
            if self.committer.is_committed(&segment.id)? {
                continue;
            }
            if !self.target.send(&segment)? {
                self.refused.push(segment);
                self.refused.extend(segments);
                return Ok(());
            }
            self.committer.commit(&segment.id)?;
        }
        Ok(())
    }

    fn outcome(&mut self) -> Result<Vec<Segment>, BoxError> {
        Ok(std::mem::take(&mut self.refused))
    }
}
