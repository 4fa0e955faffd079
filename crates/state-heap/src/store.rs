//! All keyed states of one operator, by name, with the current key.
//!
//! A state is registered once, in `open`, and reached through the handle that this gives. A handle
//! knows the type of its values; the store knows the key. Access costs one table look-up with a
//! hash that was computed for the record.
//!
//! The store has no clock: its owner tells it the time once per batch ([`KeyedStateStore::begin_batch`]),
//! which is also when state whose time to live has passed is cleaned up, so much as the accesses
//! since have earned.

mod append_list;
mod error;
mod folding;
mod list;
mod map;
mod registration;
mod slot;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod ttl_tests;
mod value;

use hurtig_state_api::Key;
use hurtig_types::{
    KeyGroupRange, Record,
    codec::CodecError,
    snapshot::{StateKind, StateMeta},
    stable_hash,
};

use crate::{
    capture::Block,
    table::{HashOf, KeyedTable},
    ttl::{Expiring, Ttl},
};

pub use append_list::AppendListState;
pub use error::StateError;
pub use folding::{AggregatingState, ReducingState};
pub use list::ListState;
pub use map::{MapEntries, MapState};
pub use value::ValueState;

use slot::{Slot, TimedAccess, keep};

/// Most buckets that are looked at per batch and state for what has expired.
const MAX_SWEEP: usize = 16_384;

/// What a handle knows of its state.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: usize,
    ttl: Option<Ttl>,
}

/// A handle of a keyed state of any kind.
pub trait KeyedState: sealed::HasPlace {}
impl<T: sealed::HasPlace> KeyedState for T {}

mod sealed {
    /// Says which state of its store a handle is of.
    pub trait HasPlace {
        fn slot(&self) -> usize;
    }
}
use sealed::HasPlace;

/// A state of a snapshot that has not been registered yet. Files of one chain may have been written
/// by programs that described it differently.
struct Restored {
    metas: Vec<StateMeta>,
    blocks: Vec<(usize, Block)>,
}

/// Describes a keyed state for snapshots.
pub fn keyed_state_meta<K: Key, V: Record>(name: &str, kind: StateKind) -> StateMeta {
    StateMeta::by_key::<K, V>(name, kind)
}

/// All keyed states of one operator.
pub struct KeyedStateStore<K> {
    slots: Vec<Slot<K>>,
    range: KeyGroupRange,
    max_parallelism: u32,
    hash_of: HashOf<K>,
    current: Option<(u64, K)>,
    /// Number of the last capture, or 1.
    epoch: u32,
    /// In their order.
    restored: Vec<Restored>,
    /// The slot that the capture under way is at.
    capturing: Option<usize>,
    now_ms: i64,
    /// Some state has a time to live.
    timed: bool,
}

impl<K: Key> KeyedStateStore<K> {
    /// A store for a range of key groups, opened at a time of the wall clock.
    pub fn new(range: KeyGroupRange, max_parallelism: u32, now_ms: i64) -> Self {
        Self {
            slots: Vec::new(),
            range,
            max_parallelism,
            hash_of: stable_hash::<K>,
            current: None,
            epoch: 1,
            restored: Vec::new(),
            capturing: None,
            now_ms,
            timed: false,
        }
    }

    /// The same for keys of which only a part says to which key group they belong.
    #[must_use]
    pub fn hashed_by(mut self, hash_of: HashOf<K>) -> Self {
        self.hash_of = hash_of;
        self
    }

    /// Tells the time, and cleans up some of what has expired. To be called once per batch of
    /// `records` records, or before timers are fired.
    #[inline]
    pub fn begin_batch(&mut self, now_ms: i64, records: usize) {
        self.now_ms = self.now_ms.max(now_ms);
        if self.timed {
            self.clean_up(records);
        }
    }

    fn clean_up(&mut self, records: usize) {
        for slot in &mut self.slots {
            let Some(timed) = &mut slot.timed else { continue };
            let Some(cleanup) = timed.cleanup else { continue };
            if cleanup.run_cleanup_for_every_record {
                timed.earned += records * cleanup.cleanup_size as usize;
            }
            // Tables are at least half empty for much of their life: two buckets per entry.
            let buckets = std::mem::take(&mut timed.earned).saturating_mul(2);
            slot.table.sweep(buckets.min(MAX_SWEEP), self.now_ms);
        }
    }

    /// Takes a block of a snapshot; it is decoded when its state is registered.
    pub fn restore(&mut self, meta: &StateMeta, block: Block) {
        let known = self.restored.iter().position(|restored| restored.metas[0].name == meta.name);
        let index = known.unwrap_or_else(|| {
            self.restored.push(Restored { metas: vec![meta.clone()], blocks: Vec::new() });
            self.restored.len() - 1
        });
        let restored = &mut self.restored[index];
        let described = restored.metas.iter().position(|known| known == meta);
        let described = described.unwrap_or_else(|| {
            restored.metas.push(meta.clone());
            restored.metas.len() - 1
        });
        restored.blocks.push((described, block));
    }

