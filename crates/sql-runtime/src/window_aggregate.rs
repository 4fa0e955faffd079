//! Aggregates per key and window.
//!
//! Per key there is an accumulator per slice (or session), and one timer per slice and the next window
//! that holds it. When a window is due its slices are merged into a result; what no later window needs is
//! dropped. A row is late when all of its windows have been given: it is dropped and counted. So a late
//! row may count in windows that are still to come.
//!
//! Windows are in local time where the time attribute is TIMESTAMP_LTZ; timers in moments.

use std::collections::BTreeSet;

use arrow_array::ArrayRef;
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::ChangelogBatch;
use hurtig_state_heap::{SortedStateMap, ValueState};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    aggregates::{Accumulator, Aggregates},
    config::{GlobalWindowAggregate, WindowAggregate, WindowProperty, WindowSpec, WindowTime},
    core::{Core, KeyedOperator, Logic},
    group::decode_partials,
    layout::Layout,
    rows::{FastMap, Grouping, RowBytes, RowCodec, make_rows, state_error},
    sink::ROWS_PER_BATCH,
    time::{HOUR_MS, millis, rowtimes, timestamps, to_epoch, to_local},
};

/// What is kept of a slice, a session, or an attached window.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slice {
    start: i64,
    accumulator: Accumulator,
}

/// By their ends. (Sessions and attached windows of one end differ in their starts.)
type Slices = SortedStateMap<(i64, i64), Slice>;

struct Fired {
    key: RowBytes,
    start: i64,
    end: i64,
    accumulator: Accumulator,
}

struct WindowLogic {
    config: WindowAggregate,
    aggregates: Aggregates,
    key: RowCodec,
    event_time: bool,
    zone: Option<chrono_tz::Tz>,
    /// The column of what the rows of slices have come to, in the second of two phases.
    partial: Option<usize>,
    state: Option<ValueState<Slices>>,
    results: Vec<Fired>,
}

impl OperatorFactory for WindowAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        self.operator(Aggregates::new(&self.calls, &self.input)?, None)
    }
}

impl OperatorFactory for GlobalWindowAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let aggregates = Aggregates::of_types(&self.aggregate.calls, &self.arguments)?;
        self.aggregate.operator(aggregates, Some(self.partial))
    }
}

impl WindowAggregate {
    fn operator(
        &self,
        aggregates: Aggregates,
        partial: Option<usize>,
    ) -> FlowResult<Box<dyn Operator>> {
        let (event_time, zone) = match &self.time {
            WindowTime::Slice { zone, .. } => (true, *zone),
            WindowTime::Rowtime { zone, .. } => (true, *zone),
            WindowTime::Proctime { zone } => (false, *zone),
            WindowTime::Attached { zone, event_time, .. } => (*event_time, *zone),
        };
        if !matches!(self.time, WindowTime::Attached { .. }) {
            self.window.check().map_err(FlowError::user)?;
        }
        Ok(KeyedOperator::boxed(WindowLogic {
            aggregates,
            key: RowCodec::new(&self.input, &self.keys)?,
            event_time,
            zone,
            config: self.clone(),
            partial,
            state: None,
            results: Vec::new(),
        }))
    }
}

impl WindowLogic {
    fn is_attached(&self) -> bool {
        matches!(self.config.time, WindowTime::Attached { .. })
    }

    fn is_session(&self) -> bool {
        !self.is_attached() && matches!(self.config.window, WindowSpec::Session { .. })
    }

    /// When a window that ends there is due.
    fn due(&self, end: i64) -> i64 {
        to_epoch(end.saturating_sub(1), self.zone, true)
    }

    /// True if windows that end there have been given.
    fn is_past(&self, end: i64, core: &Core) -> bool {
        self.event_time && self.due(end) <= core.watermark()
    }

