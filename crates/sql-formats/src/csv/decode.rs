//! From CSV records to columns, as Flink's `CsvToRowDataConverters`.

use arrow_array::ArrayRef;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use super::CsvOptions;
use crate::{
    column::{Column, Data},
    fault::{DecodeError, Fault, FaultKind},
    format::{Decoded, Decoder, ReadColumn, TableFormatError},
    scalar::{self, base64, decimal, time, time::TimestampFormat},
};

/// Decodes records by the positions of their fields.
pub(crate) struct CsvDecoder {
    options: CsvOptions,
    /// For each field of a record the column that it goes to.
    targets: Vec<Option<usize>>,
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
    /// The fields of the record at hand, one behind the other.
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
}

impl CsvDecoder {
    pub(crate) fn new(
        options: CsvOptions,
        physical: &[(String, SqlDataType)],
        read: &[ReadColumn],
    ) -> Result<Self, TableFormatError> {
        let (mut targets, mut names) = (Vec::new(), Vec::new());
        for (name, data_type) in physical {
            check(data_type, true)?;
            let of = |column: &ReadColumn| column.path.first() == Some(name);
            targets.push(read.iter().position(of));
            names.push(name.clone());
        }
        let columns = read.iter().map(|column| Column::new(&column.data_type));
        let columns =
            columns.collect::<Result<_, _>>().map_err(|e| TableFormatError(e.to_string()))?;
        let (bytes, ends) = (Vec::new(), Vec::new());
        Ok(Self { options, targets, names, columns, rows: 0, bytes, ends })
    }

    /// Finds the fields of a record.
    fn split(&mut self, record: &[u8]) -> Result<(), Fault> {
        self.bytes.clear();
        self.ends.clear();
        let CsvOptions { delimiter, quote, escape, .. } = self.options;
        let mut at = 0;
        loop {
            if quote.is_some() && record.get(at).copied() == quote {
                at = self.quoted(record, at)?;
            } else {
                while let Some(byte) = record.get(at)
                    && *byte != delimiter
                {
                    if Some(*byte) == escape {
                        at += 1;
                        let next = *record.get(at).ok_or(FaultKind::End.at(at))?;
                        self.bytes.push(unescape(next));
                    } else {
                        self.bytes.push(*byte);
                    }
                    at += 1;
                }
            }
            self.ends.push(self.bytes.len());
            // More fields than columns are an error anyway.
            if at >= record.len() || self.ends.len() > self.targets.len() {
                return Ok(());
            }
            at += 1;
        }
    }

    /// Takes the quoted field whose quote is at `at`; returns where its delimiter is.
    fn quoted(&mut self, record: &[u8], at: usize) -> Result<usize, Fault> {
        let CsvOptions { delimiter, quote, escape, .. } = self.options;
        let mut at = at + 1;
        loop {
            let byte = *record.get(at).ok_or(FaultKind::End.at(at))?;
            at += 1;
            if Some(byte) == escape {
                let next = *record.get(at).ok_or(FaultKind::End.at(at))?;
                self.bytes.push(unescape(next));
                at += 1;
            } else if Some(byte) == quote {
                if record.get(at).copied() != quote {
                    break;
                }
                self.bytes.push(byte);
                at += 1;
            } else {
                self.bytes.push(byte);
            }
        }
        // Blanks may follow.
        while let Some(byte) = record.get(at)
            && *byte != delimiter
        {
            if *byte > b' ' {
                return Err(FaultKind::Unexpected(*byte).at(at));
            }
            at += 1;
        }
        Ok(at)
    }

    fn read(&mut self, record: &[u8]) -> Result<(), Fault> {
        std::str::from_utf8(record).map_err(|e| FaultKind::Utf8.at(e.valid_up_to()))?;
        self.split(record)?;
        let (found, expected) = (self.ends.len(), self.targets.len());
        if found > expected || (found < expected && !self.options.ignore_parse_errors) {
            let kind = FaultKind::Arity { found: found as u32, expected: expected as u32 };
            return Err(kind.at(0));
        }
        let mut start = 0;
        for (index, target) in self.targets.iter().enumerate() {
            let field = self.ends.get(index).map(|end| &self.bytes[start..*end]);
            start = self.ends.get(index).copied().unwrap_or(start);
            let Some(target) = target else { continue };
            let column = &mut self.columns[*target];
            let read = match field {
                None => column.append_null(),
                Some(field) => append(column, field, &self.options),
            };
            read.map_err(|kind| kind.at(0).in_field(index))?;
        }
        self.rows += 1;
        Ok(())
    }
}

