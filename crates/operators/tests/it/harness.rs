//! Drives one operator by a script and writes down what it emits.
//!
//! Each line of a script is one call:
//!
//! ```text
//! @10 a:1 b:2 @12 a:3    one batch of records key:value, each at the last time given
//! a:1                    a batch without timestamps
//! second a:1             a batch of the second input
//! wm 15                  a watermark
//! pt 100                 the wall clock moves to 100 and due timers fire
//! end                    the end of the input
//! ```

use std::{fmt::Write, sync::Arc, time::Duration};

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_operator_api::{
    Captured, EventGateway, KeyedFile, Operator, OperatorContext, OperatorRestore, Output, Progress,
};
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowResult, JobId, LatencyMarker, MAX_TIMESTAMP, OperatorId,
    SideTag, StreamStatus, Watermark,
};
use tokio::runtime::{Builder, Runtime};

/// The records of scripts: key and value.
pub type Event = (String, i64);

/// Emits nothing to coordinators.
struct NoCoordinator;

impl EventGateway for NoCoordinator {
    fn send_to_coordinator(&self, _: Vec<u8>) -> FlowResult {
        Ok(())
    }
}

/// Writes down what is emitted.
#[derive(Default)]
pub struct Transcript {
    pub text: String,
    /// The output is full, until `resume` is called.
    pub blocked: bool,
}

impl Transcript {
    fn batch(&mut self, prefix: &str, values: &[String], timestamps: Option<&[i64]>) {
        for (index, value) in values.iter().enumerate() {
            let time = timestamps.map(|timestamps| timestamps[index]);
            match time {
                Some(time) => writeln!(self.text, "  {prefix}@{time} {value}").unwrap(),
                None => writeln!(self.text, "  {prefix}{value}").unwrap(),
            }
        }
    }
}

impl Output for Transcript {
    fn emit(&mut self, batch: BoxedPayload) -> FlowResult {
        let batch = Batch::<String>::from_payload(batch)?;
        self.batch("", &batch.values, batch.timestamps.as_deref());
        Ok(())
    }

    fn emit_side(&mut self, tag: &SideTag, batch: BoxedPayload) -> FlowResult {
        let batch = Batch::<Event>::from_payload(batch)?;
        let values: Vec<_> = batch.values.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        self.batch(&format!("{tag} "), &values, batch.timestamps.as_deref());
        Ok(())
    }

    fn emit_watermark(&mut self, watermark: Watermark) -> FlowResult {
        if watermark.0 == MAX_TIMESTAMP {
            writeln!(self.text, "  wm end").unwrap();
        } else {
            writeln!(self.text, "  wm {}", watermark.0).unwrap();
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
        self.blocked
    }
}

/// One operator in surroundings of its own.
pub struct Harness<Op> {
    pub operator: Op,
    pub out: Transcript,
    runtime: Runtime,
    clock: Clock,
}

impl<Op: Operator> Harness<Op> {
    /// Opens the operator as the only subtask, at wall time 0.
    pub fn open(operator: Op) -> Self {
        Self::open_restored(operator, None)
    }

    /// Opens the operator with the state of another, at wall time 0.
    pub fn open_restored(operator: Op, restored: Option<OperatorRestore>) -> Self {
        match Self::try_open(operator, restored, 0) {
            Ok(harness) => harness,
            Err(error) => panic!("cannot open: {error}"),
        }
    }

