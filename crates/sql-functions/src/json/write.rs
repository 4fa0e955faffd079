//! Values and documents as JSON text. Fields of an object are in the order of their names.

use std::fmt::Write;

use arrow_array::{ArrayRef, Float32Array, Float64Array, cast::AsArray};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono_tz::Tz;
use hurtig_sql_common::{EvalError, SqlContext};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    calendar::moment::Moments,
    cast::{BytesAs, Printer},
    columns::downcast,
    java,
    json::Json,
    types::{is_binary, is_numeric, is_text, is_timestamp},
};

/// A text in quotes.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A document.
pub(crate) fn document(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Integer(digits) | Json::Decimal(digits) => out.push_str(digits),
        Json::Text(text) => quote(text, out),
        Json::Array(values) => {
            let write = |value: &&Json, out: &mut String| document(value, out);
            sequence(('[', ']'), values.iter(), out, write);
        }
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name);
            sequence(('{', '}'), fields.into_iter(), out, |(name, value), out| {
                quote(name, out);
                out.push(':');
                document(value, out);
            });
        }
    }
}

fn sequence<T>(
    (open, close): (char, char),
    all: impl Iterator<Item = T>,
    out: &mut String,
    write: impl Fn(&T, &mut String),
) {
    out.push(open);
    for (place, one) in all.enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(&one, out);
    }
    out.push(close);
}

/// Fields of an object, sorted by name; of a name that occurs again the last one counts.
pub(crate) fn object(mut fields: Vec<(String, String)>, out: &mut String) {
    let mut known = std::collections::HashMap::new();
    for (place, (name, _)) in fields.iter().enumerate() {
        known.insert(name.clone(), place);
    }
    let mut place = 0;
    fields.retain(|(name, _)| {
        place += 1;
        known.get(name) == Some(&(place - 1))
    });
    fields.sort();
    sequence(('{', '}'), fields.into_iter(), out, |(name, value), out| {
        quote(name, out);
        out.push(':');
        out.push_str(value);
    });
}

/// Writes the values of one column as JSON.
pub(crate) struct Writer<'a> {
    array: &'a ArrayRef,
    printer: Printer<'a>,
    of: Kind<'a>,
}

enum Kind<'a> {
    /// As it is printed, without quotes.
    Bare,
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    /// A text that is JSON already.
    Json,
    Quoted,
    Boolean,
    Bytes,
    Timestamp(Moments<'a>, bool),
    List(Box<Writer<'a>>),
    Map(Box<(Printer<'a>, Writer<'a>)>),
    Row(Vec<(String, Writer<'a>)>),
}

impl<'a> Writer<'a> {
    /// For a column of that type; `json`: of texts that are JSON.
    pub fn new(
        array: &'a ArrayRef,
        data_type: &SqlDataType,
        context: &SqlContext,
        json: bool,
    ) -> Result<Self, EvalError> {
        let writer = Self::in_zone(array, data_type, context.zone)?;
        Ok(if json && is_text(&data_type.kind) {
            Self { of: Kind::Json, ..writer }
        } else {
            writer
        })
    }

    /// For a column of that type, with points in time in keys shown in a zone.
    pub fn in_zone(
        array: &'a ArrayRef,
        data_type: &SqlDataType,
        zone: Tz,
    ) -> Result<Self, EvalError> {
        let printer = Printer::in_zone(array, data_type, zone, BytesAs::Text)?;
        let of = match &data_type.kind {
            SqlTypeKind::Variant => Kind::Json,
            SqlTypeKind::Float => Kind::Float(downcast(array)?),
            SqlTypeKind::Double => Kind::Double(downcast(array)?),
            kind if is_numeric(kind) => Kind::Bare,
            kind if is_binary(kind) => Kind::Bytes,
            kind if is_timestamp(kind) => {
                let zoned = matches!(kind, SqlTypeKind::TimestampLtz(_));
                Kind::Timestamp(Moments::of(array, false)?, zoned)
            }
            SqlTypeKind::Boolean => Kind::Boolean,
            SqlTypeKind::Array(element) => {
                let values = array.as_list::<i32>().values();
                Kind::List(Box::new(Self::in_zone(values, element, zone)?))
            }
            SqlTypeKind::Map(key, value) => {
                let map = array.as_map();
                let keys = Printer::in_zone(map.keys(), key, zone, BytesAs::Text)?;
                let values = Self::in_zone(map.values(), value, zone)?;
                Kind::Map(Box::new((keys, values)))
            }
            SqlTypeKind::Multiset(element) => {
                let map = array.as_map();
                let count = SqlDataType::not_null(SqlTypeKind::Int);
                let keys = Printer::in_zone(map.keys(), element, zone, BytesAs::Text)?;
                let values = Self::in_zone(map.values(), &count, zone)?;
                Kind::Map(Box::new((keys, values)))
            }
            SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. } => {
                let columns = array.as_struct().columns().iter().zip(fields);
                let columns = columns.map(|(column, field)| {
                    let writer = Self::in_zone(column, &field.data_type, zone)?;
                    Ok((field.name.clone(), writer))
                });
                Kind::Row(columns.collect::<Result<_, EvalError>>()?)
            }
            _ => Kind::Quoted,
        };
        Ok(Self { array, printer, of })
    }

    /// Whether a value is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.printer.is_null(row)
    }

    /// Appends a value; NULL is `null`.
    pub fn write(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str("null");
            return;
        }
        match &self.of {
            Kind::Bare | Kind::Json => self.printer.print(row, out),
            Kind::Float(values) => java::print_big_decimal(f64::from(values.value(row)), out),
            Kind::Double(values) => java::print_big_decimal(values.value(row), out),
            Kind::Boolean => {
                out.push_str(if self.array.as_boolean().value(row) { "true" } else { "false" });
            }
            Kind::Bytes => quote(&STANDARD.encode(self.array.as_binary::<i32>().value(row)), out),
            Kind::Quoted => {
                let mut text = String::new();
                self.printer.print(row, &mut text);
                quote(&text, out);
            }
            Kind::Timestamp(times, zoned) => {
                let mut text = String::new();
                if let Some(at) = times.get(row) {
                    at.print(9, &mut text);
                }
                // Of the fraction, only what is not zero.
                let end = text.trim_end_matches('0').trim_end_matches('.').len().max(19);
                text.truncate(end);
                let mut text = text.replacen(' ', "T", 1);
                if *zoned {
                    text.push('Z');
                }
                quote(&text, out);
            }
            Kind::List(values) => {
                let offsets = self.array.as_list::<i32>().offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                sequence(('[', ']'), range, out, |place, out| values.write(*place, out));
            }
            Kind::Map(entries) => {
                let offsets = self.array.as_map().offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                let field = |place| {
                    let (mut name, mut value) = (String::new(), String::new());
                    entries.0.print(place, &mut name);
                    entries.1.write(place, &mut value);
                    (name, value)
                };
                object(range.map(field).collect(), out);
            }
            Kind::Row(fields) => {
                let field = |(name, writer): &(String, Self)| {
                    let mut value = String::new();
                    writer.write(row, &mut value);
                    (name.clone(), value)
                };
                object(fields.iter().map(field).collect(), out);
            }
        }
    }
}
