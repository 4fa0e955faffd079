//! Casts of collections and rows: of their elements.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt32Array, cast::AsArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Fields};
use arrow_select::take::take;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{RowField, SqlDataType, SqlTypeKind};

use super::{Mode, cast_column};
use crate::columns::Evaluated;

pub(super) fn cast_nested(
    array: &ArrayRef,
    from: &SqlDataType,
    to: &SqlDataType,
    mode: Mode<'_>,
) -> Evaluated {
    use SqlTypeKind::{Array as List, Map, Multiset, Row, Structured};
    let wanted = arrow_type(to).map_err(|error| EvalError::Internal(error.to_string()))?;
    let wrong = || EvalError::Internal(format!("no cast from {from} to {to}"));
    let array = compact(array)?;
    match (&from.kind, &to.kind, &wanted) {
        (List(element), List(other), DataType::List(field)) => {
            let list = array.as_list_opt::<i32>().ok_or_else(wrong)?;
            let values = cast_column(list.values(), element, other, mode)?;
            let offsets = list.offsets().clone();
            let nulls = kept(&array, &offsets, &[(list.values(), &values)], mode);
            Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
        }
        (Map(..) | Multiset(_), Map(..) | Multiset(_), DataType::Map(entries, sorted)) => {
            let map = array.as_map_opt().ok_or_else(wrong)?;
            let DataType::Struct(fields) = entries.data_type() else { return Err(wrong()) };
            let keys = cast_column(map.keys(), &keys(from), &keys(to), mode)?;
            let values = cast_column(map.values(), &values(from), &values(to), mode)?;
            let offsets = map.offsets().clone();
            let parts = [(map.keys(), &keys), (map.values(), &values)];
            let nulls = kept(&array, &offsets, &parts, mode);
            let rows = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, rows, nulls, *sorted)?))
        }
        (
            Row(fields) | Structured { fields, .. },
            Row(others) | Structured { fields: others, .. },
            DataType::Struct(wanted),
        ) => cast_row(&array, fields, others, wanted, mode),
        _ => Err(wrong()),
    }
}

fn cast_row(
    array: &ArrayRef,
    fields: &[RowField],
    others: &[RowField],
    wanted: &Fields,
    mode: Mode<'_>,
) -> Evaluated {
    let row = array.as_struct_opt();
    let row = row.filter(|row| row.num_columns() == fields.len() && fields.len() == others.len());
    let row = row.ok_or_else(|| EvalError::Internal("rows of other arity".to_owned()))?;
    let columns = row.columns().iter().zip(fields.iter().zip(others));
    let casts = columns.map(|(column, (field, other))| {
        // What a NULL row holds in its fields is nothing that could fail.
        let column = match row.nulls() {
            Some(nulls) if nulls.null_count() > 0 => masked(column, row)?,
            _ => column.clone(),
        };
        let cast = cast_column(&column, &field.data_type, &other.data_type, mode)?;
        Ok((column, cast))
    });
    let casts = casts.collect::<Result<Vec<_>, EvalError>>()?;
    let each = OffsetBuffer::from_lengths(std::iter::repeat_n(1, row.len()));
    let parts: Vec<_> = casts.iter().map(|(before, after)| (before, after)).collect();
    let nulls = kept(array, &each, &parts, mode);
    let columns = casts.into_iter().map(|(_, after)| after).collect();
    Ok(Arc::new(StructArray::try_new_with_length(wanted.clone(), columns, nulls, row.len())?))
}

/// Which rows stay: where a cast gives NULL for what it cannot cast, it does so for the whole.
fn kept(
    array: &ArrayRef,
    offsets: &OffsetBuffer<i32>,
    parts: &[(&ArrayRef, &ArrayRef)],
    mode: Mode<'_>,
) -> Option<NullBuffer> {
    let nulls = array.nulls().cloned();
    let fewer =
        |(before, after): &&(&ArrayRef, &ArrayRef)| after.null_count() > before.null_count();
    let failed: Vec<_> = parts.iter().filter(fewer).collect();
    if !mode.gives_null || failed.is_empty() {
        return nulls;
    }
    let stays = |(row, span): (usize, &[i32])| {
        let lost = |index: usize| {
            failed.iter().any(|(before, after)| before.is_valid(index) && after.is_null(index))
        };
        array.is_valid(row) && !(span[0] as usize..span[1] as usize).any(lost)
    };
    Some(offsets.windows(2).enumerate().map(stays).collect())
}

fn masked(column: &ArrayRef, row: &StructArray) -> Evaluated {
    let places = (0..row.len()).map(|index| row.is_valid(index).then_some(index as u32));
    Ok(take(column, &places.collect::<UInt32Array>(), None)?)
}

fn keys(of: &SqlDataType) -> SqlDataType {
    match &of.kind {
        SqlTypeKind::Map(key, _) => (**key).clone(),
        SqlTypeKind::Multiset(element) => (**element).clone(),
        _ => of.clone(),
    }
}

fn values(of: &SqlDataType) -> SqlDataType {
    match &of.kind {
        SqlTypeKind::Map(_, value) => (**value).clone(),
        _ => SqlDataType::not_null(SqlTypeKind::Int),
    }
}

/// Without elements that no row has: a slice keeps all, and what none has must not fail.
pub(crate) fn compact(array: &ArrayRef) -> Evaluated {
    let spans = |offsets: &OffsetBuffer<i32>, values: usize| {
        offsets.first().is_none_or(|first| *first == 0)
            && offsets.last().is_none_or(|last| *last as usize == values)
            && array.null_count() == 0
    };
    let whole = match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            spans(list.offsets(), list.values().len())
        }
        DataType::Map(..) => spans(array.as_map().offsets(), array.as_map().entries().len()),
        _ => true,
    };
    if whole {
        return Ok(array.clone());
    }
    Ok(take(array, &UInt32Array::from_iter_values(0..array.len() as u32), None)?)
}
