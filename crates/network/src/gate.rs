//! Input gates: what a task consumes on one incoming edge.
//!
//! A channel with something to take stands once in the gate's ready queue; polling takes one
//! element of the first and puts the channel at the end if it has more. So a poll costs the same
//! for two channels and for a thousand, and no channel starves another.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use hurtig_cluster_api::PeerAddress;
use hurtig_env::Signal;
use hurtig_operator_api::EdgeFactory;
use hurtig_types::{
    CheckpointBarrier, CheckpointId, ErrorClass, FlowError, FlowResult, ResultPartitionId,
    StreamElement, element::ControlElement,
};
use parking_lot::Mutex;

use crate::{
    budget::BudgetShare,
    connection::ConnectionShared,
    credit::{ReceiverCredits, cost_bytes},
    in_flight,
    partition::PartitionShared,
    probe::GateProbe,
    registry::Registry,
    subpartition::Item,
};

/// Most control elements that may wait in one remote channel; a peer that sends more is broken.
const MAX_QUEUED_CONTROLS: usize = 1 << 20;

/// What is known of a channel before it is reached in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// A barrier that may overtake what is before it.
    Barrier(CheckpointBarrier),
    /// The end of a channel from a peer: no barrier will come behind it.
    End,
}

/// One channel of a gate.
#[derive(Clone, Debug)]
pub struct ChannelSpec {
    /// The partition to read.
    pub partition: ResultPartitionId,
    /// Which subpartition of it.
    pub subpartition: usize,
    /// Who has it.
    pub producer: PeerAddress,
}

/// The part of a gate that producers and connections reach.
pub(crate) struct GateShared {
    ready: Mutex<VecDeque<u32>>,
    announced: Mutex<VecDeque<(u32, Announced)>>,
    has_announced: AtomicBool,
    signal: Signal,
    failed: AtomicBool,
    failure: Mutex<Option<String>>,
    /// The gate was dropped; held while a channel learns its partition.
    closed: Mutex<bool>,
    /// The partition of each local channel, once it is known.
    pub(crate) local: Vec<OnceLock<Arc<PartitionShared>>>,
}

impl GateShared {
    pub(crate) fn new(channels: usize, signal: Signal) -> Arc<Self> {
        Arc::new(Self {
            ready: Mutex::new(VecDeque::new()),
            announced: Mutex::new(VecDeque::new()),
            has_announced: AtomicBool::new(false),
            signal,
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            closed: Mutex::new(false),
            local: (0..channels).map(|_| OnceLock::new()).collect(),
        })
    }

    /// A channel has something to take. Called once until it is empty again.
    pub(crate) fn schedule(&self, channel: u32) {
        self.ready.lock().push_back(channel);
        self.signal.post();
    }

    /// Something has come into the queue of a channel that is to be known before it is reached.
    pub(crate) fn announce(&self, channel: u32, what: Announced) {
        self.announced.lock().push_back((channel, what));
        self.has_announced.store(true, Release);
        self.signal.post();
    }

    /// The gate fails; the first reason is kept.
    pub(crate) fn fail(&self, reason: String) {
        self.failure.lock().get_or_insert(reason);
        self.failed.store(true, Release);
        self.signal.post();
    }

    /// Tells a local channel its partition. False if the gate is not there any more.
    pub(crate) fn set_partition(&self, channel: u32, partition: Arc<PartitionShared>) -> bool {
        let closed = self.closed.lock();
        match self.local.get(channel as usize) {
            Some(slot) if !*closed => slot.set(partition).is_ok(),
            _ => false,
        }
    }
}

/// An element that arrived from a peer.
pub(crate) enum RemoteItem {
    Data(Vec<u8>),
    Control(ControlElement),
}

#[derive(Default)]
struct RemoteQueueState {
    queue: VecDeque<RemoteItem>,
    controls: usize,
    scheduled: bool,
}

impl RemoteQueueState {
    fn holds_end(&self) -> bool {
        matches!(self.queue.back(), Some(RemoteItem::Control(ControlElement::EndOfInput)))
    }
}

/// A channel holds too many control elements.
#[derive(Debug)]
pub(crate) struct TooManyControls;

/// The queue of a remote channel.
#[derive(Default)]
pub(crate) struct RemoteQueue(Mutex<RemoteQueueState>);

impl RemoteQueue {
    /// Adds an element; true if the channel must be scheduled.
    pub(crate) fn push(&self, item: RemoteItem) -> Result<bool, TooManyControls> {
        let mut state = self.0.lock();
        if matches!(item, RemoteItem::Control(_)) {
            if state.controls >= MAX_QUEUED_CONTROLS {
                return Err(TooManyControls);
            }
            state.controls += 1;
        }
        state.queue.push_back(item);
        Ok(!std::mem::replace(&mut state.scheduled, true))
    }

