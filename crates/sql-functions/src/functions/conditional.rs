//! IF, COALESCE and the like, GREATEST and LEAST, TYPEOF.

use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_select::{concat::concat, interleave::interleave};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::compare::{Relation, comparator, compare_arguments};
use crate::{
    api::{CallError, Operand, ResolvedCall},
    call::{Builtin, Call, Resolved, Want, pure},
    columns::{Columns, Evaluated},
    types::{STRING, common_type, is_decimal, is_numeric, of},
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("IF", "IF(condition, true_value, false_value)", |call| {
        call.count(3, 3)?;
        let condition = call.want(0, Want::Boolean)?;
        let common = common_of(call, 1)?;
        let arguments = vec![condition, common.clone(), common.clone()];
        // As Flink derives it, although a condition that is NULL is one that does not hold.
        let result = of(common.kind, call.nullable());
        Ok(call.settled(arguments, result, |c| {
            let condition = c.booleans(0)?;
            choose(c, |row| Some(if condition.get(row) == Some(true) { 1 } else { 2 }))
        }))
    }),
    pure("IFNULL", "IFNULL(input, replacement)", |call| {
        call.count(2, 2)?;
        first_there(call)
    }),
    pure("NVL", "NVL(input, replacement)", |call| {
        call.count(2, 2)?;
        first_there(call)
    }),
    pure("COALESCE", "COALESCE(value1[, value2]*)", |call| {
        call.count(1, usize::MAX)?;
        first_there(call)
    }),
    pure("NULLIF", "NULLIF(value1, value2)", |call| {
        call.count(2, 2)?;
        let types = call.types();
        let common = common_type(&types).ok_or_else(|| call.mismatch())?;
        let result = SqlDataType::nullable(types[0].kind.clone());
        // The first is compared as the common type and given as its own.
        let casts = types.iter().map(|one| crate::cast::cast(one, &common, false));
        let casts = casts.collect::<Result<Vec<_>, _>>()?;
        Ok(call.settled(types, result, move |c| {
            let given = c.operands.iter().zip(&casts);
            let alike = given.map(|(operand, cast)| {
                cast.evaluate(std::slice::from_ref(operand), c.rows, c.context).map(Operand::Column)
            });
            let alike = alike.collect::<Result<Vec<_>, _>>()?;
            let alike = Columns { operands: &alike, ..*c };
            let equal = compare_arguments(&alike, 0, 1, Relation::Equal)?;
            let equal = equal.as_boolean();
            let first = Columns { operands: &c.operands[..1], ..*c };
            choose(&first, |row| (equal.is_null(row) || !equal.value(row)).then_some(0))
        }))
    }),
    pure("GREATEST", "GREATEST(value1[, value2]*)", |call| extreme(call, true)),
    pure("LEAST", "LEAST(value1[, value2]*)", |call| extreme(call, false)),
    pure("TYPEOF", "TYPEOF(value[, force_serializable])", |call| {
        call.count(1, 2)?;
        let text = call.arguments[0].data_type.to_string();
        let result = SqlDataType::nullable(STRING);
        Ok(call.settled(call.types(), result, move |c| c.make_texts(|_| Some(&text))))
    }),
];

fn common_of(call: &Call<'_>, from: usize) -> Result<SqlDataType, CallError> {
    common_type(&call.types()[from..]).ok_or_else(|| call.mismatch())
}

/// The common type of functions that are no rewritten CASE: a FLOAT beside decimals stays one.
fn merged(call: &Call<'_>) -> Result<SqlDataType, CallError> {
    let common = common_of(call, 0)?;
    let is = |kind: SqlTypeKind| call.arguments.iter().any(|one| one.data_type.kind == kind);
    if !is_numeric(&common.kind) || !is(SqlTypeKind::Float) || is(SqlTypeKind::Double) {
        return Ok(common);
    }
    // A decimal behind a FLOAT makes a DOUBLE of it; before it, it does not.
    let mut kinds = call.arguments.iter().map(|one| &one.data_type.kind);
    kinds.find(|kind| **kind == SqlTypeKind::Float);
    let kind = if kinds.any(is_decimal) { SqlTypeKind::Double } else { SqlTypeKind::Float };
    Ok(of(kind, common.nullable))
}

/// For each row the value of one of the arguments, which have the result's type.
fn choose(c: &Columns<'_>, mut of: impl FnMut(usize) -> Option<usize>) -> Evaluated {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(c.len() + 1);
    let mut constants = Vec::with_capacity(c.len());
    for index in 0..c.len() {
        let (array, constant) = c.raw(index)?;
        constants.push(constant);
        arrays.push(array.clone());
    }
    let kind = arrays.last().map(|array| array.data_type().clone());
    let kind = kind.ok_or_else(|| hurtig_sql_common::EvalError::Internal("no values".into()))?;
    // Arguments of other types (conditions) are never chosen.
    for array in &mut arrays {
        if *array.data_type() != kind {
            *array = arrow_array::new_empty_array(&kind);
        }
    }
    arrays.push(arrow_array::new_null_array(&kind, 1));
    let null = arrays.len() - 1;
    let places: Vec<(usize, usize)> = (0..c.rows)
        .map(|row| match of(row) {
            Some(index) => (index, if constants[index] { 0 } else { row }),
            None => (null, 0),
        })
        .collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
    Ok(interleave(&arrays, &places)?)
}

fn nulls(c: &Columns<'_>) -> Result<Vec<(ArrayRef, bool)>, hurtig_sql_common::EvalError> {
    (0..c.len())
        .map(|index| c.raw(index).map(|(array, constant)| (array.clone(), constant)))
        .collect()
}

fn first_there(call: &Call<'_>) -> Resolved {
    let common = merged(call)?;
    let nullable = call.arguments.iter().all(|one| one.data_type.nullable);
    let arguments = call.arguments.iter();
    let arguments = arguments.map(|one| of(common.kind.clone(), one.data_type.nullable)).collect();
    Ok(call.settled(arguments, of(common.kind, nullable), |c| {
        let arrays = nulls(c)?;
        choose(c, |row| {
            arrays
                .iter()
                .position(|(array, constant)| array.is_valid(if *constant { 0 } else { row }))
        })
    }))
}

/// NULL if any of the values is.
fn extreme(call: &Call<'_>, greatest: bool) -> Result<ResolvedCall, CallError> {
    call.count(1, usize::MAX)?;
    let common = merged(call)?;
    if call.has_bare_null() {
        return Err(call.mismatch());
    }
    let arguments = vec![common.clone(); call.len()];
    Ok(call.settled(arguments, common, move |c| {
        let arrays = (0..c.len()).map(|index| c.full(index)).collect::<Result<Vec<_>, _>>()?;
        // All in one array: any two of its values can be compared.
        let kind = arrays[0].data_type();
        let alike = arrays.iter().map(|array| crate::cast::relabel(array, kind));
        let alike = alike.collect::<Result<Vec<_>, _>>()?;
        let alike: Vec<&dyn Array> = alike.iter().map(AsRef::as_ref).collect();
        let all = concat(&alike)?;
        let compare = comparator(&all, &all)?;
        choose(c, |row| {
            if arrays.iter().any(|array| array.is_null(row)) {
                return None;
            }
            let mut best = 0;
            for other in 1..arrays.len() {
                let order = compare(best * c.rows + row, other * c.rows + row);
                if if greatest { order.is_lt() } else { order.is_gt() } {
                    best = other;
                }
            }
            Some(best)
        })
    }))
}
