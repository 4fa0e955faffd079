//! PERCENTILE: values at places of their order, between two values in proportion.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, cast::AsArray,
    types::Float64Type,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    Aggregate, Resolved, Rows, aggregate,
    collect::{count_value, merge_counts},
    resolved,
    values::{Codec, only},
};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::{Call, Want},
};

pub(super) const FUNCTIONS: &[Aggregate] =
    &[aggregate("PERCENTILE", "PERCENTILE(value, percentage[, frequency])", |call, _| {
        percentile(call)
    })];

fn percentile(call: &Call<'_>) -> Resolved {
    call.count(2, 3)?;
    let double = SqlDataType::nullable(SqlTypeKind::Double);
    let mut arguments = vec![call.want(0, Want::Double)?, call.arguments[1].data_type.clone()];
    if call.len() > 2 {
        arguments.push(call.want(2, Want::BigInt)?);
    }
    let literal = call.arguments[1].literal.as_ref();
    let literal = literal
        .ok_or_else(|| CallError("The percentage of PERCENTILE must be a constant".to_owned()))?;
    let several = literal.as_list_opt::<i32>().map(|list| list.values().clone());
    let as_doubles = arrow_cast::cast(several.as_ref().unwrap_or(literal), &DataType::Float64);
    let as_doubles = as_doubles.map_err(|_| call.mismatch())?;
    let places: Vec<f64> = as_doubles.as_primitive::<Float64Type>().iter().flatten().collect();
    if places.is_empty() || !places.iter().all(|place| (0.0..=1.0).contains(place)) {
        return Err(CallError("Percentage of PERCENTILE should be between [0.0, 1.0]".to_owned()));
    }
    let result = match several {
        Some(_) => SqlTypeKind::Array(Box::new(double.clone())),
        None => SqlTypeKind::Double,
    };
    let result = SqlDataType::nullable(result);
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    let codec = Codec::new(&double)?;
    Ok(resolved(arguments, result, Percentile { codec, places, arrow }))
}

#[derive(Debug)]
struct Percentile {
    codec: Codec,
    places: Vec<f64>,
    arrow: DataType,
}

impl Percentile {
    /// The value at each place, if there are values.
    fn values(&self, state: &AggregateState) -> Result<Option<Vec<f64>>, EvalError> {
        let AggregateState::Counted(counts) = state else { return Ok(None) };
        let there: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
        let total: i64 = there.iter().map(|(_, count)| **count).sum();
        if total == 0 {
            return Ok(None);
        }
        let values = self.codec.decode(there.iter().map(|(value, _)| &***value))?;
        let values = values.as_primitive::<Float64Type>();
        let at = |index: i64| {
            let mut before = 0;
            let found = there.iter().position(|(_, count)| {
                before += **count;
                index < before
            });
            values.value(found.unwrap_or(there.len() - 1))
        };
        let value = |place: &f64| {
            let place = place * (total - 1) as f64;
            let (low, high) = (place.floor(), place.ceil());
            if low == high {
                return at(low as i64);
            }
            (high - place) * at(low as i64) + (place - low) * at(high as i64)
        };
        Ok(Some(self.places.iter().map(value).collect()))
    }
}

impl AggregateKernel for Percentile {
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
        let values = only(arguments)?;
        let encoded = self.codec.encode(values)?;
        let frequencies = arguments.get(2);
        let frequencies = frequencies.map(crate::columns::downcast::<Int64Array>).transpose()?;
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if values.is_null(row) || frequencies.is_some_and(|one| one.is_null(row)) {
                continue;
            }
            let times = frequencies.map_or(1, |one| one.value(row));
            if times > 0 {
                let by = if retract { -times } else { times };
                count_value(states[group], encoded.row(row).as_ref(), by);
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        merge_counts(into, other);
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let found = states.iter().map(|state| self.values(state));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let DataType::List(field) = &self.arrow else {
            let first = |values: &Option<Vec<f64>>| values.as_ref()?.first().copied();
            return Ok(Arc::new(found.iter().map(first).collect::<Float64Array>()));
        };
        let lengths = found.iter().map(|values| values.as_ref().map_or(0, Vec::len));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = NullBuffer::from_iter(found.iter().map(Option::is_some));
        let values: Float64Array = found.iter().flatten().flatten().copied().map(Some).collect();
        Ok(Arc::new(ListArray::try_new(field.clone(), offsets, Arc::new(values), Some(nulls))?))
    }
}
