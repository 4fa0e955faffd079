//! Window table functions: rows with the windows that they are in.
//!
//! Of fixed windows a row is given once per window, at once. A session is known when it has ended: its
//! rows wait for that.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::ValueState;
use hurtig_types::{BoxedPayload, FlowError, FlowResult};

use crate::{
    config::{WindowSpec, WindowTableFunction, WindowTime},
    core::{Core, KeyedOperator, Logic},
    layout::Layout,
    rows::{RowBytes, RowCodec, arrow_error, make_rows, rows_of, state_error},
    time::{rowtimes, timestamps, to_epoch, to_local},
};

/// Appends window_start, window_end and window_time.
fn append_windows(
    schema: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    windows: &[(i64, i64)],
    zone: Option<chrono_tz::Tz>,
) -> FlowResult<arrow_array::RecordBatch> {
    let at = columns.len();
    if schema.fields().len() != at + 3 {
        return Err(FlowError::internal("a window table function appends three columns"));
    }
    columns
        .push(timestamps(windows.iter().map(|one| one.0).collect(), schema.field(at).data_type())?);
    columns.push(timestamps(
        windows.iter().map(|one| one.1).collect(),
        schema.field(at + 1).data_type(),
    )?);
    let last = schema.field(at + 2).data_type();
    let is_moment = matches!(last, arrow_schema::DataType::Timestamp(_, Some(_)));
    let times = windows.iter().map(|(_, end)| {
        let time = end.saturating_sub(1);
        if is_moment { to_epoch(time, zone, false) } else { time }
    });
    columns.push(timestamps(times.collect(), last)?);
    make_rows(schema, columns, windows.len())
}

/// Rows that are emitted at once: a row may be in very many windows.
const ROWS_PER_BATCH: usize = 1 << 16;

struct Fixed {
    config: WindowTableFunction,
    clock: hurtig_env::Clock,
}

impl Fixed {
    /// Emits rows with their windows; `origins[i]` is the row that is in `windows[i]`.
    fn emit(
        &self,
        batch: &ChangelogBatch,
        windows: &mut Vec<(i64, i64)>,
        origins: &mut Vec<u32>,
        zone: Option<chrono_tz::Tz>,
        out: &mut dyn Output,
    ) -> FlowResult {
        if windows.is_empty() {
            return Ok(());
        }
        let (windows, origins) = (std::mem::take(windows), std::mem::take(origins));
        let is_same = origins.len() == batch.rows.num_rows()
            && origins.iter().enumerate().all(|(n, row)| n as u32 == *row);
        let kinds = batch.kinds.as_ref();
        let kinds = kinds.map(|kinds| origins.iter().map(|row| kinds[*row as usize]).collect());
        let columns = if is_same {
            batch.rows.columns().to_vec()
        } else {
            let at = UInt32Array::from(origins);
            let columns = batch.rows.columns().iter().map(|column| take(column, &at, None));
            columns.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?
        };
        let rows = append_windows(&self.config.schema, columns, &windows, zone)?;
        out.emit(ChangelogBatch { rows, kinds }.boxed())
    }
}

impl OperatorFactory for WindowTableFunction {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        self.window.check().map_err(FlowError::user)?;
        if let WindowSpec::Session { gap_ms } = self.window {
            let (event_time, zone) = match &self.time {
                WindowTime::Rowtime { zone, .. } => (true, *zone),
                WindowTime::Proctime { zone } => (false, *zone),
                WindowTime::Attached { .. } | WindowTime::Slice { .. } => return Err(attached()),
            };
            return Ok(KeyedOperator::boxed(Sessions {
                key: RowCodec::new(&self.input, &self.keys)?,
                row: RowCodec::all(&self.input)?,
                config: self.clone(),
                gap_ms,
                event_time,
                zone,
                state: None,
                ended: Vec::new(),
            }));
        }
        Ok(Box::new(Fixed { config: self.clone(), clock: context.clock }))
    }
}

fn attached() -> FlowError {
    FlowError::internal("a window table function over windows")
}

