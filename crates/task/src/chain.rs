//! The operator chain: an owned list of operators and the outputs that connect them.
//!
//! Operators stand in topological order, the head first, so an operator's consumers always come
//! after it: a call can hand the tail of the list on to the next operator without any sharing. A
//! batch runs through the whole chain before the next one is taken, while it is warm in the cache;
//! dispatch is one virtual call per operator and batch.
//!
//! Work that does not fit one call (see [`Progress`]): the chain remembers which operators have
//! more to do. [`OperatorChain::resume`] continues with the last of them first, since what it
//! holds is older. If something is about to be delivered to an operator that still has work, that
//! work is finished first, whatever the outputs say, so that order is kept.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hurtig_graph::{JobVertex, OperatorKind, OutputTarget};
use hurtig_metrics::MetricGroup;
use hurtig_network::in_flight::InFlightElement;
use hurtig_operator_api::{
    Captured, Operator, OperatorContext, OperatorRestore, Output, Program, Progress, SourcePoll,
};
use hurtig_types::{
    BoxedPayload, CheckpointBarrier, CheckpointId, FlowError, FlowResult, LatencyMarker,
    OperatorId, SideTag, StreamStatus, Watermark, element::ControlElement,
};

use crate::{
    edge_check::EdgeCheck,
    in_flight::OutputsInFlight,
    latency::{LatencyMarks, LatencyStats},
    metrics::{OperatorMetrics, TaskMetrics},
    panics::caught,
    writer::RecordWriter,
};

#[cfg(test)]
mod tests;

struct Node {
    operator: Box<dyn Operator>,
    context: OperatorContext,
    kind: OperatorKind,
    has_more: bool,
    opened: bool,
    check: EdgeCheck,
    latencies: LatencyStats,
}

impl Node {
    fn note_latency(&mut self, marker: LatencyMarker) {
        self.latencies.note(marker, self.context.clock.now_ms());
    }
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Chained { operator: usize, input: usize },
    Writer(usize),
}

/// Where one operator's output goes.
#[derive(Debug, Default)]
struct Outputs {
    main: Vec<Target>,
    side: Vec<(SideTag, Target)>,
}

impl Outputs {
    fn all(&self) -> impl Iterator<Item = Target> {
        self.main.iter().copied().chain(self.side.iter().map(|(_, target)| *target))
    }
}

/// One task's operators.
pub struct OperatorChain {
    nodes: Vec<Node>,
    outputs: Vec<Outputs>,
    writers: Vec<RecordWriter>,
    metrics: Arc<TaskMetrics>,
    /// What each operator counts.
    counts: Vec<OperatorMetrics>,
    /// The markers of the source at the head, if it emits any.
    marks: Option<LatencyMarks>,
}

/// How a chain measures latencies.
pub struct LatencyTracking {
    /// The job's group in this TaskManager.
    pub group: MetricGroup,
    /// Milliseconds between two markers of a source; 0 for none.
    pub interval_ms: u64,
}

impl OperatorChain {
    /// Creates the operators of a vertex. `contexts` gives each operator its surroundings.
    pub fn build(
        vertex: &JobVertex,
        program: &Program,
        contexts: impl Fn(&hurtig_graph::ChainedOperator) -> OperatorContext,
        writers: Vec<RecordWriter>,
        metrics: Arc<TaskMetrics>,
        latency: LatencyTracking,
    ) -> FlowResult<Self> {
        let mut nodes: Vec<Node> = Vec::with_capacity(vertex.operators.len());
        let mut counts = Vec::with_capacity(vertex.operators.len());
        let mut outputs = Vec::with_capacity(vertex.operators.len());
        for chained in &vertex.operators {
            let factory = program.operators.get(&chained.id).ok_or_else(|| {
                FlowError::fatal(format!(
                    "the job's code has no operator {} ({:?}): it is not the program that was submitted",
                    chained.id, chained.name
                ))
            })?;
            let context = contexts(chained);
            let operator = caught(|| factory.create(&context));
            let operator = operator.map_err(|e| e.at_operator(&chained.name))?;
            counts.push(OperatorMetrics::register(&context.metrics));
            nodes.push(Node {
                operator,
                latencies: LatencyStats::new(latency.group.clone(), chained.id, context.subtask),
                context,
                kind: chained.kind,
                has_more: false,
                opened: false,
                check: EdgeCheck::default(),
            });
            let mut of_operator = Outputs::default();
            for output in &chained.outputs {
                let target = match output.target {
                    OutputTarget::Chained { operator, input_index } => {
                        Target::Chained { operator, input: input_index as usize }
                    }
                    OutputTarget::DataSet(index) => Target::Writer(index),
                };
                match &output.side_output {
                    Some(tag) => of_operator.side.push((tag.clone(), target)),
                    None => of_operator.main.push(target),
                }
            }
            outputs.push(of_operator);
        }
        let source = nodes.first().filter(|_| metrics.headed_by_source);
        let marks = source
            .and_then(|node| LatencyMarks::every(latency.interval_ms, node.context.clock.now_ms()));
        Ok(Self { nodes, outputs, writers, metrics, counts, marks })
    }

