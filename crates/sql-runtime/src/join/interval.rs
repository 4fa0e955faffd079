//! Joins of rows whose times are close.

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::{SortedStateMap, ValueState};
use hurtig_types::FlowResult;
use serde::{Deserialize, Serialize};

use super::{SideCodec, not_open, pairs::Pairs};
use crate::{
    config::{IntervalJoin, JoinVariant},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rows::{RowBytes, RowCodec, state_error},
    sink::RowSink,
    time::rowtimes,
};

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
    pairs: Pairs,
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
            pairs: Pairs::new(&self.keys, &self.left, &self.right)?,
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
            let pairs = found.iter().map(|one| match side {
                0 => (row, one.row.bytes()),
                _ => (one.row.bytes(), row),
            });
            let holds = self.pairs.matching(pairs)?;
            let holds = |at: usize| holds.as_ref().is_none_or(|holds| holds[at]);
            for (_, one) in found.iter_mut().enumerate().filter(|(at, _)| holds(*at)) {
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