    /// The next window that holds a slice and has not been given.
    fn next_end(&self, slice: (i64, i64), core: &Core) -> Option<i64> {
        if self.is_attached() || self.is_session() {
            return (!self.is_past(slice.1, core)).then_some(slice.1);
        }
        let mut next = self.config.window.next_end(slice, i64::MIN);
        if let Some(end) = next
            && self.is_past(end, core)
        {
            // Those that end up to the time that has been reached are past.
            let reached = to_local(core.watermark(), self.zone).saturating_add(1);
            next = self.config.window.next_end(slice, reached);
            while let Some(end) = next
                && self.is_past(end, core)
            {
                next = self.config.window.next_end(slice, end);
            }
        }
        next
    }

    /// The slice of each row, as start and end in local time.
    fn slices(&self, batch: &ChangelogBatch, core: &Core) -> FlowResult<Vec<(i64, i64)>> {
        let rows = batch.rows.num_rows();
        match &self.config.time {
            WindowTime::Rowtime { column, .. } => {
                let times = rowtimes(batch.rows.column(*column))?;
                let local = times.values().iter().map(|time| to_local(*time, self.zone));
                Ok(local.map(|time| self.config.window.slice_of(time)).collect())
            }
            WindowTime::Proctime { .. } => {
                let now = to_local(core.clock.now_ms(), self.zone);
                Ok(vec![self.config.window.slice_of(now); rows])
            }
            WindowTime::Slice { start, end, .. } => {
                let starts = rowtimes(batch.rows.column(*start))?;
                let ends = rowtimes(batch.rows.column(*end))?;
                Ok(starts.values().iter().copied().zip(ends.values().iter().copied()).collect())
            }
            WindowTime::Attached { start, end, .. } => {
                let ends = rowtimes(batch.rows.column(*end))?;
                let starts = start.map(|at| millis(batch.rows.column(at))).transpose()?;
                let start = |row| starts.as_ref().map_or(i64::MIN, |starts| starts.value(row));
                Ok((0..rows).map(|row| (start(row), ends.value(row))).collect())
            }
        }
    }

    /// Puts what a batch has for one key into its sessions.
    fn add_session(
        &self,
        slices: &mut Slices,
        (start, end): (i64, i64),
        accumulator: Accumulator,
        core: &mut Core,
    ) -> FlowResult {
        let (mut start, mut end) = (start, end);
        // Sessions that touch it: two rows exactly one gap apart are in one session.
        let touching: Vec<_> = slices
            .iter()
            .filter(|((other_end, _), other)| other.start <= end && *other_end >= start)
            .map(|(at, _)| *at)
            .collect();
        let mut merged: Option<Accumulator> = None;
        for at in touching {
            if let Some(other) = slices.remove(&at) {
                start = start.min(other.start);
                end = end.max(at.0);
                match &mut merged {
                    Some(merged) => self.aggregates.merge(merged, &other.accumulator)?,
                    None => merged = Some(other.accumulator),
                }
                if !slices.keys().any(|(end, _)| *end == at.0) {
                    core.delete_timer(self.event_time, self.due(at.0))?;
                }
            }
        }
        // What is new comes behind what was there.
        let merged = match merged {
            Some(mut merged) => {
                self.aggregates.merge(&mut merged, &accumulator)?;
                merged
            }
            None => accumulator,
        };
        slices.insert((end, start), Slice { start, accumulator: merged });
        core.register_timer(self.event_time, self.due(end))
    }

    /// The ends of windows of slices that are due at that moment, the first before.
    fn ends_due(&self, kept: &Slices, time: i64) -> BTreeSet<i64> {
        // What ends up to the local time of the moment before has been due before, but for the hours
        // that there are twice: then the local time of the moment itself is the earlier one.
        let local = |time| to_local(time, self.zone);
        let before = local(time.saturating_sub(1)).min(local(time));
        let mut ends = BTreeSet::new();
        for (slice_end, slice_start) in kept.keys() {
            let mut next = self.config.window.next_end((*slice_start, *slice_end), before);
            while let Some(end) = next.filter(|end| self.due(*end) <= time) {
                if self.due(end) == time {
                    ends.insert(end);
                }
                next = self.config.window.next_end((*slice_start, *slice_end), end);
            }
        }
        ends
    }

