//! Aggregates over the rows before each row.
//!
//! By time: rows wait until the watermark has passed them (or are handled on arrival), and are then added
//! one by one, or for RANGE all of one time together; what leaves a bounded frame is taken away. Late rows
//! are dropped.
//!
//! By other columns: all rows of a partition are kept, and a batch changes the results of those that come
//! after what it brings or takes: what was given before is compared with what holds now.

use std::collections::{BTreeMap, VecDeque};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::DataType;
use arrow_select::{concat::concat, take::take};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_state_heap::{MapState, ValueState};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    aggregates::{Accumulator, Aggregates},
    config::{AggregateCall, OverAggregate, OverCall, OverFrame, OverOrder, OverRanking},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    rank::Rows,
    rows::{Grouping, RowBytes, RowCodec, arrow_error, make_rows, state_error},
    sink::RowSink,
    time::rowtimes,
};

/// What is kept of a partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Running {
    accumulator: Accumulator,
    /// Rows that may leave the frame, with their times.
    history: VecDeque<(i64, RowBytes)>,
    /// The last rows, for LAG.
    previous: VecDeque<RowBytes>,
    rows: i64,
}

/// What a row gets.
struct Given {
    row: RowBytes,
    accumulator: Accumulator,
    row_number: i64,
    /// RANK, and DENSE_RANK, too: Flink's counts every row.
    rank: i64,
    /// One per LAG or LEAD.
    others: Vec<Option<RowBytes>>,
}

/// The calls over an ordered partition.
struct Window {
    config: OverAggregate,
    aggregates: Aggregates,
    frame: OverFrame,
    row: RowCodec,
    /// Rows kept for LAG.
    look_back: usize,
}

impl Window {
    fn new(config: &OverAggregate) -> FlowResult<Self> {
        let mut calls: Vec<AggregateCall> = Vec::new();
        let mut frame: Option<OverFrame> = None;
        let mut look_back = 0;
        for call in &config.calls {
            match call {
                OverCall::Aggregate { call, frame: one } => {
                    if frame.is_some_and(|frame| frame != *one) {
                        return Err(FlowError::internal("OVER aggregates of different frames"));
                    }
                    frame = Some(*one);
                    calls.push(call.clone());
                }
                OverCall::Ranking(OverRanking::Lag { offset, .. }) => {
                    look_back = look_back.max(*offset)
                }
                OverCall::Ranking(OverRanking::Lead { .. })
                    if !matches!(config.order, OverOrder::Columns(_)) =>
                {
                    return Err(FlowError::user("LEAD needs an order that is no time attribute"));
                }
                OverCall::Ranking(_) => {}
            }
        }
        Ok(Self {
            aggregates: Aggregates::new(&calls, &config.input)?,
            frame: frame.unwrap_or(OverFrame { rows: true, preceding: None }),
            row: RowCodec::all(&config.input)?,
            look_back,
            config: config.clone(),
        })
    }

    fn fresh(&self) -> Running {
        Running { accumulator: self.aggregates.empty(), ..Running::default() }
    }

    fn add(&self, running: &mut Running, rows: &RecordBatch, takes: bool) -> FlowResult {
        let groups = vec![0; rows.num_rows()];
        let retracts = takes.then(|| vec![true; rows.num_rows()]);
        let accumulator = std::slice::from_mut(&mut running.accumulator);
        self.aggregates.accumulate(accumulator, &groups, rows, None, retracts.as_deref())
    }

    fn decode(&self, rows: &[&[u8]]) -> FlowResult<RecordBatch> {
        make_rows(&self.config.input, self.row.decode(rows.iter().copied())?, rows.len())
    }

