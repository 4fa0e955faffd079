//! MIN and MAX.
//!
//! Without retraction a state keeps one value: numbers and times as themselves, all else encoded. With
//! retraction it counts every value there is.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, DurationMillisecondType, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, IntervalYearMonthType, Time32MillisecondType,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    },
};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::SqlTypeKind;

use super::{
    Aggregate, Resolved, Rows, aggregate, resolved,
    values::{Codec, only},
};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::{Call, Want},
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("MIN", "MIN([DISTINCT] value)", |call, retracts| extreme(call, retracts, false)),
    aggregate("MAX", "MAX([DISTINCT] value)", |call, retracts| extreme(call, retracts, true)),
];

fn extreme(call: &Call<'_>, retracts: bool, greatest: bool) -> Resolved {
    call.count(1, 1)?;
    let argument = call.want(0, Want::Any)?;
    if matches!(
        argument.kind,
        SqlTypeKind::Array(_)
            | SqlTypeKind::Map(..)
            | SqlTypeKind::Multiset(_)
            | SqlTypeKind::Row(_)
            | SqlTypeKind::Structured { .. }
    ) {
        return Err(call.mismatch());
    }
    let arrow = arrow_type(&argument).map_err(|error| CallError(error.to_string()))?;
    let result = argument.clone();
    if retracts {
        let kernel = Counted { codec: Codec::new(&argument)?, greatest };
        return Ok(resolved(vec![argument], result, kernel));
    }
    let kernel = Extreme { codec: Codec::new(&argument)?, arrow, greatest };
    Ok(resolved(vec![argument], result, kernel))
}

