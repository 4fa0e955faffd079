//! Memory for bytes that are only added to, list by list.
//!
//! A list is a chain of chunks, a new one with room for about an eighth of what the list holds.
//! Chunks lie in pages one behind the other; none is ever moved or given back. So lists that grow
//! leave nothing behind, and a short one costs little more than its bytes.
//!
//! ```text
//! chunk = next: u32, room: u32, bytes    the place of the next chunk; how many bytes follow
//! ```
//! Places are counted in [`UNIT`]s from the beginning of the first page. What a chunk that is not
//! the last one has left over is no part of its `room`.

use hurtig_types::varint::{MOST_LENGTH_BYTES, read_length, write_length};

/// Chunks begin at multiples of it, in bytes.
const UNIT: usize = 8;

/// Bytes of a page. A chunk that is larger takes the places of several.
const PAGE: usize = 1 << 20;

const UNITS_PER_PAGE: usize = PAGE / UNIT;

/// So many can be told apart by places.
const MOST_PAGES: usize = u32::MAX as usize / UNITS_PER_PAGE;

/// Bytes of the first page to begin with: most arenas stay small.
const LEAST: usize = 1 << 12;

const HEADER: usize = 8;

/// No place.
const NONE: u32 = u32::MAX;

/// Most bytes of a chunk of more than one row, so that a long list does not keep much in store.
const MOST_ROOM: usize = 1 << 16;

/// There is no more room: in one list (4 GiB), or in the arena (32 GiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A list: rows, each behind its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    first: u32,
    last: u32,
    /// Bytes in the last chunk.
    used: u32,
    /// Bytes in all.
    bytes: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, used: 0, bytes: 0 }
    }
}

impl Chain {
    /// Length of the list in bytes: what it has now is what it will begin with for ever.
    #[inline]
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }
}

/// Holds the bytes of many lists.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Vec<u8>>,
    /// The page that is being filled.
    open: usize,
}

impl Arena {
    /// Appends a row to a list.
    #[inline]
    pub(crate) fn push(&mut self, list: &mut Chain, row: &[u8]) -> Result<(), Full> {
        let mut length = [0; MOST_LENGTH_BYTES];
        let length = write_length(row.len(), &mut length);
        let to = self.room(list, length.len() + row.len())?;
        let (head, tail) = to.split_at_mut(length.len());
        head.copy_from_slice(length);
        tail.copy_from_slice(row);
        Ok(())
    }

    /// Appends rows that are behind their lengths already.
    pub(crate) fn extend(&mut self, list: &mut Chain, rows: &[u8]) -> Result<(), Full> {
        if !rows.is_empty() {
            self.room(list, rows.len())?.copy_from_slice(rows);
        }
        Ok(())
    }

    /// The rows of a list that are in its first `bytes`.
    pub(crate) fn rows(&self, list: &Chain, bytes: u32) -> Rows<'_> {
        Rows { arena: Some(self), next: list.first, left: bytes as usize, chunk: &[] }
    }

    /// Makes a list longer; returns the place of the new bytes.
    #[inline]
    fn room(&mut self, list: &mut Chain, bytes: usize) -> Result<&mut [u8], Full> {
        let total = list.bytes as usize + bytes;
        let total = u32::try_from(total).map_err(|_| Full)?;
        let fits = list.last != NONE && {
            let (_, room) = header(self.at(list.last));
            room - list.used as usize >= bytes
        };
        if !fits {
            self.lengthen(list, bytes)?;
        }
        let from = HEADER + list.used as usize;
        list.bytes = total;
        list.used += bytes as u32;
        let chunk = self.at_mut(list.last);
        Ok(&mut chunk[from..from + bytes])
    }

    /// Appends a chunk to a list with room for at least so many bytes.
    fn lengthen(&mut self, list: &mut Chain, bytes: usize) -> Result<(), Full> {
        // Room for a whole number of rows, which are alike in length, but not equal.
        let rows = (list.bytes as usize / 8).min(MOST_ROOM) / bytes;
        let wanted = if rows > 1 { bytes * rows + bytes / 4 } else { bytes };
        let (place, room) = self.allocate(bytes, wanted)?;
        write_header(self.at_mut(place), NONE, room);
        if list.last == NONE {
            list.first = place;
        } else {
            write_header(self.at_mut(list.last), place, list.used as usize);
        }
        list.last = place;
        list.used = 0;
        Ok(())
    }

    /// A chunk for at least `least` bytes; also how many it holds.
    fn allocate(&mut self, least: usize, wanted: usize) -> Result<(u32, usize), Full> {
        let units = |bytes: usize| (HEADER + bytes).div_ceil(UNIT);
        let (least, wanted) = (units(least), units(wanted));
        if least > UNITS_PER_PAGE {
            let place = self.add_pages(least.div_ceil(UNITS_PER_PAGE))?;
            self.pages[place / UNITS_PER_PAGE] = vec![0; least * UNIT];
            return Ok((place as u32, least * UNIT - HEADER));
        }
        let used = self.pages.get(self.open).map_or(PAGE, Vec::len) / UNIT;
        let (first, units) = if used + least <= UNITS_PER_PAGE {
            (self.open * UNITS_PER_PAGE + used, wanted.min(UNITS_PER_PAGE - used))
        } else {
            let place = self.add_pages(1)?;
            self.open = place / UNITS_PER_PAGE;
            (place, wanted.min(UNITS_PER_PAGE))
        };
        let page = &mut self.pages[self.open];
        let length = page.len() + units * UNIT;
        if length > page.capacity() {
            let capacity = if self.open > 0 { PAGE } else { length.max(2 * page.capacity()) };
            page.reserve_exact(capacity.clamp(LEAST, PAGE) - page.len());
        }
        page.resize(length, 0);
        Ok((first as u32, units * UNIT - HEADER))
    }

    /// Adds empty pages; returns the place at which the first begins.
    fn add_pages(&mut self, pages: usize) -> Result<usize, Full> {
        let first = self.pages.len();
        if first + pages > MOST_PAGES {
            return Err(Full);
        }
        self.pages.resize_with(first + pages, Vec::new);
        Ok(first * UNITS_PER_PAGE)
    }

    #[inline]
    fn at(&self, place: u32) -> &[u8] {
        let (page, unit) = (place as usize / UNITS_PER_PAGE, place as usize % UNITS_PER_PAGE);
        &self.pages[page][unit * UNIT..]
    }

    #[inline]
    fn at_mut(&mut self, place: u32) -> &mut [u8] {
        let (page, unit) = (place as usize / UNITS_PER_PAGE, place as usize % UNITS_PER_PAGE);
        &mut self.pages[page][unit * UNIT..]
    }
}

