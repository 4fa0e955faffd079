//! The record writer: the partitioner and the result partition of one outgoing edge.
//!
//! Invariant: whatever the partitioner still buffers is flushed before a control element follows
//! it, so that elements keep their order on every channel.

use std::sync::Arc;

use hurtig_network::{PartitionProbe, ResultPartition, in_flight::InFlightElement};
use hurtig_operator_api::{ChannelSink, Partitioner};
use hurtig_types::{
    Alignment, BoxedPayload, CheckpointBarrier, CheckpointId, FlowResult, LatencyMarker,
    element::ControlElement,
};

use crate::metrics::TaskMetrics;

/// Writes the elements of one edge.
pub struct RecordWriter {
    partitioner: Box<dyn Partitioner>,
    partition: ResultPartition,
    /// Barriers may overtake records.
    may_overtake: bool,
    /// The channel of the next latency marker.
    next_marked: usize,
    metrics: Arc<TaskMetrics>,
}

struct PartitionSink<'a> {
    partition: &'a mut ResultPartition,
    metrics: &'a TaskMetrics,
}

impl ChannelSink for PartitionSink<'_> {
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
        self.metrics.records_out.add(batch.len() as u64);
        self.metrics.bytes_out.add(batch.size_bytes() as u64);
        self.metrics.buffers_out.inc();
        self.partition.push(channel, batch)
    }
}

impl RecordWriter {
    /// A writer over a partition.
    pub fn new(
        partitioner: Box<dyn Partitioner>,
        partition: ResultPartition,
        may_overtake: bool,
        metrics: Arc<TaskMetrics>,
    ) -> Self {
        Self { partitioner, partition, may_overtake, next_marked: 0, metrics }
    }

    /// Writes records; they may stay in the partitioner's buffers for now.
    pub fn write(&mut self, batch: BoxedPayload) -> FlowResult {
        let mut sink = PartitionSink { partition: &mut self.partition, metrics: &self.metrics };
        self.partitioner.partition(batch, &mut sink)
    }

    /// Hands all buffered records to the partition.
    pub fn flush(&mut self) -> FlowResult {
        if self.partitioner.is_empty() {
            return Ok(());
        }
        let mut sink = PartitionSink { partition: &mut self.partition, metrics: &self.metrics };
        self.partitioner.flush(&mut sink)
    }

    /// Sends a control element to all channels, after all records written before it.
    pub fn broadcast(&mut self, element: ControlElement) -> FlowResult {
        self.flush()?;
        self.partition.broadcast_control(element)
    }

    /// Sends a latency marker to one channel, the next in turn, after all records before it.
    pub fn send_latency(&mut self, marker: LatencyMarker) -> FlowResult {
        self.flush()?;
        let channel = self.next_marked;
        self.next_marked = (channel + 1) % self.partition.subpartitions().max(1);
        self.partition.send_control(channel, ControlElement::Latency(marker))
    }

    /// A view of how full the partition is.
    pub fn probe(&self) -> PartitionProbe {
        self.partition.probe()
    }

    /// Sends a barrier to all channels, after all records written before it; or before everything
    /// that is queued, if it may overtake that here. Returns what it has overtaken, by channel.
    pub fn send_barrier(&mut self, barrier: &CheckpointBarrier) -> FlowResult<Vec<(u32, Vec<u8>)>> {
        self.flush()?;
        if self.may_overtake && barrier.options.alignment == Alignment::Unaligned {
            return self.partition.broadcast_barrier_first(barrier);
        }
        self.partition.broadcast_control(ControlElement::Barrier(barrier.clone()))?;
        Ok(Vec::new())
    }

    /// Lets a barrier that was sent in its place overtake what is queued before it.
    pub fn overtake(&mut self, id: CheckpointId) -> FlowResult<Vec<(u32, Vec<u8>)>> {
        if self.may_overtake { self.partition.overtake(id) } else { Ok(Vec::new()) }
    }

    /// True while a barrier that may overtake records waits for a consumer.
    pub fn holds_barrier(&self, id: CheckpointId) -> bool {
        self.may_overtake && self.partition.holds_barrier(id)
    }

    /// Queues an element that was in flight.
    pub fn restore(&mut self, channel: usize, element: InFlightElement) -> FlowResult {
        self.partition.restore(channel, element)
    }

    /// False while the partition is full.
    pub fn is_available(&self) -> bool {
        self.partition.is_available()
    }

    /// True once all consumers have taken the end of input.
    pub fn all_consumed(&self) -> bool {
        self.partition.all_consumed()
    }
}
