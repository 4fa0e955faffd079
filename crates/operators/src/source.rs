//! The source operator: runs a reader, and talks with the enumerator's coordinator.
//!
//! Watermarks are generated per split: the operator's watermark is the minimum over the splits that
//! have not finished, so splits that are read one after the other do not make each other late.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hurtig_connector_api::{
    EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit,
    SplitEnumerator,
};
use hurtig_env::{Clock, Pace};
use hurtig_operator_api::{
    Captured, CoordinatorAction, CoordinatorContext, EventGateway, ListStateData, Operator,
    OperatorContext, OperatorCoordinator, OperatorFactory, Output, Progress, SourcePoll,
};
use hurtig_types::{
    Batch, BoxError, BoxedPayload, CheckpointId, FlowError, FlowResult, MAX_TIMESTAMP,
    MIN_TIMESTAMP, RedistributionMode, StateMeta, codec,
};
use serde::{Deserialize, Serialize};

use crate::{
    connector_metrics::SourceMetrics,
    keyed::not_open,
    snapshot::check_list,
    time::{Announcer, WatermarkGenerator, WatermarkStrategy},
};

/// Most records per read.
const RECORDS_PER_READ: usize = 1024;
/// The state that holds a reader's splits.
const SPLITS: &str = "splits";

/// From a reader to its enumerator.
#[derive(Debug, Serialize, Deserialize)]
pub enum ReaderEvent {
    /// It has nothing to read.
    RequestSplit,
}

/// From an enumerator to a reader.
#[derive(Debug, Serialize, Deserialize)]
pub enum SplitEvent<S> {
    /// More to read.
    Assign(Vec<S>),
    /// There will be no more.
    NoMoreSplits,
    /// The enumerator is another, and has not got the reader's last request.
    RequestAgain,
}

/// Creates the enumerator of a source: what its coordinator needs to know of it. A [`Source`] is
/// one; operators that emit other layouts than `Batch<T>` bring their own.
pub trait Enumerators: Send + Sync + 'static {
    /// The splits.
    type Split: SourceSplit;

    /// As [`Source::create_enumerator`].
    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;

    /// As [`Source::restore_enumerator`].
    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;
}

impl<S: Source> Enumerators for S {
    type Split = S::Split;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<S::Split>>, BoxError> {
        Source::create_enumerator(self, parallelism)
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<S::Split>>, BoxError> {
        Source::restore_enumerator(self, parallelism, state)
    }
}

/// The coordinator that runs the enumerator for readers that speak [`ReaderEvent`] and
/// [`SplitEvent`].
pub fn source_coordinator<S: Enumerators>(
    source: Arc<S>,
    parallelism: u32,
) -> Box<dyn OperatorCoordinator> {
    Box::new(SourceCoordinator::<S> {
        source,
        parallelism,
        enumerator: None,
        assigned: HashMap::new(),
        since: BTreeMap::new(),
    })
}

/// Creates source operators and their coordinator.
pub struct SourceFactory<S: Source> {
    source: Arc<S>,
    strategy: WatermarkStrategy<S::Record>,
}

impl<S: Source> SourceFactory<S> {
    /// For a source with a watermark strategy.
    pub fn new(source: S, strategy: WatermarkStrategy<S::Record>) -> Self {
        Self { source: Arc::new(source), strategy }
    }
}

impl<S: Source> OperatorFactory for SourceFactory<S> {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(SourceOperator::<S> {
            source: self.source.clone(),
            strategy: self.strategy.clone(),
            reader: None,
            running: None,
            generators: HashMap::new(),
            unread_splits: 0,
            output: SourceOutput::default(),
            pace: Pace::new(RECORDS_PER_READ),
            waiting_for_split: false,
            no_more_splits: false,
        }))
    }

    fn has_coordinator(&self) -> bool {
        true
    }

    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        Ok(Some(source_coordinator(self.source.clone(), context.parallelism)))
    }
}

struct Running {
    announcer: Announcer,
    metrics: SourceMetrics,
    clock: Clock,
    events: Arc<dyn EventGateway>,
}

