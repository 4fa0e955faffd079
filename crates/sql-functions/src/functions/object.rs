//! OBJECT_OF and OBJECT_UPDATE: structured values, which are rows with the name of a class.
//!
//! Keys are constants, so that the type is known before any value is. No class is looked for.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{Array, ArrayRef, StructArray, cast::AsArray};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{RowField, SqlDataType, SqlTypeKind};

use crate::{
    api::CallError,
    call::{Builtin, Call, Resolved, pure},
    cast::relabel,
    columns::Evaluated,
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("OBJECT_OF", "OBJECT_OF(className, [key, value]*)", object_of),
    pure("OBJECT_UPDATE", "OBJECT_UPDATE(object, [key, value]+)", object_update),
];

fn object_of(call: &Call<'_>) -> Resolved {
    odd(call, 1)?;
    let class = call.literal_text(0).ok_or_else(|| {
        CallError("The first argument must be a non-nullable character string literal representing the class name.".to_owned())
    })?;
    let types = call.types();
    let fields = keys(call)?.into_iter().zip(types.iter().skip(2).step_by(2));
    let fields = fields.map(|(name, data_type)| RowField {
        name,
        data_type: data_type.clone(),
        description: None,
    });
    let kind = SqlTypeKind::Structured { class: class.to_owned(), fields: fields.collect() };
    let result = SqlDataType::nullable(kind);
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    Ok(call.settled(types, result, move |c| {
        let columns = (2..c.len()).step_by(2).map(|index| c.full(index));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        object(&arrow, columns, None, c.rows)
    }))
}

fn object_update(call: &Call<'_>) -> Resolved {
    odd(call, 3)?;
    let SqlTypeKind::Structured { class, fields } = call.kind(0) else {
        let message = "The first argument must be a structured type, but was ";
        return Err(CallError(format!("{message}{}.", call.kind(0))));
    };
    let names = keys(call)?;
    let mut types = call.types();
    let mut fields = fields.clone();
    // Which argument a field comes from, if it is a new one.
    let mut sources: Vec<Option<usize>> = vec![None; fields.len()];
    for (index, name) in names.iter().enumerate() {
        let argument = 2 * index + 2;
        let Some(place) = fields.iter().position(|field| field.name == *name) else {
            let known: Vec<_> = fields.iter().map(|field| &*field.name).collect();
            return Err(CallError(format!(
                "The field name '{name}' at position {argument} is not part of the structured type attributes. Available attributes: {known:?}."
            )));
        };
        fields[place].data_type = types[argument].clone();
        sources[place] = Some(argument);
    }
    let class = class.clone();
    let result = SqlDataType::nullable(SqlTypeKind::Structured { class, fields });
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    types[0].nullable = true;
    Ok(call.settled(types, result, move |c| {
        let before = c.full(0)?;
        let before = before.as_struct_opt().filter(|row| row.num_columns() == sources.len());
        let before = before.ok_or_else(|| EvalError::Internal("no such object".to_owned()))?;
        let columns = sources.iter().zip(before.columns()).map(|(source, old)| match source {
            Some(argument) => c.full(*argument),
            None => Ok(old.clone()),
        });
        object(&arrow, columns.collect::<Result<_, _>>()?, before.nulls().cloned(), c.rows)
    }))
}

fn odd(call: &Call<'_>, least: usize) -> Result<(), CallError> {
    let count = call.types().len();
    if count < least || count.is_multiple_of(2) { Err(call.mismatch()) } else { Ok(()) }
}

fn keys(call: &Call<'_>) -> Result<Vec<String>, CallError> {
    let mut seen = HashSet::new();
    let keys = (1..call.types().len()).step_by(2).map(|index| {
        let position = index + 1;
        let key = call.literal_text(index).ok_or_else(|| {
            CallError(format!("The field key at position {position} must be a non-nullable character string literal."))
        })?;
        if !seen.insert(key) {
            let message = format!("The field name '{key}' at position {position} is repeated.");
            return Err(CallError(message));
        }
        Ok(key.to_owned())
    });
    keys.collect()
}

fn object(
    arrow: &DataType,
    columns: Vec<ArrayRef>,
    nulls: Option<arrow_buffer::NullBuffer>,
    rows: usize,
) -> Evaluated {
    let DataType::Struct(fields) = arrow else {
        return Err(EvalError::Internal("an object is no struct".to_owned()));
    };
    let columns = columns.iter().zip(fields).map(|(one, field)| relabel(one, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows)?))
}
