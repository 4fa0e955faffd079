//! Operators that keep a row or a few numbers per key: changelog normalise, the sink's
//! materialiser, deduplicate, set operations.
//!
//! The first and third give at most one change per key and batch: what the key had before the batch
//! against what it has after; unless somebody needs all versions.

use std::time::Duration;

use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::SchemaRef;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::ValueState;
use hurtig_types::{FlowError, FlowResult};

use crate::{
    config::{ChangelogNormalize, Deduplicate, SetOperation, SharedExpression, SinkMaterialize},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    rows::{Encoded, Grouping, RowBytes, RowCodec, make_rows, state_error},
    sink::RowSink,
    stateless::condition,
    time::rowtimes,
};

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

/// Which row of a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The latest to arrive; deletions count.
    Latest,
    /// The first to arrive, which is given once.
    FirstOnce,
    /// The first by rowtime.
    FirstByTime,
    /// The last by rowtime; of equal ones the later to arrive.
    LastByTime,
}

/// Keeps one row per key.
struct OneRow {
    choice: Choice,
    rowtime: Option<usize>,
    schema: SchemaRef,
    key: RowCodec,
    row: RowCodec,
    filter: Option<SharedExpression>,
    emits_update_before: bool,
    every_version: bool,
    ttl: Option<Duration>,
    state: Option<ValueState<(i64, RowBytes)>>,
    sink: RowSink,
}

impl OperatorFactory for ChangelogNormalize {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(KeyedOperator::boxed(OneRow {
            choice: Choice::Latest,
            rowtime: None,
            schema: self.schema.clone(),
            key: RowCodec::new(&self.schema, &self.keys)?,
            row: RowCodec::all(&self.schema)?,
            filter: self.condition.clone(),
            emits_update_before: self.emits_update_before,
            every_version: self.every_version,
            ttl: self.ttl,
            state: None,
            sink: RowSink::whole(&self.schema)?,
        }))
    }
}

impl OperatorFactory for Deduplicate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        if let (Some(rowtime), true, false) = (self.rowtime, self.insert_only, self.last) {
            return Ok(KeyedOperator::boxed(FirstAtWatermark {
                rowtime,
                key: RowCodec::new(&self.schema, &self.keys)?,
                row: RowCodec::all(&self.schema)?,
                ttl: self.ttl,
                states: None,
                sink: RowSink::whole(&self.schema)?,
            }));
        }
        let choice = match (self.rowtime, self.last) {
            (None, false) => Choice::FirstOnce,
            (None, true) => Choice::Latest,
            (Some(_), false) => Choice::FirstByTime,
            (Some(_), true) => Choice::LastByTime,
        };
        Ok(KeyedOperator::boxed(OneRow {
            choice,
            rowtime: self.rowtime,
            schema: self.schema.clone(),
            key: RowCodec::new(&self.schema, &self.keys)?,
            row: RowCodec::all(&self.schema)?,
            filter: None,
            emits_update_before: self.emits_update_before,
            every_version: self.every_version,
            ttl: self.ttl,
            state: None,
            sink: RowSink::whole(&self.schema)?,
        }))
    }
}

impl OneRow {
    /// For which rows the filter holds.
    fn passes(&self, rows: &[Option<&RowBytes>]) -> FlowResult<Vec<bool>> {
        let Some(filter) = &self.filter else { return Ok(vec![true; rows.len()]) };
        let there: Vec<&[u8]> = rows.iter().flatten().map(|row| row.bytes()).collect();
        if there.is_empty() {
            return Ok(vec![false; rows.len()]);
        }
        let batch = make_rows(&self.schema, self.row.decode(there.iter().copied())?, there.len())?;
        let mask = condition(&**filter, &batch)?;
        let mut holds = (0..mask.len()).map(|row| mask.is_valid(row) && mask.value(row));
        Ok(rows.iter().map(|row| row.is_some() && holds.next().unwrap_or(false)).collect())
    }

    /// The rows of a group on top of what was kept.
    fn after(
        &self,
        before: Option<&(i64, RowBytes)>,
        batch: &ChangelogBatch,
        members: &[u32],
        rows: &Encoded,
        times: Option<&Int64Array>,
    ) -> Option<(i64, RowBytes)> {
        let mut kept: Option<(i64, u32)> = None;
        let mut is_gone = false;
        for row in members {
            let time = times.map_or(0, |times| times.value(*row as usize));
            let old =
                kept.map(|(time, _)| time).or(before.map(|(time, _)| *time).filter(|_| !is_gone));
            match self.choice {
                Choice::Latest if !batch.kind(*row as usize).adds() => {
                    (kept, is_gone) = (None, true);
                }
                Choice::FirstOnce if old.is_some() => {}
                Choice::FirstByTime if old.is_some_and(|old| old <= time) => {}
                Choice::LastByTime if old.is_some_and(|old| old > time) => {}
                _ => kept = Some((time, *row)),
            }
        }
        match kept {
            Some((time, row)) => Some((time, rows.get(row as usize).into())),
            None => before.filter(|_| !is_gone).cloned(),
        }
    }
}

