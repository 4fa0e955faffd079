//! A column as serde's serializers want it.

use serde::{
    Serialize, Serializer,
    ser::{
        Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
        SerializeTupleStruct,
    },
};

use super::{ColumnWriter, WriterKind};
use crate::values::{
    RowValueError,
    types::{DECIMAL_SCALE, MARK},
};

type Done = Result<(), RowValueError>;

impl<'a> Serializer for &'a mut ColumnWriter {
    type Ok = ();
    type Error = RowValueError;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Impossible<(), RowValueError>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), RowValueError>;

    fn serialize_bool(self, value: bool) -> Done {
        match &mut self.kind {
            WriterKind::Boolean(values) => values.append_value(value),
            _ => return Err(self.misfit(&value.to_string())),
        }
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_i32(self, value: i32) -> Done {
        match &mut self.kind {
            WriterKind::Int32(values) => values.append_value(value),
            _ => return self.integer(i128::from(value)),
        }
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Done {
        match &mut self.kind {
            WriterKind::Int64(values) => values.append_value(value),
            _ => return self.integer(i128::from(value)),
        }
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.integer(value)
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.integer(i128::from(value))
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.float(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Done {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.bytes(value)
    }

    fn serialize_none(self) -> Done {
        self.write_null();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.text(variant)
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
        Err(self.misfit(&format!("a variant of {name} with content")))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, RowValueError> {
        match &self.kind {
            WriterKind::List(..) | WriterKind::Row(..) => {}
            WriterKind::Bytes(_) => {}
            _ => return Err(self.misfit("a sequence")),
        }
        Ok(Elements { column: self, next: 0, bytes: Vec::new() })
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'a>, RowValueError> {
        if let WriterKind::Row(_, fields, _) = &self.kind
            && fields.len() != length
        {
            let fields = fields.len();
            let text = format!("a tuple of {length} is no ROW of {fields} fields");
            return Err(RowValueError(text));
        }
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Elements<'a>, RowValueError> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, RowValueError> {
        Err(self.misfit(&format!("a variant of {name} with content")))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, RowValueError> {
        if !matches!(self.kind, WriterKind::Map(..)) {
            return Err(self.misfit("a map"));
        }
        Ok(Entries(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, RowValueError> {
        Ok(Fields { column: self, next: 0, marked: false })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, RowValueError> {
        Err(self.misfit(&format!("a variant of {name} with content")))
    }
}

/// The elements of one list, the bytes of one value, or the fields of one ROW by position.
pub struct Elements<'a> {
    column: &'a mut ColumnWriter,
    next: usize,
    bytes: Vec<u8>,
}

impl Elements<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        match &mut self.column.kind {
            WriterKind::List(_, _, elements) => value.serialize(&mut **elements),
            WriterKind::Row(_, _, writers) => {
                let writer = writers.get_mut(self.next);
                let writer = writer.ok_or_else(|| {
                    RowValueError("a tuple with more fields than the ROW".to_owned())
                })?;
                self.next += 1;
                value.serialize(writer)
            }
            _ => {
                let mut one = ColumnWriter::new(&arrow_schema::DataType::Int16)?;
                value.serialize(&mut one)?;
                let WriterKind::Int16(values) = &one.kind else { return Ok(()) };
                let byte = values.values_slice().first().and_then(|one| u8::try_from(*one).ok());
                let byte = byte.ok_or_else(|| self.column.misfit("what is no byte"))?;
                self.bytes.push(byte);
                Ok(())
            }
        }
    }

    fn done(self) -> Done {
        match &mut self.column.kind {
            WriterKind::List(nested, _, elements) => nested.end(elements.len(), true),
            WriterKind::Row(valid, fields, _) if fields.len() == self.next => {
                valid.append(true);
                Ok(())
            }
            WriterKind::Row(_, fields, _) => {
                let (wanted, found) = (fields.len(), self.next);
                Err(RowValueError(format!("a tuple of {found} is no ROW of {wanted} fields")))
            }
            WriterKind::Bytes(values) => {
                values.append_value(&self.bytes);
                Ok(())
            }
            _ => Err(self.column.misfit("a sequence")),
        }
    }
}

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.done()
    }
}

impl SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.done()
    }
}

impl SerializeTupleStruct for Elements<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.done()
    }
}

/// The entries of one map.
pub struct Entries<'a>(&'a mut ColumnWriter);

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        match &mut self.0.kind {
            WriterKind::Map(_, _, writers) => key.serialize(&mut writers.0),
            _ => Err(self.0.misfit("a map")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        match &mut self.0.kind {
            WriterKind::Map(_, _, writers) => value.serialize(&mut writers.1),
            _ => Err(self.0.misfit("a map")),
        }
    }

    fn end(self) -> Done {
        match &mut self.0.kind {
            WriterKind::Map(nested, _, writers) => nested.end(writers.1.len(), true),
            _ => Err(self.0.misfit("a map")),
        }
    }
}

/// The fields of one ROW by name; fields that it has not are left out, those that are missing NULL.
pub struct Fields<'a> {
    column: &'a mut ColumnWriter,
    next: usize,
    /// It was a number of one of the types of [`crate::values::types`].
    marked: bool,
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = RowValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        if let Some(data_type) = name.strip_prefix(MARK) {
            self.marked = true;
            // Milliseconds, days; of a decimal units of its last digit.
            self.column.scale =
                if data_type.starts_with("DECIMAL") { DECIMAL_SCALE as i8 } else { 0 };
            let written = value.serialize(&mut *self.column);
            self.column.scale = 0;
            return written;
        }
        let WriterKind::Row(_, fields, writers) = &mut self.column.kind else {
            return Err(self.column.misfit("a struct"));
        };
        let here = fields.get(self.next).is_some_and(|field| field.name() == name);
        let place = if here {
            Some(self.next)
        } else {
            fields.iter().position(|field| field.name() == name)
        };
        self.next = place.map_or(self.next, |place| place + 1);
        match place {
            Some(place) => value.serialize(&mut writers[place]),
            None => Ok(()),
        }
    }

    fn end(self) -> Done {
        if self.marked {
            return Ok(());
        }
        let WriterKind::Row(valid, _, writers) = &mut self.column.kind else {
            return Err(self.column.misfit("a struct"));
        };
        valid.append(true);
        let rows = valid.len();
        writers.iter_mut().filter(|one| one.len() < rows).for_each(ColumnWriter::write_null);
        Ok(())
    }
}
