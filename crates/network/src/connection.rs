//! One connection to a peer: all channels between two TaskExecutors, in both directions.
//!
//! Two loops run per connection on the control executor, a reader and a writer; this module is what
//! they and the tasks share. A task only queues and signals; it never waits for the peer.
//!
//! The writer's turn:
//! 1. all messages and grants that wait,
//! 2. one element of every channel that has something and credit for it, round robin, until the
//!    write buffer is full,
//! 3. one write; if there was nothing, wait for the signal.
//!
//! A channel whose next element is a batch without credit leaves the round until credit comes; it
//! holds up no other channel.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use bytes::{Bytes, BytesMut};
use hurtig_cluster_api::PeerAddress;
use hurtig_env::Signal;
use hurtig_types::{ResultPartitionId, element::ControlElement};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::{
    budget::Budget,
    credit::{ReceiverCredits, SenderCredit},
    frame::{self, Frame, FrameError, Message},
    gate::{GateShared, RemoteItem, RemoteQueue},
    partition::PartitionShared,
    registry::Registry,
    subpartition::{Item, Nothing},
    transport::BoxedStream,
};

/// The writer collects up to about this many bytes per write.
const WRITE_BUFFER_BYTES: usize = 256 << 10;
/// The reader asks for about this many bytes per read.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// Most channels that a peer may ask for on one connection.
const MAX_SENDERS: usize = 1 << 20;

struct Sender {
    partition: Option<Arc<PartitionShared>>,
    subpartition: usize,
    credit: SenderCredit,
    sequence: u32,
    /// It has a batch but no credit.
    parked: bool,
}

/// The receiving end of a channel.
pub(crate) struct Receiver {
    pub(crate) gate: Arc<GateShared>,
    pub(crate) index: u32,
    pub(crate) queue: Arc<RemoteQueue>,
    pub(crate) credits: Arc<Mutex<ReceiverCredits>>,
    pub(crate) sequence: u32,
}

#[derive(Default)]
struct Outbox {
    messages: VecDeque<Message>,
    grants: HashMap<u32, u64>,
    ready: VecDeque<u32>,
}

/// A request of the peer that the registry must answer.
#[derive(Debug)]
pub(crate) struct IncomingRequest {
    pub(crate) channel: u32,
    pub(crate) partition: ResultPartitionId,
    pub(crate) subpartition: usize,
}

/// A connection, from the first request for it to its end.
pub struct ConnectionShared {
    pub(crate) peer: PeerAddress,
    outbox: Mutex<Outbox>,
    signal: Signal,
    senders: Mutex<HashMap<u32, Sender>>,
    receivers: Mutex<HashMap<u32, Receiver>>,
    next_channel: AtomicU32,
    attached: AtomicBool,
    dead: AtomicBool,
}

impl ConnectionShared {
    pub(crate) fn new(peer: PeerAddress) -> Arc<Self> {
        Arc::new(Self {
            peer,
            outbox: Mutex::default(),
            signal: Signal::new(),
            senders: Mutex::default(),
            receivers: Mutex::default(),
            next_channel: AtomicU32::new(0),
            attached: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        })
    }

