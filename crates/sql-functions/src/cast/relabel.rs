//! The same values under another label: nested types carry names, nullability and data types in
//! their fields, and columns are only equal in type if those are.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, cast::AsArray};
use arrow_schema::{DataType, Fields};
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::SqlDataType;

use crate::columns::Evaluated;

/// A column labelled with a data type that differs in fields only.
pub(crate) fn labelled(array: &ArrayRef, to: &SqlDataType) -> Evaluated {
    let wanted = arrow_type(to).map_err(|error| EvalError::Internal(error.to_string()))?;
    relabel(array, &wanted)
}

/// A column with the fields of that type.
pub(crate) fn relabel(array: &ArrayRef, to: &DataType) -> Evaluated {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = relabel(list.values(), field.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let row = array.as_struct();
            if row.num_columns() != fields.len() {
                return Err(differ(array, to));
            }
            Ok(Arc::new(relabel_row(row, fields)?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(differ(array, to));
            };
            let map = array.as_map();
            let rows = relabel_row(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let map = MapArray::try_new(entries.clone(), offsets, rows, nulls, *sorted)?;
            Ok(Arc::new(map))
        }
        _ => Err(differ(array, to)),
    }
}

fn relabel_row(row: &StructArray, fields: &Fields) -> Result<StructArray, EvalError> {
    let columns = row.columns().iter().zip(fields);
    let columns = columns.map(|(column, field)| relabel(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let nulls = row.nulls().cloned();
    Ok(StructArray::try_new_with_length(fields.clone(), columns, nulls, row.len())?)
}

fn differ(array: &ArrayRef, to: &DataType) -> EvalError {
    EvalError::Internal(format!("a column of {} instead of {to}", array.data_type()))
}
