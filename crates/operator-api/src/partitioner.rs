//! How the batches of one edge are distributed over its channels.
//!
//! Splitting a batch by key over many channels leaves slivers; a partitioner therefore keeps one
//! buffer per channel and hands it on when it is full. The record writer flushes it before every
//! control element, when the task is about to wait, and on the buffer timeout.

use hurtig_types::{BoxedPayload, CodecError, FlowResult};

/// What a partitioner may know.
#[derive(Clone, Copy, Debug)]
pub struct PartitionContext {
    /// Number of channels.
    pub channels: usize,
    /// The producing subtask.
    pub subtask: u32,
    /// Number of producing subtasks.
    pub parallelism: u32,
    /// Number of consuming subtasks (for key groups).
    pub target_parallelism: u32,
    /// Max parallelism of the consumer, i.e. number of key groups.
    pub target_max_parallelism: u32,
    /// A channel's buffer is handed on when it holds about this many bytes.
    pub buffer_bytes: usize,
}

/// Takes full buffers.
pub trait ChannelSink {
    /// Sends a batch to one channel.
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult;
}

/// Distributes the batches of one edge.
pub trait Partitioner: Send {
    /// Distributes a batch; full buffers go to `sink`.
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult;
    /// Hands on all buffers.
    fn flush(&mut self, sink: &mut dyn ChannelSink) -> FlowResult;
    /// True if a flush would hand on nothing.
    fn is_empty(&self) -> bool;
}

/// The code of one edge: its partitioner and its record type.
pub trait EdgeFactory: Send + Sync {
    /// The partitioner of one producing subtask.
    fn create_partitioner(&self, context: &PartitionContext) -> FlowResult<Box<dyn Partitioner>>;
    /// Decodes a batch that `Payload::encode` wrote.
    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError>;
}
