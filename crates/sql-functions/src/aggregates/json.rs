//! JSON_OBJECTAGG and JSON_ARRAYAGG.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, builder::StringBuilder, cast::AsArray};
use chrono_tz::UTC;
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    Aggregate, Resolved, Rows, aggregate,
    ordered::{list_of, remove_value},
    resolved,
};
use crate::{
    api::{AggregateKernel, AggregateState},
    call::{Call, Want},
    json::write::{self, Writer},
};

const OBJECT: &str = "JSON_OBJECTAGG(key VALUE value)";
const ARRAY: &str = "JSON_ARRAYAGG(value)";

pub(super) const FUNCTIONS: &[Aggregate] = &[
    aggregate("JSON_OBJECTAGG", "JSON_OBJECTAGG([KEY] key VALUE value)", |call, _| {
        json(call, true, false, false)
    }),
    aggregate("JSON_OBJECTAGG_NULL_ON_NULL", OBJECT, |call, _| json(call, true, false, false)),
    aggregate("JSON_OBJECTAGG_ABSENT_ON_NULL", OBJECT, |call, _| json(call, true, true, false)),
    aggregate("JSON_ARRAYAGG", ARRAY, |call, _| json(call, false, true, false)),
    aggregate("JSON_ARRAYAGG_NULL_ON_NULL", ARRAY, |call, _| json(call, false, false, false)),
    aggregate("JSON_ARRAYAGG_ABSENT_ON_NULL", ARRAY, |call, _| json(call, false, true, false)),
    aggregate("JSON_OBJECTAGG_NULL_ON_NULL_OF_JSON", OBJECT, |call, _| {
        json(call, true, false, true)
    }),
    aggregate("JSON_OBJECTAGG_ABSENT_ON_NULL_OF_JSON", OBJECT, |call, _| {
        json(call, true, true, true)
    }),
    aggregate("JSON_ARRAYAGG_NULL_ON_NULL_OF_JSON", ARRAY, |call, _| {
        json(call, false, false, true)
    }),
    aggregate("JSON_ARRAYAGG_ABSENT_ON_NULL_OF_JSON", ARRAY, |call, _| {
        json(call, false, true, true)
    }),
];

fn json(call: &Call<'_>, object: bool, absent: bool, of_json: bool) -> Resolved {
    let mut arguments = call.types();
    if object {
        call.count(2, 2)?;
        arguments[0] = call.want(0, Want::Text)?;
    } else {
        call.count(1, 1)?;
    }
    // The length is Calcite's for these functions.
    let result = SqlDataType::not_null(SqlTypeKind::Varchar(2000));
    let value = arguments[arguments.len() - 1].clone();
    Ok(resolved(arguments, result, Json { value, object, absent, of_json }))
}

/// Keeps each row's value as JSON; of an object, its key before it, after the key's length.
#[derive(Debug)]
struct Json {
    value: SqlDataType,
    object: bool,
    absent: bool,
    /// Values are texts of JSON, which stay as they are.
    of_json: bool,
}

fn entry(bytes: &[u8]) -> Option<(String, String)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(key), text(value)))
}

impl AggregateKernel for Json {
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
        let missing = || EvalError::Internal("an aggregate of nothing".to_owned());
        let values = arguments.last().ok_or_else(missing)?;
        let writer = Writer::in_zone(values, &self.value, UTC)?;
        let keys = match (self.object, arguments.first()) {
            (true, Some(keys)) => Some(keys.as_string_opt::<i32>().ok_or_else(missing)?),
            _ => None,
        };
        let texts = values.as_string_opt::<i32>().filter(|_| self.of_json);
        let (mut bytes, mut text) = (Vec::new(), String::new());
        for (row, group, retract) in Rows::new(groups, counts, retracts).iter() {
            if self.absent && writer.is_null(row) {
                continue;
            }
            bytes.clear();
            if let Some(keys) = keys {
                if keys.is_null(row) {
                    let why = "Key in JSON_OBJECTAGG must not be NULL.";
                    return Err(EvalError::Value(why.to_owned()));
                }
                let key = keys.value(row).as_bytes();
                bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
                bytes.extend_from_slice(key);
            }
            match texts {
                Some(texts) if texts.is_valid(row) => {
                    bytes.extend_from_slice(texts.value(row).as_bytes());
                }
                _ => {
                    text.clear();
                    writer.write(row, &mut text);
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
            let list = list_of(states[group]);
            if retract {
                remove_value(list, &bytes);
            } else {
                list.push_back(bytes.as_slice().into());
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut AggregateState, other: &AggregateState) -> Result<(), EvalError> {
        if let AggregateState::Listed(list) = other {
            list_of(into).extend(list.iter().cloned());
        }
        Ok(())
    }

    fn results(&self, states: &[&AggregateState]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringBuilder::new();
        let mut out = String::new();
        for state in states {
            out.clear();
            let list = match state {
                AggregateState::Listed(list) => Some(list),
                _ => None,
            };
            let values = list.iter().flat_map(|list| list.iter());
            if self.object {
                let fields = values.map(|value| {
                    entry(value).ok_or_else(|| EvalError::Internal("a broken state".to_owned()))
                });
                write::object(fields.collect::<Result<_, _>>()?, &mut out);
            } else {
                out.push('[');
                for (place, value) in values.enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&String::from_utf8_lossy(value));
                }
                out.push(']');
            }
            builder.append_value(&out);
        }
        Ok(Arc::new(builder.finish()))
    }
}