    /// Adds rows of one time or place, in order, and says what each gets.
    fn advance(
        &self,
        running: &mut Running,
        time: i64,
        rows: &[RowBytes],
        given: &mut Vec<Given>,
    ) -> FlowResult {
        let batch = self.decode(&rows.iter().map(|row| row.bytes()).collect::<Vec<_>>())?;
        if !self.frame.rows {
            self.add(running, &batch, false)?;
            self.leave_range(running, time)?;
        }
        let bound = self.frame.preceding.filter(|_| self.frame.rows);
        // As in Flink, what does not go by rows is computed once for all rows of one place, behind the
        // last of them: a rank counts all of them, and LAG looks back from the last.
        let rank = running.rows + rows.len() as i64;
        let others = self.config.calls.iter().filter_map(|call| match call {
            OverCall::Ranking(OverRanking::Lag { offset, .. }) => {
                let mut behind = running.previous.iter().chain(rows).rev();
                Some(behind.nth(*offset).cloned())
            }
            OverCall::Ranking(OverRanking::Lead { .. }) => Some(None),
            _ => None,
        });
        let others: Vec<_> = others.collect();
        for (index, row) in rows.iter().enumerate() {
            running.rows += 1;
            if self.frame.rows {
                self.add(running, &batch.slice(index, 1), false)?;
                if let Some(bound) = bound {
                    let bound = usize::try_from(bound).unwrap_or(usize::MAX);
                    if running.history.len() > bound
                        && let Some((_, gone)) =
                            running.history.get(running.history.len() - 1 - bound)
                    {
                        let gone = self.decode(&[gone.bytes()])?;
                        self.add(running, &gone, true)?;
                    }
                }
            }
            given.push(Given {
                row: row.clone(),
                others: others.clone(),
                accumulator: running.accumulator.clone(),
                row_number: running.rows,
                rank,
            });
            self.remember(running, time, row);
        }
        Ok(())
    }

    /// Keeps what a later row may need.
    fn remember(&self, running: &mut Running, time: i64, row: &RowBytes) {
        if self.look_back > 0 {
            running.previous.push_back(row.clone());
            if running.previous.len() > self.look_back {
                running.previous.pop_front();
            }
        }
        let Some(preceding) = self.frame.preceding else { return };
        running.history.push_back((time, row.clone()));
        // Of a frame of n rows before, the one that leaves with the next row is n + 1 back.
        let most = usize::try_from(preceding).map_or(usize::MAX, |rows| rows.saturating_add(1));
        while self.frame.rows && running.history.len() > most {
            running.history.pop_front();
        }
    }

    /// Takes away what is too old for a frame of time.
    fn leave_range(&self, running: &mut Running, time: i64) -> FlowResult {
        let Some(preceding) = self.frame.preceding else { return Ok(()) };
        let first = time.saturating_sub(preceding);
        let mut gone = Vec::new();
        while running.history.front().is_some_and(|(time, _)| *time < first) {
            gone.extend(running.history.pop_front().map(|(_, row)| row));
        }
        if gone.is_empty() {
            return Ok(());
        }
        let rows = self.decode(&gone.iter().map(|row| row.bytes()).collect::<Vec<_>>())?;
        self.add(running, &rows, true)
    }

    /// The columns of rows with their results.
    fn columns(&self, given: Vec<Given>) -> FlowResult<Vec<ArrayRef>> {
        let rows: Vec<RowBytes> = given.iter().map(|one| one.row.clone()).collect();
        let mut columns = self.row.decode(rows.iter().map(|row| row.bytes()))?;
        let inputs = columns.len();
        let (mut accumulators, mut numbers, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for one in given {
            accumulators.push(one.accumulator);
            numbers.push((one.row_number, one.rank));
            others.push(one.others);
        }
        let mut results = self.aggregates.results(&accumulators)?.into_iter();
        let mut nth = 0;
        for call in &self.config.calls {
            let column = match call {
                OverCall::Aggregate { .. } => results
                    .next()
                    .ok_or_else(|| FlowError::internal("an aggregate has no result"))?,
                OverCall::Ranking(OverRanking::RowNumber) => {
                    self.number(columns.len(), numbers.iter().map(|one| one.0))?
                }
                OverCall::Ranking(OverRanking::Rank | OverRanking::DenseRank) => {
                    self.number(columns.len(), numbers.iter().map(|one| one.1))?
                }
                OverCall::Ranking(
                    OverRanking::Lag { column, default, .. }
                    | OverRanking::Lead { column, default, .. },
                ) => {
                    nth += 1;
                    let others = others.iter().map(|row| row[nth - 1].as_ref());
                    self.other(&columns[..inputs], others.collect(), *column, *default)?
                }
            };
            columns.push(column);
        }
        Ok(columns)
    }

    fn number(&self, at: usize, numbers: impl Iterator<Item = i64>) -> FlowResult<ArrayRef> {
        let column: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(numbers));
        match self.config.schema.field(at).data_type() {
            DataType::Int64 => Ok(column),
            other => Err(FlowError::internal(format!("a rank of type {other}"))),
        }
    }

