//! The values of a collection.

use std::{marker::PhantomData, sync::Arc};

use hurtig_connector_api::{
    Boundedness, EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_types::{BoxError, CodecError, Record, codec};
use serde::{Deserialize, Serialize};

/// The values of a collection, in order.
pub struct CollectionSource<T> {
    values: Arc<Vec<Vec<u8>>>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record> CollectionSource<T> {
    /// Of these values.
    pub fn new(values: Vec<T>) -> Result<Self, CodecError> {
        let encoded: Result<Vec<_>, _> = values.iter().map(|v| codec::encode(v)).collect();
        Ok(Self { values: Arc::new(encoded?), types: PhantomData })
    }

    /// Of no values.
    pub fn empty() -> Self {
        Self { values: Arc::default(), types: PhantomData }
    }
}

/// The position in the collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CollectionSplit(u64);

impl SourceSplit for CollectionSplit {
    fn split_id(&self) -> String {
        "collection".to_owned()
    }
}

struct One(Option<CollectionSplit>);

impl SplitEnumerator<CollectionSplit> for One {
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<CollectionSplit>>,
    ) -> Result<(), BoxError> {
        match self.0.take() {
            Some(split) => actions.push(EnumeratorAction::Assign { subtask, splits: vec![split] }),
            None => actions.push(EnumeratorAction::NoMoreSplits { subtask }),
        }
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        _: u32,
        splits: Vec<CollectionSplit>,
        _: &mut Vec<EnumeratorAction<CollectionSplit>>,
    ) -> Result<(), BoxError> {
        self.0 = splits.into_iter().next();
        Ok(())
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
        Ok(Box::new(One(Some(CollectionSplit(0)))))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, CollectionSplit>>, BoxError> {
        Ok(Box::new(Reader { values: self.values.clone(), split: None, types: PhantomData }))
    }
}

struct Reader<T> {
    values: Arc<Vec<Vec<u8>>>,
    split: Option<CollectionSplit>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record> SourceReader<T, CollectionSplit> for Reader<T> {
    fn add_splits(&mut self, splits: Vec<CollectionSplit>) -> Result<(), BoxError> {
        self.split = splits.into_iter().next();
        Ok(())
    }

    fn read(&mut self, max: usize, out: &mut SourceOutput<T>) -> Result<ReadStatus, BoxError> {
        let Some(split) = &mut self.split else {
            return Ok(ReadStatus::NeedSplit);
        };
        let rest = self.values.get(split.0 as usize..).unwrap_or_default();
        for value in rest.iter().take(max) {
            out.values.push(codec::decode(value)?);
            split.0 += 1;
        }
        if split.0 as usize >= self.values.len() {
            self.split = None;
            out.split_finished = true;
        }
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<CollectionSplit> {
        self.split.iter().cloned().collect()
    }
}
