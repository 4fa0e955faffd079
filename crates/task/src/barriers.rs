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
//! # At least once
//!
//! The same without blocking: records behind a barrier are processed before the snapshot, and will
//! be again after a restore.
//!
//! # What supersedes what
//!
//! - A barrier of a later checkpoint than the one under way ends that one: it is declined, its
//!   channels are opened, and the alignment of the later one begins.
//! - Barriers of earlier checkpoints, and of ones that were aborted, are dropped.
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
}

#[derive(Debug)]
struct Pending {
    barrier: CheckpointBarrier,
    arrived: Vec<bool>,
    first_ms: i64,
}

/// The state machine of one task's barriers.
#[derive(Debug)]
pub struct BarrierHandler {
    ended: Vec<bool>,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Checkpoints up to this one are over.
    over: CheckpointId,
}

impl BarrierHandler {
    /// A handler for that many channels.
    pub fn new(channels: usize) -> Self {
        Self { ended: vec![false; channels], pending: BTreeMap::new(), over: CheckpointId(0) }
    }

    /// A barrier has come on a channel.
    pub fn on_barrier(
        &mut self,
        channel: usize,
        barrier: CheckpointBarrier,
        now_ms: i64,
    ) -> BarrierActions {
        let mut actions = BarrierActions::default();
        let id = barrier.checkpoint_id;
        if id <= self.over {
            return actions;
        }
        let tracks = barrier.options.alignment == Alignment::AtLeastOnce;
        if !tracks {
            let later = self.pending.split_off(&id);
            let earlier = std::mem::replace(&mut self.pending, later);
            actions.unblock = !earlier.is_empty();
            actions.superseded = earlier.into_keys().collect();
            if self.pending.keys().any(|known| *known > id) {
                return actions;
            }
        }
        let channels = self.ended.len();
        let pending = self.pending.entry(id).or_insert_with(|| Pending {
            barrier,
            arrived: vec![false; channels],
            first_ms: now_ms,
        });
        pending.arrived[channel] = true;
        if !tracks {
            actions.block = Some(channel);
        }
        self.take_complete(now_ms, &mut actions);
        actions
    }

