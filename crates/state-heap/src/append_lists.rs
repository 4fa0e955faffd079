//! Lists of byte strings by key that only grow.
//!
//! As nothing is ever taken away or changed, a capture needs no copy of what changes under it: the
//! first bytes of a list are what the list was. In a snapshot it is a list of byte strings as any other.

use hashbrown::{HashTable, hash_table::Entry as RawEntry};
use hurtig_state_api::Key;
use hurtig_types::{
    KeyGroupRange,
    codec::CodecError,
    key_group_of,
    varint::{MOST_LENGTH_BYTES, write_length},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, SeqAccess, Visitor},
};

use crate::{
    arena::{Arena, Chain, Full, Rows},
    capture::{Block, BlockKind},
    table::{BYTES_PER_LOOK, HashOf, INSERTIONS_PER_LOOK, is_to_grow, room_for_more, spread},
};

#[cfg(test)]
mod tests;

#[derive(Debug)]
struct Entry<K> {
    hash: u64,
    key: K,
    list: Chain,
    /// The epoch of the last change.
    epoch: u32,
    /// How long it was when that epoch began, if the capture that began with it needs to know.
    before: u32,
}

/// A capture under way.
#[derive(Debug)]
struct Visit {
    /// Entries of this epoch or later are not part of it, but for what they were before.
    epoch: u32,
    /// Entries of an epoch before this one are not part of it.
    since: u32,
    /// The key group that is being visited, and the next bucket in it.
    group: usize,
    bucket: usize,
    /// The last block took all the looks that it was allowed.
    looked_enough: bool,
}

impl Visit {
    /// How many bytes of a list are part of the capture.
    #[inline]
    fn part_of<K>(&self, entry: &Entry<K>) -> u32 {
        if entry.epoch >= self.epoch {
            return entry.before;
        }
        if entry.epoch >= self.since { entry.list.bytes() } else { 0 }
    }
}

/// Lists by key, for the key groups of one subtask. See [`crate::KeyedTable`] for hashes and epochs.
#[derive(Debug)]
pub(crate) struct AppendLists<K> {
    groups: Vec<HashTable<Entry<K>>>,
    arena: Arena,
    range: KeyGroupRange,
    max_parallelism: u32,
    hash_of: HashOf<K>,
    len: usize,
    epoch: u32,
    visit: Option<Visit>,
}

impl<K: Key> AppendLists<K> {
    /// No lists; the next capture has the number after `epoch`.
    pub(crate) fn new(
        range: KeyGroupRange,
        max_parallelism: u32,
        hash_of: HashOf<K>,
        epoch: u32,
    ) -> Self {
        let groups = (0..range.len()).map(|_| HashTable::new()).collect();
        let arena = Arena::default();
        Self { groups, arena, range, max_parallelism, hash_of, len: 0, epoch, visit: None }
    }

    #[inline]
    fn group_index(&self, hash: u64) -> usize {
        let key_group = key_group_of(hash, self.max_parallelism);
        debug_assert!(self.range.contains(key_group), "{key_group} is not in {:?}", self.range);
        (key_group - self.range.start) as usize
    }

