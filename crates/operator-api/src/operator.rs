//! Operators.
//!
//! # Life cycle
//!
//! 1. `open`, once, downstream operators first.
//! 2. Any order of `process`, `on_watermark`, `on_status`, `on_processing_time`, `on_event`; for a
//!    source, `poll_source` instead of `process`.
//! 3. When an input has ended: `end_input(input)`; when all have: `finish`. Both may emit.
//! 4. `close`, always, also after an error or cancellation; it must not emit.
//!
//! # Work that does not fit one call
//!
//! A call that would emit more than its output takes (a watermark that fires a million windows)
//! may stop at [`Output::is_blocked`], keep what is left and return [`Progress::More`]. The task
//! then calls `resume` once the output has room, until it returns [`Progress::Done`]; in between it
//! delivers nothing else to that operator. An operator forwards the watermark that it was working
//! on itself, when it is done with it.

use hurtig_types::{
    BoxedPayload, CheckpointId, FlowError, FlowResult, LatencyMarker, SideTag, StreamStatus,
    Watermark,
};

use crate::{Captured, CoordinatorContext, OperatorContext, OperatorCoordinator};

/// Whether a call has finished its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All done.
    Done,
    /// There is more: call `resume` when the output has room.
    More,
}

/// What a source did when polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourcePoll {
    /// It emitted something, or may at once: poll again.
    More,
    /// Nothing now; the source posts the context's signal when there is, or wants to be polled at
    /// this wall time in milliseconds at the latest.
    Wait {
        /// Wall time of the next poll at the latest.
        until_ms: Option<i64>,
    },
    /// It will never emit again.
    Ended,
}

/// Where an operator writes: the next operators of the chain, side outputs and record writers.
pub trait Output {
    /// Emits records on the main output. Empty batches are dropped.
    fn emit(&mut self, batch: BoxedPayload) -> FlowResult;
    /// Emits records on a side output; dropped if nothing consumes that tag.
    fn emit_side(&mut self, tag: &SideTag, batch: BoxedPayload) -> FlowResult;
    /// Emits a watermark on all outputs.
    fn emit_watermark(&mut self, watermark: Watermark) -> FlowResult;
    /// Emits a status on all outputs.
    fn emit_status(&mut self, status: StreamStatus) -> FlowResult;
    /// Emits a latency marker.
    fn emit_latency(&mut self, marker: LatencyMarker) -> FlowResult;
    /// True if a well-behaved operator should stop emitting for now.
    fn is_blocked(&self) -> bool;
}

/// One operator. See the module documentation for the order of calls.
pub trait Operator: Send {
    /// Acquires what it needs; state is registered here.
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let _ = context;
        Ok(())
    }

    /// Processes records of input `input` (0, or 1 for the second input).
    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult;

    /// For a source: emits at most a few batches and says how to go on. Never blocks.
    fn poll_source(&mut self, out: &mut dyn Output) -> FlowResult<SourcePoll> {
        let _ = out;
        Err(FlowError::internal("this operator is not a source"))
    }

    /// Event time has reached `watermark` on all active inputs.
    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        out.emit_watermark(watermark)?;
        Ok(Progress::Done)
    }

    /// All inputs went idle, or one came back.
    fn on_status(&mut self, status: StreamStatus, out: &mut dyn Output) -> FlowResult {
        out.emit_status(status)
    }

    /// A latency marker passes by.
    fn on_latency(&mut self, marker: LatencyMarker, out: &mut dyn Output) -> FlowResult {
        out.emit_latency(marker)
    }

    /// Wall time in milliseconds at which `on_processing_time` wants to be called next.
    fn next_processing_timer_ms(&self) -> Option<i64> {
        None
    }

    /// Wall time has reached `now_ms`, at or after the time asked for.
    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        let _ = (now_ms, out);
        Ok(Progress::Done)
    }

    /// Goes on with work that returned [`Progress::More`].
    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        let _ = out;
        Ok(Progress::Done)
    }

    /// A message from the operator's coordinator.
    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        let _ = event;
        Ok(())
    }

    /// False while it cannot take more input (a sink with a full buffer of requests); it posts the
    /// context's signal when that changes.
    fn is_available(&self) -> bool {
        true
    }

    /// A barrier has come on all inputs and is about to be passed on: the last moment to emit what
    /// belongs before it.
    fn prepare_barrier(&mut self, checkpoint: CheckpointId, out: &mut dyn Output) -> FlowResult {
        let _ = (checkpoint, out);
        Ok(())
    }

    /// False while what [`Operator::prepare_barrier`] has begun goes on in the background: the
    /// barrier waits, and nothing is processed. It posts the context's signal when that changes.
    fn is_prepared(&self) -> bool {
        true
    }

    /// Marks the state as it is now for a checkpoint; see [`crate::snapshot`]. With `since`, keyed
    /// state need only give what has changed since that capture. A capture under way is given up.
    fn begin_capture(
        &mut self,
        checkpoint: CheckpointId,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        let _ = (checkpoint, since);
        Ok(Captured::default())
    }

    /// Appends about `max_bytes` of the captured keyed state to `out`; false when there is no more.
    fn next_capture(&mut self, max_bytes: usize, out: &mut Vec<u8>) -> FlowResult<bool> {
        let _ = (max_bytes, out);
        Ok(false)
    }

    /// Gives up the capture under way.
    fn cancel_capture(&mut self) {}

    /// No capture will be asked for changes since one before this.
    fn forget_captures_before(&mut self, capture: u32) {
        let _ = capture;
    }

    /// A checkpoint is complete: what was prepared for it may become visible.
    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        let _ = checkpoint;
        Ok(())
    }

    /// A checkpoint has failed; its state may be part of a later one.
    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        let _ = checkpoint;
        Ok(())
    }

    /// True if it has finished, but what it has prepared needs one more checkpoint to complete.
    fn awaits_checkpoint(&self) -> bool {
        false
    }

    /// The savepoint that stops the job is complete, and nothing will be processed any more.
    /// [`Progress::More`] while what became visible with it is still under way in the background; it
    /// posts the context's signal when that changes.
    fn stop(&mut self) -> FlowResult<Progress> {
        Ok(Progress::Done)
    }

    /// Input `input` has ended. For a source: it is polled no more.
    fn end_input(&mut self, input: usize, out: &mut dyn Output) -> FlowResult<Progress> {
        let _ = (input, out);
        Ok(Progress::Done)
    }

    /// All inputs have ended: emit what is buffered.
    fn finish(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        let _ = out;
        Ok(Progress::Done)
    }

    /// Releases what it holds. Called once, also after a failure.
    fn close(&mut self) -> FlowResult {
        Ok(())
    }
}

/// Creates the operator of each subtask, and its coordinator if it has one.
pub trait OperatorFactory: Send + Sync {
    /// The operator of the subtask that `context` describes.
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>>;

    /// The coordinator in the JobMaster, if the operator has one.
    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        let _ = context;
        Ok(None)
    }

    /// True if [`OperatorFactory::create_coordinator`] gives one.
    fn has_coordinator(&self) -> bool {
        false
    }
}
