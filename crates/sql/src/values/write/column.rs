//! A column that grows value by value.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, NullArray, StructArray,
    builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder},
    types::*,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, Fields, IntervalUnit, TimeUnit};

use super::super::{
    RowValueError,
    text::{parse_date, parse_decimal, parse_time, parse_timestamp, rescale},
};

mod serialize;

/// A column that grows value by value.
pub struct ColumnWriter {
    kind: WriterKind,
    /// What the next whole number for a DECIMAL is scaled by.
    scale: i8,
}

enum WriterKind {
    Null(usize),
    Boolean(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8, i8),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time32MillisecondType>),
    /// Values in the unit of the type, and how many nanoseconds that is.
    Timestamp(PrimitiveBuilder<Int64Type>, i64, DataType),
    Months(PrimitiveBuilder<IntervalYearMonthType>),
    Duration(PrimitiveBuilder<DurationMillisecondType>),
    List(Nested, FieldRef, Box<ColumnWriter>),
    Map(Nested, FieldRef, Box<(ColumnWriter, ColumnWriter)>),
    Row(BooleanBufferBuilder, Fields, Vec<ColumnWriter>),
}

/// Where the lists of a column end, and which are there.
struct Nested {
    offsets: Vec<i32>,
    valid: BooleanBufferBuilder,
}

impl Nested {
    fn new() -> Self {
        Self { offsets: vec![0], valid: BooleanBufferBuilder::new(0) }
    }

    fn end(&mut self, length: usize, valid: bool) -> Result<(), RowValueError> {
        let too_long = |_| RowValueError("a column of more than 2^31 elements".to_owned());
        self.offsets.push(i32::try_from(length).map_err(too_long)?);
        self.valid.append(valid);
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, NullBuffer) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let valid = NullBuffer::new(self.valid.finish());
        // They begin at 0 and never go back.
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), valid)
    }
}

fn unknown(data_type: &DataType) -> RowValueError {
    RowValueError(format!("{data_type} is no type of a table's column"))
}

impl ColumnWriter {
    /// A writer of an empty column of that type.
    ///
    /// # Errors
    /// If it is none that tables have.
    pub fn new(data_type: &DataType) -> Result<Self, RowValueError> {
        let kind = match data_type {
            DataType::Null => WriterKind::Null(0),
            DataType::Boolean => WriterKind::Boolean(BooleanBuilder::new()),
            DataType::Int8 => WriterKind::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => WriterKind::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => WriterKind::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => WriterKind::Int64(PrimitiveBuilder::new()),
            DataType::Float32 => WriterKind::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => WriterKind::Float64(PrimitiveBuilder::new()),
            DataType::Utf8 => WriterKind::Text(StringBuilder::new()),
            DataType::Binary => WriterKind::Bytes(BinaryBuilder::new()),
            DataType::Decimal128(precision, scale) => WriterKind::Decimal(
                PrimitiveBuilder::new().with_data_type(data_type.clone()),
                *precision,
                *scale,
            ),
            DataType::Date32 => WriterKind::Date(PrimitiveBuilder::new()),
            DataType::Time32(TimeUnit::Millisecond) => WriterKind::Time(PrimitiveBuilder::new()),
            DataType::Timestamp(unit, _) => {
                let nanos = match unit {
                    TimeUnit::Millisecond => 1_000_000,
                    TimeUnit::Microsecond => 1_000,
                    TimeUnit::Nanosecond => 1,
                    TimeUnit::Second => return Err(unknown(data_type)),
                };
                WriterKind::Timestamp(PrimitiveBuilder::new(), nanos, data_type.clone())
            }
            DataType::Interval(IntervalUnit::YearMonth) => {
                WriterKind::Months(PrimitiveBuilder::new())
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                WriterKind::Duration(PrimitiveBuilder::new())
            }
            DataType::List(field) => {
                let elements = Self::new(field.data_type())?;
                WriterKind::List(Nested::new(), field.clone(), Box::new(elements))
            }
            DataType::Map(field, _) => {
                let DataType::Struct(entries) = field.data_type() else {
                    return Err(unknown(data_type));
                };
                let [key, value] = entries.as_ref() else { return Err(unknown(data_type)) };
                let writers = (Self::new(key.data_type())?, Self::new(value.data_type())?);
                WriterKind::Map(Nested::new(), field.clone(), Box::new(writers))
            }
            DataType::Struct(fields) => {
                let writers = fields.iter().map(|field| Self::new(field.data_type()));
                let writers = writers.collect::<Result<_, _>>()?;
                WriterKind::Row(BooleanBufferBuilder::new(0), fields.clone(), writers)
            }
            _ => return Err(unknown(data_type)),
        };
        Ok(Self { kind, scale: 0 })
    }

