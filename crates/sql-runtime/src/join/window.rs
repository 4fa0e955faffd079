//! Joins of rows of equal windows, which are columns: they wait for the end of the window.
//!
//! Rows of windows that have ended are late: dropped and counted.

use std::collections::BTreeMap;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::ValueState;
use hurtig_types::FlowResult;

use super::{SideCodec, not_open, pairs::Pairs};
use crate::{
    config::{JoinVariant, WindowJoin},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rows::{RowBytes, RowCodec, state_error},
    sink::RowSink,
    time::{rowtimes, to_local},
    window_rows::due,
};

/// The rows of both sides of a window, and whether they can have partners.
type Sides = [Vec<(bool, RowBytes)>; 2];

/// Who has partners in a window, of joins that are not inner.
#[derive(Default)]
struct Matched {
    rows: [Vec<bool>; 2],
    /// Those whose pairs have been gathered.
    pairs: Vec<(u32, u32)>,
}

struct JoinLogic {
    config: WindowJoin,
    sides: [SideCodec; 2],
    nulls: [RowBytes; 2],
    pairs: Pairs,
    state: Option<ValueState<BTreeMap<i64, Sides>>>,
    sink: RowSink,
}

impl OperatorFactory for WindowJoin {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let left = SideCodec::new(&self.left, &self.keys.left, &self.keys.null_equal)?;
        let right = SideCodec::new(&self.right, &self.keys.right, &self.keys.null_equal)?;
        let mut codecs = vec![RowCodec::all(&self.left)?];
        if !matches!(self.kind, JoinVariant::Semi | JoinVariant::Anti) {
            codecs.push(RowCodec::all(&self.right)?);
        }
        Ok(KeyedOperator::boxed(JoinLogic {
            nulls: [left.row.null_row(&self.left)?, right.row.null_row(&self.right)?],
            sides: [left, right],
            pairs: Pairs::new(&self.keys, &self.left, &self.right)?,
            state: None,
            sink: RowSink::new(&self.schema, codecs),
            config: self.clone(),
        }))
    }
}

impl JoinLogic {
    /// The pairs of a window. Those of many windows are joined together.
    fn pair_up(&mut self, [left, right]: &Sides, out: &mut dyn Output) -> FlowResult {
        let others = || right.iter().enumerate().filter(|(_, (can_match, _))| *can_match);
        let is_inner = self.config.kind == JoinVariant::Inner;
        let mut matched = Matched::default();
        if !is_inner {
            matched.rows = [vec![false; left.len()], vec![false; right.len()]];
        }
        // The numbers that the rows of the right have since pairs were last joined.
        let mut numbers: Vec<Option<u32>> = vec![None; right.len()];
        for (at, (_, row)) in left.iter().enumerate().filter(|(_, (can_match, _))| *can_match) {
            let mut number = None;
            for (other_at, (_, other)) in others() {
                let left = *number.get_or_insert_with(|| self.pairs.row(0, row));
                let right = *numbers[other_at].get_or_insert_with(|| self.pairs.row(1, other));
                self.pairs.push(RowKind::Insert, left, right);
                if !is_inner {
                    matched.pairs.push((at as u32, other_at as u32));
                }
                if self.pairs.is_full() {
                    self.join(&mut matched, out)?;
                    number = None;
                    numbers.fill(None);
                }
            }
        }
        if is_inner {
            return Ok(());
        }
        self.join(&mut matched, out)?;
        self.give_alone([left, right], &matched.rows);
        self.sink.flush_if_full(out)
    }

    /// Gives the pairs that have been gathered, and notes who has a partner.
    fn join(&mut self, matched: &mut Matched, out: &mut dyn Output) -> FlowResult {
        let joined = self.pairs.join(None)?;
        for ((left, right), holds) in matched.pairs.drain(..).zip(joined.holds()) {
            matched.rows[0][left as usize] |= holds;
            matched.rows[1][right as usize] |= holds;
        }
        match self.config.kind {
            JoinVariant::Semi | JoinVariant::Anti => Ok(()),
            _ => joined.give(&self.config.schema, out),
        }
    }

    /// The rows that are given for having no partner, or for having one.
    fn give_alone(&mut self, rows: [&[(bool, RowBytes)]; 2], matched: &[Vec<bool>; 2]) {
        let kind = self.config.kind;
        let with = |side: usize, matches: bool| {
            let all = rows[side].iter().zip(&matched[side]);
            all.filter(move |(_, matched)| **matched == matches).map(|((_, row), _)| row.bytes())
        };
        if matches!(kind, JoinVariant::Semi | JoinVariant::Anti) {
            let given = with(0, kind == JoinVariant::Semi);
            return given.for_each(|row| self.sink.push(RowKind::Insert, row));
        }
        let [no_left, no_right] = &self.nulls;
        if matches!(kind, JoinVariant::Left | JoinVariant::Full) {
            with(0, false).for_each(|row| self.sink.push_pair(RowKind::Insert, row, no_right));
        }
        if matches!(kind, JoinVariant::Right | JoinVariant::Full) {
            with(1, false).for_each(|row| self.sink.push_pair(RowKind::Insert, no_left, row));
        }
    }
}

impl Logic for JoinLogic {
    fn layout(&self) -> Layout {
        let [left, right] = &self.sides;
        Layout::default()
            .with("key", &left.key)
            .with("left row", &left.row)
            .with("right row", &right.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("windows");
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
        let ends = if side == 0 { self.config.window_end.0 } else { self.config.window_end.1 };
        let ends = rowtimes(batch.rows.column(ends))?;
        for row in 0..batch.rows.num_rows() {
            let end = ends.value(row);
            let due = due(end, self.config.zone);
            if due <= core.watermark() {
                core.late.add(1);
                continue;
            }
            core.set_key(keys.get(row))?;
            let windows = state.get_or_insert_with(&mut core.store, BTreeMap::new);
            let windows = windows.map_err(state_error)?;
            let fresh = !windows.contains_key(&end);
            let kept = &mut windows.entry(end).or_default()[side];
            if batch.kind(row).adds() {
                let can_match = alone.as_ref().is_none_or(|alone| !alone[row]);
                kept.push((can_match, rows.get(row).into()));
            } else if let Some(found) =
                kept.iter().position(|(_, known)| known.bytes() == rows.get(row))
            {
                kept.remove(found);
            }
            if fresh {
                core.register_timer(true, due)?;
            }
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
        let end = to_local(time, self.config.zone).saturating_add(1);
        let Some(windows) = state.get_mut(&mut core.store).map_err(state_error)? else {
            return Ok(());
        };
        let sides = windows.remove(&end);
        if windows.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        sides.map_or(Ok(()), |sides| self.pair_up(&sides, out))
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        if !self.pairs.is_empty() {
            self.pairs.join(None)?.give(&self.config.schema, out)?;
        }
        self.sink.flush(out)
    }
}
