//! Timers by time.
//!
//! Three views of the same timers: `slots` holds them, `index` finds one by (time, key, namespace)
//! so that each exists once, `order` gives the earliest. A deleted timer leaves its entry in the
//! order; the entry is dropped when its turn comes, or when there are more of them than timers.
//!
//! A capture visits the slots as that of a table visits its entries: a timer that goes before it
//! was visited is written down first, one that is registered meanwhile is not part of it.

use hashbrown::HashTable;
use hurtig_state_api::Key;
use hurtig_types::{KeyGroupRange, Record, codec, codec::CodecError, key_group_of, stable_hash};

use crate::{
    capture::{Block, BlockKind},
    radix_heap::{Place, RadixHeap},
};

/// A timer that has become due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer<K, N> {
    /// The time for which it was registered, in milliseconds.
    pub time: i64,
    /// Stable hash of the key.
    pub hash: u64,
    /// The key.
    pub key: K,
    /// What it is for: a window, or nothing.
    pub namespace: N,
}

#[derive(Debug)]
struct Slot<K, N> {
    /// Tells a timer from an earlier one in the same slot.
    generation: u32,
    /// The epoch in which it was registered.
    epoch: u32,
    timer: Option<Timer<K, N>>,
}

/// A capture under way.
#[derive(Debug, Default)]
struct TimerCapture {
    next_slot: usize,
    count: u32,
    /// Timers that went before they were visited.
    bytes: Vec<u8>,
    error: Option<CodecError>,
}

/// Timers, at most one per (time, key, namespace). Due timers come in order of time; those of one
/// time in the order of registration.
#[derive(Debug)]
pub struct TimerQueue<K, N> {
    slots: Vec<Slot<K, N>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    order: RadixHeap,
    epoch: u32,
    capture: Option<TimerCapture>,
}

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            order: RadixHeap::default(),
            epoch: 0,
            capture: None,
        }
    }
}

