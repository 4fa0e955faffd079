//! Casts to CHAR and VARCHAR: every value's text.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    DurationMillisecondArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, IntervalYearMonthArray, StringArray, Time32MillisecondArray,
    builder::StringBuilder, cast::AsArray,
};
use arrow_buffer::OffsetBuffer;
use chrono_tz::Tz;
use hurtig_sql_common::{EvalError, SqlContext};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    calendar::{self, moment::Moments, zone::to_local},
    columns::{Evaluated, downcast},
    decimal, java,
    types::{is_text, length_of},
};

/// Prints the values of one column. Made once a column, so that nothing is looked up for a value.
pub struct Printer<'a> {
    array: &'a dyn Array,
    of: Kind<'a>,
}

/// How bytes look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesAs {
    /// As the text that they are in UTF-8: CAST.
    Text,
    /// `x'..'`: what people are shown.
    Hexadecimal,
}

enum Kind<'a> {
    Null,
    Text(&'a StringArray),
    Bytes(&'a BinaryArray, BytesAs),
    Boolean(&'a BooleanArray),
    TinyInt(&'a Int8Array),
    SmallInt(&'a Int16Array),
    Int(&'a Int32Array),
    BigInt(&'a Int64Array),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    Date(&'a Date32Array),
    Time(&'a Time32MillisecondArray, u8),
    Timestamp(Moments<'a>, u8, Option<Tz>),
    Months(&'a IntervalYearMonthArray),
    Duration(&'a DurationMillisecondArray),
    List(&'a OffsetBuffer<i32>, Box<Printer<'a>>),
    Map(&'a OffsetBuffer<i32>, Box<[Printer<'a>; 2]>),
    Row(Vec<Printer<'a>>),
    Object(Vec<Printer<'a>>, Vec<String>),
}

impl<'a> Printer<'a> {
    /// For a column of that type.
    pub fn new(
        array: &'a ArrayRef,
        data_type: &SqlDataType,
        context: &SqlContext,
    ) -> Result<Self, EvalError> {
        Self::in_zone(array, data_type, context.zone, BytesAs::Text)
    }

    /// For a column of that type, with points in time shown in a zone.
    pub fn in_zone(
        array: &'a ArrayRef,
        data_type: &SqlDataType,
        zone: Tz,
        bytes: BytesAs,
    ) -> Result<Self, EvalError> {
        use SqlTypeKind::{
            Array as List, BigInt, Binary, Boolean, Char, Date, Decimal, Double, Float, Int,
            Interval, Map, Multiset, Null, Row, SmallInt, Structured, Time, Timestamp,
            TimestampLtz, TinyInt, Varbinary, Varchar, Variant,
        };
        let of = match &data_type.kind {
            Null => Kind::Null,
            Char(_) | Varchar(_) | Variant => Kind::Text(downcast(array)?),
            Binary(_) | Varbinary(_) => Kind::Bytes(downcast(array)?, bytes),
            Boolean => Kind::Boolean(downcast(array)?),
            TinyInt => Kind::TinyInt(downcast(array)?),
            SmallInt => Kind::SmallInt(downcast(array)?),
            Int => Kind::Int(downcast(array)?),
            BigInt => Kind::BigInt(downcast(array)?),
            Float => Kind::Float(downcast(array)?),
            Double => Kind::Double(downcast(array)?),
            Decimal { scale, .. } => Kind::Decimal(downcast(array)?, *scale),
            Date => Kind::Date(downcast(array)?),
            Time(precision) => Kind::Time(downcast(array)?, *precision),
            Timestamp(precision) => Kind::Timestamp(Moments::of(array, false)?, *precision, None),
            TimestampLtz(precision) => {
                Kind::Timestamp(Moments::of(array, false)?, *precision, Some(zone))
            }
            Interval(resolution, _) if resolution.is_year_month() => Kind::Months(downcast(array)?),
            Interval(..) => Kind::Duration(downcast(array)?),
            List(element) => {
                let list = array.as_list_opt::<i32>().ok_or_else(|| wrong(array, data_type))?;
                let values = Self::in_zone(list.values(), element, zone, bytes)?;
                Kind::List(list.offsets(), Box::new(values))
            }
            Map(..) | Multiset(_) => {
                let map = array.as_map_opt().ok_or_else(|| wrong(array, data_type))?;
                let count = SqlDataType::not_null(Int);
                let (key, value) = match &data_type.kind {
                    Map(key, value) => (&**key, &**value),
                    Multiset(element) => (&**element, &count),
                    _ => return Err(wrong(array, data_type)),
                };
                let keys = Self::in_zone(map.keys(), key, zone, bytes)?;
                let values = Self::in_zone(map.values(), value, zone, bytes)?;
                Kind::Map(map.offsets(), Box::new([keys, values]))
            }
            Row(fields) | Structured { fields, .. } => {
                let row = array.as_struct_opt().ok_or_else(|| wrong(array, data_type))?;
                let columns = row.columns().iter().zip(fields);
                let columns =
                    columns.map(|(one, field)| Self::in_zone(one, &field.data_type, zone, bytes));
                let columns = columns.collect::<Result<_, _>>()?;
                match &data_type.kind {
                    Structured { .. } => {
                        Kind::Object(columns, fields.iter().map(|one| one.name.clone()).collect())
                    }
                    _ => Kind::Row(columns),
                }
            }
            _ => return Err(wrong(array, data_type)),
        };
        Ok(Self { array, of })
    }

    /// Whether a value is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.of, Kind::Null) || self.array.is_null(row)
    }

    /// Appends the text of a value; of NULL, `NULL`.
    pub fn print(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str("NULL");
            return;
        }
        match &self.of {
            Kind::Null => {}
            Kind::Text(texts) => out.push_str(texts.value(row)),
            Kind::Bytes(bytes, BytesAs::Text) => {
                out.push_str(&String::from_utf8_lossy(bytes.value(row)));
            }
            Kind::Bytes(bytes, BytesAs::Hexadecimal) => {
                out.push_str("x'");
                for byte in bytes.value(row) {
                    for digit in [byte >> 4, byte & 15] {
                        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
                out.push('\'');
            }
            Kind::Boolean(values) => out.push_str(if values.value(row) { "TRUE" } else { "FALSE" }),
            Kind::TinyInt(values) => print_integer(i64::from(values.value(row)), out),
            Kind::SmallInt(values) => print_integer(i64::from(values.value(row)), out),
            Kind::Int(values) => print_integer(i64::from(values.value(row)), out),
            Kind::BigInt(values) => print_integer(values.value(row), out),
            Kind::Float(values) => java::print_float(values.value(row), out),
            Kind::Double(values) => java::print_double(values.value(row), out),
            Kind::Decimal(values, scale) => decimal::print(values.value(row), *scale, out),
            Kind::Date(values) => calendar::print_date(values.value(row), out),
            Kind::Time(values, precision) => {
                calendar::print_time(values.value(row), *precision, out);
            }
            Kind::Timestamp(values, precision, local) => {
                if let Some(at) = values.get(row) {
                    let at = local.map_or(at, |local| to_local(local, at));
                    at.print(*precision, out);
                }
            }
            Kind::Months(values) => calendar::print_months(values.value(row), out),
            Kind::Duration(values) => calendar::print_duration(values.value(row), out),
            Kind::List(offsets, values) => {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                print_all(range, ('[', ']'), out, |index, out| values.print(index, out));
            }
            Kind::Map(offsets, entries) => {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                print_all(range, ('{', '}'), out, |index, out| {
                    entries[0].print(index, out);
                    out.push('=');
                    entries[1].print(index, out);
                });
            }
            Kind::Row(fields) => {
                let all = 0..fields.len();
                print_all(all, ('(', ')'), out, |index, out| fields[index].print(row, out));
            }
            Kind::Object(fields, names) => {
                print_all(0..fields.len(), ('(', ')'), out, |index, out| {
                    out.push_str(&names[index]);
                    out.push('=');
                    fields[index].print(row, out);
                });
            }
        }
    }
}

fn print_all(
    all: std::ops::Range<usize>,
    (open, close): (char, char),
    out: &mut String,
    print: impl Fn(usize, &mut String),
) {
    out.push(open);
    for (place, index) in all.enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        print(index, out);
    }
    out.push(close);
}

fn print_integer(value: i64, out: &mut String) {
    use std::fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

fn wrong(array: &ArrayRef, data_type: &SqlDataType) -> EvalError {
    EvalError::Internal(format!("a column of {} instead of {data_type}", array.data_type()))
}

/// A column of texts, each cut to the type's length; CHAR is filled with blanks.
pub(super) fn to_text(
    array: &ArrayRef,
    from: &SqlDataType,
    target: &SqlTypeKind,
    context: &SqlContext,
) -> Evaluated {
    // The legacy casts neither cut nor fill.
    let length = length_of(target).filter(|_| !context.legacy_cast).unwrap_or(u32::MAX);
    let fill = matches!(target, SqlTypeKind::Char(_)) && !context.legacy_cast;
    let short = length_of(&from.kind).is_some_and(|source| source <= length);
    if is_text(&from.kind) && !fill && short {
        return Ok(array.clone());
    }
    let length = length as usize;
    let printer = Printer::new(array, from, context)?;
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = String::new();
    for row in 0..array.len() {
        if printer.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        printer.print(row, &mut text);
        if text.len() > length
            && let Some((end, _)) = text.char_indices().nth(length)
        {
            text.truncate(end);
        }
        if fill {
            let missing = length.saturating_sub(text.chars().count());
            text.extend(std::iter::repeat_n(' ', missing));
        }
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}