    /// A column of other rows; where there is none, that of the default, or NULL.
    fn other(
        &self,
        own: &[ArrayRef],
        others: Vec<Option<&RowBytes>>,
        column: usize,
        default: Option<usize>,
    ) -> FlowResult<ArrayRef> {
        let there: Vec<&[u8]> = others.iter().flatten().map(|row| row.bytes()).collect();
        let found = there.len() as u32;
        let values = self.decode(&there)?.column(column).clone();
        let rest = match default {
            Some(default) => own[default].clone(),
            None => arrow_array::new_null_array(values.data_type(), others.len()),
        };
        let both = concat(&[&values, &rest]).map_err(arrow_error)?;
        let mut next = 0;
        let at = others.iter().enumerate().map(|(row, other)| {
            if other.is_some() {
                next += 1;
                next - 1
            } else {
                found + row as u32
            }
        });
        take(&both, &UInt32Array::from_iter_values(at), None).map_err(arrow_error)
    }
}

impl OperatorFactory for OverAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let window = Window::new(self)?;
        let partition = RowCodec::new(&self.input, &self.partition)?;
        if let OverOrder::Columns(order) = &self.order {
            if window.frame.preceding.is_some() {
                return Err(FlowError::user("bounded OVER windows need a time attribute as order"));
            }
            return Ok(KeyedOperator::boxed(ByColumns {
                place: RowCodec::sorted(&self.input, order)?,
                output: RowCodec::all(&self.schema)?,
                sink: RowSink::whole(&self.schema)?,
                window,
                partition,
                state: None,
            }));
        }
        let rowtime = if let OverOrder::Rowtime(at) = self.order { Some(at) } else { None };
        Ok(KeyedOperator::boxed(ByTime {
            window,
            partition,
            rowtime,
            states: None,
            given: Vec::new(),
        }))
    }
}

fn not_open() -> FlowError {
    FlowError::internal("the operator was not opened")
}

/// In the order of time.
struct ByTime {
    window: Window,
    partition: RowCodec,
    rowtime: Option<usize>,
    states: Option<(MapState<i64, Vec<RowBytes>>, ValueState<Running>)>,
    given: Vec<Given>,
}

impl ByTime {
    /// Rows of one time of the current key.
    fn advance(&mut self, time: i64, rows: &[RowBytes], core: &mut Core) -> FlowResult {
        let (_, running) = self.states.ok_or_else(not_open)?;
        let fresh = || self.window.fresh();
        let running = running.get_or_insert_with(&mut core.store, fresh).map_err(state_error)?;
        self.window.advance(running, time, rows, &mut self.given)
    }