struct SourceOperator<S: Source> {
    source: Arc<S>,
    strategy: WatermarkStrategy<S::Record>,
    reader: Option<Box<dyn SourceReader<S::Record, S::Split>>>,
    running: Option<Running>,
    generators: HashMap<u32, Box<dyn WatermarkGenerator<S::Record>>>,
    /// Splits that the reader has not begun with: event time waits for them, or their records would
    /// be late.
    unread_splits: usize,
    output: SourceOutput<S::Record>,
    pace: Pace,
    waiting_for_split: bool,
    no_more_splits: bool,
}

impl<S: Source> SourceOperator<S> {
    fn watermark(&self) -> i64 {
        if self.unread_splits > 0 {
            return MIN_TIMESTAMP;
        }
        self.generators.values().map(|g| g.current()).min().unwrap_or(MIN_TIMESTAMP)
    }

    fn add_splits(&mut self, splits: Vec<S::Split>) -> FlowResult {
        self.unread_splits += splits.len();
        let reader = self.reader.as_mut().ok_or_else(not_open)?;
        reader.add_splits(splits).map_err(FlowError::external)
    }

    fn emit(&mut self, out: &mut dyn Output) -> FlowResult {
        let running = self.running.as_mut().ok_or_else(not_open)?;
        let split = self.output.split;
        if !self.output.values.is_empty() {
            let values = std::mem::take(&mut self.output.values);
            let timestamps = std::mem::take(&mut self.output.timestamps);
            let timed = timestamps.len() == values.len();
            let mut batch = Batch::from_parts(values, timed.then_some(timestamps));
            self.strategy.assign(&mut batch);
            let generator = self.generators.entry(split).or_insert_with(|| {
                self.unread_splits = self.unread_splits.saturating_sub(1);
                self.strategy.create_generator()
            });
            let timestamps = batch.timestamps.as_deref().unwrap_or_default();
            let (punctuated, last) =
                (generator.on_batch(&batch.values, timestamps), timestamps.last().copied());
            let now_ms = running.clock.now_ms();
            running.metrics.on_fetch(now_ms, last);
            running.announcer.on_records(now_ms, out)?;
            out.emit(batch.boxed())?;
            if last.is_some() {
                running.metrics.on_emit(running.clock.now_ms(), last);
            }
            if punctuated.is_some() {
                let watermark = self.watermark();
                let running = self.running.as_mut().ok_or_else(not_open)?;
                running.metrics.on_watermark(watermark);
                running.announcer.announce(watermark, out)?;
            }
        }
        let finished = std::mem::take(&mut self.output.split_finished);
        if finished && self.generators.remove(&split).is_none() {
            // It had no records.
            self.unread_splits = self.unread_splits.saturating_sub(1);
        }
        Ok(())
    }
}

