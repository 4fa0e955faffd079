//! Sink operators of one job, driven by hand: barriers, completions, crashes, restores at other
//! parallelisms. State passes through the codec as between processes.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use hurtig_connector_api::Sink;
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_operator_api::{
    EventGateway, ListStateData, Operator, OperatorContext, OperatorRestore, Output, Progress,
};
use hurtig_operators::sink::SinkOperator;
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowResult, JobId, LatencyMarker, OperatorId, Record,
    RedistributionMode, SideTag, StreamStatus, Watermark,
};

struct NoEvents;

impl EventGateway for NoEvents {
    fn send_to_coordinator(&self, _: Vec<u8>) -> FlowResult {
        Ok(())
    }
}

struct NoOutput;

impl Output for NoOutput {
    fn emit(&mut self, _: BoxedPayload) -> FlowResult {
        Ok(())
    }
    fn emit_side(&mut self, _: &SideTag, _: BoxedPayload) -> FlowResult {
        Ok(())
    }
    fn emit_watermark(&mut self, _: Watermark) -> FlowResult {
        Ok(())
    }
    fn emit_status(&mut self, _: StreamStatus) -> FlowResult {
        Ok(())
    }
    fn emit_latency(&mut self, _: LatencyMarker) -> FlowResult {
        Ok(())
    }
    fn is_blocked(&self) -> bool {
        false
    }
}

/// The state of all subtasks at one checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub id: u64,
    by_subtask: Vec<Vec<ListStateData>>,
}

impl Snapshot {
    /// What each of `parallelism` new subtasks gets.
    fn spread(&self, parallelism: usize) -> Vec<OperatorRestore> {
        let mut lists: BTreeMap<(String, usize), ListStateData> = BTreeMap::new();
        let mut next = 0;
        for state in self.by_subtask.iter().flatten() {
            for element in &state.elements {
                let receivers = match state.mode {
                    RedistributionMode::SplitDistribute => {
                        next += 1;
                        next % parallelism..next % parallelism + 1
                    }
                    _ => 0..parallelism,
                };
                for subtask in receivers {
                    let empty = ListStateData { elements: Vec::new(), ..state.clone() };
                    let list = lists.entry((state.name.clone(), subtask)).or_insert(empty);
                    list.elements.push(element.clone());
                }
            }
        }
        let mut shares =
            vec![
                OperatorRestore { checkpoint_id: CheckpointId(self.id), ..Default::default() };
                parallelism
            ];
        for ((_, subtask), list) in lists {
            shares[subtask].operator_states.push(list);
        }
        shares
    }
}

/// The subtasks of one sink.
pub struct Cluster<S: Sink> {
    sink: Arc<S>,
    pub job: JobId,
    pub clock: Clock,
    pub checkpoints: bool,
    attempt: u32,
    subtasks: Vec<(SinkOperator<S>, Signal)>,
    next_checkpoint: u64,
}