/// The type of the numbers of a column, handed to a macro; all other columns are encoded.
macro_rules! by_numbers {
    ($kind:expr, $call:ident, $other:expr) => {
        match $kind {
            DataType::Int8 => $call!(Int8Type),
            DataType::Int16 => $call!(Int16Type),
            DataType::Int32 => $call!(Int32Type),
            DataType::Int64 => $call!(Int64Type),
            DataType::Date32 => $call!(Date32Type),
            DataType::Time32(TimeUnit::Millisecond) => $call!(Time32MillisecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => $call!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => $call!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => $call!(TimestampNanosecondType),
            DataType::Interval(IntervalUnit::YearMonth) => $call!(IntervalYearMonthType),
            DataType::Duration(TimeUnit::Millisecond) => $call!(DurationMillisecondType),
            _ => $other,
        }
    };
}

#[derive(Debug)]
struct Extreme {
    codec: Codec,
    arrow: DataType,
    greatest: bool,
}

impl Extreme {
    fn better<T: PartialOrd>(&self, value: T, than: T) -> bool {
        if self.greatest { value > than } else { value < than }
    }

    fn integers<T: ArrowPrimitiveType>(
        &self,
        states: &mut [&mut AggregateState],
        rows: Rows<'_>,
        values: &ArrayRef,
    ) where
        i64: From<T::Native>,
    {
        let values = values.as_primitive::<T>();
        for (row, group, _) in rows.iter() {
            if values.is_valid(row) {
                let value = i64::from(values.value(row));
                let state = AggregateState::Integers { sum: value, count: 1 };
                self.offer(states[group], state);
            }
        }
    }

    /// Keeps the better of two states.
    fn offer(&self, state: &mut AggregateState, other: AggregateState) {
        let better = match (&*state, &other) {
            (_, AggregateState::Empty) => false,
            (AggregateState::Empty, _) => true,
            (
                AggregateState::Integers { sum: old, .. },
                AggregateState::Integers { sum: new, .. },
            ) => self.better(new, old),
            (AggregateState::Floats { sum: old, .. }, AggregateState::Floats { sum: new, .. }) => {
                self.better(new, old)
            }
            (
                AggregateState::Decimals { sum: old, .. },
                AggregateState::Decimals { sum: new, .. },
            ) => self.better(new, old),
            (AggregateState::Value(old), AggregateState::Value(new)) => self.better(new, old),
            _ => false,
        };
        if better {
            *state = other;
        }
    }
}

fn number(state: &AggregateState) -> Option<i64> {
    match state {
        AggregateState::Integers { sum, count } if *count != 0 => Some(*sum),
        _ => None,
    }
}

impl AggregateKernel for Extreme {
    fn empty(&self) -> AggregateState {
        AggregateState::Empty
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
        let rows = Rows::new(groups, counts, retracts);
        macro_rules! integers {
            ($type:ty) => {
                self.integers::<$type>(states, rows, values)
            };
        }
        by_numbers!(
            values.data_type(),
            integers,
            match values.data_type() {
                DataType::Float32 | DataType::Float64 => {
                    let values = arrow_cast::cast(values, &DataType::Float64)?;
                    let values = values.as_primitive::<Float64Type>();
                    for (row, group, _) in rows.iter() {
                        if values.is_valid(row) {
                            let state = AggregateState::Floats { sum: values.value(row), count: 1 };
                            self.offer(states[group], state);
                        }
                    }
                }
                DataType::Decimal128(..) => {
                    let values = values.as_primitive::<Decimal128Type>();
                    for (row, group, _) in rows.iter() {
                        if values.is_valid(row) {
                            let state =
                                AggregateState::Decimals { sum: values.value(row), count: 1 };
                            self.offer(states[group], state);
                        }
                    }
                }
                _ => {
                    let encoded = self.codec.encode(values)?;
                    for (row, group, _) in rows.iter() {
                        if super::values::is_null(values, row) {
                            continue;
                        }
                        let value = encoded.row(row);
                        // Most values are not better: they need no box.
                        if let AggregateState::Value(old) = &*states[group]
                            && !self.better(value.as_ref(), &**old)
                        {
                            continue;
                        }
                        *states[group] = AggregateState::Value(value.as_ref().into());
                    }
                }
            }
        );
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        self.offer(into, other.clone());
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        macro_rules! integers {
            ($type:ty) => {{
                let values = states.iter().map(|state| {
                    let value = number(state)?;
                    <$type as ArrowPrimitiveType>::Native::try_from(value).ok()
                });
                let values = values.collect::<PrimitiveArray<$type>>();
                Arc::new(values.with_data_type(self.arrow.clone())) as ArrayRef
            }};
        }
        let float = |state: &AggregateState| match state {
            AggregateState::Floats { sum, .. } => Some(*sum),
            _ => None,
        };
        Ok(by_numbers!(
            self.arrow,
            integers,
            match &self.arrow {
                DataType::Float32 => {
                    let values = states.iter().map(|state| float(state).map(|value| value as f32));
                    Arc::new(values.collect::<PrimitiveArray<Float32Type>>())
                }
                DataType::Float64 => {
                    let values = states.iter().map(|state| float(state));
                    Arc::new(values.collect::<PrimitiveArray<Float64Type>>())
                }
                DataType::Decimal128(..) => {
                    let values = states.iter().map(|state| match state {
                        AggregateState::Decimals { sum, .. } => Some(*sum),
                        _ => None,
                    });
                    let values = values.collect::<PrimitiveArray<Decimal128Type>>();
                    Arc::new(values.with_data_type(self.arrow.clone()))
                }
                _ => {
                    let values = states.iter().map(|state| match state {
                        AggregateState::Value(value) => Some(&**value),
                        _ => None,
                    });
                    self.codec.decode_optional(&values.collect::<Vec<_>>())?
                }
            }
        ))
    }
}

/// Counts values; the first or last of them is the result.
#[derive(Debug)]
struct Counted {
    codec: Codec,
    greatest: bool,
}

impl AggregateKernel for Counted {
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
        super::collect::count_values(&self.codec, states, rows, only(arguments)?)
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        super::collect::merge_counts(into, other);
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let values = states.iter().map(|state| match state {
            AggregateState::Counted(values) => {
                // Values that were taken away before they came count less than nothing.
                let mut there = values.iter().filter(|(_, count)| **count > 0);
                let found = if self.greatest { there.next_back() } else { there.next() };
                found.map(|(value, _)| &**value)
            }
            _ => None,
        });
        self.codec.decode_optional(&values.collect::<Vec<_>>())
    }
}
