//! Which checkpoint a task is at, decided from the barriers of its channels. Pure.
//!
//! # Exactly once, aligned
//!
//! 1. The first barrier of a checkpoint blocks its channel: what comes behind it belongs to the
//!    next checkpoint.
//! 2. Each further one blocks its channel. A channel that has ended counts as if its barrier had
//!    come.
//! 3. With the last one the checkpoint is taken, and all channels are opened.
//!
//! # Exactly once, unaligned
//!
//! 1. A barrier is *announced* as soon as it is in the queue of a channel, whatever is before it.
//!    With the first one the checkpoint is taken, and all channels are open.
//! 2. What comes on a channel before its barrier is in flight, and is collected: what the task takes
//!    from the channel, and when the barrier is announced, what is still before it in the queue.
//! 3. With the last barrier all records in flight are collected.
//!
//! On channels whose records could not be moved at a restore (see
//! `ShipStrategy::may_be_unaligned`) barriers keep their place: the checkpoint is taken when all of
//! these channels are blocked.
//!
//! # Exactly once, aligned with a timeout
//!
//! Aligned, until so much time has passed since the checkpoint was triggered, or a barrier is
//! announced that has overtaken records elsewhere: then unaligned.
//!
//! # At least once
//!
//! As aligned, without blocking: records behind a barrier are processed before the snapshot, and
//! will be again after a restore.
//!
//! # What supersedes what
//!
//! - A barrier of a later checkpoint than the one under way ends that one: it is declined, its
//!   channels are opened, and the later one begins.
//! - Barriers of earlier checkpoints, of ones that were aborted, and of ones that the task has
//!   taken at the coordinator's word when all its input had ended, are dropped.
//!
//! At least once, several checkpoints can be under way at once, since nothing is blocked; of those
//! older than one that completes, none will.

use std::collections::BTreeMap;

use hurtig_types::{Alignment, CheckpointBarrier, CheckpointId};

/// What is to be done after an event, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BarrierActions {
    /// Decline these checkpoints: a later one has come.
    pub superseded: Vec<CheckpointId>,
    /// Open all channels.
    pub unblock: bool,
    /// Block this channel.
    pub block: Option<usize>,
    /// Take this checkpoint; then, unless it blocked nothing, open all channels.
    pub take: Option<CheckpointBarrier>,
    /// Milliseconds between the first barrier of the checkpoint to be taken and now.
    pub alignment_ms: i64,
    /// Collect what is in flight on all channels that [`BarrierHandler::awaits`] a barrier.
    pub collect: bool,
    /// The records in flight of this checkpoint are complete.
    pub collected: Option<CheckpointId>,
}

#[derive(Debug)]
struct Pending {
    barrier: CheckpointBarrier,
    arrived: Vec<bool>,
    first_ms: i64,
    /// Taken, while records in flight are collected.
    taken: bool,
}

impl Pending {
    fn deadline_ms(&self) -> Option<i64> {
        self.barrier.deadline_ms().filter(|_| !self.taken)
    }
}

/// The state machine of one task's barriers.
#[derive(Debug)]
pub struct BarrierHandler {
    /// Whether barriers may overtake records, by channel.
    may_overtake: Vec<bool>,
    ended: Vec<bool>,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Checkpoints up to this one are over.
    over: CheckpointId,
}

impl BarrierHandler {
    /// A handler for channels of which these let barriers overtake records.
    pub fn new(may_overtake: Vec<bool>) -> Self {
        let ended = vec![false; may_overtake.len()];
        Self { may_overtake, ended, pending: BTreeMap::new(), over: CheckpointId(0) }
    }

    /// A barrier has come on a channel, behind everything that was before it.
    pub fn on_barrier(
        &mut self,
        channel: usize,
        barrier: CheckpointBarrier,
        now_ms: i64,
    ) -> BarrierActions {
        let mut actions = BarrierActions::default();
        let tracks = barrier.options.alignment == Alignment::AtLeastOnce;
        if let Some(pending) = self.begin(barrier, now_ms, &mut actions) {
            pending.arrived[channel] = true;
            if !tracks && !pending.taken {
                actions.block = Some(channel);
            }
            self.advance(now_ms, &mut actions);
        }
        actions
    }

    /// A barrier that may overtake records is in the queue of a channel.
    pub fn on_announced(
        &mut self,
        channel: usize,
        barrier: CheckpointBarrier,
        now_ms: i64,
    ) -> BarrierActions {
        let mut actions = BarrierActions::default();
        if self.may_overtake[channel] && self.begin(barrier, now_ms, &mut actions).is_some() {
            self.advance(now_ms, &mut actions);
        }
        actions
    }

