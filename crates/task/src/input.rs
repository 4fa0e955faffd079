//! The input processor: from the elements of the gates to calls of the chain.
//!
//! - Gates are polled in turn. The gates of one input index form a union: one valve over all their
//!   channels. With two inputs, a second valve combines the two.
//! - **Re-batching**: a shuffle over many channels delivers slivers. Small batches of the same
//!   input are merged until they are worth a call, or until something else must be delivered, or
//!   nothing more is there. Merging never reorders the records of one channel, and a watermark is
//!   never overtaken by records that came after it on its channel nor does it overtake those
//!   before it.
//!
//! - **Barriers** go to the [`BarrierHandler`], and what it says is done here: channels are blocked
//!   and opened, records in flight are collected, and a checkpoint that is to be taken is the
//!   result of the step.
//! - **After a restore** the elements that were in flight come before anything of the gates.

use std::sync::Arc;

use hurtig_env::{Clock, Pace};
use hurtig_network::{Announced, InputGate, in_flight::put_batch};
use hurtig_types::{
    BoxedPayload, CheckpointBarrier, CheckpointId, FlowResult, StreamElement, StreamStatus,
    Watermark,
};

use crate::{
    barriers::{BarrierActions, BarrierHandler},
    chain::OperatorChain,
    in_flight::{self, Collecting, InputsInFlight, Replay},
    metrics::TaskMetrics,
    valve::{ValveOutput, WatermarkValve},
};

/// A batch of at least this many records is worth a call of its own.
const WORTH_A_CALL_RECORDS: usize = 256;
/// Merging stops at this size.
const MERGED_RECORDS: usize = 1024;
/// Most records of one call.
const LARGEST_CALL_RECORDS: usize = 1 << 16;
/// Merging stops at this many bytes.
const MERGED_BYTES: usize = 256 * 1024;

/// One gate of a task.
pub struct TaskGate {
    /// The gate.
    pub gate: InputGate,
    /// The input of the head operator that it feeds.
    pub input: usize,
    /// Barriers may overtake records.
    pub may_overtake: bool,
}

struct Gate {
    gate: InputGate,
    input: usize,
    /// Position of the gate's first channel in its input's valve.
    first_channel: usize,
    /// Position of the gate's first channel among all channels of the task.
    first_of_task: usize,
    ended_channels: usize,
}

impl Gate {
    fn has_ended(&self, channel: usize) -> bool {
        self.gate.channel_has_ended(channel) || self.gate.end_is_queued(channel)
    }
}

struct Input {
    valve: WatermarkValve,
    open_gates: usize,
    ended_announced: bool,
}

/// A checkpoint that is to be taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCheckpoint {
    /// Its barrier, as it is to be passed on.
    pub barrier: CheckpointBarrier,
    /// Milliseconds since its first barrier came.
    pub alignment_ms: i64,
    /// Records in flight on the inputs belong to it; see [`InputProcessor::take_collected`].
    pub collects: bool,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputStep {
    /// It delivered something.
    Progress,
    /// Nothing has arrived.
    Nothing,
    /// Input `.0` has ended just now: end it in the chain.
    InputEnded(usize),
    /// A checkpoint is to be taken. Then go on with [`InputProcessor::unblock`].
    Checkpoint(Box<DueCheckpoint>),
    /// All inputs have ended.
    Ended,
}

/// Reads all gates of a task.
pub struct InputProcessor {
    gates: Vec<Gate>,
    inputs: Vec<Input>,
    combined: WatermarkValve,
    next_gate: usize,
    /// Records of a gate that wait for others.
    pending: Option<(usize, BoxedPayload)>,
    /// What is left of a batch that is too large for one call. Goes before everything else.
    rest: Option<(usize, BoxedPayload)>,
    replay: Replay,
    barriers: BarrierHandler,
    superseded: Vec<CheckpointId>,
    /// To be taken before anything else is.
    checkpoint: Option<Box<DueCheckpoint>>,
    collecting: Option<Collecting>,
    collected: Option<(CheckpointId, InputsInFlight)>,
    pace: Pace,
    clock: Clock,
    metrics: Arc<TaskMetrics>,
}

