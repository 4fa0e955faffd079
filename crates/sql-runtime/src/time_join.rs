//! Joins by time: of rows whose times are close, and with the version of a row at a time.

use std::collections::BTreeMap;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::{SortedStateMap, ValueState};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    config::{IntervalJoin, JoinVariant, TemporalJoin},
    core::{Core, KeyedOperator, Logic},
    join::{PairCondition, SideCodec},
    layout::Layout,
    rows::{RowBytes, RowCodec, state_error},
    sink::RowSink,
    time::rowtimes,
};

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

/// A row that may still get partners.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    row: RowBytes,
    /// It has had one.
    matched: bool,
}

/// Where a row is among those of its key: by side, by time, by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    side: u8,
    time: i64,
    number: u32,
}

impl Place {
    /// The places of a side from one time to another.
    fn range(side: usize, first: i64, last: i64) -> std::ops::RangeInclusive<Self> {
        let side = side as u8;
        Self { side, time: first, number: 0 }..=Self { side, time: last, number: u32::MAX }
    }
}

/// The rows of a key. Most keys have one.
type Sides = SortedStateMap<Place, Waiting>;

/// A row of time `t` meets those of the other side whose times are from `t - before` to `t + after`; it
/// waits until the other side has passed `t + after`, and without a partner is given then.
struct IntervalLogic {
    config: IntervalJoin,
    sides: [SideCodec; 2],
    nulls: [RowBytes; 2],
    condition: PairCondition,
    state: Option<ValueState<Sides>>,
    sink: RowSink,
}

impl OperatorFactory for IntervalJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let left = SideCodec::new(&self.left, &self.keys.left, &self.keys.null_equal)?;
        let right = SideCodec::new(&self.right, &self.keys.right, &self.keys.null_equal)?;
        let codecs = vec![RowCodec::all(&self.left)?, RowCodec::all(&self.right)?];
        Ok(KeyedOperator::boxed(IntervalLogic {
            nulls: [left.row.null_row(&self.left)?, right.row.null_row(&self.right)?],
            sides: [left, right],
            condition: PairCondition::new(&self.keys, &self.left, &self.right)?,
            state: None,
            sink: RowSink::new(&self.schema, codecs),
            config: self.clone(),
        }))
    }
}

impl IntervalLogic {
    fn is_outer(&self, side: usize) -> bool {
        match self.config.kind {
            JoinVariant::Left => side == 0,
            JoinVariant::Right => side == 1,
            JoinVariant::Full => true,
            _ => false,
        }
    }

    /// How far before and after a row of a side its partners are.
    fn reach(&self, side: usize) -> (i64, i64) {
        let (lower, upper) = (self.config.lower_ms, self.config.upper_ms);
        if side == 0 { (upper, lower.saturating_neg()) } else { (lower.saturating_neg(), upper) }
    }

    fn push(&mut self, side: usize, row: &[u8], other: &[u8]) {
        if side == 0 {
            self.sink.push_pair(RowKind::Insert, row, other);
        } else {
            self.sink.push_pair(RowKind::Insert, other, row);
        }
    }

    fn push_alone(&mut self, side: usize, row: &[u8]) {
        let null = self.nulls[1 - side].clone();
        self.push(side, row, null.bytes());
    }

    fn event_time(&self) -> bool {
        self.config.times.is_some()
    }

    fn now(&self, core: &Core) -> i64 {
        if self.event_time() { core.watermark() } else { core.clock.now_ms() }
    }

    fn add(
        &mut self,
        side: usize,
        (time, can_match, row): (i64, bool, &[u8]),
        core: &mut Core,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let (before, after) = self.reach(side);
        let (first, last) = (time.saturating_sub(before), time.saturating_add(after));
        let mut matched = false;
        if can_match && first <= last {
            let kept = state.get_mut(&mut core.store).map_err(state_error)?;
            let mut found: Vec<&mut Waiting> = match kept {
                Some(sides) => {
                    let range = Place::range(1 - side, first, last);
                    sides.range_mut(range).map(|(_, row)| row).collect()
                }
                None => Vec::new(),
            };
            let rows: Vec<&[u8]> = found.iter().map(|one| one.row.bytes()).collect();
            let holds = self.condition.matches(row, side == 0, &rows)?;
            for (one, _) in found.iter_mut().zip(holds).filter(|(_, holds)| *holds) {
                one.matched = true;
                matched = true;
                if side == 0 {
                    self.sink.push_pair(RowKind::Insert, row, one.row.bytes());
                } else {
                    self.sink.push_pair(RowKind::Insert, one.row.bytes(), row);
                }
            }
        }
        let waits = can_match && first <= last && self.now(core) < last;
        if waits {
            let sides =
                state.get_or_insert_with(&mut core.store, Sides::default).map_err(state_error)?;
            let before = sides.range_mut(Place::range(side, time, time)).last();
            let number = before.map_or(0, |(place, _)| place.number.saturating_add(1));
            let place = Place { side: side as u8, time, number };
            sides.insert(place, Waiting { row: row.into(), matched });
            core.register_timer(self.event_time(), last.saturating_add(1))?;
        } else if !matched && self.is_outer(side) {
            self.push_alone(side, row);
        }
        Ok(())
    }
}

