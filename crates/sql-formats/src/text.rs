//! Values as text, as Flink's CAST to STRING writes them.
//!
//! A [`TextWriter`] is made for a column once, and writes its values one by one, without allocation.

mod number;

use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationMillisecondArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    IntervalYearMonthArray, ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, cast::AsArray,
    types,
};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use chrono::{Offset, TimeZone};
use hurtig_sql_common::columns;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    format::TableFormatError,
    scalar::{decimal, time},
};

pub use number::{write_double, write_float};

/// Writes the values of one column.
pub struct TextWriter<'a> {
    kind: Kind<'a>,
    style: Style,
}

/// Whose text of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// CAST to STRING, in a zone.
    Cast(chrono_tz::Tz),
    /// The object of Java that a connector gets.
    Object,
}

enum Kind<'a> {
    Null,
    Boolean(&'a BooleanArray),
    I8(&'a Int8Array),
    I16(&'a Int16Array),
    I32(&'a Int32Array),
    I64(&'a Int64Array),
    F32(&'a Float32Array),
    F64(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    Date(&'a Date32Array),
    Time(&'a Time32MillisecondArray, usize),
    /// With the digits of a second, and whether it is a point in time.
    Timestamp(Timestamps<'a>, usize, bool),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Months(&'a IntervalYearMonthArray),
    Duration(&'a DurationMillisecondArray),
    List(&'a ListArray, Box<TextWriter<'a>>),
    Row(&'a StructArray, Vec<TextWriter<'a>>),
    Map(&'a MapArray, Box<TextWriter<'a>>, Box<TextWriter<'a>>),
}

/// Timestamps of any unit.
#[derive(Clone, Copy)]
pub(crate) enum Timestamps<'a> {
    Milli(&'a TimestampMillisecondArray),
    Micro(&'a TimestampMicrosecondArray),
    Nano(&'a TimestampNanosecondArray),
}

impl<'a> Timestamps<'a> {
    pub(crate) fn of(array: &'a dyn Array, unit: TimeUnit) -> Option<Self> {
        Some(match unit {
            TimeUnit::Millisecond => Self::Milli(array.as_primitive_opt()?),
            TimeUnit::Microsecond => Self::Micro(array.as_primitive_opt()?),
            TimeUnit::Nanosecond => Self::Nano(array.as_primitive_opt()?),
            TimeUnit::Second => return None,
        })
    }

    pub(crate) fn value(self, row: usize) -> (i64, TimeUnit) {
        match self {
            Self::Milli(array) => (array.value(row), TimeUnit::Millisecond),
            Self::Micro(array) => (array.value(row), TimeUnit::Microsecond),
            Self::Nano(array) => (array.value(row), TimeUnit::Nanosecond),
        }
    }

    fn is_null(self, row: usize) -> bool {
        match self {
            Self::Milli(array) => array.is_null(row),
            Self::Micro(array) => array.is_null(row),
            Self::Nano(array) => array.is_null(row),
        }
    }
}

impl<'a> TextWriter<'a> {
    /// For a column of that field; times of TIMESTAMP_LTZ are shown in a zone.
    pub fn new(
        array: &'a dyn Array,
        field: &Field,
        zone: chrono_tz::Tz,
    ) -> Result<Self, TableFormatError> {
        Self::of(array, field, Style::Cast(zone))
    }

    /// As the objects show themselves that Flink gives to connectors: `true`, `2024-01-01T10:00`,
    /// `null`, rows as `+I[a, b]`.
    pub fn of_objects(array: &'a dyn Array, field: &Field) -> Result<Self, TableFormatError> {
        Self::of(array, field, Style::Object)
    }

    fn of(array: &'a dyn Array, field: &Field, style: Style) -> Result<Self, TableFormatError> {
        let unsupported = || TableFormatError(format!("no text of type {}", array.data_type()));
        let digits = |found: Option<SqlDataType>| match found.map(|data_type| data_type.kind) {
            Some(
                SqlTypeKind::Timestamp(digits)
                | SqlTypeKind::TimestampLtz(digits)
                | SqlTypeKind::Time(digits),
            ) => Some(usize::from(digits)),
            _ => None,
        };
        let declared = || digits(columns::data_type(field).ok());
        let child =
            |array: &'a dyn Array, field: &Field| Self::of(array, field, style).map(Box::new);
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Boolean(array.as_boolean()),
            DataType::Int8 => Kind::I8(array.as_primitive::<types::Int8Type>()),
            DataType::Int16 => Kind::I16(array.as_primitive::<types::Int16Type>()),
            DataType::Int32 => Kind::I32(array.as_primitive::<types::Int32Type>()),
            DataType::Int64 => Kind::I64(array.as_primitive::<types::Int64Type>()),
            DataType::Float32 => Kind::F32(array.as_primitive::<types::Float32Type>()),
            DataType::Float64 => Kind::F64(array.as_primitive::<types::Float64Type>()),
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).map_err(|_| unsupported())?;
                Kind::Decimal(array.as_primitive::<types::Decimal128Type>(), scale)
            }
            DataType::Date32 => Kind::Date(array.as_primitive::<types::Date32Type>()),
            DataType::Time32(TimeUnit::Millisecond) => Kind::Time(
                array.as_primitive::<types::Time32MillisecondType>(),
                declared().unwrap_or(0).min(3),
            ),
            DataType::Timestamp(unit, tz) => {
                let default = match unit {
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond => 6,
                    _ => 9,
                };
                let times = Timestamps::of(array, *unit).ok_or_else(unsupported)?;
                Kind::Timestamp(times, declared().unwrap_or(default), tz.is_some())
            }
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::Binary => Kind::Binary(array.as_binary()),
            DataType::Interval(IntervalUnit::YearMonth) => {
                Kind::Months(array.as_primitive::<types::IntervalYearMonthType>())
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                Kind::Duration(array.as_primitive::<types::DurationMillisecondType>())
            }
            DataType::List(element) => {
                let list = array.as_list::<i32>();
                Kind::List(list, child(list.values().as_ref(), element)?)
            }
            DataType::Struct(fields) => {
                let rows = array.as_struct();
                let writers = rows.columns().iter().zip(fields);
                let writers = writers.map(|(array, field)| Self::of(array.as_ref(), field, style));
                Kind::Row(rows, writers.collect::<Result<_, _>>()?)
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(unsupported());
                };
                let [key, value] = fields.as_ref() else { return Err(unsupported()) };
                let keys = child(map.keys().as_ref(), key)?;
                Kind::Map(map, keys, child(map.values().as_ref(), value)?)
            }
            _ => return Err(unsupported()),
        };
        Ok(Self { kind, style })
    }

    /// Whether the value of a row is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Boolean(array) => array.is_null(row),
            Kind::I8(array) => array.is_null(row),
            Kind::I16(array) => array.is_null(row),
            Kind::I32(array) => array.is_null(row),
            Kind::I64(array) => array.is_null(row),
            Kind::F32(array) => array.is_null(row),
            Kind::F64(array) => array.is_null(row),
            Kind::Decimal(array, _) => array.is_null(row),
            Kind::Date(array) => array.is_null(row),
            Kind::Time(array, _) => array.is_null(row),
            Kind::Timestamp(array, ..) => array.is_null(row),
            Kind::Text(array) => array.is_null(row),
            Kind::Binary(array) => array.is_null(row),
            Kind::Months(array) => array.is_null(row),
            Kind::Duration(array) => array.is_null(row),
            Kind::List(array, _) => array.is_null(row),
            Kind::Row(array, _) => array.is_null(row),
            Kind::Map(array, ..) => array.is_null(row),
        }
    }

    /// Appends the text of the value of a row; of NULL it is `NULL`.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        use std::io::Write;
        let objects = self.style == Style::Object;
        if self.is_null(row) {
            out.extend_from_slice(if objects { b"null" } else { b"NULL" });
            return;
        }
        if objects && self.write_object(row, out) {
            return;
        }
        // Writing to memory cannot fail.
        let _ = match &self.kind {
            Kind::Null => Ok(()),
            Kind::Boolean(array) => {
                out.write_all(if array.value(row) { b"TRUE" } else { b"FALSE" })
            }
            Kind::I8(array) => write!(out, "{}", array.value(row)),
            Kind::I16(array) => write!(out, "{}", array.value(row)),
            Kind::I32(array) => write!(out, "{}", array.value(row)),
            Kind::I64(array) => write!(out, "{}", array.value(row)),
            Kind::F32(array) => {
                write_float(array.value(row), out);
                Ok(())
            }
            Kind::F64(array) => {
                write_double(array.value(row), out);
                Ok(())
            }
            Kind::Decimal(array, scale) => {
                decimal::write_plain(array.value(row), *scale, out);
                Ok(())
            }
            Kind::Date(array) => {
                time::write_date(i64::from(array.value(row)), out);
                Ok(())
            }
            Kind::Time(array, digits) => {
                let millis = i64::from(array.value(row));
                time::write_time(millis / 1000, out);
                fraction(millis % 1000 * 1_000_000, *digits, out);
                Ok(())
            }
            Kind::Timestamp(array, digits, local) => {
                let (value, unit) = array.value(row);
                let (mut days, mut nanos) = time::split(value, unit);
                if let (true, Style::Cast(zone)) = (*local, self.style) {
                    let seconds = days * 86_400 + nanos / 1_000_000_000;
                    let seconds = seconds + offset_seconds(zone, seconds);
                    days = seconds.div_euclid(86_400);
                    nanos = seconds.rem_euclid(86_400) * 1_000_000_000 + nanos % 1_000_000_000;
                }
                time::write_date(days, out);
                out.push(b' ');
                time::write_time(nanos / 1_000_000_000, out);
                fraction(nanos % 1_000_000_000, *digits, out);
                Ok(())
            }
            Kind::Text(array) => out.write_all(array.value(row).as_bytes()),
            Kind::Binary(array) => {
                array.value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
            Kind::Months(array) => {
                let months = i64::from(array.value(row));
                let sign = if months < 0 { '-' } else { '+' };
                write!(out, "{sign}{}-{:02}", months.abs() / 12, months.abs() % 12)
            }
            Kind::Duration(array) => {
                let millis = array.value(row);
                let (sign, all) = (if millis < 0 { '-' } else { '+' }, millis.unsigned_abs());
                let (seconds, millis) = (all / 1000, all % 1000);
                write!(
                    out,
                    "{sign}{} {:02}:{:02}:{:02}.{millis:03}",
                    seconds / 86_400,
                    seconds / 3600 % 24,
                    seconds / 60 % 60,
                    seconds % 60
                )
            }
            Kind::List(array, element) => {
                let offsets = array.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                out.push(b'[');
                list(range, out, |at, out| element.write(at, out));
                out.push(b']');
                Ok(())
            }
            Kind::Row(_, fields) => {
                out.push(b'(');
                list(0..fields.len(), out, |field, out| fields[field].write(row, out));
                out.push(b')');
                Ok(())
            }
            Kind::Map(array, keys, values) => {
                let offsets = array.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                out.push(b'{');
                list(range, out, |at, out| {
                    keys.write(at, out);
                    out.push(b'=');
                    values.write(at, out);
                });
                out.push(b'}');
                Ok(())
            }
        };
    }
}

impl TextWriter<'_> {
    /// Appends what an object of Java shows otherwise than a cast; false if there is no difference.
    fn write_object(&self, row: usize, out: &mut Vec<u8>) -> bool {
        match &self.kind {
            Kind::Boolean(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Kind::Time(array, _) => {
                let millis = i64::from(array.value(row));
                write_java_time(millis * 1_000_000, false, out);
            }
            Kind::Timestamp(array, _, local) => {
                let (value, unit) = array.value(row);
                let (days, nanos) = time::split(value, unit);
                time::write_date(days, out);
                out.push(b'T');
                write_java_time(nanos, *local, out);
                if *local {
                    out.push(b'Z');
                }
            }
            Kind::Binary(array) => {
                let bytes = array.value(row);
                out.push(b'[');
                list(0..bytes.len(), out, |at, out| {
                    out.extend_from_slice((bytes[at] as i8).to_string().as_bytes());
                });
                out.push(b']');
            }
            Kind::Row(_, fields) => {
                out.extend_from_slice(b"+I[");
                list(0..fields.len(), out, |field, out| fields[field].write(row, out));
                out.push(b']');
            }
            _ => return false,
        }
        true
    }
}

/// A time of day as `LocalTime` shows it: seconds only if there are any, unless they are `needed`, and a
/// fraction of three, six or nine digits.
fn write_java_time(nanos: i64, needed: bool, out: &mut Vec<u8>) {
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let start = out.len();
    time::write_time(seconds, out);
    if seconds % 60 == 0 && nanos == 0 && !needed {
        out.truncate(start + 5);
    } else if nanos > 0 {
        let digits = if nanos % 1_000_000 == 0 {
            3
        } else if nanos % 1_000 == 0 {
            6
        } else {
            9
        };
        fraction(nanos, digits, out);
    }
}

fn list(
    range: std::ops::Range<usize>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>),
) {
    let start = range.start;
    for at in range {
        if at > start {
            out.extend_from_slice(b", ");
        }
        write(at, out);
    }
}

/// So many digits of a fraction of a second, and the point in front of them.
fn fraction(nanos: i64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    time::write_fraction(nanos, 9, out);
    out.truncate(if digits == 0 { start } else { start + 1 + digits });
}

/// How far ahead of UTC a zone is at a second.
fn offset_seconds(zone: chrono_tz::Tz, seconds: i64) -> i64 {
    let Some(at) = chrono::DateTime::from_timestamp(seconds, 0) else { return 0 };
    i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
}

/// Appends bytes in base 64.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    crate::scalar::base64::encode(bytes, out);
}

/// Appends text as a string of JSON, with its quotes.
pub fn write_json_text(text: &[u8], out: &mut Vec<u8>) {
    crate::json::encode::write_text(text, out);
}
