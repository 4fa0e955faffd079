//! A priority queue for times that mostly lie ahead.
//!
//! Entries are kept in 65 buckets by the highest bit in which their time differs from `base`, the
//! time that was taken last. Bucket 0 holds the entries of `base` itself, in the order in which
//! they came; a bucket's entries all precede those of the next. When bucket 0 is empty, `base`
//! moves to the earliest entry and that entry's bucket is spread over the lower ones. So an entry
//! is only ever moved along arrays, at most once for each bit: no comparison tree, whose every step
//! misses the cache when there are a million timers.
//!
//! Entries before `base` are rare (a timer registered for the past) and are kept sorted beside.

use std::collections::VecDeque;

/// An emptied bucket keeps its memory if it has room for no more entries: one that held a million timers
/// may not be that full again for long.
const MOST_KEPT: usize = 1 << 12;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its time, in milliseconds.
    pub(crate) time: i64,
    /// What the entry is of.
    pub(crate) slot: u32,
    /// Tells it from an earlier one of the same slot.
    pub(crate) generation: u32,
}

#[derive(Debug)]
struct Bucket {
    places: Vec<Place>,
    earliest: i64,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct RadixHeap {
    base: i64,
    at_base: VecDeque<Place>,
    /// By the highest differing bit, from 0.
    buckets: [Bucket; 64],
    /// Which buckets are not empty.
    occupied: u64,
    past: VecDeque<Place>,
    len: usize,
}

impl Default for RadixHeap {
    fn default() -> Self {
        Self {
            base: i64::MIN,
            at_base: VecDeque::new(),
            buckets: std::array::from_fn(|_| Bucket { places: Vec::new(), earliest: i64::MAX }),
            occupied: 0,
            past: VecDeque::new(),
            len: 0,
        }
    }
}

impl RadixHeap {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry; it comes after those of its time that are there.
    pub(crate) fn push(&mut self, place: Place) {
        self.len += 1;
        self.insert(place);
    }

    #[inline]
    fn insert(&mut self, place: Place) {
        if place.time <= self.base {
            if place.time == self.base {
                self.at_base.push_back(place);
            } else {
                let after = self.past.partition_point(|known| known.time <= place.time);
                self.past.insert(after, place);
            }
            return;
        }
        let bit = 63 - (place.time ^ self.base).leading_zeros();
        let bucket = &mut self.buckets[bit as usize];
        bucket.earliest = bucket.earliest.min(place.time);
        bucket.places.push(place);
        self.occupied |= 1 << bit;
    }

    /// Time of the earliest entry.
    pub(crate) fn next_time(&self) -> Option<i64> {
        if let Some(place) = self.past.front() {
            return Some(place.time);
        }
        if !self.at_base.is_empty() {
            return Some(self.base);
        }
        let bit = self.nearest()?;
        Some(self.buckets[bit].earliest)
    }

    /// The bucket with the earliest entries. The sign bit differs from `base` only for times that
    /// are positive while `base` is negative: those lie furthest ahead, as its place says.
    fn nearest(&self) -> Option<usize> {
        (self.occupied != 0).then(|| self.occupied.trailing_zeros() as usize)
    }

    /// Takes the earliest entry, if it is at or before `now`.
    pub(crate) fn pop(&mut self, now: i64) -> Option<Place> {
        if self.next_time()? > now {
            return None;
        }
        self.len -= 1;
        if let Some(place) = self.past.pop_front() {
            return Some(place);
        }
        if self.at_base.is_empty() {
            let bit = self.nearest()?;
            let bucket = &mut self.buckets[bit];
            self.base = std::mem::replace(&mut bucket.earliest, i64::MAX);
            let places = std::mem::take(&mut bucket.places);
            self.occupied &= !(1 << bit);
            places.iter().for_each(|place| self.insert(*place));
            let emptied = &mut self.buckets[bit].places;
            if emptied.is_empty() && places.capacity() <= MOST_KEPT {
                // Its memory is used again.
                *emptied = places;
                emptied.clear();
            }
        }
        self.at_base.pop_front()
    }

    /// Keeps the entries for which `keep` is true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Place) -> bool) {
        self.past.retain(&keep);
        self.at_base.retain(&keep);
        let mut len = self.past.len() + self.at_base.len();
        for (bit, bucket) in self.buckets.iter_mut().enumerate() {
            bucket.places.retain(&keep);
            bucket.earliest =
                bucket.places.iter().map(|place| place.time).min().unwrap_or(i64::MAX);
            len += bucket.places.len();
            if bucket.places.is_empty() {
                self.occupied &= !(1 << bit);
            }
        }
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![-20i64..40, Just(i64::MIN), Just(i64::MAX), any::<i64>()]
    }

    proptest! {
        #[test]
        fn gives_entries_in_order(
            steps in prop::collection::vec((any::<bool>(), time()), 0..300),
        ) {
            let mut heap = RadixHeap::default();
            let mut model = BTreeSet::new();
            for (number, (is_push, time)) in steps.into_iter().enumerate() {
                let number = number as u32;
                if is_push {
                    heap.push(Place { time, slot: number, generation: 0 });
                    model.insert((time, number));
                } else {
                    let first = model.first().copied().filter(|(first, _)| *first <= time);
                    let popped = heap.pop(time).map(|place| (place.time, place.slot));
                    prop_assert_eq!(popped, first);
                    popped.map(|popped| model.remove(&popped));
                    if number.is_multiple_of(7) {
                        heap.retain(|place| !place.slot.is_multiple_of(3));
                        model.retain(|(_, number)| !number.is_multiple_of(3));
                    }
                }
                prop_assert_eq!(heap.len(), model.len());
                prop_assert_eq!(heap.next_time(), model.first().map(|(time, _)| *time));
            }
        }
    }
}