impl Logic for IntervalLogic {
    fn layout(&self) -> Layout {
        let [left, right] = &self.sides;
        Layout::default()
            .with("key", &left.key)
            .with("left row", &left.row)
            .with("right row", &right.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("rows");
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        side: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let codec = &self.sides[side];
        let (keys, rows) = (codec.key.encode(&batch.rows)?, codec.row.encode(&batch.rows)?);
        let alone = codec.without_partner(&batch.rows);
        let at = self.config.times.map(|times| if side == 0 { times.0 } else { times.1 });
        let times = at.map(|at| rowtimes(batch.rows.column(at))).transpose()?;
        let now = core.clock.now_ms();
        for row in 0..batch.rows.num_rows() {
            let time = times.as_ref().map_or(now, |times| times.value(row));
            let can_match = alone.as_ref().is_none_or(|alone| !alone[row]);
            core.set_key(keys.get(row))?;
            self.add(side, (time, can_match, rows.get(row)), core)?;
            self.sink.flush_if_full(out)?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: bool,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let Some(kept) = state.get_mut(&mut core.store).map_err(state_error)? else {
            return Ok(());
        };
        let mut alone = Vec::new();
        for side in 0..2 {
            let (_, after) = self.reach(side);
            let last = time.saturating_sub(after).saturating_sub(1);
            let over = kept.range_mut(Place::range(side, i64::MIN, last));
            for place in over.map(|(place, _)| *place).collect::<Vec<_>>() {
                let waited = kept.remove(&place).filter(|one| !one.matched && self.is_outer(side));
                alone.extend(waited.map(|one| (side, one.row)));
            }
        }
        if kept.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        for (side, row) in alone {
            self.push_alone(side, row.bytes());
        }
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }

    fn watermark_delay_ms(&self) -> i64 {
        if self.event_time() {
            self.config.upper_ms.max(self.config.lower_ms.saturating_neg()).max(0)
        } else {
            0
        }
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Versions {
    /// Kind, time and row, in the order of their arrival.
    left: Vec<(u8, i64, RowBytes)>,
    /// By the time since when they count; `None`: the row is gone since then.
    right: BTreeMap<i64, Option<RowBytes>>,
}

struct TemporalLogic {
    config: TemporalJoin,
    sides: [SideCodec; 2],
    null: RowBytes,
    condition: PairCondition,
    state: Option<ValueState<Versions>>,
    sink: RowSink,
}

impl OperatorFactory for TemporalJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let left = SideCodec::new(&self.left, &self.keys.left, &self.keys.null_equal)?;
        let right = SideCodec::new(&self.right, &self.keys.right, &self.keys.null_equal)?;
        let codecs = vec![RowCodec::all(&self.left)?, RowCodec::all(&self.right)?];
        Ok(KeyedOperator::boxed(TemporalLogic {
            null: right.row.null_row(&self.right)?,
            sides: [left, right],
            condition: PairCondition::new(&self.keys, &self.left, &self.right)?,
            state: None,
            sink: RowSink::new(&self.schema, codecs),
            config: self.clone(),
        }))
    }
}

impl Logic for TemporalLogic {
    fn layout(&self) -> Layout {
        let [left, right] = &self.sides;
        Layout::default()
            .with("key", &left.key)
            .with("left row", &left.row)
            .with("right row", &right.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("versions");
        self.state = Some(core.store.value_state(&state).map_err(state_error)?);
        Ok(())
    }

    fn process(
        &mut self,
        side: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        _: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let codec = &self.sides[side];
        let (keys, rows) = (codec.key.encode(&batch.rows)?, codec.row.encode(&batch.rows)?);
        let alone = codec.without_partner(&batch.rows);
        let at = if side == 0 { self.config.times.0 } else { self.config.times.1 };
        let times = rowtimes(batch.rows.column(at))?;
        for row in 0..batch.rows.num_rows() {
            let (time, kind) = (times.value(row), batch.kind(row));
            let can_match = alone.as_ref().is_none_or(|alone| !alone[row]);
            if !can_match && side == 1 {
                continue;
            }
            if side == 1 && kind == RowKind::UpdateBefore {
                // What comes after it says since when.
                continue;
            }
            core.set_key(keys.get(row))?;
            let kept = state.get_or_insert_with(&mut core.store, Versions::default);
            let kept = kept.map_err(state_error)?;
            if side == 0 {
                kept.left.push((kind as u8, time, rows.get(row).into()));
            } else {
                kept.right.insert(time, kind.adds().then(|| rows.get(row).into()));
            }
            core.register_timer(true, time)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: i64, _: bool, core: &mut Core, out: &mut dyn Output) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let watermark = core.watermark();
        let Some(kept) = state.get_mut(&mut core.store).map_err(state_error)? else {
            return Ok(());
        };
        let (ready, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut kept.left).into_iter().partition(|(_, time, _)| *time <= watermark);
        kept.left = later;
        let versions = ready.iter().map(|(_, time, _)| {
            kept.right.range(..=*time).next_back().and_then(|(_, version)| version.as_ref())
        });
        let versions: Vec<Option<&RowBytes>> = versions.collect();
        let pairs = ready.iter().zip(&versions);
        let pairs =
            pairs.filter_map(|((_, _, row), version)| version.map(|v| (row.bytes(), v.bytes())));
        let holds = self.condition.holds(&pairs.collect::<Vec<_>>())?;
        let mut holds = holds.into_iter();
        for ((kind, _, row), version) in ready.iter().zip(&versions) {
            let kind = RowKind::of(*kind).unwrap_or(RowKind::Insert);
            let version = version.filter(|_| holds.next().unwrap_or(false));
            match version {
                Some(version) => self.sink.push_pair(kind, row.bytes(), version.bytes()),
                None if self.config.kind == JoinVariant::Left => {
                    self.sink.push_pair(kind, row.bytes(), self.null.bytes());
                }
                None => {}
            }
        }
        // The version at the watermark counts for what is to come; earlier ones do not.
        let current = kept.right.range(..=watermark).next_back().map(|(time, _)| *time);
        if let Some(current) = current {
            kept.right = kept.right.split_off(&current);
        }
        if kept.left.is_empty() && kept.right.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
