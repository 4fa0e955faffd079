//! The sink operator: runs a writer, and its committer at the end of input.

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext};
use hurtig_operator_api::{Operator, OperatorContext, Output, Progress};
use hurtig_types::{Batch, BoxedPayload, FlowError, FlowResult};

use std::sync::Arc;

use crate::keyed::not_open;

/// Runs the writer of one subtask.
pub struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    writer: Option<Box<dyn SinkWriter<S::Input, S::Committable>>>,
    committer: Option<Box<dyn Committer<S::Committable>>>,
}

impl<S: Sink> SinkOperator<S> {
    /// An operator for `sink`.
    pub fn new(sink: Arc<S>) -> Self {
        Self { sink, writer: None, committer: None }
    }
}

impl<S: Sink> Operator for SinkOperator<S> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let context = WriterContext {
            job: context.job,
            subtask: context.subtask,
            parallelism: context.parallelism,
            attempt: context.attempt,
            clock: context.clock,
            signal: context.signal.clone(),
            runtimes: context.runtimes.clone(),
            metrics: context.metrics.clone(),
            accumulators: context.accumulators.clone(),
        };
        self.committer = self.sink.create_committer(&context).map_err(FlowError::external)?;
        self.writer = Some(self.sink.create_writer(context).map_err(FlowError::external)?);
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let writer = self.writer.as_mut().ok_or_else(not_open)?;
        writer.write(Batch::from_payload(batch)?).map_err(FlowError::external)
    }

    fn is_available(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.is_available())
    }

    fn finish(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        let writer = self.writer.as_mut().ok_or_else(not_open)?;
        writer.flush(true).map_err(FlowError::external)?;
        let committables = writer.prepare_commit().map_err(FlowError::external)?;
        if let Some(committer) = &mut self.committer
            && !committables.is_empty()
        {
            committer.commit(committables).map_err(FlowError::external)?;
        }
        Ok(Progress::Done)
    }

    fn close(&mut self) -> FlowResult {
        match self.writer.take() {
            Some(mut writer) => writer.close().map_err(FlowError::external),
            None => Ok(()),
        }
    }
}
