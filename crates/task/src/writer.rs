//! The record writer: the partitioner and the result partition of one outgoing edge.
//!
//! Invariant: whatever the partitioner still buffers is flushed before a control element follows
//! it, so that elements keep their order on every channel.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use hurtig_network::ResultPartition;
use hurtig_operator_api::{ChannelSink, Partitioner};
use hurtig_types::{BoxedPayload, FlowResult, element::ControlElement};

use crate::metrics::TaskMetrics;

/// Writes the elements of one edge.
pub struct RecordWriter {
    partitioner: Box<dyn Partitioner>,
    partition: ResultPartition,
    metrics: Arc<TaskMetrics>,
}

struct PartitionSink<'a> {
    partition: &'a mut ResultPartition,
    metrics: &'a TaskMetrics,
}

impl ChannelSink for PartitionSink<'_> {
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
        self.metrics.records_out.fetch_add(batch.len() as u64, Relaxed);
        self.metrics.bytes_out.fetch_add(batch.size_bytes() as u64, Relaxed);
        self.partition.push(channel, batch)
    }
}

impl RecordWriter {
    /// A writer over a partition.
    pub fn new(
        partitioner: Box<dyn Partitioner>,
        partition: ResultPartition,
        metrics: Arc<TaskMetrics>,
    ) -> Self {
        Self { partitioner, partition, metrics }
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

    /// False while the partition is full.
    pub fn is_available(&self) -> bool {
        self.partition.is_available()
    }

    /// True once all consumers have taken the end of input.
    pub fn all_consumed(&self) -> bool {
        self.partition.all_consumed()
    }
}