    /// How many values it has.
    #[must_use]
    pub fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        match &self.kind {
            WriterKind::Null(length) => *length,
            WriterKind::Boolean(values) => values.len(),
            WriterKind::Int8(values) => values.len(),
            WriterKind::Int16(values) => values.len(),
            WriterKind::Int32(values) => values.len(),
            WriterKind::Int64(values) | WriterKind::Timestamp(values, ..) => values.len(),
            WriterKind::Float32(values) => values.len(),
            WriterKind::Float64(values) => values.len(),
            WriterKind::Text(values) => values.len(),
            WriterKind::Bytes(values) => values.len(),
            WriterKind::Decimal(values, ..) => values.len(),
            WriterKind::Date(values) => values.len(),
            WriterKind::Time(values) => values.len(),
            WriterKind::Months(values) => values.len(),
            WriterKind::Duration(values) => values.len(),
            WriterKind::List(nested, ..) | WriterKind::Map(nested, ..) => nested.valid.len(),
            WriterKind::Row(valid, ..) => valid.len(),
        }
    }

    /// True if it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value.
    ///
    /// # Errors
    /// If it does not fit the type. The column is of no use any more then.
    pub fn write<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowValueError> {
        value.serialize(self)
    }

    /// Adds NULL.
    pub fn write_null(&mut self) {
        match &mut self.kind {
            WriterKind::Null(length) => *length += 1,
            WriterKind::Boolean(values) => values.append_null(),
            WriterKind::Int8(values) => values.append_null(),
            WriterKind::Int16(values) => values.append_null(),
            WriterKind::Int32(values) => values.append_null(),
            WriterKind::Int64(values) | WriterKind::Timestamp(values, ..) => values.append_null(),
            WriterKind::Float32(values) => values.append_null(),
            WriterKind::Float64(values) => values.append_null(),
            WriterKind::Text(values) => values.append_null(),
            WriterKind::Bytes(values) => values.append_null(),
            WriterKind::Decimal(values, ..) => values.append_null(),
            WriterKind::Date(values) => values.append_null(),
            WriterKind::Time(values) => values.append_null(),
            WriterKind::Months(values) => values.append_null(),
            WriterKind::Duration(values) => values.append_null(),
            WriterKind::List(nested, ..) | WriterKind::Map(nested, ..) => {
                let last = nested.offsets.last().copied().unwrap_or(0);
                nested.offsets.push(last);
                nested.valid.append(false);
            }
            WriterKind::Row(valid, _, writers) => {
                writers.iter_mut().for_each(Self::write_null);
                valid.append(false);
            }
        }
    }

    /// The column; the writer begins anew.
    ///
    /// # Errors
    /// If something is NULL that must not be.
    pub fn finish(&mut self) -> Result<ArrayRef, RowValueError> {
        Ok(match &mut self.kind {
            WriterKind::Null(length) => Arc::new(NullArray::new(std::mem::take(length))),
            WriterKind::Boolean(values) => Arc::new(values.finish()),
            WriterKind::Int8(values) => Arc::new(values.finish()),
            WriterKind::Int16(values) => Arc::new(values.finish()),
            WriterKind::Int32(values) => Arc::new(values.finish()),
            WriterKind::Int64(values) => Arc::new(values.finish()),
            WriterKind::Float32(values) => Arc::new(values.finish()),
            WriterKind::Float64(values) => Arc::new(values.finish()),
            WriterKind::Text(values) => Arc::new(values.finish()),
            WriterKind::Bytes(values) => Arc::new(values.finish()),
            WriterKind::Decimal(values, ..) => Arc::new(values.finish()),
            WriterKind::Date(values) => Arc::new(values.finish()),
            WriterKind::Time(values) => Arc::new(values.finish()),
            WriterKind::Months(values) => Arc::new(values.finish()),
            WriterKind::Duration(values) => Arc::new(values.finish()),
            WriterKind::Timestamp(values, _, data_type) => {
                let data = values.finish().into_data().into_builder().data_type(data_type.clone());
                arrow_array::make_array(data.build()?)
            }
            WriterKind::List(nested, field, elements) => {
                let (offsets, valid) = nested.take();
                let elements = elements.finish()?;
                Arc::new(ListArray::try_new(field.clone(), offsets, elements, Some(valid))?)
            }
            WriterKind::Map(nested, field, writers) => {
                let (offsets, valid) = nested.take();
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(unknown(field.data_type()));
                };
                let columns = vec![writers.0.finish()?, writers.1.finish()?];
                let entries = StructArray::try_new(fields.clone(), columns, None)?;
                Arc::new(MapArray::try_new(field.clone(), offsets, entries, Some(valid), false)?)
            }
            WriterKind::Row(valid, fields, writers) => {
                let valid = NullBuffer::new(valid.finish());
                let length = valid.len();
                let columns =
                    writers.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                if columns.is_empty() {
                    Arc::new(StructArray::new_empty_fields(length, Some(valid)))
                } else {
                    Arc::new(StructArray::try_new(fields.clone(), columns, Some(valid))?)
                }
            }
        })
    }

    fn misfit(&self, what: &str) -> RowValueError {
        let wanted = match &self.kind {
            WriterKind::Null(_) => "NULL",
            WriterKind::Boolean(_) => "BOOLEAN",
            WriterKind::Int8(_) => "TINYINT",
            WriterKind::Int16(_) => "SMALLINT",
            WriterKind::Int32(_) => "INT",
            WriterKind::Int64(_) => "BIGINT",
            WriterKind::Float32(_) => "FLOAT",
            WriterKind::Float64(_) => "DOUBLE",
            WriterKind::Text(_) => "STRING",
            WriterKind::Bytes(_) => "BYTES",
            WriterKind::Decimal(..) => "DECIMAL",
            WriterKind::Date(_) => "DATE",
            WriterKind::Time(_) => "TIME",
            WriterKind::Timestamp(..) => "TIMESTAMP",
            WriterKind::Months(_) | WriterKind::Duration(_) => "INTERVAL",
            WriterKind::List(..) => "ARRAY",
            WriterKind::Map(..) => "MAP",
            WriterKind::Row(..) => "ROW",
        };
        RowValueError(format!("{what} is no value of type {wanted}"))
    }

    /// A whole number, for a DECIMAL in units of `self.scale`.
    fn integer(&mut self, value: i128) -> Result<(), RowValueError> {
        let misfit = |this: &Self| this.misfit(&value.to_string());
        macro_rules! narrow {
            ($values:expr) => {
                match value.try_into() {
                    Ok(value) => $values.append_value(value),
                    Err(_) => return Err(misfit(self)),
                }
            };
        }
        match &mut self.kind {
            WriterKind::Int8(values) => narrow!(values),
            WriterKind::Int16(values) => narrow!(values),
            WriterKind::Int32(values) => narrow!(values),
            WriterKind::Int64(values) => narrow!(values),
            WriterKind::Float32(values) => values.append_value(value as f32),
            WriterKind::Float64(values) => values.append_value(value as f64),
            WriterKind::Decimal(values, precision, scale) => {
                let fits = |one: &i128| {
                    10i128.checked_pow(u32::from(*precision)).is_none_or(|end| one.abs() < end)
                };
                match rescale(value, self.scale, *scale).filter(fits) {
                    Some(value) => values.append_value(value),
                    None => return Err(misfit(self)),
                }
            }
            WriterKind::Date(values) => narrow!(values),
            WriterKind::Time(values) => narrow!(values),
            WriterKind::Months(values) => narrow!(values),
            WriterKind::Duration(values) => narrow!(values),
            WriterKind::Timestamp(values, unit, _) => {
                let in_unit = value.checked_mul(i128::from(1_000_000 / *unit));
                match in_unit.and_then(|value| i64::try_from(value).ok()) {
                    Some(value) => values.append_value(value),
                    None => return Err(misfit(self)),
                }
            }
            _ => return Err(misfit(self)),
        }
        Ok(())
    }

    fn float(&mut self, value: f64) -> Result<(), RowValueError> {
        match &mut self.kind {
            WriterKind::Float32(values) => values.append_value(value as f32),
            WriterKind::Float64(values) => values.append_value(value),
            WriterKind::Decimal(..) => return self.text(&value.to_string()),
            _ => return Err(self.misfit(&value.to_string())),
        }
        Ok(())
    }

    fn text(&mut self, value: &str) -> Result<(), RowValueError> {
        match &mut self.kind {
            WriterKind::Text(values) => values.append_value(value),
            WriterKind::Date(values) => values.append_value(parse_date(value)?),
            WriterKind::Time(values) => values.append_value(parse_time(value)?),
            WriterKind::Timestamp(values, unit, _) => {
                let value_in_unit = parse_timestamp(value)?.div_euclid(i128::from(*unit));
                match i64::try_from(value_in_unit) {
                    Ok(value) => values.append_value(value),
                    Err(_) => return Err(self.misfit(value)),
                }
            }
            WriterKind::Decimal(_, _, scale) => {
                let scale = *scale;
                let unscaled = parse_decimal(value, scale)?;
                let before = std::mem::replace(&mut self.scale, scale);
                let written = self.integer(unscaled);
                self.scale = before;
                return written;
            }
            _ => return Err(self.misfit(&format!("'{value}'"))),
        }
        Ok(())
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), RowValueError> {
        match &mut self.kind {
            WriterKind::Bytes(values) => values.append_value(value),
            _ => return Err(self.misfit("bytes")),
        }
        Ok(())
    }
}
