//! Group aggregates.
//!
//! A batch is a mini-batch: its rows are grouped by key, each group's state is fetched once, and at
//! most one change per key goes out:
//!
//! | before | after | out |
//! |---|---|---|
//! | nothing | rows | `+I` |
//! | rows | rows | `-U` (if wanted) and `+U`; nothing if the result is the same and state lives for ever |
//! | rows | nothing | `-D` |
//!
//! Rows that are taken from a group that is not there are ignored, as in Flink (its state has expired).

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_ord::cmp::distinct;
use arrow_schema::SchemaRef;
use arrow_select::{concat::concat, take::take};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_sql_functions::api::AggregateState;
use hurtig_state_heap::{MapState, ValueState};
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};

use crate::{
    aggregates::{Accumulator, Aggregates},
    config::{GlobalGroupAggregate, GroupAggregate, LocalGroupAggregate},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    rows::{Encoded, Grouping, RowBytes, RowCodec, arrow_error, make_rows, rows_of, state_error},
    small::Small,
};

/// What is kept of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    rows: i64,
    states: Vec<AggregateState>,
}

/// How often a value is there for each call of a set of DISTINCT ones.
type Counts = Small<[i64; 4]>;

struct States {
    groups: ValueState<Group>,
    /// The values of each set of DISTINCT calls.
    distinct: Vec<Values>,
}

/// How the values of sets of DISTINCT calls are kept.
#[derive(Clone, Copy)]
enum Values {
    /// With how often they are there for each call.
    Counted(MapState<RowBytes, Counts>),
    /// Where none ever goes: for which calls they are there, as bits.
    Seen(MapState<RowBytes, u64>),
}

/// A value that a row has for some calls of a set.
struct Seen<'a> {
    group: u32,
    value: &'a [u8],
    /// Bits: the calls.
    calls: u64,
    /// How often it comes, or goes.
    by: i64,
}

/// What came or went for a call.
#[derive(Default)]
struct Changed<'a> {
    groups: Vec<u32>,
    values: Vec<&'a [u8]>,
    retracts: Vec<bool>,
}

/// A value comes for calls; what is new to some of them is a change.
fn note_seen<'a>(known: &mut u64, one: &Seen<'a>, changed: &mut [Changed<'a>]) {
    let mut new = one.calls & !*known;
    *known |= one.calls;
    while new != 0 {
        let changed = &mut changed[new.trailing_zeros() as usize];
        new &= new - 1;
        changed.groups.push(one.group);
        changed.values.push(one.value);
        changed.retracts.push(false);
    }
}

/// What a batch has for its groups.
enum Rows<'a> {
    /// Rows of the input.
    Plain(&'a ChangelogBatch),
    /// Partial results, one per row.
    Partial(Vec<Accumulator>),
}

/// The aggregate in one phase, and the second of two.
struct GroupLogic {
    aggregates: Aggregates,
    keys: RowCodec,
    key_columns: Vec<usize>,
    schema: SchemaRef,
    insert_only: bool,
    emits_update_before: bool,
    ttl: Option<Duration>,
    /// The column of partial results, in the second of two phases.
    partial: Option<usize>,
    states: Option<States>,
}

impl OperatorFactory for GroupAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(KeyedOperator::boxed(GroupLogic {
            aggregates: Aggregates::new(&self.calls, &self.input)?,
            keys: RowCodec::new(&self.input, &self.keys)?,
            key_columns: self.keys.clone(),
            schema: self.schema.clone(),
            insert_only: self.insert_only,
            emits_update_before: self.emits_update_before,
            ttl: self.ttl,
            partial: None,
            states: None,
        }))
    }
}

impl OperatorFactory for GlobalGroupAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let partial = self.input.fields().len().checked_sub(1);
        let partial = partial.ok_or_else(|| FlowError::internal("no column of partial results"))?;
        let keys: Vec<_> = (0..partial).collect();
        Ok(KeyedOperator::boxed(GroupLogic {
            aggregates: Aggregates::of_types(&self.calls, &self.arguments)?,
            keys: RowCodec::new(&self.input, &keys)?,
            key_columns: keys,
            schema: self.schema.clone(),
            insert_only: self.insert_only,
            emits_update_before: self.emits_update_before,
            ttl: self.ttl,
            partial: Some(partial),
            states: None,
        }))
    }
}

impl GroupLogic {
    fn states(&self) -> FlowResult<&States> {
        self.states.as_ref().ok_or_else(|| FlowError::internal("the operator was not opened"))
    }

