//! COLLECT: how often each value is there.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, MapArray, StructArray, builder::Int32Builder,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    Aggregate, Rows, aggregate, resolved,
    values::{Codec, only},
};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::Want,
};

pub(super) const FUNCTIONS: &[Aggregate] =
    &[aggregate("COLLECT", "COLLECT([DISTINCT] value)", |call, _| {
        call.count(1, 1)?;
        let argument = call.want(0, Want::Any)?;
        let result = SqlTypeKind::Multiset(Box::new(argument.clone()));
        let result = SqlDataType::not_null(result);
        let codec = Codec::new(&argument)?;
        let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
        Ok(resolved(vec![argument], result, Collect { codec, arrow }))
    })];

/// Adds and takes away values that are not NULL.
pub(super) fn count_values(
    codec: &Codec,
    states: &mut [&mut AggregateState],
    rows: Rows<'_>,
    values: &ArrayRef,
) -> Result<(), EvalError> {
    let encoded = codec.encode(values)?;
    for (row, group, retract) in rows.iter() {
        if !super::values::is_null(values, row) {
            count_value(states[group], encoded.row(row).as_ref(), if retract { -1 } else { 1 });
        }
    }
    Ok(())
}

/// Adds to the count of a value. One that is there no times is forgotten.
pub(super) fn count_value(state: &mut AggregateState, value: &[u8], by: i64) {
    if !matches!(state, AggregateState::Counted(_)) {
        *state = AggregateState::Counted(Box::default());
    }
    let AggregateState::Counted(counts) = state else { return };
    match counts.get_mut(value) {
        Some(count) => {
            *count += by;
            if *count == 0 {
                counts.remove(value);
            }
        }
        None => {
            counts.insert(value.into(), by);
        }
    }
}

/// Adds the counts of another state.
pub(super) fn merge_counts(into: &mut AggregateState, other: &AggregateState) {
    if let AggregateState::Counted(counts) = other {
        for (value, count) in &**counts {
            count_value(into, value, *count);
        }
    }
}

#[derive(Debug)]
struct Collect {
    codec: Codec,
    arrow: DataType,
}

impl AggregateKernel for Collect {
    fn empty(&self) -> AggregateState {
        AggregateState::Counted(Box::default())
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let rows = Rows::new(groups, counts, retracts);
        count_values(&self.codec, states, rows, only(arguments)?)
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        merge_counts(into, other);
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let DataType::Map(entries, sorted) = &self.arrow else {
            return Err(EvalError::Internal("a multiset is no map".to_owned()));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(EvalError::Internal("a map without entries".to_owned()));
        };
        let (mut keys, mut counts) = (Vec::new(), Int32Builder::new());
        let mut lengths = Vec::with_capacity(states.len());
        for state in states {
            let before = keys.len();
            if let AggregateState::Counted(values) = state {
                for (value, count) in values.iter().filter(|(_, count)| **count > 0) {
                    keys.push(&**value);
                    counts.append_value(i32::try_from(*count).unwrap_or(i32::MAX));
                }
            }
            lengths.push(keys.len() - before);
        }
        let keys = self.codec.decode(keys)?;
        let counts: Int32Array = counts.finish();
        let rows = StructArray::try_new(fields.clone(), vec![keys, Arc::new(counts)], None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let map = MapArray::try_new(entries.clone(), offsets, rows, None, *sorted)?;
        debug_assert_eq!(map.len(), states.len());
        Ok(Arc::new(map))
    }
}
