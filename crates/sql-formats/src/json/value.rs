//! From JSON values to values of columns, as Flink's `JsonParserToRowDataConverters`.

use std::collections::HashSet;

use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::{
    cursor::Cursor,
    shape::{Shape, Target},
    tree,
};
use crate::{
    column::{Column, Data},
    fault::{Fault, FaultKind},
    scalar::{self, base64, decimal, time, time::TimestampFormat},
};

/// What holds for a whole format, and memory that values share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) timestamp_format: TimestampFormat,
    pub(crate) ignore_parse_errors: bool,
    pub(crate) fail_on_missing_field: bool,
    pub(crate) scratch: Vec<u8>,
}

/// Reads the values of one column.
#[derive(Debug)]
pub(crate) enum Reader {
    Scalar,
    List(Box<Reader>),
    Map { value: Box<Reader> },
    Row(Box<Shape>),
}

impl Reader {
    /// For a type. Keys of maps must be texts.
    pub(crate) fn new(data_type: &SqlDataType) -> Result<Self, String> {
        Ok(match &data_type.kind {
            SqlTypeKind::Array(element) => Self::List(Box::new(Self::new(element)?)),
            SqlTypeKind::Map(key, value) => {
                check_key(key, data_type)?;
                Self::Map { value: Box::new(Self::new(value)?) }
            }
            SqlTypeKind::Multiset(element) => {
                check_key(element, data_type)?;
                Self::Map { value: Box::new(Self::Scalar) }
            }
            SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. } => {
                let mut shape = Shape::default();
                for (index, field) in fields.iter().enumerate() {
                    let reader = Self::new(&field.data_type)?;
                    shape.add(&field.name, Target::Column(index, reader));
                }
                Self::Row(Box::new(shape))
            }
            _ => Self::Scalar,
        })
    }

    /// Appends the value that is next, or NULL for what is none if errors are ignored. After an
    /// error the column may hold a part of the value.
    #[inline]
    pub(crate) fn read_nullable(
        &mut self,
        cursor: &mut Cursor<'_>,
        column: &mut Column,
        context: &mut Context,
        depth: usize,
    ) -> Result<(), Fault> {
        if cursor.take_null()? {
            return column.append_null().map_err(|kind| cursor.fault(kind));
        }
        let (start, before) = (cursor.at, column.len());
        match self.read(cursor, column, context, depth) {
            Err(fault) if context.ignore_parse_errors && fault.kind != FaultKind::TooLarge => {
                column.truncate(before);
                cursor.at = start;
                cursor.skip(depth)?;
                column.append_null().map_err(|kind| cursor.fault(kind))
            }
            other => other,
        }
    }

    fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        column: &mut Column,
        context: &mut Context,
        depth: usize,
    ) -> Result<(), Fault> {
        let start = cursor.at;
        let first = cursor.peek()?;
        match self {
            Self::Scalar => scalar_value(first, cursor, column, context, depth),
            Self::List(element) => {
                let Data::List { element: child, .. } = &mut column.data else {
                    return Err(FaultKind::Internal.at(start));
                };
                if first != b'[' {
                    return Err(FaultKind::Value("array").at(start));
                }
                let depth = cursor.deeper(depth)?;
                cursor.at += 1;
                let mut first = true;
                while cursor.next_element(first)? {
                    element.read_nullable(cursor, child, context, depth)?;
                    first = false;
                }
                column.end_elements().map_err(|kind| kind.at(start))
            }
            Self::Map { value } => read_map(value, first, cursor, column, context, depth),
            Self::Row(shape) => {
                let before = column.len();
                let Data::Row(fields) = &mut column.data else {
                    return Err(FaultKind::Internal.at(start));
                };
                if first != b'{' {
                    return Err(FaultKind::Value("object").at(start));
                }
                shape.read(cursor, fields, before, context, depth)?;
                for field in fields.iter_mut().filter(|field| field.len() == before) {
                    field.append_null().map_err(|kind| kind.at(start))?;
                }
                column.added();
                Ok(())
            }
        }
    }
}

