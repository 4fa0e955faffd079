//! The integers of a range, as Flink's `fromSequence`.
//!
//! Each reader gets one contiguous part of the range and emits it in ascending order, so with one
//! reader the whole stream is ascending. The position is the next number.

use std::collections::VecDeque;

use hurtig_connector_api::{
    Boundedness, PendingInput, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

use crate::splits::{StaticEnumerator, part_of};

/// All integers from one to another, both included.
#[derive(Clone, Copy, Debug)]
pub struct SequenceSource {
    from: i64,
    to: i64,
}

impl SequenceSource {
    /// The integers `from..=to`; none if `from > to`, where Flink's would refuse.
    pub fn new(from: i64, to: i64) -> Self {
        Self { from, to }
    }
}

/// A part of the range that has numbers left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceSplit {
    part: u32,
    next: i64,
    last: i64,
}

impl SourceSplit for SequenceSplit {
    fn split_id(&self) -> String {
        self.part.to_string()
    }
}

impl Source for SequenceSource {
    type Record = i64;
    type Split = SequenceSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<SequenceSplit>>, BoxError> {
        let Self { from, to } = *self;
        let count = if from > to { 0 } else { u128::from(to.abs_diff(from)) + 1 };
        let splits = (0..parallelism).filter_map(|part| {
            let (start, end) = part_of(count, part, parallelism);
            // Both bounds lie between `from` and `to`, so the casts back are exact.
            let at = |index: u128| (i128::from(from) + index as i128) as i64;
            (start < end).then(|| SequenceSplit { part, next: at(start), last: at(end - 1) })
        });
        Ok(Box::new(StaticEnumerator::new(splits, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<SequenceSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<SequenceSplit>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<i64, SequenceSplit>>, BoxError> {
        Ok(Box::new(SequenceReader { splits: VecDeque::new() }))
    }
}

struct SequenceReader {
    splits: VecDeque<SequenceSplit>,
}

impl SourceReader<i64, SequenceSplit> for SequenceReader {
    fn add_splits(&mut self, splits: Vec<SequenceSplit>) -> Result<(), BoxError> {
        self.splits.extend(splits);
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<i64>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(split) = self.splits.front_mut() else {
            return Ok(ReadStatus::NeedSplit);
        };
        out.split = split.part;
        let ahead = max_records.max(1) as i64 - 1;
        let until = split.next.saturating_add(ahead).min(split.last);
        out.values.extend(split.next..=until);
        if until < split.last {
            split.next = until + 1;
            return Ok(ReadStatus::More);
        }
        self.splits.pop_front();
        out.split_finished = true;
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<SequenceSplit> {
        self.splits.iter().cloned().collect()
    }

    fn pending(&self) -> PendingInput {
        let left = |split: &SequenceSplit| split.last.abs_diff(split.next).saturating_add(1);
        let records = self.splits.iter().map(left).fold(0, u64::saturating_add);
        PendingInput { records: Some(records), bytes: None }
    }
}