/// Hash of a timer: that of its key alone would put all timers of a key in one place.
#[inline]
fn index_hash(time: i64, hash: u64) -> u64 {
    let mixed = (hash ^ (time as u64).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

impl<K: Key, N: Record + Eq> TimerQueue<K, N> {
    /// Registers a timer; false if it was registered already.
    pub fn register(&mut self, time: i64, hash: u64, key: &K, namespace: &N) -> bool {
        let slots = &mut self.slots;
        let found = self.index.entry(
            index_hash(time, hash),
            |slot| is_timer(slots, *slot, time, hash, key, namespace),
            |slot| rehash(slots, *slot),
        );
        let hashbrown::hash_table::Entry::Vacant(vacant) = found else {
            return false;
        };
        let Ok(next) = u32::try_from(slots.len()) else {
            // Four thousand million timers of one subtask: memory has ended before.
            return false;
        };
        let slot = self.free.pop().unwrap_or(next);
        vacant.insert(slot);
        let timer = Some(Timer { time, hash, key: key.clone(), namespace: namespace.clone() });
        let generation = match slots.get_mut(slot as usize) {
            Some(place) => {
                place.timer = timer;
                place.epoch = self.epoch;
                place.generation = place.generation.wrapping_add(1);
                place.generation
            }
            None => {
                slots.push(Slot { generation: 0, epoch: self.epoch, timer });
                0
            }
        };
        self.order.push(Place { time, slot, generation });
        true
    }

    /// Deletes a timer; false if there was none.
    pub fn delete(&mut self, time: i64, hash: u64, key: &K, namespace: &N) -> bool {
        let slots = &mut self.slots;
        let found = self.index.find_entry(index_hash(time, hash), |slot| {
            is_timer(slots, *slot, time, hash, key, namespace)
        });
        let Ok(found) = found else {
            return false;
        };
        let (slot, _) = found.remove();
        let gone = &mut slots[slot as usize];
        capture_going(&mut self.capture, self.epoch, slot, gone);
        gone.timer = None;
        self.free.push(slot);
        if self.order.len() > 2 * self.index.len() + 64 {
            let slots = &self.slots;
            self.order.retain(|place| exists(slots, place));
        }
        true
    }

    /// Takes the next timer whose time is at or before `now`.
    pub fn pop_due(&mut self, now: i64) -> Option<Timer<K, N>> {
        loop {
            let place = self.order.pop(now)?;
            if !exists(&self.slots, &place) {
                continue;
            }
            let gone = &mut self.slots[place.slot as usize];
            capture_going(&mut self.capture, self.epoch, place.slot, gone);
            let timer = gone.timer.take()?;
            let hash = index_hash(timer.time, timer.hash);
            if let Ok(found) = self.index.find_entry(hash, |slot| *slot == place.slot) {
                found.remove();
            }
            self.free.push(place.slot);
            return Some(timer);
        }
    }

    /// The time of the earliest timer, or an earlier one: that of a timer deleted since.
    pub fn next_time(&self) -> Option<i64> {
        self.order.next_time()
    }

    /// All timers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Timer<K, N>> {
        self.slots.iter().filter_map(|slot| slot.timer.as_ref())
    }

    /// Begins a capture of all timers as they are now.
    pub fn begin_capture(&mut self) {
        self.epoch += 1;
        self.capture = Some(TimerCapture::default());
    }

    /// Gives up the capture that is under way, if any.
    pub fn cancel_capture(&mut self) {
        self.capture = None;
    }

    /// The next piece of the capture, of about `max_bytes`; `None` when it is complete.
    pub fn next_block(
        &mut self,
        kind: BlockKind,
        max_bytes: usize,
    ) -> Result<Option<Block>, CodecError> {
        let Some(capture) = &mut self.capture else {
            return Ok(None);
        };
        if let Some(error) = capture.error.take() {
            return Err(error);
        }
        let mut block = Block::new(0, kind);
        block.count = std::mem::take(&mut capture.count);
        block.bytes = std::mem::take(&mut capture.bytes);
        while capture.next_slot < self.slots.len() && block.bytes.len() < max_bytes {
            let slot = &self.slots[capture.next_slot];
            if slot.epoch < self.epoch
                && let Some(timer) = &slot.timer
            {
                encode_timer(timer, &mut block.bytes)?;
                block.count += 1;
            }
            capture.next_slot += 1;
        }
        if block.count == 0 {
            // All slots were visited.
            self.capture = None;
            return Ok(None);
        }
        Ok(Some(block))
    }

    /// Registers the timers of a block that belong to the key groups of `range`.
    pub fn restore(
        &mut self,
        block: &Block,
        range: KeyGroupRange,
        max_parallelism: u32,
    ) -> Result<(), CodecError> {
        block.each(|(time, key, namespace): (i64, K, N)| {
            let hash =
                stable_hash(&key).map_err(|error| CodecError::Malformed(error.to_string()))?;
            if range.contains(key_group_of(hash, max_parallelism)) {
                self.register(time, hash, &key, &namespace);
            }
            Ok(())
        })
    }

    /// Number of timers.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

fn encode_timer<K: Key, N: Record>(
    timer: &Timer<K, N>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    codec::encode_into(&(timer.time, &timer.key, &timer.namespace), out)
}

/// A timer goes: if a capture has not come to it yet, it is written down.
#[inline]
fn capture_going<K: Key, N: Record>(
    capture: &mut Option<TimerCapture>,
    epoch: u32,
    number: u32,
    slot: &Slot<K, N>,
) {
    if let Some(capture) = capture
        && slot.epoch < epoch
        && number as usize >= capture.next_slot
        && let Some(timer) = &slot.timer
    {
        match encode_timer(timer, &mut capture.bytes) {
            Ok(()) => capture.count += 1,
            Err(error) => capture.error = Some(error),
        }
    }
}

#[inline]
fn is_timer<K: Key, N: Eq>(
    slots: &[Slot<K, N>],
    slot: u32,
    time: i64,
    hash: u64,
    key: &K,
    namespace: &N,
) -> bool {
    slots[slot as usize].timer.as_ref().is_some_and(|timer| {
        timer.time == time
            && timer.hash == hash
            && timer.key == *key
            && timer.namespace == *namespace
    })
}

fn rehash<K, N>(slots: &[Slot<K, N>], slot: u32) -> u64 {
    slots[slot as usize].timer.as_ref().map_or(0, |timer| index_hash(timer.time, timer.hash))
}

fn exists<K, N>(slots: &[Slot<K, N>], place: &Place) -> bool {
    let slot = &slots[place.slot as usize];
    slot.generation == place.generation && slot.timer.is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timers_of_one_time_come_in_the_order_of_registration() {
        let mut timers = TimerQueue::<u8, ()>::default();
        for key in [3, 1, 2, 1] {
            timers.register(10, u64::from(key), &key, &());
        }
        timers.register(5, 9, &9, &());
        let keys: Vec<_> = std::iter::from_fn(|| timers.pop_due(10)).map(|t| t.key).collect();
        assert_eq!(keys, [9, 3, 1, 2]);
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_set(
            steps in prop::collection::vec((0u8..8, 0i64..12, 0u8..6, 0u8..2), 0..400),
        ) {
            let mut timers = TimerQueue::<u8, u8>::default();
            let mut model = BTreeSet::new();
            let mut capture: Option<(BTreeSet<_>, TimerQueue<u8, u8>)> = None;
            let all = KeyGroupRange { start: 0, end: 6 };
            for (what, time, key, namespace) in steps {
                let timer = (time, key, namespace);
                match what {
                    0..=3 => prop_assert_eq!(
                        timers.register(time, u64::from(key), &key, &namespace),
                        model.insert(timer)
                    ),
                    4 | 5 => prop_assert_eq!(
                        timers.delete(time, u64::from(key), &key, &namespace),
                        model.remove(&timer)
                    ),
                    _ => {
                        let popped = timers.pop_due(time);
                        let earliest = model.first().map(|(time, ..)| *time);
                        match popped {
                            Some(timer) => {
                                prop_assert_eq!(Some(timer.time), earliest);
                                let timer = (timer.time, timer.key, timer.namespace);
                                prop_assert!(model.remove(&timer));
                            }
                            None => prop_assert!(earliest.is_none_or(|earliest| earliest > time)),
                        }
                    }
                }
                match capture.take() {
                    None if time % 3 == 0 => {
                        timers.begin_capture();
                        capture = Some((model.clone(), TimerQueue::default()));
                    }
                    None => {}
                    Some((expected, mut restored)) => {
                        match timers.next_block(BlockKind::EventTimers, 5).unwrap() {
                            Some(block) => {
                                restored.restore(&block, all, 7).unwrap();
                                capture = Some((expected, restored));
                            }
                            None => {
                                let restored: BTreeSet<_> =
                                    restored.iter().map(|t| (t.time, t.key, t.namespace)).collect();
                                prop_assert_eq!(restored, expected);
                            }
                        }
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                if let Some((earliest, ..)) = model.first() {
                    prop_assert!(timers.next_time().is_some_and(|time| time <= *earliest));
                }
                let all: BTreeSet<_> =
                    timers.iter().map(|t| (t.time, t.key, t.namespace)).collect();
                prop_assert_eq!(&all, &model);
                prop_assert!(timers.order.len() <= 2 * timers.len() + 64);
            }
        }
    }
}
