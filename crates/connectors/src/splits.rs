//! Enumerators that connectors share.
//!
//! - [`SplitQueue`] gives one split per request to whoever asks first, so a fast reader reads
//!   more. It can be filled while the job runs.
//! - [`StaticEnumerator`] knows from the start which reader reads what.
//!
//! # What happens at a failure
//!
//! 1. The splits of the failed reader come back, at the positions at which they were assigned.
//! 2. A queue puts them at its front, in their order; a static enumerator keeps them for the same
//!    reader.
//! 3. A request that the failed attempt had made is forgotten: the next attempt makes its own.
//!
//! Deliberately absent: finding splits. That is the business of each connector.

use std::collections::VecDeque;

use hurtig_connector_api::{EnumeratorAction, SplitEnumerator};
use hurtig_types::{BoxError, Record, codec, codec::CodecError};

/// Splits in the order in which they are to be given out, one per request.
///
/// Use it as it is for a fixed number of splits ([`SplitQueue::of`]), or inside an enumerator that
/// finds splits as it goes ([`SplitQueue::open`], then [`SplitQueue::add`]).
///
/// Invariant: readers wait only while there is no split to give.
#[derive(Debug)]
pub struct SplitQueue<S> {
    splits: VecDeque<S>,
    /// Readers whose request could not be answered, longest waiting first.
    waiting: VecDeque<u32>,
    complete: bool,
}

impl<S> SplitQueue<S> {
    /// Exactly these splits; readers that find none left are told so.
    pub fn of(splits: impl IntoIterator<Item = S>) -> Self {
        Self { splits: splits.into_iter().collect(), waiting: VecDeque::new(), complete: true }
    }

    /// An empty queue that is going to be filled; readers that find no split wait for one.
    pub fn open() -> Self {
        Self { splits: VecDeque::new(), waiting: VecDeque::new(), complete: false }
    }

    /// A queue as [`SplitQueue::snapshot`] has described it. Readers ask again.
    pub fn restored(state: &[u8]) -> Result<Self, CodecError>
    where
        S: Record,
    {
        let (splits, complete) = codec::decode::<(VecDeque<S>, bool)>(state)?;
        Ok(Self { splits, waiting: VecDeque::new(), complete })
    }

    /// The splits that it has not given out.
    pub fn snapshot(&self) -> Result<Vec<u8>, CodecError>
    where
        S: Record,
    {
        codec::encode(&(&self.splits, self.complete))
    }

    /// Adds splits behind the others.
    pub fn add(
        &mut self,
        splits: impl IntoIterator<Item = S>,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) {
        self.splits.extend(splits);
        self.serve(actions);
    }

    /// Nothing will be added any more.
    pub fn complete(&mut self, actions: &mut Vec<EnumeratorAction<S>>) {
        self.complete = true;
        self.serve(actions);
    }

    /// A reader wants a split.
    pub fn request(&mut self, subtask: u32, actions: &mut Vec<EnumeratorAction<S>>) {
        if !self.waiting.contains(&subtask) {
            self.waiting.push_back(subtask);
        }
        self.serve(actions);
    }

    /// The splits of a failed reader come back.
    pub fn give_back(
        &mut self,
        subtask: u32,
        splits: Vec<S>,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) {
        self.waiting.retain(|waiting| *waiting != subtask);
        for split in splits.into_iter().rev() {
            self.splits.push_front(split);
        }
        self.serve(actions);
    }

    fn serve(&mut self, actions: &mut Vec<EnumeratorAction<S>>) {
        while let Some(subtask) = self.waiting.pop_front() {
            if let Some(split) = self.splits.pop_front() {
                actions.push(EnumeratorAction::Assign { subtask, splits: vec![split] });
            } else if self.complete {
                actions.push(EnumeratorAction::NoMoreSplits { subtask });
            } else {
                self.waiting.push_front(subtask);
                return;
            }
        }
    }
}

impl<S: Record> SplitEnumerator<S> for SplitQueue<S> {
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError> {
        self.request(subtask, actions);
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<S>,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError> {
        self.give_back(subtask, splits, actions);
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        Ok(SplitQueue::snapshot(self)?)
    }
}

/// Split `i` belongs to reader `i` modulo the number of readers, whatever happens.
#[derive(Debug)]
pub struct StaticEnumerator<S> {
    by_reader: Vec<Vec<S>>,
}

impl<S> StaticEnumerator<S> {
    /// Deals `splits` out to `parallelism` readers.
    pub fn new(splits: impl IntoIterator<Item = S>, parallelism: u32) -> Self {
        let readers = parallelism.max(1) as usize;
        let mut by_reader: Vec<Vec<S>> = (0..readers).map(|_| Vec::new()).collect();
        for (index, split) in splits.into_iter().enumerate() {
            by_reader[index % readers].push(split);
        }
        Self { by_reader }
    }

