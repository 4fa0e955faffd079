//! The input of a run: splits of events, known in full, and a source that reads them.
//!
//! # Why no record is ever late
//!
//! The models must not depend on the order in which subtasks run, so no record may be late. Within
//! a split, event time never goes back. A reader asks the enumerator first, so that it knows all
//! its splits (those that it was restored with and those that it is given), and then merges them in
//! the order of event time. So whichever reader has whichever splits, at whichever positions, its
//! watermark stays below what it has still to read.

use std::sync::Arc;

use hurtig::connector::{
    Boundedness, EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader,
    SourceSplit, SplitEnumerator,
};
use hurtig_env::Clock;
use hurtig_types::{BoxError, codec};
use serde::{Deserialize, Serialize};

use crate::{
    faults::Point,
    random::{Random, mix},
    world::World,
};

/// A record of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimEvent {
    /// Its split.
    pub split: u32,
    /// Its position in the split.
    pub position: u32,
    /// A key; two consecutive positions, the first of which is even, have the same one.
    pub key: u32,
    /// SimEvent time.
    pub time: i64,
    /// Any number.
    pub value: i64,
}

/// Splits of events.
#[derive(Clone, Debug)]
pub struct Input(pub Arc<Vec<Vec<SimEvent>>>);

impl Input {
    /// An input of that size.
    pub fn draw(random: &mut Random, splits: u32, events_per_split: u32, keys: u32) -> Self {
        let longest_step = random.between(1, 40);
        let splits = (0..splits).map(|split| {
            // Always even, so that two events are never exactly an odd session gap apart: whether
            // such sessions are merged depends on the watermark.
            let mut time = 2 * random.between(0, 250) as i64;
            let events = (0..events_per_split).map(|position| {
                time += 2 * random.between(0, longest_step) as i64;
                let pair = mix(u64::from(split) << 32 | u64::from(position / 2));
                let value = random.between(0, 1000) as i64;
                SimEvent { split, position, key: (pair % u64::from(keys)) as u32, time, value }
            });
            events.collect()
        });
        Self(Arc::new(splits.collect()))
    }

    /// All events.
    pub fn events(&self) -> impl Iterator<Item = &SimEvent> {
        self.0.iter().flatten()
    }
}

/// Reads an [`Input`], a few records at a time.
pub struct SimSource {
    /// The input.
    pub input: Input,
    /// The world in which it is read.
    pub world: World,
    /// Longest pause between two reads.
    pub longest_pause_ms: u64,
}

/// A split and where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SimSplit {
    /// Events of the input.
    Events {
        /// Which split.
        split: u32,
        /// Position of the next event.
        next: u32,
    },
    /// Not a split: tells a reader that it has been given all that it gets.
    Go,
}

impl SourceSplit for SimSplit {
    fn split_id(&self) -> String {
        match self {
            Self::Events { split, .. } => split.to_string(),
            Self::Go => "go".to_owned(),
        }
    }
}