impl<S: Source> Operator for SourceOperator<S> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        self.reader = Some(
            self.source
                .create_reader(ReaderContext {
                    subtask: context.subtask,
                    parallelism: context.parallelism,
                    clock: context.clock,
                    signal: context.signal.clone(),
                    runtimes: context.runtimes.clone(),
                    metrics: context.metrics.clone(),
                })
                .map_err(FlowError::external)?,
        );
        check_list::<S::Split>(context, SPLITS, RedistributionMode::SplitDistribute)?;
        if let Some(restored) = &context.restored {
            let splits = restored.list(SPLITS).map(codec::decode::<S::Split>);
            let splits: Vec<S::Split> = splits.collect::<Result<_, _>>()?;
            if !splits.is_empty() {
                self.add_splits(splits)?;
            }
        }
        let interval = context.auto_watermark_interval_ms;
        self.running = Some(Running {
            metrics: SourceMetrics::register(&context.metrics, context.clock),
            announcer: Announcer::new(&self.strategy, interval, context.clock),
            clock: context.clock,
            events: context.events.clone(),
        });
        Ok(())
    }

    fn process(&mut self, _: usize, _: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        Err(FlowError::internal("a source has no input"))
    }

    fn poll_source(&mut self, out: &mut dyn Output) -> FlowResult<SourcePoll> {
        let reader = self.reader.as_mut().ok_or_else(not_open)?;
        let status = reader.read(self.pace.limit(), &mut self.output);
        let pending = reader.pending();
        let running = self.running.as_mut().ok_or_else(not_open)?;
        let status = status.map_err(|error| {
            running.metrics.on_errors(1);
            FlowError::external(error)
        })?;
        running.metrics.on_bytes(std::mem::take(&mut self.output.bytes));
        running.metrics.on_pending(pending);
        if !matches!(status, ReadStatus::More) && self.output.values.is_empty() {
            running.metrics.on_nothing(running.clock.now_ms());
        }
        let began = self.running.as_ref().map(|running| running.clock.monotonic());
        self.emit(out)?;
        if let (Some(running), Some(began)) = (&self.running, began) {
            self.pace.note(running.clock.monotonic() - began);
        }
        match status {
            ReadStatus::More => Ok(SourcePoll::More),
            ReadStatus::Wait { until_ms } => Ok(SourcePoll::Wait { until_ms }),
            ReadStatus::NeedSplit if self.no_more_splits => Ok(SourcePoll::Ended),
            ReadStatus::NeedSplit => {
                if !self.waiting_for_split {
                    self.waiting_for_split = true;
                    let running = self.running.as_ref().ok_or_else(not_open)?;
                    let request = codec::encode(&ReaderEvent::RequestSplit)?;
                    running.events.send_to_coordinator(request)?;
                }
                Ok(SourcePoll::Wait { until_ms: None })
            }
        }
    }

    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        match codec::decode::<SplitEvent<S::Split>>(event)? {
            SplitEvent::Assign(splits) => {
                self.waiting_for_split = false;
                self.add_splits(splits)
            }
            SplitEvent::NoMoreSplits => {
                self.no_more_splits = true;
                Ok(())
            }
            SplitEvent::RequestAgain => {
                // If it still has nothing to read, the next read finds out and asks.
                self.waiting_for_split = false;
                Ok(())
            }
        }
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.running.as_ref().and_then(|running| running.announcer.next_ms())
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        let watermark = self.watermark();
        let running = self.running.as_mut().ok_or_else(not_open)?;
        running.metrics.on_watermark(watermark);
        running.announcer.on_time(now_ms, || watermark, out)?;
        Ok(Progress::Done)
    }

    fn begin_capture(&mut self, _: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        let reader = self.reader.as_ref().ok_or_else(not_open)?;
        let splits = reader.snapshot();
        let elements: Result<Vec<_>, _> = splits.iter().map(codec::encode).collect();
        let mode = RedistributionMode::SplitDistribute;
        let splits = ListStateData { name: SPLITS.to_owned(), mode, elements: elements? };
        let meta = StateMeta::of_elements::<S::Split>(SPLITS, mode);
        Ok(Captured { operator_states: vec![splits], metas: vec![meta], ..Captured::default() })
    }

    fn end_input(&mut self, _: usize, out: &mut dyn Output) -> FlowResult<Progress> {
        let running = self.running.as_mut().ok_or_else(not_open)?;
        running.announcer.announce(MAX_TIMESTAMP, out)?;
        Ok(Progress::Done)
    }

    fn close(&mut self) -> FlowResult {
        match self.reader.take() {
            Some(mut reader) => reader.close().map_err(FlowError::external),
            None => Ok(()),
        }
    }
}

struct SourceCoordinator<S: Enumerators> {
    source: Arc<S>,
    parallelism: u32,
    enumerator: Option<Box<dyn SplitEnumerator<S::Split>>>,
    /// What was assigned since the last checkpoint: after a failure a reader does not know of it.
    assigned: Assignments<S::Split>,
    /// The same since earlier checkpoints that are not complete yet.
    since: BTreeMap<CheckpointId, Assignments<S::Split>>,
}

/// Splits by reader.
type Assignments<S> = HashMap<u32, Vec<S>>;