    /// Claims the right to serve this connection; false if it is served already.
    pub(crate) fn try_attach(&self) -> bool {
        !self.attached.swap(true, Relaxed)
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached.load(Relaxed)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Acquire)
    }

    /// Asks the peer for a subpartition; returns the channel's number.
    pub(crate) fn request(
        &self,
        partition: ResultPartitionId,
        subpartition: usize,
        credit_bytes: u64,
        receiver: Receiver,
    ) -> u32 {
        let channel = self.next_channel.fetch_add(1, Relaxed);
        let gate = receiver.gate.clone();
        self.receivers.lock().insert(channel, receiver);
        self.outbox.lock().messages.push_back(Message::PartitionRequest {
            channel,
            partition,
            subpartition: subpartition as u32,
            credit_bytes,
        });
        self.signal.post();
        if self.is_dead() {
            gate.fail(format!("the connection to {} is lost", self.peer.address));
        }
        channel
    }

    pub(crate) fn grant(&self, channel: u32, bytes: u64) {
        *self.outbox.lock().grants.entry(channel).or_default() += bytes;
        self.signal.post();
    }

    pub(crate) fn cancel_receiver(&self, channel: u32) {
        if self.receivers.lock().remove(&channel).is_some() && !self.is_dead() {
            let mut outbox = self.outbox.lock();
            outbox.grants.remove(&channel);
            outbox.messages.push_back(Message::CancelChannel { channel });
            drop(outbox);
            self.signal.post();
        }
    }

    pub(crate) fn schedule_sender(&self, channel: u32) {
        self.outbox.lock().ready.push_back(channel);
        self.signal.post();
    }

    pub(crate) fn set_partition(
        &self,
        channel: u32,
        partition: Arc<PartitionShared>,
        subpartition: usize,
    ) {
        if let Some(sender) = self.senders.lock().get_mut(&channel) {
            sender.partition = Some(partition);
            sender.subpartition = subpartition;
        }
    }

    /// The producer of a channel cannot go on: tells the peer.
    pub(crate) fn fail_sender(&self, channel: u32, reason: String) {
        if self.senders.lock().remove(&channel).is_some() && !self.is_dead() {
            self.outbox.lock().messages.push_back(Message::ChannelError { channel, reason });
            self.signal.post();
        }
    }

    /// The connection is lost: all its channels fail.
    pub(crate) fn fail(&self, reason: &str) {
        self.dead.store(true, Release);
        let receivers = std::mem::take(&mut *self.receivers.lock());
        for receiver in receivers.into_values() {
            receiver.gate.fail(format!("connection to {}: {reason}", self.peer.address));
        }
        let senders = std::mem::take(&mut *self.senders.lock());
        for sender in senders.into_values() {
            if let Some(partition) = sender.partition {
                partition.release(sender.subpartition);
            }
        }
        *self.outbox.lock() = Outbox::default();
        self.signal.post();
    }

    /// Writes until the connection is lost.
    pub(crate) async fn write_loop(
        &self,
        mut stream: WriteHalf<BoxedStream>,
        registry: &Registry,
    ) -> Result<(), String> {
        let mut buffer = Vec::with_capacity(WRITE_BUFFER_BYTES + (64 << 10));
        loop {
            buffer.clear();
            self.collect(&mut buffer, registry).map_err(|e| e.to_string())?;
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

    fn collect(&self, buffer: &mut Vec<u8>, registry: &Registry) -> Result<(), FrameError> {
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
                for (channel, bytes) in outbox.grants.drain() {
                    frame::write_message(&Message::AddCredit { channel, bytes }, buffer)?;
                }
            }
        }
        while buffer.len() < WRITE_BUFFER_BYTES {
            let Some(channel) = self.outbox.lock().ready.pop_front() else {
                break;
            };
            if self.write_one(channel, buffer, registry)? {
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
    ) -> Result<bool, FrameError> {
        let mut senders = self.senders.lock();
        let Some(sender) = senders.get_mut(&channel) else {
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
        let sequence = sender.sequence;
        sender.sequence = sequence.wrapping_add(1);
        partition.after_take(&taken);
        let (more, backlog) = (taken.more, taken.backlog as u64);
        let payload = match taken.item {
            Item::Control(element) => {
                let message = Message::Control { channel, sequence, element };
                frame::write_message(&message, buffer)?;
                if taken.ended {
                    senders.remove(&channel);
                    return Ok(false);
                }
                return Ok(more);
            }
            Item::Encoded { payload, .. } => payload,
            Item::Batch { batch, .. } => {
                // It was queued before the consumer was known to be remote.
                let mut payload = registry.buffers.take();
                if let Err(error) = batch.encode(&mut payload) {
                    let subpartition = sender.subpartition;
                    senders.remove(&channel);
                    drop(senders);
                    partition.release(subpartition);
                    let reason = error.to_string();
                    frame::write_message(&Message::ChannelError { channel, reason }, buffer)?;
                    return Ok(false);
                }
                payload
            }
        };
        sender.credit.on_sent(payload.len());
        drop(senders);
        frame::write_data_header(channel, sequence, backlog, payload.len(), buffer);
        buffer.extend_from_slice(&payload);
        registry.buffers.give_back(payload);
        Ok(more)
    }

    /// Reads until the connection is lost. Requests of the peer go to `on_request`.
    pub(crate) async fn read_loop(
        &self,
        mut stream: ReadHalf<BoxedStream>,
        mut buffer: BytesMut,
        max_frame_bytes: usize,
        budget: &Budget,
        on_request: impl Fn(IncomingRequest),
    ) -> Result<(), String> {
        loop {
            while let Some(frame) =
                frame::read_frame(&mut buffer, max_frame_bytes).map_err(|e| e.to_string())?
            {
                self.on_frame(frame, budget, &on_request)?;
            }
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
        budget: &Budget,
        on_request: impl Fn(IncomingRequest),
    ) -> Result<(), String> {
        match frame {
            Frame::Data { channel, sequence, backlog, payload } => {
                self.on_data(channel, sequence, backlog, payload, budget)
            }
            Frame::Message(message) => match message {
                Message::PartitionRequest { channel, partition, subpartition, credit_bytes } => {
                    let mut senders = self.senders.lock();
                    if senders.len() >= MAX_SENDERS || senders.contains_key(&channel) {
                        return Err(format!("unacceptable request for channel {channel}"));
                    }
                    senders.insert(
                        channel,
                        Sender {
                            partition: None,
                            subpartition: 0,
                            credit: SenderCredit::new(credit_bytes),
                            sequence: 0,
                            parked: false,
                        },
                    );
                    drop(senders);
                    let subpartition = subpartition as usize;
                    on_request(IncomingRequest { channel, partition, subpartition });
                    Ok(())
                }
                Message::AddCredit { channel, bytes } => {
                    self.on_credit(channel, bytes);
                    Ok(())
                }
                Message::CancelChannel { channel } => {
                    let sender = self.senders.lock().remove(&channel);
                    if let Some((partition, subpartition)) =
                        sender.and_then(|s| Some((s.partition?, s.subpartition)))
                    {
                        partition.release(subpartition);
                    }
                    Ok(())
                }
                Message::Control { channel, sequence, element } => {
                    self.on_control(channel, sequence, element)
                }
                Message::ChannelError { channel, reason } => {
                    if let Some(receiver) = self.receivers.lock().remove(&channel) {
                        receiver.gate.fail(format!("from {}: {reason}", self.peer.address));
                    }
                    Ok(())
                }
                Message::Hello { .. } | Message::HelloAnswer { .. } => {
                    Err("a second handshake on one connection".to_owned())
                }
            },
        }
    }

    fn on_credit(&self, channel: u32, bytes: u64) {
        let mut senders = self.senders.lock();
        let Some(sender) = senders.get_mut(&channel) else {
            return;
        };
        sender.credit.on_grant(bytes);
        if sender.parked && sender.credit.may_send() {
            sender.parked = false;
            drop(senders);
            self.schedule_sender(channel);
        }
    }

    fn on_data(
        &self,
        channel: u32,
        sequence: u32,
        backlog: u64,
        payload: Bytes,
        budget: &Budget,
    ) -> Result<(), String> {
        let mut receivers = self.receivers.lock();
        // What was sent before the peer learned of the cancellation is of no use.
        let Some(receiver) = receivers.get_mut(&channel) else {
            return Ok(());
        };
        receiver.check_sequence(channel, sequence)?;
        let index = receiver.index;
        let grant = receiver
            .credits
            .lock()
            .on_data(index as usize, payload.len(), backlog)
            .map_err(|_| format!("channel {channel} sent records without credit"))?;
        budget.take(payload.len());
        if receiver.queue.push(RemoteItem::Data(payload)) {
            receiver.gate.schedule(index);
        }
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
        let mut receivers = self.receivers.lock();
        let Some(receiver) = receivers.get_mut(&channel) else {
            return Ok(());
        };
        receiver.check_sequence(channel, sequence)?;
        if receiver.queue.push(RemoteItem::Control(element)) {
            receiver.gate.schedule(receiver.index);
        }
        if element == ControlElement::EndOfInput {
            receivers.remove(&channel);
        }
        Ok(())
    }
}

impl Receiver {
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
