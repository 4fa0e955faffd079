//! Result partitions: what a task produces on one outgoing edge.
//!
//! Batches for a consumer in another process are encoded here, on the producing task's thread.
//!
//! Invariants: `queued_bytes` is the sum over the queues; a batch is charged before its consumer
//! can see it; every subpartition is done exactly once (its consumer took the end of input, or is
//! gone).

use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

use hurtig_types::{
    BoxedPayload, CheckpointBarrier, CheckpointId, FlowError, FlowResult, ResultPartitionId,
    element::ControlElement,
};

use crate::{
    budget::{BudgetShare, Waiter},
    credit::cost_bytes,
    in_flight::InFlightElement,
    probe::PartitionProbe,
    registry::Registry,
    subpartition::{Consumer, Item, Subpartition, Taken},
};

/// The part of a partition that its consumers reach.
pub(crate) struct PartitionShared {
    pub(crate) id: ResultPartitionId,
    pub(crate) subpartitions: Vec<Subpartition>,
    queued_bytes: AtomicUsize,
    not_done: AtomicUsize,
    waiter: Arc<Waiter>,
    share: BudgetShare,
}

impl PartitionShared {
    pub(crate) fn new(
        id: ResultPartitionId,
        subpartitions: usize,
        waiter: Arc<Waiter>,
        share: BudgetShare,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            subpartitions: (0..subpartitions).map(|_| Subpartition::default()).collect(),
            queued_bytes: AtomicUsize::new(0),
            not_done: AtomicUsize::new(subpartitions),
            waiter,
            share,
        })
    }

    /// Full at the limit, and then until half of it is free again: a producer that went on with
    /// every batch that is taken would be woken for each of them.
    fn is_available(&self) -> bool {
        if !self.waiter.is_waiting() {
            if self.queued_bytes.load(SeqCst) < self.share.limit_bytes() {
                return true;
            }
            self.waiter.wait_for_room();
        }
        let available = self.is_half_free();
        if available {
            self.waiter.stop_waiting();
        }
        available
    }

    /// Elements that are queued.
    pub(crate) fn queue_length(&self) -> usize {
        self.subpartitions.iter().map(Subpartition::queue_length).sum()
    }

    /// The share of its limit that is in use.
    pub(crate) fn usage(&self) -> f64 {
        self.queued_bytes.load(Relaxed) as f64 / self.share.limit_bytes().max(1) as f64
    }

    fn is_half_free(&self) -> bool {
        self.queued_bytes.load(SeqCst) <= self.share.limit_bytes() / 2
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
        self.queued_bytes.fetch_sub(bytes, SeqCst);
        if self.waiter.is_waiting() && self.is_half_free() {
            self.waiter.wake();
        }
    }

    fn one_done(&self) {
        if self.not_done.fetch_sub(1, SeqCst) == 1 {
            self.waiter.post();
        }
    }

    /// See [`Subpartition::take_barrier`].
    pub(crate) fn take_barrier(
        &self,
        subpartition: usize,
        id: CheckpointId,
        in_flight: &mut Vec<u8>,
    ) -> FlowResult<bool> {
        let taken = self.subpartitions[subpartition].take_barrier(id, in_flight)?;
        if taken {
            self.waiter.post();
        }
        Ok(taken)
    }

    pub(crate) fn after_take(&self, taken: &Taken) {
        self.refund(taken.item.bytes());
        if matches!(taken.item, Item::Control(ControlElement::Barrier(_))) {
            // Its task may wait to know whether the barrier must still overtake something.
            self.waiter.post();
        }
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
    max_batch_bytes: usize,
    /// Where batches are encoded.
    scratch: Vec<u8>,
}

impl ResultPartition {
    pub(crate) fn new(
        shared: Arc<PartitionShared>,
        registry: Arc<Registry>,
        max_batch_bytes: usize,
    ) -> Self {
        Self { shared, registry, max_batch_bytes, scratch: Vec::new() }
    }

    fn encode(&mut self, batch: &BoxedPayload) -> FlowResult<Vec<u8>> {
        // A panic or an error of the last one may have left something.
        self.scratch.clear();
        batch.encode(&mut self.scratch)?;
        let len = self.scratch.len();
        if len > self.max_batch_bytes {
            return Err(FlowError::fatal(format!(
                "a batch of {} is {len} bytes long when encoded, the limit is {} bytes",
                batch.type_name(),
                self.max_batch_bytes
            )));
        }
        Ok(self.registry.buffers.detach(&mut self.scratch))
    }

    fn out_of_range(&self, subpartition: usize) -> FlowError {
        FlowError::internal(format!(
            "subpartition {subpartition} of {} was written to, it has {}",
            self.shared.id,
            self.shared.subpartitions.len()
        ))
    }

