//! The operator of all sources of tables: runs a reader of splits, emits batches and watermarks.
//!
//! Watermarks are made per split: the operator's is the minimum over the splits that it has, so that
//! splits which are read one after the other do not make each other late. As in Flink, a watermark
//! follows the rows as soon as event time has moved by more than the interval at which watermarks
//! are announced, and that often in any case.
//!
//! Splits come from an enumerator in the JobMaster, as for the sources of streams; their positions
//! are the operator's state.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use arrow_array::{cast::AsArray, types};
use arrow_schema::{DataType, TimeUnit};
use hurtig_connector_api::{PendingInput, SourceSplit, SplitEnumerator};
use hurtig_env::{Clock, Pace};
use hurtig_operator_api::{
    Captured, CoordinatorContext, EventGateway, ListStateData, Operator, OperatorContext,
    OperatorCoordinator, OperatorFactory, Output, Progress, SourcePoll,
};
use hurtig_operators::{
    connector_metrics::SourceMetrics,
    source::{Enumerators, ReaderEvent, SplitEvent, source_coordinator},
};
use hurtig_sql_common::ChangelogBatch;
use hurtig_types::{
    BoxError, BoxedPayload, CheckpointId, FlowError, FlowResult, MAX_TIMESTAMP, MIN_TIMESTAMP,
    RedistributionMode, StateMeta, StreamStatus, Watermark, codec,
};

use super::{
    api::ScanWatermark,
    gate::{PAUSE_MS, ScanGate},
};

/// Most rows of a batch.
pub const ROWS_PER_BATCH: usize = 4096;
/// The state that holds a reader's splits.
const SPLITS: &str = "splits";

/// What a connector brings.
pub trait TableReading: Send + Sync + 'static {
    /// Its splits.
    type Split: SourceSplit;

    /// Finds and assigns splits.
    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;

    /// Goes on from what the enumerator's snapshot gave.
    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<Self::Split>>, BoxError>;

    /// Reads a split from its position on.
    fn open(
        &self,
        split: Self::Split,
        context: &OperatorContext,
    ) -> Result<Box<dyn SplitReader<Self::Split>>, BoxError>;
}

/// What a read gave.
#[derive(Debug)]
pub enum Read {
    /// Rows; perhaps none, if it takes longer to get to them.
    Rows(ChangelogBatch),
    /// Nothing now; at that wall time in milliseconds there is something.
    Wait(i64),
    /// The split has ended.
    End,
}

/// What a reader of a split knows of it, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitProgress {
    /// Bytes that were read since the last question.
    pub bytes: u64,
    /// Records since then that were none, and were passed over.
    pub errors: u64,
    /// Bytes that are still to be read.
    pub pending_bytes: Option<u64>,
}

/// Reads one split.
pub trait SplitReader<S>: Send {
    /// At most about so many rows.
    fn read(&mut self, max_rows: usize) -> Result<Read, BoxError>;
    /// The split as it is to be resumed: exactly behind what was read. What was written beside
    /// the rows (dead letters) survives the process when this returns.
    fn position(&mut self) -> Result<S, BoxError>;
    /// What has happened since the last call; asked behind every read.
    fn progress(&mut self) -> SplitProgress {
        SplitProgress::default()
    }
    /// How often it can give rows, for sources with a pace: most rows of a batch.
    fn most_rows(&self) -> usize {
        ROWS_PER_BATCH
    }
}

/// How many rows of each reader are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLimit {
    /// So many.
    pub rows: u64,
    /// Then the reader ends. Else it stays, and has nothing to give.
    pub ends: bool,
}

/// Creates the operators of a source and their coordinator.
pub struct TableSourceFactory<R: TableReading> {
    reading: Arc<Adapter<R>>,
    watermark: Option<ScanWatermark>,
    limit: Option<RowLimit>,
    gate: Option<ScanGate>,
}

struct Adapter<R>(R);

impl<R: TableReading> Enumerators for Adapter<R> {
    type Split = R::Split;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<R::Split>>, BoxError> {
        self.0.create_enumerator(parallelism)
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<R::Split>>, BoxError> {
        self.0.restore_enumerator(parallelism, state)
    }
}

impl<R: TableReading> TableSourceFactory<R> {
    /// For a connector's reading.
    pub fn new(reading: R, watermark: Option<ScanWatermark>) -> Self {
        Self { reading: Arc::new(Adapter(reading)), watermark, limit: None, gate: None }
    }

