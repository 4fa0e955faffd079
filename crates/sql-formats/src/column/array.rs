//! From a column under construction to an array.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationMillisecondArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    IntervalYearMonthArray, ListArray, MapArray, NullArray, StringArray, StructArray,
    Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::{Column, Data};

impl Column {
    /// The array of all values; the column is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        let len = std::mem::take(&mut self.len);
        let wrong = || ArrowError::SchemaError("a column is not of its type".to_owned());
        Ok(match &mut self.data {
            Data::Null => Arc::new(NullArray::new(len)),
            Data::Boolean(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Data::I8(values) => Arc::new(Int8Array::new(take(values), nulls)),
            Data::I16(values) => Arc::new(Int16Array::new(take(values), nulls)),
            Data::I32(values) => match self.arrow {
                DataType::Interval(_) => Arc::new(IntervalYearMonthArray::new(take(values), nulls)),
                _ => Arc::new(Int32Array::new(take(values), nulls)),
            },
            Data::I64(values) => match self.arrow {
                DataType::Duration(_) => {
                    Arc::new(DurationMillisecondArray::new(take(values), nulls))
                }
                _ => Arc::new(Int64Array::new(take(values), nulls)),
            },
            Data::F32(values) => Arc::new(Float32Array::new(take(values), nulls)),
            Data::F64(values) => Arc::new(Float64Array::new(take(values), nulls)),
            Data::Decimal { values, .. } => {
                let array = Decimal128Array::new(take(values), nulls);
                Arc::new(array.with_data_type(self.arrow.clone()))
            }
            Data::Date(values) => Arc::new(Date32Array::new(take(values), nulls)),
            Data::Time(values, _) => Arc::new(Time32MillisecondArray::new(take(values), nulls)),
            Data::Timestamp { values, unit, local } => {
                let values = take(values);
                let zone = local.then(|| Arc::<str>::from("UTC"));
                match unit {
                    TimeUnit::Millisecond => Arc::new(
                        TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone),
                    ),
                    TimeUnit::Microsecond => Arc::new(
                        TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone),
                    ),
                    _ => Arc::new(
                        TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone),
                    ),
                }
            }
            Data::Text { ends, bytes } => {
                let bytes = Buffer::from_vec(std::mem::take(bytes));
                Arc::new(StringArray::try_new(offsets(ends), bytes, nulls)?)
            }
            Data::Binary { ends, bytes } => {
                let bytes = Buffer::from_vec(std::mem::take(bytes));
                Arc::new(BinaryArray::try_new(offsets(ends), bytes, nulls)?)
            }
            Data::List { ends, element } => {
                let DataType::List(field) = &self.arrow else { return Err(wrong()) };
                let elements = element.finish()?;
                Arc::new(ListArray::try_new(field.clone(), offsets(ends), elements, nulls)?)
            }
            Data::Row(fields) => {
                let DataType::Struct(types) = &self.arrow else { return Err(wrong()) };
                let arrays = fields.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new_with_length(types.clone(), arrays, nulls, len)?)
            }
            Data::Map { ends, key, value } => {
                let DataType::Map(entries, sorted) = &self.arrow else { return Err(wrong()) };
                let DataType::Struct(types) = entries.data_type() else { return Err(wrong()) };
                let count = key.len();
                let arrays = vec![key.finish()?, value.finish()?];
                let rows = StructArray::try_new_with_length(types.clone(), arrays, None, count)?;
                Arc::new(MapArray::try_new(entries.clone(), offsets(ends), rows, nulls, *sorted)?)
            }
        })
    }
}

/// The values as a buffer; room for as many again is made at once.
fn take<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let next = Vec::with_capacity(values.len());
    ScalarBuffer::from(std::mem::replace(values, next))
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut next = Vec::with_capacity(ends.len());
    next.push(0);
    // Grown by pushing ends of what is there, from 0.
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, next)))
}
