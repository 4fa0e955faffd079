//! Rows of a batch as records.

use std::cell::OnceCell;

use arrow_array::RecordBatch;
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{super::RowValueError, super::types::MARK, ColumnReader, cell::Cell};

/// Reads the rows of a batch.
///
/// Fields of a struct are found by name, those of a tuple by position; any other type is the only
/// column.
pub struct RowReader<'a> {
    columns: Vec<(&'a str, ColumnReader<'a>)>,
    /// Where the fields of the struct are, if all are there: the same for all rows.
    order: OnceCell<Option<Vec<usize>>>,
}

impl<'a> RowReader<'a> {
    /// A reader of those columns, whose names are given.
    ///
    /// # Errors
    /// If a column's type is none that tables have.
    pub fn new(rows: &'a RecordBatch, names: &'a [String]) -> Result<Self, RowValueError> {
        let columns = names.iter().zip(rows.columns());
        let columns = columns.map(|(name, column)| Ok((name.as_str(), ColumnReader::of(column)?)));
        Ok(Self { columns: columns.collect::<Result<_, RowValueError>>()?, order: OnceCell::new() })
    }

    /// A row.
    ///
    /// # Errors
    /// If a value does not fit.
    pub fn read<T: DeserializeOwned>(&self, row: usize) -> Result<T, RowValueError> {
        T::deserialize(Record { reader: self, row })
    }

    fn order(&self, fields: &[&str]) -> Option<&[usize]> {
        let place = |name: &&str| self.columns.iter().position(|(column, _)| column == name);
        self.order.get_or_init(|| fields.iter().map(place).collect()).as_deref()
    }
}

struct Record<'b, 'a> {
    reader: &'b RowReader<'a>,
    row: usize,
}

impl<'b, 'a> Record<'b, 'a> {
    fn only(&self) -> Result<Cell<'b, 'a>, RowValueError> {
        match self.reader.columns.as_slice() {
            [(_, column)] => Ok(Cell { column, row: self.row }),
            many => Err(RowValueError(format!(
                "a row of {} columns is no single value: read it as a struct or a tuple",
                many.len()
            ))),
        }
    }

    fn is_wrapped(&self) -> bool {
        // One column that is a list or map itself is that, not a row of one.
        matches!(self.reader.columns.as_slice(), [(_, column)] if column.is_collection())
    }
}

impl ColumnReader<'_> {
    fn is_collection(&self) -> bool {
        use super::ReaderKind::{Bytes, List, Map};
        matches!(self.kind, List(..) | Map(..) | Bytes(..))
    }
}

impl<'de> Deserializer<'de> for Record<'_, '_> {
    type Error = RowValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        match self.only() {
            Ok(cell) => cell.deserialize_option(visitor),
            Err(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        if let [only] = fields
            && only.starts_with(MARK)
        {
            return self.only()?.deserialize_struct(name, fields, visitor);
        }
        match self.reader.order(fields) {
            Some(order) => visitor.visit_seq(Ordered { record: &self, order, next: 0 }),
            None => visitor.visit_map(Named { record: &self, next: 0 }),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        if self.is_wrapped() {
            return self.only()?.deserialize_map(visitor);
        }
        visitor.visit_map(Named { record: &self, next: 0 })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        if self.is_wrapped() {
            return self.only()?.deserialize_seq(visitor);
        }
        let order: Vec<usize> = (0..self.reader.columns.len()).collect();
        visitor.visit_seq(Ordered { record: &self, order: &order, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        let columns = self.reader.columns.len();
        if columns != length && !self.is_wrapped() {
            return Err(RowValueError(format!(
                "a tuple of {length} is no row of {columns} columns"
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_str(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_f64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.only()?.deserialize_u64(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct identifier
        ignored_any
    }
}

fn of_column(name: &str, error: RowValueError) -> RowValueError {
    RowValueError(format!("column {name}: {error}"))
}

/// The columns in the order of a struct's fields.
struct Ordered<'c, 'b, 'a> {
    record: &'c Record<'b, 'a>,
    order: &'c [usize],
    next: usize,
}

impl<'de> SeqAccess<'de> for Ordered<'_, '_, '_> {
    type Error = RowValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, RowValueError> {
        let Some(place) = self.order.get(self.next) else { return Ok(None) };
        self.next += 1;
        let (name, column) = &self.record.reader.columns[*place];
        let value = seed.deserialize(Cell { column, row: self.record.row });
        value.map(Some).map_err(|error| of_column(name, error))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.order.len() - self.next)
    }
}

/// The columns with their names.
struct Named<'c, 'b, 'a> {
    record: &'c Record<'b, 'a>,
    next: usize,
}

impl<'de> MapAccess<'de> for Named<'_, '_, '_> {
    type Error = RowValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowValueError> {
        let Some((name, _)) = self.record.reader.columns.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize((*name).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, RowValueError> {
        let place = self.next.checked_sub(1);
        let column = place.and_then(|place| self.record.reader.columns.get(place));
        let (name, column) = column.ok_or_else(|| RowValueError("no column".to_owned()))?;
        let value = seed.deserialize(Cell { column, row: self.record.row });
        value.map_err(|error| of_column(name, error))
    }
}
