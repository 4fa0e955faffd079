//! The format `raw`: a record is the value of the only column.

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use arrow_schema::DataType;
use hurtig_sql_common::RowKind;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    column::{Column, Data},
    encoding::RowEncoder,
    fault::{DecodeError, FaultKind},
    format::{Decoded, Decoder, ReadColumn, TableFormatError},
    options::FormatOptions,
};

/// How texts are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Latin1,
    Ascii,
    Utf16 { big_endian: bool },
}

/// The options of the format.
#[derive(Clone, Debug)]
pub(crate) struct RawOptions {
    pub(crate) charset: Charset,
    pub(crate) big_endian: bool,
}

impl RawOptions {
    pub(crate) fn of(
        options: FormatOptions<'_>,
        columns: &[(String, SqlDataType)],
    ) -> Result<Self, TableFormatError> {
        let [(_, data_type)] = columns else {
            return Err(TableFormatError(format!(
                "The 'raw' format only supports single physical column. However the defined schema \
                 contains multiple physical columns: [{}]",
                columns
                    .iter()
                    .map(|(name, data_type)| format!("`{name}` {data_type}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        };
        let supported = matches!(
            data_type.kind,
            SqlTypeKind::Char(_)
                | SqlTypeKind::Varchar(_)
                | SqlTypeKind::Binary(_)
                | SqlTypeKind::Varbinary(_)
                | SqlTypeKind::Boolean
                | SqlTypeKind::TinyInt
                | SqlTypeKind::SmallInt
                | SqlTypeKind::Int
                | SqlTypeKind::BigInt
                | SqlTypeKind::Float
                | SqlTypeKind::Double
        );
        if !supported {
            return Err(TableFormatError(format!(
                "The 'raw' format doesn't supports '{data_type}' as column type."
            )));
        }
        let charset = options.text("charset").unwrap_or("UTF-8");
        let charset = match charset.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Charset::Utf8,
            "ISO-8859-1" | "LATIN1" | "ISO8859_1" => Charset::Latin1,
            "US-ASCII" | "ASCII" => Charset::Ascii,
            "UTF-16" | "UTF-16BE" => Charset::Utf16 { big_endian: true },
            "UTF-16LE" => Charset::Utf16 { big_endian: false },
            _ => {
                return Err(TableFormatError(format!(
                    "Unsupported 'raw.charset' name: {charset}. Supported are UTF-8, ISO-8859-1, \
                     US-ASCII, UTF-16, UTF-16BE and UTF-16LE."
                )));
            }
        };
        let big_endian = match options.text("endianness") {
            None | Some("big-endian") => true,
            Some("little-endian") => false,
            Some(other) => {
                return Err(options.invalid("endianness", other, "big-endian, little-endian"));
            }
        };
        Ok(Self { charset, big_endian })
    }

    pub(crate) fn decoder(
        &self,
        read: &[ReadColumn],
    ) -> Result<Box<dyn Decoder>, TableFormatError> {
        let column = match read {
            [] => None,
            [column] => {
                let column = Column::new(&column.data_type);
                Some(column.map_err(|e| TableFormatError(e.to_string()))?)
            }
            _ => return Err(TableFormatError("internal: raw has one column".to_owned())),
        };
        Ok(Box::new(RawDecoder { options: self.clone(), column, rows: 0 }))
    }
}

struct RawDecoder {
    options: RawOptions,
    /// `None` if only the number of records is wanted.
    column: Option<Column>,
    rows: usize,
}

/// The bytes of a number of a fixed size.
fn fixed<const N: usize>(record: &[u8], big_endian: bool) -> Result<[u8; N], FaultKind> {
    let mut bytes: [u8; N] = record
        .try_into()
        .map_err(|_| FaultKind::Value("value of that many bytes as its type has"))?;
    if !big_endian {
        bytes.reverse();
    }
    Ok(bytes)
}

fn append(column: &mut Column, record: &[u8], options: &RawOptions) -> Result<(), FaultKind> {
    let big_endian = options.big_endian;
    match &mut column.data {
        Data::Text { .. } => {
            return match options.charset {
                Charset::Utf8 => match std::str::from_utf8(record) {
                    Ok(_) => column.append_bytes(record),
                    Err(_) => column.append_bytes(String::from_utf8_lossy(record).as_bytes()),
                },
                Charset::Latin1 => {
                    let text: String = record.iter().map(|byte| *byte as char).collect();
                    column.append_bytes(text.as_bytes())
                }
                Charset::Ascii => {
                    let shown =
                        |byte: &u8| if byte.is_ascii() { *byte as char } else { '\u{fffd}' };
                    let text: String = record.iter().map(shown).collect();
                    column.append_bytes(text.as_bytes())
                }
                Charset::Utf16 { big_endian } => {
                    let units = record.chunks(2).map(|pair| match (pair, big_endian) {
                        ([a, b], true) => u16::from_be_bytes([*a, *b]),
                        ([a, b], false) => u16::from_le_bytes([*a, *b]),
                        _ => 0xfffd,
                    });
                    let text: String =
                        char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect();
                    column.append_bytes(text.as_bytes())
                }
            };
        }
        Data::Binary { .. } => return column.append_bytes(record),
        Data::Boolean(bits) => bits.append(fixed::<1>(record, true)? != [0]),
        Data::I8(values) => values.push(i8::from_be_bytes(fixed(record, true)?)),
        Data::I16(values) => values.push(i16::from_be_bytes(fixed(record, big_endian)?)),
        Data::I32(values) => values.push(i32::from_be_bytes(fixed(record, big_endian)?)),
        Data::I64(values) => values.push(i64::from_be_bytes(fixed(record, big_endian)?)),
        Data::F32(values) => values.push(f32::from_be_bytes(fixed(record, big_endian)?)),
        Data::F64(values) => values.push(f64::from_be_bytes(fixed(record, big_endian)?)),
        _ => return Err(FaultKind::Internal),
    }
    column.added();
    Ok(())
}

impl Decoder for RawDecoder {
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        if let Some(column) = &mut self.column {
            append(column, record, &self.options).map_err(|kind| {
                column.truncate(self.rows);
                kind.at(0).explain("Failed to deserialize raw value", record, None)
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<Decoded, TableFormatError> {
        let columns = self.column.as_mut_slice();
        Decoded::of(columns, std::mem::take(&mut self.rows), None)
    }
}

/// Writes the values of the only column.
pub(crate) struct RawEncoder<'a> {
    array: &'a dyn Array,
    options: RawOptions,
}

impl<'a> RawEncoder<'a> {
    pub(crate) fn new(
        rows: &'a RecordBatch,
        options: &RawOptions,
    ) -> Result<Self, TableFormatError> {
        let [array] = rows.columns() else {
            return Err(TableFormatError("internal: raw has one column".to_owned()));
        };
        Ok(Self { array: array.as_ref(), options: options.clone() })
    }

    fn put<const N: usize>(&self, mut bytes: [u8; N], out: &mut Vec<u8>) {
        if !self.options.big_endian {
            bytes.reverse();
        }
        out.extend_from_slice(&bytes);
    }
}

impl RowEncoder for RawEncoder<'_> {
    fn encode(&self, row: usize, _: RowKind, out: &mut Vec<u8>) -> Result<(), TableFormatError> {
        let array = self.array;
        if array.is_null(row) {
            return Ok(());
        }
        match array.data_type() {
            DataType::Utf8 => {
                let text = array.as_string::<i32>().value(row);
                let narrow = |limit: u32| {
                    text.chars()
                        .map(move |c| if (c as u32) < limit { c as u32 as u8 } else { b'?' })
                };
                match self.options.charset {
                    Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
                    Charset::Latin1 => out.extend(narrow(256)),
                    Charset::Ascii => out.extend(narrow(128)),
                    Charset::Utf16 { big_endian } => {
                        out.extend(text.encode_utf16().flat_map(|unit| {
                            if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }
                        }))
                    }
                }
            }
            DataType::Binary => out.extend_from_slice(array.as_binary::<i32>().value(row)),
            DataType::Boolean => out.push(u8::from(array.as_boolean().value(row))),
            DataType::Int8 => {
                self.put(array.as_primitive::<types::Int8Type>().value(row).to_be_bytes(), out);
            }
            DataType::Int16 => {
                self.put(array.as_primitive::<types::Int16Type>().value(row).to_be_bytes(), out);
            }
            DataType::Int32 => {
                self.put(array.as_primitive::<types::Int32Type>().value(row).to_be_bytes(), out);
            }
            DataType::Int64 => {
                self.put(array.as_primitive::<types::Int64Type>().value(row).to_be_bytes(), out);
            }
            DataType::Float32 => {
                self.put(array.as_primitive::<types::Float32Type>().value(row).to_be_bytes(), out);
            }
            DataType::Float64 => {
                self.put(array.as_primitive::<types::Float64Type>().value(row).to_be_bytes(), out);
            }
            other => return Err(TableFormatError(format!("internal: raw values of {other}"))),
        }
        Ok(())
    }
}
