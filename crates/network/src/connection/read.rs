//! The reading half of a connection: hands on what arrives, and believes nothing.
//!
//! Whatever a peer that keeps to the protocol would not send ends the connection: records without
//! credit, elements out of order, channels that nobody asked for. What was on its way when a
//! channel ended or was cancelled is dropped. The reader never waits for a task, so that a slow one
//! holds up nobody else.

use bytes::BytesMut;
use hurtig_types::element::ControlElement;
use tokio::io::{AsyncReadExt, ReadHalf};

use super::{ConnectionShared, IncomingRequest, Receiver, Sender};
use crate::{
    budget::Budget,
    buffers::BufferPool,
    credit::{SenderCredit, cost_bytes},
    frame::{self, Frame, Message},
    gate::{Announced, RemoteItem},
    subpartition::is_announced,
    transport::BoxedStream,
};

/// The reader asks for about this many bytes per read.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// A read buffer that a large batch has made larger is not kept.
const READ_BUFFER_MAX_BYTES: usize = 1 << 20;
/// Most channels that a peer may ask for on one connection.
const MAX_SENDERS: usize = 1 << 20;

/// What the reader needs of its surroundings.
pub(crate) struct ReadContext<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) buffers: &'a BufferPool,
    pub(crate) max_frame_bytes: usize,
}

impl ConnectionShared {
    /// Reads until the connection is lost. Requests of the peer go to `on_request`.
    pub(crate) async fn read_loop(
        &self,
        mut stream: ReadHalf<BoxedStream>,
        mut buffer: BytesMut,
        context: ReadContext<'_>,
        on_request: impl Fn(IncomingRequest),
    ) -> Result<(), String> {
        loop {
            let mut largest = 0;
            while let Some(frame) = frame::read_frame(&mut buffer, context.max_frame_bytes)
                .map_err(|e| e.to_string())?
            {
                if let Frame::Data { payload, .. } = &frame {
                    largest = largest.max(payload.len());
                }
                self.on_frame(frame, &context, &on_request)?;
            }
            if largest > READ_BUFFER_MAX_BYTES {
                buffer = BytesMut::from(&buffer[..]);
            }
            // Payloads are copied out, so that the buffer is used again and a small payload never
            // holds on to a large buffer. A large frame grows it as its bytes arrive.
            buffer.reserve(READ_BUFFER_BYTES);
            let read = stream.read_buf(&mut buffer).await.map_err(|e| e.to_string())?;
            if read == 0 {
                return Err("closed by the peer".to_owned());
            }
        }
    }

    fn on_frame(
        &self,
        frame: Frame,
        context: &ReadContext<'_>,
        on_request: impl Fn(IncomingRequest),
    ) -> Result<(), String> {
        let message = match frame {
            Frame::Data { channel, sequence, backlog, payload } => {
                return self.on_data(channel, sequence, backlog, &payload, context);
            }
            Frame::Message(message) => message,
        };
        match message {
            Message::PartitionRequest { channel, partition, subpartition, credit_bytes } => {
                self.on_new_sender(channel, credit_bytes)?;
                let subpartition = subpartition as usize;
                on_request(IncomingRequest { channel, partition, subpartition });
                Ok(())
            }
            Message::AddCredit { channel, bytes } => self.on_credit(channel, bytes),
            Message::CancelChannel { channel } => self.on_cancel(channel),
            Message::Control { channel, sequence, element } => {
                self.on_control(channel, sequence, element)
            }
            Message::ChannelError { channel, reason } => {
                self.check_requested(channel)?;
                let receiver = self.receivers.lock().remove(&channel);
                if let Some(receiver) = receiver {
                    let reason = format!("from {}: {reason}", self.peer.address);
                    receiver.gate.fail(reason);
                }
                Ok(())
            }
            Message::Hello { .. } | Message::HelloAnswer { .. } => {
                Err("a second handshake on one connection".to_owned())
            }
        }
    }

