//! The coordinator: batches on their way from the sinks to the client.
//!
//! It owns nothing: what it holds is with the sinks, too, which send it again after a restore. So it
//! has no state in checkpoints, and with the JobMaster it is lost without loss: one that takes its
//! place beside running sinks has them send again what is under way.
//!
//! Bound: the windows of all sinks.

use std::collections::BTreeMap;

use hurtig_operator_api::{CoordinatorAction, OperatorCoordinator};
use hurtig_types::{CheckpointId, FlowResult, codec};

use super::{Answer, BatchId, Question, Sent, ToSink};

/// Batches that are handed out at once.
const BATCHES_PER_ANSWER: usize = 64;

struct Held {
    id: BatchId,
    subtask: u32,
    behind: Option<CheckpointId>,
    batch: Vec<u8>,
}

pub(super) struct CollectCoordinator {
    checkpoints: bool,
    /// Number of sinks.
    parallelism: u32,
    /// The latest complete checkpoint.
    latest: CheckpointId,
    /// In the order of their arrival.
    held: BTreeMap<u64, Held>,
    /// Where they are in that order.
    places: BTreeMap<BatchId, u64>,
    next: u64,
}

impl CollectCoordinator {
    pub(super) fn new(checkpoints: bool, parallelism: u32) -> Self {
        Self {
            checkpoints,
            parallelism,
            latest: CheckpointId(0),
            held: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
        }
    }

    fn may_be_seen(&self, held: &Held) -> bool {
        let is_covered = |behind| behind < self.latest;
        !self.checkpoints || held.behind.is_none_or(is_covered)
    }

    /// Forgets what has arrived, and has its sinks forget it.
    fn forget(&mut self, arrived: Question, actions: &mut Vec<CoordinatorAction>) -> FlowResult {
        let mut by_subtask = BTreeMap::<u32, Vec<BatchId>>::new();
        for id in arrived {
            // Of an attempt that is no more: if it is sent again, it will arrive again.
            let Some(held) = self.places.remove(&id).and_then(|place| self.held.remove(&place))
            else {
                continue;
            };
            by_subtask.entry(held.subtask).or_default().push(id);
        }
        for (subtask, arrived) in by_subtask {
            let event = codec::encode(&ToSink::Arrived(arrived))?;
            actions.push(CoordinatorAction::SendToSubtask { subtask, event });
        }
        Ok(())
    }
}

impl OperatorCoordinator for CollectCoordinator {
    fn start(&mut self, _: &mut Vec<CoordinatorAction>) -> FlowResult {
        self.held.clear();
        self.places.clear();
        Ok(())
    }

    fn restore(
        &mut self,
        checkpoint: CheckpointId,
        _: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        self.latest = self.latest.max(checkpoint);
        self.start(actions)
    }

    fn can_resume(&self) -> bool {
        true
    }

    fn is_stateless(&self) -> bool {
        true
    }

    fn resume(
        &mut self,
        checkpoint: CheckpointId,
        state: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        self.restore(checkpoint, state, actions)?;
        for subtask in 0..self.parallelism {
            let event = codec::encode(&ToSink::SendAgain)?;
            actions.push(CoordinatorAction::SendToSubtask { subtask, event });
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        subtask: u32,
        event: &[u8],
        _: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let Sent(id, behind, batch) = codec::decode(event)?;
        let place = *self.places.entry(id).or_insert(self.next);
        self.next = self.next.max(place + 1);
        self.held.insert(place, Held { id, subtask, behind, batch });
        Ok(())
    }

    fn subtask_reset(
        &mut self,
        subtask: u32,
        _: Option<CheckpointId>,
        _: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        // What the client has not got yet, and may have, is sent again.
        self.held.retain(|_, held| held.subtask != subtask);
        let held = &self.held;
        self.places.retain(|_, place| held.contains_key(place));
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.latest = self.latest.max(checkpoint);
        Ok(())
    }

    fn on_request(
        &mut self,
        request: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult<Vec<u8>> {
        self.forget(codec::decode(request)?, actions)?;
        let visible = self.held.values().filter(|held| self.may_be_seen(held));
        let answer: Answer =
            visible.take(BATCHES_PER_ANSWER).map(|held| (held.id, held.batch.clone())).collect();
        Ok(codec::encode(&answer)?)
    }
}
