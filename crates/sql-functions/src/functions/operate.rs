//! Binary operations on numbers of one type, column by column.

use std::sync::Arc;

use arrow_arith::arity::binary;
use arrow_array::{Array, ArrowPrimitiveType, Decimal128Array, PrimitiveArray};
use hurtig_sql_common::EvalError;

use crate::{
    columns::{Columns, Evaluated, downcast, repeat},
    types::decimal::Digits,
};

/// A value for each row from the values of two arguments.
pub(super) fn combine<T, U, R>(
    columns: &Columns<'_>,
    of: impl Fn(T::Native, U::Native) -> R::Native,
) -> Evaluated
where
    T: ArrowPrimitiveType,
    U: ArrowPrimitiveType,
    R: ArrowPrimitiveType,
{
    let (left, left_constant) = columns.raw(0)?;
    let (right, right_constant) = columns.raw(1)?;
    let left: &PrimitiveArray<T> = downcast(left)?;
    let right: &PrimitiveArray<U> = downcast(right)?;
    let nothing = || Ok(Arc::new(PrimitiveArray::<R>::new_null(columns.rows)) as _);
    match (left_constant, right_constant) {
        (false, false) => Ok(Arc::new(binary::<_, _, _, R>(left, right, of)?)),
        (false, true) => {
            if right.is_null(0) {
                return nothing();
            }
            let right = right.value(0);
            Ok(Arc::new(left.unary::<_, R>(|left| of(left, right))))
        }
        (true, false) => {
            if left.is_null(0) {
                return nothing();
            }
            let left = left.value(0);
            Ok(Arc::new(right.unary::<_, R>(|right| of(left, right))))
        }
        (true, true) => {
            let one = binary::<_, _, _, R>(left, right, of)?;
            repeat(&(Arc::new(one) as _), columns.rows)
        }
    }
}

/// Fails if a divisor is 0 where the dividend is not NULL.
pub(super) fn check_divisor<T: ArrowPrimitiveType>(
    columns: &Columns<'_>,
    zero: T::Native,
) -> Result<(), EvalError> {
    let divisors = columns.numbers::<T>(1)?;
    let dividends = columns.numbers::<T>(0)?;
    let found = match divisors.constant() {
        Some(divisor) if divisor != zero => false,
        _ => (0..columns.rows)
            .any(|row| divisors.get(row) == Some(zero) && dividends.get(row).is_some()),
    };
    if found { Err(EvalError::Value("/ by zero".to_owned())) } else { Ok(()) }
}

/// A decimal for each row from two, NULL where it has too many digits.
pub(super) fn combine_decimals(
    columns: &Columns<'_>,
    digits: Digits,
    of: impl Fn(i128, i128) -> Result<Option<i128>, EvalError>,
) -> Evaluated {
    let left = columns.numbers::<arrow_array::types::Decimal128Type>(0)?;
    let right = columns.numbers::<arrow_array::types::Decimal128Type>(1)?;
    let mut builder = Decimal128Array::builder(columns.rows);
    for row in 0..columns.rows {
        builder.append_option(match (left.get(row), right.get(row)) {
            (Some(left), Some(right)) => of(left, right)?,
            _ => None,
        });
    }
    let (precision, scale) = digits;
    let array = builder.finish().with_precision_and_scale(precision, scale as i8)?;
    Ok(Arc::new(array))
}
