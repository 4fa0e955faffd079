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
        let duplicates = (c.len() > 1).then(|| c.booleans(1)).transpose()?;
        c.try_texts(|row| {
            let Some(text) = text.get(row) else { return Ok(None) };
            let value = serde_json::from_str::<Value>(text);
            let repeats = duplicates.as_ref().and_then(|one| one.get(row)).unwrap_or(false);
            match value {
                Ok(_) if !repeats && has_duplicates(text) => {
                    if gives_null {
                        return Ok(None);
                    }
                    let why = "VARIANT_DUPLICATE_KEY: an object has the same key twice";
                    Err(EvalError::Value(format!("Failed to parse json string: {text}: {why}")))
                }
                Ok(value) => Ok(Some(printed(&value))),
                Err(_) if gives_null => Ok(None),
                Err(error) => {
                    Err(EvalError::Value(format!("Failed to parse json string: {text}: {error}")))
                }
            }
        })
    })
}

/// Whether some object has a key twice. The text is known to be JSON.
fn has_duplicates(text: &str) -> bool {
    serde_json::from_str::<Unique>(text).is_err()
}

/// A document that is refused if an object has a key twice.
struct Unique;

impl<'de> serde::Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a document without duplicate keys")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut of: A) -> Result<Self, A::Error> {
        while of.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut of: A) -> Result<Self, A::Error> {
        let mut known = std::collections::HashSet::new();
        while let Some(key) = of.next_key::<String>()? {
            of.next_value::<Self>()?;
            if !known.insert(key) {
                return Err(serde::de::Error::custom("a key is there twice"));
            }
        }
        Ok(self)
    }
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
        c.try_texts(|row| {
            let given = document.get(row);
            let document = given.and_then(|text| serde_json::from_str::<Value>(text).ok());
            let Some(document) = document else { return Ok(None) };
            let wrong = |access: &str, wanted: &str| {
                Err(EvalError::Value(format!(
                    "{access} access on variant requires an {wanted} variant, but a non-{wanted} \
                     variant was provided."
                )))
            };
            let found = match (&names, &numbers) {
                (Some(names), _) => match (document.as_object(), names.get(row)) {
                    (_, None) => None,
                    (None, _) => return wrong("String key", "object"),
                    (Some(fields), Some(name)) => fields.get(name),
                },
                (None, Some(numbers)) => match (document.as_array(), numbers.get(row)) {
                    (_, None) => None,
                    (None, _) => return wrong("Integer index", "array"),
                    (Some(values), Some(number)) => {
                        let place = usize::try_from(number).ok();
                        place.and_then(|place| values.get(place.checked_sub(1)?))
                    }
                },
                (None, None) => None,
            };
            Ok(found.map(printed))
        })
    }))
}