impl InputProcessor {
    /// A processor over gates.
    pub fn new(gates: Vec<TaskGate>, clock: Clock, metrics: Arc<TaskMetrics>) -> Self {
        let count = gates.iter().map(|gate| gate.input + 1).max().unwrap_or(0);
        let overtaking = gates.iter().map(|gate| vec![gate.may_overtake; gate.gate.channels()]);
        let barriers = BarrierHandler::new(overtaking.flatten().collect());
        let mut channels = vec![0; count];
        let mut open_gates = vec![0; count];
        let mut first_of_task = 0;
        let gates: Vec<Gate> = gates
            .into_iter()
            .map(|TaskGate { gate, input, .. }| {
                let first_channel = channels[input];
                channels[input] += gate.channels();
                open_gates[input] += 1;
                let first = first_of_task;
                first_of_task += gate.channels();
                Gate { gate, input, first_channel, first_of_task: first, ended_channels: 0 }
            })
            .collect();
        let inputs = channels.into_iter().zip(open_gates);
        let inputs: Vec<Input> = inputs
            .map(|(channels, open_gates)| Input {
                valve: WatermarkValve::new(channels),
                open_gates,
                ended_announced: false,
            })
            .collect();
        let combined = WatermarkValve::new(inputs.len());
        Self {
            gates,
            inputs,
            combined,
            next_gate: 0,
            pending: None,
            rest: None,
            replay: Replay::default(),
            barriers,
            superseded: Vec::new(),
            checkpoint: None,
            collecting: None,
            collected: None,
            pace: Pace::new(LARGEST_CALL_RECORDS),
            clock,
            metrics,
        }
    }

    /// Elements that go before everything of the gates.
    pub(crate) fn replay(&mut self, elements: Replay) {
        self.replay = elements;
    }

    /// Takes elements until one call of the chain was made, or nothing is there.
    pub fn step(&mut self, chain: &mut OperatorChain) -> FlowResult<InputStep> {
        if let Some((gate, batch)) = self.rest.take() {
            self.process(gate, batch, chain)?;
            return Ok(InputStep::Progress);
        }
        loop {
            if let Some(ended) = self.newly_ended_input() {
                self.deliver_pending(chain)?;
                return Ok(InputStep::InputEnded(ended));
            }
            let next = match self.replay.pop() {
                Some(next) => Some(next),
                None => self.poll_gates()?,
            };
            let Some((gate, channel, element)) = next else {
                if self.deliver_pending(chain)? {
                    return Ok(InputStep::Progress);
                }
                let ended = self.inputs.iter().all(|input| input.ended_announced);
                return Ok(if ended { InputStep::Ended } else { InputStep::Nothing });
            };
            let called = self.accept(gate, channel, element, chain)?;
            if let Some(due) = self.checkpoint.take() {
                if !due.collects {
                    self.deliver_pending(chain)?;
                }
                return Ok(InputStep::Checkpoint(due));
            }
            if called {
                return Ok(InputStep::Progress);
            }
        }
    }

    /// The inputs whose end was not announced yet; from here on all are taken for ended.
    pub(crate) fn end_all(&mut self) -> Vec<usize> {
        let inputs = self.inputs.iter_mut().enumerate();
        let open = inputs.filter(|(_, input)| !input.ended_announced);
        let ended = open.map(|(index, input)| {
            input.ended_announced = true;
            index
        });
        ended.collect()
    }

    fn newly_ended_input(&mut self) -> Option<usize> {
        let ended = |input: &Input| input.open_gates == 0 && !input.ended_announced;
        let index = self.inputs.iter().position(ended)?;
        self.inputs[index].ended_announced = true;
        Some(index)
    }

