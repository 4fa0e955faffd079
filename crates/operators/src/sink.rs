//! The sink operator: runs a writer, and its committer.
//!
//! # With checkpoints: two phases
//!
//! 1. At the barrier the writer flushes; the barrier waits until it has. Then the writer prepares
//!    what it has written; that becomes part of the checkpoint.
//! 2. When the checkpoint is complete, it is committed. What earlier checkpoints prepared and were
//!    never told of, too.
//! 3. A commit may go on in the background. Until it has ended, checkpoints hold its committables:
//!    a later checkpoint may be the one that is restored.
//! 4. A restored operator commits what its checkpoint holds, again if need be: that checkpoint is
//!    complete, but whether it had been committed is not known.
//! 5. At the end of input the rest is prepared, and the task stays until one more checkpoint has
//!    completed and everything is committed.
//!
//! Without checkpoints everything is committed at the end of input.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext, WriterState};
use hurtig_env::Clock;
use hurtig_operator_api::{Captured, ListStateData, Operator, OperatorContext, Output, Progress};
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowError, FlowResult, RedistributionMode, StateMeta, codec,
};

use crate::{
    connector_metrics::{CommitterMetrics, SinkMetrics},
    keyed::not_open,
    snapshot::check_list,
};

/// The state that holds what is to be committed.
const COMMITTABLES: &str = "committables";
/// The state of the writers, all of which every writer gets.
const WRITER: &str = "writer";
/// The state of the writers of which each element goes to one.
const WRITER_SPLIT: &str = "writer-split";

/// Runs the writer of one subtask.
pub struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    writer: Option<Box<dyn SinkWriter<S::Input, S::Committable>>>,
    /// Prepared since the last checkpoint.
    prepared: Vec<S::Committable>,
    /// Prepared for checkpoints that are not complete.
    pending: BTreeMap<CheckpointId, Vec<S::Committable>>,
    commits: Commits<S::Committable>,
    checkpoints: bool,
    end: End,
    metrics: Option<(SinkMetrics, Clock)>,
    /// Whoever is around this operator counts what is sent: what it takes are no records.
    counts: bool,
}

/// How far the end of input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// The last flush is under way.
    Flushing,
    /// Without checkpoints: the last commit is under way.
    Committing,
    Finished,
}

impl<S: Sink> SinkOperator<S> {
    /// An operator for `sink`.
    pub fn new(sink: Arc<S>) -> Self {
        Self {
            sink,
            writer: None,
            prepared: Vec::new(),
            pending: BTreeMap::new(),
            commits: Commits::default(),
            checkpoints: false,
            end: End::NotYet,
            metrics: None,
            counts: true,
        }
    }

    /// What it takes are no records: whoever is around it registers [`SinkMetrics`], and counts.
    #[must_use]
    pub fn without_count(self) -> Self {
        Self { counts: false, ..self }
    }

    fn writer(
        &mut self,
    ) -> FlowResult<&mut Box<dyn SinkWriter<S::Input, S::Committable> + 'static>> {
        self.writer.as_mut().ok_or_else(not_open)
    }

    fn is_flushed(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.is_flushed())
    }

    fn prepare(&mut self) -> FlowResult {
        let prepared = self.writer()?.prepare_commit().map_err(FlowError::external)?;
        self.prepared.extend(prepared);
        Ok(())
    }

    /// Goes on with the end of input as far as possible.
    fn go_on(&mut self) -> FlowResult<Progress> {
        if self.end == End::Flushing {
            if !self.is_flushed() {
                return Ok(Progress::More);
            }
            self.prepare()?;
            self.end = End::Finished;
            if !self.checkpoints || self.commits.committer.is_none() {
                let prepared = std::mem::take(&mut self.prepared);
                self.commits.add(prepared)?;
                self.end = End::Committing;
            }
        }
        if self.end == End::Committing {
            if self.commits.complete()? == Progress::More {
                return Ok(Progress::More);
            }
            self.end = End::Finished;
        }
        Ok(Progress::Done)
    }
}

