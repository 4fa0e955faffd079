//! Top lists that are kept up to date; sorting with a limit and limits are lists without partition.
//!
//! The rows of a partition are kept by their place in the order, and of equal places by arrival. Per
//! batch and partition the list before is compared with that after, so rows that come and go within a
//! batch are not seen.
//!
//! Of an input that only inserts, rows beyond the end of the list are forgotten; most rows of a batch
//! are compared by their places, and that is all that is done with them.

use std::collections::BTreeMap;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::{SortedStateMap, ValueState};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Limit, Rank, SortLimit},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    rows::{Encoded, Grouping, RowBytes, RowCodec, state_error},
    sink::RowSink,
    small::Small,
};

/// Rows of equal place. There is mostly one.
type Equal = Small<[(RowBytes, RowBytes); 1]>;

/// The rows of a partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rows {
    /// Rows by place, with their upsert keys where there are any.
    places: SortedStateMap<RowBytes, Equal>,
    /// The place of each upsert key.
    keys: SortedStateMap<RowBytes, RowBytes>,
    pub(crate) count: u64,
}

impl Rows {
    pub(crate) fn insert(&mut self, place: &[u8], identity: Option<&[u8]>, row: &[u8]) {
        if let Some(identity) = identity {
            if let Some(known) = self.keys.get(identity).cloned() {
                if known.bytes() == place
                    && let Some(same) = self.places.get_mut(place)
                    && let Some(found) = same.iter_mut().find(|(key, _)| key.bytes() == identity)
                {
                    found.1 = row.into();
                    return;
                }
                self.remove_from(known.bytes(), |(key, _)| key.bytes() == identity);
            }
            self.keys.insert(identity.into(), place.into());
        }
        let entry = (identity.unwrap_or_default().into(), row.into());
        self.count += 1;
        self.places.get_or_insert_with(place.into(), Equal::default).push(entry);
    }

    pub(crate) fn remove(&mut self, place: &[u8], identity: Option<&[u8]>, row: &[u8]) {
        match identity {
            Some(identity) => {
                if let Some(known) = self.keys.remove(identity) {
                    self.remove_from(known.bytes(), |(key, _)| key.bytes() == identity);
                }
            }
            None => self.remove_from(place, |(_, known)| known.bytes() == row),
        }
    }

    /// A row that comes before those of its place.
    pub(crate) fn insert_before(&mut self, place: &[u8], row: &[u8]) {
        self.count += 1;
        let entry = (RowBytes::default(), row.into());
        self.places.get_or_insert_with(place.into(), Equal::default).insert(0, entry);
    }

    /// The places in their order, with their rows.
    pub(crate) fn places(
        &self,
    ) -> impl Iterator<Item = (&RowBytes, impl Iterator<Item = &RowBytes>)> {
        self.places.iter().map(|(place, rows)| (place, rows.iter().map(|(_, row)| row)))
    }

    fn remove_from(&mut self, place: &[u8], is_it: impl Fn(&(RowBytes, RowBytes)) -> bool) {
        let Some(same) = self.places.get_mut(place) else { return };
        if let Some(found) = same.iter().position(is_it) {
            same.remove(found);
            self.count -= 1;
        }
        if same.is_empty() {
            self.places.remove(place);
        }
    }

    /// Forgets what is beyond the end.
    pub(crate) fn prune(&mut self, end: u64) {
        while self.count > end {
            let Some(last) = self.places.last_mut() else { return };
            last.pop();
            self.count -= 1;
            if last.is_empty() {
                self.places.pop_last();
            }
        }
    }

    /// True if a row of that place would be beyond the end.
    pub(crate) fn is_beyond(&self, place: &[u8], end: u64) -> bool {
        self.count >= end && self.places.last().is_none_or(|(last, _)| last.bytes() <= place)
    }

    pub(crate) fn list(&self, start: u64, end: u64) -> Vec<RowBytes> {
        let rows = self.places.values().flat_map(|same| same.iter()).map(|(_, row)| row.clone());
        let skip = usize::try_from(start.saturating_sub(1)).unwrap_or(usize::MAX);
        let take =
            usize::try_from(end.saturating_sub(start.saturating_sub(1))).unwrap_or(usize::MAX);
        rows.skip(skip).take(take).collect()
    }
}

struct RankLogic {
    config: Rank,
    partition: RowCodec,
    place: RowCodec,
    row: RowCodec,
    upsert: Option<RowCodec>,
    state: Option<ValueState<Rows>>,
    sink: RowSink,
}

impl OperatorFactory for Rank {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let upsert = self.upsert_key.as_ref().map(|key| RowCodec::new(&self.input, key));
        let sink = RowSink::new(&self.schema, vec![RowCodec::all(&self.input)?]);
        Ok(KeyedOperator::boxed(RankLogic {
            partition: RowCodec::new(&self.input, &self.partition)?,
            place: RowCodec::sorted(&self.input, &self.order)?,
            row: RowCodec::all(&self.input)?,
            upsert: upsert.transpose()?,
            state: None,
            sink: if self.with_rank { sink.with_number() } else { sink },
            config: self.clone(),
        }))
    }
}

