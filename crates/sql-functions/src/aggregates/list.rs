//! LISTAGG and ARRAY_AGG: values in the order in which they come.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, StringArray, builder::StringBuilder};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    Aggregate, Resolved, Rows, aggregate,
    ordered::{list_of, remove_value},
    resolved,
    values::{Codec, is_null, only},
};
use crate::{
    api::{AggregateKernel, AggregateState, CallError},
    call::{Call, Want},
    columns::downcast,
};

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("LISTAGG", "LISTAGG(value[, separator])", |call, _| list_agg(call)),
    aggregate("ARRAY_AGG", "ARRAY_AGG([DISTINCT] value)", |call, _| array_agg(call, true)),
    aggregate("ARRAY_AGG_IGNORE_NULLS", "ARRAY_AGG(value IGNORE NULLS)", |call, _| {
        array_agg(call, false)
    }),
];

fn list_agg(call: &Call<'_>) -> Resolved {
    let arguments = call.wants(1, &[Want::Text, Want::Text])?;
    let separator = match (call.len(), call.literal_text(1)) {
        (1, _) => ",",
        (_, Some(separator)) => separator,
        _ => {
            let why = "The separator of LISTAGG must be a constant that is not NULL";
            return Err(CallError(why.to_owned()));
        }
    };
    let kernel = ListAgg { separator: separator.into() };
    // As Flink has it: of the type of one value, however long the list is.
    let result = arguments[0].clone();
    Ok(resolved(arguments, result, kernel))
}

/// Whether a value or a field of it may be NULL: then Calcite takes the whole for nullable.
fn contains_null(data_type: &SqlDataType) -> bool {
    let in_field = |kind: &SqlTypeKind| match kind {
        SqlTypeKind::Row(fields) => fields.iter().any(|field| contains_null(&field.data_type)),
        _ => false,
    };
    data_type.nullable || in_field(&data_type.kind)
}

fn array_agg(call: &Call<'_>, with_nulls: bool) -> Resolved {
    call.count(1, 1)?;
    let mut argument = call.want(0, Want::Any)?;
    argument.nullable &= with_nulls || argument.nullable;
    let nullable = contains_null(&argument);
    let result = SqlDataType { kind: SqlTypeKind::Array(Box::new(argument.clone())), nullable };
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    let kernel = ArrayAgg { codec: Codec::new(&argument)?, arrow, with_nulls };
    Ok(resolved(vec![argument], result, kernel))
}

/// Joins the texts that are not NULL.
#[derive(Debug)]
struct ListAgg {
    separator: Box<str>,
}

fn merge_lists(into: &mut AggregateState, other: &AggregateState) {
    if let AggregateState::Listed(list) = other {
        list_of(into).extend(list.iter().cloned());
    }
}

impl AggregateKernel for ListAgg {
    fn empty(&self) -> AggregateState {
        AggregateState::Listed(Box::default())
    }

    fn update(
        &self,
        states: &mut [&mut AggregateState],
        groups: &[u32],
        arguments: &[ArrayRef],
        counts: Option<&BooleanArray>,
        retracts: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let texts = downcast::<StringArray>(only(arguments)?)?;
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if texts.is_null(row) {
                continue;
            }
            let list = list_of(states[group]);
            let text = texts.value(row).as_bytes();
            if retract {
                remove_value(list, text);
            } else {
                list.push_back(text.into());
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        merge_lists(into, other);
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringBuilder::new();
        let mut joined = String::new();
        for state in states {
            match state {
                AggregateState::Listed(list) if !list.is_empty() => {
                    joined.clear();
                    for (place, text) in list.iter().enumerate() {
                        if place > 0 {
                            joined.push_str(&self.separator);
                        }
                        crate::columns::check_bytes(joined.len(), text.len())?;
                        joined.push_str(&String::from_utf8_lossy(text));
                    }
                    crate::columns::check_bytes(builder.values_slice().len(), joined.len())?;
                    builder.append_value(&joined);
                }
                _ => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

#[derive(Debug)]
struct ArrayAgg {
    codec: Codec,
    arrow: DataType,
    with_nulls: bool,
}

impl AggregateKernel for ArrayAgg {
    fn empty(&self) -> AggregateState {
        AggregateState::Listed(Box::default())
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
        let encoded = self.codec.encode(values)?;
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if !self.with_nulls && is_null(values, row) {
                continue;
            }
            let list = list_of(states[group]);
            let value = encoded.row(row);
            if retract {
                remove_value(list, value.as_ref());
            } else {
                list.push_back(value.as_ref().into());
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        merge_lists(into, other);
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let DataType::List(field) = &self.arrow else {
            return Err(EvalError::Internal("an array is no list".to_owned()));
        };
        let lists = states.iter().map(|state| match state {
            AggregateState::Listed(list) => Some(&**list),
            _ => None,
        });
        let lists: Vec<_> = lists.collect();
        let lengths = lists.iter().map(|list| list.map_or(0, |list| list.len()));
        let offsets = OffsetBuffer::from_lengths(lengths.clone());
        let nulls = NullBuffer::from_iter(lengths.map(|length| length > 0));
        let values = self
            .codec
            .decode(lists.iter().flatten().flat_map(|list| list.iter().map(|one| &**one)))?;
        Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, Some(nulls))?))
    }
}
