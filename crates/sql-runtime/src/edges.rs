//! Edges of rows.
//!
//! | distribution | a row goes to |
//! |---|---|
//! | forward, global | channel 0 |
//! | rebalance | the next channel in turn, a batch at a time |
//! | broadcast | all channels |
//! | hash | the owner of its key's key group: `hash mod max parallelism` |
//!
//! Rows of a hash edge are gathered per channel until they fill a buffer, so that splitting a batch
//! over many channels leaves no slivers.

use arrow_array::UInt32Array;
use arrow_select::{concat::concat_batches, take::take_record_batch};
use hurtig_operator_api::{ChannelSink, EdgeFactory, PartitionContext, Partitioner};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::{
    BoxedPayload, CodecError, FlowResult, Payload, key_group_of, operator_index_of,
};

use crate::{
    config::{Exchange, TableEdge},
    rows::{RowCodec, arrow_error, hash_of, rows_of},
};

/// Most rows in one channel's buffer.
const BUFFERED_ROWS: usize = 8192;

impl EdgeFactory for TableEdge {
    fn create_partitioner(&self, context: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
        if context.channels <= 1 {
            return Ok(Box::new(PassOn));
        }
        let channels = context.channels;
        Ok(match &self.distribution {
            Exchange::Forward | Exchange::Global => Box::new(PassOn),
            Exchange::Broadcast => Box::new(Broadcast { channels }),
            Exchange::Rebalance => {
                Box::new(Rebalance { next: context.subtask as usize % channels, channels })
            }
            Exchange::Hash(columns) => {
                let max = context.target_max_parallelism;
                let owner = |group| operator_index_of(group, context.target_parallelism, max);
                Box::new(ByKey {
                    codec: RowCodec::new(&self.schema, columns)?,
                    max_parallelism: max,
                    owners: (0..max).map(owner).collect(),
                    chosen: vec![Vec::new(); channels],
                    buffers: (0..channels).map(|_| Buffer::default()).collect(),
                    buffer_bytes: context.buffer_bytes.max(1),
                })
            }
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<BoxedPayload, CodecError> {
        Ok(ChangelogBatch::decode(&self.schema, bytes)?.boxed())
    }
}

struct PassOn;

impl Partitioner for PassOn {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        sink.push(0, batch)
    }

    fn flush(&mut self, _: &mut dyn ChannelSink) -> FlowResult {
        Ok(())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

struct Broadcast {
    channels: usize,
}

impl Partitioner for Broadcast {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        for channel in 1..self.channels {
            sink.push(channel, batch.clone_payload())?;
        }
        sink.push(0, batch)
    }

    fn flush(&mut self, _: &mut dyn ChannelSink) -> FlowResult {
        Ok(())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

struct Rebalance {
    next: usize,
    channels: usize,
}

impl Partitioner for Rebalance {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        let channel = self.next;
        self.next = (self.next + 1) % self.channels;
        sink.push(channel, batch)
    }

    fn flush(&mut self, _: &mut dyn ChannelSink) -> FlowResult {
        Ok(())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

/// Rows that wait for more.
#[derive(Default)]
struct Buffer {
    batches: Vec<ChangelogBatch>,
    rows: usize,
    bytes: usize,
}

impl Buffer {
    fn take(&mut self) -> FlowResult<Option<ChangelogBatch>> {
        let batches = std::mem::take(self).batches;
        if batches.len() <= 1 {
            return Ok(batches.into_iter().next());
        }
        let schema = batches[0].rows.schema();
        let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows));
        let rows = rows.map_err(arrow_error)?;
        if batches.iter().all(|batch| batch.kinds.is_none()) {
            return Ok(Some(ChangelogBatch::inserts(rows)));
        }
        let kinds =
            batches.iter().flat_map(|batch| (0..batch.rows.num_rows()).map(|row| batch.kind(row)));
        let kinds: Vec<RowKind> = kinds.collect();
        Ok(Some(ChangelogBatch::new(rows, kinds)))
    }
}

/// By the key group of a key.
struct ByKey {
    codec: RowCodec,
    max_parallelism: u32,
    /// The channel of each key group.
    owners: Vec<u32>,
    /// Rows of the batch at hand per channel.
    chosen: Vec<Vec<u32>>,
    buffers: Vec<Buffer>,
    buffer_bytes: usize,
}

impl Partitioner for ByKey {
    fn partition(&mut self, batch: BoxedPayload, sink: &mut dyn ChannelSink) -> FlowResult {
        let batch = rows_of(batch)?;
        let keys = self.codec.encode(&batch.rows)?;
        for row in 0..batch.rows.num_rows() {
            let group = key_group_of(hash_of(keys.get(row))?, self.max_parallelism);
            self.chosen[self.owners[group as usize] as usize].push(row as u32);
        }
        for channel in 0..self.chosen.len() {
            let chosen = std::mem::take(&mut self.chosen[channel]);
            if chosen.is_empty() {
                continue;
            }
            let part = if chosen.len() == batch.rows.num_rows() {
                batch.clone()
            } else {
                pick(&batch, chosen)?
            };
            let buffer = &mut self.buffers[channel];
            if buffer
                .batches
                .first()
                .is_some_and(|one| one.rows.schema_ref() != part.rows.schema_ref())
                && let Some(full) = buffer.take()?
            {
                sink.push(channel, full.boxed())?;
            }
            let buffer = &mut self.buffers[channel];
            buffer.rows += part.rows.num_rows();
            buffer.bytes += part.size_bytes();
            buffer.batches.push(part);
            if (buffer.rows >= BUFFERED_ROWS || buffer.bytes >= self.buffer_bytes)
                && let Some(full) = buffer.take()?
            {
                sink.push(channel, full.boxed())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn ChannelSink) -> FlowResult {
        for (channel, buffer) in self.buffers.iter_mut().enumerate() {
            if let Some(batch) = buffer.take()? {
                sink.push(channel, batch.boxed())?;
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.buffers.iter().all(|buffer| buffer.batches.is_empty())
    }
}

/// Some rows of a batch.
pub(crate) fn pick(batch: &ChangelogBatch, rows: Vec<u32>) -> FlowResult<ChangelogBatch> {
    let kinds = batch.kinds.as_ref();
    let kinds = kinds.map(|kinds| rows.iter().map(|row| kinds[*row as usize]).collect::<Vec<_>>());
    let taken = if batch.rows.num_columns() == 0 {
        crate::rows::make_rows(&batch.rows.schema(), Vec::new(), rows.len())?
    } else {
        take_record_batch(&batch.rows, &UInt32Array::from(rows)).map_err(arrow_error)?
    };
    Ok(match kinds {
        Some(kinds) => ChangelogBatch::new(taken, kinds),
        None => ChangelogBatch::inserts(taken),
    })
}
