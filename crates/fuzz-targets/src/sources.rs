//! Snapshots of sources: of enumerators, and the splits of readers.

use hurtig_connector_api::{
    EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SplitEnumerator,
};
use hurtig_connectors::{
    CollectionSource, DataGeneratorSource, NexmarkSource, SequenceSource, lines::PendingLineFile,
};
use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_metrics::MetricGroup;
use hurtig_types::{BoxError, codec};

pub(crate) const PARALLELISM: u32 = 2;
/// Calls of a restored reader: it may go on as long as it likes, but not with more than asked for.
pub(crate) const READS: usize = 20;
pub(crate) const RECORDS_PER_READ: usize = 16;
/// What a reader may give at once, whatever it was asked for.
const MOST_RECORDS: usize = 10_000;

/// Runs `f` with every source.
fn each_source(mut f: impl FnMut(usize, &dyn Fuzzed)) -> Result<(), BoxError> {
    let values = (0..50).map(|number| format!("value {number}"));
    let sources: [&dyn Fuzzed; 4] = [
        &SequenceSource::new(-20, 100),
        &CollectionSource::new(values)?,
        &DataGeneratorSource::new(|number| number, Some(90), None),
        &NexmarkSource::new(Some(100)),
    ];
    sources.into_iter().enumerate().for_each(|(index, source)| f(index, source));
    Ok(())
}

/// A source whose types do not matter.
trait Fuzzed {
    fn snapshots(&self) -> Result<Vec<Vec<u8>>, BoxError>;
    fn restore_enumerator(&self, state: &[u8]) -> Result<(), BoxError>;
    fn restore_reader(&self, split: &[u8]) -> Result<(), BoxError>;
}

impl<S: Source> Fuzzed for S {
    fn snapshots(&self) -> Result<Vec<Vec<u8>>, BoxError> {
        let mut enumerator = self.create_enumerator(PARALLELISM)?;
        enumerator.start(&mut Vec::new())?;
        let mut snapshots = vec![enumerator.snapshot()?];
        for split in ask(&mut *enumerator)? {
            snapshots.push(codec::encode(&split)?);
        }
        snapshots.push(enumerator.snapshot()?);
        Ok(snapshots)
    }

    fn restore_enumerator(&self, state: &[u8]) -> Result<(), BoxError> {
        let mut restored = Source::restore_enumerator(self, PARALLELISM, state)?;
        ask(&mut *restored)?;
        restored.snapshot()?;
        Ok(())
    }

    fn restore_reader(&self, split: &[u8]) -> Result<(), BoxError> {
        let split = codec::decode::<S::Split>(split)?;
        let mut reader = self.create_reader(context())?;
        reader.add_splits(vec![split])?;
        for _ in 0..READS {
            let mut out = SourceOutput::default();
            match reader.read(RECORDS_PER_READ, &mut out)? {
                ReadStatus::More => assert!(out.values.len() <= MOST_RECORDS),
                _ => break,
            }
            codec::encode(&reader.snapshot())?;
        }
        reader.close()
    }
}

pub(crate) fn context() -> ReaderContext {
    ReaderContext {
        subtask: 0,
        parallelism: PARALLELISM,
        clock: Clock::starting_at(1_000_000),
        signal: Signal::new(),
        runtimes: Runtimes::current(),
        metrics: MetricGroup::detached(),
    }
}

/// All splits that an enumerator has to give.
pub(crate) fn ask<S>(enumerator: &mut dyn SplitEnumerator<S>) -> Result<Vec<S>, BoxError> {
    let mut actions = Vec::new();
    for subtask in [0, 1, 0, 1] {
        enumerator.on_split_request(subtask, &mut actions)?;
    }
    let splits = actions.into_iter().filter_map(|action| match action {
        EnumeratorAction::Assign { splits, .. } => Some(splits),
        _ => None,
    });
    Ok(splits.flatten().collect())
}

/// Runs `f` where contexts can be made.
pub(crate) fn in_runtime(f: impl FnOnce() -> Result<(), BoxError>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _guard = runtime.enter();
    f().expect("sources can be built");
}

/// Enumerators, readers and committables from any bytes. The first byte says of which source.
pub fn states(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    in_runtime(|| {
        each_source(|index, source| {
            if usize::from(*which) % 4 == index {
                // Whatever is refused is refused by an error.
                let _ = source.restore_enumerator(bytes);
                let _ = source.restore_reader(bytes);
            }
        })
    });
    if let Ok(committable) = codec::decode::<PendingLineFile>(bytes) {
        let again = codec::encode(&committable).expect("what was read can be written");
        assert!(again.len() <= bytes.len(), "numbers are written in the shortest way");
    }
}

/// Snapshots of all sources.
pub fn snapshots() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    in_runtime(|| {
        let mut problem = Ok(());
        each_source(|index, source| match source.snapshots() {
            Ok(snapshots) => {
                let named = |snapshot: Vec<u8>| [vec![index as u8], snapshot].concat();
                all.extend(snapshots.into_iter().map(named));
            }
            Err(error) => problem = Err(error),
        })?;
        problem
    });
    all
}
