//! Captures: writing a table down while it goes on changing.
//!
//! 1. `begin_capture` begins a new epoch. Nothing is copied: every entry that is older than the
//!    epoch is as it was at this moment.
//! 2. Between two batches the owner asks for blocks. Each visits some entries, key group by key
//!    group, and encodes those that are part of the capture.
//! 3. An entry that is about to change, and that has not been visited yet, is encoded first, into
//!    the buffer of its key group. It then belongs to the new epoch, and the visit passes it over.
//!
//! An entry may be written twice (it changes in the key group that is being visited, after the
//! visit); both are the same, so that does no harm.
//!
//! A capture *since* an earlier one leaves out what has not changed since that began. For it the
//! table remembers the keys that were removed, by epoch. Within one capture removals apply before
//! entries.

use hurtig_state_api::Key;
use hurtig_types::{Record, codec, codec::CodecError, key_group_of};
use serde::{Deserialize, Serialize};

use crate::table::{Entry, HashOf};

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockKind {
    /// Keys with values.
    Entries,
    /// Keys that are no more.
    Removals,
    /// Timers of event time, of any key group.
    EventTimers,
    /// Timers of the wall clock, of any key group.
    ProcessingTimers,
}

impl BlockKind {
    /// True for blocks of timers. A capture writes all of them, whatever has changed.
    pub fn is_timers(self) -> bool {
        matches!(self, Self::EventTimers | Self::ProcessingTimers)
    }
}

/// A piece of a capture: some entries of one key group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The key group; 0 for timers.
    pub key_group: u32,
    /// What it holds.
    pub kind: BlockKind,
    /// Which of several tables of one state it is of: the slice of a window, else 0.
    pub namespace: i64,
    /// How many.
    pub count: u32,
    /// Keys and values, one after the other, in the record codec.
    pub bytes: Vec<u8>,
}

impl Block {
    pub(crate) fn new(key_group: u32, kind: BlockKind) -> Self {
        Self { key_group, kind, namespace: 0, count: 0, bytes: Vec::new() }
    }

    pub(crate) fn push<K: Serialize, V: Serialize>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), CodecError> {
        codec::encode_into(key, &mut self.bytes)?;
        codec::encode_into(value, &mut self.bytes)?;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn each<T: Record>(
        &self,
        mut f: impl FnMut(T) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let total = self.bytes.len();
        let mut rest = &self.bytes[..];
        for _ in 0..self.count {
            let (item, left) = codec::decode_prefix::<T>(rest, total)?;
            let takes_no_bytes = left.len() == rest.len();
            rest = left;
            f(item)?;
            if takes_no_bytes {
                // All that follow are the same: a count alone must not keep us busy.
                break;
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(CodecError::Malformed(format!(
                "{} bytes follow the last entry of a block",
                rest.len()
            )))
        }
    }

    fn hash_of<K: Key>(
        &self,
        key: &K,
        max_parallelism: u32,
        hash_of: HashOf<K>,
    ) -> Result<u64, CodecError> {
        let hash = hash_of(key).map_err(|error| CodecError::Malformed(error.to_string()))?;
        if key_group_of(hash, max_parallelism) != self.key_group {
            let problem = format!("a key does not belong to key group {}", self.key_group);
            return Err(CodecError::Malformed(problem));
        }
        Ok(hash)
    }

    /// Calls `f` with hash, key and value of each entry.
    pub(crate) fn each_entry<K: Key, V: Record>(
        &self,
        max_parallelism: u32,
        hash_of: HashOf<K>,
        mut f: impl FnMut(u64, K, V) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        self.each(|(key, value): (K, V)| {
            f(self.hash_of(&key, max_parallelism, hash_of)?, key, value)
        })
    }

    /// Calls `f` with hash and key of each removal.
    pub(crate) fn each_key<K: Key>(
        &self,
        max_parallelism: u32,
        hash_of: HashOf<K>,
        mut f: impl FnMut(u64, K),
    ) -> Result<(), CodecError> {
        self.each(|key: K| {
            f(self.hash_of(&key, max_parallelism, hash_of)?, key);
            Ok(())
        })
    }
}

/// What of a value belongs into a capture.
#[derive(Debug)]
pub(crate) enum Kept<V> {
    All,
    Part(V),
    Nothing,
}

/// Leaves values out of a capture, or parts of them.
pub(crate) struct Filter<V> {
    /// When: passed to the function.
    pub(crate) horizon_ms: i64,
    pub(crate) keep: fn(&V, i64) -> Kept<V>,
}

impl<V> std::fmt::Debug for Filter<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter({})", self.horizon_ms)
    }
}

/// Bytes of what had to be written before its turn that make one block.
pub(crate) const CHANGED_BYTES: usize = 64 * 1024;

