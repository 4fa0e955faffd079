//! One queue of a result partition: between the producing task and whoever consumes it.
//!
//! The lock is held for a push or a pop of one element. `scheduled` is true while the consumer
//! knows that there is something to take, so it is told only when an empty queue gets its first
//! element.
//!
//! How a consumer is attached: *claim* the subpartition, make the partition known to the consumer,
//! *start*. In between the queue counts as scheduled, so that nobody tells the consumer of elements
//! that it could not take yet.

use std::{collections::VecDeque, sync::Arc};

use hurtig_types::{
    Alignment, BoxedPayload, CheckpointBarrier, CheckpointId, FlowResult, element::ControlElement,
};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    connection::ConnectionShared,
    gate::{Announced, GateShared},
    in_flight::put_item,
};

/// An element that waits for its consumer.
#[derive(Debug)]
pub(crate) enum Item {
    Batch { batch: BoxedPayload, bytes: usize },
    Encoded { payload: Vec<u8>, bytes: usize },
    Control(ControlElement),
}

impl Item {
    /// Bytes that the budget is charged for it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Item::Batch { bytes, .. } | Item::Encoded { bytes, .. } => *bytes,
            Item::Control(_) => 0,
        }
    }
}

#[derive(Clone, Default)]
pub(crate) enum Consumer {
    /// Not known yet: elements wait.
    #[default]
    Unknown,
    /// A gate of the same TaskExecutor.
    Local { gate: Arc<GateShared>, channel: u32 },
    /// A peer.
    Remote { connection: Arc<ConnectionShared>, channel: u32 },
    /// It needs nothing more: elements are dropped.
    Gone,
}

impl Consumer {
    fn notify(&self) {
        match self {
            Consumer::Local { gate, channel } => gate.schedule(*channel),
            Consumer::Remote { connection, channel } => connection.schedule_sender(*channel),
            Consumer::Unknown | Consumer::Gone => {}
        }
    }

    /// A barrier that may overtake records has been queued. A local gate is told at once; a remote
    /// one when the barrier arrives there.
    fn announce(&self, barrier: &CheckpointBarrier) {
        if let Consumer::Local { gate, channel } = self {
            gate.announce(*channel, Announced::Barrier(barrier.clone()));
        }
    }

    /// The first element of a queue that was scheduled already needs no credit now.
    fn hurry(&self) {
        if let Consumer::Remote { connection, channel } = self {
            connection.unpark_sender(*channel);
        }
    }
}