impl<S: Sink> Cluster<S>
where
    S::Input: Record,
{
    /// A job that begins.
    pub fn start(sink: S, parallelism: usize) -> Self {
        let mut cluster = Self::idle(sink);
        cluster.open(parallelism, None).unwrap();
        cluster
    }

    pub fn idle(sink: S) -> Self {
        Self {
            sink: Arc::new(sink),
            job: JobId(1),
            clock: Clock::starting_at(1_000_000),
            checkpoints: true,
            attempt: 0,
            subtasks: Vec::new(),
            next_checkpoint: 1,
        }
    }

    fn context(&self, subtask: usize, parallelism: usize) -> OperatorContext {
        OperatorContext {
            job: self.job,
            job_name: "job".into(),
            operator: OperatorId(7),
            operator_name: "Sink".into(),
            subtask: subtask as u32,
            parallelism: parallelism as u32,
            max_parallelism: 128,
            attempt: self.attempt,
            clock: self.clock,
            signal: Signal::new(),
            events: Arc::new(NoEvents),
            runtimes: Runtimes::current(),
            metrics: MetricGroup::detached(),
            accumulators: SharedAccumulators::default(),
            auto_watermark_interval_ms: 200,
            checkpoints: self.checkpoints,
            cached_files: Arc::default(),
            restored: None,
        }
    }

    pub fn open(&mut self, parallelism: usize, from: Option<&Snapshot>) -> FlowResult {
        let shares = from.map(|snapshot| snapshot.spread(parallelism));
        for subtask in 0..parallelism {
            let mut context = self.context(subtask, parallelism);
            context.restored = shares.as_ref().map(|shares| Arc::new(shares[subtask].clone()));
            let mut operator = SinkOperator::new(self.sink.clone());
            operator.open(&context)?;
            self.subtasks.push((operator, context.signal));
        }
        Ok(())
    }

    pub fn write(&mut self, subtask: usize, values: Vec<S::Input>) -> FlowResult {
        let subtask = subtask % self.subtasks.len();
        let operator = &mut self.subtasks[subtask].0;
        operator.process(0, Box::new(Batch::new(values)), &mut NoOutput)
    }

    /// Lets the clock's time be seen.
    pub fn timers(&mut self) -> FlowResult {
        let now_ms = self.clock.now_ms();
        for (operator, _) in &mut self.subtasks {
            while operator.next_processing_timer_ms().is_some_and(|due| due <= now_ms) {
                let _ = operator.on_processing_time(now_ms, &mut NoOutput)?;
            }
        }
        Ok(())
    }

    pub async fn checkpoint(&mut self) -> FlowResult<Snapshot> {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let mut by_subtask = Vec::new();
        for (operator, signal) in &mut self.subtasks {
            operator.prepare_barrier(CheckpointId(id), &mut NoOutput)?;
            while !operator.is_prepared() {
                signal.wait().await;
            }
            by_subtask.push(operator.begin_capture(CheckpointId(id), None)?.operator_states);
        }
        Ok(Snapshot { id, by_subtask })
    }

    /// Tells the subtasks for which `hears` holds that a checkpoint is complete.
    pub fn complete(&mut self, id: u64, hears: impl Fn(usize) -> bool) -> FlowResult {
        for (subtask, (operator, _)) in self.subtasks.iter_mut().enumerate() {
            if hears(subtask) {
                operator.checkpoint_complete(CheckpointId(id))?;
            }
        }
        Ok(())
    }

    /// The end of input, without its checkpoint.
    pub async fn finish(&mut self) -> FlowResult {
        for (operator, signal) in &mut self.subtasks {
            let mut progress = operator.finish(&mut NoOutput)?;
            while progress == Progress::More {
                while !operator.is_available() {
                    signal.wait().await;
                }
                progress = operator.resume(&mut NoOutput)?;
            }
        }
        Ok(())
    }

    /// Waits until all is committed, as a task does before it ends.
    pub async fn settle(&mut self) -> FlowResult {
        for (operator, signal) in &mut self.subtasks {
            while operator.awaits_checkpoint() {
                if operator.next_processing_timer_ms() != Some(i64::MIN) {
                    signal.wait().await;
                }
                let _ = operator.on_processing_time(0, &mut NoOutput)?;
            }
        }
        Ok(())
    }

    /// The attempt ends; `orderly` if its tasks could close their operators.
    pub fn stop(&mut self, orderly: bool) -> FlowResult {
        for (mut operator, _) in self.subtasks.drain(..) {
            if orderly {
                operator.close()?;
            }
        }
        self.attempt += 1;
        Ok(())
    }

    /// From the end of input to the end of the job.
    pub async fn end(&mut self) -> FlowResult {
        self.finish().await?;
        if self.checkpoints {
            let last = self.checkpoint().await?;
            self.complete(last.id, |_| true)?;
        }
        self.settle().await?;
        self.stop(true)
    }
}

/// Files below a directory as (path, content); hidden ones if asked for.
pub fn files(directory: &Path, hidden: bool) -> Vec<(String, Vec<u8>)> {
    fn walk(directory: &Path, prefix: &str, hidden: bool, found: &mut Vec<(String, Vec<u8>)>) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.map(|entry| entry.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with('.') && !hidden {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{path}/"), hidden, found);
            } else if !hidden || name.starts_with('.') {
                found.push((path, std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, "", hidden, &mut found);
    found.sort();
    found
}

/// The lines of all visible files, sorted.
pub fn lines(directory: &Path) -> Vec<String> {
    let texts = files(directory, false).into_iter().map(|(_, text)| text);
    let mut lines: Vec<String> = texts
        .flat_map(|text| {
            let text = String::from_utf8(text).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "a record was cut: {text:?}");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
}

/// Runs a test where contexts can be made.
pub fn block_on<R>(test: impl Future<Output = R>) -> R {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}