    /// Takes the groups of a batch out of the state; true where there was one.
    fn fetch(
        &self,
        keys: &Encoded,
        grouping: &Grouping,
        core: &mut Core,
    ) -> FlowResult<(Vec<Group>, Vec<bool>)> {
        let states = self.states()?;
        let mut groups = Vec::with_capacity(grouping.first.len());
        let mut existed = Vec::with_capacity(grouping.first.len());
        for (first, hash) in grouping.first.iter().zip(&grouping.hashes) {
            core.store.set_current_key(*hash, keys.get(*first as usize).into());
            let found = states.groups.get_mut(&mut core.store).map_err(state_error)?;
            existed.push(found.is_some());
            groups.push(match found {
                Some(group) => std::mem::take(group),
                None => Group { rows: 0, states: self.aggregates.empty_states() },
            });
        }
        Ok((groups, existed))
    }

    /// One column per call.
    fn results_of(&self, groups: &[Group]) -> FlowResult<Vec<ArrayRef>> {
        let calls = self.aggregates.calls.iter().enumerate();
        calls
            .map(|(call, one)| {
                let states: Vec<_> = groups.iter().map(|group| &group.states[call]).collect();
                one.kernel.results(&states).map_err(crate::rows::eval_error)
            })
            .collect()
    }