impl Logic for OneRow {
    fn layout(&self) -> Layout {
        Layout::default().with("key", &self.key).with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = descriptor!(ValueStateDescriptor, "row", self.ttl);
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        _: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        _: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let (keys, rows) = (self.key.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let times = self.rowtime.map(|at| rowtimes(batch.rows.column(at))).transpose()?;
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        // A turn is what counts as one change: all rows of a key, or each row.
        let (by_group, each): (Vec<_>, Vec<_>) = if self.every_version {
            (Vec::new(), (0..grouping.groups.len() as u32).collect())
        } else {
            (grouping.rows_by_group(), Vec::new())
        };
        let turns = by_group.iter().map(Vec::as_slice).chain(each.chunks(1));
        for members in turns {
            let Some(first) = members.first() else { continue };
            let group = grouping.groups[*first as usize] as usize;
            core.store.set_current_key(grouping.hashes[group], keys.get(*first as usize).into());
            let old = state.get(&mut core.store).map_err(state_error)?.cloned();
            let new = self.after(old.as_ref(), &batch, members, &rows, times.as_ref());
            match &new {
                None => drop(state.clear(&mut core.store).map_err(state_error)?),
                Some(_) if self.choice == Choice::FirstOnce && old.is_some() => {}
                Some((time, _)) if self.choice == Choice::FirstOnce => {
                    // That there was one is enough.
                    let mark = (*time, RowBytes::default());
                    state.update(&mut core.store, mark).map_err(state_error)?;
                }
                Some(new) => state.update(&mut core.store, new.clone()).map_err(state_error)?,
            }
            before.push(old.map(|(_, row)| row));
            after.push(new.map(|(_, row)| row));
        }
        let lives_for_ever = self.ttl.is_none_or(|ttl| ttl.is_zero());
        let passed_before = self.passes(&before.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        let passes_now = self.passes(&after.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        for (index, (old, new)) in before.iter().zip(&after).enumerate() {
            let old = old.as_ref().filter(|_| passed_before[index]);
            let new = new.as_ref().filter(|_| passes_now[index]);
            match (old, new) {
                (None, Some(new)) => self.sink.push(RowKind::Insert, new.bytes()),
                (Some(old), None) => self.sink.push(RowKind::Delete, old.bytes()),
                (Some(_), Some(_)) if self.choice == Choice::FirstOnce => {}
                (Some(old), Some(new)) if !(lives_for_ever && old == new) => {
                    if self.emits_update_before {
                        self.sink.push(RowKind::UpdateBefore, old.bytes());
                    }
                    self.sink.push(RowKind::UpdateAfter, new.bytes());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}

/// The first row by rowtime, given when the watermark has passed it.
struct FirstAtWatermark {
    rowtime: usize,
    key: RowCodec,
    row: RowCodec,
    ttl: Option<Duration>,
    states: Option<(ValueState<(i64, RowBytes)>, ValueState<bool>)>,
    sink: RowSink,
}

impl Logic for FirstAtWatermark {
    fn layout(&self) -> Layout {
        Layout::default().with("key", &self.key).with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        // What waits must not expire before its time comes.
        let waiting = hurtig_state_api::ValueStateDescriptor::new("waiting");
        let given = descriptor!(ValueStateDescriptor, "given", self.ttl);
        let waiting = core.store.value_state(&waiting).map_err(state_error)?;
        self.states = Some((waiting, core.store.value_state(&given).map_err(state_error)?));
        Ok(())
    }

    fn process(
        &mut self,
        _: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        _: &mut dyn Output,
    ) -> FlowResult {
        let (waiting, given) = self.states.ok_or_else(not_open)?;
        let (keys, rows) = (self.key.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let times = rowtimes(batch.rows.column(self.rowtime))?;
        for row in 0..batch.rows.num_rows() {
            let time = times.value(row);
            if time < core.watermark() {
                core.late.add(1);
                continue;
            }
            core.set_key(keys.get(row))?;
            if given.get(&mut core.store).map_err(state_error)?.is_some() {
                continue;
            }
            let before = waiting.get(&mut core.store).map_err(state_error)?.map(|(time, _)| *time);
            if before.is_some_and(|before| before <= time) {
                continue;
            }
            if let Some(before) = before {
                core.delete_timer(true, before)?;
            }
            core.register_timer(true, time)?;
            let kept = (time, rows.get(row).into());
            waiting.update(&mut core.store, kept).map_err(state_error)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: i64, _: bool, core: &mut Core, out: &mut dyn Output) -> FlowResult {
        let (waiting, given) = self.states.ok_or_else(not_open)?;
        if let Some((_, row)) = waiting.clear(&mut core.store).map_err(state_error)? {
            self.sink.push(RowKind::Insert, row.bytes());
            given.update(&mut core.store, true).map_err(state_error)?;
        }
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}

/// Keeps the rows of a primary key in the order of their arrival; the last one counts.
struct Materializer {
    key: RowCodec,
    row: RowCodec,
    upsert: Option<RowCodec>,
    ttl: Option<Duration>,
    /// Upsert key and row of each.
    state: Option<ValueState<Vec<(RowBytes, RowBytes)>>>,
    sink: RowSink,
}

impl OperatorFactory for SinkMaterialize {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let upsert = self.upsert_key.as_ref().map(|key| RowCodec::new(&self.schema, key));
        Ok(KeyedOperator::boxed(Materializer {
            key: RowCodec::new(&self.schema, &self.primary_key)?,
            row: RowCodec::all(&self.schema)?,
            upsert: upsert.transpose()?,
            ttl: self.ttl,
            state: None,
            sink: RowSink::whole(&self.schema)?,
        }))
    }
}

impl Logic for Materializer {
    fn layout(&self) -> Layout {
        Layout::default()
            .with("key", &self.key)
            .with("row", &self.row)
            .with_some("upsert key", self.upsert.as_ref())
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = descriptor!(ValueStateDescriptor, "rows", self.ttl);
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
        let state = self.state.ok_or_else(not_open)?;
        let (keys, rows) = (self.key.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let upserts = self.upsert.as_ref().map(|codec| codec.encode(&batch.rows)).transpose()?;
        for index in 0..batch.rows.num_rows() {
            let row = rows.get(index);
            let identity = upserts.as_ref().map_or(row, |upserts| upserts.get(index));
            core.set_key(keys.get(index))?;
            let kept = state.get_or_insert_with(&mut core.store, Vec::new).map_err(state_error)?;
            let found = kept.iter().position(|(known, _)| known.bytes() == identity);
            if batch.kind(index).adds() {
                let kind = if kept.is_empty() { RowKind::Insert } else { RowKind::UpdateAfter };
                match found.filter(|_| upserts.is_some()) {
                    Some(found) => kept[found].1 = row.into(),
                    None => kept.push((identity.into(), row.into())),
                }
                self.sink.push(kind, row);
                continue;
            }
            let Some(found) = found else {
                // Its state has expired.
                if kept.is_empty() {
                    state.clear(&mut core.store).map_err(state_error)?;
                }
                continue;
            };
            kept.remove(found);
            let was_last = found == kept.len();
            match kept.last() {
                None => {
                    self.sink.push(RowKind::Delete, row);
                    state.clear(&mut core.store).map_err(state_error)?;
                }
                Some((_, last)) if was_last => self.sink.push(RowKind::UpdateAfter, last.bytes()),
                Some(_) => {}
            }
            self.sink.flush_if_full(out)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}

/// Counts equal rows of both inputs.
struct SetLogic {
    config: SetOperation,
    row: RowCodec,
    state: Option<ValueState<(i64, i64)>>,
    sink: RowSink,
}

impl OperatorFactory for SetOperation {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(KeyedOperator::boxed(SetLogic {
            config: self.clone(),
            row: RowCodec::whole_key(&self.schema)?,
            state: None,
            sink: RowSink::new(&self.schema, vec![RowCodec::whole_key(&self.schema)?]),
        }))
    }
}

impl SetOperation {
    /// How often a row is in the result.
    fn times(&self, (left, right): (i64, i64)) -> i64 {
        let (left, right) = (left.max(0), right.max(0));
        match (self.except, self.all) {
            (false, true) => left.min(right),
            (false, false) => i64::from(left > 0 && right > 0),
            (true, true) => (left - right).max(0),
            (true, false) => i64::from(left > 0 && right == 0),
        }
    }
}

impl Logic for SetLogic {
    fn layout(&self) -> Layout {
        Layout::default().with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = descriptor!(ValueStateDescriptor, "times", self.config.ttl);
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        input: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let columns: Vec<ArrayRef> = batch.rows.columns().to_vec();
        let rows = self.row.encode_columns(&columns)?;
        let grouping = Grouping::of(&rows, batch.rows.num_rows())?;
        let mut by = vec![0i64; grouping.first.len()];
        for (row, group) in grouping.groups.iter().enumerate() {
            by[*group as usize] += if batch.kind(row).adds() { 1 } else { -1 };
        }
        for (group, by) in by.into_iter().enumerate() {
            let row = rows.get(grouping.first[group] as usize);
            core.store.set_current_key(grouping.hashes[group], row.into());
            let old = state.get(&mut core.store).map_err(state_error)?.copied().unwrap_or((0, 0));
            let mut new = old;
            *(if input == 0 { &mut new.0 } else { &mut new.1 }) += by;
            if new == (0, 0) {
                state.clear(&mut core.store).map_err(state_error)?;
            } else {
                state.update(&mut core.store, new).map_err(state_error)?;
            }
            let change = self.config.times(new) - self.config.times(old);
            let kind = if change > 0 { RowKind::Insert } else { RowKind::Delete };
            for _ in 0..change.unsigned_abs() {
                self.sink.push(kind, row);
                self.sink.flush_if_full(out)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
