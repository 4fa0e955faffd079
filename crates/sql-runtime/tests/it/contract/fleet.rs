//! All subtasks of an operator, fed as the runtime feeds them: rows by the key group of their keys.

use std::{sync::Arc, time::Duration};

use hurtig_env::Clock;
use hurtig_operator_api::{
    ChannelSink, EdgeFactory, KeyedFile, ListStateData, Operator, OperatorRestore,
    PartitionContext, Partitioner, Progress,
};
use hurtig_sql_common::ChangelogBatch;
use hurtig_sql_runtime::config::{Exchange, TableEdge};
use hurtig_types::{BoxedPayload, CheckpointId, FlowResult, StateMeta, Watermark};
use tokio::runtime::{Builder, Runtime};

use super::{Event, subjects::Subject};
use crate::harness::{MAX_PARALLELISM, Transcript, context, rows};

/// A chain of files of one subtask: a whole capture and changes to it.
type Chain = Vec<Arc<[u8]>>;

/// A snapshot: the chains of all subtasks, and their operator state.
#[derive(Clone, Default)]
pub struct Snapshot {
    chains: Vec<Chain>,
    operator_states: Vec<ListStateData>,
    metas: Vec<StateMeta>,
}

/// A capture that is being written.
struct Capture {
    /// Per subtask: what it adds to, what was written, whether it is whole.
    files: Vec<(Chain, Vec<u8>, bool)>,
    snapshot: Snapshot,
    numbers: Vec<Option<u32>>,
}

/// The subtasks.
pub struct Fleet<'a> {
    subject: &'a Subject,
    operators: Vec<Box<dyn Operator>>,
    partitioners: Vec<Box<dyn Partitioner>>,
    runtime: Runtime,
    clock: Clock,
    /// The latest finished capture of these operators, for the next to build upon.
    latest: Option<(Snapshot, Vec<Option<u32>>)>,
    under_way: Option<Capture>,
    captures: u64,
}

#[derive(Default)]
struct Channels(Vec<(usize, ChangelogBatch)>);

impl ChannelSink for Channels {
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
        self.0.push((channel, ChangelogBatch::from_payload(batch)?));
        Ok(())
    }
}

