//! The writing half of a connection.
//!
//! The writer's turn:
//! 1. all messages and grants that wait,
//! 2. one element of every channel that has something and credit for it, round robin, until the
//!    write buffer is full,
//! 3. one write; if there was nothing, wait for the signal.
//!
//! A channel whose next element is a batch without credit leaves the round until credit comes; it
//! holds up no other channel.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hurtig_types::BoxedPayload;
use tokio::io::{AsyncWriteExt, WriteHalf};

use super::ConnectionShared;
use crate::{
    credit::cost_bytes,
    frame::{self, FrameError, Message},
    registry::Registry,
    subpartition::{Item, Nothing},
    transport::BoxedStream,
};

/// The writer collects up to about this many bytes per write.
const WRITE_BUFFER_BYTES: usize = 256 << 10;
/// A write buffer that a large batch has made larger is not kept.
const WRITE_BUFFER_MAX_BYTES: usize = 1 << 20;

impl ConnectionShared {
    /// Writes until the connection is lost.
    pub(crate) async fn write_loop(
        &self,
        mut stream: WriteHalf<BoxedStream>,
        registry: &Registry,
        max_batch_bytes: usize,
    ) -> Result<(), String> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            buffer.shrink_to(WRITE_BUFFER_MAX_BYTES);
            self.collect(&mut buffer, registry, max_batch_bytes).map_err(|e| e.to_string())?;
            if self.is_dead() {
                return Err("closed".to_owned());
            }
            if buffer.is_empty() {
                self.signal.wait().await;
                continue;
            }
            stream.write_all(&buffer).await.map_err(|e| e.to_string())?;
            stream.flush().await.map_err(|e| e.to_string())?;
        }
    }

    fn collect(
        &self,
        buffer: &mut Vec<u8>,
        registry: &Registry,
        max_batch_bytes: usize,
    ) -> Result<(), FrameError> {
        {
            let mut outbox = self.outbox.lock();
            while buffer.len() < WRITE_BUFFER_BYTES {
                let Some(message) = outbox.messages.pop_front() else {
                    break;
                };
                frame::write_message(&message, buffer)?;
            }
            // A grant must not overtake the request of its channel.
            if outbox.messages.is_empty() {
                for (channel, bytes) in std::mem::take(&mut outbox.grants) {
                    frame::write_message(&Message::AddCredit { channel, bytes }, buffer)?;
                }
            }
        }
        while buffer.len() < WRITE_BUFFER_BYTES {
            let Some(channel) = self.outbox.lock().ready.pop_front() else {
                break;
            };
            if self.write_one(channel, buffer, registry, max_batch_bytes)? {
                self.outbox.lock().ready.push_back(channel);
            }
        }
        Ok(())
    }

    /// Writes one element of a channel; true if it may have more.
    fn write_one(
        &self,
        channel: u32,
        buffer: &mut Vec<u8>,
        registry: &Registry,
        max_batch_bytes: usize,
    ) -> Result<bool, FrameError> {
        let mut senders = self.senders.lock();
        let Some(sender) = senders.by_channel.get_mut(&channel) else {
            return Ok(false);
        };
        let Some(partition) = sender.partition.clone() else {
            return Ok(false);
        };
        let may_send = sender.credit.may_send();
        let taken = partition.subpartitions[sender.subpartition]
            .take_if(|item| may_send || matches!(item, Item::Control(_)));
        let taken = match taken {
            Ok(taken) => taken,
            Err(Nothing::Empty) => return Ok(false),
            Err(Nothing::Refused) => {
                sender.parked = true;
                return Ok(false);
            }
        };
        let subpartition = sender.subpartition;
        let sequence = sender.sequence;
        sender.sequence = sequence.wrapping_add(1);
        if taken.ended {
            senders.by_channel.remove(&channel);
        }
        drop(senders);
        partition.after_take(&taken);
        let (more, backlog) = (taken.more, taken.backlog as u64);
        let payload = match taken.item {
            Item::Control(element) => {
                let message = Message::Control { channel, sequence, element };
                frame::write_message(&message, buffer)?;
                return Ok(more && !taken.ended);
            }
            Item::Encoded { payload, .. } => payload,
            Item::Batch { batch, .. } => match encode_late(batch, max_batch_bytes) {
                Ok(payload) => payload,
                Err(reason) => {
                    self.fail_sender(channel, reason);
                    partition.release(subpartition);
                    return Ok(false);
                }
            },
        };
        // Nobody else sends on this channel; it may have been cancelled meanwhile.
        if let Some(sender) = self.senders.lock().by_channel.get_mut(&channel) {
            sender.credit.on_sent(cost_bytes(payload.len()));
        }
        frame::write_data_header(channel, sequence, backlog, payload.len(), buffer);
        buffer.extend_from_slice(&payload);
        registry.buffers.give_back(payload);
        Ok(more)
    }
}

/// Encodes a batch that was queued before its consumer was known to be remote. The code is the
/// user's: a panic fails the channel, not the connection.
fn encode_late(batch: BoxedPayload, max_batch_bytes: usize) -> Result<Vec<u8>, String> {
    let mut payload = Vec::new();
    match catch_unwind(AssertUnwindSafe(|| batch.encode(&mut payload))) {
        Ok(Ok(())) if payload.len() <= max_batch_bytes => Ok(payload),
        Ok(Ok(())) => Err(format!(
            "a batch is {} bytes long when encoded, the limit is {max_batch_bytes} bytes",
            payload.len()
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("encoding a batch of {} panicked", batch.type_name())),
    }
}