/// A capture under way.
#[derive(Debug)]
pub(crate) struct Capture<V> {
    /// Entries of this epoch or later are not part of it.
    epoch: u32,
    /// Entries of an epoch before this one are not part of it.
    since: u32,
    /// The key group that is being visited, and the next bucket in it.
    pub(crate) group: usize,
    pub(crate) bucket: usize,
    removals_taken: bool,
    /// The last block took all the looks that it was allowed.
    pub(crate) looked_enough: bool,
    /// What was about to change, by key group.
    changed: Vec<Changed>,
    filter: Option<Filter<V>>,
}

/// In blocks, so that its turn does not take long either.
#[derive(Debug, Default)]
struct Changed {
    blocks: Vec<Block>,
    error: Option<CodecError>,
}

impl<V: Record> Capture<V> {
    pub(crate) fn new(
        epoch: u32,
        since: Option<u32>,
        groups: usize,
        filter: Option<Filter<V>>,
    ) -> Self {
        let changed = (0..groups).map(|_| Changed::default()).collect();
        let since = since.unwrap_or(0);
        Self {
            epoch,
            since,
            group: 0,
            bucket: 0,
            removals_taken: since == 0,
            looked_enough: false,
            changed,
            filter,
        }
    }

    /// Writes an entry, as far as it is to be kept.
    pub(crate) fn write<K: Key>(
        &self,
        entry: &Entry<K, V>,
        block: &mut Block,
    ) -> Result<(), CodecError> {
        let Some(filter) = &self.filter else {
            return block.push(&entry.key, &entry.value);
        };
        match (filter.keep)(&entry.value, filter.horizon_ms) {
            Kept::All => block.push(&entry.key, &entry.value),
            Kept::Part(value) => block.push(&entry.key, &value),
            Kept::Nothing => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn is_part(&self, epoch: u32) -> bool {
        self.since <= epoch && epoch < self.epoch
    }

    /// An entry is about to change or to go.
    pub(crate) fn changed<K: Key>(&mut self, group: usize, entry: &Entry<K, V>) {
        if group < self.group || !self.is_part(entry.epoch) || group >= self.changed.len() {
            return;
        }
        let mut changed = std::mem::take(&mut self.changed[group]);
        if changed.blocks.last().is_none_or(|block| block.bytes.len() >= CHANGED_BYTES) {
            changed.blocks.push(Block::new(0, BlockKind::Entries));
        }
        if let Some(block) = changed.blocks.last_mut()
            && let Err(error) = self.write(entry, block)
        {
            changed.error = Some(error);
        }
        self.changed[group] = changed;
    }

    /// Some of what had to be written of the key group before its turn.
    pub(crate) fn take_changed(&mut self, key_group: u32) -> Result<Block, CodecError> {
        let Some(changed) = self.changed.get_mut(self.group) else {
            return Ok(Block::new(key_group, BlockKind::Entries));
        };
        if let Some(error) = changed.error.take() {
            return Err(error);
        }
        let block = changed.blocks.pop();
        let block = block.unwrap_or_else(|| Block::new(key_group, BlockKind::Entries));
        Ok(Block { key_group, ..block })
    }

    /// True if there is more of it.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed.get(self.group).is_some_and(|changed| !changed.blocks.is_empty())
    }

    /// The removals of the key group, once.
    pub(crate) fn take_removals(&mut self, key_group: u32, removals: &Removals) -> Option<Block> {
        if std::mem::replace(&mut self.removals_taken, true) {
            return None;
        }
        let mut block = Block::new(key_group, BlockKind::Removals);
        for (epoch, of_epoch) in &removals.epochs {
            if self.is_part(*epoch) {
                let (count, bytes) = &of_epoch[self.group];
                block.count += count;
                block.bytes.extend_from_slice(bytes);
            }
        }
        (block.count > 0).then_some(block)
    }

    pub(crate) fn next_group(&mut self) {
        self.group += 1;
        self.bucket = 0;
        self.removals_taken = self.since == 0;
    }
}

/// Keys that were removed, by epoch and key group, encoded. As long as captures succeed it holds
/// the removals of one interval.
#[derive(Debug)]
pub(crate) struct Removals {
    groups: usize,
    epochs: Vec<(u32, Vec<(u32, Vec<u8>)>)>,
}

impl Removals {
    pub(crate) fn new(groups: usize) -> Self {
        Self { groups, epochs: Vec::new() }
    }

    pub(crate) fn add<K: Serialize>(&mut self, epoch: u32, group: usize, key: &K) {
        if self.epochs.last().is_none_or(|(last, _)| *last != epoch) {
            self.epochs.push((epoch, vec![(0, Vec::new()); self.groups]));
        }
        if let Some((_, groups)) = self.epochs.last_mut() {
            let (count, bytes) = &mut groups[group];
            // A key that has been hashed can be encoded.
            if codec::encode_into(key, bytes).is_ok() {
                *count += 1;
            }
        }
    }

    pub(crate) fn forget_before(&mut self, epoch: u32) {
        self.epochs.retain(|(known, _)| *known >= epoch);
    }
}
