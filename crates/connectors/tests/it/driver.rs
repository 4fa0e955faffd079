//! Drives enumerators, readers and writers by hand.
//!
//! Splits pass through the codec wherever they would between processes, and readers are replaced
//! by new ones that resume from their snapshot as often as a test wants.

use hurtig_connector_api::{
    EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SplitEnumerator, WriterContext,
};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_types::{BoxError, JobId, OperatorId, Record, codec};

pub fn reader_context(subtask: u32, parallelism: u32) -> ReaderContext {
    ReaderContext {
        subtask,
        parallelism,
        clock: Clock::starting_at(1_000_000),
        signal: Signal::new(),
        runtimes: Runtimes::current(),
        metrics: MetricGroup::detached(),
    }
}

pub fn writer_context(job: JobId, subtask: u32, parallelism: u32, attempt: u32) -> WriterContext {
    let reader = reader_context(subtask, parallelism);
    WriterContext {
        job,
        operator: OperatorId(7),
        subtask,
        parallelism,
        attempt,
        clock: reader.clock,
        signal: reader.signal,
        runtimes: reader.runtimes,
        metrics: reader.metrics,
        accumulators: SharedAccumulators::default(),
        checkpoints: true,
        restored_checkpoint: None,
        restored: None,
    }
}

/// Runs `f` where contexts can be made.
pub fn in_runtime<R>(f: impl FnOnce() -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    f()
}

/// How a source is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub parallelism: u32,
    pub max_records: usize,
    /// Replaces a reader after so many of its reads.
    pub resume_after: usize,
}

impl Plan {
    pub fn plain(parallelism: u32) -> Self {
        Self { parallelism, max_records: 1024, resume_after: usize::MAX }
    }
}

struct Subtask<S: Source> {
    reader: Box<dyn SourceReader<S::Record, S::Split>>,
    no_more_splits: bool,
    reads: usize,
    /// What it has read, and when that happened.
    values: Vec<S::Record>,
    timestamps: Vec<i64>,
}

/// What one reader has read.
#[derive(Debug, PartialEq)]
pub struct ReadBy<T> {
    pub values: Vec<T>,
    pub timestamps: Vec<i64>,
}

fn through_the_wire<S: Record>(splits: Vec<S>) -> Vec<S> {
    codec::decode(&codec::encode(&splits).unwrap()).unwrap()
}

/// Reads a source that never waits, to its end; the result is by reader.
pub fn read_by_reader<S: Source>(
    source: &S,
    plan: Plan,
) -> Result<Vec<ReadBy<S::Record>>, BoxError> {
    in_runtime(|| drive(source, plan))
}

/// All that a source has, in no particular order over readers.
pub fn read_all<S: Source>(source: &S, plan: Plan) -> Result<Vec<S::Record>, BoxError> {
    let by_reader = read_by_reader(source, plan)?;
    Ok(by_reader.into_iter().flat_map(|r| r.values).collect())
}

fn drive<S: Source>(source: &S, plan: Plan) -> Result<Vec<ReadBy<S::Record>>, BoxError> {
    let new_reader = |subtask| source.create_reader(reader_context(subtask, plan.parallelism));
    let mut enumerator = source.create_enumerator(plan.parallelism)?;
    let mut actions = Vec::new();
    enumerator.start(&mut actions)?;
    let mut subtasks = Vec::new();
    for subtask in 0..plan.parallelism {
        subtasks.push(Subtask::<S> {
            reader: new_reader(subtask)?,
            no_more_splits: false,
            reads: 0,
            values: Vec::new(),
            timestamps: Vec::new(),
        });
    }
    let mut running = true;
    while running {
        running = false;
        for index in 0..plan.parallelism {
            let subtask = &mut subtasks[index as usize];
            let mut out = SourceOutput::default();
            let status = subtask.reader.read(plan.max_records, &mut out)?;
            assert!(out.timestamps.is_empty() || out.timestamps.len() == out.values.len());
            subtask.values.append(&mut out.values);
            subtask.timestamps.append(&mut out.timestamps);
            subtask.reads += 1;
            if subtask.reads.is_multiple_of(plan.resume_after) {
                let splits = subtask.reader.snapshot();
                subtask.reader.close()?;
                subtask.reader = new_reader(index)?;
                subtask.reader.add_splits(through_the_wire(splits))?;
            }
            match status {
                ReadStatus::More => running = true,
                ReadStatus::Wait { .. } => panic!("a bounded source without a rate waits"),
                ReadStatus::NeedSplit if subtask.no_more_splits => {
                    assert!(subtask.reader.snapshot().is_empty());
                }
                ReadStatus::NeedSplit => {
                    running = true;
                    enumerator.on_split_request(index, &mut actions)?;
                    deliver(&mut subtasks, &mut actions)?;
                }
            }
        }
    }
    let results = subtasks
        .into_iter()
        .map(|subtask| ReadBy { values: subtask.values, timestamps: subtask.timestamps });
    Ok(results.collect())
}

fn deliver<S: Source>(
    subtasks: &mut [Subtask<S>],
    actions: &mut Vec<EnumeratorAction<S::Split>>,
) -> Result<(), BoxError> {
    assert!(!actions.is_empty(), "a request of a bounded source waits");
    for action in actions.drain(..) {
        match action {
            EnumeratorAction::Assign { subtask, splits } => {
                let splits = through_the_wire(splits);
                subtasks[subtask as usize].reader.add_splits(splits)?;
            }
            EnumeratorAction::NoMoreSplits { subtask } => {
                subtasks[subtask as usize].no_more_splits = true;
            }
            EnumeratorAction::CallAfterMs(_) => panic!("a bounded source looks only once"),
        }
    }
    Ok(())
}

/// The splits that one reader gets if it asks as long as there are any.
pub fn all_splits<S>(enumerator: &mut dyn SplitEnumerator<S>) -> Vec<S> {
    let mut all = Vec::new();
    let mut actions = Vec::new();
    loop {
        enumerator.on_split_request(0, &mut actions).unwrap();
        let before = all.len();
        for action in actions.drain(..) {
            if let EnumeratorAction::Assign { mut splits, .. } = action {
                all.append(&mut splits);
            }
        }
        if all.len() == before {
            return all;
        }
    }
}

/// The whole chain of an error's texts.
pub fn chain_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
