//! The aggregate calls of an operator, over groups of rows.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, cast::AsArray};
use arrow_schema::{DataType, SchemaRef};
use hurtig_sql_functions::api::AggregateState;
use hurtig_types::{FlowError, FlowResult};
use serde::{Deserialize, Serialize};

use crate::{
    config::AggregateCall,
    rows::{Encoded, RowBytes, RowCodec, eval_error},
};

/// How often each value of a DISTINCT call is there.
pub(crate) type Distinct = BTreeMap<RowBytes, i64>;

/// What is kept of a group: windows, partial results. Merging is exact, also of DISTINCT, whose
/// values are counted and aggregated at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accumulator {
    /// Rows there, less those that were taken away.
    pub rows: i64,
    /// One per call; of DISTINCT calls empty.
    pub states: Vec<AggregateState>,
    /// One per DISTINCT call, in their order.
    pub distinct: Vec<Distinct>,
}

/// DISTINCT calls over the same arguments: what values there are is kept once for all of them.
#[derive(Debug)]
pub(crate) struct DistinctSet {
    /// The calls; at most [`CALLS_PER_SET`].
    pub(crate) calls: Vec<usize>,
    codec: RowCodec,
}

/// Most calls of a set: those for which a row counts are the bits of a number.
const CALLS_PER_SET: usize = 64;

/// The calls of an operator.
#[derive(Debug)]
pub(crate) struct Aggregates {
    pub(crate) calls: Vec<AggregateCall>,
    /// Of each call its number among the DISTINCT ones, and what turns its arguments into bytes.
    distinct: Vec<Option<(usize, RowCodec)>>,
    /// The DISTINCT calls, by their arguments.
    pub(crate) sets: Vec<DistinctSet>,
}

impl Aggregates {
    /// Over rows of a schema.
    pub(crate) fn new(calls: &[AggregateCall], input: &SchemaRef) -> FlowResult<Self> {
        let types = |call: &AggregateCall| {
            let types = call.arguments.iter().map(|at| input.field(*at).data_type().clone());
            types.collect::<Vec<_>>()
        };
        Self::of_types(calls, &calls.iter().map(types).collect::<Vec<_>>())
    }