impl OperatorFactory for SortLimit {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Rank {
            input: self.schema.clone(),
            partition: Vec::new(),
            order: self.order.clone(),
            start: self.offset.saturating_add(1),
            end: self.offset.saturating_add(self.fetch),
            with_rank: false,
            append_only: self.append_only,
            upsert_key: self.upsert_key.clone(),
            emits_update_before: self.emits_update_before,
            ttl: self.ttl,
            schema: self.schema.clone(),
        }
        .create(context)
    }
}

impl OperatorFactory for Limit {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        SortLimit {
            schema: self.schema.clone(),
            order: Vec::new(),
            offset: self.offset,
            fetch: self.fetch,
            append_only: self.append_only,
            upsert_key: None,
            emits_update_before: self.emits_update_before,
            ttl: self.ttl,
        }
        .create(context)
    }
}

impl RankLogic {
    fn give(&mut self, before: &[RowBytes], after: &[RowBytes]) {
        if before == after {
            return;
        }
        if self.config.with_rank {
            for index in 0..before.len().max(after.len()) {
                let rank = self.config.start.max(1).saturating_add(index as u64);
                let rank = i64::try_from(rank).unwrap_or(i64::MAX);
                match (before.get(index), after.get(index)) {
                    (Some(old), Some(new)) if old != new => {
                        if self.config.emits_update_before {
                            self.sink.push_numbered(RowKind::UpdateBefore, old.bytes(), rank);
                        }
                        self.sink.push_numbered(RowKind::UpdateAfter, new.bytes(), rank);
                    }
                    (Some(old), None) => {
                        self.sink.push_numbered(RowKind::Delete, old.bytes(), rank)
                    }
                    (None, Some(new)) => {
                        self.sink.push_numbered(RowKind::Insert, new.bytes(), rank)
                    }
                    _ => {}
                }
            }
            return;
        }
        let mut net: BTreeMap<&RowBytes, i64> = BTreeMap::new();
        after.iter().for_each(|row| *net.entry(row).or_default() += 1);
        for row in before {
            let times = net.entry(row).or_default();
            *times -= 1;
            if *times < 0 {
                self.sink.push(RowKind::Delete, row.bytes());
            }
        }
        for row in after {
            if let Some(times) = net.get_mut(row)
                && *times > 0
            {
                *times -= 1;
                self.sink.push(RowKind::Insert, row.bytes());
            }
        }
    }
}

/// Of rows that come to a list that ends at `end`, those that are in it afterwards.
fn keep_entering(members: &mut Vec<u32>, kept: Option<&Rows>, places: &Encoded, end: u64) {
    let place = |row: &u32| places.get(*row as usize);
    members.retain(|row| kept.is_none_or(|kept| !kept.is_beyond(place(row), end)));
    let most = usize::try_from(end).unwrap_or(usize::MAX);
    if members.len() > most {
        // Stable: of rows of equal place the first ones stay.
        members.sort_by(|one, other| place(one).cmp(place(other)));
        members.truncate(most);
        members.sort_unstable();
    }
}

impl Logic for RankLogic {
    fn layout(&self) -> Layout {
        Layout::default()
            .with("partition", &self.partition)
            .with("place", &self.place)
            .with("row", &self.row)
            .with_some("upsert key", self.upsert.as_ref())
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = descriptor!(ValueStateDescriptor, "rows", self.config.ttl);
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        _: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(|| FlowError::internal("the operator was not opened"))?;
        let keys = self.partition.encode(&batch.rows)?;
        let places = self.place.encode(&batch.rows)?;
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        let key = |group: usize| {
            (grouping.hashes[group], keys.get(grouping.first[group] as usize).into())
        };
        let (start, end) = (self.config.start, self.config.end);
        let mut by_group = grouping.rows_by_group();
        let mut chosen = None;
        if self.config.append_only {
            for (group, members) in by_group.iter_mut().enumerate() {
                let (hash, key) = key(group);
                core.store.set_current_key(hash, key);
                let kept = state.get(&mut core.store).map_err(state_error)?;
                keep_entering(members, kept, &places, end);
            }
            // Of most batches little enters a list: the others need not become bytes.
            chosen = Some(by_group.concat());
        }
        let encode = |codec: &RowCodec| match &chosen {
            None => codec.encode(&batch.rows),
            Some(chosen) => codec.encode_some(&batch.rows, chosen),
        };
        let rows = encode(&self.row)?;
        let upserts = self.upsert.as_ref().map(encode).transpose()?;
        let mut number = 0;
        for (group, members) in by_group.iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            let (hash, key) = key(group);
            core.store.set_current_key(hash, key);
            let kept = state.get_or_insert_with(&mut core.store, Rows::default);
            let kept = kept.map_err(state_error)?;
            let before = kept.list(start, end);
            for row in members {
                let row = *row as usize;
                // Those that were chosen are numbered anew.
                let at = if chosen.is_some() { number } else { row };
                number += 1;
                let identity = upserts.as_ref().map(|upserts| upserts.get(at));
                if batch.kind(row).adds() {
                    kept.insert(places.get(row), identity, rows.get(at));
                } else {
                    kept.remove(places.get(row), identity, rows.get(at));
                }
            }
            if self.config.append_only {
                kept.prune(end);
            }
            let after = kept.list(start, end);
            if kept.count == 0 {
                state.clear(&mut core.store).map_err(state_error)?;
            }
            self.give(&before, &after);
            self.sink.flush_if_full(out)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