    /// Deals out anew what [`StaticEnumerator::snapshot`] has described.
    pub fn restored(state: &[u8], parallelism: u32) -> Result<Self, CodecError>
    where
        S: Record,
    {
        Ok(Self::new(codec::decode::<Vec<S>>(state)?, parallelism))
    }
}

impl<S: Record> SplitEnumerator<S> for StaticEnumerator<S> {
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError> {
        if let Some(splits) = self.by_reader.get_mut(subtask as usize)
            && !splits.is_empty()
        {
            actions.push(EnumeratorAction::Assign { subtask, splits: std::mem::take(splits) });
        }
        actions.push(EnumeratorAction::NoMoreSplits { subtask });
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<S>,
        _: &mut Vec<EnumeratorAction<S>>,
    ) -> Result<(), BoxError> {
        let Some(mine) = self.by_reader.get_mut(subtask as usize) else {
            return Err(format!("splits came back from reader {subtask}, which is none").into());
        };
        mine.extend(splits);
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        let splits: Vec<&S> = self.by_reader.iter().flatten().collect();
        Ok(codec::encode(&splits)?)
    }
}

/// Part `part` of `parts` of `0..count`, as start and end; the parts differ in length by one at
/// most.
pub(crate) fn part_of(count: u128, part: u32, parts: u32) -> (u128, u128) {
    let (part, parts) = (u128::from(part), u128::from(parts));
    // count is at most 2^64, so the products fit.
    (count * part / parts, count * (part + 1) / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(actions: &mut Vec<EnumeratorAction<u8>>) -> Vec<String> {
        let text = |action| match action {
            EnumeratorAction::Assign { subtask, splits } => format!("{subtask}<-{splits:?}"),
            EnumeratorAction::NoMoreSplits { subtask } => format!("{subtask} done"),
            EnumeratorAction::CallAfterMs(ms) => format!("call after {ms}"),
        };
        actions.drain(..).map(text).collect()
    }

    #[test]
    fn a_queue_gives_to_whoever_asks_and_takes_back_to_its_front() {
        let mut actions = Vec::new();
        let mut queue = SplitQueue::of([1u8, 2, 3]);
        queue.request(5, &mut actions);
        queue.request(0, &mut actions);
        assert_eq!(drain(&mut actions), ["5<-[1]", "0<-[2]"]);
        queue.give_back(5, vec![1], &mut actions);
        assert!(actions.is_empty());
        for _ in 0..3 {
            queue.request(0, &mut actions);
        }
        assert_eq!(drain(&mut actions), ["0<-[1]", "0<-[3]", "0 done"]);
    }

    #[test]
    fn an_open_queue_lets_readers_wait_and_forgets_those_that_failed() {
        let mut actions = Vec::new();
        let mut queue = SplitQueue::open();
        queue.request(0, &mut actions);
        queue.request(1, &mut actions);
        queue.request(1, &mut actions);
        queue.give_back(0, vec![], &mut actions);
        assert!(actions.is_empty());
        queue.add([7, 8], &mut actions);
        assert_eq!(drain(&mut actions), ["1<-[7]"]);
        queue.request(0, &mut actions);
        queue.request(0, &mut actions);
        queue.complete(&mut actions);
        assert_eq!(drain(&mut actions), ["0<-[8]", "0 done"]);
    }

    #[test]
    fn a_static_assignment_survives_a_failure() {
        let mut actions = Vec::new();
        let mut splits = StaticEnumerator::new([0u8, 1, 2, 3, 4], 3);
        for subtask in [2, 0] {
            splits.on_split_request(subtask, &mut actions).unwrap();
        }
        assert_eq!(drain(&mut actions), ["2<-[2]", "2 done", "0<-[0, 3]", "0 done"]);
        splits.add_splits_back(0, vec![0, 3], &mut actions).unwrap();
        splits.on_split_request(0, &mut actions).unwrap();
        splits.on_split_request(2, &mut actions).unwrap();
        assert_eq!(drain(&mut actions), ["0<-[0, 3]", "0 done", "2 done"]);
        assert!(splits.add_splits_back(3, vec![], &mut actions).is_err());
    }

    #[test]
    fn parts_cover_the_whole_without_gaps() {
        for count in [0u128, 1, 2, 7, 1 << 64] {
            for parts in 1..9 {
                let mut expected = 0;
                for part in 0..parts {
                    let (start, end) = part_of(count, part, parts);
                    assert_eq!(start, expected);
                    assert!(end >= start && end - start <= count / u128::from(parts) + 1);
                    expected = end;
                }
                assert_eq!(expected, count);
            }
        }
    }
}
