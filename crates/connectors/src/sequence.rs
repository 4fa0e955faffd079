//! A sequence of numbers, cut into one range per reader.

use std::collections::VecDeque;

use hurtig_connector_api::{
    Boundedness, EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

/// The numbers from one to another, both inclusive.
#[derive(Clone, Debug)]
pub struct SequenceSource {
    from: i64,
    to: i64,
}

impl SequenceSource {
    /// From `from` to `to`; empty if `from > to`.
    pub fn new(from: i64, to: i64) -> Self {
        Self { from, to }
    }
}

/// A range of numbers, with the next one to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RangeSplit {
    next: i64,
    to: i64,
}

impl SourceSplit for RangeSplit {
    fn split_id(&self) -> String {
        format!("..={}", self.to)
    }
}

struct Ranges(VecDeque<RangeSplit>);

impl SplitEnumerator<RangeSplit> for Ranges {
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<RangeSplit>>,
    ) -> Result<(), BoxError> {
        match self.0.pop_front() {
            Some(split) => actions.push(EnumeratorAction::Assign { subtask, splits: vec![split] }),
            None => actions.push(EnumeratorAction::NoMoreSplits { subtask }),
        }
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        _: u32,
        splits: Vec<RangeSplit>,
        _: &mut Vec<EnumeratorAction<RangeSplit>>,
    ) -> Result<(), BoxError> {
        self.0.extend(splits);
        Ok(())
    }
}

impl Source for SequenceSource {
    type Record = i64;
    type Split = RangeSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<RangeSplit>>, BoxError> {
        let count = i128::from(self.to) - i128::from(self.from) + 1;
        let p = i128::from(parallelism);
        let at = |i: i128| (i128::from(self.from) + count * i / p) as i64;
        let ranges = (0..p)
            .filter(|i| count * (i + 1) / p > count * i / p)
            .map(|i| RangeSplit {
                next: at(i),
                to: (i128::from(self.from) + count * (i + 1) / p - 1) as i64,
            })
            .collect();
        Ok(Box::new(Ranges(ranges)))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<i64, RangeSplit>>, BoxError> {
        Ok(Box::new(Reader(VecDeque::new())))
    }
}

struct Reader(VecDeque<RangeSplit>);

impl SourceReader<i64, RangeSplit> for Reader {
    fn add_splits(&mut self, splits: Vec<RangeSplit>) -> Result<(), BoxError> {
        self.0.extend(splits);
        Ok(())
    }

    fn read(&mut self, max: usize, out: &mut SourceOutput<i64>) -> Result<ReadStatus, BoxError> {
        let Some(split) = self.0.front_mut() else {
            return Ok(ReadStatus::NeedSplit);
        };
        let last = split.to.min(split.next.saturating_add(max as i64 - 1));
        out.values.extend(split.next..=last);
        if last == split.to {
            self.0.pop_front();
            out.split_finished = true;
        } else {
            split.next = last + 1;
        }
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<RangeSplit> {
        self.0.iter().cloned().collect()
    }
}
