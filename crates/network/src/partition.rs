//! Result partitions: what a task produces on one outgoing edge.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use hurtig_env::Signal;
use hurtig_types::{BoxedPayload, FlowResult, ResultPartitionId, element::ControlElement};

use crate::{
    budget::BudgetShare,
    registry::Registry,
    subpartition::{Consumer, Item, Subpartition, Taken},
};

/// The part of a partition that its consumers reach.
pub(crate) struct PartitionShared {
    pub(crate) id: ResultPartitionId,
    pub(crate) subpartitions: Vec<Subpartition>,
    queued_bytes: AtomicUsize,
    /// The producer was told to stop and has not been told to go on.
    blocked: AtomicBool,
    not_done: AtomicUsize,
    signal: Signal,
    share: BudgetShare,
}

impl PartitionShared {
    pub(crate) fn new(
        id: ResultPartitionId,
        subpartitions: usize,
        signal: Signal,
        share: BudgetShare,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            subpartitions: (0..subpartitions).map(|_| Subpartition::default()).collect(),
            queued_bytes: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
            not_done: AtomicUsize::new(subpartitions),
            signal,
            share,
        })
    }

    fn charge(&self, bytes: usize) {
        if bytes > 0 {
            self.queued_bytes.fetch_add(bytes, SeqCst);
            self.share.budget().take(bytes);
        }
    }

    fn refund(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.share.budget().give_back(bytes);
        let left = self.queued_bytes.fetch_sub(bytes, SeqCst) - bytes;
        if self.blocked.load(SeqCst) && left <= self.share.limit_bytes() / 2 {
            self.signal.post();
        }
    }

    /// Full at the limit, and then until half of it is free again: a producer that went on with
    /// every batch that is taken would be woken for each of them.
    fn is_available(&self) -> bool {
        let limit = self.share.limit_bytes();
        if !self.blocked.load(SeqCst) {
            if self.queued_bytes.load(SeqCst) < limit {
                return true;
            }
            self.blocked.store(true, SeqCst);
        }
        // Looked at after the mark is set: whoever takes from now on sees it and signals.
        let available = self.queued_bytes.load(SeqCst) <= limit / 2;
        if available {
            self.blocked.store(false, SeqCst);
        }
        available
    }

    fn one_done(&self) {
        if self.not_done.fetch_sub(1, Relaxed) == 1 {
            self.signal.post();
        }
    }

    pub(crate) fn after_take(&self, taken: &Taken) {
        self.refund(taken.item.bytes());
        if taken.ended {
            self.one_done();
        }
    }

    /// The consumer of a subpartition is gone.
    pub(crate) fn release(&self, subpartition: usize) {
        let Some(target) = self.subpartitions.get(subpartition) else {
            return;
        };
        let released = target.release();
        self.refund(released.bytes);
        if released.newly_done {
            self.one_done();
        }
    }
}

/// What a task produces on one outgoing edge. Dropping it before all consumers have taken the end
/// of input fails those that have not.
pub struct ResultPartition {
    shared: Arc<PartitionShared>,
    registry: Arc<Registry>,
}

impl ResultPartition {
    pub(crate) fn new(shared: Arc<PartitionShared>, registry: Arc<Registry>) -> Self {
        Self { shared, registry }
    }

    /// Queues a batch for a subpartition. Never blocks; see [`ResultPartition::is_available`].
    pub fn push(&mut self, subpartition: usize, batch: BoxedPayload) -> FlowResult {
        let target = &self.shared.subpartitions[subpartition];
        let item = if target.is_remote() {
            let mut payload = self.registry.buffers.take();
            batch.encode(&mut payload)?;
            let bytes = payload.len();
            Item::Encoded { payload, bytes }
        } else {
            let bytes = batch.size_bytes();
            Item::Batch { batch, bytes }
        };
        // Charged before it is queued: the consumer may take it at once.
        let bytes = item.bytes();
        self.shared.charge(bytes);
        if !target.push(item) {
            self.shared.refund(bytes);
        }
        Ok(())
    }

    /// Queues a control element for a subpartition.
    pub fn send_control(&mut self, subpartition: usize, element: ControlElement) -> FlowResult {
        self.shared.subpartitions[subpartition].push(Item::Control(element));
        Ok(())
    }

    /// Queues a control element for all subpartitions.
    pub fn broadcast_control(&mut self, element: ControlElement) -> FlowResult {
        for subpartition in &self.shared.subpartitions {
            subpartition.push(Item::Control(element));
        }
        Ok(())
    }

    /// False while so much is queued that the task should stop producing. The signal is posted
    /// when it becomes true again.
    pub fn is_available(&self) -> bool {
        self.shared.is_available()
    }

    /// Bytes that are queued.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Relaxed)
    }

    /// True once every consumer has taken the end of input or is gone. The signal is posted then.
    pub fn all_consumed(&self) -> bool {
        self.shared.not_done.load(Relaxed) == 0
    }
}

impl Drop for ResultPartition {
    fn drop(&mut self) {
        self.registry.unregister(self.shared.id);
        for subpartition in &self.shared.subpartitions {
            let (waiting, bytes) = subpartition.abandon();
            self.shared.refund(bytes);
            let reason = || format!("the producer {} has gone away", self.shared.id);
            match waiting {
                Some(Consumer::Local { gate, .. }) => gate.fail(reason()),
                Some(Consumer::Remote { connection, channel }) => {
                    connection.fail_sender(channel, reason());
                }
                Some(Consumer::Unknown | Consumer::Gone) | None => {}
            }
        }
    }
}