impl<S: Enumerators> SourceCoordinator<S> {
    fn with_enumerator(
        &mut self,
        actions: &mut Vec<CoordinatorAction>,
        f: impl FnOnce(
            &mut dyn SplitEnumerator<S::Split>,
            &mut Vec<EnumeratorAction<S::Split>>,
        ) -> Result<(), hurtig_types::BoxError>,
    ) -> FlowResult {
        let enumerator = self.enumerator.as_mut().ok_or_else(not_open)?;
        let mut wanted = Vec::new();
        f(&mut **enumerator, &mut wanted).map_err(FlowError::external)?;
        for action in wanted {
            let (subtask, event) = match action {
                EnumeratorAction::Assign { subtask, splits } => {
                    let known = self.assigned.entry(subtask).or_default();
                    known.extend(splits.iter().cloned());
                    (subtask, SplitEvent::Assign(splits))
                }
                EnumeratorAction::NoMoreSplits { subtask } => (subtask, SplitEvent::NoMoreSplits),
                EnumeratorAction::CallAfterMs(ms) => {
                    actions.push(CoordinatorAction::CallAfterMs(ms));
                    continue;
                }
            };
            let event = codec::encode(&event)?;
            actions.push(CoordinatorAction::SendToSubtask { subtask, event });
        }
        Ok(())
    }

    fn begin(
        &mut self,
        enumerator: Box<dyn SplitEnumerator<S::Split>>,
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        self.enumerator = Some(enumerator);
        self.assigned.clear();
        self.since.clear();
        self.with_enumerator(actions, |enumerator, wanted| enumerator.start(wanted))
    }
}

impl<S: Enumerators> OperatorCoordinator for SourceCoordinator<S> {
    fn start(&mut self, actions: &mut Vec<CoordinatorAction>) -> FlowResult {
        let created = self.source.create_enumerator(self.parallelism);
        self.begin(created.map_err(FlowError::external)?, actions)
    }

    fn restore(
        &mut self,
        _: CheckpointId,
        state: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let restored = self.source.restore_enumerator(self.parallelism, state);
        self.begin(restored.map_err(FlowError::external)?, actions)
    }

    fn can_resume(&self) -> bool {
        true
    }

    fn resume(
        &mut self,
        checkpoint: CheckpointId,
        state: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let event = codec::encode(&SplitEvent::<S::Split>::RequestAgain)?;
        for subtask in 0..self.parallelism {
            actions.push(CoordinatorAction::SendToSubtask { subtask, event: event.clone() });
        }
        self.restore(checkpoint, state, actions)
    }

    fn on_event(
        &mut self,
        subtask: u32,
        event: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let ReaderEvent::RequestSplit = codec::decode(event)?;
        self.with_enumerator(actions, |enumerator, wanted| {
            enumerator.on_split_request(subtask, wanted)
        })
    }

    fn subtask_reset(
        &mut self,
        subtask: u32,
        restored: Option<CheckpointId>,
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        // The reader goes on from the checkpoint: what it was given before that, it has again.
        let mut splits = Vec::new();
        for (checkpoint, assigned) in &mut self.since {
            if restored.is_none_or(|restored| *checkpoint > restored) {
                splits.extend(assigned.remove(&subtask).unwrap_or_default());
            }
        }
        splits.extend(self.assigned.remove(&subtask).unwrap_or_default());
        self.with_enumerator(actions, |enumerator, wanted| {
            enumerator.add_splits_back(subtask, splits, wanted)
        })
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> FlowResult<Vec<u8>> {
        let enumerator = self.enumerator.as_ref().ok_or_else(not_open)?;
        let state = enumerator.snapshot().map_err(FlowError::external)?;
        // What has been assigned until now is part of the readers' snapshots.
        self.since.insert(checkpoint, std::mem::take(&mut self.assigned));
        Ok(state)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.since = self.since.split_off(&CheckpointId(checkpoint.0 + 1));
        Ok(())
    }

    fn on_timer(&mut self, actions: &mut Vec<CoordinatorAction>) -> FlowResult {
        self.with_enumerator(actions, |enumerator, wanted| enumerator.on_timer(wanted))
    }
}
