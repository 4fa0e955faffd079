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

use arrow_array::{ArrayRef, UInt32Array};
use arrow_ord::cmp::distinct;
use arrow_schema::SchemaRef;
use arrow_select::{concat::concat, take::take};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_sql_functions::api::AggregateState;
use hurtig_state_heap::ValueState;
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    aggregates::{Accumulator, Aggregates},
    config::{GlobalGroupAggregate, GroupAggregate},
    core::{Core, KeyedOperator, Logic, descriptor},
    layout::Layout,
    rows::{Encoded, Grouping, RowCodec, arrow_error, make_rows, state_error},
};

mod distinct;
mod local;

use distinct::{Seen, Values};
pub(crate) use local::decode_partials;

/// What is kept of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    rows: i64,
    states: Vec<AggregateState>,
}

struct States {
    groups: ValueState<Group>,
    /// The values of each set of DISTINCT calls.
    distinct: Vec<Values>,
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
                values.clear(core)?;
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
            distinct.push(Values::open(&name, self.insert_only, self.ttl, core)?);
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