    /// Opens all operators, the last first.
    pub fn open(&mut self) -> FlowResult {
        for (index, node) in self.nodes.iter_mut().enumerate().rev() {
            self.metrics.current_operator.store(index, Relaxed);
            // Marked before the call: an operator whose `open` failed half way is closed too.
            node.opened = true;
            node.operator
                .open(&node.context)
                .map_err(|e| e.at_operator(&node.context.operator_name))?;
        }
        Ok(())
    }

    /// Closes all operators, the head first; the first error is returned, all are closed, also if
    /// one of them panics.
    pub fn close(&mut self) -> FlowResult {
        let mut result = Ok(());
        for (index, node) in self.nodes.iter_mut().enumerate().filter(|(_, n)| n.opened) {
            self.metrics.current_operator.store(index, Relaxed);
            node.opened = false;
            let closed = caught(|| node.operator.close());
            result = result.and(closed.map_err(|e| e.at_operator(&node.context.operator_name)));
        }
        result
    }

    /// Name of the operator at a position, for messages.
    pub fn operator_name(&self, index: usize) -> Option<&str> {
        self.nodes.get(index).map(|node| &*node.context.operator_name)
    }

    /// True if every output has room and every operator takes input.
    pub fn is_available(&self) -> bool {
        self.writers.iter().all(RecordWriter::is_available) && self.takes_input()
    }

    /// True if every operator takes input.
    pub fn takes_input(&self) -> bool {
        self.nodes.iter().all(|node| node.operator.is_available())
    }

    /// True if an operator has work left that a call could not finish.
    pub fn has_more(&self) -> bool {
        self.nodes.iter().any(|node| node.has_more)
    }