    /// A channel has ended.
    pub fn on_end(&mut self, channel: usize, now_ms: i64) -> BarrierActions {
        let mut actions = BarrierActions::default();
        self.ended[channel] = true;
        self.take_complete(now_ms, &mut actions);
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

    fn take_complete(&mut self, now_ms: i64, actions: &mut BarrierActions) {
        let is_complete = |pending: &Pending| {
            pending.arrived.iter().zip(&self.ended).all(|(arrived, ended)| *arrived || *ended)
        };
        let Some(id) = self.pending.iter().rfind(|(_, p)| is_complete(p)).map(|(id, _)| *id) else {
            return;
        };
        let later = self.pending.split_off(&CheckpointId(id.0 + 1));
        let mut done = std::mem::replace(&mut self.pending, later);
        if let Some(pending) = done.remove(&id) {
            actions.alignment_ms = now_ms - pending.first_ms;
            actions.take = Some(pending.barrier);
        }
        actions.superseded.extend(done.into_keys());
        self.over = id;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};
    use hurtig_types::{CheckpointOptions, CheckpointType};

    use super::*;

    /// `2@1`: the barrier of checkpoint 1 on channel 2. `end 2`: the channel ends. `abort 1`. Time
    /// passes by a millisecond with each event.
    fn check(channels: usize, alignment: Alignment, script: &str, expected: Expect) {
        let mut handler = BarrierHandler::new(channels);
        let mut text = String::new();
        for (now_ms, event) in (0..).zip(script.split(',').map(str::trim)) {
            let actions = if let Some(channel) = event.strip_prefix("end ") {
                handler.on_end(channel.parse().unwrap(), now_ms)
            } else if let Some(id) = event.strip_prefix("abort ") {
                handler.on_aborted(CheckpointId(id.parse().unwrap()))
            } else {
                let (channel, id) = event.split_once('@').unwrap();
                let options = CheckpointOptions {
                    checkpoint_type: CheckpointType::Checkpoint,
                    alignment,
                    target: None,
                };
                let checkpoint_id = CheckpointId(id.parse().unwrap());
                let barrier = CheckpointBarrier { checkpoint_id, timestamp_ms: 0, options };
                handler.on_barrier(channel.parse().unwrap(), barrier, now_ms)
            };
            write!(text, "{event}:").unwrap();
            for id in actions.superseded {
                write!(text, " decline {id}").unwrap();
            }
            if actions.unblock {
                write!(text, " unblock").unwrap();
            }
            if let Some(channel) = actions.block {
                write!(text, " block {channel}").unwrap();
            }
            if let Some(barrier) = actions.take {
                write!(text, " take {} after {} ms", barrier.checkpoint_id, actions.alignment_ms)
                    .unwrap();
            }
            text.push('\n');
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn aligned_barriers_block_until_the_last_has_come() {
        check(
            3,
            Alignment::Aligned,
            "0@1, 2@1, 1@1, 1@2, 0@2, 2@2",
            expect![[r#"
            0@1: block 0
            2@1: block 2
            1@1: block 1 take 1 after 2 ms
            1@2: block 1
            0@2: block 0
            2@2: block 2 take 2 after 2 ms
        "#]],
        );
        check(
            1,
            Alignment::Aligned,
            "0@1, 0@2",
            expect![[r#"
            0@1: block 0 take 1 after 0 ms
            0@2: block 0 take 2 after 0 ms
        "#]],
        );
    }

    #[test]
    fn ended_channels_do_not_hold_a_checkpoint_up() {
        check(
            3,
            Alignment::Aligned,
            "0@1, end 1, 2@1, end 0, 2@2",
            expect![[r#"
            0@1: block 0
            end 1:
            2@1: block 2 take 1 after 2 ms
            end 0:
            2@2: block 2 take 2 after 0 ms
        "#]],
        );
        check(
            2,
            Alignment::Aligned,
            "0@1, end 1, 0@2",
            expect![[r#"
            0@1: block 0
            end 1: take 1 after 1 ms
            0@2: block 0 take 2 after 0 ms
        "#]],
        );
    }

    #[test]
    fn a_later_checkpoint_supersedes_the_one_under_way() {
        check(
            2,
            Alignment::Aligned,
            "0@1, 1@2, 1@1, 0@2",
            expect![[r#"
            0@1: block 0
            1@2: decline 1 unblock block 1
            1@1:
            0@2: block 0 take 2 after 2 ms
        "#]],
        );
        check(
            3,
            Alignment::Aligned,
            "0@1, 1@3, 2@2, 0@3, 2@3",
            expect![[r#"
            0@1: block 0
            1@3: decline 1 unblock block 1
            2@2:
            0@3: block 0
            2@3: block 2 take 3 after 3 ms
        "#]],
        );
    }

    #[test]
    fn an_aborted_checkpoint_opens_its_channels() {
        check(
            2,
            Alignment::Aligned,
            "0@1, abort 1, 1@1, 0@2, 1@2",
            expect![[r#"
            0@1: block 0
            abort 1: unblock
            1@1:
            0@2: block 0
            1@2: block 1 take 2 after 1 ms
        "#]],
        );
        check(
            2,
            Alignment::Aligned,
            "abort 1, 0@1, 1@1, 0@2",
            expect![[r#"
            abort 1:
            0@1:
            1@1:
            0@2: block 0
        "#]],
        );
        check(
            2,
            Alignment::Aligned,
            "0@2, abort 1, 1@2",
            expect![[r#"
            0@2: block 0
            abort 1:
            1@2: block 1 take 2 after 2 ms
        "#]],
        );
    }

    #[test]
    fn at_least_once_blocks_nothing() {
        check(
            2,
            Alignment::AtLeastOnce,
            "0@1, 1@1, 0@2, 0@3, 1@2, 1@3",
            expect![[r#"
            0@1:
            1@1: take 1 after 1 ms
            0@2:
            0@3:
            1@2: take 2 after 2 ms
            1@3: take 3 after 2 ms
        "#]],
        );
        check(
            2,
            Alignment::AtLeastOnce,
            "0@1, 0@2, 1@2, 1@1",
            expect![[r#"
            0@1:
            0@2:
            1@2: decline 1 take 2 after 1 ms
            1@1:
        "#]],
        );
    }
}