    /// Gives the window of a key that ends there and is due now. What a later window needs stays, and
    /// that window gets its timer.
    fn fire(
        &mut self,
        key: &RowBytes,
        (end, now): (i64, i64),
        kept: &mut Slices,
        core: &mut Core,
    ) -> FlowResult {
        let start = self.config.window.start_of(end);
        let mut merged: Option<Accumulator> = None;
        let held = kept
            .iter()
            .filter(|((slice_end, slice_start), _)| *slice_start >= start && *slice_end <= end);
        let mut held: Vec<&Slice> = held.map(|(_, slice)| slice).collect();
        if self.config.latest_first {
            held.reverse();
        }
        for slice in held {
            match &mut merged {
                Some(merged) => self.aggregates.merge(merged, &slice.accumulator)?,
                None => merged = Some(slice.accumulator.clone()),
            }
        }
        if let Some(accumulator) = merged.filter(|merged| merged.rows > 0) {
            self.results.push(Fired { key: key.clone(), start, end, accumulator });
        }
        let mut next_ends = Vec::new();
        kept.retain(|(slice_end, slice_start), _| {
            let next = self.config.window.next_end((*slice_start, *slice_end), end);
            next_ends.extend(next);
            next.is_some()
        });
        next_ends.dedup();
        for next in next_ends.into_iter().map(|next| self.due(next)).filter(|due| *due > now) {
            core.register_timer(self.event_time, next)?;
        }
        Ok(())
    }

    fn store(&self, slices: Slices, core: &mut Core) -> FlowResult {
        let state = self.state.ok_or_else(not_open)?;
        if slices.is_empty() {
            state.clear(&mut core.store).map_err(state_error)?;
            return Ok(());
        }
        state.update(&mut core.store, slices).map_err(state_error)
    }

    fn take(&self, core: &mut Core) -> FlowResult<Slices> {
        let state = self.state.ok_or_else(not_open)?;
        let slices = state.get_mut(&mut core.store).map_err(state_error)?;
        Ok(slices.map(std::mem::take).unwrap_or_default())
    }