impl Operator for Fixed {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = rows_of(batch)?;
        let (mut windows, mut origins) = (Vec::new(), Vec::new());
        let (times, zone, now) = match &self.config.time {
            WindowTime::Rowtime { column, zone } => {
                (Some(rowtimes(batch.rows.column(*column))?), *zone, 0)
            }
            WindowTime::Proctime { zone } => (None, *zone, to_local(self.clock.now_ms(), *zone)),
            WindowTime::Attached { .. } | WindowTime::Slice { .. } => return Err(attached()),
        };
        for row in 0..batch.rows.num_rows() {
            let time = times.as_ref().map_or(now, |times| to_local(times.value(row), zone));
            self.config.window.windows_of(time, &mut windows);
            origins.resize(windows.len(), row as u32);
            if windows.len() >= ROWS_PER_BATCH {
                self.emit(&batch, &mut windows, &mut origins, zone, out)?;
            }
        }
        self.emit(&batch, &mut windows, &mut origins, zone, out)
    }
}

/// Start and rows of each session, by end.
type Open = BTreeMap<i64, (i64, Vec<(u8, RowBytes)>)>;

struct Sessions {
    config: WindowTableFunction,
    key: RowCodec,
    row: RowCodec,
    gap_ms: i64,
    event_time: bool,
    zone: Option<chrono_tz::Tz>,
    state: Option<ValueState<Open>>,
    ended: Vec<(i64, i64, u8, RowBytes)>,
}

impl Sessions {
    fn due(&self, end: i64) -> i64 {
        to_epoch(end.saturating_sub(1), self.zone, true)
    }
}

impl Logic for Sessions {
    fn layout(&self) -> Layout {
        Layout::default().with("key", &self.key).with("row", &self.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("sessions");
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
        let state = self.state.ok_or_else(|| FlowError::internal("the operator was not opened"))?;
        let (keys, rows) = (self.key.encode(&batch.rows)?, self.row.encode(&batch.rows)?);
        let times = match &self.config.time {
            WindowTime::Rowtime { column, .. } => Some(rowtimes(batch.rows.column(*column))?),
            _ => None,
        };
        for row in 0..batch.rows.num_rows() {
            let time = times.as_ref().map_or(core.clock.now_ms(), |times| times.value(row));
            let mut start = to_local(time, self.zone);
            let mut end = start.saturating_add(self.gap_ms);
            core.set_key(keys.get(row))?;
            let open = state.get_or_insert_with(&mut core.store, Open::new).map_err(state_error)?;
            let touching =
                open.iter().filter(|(other_end, (other, _))| *other <= end && **other_end >= start);
            let touching: Vec<i64> = touching.map(|(end, _)| *end).collect();
            let is_past = self.event_time && self.due(end) <= core.timers.watermark;
            if touching.is_empty() && is_past {
                if open.is_empty() {
                    state.clear(&mut core.store).map_err(state_error)?;
                }
                core.late.add(1);
                continue;
            }
            let mut members: Vec<(u8, RowBytes)> = Vec::new();
            for at in &touching {
                if let Some((other, mut rows)) = open.remove(at) {
                    (start, end) = (start.min(other), end.max(*at));
                    // A long session takes in a short one, not the other way round.
                    if members.len() < rows.len() {
                        std::mem::swap(&mut members, &mut rows);
                    }
                    members.extend(rows);
                }
            }
            members.push((batch.kind(row) as u8, rows.get(row).into()));
            open.insert(end, (start, members));
            for at in touching.into_iter().filter(|at| *at != end) {
                core.delete_timer(self.event_time, self.due(at))?;
            }
            core.register_timer(self.event_time, self.due(end))?;
        }
        Ok(())
    }

    fn on_timer(&mut self, time: i64, _: bool, core: &mut Core, _: &mut dyn Output) -> FlowResult {
        let state = self.state.ok_or_else(|| FlowError::internal("the operator was not opened"))?;
        let Some(open) = state.get_mut(&mut core.store).map_err(state_error)? else {
            return Ok(());
        };
        let end = to_local(time, self.zone).saturating_add(1);
        while let Some(first) = open.first_entry().filter(|first| *first.key() <= end) {
            let (end, (start, rows)) = first.remove_entry();
            self.ended.extend(rows.into_iter().map(|(kind, row)| (start, end, kind, row)));
        }
        if open.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        let ended = std::mem::take(&mut self.ended);
        if ended.is_empty() {
            return Ok(());
        }
        let columns = self.row.decode(ended.iter().map(|(_, _, _, row)| row.bytes()))?;
        let windows: Vec<_> = ended.iter().map(|(start, end, _, _)| (*start, *end)).collect();
        let rows = append_windows(&self.config.schema, columns, &windows, self.zone)?;
        let kinds =
            ended.iter().map(|(_, _, kind, _)| RowKind::of(*kind).unwrap_or(RowKind::Insert));
        out.emit(ChangelogBatch::new(rows, kinds.collect()).boxed())
    }
}
