//! Drives one operator by a script and writes down what it emits.
//!
//! Each line of a script is one call:
//!
//! ```text
//! +I a 1 | -D b 2        one batch of rows; `null` is NULL; without a kind it is +I
//! second +I a 1          a batch of the second input
//! wm 15                  a watermark
//! pt 100                 the wall clock moves to 100 and due timers fire
//! restore                the operator is replaced by one that starts from its snapshot
//! end                    the end of all inputs
//! ```

use std::{fmt::Write, sync::Arc, time::Duration};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    cast::AsArray,
    types::{Int64Type, TimestampMillisecondType},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_operator_api::{
    EventGateway, KeyedFile, Operator, OperatorContext, OperatorFactory, OperatorRestore, Output,
    Progress,
};
use hurtig_sql_common::{ChangelogBatch, EvalError, RowKind};
use hurtig_sql_functions::api::{AggregateKernel, AggregateState, Expression};
use hurtig_sql_runtime::config::AggregateCall;
use hurtig_types::{
    BoxedPayload, CheckpointId, FlowResult, JobId, LatencyMarker, MAX_TIMESTAMP, OperatorId,
    SideTag, StreamStatus, Watermark,
};
use tokio::runtime::{Builder, Runtime};

struct NoCoordinator;

impl EventGateway for NoCoordinator {
    fn send_to_coordinator(&self, _: Vec<u8>) -> FlowResult {
        Ok(())
    }
}