    /// Counts the values of a set of DISTINCT calls and adds what is new to their results, takes what
    /// is gone. What a group has comes one behind the other.
    fn update_distinct<'a>(
        &self,
        set: usize,
        groups: &mut [Group],
        seen: impl Iterator<Item = Seen<'a>>,
        (keys, grouping): (&Encoded, &Grouping),
        core: &mut Core,
    ) -> FlowResult {
        let calls = &self.aggregates.sets[set].calls;
        let mut changed: Vec<Changed<'a>> = calls.iter().map(|_| Changed::default()).collect();
        let mut seen = seen.peekable();
        let counts = match self.states()?.distinct[set] {
            Values::Counted(counts) => counts,
            Values::Seen(state) => {
                while let Some(first) = seen.peek() {
                    let group = first.group;
                    self.make_current(group, (keys, grouping), core);
                    let of_group = std::iter::from_fn(|| seen.next_if(|one| one.group == group));
                    let values = of_group.map(|one| (one.value.into(), one));
                    let note = |known: &mut u64, one: Seen<'a>| {
                        note_seen(known, &one, &mut changed);
                    };
                    state.update_each(&mut core.store, values, || 0, note).map_err(state_error)?;
                }
                return self.add_changed(calls, changed, groups);
            }
        };
        let mut current = None;
        for Seen { group, value, calls: mut which, by } in seen {
            if current != Some(group) {
                current = Some(group);
                self.make_current(group, (keys, grouping), core);
            }
            let known = counts.get_mut(&mut core.store, value).map_err(state_error)?;
            let mut fresh = None;
            let known = match known {
                Some(known) => known,
                None => fresh.insert(Small(SmallVec::from_elem(0, calls.len()))),
            };
            if known.len() != calls.len() {
                return Err(FlowError::internal("the counts of values are those of other calls"));
            }
            while which != 0 {
                let call = which.trailing_zeros() as usize;
                which &= which - 1;
                let before = known[call];
                let after = before + by;
                known[call] = after;
                if (before > 0) != (after > 0) {
                    let changed = &mut changed[call];
                    changed.groups.push(group);
                    changed.values.push(value);
                    changed.retracts.push(after <= 0);
                }
            }
            let is_gone = known.iter().all(|count| *count == 0);
            match fresh {
                Some(fresh) if !is_gone => {
                    counts.put(&mut core.store, value.into(), fresh).map_err(state_error)?;
                }
                None if is_gone => {
                    counts.remove(&mut core.store, value).map_err(state_error)?;
                }
                _ => {}
            }
        }
        self.add_changed(calls, changed, groups)
    }

    fn make_current(&self, group: u32, (keys, grouping): (&Encoded, &Grouping), core: &mut Core) {
        let (first, hash) = (grouping.first[group as usize], grouping.hashes[group as usize]);
        core.store.set_current_key(hash, keys.get(first as usize).into());
    }

    /// Adds to the results of DISTINCT calls what has come, takes what has gone.
    fn add_changed(
        &self,
        calls: &[usize],
        changed: Vec<Changed<'_>>,
        groups: &mut [Group],
    ) -> FlowResult {
        for (call, Changed { groups: at, values, retracts }) in calls.iter().zip(changed) {
            let taken = groups.iter_mut().map(|group| std::mem::take(&mut group.states[*call]));
            let mut states: Vec<_> = taken.collect();
            self.aggregates.add_distinct_values(*call, &mut states, &at, &values, &retracts)?;
            for (group, state) in groups.iter_mut().zip(states) {
                group.states[*call] = state;
            }
        }
        Ok(())
    }

    fn add_rows(
        &self,
        batch: &ChangelogBatch,
        groups: &mut [Group],
        existed: &[bool],
        (keys, grouping): (&Encoded, &Grouping),
        core: &mut Core,
    ) -> FlowResult {
        let retracts: Option<Vec<bool>> =
            batch.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| !kind.adds()).collect());
        let mut skipped: Option<Vec<bool>> = None;
        if let Some(retracts) = &retracts {
            let mut there = existed.to_vec();
            for (row, group) in grouping.groups.iter().enumerate() {
                let there = &mut there[*group as usize];
                if !retracts[row] {
                    *there = true;
                } else if !*there {
                    skipped.get_or_insert_with(|| vec![false; retracts.len()])[row] = true;
                }
            }
        }
        for (row, group) in grouping.groups.iter().enumerate() {
            if skipped.as_ref().is_none_or(|skipped| !skipped[row]) {
                let takes = retracts.as_ref().is_some_and(|retracts| retracts[row]);
                groups[*group as usize].rows += if takes { -1 } else { 1 };
            }
        }
        let aggregates = &self.aggregates;
        for (call, one) in aggregates.calls.iter().enumerate().filter(|(_, one)| !one.distinct) {
            let mask = aggregates.mask(call, &batch.rows, skipped.as_deref())?;
            let mut states: Vec<_> =
                groups.iter_mut().map(|group| &mut group.states[call]).collect();
            let arguments = aggregates.arguments(call, &batch.rows);
            let retracts = retracts.as_deref();
            one.kernel
                .update(&mut states, &grouping.groups, &arguments, mask.as_ref(), retracts)
                .map_err(crate::rows::eval_error)?;
        }
        if !aggregates.has_distinct() {
            return Ok(());
        }
        let by_group = grouping.rows_by_group();
        for (number, set) in aggregates.sets.iter().enumerate() {
            let values = aggregates.values_of(number, &batch.rows)?;
            let mut counts = vec![0_u64; batch.rows.num_rows()];
            for (bit, call) in set.calls.iter().enumerate() {
                match aggregates.mask(*call, &batch.rows, skipped.as_deref())? {
                    None => counts.iter_mut().for_each(|calls| *calls |= 1 << bit),
                    Some(mask) => {
                        let masked = counts.iter_mut().zip(mask.values());
                        masked.for_each(|(calls, counts)| *calls |= u64::from(counts) << bit);
                    }
                }
            }
            let rows = by_group.iter().enumerate();
            let rows = rows.flat_map(|(group, rows)| rows.iter().map(move |row| (group, *row)));
            let seen = rows.filter(|(_, row)| counts[*row as usize] != 0).map(|(group, row)| {
                let row = row as usize;
                let takes = retracts.as_ref().is_some_and(|all| all[row]);
                let (calls, by) = (counts[row], if takes { -1 } else { 1 });
                Seen { group: group as u32, value: values.get(row), calls, by }
            });
            self.update_distinct(number, groups, seen, (keys, grouping), core)?;
        }
        Ok(())
    }

    fn add_partials(
        &self,
        partials: &[Accumulator],
        groups: &mut [Group],
        (keys, grouping): (&Encoded, &Grouping),
        core: &mut Core,
    ) -> FlowResult {
        for (partial, group) in partials.iter().zip(&grouping.groups) {
            let group = &mut groups[*group as usize];
            group.rows += partial.rows;
            for (call, one) in self.aggregates.calls.iter().enumerate() {
                if !one.distinct {
                    one.kernel
                        .merge(&mut group.states[call], &partial.states[call])
                        .map_err(crate::rows::eval_error)?;
                }
            }
        }
        let by_group = grouping.rows_by_group();
        for (number, set) in self.aggregates.sets.iter().enumerate() {
            let mut seen = Vec::new();
            for (group, rows) in by_group.iter().enumerate() {
                for (bit, call) in set.calls.iter().enumerate() {
                    let Some(place) = self.aggregates.place_of(*call) else { continue };
                    for row in rows {
                        let values = partials[*row as usize].distinct[place].iter();
                        let (group, calls) = (group as u32, 1 << bit);
                        seen.extend(values.map(|(value, by)| Seen {
                            group,
                            value: value.bytes(),
                            calls,
                            by: *by,
                        }));
                    }
                }
            }
            self.update_distinct(number, groups, seen.into_iter(), (keys, grouping), core)?;
        }
        Ok(())
    }

    /// Puts the groups back; forgets those without rows.
    fn store(
        &self,
        groups: Vec<Group>,
        (keys, grouping): (&Encoded, &Grouping),
        core: &mut Core,
    ) -> FlowResult {
        let states = self.states()?;
        for (index, group) in groups.into_iter().enumerate() {
            let first = grouping.first[index] as usize;
            core.store.set_current_key(grouping.hashes[index], keys.get(first).into());
            if group.rows > 0 {
                states.groups.update(&mut core.store, group).map_err(state_error)?;
                continue;
            }
            states.groups.clear(&mut core.store).map_err(state_error)?;
            for values in &states.distinct {
                match values {
                    Values::Counted(values) => {
                        drop(values.clear(&mut core.store).map_err(state_error)?)
                    }
                    Values::Seen(values) => {
                        drop(values.clear(&mut core.store).map_err(state_error)?)
                    }
                }
            }
        }
        Ok(())
    }

    /// What changed, as (kind, group, before or after).
    fn changes(
        &self,
        groups: &[Group],
        existed: &[bool],
        before: &[ArrayRef],
        after: &[ArrayRef],
    ) -> FlowResult<Vec<(RowKind, u32, bool)>> {
        let lives_for_ever = self.ttl.is_none_or(|ttl| ttl.is_zero());
        let differs = differing(before, after, groups.len())?;
        let mut changes = Vec::with_capacity(groups.len() * 2);
        for (index, group) in groups.iter().enumerate() {
            let at = index as u32;
            match (existed[index], group.rows > 0) {
                (false, true) => changes.push((RowKind::Insert, at, true)),
                (true, false) => changes.push((RowKind::Delete, at, false)),
                (true, true) if !lives_for_ever || differs[index] => {
                    if self.emits_update_before {
                        changes.push((RowKind::UpdateBefore, at, false));
                    }
                    changes.push((RowKind::UpdateAfter, at, true));
                }
                _ => {}
            }
        }
        Ok(changes)
    }
}