    /// The list of a key.
    #[inline]
    pub(crate) fn rows(&self, hash: u64, key: &K) -> Rows<'_> {
        let group = &self.groups[self.group_index(hash)];
        let entry = group.find(spread(hash), |e| e.hash == hash && e.key == *key);
        entry.map_or_else(Rows::default, |e| self.arena.rows(&e.list, e.list.bytes()))
    }

    /// Appends to the list of a key.
    #[inline]
    pub(crate) fn add<'a>(
        &mut self,
        hash: u64,
        key: &K,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Full> {
        let (list, arena) = self.list(hash, key);
        for row in rows {
            arena.push(list, row)?;
        }
        Ok(())
    }

    /// The list of a key, to be made longer.
    #[inline]
    fn list(&mut self, hash: u64, key: &K) -> (&mut Chain, &mut Arena) {
        let index = self.group_index(hash);
        let group = &mut self.groups[index];
        // A look for a key can make the table grow, whether or not the key is there.
        if let Some(visit) = &mut self.visit
            && is_to_grow(group, index)
        {
            group.reserve(room_for_more(group), |e| spread(e.hash));
            // Its entries have moved: it is visited again. What comes twice is the same.
            if visit.group == index {
                visit.bucket = 0;
            }
        }
        let found =
            group.entry(spread(hash), |e| e.hash == hash && e.key == *key, |e| spread(e.hash));
        let entry = match found {
            RawEntry::Occupied(entry) => {
                let entry = entry.into_mut();
                if entry.epoch != self.epoch {
                    entry.before = self.visit.as_ref().map_or(0, |visit| visit.part_of(entry));
                    entry.epoch = self.epoch;
                }
                entry
            }
            RawEntry::Vacant(entry) => {
                self.len += 1;
                let (epoch, list) = (self.epoch, Chain::default());
                let fresh = Entry { hash, key: key.clone(), list, epoch, before: 0 };
                let group = entry.into_table();
                if self.len.is_multiple_of(INSERTIONS_PER_LOOK) && is_to_grow(group, index) {
                    group.reserve(room_for_more(group), |e| spread(e.hash));
                }
                let entry = group.insert_unique(spread(hash), fresh, |e| spread(e.hash));
                entry.into_mut()
            }
        };
        (&mut entry.list, &mut self.arena)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys with their hashes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u64, &K)> {
        self.groups.iter().flat_map(HashTable::iter).map(|e| (e.hash, &e.key))
    }

    /// Begins a capture; one under way is given up. See [`crate::KeyedTable::begin_capture`].
    pub(crate) fn begin_capture(&mut self, since: Option<u32>) -> u32 {
        self.epoch += 1;
        let (epoch, since) = (self.epoch, since.unwrap_or(0));
        self.visit = Some(Visit { epoch, since, group: 0, bucket: 0, looked_enough: false });
        self.epoch
    }

    pub(crate) fn cancel_capture(&mut self) {
        self.visit = None;
    }

    /// The next piece of the capture; see [`crate::KeyedTable::next_block`].
    pub(crate) fn next_block(&mut self, max_bytes: usize) -> Result<Option<Block>, CodecError> {
        let Some(visit) = &mut self.visit else { return Ok(None) };
        if std::mem::take(&mut visit.looked_enough) {
            return Ok(Some(Block::new(0, BlockKind::Entries)));
        }
        let mut looks = max_bytes / BYTES_PER_LOOK + 1;
        while let Some(group) = self.groups.get(visit.group) {
            let key_group = self.range.start + visit.group as u32;
            let mut block = Block::new(key_group, BlockKind::Entries);
            while visit.bucket < group.num_buckets() && block.bytes.len() < max_bytes && looks > 0 {
                if let Some(entry) = group.get_bucket(visit.bucket) {
                    let part = visit.part_of(entry);
                    if part > 0 {
                        block.push(&entry.key, &Part(self.arena.rows(&entry.list, part)))?;
                    }
                }
                visit.bucket += 1;
                looks -= 1;
            }
            if visit.bucket >= group.num_buckets() {
                visit.group += 1;
                visit.bucket = 0;
            }
            if block.count > 0 || looks == 0 {
                visit.looked_enough = looks == 0 && block.count > 0;
                return Ok(Some(block));
            }
        }
        self.visit = None;
        Ok(None)
    }

    /// Takes a block of a snapshot. Of a key that comes twice the first one counts, so that the
    /// latest block is to come first. Entries of key groups of others are skipped.
    pub(crate) fn restore(&mut self, block: &Block) -> Result<(), CodecError> {
        if !self.range.contains(block.key_group) {
            return Ok(());
        }
        let malformed = |what: &str| Err(CodecError::Malformed(what.to_owned()));
        match block.kind {
            BlockKind::Entries => {}
            BlockKind::Removals if block.count == 0 => return Ok(()),
            BlockKind::Removals => return malformed("a list that only grows was removed"),
            _ => return malformed("timers where keyed state should be"),
        }
        let (max_parallelism, hash_of) = (self.max_parallelism, self.hash_of);
        block.each_entry(max_parallelism, hash_of, |hash, key: K, rows: Read| {
            let (list, arena) = self.list(hash, &key);
            if list.bytes() > 0 {
                return Ok(());
            }
            let full = |Full| CodecError::Malformed("lists exceed what can be kept".to_owned());
            arena.extend(list, &rows.0).map_err(full)
        })
    }
}

/// Rows to be written.
struct Part<'a>(Rows<'a>);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_rows(self.0.clone(), serializer)
    }
}

fn write_rows<S: Serializer>(rows: Rows<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeSeq;
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    let mut out = serializer.serialize_seq(Some(rows.clone().count()))?;
    for row in rows {
        out.serialize_element(&Bytes(row))?;
    }
    out.end()
}

/// Rows that were read, each behind its length. Describes the state, too.
#[derive(Clone, Debug)]
pub(crate) struct Read(Vec<u8>);

impl Serialize for Read {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_rows(Rows::of(&self.0), serializer)
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Read;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of byte strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Read, A::Error> {
                let mut read = Vec::new();
                while rows.next_element_seed(Next(&mut read))?.is_some() {}
                Ok(Read(read))
            }
        }
        deserializer.deserialize_seq(All)
    }
}

/// Appends the next row.
struct Next<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_bytes<E: de::Error>(self, row: &[u8]) -> Result<(), E> {
        let mut length = [0; MOST_LENGTH_BYTES];
        self.0.extend_from_slice(write_length(row.len(), &mut length));
        self.0.extend_from_slice(row);
        Ok(())
    }
}
