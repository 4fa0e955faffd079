//! From columns to JSON, as Flink's `RowDataToJsonConverters` and Jackson's writer.

use std::{io::Write, sync::Arc};

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use hurtig_sql_common::RowKind;

use crate::{
    encoding::RowEncoder,
    format::TableFormatError,
    options::FormatOptions,
    scalar::{base64, decimal, time, time::TimestampFormat},
    text::{Timestamps, write_double, write_float},
};

/// What becomes of a key of a map that is NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NullKey {
    Fail,
    Drop,
    Literal(String),
}

/// The options of writing.
#[derive(Clone, Debug)]
pub(crate) struct JsonEncodeOptions {
    timestamp_format: TimestampFormat,
    null_key: NullKey,
    plain_decimals: bool,
    ignore_null_fields: bool,
}

impl JsonEncodeOptions {
    pub(crate) fn of(options: FormatOptions<'_>) -> Result<Self, TableFormatError> {
        let mode = options.text("map-null-key.mode").unwrap_or("FAIL");
        let null_key = match mode.to_ascii_uppercase().as_str() {
            "FAIL" => NullKey::Fail,
            "DROP" => NullKey::Drop,
            "LITERAL" => {
                NullKey::Literal(options.text("map-null-key.literal").unwrap_or("null").to_owned())
            }
            _ => return Err(options.invalid("map-null-key.mode", mode, "LITERAL, FAIL, DROP")),
        };
        Ok(Self {
            timestamp_format: options.timestamp_format()?,
            null_key,
            plain_decimals: options.flag("encode.decimal-as-plain-number")?,
            ignore_null_fields: options.flag("encode.ignore-null-fields")?,
        })
    }
}

/// Writes the rows of a batch as objects.
pub(crate) struct JsonEncoder<'a> {
    options: Arc<JsonEncodeOptions>,
    fields: Vec<(Vec<u8>, Value<'a>)>,
}

/// Writes the values of one column.
struct Value<'a> {
    array: &'a dyn Array,
    children: Vec<Value<'a>>,
    /// The fields of a ROW, each with its quotes and colon.
    names: Vec<Vec<u8>>,
}

fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(name.as_bytes(), &mut out);
    out.push(b':');
    out
}