impl Logic for GroupLogic {
    fn layout(&self) -> Layout {
        Layout::default().with("key", &self.keys)
    }

    fn open(&mut self, core: &mut Core) -> FlowResult {
        let groups = descriptor!(ValueStateDescriptor, "groups", self.ttl);
        let groups = core.store.value_state(&groups).map_err(state_error)?;
        let mut distinct = Vec::new();
        for set in 0..self.aggregates.sets.len() {
            let name = format!("distinct-{set}");
            distinct.push(if self.insert_only {
                let values = descriptor!(MapStateDescriptor, &name, self.ttl);
                Values::Seen(core.store.map_state(&values).map_err(state_error)?)
            } else {
                let values = descriptor!(MapStateDescriptor, &name, self.ttl);
                Values::Counted(core.store.map_state(&values).map_err(state_error)?)
            });
        }
        self.states = Some(States { groups, distinct });
        Ok(())
    }

    fn process(
        &mut self,
        _: usize,
        batch: ChangelogBatch,
        core: &mut Core,
        out: &mut dyn Output,
    ) -> FlowResult {
        let rows = match self.partial {
            None => Rows::Plain(&batch),
            Some(column) => Rows::Partial(decode_partials(&batch.rows, column, &self.aggregates)?),
        };
        let keys = self.keys.encode(&batch.rows)?;
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        let place = (&keys, &grouping);
        let (mut groups, existed) = self.fetch(&keys, &grouping, core)?;
        let before = self.results_of(&groups)?;
        match &rows {
            Rows::Plain(batch) => self.add_rows(batch, &mut groups, &existed, place, core)?,
            Rows::Partial(partials) => self.add_partials(partials, &mut groups, place, core)?,
        }
        let after = self.results_of(&groups)?;
        let changes = self.changes(&groups, &existed, &before, &after)?;
        self.store(groups, place, core)?;
        if changes.is_empty() {
            return Ok(());
        }
        let first = changes.iter().map(|(_, group, _)| grouping.first[*group as usize]);
        let first = UInt32Array::from_iter_values(first);
        let keys = self.key_columns.iter().map(|at| take(batch.rows.column(*at), &first, None));
        let mut columns = keys.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
        // The results before and those after, one below the other.
        let all = existed.len() as u32;
        let at = changes.iter().map(|(_, group, is_after)| group + if *is_after { all } else { 0 });
        let at = UInt32Array::from_iter_values(at);
        for (before, after) in before.iter().zip(&after) {
            let both = concat(&[before, after]).map_err(arrow_error)?;
            columns.push(take(&both, &at, None).map_err(arrow_error)?);
        }
        let rows = make_rows(&self.schema, columns, changes.len())?;
        let kinds = changes.into_iter().map(|(kind, _, _)| kind).collect();
        out.emit(ChangelogBatch::new(rows, kinds).boxed())
    }