impl Source for SimSource {
    type Record = SimEvent;
    type Split = SimSplit;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<SimSplit>>, BoxError> {
        let splits = 0..self.input.0.len() as u32;
        let waiting = splits.map(|split| SimSplit::Events { split, next: 0 }).collect();
        Ok(Box::new(SimEnumerator::new(waiting, parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<SimSplit>>, BoxError> {
        Ok(Box::new(SimEnumerator::new(codec::decode(state)?, parallelism)))
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<SimEvent, SimSplit>>, BoxError> {
        Ok(Box::new(SimReader {
            input: self.input.clone(),
            world: self.world.clone(),
            longest_pause_ms: self.longest_pause_ms,
            clock: context.clock,
            splits: Vec::new(),
            may_go: false,
            pause_until_ms: 0,
        }))
    }
}

/// Deals splits out by their number, all that a reader gets at its first request.
struct SimEnumerator {
    waiting: Vec<SimSplit>,
    parallelism: u32,
    /// Readers that were told to go, and will be told that there is no more.
    going: Vec<bool>,
}

impl SimEnumerator {
    fn new(waiting: Vec<SimSplit>, parallelism: u32) -> Self {
        Self { waiting, parallelism, going: vec![false; parallelism as usize] }
    }
}

impl SplitEnumerator<SimSplit> for SimEnumerator {
    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<SimSplit>>,
    ) -> Result<(), BoxError> {
        let going = self.going.get_mut(subtask as usize).ok_or("no such reader")?;
        if std::mem::replace(going, true) {
            actions.push(EnumeratorAction::NoMoreSplits { subtask });
            return Ok(());
        }
        let parallelism = self.parallelism;
        let is_its = |split: &mut SimSplit| match split {
            SimSplit::Events { split, .. } => *split % parallelism == subtask,
            SimSplit::Go => true,
        };
        let mut splits: Vec<SimSplit> = self.waiting.extract_if(.., is_its).collect();
        splits.push(SimSplit::Go);
        actions.push(EnumeratorAction::Assign { subtask, splits });
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<SimSplit>,
        _: &mut Vec<EnumeratorAction<SimSplit>>,
    ) -> Result<(), BoxError> {
        *self.going.get_mut(subtask as usize).ok_or("no such reader")? = false;
        self.waiting.extend(splits.into_iter().filter(|split| *split != SimSplit::Go));
        Ok(())
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        Ok(codec::encode(&self.waiting)?)
    }
}

struct SimReader {
    input: Input,
    world: World,
    longest_pause_ms: u64,
    clock: Clock,
    splits: Vec<(u32, u32)>,
    may_go: bool,
    pause_until_ms: i64,
}

impl SimReader {
    /// Time of the next event of a split.
    fn due(&self, (split, next): (u32, u32)) -> Option<i64> {
        Some(self.input.0.get(split as usize)?.get(next as usize)?.time)
    }
}

impl SourceReader<SimEvent, SimSplit> for SimReader {
    fn add_splits(&mut self, splits: Vec<SimSplit>) -> Result<(), BoxError> {
        for split in splits {
            match split {
                SimSplit::Go => self.may_go = true,
                SimSplit::Events { split, next } => {
                    if self.splits.iter().any(|(known, _)| *known == split) {
                        self.world.violation(format_args!("split {split} was assigned twice"));
                    }
                    self.splits.push((split, next));
                }
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<SimEvent>,
    ) -> Result<ReadStatus, BoxError> {
        if !self.may_go {
            return Ok(ReadStatus::NeedSplit);
        }
        let now_ms = self.clock.now_ms();
        if now_ms < self.pause_until_ms {
            return Ok(ReadStatus::Wait { until_ms: Some(self.pause_until_ms) });
        }
        let earliest = (0..self.splits.len()).min_by_key(|index| {
            let split = self.splits[*index];
            (self.due(split).unwrap_or(i64::MIN), split.0)
        });
        let Some(earliest) = earliest else {
            return Ok(ReadStatus::NeedSplit);
        };
        self.world.user_code(Point::Read)?;
        let limit = self.world.draw(|random| random.between(1, 12)).min(max_records as u64);
        let others = self.splits.iter().enumerate().filter(|(index, _)| *index != earliest);
        let bound = others.filter_map(|(_, split)| self.due(*split)).min().unwrap_or(i64::MAX);
        let (split, mut next) = self.splits[earliest];
        let events = self.input.0.get(split as usize).ok_or("no such split")?;
        while let Some(event) = events.get(next as usize)
            && event.time <= bound
            && (out.values.len() as u64) < limit
        {
            out.values.push(event.clone());
            out.timestamps.push(event.time);
            next += 1;
        }
        out.split = split;
        self.splits[earliest].1 = next;
        if next as usize >= events.len() {
            out.split_finished = true;
            self.splits.swap_remove(earliest);
        }
        let pause_ms = self.world.draw(|random| random.between(0, self.longest_pause_ms));
        self.pause_until_ms = now_ms + pause_ms as i64;
        Ok(ReadStatus::More)
    }

    fn snapshot(&self) -> Vec<SimSplit> {
        let splits = self.splits.iter();
        splits.map(|(split, next)| SimSplit::Events { split: *split, next: *next }).collect()
    }
}