    fn emit(&mut self, out: &mut dyn Output) -> FlowResult {
        let results = std::mem::take(&mut self.results);
        if results.is_empty() {
            return Ok(());
        }
        let schema = &self.config.schema;
        let mut columns: Vec<ArrayRef> =
            self.key.decode(results.iter().map(|one| one.key.bytes()))?;
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        let mut accumulators = Vec::with_capacity(results.len());
        for one in results {
            starts.push(one.start);
            ends.push(one.end);
            accumulators.push(one.accumulator);
        }
        columns.extend(self.aggregates.results(&accumulators)?);
        for property in &self.config.properties {
            let field = schema.fields().get(columns.len());
            let field =
                field.ok_or_else(|| FlowError::internal("a window's property has no column"))?;
            let is_moment =
                matches!(field.data_type(), arrow_schema::DataType::Timestamp(_, Some(_)));
            let times: Vec<i64> = match property {
                WindowProperty::Start => starts.clone(),
                WindowProperty::End => ends.clone(),
                WindowProperty::Rowtime | WindowProperty::Proctime => {
                    let last = ends.iter().map(|end| end.saturating_sub(1));
                    last.map(|end| if is_moment { to_epoch(end, self.zone, false) } else { end })
                        .collect()
                }
            };
            columns.push(timestamps(times, field.data_type())?);
        }
        let rows = make_rows(schema, columns, accumulators.len())?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

impl Logic for WindowLogic {
    fn layout(&self) -> Layout {
        Layout::default().with("key", &self.key)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = hurtig_state_api::ValueStateDescriptor::new("slices");
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
        let keys = self.key.encode(&batch.rows)?;
        let by_key = Grouping::of(&keys, batch.rows.num_rows())?;
        let slices = self.slices(&batch, core)?;
        // Rows of one key and slice are aggregated together.
        let mut numbers: FastMap<(u32, i64, i64), u32> = FastMap::default();
        let mut places: Vec<(u32, (i64, i64))> = Vec::new();
        let mut groups = Vec::with_capacity(slices.len());
        let mut skipped: Option<Vec<bool>> = None;
        let mut late_slices: FastMap<(i64, i64), bool> = FastMap::default();
        // Rows come mostly in the order of time, so that one slice is that of the next row, too.
        let mut last: Option<((i64, i64), bool)> = None;
        for (row, slice) in slices.iter().enumerate() {
            let late = match last {
                Some((same, late)) if same == *slice => late,
                _ => *late_slices
                    .entry(*slice)
                    .or_insert_with(|| !self.is_session() && self.next_end(*slice, core).is_none()),
            };
            last = Some((*slice, late));
            let key = by_key.groups[row];
            let next = places.len() as u32;
            let group = *numbers.entry((key, slice.0, slice.1)).or_insert(next);
            if group == next {
                places.push((key, *slice));
            }
            groups.push(group);
            if late {
                skipped.get_or_insert_with(|| vec![false; slices.len()])[row] = true;
                core.late.add(1);
            }
        }
        let retracts: Option<Vec<bool>> =
            batch.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| !kind.adds()).collect());
        let mut fresh: Vec<_> = places.iter().map(|_| self.aggregates.empty()).collect();
        match self.partial {
            Some(column) => {
                let partials = decode_partials(&batch.rows, column, &self.aggregates)?;
                for (partial, group) in partials.iter().zip(&groups) {
                    self.aggregates.merge(&mut fresh[*group as usize], partial)?;
                }
            }
            None => self.aggregates.accumulate(
                &mut fresh,
                &groups,
                &batch.rows,
                skipped.as_deref(),
                retracts.as_deref(),
            )?,
        }
        let mut by_key_places: Vec<Vec<u32>> = vec![Vec::new(); by_key.first.len()];
        for (place, (key, slice)) in places.iter().enumerate() {
            if !late_slices.get(slice).copied().unwrap_or(false) {
                by_key_places[*key as usize].push(place as u32);
            }
        }
        for (key, mut members) in by_key_places.into_iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            if !self.is_session() {
                members.sort_by_key(|place| places[*place as usize].1);
            }
            let bytes = keys.get(by_key.first[key] as usize);
            core.store.set_current_key(by_key.hashes[key], bytes.into());
            let mut kept = self.take(core)?;
            for place in members {
                let slice = places[place as usize].1;
                let accumulator = std::mem::take(&mut fresh[place as usize]);
                if self.is_session() {
                    // Late alone; with a session that is still open it is not.
                    let touches = kept
                        .iter()
                        .any(|((end, _), other)| other.start <= slice.1 && *end >= slice.0);
                    if self.is_past(slice.1, core) && !touches {
                        core.late.add(u64::try_from(accumulator.rows).unwrap_or(0));
                        continue;
                    }
                    self.add_session(&mut kept, slice, accumulator, core)?;
                    continue;
                }
                match kept.get_mut(&(slice.1, slice.0)) {
                    Some(known) => self.aggregates.merge(&mut known.accumulator, &accumulator)?,
                    None => {
                        kept.insert((slice.1, slice.0), Slice { start: slice.0, accumulator });
                        if let Some(end) = self.next_end(slice, core) {
                            core.register_timer(self.event_time, self.due(end))?;
                        }
                    }
                }
            }
            self.store(kept, core)?;
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
        let mut kept = self.take(core)?;
        let key = core.key()?.clone();
        let end = to_local(time, self.zone).saturating_add(1);
        if self.is_attached() || self.is_session() {
            let due: Vec<_> = kept.keys().copied().take_while(|at| at.0 <= end).collect();
            for at in due {
                if let Some(Slice { start, accumulator }) = kept.remove(&at)
                    && accumulator.rows > 0
                {
                    self.results.push(Fired { key: key.clone(), start, end: at.0, accumulator });
                }
            }
        } else if self.zone.is_some() && time.rem_euclid(HOUR_MS) == 0 {
            // Windows that end while clocks are set forward are all due when that is done.
            for end in self.ends_due(&kept, time) {
                self.fire(&key, (end, time), &mut kept, core)?;
            }
        } else {
            self.fire(&key, (end, time), &mut kept, core)?;
        }
        self.store(kept, core)?;
        if self.results.len() >= ROWS_PER_BATCH { self.emit(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.emit(out)
    }
}
