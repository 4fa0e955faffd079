//! Mini-batches: rows are held back until there are enough of them, or the first has waited long
//! enough; then the operator behind sees them as one batch, of which it gives one change a key. In
//! mini-batches of one row it gives the changes of each row, in the order of the rows.
//!
//! Nothing is held back across a barrier, and so there is no state. Watermarks pass what is held back:
//! only operators whose results have no event time are wrapped, as in Flink, where watermarks only
//! mark the ends of mini-batches then.

use arrow_select::concat::concat_batches;
use hurtig_env::Clock;
use hurtig_operator_api::{
    Captured, CoordinatorContext, Operator, OperatorContext, OperatorCoordinator, OperatorFactory,
    Output, Progress,
};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::{
    BoxedPayload, CheckpointId, FlowError, FlowResult, LatencyMarker, StreamStatus, Watermark,
};

use crate::{
    config::MiniBatch,
    rows::{arrow_error, rows_of},
};

/// The operator of a [`MiniBatch`].
struct Bundle {
    inner: Box<dyn Operator>,
    clock: Clock,
    size: usize,
    latency_ms: i64,
    /// At most `size` rows and one batch.
    held: Vec<ChangelogBatch>,
    rows: usize,
    /// When the first of them must go.
    due_ms: Option<i64>,
}

impl OperatorFactory for MiniBatch {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(Bundle {
            inner: self.operator.create(context)?,
            clock: context.clock,
            size: self.size,
            latency_ms: i64::try_from(self.latency.as_millis()).unwrap_or(i64::MAX),
            held: Vec::new(),
            rows: 0,
            due_ms: None,
        }))
    }

    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        self.operator.create_coordinator(context)
    }

    fn has_coordinator(&self) -> bool {
        self.operator.has_coordinator()
    }
}

/// All rows of batches, in order.
fn joined(mut batches: Vec<ChangelogBatch>, rows: usize) -> FlowResult<Option<ChangelogBatch>> {
    let Some(last) = batches.pop() else { return Ok(None) };
    if batches.is_empty() {
        return Ok(Some(last));
    }
    batches.push(last);
    let schema = batches[0].rows.schema();
    let kinds = batches.iter().any(|batch| batch.kinds.is_some()).then(|| {
        let mut kinds = Vec::with_capacity(rows);
        for batch in &batches {
            match &batch.kinds {
                Some(some) => kinds.extend_from_slice(some),
                None => kinds.resize(kinds.len() + batch.rows.num_rows(), RowKind::Insert),
            }
        }
        kinds
    });
    let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows));
    Ok(Some(ChangelogBatch { rows: rows.map_err(arrow_error)?, kinds }))
}

impl Bundle {
    /// Each row by itself.
    fn each(&mut self, batch: &ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        for row in 0..batch.rows.num_rows() {
            let kinds = batch.kinds.as_ref().map(|kinds| vec![kinds[row]]);
            let one = ChangelogBatch { rows: batch.rows.slice(row, 1), kinds };
            self.inner.process(0, one.boxed(), out)?;
        }
        Ok(())
    }

    fn release(&mut self, out: &mut dyn Output) -> FlowResult {
        let (held, rows) = (std::mem::take(&mut self.held), std::mem::take(&mut self.rows));
        self.due_ms = None;
        match joined(held, rows)? {
            Some(batch) => self.inner.process(0, batch.boxed(), out),
            None => Ok(()),
        }
    }
}

impl Operator for Bundle {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        self.inner.open(context)
    }

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        if input > 0 {
            return Err(FlowError::internal("mini-batches are of one input"));
        }
        let batch = rows_of(batch)?;
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        if self.size <= 1 {
            return self.each(&batch, out);
        }
        if self.held.is_empty() {
            self.due_ms = Some(self.clock.now_ms().saturating_add(self.latency_ms));
        }
        self.rows += batch.rows.num_rows();
        self.held.push(batch);
        if self.rows >= self.size { self.release(out) } else { Ok(()) }
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        if watermark == Watermark::MAX {
            self.release(out)?;
        }
        self.inner.on_watermark(watermark, out)
    }

    fn on_status(&mut self, status: StreamStatus, out: &mut dyn Output) -> FlowResult {
        self.inner.on_status(status, out)
    }

    fn on_latency(&mut self, marker: LatencyMarker, out: &mut dyn Output) -> FlowResult {
        self.inner.on_latency(marker, out)
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        let inner = self.inner.next_processing_timer_ms();
        self.due_ms.into_iter().chain(inner).min()
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        if self.due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.release(out)?;
        }
        self.inner.on_processing_time(now_ms, out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.resume(out)
    }

    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        self.inner.on_event(event)
    }

    fn is_available(&self) -> bool {
        self.inner.is_available()
    }

    fn prepare_barrier(&mut self, checkpoint: CheckpointId, out: &mut dyn Output) -> FlowResult {
        self.release(out)?;
        self.inner.prepare_barrier(checkpoint, out)
    }

    fn is_prepared(&self) -> bool {
        self.inner.is_prepared()
    }

    fn begin_capture(
        &mut self,
        checkpoint: CheckpointId,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        self.inner.begin_capture(checkpoint, since)
    }

    fn next_capture(&mut self, max_bytes: usize, out: &mut Vec<u8>) -> FlowResult<bool> {
        self.inner.next_capture(max_bytes, out)
    }

    fn cancel_capture(&mut self) {
        self.inner.cancel_capture();
    }

    fn forget_captures_before(&mut self, capture: u32) {
        self.inner.forget_captures_before(capture);
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.inner.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.inner.checkpoint_aborted(checkpoint)
    }

    fn awaits_checkpoint(&self) -> bool {
        self.inner.awaits_checkpoint()
    }

    fn stop(&mut self) -> FlowResult<Progress> {
        self.inner.stop()
    }

    fn end_input(&mut self, input: usize, out: &mut dyn Output) -> FlowResult<Progress> {
        self.release(out)?;
        self.inner.end_input(input, out)
    }

    fn finish(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        self.release(out)?;
        self.inner.finish(out)
    }

    fn close(&mut self) -> FlowResult {
        self.held.clear();
        self.inner.close()
    }
}
