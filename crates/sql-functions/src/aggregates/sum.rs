//! SUM, SUM0 and AVG.
//!
//! The result has the type of the values, so that sums of integers wrap around and averages of them
//! are cut; decimals have 38 digits.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type,
    },
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::SqlTypeKind;

use super::{Aggregate, Resolved, Rows, aggregate, resolved};
use crate::{
    api::{AggregateKernel, AggregateState},
    call::{Call, Want},
    columns::downcast,
    decimal,
    types::{decimal as digits, exact_digits, of},
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("SUM", "SUM([DISTINCT] value)", |call, _| sum(call, Finish::Sum)),
    aggregate("SUM0", "SUM0([DISTINCT] value)", |call, _| sum(call, Finish::SumOrZero)),
    aggregate("$SUM0", "$SUM0([DISTINCT] value)", |call, _| sum(call, Finish::SumOrZero)),
    aggregate("AVG", "AVG([DISTINCT] value)", |call, _| sum(call, Finish::Average)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    Sum,
    SumOrZero,
    Average,
}

fn sum(call: &Call<'_>, finish: Finish) -> Resolved {
    call.count(1, 1)?;
    let argument = call.want(0, Want::Number)?;
    let kind = match (&argument.kind, finish) {
        (SqlTypeKind::Decimal { precision, scale }, Finish::Average) => {
            digits::kind(digits::average((*precision, *scale)))
        }
        (SqlTypeKind::Decimal { precision, scale }, _) => {
            digits::kind(digits::sum((*precision, *scale)))
        }
        (kind, _) => kind.clone(),
    };
    let scale = exact_digits(&argument.kind).map_or(0, |(_, scale)| scale);
    // Flink derives the nullability from the values; a group has at least one.
    let nullable = argument.nullable && finish != Finish::SumOrZero;
    let kernel = Sum { result: kind.clone(), scale, finish };
    Ok(resolved(vec![argument], of(kind, nullable), kernel))
}

#[derive(Debug)]
struct Sum {
    result: SqlTypeKind,
    /// Of decimal values.
    scale: u8,
    finish: Finish,
}

fn integers(state: &AggregateState) -> (i64, i64) {
    match state {
        AggregateState::Integers { sum, count } => (*sum, *count),
        _ => (0, 0),
    }
}

fn decimals(state: &AggregateState) -> (i128, i64) {
    match state {
        AggregateState::Decimals { sum, count } => (*sum, *count),
        _ => (0, 0),
    }
}

fn floats(state: &AggregateState) -> (f64, i64) {
    match state {
        AggregateState::Floats { sum, count } => (*sum, *count),
        _ => (0.0, 0),
    }
}

fn add_integers<T: ArrowPrimitiveType>(
    states: &mut [&mut AggregateState],
    rows: Rows<'_>,
    values: &ArrayRef,
) -> Result<(), EvalError>
where
    i64: From<T::Native>,
{
    let values = downcast::<arrow_array::PrimitiveArray<T>>(values)?;
    for (row, group, retract) in rows.iter() {
        if values.is_null(row) {
            continue;
        }
        let value = i64::from(values.value(row));
        let (sum, count) = integers(states[group]);
        *states[group] = if retract {
            AggregateState::Integers { sum: sum.wrapping_sub(value), count: count - 1 }
        } else {
            AggregateState::Integers { sum: sum.wrapping_add(value), count: count + 1 }
        };
    }
    Ok(())
}

fn add_floats<T: ArrowPrimitiveType>(
    states: &mut [&mut AggregateState],
    rows: Rows<'_>,
    values: &ArrayRef,
) -> Result<(), EvalError>
where
    f64: From<T::Native>,
{
    let values = downcast::<arrow_array::PrimitiveArray<T>>(values)?;
    for (row, group, retract) in rows.iter() {
        if values.is_null(row) {
            continue;
        }
        let value = f64::from(values.value(row));
        let (sum, count) = floats(states[group]);
        *states[group] = if retract {
            AggregateState::Floats { sum: sum - value, count: count - 1 }
        } else {
            AggregateState::Floats { sum: sum + value, count: count + 1 }
        };
    }
    Ok(())
}

impl Sum {
    fn finished<S>(&self, sum: S, count: i64, average: impl Fn(S, i64) -> S) -> Option<S> {
        match self.finish {
            Finish::SumOrZero => Some(sum),
            _ if count == 0 => None,
            Finish::Sum => Some(sum),
            Finish::Average => Some(average(sum, count)),
        }
    }

    fn integer(&self, state: &AggregateState) -> Option<i64> {
        let (sum, count) = integers(state);
        self.finished(sum, count, |sum, count| sum.wrapping_div(count))
    }

    fn float(&self, state: &AggregateState) -> Option<f64> {
        let (sum, count) = floats(state);
        self.finished(sum, count, |sum, count| sum / count as f64)
    }

    fn decimal(&self, state: &AggregateState, wanted: digits::Digits) -> Option<i128> {
        let (sum, count) = decimals(state);
        let sum = if self.finish == Finish::Average && count != 0 {
            decimal::divide((sum, self.scale), (i128::from(count), 0), wanted)?
        } else {
            sum
        };
        let sum = self.finished(sum, count, |sum, _| sum)?;
        decimal::fits(sum, wanted.0).then_some(sum)
    }
}

impl AggregateKernel for Sum {
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
        let values = super::values::only(arguments)?;
        let rows = Rows::new(groups, counts, retracts);
        match self.result {
            SqlTypeKind::TinyInt => add_integers::<Int8Type>(states, rows, values),
            SqlTypeKind::SmallInt => add_integers::<Int16Type>(states, rows, values),
            SqlTypeKind::Int => add_integers::<Int32Type>(states, rows, values),
            SqlTypeKind::BigInt => add_integers::<Int64Type>(states, rows, values),
            SqlTypeKind::Float => add_floats::<Float32Type>(states, rows, values),
            SqlTypeKind::Double => add_floats::<Float64Type>(states, rows, values),
            _ => {
                let values = values.as_primitive_opt::<Decimal128Type>();
                let values =
                    values.ok_or_else(|| EvalError::Internal("a sum of no numbers".to_owned()))?;
                for (row, group, retract) in rows.iter() {
                    if values.is_null(row) {
                        continue;
                    }
                    let (sum, count) = decimals(states[group]);
                    let value = values.value(row);
                    *states[group] = if retract {
                        AggregateState::Decimals { sum: sum.wrapping_sub(value), count: count - 1 }
                    } else {
                        AggregateState::Decimals { sum: sum.wrapping_add(value), count: count + 1 }
                    };
                }
                Ok(())
            }
        }
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        *into = match other {
            AggregateState::Integers { sum, count } => {
                let (mine, rows) = integers(into);
                AggregateState::Integers { sum: mine.wrapping_add(*sum), count: rows + count }
            }
            AggregateState::Decimals { sum, count } => {
                let (mine, rows) = decimals(into);
                AggregateState::Decimals { sum: mine.wrapping_add(*sum), count: rows + count }
            }
            AggregateState::Floats { sum, count } => {
                let (mine, rows) = floats(into);
                AggregateState::Floats { sum: mine + sum, count: rows + count }
            }
            _ => return Ok(()),
        };
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let states = states.iter();
        Ok(match self.result {
            SqlTypeKind::TinyInt => {
                let values = states.map(|state| self.integer(state).map(|value| value as i8));
                Arc::new(values.collect::<Int8Array>())
            }
            SqlTypeKind::SmallInt => {
                let values = states.map(|state| self.integer(state).map(|value| value as i16));
                Arc::new(values.collect::<Int16Array>())
            }
            SqlTypeKind::Int => {
                let values = states.map(|state| self.integer(state).map(|value| value as i32));
                Arc::new(values.collect::<Int32Array>())
            }
            SqlTypeKind::BigInt => {
                Arc::new(states.map(|state| self.integer(state)).collect::<Int64Array>())
            }
            SqlTypeKind::Float => {
                let values = states.map(|state| self.float(state).map(|value| value as f32));
                Arc::new(values.collect::<Float32Array>())
            }
            SqlTypeKind::Decimal { precision, scale } => {
                let values = states.map(|state| self.decimal(state, (precision, scale)));
                let values = values.collect::<Decimal128Array>();
                Arc::new(values.with_precision_and_scale(precision, scale as i8)?)
            }
            _ => Arc::new(states.map(|state| self.float(state)).collect::<Float64Array>()),
        })
    }
}