    fn take_barrier(&self, id: CheckpointId, in_flight: &mut Vec<u8>) -> FlowResult<bool> {
        let mut state = self.0.lock();
        let is_it = |item: &RemoteItem| matches!(item, RemoteItem::Control(ControlElement::Barrier(b)) if b.checkpoint_id == id);
        let position = state.queue.iter().position(is_it);
        if position.is_none() && !state.holds_end() {
            return Ok(false);
        }
        for item in state.queue.range(..position.unwrap_or(state.queue.len())) {
            match item {
                RemoteItem::Data(payload) => in_flight::put_encoded(payload, in_flight)?,
                RemoteItem::Control(control) => in_flight::put_control(control, in_flight)?,
            }
        }
        if let Some(position) = position {
            state.queue.remove(position);
            state.controls -= 1;
        }
        Ok(true)
    }

    fn holds_end(&self) -> bool {
        self.0.lock().holds_end()
    }

    /// Batches that are queued, and what they cost in bytes.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let state = self.0.lock();
        let costs = state.queue.iter().filter_map(|item| match item {
            RemoteItem::Data(payload) => Some(cost_bytes(payload.len())),
            RemoteItem::Control(_) => None,
        });
        costs.fold((0, 0), |(batches, bytes), cost| (batches + 1, bytes + cost))
    }

    fn take(&self) -> Option<(RemoteItem, bool)> {
        let mut state = self.0.lock();
        let item = state.queue.pop_front();
        if matches!(item, Some(RemoteItem::Control(_))) {
            state.controls -= 1;
        }
        state.scheduled = !state.queue.is_empty();
        item.map(|item| (item, state.scheduled))
    }
}

pub(crate) enum Channel {
    Local { subpartition: usize },
    Remote { connection: Arc<ConnectionShared>, number: u32, queue: Arc<RemoteQueue> },
}

/// How much floating credit a gate may give, by its share of the budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floating {
    /// What all channels have for themselves.
    pub(crate) exclusive_bytes: usize,
    /// The most, whatever the share.
    pub(crate) max_bytes: usize,
}

impl Floating {
    pub(crate) fn within(&self, limit_bytes: usize) -> usize {
        limit_bytes.saturating_sub(self.exclusive_bytes).min(self.max_bytes)
    }
}

/// What a task consumes on one incoming edge. Dropping it tells the producers that nothing more is
/// needed.
pub struct InputGate {
    shared: Arc<GateShared>,
    channels: Arc<[Channel]>,
    ended: Vec<bool>,
    open: usize,
    blocked: Vec<bool>,
    /// Whether a blocked channel has something to take.
    parked: Vec<bool>,
    credits: Arc<Mutex<ReceiverCredits>>,
    floating: Floating,
    share: Arc<BudgetShare>,
    registry: Arc<Registry>,
    decoder: Arc<dyn EdgeFactory>,
}

impl InputGate {
    pub(crate) fn new(
        shared: Arc<GateShared>,
        channels: Vec<Channel>,
        credits: Arc<Mutex<ReceiverCredits>>,
        floating: Floating,
        share: BudgetShare,
        registry: Arc<Registry>,
        decoder: Arc<dyn EdgeFactory>,
    ) -> Self {
        let count = channels.len();
        Self {
            shared,
            channels: channels.into(),
            ended: vec![false; count],
            open: count,
            blocked: vec![false; count],
            parked: vec![false; count],
            credits,
            floating,
            share: Arc::new(share),
            registry,
            decoder,
        }
    }

