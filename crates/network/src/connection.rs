//! One connection to a peer: all channels between two TaskExecutors, in both directions.
//!
//! Two loops run per connection on the control executor, a [reader](read) and a [writer](write);
//! this module is what they and the tasks share. A task only queues and signals; it never waits for
//! the peer.
//!
//! Invariants: a channel's number is used once in the life of a connection; `senders` are the
//! channels for which this side has elements and `receivers` those for which the peer has; an entry
//! is gone once the end of input was written or has arrived, and when the connection is dead there
//! are none. Locks are taken in the order `senders`, subpartition, `outbox` on one side and
//! `receivers`, credits, queue, gate, `outbox` on the other.

pub(crate) mod read;
mod write;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use hurtig_cluster_api::PeerAddress;
use hurtig_env::Signal;
use hurtig_types::ResultPartitionId;
use parking_lot::Mutex;

use crate::{
    credit::{ReceiverCredits, SenderCredit},
    frame::Message,
    gate::{GateShared, RemoteQueue},
    partition::PartitionShared,
};

/// Longest reason that is sent to a peer, in characters.
const MAX_REASON_CHARS: usize = 4096;

struct Sender {
    partition: Option<Arc<PartitionShared>>,
    subpartition: usize,
    credit: SenderCredit,
    sequence: u32,
    /// It has a batch but no credit.
    parked: bool,
}

#[derive(Default)]
struct Senders {
    by_channel: BTreeMap<u32, Sender>,
    /// The highest number that the peer has asked for.
    highest: Option<u32>,
}

impl Senders {
    /// The peer may speak of a channel that has ended, not of one that it never asked for.
    fn check_known(&self, channel: u32) -> Result<(), String> {
        if self.highest < Some(channel) {
            return Err(format!("channel {channel} was never asked for"));
        }
        Ok(())
    }
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
    grants: BTreeMap<u32, u64>,
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
pub(crate) struct ConnectionShared {
    pub(crate) peer: PeerAddress,
    outbox: Mutex<Outbox>,
    signal: Signal,
    senders: Mutex<Senders>,
    receivers: Mutex<BTreeMap<u32, Receiver>>,
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

    /// What a channel has first needs no credit: a channel that waits for some is served again.
    pub(crate) fn unpark_sender(&self, channel: u32) {
        let mut senders = self.senders.lock();
        let sender = senders.by_channel.get_mut(&channel);
        if sender.is_some_and(|sender| std::mem::take(&mut sender.parked)) {
            drop(senders);
            self.schedule_sender(channel);
        }
    }

    /// Tells a channel its partition. False if the channel is not there any more.
    pub(crate) fn set_partition(
        &self,
        channel: u32,
        partition: Arc<PartitionShared>,
        subpartition: usize,
    ) -> bool {
        let mut senders = self.senders.lock();
        match senders.by_channel.get_mut(&channel) {
            Some(sender) if !self.is_dead() => {
                sender.partition = Some(partition);
                sender.subpartition = subpartition;
                true
            }
            _ => false,
        }
    }

    /// The producer of a channel cannot go on: tells the peer.
    pub(crate) fn fail_sender(&self, channel: u32, mut reason: String) {
        let sender = self.senders.lock().by_channel.remove(&channel);
        if sender.is_some() && !self.is_dead() {
            reason = reason.chars().take(MAX_REASON_CHARS).collect();
            let message = Message::ChannelError { channel, reason };
            self.outbox.lock().messages.push_back(message);
            self.signal.post();
        }
    }

    fn check_requested(&self, channel: u32) -> Result<(), String> {
        if channel >= self.next_channel.load(Relaxed) {
            return Err(format!("channel {channel} was never asked for"));
        }
        Ok(())
    }

    /// The connection is lost: all its channels fail.
    pub(crate) fn fail(&self, reason: &str) {
        self.dead.store(true, Release);
        let receivers = std::mem::take(&mut *self.receivers.lock());
        for receiver in receivers.into_values() {
            receiver.gate.fail(format!("connection to {}: {reason}", self.peer.address));
        }
        let senders = std::mem::take(&mut self.senders.lock().by_channel);
        for sender in senders.into_values() {
            if let Some(partition) = sender.partition {
                partition.release(sender.subpartition);
            }
        }
        *self.outbox.lock() = Outbox::default();
        self.signal.post();
    }
}