/// A schema: `"k:s v:i t:t b:b"`, of strings, BIGINTs, TIMESTAMP(3)s, BOOLEANs.
pub fn schema(text: &str) -> SchemaRef {
    let fields = text.split_whitespace().map(|field| {
        let (name, kind) = field.split_once(':').unwrap();
        let data_type = match kind {
            "s" => DataType::Utf8,
            "i" => DataType::Int64,
            "t" => DataType::Timestamp(TimeUnit::Millisecond, None),
            "b" => DataType::Boolean,
            "x" => DataType::Binary,
            other => panic!("no type {other}"),
        };
        Field::new(name, data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows of a line.
pub fn rows(schema: &SchemaRef, line: &str) -> ChangelogBatch {
    let mut kinds = Vec::new();
    let mut values: Vec<Vec<Option<&str>>> = vec![Vec::new(); schema.fields().len()];
    for row in line.split('|') {
        let mut tokens: Vec<&str> = row.split_whitespace().collect();
        let kind = match tokens[0] {
            "-U" => Some(RowKind::UpdateBefore),
            "+U" => Some(RowKind::UpdateAfter),
            "-D" => Some(RowKind::Delete),
            "+I" => Some(RowKind::Insert),
            _ => None,
        };
        if kind.is_some() {
            tokens.remove(0);
        }
        kinds.push(kind.unwrap_or(RowKind::Insert));
        assert_eq!(tokens.len(), values.len(), "{row}");
        for (column, token) in values.iter_mut().zip(tokens) {
            column.push((token != "null").then_some(token));
        }
    }
    let columns = schema.fields().iter().zip(values).map(|(field, values)| -> ArrayRef {
        let numbers =
            || values.iter().map(|value| value.map(|value| value.parse::<i64>().unwrap()));
        match field.data_type() {
            DataType::Utf8 => Arc::new(values.iter().copied().collect::<StringArray>()),
            DataType::Int64 => Arc::new(numbers().collect::<Int64Array>()),
            DataType::Boolean => Arc::new(
                values.iter().map(|value| value.map(|v| v == "true")).collect::<BooleanArray>(),
            ),
            _ => Arc::new(numbers().collect::<TimestampMillisecondArray>()),
        }
    });
    let columns = columns.collect();
    ChangelogBatch::new(RecordBatch::try_new(schema.clone(), columns).unwrap(), kinds)
}

/// Each row as text, with its kind.
pub fn lines(batch: &ChangelogBatch) -> Vec<String> {
    (0..batch.rows.num_rows())
        .map(|row| {
            let mut text = batch.kind(row).short().to_owned();
            for column in batch.rows.columns() {
                let value = match column.data_type() {
                    _ if column.is_null(row) => "null".to_owned(),
                    DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
                    DataType::Boolean => column.as_boolean().value(row).to_string(),
                    DataType::Binary => "..".to_owned(),
                    _ => column.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
                };
                write!(text, " {value}").unwrap();
            }
            text
        })
        .collect()
}

/// Writes down what is emitted.
#[derive(Default)]
pub struct Transcript {
    pub text: String,
    /// The rows alone.
    pub rows: Vec<String>,
    /// The batches.
    pub batches: Vec<ChangelogBatch>,
}

impl Output for Transcript {
    fn emit(&mut self, batch: BoxedPayload) -> FlowResult {
        let batch = ChangelogBatch::from_payload(batch)?;
        for line in lines(&batch) {
            writeln!(self.text, "  {line}").unwrap();
            self.rows.push(line);
        }
        self.batches.push(batch);
        Ok(())
    }

    fn emit_side(&mut self, _: &SideTag, _: BoxedPayload) -> FlowResult {
        Ok(())
    }

    fn emit_watermark(&mut self, watermark: Watermark) -> FlowResult {
        match watermark.0 {
            MAX_TIMESTAMP => writeln!(self.text, "  wm end").unwrap(),
            time => writeln!(self.text, "  wm {time}").unwrap(),
        }
        Ok(())
    }

    fn emit_status(&mut self, status: StreamStatus) -> FlowResult {
        writeln!(self.text, "  {status:?}").unwrap();
        Ok(())
    }

    fn emit_latency(&mut self, _: LatencyMarker) -> FlowResult {
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        false
    }
}

/// Key groups.
pub const MAX_PARALLELISM: u32 = 128;

/// What one subtask of so many is opened with.
pub fn context(
    runtime: &Runtime,
    clock: Clock,
    (subtask, parallelism): (u32, u32),
    restored: Option<OperatorRestore>,
) -> OperatorContext {
    let handle = runtime.handle().clone();
    OperatorContext {
        job: JobId(1),
        job_name: "test".into(),
        operator: OperatorId(2),
        operator_name: "operator".into(),
        subtask,
        parallelism,
        max_parallelism: MAX_PARALLELISM,
        attempt: 0,
        clock,
        signal: Signal::new(),
        events: Arc::new(NoCoordinator),
        runtimes: Runtimes { compute: handle.clone(), control: handle },
        metrics: MetricGroup::detached(),
        accumulators: SharedAccumulators::default(),
        auto_watermark_interval_ms: 200,
        checkpoints: false,
        cached_files: Arc::default(),
        restored: restored.map(Arc::new),
    }
}

/// One operator in surroundings of its own.
pub struct Harness {
    factory: Arc<dyn OperatorFactory>,
    inputs: Vec<SchemaRef>,
    operator: Box<dyn Operator>,
    pub out: Transcript,
    runtime: Runtime,
    clock: Clock,
}

impl Harness {
    /// The operator of a factory as the only subtask, at wall time 0.
    pub fn new(factory: impl OperatorFactory + 'static, inputs: &[&SchemaRef]) -> Self {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let clock = {
            let _entered = runtime.enter();
            Clock::starting_at(0)
        };
        let factory: Arc<dyn OperatorFactory> = Arc::new(factory);
        let operator = Self::open(&*factory, &runtime, clock, None);
        let inputs = inputs.iter().map(|schema| (*schema).clone()).collect();
        Self { factory, inputs, operator, out: Transcript::default(), runtime, clock }
    }

    fn open(
        factory: &dyn OperatorFactory,
        runtime: &Runtime,
        clock: Clock,
        restored: Option<OperatorRestore>,
    ) -> Box<dyn Operator> {
        let context = context(runtime, clock, (0, 1), restored);
        let _entered = runtime.enter();
        let mut operator = factory.create(&context).unwrap();
        operator.open(&context).unwrap();
        operator
    }

    /// Runs a script and returns it with what each line emitted.
    pub fn run(&mut self, script: &str) -> String {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            writeln!(self.out.text, "{line}").unwrap();
            if let Err(error) = self.step(line) {
                writeln!(self.out.text, "  error: {error}").unwrap();
            }
        }
        std::mem::take(&mut self.out.text)
    }

    fn step(&mut self, line: &str) -> FlowResult {
        if line == "end" {
            self.watermark(MAX_TIMESTAMP)?;
            let _entered = self.runtime.enter();
            let progress = self.operator.finish(&mut self.out)?;
            assert_eq!(progress, Progress::Done);
            Ok(())
        } else if line == "restore" {
            self.restore();
            Ok(())
        } else if let Some(time) = line.strip_prefix("wm ") {
            self.watermark(time.parse().unwrap())
        } else if let Some(time) = line.strip_prefix("pt ") {
            self.wall_clock(time.parse().unwrap())
        } else if let Some(line) = line.strip_prefix("second ") {
            let batch = rows(&self.inputs[1], line);
            self.process(1, batch)
        } else {
            let batch = rows(&self.inputs[0], line);
            self.process(0, batch)
        }
    }

    /// Processes a batch.
    pub fn process(&mut self, input: usize, batch: ChangelogBatch) -> FlowResult {
        let _entered = self.runtime.enter();
        self.operator.process(input, batch.boxed(), &mut self.out)
    }

    /// Replaces the operator by one that starts from its snapshot.
    pub fn restore(&mut self) {
        let captured = {
            let _entered = self.runtime.enter();
            self.operator.prepare_barrier(CheckpointId(1), &mut self.out).unwrap();
            self.operator.begin_capture(CheckpointId(1), None).unwrap()
        };
        let mut file = Vec::new();
        while self.operator.next_capture(64, &mut file).unwrap() {}
        let restored = OperatorRestore {
            checkpoint_id: CheckpointId(1),
            keyed: vec![KeyedFile { content: file.into(), is_latest: true }],
            operator_states: captured.operator_states,
            metas: captured.metas,
        };
        self.operator = Self::open(&*self.factory, &self.runtime, self.clock, Some(restored));
    }

    /// Sends a watermark.
    pub fn watermark(&mut self, time: i64) -> FlowResult {
        let _entered = self.runtime.enter();
        let mut progress = self.operator.on_watermark(Watermark(time), &mut self.out)?;
        while progress == Progress::More {
            progress = self.operator.resume(&mut self.out)?;
        }
        Ok(())
    }

    fn wall_clock(&mut self, time: i64) -> FlowResult {
        let ahead = time - self.runtime.block_on(async { self.clock.now_ms() });
        let step = Duration::from_millis(u64::try_from(ahead).unwrap());
        self.runtime.block_on(tokio::time::advance(step));
        let _entered = self.runtime.enter();
        while self.operator.next_processing_timer_ms().is_some_and(|due| due <= time) {
            let mut progress = self.operator.on_processing_time(time, &mut self.out)?;
            while progress == Progress::More {
                progress = self.operator.resume(&mut self.out)?;
            }
        }
        Ok(())
    }
}

/// COUNT of rows (without arguments), or SUM of a BIGINT.
#[derive(Debug)]
pub enum TestKernel {
    Count,
    Sum,
}

impl AggregateKernel for TestKernel {
    fn empty(&self) -> AggregateState {
        AggregateState::Integers { sum: 0, count: 0 }
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        for (row, group) in groups.iter().enumerate() {
            let AggregateState::Integers { sum, count } = &mut *states[*group as usize] else {
                return Err(EvalError::Internal("another state".to_owned()));
            };
            let sign = if retracts.is_some_and(|retracts| retracts[row]) { -1 } else { 1 };
            if counts.is_some_and(|counts| !counts.value(row)) {
                continue;
            }
            match arguments.first() {
                Some(values) if values.is_null(row) => continue,
                Some(values) => *sum += sign * values.as_primitive::<Int64Type>().value(row),
                None => {}
            }
            *count += sign;
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        match (into, other) {
            (
                AggregateState::Integers { sum, count },
                AggregateState::Integers { sum: more, count: times },
            ) => {
                *sum += more;
                *count += times;
                Ok(())
            }
            _ => Err(EvalError::Internal("another state".to_owned())),
        }
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let values = states.iter().map(|state| match (state, self) {
            (AggregateState::Integers { count, .. }, Self::Count) => Some(*count),
            (AggregateState::Integers { sum, count }, Self::Sum) => (*count != 0).then_some(*sum),
            _ => None,
        });
        Ok(Arc::new(values.collect::<Int64Array>()))
    }
}

/// COUNT(*).
pub fn count() -> AggregateCall {
    AggregateCall {
        kernel: Arc::new(TestKernel::Count),
        arguments: vec![],
        filter: None,
        distinct: false,
    }
}

/// SUM of a column.
pub fn sum(column: usize) -> AggregateCall {
    AggregateCall {
        kernel: Arc::new(TestKernel::Sum),
        arguments: vec![column],
        filter: None,
        distinct: false,
    }
}

/// SUM(DISTINCT column).
pub fn sum_distinct(column: usize) -> AggregateCall {
    AggregateCall { distinct: true, ..sum(column) }
}

/// A column.
#[derive(Debug)]
pub struct Column(pub usize);

impl Expression for Column {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, EvalError> {
        Ok(rows.column(self.0).clone())
    }
}

/// Whether a BIGINT column is less than another.
#[derive(Debug)]
pub struct Less(pub usize, pub usize);

impl Expression for Less {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, EvalError> {
        let (one, other) = (rows.column(self.0), rows.column(self.1));
        let (one, other) = (one.as_primitive::<Int64Type>(), other.as_primitive::<Int64Type>());
        Ok(Arc::new(
            one.iter().zip(other).map(|(one, other)| Some(one? < other?)).collect::<BooleanArray>(),
        ))
    }
}

/// The rows that a changelog leaves, sorted.
pub fn materialize(changes: &[String]) -> Vec<String> {
    let mut rows: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
    for change in changes {
        let (kind, row) = change.split_at(2);
        *rows.entry(row.trim_start()).or_default() += if kind.starts_with('+') { 1 } else { -1 };
    }
    rows.iter()
        .flat_map(|(row, times)| {
            assert!(*times >= 0, "{row} was taken {} times too often", -times);
            (0..*times).map(|_| (*row).to_owned())
        })
        .collect()
}