/// Place of the next chunk, and bytes of this one.
#[inline]
fn header(chunk: &[u8]) -> (u32, usize) {
    let number =
        |at: usize| u32::from_le_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
    (number(0), number(4) as usize)
}

#[inline]
fn write_header(chunk: &mut [u8], next: u32, room: usize) {
    chunk[..4].copy_from_slice(&next.to_le_bytes());
    chunk[4..HEADER].copy_from_slice(&(room as u32).to_le_bytes());
}

/// Rows of a list, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Rows<'a> {
    arena: Option<&'a Arena>,
    next: u32,
    /// Bytes in the chunks from the next one on.
    left: usize,
    /// What is left of the present one.
    chunk: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Rows that are each behind its length.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { arena: None, next: NONE, left: 0, chunk: bytes }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.chunk.is_empty() {
            if self.left == 0 {
                return None;
            }
            let chunk = self.arena?.at(self.next);
            let (next, room) = header(chunk);
            let length = room.min(self.left);
            self.chunk = &chunk[HEADER..HEADER + length];
            self.left -= length;
            self.next = next;
        }
        let (length, rest) = read_length(self.chunk)?;
        let (row, rest) = rest.split_at_checked(length)?;
        self.chunk = rest;
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![20 => 0..300_usize, 1 => 60_000..70_000_usize, 1 => PAGE - 20..3 * PAGE]
    }

    proptest! {
        #[test]
        fn lists_are_what_was_added(
            rows in prop::collection::vec((0..5_usize, lengths(), any::<u8>()), 0..200)
        ) {
            let mut arena = Arena::default();
            let mut lists = [(); 5].map(|()| (Chain::default(), Vec::new()));
            // How long they were at some time, and how many rows they had.
            let mut before = Vec::new();
            for (list, length, byte) in rows {
                let (chain, model) = &mut lists[list];
                arena.push(chain, &vec![byte; length]).unwrap();
                model.push((length, byte));
                before.push((list, chain.bytes(), model.len()));
            }
            for (list, bytes, rows) in before {
                let (chain, model) = &lists[list];
                let found = arena.rows(chain, bytes);
                let found = found.map(|row| (row.len(), row.to_vec()));
                let expected = model[..rows].iter();
                prop_assert!(found.eq(expected.map(|(length, byte)| (*length, vec![*byte; *length]))));
            }
        }
    }

    #[test]
    fn many_lists_take_little_more_than_their_bytes() {
        for rows_each in [1, 3, 15, 100, 500] {
            let (mut arena, mut bytes) = (Arena::default(), 0);
            let mut lists = vec![Chain::default(); 60_000 / rows_each];
            for row in 0..rows_each {
                for (list, chain) in lists.iter_mut().enumerate() {
                    let length = 90 + (row * 7 + list * 13) % 20;
                    arena.push(chain, &vec![1; length]).unwrap();
                    bytes += length;
                }
            }
            let taken: usize = arena.pages.iter().map(Vec::capacity).sum();
            assert!(taken < bytes * 6 / 5 + PAGE, "{rows_each} rows: {taken} for {bytes} bytes");
        }
    }

    #[test]
    fn a_list_ends_at_four_gibibytes() {
        let mut arena = Arena::default();
        let mut list = Chain { bytes: u32::MAX - 10, ..Chain::default() };
        assert_eq!(arena.push(&mut list, &[0; 10]), Err(Full));
        assert_eq!(arena.push(&mut list, &[0; 9]), Ok(()));
    }

    #[test]
    fn an_arena_ends_where_places_do() {
        let mut arena = Arena::default();
        arena.pages.resize_with(MOST_PAGES - 1, Vec::new);
        arena.open = MOST_PAGES;
        let mut list = Chain::default();
        assert_eq!(arena.push(&mut list, &vec![0; PAGE]), Err(Full));
        assert_eq!(arena.push(&mut list, &[0; 100]), Ok(()));
        assert_eq!(arena.push(&mut list, &vec![0; PAGE - HEADER - 3]), Err(Full));
    }
}