/// What an escaped character means, as for Jackson.
fn unescape(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// Types that a field of CSV can have.
fn check(data_type: &SqlDataType, top: bool) -> Result<(), TableFormatError> {
    match &data_type.kind {
        SqlTypeKind::Array(element) if top => check(element, false),
        SqlTypeKind::Row(fields) if top => {
            fields.iter().try_for_each(|field| check(&field.data_type, false))
        }
        SqlTypeKind::Time(precision) if *precision > 3 => Err(TableFormatError(format!(
            "Csv does not support TIME type with precision: {precision}, it only supports \
             precision 0 ~ 3."
        ))),
        SqlTypeKind::Array(_)
        | SqlTypeKind::Row(_)
        | SqlTypeKind::Map(..)
        | SqlTypeKind::Multiset(_)
        | SqlTypeKind::Structured { .. } => {
            Err(TableFormatError(format!("The csv format does not support the type {data_type}")))
        }
        _ => Ok(()),
    }
}

/// Appends a field, or NULL: for the literal of NULL, and for what is no value if errors are ignored.
fn append(column: &mut Column, field: &[u8], options: &CsvOptions) -> Result<(), FaultKind> {
    if options.null_literal.as_ref().is_some_and(|literal| literal.as_bytes() == field) {
        return column.append_null();
    }
    let before = column.len();
    match value(column, field, options) {
        Err(kind) if options.ignore_parse_errors && kind != FaultKind::TooLarge => {
            column.truncate(before);
            column.append_null()
        }
        other => other,
    }
}

fn value(column: &mut Column, field: &[u8], options: &CsvOptions) -> Result<(), FaultKind> {
    let trimmed = scalar::trim(field);
    let integer = |name| scalar::integer(trimmed).ok_or(FaultKind::Value(name));
    match &mut column.data {
        Data::Text { .. } => return column.append_bytes(field),
        Data::I64(values) => values.push(integer("BIGINT")?),
        Data::I32(values) => {
            let value = i32::try_from(integer("INT")?);
            values.push(value.map_err(|_| FaultKind::Range("INT"))?);
        }
        Data::I16(values) => {
            let value = i16::try_from(integer("SMALLINT")?);
            values.push(value.map_err(|_| FaultKind::Range("SMALLINT"))?);
        }
        Data::I8(values) => {
            let value = i8::try_from(integer("TINYINT")?);
            values.push(value.map_err(|_| FaultKind::Range("TINYINT"))?);
        }
        Data::Boolean(bits) => bits.append(scalar::boolean(field)),
        Data::F64(values) => {
            values.push(scalar::double(field).ok_or(FaultKind::Value("DOUBLE"))?);
        }
        Data::F32(values) => values.push(scalar::float(field).ok_or(FaultKind::Value("FLOAT"))?),
        Data::Decimal { values, precision, scale } => {
            let value = decimal::parse(field, *precision, *scale);
            match value.ok_or(FaultKind::Value("DECIMAL"))? {
                Some(value) => values.push(value),
                None => return column.append_null(),
            }
        }
        Data::Date(values) => {
            values.push(time::lenient_date(field).ok_or(FaultKind::Value("DATE"))?);
        }
        Data::Time(values, precision) => {
            let unit = 10i32.pow(3 - u32::from(*precision).min(3));
            let millis = time::local_time(field).ok_or(FaultKind::Value("TIME"))?;
            values.push(millis / unit * unit);
        }
        Data::Timestamp { values, unit, local } => {
            let value = time::timestamp(trimmed, TimestampFormat::Sql, *local, *unit);
            values.push(value.ok_or(FaultKind::Value("timestamp"))?);
        }
        Data::Binary { .. } => {
            return column
                .append_with(|out| base64::decode(field, out).ok_or(FaultKind::Value("base 64")));
        }
        Data::List { element, .. } => {
            for part in elements(field, options) {
                append(element, part, options)?;
            }
            return column.end_elements();
        }
        Data::Row(fields) => {
            let parts: Vec<_> = elements(field, options).collect();
            if parts.is_empty() {
                return column.append_null();
            }
            if parts.len() < fields.len() && !options.ignore_parse_errors {
                let (found, expected) = (parts.len() as u32, fields.len() as u32);
                return Err(FaultKind::Arity { found, expected });
            }
            for (index, field) in fields.iter_mut().enumerate() {
                match parts.get(index) {
                    Some(part) => append(field, part, options)?,
                    None => field.append_null()?,
                }
            }
        }
        Data::Null => {}
        Data::Map { .. } => return Err(FaultKind::Internal),
    }
    column.added();
    Ok(())
}

/// A column of one value in all rows: what a text without quotes means in CSV, or NULL.
pub(crate) fn constant(
    data_type: &SqlDataType,
    text: Option<&str>,
    rows: usize,
) -> Result<ArrayRef, TableFormatError> {
    let mut column = Column::new(data_type).map_err(|e| TableFormatError(e.to_string()))?;
    let options = CsvOptions::default();
    for _ in 0..rows {
        let added = match text {
            Some(text) => value(&mut column, text.as_bytes(), &options),
            None => column.append_null(),
        };
        added.map_err(|kind| {
            TableFormatError(format!("'{}' as {data_type}: {kind}", text.unwrap_or("NULL")))
        })?;
    }
    Ok(column.finish()?)
}

/// The elements of an array in a field; an empty field has none.
fn elements<'a>(field: &'a [u8], options: &'a CsvOptions) -> impl Iterator<Item = &'a [u8]> {
    let text = std::str::from_utf8(field).unwrap_or_default();
    let delimiter = options.element_delimiter.as_str();
    // An empty delimiter separates nothing.
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let cut = if delimiter.is_empty() { None } else { text.split_once(delimiter) };
        let (first, others) = cut.map_or((text, None), |(first, others)| (first, Some(others)));
        rest = others;
        Some(first.as_bytes())
    })
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        if self.options.allow_comments && record.first() == Some(&b'#') {
            return Ok(());
        }
        let before = self.rows;
        self.read(record).map_err(|fault| {
            self.rows = before;
            self.columns.iter_mut().for_each(|column| column.truncate(before));
            let field = fault.field.and_then(|field| self.names.get(usize::from(field)));
            fault.explain("Failed to deserialize CSV row", record, field.map(String::as_str))
        })
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<Decoded, TableFormatError> {
        Decoded::of(&mut self.columns, std::mem::take(&mut self.rows), None)
    }
}