    /// Describes the states that are registered, and those of the snapshot that are not yet.
    pub fn metas(&self) -> impl Iterator<Item = &StateMeta> {
        let unread = self.restored.iter().filter_map(|restored| restored.metas.last());
        self.slots.iter().map(|slot| &slot.meta).chain(unread)
    }

    /// Begins a capture of all states; see [`KeyedTable::begin_capture`].
    pub fn begin_capture(&mut self, since: Option<u32>) -> u32 {
        self.epoch += 1;
        let now_ms = self.now_ms;
        self.slots.iter_mut().for_each(|slot| slot.table.begin_capture(since, now_ms));
        self.capturing = Some(0);
        self.epoch
    }

    /// Gives up the capture that is under way, if any.
    pub fn cancel_capture(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.table.cancel_capture());
        self.capturing = None;
    }

    /// See [`KeyedTable::forget_removals_before`].
    pub fn forget_removals_before(&mut self, capture: u32) {
        self.slots.iter_mut().for_each(|slot| slot.table.forget_removals_before(capture));
    }

    /// The next piece of the capture, with the state that it is of; `None` when it is complete.
    /// States of the snapshot that the program has not registered are passed on as they are.
    pub fn next_block(
        &mut self,
        max_bytes: usize,
    ) -> Result<Option<(&StateMeta, Block)>, CodecError> {
        while let Some(index) = self.capturing {
            let unread = index.checked_sub(self.slots.len());
            match unread {
                None => match self.slots[index].table.next_block(max_bytes)? {
                    Some(block) => return Ok(Some((&self.slots[index].meta, block))),
                    None => self.capturing = Some(index + 1),
                },
                Some(nth) => {
                    let mut blocks = self.restored.iter().flat_map(|restored| {
                        let blocks = restored.blocks.iter();
                        blocks.map(|(described, block)| (&restored.metas[*described], block))
                    });
                    match blocks.nth(nth) {
                        Some((meta, block)) => {
                            self.capturing = Some(index + 1);
                            return Ok(Some((meta, block.clone())));
                        }
                        None => self.capturing = None,
                    }
                }
            }
        }
        Ok(None)
    }

    /// Hash and key of every key that a registered state holds something for, state by state: a key
    /// comes once per state.
    pub fn each_key(&self, mut f: impl FnMut(u64, &K)) {
        for slot in &self.slots {
            slot.table.keys().iter().for_each(|(hash, key)| f(*hash, key));
        }
    }

    /// True if no state holds anything.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.table.is_empty()) && self.restored.is_empty()
    }

    /// Sets the current key.
    #[inline]
    pub fn set_current_key(&mut self, hash: u64, key: K) {
        self.current = Some((hash, key));
    }

    /// The current key with its hash.
    #[inline]
    pub fn current_key(&self) -> Option<(u64, &K)> {
        self.current.as_ref().map(|(hash, key)| (*hash, key))
    }

    /// Calls `f` for each key that a state has something for, with that key current.
    pub fn for_each_key<E: From<StateError>>(
        &mut self,
        state: &impl KeyedState,
        mut f: impl FnMut(&K, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let slot = self.slots.get(state.slot()).ok_or(StateError::ForeignHandle)?;
        let before = self.current.take();
        let mut result = Ok(());
        for (hash, key) in slot.table.keys() {
            self.current = Some((hash, key.clone()));
            result = f(&key, self);
            if result.is_err() {
                break;
            }
        }
        self.current = before;
        result
    }

    /// The table of a state without time to live, at the current key.
    #[inline]
    fn access<V: Record>(
        &mut self,
        place: Place,
    ) -> Result<(&mut KeyedTable<K, V>, u64, &K), StateError> {
        self.access_table(place)
    }

    /// What is behind a handle, at the current key.
    #[inline]
    fn access_table<T: 'static>(&mut self, place: Place) -> Result<(&mut T, u64, &K), StateError> {
        let slot = self.slots.get_mut(place.slot).ok_or(StateError::ForeignHandle)?;
        let table = slot.table.as_any().downcast_mut().ok_or(StateError::ForeignHandle)?;
        let (hash, key) = self.current.as_ref().ok_or(StateError::NoKey)?;
        Ok((table, *hash, key))
    }

    /// The same of a state with a time to live.
    fn access_timed<S: Expiring>(
        &mut self,
        place: Place,
    ) -> Result<TimedAccess<'_, K, S>, StateError> {
        let slot = self.slots.get_mut(place.slot).ok_or(StateError::ForeignHandle)?;
        let table = slot.table.as_any().downcast_mut().ok_or(StateError::ForeignHandle)?;
        let timed = slot.timed.as_deref_mut().ok_or(StateError::ForeignHandle)?;
        let (hash, key) = self.current.as_ref().ok_or(StateError::NoKey)?;
        if let Some(cleanup) = timed.cleanup {
            timed.earned += cleanup.cleanup_size as usize;
        }
        Ok(TimedAccess { table, hash: *hash, key, now_ms: self.now_ms, spare: &mut timed.spare })
    }
}