    fn on_new_sender(&self, channel: u32, credit_bytes: u64) -> Result<(), String> {
        let mut senders = self.senders.lock();
        let known = senders.by_channel.contains_key(&channel);
        if known || senders.by_channel.len() >= MAX_SENDERS {
            return Err(format!("unacceptable request for channel {channel}"));
        }
        senders.highest = senders.highest.max(Some(channel));
        let sender = Sender {
            partition: None,
            subpartition: 0,
            credit: SenderCredit::new(credit_bytes),
            sequence: 0,
            parked: false,
        };
        senders.by_channel.insert(channel, sender);
        Ok(())
    }

    fn on_credit(&self, channel: u32, bytes: u64) -> Result<(), String> {
        let mut senders = self.senders.lock();
        senders.check_known(channel)?;
        let Some(sender) = senders.by_channel.get_mut(&channel) else {
            return Ok(());
        };
        sender.credit.on_grant(bytes);
        if sender.parked && sender.credit.may_send() {
            sender.parked = false;
            drop(senders);
            self.schedule_sender(channel);
        }
        Ok(())
    }

    fn on_cancel(&self, channel: u32) -> Result<(), String> {
        let sender = {
            let mut senders = self.senders.lock();
            senders.check_known(channel)?;
            senders.by_channel.remove(&channel)
        };
        if let Some((partition, subpartition)) =
            sender.and_then(|s| Some((s.partition?, s.subpartition)))
        {
            partition.release(subpartition);
        }
        Ok(())
    }

    fn on_data(
        &self,
        channel: u32,
        sequence: u32,
        backlog: u64,
        payload: &[u8],
        context: &ReadContext<'_>,
    ) -> Result<(), String> {
        self.check_requested(channel)?;
        let mut receivers = self.receivers.lock();
        // What was sent before the peer learned of the cancellation is of no use.
        let Some(receiver) = receivers.get_mut(&channel) else {
            return Ok(());
        };
        receiver.check_sequence(channel, sequence)?;
        let index = receiver.index;
        let cost = cost_bytes(payload.len());
        let grant = receiver
            .credits
            .lock()
            .on_data(index as usize, cost, backlog)
            .map_err(|_| format!("channel {channel} sent records without credit"))?;
        context.budget.take(cost);
        receiver.accept(RemoteItem::Data(context.buffers.copy_of(payload)))?;
        drop(receivers);
        if grant > 0 {
            self.grant(channel, grant);
        }
        Ok(())
    }

    fn on_control(
        &self,
        channel: u32,
        sequence: u32,
        element: ControlElement,
    ) -> Result<(), String> {
        self.check_requested(channel)?;
        let mut receivers = self.receivers.lock();
        let Some(receiver) = receivers.get_mut(&channel) else {
            return Ok(());
        };
        receiver.check_sequence(channel, sequence)?;
        let ended = element == ControlElement::EndOfInput;
        if ended {
            receiver.credits.lock().on_ended(receiver.index as usize);
        }
        let announced = match &element {
            ControlElement::Barrier(barrier) if is_announced(barrier) => {
                Some(Announced::Barrier(barrier.clone()))
            }
            ControlElement::EndOfInput => Some(Announced::End),
            _ => None,
        };
        receiver.accept(RemoteItem::Control(element))?;
        if let Some(announced) = announced {
            receiver.gate.announce(receiver.index, announced);
        }
        if ended {
            receivers.remove(&channel);
        }
        Ok(())
    }
}

impl Receiver {
    fn accept(&self, item: RemoteItem) -> Result<(), String> {
        match self.queue.push(item) {
            Ok(true) => self.gate.schedule(self.index),
            Ok(false) => {}
            Err(_) => return Err("too many control elements on one channel".to_owned()),
        }
        Ok(())
    }

    fn check_sequence(&mut self, channel: u32, sequence: u32) -> Result<(), String> {
        if sequence != self.sequence {
            let expected = self.sequence;
            return Err(format!(
                "channel {channel} sent element {sequence}, element {expected} was expected"
            ));
        }
        self.sequence = sequence.wrapping_add(1);
        Ok(())
    }
}