impl<'a> Value<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, TableFormatError> {
        let unsupported =
            || TableFormatError(format!("Not support to parse type: {}", array.data_type()));
        let (children, names) = match array.data_type() {
            DataType::List(_) => {
                (vec![Self::new(array.as_list::<i32>().values().as_ref())?], Vec::new())
            }
            DataType::Struct(fields) => {
                let children = array.as_struct().columns().iter().map(|c| Self::new(c.as_ref()));
                let names = fields.iter().map(|field: &FieldRef| key(field.name()));
                (children.collect::<Result<_, _>>()?, names.collect())
            }
            DataType::Map(..) => {
                let map = array.as_map();
                if *map.keys().data_type() != DataType::Utf8 {
                    return Err(TableFormatError(format!(
                        "JSON format doesn't support non-string as key type of map. The type is: {}",
                        array.data_type()
                    )));
                }
                let keys = Self::new(map.keys().as_ref())?;
                (vec![keys, Self::new(map.values().as_ref())?], Vec::new())
            }
            DataType::Null
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Date32
            | DataType::Time32(TimeUnit::Millisecond)
            | DataType::Timestamp(..)
            | DataType::Utf8
            | DataType::Binary
            | DataType::Interval(_)
            | DataType::Duration(_) => (Vec::new(), Vec::new()),
            _ => return Err(unsupported()),
        };
        Ok(Self { array, children, names })
    }

    fn write(
        &self,
        row: usize,
        options: &JsonEncodeOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), TableFormatError> {
        let array = self.array;
        if array.is_null(row) || *array.data_type() == DataType::Null {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        macro_rules! number {
            ($kind:ident) => {{
                // Writing to memory cannot fail.
                let _ = write!(out, "{}", array.as_primitive::<types::$kind>().value(row));
            }};
        }
        match array.data_type() {
            DataType::Boolean => {
                let value = array.as_boolean().value(row);
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::Interval(_) => number!(IntervalYearMonthType),
            DataType::Duration(_) => number!(DurationMillisecondType),
            DataType::Float32 => {
                let value = array.as_primitive::<types::Float32Type>().value(row);
                quoted_unless(value.is_finite(), out, |out| write_float(value, out));
            }
            DataType::Float64 => {
                let value = array.as_primitive::<types::Float64Type>().value(row);
                quoted_unless(value.is_finite(), out, |out| write_double(value, out));
            }
            DataType::Decimal128(_, scale) => {
                let value = array.as_primitive::<types::Decimal128Type>().value(row);
                let scale = u8::try_from(*scale).unwrap_or(0);
                if options.plain_decimals {
                    decimal::write_plain(value, scale, out);
                } else {
                    decimal::write_short(value, scale, out);
                }
            }
            DataType::Date32 => {
                let days = array.as_primitive::<types::Date32Type>().value(row);
                quoted_unless(false, out, |out| time::write_date(i64::from(days), out));
            }
            DataType::Time32(_) => {
                let millis = array.as_primitive::<types::Time32MillisecondType>().value(row);
                quoted_unless(false, out, |out| time::write_time(i64::from(millis) / 1000, out));
            }
            DataType::Timestamp(unit, zone) => {
                let times = Timestamps::of(array, *unit);
                let (value, unit) = times
                    .ok_or_else(|| TableFormatError("internal: seconds".to_owned()))?
                    .value(row);
                let (format, zoned) = (options.timestamp_format, zone.is_some());
                quoted_unless(false, out, |out| {
                    time::write_timestamp(value, unit, format, zoned, out);
                });
            }
            DataType::Utf8 => write_text(array.as_string::<i32>().value(row).as_bytes(), out),
            DataType::Binary => {
                let bytes = array.as_binary::<i32>().value(row);
                quoted_unless(false, out, |out| base64::encode(bytes, out));
            }
            DataType::List(_) => {
                let offsets = array.as_list::<i32>().value_offsets();
                out.push(b'[');
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        out.push(b',');
                    }
                    self.children[0].write(at as usize, options, out)?;
                }
                out.push(b']');
            }
            DataType::Struct(_) => {
                let fields = self.names.iter().zip(&self.children);
                write_object(fields, row, options, out)?;
            }
            DataType::Map(..) => self.write_map(row, options, out)?,
            other => return Err(TableFormatError(format!("internal: {other} has no JSON"))),
        }
        Ok(())
    }

    fn write_map(
        &self,
        row: usize,
        options: &JsonEncodeOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), TableFormatError> {
        let map = self.array.as_map();
        let [keys, values] = self.children.as_slice() else {
            return Err(TableFormatError("internal: a map without values".to_owned()));
        };
        let offsets = map.value_offsets();
        out.push(b'{');
        let mut first = true;
        for at in offsets[row] as usize..offsets[row + 1] as usize {
            let name = match (keys.array.is_null(at), &options.null_key) {
                (false, _) => keys.array.as_string::<i32>().value(at),
                (true, NullKey::Literal(literal)) => literal,
                (true, NullKey::Drop) => continue,
                (true, NullKey::Fail) => {
                    return Err(TableFormatError(
                        "JSON format doesn't support to serialize map data with null keys. You can \
                         drop null key entries or encode null in literals by specifying \
                         map-null-key.mode option."
                            .to_owned(),
                    ));
                }
            };
            if !first {
                out.push(b',');
            }
            first = false;
            write_text(name.as_bytes(), out);
            out.push(b':');
            values.write(at, options, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn write_object<'v, 'a: 'v>(
    fields: impl Iterator<Item = (&'v Vec<u8>, &'v Value<'a>)>,
    row: usize,
    options: &JsonEncodeOptions,
    out: &mut Vec<u8>,
) -> Result<(), TableFormatError> {
    out.push(b'{');
    let mut first = true;
    for (name, value) in fields {
        if options.ignore_null_fields && value.array.is_null(row) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(name);
        value.write(row, options, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn quoted_unless(bare: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !bare {
        out.push(b'"');
    }
    write(out);
    if !bare {
        out.push(b'"');
    }
}

/// Appends a text in quotes, with the escapes that it needs.
pub(crate) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                // Writing to memory cannot fail.
                let _ = write!(out, "\\u{other:04X}");
            }
        }
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

impl<'a> JsonEncoder<'a> {
    pub(crate) fn new(
        rows: &'a RecordBatch,
        options: Arc<JsonEncodeOptions>,
    ) -> Result<Self, TableFormatError> {
        let schema = rows.schema_ref();
        let fields = schema.fields().iter().zip(rows.columns());
        let fields =
            fields.map(|(field, array)| Ok((key(field.name()), Value::new(array.as_ref())?)));
        Ok(Self { options, fields: fields.collect::<Result<_, TableFormatError>>()? })
    }

    /// Whether fields that are NULL are left out.
    pub(crate) fn ignores_nulls(&self) -> bool {
        self.options.ignore_null_fields
    }

    /// Appends the object of a row.
    pub(crate) fn object(&self, row: usize, out: &mut Vec<u8>) -> Result<(), TableFormatError> {
        let fields = self.fields.iter().map(|(name, value)| (name, value));
        write_object(fields, row, &self.options, out)
    }
}

impl RowEncoder for JsonEncoder<'_> {
    fn encode(&self, row: usize, _: RowKind, out: &mut Vec<u8>) -> Result<(), TableFormatError> {
        self.object(row, out)
    }
}