impl Item {
    fn barrier(&self) -> Option<&CheckpointBarrier> {
        match self {
            Item::Control(ControlElement::Barrier(barrier)) => Some(barrier),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    queued_bytes: usize,
    consumer: Consumer,
    scheduled: bool,
    /// The consumer has taken the end of input, or is gone.
    done: bool,
}

impl State {
    fn take_barrier(
        &mut self,
        id: CheckpointId,
        in_flight: &mut Vec<u8>,
    ) -> FlowResult<Option<CheckpointBarrier>> {
        let is_it = |item: &Item| item.barrier().is_some_and(|b| b.checkpoint_id == id);
        let Some(position) = self.queue.iter().position(is_it) else {
            return Ok(None);
        };
        self.queue.range(..position).try_for_each(|item| put_item(item, in_flight))?;
        match self.queue.remove(position) {
            Some(Item::Control(ControlElement::Barrier(barrier))) => Ok(Some(barrier)),
            _ => Ok(None),
        }
    }
}

/// Whether a consumer is to know of a barrier before it reaches it.
pub(crate) fn is_announced(barrier: &CheckpointBarrier) -> bool {
    use Alignment::*;
    matches!(barrier.options.alignment, AlignedWithTimeout { .. } | Unaligned)
}

/// What a pop gave.
pub(crate) struct Taken {
    pub(crate) item: Item,
    /// There is another element; the consumer stays scheduled.
    pub(crate) more: bool,
    /// Bytes that are still queued.
    pub(crate) backlog: usize,
    /// It was the end of input.
    pub(crate) ended: bool,
}

/// What a release freed.
pub(crate) struct Released {
    pub(crate) bytes: usize,
    /// False if the consumer was done before.
    pub(crate) newly_done: bool,
}

#[derive(Default)]
pub(crate) struct Subpartition {
    state: Mutex<State>,
}

impl Subpartition {
    /// True if batches are to be pushed encoded.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.state.lock().consumer, Consumer::Remote { .. })
    }

    /// Elements that are queued.
    pub(crate) fn queue_length(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Adds an element; false if nobody will take it.
    pub(crate) fn push(&self, item: Item) -> bool {
        let mut state = self.state.lock();
        if state.done {
            return false;
        }
        state.queued_bytes += item.bytes();
        let announced = item.barrier().filter(|barrier| is_announced(barrier)).cloned();
        state.queue.push_back(item);
        if let Some(barrier) = announced {
            state.consumer.announce(&barrier);
        }
        if state.scheduled || matches!(state.consumer, Consumer::Unknown) {
            return true;
        }
        state.scheduled = true;
        let consumer = state.consumer.clone();
        drop(state);
        consumer.notify();
        true
    }

    /// Puts a barrier before everything that is queued, which is appended to `in_flight`.
    pub(crate) fn push_first(
        &self,
        barrier: CheckpointBarrier,
        in_flight: &mut Vec<u8>,
    ) -> FlowResult {
        let state = self.state.lock();
        if state.done {
            return Ok(());
        }
        state.queue.iter().try_for_each(|item| put_item(item, in_flight))?;
        Self::put_first(state, barrier);
        Ok(())
    }

    fn put_first(mut state: MutexGuard<'_, State>, barrier: CheckpointBarrier) {
        state.queue.push_front(Item::Control(ControlElement::Barrier(barrier.clone())));
        let consumer = state.consumer.clone();
        let scheduled = state.scheduled;
        state.scheduled |= !matches!(consumer, Consumer::Unknown);
        drop(state);
        consumer.announce(&barrier);
        if scheduled {
            consumer.hurry();
        } else {
            consumer.notify();
        }
    }

    /// The same for a barrier that stands in the queue: what is before it is overtaken.
    pub(crate) fn overtake(&self, id: CheckpointId, in_flight: &mut Vec<u8>) -> FlowResult {
        let mut state = self.state.lock();
        if !state.done
            && let Some(mut barrier) = state.take_barrier(id, in_flight)?
        {
            barrier.options.alignment = Alignment::Unaligned;
            Self::put_first(state, barrier);
        }
        Ok(())
    }

    /// Takes the barrier of a checkpoint out of the queue, for its consumer. What was before it
    /// stays, and is appended to `in_flight`. False if the barrier is not there.
    pub(crate) fn take_barrier(
        &self,
        id: CheckpointId,
        in_flight: &mut Vec<u8>,
    ) -> FlowResult<bool> {
        Ok(self.state.lock().take_barrier(id, in_flight)?.is_some())
    }

    /// True while the barrier of a checkpoint waits for its consumer.
    pub(crate) fn holds_barrier(&self, id: CheckpointId) -> bool {
        let state = self.state.lock();
        let mut barriers = state.queue.iter().filter_map(Item::barrier);
        !state.done && barriers.any(|barrier| barrier.checkpoint_id == id)
    }

    /// Sets the consumer, which is not told of anything before [`Subpartition::start`]. False if
    /// there is one already.
    pub(crate) fn claim(&self, consumer: Consumer) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.consumer, Consumer::Unknown) {
            return false;
        }
        state.consumer = consumer;
        // Keeps a push from telling the consumer.
        state.scheduled = true;
        true
    }

    /// The consumer is ready to be told that there is something to take.
    pub(crate) fn start(&self) {
        let mut state = self.state.lock();
        state.scheduled = !state.queue.is_empty();
        for barrier in state.queue.iter().filter_map(Item::barrier).filter(|b| is_announced(b)) {
            state.consumer.announce(barrier);
        }
        if state.scheduled {
            let consumer = state.consumer.clone();
            drop(state);
            consumer.notify();
        }
    }

    /// Takes the next element that `may_take` allows. `None` also unschedules an empty queue, but
    /// not one whose first element was refused.
    pub(crate) fn take_if(&self, may_take: impl FnOnce(&Item) -> bool) -> Result<Taken, Nothing> {
        let mut state = self.state.lock();
        match state.queue.front() {
            None => {
                state.scheduled = false;
                return Err(Nothing::Empty);
            }
            Some(item) if !may_take(item) => return Err(Nothing::Refused),
            Some(_) => {}
        }
        let Some(item) = state.queue.pop_front() else {
            return Err(Nothing::Empty);
        };
        state.queued_bytes -= item.bytes();
        let ended = matches!(item, Item::Control(ControlElement::EndOfInput));
        state.done |= ended;
        state.scheduled = !state.queue.is_empty();
        let (more, backlog) = (state.scheduled, state.queued_bytes);
        Ok(Taken { item, more, backlog, ended })
    }

    /// The consumer is gone: drops what is queued.
    pub(crate) fn release(&self) -> Released {
        let mut state = self.state.lock();
        let newly_done = !state.done;
        state.done = true;
        state.consumer = Consumer::Gone;
        let queue = std::mem::take(&mut state.queue);
        let bytes = std::mem::take(&mut state.queued_bytes);
        drop(state);
        drop(queue);
        Released { bytes, newly_done }
    }

    /// The producer is gone. Returns the consumer that still waits for elements, if any.
    pub(crate) fn abandon(&self) -> (Option<Consumer>, usize) {
        let mut state = self.state.lock();
        let waiting = !state.done;
        state.done = true;
        let consumer = std::mem::replace(&mut state.consumer, Consumer::Gone);
        let queue = std::mem::take(&mut state.queue);
        let bytes = std::mem::take(&mut state.queued_bytes);
        drop(state);
        drop(queue);
        (waiting.then_some(consumer), bytes)
    }
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    Empty,
    Refused,
}
