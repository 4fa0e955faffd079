//! What a regular join keeps of one input.

use arrow_schema::SchemaRef;
use hurtig_state_heap::{AppendListState, MapEntries, MapState, Rows};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use super::not_open;
use crate::{
    config::JoinInput,
    core::{Core, descriptor},
    rows::{RowBytes, RowCodec, state_error},
};

/// Rows of one input: their keys and their bytes.
pub(super) struct SideCodec {
    pub(super) key: RowCodec,
    pub(super) row: RowCodec,
    null_equal: Vec<bool>,
}

impl SideCodec {
    pub(super) fn new(schema: &SchemaRef, keys: &[usize], null_equal: &[bool]) -> FlowResult<Self> {
        let (key, row) = (RowCodec::new(schema, keys)?, RowCodec::all(schema)?);
        Ok(Self { key, row, null_equal: null_equal.to_vec() })
    }

    /// Which rows can have no partner, since their key has NULL.
    pub(super) fn without_partner(&self, rows: &arrow_array::RecordBatch) -> Option<Vec<bool>> {
        self.key.nulls(rows, |key| !self.null_equal.get(key).copied().unwrap_or(false))
    }
}

/// What is kept of equal rows, or of the row of a unique key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The row; empty where the map's key is the row.
    pub(super) row: RowBytes,
    /// How often it is there.
    pub(super) times: i64,
    /// How many partners each of them has, if that counts.
    pub(super) partners: i64,
}

pub(super) type Counted = MapState<RowBytes, Kept>;

/// The rows of a join key.
#[derive(Clone, Copy)]
enum Table {
    /// With how often they are there.
    Counted(Counted),
    /// All of them: none is ever taken away, expires, or must know of its partners.
    All(AppendListState),
}

pub(super) struct Side {
    pub(super) codec: SideCodec,
    /// What the map is keyed by: `None`, the row itself.
    pub(super) unique: Option<RowCodec>,
    input: JoinInput,
    pub(super) null: RowBytes,
    counts_partners: bool,
    table: Option<Table>,
}

/// The rows of a join key, and how often each is there.
pub(super) enum SideRows<'a> {
    Counted { entries: MapEntries<'a, RowBytes, Kept>, is_unique: bool },
    All(Rows<'a>),
}

impl<'a> Iterator for SideRows<'a> {
    type Item = (&'a [u8], i64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::All(rows) => rows.next().map(|row| (row, 1)),
            Self::Counted { entries, is_unique } => entries.next().map(|(key, kept)| {
                (if *is_unique { kept.row.bytes() } else { key.bytes() }, kept.times)
            }),
        }
    }
}

impl Side {
    /// Of an input. `counts_partners`: what is given of a row depends on whether it has partners.
    pub(super) fn new(
        input: &JoinInput,
        keys: &[usize],
        null_equal: &[bool],
        counts_partners: bool,
    ) -> FlowResult<Self> {
        let codec = SideCodec::new(&input.schema, keys, null_equal)?;
        let unique = match (&input.unique_key, input.join_key_contains_unique_key) {
            (_, true) => Some(RowCodec::new(&input.schema, &[])?),
            (Some(key), false) => Some(RowCodec::new(&input.schema, key)?),
            (None, false) => None,
        };
        let null = codec.row.null_row(&input.schema)?;
        Ok(Self { codec, unique, input: input.clone(), null, counts_partners, table: None })
    }

    /// Registers the state.
    pub(super) fn open(&mut self, name: &str, core: &mut Core) -> FlowResult {
        let lives_for_ever = self.input.ttl.is_none_or(|ttl| ttl.is_zero());
        let keeps_all = self.input.insert_only
            && self.unique.is_none()
            && lives_for_ever
            && !self.counts_partners;
        self.table = Some(if keeps_all {
            Table::All(core.store.append_list_state(name).map_err(state_error)?)
        } else {
            let state = descriptor!(MapStateDescriptor, name, self.input.ttl);
            Table::Counted(core.store.map_state(&state).map_err(state_error)?)
        });
        Ok(())
    }

    /// The counted rows; nothing where they are not counted.
    pub(super) fn counted(&self) -> FlowResult<Option<Counted>> {
        match self.table.ok_or_else(not_open)? {
            Table::Counted(table) => Ok(Some(table)),
            Table::All(_) => Ok(None),
        }
    }

    /// The rows of the current key.
    pub(super) fn rows<'a>(&self, core: &'a mut Core) -> FlowResult<SideRows<'a>> {
        Ok(match self.table.ok_or_else(not_open)? {
            Table::Counted(table) => SideRows::Counted {
                entries: table.entries(&mut core.store).map_err(state_error)?,
                is_unique: self.unique.is_some(),
            },
            Table::All(table) => SideRows::All(table.get(&mut core.store).map_err(state_error)?),
        })
    }

    /// Keeps rows of the current key. `map_key` is that of a row in the map.
    pub(super) fn add<'a>(
        &self,
        rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        partners: i64,
        core: &mut Core,
    ) -> FlowResult {
        let store = &mut core.store;
        let table = match self.table.ok_or_else(not_open)? {
            Table::All(table) => {
                return table.add(store, rows.map(|(_, row)| row)).map_err(state_error);
            }
            Table::Counted(table) => table,
        };
        let is_unique = self.unique.is_some();
        for (map_key, row) in rows {
            if !is_unique && let Some(kept) = table.get_mut(store, map_key).map_err(state_error)? {
                kept.times += 1;
                kept.partners = partners;
                continue;
            }
            let row = if is_unique { row.into() } else { RowBytes::default() };
            let kept = Kept { row, times: 1, partners };
            table.put(store, map_key.into(), kept).map_err(state_error)?;
        }
        Ok(())
    }

    /// Forgets a row of the current key.
    pub(super) fn remove(&self, map_key: &[u8], core: &mut Core) -> FlowResult {
        let Some(table) = self.counted()? else {
            return Err(FlowError::internal("a row was taken from an input that only inserts"));
        };
        let kept = table.get_mut(&mut core.store, map_key).map_err(state_error)?;
        match kept {
            Some(kept) if kept.times > 1 && self.unique.is_none() => kept.times -= 1,
            Some(_) => drop(table.remove(&mut core.store, map_key).map_err(state_error)?),
            None => {}
        }
        Ok(())
    }
}
