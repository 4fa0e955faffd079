//! The tasks before and behind the one under test, as far as it can see them: partitions that send
//! a plan, and gates that write down what comes.

use std::collections::BTreeMap;

use hurtig_env::Signal;
use hurtig_network::{ChannelSpec, InputGate, NetworkEnvironment, ResultPartition, in_flight};
use hurtig_types::{
    Alignment, Batch, CheckpointBarrier, CheckpointId, LatencyMarker, MIN_TIMESTAMP, OperatorId,
    ResultPartitionId, StreamElement, Watermark, element::ControlElement,
};

use crate::{
    plan::{Item, PlannedChannel},
    tally::Told,
};

/// Where a producer was when the barrier of a checkpoint left it.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// So many items had been sent.
    next: usize,
    /// What the barrier has overtaken.
    overtaken: Vec<u8>,
}

/// A producer of one channel.
pub struct Producer {
    partition: ResultPartition,
    may_overtake: bool,
    next: usize,
    ended: bool,
    cuts: BTreeMap<CheckpointId, Cut>,
    /// When barriers that were sent in their place are to overtake what is before them.
    deadlines: BTreeMap<CheckpointId, i64>,
}

impl Producer {
    /// One that goes on where it was.
    pub fn start(
        environment: &NetworkEnvironment,
        id: ResultPartitionId,
        may_overtake: bool,
        plan: &PlannedChannel,
        cut: &Cut,
    ) -> Self {
        let mut partition = environment.create_partition(id, 1, Signal::new()).unwrap();
        for element in in_flight::decode(&cut.overtaken).unwrap() {
            partition.restore(0, element).unwrap();
        }
        // Event time begins anew: who had told the last watermark tells it again.
        let next = cut.next.min(plan.items.len() - 1);
        let (cuts, deadlines) = (BTreeMap::new(), BTreeMap::new());
        Self { partition, may_overtake, next, ended: false, cuts, deadlines }
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn is_available(&self) -> bool {
        self.partition.is_available()
    }

    /// Sends the next item, or the end.
    pub fn send(&mut self, plan: &PlannedChannel, now_ms: i64) {
        let Some(item) = plan.items.get(self.next) else {
            self.ended = true;
            return self.control(ControlElement::EndOfInput);
        };
        self.next += 1;
        match item {
            Item::Records(records) => {
                let times = records.iter().map(|event| event.time).collect();
                let batch = Batch::with_timestamps(records.clone(), times);
                self.partition.push(0, batch.boxed()).unwrap();
            }
            Item::Watermark(time) => self.control(ControlElement::Watermark(Watermark(*time))),
            Item::Status(status) => self.control(ControlElement::Status(*status)),
            Item::Latency => {
                let (marked_time, operator) = (now_ms, OperatorId(1));
                let marker = LatencyMarker { marked_time, subtask: 0, operator };
                self.control(ControlElement::Latency(marker));
            }
        }
    }

    fn control(&mut self, element: ControlElement) {
        self.partition.send_control(0, element).unwrap();
    }

    /// True if the barrier of that checkpoint can still be sent.
    pub fn lacks_barrier(&self, id: CheckpointId) -> bool {
        // A producer that has ended sends barriers until its consumer has read the end.
        let over = self.ended && self.partition.all_consumed();
        !over && self.cuts.last_key_value().is_none_or(|(last, _)| *last < id)
    }

    /// Sends a barrier, as a task's record writer does.
    pub fn barrier(&mut self, barrier: &CheckpointBarrier) {
        let first = self.may_overtake && barrier.options.alignment == Alignment::Unaligned;
        let overtaken = if first {
            self.partition.broadcast_barrier_first(barrier).unwrap()
        } else {
            self.control(ControlElement::Barrier(barrier.clone()));
            let deadline = barrier.deadline_ms().filter(|_| self.may_overtake);
            self.deadlines.extend(deadline.map(|deadline| (barrier.checkpoint_id, deadline)));
            Vec::new()
        };
        let overtaken = overtaken.into_iter().flat_map(|(_, bytes)| bytes).collect();
        let cut = Cut { next: self.next, overtaken };
        self.cuts.insert(barrier.checkpoint_id, cut);
    }

    /// Lets barriers whose time has come overtake what is before them.
    pub fn look_at_barriers(&mut self, now_ms: i64) {
        let due: Vec<CheckpointId> =
            self.deadlines.iter().filter(|(_, at)| **at <= now_ms).map(|(id, _)| *id).collect();
        for id in due {
            self.deadlines.remove(&id);
            if self.partition.holds_barrier(id) {
                let overtaken = self.partition.overtake(id).unwrap();
                let cut = self.cuts.get_mut(&id).unwrap();
                cut.overtaken = overtaken.into_iter().flat_map(|(_, bytes)| bytes).collect();
            }
        }
    }

    /// Its part in a checkpoint, once that is known.
    pub fn cut(&self, id: CheckpointId) -> Option<Cut> {
        if self.deadlines.contains_key(&id) && self.partition.holds_barrier(id) {
            return None;
        }
        let at_the_end = || Cut { next: self.next, overtaken: Vec::new() };
        self.cuts.get(&id).cloned().or_else(|| self.ended.then(at_the_end))
    }
}

/// A consumer, and what it has read so far, over all attempts.
#[derive(Default)]
pub struct Reader {
    gate: Option<InputGate>,
    pub told: Vec<Told>,
    barriers: BTreeMap<CheckpointId, usize>,
    watermark: i64,
    ended: bool,
}

impl Reader {
    /// Reads from a new attempt; what came behind `kept` never was.
    pub fn connect(&mut self, gate: InputGate, kept: usize) {
        self.told.truncate(kept);
        let told = std::mem::take(&mut self.told);
        *self = Self { gate: Some(gate), told, watermark: MIN_TIMESTAMP, ..Self::default() };
    }