    /// Opens the operator with the state of another, at a wall time.
    pub fn try_open(
        mut operator: Op,
        restored: Option<OperatorRestore>,
        now_ms: i64,
    ) -> FlowResult<Self> {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let clock = {
            let _entered = runtime.enter();
            Clock::starting_at(now_ms)
        };
        let handle = runtime.handle().clone();
        let context = OperatorContext {
            job: JobId(1),
            job_name: "test".into(),
            operator: OperatorId(2),
            operator_name: "operator".into(),
            subtask: 0,
            parallelism: 1,
            max_parallelism: 128,
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
        };
        operator.open(&context)?;
        Ok(Self { operator, out: Transcript::default(), runtime, clock })
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
            let progress = self.operator.end_input(0, &mut self.out)?;
            self.drive(progress)?;
            let progress = self.operator.finish(&mut self.out)?;
            self.drive(progress)
        } else if let Some(time) = line.strip_prefix("wm ") {
            self.watermark(time.parse().unwrap())
        } else if let Some(time) = line.strip_prefix("pt ") {
            self.wall_clock(time.parse().unwrap())
        } else if let Some(line) = line.strip_prefix("second ") {
            self.process_input(1, parse_batch(line))
        } else {
            self.process(parse_batch(line))
        }
    }

    /// Processes a batch.
    pub fn process(&mut self, batch: Batch<Event>) -> FlowResult {
        self.process_input(0, batch)
    }

    fn process_input(&mut self, input: usize, batch: Batch<Event>) -> FlowResult {
        let _entered = self.runtime.enter();
        self.operator.process(input, batch.boxed(), &mut self.out)
    }

    /// Sends a watermark.
    pub fn watermark(&mut self, time: i64) -> FlowResult {
        let progress = {
            let _entered = self.runtime.enter();
            self.operator.on_watermark(Watermark(time), &mut self.out)?
        };
        self.drive(progress)
    }

    /// Begins a capture.
    pub fn begin_snapshot(&mut self, since: Option<u32>) -> Captured {
        self.operator.begin_capture(CheckpointId(1), since).unwrap()
    }

    /// The rest of the capture, in pieces of that size.
    pub fn finish_snapshot(&mut self, max_bytes: usize) -> Vec<u8> {
        let mut file = Vec::new();
        while self.operator.next_capture(max_bytes, &mut file).unwrap() {}
        file
    }

    /// All state, as another operator would be restored from it.
    pub fn snapshot(&mut self) -> OperatorRestore {
        let _entered = self.runtime.enter();
        let captured = self.operator.begin_capture(CheckpointId(1), None).unwrap();
        let mut file = Vec::new();
        while self.operator.next_capture(64, &mut file).unwrap() {}
        OperatorRestore {
            checkpoint_id: CheckpointId(1),
            keyed: vec![KeyedFile { content: file.into(), is_latest: true }],
            operator_states: captured.operator_states,
            metas: captured.metas,
        }
    }

    /// Moves the wall clock.
    pub fn wall_clock(&mut self, time: i64) -> FlowResult {
        let ahead = time - self.runtime.block_on(async { self.clock.now_ms() });
        let step = Duration::from_millis(u64::try_from(ahead).unwrap());
        self.runtime.block_on(tokio::time::advance(step));
        while self.operator.next_processing_timer_ms().is_some_and(|due| due <= time) {
            let _entered = self.runtime.enter();
            let progress = self.operator.on_processing_time(time, &mut self.out)?;
            drop(_entered);
            self.drive(progress)?;
        }
        Ok(())
    }

    fn drive(&mut self, mut progress: Progress) -> FlowResult {
        let _entered = self.runtime.enter();
        while progress == Progress::More {
            writeln!(self.out.text, "  ...").unwrap();
            self.out.blocked = false;
            progress = self.operator.resume(&mut self.out)?;
        }
        Ok(())
    }
}

/// A line of records.
fn parse_batch(line: &str) -> Batch<Event> {
    let (mut values, mut timestamps, mut time) = (Vec::new(), Vec::new(), None::<i64>);
    for token in line.split_whitespace() {
        if let Some(at) = token.strip_prefix('@') {
            time = Some(at.parse().unwrap());
            continue;
        }
        let (key, value) = token.split_once(':').unwrap();
        values.push((key.to_owned(), value.parse().unwrap()));
        timestamps.extend(time);
    }
    Batch::from_parts(values, time.map(|_| timestamps))
}