    fn poll_gates(&mut self) -> FlowResult<Option<(usize, usize, StreamElement)>> {
        for _ in 0..self.gates.len() {
            let index = self.next_gate;
            self.next_gate = (index + 1) % self.gates.len();
            if let Some((channel, element)) = self.gates[index].gate.poll()? {
                self.collect(index, channel, &element)?;
                return Ok(Some((index, channel, element)));
            }
        }
        Ok(None)
    }

    /// Barriers that may overtake records, and alignments that have taken too long: to be looked
    /// at even if nothing can be processed. A checkpoint that is to be taken now, if any.
    pub fn poll_barriers(&mut self) -> FlowResult<Option<Box<DueCheckpoint>>> {
        for index in 0..self.gates.len() {
            while let Some((channel, announced)) = self.gates[index].gate.poll_announced() {
                let channel = self.gates[index].first_of_task + channel;
                if let Announced::Barrier(barrier) = announced {
                    let now_ms = self.clock.now_ms();
                    let actions = self.barriers.on_announced(channel, barrier, now_ms);
                    self.obey(actions)?;
                }
                if let Some(id) = self.collecting.as_ref().map(|collecting| collecting.id) {
                    self.overtake(id, channel)?;
                }
            }
        }
        if self.barriers.deadline_ms().is_some_and(|deadline| deadline <= self.clock.now_ms()) {
            let actions = self.barriers.on_time(self.clock.now_ms());
            self.obey(actions)?;
        }
        Ok(self.checkpoint.take())
    }

    /// True once all channels have ended, or have their end in their queue: no barrier will come.
    pub fn awaits_no_barrier(&self) -> bool {
        self.gates.iter().all(|gate| {
            let channels = 0..gate.gate.channels();
            gate.gate.is_finished() || channels.into_iter().all(|c| gate.has_ended(c))
        })
    }

    /// True while there are records to be processed.
    pub fn holds_records(&self) -> bool {
        let held = self.pending.is_some() || self.rest.is_some() || !self.replay.is_empty();
        held || self.inputs.iter().any(|input| input.open_gates > 0)
    }

    /// A checkpoint is taken at the coordinator's word: see [`BarrierHandler::on_taken`].
    pub fn on_taken(&mut self, id: CheckpointId) -> FlowResult {
        let actions = self.barriers.on_taken(id);
        self.obey(actions)
    }

    /// Collects all records that are left, for a checkpoint of which no barrier will come.
    pub fn collect_held(&mut self, id: CheckpointId) -> FlowResult {
        self.begin_collecting(id)?;
        if let Some(collecting) = &mut self.collecting {
            for gate in &mut self.gates {
                for channel in 0..gate.gate.channels() {
                    let into = &mut collecting.channels[gate.first_of_task + channel];
                    gate.gate.take_barrier(channel, id, into)?;
                }
            }
        }
        self.end_collecting(id);
        Ok(())
    }

    /// When to look at the barriers at latest, in milliseconds of wall time.
    pub fn deadline_ms(&self) -> Option<i64> {
        self.barriers.deadline_ms()
    }

    /// Lets the barrier of a checkpoint, if it is in a channel's queue, overtake what is before it.
    fn overtake(&mut self, id: CheckpointId, channel: usize) -> FlowResult {
        if !self.barriers.awaits(id, channel) {
            return Ok(());
        }
        let Some(collecting) = &mut self.collecting else { return Ok(()) };
        let gate = self.gates.iter_mut().rfind(|gate| gate.first_of_task <= channel);
        let Some(gate) = gate else { return Ok(()) };
        let of_gate = channel - gate.first_of_task;
        if gate.gate.take_barrier(of_gate, id, &mut collecting.channels[channel])? {
            let actions = self.barriers.on_overtaken(channel, id, self.clock.now_ms());
            self.obey(actions)?;
        }
        Ok(())
    }

    /// Keeps an element that was in flight.
    fn collect(&mut self, gate: usize, channel: usize, element: &StreamElement) -> FlowResult {
        let Some(collecting) = &mut self.collecting else { return Ok(()) };
        let channel = self.gates[gate].first_of_task + channel;
        if !self.barriers.awaits(collecting.id, channel) {
            return Ok(());
        }
        in_flight::put(element, &mut collecting.channels[channel])
    }

