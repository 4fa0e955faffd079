//! STDDEV_POP, STDDEV_SAMP, VAR_POP and VAR_SAMP over windows of rows.
//!
//! As Flink's planner writes them there: `(sum(x * x) - sum(x) * sum(x) / n) / n`, each step in the type that
//! it has there. So the variance of INTs is an INT, and that of decimals is rounded at each step.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    cast::AsArray,
    types::{Decimal128Type, Float64Type, Int64Type},
};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{Aggregate, Resolved, Rows, aggregate, resolved, values::only};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::{Call, Want},
    decimal, java,
    types::{decimal as digits, exact_digits, is_approximate, of},
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("$OVER_STDDEV_POP", "STDDEV_POP(value)", |call, _| variance(call, false, true)),
    aggregate("$OVER_STDDEV_SAMP", "STDDEV_SAMP(value)", |call, _| variance(call, true, true)),
    aggregate("$OVER_VAR_POP", "VAR_POP(value)", |call, _| variance(call, false, false)),
    aggregate("$OVER_VAR_SAMP", "VAR_SAMP(value)", |call, _| variance(call, true, false)),
];

/// The types of a variance's argument and result.
pub(super) fn variance_types(
    call: &Call<'_>,
    sample: bool,
) -> Result<(SqlDataType, SqlDataType), CallError> {
    call.count(1, 1)?;
    let argument = call.want(0, Want::Number)?;
    let kind = match exact_digits(&argument.kind) {
        Some(exact) if crate::types::is_decimal(&argument.kind) => {
            digits::kind(digits::average(exact))
        }
        _ => argument.kind.clone(),
    };
    // Of one value there is no sample's variance.
    let result = of(kind, argument.nullable || sample);
    Ok((argument, result))
}

fn variance(call: &Call<'_>, sample: bool, root: bool) -> Resolved {
    let (argument, result) = variance_types(call, sample)?;
    // The values are cast to the type of the result first.
    let argument = of(result.kind.clone(), argument.nullable);
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    Ok(resolved(vec![argument], result.clone(), Variance { result, arrow, sample, root }))
}

#[derive(Debug)]
struct Variance {
    result: SqlDataType,
    arrow: DataType,
    sample: bool,
    root: bool,
}

fn moments(state: &AggregateState) -> (i128, i128, i64) {
    match state {
        AggregateState::Moments { sum, squares, count } => (*sum, *squares, *count),
        _ => (0, 0, 0),
    }
}

fn several(state: &AggregateState) -> [f64; 3] {
    match state {
        AggregateState::Several(numbers) => <[f64; 3]>::try_from(&**numbers).unwrap_or_default(),
        _ => [0.0; 3],
    }
}

impl Variance {
    fn is_float(&self) -> bool {
        is_approximate(&self.result.kind)
    }

    fn decimal_digits(&self) -> Option<digits::Digits> {
        match self.result.kind {
            SqlTypeKind::Decimal { precision, scale } => Some((precision, scale)),
            _ => None,
        }
    }

    /// Cuts an integer to the type's width, wrapping around.
    fn wrap(&self, value: i128) -> i64 {
        match self.result.kind {
            SqlTypeKind::TinyInt => i64::from(value as i8),
            SqlTypeKind::SmallInt => i64::from(value as i16),
            SqlTypeKind::Int => i64::from(value as i32),
            _ => value as i64,
        }
    }

    /// What is divided by, if the variance is defined.
    fn divisor(&self, count: i64) -> Option<i64> {
        let divisor = if self.sample { count - 1 } else { count };
        (count > 0 && divisor != 0).then_some(divisor)
    }

    fn float(&self, state: &AggregateState) -> Option<f64> {
        let [sum, squares, count] = several(state);
        let divisor = self.divisor(count as i64)?;
        let variance = (squares - sum * sum / count) / divisor as f64;
        Some(if self.root { variance.powf(0.5) } else { variance })
    }

    fn integer(&self, state: &AggregateState) -> Option<i64> {
        let (sum, squares, count) = moments(state);
        let divisor = self.divisor(count)?;
        let (sum, squares) = (self.wrap(sum), self.wrap(squares));
        let square = self.wrap(i128::from(sum) * i128::from(sum));
        let variance = squares.wrapping_sub(square.wrapping_div(count)).wrapping_div(divisor);
        let result = if self.root { (variance as f64).powf(0.5) as i64 } else { variance };
        Some(self.wrap(i128::from(result)))
    }

