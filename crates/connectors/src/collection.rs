//! The values of a collection, as Flink's `fromData`.
//!
//! The values are kept encoded, which is how they travel with the job, so their type need not be
//! shareable between threads. There is one split, so one reader emits them all, in order; the
//! position is the index of the next.

use std::{marker::PhantomData, sync::Arc};

use hurtig_connector_api::{
    Boundedness, PendingInput, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_types::{BoxError, CodecError, Record, codec};
use serde::{Deserialize, Serialize};

use crate::splits::SplitQueue;

#[derive(Debug, Default)]
struct Encoded {
    bytes: Vec<u8>,
    /// Where in `bytes` each value ends.
    ends: Vec<usize>,
    /// One per value, or none at all.
    timestamps: Vec<i64>,
}

impl Encoded {
    fn push<T: Record>(&mut self, value: &T) -> Result<(), CodecError> {
        codec::encode_into(value, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn decode<T: Record>(&self, index: usize) -> Result<T, CodecError> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        codec::decode(&self.bytes[start..self.ends[index]])
    }
}

/// The values of a collection.
pub struct CollectionSource<T> {
    encoded: Arc<Encoded>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record> CollectionSource<T> {
    /// A source of `values`.
    ///
    /// # Errors
    ///
    /// If a value cannot be encoded.
    pub fn new(values: impl IntoIterator<Item = T>) -> Result<Self, CodecError> {
        let mut encoded = Encoded::default();
        for value in values {
            encoded.push(&value)?;
        }
        Ok(Self::from_encoded(encoded))
    }

    /// A source of values with their event times in milliseconds.
    ///
    /// # Errors
    ///
    /// If a value cannot be encoded.
    pub fn with_timestamps(values: impl IntoIterator<Item = (T, i64)>) -> Result<Self, CodecError> {
        let mut encoded = Encoded::default();
        for (value, timestamp) in values {
            encoded.push(&value)?;
            encoded.timestamps.push(timestamp);
        }
        Ok(Self::from_encoded(encoded))
    }

    /// A source of nothing.
    pub fn empty() -> Self {
        Self::from_encoded(Encoded::default())
    }

    fn from_encoded(encoded: Encoded) -> Self {
        Self { encoded: Arc::new(encoded), types: PhantomData }
    }
}

/// What of the collection has not been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionSplit {
    next: u64,
}

impl SourceSplit for CollectionSplit {
    fn split_id(&self) -> String {
        "collection".to_owned()
    }
}

impl<T: Record> Source for CollectionSource<T> {
    type Record = T;
    type Split = CollectionSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        _: u32,
    ) -> Result<Box<dyn SplitEnumerator<CollectionSplit>>, BoxError> {
        Ok(Box::new(SplitQueue::of([CollectionSplit { next: 0 }])))
    }

    fn restore_enumerator(
        &self,
        _: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<CollectionSplit>>, BoxError> {
        Ok(Box::new(SplitQueue::<CollectionSplit>::restored(state)?))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, CollectionSplit>>, BoxError> {
        Ok(Box::new(CollectionReader { encoded: self.encoded.clone(), split: None }))
    }
}

struct CollectionReader {
    encoded: Arc<Encoded>,
    split: Option<CollectionSplit>,
}

impl<T: Record> SourceReader<T, CollectionSplit> for CollectionReader {
    fn add_splits(&mut self, splits: Vec<CollectionSplit>) -> Result<(), BoxError> {
        // There is only one.
        self.split = splits.into_iter().next_back().or(self.split.take());
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError> {
        let Some(split) = &mut self.split else {
            return Ok(ReadStatus::NeedSplit);
        };
        let count = self.encoded.ends.len();
        let start = usize::try_from(split.next).map_or(count, |next| next.min(count));
        let end = start.saturating_add(max_records.max(1)).min(count);
        for index in start..end {
            out.values.push(self.encoded.decode(index)?);
        }
        if let Some(timestamps) = self.encoded.timestamps.get(start..end) {
            out.timestamps.extend_from_slice(timestamps);
        }
        split.next = end as u64;
        out.split = 0;
        if end == count {
            self.split = None;
            out.split_finished = true;
        }
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<CollectionSplit> {
        self.split.iter().cloned().collect()
    }

    fn pending(&self) -> PendingInput {
        let count = self.encoded.ends.len() as u64;
        let records = self.split.as_ref().map_or(0, |split| count.saturating_sub(split.next));
        PendingInput { records: Some(records), bytes: None }
    }
}