    fn emit(&mut self, out: &mut dyn Output) -> FlowResult {
        let given = std::mem::take(&mut self.given);
        if given.is_empty() {
            return Ok(());
        }
        let rows = given.len();
        let rows = make_rows(&self.window.config.schema, self.window.columns(given)?, rows)?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}

impl Logic for ByTime {
    fn layout(&self) -> Layout {
        Layout::default().with("partition", &self.partition).with("row", &self.window.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        // A bounded frame cleans up by itself.
        let ttl = self.window.config.ttl.filter(|_| self.window.frame.preceding.is_none());
        let waiting = hurtig_state_api::MapStateDescriptor::new("waiting");
        let running = descriptor!(ValueStateDescriptor, "running", ttl);
        let waiting = core.store.map_state(&waiting).map_err(state_error)?;
        self.states = Some((waiting, core.store.value_state(&running).map_err(state_error)?));
        Ok(())
    }

    fn process(
        &mut self,
        _: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let (waiting, _) = self.states.ok_or_else(not_open)?;
        let keys = self.partition.encode(&batch.rows)?;
        let rows = self.window.row.encode(&batch.rows)?;
        let Some(rowtime) = self.rowtime else {
            let now = core.clock.now_ms();
            for row in 0..batch.rows.num_rows() {
                core.set_key(keys.get(row))?;
                self.advance(now, &[rows.get(row).into()], core)?;
            }
            return self.emit(out);
        };
        let times = rowtimes(batch.rows.column(rowtime))?;
        for row in 0..batch.rows.num_rows() {
            let time = times.value(row);
            if time <= core.watermark() {
                core.late.add(1);
                continue;
            }
            core.set_key(keys.get(row))?;
            let row = RowBytes::from(rows.get(row));
            if let Some(kept) = waiting.get_mut(&mut core.store, &time).map_err(state_error)? {
                kept.push(row);
                continue;
            }
            waiting.put(&mut core.store, time, vec![row]).map_err(state_error)?;
            core.register_timer(true, time)?;
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
        let (waiting, _) = self.states.ok_or_else(not_open)?;
        let rows = waiting.get_mut(&mut core.store, &time).map_err(state_error)?;
        let Some(rows) = rows.map(std::mem::take) else { return Ok(()) };
        waiting.remove(&mut core.store, &time).map_err(state_error)?;
        self.advance(time, &rows, core)?;
        if self.given.len() >= crate::sink::ROWS_PER_BATCH { self.emit(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.emit(out)
    }
}

/// In the order of other columns.
struct ByColumns {
    window: Window,
    partition: RowCodec,
    place: RowCodec,
    output: RowCodec,
    state: Option<ValueState<Rows>>,
    sink: RowSink,
}

impl ByColumns {
    /// The output for all rows of a partition.
    fn outputs(&self, rows: &Rows) -> FlowResult<Vec<RowBytes>> {
        let (mut running, mut given) = (self.window.fresh(), Vec::new());
        for (_, rows) in rows.places() {
            let rows: Vec<RowBytes> = rows.cloned().collect();
            self.window.advance(&mut running, 0, &rows, &mut given)?;
        }
        if given.is_empty() {
            return Ok(Vec::new());
        }
        self.look_ahead(&mut given);
        let count = given.len();
        let encoded = self.output.encode_columns(&self.window.columns(given)?)?;
        Ok((0..count).map(|row| encoded.get(row).into()).collect())
    }

    fn look_ahead(&self, given: &mut [Given]) {
        let others = self.window.config.calls.iter().filter_map(|call| match call {
            OverCall::Ranking(OverRanking::Lead { offset, .. }) => Some(Some(*offset)),
            OverCall::Ranking(OverRanking::Lag { .. }) => Some(None),
            _ => None,
        });
        for (nth, offset) in others.enumerate() {
            let Some(offset) = offset else { continue };
            for row in 0..given.len() {
                let ahead = given.get(row.saturating_add(offset)).map(|one| one.row.clone());
                given[row].others[nth] = ahead;
            }
        }
    }
}

impl Logic for ByColumns {
    fn layout(&self) -> Layout {
        Layout::default()
            .with("partition", &self.partition)
            .with("place", &self.place)
            .with("row", &self.window.row)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let state = descriptor!(ValueStateDescriptor, "rows", self.window.config.ttl);
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
        let keys = self.partition.encode(&batch.rows)?;
        let (places, rows) =
            (self.place.encode(&batch.rows)?, self.window.row.encode(&batch.rows)?);
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        for (group, members) in grouping.rows_by_group().iter().enumerate() {
            let key = keys.get(grouping.first[group] as usize);
            core.store.set_current_key(grouping.hashes[group], key.into());
            let kept = state.get_or_insert_with(&mut core.store, Rows::default);
            let kept = kept.map_err(state_error)?;
            let before = self.outputs(kept)?;
            for row in members {
                let row = *row as usize;
                if batch.kind(row).adds() {
                    kept.insert(places.get(row), None, rows.get(row));
                } else {
                    kept.remove(places.get(row), None, rows.get(row));
                }
            }
            let after = self.outputs(kept)?;
            if kept.count == 0 {
                state.clear(&mut core.store).map_err(state_error)?;
            }
            let mut net: BTreeMap<&RowBytes, i64> = BTreeMap::new();
            after.iter().for_each(|row| *net.entry(row).or_default() += 1);
            before.iter().for_each(|row| *net.entry(row).or_default() -= 1);
            for (row, times) in net.iter().filter(|(_, times)| **times < 0) {
                (*times..0).for_each(|_| self.sink.push(RowKind::Delete, row.bytes()));
            }
            for (row, times) in net.iter().filter(|(_, times)| **times > 0) {
                (0..*times).for_each(|_| self.sink.push(RowKind::Insert, row.bytes()));
            }
            self.sink.flush_if_full(out)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> FlowResult {
        self.sink.flush(out)
    }
}