fn check_key(key: &SqlDataType, whole: &SqlDataType) -> Result<(), String> {
    if matches!(key.kind, SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_)) {
        return Ok(());
    }
    Err(format!("JSON format doesn't support non-string as key type of map. The type is: {whole}"))
}

/// An object as entries; of equal keys the last one counts.
fn read_map(
    reader: &mut Reader,
    first: u8,
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    context: &mut Context,
    depth: usize,
) -> Result<(), Fault> {
    let start = cursor.at;
    let Data::Map { key: keys, value: values, .. } = &mut column.data else {
        return Err(FaultKind::Internal.at(start));
    };
    if first != b'{' {
        return Err(FaultKind::Value("object").at(start));
    }
    let depth = cursor.deeper(depth)?;
    let last_ones = last_entries(*cursor, depth)?;
    cursor.at += 1;
    let mut nth = 0;
    while let Some(key) = cursor.next_key(nth == 0)? {
        let counts = last_ones.as_ref().is_none_or(|entries| entries.contains(&nth));
        nth += 1;
        if !counts {
            cursor.skip(depth)?;
            continue;
        }
        keys.append_with(|out| key.unescape(out))?;
        reader.read_nullable(cursor, values, context, depth)?;
    }
    column.end_elements().map_err(|kind| kind.at(start))
}

/// Which entries of the object are the last ones of their keys; `None` if all keys differ.
fn last_entries(mut cursor: Cursor<'_>, depth: usize) -> Result<Option<HashSet<usize>>, Fault> {
    cursor.at += 1;
    let mut by_key = std::collections::HashMap::new();
    let mut nth = 0;
    while let Some(key) = cursor.next_key(nth == 0)? {
        let mut text = Vec::new();
        key.unescape(&mut text)?;
        by_key.insert(text, nth);
        cursor.skip(depth)?;
        nth += 1;
    }
    Ok((by_key.len() < nth).then(|| by_key.into_values().collect()))
}

#[inline]
fn scalar_value(
    first: u8,
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    context: &mut Context,
    depth: usize,
) -> Result<(), Fault> {
    let start = cursor.at;
    match &mut column.data {
        Data::I64(values) => values.push(integer(first, cursor, context, true, "BIGINT")?),
        Data::I32(values) => {
            let value = integer(first, cursor, context, true, "INT")?;
            let value = i32::try_from(value).map_err(|_| FaultKind::Range("INT").at(start))?;
            values.push(value);
        }
        Data::I16(values) => {
            let value = integer(first, cursor, context, false, "SMALLINT")?;
            let value = i16::try_from(value).map_err(|_| FaultKind::Range("SMALLINT").at(start))?;
            values.push(value);
        }
        Data::I8(values) => {
            let value = integer(first, cursor, context, false, "TINYINT")?;
            let value = i8::try_from(value).map_err(|_| FaultKind::Range("TINYINT").at(start))?;
            values.push(value);
        }
        Data::Text { .. } => {
            return column.append_with(|out| text_value(first, cursor, out, depth));
        }
        Data::Boolean(bits) => {
            let value = match first {
                b't' => cursor.literal(b"true").map(|()| true)?,
                b'f' => cursor.literal(b"false").map(|()| false)?,
                _ => scalar::boolean(plain(first, cursor, context, "BOOLEAN")?),
            };
            bits.append(value);
        }
        Data::F64(values) => {
            let text = plain(first, cursor, context, "DOUBLE")?;
            values.push(scalar::double(text).ok_or(FaultKind::Value("DOUBLE").at(start))?);
        }
        Data::F32(values) => {
            let text = plain(first, cursor, context, "FLOAT")?;
            values.push(scalar::float(text).ok_or(FaultKind::Value("FLOAT").at(start))?);
        }
        Data::Decimal { values, precision, scale } => {
            let (precision, scale) = (*precision, *scale);
            let text = scalar::trim(plain(first, cursor, context, "DECIMAL")?);
            let value = decimal::parse(text, precision, scale);
            match value.ok_or(FaultKind::Value("DECIMAL").at(start))? {
                Some(value) => values.push(value),
                None => return column.append_null().map_err(|kind| kind.at(start)),
            }
        }
        Data::Timestamp { values, unit, local } => {
            let (unit, local, format) = (*unit, *local, context.timestamp_format);
            let text = plain(first, cursor, context, "timestamp")?;
            let value = time::timestamp(text, format, local, unit);
            values.push(value.ok_or(FaultKind::Value("timestamp").at(start))?);
        }
        Data::Date(values) => {
            let text = plain(first, cursor, context, "DATE")?;
            values.push(time::iso_date(text).ok_or(FaultKind::Value("DATE").at(start))?);
        }
        Data::Time(values, _) => {
            let text = plain(first, cursor, context, "TIME")?;
            values.push(time::sql_time(text).ok_or(FaultKind::Value("TIME").at(start))?);
        }
        Data::Binary { .. } => {
            if first != b'"' {
                return Err(FaultKind::Value("binary string").at(start));
            }
            let raw = cursor.text()?;
            context.scratch.clear();
            raw.unescape(&mut context.scratch)?;
            let text = &context.scratch;
            return column.append_with(|out| {
                base64::decode(text, out).ok_or(FaultKind::Value("base 64").at(start))
            });
        }
        Data::Null => cursor.skip(depth)?,
        Data::List { .. } | Data::Row(_) | Data::Map { .. } => {
            return Err(FaultKind::Internal.at(start));
        }
    }
    column.added();
    Ok(())
}

