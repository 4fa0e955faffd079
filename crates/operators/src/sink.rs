//! The sink operator: runs a writer, and its committer.
//!
//! # With checkpoints: two phases
//!
//! 1. At the barrier the writer prepares what it has written; that becomes part of the checkpoint.
//! 2. When the checkpoint is complete, it is committed. What earlier checkpoints prepared and were
//!    never told of, too.
//! 3. A restored operator commits what its checkpoint holds, again if need be: that checkpoint is
//!    complete, but whether it had been committed is not known.
//! 4. At the end of input the rest is prepared, and the task stays until one more checkpoint has
//!    completed.
//!
//! Without checkpoints everything is committed at the end of input.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext};
use hurtig_operator_api::{Captured, ListStateData, Operator, OperatorContext, Output, Progress};
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowError, FlowResult, RedistributionMode, codec,
};

use crate::{keyed::not_open, snapshot::list_state_meta};

/// The state that holds what is to be committed.
const COMMITTABLES: &str = "committables";
/// The state of the writers, all of which every writer gets.
const WRITER: &str = "writer";

/// Runs the writer of one subtask.
pub struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    writer: Option<Box<dyn SinkWriter<S::Input, S::Committable>>>,
    committer: Option<Box<dyn Committer<S::Committable>>>,
    /// Prepared since the last checkpoint.
    prepared: Vec<S::Committable>,
    /// Prepared for checkpoints that are not complete.
    pending: BTreeMap<CheckpointId, Vec<S::Committable>>,
    checkpoints: bool,
    finished: bool,
}

impl<S: Sink> SinkOperator<S> {
    /// An operator for `sink`.
    pub fn new(sink: Arc<S>) -> Self {
        Self {
            sink,
            writer: None,
            committer: None,
            prepared: Vec::new(),
            pending: BTreeMap::new(),
            checkpoints: false,
            finished: false,
        }
    }

    fn prepare(&mut self, end_of_input: bool) -> FlowResult {
        let writer = self.writer.as_mut().ok_or_else(not_open)?;
        writer.flush(end_of_input).map_err(FlowError::external)?;
        self.prepared.extend(writer.prepare_commit().map_err(FlowError::external)?);
        Ok(())
    }

    fn commit(&mut self, committables: Vec<S::Committable>) -> FlowResult {
        match &mut self.committer {
            Some(committer) if !committables.is_empty() => {
                committer.commit(committables).map_err(FlowError::external)
            }
            _ => Ok(()),
        }
    }
}

impl<S: Sink> Operator for SinkOperator<S> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let restored = context.restored.as_deref();
        let writers = restored.map(|state| state.list(WRITER).map(<[u8]>::to_vec).collect());
        let writer_context = WriterContext {
            job: context.job,
            subtask: context.subtask,
            parallelism: context.parallelism,
            attempt: context.attempt,
            clock: context.clock,
            signal: context.signal.clone(),
            runtimes: context.runtimes.clone(),
            metrics: context.metrics.clone(),
            accumulators: context.accumulators.clone(),
            restored: writers,
        };
        self.checkpoints = context.checkpoints;
        self.committer =
            self.sink.create_committer(&writer_context).map_err(FlowError::external)?;
        if let Some(restored) = restored {
            let committables = restored.list(COMMITTABLES).map(codec::decode);
            let committables: Vec<S::Committable> = committables.collect::<Result<_, _>>()?;
            self.commit(committables)?;
        }
        self.writer = Some(self.sink.create_writer(writer_context).map_err(FlowError::external)?);
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let writer = self.writer.as_mut().ok_or_else(not_open)?;
        writer.write(Batch::from_payload(batch)?).map_err(FlowError::external)
    }

    fn is_available(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.is_available())
    }

    fn prepare_barrier(&mut self, _: CheckpointId, _: &mut dyn Output) -> FlowResult {
        // What was prepared at the end of input is all there is.
        if self.finished { Ok(()) } else { self.prepare(false) }
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        let prepared = std::mem::take(&mut self.prepared);
        if !prepared.is_empty() {
            self.pending.insert(checkpoint, prepared);
        }
        let elements = self.pending.values().flatten().map(codec::encode);
        let committables = ListStateData {
            name: COMMITTABLES.to_owned(),
            mode: RedistributionMode::SplitDistribute,
            elements: elements.collect::<Result<_, _>>()?,
        };
        let writer = self.writer.as_mut().ok_or_else(not_open)?;
        let writer = ListStateData {
            name: WRITER.to_owned(),
            mode: RedistributionMode::PartialUnion,
            elements: writer.snapshot().map_err(FlowError::external)?.into_iter().collect(),
        };
        let metas = vec![
            list_state_meta::<S::Committable>(COMMITTABLES, RedistributionMode::SplitDistribute),
            list_state_meta::<Vec<u8>>(WRITER, RedistributionMode::PartialUnion),
        ];
        Ok(Captured { operator_states: vec![committables, writer], metas, ..Captured::default() })
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        let later = self.pending.split_off(&CheckpointId(checkpoint.0 + 1));
        let complete = std::mem::replace(&mut self.pending, later);
        self.commit(complete.into_values().flatten().collect())
    }

    fn finish(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        self.prepare(true)?;
        self.finished = true;
        if !self.checkpoints || self.committer.is_none() {
            let prepared = std::mem::take(&mut self.prepared);
            self.commit(prepared)?;
        }
        Ok(Progress::Done)
    }

    fn awaits_checkpoint(&self) -> bool {
        self.finished && !(self.prepared.is_empty() && self.pending.is_empty())
    }

    fn close(&mut self) -> FlowResult {
        match self.writer.take() {
            Some(mut writer) => writer.close().map_err(FlowError::external),
            None => Ok(()),
        }
    }
}