    /// Begins to collect what is in flight: what the processor holds itself goes first.
    fn begin_collecting(&mut self, id: CheckpointId) -> FlowResult {
        let channels = self.gates.iter().map(|gate| gate.gate.channels()).sum();
        let mut collecting = Collecting::new(id, channels);
        let firsts: Vec<usize> = self.gates.iter().map(|gate| gate.first_of_task).collect();
        for (gate, batch) in self.rest.iter().chain(&self.pending) {
            put_batch(batch, &mut collecting.channels[firsts[*gate]])?;
        }
        self.replay.collect(&firsts, &mut collecting)?;
        self.collecting = Some(collecting);
        (0..channels).try_for_each(|channel| self.overtake(id, channel))
    }

    /// The records in flight of a checkpoint, once they are complete.
    pub(crate) fn take_collected(&mut self) -> Option<(CheckpointId, InputsInFlight)> {
        self.collected.take()
    }

    /// Handles one element; true if the chain was called.
    fn accept(
        &mut self,
        gate: usize,
        channel: usize,
        element: StreamElement,
        chain: &mut OperatorChain,
    ) -> FlowResult<bool> {
        let input = self.gates[gate].input;
        let valve_channel = self.gates[gate].first_channel + channel;
        match element {
            StreamElement::Batch(batch) => {
                self.metrics.bytes_in.add(batch.size_bytes() as u64);
                self.accept_batch(gate, batch, chain)
            }
            StreamElement::Watermark(watermark) => {
                let output = self.inputs[input].valve.on_watermark(valve_channel, watermark);
                self.advance(input, output, chain)
            }
            StreamElement::Status(status) => {
                let output = self.inputs[input].valve.on_status(valve_channel, status);
                self.advance(input, output, chain)
            }
            StreamElement::Latency(marker) => {
                self.deliver_pending(chain)?;
                chain.on_latency(marker)?;
                Ok(true)
            }
            StreamElement::Barrier(barrier) => {
                let channel = self.gates[gate].first_of_task + channel;
                let actions = self.barriers.on_barrier(channel, barrier, self.clock.now_ms());
                self.obey(actions)?;
                Ok(false)
            }
            StreamElement::EndOfInput => {
                let state = &mut self.gates[gate];
                state.ended_channels += 1;
                if state.ended_channels == state.gate.channels() {
                    self.inputs[input].open_gates -= 1;
                }
                let channel = state.first_of_task + channel;
                let actions = self.barriers.on_end(channel, self.clock.now_ms());
                self.obey(actions)?;
                Ok(false)
            }
        }
    }

    fn obey(&mut self, actions: BarrierActions) -> FlowResult {
        self.superseded.extend(actions.superseded);
        if actions.unblock {
            self.unblock();
        }
        if let Some(channel) = actions.block {
            let gate = self.gates.iter_mut().rfind(|gate| gate.first_of_task <= channel);
            if let Some(gate) = gate {
                gate.gate.block_channel(channel - gate.first_of_task);
            }
        }
        if let Some(barrier) = actions.take {
            let (id, collects) = (barrier.checkpoint_id, actions.collect);
            let alignment_ms = actions.alignment_ms;
            self.checkpoint = Some(Box::new(DueCheckpoint { barrier, alignment_ms, collects }));
            self.collecting = None;
            if collects {
                self.begin_collecting(id)?;
            }
        }
        if let Some(id) = actions.collected {
            self.end_collecting(id);
        }
        Ok(())
    }

    fn end_collecting(&mut self, id: CheckpointId) {
        let collecting = self.collecting.take_if(|collecting| collecting.id == id);
        let Some(collecting) = collecting else { return };
        let channels = self.gates.iter().enumerate().flat_map(|(index, gate)| {
            (0..gate.gate.channels()).map(move |channel| (index as u32, channel as u32))
        });
        self.collected = Some((id, collecting.by_channel(channels)));
    }

