//! A table of keyed values.
//!
//! One hash table per key group. Each entry carries the epoch in which it was last changed; a
//! capture (see [`crate::capture`]) begins a new epoch, so that what it is of can be told from what
//! has changed since, without stopping and without copying the table.

use hashbrown::{HashTable, hash_table::Entry as RawEntry};
use hurtig_state_api::Key;
use hurtig_types::{
    KeyGroupRange, KeyHashError, Record, codec::CodecError, key_group_of, stable_hash,
};

use crate::capture::{Block, BlockKind, Capture, Filter, Removals};

mod expiry;
#[cfg(test)]
mod tests;

pub(crate) use expiry::sweep;

/// How the keys of a table are hashed.
pub type HashOf<K> = fn(&K) -> Result<u64, KeyHashError>;

#[derive(Clone, Debug)]
pub(crate) struct Entry<K, V> {
    hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
    /// The epoch of the last change.
    pub(crate) epoch: u32,
}

/// Spreads a stable hash over the bits that a hash table looks at: within a key group the low bits
/// of the stable hash are all alike.
#[inline]
pub(crate) fn spread(hash: u64) -> u64 {
    hash.rotate_left(32) ^ hash
}

/// What a look at one bucket counts for in a piece of a capture: it takes about as long as to write
/// so many bytes.
pub(crate) const BYTES_PER_LOOK: usize = 16;

/// Tables of at least so many entries do not wait until they are full to grow.
const STAGGERED_FROM: usize = 1 << 12;

/// How many new keys of a table come between two looks whether a key group is to grow.
pub(crate) const INSERTIONS_PER_LOOK: usize = 16;

/// True if the table of a key group is to grow before the next insertion.
///
/// Key groups are alike in size: if each grew when it is full, all would move their entries within
/// a few batches, one long pause. So large ones grow when they are between 7/8 full and full,
/// depending on the key group.
#[inline]
pub(crate) fn is_to_grow<T>(group: &HashTable<T>, index: usize) -> bool {
    let capacity = group.capacity();
    let left = capacity - group.len();
    left <= capacity / 8 && left <= early_growth(capacity, index)
}

/// Makes more room than there is: the table doubles, or clears up what removals have left.
#[cold]
fn grow<K, V>(group: &mut HashTable<Entry<K, V>>) {
    group.reserve(room_for_more(group), |e| spread(e.hash));
}

/// For how many entries to reserve room, so that there is more than now.
pub(crate) fn room_for_more<T>(group: &HashTable<T>) -> usize {
    group.capacity() - group.len() + 1
}

/// How many entries before it is full a table grows.
fn early_growth(capacity: usize, index: usize) -> usize {
    if capacity < STAGGERED_FROM {
        return 0;
    }
    // Any run of indices is spread evenly.
    let spread = (index as u32).wrapping_mul(0x9E37_79B9) >> 16;
    ((capacity / 8) * spread as usize) >> 16
}

/// Values by key, for the key groups of one subtask.
///
/// Hashes must be those of `hurtig_types::stable_hash`; a key whose key group is not in the range is a fault of
/// the caller, checked in debug builds.
#[derive(Debug)]
pub struct KeyedTable<K, V> {
    groups: Vec<HashTable<Entry<K, V>>>,
    range: KeyGroupRange,
    max_parallelism: u32,
    len: usize,
    epoch: u32,
    removals: Option<Removals>,
    capture: Option<Box<Capture<V>>>,
    hash_of: HashOf<K>,
    /// Where the search for what has expired goes on: key group and bucket.
    sweep: (usize, usize),
}

impl<K: Key, V: Record> KeyedTable<K, V> {
    /// An empty table for a range of key groups.
    pub fn new(range: KeyGroupRange, max_parallelism: u32) -> Self {
        let groups = (0..range.len()).map(|_| HashTable::new()).collect();
        Self {
            groups,
            range,
            max_parallelism,
            len: 0,
            epoch: 1,
            removals: None,
            capture: None,
            hash_of: stable_hash::<K>,
            sweep: (0, 0),
        }
    }

    /// The same table for keys that are hashed in another way, with the state of their key group.
    pub fn hashed_by(mut self, hash_of: HashOf<K>) -> Self {
        self.hash_of = hash_of;
        self
    }

    /// An empty table whose next capture has the number after `epoch`.
    pub(crate) fn at_epoch(mut self, epoch: u32) -> Self {
        self.epoch = epoch;
        self
    }

    /// From now on remembers which keys are removed, so that captures can be of changes alone.
    pub fn track_removals(&mut self) {
        self.removals.get_or_insert_with(|| Removals::new(self.range.len()));
    }

