//! Records as rows of a batch.

use std::collections::HashMap;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct},
};

use super::ColumnWriter;
use crate::values::{RowValueError, types::MARK};

type Done = Result<(), RowValueError>;

/// Writes records as rows.
///
/// Columns are the fields of a struct by name, or those of a tuple by position; any other value is the
/// only field, of position 0 and named `f0`. Fields without a column are left out.
pub struct RowWriter {
    schema: SchemaRef,
    writers: Vec<ColumnWriter>,
    /// The column of each field, by its name and by its position.
    by_name: HashMap<String, usize>,
    by_position: Vec<Option<usize>>,
    rows: usize,
    /// Whether field `n` of the struct is column `n` of this list: found once, true for all rows.
    seen: Vec<(&'static str, Option<usize>)>,
}

impl RowWriter {
    /// A writer of rows of that schema. `fields`: for each column the record's field that it is, by
    /// position and name.
    ///
    /// # Errors
    /// If a column's type is none that tables have.
    pub fn new(schema: SchemaRef, fields: &[(usize, String)]) -> Result<Self, RowValueError> {
        let writers = schema.fields().iter().map(|field| ColumnWriter::new(field.data_type()));
        let width = fields.iter().map(|(position, _)| position + 1).max().unwrap_or(0);
        let mut by_position = vec![None; width];
        for (column, (position, _)) in fields.iter().enumerate() {
            by_position[*position] = Some(column);
        }
        let by_name = fields.iter().enumerate().map(|(column, (_, name))| (name.clone(), column));
        Ok(Self {
            writers: writers.collect::<Result<_, _>>()?,
            by_name: by_name.collect(),
            by_position,
            rows: 0,
            seen: Vec::new(),
            schema,
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If a value does not fit. The writer is of no use any more then.
    pub fn write<T: Serialize>(&mut self, record: &T) -> Result<(), RowValueError> {
        record.serialize(&mut *self)?;
        self.rows += 1;
        for (writer, field) in self.writers.iter_mut().zip(self.schema.fields()) {
            if writer.len() < self.rows {
                if !field.is_nullable() {
                    let name = field.name();
                    return Err(RowValueError(format!(
                        "column {name}: the record has no such field"
                    )));
                }
                writer.write_null();
            }
        }
        Ok(())
    }

    /// The rows; the writer begins anew.
    ///
    /// # Errors
    /// If something is NULL that must not be.
    pub fn finish(&mut self) -> Result<RecordBatch, RowValueError> {
        let columns = self.writers.iter_mut().map(ColumnWriter::finish);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = std::mem::take(&mut self.rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    fn field<T: Serialize + ?Sized>(&mut self, column: Option<usize>, value: &T) -> Done {
        let Some(column) = column else { return Ok(()) };
        value.serialize(&mut self.writers[column]).map_err(|error| {
            RowValueError(format!("column {}: {error}", self.schema.field(column).name()))
        })
    }

    fn at(&self, position: usize) -> Option<usize> {
        self.by_position.get(position).copied().flatten()
    }

    fn only<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.field(self.at(0), value)
    }
}

macro_rules! only {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Done {
            self.only(&value)
        })*
    };
}

impl<'a> Serializer for &'a mut RowWriter {
    type Ok = ();
    type Error = RowValueError;
    type SerializeSeq = Only<'a>;
    type SerializeTuple = Positions<'a>;
    type SerializeTupleStruct = Positions<'a>;
    type SerializeTupleVariant = Impossible<(), RowValueError>;
    type SerializeMap = Impossible<(), RowValueError>;
    type SerializeStruct = Names<'a>;
    type SerializeStructVariant = Impossible<(), RowValueError>;

    only! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64,
        serialize_char: char, serialize_str: &str
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        match self.at(0) {
            Some(column) => (&mut self.writers[column]).serialize_bytes(value),
            None => Ok(()),
        }
    }

    fn serialize_none(self) -> Done {
        // The columns get NULL, if they may.
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.only(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Done {
        Err(no_row(name))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Only<'a>, RowValueError> {
        let column = self.at(0).ok_or_else(|| no_row("a sequence"))?;
        Ok(Only((&mut self.writers[column]).serialize_seq(length)?))
    }

    fn serialize_tuple(self, _: usize) -> Result<Positions<'a>, RowValueError> {
        Ok(Positions { writer: self, next: 0 })
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Positions<'a>, RowValueError> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, RowValueError> {
        Err(no_row(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowValueError> {
        Err(no_row("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Names<'a>, RowValueError> {
        Ok(Names { writer: self, next: 0 })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, RowValueError> {
        Err(no_row(name))
    }
}

fn no_row(name: &str) -> RowValueError {
    RowValueError(format!("{name} is no row: rows are structs, tuples or single values"))
}

/// A list that is the only column.
pub struct Only<'a>(<&'a mut ColumnWriter as Serializer>::SerializeSeq);

impl SerializeSeq for Only<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        SerializeSeq::serialize_element(&mut self.0, value)
    }

    fn end(self) -> Done {
        SerializeSeq::end(self.0)
    }
}

/// Fields of a tuple.
pub struct Positions<'a> {
    writer: &'a mut RowWriter,
    next: usize,
}

impl SerializeTuple for Positions<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let column = self.writer.at(self.next);
        self.next += 1;
        self.writer.field(column, value)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

impl SerializeTupleStruct for Positions<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        SerializeTuple::serialize_element(self, value)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

/// Fields of a struct.
pub struct Names<'a> {
    writer: &'a mut RowWriter,
    next: usize,
}

impl SerializeStruct for Names<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        if name.starts_with(MARK) {
            // The record is a time or a decimal by itself.
            let Some(column) = self.writer.at(0) else { return Ok(()) };
            let mut fields = (&mut self.writer.writers[column]).serialize_struct("", 1)?;
            return fields.serialize_field(name, value);
        }
        let column = match self.writer.seen.get(self.next) {
            Some((seen, column)) if std::ptr::eq(*seen, name) => *column,
            _ => {
                let column = self.writer.by_name.get(name).copied();
                // A struct that leaves fields out now and then has them looked up.
                if self.writer.seen.len() == self.next {
                    self.writer.seen.push((name, column));
                }
                column
            }
        };
        self.next += 1;
        self.writer.field(column, value)
    }

    fn end(self) -> Done {
        Ok(())
    }
}
