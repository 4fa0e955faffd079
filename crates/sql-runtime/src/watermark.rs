//! The watermark assigner.
//!
//! A watermark is announced when it has moved by more than the interval (200 ms by default) of event
//! time, or when the interval has passed; as in Flink, but at the end of a batch instead of between its
//! rows. A row whose time equals the watermark is late.

use hurtig_env::Clock;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output, Progress};
use hurtig_types::{BoxedPayload, FlowResult, MIN_TIMESTAMP, StreamStatus, Watermark};

use crate::{
    config::WatermarkAssigner,
    rows::{eval_error, rows_of},
    time::{millis, rowtimes},
};

struct Assigner {
    config: WatermarkAssigner,
    clock: Clock,
    interval_ms: i64,
    current: i64,
    announced: i64,
    next_ms: i64,
    last_rows_ms: i64,
    idle: bool,
}

impl OperatorFactory for WatermarkAssigner {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let now_ms = context.clock.now_ms();
        let interval_ms = i64::try_from(context.auto_watermark_interval_ms).unwrap_or(i64::MAX);
        Ok(Box::new(Assigner {
            config: self.clone(),
            clock: context.clock,
            interval_ms,
            current: MIN_TIMESTAMP,
            announced: MIN_TIMESTAMP,
            next_ms: now_ms.saturating_add(interval_ms),
            last_rows_ms: now_ms,
            idle: false,
        }))
    }
}

impl Assigner {
    fn announce(&mut self, out: &mut dyn Output) -> FlowResult {
        if self.current > self.announced {
            self.announced = self.current;
            self.activate(out)?;
            out.emit_watermark(Watermark(self.current))?;
        }
        Ok(())
    }

    fn activate(&mut self, out: &mut dyn Output) -> FlowResult {
        if std::mem::take(&mut self.idle) { out.emit_status(StreamStatus::Active) } else { Ok(()) }
    }
}

impl Operator for Assigner {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = rows_of(batch)?;
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        // NULL there fails the job.
        rowtimes(batch.rows.column(self.config.time))?;
        let watermarks = self.config.watermark.evaluate(&batch.rows).map_err(eval_error)?;
        let watermarks = millis(&watermarks)?;
        let latest = watermarks.iter().flatten().max();
        self.last_rows_ms = self.clock.now_ms();
        self.activate(out)?;
        out.emit(batch.boxed())?;
        self.current = self.current.max(latest.unwrap_or(MIN_TIMESTAMP));
        let moved = self.current.saturating_sub(self.announced);
        if moved > self.interval_ms { self.announce(out) } else { Ok(()) }
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        if watermark == Watermark::MAX {
            self.current = watermark.0;
            self.announce(out)?;
        }
        Ok(Progress::Done)
    }

    fn on_status(&mut self, _: StreamStatus, _: &mut dyn Output) -> FlowResult {
        Ok(())
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        (self.interval_ms > 0).then_some(self.next_ms)
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        if self.interval_ms > 0 && now_ms >= self.next_ms {
            self.next_ms = now_ms.saturating_add(self.interval_ms);
            self.announce(out)?;
            let timeout = self.config.idle_timeout.filter(|timeout| !timeout.is_zero());
            let silent = now_ms.saturating_sub(self.last_rows_ms).max(0) as u128;
            if !self.idle && timeout.is_some_and(|timeout| silent >= timeout.as_millis()) {
                self.idle = true;
                out.emit_status(StreamStatus::Idle)?;
            }
        }
        Ok(Progress::Done)
    }
}