    /// A view of how full it is, for others than its task.
    pub fn probe(&self) -> GateProbe {
        GateProbe::new(&self.shared, &self.channels, &self.share)
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// True once all channels have ended.
    pub fn is_finished(&self) -> bool {
        self.open == 0
    }

    /// Takes the next element, with the number of its channel. Never blocks; the signal is posted
    /// when something arrives.
    ///
    /// # Errors
    /// If a producer or the connection to it is lost, or bytes cannot be decoded.
    pub fn poll(&mut self) -> FlowResult<Option<(usize, StreamElement)>> {
        loop {
            if self.shared.failed.load(Acquire) && self.open > 0 {
                let reason = self.shared.failure.lock().clone().unwrap_or_default();
                return Err(FlowError::new(ErrorClass::InputLost, reason));
            }
            let Some(number) = self.shared.ready.lock().pop_front() else {
                return Ok(None);
            };
            let index = number as usize;
            if self.blocked[index] {
                self.parked[index] = true;
                continue;
            }
            let (element, more) = match self.take(index)? {
                Some(taken) => taken,
                None => continue,
            };
            if more {
                self.shared.ready.lock().push_back(number);
            }
            if matches!(element, StreamElement::EndOfInput) && !self.ended[index] {
                self.ended[index] = true;
                self.open -= 1;
            }
            return Ok(Some((index, element)));
        }
    }

    fn take(&mut self, index: usize) -> FlowResult<Option<(StreamElement, bool)>> {
        match &self.channels[index] {
            Channel::Local { subpartition } => {
                let Some(partition) = self.shared.local[index].get() else {
                    return Ok(None);
                };
                let Ok(taken) = partition.subpartitions[*subpartition].take_if(|_| true) else {
                    return Ok(None);
                };
                partition.after_take(&taken);
                let element = match taken.item {
                    Item::Batch { batch, .. } => StreamElement::Batch(batch),
                    Item::Encoded { payload, .. } => {
                        StreamElement::Batch(self.decoder.decode(&payload)?)
                    }
                    Item::Control(control) => control.into(),
                };
                Ok(Some((element, taken.more)))
            }
            Channel::Remote { connection, number, queue } => {
                let Some((item, more)) = queue.take() else {
                    return Ok(None);
                };
                let element = match item {
                    RemoteItem::Control(control) => control.into(),
                    RemoteItem::Data(bytes) => {
                        let decoded = self.decoder.decode(&bytes);
                        let cost = cost_bytes(bytes.len());
                        self.share.budget().give_back(cost);
                        self.registry.buffers.give_back(bytes);
                        let floating = self.floating.within(self.share.limit_bytes());
                        let grant = {
                            let mut credits = self.credits.lock();
                            credits.set_floating(floating);
                            credits.on_consumed(index, cost)
                        };
                        if grant > 0 {
                            connection.grant(*number, grant);
                        }
                        StreamElement::Batch(decoded.map_err(FlowError::internal)?)
                    }
                };
                Ok(Some((element, more)))
            }
        }
    }

    /// What has come into the queue of a channel and may matter before it is reached, with the
    /// number of the channel. It is in the queue all the same.
    pub fn poll_announced(&mut self) -> Option<(usize, Announced)> {
        if !self.shared.has_announced.load(Acquire) {
            return None;
        }
        let mut announced = self.shared.announced.lock();
        let next = announced.pop_front();
        if announced.is_empty() {
            self.shared.has_announced.store(false, Release);
        }
        next.map(|(channel, what)| (channel as usize, what))
    }

    /// Lets the barrier of a checkpoint overtake what is before it in a channel's queue, which is
    /// appended to `in_flight` and stays in the queue. False if the barrier has not arrived but
    /// will, or the end of the channel will.
    pub fn take_barrier(
        &mut self,
        channel: usize,
        id: CheckpointId,
        in_flight: &mut Vec<u8>,
    ) -> FlowResult<bool> {
        match &self.channels[channel] {
            Channel::Local { subpartition } => match self.shared.local[channel].get() {
                Some(partition) => partition.take_barrier(*subpartition, id, in_flight),
                None => Ok(false),
            },
            Channel::Remote { queue, .. } => queue.take_barrier(id, in_flight),
        }
    }

    /// True once the end of a channel was taken.
    pub fn channel_has_ended(&self, channel: usize) -> bool {
        self.ended[channel]
    }

    /// True if a channel from a peer has its end in its queue, so that no barrier will come.
    pub fn end_is_queued(&self, channel: usize) -> bool {
        match &self.channels[channel] {
            Channel::Local { .. } => false,
            Channel::Remote { queue, .. } => queue.holds_end(),
        }
    }

    /// Leaves a channel alone: what arrives stays queued.
    pub fn block_channel(&mut self, channel: usize) {
        self.blocked[channel] = true;
    }

    /// Takes from a blocked channel again.
    pub fn unblock_channel(&mut self, channel: usize) {
        self.blocked[channel] = false;
        if std::mem::take(&mut self.parked[channel]) {
            self.shared.schedule(channel as u32);
        }
    }
}

impl Drop for InputGate {
    fn drop(&mut self) {
        // A partition that is registered later finds that nobody waits for it.
        *self.shared.closed.lock() = true;
        for (index, channel) in self.channels.iter().enumerate() {
            if self.ended[index] {
                continue;
            }
            match channel {
                Channel::Local { subpartition } => {
                    if let Some(partition) = self.shared.local[index].get() {
                        partition.release(*subpartition);
                    }
                }
                Channel::Remote { connection, number, queue } => {
                    connection.cancel_receiver(*number);
                    while let Some((item, _)) = queue.take() {
                        if let RemoteItem::Data(bytes) = item {
                            self.share.budget().give_back(cost_bytes(bytes.len()));
                            self.registry.buffers.give_back(bytes);
                        }
                    }
                }
            }
        }
    }
}