    /// With as many rows as are enough, if that is known.
    #[must_use]
    pub fn limited(self, limit: Option<RowLimit>) -> Self {
        Self { limit, ..self }
    }

    /// Held by a gate, if there is one.
    #[must_use]
    pub fn behind(self, gate: Option<ScanGate>) -> Self {
        Self { gate, ..self }
    }
}

impl<R: TableReading> fmt::Debug for TableSourceFactory<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableSourceFactory").field("watermark", &self.watermark).finish()
    }
}

impl<R: TableReading> OperatorFactory for TableSourceFactory<R> {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(TableSourceOperator {
            reading: self.reading.clone(),
            watermark: self.watermark.clone(),
            // What a gate holds is read to its end: its rows are counted.
            limit: self.limit.filter(|_| self.gate.is_none()),
            given: 0,
            gate: self.gate.clone(),
            splits: VecDeque::new(),
            current: None,
            watermarks: HashMap::new(),
            next_split: 0,
            announced: MIN_TIMESTAMP,
            running: None,
            pace: Pace::new(ROWS_PER_BATCH),
            waiting_for_split: false,
            no_more_splits: false,
            idle: false,
        }))
    }

    fn has_coordinator(&self) -> bool {
        true
    }

    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        Ok(Some(source_coordinator(self.reading.clone(), context.parallelism)))
    }
}

struct Running {
    context: OperatorContext,
    metrics: SourceMetrics,
    clock: Clock,
    events: Arc<dyn EventGateway>,
    interval_ms: i64,
    next_ms: i64,
    last_rows_ms: i64,
}

struct Open<S> {
    number: u64,
    reader: Box<dyn SplitReader<S>>,
}

struct TableSourceOperator<R: TableReading> {
    reading: Arc<Adapter<R>>,
    watermark: Option<ScanWatermark>,
    limit: Option<RowLimit>,
    /// Rows since the operator began, for the limit; after a restore they count anew.
    given: u64,
    gate: Option<ScanGate>,
    /// Not begun: event time waits for them.
    splits: VecDeque<R::Split>,
    current: Option<Open<R::Split>>,
    /// Of the splits that have had rows, by number.
    watermarks: HashMap<u64, i64>,
    next_split: u64,
    announced: i64,
    running: Option<Running>,
    pace: Pace,
    waiting_for_split: bool,
    no_more_splits: bool,
    idle: bool,
}

fn not_open() -> FlowError {
    FlowError::internal("the operator is not open")
}

impl<R: TableReading> TableSourceOperator<R> {
    fn current_watermark(&self) -> i64 {
        if !self.splits.is_empty() {
            return MIN_TIMESTAMP;
        }
        self.watermarks.values().copied().min().unwrap_or(MIN_TIMESTAMP)
    }

    fn announce(&mut self, watermark: i64, out: &mut dyn Output) -> FlowResult {
        if watermark > self.announced {
            self.announced = watermark;
            if let Some(running) = &self.running {
                running.metrics.on_watermark(watermark);
            }
            self.activate(out)?;
            out.emit_watermark(Watermark(watermark))?;
        }
        Ok(())
    }

    fn activate(&mut self, out: &mut dyn Output) -> FlowResult {
        if std::mem::take(&mut self.idle) {
            out.emit_status(StreamStatus::Active)?;
        }
        Ok(())
    }

    fn emit(&mut self, number: u64, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        self.given = self.given.saturating_add(batch.rows.num_rows() as u64);
        let (mut moved, mut on_event) = (None, false);
        if let Some(watermark) = &self.watermark {
            moved = largest(watermark, &batch)?;
            on_event = watermark.on_event;
        }
        let running = self.running.as_mut().ok_or_else(not_open)?;
        running.last_rows_ms = running.clock.now_ms();
        running.metrics.on_fetch(running.last_rows_ms, None);
        let interval_ms = running.interval_ms;
        self.activate(out)?;
        out.emit(batch.boxed())?;
        if let Some(moved) = moved {
            let known = self.watermarks.entry(number).or_insert(MIN_TIMESTAMP);
            *known = moved.max(*known);
            let watermark = self.current_watermark();
            if on_event || watermark.saturating_sub(self.announced) > interval_ms {
                self.announce(watermark, out)?;
            }
        }
        Ok(())
    }

