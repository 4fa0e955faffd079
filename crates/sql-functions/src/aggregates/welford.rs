//! STDDEV_POP, STDDEV_SAMP, VAR_POP, VAR_SAMP and their synonyms.
//!
//! As in Flink 2.3: in floating point whatever the argument is, row by row after Welford, so that large
//! values do not cancel each other out. The result is cast to the class of the argument, which cuts
//! integers to their width.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    cast::AsArray,
    types::{Decimal128Type, Float64Type},
};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    Aggregate, Resolved, Rows, aggregate, resolved, values::only, variance::variance_types,
};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::Call,
    decimal, java,
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("STDDEV_POP", "STDDEV_POP([DISTINCT] value)", |call, _| welford(call, false, true)),
    aggregate("STDDEV_SAMP", "STDDEV_SAMP([DISTINCT] value)", |call, _| welford(call, true, true)),
    aggregate("STDDEV", "STDDEV([DISTINCT] value)", |call, _| welford(call, true, true)),
    aggregate("VAR_POP", "VAR_POP([DISTINCT] value)", |call, _| welford(call, false, false)),
    aggregate("VAR_SAMP", "VAR_SAMP([DISTINCT] value)", |call, _| welford(call, true, false)),
    aggregate("VARIANCE", "VARIANCE([DISTINCT] value)", |call, _| welford(call, true, false)),
];

fn welford(call: &Call<'_>, sample: bool, root: bool) -> Resolved {
    let (argument, result) = variance_types(call, sample)?;
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    Ok(resolved(vec![argument], result.clone(), Welford { result, arrow, sample, root }))
}

#[derive(Debug)]
struct Welford {
    result: SqlDataType,
    arrow: DataType,
    sample: bool,
    root: bool,
}

/// What is kept of the values so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    count: f64,
    mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
}

impl Spread {
    fn of(state: &AggregateState) -> Self {
        match state {
            AggregateState::Several(numbers) => match **numbers {
                [count, mean, squares] => Self { count, mean, squares },
                _ => Self::default(),
            },
            _ => Self::default(),
        }
    }

    fn state(self) -> AggregateState {
        AggregateState::Several(Box::new([self.count, self.mean, self.squares]))
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        // More was taken than is there: only counted, until it is made up for.
        if self.count <= 0.0 {
            return;
        }
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn take(&mut self, value: f64) {
        self.count -= 1.0;
        if self.count <= 0.0 {
            if self.count == 0.0 {
                (self.mean, self.squares) = (0.0, 0.0);
            }
            return;
        }
        let after = value - self.mean;
        self.mean -= after / self.count;
        self.squares -= (value - self.mean) * after;
    }

    fn merge(&mut self, other: Self) {
        if other.count <= 0.0 {
            self.count += other.count;
        } else if self.count == 0.0 {
            *self = other;
        } else {
            let count = self.count + other.count;
            let apart = other.mean - self.mean;
            self.squares += other.squares + self.count * other.count / count * apart * apart;
            self.mean += other.count / count * apart;
            self.count = count;
        }
        if self.count <= 0.0 {
            (self.mean, self.squares) = (0.0, 0.0);
        }
    }
}

impl Welford {
    fn result(&self, state: &AggregateState) -> Option<f64> {
        let Spread { count, squares, .. } = Spread::of(state);
        let divisor = if self.sample { count - 1.0 } else { count };
        // Rounding may leave less than nothing of values that were taken away.
        if count <= 0.0 || divisor == 0.0 || squares < 0.0 {
            return None;
        }
        let variance = squares / divisor;
        Some(if self.root { variance.powf(0.5) } else { variance })
    }

    fn doubles(values: &ArrayRef) -> Result<Float64Array, EvalError> {
        if let DataType::Decimal128(_, scale) = values.data_type() {
            let scale = scale.unsigned_abs();
            let values = values.as_primitive::<Decimal128Type>();
            return Ok(values.unary(|value| decimal::to_double(value, scale)));
        }
        let values = arrow_cast::cast(values, &DataType::Float64)?;
        Ok(values.as_primitive::<Float64Type>().clone())
    }
}

impl AggregateKernel for Welford {
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
        let values = Self::doubles(only(arguments)?)?;
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if values.is_null(row) {
                continue;
            }
            let mut spread = Spread::of(states[group]);
            if retract {
                spread.take(values.value(row));
            } else {
                spread.add(values.value(row));
            }
            match &mut *states[group] {
                AggregateState::Several(numbers) if numbers.len() == 3 => {
                    numbers.copy_from_slice(&[spread.count, spread.mean, spread.squares]);
                }
                state => *state = spread.state(),
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        if matches!(other, AggregateState::Several(_)) {
            let mut spread = Spread::of(into);
            spread.merge(Spread::of(other));
            *into = spread.state();
        }
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let values = states.iter().map(|state| self.result(state));
        // As Java narrows: what is too large is the largest INT or BIGINT, and cut to what is smaller.
        let integers = |narrow: fn(f64) -> i64| -> Result<ArrayRef, EvalError> {
            let values = states.iter().map(|state| self.result(state).map(narrow));
            Ok(arrow_cast::cast(&values.collect::<Int64Array>(), &self.arrow)?)
        };
        match self.result.kind {
            SqlTypeKind::TinyInt => integers(|value| i64::from(value as i32 as i8)),
            SqlTypeKind::SmallInt => integers(|value| i64::from(value as i32 as i16)),
            SqlTypeKind::Int => integers(|value| i64::from(value as i32)),
            SqlTypeKind::BigInt => integers(|value| value as i64),
            SqlTypeKind::Decimal { precision, scale } => {
                let mut text = String::new();
                let decimals = values.map(|value| {
                    text.clear();
                    java::print_double(value?, &mut text);
                    decimal::parse(&text, (precision, scale))
                });
                let decimals = decimals.collect::<Decimal128Array>();
                Ok(Arc::new(decimals.with_precision_and_scale(precision, scale as i8)?))
            }
            _ => Ok(arrow_cast::cast(&values.collect::<Float64Array>(), &self.arrow)?),
        }
    }
}