    /// With arguments of these types.
    pub(crate) fn of_types(calls: &[AggregateCall], types: &[Vec<DataType>]) -> FlowResult<Self> {
        let mut number = 0;
        let distinct = calls.iter().zip(types).map(|(call, types)| {
            if !call.distinct {
                return Ok(None);
            }
            number += 1;
            Ok(Some((number - 1, RowCodec::of_types(types)?)))
        });
        let distinct = distinct.collect::<FlowResult<Vec<_>>>()?;
        let mut sets: Vec<DistinctSet> = Vec::new();
        for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.distinct) {
            let same = |set: &&mut DistinctSet| {
                let first = set.calls.first().map(|first| &calls[*first].arguments);
                first == Some(&call.arguments) && set.calls.len() < CALLS_PER_SET
            };
            match sets.iter_mut().find(same) {
                Some(set) => set.calls.push(at),
                None => sets
                    .push(DistinctSet { calls: vec![at], codec: RowCodec::of_types(&types[at])? }),
            }
        }
        Ok(Self { calls: calls.to_vec(), distinct, sets })
    }

    /// The state of a group without rows.
    pub(crate) fn empty_states(&self) -> Vec<AggregateState> {
        self.calls.iter().map(|call| call.kernel.empty()).collect()
    }

    /// A group without rows.
    pub(crate) fn empty(&self) -> Accumulator {
        let distinct = self.distinct.iter().flatten().map(|_| Distinct::new()).collect();
        Accumulator { rows: 0, states: self.empty_states(), distinct }
    }

    /// The number of a DISTINCT call, and its arguments as bytes.
    pub(crate) fn distinct_of(
        &self,
        call: usize,
        rows: &RecordBatch,
    ) -> FlowResult<Option<(usize, Encoded)>> {
        match &self.distinct[call] {
            None => Ok(None),
            Some((number, codec)) => {
                Ok(Some((*number, codec.encode_columns(&self.arguments(call, rows))?)))
            }
        }
    }

    /// The number of a call among the DISTINCT ones.
    pub(crate) fn place_of(&self, call: usize) -> Option<usize> {
        self.distinct[call].as_ref().map(|(number, _)| *number)
    }

    /// The arguments of a set's calls as bytes.
    pub(crate) fn values_of(&self, set: usize, rows: &RecordBatch) -> FlowResult<Encoded> {
        let set = &self.sets[set];
        let columns = set.calls.first().map(|call| self.arguments(*call, rows));
        set.codec.encode_columns(&columns.unwrap_or_default())
    }

    /// The arguments of a call.
    pub(crate) fn arguments(&self, call: usize, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.calls[call].arguments.iter().map(|at| rows.column(*at).clone()).collect()
    }

    /// Which rows count for a call: `None`, all.
    pub(crate) fn mask(
        &self,
        call: usize,
        rows: &RecordBatch,
        skipped: Option<&[bool]>,
    ) -> FlowResult<Option<BooleanArray>> {
        let filter = match self.calls[call].filter {
            None => None,
            Some(at) => Some(
                rows.column(at)
                    .as_boolean_opt()
                    .ok_or_else(|| FlowError::internal("a FILTER is no BOOLEAN"))?,
            ),
        };
        if filter.is_none() && skipped.is_none() {
            return Ok(None);
        }
        let counts = (0..rows.num_rows()).map(|row| {
            filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
                && skipped.is_none_or(|skipped| !skipped[row])
        });
        Ok(Some(BooleanArray::from(counts.collect::<Vec<_>>())))
    }

    /// Adds rows to the accumulators of their groups. `skipped` rows belong to none.
    pub(crate) fn accumulate(
        &self,
        accumulators: &mut [Accumulator],
        groups: &[u32],
        rows: &RecordBatch,
        skipped: Option<&[bool]>,
        retracts: Option<&[bool]>,
    ) -> FlowResult {
        for (row, group) in groups.iter().enumerate() {
            if skipped.is_none_or(|skipped| !skipped[row]) {
                let takes = retracts.is_some_and(|retracts| retracts[row]);
                accumulators[*group as usize].rows += if takes { -1 } else { 1 };
            }
        }
        for call in 0..self.calls.len() {
            let mask = self.mask(call, rows, skipped)?;
            if let Some((number, values)) = self.distinct_of(call, rows)? {
                for (row, group) in groups.iter().enumerate() {
                    if mask.as_ref().is_some_and(|mask| !mask.value(row)) {
                        continue;
                    }
                    let by = if retracts.is_some_and(|retracts| retracts[row]) { -1 } else { 1 };
                    count(&mut accumulators[*group as usize].distinct[number], values.get(row), by);
                }
                continue;
            }
            let mut states: Vec<&mut AggregateState> =
                accumulators.iter_mut().map(|one| &mut one.states[call]).collect();
            let arguments = self.arguments(call, rows);
            self.calls[call]
                .kernel
                .update(&mut states, groups, &arguments, mask.as_ref(), retracts)
                .map_err(eval_error)?;
        }
        Ok(())
    }

    /// Adds another accumulator.
    pub(crate) fn merge(&self, into: &mut Accumulator, other: &Accumulator) -> FlowResult {
        into.rows += other.rows;
        for (call, one) in self.calls.iter().enumerate() {
            if self.distinct[call].is_none() {
                let (into, other) = (&mut into.states[call], &other.states[call]);
                one.kernel.merge(into, other).map_err(eval_error)?;
            }
        }
        for (into, other) in into.distinct.iter_mut().zip(&other.distinct) {
            for (value, by) in other {
                count(into, value.bytes(), *by);
            }
        }
        Ok(())
    }

    /// The results of accumulators: one column per call.
    pub(crate) fn results(&self, accumulators: &[Accumulator]) -> FlowResult<Vec<ArrayRef>> {
        (0..self.calls.len())
            .map(|call| match &self.distinct[call] {
                None => {
                    let states: Vec<_> = accumulators.iter().map(|one| &one.states[call]).collect();
                    self.calls[call].kernel.results(&states).map_err(eval_error)
                }
                Some((number, codec)) => {
                    let mut states: Vec<_> =
                        accumulators.iter().map(|_| self.calls[call].kernel.empty()).collect();
                    let (mut groups, mut values) = (Vec::new(), Vec::new());
                    for (group, one) in accumulators.iter().enumerate() {
                        for (value, times) in &one.distinct[*number] {
                            if *times > 0 {
                                groups.push(group as u32);
                                values.push(value.bytes());
                            }
                        }
                    }
                    self.add_values(call, codec, &mut states, &groups, &values, None)?;
                    let states: Vec<_> = states.iter().collect();
                    self.calls[call].kernel.results(&states).map_err(eval_error)
                }
            })
            .collect()
    }

    fn add_values(
        &self,
        call: usize,
        codec: &RowCodec,
        states: &mut [AggregateState],
        groups: &[u32],
        values: &[&[u8]],
        retracts: Option<&[bool]>,
    ) -> FlowResult {
        if groups.is_empty() {
            return Ok(());
        }
        let arguments = codec.decode(values.iter().copied())?;
        let mut states: Vec<_> = states.iter_mut().collect();
        let kernel = &self.calls[call].kernel;
        kernel.update(&mut states, groups, &arguments, None, retracts).map_err(eval_error)
    }

    /// Adds values of a DISTINCT call to states, or takes them away.
    pub(crate) fn add_distinct_values(
        &self,
        call: usize,
        states: &mut [AggregateState],
        groups: &[u32],
        values: &[&[u8]],
        retracts: &[bool],
    ) -> FlowResult {
        match &self.distinct[call] {
            Some((_, codec)) => {
                let retracts = retracts.iter().any(|one| *one).then_some(retracts);
                self.add_values(call, codec, states, groups, values, retracts)
            }
            None => Ok(()),
        }
    }

    /// True if a call is DISTINCT.
    pub(crate) fn has_distinct(&self) -> bool {
        self.distinct.iter().any(Option::is_some)
    }
}

fn count(values: &mut Distinct, value: &[u8], by: i64) {
    if let Some(times) = values.get_mut(value) {
        *times += by;
        if *times == 0 {
            values.remove(value);
        }
    } else {
        values.insert(value.into(), by);
    }
}