    /// Tells the gate what became of the rows that it let through.
    fn settle(&self, claimed: usize, rows: usize) {
        if let Some(gate) = &self.gate {
            gate.settle(claimed, rows);
        }
    }

    /// Leaves what is not read: enough has been given.
    fn finish_early(&mut self, limit: RowLimit) -> FlowResult<SourcePoll> {
        if let Some(Open { mut reader, .. }) = self.current.take() {
            // What it has written beside is kept.
            reader.position().map_err(FlowError::external)?;
        }
        self.splits.clear();
        self.watermarks.clear();
        if limit.ends { Ok(SourcePoll::Ended) } else { self.request_split() }
    }

    fn request_split(&mut self) -> FlowResult<SourcePoll> {
        if self.no_more_splits {
            return Ok(SourcePoll::Ended);
        }
        if !self.waiting_for_split {
            self.waiting_for_split = true;
            let running = self.running.as_ref().ok_or_else(not_open)?;
            running.metrics.on_nothing(running.clock.now_ms());
            let request = codec::encode(&ReaderEvent::RequestSplit)?;
            running.events.send_to_coordinator(request)?;
        }
        Ok(SourcePoll::Wait { until_ms: None })
    }
}

/// The largest watermark of the rows, in milliseconds.
fn largest(watermark: &ScanWatermark, batch: &ChangelogBatch) -> FlowResult<Option<i64>> {
    let times = watermark.expression.evaluate(&batch.rows).map_err(FlowError::external)?;
    let times = times.as_ref();
    let wrong = || FlowError::internal("a watermark is no timestamp");
    let DataType::Timestamp(unit, _) = times.data_type() else {
        return if times.null_count() == times.len() { Ok(None) } else { Err(wrong()) };
    };
    let (found, per_ms) = match unit {
        TimeUnit::Millisecond => (
            arrow_arith::aggregate::max(times.as_primitive::<types::TimestampMillisecondType>()),
            1,
        ),
        TimeUnit::Microsecond => (
            arrow_arith::aggregate::max(times.as_primitive::<types::TimestampMicrosecondType>()),
            1000,
        ),
        TimeUnit::Nanosecond => (
            arrow_arith::aggregate::max(times.as_primitive::<types::TimestampNanosecondType>()),
            1_000_000,
        ),
        TimeUnit::Second => return Err(wrong()),
    };
    Ok(found.map(|value| value.div_euclid(per_ms)))
}

