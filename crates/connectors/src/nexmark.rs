//! The Nexmark event stream.
//!
//! With `p` readers, reader `k` generates the events whose index is `k` modulo `p`, each with its
//! event time. The position is the index of the next event. Every event is a pure function of its
//! index, so a stream can be read again, from anywhere, with the same result.
//!
//! [`NexmarkSource`] emits complete events. [`NexmarkViewSource`] emits what a function makes of an
//! index, and generates nothing else: a query that needs two columns of bids reads them through
//! [`NexmarkGenerator::lazy_bid`] and never builds the rest.

use std::{collections::VecDeque, sync::Arc};

use hurtig_connector_api::{
    Boundedness, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit,
    SplitEnumerator,
};
use hurtig_nexmark::{Auction, Bid, Event, NexmarkGenerator, Person};
use hurtig_types::{BoxError, Record};
use serde::{Deserialize, Serialize};

use crate::splits::StaticEnumerator;

/// How many events a view looks at per record it may emit, at most: 50 is the number of events
/// of which one is a person, the rarest kind.
const EVENTS_PER_RECORD: u64 = 50;

/// Complete Nexmark events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NexmarkSource {
    /// How many, over all readers; `None` for a stream that does not end.
    pub events: Option<u64>,
}

impl NexmarkSource {
    /// The first `events` events, or all of an endless stream.
    pub fn new(events: Option<u64>) -> Self {
        Self { events }
    }

    /// Only the persons among the first `events` events.
    pub fn persons(
        events: Option<u64>,
    ) -> NexmarkViewSource<impl Fn(&NexmarkGenerator, u64) -> Option<Person> + Send + Sync + 'static>
    {
        NexmarkViewSource::new(events, NexmarkGenerator::person)
    }

    /// Only the auctions among the first `events` events.
    pub fn auctions(
        events: Option<u64>,
    ) -> NexmarkViewSource<impl Fn(&NexmarkGenerator, u64) -> Option<Auction> + Send + Sync + 'static>
    {
        NexmarkViewSource::new(events, NexmarkGenerator::auction)
    }

    /// Only the bids among the first `events` events.
    pub fn bids(
        events: Option<u64>,
    ) -> NexmarkViewSource<impl Fn(&NexmarkGenerator, u64) -> Option<Bid> + Send + Sync + 'static>
    {
        NexmarkViewSource::new(events, NexmarkGenerator::bid)
    }
}

/// What a function makes of some events.
pub struct NexmarkViewSource<F> {
    events: Option<u64>,
    view: Arc<F>,
}

impl<T, F> NexmarkViewSource<F>
where
    T: Record,
    F: Fn(&NexmarkGenerator, u64) -> Option<T> + Send + Sync + 'static,
{
    /// `view` of each of the first `events` events (`None`: of all), where it returns something.
    pub fn new(events: Option<u64>, view: F) -> Self {
        Self { events, view: Arc::new(view) }
    }
}

/// The events of one reader, with its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NexmarkSplit {
    split: u32,
    num_splits: u32,
    next: u64,
}

impl SourceSplit for NexmarkSplit {
    fn split_id(&self) -> String {
        format!("{}/{}", self.split, self.num_splits)
    }
}

fn boundedness_of(events: Option<u64>) -> Boundedness {
    match events {
        Some(_) => Boundedness::Bounded,
        None => Boundedness::Unbounded,
    }
}

fn enumerator(parallelism: u32) -> Box<dyn SplitEnumerator<NexmarkSplit>> {
    let splits = (0..parallelism).map(|split| NexmarkSplit {
        split,
        num_splits: parallelism,
        next: u64::from(split),
    });
    Box::new(StaticEnumerator::new(splits, parallelism))
}

impl Source for NexmarkSource {
    type Record = Event;
    type Split = NexmarkSplit;

    fn boundedness(&self) -> Boundedness {
        boundedness_of(self.events)
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        Ok(enumerator(parallelism))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<NexmarkSplit>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<Event, NexmarkSplit>>, BoxError> {
        Ok(Box::new(NexmarkReader {
            events: self.events,
            fill: fill_complete,
            splits: VecDeque::new(),
        }))
    }
}

impl<T, F> Source for NexmarkViewSource<F>
where
    T: Record,
    F: Fn(&NexmarkGenerator, u64) -> Option<T> + Send + Sync + 'static,
{
    type Record = T;
    type Split = NexmarkSplit;

    fn boundedness(&self) -> Boundedness {
        boundedness_of(self.events)
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        Ok(enumerator(parallelism))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<NexmarkSplit>>, BoxError> {
        Ok(Box::new(StaticEnumerator::<NexmarkSplit>::restored(state, parallelism)?))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, NexmarkSplit>>, BoxError> {
        let view = self.view.clone();
        Ok(Box::new(NexmarkReader {
            events: self.events,
            fill: move |generator: &mut NexmarkGenerator,
                        max_records: usize,
                        out: &mut SourceOutput<T>| {
                fill_view(generator, &*view, max_records, out);
            },
            splits: VecDeque::new(),
        }))
    }
}

fn fill_complete(
    generator: &mut NexmarkGenerator,
    max_records: usize,
    out: &mut SourceOutput<Event>,
) {
    let (first, step) = (generator.position(), generator.step());
    let count = generator.fill(&mut out.values, max_records) as u64;
    let times = (0..count).map(|nth| generator.timestamp(first + nth * step));
    out.timestamps.extend(times);
}

fn fill_view<T>(
    generator: &mut NexmarkGenerator,
    view: impl Fn(&NexmarkGenerator, u64) -> Option<T>,
    max_records: usize,
    out: &mut SourceOutput<T>,
) {
    let (first, step) = (generator.position(), generator.step());
    let ahead = (max_records as u64).saturating_mul(EVENTS_PER_RECORD);
    let mut index = first;
    for _ in 0..generator.remaining().min(ahead) {
        if out.values.len() >= max_records {
            break;
        }
        if let Some(value) = view(generator, index) {
            out.values.push(value);
            out.timestamps.push(generator.timestamp(index));
        }
        index = index.saturating_add(step);
    }
    generator.seek(index);
}

struct NexmarkReader<G> {
    events: Option<u64>,
    /// Generates up to so many records into the output.
    fill: G,
    splits: VecDeque<(NexmarkSplit, NexmarkGenerator)>,
}

impl<T, G> SourceReader<T, NexmarkSplit> for NexmarkReader<G>
where
    T: Record,
    G: Fn(&mut NexmarkGenerator, usize, &mut SourceOutput<T>) + Send,
{
    fn add_splits(&mut self, splits: Vec<NexmarkSplit>) -> Result<(), BoxError> {
        for split in splits {
            let mut generator = NexmarkGenerator::new(split.split, split.num_splits, self.events)?;
            generator.seek(split.next);
            self.splits.push_back((split, generator));
        }
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError> {
        let Some((split, generator)) = self.splits.front_mut() else {
            return Ok(ReadStatus::NeedSplit);
        };
        out.split = split.split;
        (self.fill)(generator, max_records.max(1), out);
        if generator.remaining() == 0 {
            self.splits.pop_front();
            out.split_finished = true;
        }
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<NexmarkSplit> {
        let resumed = self
            .splits
            .iter()
            .map(|(split, generator)| NexmarkSplit { next: generator.position(), ..split.clone() });
        resumed.collect()
    }
}
