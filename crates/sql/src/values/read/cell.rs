//! One value as serde's deserializers want it.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{I32Deserializer, I64Deserializer, I128Deserializer, U8Deserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    super::{
        RowValueError,
        text::{print_date, print_decimal, print_time, print_timestamp, rescale},
        types::{DECIMAL_SCALE, MARK},
    },
    ColumnReader, ReaderKind,
};

/// One value of a column.
#[derive(Clone, Copy)]
pub(super) struct Cell<'b, 'a> {
    pub column: &'b ColumnReader<'a>,
    pub row: usize,
}

impl Cell<'_, '_> {
    fn value(&self) -> Result<&ReaderKind<'_>, RowValueError> {
        if self.column.is_null(self.row) {
            return Err(RowValueError(
                "the value is NULL, and its Rust type is no Option".to_owned(),
            ));
        }
        Ok(&self.column.kind)
    }

    /// The text of values that Rust's types for them read as text.
    fn text(&self) -> Result<Option<String>, RowValueError> {
        let row = self.row;
        Ok(Some(match self.value()? {
            ReaderKind::Decimal(values, scale) => print_decimal(values.value(row), *scale),
            ReaderKind::Date(values) => print_date(values.value(row))?,
            ReaderKind::Time(values) => print_time(values.value(row))?,
            ReaderKind::Timestamp(values, unit, moment) => {
                print_timestamp(i128::from(values[row]) * i128::from(*unit), *moment)?
            }
            _ => return Ok(None),
        }))
    }

    /// Milliseconds, without what is finer.
    fn millis(&self) -> Result<i64, RowValueError> {
        match self.value()? {
            ReaderKind::Timestamp(values, unit, _) => {
                Ok(values[self.row].div_euclid(1_000_000 / unit))
            }
            other => Err(RowValueError(format!("{other:?} is no timestamp"))),
        }
    }
}