    /// The barrier of a checkpoint whose records in flight are being collected has overtaken what
    /// was before it on a channel.
    pub fn on_overtaken(
        &mut self,
        channel: usize,
        id: CheckpointId,
        now_ms: i64,
    ) -> BarrierActions {
        let mut actions = BarrierActions::default();
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.arrived[channel] = true;
            self.advance(now_ms, &mut actions);
        }
        actions
    }

    /// A channel has ended.
    pub fn on_end(&mut self, channel: usize, now_ms: i64) -> BarrierActions {
        let mut actions = BarrierActions::default();
        self.ended[channel] = true;
        self.advance(now_ms, &mut actions);
        actions
    }

    /// Time has passed; see [`BarrierHandler::deadline_ms`].
    pub fn on_time(&mut self, now_ms: i64) -> BarrierActions {
        let mut actions = BarrierActions::default();
        self.advance(now_ms, &mut actions);
        actions
    }

    /// The coordinator has given a checkpoint up.
    pub fn on_aborted(&mut self, id: CheckpointId) -> BarrierActions {
        let mut actions = BarrierActions::default();
        if self.pending.remove(&id).is_some() {
            actions.unblock = self.pending.is_empty();
        }
        // Barriers of it that are still under way are dropped, unless an earlier one is awaited.
        if self.pending.is_empty() {
            self.over = self.over.max(id);
        }
        actions
    }

    /// A checkpoint was taken without its barriers, since the end of every channel had come: behind
    /// the end, producers that await their consumers may have sent a barrier all the same. Nothing
    /// is before it that is not in the checkpoint, and it is dropped.
    pub fn on_taken(&mut self, id: CheckpointId) -> BarrierActions {
        let mut actions = BarrierActions::default();
        let later = self.pending.split_off(&CheckpointId(id.0 + 1));
        let mut done = std::mem::replace(&mut self.pending, later);
        actions.unblock = !done.is_empty();
        done.remove(&id);
        actions.superseded = done.into_keys().collect();
        self.over = self.over.max(id);
        actions
    }

    /// When an alignment turns unaligned, in milliseconds of wall time.
    pub fn deadline_ms(&self) -> Option<i64> {
        self.pending.values().filter_map(Pending::deadline_ms).min()
    }

    /// True while what comes on a channel is in flight for a checkpoint.
    pub fn awaits(&self, id: CheckpointId, channel: usize) -> bool {
        let pending = self.pending.get(&id);
        pending.is_some_and(|p| p.taken && !p.arrived[channel] && !self.ended[channel])
    }

    /// The entry of a barrier's checkpoint, unless it is over.
    fn begin(
        &mut self,
        barrier: CheckpointBarrier,
        now_ms: i64,
        actions: &mut BarrierActions,
    ) -> Option<&mut Pending> {
        let (id, alignment) = (barrier.checkpoint_id, barrier.options.alignment);
        if id <= self.over {
            return None;
        }
        if alignment != Alignment::AtLeastOnce {
            let later = self.pending.split_off(&id);
            let earlier = std::mem::replace(&mut self.pending, later);
            actions.unblock = !earlier.is_empty();
            actions.superseded = earlier.into_keys().collect();
            if self.pending.keys().any(|known| *known > id) {
                return None;
            }
        }
        let channels = self.ended.len();
        let pending = self.pending.entry(id).or_insert_with(|| Pending {
            barrier,
            arrived: vec![false; channels],
            first_ms: now_ms,
            taken: false,
        });
        if alignment == Alignment::Unaligned {
            pending.barrier.options.alignment = alignment;
        }
        Some(pending)
    }

    /// What has become possible.
    fn advance(&mut self, now_ms: i64, actions: &mut BarrierActions) {
        let is_complete = |pending: &Pending| {
            pending.arrived.iter().zip(&self.ended).all(|(arrived, ended)| *arrived || *ended)
        };
        let complete = self.pending.iter().rfind(|(_, p)| is_complete(p)).map(|(id, _)| *id);
        let Some(id) = complete else {
            return self.take_unaligned(now_ms, actions);
        };
        let later = self.pending.split_off(&CheckpointId(id.0 + 1));
        let mut done = std::mem::replace(&mut self.pending, later);
        match done.remove(&id) {
            Some(pending) if pending.taken => actions.collected = Some(id),
            Some(pending) => {
                actions.alignment_ms = now_ms - pending.first_ms;
                actions.take = Some(pending.barrier);
            }
            None => {}
        }
        actions.superseded.extend(done.into_keys());
        self.over = id;
    }

    fn take_unaligned(&mut self, now_ms: i64, actions: &mut BarrierActions) {
        let (ended, may_overtake) = (&self.ended, &self.may_overtake);
        let is_ready = |pending: &Pending| {
            let held_up = |channel: usize| {
                !pending.arrived[channel] && !ended[channel] && !may_overtake[channel]
            };
            !pending.taken && pending.barrier.may_overtake(now_ms) && !(0..ended.len()).any(held_up)
        };
        if let Some(pending) = self.pending.values_mut().find(|pending| is_ready(pending)) {
            pending.taken = true;
            pending.barrier.options.alignment = Alignment::Unaligned;
            actions.take = Some(pending.barrier.clone());
            actions.alignment_ms = now_ms - pending.first_ms;
            actions.collect = true;
        }
    }
}

#[cfg(test)]
mod tests;