    fn call<R>(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut dyn Operator, &mut dyn Output) -> FlowResult<R>,
    ) -> FlowResult<R> {
        let (node, tail) = self.nodes[index..].split_first_mut().ok_or_else(no_such_operator)?;
        let mut out = ChainOutput {
            current: index,
            tail,
            outputs: &self.outputs,
            writers: &mut self.writers,
            metrics: &self.metrics,
            counts: &self.counts,
        };
        self.metrics.current_operator.store(index, Relaxed);
        f(&mut *node.operator, &mut out).map_err(|e| e.at_operator(&node.context.operator_name))
    }

    fn call_progress(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut dyn Operator, &mut dyn Output) -> FlowResult<Progress>,
    ) -> FlowResult {
        let progress = self.call(index, f)?;
        self.nodes[index].has_more = progress == Progress::More;
        Ok(())
    }

    /// Delivers records to the head.
    pub fn process(&mut self, input: usize, batch: BoxedPayload) -> FlowResult {
        let records = batch.len() as u64;
        self.metrics.records_in.add(records);
        self.counts[0].records_in.add(records);
        if self.nodes[0].kind == OperatorKind::Sink {
            self.metrics.records_out.add(records);
            self.counts[0].records_out.add(records);
        }
        self.nodes[0].check.on_batch()?;
        self.call(0, |operator, out| operator.process(input, batch, out))
    }

    /// Polls the source at the head.
    pub fn poll_source(&mut self) -> FlowResult<SourcePoll> {
        self.call(0, |operator, out| operator.poll_source(out))
    }

    /// Delivers a watermark to the head.
    pub fn on_watermark(&mut self, watermark: Watermark) -> FlowResult {
        self.metrics.set_watermark(watermark.0);
        self.counts[0].input_watermark.set(watermark.0);
        self.nodes[0].check.on_watermark(watermark)?;
        self.call_progress(0, |operator, out| operator.on_watermark(watermark, out))
    }

    /// Delivers a status to the head.
    pub fn on_status(&mut self, status: StreamStatus) -> FlowResult {
        self.call(0, |operator, out| operator.on_status(status, out))
    }

    /// Delivers a latency marker to the head.
    pub fn on_latency(&mut self, marker: LatencyMarker) -> FlowResult {
        self.nodes[0].note_latency(marker);
        self.call(0, |operator, out| operator.on_latency(marker, out))
    }

    /// The earliest time for which an operator waits, in milliseconds of wall time. One that has
    /// work left waits for room first: its timers come when that is done.
    pub fn next_processing_timer_ms(&self) -> Option<i64> {
        let idle = self.nodes.iter().filter(|node| !node.has_more);
        let timers = idle.filter_map(|node| node.operator.next_processing_timer_ms());
        timers.chain(self.marks.as_ref().map(LatencyMarks::next_ms)).min()
    }

    /// Tells every operator whose time has come.
    pub fn on_processing_time(&mut self, now_ms: i64) -> FlowResult {
        if self.marks.as_mut().is_some_and(|marks| marks.is_due(now_ms)) {
            let OperatorContext { subtask, operator, .. } = self.nodes[0].context;
            let marker = LatencyMarker { marked_time: now_ms, subtask, operator };
            self.call(0, |_, out| out.emit_latency(marker))?;
        }
        for index in 0..self.nodes.len() {
            let due = self.nodes[index].operator.next_processing_timer_ms();
            if due.is_some_and(|due| due <= now_ms) && !self.nodes[index].has_more {
                self.call_progress(index, |operator, out| {
                    operator.on_processing_time(now_ms, out)
                })?;
            }
        }
        Ok(())
    }

    /// Goes on with unfinished work, the last operator first.
    pub fn resume(&mut self) -> FlowResult {
        if let Some(index) = self.nodes.iter().rposition(|node| node.has_more) {
            self.call_progress(index, |operator, out| operator.resume(out))?;
        }
        Ok(())
    }

    /// Delivers an event of its coordinator to an operator.
    pub fn on_event(&mut self, operator: OperatorId, event: &[u8]) -> FlowResult {
        let index = self.nodes.iter().position(|node| node.context.operator == operator);
        let index = index.ok_or_else(no_such_operator)?;
        self.call(index, |operator, _| operator.on_event(event))
    }

    /// The operator at a position.
    pub fn operator_id(&self, index: usize) -> Option<OperatorId> {
        self.nodes.get(index).map(|node| node.context.operator)
    }

    /// Gives operators the state to start from. To be called before they are opened.
    pub fn restore(&mut self, mut states: HashMap<OperatorId, Arc<OperatorRestore>>) {
        for node in &mut self.nodes {
            node.context.restored = states.remove(&node.context.operator);
        }
    }

    /// The barrier is about to go out: operators emit what belongs before it, the head first.
    pub fn prepare_barrier(&mut self, checkpoint: CheckpointId) -> FlowResult {
        (0..self.nodes.len()).try_for_each(|index| {
            self.call(index, |operator, out| operator.prepare_barrier(checkpoint, out))
        })
    }

    /// True once what operators have begun for the barrier is over.
    pub fn is_prepared(&self) -> bool {
        self.nodes.iter().all(|node| node.operator.is_prepared())
    }

    /// Sends a barrier to all consumers, behind everything that was emitted or, if it is unaligned,
    /// before what is still queued; that is returned.
    pub(crate) fn send_barrier(
        &mut self,
        barrier: &CheckpointBarrier,
    ) -> FlowResult<OutputsInFlight> {
        self.collect_outputs(|writer| writer.send_barrier(barrier))
    }

    /// Lets a barrier that was sent overtake what is still queued before it; that is returned.
    pub(crate) fn overtake(&mut self, id: CheckpointId) -> FlowResult<OutputsInFlight> {
        self.collect_outputs(|writer| writer.overtake(id))
    }

    fn collect_outputs(
        &mut self,
        mut f: impl FnMut(&mut RecordWriter) -> FlowResult<Vec<(u32, Vec<u8>)>>,
    ) -> FlowResult<OutputsInFlight> {
        let mut all = Vec::new();
        for (index, writer) in self.writers.iter_mut().enumerate() {
            let of_writer = f(writer)?.into_iter();
            all.extend(of_writer.map(|(channel, bytes)| ((index as u32, channel), bytes)));
        }
        Ok(all)
    }

    /// True while a barrier that may overtake records waits for a consumer.
    pub(crate) fn holds_barrier(&self, id: CheckpointId) -> bool {
        self.writers.iter().any(|writer| writer.holds_barrier(id))
    }

    /// Queues what was in flight on the outputs.
    pub(crate) fn restore_outputs(
        &mut self,
        outputs: Vec<(usize, usize, Vec<InFlightElement>)>,
    ) -> FlowResult {
        for (index, channel, elements) in outputs {
            let writer = self.writers.get_mut(index).ok_or_else(|| {
                FlowError::fatal(format!("records in flight are of output {index}"))
            })?;
            elements.into_iter().try_for_each(|element| writer.restore(channel, element))?;
        }
        Ok(())
    }

    /// Marks the state of one operator.
    pub fn begin_capture(
        &mut self,
        index: usize,
        checkpoint: CheckpointId,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        self.call(index, |operator, _| operator.begin_capture(checkpoint, since))
    }

    /// Asks one operator for a piece of its state; false if that was all.
    pub fn next_capture(
        &mut self,
        index: usize,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> FlowResult<bool> {
        self.call(index, |operator, _| operator.next_capture(max_bytes, out))
    }

    /// True if an operator needs one more checkpoint to complete before the task may end.
    pub fn awaits_checkpoint(&self) -> bool {
        self.nodes.iter().any(|node| node.operator.awaits_checkpoint())
    }

    /// The captures under way are not wanted any more.
    pub fn cancel_captures(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.operator.cancel_capture());
    }

    /// No changes since a capture before this one will be asked for.
    pub fn forget_captures_before(&mut self, index: usize, capture: u32) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.operator.forget_captures_before(capture);
        }
    }

    /// Tells all operators that a checkpoint is complete.
    pub fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        (0..self.nodes.len()).try_for_each(|index| {
            self.call(index, |operator, _| operator.checkpoint_complete(checkpoint))
        })
    }

    /// The job stops; true once no operator has anything left to make visible.
    pub fn stop(&mut self) -> FlowResult<bool> {
        let mut done = true;
        for index in 0..self.nodes.len() {
            done &= self.call(index, |operator, _| operator.stop())? == Progress::Done;
        }
        Ok(done)
    }

    /// Tells all operators that a checkpoint has failed.
    pub fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        (0..self.nodes.len()).try_for_each(|index| {
            self.call(index, |operator, _| operator.checkpoint_aborted(checkpoint))
        })
    }

    /// Number of operators.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Always false: a chain has a head.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// An input of one operator has ended.
    pub fn end_input(&mut self, index: usize, input: usize) -> FlowResult {
        self.call_progress(index, |operator, out| operator.end_input(input, out))
    }

    /// All inputs of one operator have ended.
    pub fn finish(&mut self, index: usize) -> FlowResult {
        self.call_progress(index, |operator, out| operator.finish(out))
    }

    /// An operator will not emit any more: its consumers in the chain check that.
    pub fn mark_ended(&mut self, index: usize) {
        for target in self.outputs[index].all() {
            if let Target::Chained { operator, .. } = target {
                self.nodes[operator].check.on_end();
            }
        }
    }

    /// Hands all buffered records to the network.
    pub fn flush(&mut self) -> FlowResult {
        self.writers.iter_mut().try_for_each(RecordWriter::flush)
    }

    /// Tells all consumers that event time has come to its end.
    pub fn send_last_watermark(&mut self) -> FlowResult {
        let mut writers = self.writers.iter_mut();
        writers.try_for_each(|writer| writer.broadcast(ControlElement::Watermark(Watermark::MAX)))
    }

    /// Tells all consumers that nothing will follow.
    pub fn send_end_of_input(&mut self) -> FlowResult {
        self.marks = None;
        let mut writers = self.writers.iter_mut();
        writers.try_for_each(|writer| writer.broadcast(ControlElement::EndOfInput))
    }

    /// True once all consumers have taken the end of input.
    pub fn all_consumed(&self) -> bool {
        self.writers.iter().all(RecordWriter::all_consumed)
    }
}

