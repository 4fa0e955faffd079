//! What a read gives: records, split by split.
//!
//! A [`StateRecords`] knows how to read the parts of one thing: ranges of key groups for keyed
//! state, ranges of subtasks for operator state. [`SavepointRecords`] is it as an iterator,
//! [`crate::SavepointSource`] as a source of a job.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use futures::future::BoxFuture;
use hurtig_types::Record;
use tokio::runtime::Runtime;

use crate::error::StateProcessorError;

/// The records of one part.
pub type LoadedRecords<T> = Result<Vec<T>, StateProcessorError>;

/// Reads the parts of one state.
pub trait StateRecords<T>: Send + Sync + 'static {
    /// The parts, at least about so many if that is possible; together they are the whole, once.
    fn parts(&self, at_least: u32) -> Vec<RangeInclusive<u32>>;
    /// The records of one part, in the same order each time.
    fn load(&self, part: RangeInclusive<u32>) -> BoxFuture<'static, LoadedRecords<T>>;
}

/// The records of a state, in no order that means anything. One part of them is in memory at a
/// time.
///
/// Must not be used on a thread of an asynchronous executor.
pub struct SavepointRecords<T> {
    records: Arc<dyn StateRecords<T>>,
    parts: VecDeque<RangeInclusive<u32>>,
    current: std::vec::IntoIter<T>,
    runtime: Arc<Runtime>,
}

impl<T: Record> SavepointRecords<T> {
    pub(crate) fn new(records: Arc<dyn StateRecords<T>>, runtime: Arc<Runtime>) -> Self {
        let parts = records.parts(1).into();
        Self { records, parts, current: Vec::new().into_iter(), runtime }
    }

    /// The same as a source, for a job that works on them in parallel.
    pub fn into_source(self) -> crate::SavepointSource<T> {
        crate::SavepointSource::new(self.records)
    }
}

impl<T: Record> Iterator for SavepointRecords<T> {
    type Item = Result<T, StateProcessorError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.current.next() {
                return Some(Ok(record));
            }
            let part = self.parts.pop_front()?;
            match self.runtime.block_on(self.records.load(part)) {
                Ok(records) => self.current = records.into_iter(),
                Err(error) => {
                    // What follows could not be told from what is missing.
                    self.parts.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Cuts a range into about `pieces`.
pub(crate) fn cut(range: RangeInclusive<u32>, pieces: u32) -> Vec<RangeInclusive<u32>> {
    let (start, end) = (u64::from(*range.start()), u64::from(*range.end()));
    if start > end {
        return Vec::new();
    }
    let length = end - start + 1;
    let pieces = u64::from(pieces.max(1)).min(length);
    // All bounds lie within the range, so they are u32 again.
    let bound = |piece: u64| (start + length * piece / pieces) as u32;
    (0..pieces).map(|piece| bound(piece)..=bound(piece + 1).saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_cover_a_range_once(start in 0u32..40, length in 0u32..40, pieces in 0u32..50) {
            let range = start..=(start + length);
            let all: Vec<u32> = cut(range.clone(), pieces).into_iter().flatten().collect();
            prop_assert_eq!(all, range.collect::<Vec<u32>>());
        }
    }
}