impl<'a> Fleet<'a> {
    /// As many subtasks, at wall time 0, from nothing.
    pub fn new(subject: &'a Subject, parallelism: u32) -> Self {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let clock = {
            let _entered = runtime.enter();
            Clock::starting_at(0)
        };
        let mut fleet = Self {
            subject,
            operators: Vec::new(),
            partitioners: Vec::new(),
            runtime,
            clock,
            latest: None,
            under_way: None,
            captures: 0,
        };
        fleet.start(parallelism, None);
        fleet
    }

    fn start(&mut self, parallelism: u32, from: Option<&Snapshot>) {
        let parallelism = if self.subject.is_global() { 1 } else { parallelism };
        let start = |subtask| {
            let restored = from.map(|snapshot| {
                let files = snapshot.chains.iter().flat_map(|chain| {
                    chain.iter().enumerate().map(|(index, content)| KeyedFile {
                        content: content.clone(),
                        is_latest: index + 1 == chain.len(),
                    })
                });
                OperatorRestore {
                    checkpoint_id: CheckpointId(self.captures),
                    keyed: files.collect(),
                    operator_states: snapshot.operator_states.clone(),
                    metas: snapshot.metas.clone(),
                }
            });
            let context = context(&self.runtime, self.clock, (subtask, parallelism), restored);
            let _entered = self.runtime.enter();
            let mut operator = self.subject.factory.create(&context).unwrap();
            operator.open(&context).unwrap();
            operator
        };
        let operators = (0..parallelism).map(start).collect();
        self.operators = operators;
        let partitioners = self.subject.inputs.iter().map(|(schema, keys)| {
            let distribution = Exchange::Hash(keys.clone());
            let edge = TableEdge { schema: schema.clone(), distribution };
            let context = PartitionContext {
                channels: parallelism as usize,
                subtask: 0,
                parallelism: 1,
                target_parallelism: parallelism,
                target_max_parallelism: MAX_PARALLELISM,
                buffer_bytes: 1 << 16,
            };
            edge.create_partitioner(&context).unwrap()
        });
        self.partitioners = partitioners.collect();
        (self.latest, self.under_way) = (None, None);
    }

    /// What an event makes the subtasks emit: the rows, in the order of the subtasks.
    pub fn give(&mut self, event: &Event) -> Vec<String> {
        let mut out = Transcript::default();
        match event {
            Event::Rows(input, line) => {
                let mut channels = Channels::default();
                let batch = rows(self.subject.generated(*input), line);
                let batch = self.subject.prepared(batch);
                let partitioner = &mut self.partitioners[*input];
                partitioner.partition(batch.boxed(), &mut channels).unwrap();
                partitioner.flush(&mut channels).unwrap();
                let _entered = self.runtime.enter();
                for (channel, batch) in channels.0 {
                    self.operators[channel].process(*input, batch.boxed(), &mut out).unwrap();
                }
            }
            Event::Watermark(time) => {
                let _entered = self.runtime.enter();
                for operator in &mut self.operators {
                    let mut progress = operator.on_watermark(Watermark(*time), &mut out).unwrap();
                    while progress == Progress::More {
                        progress = operator.resume(&mut out).unwrap();
                    }
                }
            }
        }
        out.rows
    }

    /// The wall clock moves on.
    pub fn advance(&self, by: Duration) {
        self.runtime.block_on(tokio::time::advance(by));
    }

    /// Begins a capture: of everything, or of what has changed since the last one that was finished.
    pub fn begin_capture(&mut self, of_changes: bool) {
        self.captures += 1;
        let latest = self.latest.as_ref().filter(|_| of_changes);
        let (mut files, mut numbers) = (Vec::new(), Vec::new());
        let mut snapshot = Snapshot::default();
        let _entered = self.runtime.enter();
        for (subtask, operator) in self.operators.iter_mut().enumerate() {
            let since = latest.and_then(|(_, numbers)| numbers[subtask]);
            let captured = operator.begin_capture(CheckpointId(self.captures), since).unwrap();
            let before = latest.map(|(snapshot, _)| snapshot.chains[subtask].clone());
            files.push((before.unwrap_or_default(), Vec::new(), since.is_none()));
            numbers.push(captured.number);
            snapshot.metas = captured.metas;
            for state in captured.operator_states {
                let known = &mut snapshot.operator_states;
                match known.iter_mut().find(|one| one.name == state.name) {
                    Some(one) => one.elements.extend(state.elements),
                    None => known.push(state),
                }
            }
        }
        self.under_way = Some(Capture { files, snapshot, numbers });
    }

    /// Writes some more of the capture under way, as a task does between batches.
    pub fn write_some(&mut self) {
        let Some(capture) = &mut self.under_way else { return };
        let _entered = self.runtime.enter();
        for (operator, (_, file, _)) in self.operators.iter_mut().zip(&mut capture.files) {
            operator.next_capture(64, file).unwrap();
        }
    }

    /// Writes the rest of the capture under way.
    pub fn end_capture(&mut self) -> Snapshot {
        let capture = self.under_way.take().expect("a capture is under way");
        let Capture { files, mut snapshot, numbers } = capture;
        let _entered = self.runtime.enter();
        for (operator, (mut chain, mut file, is_whole)) in self.operators.iter_mut().zip(files) {
            while operator.next_capture(64, &mut file).unwrap() {}
            if is_whole {
                chain.clear();
            }
            // Changes that are none make no file.
            if is_whole || !file.is_empty() {
                chain.push(file.into());
            }
            snapshot.chains.push(chain);
        }
        self.latest = Some((snapshot.clone(), numbers));
        snapshot
    }

    /// Gives up the capture under way.
    pub fn cancel_capture(&mut self) {
        self.under_way = None;
        self.operators.iter_mut().for_each(|operator| operator.cancel_capture());
    }

    /// All subtasks are lost; others start from a snapshot.
    pub fn restore(&mut self, snapshot: &Snapshot, parallelism: u32) {
        self.start(parallelism, Some(snapshot));
    }
}