    pub fn disconnect(&mut self) {
        self.gate = None;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Where it was at the barrier of a checkpoint.
    pub fn cut(&self, id: CheckpointId) -> Option<usize> {
        // Behind a later barrier, an earlier one is none.
        let superseded = self.barriers.last_key_value().is_some_and(|(last, _)| *last > id);
        let ended = self.ended && !superseded;
        self.barriers.get(&id).copied().or_else(|| ended.then_some(self.told.len()))
    }

    /// Reads some elements; an error is a producer that is gone, or an order that must not be.
    pub fn read(&mut self, most: u64) -> Result<(), ReadError> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        for _ in 0..most {
            let polled = gate.poll().map_err(|error| ReadError::Lost(error.to_string()))?;
            let Some((_, element)) = polled else { break };
            let wrong = |what: &str| Err(ReadError::Wrong(what.to_owned()));
            match element {
                StreamElement::Batch(_) | StreamElement::Watermark(_) if self.ended => {
                    return wrong("something came behind the end of input");
                }
                StreamElement::Batch(batch) => {
                    let batch = Batch::<Told>::from_payload(batch);
                    let batch = batch.map_err(|error| ReadError::Wrong(error.to_string()))?;
                    let is_late = |told: &Told| told.time() <= self.watermark;
                    if let Some(late) = batch.values.iter().find(|told| is_late(told)) {
                        let watermark = self.watermark;
                        return wrong(&format!("{late:?} came behind the watermark {watermark}"));
                    }
                    self.told.extend(batch.values);
                }
                // After a restore event time begins anew, behind what was in flight.
                StreamElement::Watermark(Watermark(time)) => {
                    self.watermark = self.watermark.max(time);
                }
                StreamElement::Barrier(barrier) => {
                    let id = barrier.checkpoint_id;
                    // One that may overtake records may overtake the barrier before it, too.
                    if self.barriers.last_key_value().is_none_or(|(last, _)| *last < id) {
                        self.barriers.insert(id, self.told.len());
                    } else if self.barriers.contains_key(&id) {
                        return wrong("a barrier came twice");
                    }
                }
                StreamElement::EndOfInput => self.ended = true,
                StreamElement::Status(_) | StreamElement::Latency(_) => {}
            }
        }
        Ok(())
    }
}

/// Why a consumer cannot read on.
#[derive(Debug)]
pub enum ReadError {
    /// Its producer is gone.
    Lost(String),
    /// It has read what must not be.
    Wrong(String),
}

/// The gate of a consumer.
pub fn gate(
    environment: &NetworkEnvironment,
    channel: ChannelSpec,
    edge: std::sync::Arc<dyn hurtig_operator_api::EdgeFactory>,
) -> InputGate {
    environment.create_gate(vec![channel], edge, Signal::new()).unwrap()
}
