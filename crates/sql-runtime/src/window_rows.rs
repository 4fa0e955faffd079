//! What waits for the end of a window, which is a column: top lists, first and last rows. And for the
//! watermark to pass: sorting by time.
//!
//! Rows of windows that have ended are late: dropped and counted.

use std::collections::BTreeMap;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::{MapState, ValueState};
use hurtig_types::{FlowError, FlowResult};

use crate::{
    config::{SortColumn, TemporalSort, WindowDeduplicate, WindowRank},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rank::Rows,
    rows::{RowBytes, RowCodec, state_error},
    sink::RowSink,
    time::{rowtimes, to_epoch, to_local},
};

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

/// When a window that ends there, in a zone, is due.
pub(crate) fn due(end: i64, zone: Option<chrono_tz::Tz>) -> i64 {
    to_epoch(end.saturating_sub(1), zone, true)
}

struct RankLogic {
    config: WindowRank,
    partition: RowCodec,
    place: RowCodec,
    row: RowCodec,
    /// Of rows of equal place the last to arrive comes first.
    latest_first: bool,
    state: Option<ValueState<BTreeMap<i64, Rows>>>,
    sink: RowSink,
}

impl WindowRank {
    fn logic(&self, latest_first: bool) -> FlowResult<Box<dyn Operator>> {
        let sink = RowSink::new(&self.schema, vec![RowCodec::all(&self.input)?]);
        Ok(KeyedOperator::boxed(RankLogic {
            partition: RowCodec::new(&self.input, &self.partition)?,
            place: RowCodec::sorted(&self.input, &self.order)?,
            row: RowCodec::all(&self.input)?,
            latest_first,
            state: None,
            sink: if self.with_rank { sink.with_number() } else { sink },
            config: self.clone(),
        }))
    }
}

impl OperatorFactory for WindowRank {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        self.logic(false)
    }
}

impl OperatorFactory for WindowDeduplicate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let by = SortColumn { column: self.rowtime, descending: self.last, nulls_first: true };
        let rank = WindowRank {
            input: self.schema.clone(),
            partition: self.keys.clone(),
            order: vec![by],
            start: 1,
            end: 1,
            with_rank: false,
            window_end: self.window_end,
            zone: self.zone,
            schema: self.schema.clone(),
        };
        rank.logic(self.last)
    }
}

impl Logic for RankLogic {
    fn layout(&self) -> Layout {
        Layout::default()
            .with("partition", &self.partition)
            .with("place", &self.place)
            .with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("windows");
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
        let keys = self.partition.encode(&batch.rows)?;
        let (places, rows) = (self.place.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let ends = rowtimes(batch.rows.column(self.config.window_end))?;
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
            let kept = windows.entry(end).or_default();
            if !batch.kind(row).adds() {
                kept.remove(places.get(row), None, rows.get(row));
            } else if self.latest_first {
                kept.insert_before(places.get(row), rows.get(row));
                kept.prune(self.config.end);
            } else if batch.kinds.is_some() || !kept.is_beyond(places.get(row), self.config.end) {
                kept.insert(places.get(row), None, rows.get(row));
                // With rows that may be taken away, the next ones may be needed.
                if batch.kinds.is_none() {
                    kept.prune(self.config.end);
                }
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
        let rows = windows.remove(&end);
        if windows.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        let start = self.config.start.max(1);
        for (index, row) in
            rows.iter().flat_map(|rows| rows.list(start, self.config.end)).enumerate()
        {
            let rank = i64::try_from(start.saturating_add(index as u64)).unwrap_or(i64::MAX);
            self.sink.push_numbered(RowKind::Insert, row.bytes(), rank);
        }
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}

/// Rows by time; those of one time by their places, and then by arrival.
struct SortLogic {
    rowtime: Option<usize>,
    place: RowCodec,
    row: RowCodec,
    state: Option<MapState<i64, Vec<(RowBytes, RowBytes)>>>,
    sink: RowSink,
}

impl OperatorFactory for TemporalSort {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(KeyedOperator::boxed(SortLogic {
            rowtime: self.rowtime,
            place: RowCodec::sorted(&self.schema, &self.order)?,
            row: RowCodec::all(&self.schema)?,
            state: None,
            sink: RowSink::whole(&self.schema)?,
        }))
    }
}

impl Logic for SortLogic {
    fn layout(&self) -> Layout {
        Layout::default().with("place", &self.place).with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::MapStateDescriptor::new("rows");
        self.state = Some(core.store.map_state(&state).map_err(state_error)?);
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
        let (places, rows) = (self.place.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let times = self.rowtime.map(|at| rowtimes(batch.rows.column(at))).transpose()?;
        let now = core.clock.now_ms();
        core.set_key(&[])?;
        for row in 0..batch.rows.num_rows() {
            let time = times.as_ref().map_or(now, |times| times.value(row));
            if times.is_some() && time <= core.watermark() {
                core.late.add(1);
                continue;
            }
            let entry = (RowBytes::from(places.get(row)), RowBytes::from(rows.get(row)));
            if let Some(kept) = state.get_mut(&mut core.store, &time).map_err(state_error)? {
                kept.push(entry);
                continue;
            }
            state.put(&mut core.store, time, vec![entry]).map_err(state_error)?;
            core.register_timer(times.is_some(), if times.is_some() { time } else { time + 1 })?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        event_time: bool,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        let time = if event_time { time } else { time.saturating_sub(1) };
        let Some(rows) = state.get_mut(&mut core.store, &time).map_err(state_error)? else {
            return Ok(());
        };
        let mut rows = std::mem::take(rows);
        state.remove(&mut core.store, &time).map_err(state_error)?;
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        rows.iter().for_each(|(_, row)| self.sink.push(RowKind::Insert, row.bytes()));
        self.sink.flush_if_full(out)
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