impl<R: TableReading> Operator for TableSourceOperator<R> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        let now_ms = context.clock.now_ms();
        let interval_ms = i64::try_from(context.auto_watermark_interval_ms).unwrap_or(i64::MAX);
        self.running = Some(Running {
            context: context.clone(),
            metrics: SourceMetrics::register(&context.metrics, context.clock),
            clock: context.clock,
            events: context.events.clone(),
            interval_ms,
            next_ms: now_ms.saturating_add(interval_ms),
            last_rows_ms: now_ms,
        });
        if let Some(restored) = &context.restored {
            for split in restored.list(SPLITS) {
                self.splits.push_back(codec::decode(split)?);
            }
        }
        Ok(())
    }

    fn process(&mut self, _: usize, _: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        Err(FlowError::internal("a source has no input"))
    }

    fn poll_source(&mut self, out: &mut dyn Output) -> FlowResult<SourcePoll> {
        if let Some(limit) = self.limit.filter(|limit| self.given >= limit.rows) {
            return self.finish_early(limit);
        }
        if self.current.is_none() {
            let Some(split) = self.splits.front() else { return self.request_split() };
            let running = self.running.as_ref().ok_or_else(not_open)?;
            let reader = self.reading.0.open(split.clone(), &running.context);
            let reader = reader.map_err(FlowError::external)?;
            self.splits.pop_front();
            // Until it has rows, it holds event time back.
            let number = self.next_split;
            self.next_split += 1;
            if self.watermark.is_some() {
                self.watermarks.insert(number, MIN_TIMESTAMP);
            }
            self.current = Some(Open { number, reader });
        }
        let Some(Open { number, reader }) = &mut self.current else { return Err(not_open()) };
        let number = *number;
        let mut most = self.pace.limit().min(reader.most_rows());
        if let Some(gate) = &self.gate {
            let Some(rows) = gate.claim(most) else {
                let clock = self.running.as_ref().ok_or_else(not_open)?.clock;
                return Ok(SourcePoll::Wait { until_ms: Some(clock.now_ms() + PAUSE_MS) });
            };
            most = rows;
        }
        let read = reader.read(most);
        let progress = reader.progress();
        let running = self.running.as_mut().ok_or_else(not_open)?;
        running.metrics.on_bytes(progress.bytes);
        running.metrics.on_errors(progress.errors + u64::from(read.is_err()));
        let pending = PendingInput { records: None, bytes: progress.pending_bytes };
        running.metrics.on_pending(pending);
        match read.map_err(FlowError::external)? {
            Read::Rows(batch) => {
                let clock = self.running.as_ref().ok_or_else(not_open)?.clock;
                let began = clock.monotonic();
                let rows = batch.rows.num_rows();
                self.emit(number, batch, out)?;
                self.settle(most, rows);
                self.pace.note(clock.monotonic() - began);
                Ok(SourcePoll::More)
            }
            Read::Wait(until_ms) => {
                running.metrics.on_nothing(running.clock.now_ms());
                self.settle(most, 0);
                Ok(SourcePoll::Wait { until_ms: Some(until_ms) })
            }
            Read::End => {
                // What it has written beside is kept.
                reader.position().map_err(FlowError::external)?;
                self.current = None;
                self.watermarks.remove(&number);
                self.settle(most, 0);
                Ok(SourcePoll::More)
            }
        }
    }

    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        match codec::decode::<SplitEvent<R::Split>>(event)? {
            SplitEvent::Assign(splits) => {
                self.waiting_for_split = false;
                self.splits.extend(splits);
            }
            SplitEvent::NoMoreSplits => self.no_more_splits = true,
            // If it still has nothing to read, the next poll finds out and asks.
            SplitEvent::RequestAgain => self.waiting_for_split = false,
        }
        Ok(())
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        let running = self.running.as_ref()?;
        (self.watermark.is_some() && running.interval_ms > 0).then_some(running.next_ms)
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        let running = self.running.as_mut().ok_or_else(not_open)?;
        if now_ms < running.next_ms {
            return Ok(Progress::Done);
        }
        running.next_ms = now_ms.saturating_add(running.interval_ms);
        let silent_ms = now_ms - running.last_rows_ms;
        let watermark = self.current_watermark();
        self.announce(watermark, out)?;
        let timeout = self.watermark.as_ref().and_then(|watermark| watermark.idle_timeout);
        if !self.idle
            && timeout.is_some_and(|timeout| silent_ms as i128 >= timeout.as_millis() as i128)
        {
            self.idle = true;
            out.emit_status(StreamStatus::Idle)?;
        }
        Ok(Progress::Done)
    }

    fn begin_capture(&mut self, _: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        let mut elements = Vec::new();
        if let Some(open) = &mut self.current {
            let split = open.reader.position().map_err(FlowError::external)?;
            elements.push(codec::encode(&split)?);
        }
        for split in &self.splits {
            elements.push(codec::encode(split)?);
        }
        let mode = RedistributionMode::SplitDistribute;
        let splits = ListStateData { name: SPLITS.to_owned(), mode, elements };
        let meta = StateMeta::of_elements::<R::Split>(SPLITS, mode);
        Ok(Captured { operator_states: vec![splits], metas: vec![meta], ..Captured::default() })
    }

    fn end_input(&mut self, _: usize, out: &mut dyn Output) -> FlowResult<Progress> {
        self.announce(MAX_TIMESTAMP, out)?;
        Ok(Progress::Done)
    }

    fn close(&mut self) -> FlowResult {
        self.current = None;
        Ok(())
    }
}