    /// Opens all channels: the checkpoint for which they were blocked has been taken.
    pub fn unblock(&mut self) {
        for gate in &mut self.gates {
            for channel in 0..gate.gate.channels() {
                gate.gate.unblock_channel(channel);
            }
        }
    }

    /// The coordinator has given a checkpoint up.
    pub fn on_checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.collecting.take_if(|collecting| collecting.id == checkpoint);
        let actions = self.barriers.on_aborted(checkpoint);
        self.obey(actions)
    }

    /// Checkpoints that will not be taken, because a later one has come first.
    pub fn take_superseded(&mut self) -> Vec<CheckpointId> {
        std::mem::take(&mut self.superseded)
    }

    fn accept_batch(
        &mut self,
        gate: usize,
        batch: BoxedPayload,
        chain: &mut OperatorChain,
    ) -> FlowResult<bool> {
        let Some((pending_gate, mut pending)) = self.pending.take() else {
            if batch.len() >= WORTH_A_CALL_RECORDS.min(self.pace.limit()) {
                self.process(gate, batch, chain)?;
                return Ok(true);
            }
            self.pending = Some((gate, batch));
            return Ok(false);
        };
        let full = pending.len() + batch.len() > MERGED_RECORDS.min(self.pace.limit())
            || (pending.size_bytes() > MERGED_BYTES && !batch.is_empty());
        if pending_gate == gate && !full {
            match pending.append(batch) {
                Ok(()) => {
                    self.pending = Some((gate, pending));
                    return Ok(false);
                }
                Err(batch) => self.pending = Some((gate, batch)),
            }
        } else {
            self.pending = Some((gate, batch));
        }
        // No larger than the limit: it was merged within it.
        self.process(pending_gate, pending, chain)?;
        Ok(true)
    }

    /// One call of the chain with as many records as the pace allows; the rest is kept.
    fn process(
        &mut self,
        gate: usize,
        mut batch: BoxedPayload,
        chain: &mut OperatorChain,
    ) -> FlowResult {
        let limit = self.pace.limit();
        if batch.len() > limit {
            debug_assert!(self.rest.is_none(), "one batch at a time");
            self.rest = Some((gate, batch.split_off(limit)));
        }
        let began = self.clock.monotonic();
        chain.process(self.gates[gate].input, batch)?;
        self.pace.note(self.clock.monotonic() - began);
        Ok(())
    }

    fn deliver_pending(&mut self, chain: &mut OperatorChain) -> FlowResult<bool> {
        let Some((gate, batch)) = self.pending.take() else {
            return Ok(false);
        };
        // In one call, whatever the pace: what asked for it follows at once.
        chain.process(self.gates[gate].input, batch)?;
        Ok(true)
    }

    /// Passes what one input's valve let through on to the combined valve and to the chain.
    fn advance(
        &mut self,
        input: usize,
        output: ValveOutput,
        chain: &mut OperatorChain,
    ) -> FlowResult<bool> {
        if output == ValveOutput::default() {
            return Ok(false);
        }
        let mut called = false;
        if output.became_active {
            let combined = self.combined.on_status(input, StreamStatus::Active);
            called |= self.deliver(combined, chain)?;
        }
        if let Some(Watermark(watermark)) = output.watermark {
            let combined = self.combined.on_watermark(input, Watermark(watermark));
            called |= self.deliver(combined, chain)?;
        }
        if output.became_idle {
            let combined = self.combined.on_status(input, StreamStatus::Idle);
            called |= self.deliver(combined, chain)?;
        }
        Ok(called)
    }

    fn deliver(&mut self, output: ValveOutput, chain: &mut OperatorChain) -> FlowResult<bool> {
        if output == ValveOutput::default() {
            return Ok(false);
        }
        self.deliver_pending(chain)?;
        if output.became_active {
            chain.on_status(StreamStatus::Active)?;
        }
        if let Some(watermark) = output.watermark {
            chain.on_watermark(watermark)?;
        }
        if output.became_idle {
            chain.on_status(StreamStatus::Idle)?;
        }
        Ok(true)
    }
}