/// An integer: a number, or a text of one. `floats`: what is behind the point is cut off.
#[inline]
fn integer(
    first: u8,
    cursor: &mut Cursor<'_>,
    context: &mut Context,
    floats: bool,
    name: &'static str,
) -> Result<i64, Fault> {
    let start = cursor.at;
    match first {
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            if !number.float {
                return scalar::integer(number.bytes).ok_or(FaultKind::Range(name).at(start));
            }
            let value = scalar::double(number.bytes).filter(|_| floats);
            let value = value.ok_or(FaultKind::Value(name).at(start))?;
            if value > i64::MIN as f64 && value < i64::MAX as f64 {
                return Ok(value as i64);
            }
            Err(FaultKind::Range(name).at(start))
        }
        _ => {
            let text = plain(first, cursor, context, name)?;
            scalar::integer(scalar::trim(text)).ok_or(FaultKind::Value(name).at(start))
        }
    }
}

/// The text of a scalar: what a string means, or a number or literal as it stands there.
#[inline]
fn plain<'r, 'a: 'r>(
    first: u8,
    cursor: &mut Cursor<'a>,
    context: &'r mut Context,
    name: &'static str,
) -> Result<&'r [u8], Fault> {
    match first {
        b'"' => {
            let raw = cursor.text()?;
            if !raw.escaped {
                return Ok(raw.bytes);
            }
            context.scratch.clear();
            raw.unescape(&mut context.scratch)?;
            Ok(&context.scratch)
        }
        b'-' | b'0'..=b'9' => Ok(cursor.number()?.bytes),
        b't' => cursor.literal(b"true").map(|()| &b"true"[..]),
        b'f' => cursor.literal(b"false").map(|()| &b"false"[..]),
        b'{' | b'[' => Err(cursor.fault(FaultKind::Value(name))),
        other => Err(cursor.fault(FaultKind::Unexpected(other))),
    }
}

/// Appends the text of a value: objects and arrays in their shortest form.
#[inline]
fn text_value(
    first: u8,
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Fault> {
    match first {
        b'"' => cursor.text()?.unescape(out),
        b'-' | b'0'..=b'9' => {
            out.extend_from_slice(cursor.number()?.bytes);
            Ok(())
        }
        b't' => cursor.literal(b"true").map(|()| out.extend_from_slice(b"true")),
        b'f' => cursor.literal(b"false").map(|()| out.extend_from_slice(b"false")),
        b'{' | b'[' => tree::write(cursor, out, depth),
        other => Err(cursor.fault(FaultKind::Unexpected(other))),
    }
}
