//! State as a bounded source of a job.
//!
//! 1. The enumerator cuts the state into parts, at least one per reader as far as it can be cut,
//!    and gives them to whoever asks.
//! 2. A reader has a part loaded beside its task, and is woken when it is there.
//! 3. It gives the part out in batches. Its position is the number of records that it has given: a
//!    part is loaded in the same order each time.

use std::{collections::VecDeque, sync::Arc};

use hurtig_connector_api::{
    Boundedness, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit,
    SplitEnumerator,
};
use hurtig_connectors::splits::SplitQueue;
use hurtig_types::{BoxError, Record};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::records::{LoadedRecords, StateRecords};

/// A part of a state, and how much of it was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavepointSplit {
    first: u32,
    last: u32,
    position: u64,
}

impl SourceSplit for SavepointSplit {
    fn split_id(&self) -> String {
        format!("{}-{}", self.first, self.last)
    }
}

/// The records of a state of a snapshot.
pub struct SavepointSource<T> {
    records: Arc<dyn StateRecords<T>>,
}

impl<T> Clone for SavepointSource<T> {
    fn clone(&self) -> Self {
        Self { records: self.records.clone() }
    }
}

impl<T: Record> SavepointSource<T> {
    /// A source of these records.
    pub fn new(records: Arc<dyn StateRecords<T>>) -> Self {
        Self { records }
    }
}

impl<T: Record> Source for SavepointSource<T> {
    type Record = T;
    type Split = SavepointSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<SavepointSplit>>, BoxError> {
        let splits = self.records.parts(parallelism).into_iter().map(|part| SavepointSplit {
            first: *part.start(),
            last: *part.end(),
            position: 0,
        });
        Ok(Box::new(SplitQueue::of(splits)))
    }

    fn restore_enumerator(
        &self,
        _: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<SavepointSplit>>, BoxError> {
        Ok(Box::new(SplitQueue::<SavepointSplit>::restored(state)?))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, SavepointSplit>>, BoxError> {
        let records = self.records.clone();
        Ok(Box::new(SavepointSourceReader {
            records,
            context,
            splits: VecDeque::new(),
            current: Current::Nothing,
        }))
    }
}

/// The part at the front of the queue.
enum Current<T> {
    Nothing,
    Loading(oneshot::Receiver<LoadedRecords<T>>),
    Loaded(std::vec::IntoIter<T>),
}

struct SavepointSourceReader<T> {
    records: Arc<dyn StateRecords<T>>,
    context: ReaderContext,
    splits: VecDeque<SavepointSplit>,
    current: Current<T>,
}

impl<T: Record> SavepointSourceReader<T> {
    fn load(&self, split: &SavepointSplit) -> oneshot::Receiver<LoadedRecords<T>> {
        let (sender, loaded) = oneshot::channel();
        let loading = self.records.load(split.first..=split.last);
        let signal = self.context.signal.clone();
        self.context.runtimes.control.spawn(async move {
            // A reader that has gone needs nothing.
            let _ = sender.send(loading.await);
            signal.post();
        });
        loaded
    }
}

impl<T: Record> SourceReader<T, SavepointSplit> for SavepointSourceReader<T> {
    fn add_splits(&mut self, splits: Vec<SavepointSplit>) -> Result<(), BoxError> {
        self.splits.extend(splits);
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(split) = self.splits.front() else { return Ok(ReadStatus::NeedSplit) };
        match &mut self.current {
            Current::Nothing => {
                self.current = Current::Loading(self.load(split));
                Ok(ReadStatus::Wait { until_ms: None })
            }
            Current::Loading(loading) => match loading.try_recv() {
                Ok(loaded) => {
                    let mut records = loaded.map_err(|error| error.chain_text())?.into_iter();
                    // A position beyond the end is one at the end.
                    let position = usize::try_from(split.position).unwrap_or(usize::MAX);
                    if let Some(last) = position.checked_sub(1) {
                        records.nth(last);
                    }
                    self.current = Current::Loaded(records);
                    Ok(ReadStatus::More)
                }
                Err(oneshot::error::TryRecvError::Empty) => Ok(ReadStatus::Wait { until_ms: None }),
                Err(oneshot::error::TryRecvError::Closed) => {
                    Err("loading state of a snapshot was given up".into())
                }
            },
            Current::Loaded(records) => {
                out.split = split.first;
                out.values.extend(records.by_ref().take(max_records.max(1)));
                let given = out.values.len() as u64;
                if records.len() == 0 {
                    self.splits.pop_front();
                    self.current = Current::Nothing;
                    out.split_finished = true;
                } else if let Some(split) = self.splits.front_mut() {
                    split.position += given;
                }
                Ok(ReadStatus::More)
            }
        }
    }

    fn snapshot(&self) -> Vec<SavepointSplit> {
        self.splits.iter().cloned().collect()
    }
}