    fn flush(&mut self, _: &mut dyn Output) -> FlowResult {
        Ok(())
    }
}

/// In which rows some column of one side differs from that of the other.
fn differing(before: &[ArrayRef], after: &[ArrayRef], rows: usize) -> FlowResult<Vec<bool>> {
    let mut differs = vec![false; rows];
    for (before, after) in before.iter().zip(after) {
        if before.data_type().is_nested() {
            let codec = RowCodec::of_types([before.data_type()])?;
            let (before, after) = (
                codec.encode_columns(std::slice::from_ref(before))?,
                codec.encode_columns(std::slice::from_ref(after))?,
            );
            let rows = differs.iter_mut().enumerate();
            rows.for_each(|(row, differs)| *differs |= before.get(row) != after.get(row));
            continue;
        }
        let column = distinct(before, after).map_err(arrow_error)?;
        differs.iter_mut().zip(column.values()).for_each(|(one, column)| *one |= column);
    }
    Ok(differs)
}

/// What [`LocalGroupAggregate`] and its like wrote.
pub(crate) fn decode_partials(
    rows: &RecordBatch,
    column: usize,
    aggregates: &Aggregates,
) -> FlowResult<Vec<Accumulator>> {
    let column = rows.column(column).as_any().downcast_ref::<arrow_array::BinaryArray>();
    let column = column.ok_or_else(|| FlowError::internal("partial results are no bytes"))?;
    let distinct = aggregates.calls.iter().filter(|call| call.distinct).count();
    column
        .iter()
        .map(|bytes| {
            let partial: Accumulator = hurtig_types::codec::decode(bytes.unwrap_or_default())?;
            if partial.states.len() != aggregates.calls.len() || partial.distinct.len() != distinct
            {
                return Err(FlowError::internal("partial results are of other calls"));
            }
            Ok(partial)
        })
        .collect()
}

/// The first of two phases. Keeps nothing between batches.
struct LocalOperator {
    aggregates: Aggregates,
    keys: RowCodec,
    key_columns: Vec<usize>,
    schema: SchemaRef,
}

impl OperatorFactory for LocalGroupAggregate {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(LocalOperator {
            aggregates: Aggregates::new(&self.calls, &self.input)?,
            keys: RowCodec::new(&self.input, &self.keys)?,
            key_columns: self.keys.clone(),
            schema: self.schema.clone(),
        }))
    }
}

impl Operator for LocalOperator {
    fn process(
        &mut self,
        _: usize,
        batch: hurtig_types::BoxedPayload,
        out: &mut dyn Output,
    ) -> FlowResult {
        let batch = rows_of(batch)?;
        let keys = self.keys.encode(&batch.rows)?;
        let grouping = Grouping::of(&keys, batch.rows.num_rows())?;
        let mut groups: Vec<_> = grouping.first.iter().map(|_| self.aggregates.empty()).collect();
        let retracts: Option<Vec<bool>> =
            batch.kinds.as_ref().map(|kinds| kinds.iter().map(|kind| !kind.adds()).collect());
        let retracts = retracts.as_deref();
        self.aggregates.accumulate(&mut groups, &grouping.groups, &batch.rows, None, retracts)?;
        let first = UInt32Array::from(grouping.first);
        let keys = self.key_columns.iter().map(|at| take(batch.rows.column(*at), &first, None));
        let mut columns = keys.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
        let bytes =
            groups.iter().map(hurtig_types::codec::encode).collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(arrow_array::BinaryArray::from_iter_values(&bytes)));
        let rows = make_rows(&self.schema, columns, groups.len())?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}