    #[inline]
    fn group_index(&self, hash: u64) -> usize {
        let key_group = key_group_of(hash, self.max_parallelism);
        debug_assert!(
            self.range.contains(key_group),
            "key group {key_group} is not in {:?}",
            self.range
        );
        (key_group - self.range.start) as usize
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let group = &self.groups[self.group_index(hash)];
        group.find(spread(hash), |e| e.hash == hash && e.key == *key).map(|e| &e.value)
    }

    /// The value of a key, to change in place.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let index = self.group_index(hash);
        let group = &mut self.groups[index];
        let entry = group.find_mut(spread(hash), |e| e.hash == hash && e.key == *key)?;
        touch(entry, self.epoch, index, &mut self.capture);
        Some(&mut entry.value)
    }

    /// The value of a key, made by `fresh` if there is none. True if it was made.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        hash: u64,
        key: &K,
        fresh: impl FnOnce() -> V,
    ) -> (&mut V, bool) {
        let index = self.group_index(hash);
        if self.capture.is_some() && is_to_grow(&self.groups[index], index) {
            self.capture_before_rehash(index);
            grow(&mut self.groups[index]);
        }
        let group = &mut self.groups[index];
        let found =
            group.entry(spread(hash), |e| e.hash == hash && e.key == *key, |e| spread(e.hash));
        match found {
            RawEntry::Occupied(entry) => {
                let entry = entry.into_mut();
                touch(entry, self.epoch, index, &mut self.capture);
                (&mut entry.value, false)
            }
            RawEntry::Vacant(entry) => {
                self.len += 1;
                let epoch = self.epoch;
                let fresh = Entry { hash, key: key.clone(), value: fresh(), epoch };
                if self.len.is_multiple_of(INSERTIONS_PER_LOOK) {
                    let group = entry.into_table();
                    if is_to_grow(group, index) {
                        grow(group);
                    }
                    let inserted = group.insert_unique(spread(hash), fresh, |e| spread(e.hash));
                    return (&mut inserted.into_mut().value, true);
                }
                (&mut entry.insert(fresh).into_mut().value, true)
            }
        }
    }

    /// Sets the value of a key.
    #[inline]
    pub fn insert(&mut self, hash: u64, key: &K, value: V) {
        let mut value = Some(value);
        let (slot, fresh) = self.get_or_insert_with(hash, key, || match value.take() {
            Some(value) => value,
            None => unreachable!("called at most once"),
        });
        if !fresh && let Some(value) = value {
            *slot = value;
        }
    }

    /// Removes a key.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let index = self.group_index(hash);
        let mut found = self.groups[index]
            .find_entry(spread(hash), |e| e.hash == hash && e.key == *key)
            .ok()?;
        touch(found.get_mut(), self.epoch, index, &mut self.capture);
        self.len -= 1;
        let (entry, _) = found.remove();
        if let Some(removals) = &mut self.removals {
            removals.add(self.epoch, index, &entry.key);
        }
        Some(entry.value)
    }

    /// All keys with hash and value, key group by key group.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &K, &V)> {
        self.groups.iter().flat_map(|g| g.iter()).map(|e| (e.hash, &e.key, &e.value))
    }

    /// Takes all keys with hash and value out, owning them. A capture that is under way ends.
    pub fn into_entries(self) -> IntoEntries<K, V> {
        IntoEntries { groups: self.groups.into_iter(), current: None }
    }

    /// An empty table for the same key groups.
    pub fn empty_like<W: Record>(&self) -> KeyedTable<K, W> {
        KeyedTable::new(self.range, self.max_parallelism).hashed_by(self.hash_of)
    }

    /// Begins a capture of the table as it is now, and with it a new epoch; a capture under way is
    /// given up. With `since`, only what has changed since that capture's epoch.
    ///
    /// Returns the number of the new capture, to be passed as `since` of a later one.
    pub fn begin_capture(&mut self, since: Option<u32>) -> u32 {
        self.begin_filtered_capture(since, None)
    }

    /// Begins a capture that leaves out what the filter says.
    pub(crate) fn begin_filtered_capture(
        &mut self,
        since: Option<u32>,
        filter: Option<Filter<V>>,
    ) -> u32 {
        self.epoch += 1;
        self.capture = Some(Box::new(Capture::new(self.epoch, since, self.groups.len(), filter)));
        self.epoch
    }

    /// Gives up the capture that is under way, if any.
    pub fn cancel_capture(&mut self) {
        self.capture = None;
    }

    /// True while a capture is under way.
    pub fn is_capturing(&self) -> bool {
        self.capture.is_some()
    }

    /// Removals before this capture will not be asked for again.
    pub fn forget_removals_before(&mut self, capture: u32) {
        if let Some(removals) = &mut self.removals {
            removals.forget_before(capture);
        }
    }

    /// The next piece of the capture, of about `max_bytes`; `None` when it is complete.
    ///
    /// A look at what is not part of the capture takes time too: where little has changed in a large
    /// table, an empty block says that it is time for other work before the next call.
    pub fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError> {
        let Some(capture) = &mut self.capture else {
            return Ok(None);
        };
        let mut looks = max_bytes / BYTES_PER_LOOK + 1;
        if std::mem::take(&mut capture.looked_enough) {
            return Ok(Some(Block::new(0, BlockKind::Entries)));
        }
        while let Some(group) = self.groups.get(capture.group) {
            let key_group = self.range.start + capture.group as u32;
            if let Some(removals) = &self.removals
                && let Some(block) = capture.take_removals(key_group, removals)
            {
                return Ok(Some(block));
            }
            let mut block = capture.take_changed(key_group)?;
            while capture.bucket < group.num_buckets() && block.bytes.len() < max_bytes && looks > 0
            {
                if let Some(entry) = group.get_bucket(capture.bucket)
                    && capture.is_part(entry.epoch)
                {
                    capture.write(entry, &mut block)?;
                }
                capture.bucket += 1;
                looks -= 1;
            }
            if capture.bucket >= group.num_buckets() && !capture.has_changed() {
                capture.next_group();
            }
            if block.count > 0 {
                capture.looked_enough = looks == 0;
                return Ok(Some(block));
            }
            if looks == 0 {
                return Ok(Some(block));
            }
        }
        self.capture = None;
        Ok(None)
    }

    /// A key group's table that moves its entries would lose the place of a capture in it: the rest
    /// of the key group is captured first.
    fn capture_before_rehash(&mut self, index: usize) {
        let group = &self.groups[index];
        let Some(capture) = &mut self.capture else { return };
        if capture.group != index || capture.bucket == 0 {
            return;
        }
        while capture.bucket < group.num_buckets() {
            if let Some(entry) = group.get_bucket(capture.bucket) {
                capture.changed(index, entry);
            }
            capture.bucket += 1;
        }
        // Whatever the size of the table will be, all of it has been visited.
        capture.bucket = usize::MAX;
    }

    /// Applies a block of a capture. Entries of key groups of others are skipped.
    pub fn restore(&mut self, block: &Block) -> Result<(), CodecError> {
        self.restore_with(block, |value| Ok(Some(value)))
    }

    /// Applies a block of a capture of other values, which `f` turns into these, or into nothing.
    pub(crate) fn restore_with<W: Record>(
        &mut self,
        block: &Block,
        mut f: impl FnMut(W) -> Result<Option<V>, CodecError>,
    ) -> Result<(), CodecError> {
        if !self.range.contains(block.key_group) {
            return Ok(());
        }
        let (max_parallelism, hash_of) = (self.max_parallelism, self.hash_of);
        match block.kind {
            BlockKind::EventTimers | BlockKind::ProcessingTimers => {
                Err(CodecError::Malformed("timers where keyed state should be".to_owned()))
            }
            BlockKind::Entries => {
                block.each_entry(max_parallelism, hash_of, |hash, key: K, value: W| {
                    match f(value)? {
                        Some(value) => self.insert(hash, &key, value),
                        // What an earlier block had for the key is out of date all the same.
                        None => drop(self.remove(hash, &key)),
                    }
                    Ok(())
                })
            }
            BlockKind::Removals => block.each_key(max_parallelism, hash_of, |hash, key: K| {
                self.remove(hash, &key);
            }),
        }
    }
}

/// Marks an entry as changed; if a capture still needs it as it was, it is written there first.
#[inline]
fn touch<K: Key, V: Record>(
    entry: &mut Entry<K, V>,
    epoch: u32,
    group: usize,
    capture: &mut Option<Box<Capture<V>>>,
) {
    if entry.epoch != epoch {
        if let Some(capture) = capture {
            capture.changed(group, entry);
        }
        entry.epoch = epoch;
    }
}

/// Takes a table apart: hash, key and value of each entry, key group by key group.
#[derive(Debug)]
pub struct IntoEntries<K, V> {
    groups: std::vec::IntoIter<HashTable<Entry<K, V>>>,
    current: Option<hashbrown::hash_table::IntoIter<Entry<K, V>>>,
}

impl<K, V> Iterator for IntoEntries<K, V> {
    type Item = (u64, K, V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.current.as_mut().and_then(Iterator::next) {
                return Some((entry.hash, entry.key, entry.value));
            }
            self.current = Some(self.groups.next()?.into_iter());
        }
    }
}
