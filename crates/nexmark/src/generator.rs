//! The events of one split, in order.
//!
//! A stream of parallelism `p` has `p` splits; split `k` holds the events whose index is `k`
//! modulo `p`, ascending. The whole state of a generator is the index of its next event, so a
//! source checkpoints [`NexmarkGenerator::position`] and restores with
//! [`NexmarkGenerator::seek`]. Timestamps never decrease within a split.
//!
//! Invariant: the next index belongs to the split, or the split has ended.
//!
//! Deliberately absent: watermarks, pacing and threads; a generator does nothing until asked.

use crate::lazy::{LazyAuction, LazyBid, LazyPerson, timestamp_of};
use crate::model::{Auction, Bid, Event, EventKind, Person};
use crate::tables::Tables;

/// A split that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no split {split} of {num_splits}")]
pub struct SplitError {
    /// The split that was asked for, counted from 0.
    pub split: u32,
    /// How many splits there should be.
    pub num_splits: u32,
}

/// Generates the events of one split.
#[derive(Clone, Debug)]
pub struct NexmarkGenerator {
    tables: &'static Tables,
    split: u64,
    num_splits: u64,
    /// Index of the event after the last one of the whole stream.
    end: u64,
    next: u64,
}

impl NexmarkGenerator {
    /// The split `split` (from 0) of `num_splits` of a stream of `max_events` events, counted
    /// over all splits; `None` for a stream that never ends.
    ///
    /// # Errors
    ///
    /// If `split` is not below `num_splits`.
    pub fn new(split: u32, num_splits: u32, max_events: Option<u64>) -> Result<Self, SplitError> {
        if split >= num_splits {
            return Err(SplitError { split, num_splits });
        }
        Ok(Self {
            tables: Tables::get(),
            split: u64::from(split),
            num_splits: u64::from(num_splits),
            end: max_events.unwrap_or(u64::MAX),
            next: u64::from(split),
        })
    }

    /// Index of the next event; at or beyond the number of events when the split has ended.
    #[inline]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Continues with the first event of this split at or after `index`. Exact for any index
    /// that [`Self::position`] returned.
    pub fn seek(&mut self, index: u64) {
        let ahead = index.saturating_sub(self.split);
        self.next = ahead
            .div_ceil(self.num_splits)
            .checked_mul(self.num_splits)
            .and_then(|steps| steps.checked_add(self.split))
            .unwrap_or(u64::MAX);
    }

    /// How many events this split has left.
    #[inline]
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.next).div_ceil(self.num_splits)
    }

    /// The distance between two events of this split, which is the number of splits.
    #[inline]
    pub fn step(&self) -> u64 {
        self.num_splits
    }

    /// The next event, or `None` at the end of the split.
    #[inline]
    pub fn next_event(&mut self) -> Option<Event> {
        if self.next >= self.end {
            return None;
        }
        let event = self.event(self.next);
        self.next = self.next.saturating_add(self.num_splits);
        Some(event)
    }

    /// Appends up to `max` events to `out` and returns how many; 0 only at the end of the split
    /// or for a `max` of 0.
    pub fn fill(&mut self, out: &mut Vec<Event>, max: usize) -> usize {
        let count = usize::try_from(self.remaining()).unwrap_or(usize::MAX).min(max);
        let (mut index, step) = (self.next, self.num_splits);
        out.reserve(count);
        let mut left = count as u64;
        while left > 0 {
            // Bids come in runs: a loop over nothing else writes them straight to their place.
            let run = EventKind::bids_from(index).div_ceil(step).min(left);
            let tables = self.tables;
            out.extend((0..run).map(|nth| {
                Event::Bid(LazyBid::new(tables, index.wrapping_add(nth * step)).complete())
            }));
            index = index.saturating_add(run.saturating_mul(step));
            left -= run;
            if run == 0 {
                out.push(self.event(index));
                index = index.saturating_add(step);
                left -= 1;
            }
        }
        self.next = index;
        count
    }

    /// Event `index` of the whole stream, whatever the split and the position.
    #[inline]
    pub fn event(&self, index: u64) -> Event {
        match EventKind::of_index(index) {
            EventKind::Bid => Event::Bid(LazyBid::new(self.tables, index).complete()),
            kind => self.rare_event(kind, index),
        }
    }

    /// Persons and auctions, out of line to keep the loop over bids small.
    #[inline(never)]
    fn rare_event(&self, kind: EventKind, index: u64) -> Event {
        match kind {
            EventKind::Person => {
                Event::Person(Box::new(LazyPerson::new(self.tables, index).complete()))
            }
            EventKind::Auction => {
                Event::Auction(Box::new(LazyAuction::new(self.tables, index).complete()))
            }
            EventKind::Bid => Event::Bid(LazyBid::new(self.tables, index).complete()),
        }
    }

    /// The kind of event `index`.
    #[inline]
    pub fn kind(&self, index: u64) -> EventKind {
        EventKind::of_index(index)
    }

    /// Event time of event `index`, in milliseconds since the epoch.
    #[inline]
    pub fn timestamp(&self, index: u64) -> i64 {
        timestamp_of(index)
    }

    /// Event `index` if it is a person.
    #[inline]
    pub fn person(&self, index: u64) -> Option<Person> {
        self.lazy_person(index).map(|person| person.complete())
    }

    /// Event `index` if it is an auction.
    #[inline]
    pub fn auction(&self, index: u64) -> Option<Auction> {
        self.lazy_auction(index).map(|auction| auction.complete())
    }

    /// Event `index` if it is a bid.
    #[inline]
    pub fn bid(&self, index: u64) -> Option<Bid> {
        self.lazy_bid(index).map(|bid| bid.complete())
    }

    /// The columns of event `index` if it is a person, for readers of only some of them.
    #[inline]
    pub fn lazy_person(&self, index: u64) -> Option<LazyPerson> {
        (self.kind(index) == EventKind::Person).then(|| LazyPerson::new(self.tables, index))
    }

    /// The columns of event `index` if it is an auction, for readers of only some of them.
    #[inline]
    pub fn lazy_auction(&self, index: u64) -> Option<LazyAuction> {
        (self.kind(index) == EventKind::Auction).then(|| LazyAuction::new(self.tables, index))
    }

    /// The columns of event `index` if it is a bid, for readers of only some of them.
    #[inline]
    pub fn lazy_bid(&self, index: u64) -> Option<LazyBid> {
        (self.kind(index) == EventKind::Bid).then(|| LazyBid::new(self.tables, index))
    }
}

impl IntoIterator for NexmarkGenerator {
    type Item = Event;
    type IntoIter = Events;

    fn into_iter(self) -> Events {
        Events { generator: self }
    }
}

/// The rest of a split as an iterator.
///
/// The generator is not one itself, since `Iterator::position` would hide its own.
#[derive(Clone, Debug)]
pub struct Events {
    generator: NexmarkGenerator,
}

impl Iterator for Events {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        self.generator.next_event()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = usize::try_from(self.generator.remaining());
        (remaining.unwrap_or(usize::MAX), remaining.ok())
    }
}

impl std::iter::FusedIterator for Events {}
