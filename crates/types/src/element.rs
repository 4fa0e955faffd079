//! What flows along an edge: batches of records and, between them, control elements.

use serde::{Deserialize, Serialize};

use crate::{Alignment, BoxedPayload, CheckpointId, CheckpointOptions, MAX_TIMESTAMP};

/// "No record with a timestamp at or below this will follow", in event-time milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watermark(pub i64);

impl Watermark {
    /// The watermark that ends event time.
    pub const MAX: Watermark = Watermark(MAX_TIMESTAMP);
}

/// Whether an input currently takes part in event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamStatus {
    /// Its watermark counts.
    Active,
    /// It has nothing to say and holds nobody back.
    Idle,
}

/// Separates the records of one checkpoint from those of the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointBarrier {
    /// The checkpoint.
    pub checkpoint_id: CheckpointId,
    /// When the coordinator triggered it, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What is taken, and how barriers behave.
    pub options: CheckpointOptions,
}

impl CheckpointBarrier {
    /// When the barrier, if it is aligned with a timeout, begins to overtake records, in
    /// milliseconds since the Unix epoch.
    pub fn deadline_ms(&self) -> Option<i64> {
        match self.options.alignment {
            Alignment::AlignedWithTimeout { timeout_ms } => {
                let timeout_ms = i64::try_from(timeout_ms).unwrap_or(i64::MAX);
                Some(self.timestamp_ms.saturating_add(timeout_ms))
            }
            _ => None,
        }
    }

    /// Whether the barrier may overtake records by now.
    pub fn may_overtake(&self, now_ms: i64) -> bool {
        self.options.alignment == Alignment::Unaligned
            || self.deadline_ms().is_some_and(|deadline| deadline <= now_ms)
    }
}

/// Travels with the records to measure how long they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LatencyMarker {
    /// When the source emitted it, in milliseconds since the Unix epoch.
    pub marked_time: i64,
    /// Subtask of the source.
    pub subtask: u32,
    /// The source operator.
    pub operator: crate::OperatorId,
}

/// One element on an edge.
#[derive(Debug)]
pub enum StreamElement {
    /// Records.
    Batch(BoxedPayload),
    /// Progress of event time.
    Watermark(Watermark),
    /// The channel went idle or came back.
    Status(StreamStatus),
    /// A checkpoint barrier.
    Barrier(CheckpointBarrier),
    /// A latency marker.
    Latency(LatencyMarker),
    /// Nothing will follow.
    EndOfInput,
}

/// A [`StreamElement`] that carries no records: plain data, encoded with the record codec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlElement {
    /// Progress of event time.
    Watermark(Watermark),
    /// The channel went idle or came back.
    Status(StreamStatus),
    /// A checkpoint barrier.
    Barrier(CheckpointBarrier),
    /// A latency marker.
    Latency(LatencyMarker),
    /// Nothing will follow.
    EndOfInput,
}

impl From<ControlElement> for StreamElement {
    fn from(control: ControlElement) -> Self {
        match control {
            ControlElement::Watermark(w) => StreamElement::Watermark(w),
            ControlElement::Status(s) => StreamElement::Status(s),
            ControlElement::Barrier(b) => StreamElement::Barrier(b),
            ControlElement::Latency(l) => StreamElement::Latency(l),
            ControlElement::EndOfInput => StreamElement::EndOfInput,
        }
    }
}
