//! VARIANT: values of any shape. Its column holds them as JSON text; JSON's null is a value there,
//! not NULL.

use arrow_array::types::Int32Type;
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};
use serde_json::Value;

use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    java,
    json::write,
    types::{is_integer, is_text, of},
};

use Want::{Boolean, Text};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("PARSE_JSON", "PARSE_JSON(string[, allow_duplicate_keys])", |call| parse(call, false)),
    pure("TRY_PARSE_JSON", "TRY_PARSE_JSON(string[, allow_duplicate_keys])", |call| {
        parse(call, true)
    }),
];

fn parse(call: &Call<'_>, gives_null: bool) -> Resolved {
    let nullable = gives_null || call.nullable();
    call.optional(1, &[Text, Boolean], of(SqlTypeKind::Variant, nullable), move |c| {
        let text = c.texts(0)?;
        c.try_texts(|row| {
            let Some(text) = text.get(row) else { return Ok(None) };
            let value = serde_json::from_str::<Value>(text);
            match value {
                Ok(value) => Ok(Some(printed(&value))),
                Err(_) if gives_null => Ok(None),
                Err(error) => {
                    Err(EvalError::Value(format!("Failed to parse json string: {text}: {error}")))
                }
            }
        })
    })
}

fn printed(value: &Value) -> String {
    let mut out = String::new();
    print(value, &mut out);
    out
}

/// Numbers beyond 64 bits and fractions are doubles, as Java prints them.
fn print(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) if value.is_i64() || value.is_u64() => {
            out.push_str(&value.to_string());
        }
        Value::Number(value) => java::print_double(value.as_f64().unwrap_or(f64::NAN), out),
        Value::String(text) => write::quote(text, out),
        Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                print(value, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write::quote(name, out);
                out.push(':');
                print(value, out);
            }
            out.push('}');
        }
    }
}

/// An element by number from 1, or a field by name.
pub(super) fn item(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let by_name = is_text(call.kind(1));
    if !by_name && !is_integer(call.kind(1)) {
        return Err(call.mismatch());
    }
    let mut arguments = call.types();
    if !by_name {
        arguments[1].kind = SqlTypeKind::Int;
    }
    let result = SqlDataType::nullable(SqlTypeKind::Variant);
    Ok(call.settled(arguments, result, move |c| {
        let document = c.texts(0)?;
        let names = by_name.then(|| c.texts(1)).transpose()?;
        let numbers = (!by_name).then(|| c.numbers::<Int32Type>(1)).transpose()?;
        c.make_texts(|row| {
            let document = serde_json::from_str::<Value>(document.get(row)?).ok()?;
            let found = match (&names, &numbers) {
                (Some(names), _) => document.as_object()?.get(names.get(row)?)?,
                (None, Some(numbers)) => {
                    let place = usize::try_from(numbers.get(row)?).ok()?.checked_sub(1)?;
                    document.as_array()?.get(place)?
                }
                (None, None) => return None,
            };
            Some(printed(found))
        })
    }))
}