fn no_such_operator() -> FlowError {
    FlowError::internal("no such operator in the chain")
}

/// The output of one operator: the tail of the chain behind it, and the writers.
struct ChainOutput<'a> {
    current: usize,
    /// Operators from `current + 1` on.
    tail: &'a mut [Node],
    outputs: &'a [Outputs],
    writers: &'a mut [RecordWriter],
    metrics: &'a TaskMetrics,
    counts: &'a [OperatorMetrics],
}

impl ChainOutput<'_> {
    /// Calls the operator at `index` with the output that lies behind it.
    fn call<R>(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut Node, &mut ChainOutput<'_>) -> FlowResult<R>,
    ) -> FlowResult<R> {
        let behind = &mut self.tail[index - self.current - 1..];
        let (node, tail) = behind.split_first_mut().ok_or_else(no_such_operator)?;
        let mut out = ChainOutput {
            current: index,
            tail,
            outputs: self.outputs,
            writers: self.writers,
            metrics: self.metrics,
            counts: self.counts,
        };
        self.metrics.current_operator.store(index, Relaxed);
        while node.has_more {
            let progress = node.operator.resume(&mut out);
            let progress = progress.map_err(|e| e.at_operator(&node.context.operator_name))?;
            node.has_more = progress == Progress::More;
        }
        let result = f(node, &mut out).map_err(|e| e.at_operator(&node.context.operator_name));
        self.metrics.current_operator.store(self.current, Relaxed);
        result
    }

    fn send(&mut self, target: Target, batch: BoxedPayload) -> FlowResult {
        match target {
            Target::Writer(index) => self.writers[index].write(batch),
            Target::Chained { operator, input } => {
                let (metrics, counts) = (self.metrics, &self.counts[operator]);
                let records = batch.len() as u64;
                counts.records_in.add(records);
                self.call(operator, |node, out| {
                    node.check.on_batch()?;
                    if node.kind == OperatorKind::Sink {
                        metrics.records_out.add(records);
                        counts.records_out.add(records);
                    }
                    node.operator.process(input, batch, out)
                })
            }
        }
    }

    fn send_to_all(&mut self, targets: &[Target], batch: BoxedPayload) -> FlowResult {
        let Some((last, others)) = targets.split_last() else {
            return Ok(());
        };
        for target in others {
            self.send(*target, batch.clone_payload())?;
        }
        self.send(*last, batch)
    }

    fn control(
        &mut self,
        element: ControlElement,
        mut deliver: impl FnMut(&mut Node, &mut ChainOutput<'_>) -> FlowResult,
    ) -> FlowResult {
        let outputs = self.outputs;
        for target in outputs[self.current].all() {
            match target {
                Target::Writer(index) => self.writers[index].broadcast(element.clone())?,
                Target::Chained { operator, .. } => self.call(operator, &mut deliver)?,
            }
        }
        Ok(())
    }
}