impl<S: Sink> Operator for SinkOperator<S> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let mode = RedistributionMode::SplitDistribute;
        check_list::<S::Committable>(context, COMMITTABLES, mode)?;
        let restored = context.restored.as_deref();
        let elements = |name| -> Vec<Vec<u8>> {
            restored.into_iter().flat_map(|state| state.list(name)).map(<[u8]>::to_vec).collect()
        };
        let writers = WriterState { split: elements(WRITER_SPLIT), union: elements(WRITER) };
        let writer_context = WriterContext {
            job: context.job,
            operator: context.operator,
            subtask: context.subtask,
            parallelism: context.parallelism,
            attempt: context.attempt,
            clock: context.clock,
            signal: context.signal.clone(),
            runtimes: context.runtimes.clone(),
            metrics: context.metrics.clone(),
            accumulators: context.accumulators.clone(),
            checkpoints: context.checkpoints,
            restored_checkpoint: restored.map(|state| state.checkpoint_id),
            restored: restored.map(|_| writers),
        };
        self.checkpoints = context.checkpoints;
        if self.counts {
            self.metrics = Some((SinkMetrics::register(&context.metrics), context.clock));
        }
        self.commits.committer =
            self.sink.create_committer(&writer_context).map_err(FlowError::external)?;
        if self.commits.committer.is_some() {
            self.commits.metrics = Some(CommitterMetrics::register(&context.metrics));
        }
        if let Some(restored) = restored {
            let committables = restored.list(COMMITTABLES).map(codec::decode);
            let committables: Vec<S::Committable> = committables.collect::<Result<_, _>>()?;
            self.commits.add(committables)?;
        }
        self.writer = Some(self.sink.create_writer(writer_context).map_err(FlowError::external)?);
        Ok(())
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let batch: Batch<S::Input> = Batch::from_payload(batch)?;
        let records = batch.values.len() as u64;
        let began = self.metrics.as_ref().map(|(_, clock)| clock.monotonic());
        let written = self.writer()?.write(batch);
        if let (Some((metrics, clock)), Some(began)) = (&self.metrics, began) {
            metrics.on_write(records, clock.monotonic().saturating_sub(began), written.is_ok());
        }
        written.map_err(FlowError::external)
    }

    fn is_available(&self) -> bool {
        match self.end {
            End::NotYet => self.writer.as_ref().is_none_or(|writer| writer.is_available()),
            End::Flushing => self.is_flushed(),
            End::Committing => !self.commits.is_busy(),
            End::Finished => true,
        }
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        if self.commits.has_outcome() {
            return Some(i64::MIN);
        }
        let writer = self.writer.as_ref().filter(|_| self.end == End::NotYet)?;
        writer.next_processing_timer_ms()
    }

    fn on_processing_time(&mut self, now_ms: i64, _: &mut dyn Output) -> FlowResult<Progress> {
        self.commits.drive()?;
        if self.end == End::NotYet {
            let writer = self.writer()?;
            if writer.next_processing_timer_ms().is_some_and(|due| due <= now_ms) {
                writer.on_processing_time(now_ms).map_err(FlowError::external)?;
            }
        }
        Ok(Progress::Done)
    }

    fn resume(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        self.go_on()
    }

    fn prepare_barrier(&mut self, _: CheckpointId, _: &mut dyn Output) -> FlowResult {
        match self.end {
            End::NotYet => self.writer()?.flush(false).map_err(FlowError::external),
            // What was prepared at the end of input is all there is.
            _ => Ok(()),
        }
    }

    fn is_prepared(&self) -> bool {
        matches!(self.end, End::Committing | End::Finished) || self.is_flushed()
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        if matches!(self.end, End::NotYet | End::Flushing) {
            self.prepare()?;
        }
        let prepared = std::mem::take(&mut self.prepared);
        if !prepared.is_empty() {
            self.pending.insert(checkpoint, prepared);
        }
        let split = RedistributionMode::SplitDistribute;
        let union = RedistributionMode::PartialUnion;
        let committables = self.commits.all().chain(self.pending.values().flatten());
        let committables = committables.map(codec::encode).collect::<Result<_, _>>()?;
        let writer = self.writer()?.snapshot().map_err(FlowError::external)?;
        let list = |name: &str, mode, elements| {
            let name = name.to_owned();
            ListStateData { name, mode, elements }
        };
        let operator_states = vec![
            list(COMMITTABLES, split, committables),
            list(WRITER, union, writer.union),
            list(WRITER_SPLIT, split, writer.split),
        ];
        let metas = vec![
            StateMeta::of_elements::<S::Committable>(COMMITTABLES, split),
            StateMeta::of_elements::<Vec<u8>>(WRITER, union),
            StateMeta::of_elements::<Vec<u8>>(WRITER_SPLIT, split),
        ];
        Ok(Captured { operator_states, metas, ..Captured::default() })
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        let later = self.pending.split_off(&CheckpointId(checkpoint.0 + 1));
        let complete = std::mem::replace(&mut self.pending, later);
        self.commits.add(complete.into_values().flatten().collect())
    }

    fn stop(&mut self) -> FlowResult<Progress> {
        self.commits.complete()
    }

    fn finish(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        self.writer()?.flush(true).map_err(FlowError::external)?;
        self.end = End::Flushing;
        self.go_on()
    }

    fn awaits_checkpoint(&self) -> bool {
        let left = !(self.prepared.is_empty() && self.pending.is_empty());
        self.end == End::Finished && (left || self.commits.all().next().is_some())
    }

    fn close(&mut self) -> FlowResult {
        match self.writer.take() {
            Some(mut writer) => writer.close().map_err(FlowError::external),
            None => Ok(()),
        }
    }
}

