//! The format `json`: one row per object, or per element of an array of objects.

use hurtig_sql_common::RowKind;

use super::{
    cursor::Cursor,
    shape::{Shape, Target},
    value::{Context, Reader},
};
use crate::{
    column::Column,
    fault::{DecodeError, Fault, FaultKind},
    format::{Decoded, Decoder, ReadColumn, TableFormatError},
};

/// Decodes objects into the columns of their fields.
pub(crate) struct JsonDecoder {
    shape: Shape,
    context: Context,
    columns: Vec<Column>,
    /// What errors call the fields of the shape.
    names: Vec<String>,
    rows: usize,
}

/// The shape that reads columns, and the columns; `columns` must not contain each other.
pub(crate) fn shape_of(columns: &[ReadColumn]) -> Result<(Shape, Vec<Column>), TableFormatError> {
    let mut shape = Shape::default();
    let mut built = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        built.push(Column::new(&column.data_type).map_err(|e| TableFormatError(e.to_string()))?);
        let reader = Reader::new(&column.data_type).map_err(TableFormatError)?;
        let Some((last, outer)) = column.path.split_last() else {
            return Err(TableFormatError("internal: a column without a name".to_owned()));
        };
        let mut at = &mut shape;
        for name in outer {
            at = at.fields_of(name).ok_or_else(|| {
                TableFormatError(format!("internal: {name} is read whole and in parts"))
            })?;
        }
        at.add(last, Target::Column(index, reader));
    }
    Ok((shape, built))
}

impl JsonDecoder {
    pub(crate) fn new(columns: &[ReadColumn], context: Context) -> Result<Self, TableFormatError> {
        let (shape, built) = shape_of(columns)?;
        let mut names: Vec<String> = Vec::new();
        for name in columns.iter().filter_map(|column| column.path.first()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(Self { shape, context, columns: built, names, rows: 0 })
    }

    fn read(&mut self, record: &[u8]) -> Result<(), Fault> {
        std::str::from_utf8(record).map_err(|e| FaultKind::Utf8.at(e.valid_up_to()))?;
        let mut cursor = Cursor::new(record);
        match cursor.peek()? {
            b'{' => self.read_row(&mut cursor, 0),
            b'[' => {
                cursor.at += 1;
                let mut first = true;
                while cursor.next_element(first)? {
                    first = false;
                    if cursor.take_null()? {
                        continue;
                    }
                    let start = cursor.at;
                    let before = self.rows;
                    let read = match cursor.peek()? {
                        b'{' => self.read_row(&mut cursor, 0),
                        _ => Err(cursor.fault(FaultKind::Value("object"))),
                    };
                    if let Err(fault) = read {
                        if !self.context.ignore_parse_errors {
                            return Err(fault);
                        }
                        self.truncate(before);
                        cursor.at = start;
                        cursor.skip(1)?;
                    }
                }
                Ok(())
            }
            other => Err(cursor.fault(FaultKind::Unexpected(other))),
        }
    }

    #[inline]
    fn read_row(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Fault> {
        let Self { shape, context, columns, rows, .. } = self;
        shape.read(cursor, columns, *rows, context, depth)?;
        for column in columns.iter_mut().filter(|column| column.len() == *rows) {
            column.append_null().map_err(|kind| cursor.fault(kind))?;
        }
        *rows += 1;
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.rows = rows;
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        if record.is_empty() {
            return Ok(());
        }
        let before = self.rows;
        self.read(record).map_err(|fault| {
            self.truncate(before);
            let field = fault.field.and_then(|field| self.names.get(usize::from(field)));
            fault.explain("Failed to deserialize JSON", record, field.map(String::as_str))
        })
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<Decoded, TableFormatError> {
        Decoded::of(&mut self.columns, std::mem::take(&mut self.rows), None::<Vec<RowKind>>)
    }
}