impl Output for ChainOutput<'_> {
    fn emit(&mut self, batch: BoxedPayload) -> FlowResult {
        if batch.is_empty() {
            return Ok(());
        }
        let records = batch.len() as u64;
        let counts = &self.counts[self.current];
        counts.records_out.add(records);
        if self.current == 0 && self.metrics.headed_by_source {
            self.metrics.records_in.add(records);
            counts.records_in.add(records);
        }
        let outputs = self.outputs;
        self.send_to_all(&outputs[self.current].main, batch)
    }

    fn emit_side(&mut self, tag: &SideTag, batch: BoxedPayload) -> FlowResult {
        if batch.is_empty() {
            return Ok(());
        }
        self.counts[self.current].records_out.add(batch.len() as u64);
        let side = &self.outputs[self.current].side;
        let targets: Vec<Target> =
            side.iter().filter(|(known, _)| known == tag).map(|(_, target)| *target).collect();
        self.send_to_all(&targets, batch)
    }

    fn emit_watermark(&mut self, watermark: Watermark) -> FlowResult {
        if self.current == 0 && self.metrics.headed_by_source {
            self.metrics.set_watermark(watermark.0);
        }
        self.counts[self.current].output_watermark.set(watermark.0);
        self.control(ControlElement::Watermark(watermark), |node, out| {
            out.counts[out.current].input_watermark.set(watermark.0);
            node.check.on_watermark(watermark)?;
            node.has_more = node.operator.on_watermark(watermark, out)? == Progress::More;
            Ok(())
        })
    }

    fn emit_status(&mut self, status: StreamStatus) -> FlowResult {
        self.control(ControlElement::Status(status), |node, out| {
            node.operator.on_status(status, out)
        })
    }

    fn emit_latency(&mut self, marker: LatencyMarker) -> FlowResult {
        let outputs = self.outputs;
        for target in outputs[self.current].all() {
            match target {
                Target::Writer(index) => self.writers[index].send_latency(marker)?,
                Target::Chained { operator, .. } => self.call(operator, |node, out| {
                    node.note_latency(marker);
                    node.operator.on_latency(marker, out)
                })?,
            }
        }
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        !self.writers.iter().all(RecordWriter::is_available)
    }
}