/// What is being committed; one call of the committer at a time.
struct Commits<C> {
    committer: Option<Box<dyn Committer<C>>>,
    /// Refused, to be tried again after the next checkpoint.
    again: Vec<C>,
    /// Given to the committer.
    under_way: Vec<C>,
    /// Complete, and waits for what is under way.
    waiting: Vec<C>,
    metrics: Option<CommitterMetrics>,
}

impl<C> Default for Commits<C> {
    fn default() -> Self {
        let (again, under_way, waiting) = Default::default();
        Self { committer: None, again, under_way, waiting, metrics: None }
    }
}

impl<C: Clone> Commits<C> {
    /// Everything that may not be committed yet, in order.
    fn all(&self) -> impl Iterator<Item = &C> {
        self.again.iter().chain(&self.under_way).chain(&self.waiting)
    }

    /// Commits what earlier calls were refused and these.
    fn add(&mut self, committables: Vec<C>) -> FlowResult {
        self.drive()?;
        let newer = std::mem::replace(&mut self.waiting, std::mem::take(&mut self.again));
        self.waiting.extend(newer);
        if let Some(metrics) = &self.metrics {
            metrics.total.add(committables.len() as u64);
        }
        if self.committer.is_some() {
            self.waiting.extend(committables);
        }
        self.drive()
    }

    /// Goes on until everything is committed: no checkpoint follows with which to try again.
    fn complete(&mut self) -> FlowResult<Progress> {
        self.drive()?;
        if self.is_committing() {
            return Ok(Progress::More);
        }
        if self.again.is_empty() {
            return Ok(Progress::Done);
        }
        let left = self.again.len();
        if let Some(metrics) = &self.metrics {
            metrics.failed.add(left as u64);
        }
        let problem = format!("{left} committables were refused, and no checkpoint follows");
        Err(FlowError::external(problem))
    }

    fn is_busy(&self) -> bool {
        self.committer.as_ref().is_some_and(|committer| committer.is_committing())
    }

    fn is_committing(&self) -> bool {
        !(self.under_way.is_empty() && self.waiting.is_empty())
    }

    /// True if a call has ended whose outcome nobody has looked at.
    fn has_outcome(&self) -> bool {
        !self.under_way.is_empty() && !self.is_busy()
    }

    /// Takes an outcome, and gives the committer what waits.
    fn drive(&mut self) -> FlowResult {
        let driven = self.drive_committer();
        if let Some(metrics) = &self.metrics {
            metrics.pending.set(i64::try_from(self.all().count()).unwrap_or(i64::MAX));
        }
        driven
    }

    fn drive_committer(&mut self) -> FlowResult {
        let Some(committer) = &mut self.committer else { return Ok(()) };
        loop {
            if !self.under_way.is_empty() {
                if committer.is_committing() {
                    return Ok(());
                }
                let refused = committer.outcome().map_err(FlowError::external)?;
                if let Some(metrics) = &self.metrics {
                    let (all, refused) = (self.under_way.len() as u64, refused.len() as u64);
                    metrics.successful.add(all.saturating_sub(refused));
                    metrics.retried.add(refused);
                }
                self.again.extend(refused);
                self.under_way.clear();
                if !self.again.is_empty() {
                    // What is newer must not overtake.
                    self.again.append(&mut self.waiting);
                }
            }
            if self.waiting.is_empty() {
                return Ok(());
            }
            self.under_way = std::mem::take(&mut self.waiting);
            committer.commit(self.under_way.clone()).map_err(FlowError::external)?;
        }
    }
}