    fn decimal(&self, state: &AggregateState, result: digits::Digits) -> Option<i128> {
        const COUNT: digits::Digits = (19, 0);
        let (sum, squares, count) = moments(state);
        let divisor = self.divisor(count)?;
        let product = digits::multiplication(result, result);
        let square = decimal::multiply((sum, result.1), (sum, result.1), product)?;
        let mean = digits::division(product, COUNT);
        let mean_square = decimal::divide((square, product.1), (i128::from(count), 0), mean)?;
        let sum_of_squares = digits::sum(product);
        let difference = digits::addition(sum_of_squares, mean);
        let apart = decimal::add((squares, product.1), (-mean_square, mean.1), difference)?;
        let quotient = digits::division(difference, COUNT);
        let variance = decimal::divide((apart, difference.1), (i128::from(divisor), 0), quotient)?;
        if !self.root {
            return decimal::rescale(variance, quotient.1, result);
        }
        let mut text = String::new();
        java::print_double(decimal::to_double(variance, quotient.1).powf(0.5), &mut text);
        decimal::parse(&text, result)
    }
}

impl AggregateKernel for Variance {
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
        if self.is_float() {
            let values = arrow_cast::cast(values, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            for (row, group, retract) in rows.iter() {
                if values.is_valid(row) {
                    let (value, sign) = (values.value(row), if retract { -1.0 } else { 1.0 });
                    let [sum, squares, count] = several(states[group]);
                    let next = [sum + sign * value, squares + sign * value * value, count + sign];
                    *states[group] = AggregateState::Several(Box::new(next));
                }
            }
            return Ok(());
        }
        let mut add = |group: usize, value: i128, square: i128, retract: bool| {
            let (sum, squares, count) = moments(states[group]);
            let sign = if retract { -1 } else { 1 };
            *states[group] = AggregateState::Moments {
                sum: sum.wrapping_add(value.wrapping_mul(sign)),
                squares: squares.wrapping_add(square.wrapping_mul(sign)),
                count: count + sign as i64,
            };
        };
        if let Some(kept) = self.decimal_digits() {
            let values = values.as_primitive_opt::<Decimal128Type>();
            let values = values.ok_or_else(|| EvalError::Internal("no decimals".to_owned()))?;
            let product = digits::multiplication(kept, kept);
            for (row, group, retract) in rows.iter() {
                if values.is_valid(row) {
                    let value = values.value(row);
                    let square = decimal::multiply((value, kept.1), (value, kept.1), product);
                    add(group, value, square.unwrap_or_default(), retract);
                }
            }
            return Ok(());
        }
        let values = arrow_cast::cast(values, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        for (row, group, retract) in rows.iter() {
            if values.is_valid(row) {
                let value = i128::from(values.value(row));
                add(group, value, i128::from(self.wrap(value * value)), retract);
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        *into = match other {
            AggregateState::Moments { sum, squares, count } => {
                let (mine, my_squares, rows) = moments(into);
                AggregateState::Moments {
                    sum: mine.wrapping_add(*sum),
                    squares: my_squares.wrapping_add(*squares),
                    count: rows + count,
                }
            }
            AggregateState::Several(_) => {
                let (a, b) = (several(into), several(other));
                AggregateState::Several(Box::new([a[0] + b[0], a[1] + b[1], a[2] + b[2]]))
            }
            _ => return Ok(()),
        };
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let states = states.iter();
        if self.is_float() {
            let values = states.map(|state| self.float(state)).collect::<Float64Array>();
            return Ok(arrow_cast::cast(&values, &self.arrow)?);
        }
        if let Some(wanted) = self.decimal_digits() {
            let values = states.map(|state| self.decimal(state, wanted));
            let values = values.collect::<Decimal128Array>();
            return Ok(Arc::new(values.with_precision_and_scale(wanted.0, wanted.1 as i8)?));
        }
        let values = states.map(|state| self.integer(state)).collect::<Int64Array>();
        Ok(arrow_cast::cast(&values, &self.arrow)?)
    }
}
