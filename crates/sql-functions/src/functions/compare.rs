//! Comparing columns of one type.

use std::{cmp::Ordering, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Datum, Scalar,
    types::{ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type},
};
use arrow_buffer::NullBuffer;
use arrow_ord::{cmp, ord::make_comparator};
use arrow_schema::{DataType, SortOptions};
use hurtig_sql_common::EvalError;

use crate::columns::{Columns, Evaluated};

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Without a NULL. NaN is no order: it differs from all.
    fn holds_partially(self, order: Option<Ordering>) -> bool {
        order.map_or(self == Self::NotEqual, |order| self.holds(order))
    }
}

/// Compares two arguments.
pub(crate) fn compare(columns: &Columns<'_>, relation: Relation) -> Evaluated {
    compare_arguments(columns, 0, 1, relation)
}

/// Compares two of the arguments.
pub(crate) fn compare_arguments(
    columns: &Columns<'_>,
    left: usize,
    right: usize,
    relation: Relation,
) -> Evaluated {
    let (array, constant) = columns.raw(left)?;
    let (other, other_constant) = columns.raw(right)?;
    let result = match array.data_type() {
        DataType::Float32 => {
            return floats::<Float32Type>(columns, left, right, relation);
        }
        DataType::Float64 => {
            return floats::<Float64Type>(columns, left, right, relation);
        }
        DataType::Decimal128(..) if array.data_type() != other.data_type() => {
            return decimals(columns, left, right, relation);
        }
        kind if kind.is_nested() => return nested(columns, left, right, relation),
        _ => {
            let (scalar, other_scalar);
            let left: &dyn Datum = if constant {
                scalar = Scalar::new(array.clone());
                &scalar
            } else {
                array
            };
            let right: &dyn Datum = if other_constant {
                other_scalar = Scalar::new(other.clone());
                &other_scalar
            } else {
                other
            };
            match relation {
                Relation::Equal => cmp::eq(left, right)?,
                Relation::NotEqual => cmp::neq(left, right)?,
                Relation::Less => cmp::lt(left, right)?,
                Relation::LessOrEqual => cmp::lt_eq(left, right)?,
                Relation::Greater => cmp::gt(left, right)?,
                Relation::GreaterOrEqual => cmp::gt_eq(left, right)?,
            }
        }
    };
    let result: ArrayRef = Arc::new(result);
    if result.len() == columns.rows {
        Ok(result)
    } else {
        crate::columns::repeat(&result, columns.rows)
    }
}

/// Floats as Java compares them: 0.0 equals -0.0, NaN equals nothing.
fn floats<T: ArrowPrimitiveType>(
    columns: &Columns<'_>,
    left: usize,
    right: usize,
    relation: Relation,
) -> Evaluated
where
    T::Native: PartialOrd,
{
    let (left, right) = (columns.numbers::<T>(left)?, columns.numbers::<T>(right)?);
    columns.make_booleans(|row| {
        Some(relation.holds_partially(left.get(row)?.partial_cmp(&right.get(row)?)))
    })
}

/// Decimals of different scales.
fn decimals(columns: &Columns<'_>, left: usize, right: usize, relation: Relation) -> Evaluated {
    use arrow_buffer::i256;
    let scale = |index: usize| match columns.raw(index).map(|(array, _)| array.data_type()) {
        Ok(DataType::Decimal128(_, scale)) => *scale,
        _ => 0,
    };
    let (s1, s2) = (scale(left), scale(right));
    let most = s1.max(s2);
    let factor =
        |scale: i8| crate::decimal::power((most - scale).unsigned_abs().into()).unwrap_or(1);
    let (up, other_up) = (i256::from_i128(factor(s1)), i256::from_i128(factor(s2)));
    let left = columns.numbers::<Decimal128Type>(left)?;
    let right = columns.numbers::<Decimal128Type>(right)?;
    columns.make_booleans(|row| {
        // 38 digits and 38 more fit.
        let a = i256::from_i128(left.get(row)?).wrapping_mul(up);
        let b = i256::from_i128(right.get(row)?).wrapping_mul(other_up);
        Some(relation.holds(a.cmp(&b)))
    })
}

fn nested(columns: &Columns<'_>, left: usize, right: usize, relation: Relation) -> Evaluated {
    let (left, right) = (columns.full(left)?, columns.full(right)?);
    let compare = comparator(&left, &right)?;
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let values = (0..columns.rows).map(|row| relation.holds(compare(row, row))).collect();
    Ok(Arc::new(BooleanArray::new(values, nulls)))
}

/// Compares values of two arrays by place; NULL is the least and equals itself.
pub(crate) fn comparator(
    left: &ArrayRef,
    right: &ArrayRef,
) -> Result<arrow_ord::ord::DynComparator, EvalError> {
    // Types may differ in names of fields, which do not count.
    let right = if left.data_type() == right.data_type() {
        right.clone()
    } else {
        crate::cast::relabel(right, left.data_type())?
    };
    if contains_map(left.data_type()) {
        return by_rows(left, &right);
    }
    Ok(make_comparator(left, &right, SortOptions::default())?)
}

fn contains_map(kind: &DataType) -> bool {
    match kind {
        DataType::Map(..) => true,
        DataType::List(field) => contains_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| contains_map(field.data_type())),
        _ => false,
    }
}

/// Maps have no order but that of their encoding.
fn by_rows(left: &ArrayRef, right: &ArrayRef) -> Result<arrow_ord::ord::DynComparator, EvalError> {
    use arrow_row::{RowConverter, SortField};
    let converter = RowConverter::new(vec![SortField::new(left.data_type().clone())])?;
    let left = converter.convert_columns(std::slice::from_ref(left))?;
    let right = converter.convert_columns(std::slice::from_ref(right))?;
    Ok(Box::new(move |a, b| left.row(a).cmp(&right.row(b))))
}