/// A number of one of the types of [`super::super::types`].
struct Marked<D>(Option<(&'static str, D)>);

impl<'de, D: Deserializer<'de, Error = RowValueError>> MapAccess<'de> for Marked<D> {
    type Error = RowValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowValueError> {
        match &self.0 {
            Some((name, _)) => seed.deserialize((*name).into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, RowValueError> {
        let (_, value) = self.0.take().ok_or_else(|| RowValueError("no value".to_owned()))?;
        seed.deserialize(value)
    }
}

impl<'de> Deserializer<'de> for Cell<'_, '_> {
    type Error = RowValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        let row = self.row;
        match self.value()? {
            ReaderKind::Null => visitor.visit_none(),
            ReaderKind::Boolean(values) => visitor.visit_bool(values.value(row)),
            ReaderKind::Int8(values) => visitor.visit_i8(values.value(row)),
            ReaderKind::Int16(values) => visitor.visit_i16(values.value(row)),
            ReaderKind::Int32(values) => visitor.visit_i32(values.value(row)),
            ReaderKind::Int64(values) => visitor.visit_i64(values.value(row)),
            ReaderKind::Float32(values) => visitor.visit_f32(values.value(row)),
            ReaderKind::Float64(values) => visitor.visit_f64(values.value(row)),
            ReaderKind::Text(values) => visitor.visit_str(values.value(row)),
            ReaderKind::Bytes(values) => visitor.visit_bytes(values.value(row)),
            ReaderKind::Decimal(values, scale) => {
                visitor.visit_string(print_decimal(values.value(row), *scale))
            }
            ReaderKind::Date(values) => visitor.visit_i32(values.value(row)),
            ReaderKind::Time(values) => visitor.visit_i32(values.value(row)),
            ReaderKind::Timestamp(..) => visitor.visit_i64(self.millis()?),
            ReaderKind::Months(values) => visitor.visit_i32(values.value(row)),
            ReaderKind::Duration(values) => visitor.visit_i64(values.value(row)),
            ReaderKind::List(offsets, elements) => {
                visitor.visit_seq(Elements::new(elements, offsets, row))
            }
            ReaderKind::Map(offsets, keys, values) => {
                let keys = Elements::new(keys, offsets, row);
                visitor.visit_map(Entries { keys, values, at: None })
            }
            ReaderKind::Row(fields) => visitor.visit_map(Fields { fields, row, next: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        if self.column.is_null(self.row) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        match self.text()? {
            Some(text) => visitor.visit_string(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        match self.value()? {
            ReaderKind::Decimal(values, scale) => {
                let text = print_decimal(values.value(self.row), *scale);
                let value =
                    text.parse().map_err(|_| RowValueError(format!("'{text}' is no number")));
                visitor.visit_f64(value?)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.deserialize_i128(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        self.deserialize_i128(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        match self.value()? {
            // Whole ones only: nothing is cut off unseen.
            ReaderKind::Decimal(values, scale) => {
                let value = values.value(self.row);
                let whole = rescale(value, *scale, 0)
                    .filter(|whole| rescale(*whole, 0, *scale) == Some(value));
                let whole = whole.ok_or_else(|| {
                    RowValueError(format!("{} is no whole number", print_decimal(value, *scale)))
                })?;
                match i64::try_from(whole) {
                    Ok(small) => visitor.visit_i64(small),
                    Err(_) => match u64::try_from(whole) {
                        Ok(large) => visitor.visit_u64(large),
                        Err(_) => visitor.visit_i128(whole),
                    },
                }
            }
            _ => self.deserialize_any(visitor),
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
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        let [name] = fields else { return self.deserialize_any(visitor) };
        if !name.starts_with(MARK) {
            return self.deserialize_any(visitor);
        }
        let row = self.row;
        match self.value()? {
            ReaderKind::Timestamp(..) => {
                visitor.visit_map(Marked(Some((name, I64Deserializer::new(self.millis()?)))))
            }
            ReaderKind::Date(values) => {
                visitor.visit_map(Marked(Some((name, I32Deserializer::new(values.value(row))))))
            }
            ReaderKind::Time(values) => {
                visitor.visit_map(Marked(Some((name, I32Deserializer::new(values.value(row))))))
            }
            ReaderKind::Decimal(values, scale) => {
                let value = values.value(row);
                let unscaled = rescale(value, *scale, DECIMAL_SCALE as i8).ok_or_else(|| {
                    RowValueError(format!(
                        "{} is no DECIMAL(38, {DECIMAL_SCALE})",
                        print_decimal(value, *scale)
                    ))
                })?;
                visitor.visit_map(Marked(Some((name, I128Deserializer::new(unscaled)))))
            }
            _ => {
                let wanted = &name[MARK.len()..];
                let found = self.column.array.data_type();
                Err(RowValueError(format!(
                    "a value of {wanted} is wanted, and the column is {found}"
                )))
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowValueError> {
        match self.value()? {
            ReaderKind::Bytes(values) => {
                let bytes = values.value(self.row).iter().copied();
                visitor.visit_seq(Bytes(bytes))
            }
            ReaderKind::Row(fields) => visitor.visit_seq(Fields { fields, row: self.row, next: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        match self.value()? {
            ReaderKind::Text(values) => {
                visitor.visit_enum(values.value(self.row).into_deserializer())
            }
            other => Err(RowValueError(format!("an enum is read from STRING, not {other:?}"))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, RowValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct map identifier
    }
}

struct Bytes<I>(I);

impl<'de, I: Iterator<Item = u8>> SeqAccess<'de> for Bytes<I> {
    type Error = RowValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, RowValueError> {
        self.0.next().map(|byte| seed.deserialize(U8Deserializer::new(byte))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint().1
    }
}

/// The elements of one list.
struct Elements<'b, 'a> {
    column: &'b ColumnReader<'a>,
    next: usize,
    end: usize,
}

impl<'b, 'a> Elements<'b, 'a> {
    fn new(column: &'b ColumnReader<'a>, offsets: &[i32], row: usize) -> Self {
        // Offsets of arrow's lists are never negative.
        let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
        Self { column, next: place(row), end: place(row + 1) }
    }

    fn take(&mut self) -> Option<Cell<'b, 'a>> {
        (self.next < self.end).then(|| {
            self.next += 1;
            Cell { column: self.column, row: self.next - 1 }
        })
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = RowValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, RowValueError> {
        self.take().map(|cell| seed.deserialize(cell)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.end - self.next)
    }
}

/// The entries of one map.
struct Entries<'b, 'a> {
    keys: Elements<'b, 'a>,
    values: &'b ColumnReader<'a>,
    at: Option<usize>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = RowValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowValueError> {
        let key = self.keys.take();
        self.at = key.map(|cell| cell.row);
        key.map(|cell| seed.deserialize(cell)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, RowValueError> {
        let row = self.at.ok_or_else(|| RowValueError("a value without a key".to_owned()))?;
        seed.deserialize(Cell { column: self.values, row })
    }
}

/// The fields of one ROW.
struct Fields<'b, 'a> {
    fields: &'b [(&'a str, ColumnReader<'a>)],
    row: usize,
    next: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, '_> {
    type Error = RowValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, RowValueError> {
        let Some((_, column)) = self.fields.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize(Cell { column, row: self.row }).map(Some)
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = RowValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowValueError> {
        let Some((name, _)) = self.fields.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize((*name).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, RowValueError> {
        let field = self.next.checked_sub(1).and_then(|at| self.fields.get(at));
        let (_, column) =
            field.ok_or_else(|| RowValueError("a value without a name".to_owned()))?;
        seed.deserialize(Cell { column, row: self.row })
    }
}
