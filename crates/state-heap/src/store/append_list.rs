//! A list of byte strings per key that only grows.

use hurtig_state_api::Key;

use super::{HasPlace, KeyedStateStore, Place, StateError};
use crate::{append_lists::AppendLists, arena::Rows};

/// Handle of a list of byte strings per key to which rows are added, and from which none is ever
/// taken: without time to live, and never cleared. It takes little more memory than its bytes.
#[derive(Clone, Copy)]
pub struct AppendListState {
    place: Place,
}

impl HasPlace for AppendListState {
    fn slot(&self) -> usize {
        self.place.slot
    }
}

impl AppendListState {
    pub(super) fn new(place: Place) -> Self {
        Self { place }
    }

    /// The rows of the current key, in the order in which they were added.
    #[inline]
    pub fn get<'a, K: Key>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Rows<'a>, StateError> {
        let (table, hash, key) = store.access_table::<AppendLists<K>>(self.place)?;
        Ok(table.rows(hash, key))
    }

    /// Adds rows to those of the current key.
    #[inline]
    pub fn add<'a, K: Key>(
        &self,
        store: &mut KeyedStateStore<K>,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), StateError> {
        let (table, hash, key) = store.access_table::<AppendLists<K>>(self.place)?;
        table.add(hash, key, rows).map_err(|_| StateError::Full)
    }
}