    /// Queues a batch for a subpartition. Never blocks; see [`ResultPartition::is_available`].
    ///
    /// # Errors
    /// If there is no such subpartition, or the batch cannot be encoded or is too large to be sent.
    pub fn push(&mut self, subpartition: usize, batch: BoxedPayload) -> FlowResult {
        let Some(target) = self.shared.subpartitions.get(subpartition) else {
            return Err(self.out_of_range(subpartition));
        };
        let item = if target.is_remote() {
            let payload = self.encode(&batch)?;
            let bytes = cost_bytes(payload.len());
            Item::Encoded { payload, bytes }
        } else {
            let bytes = cost_bytes(batch.size_bytes());
            Item::Batch { batch, bytes }
        };
        // Charged before it is queued: the consumer may take it at once.
        let bytes = item.bytes();
        self.shared.charge(bytes);
        if !self.shared.subpartitions[subpartition].push(item) {
            self.shared.refund(bytes);
        }
        Ok(())
    }

    /// Queues a control element for a subpartition.
    ///
    /// # Errors
    /// If there is no such subpartition.
    pub fn send_control(&mut self, subpartition: usize, element: ControlElement) -> FlowResult {
        let Some(target) = self.shared.subpartitions.get(subpartition) else {
            return Err(self.out_of_range(subpartition));
        };
        target.push(Item::Control(element));
        Ok(())
    }

    /// Queues a control element for all subpartitions.
    pub fn broadcast_control(&mut self, element: ControlElement) -> FlowResult {
        for subpartition in &self.shared.subpartitions {
            subpartition.push(Item::Control(element.clone()));
        }
        Ok(())
    }

    /// Puts a barrier before everything that is queued. Returns what it has overtaken, by
    /// subpartition.
    pub fn broadcast_barrier_first(
        &mut self,
        barrier: &CheckpointBarrier,
    ) -> FlowResult<Vec<(u32, Vec<u8>)>> {
        self.in_flight(|subpartition, overtaken| {
            subpartition.push_first(barrier.clone(), overtaken)
        })
    }

    /// Lets a barrier overtake what is queued before it. Returns that, by subpartition.
    pub fn overtake(&mut self, id: CheckpointId) -> FlowResult<Vec<(u32, Vec<u8>)>> {
        self.in_flight(|subpartition, overtaken| subpartition.overtake(id, overtaken))
    }

    fn in_flight(
        &self,
        collect: impl Fn(&Subpartition, &mut Vec<u8>) -> FlowResult,
    ) -> FlowResult<Vec<(u32, Vec<u8>)>> {
        let mut all = Vec::new();
        for (index, subpartition) in self.shared.subpartitions.iter().enumerate() {
            let mut overtaken = Vec::new();
            collect(subpartition, &mut overtaken)?;
            if !overtaken.is_empty() {
                all.push((index as u32, overtaken));
            }
        }
        Ok(all)
    }

    /// True while a consumer has not reached the barrier of a checkpoint.
    pub fn holds_barrier(&self, id: CheckpointId) -> bool {
        self.shared.subpartitions.iter().any(|subpartition| subpartition.holds_barrier(id))
    }

    /// Queues an element that was in flight when the checkpoint was taken from which the task
    /// starts.
    ///
    /// # Errors
    /// If there is no such subpartition.
    pub fn restore(&mut self, subpartition: usize, element: InFlightElement) -> FlowResult {
        let payload = match element {
            InFlightElement::Control(control) => return self.send_control(subpartition, control),
            InFlightElement::Batch(payload) => payload,
        };
        let Some(target) = self.shared.subpartitions.get(subpartition) else {
            return Err(self.out_of_range(subpartition));
        };
        let bytes = cost_bytes(payload.len());
        self.shared.charge(bytes);
        if !target.push(Item::Encoded { payload, bytes }) {
            self.shared.refund(bytes);
        }
        Ok(())
    }

    /// False while so much is queued that the task should stop producing, until half of the limit
    /// is free again. The signal is posted when it becomes true.
    pub fn is_available(&self) -> bool {
        self.shared.is_available()
    }

    /// Number of its queues.
    pub fn subpartitions(&self) -> usize {
        self.shared.subpartitions.len()
    }

    /// A view of how full it is, for others than its task.
    pub fn probe(&self) -> PartitionProbe {
        PartitionProbe::new(&self.shared)
    }

    /// Bytes that are queued.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Relaxed)
    }

    /// True once every consumer has taken the end of input or is gone. The signal is posted then.
    pub fn all_consumed(&self) -> bool {
        self.shared.not_done.load(SeqCst) == 0
    }
}

impl Drop for ResultPartition {
    fn drop(&mut self) {
        self.registry.unregister(self.shared.id);
        // A consumer may hold on to the shared part for long.
        self.shared.share.leave();
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
