//! From columns to Rust values.

mod cell;
mod record;

pub use record::RowReader;

use arrow_array::{Array, ArrayRef, cast::AsArray, types::*};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};

use super::RowValueError;

/// A column whose type is settled once for all its values.
#[derive(Clone, Debug)]
pub struct ColumnReader<'a> {
    array: &'a dyn Array,
    kind: ReaderKind<'a>,
}

#[derive(Clone, Debug)]
enum ReaderKind<'a> {
    Null,
    Boolean(&'a arrow_array::BooleanArray),
    Int8(&'a arrow_array::Int8Array),
    Int16(&'a arrow_array::Int16Array),
    Int32(&'a arrow_array::Int32Array),
    Int64(&'a arrow_array::Int64Array),
    Float32(&'a arrow_array::Float32Array),
    Float64(&'a arrow_array::Float64Array),
    Text(&'a arrow_array::StringArray),
    Bytes(&'a arrow_array::BinaryArray),
    Decimal(&'a arrow_array::Decimal128Array, i8),
    Date(&'a arrow_array::Date32Array),
    Time(&'a arrow_array::Time32MillisecondArray),
    /// The values, how many nanoseconds each counts, and whether they are moments.
    Timestamp(&'a [i64], i64, bool),
    Months(&'a arrow_array::IntervalYearMonthArray),
    Duration(&'a arrow_array::DurationMillisecondArray),
    List(&'a [i32], Box<ColumnReader<'a>>),
    Map(&'a [i32], Box<ColumnReader<'a>>, Box<ColumnReader<'a>>),
    Row(Vec<(&'a str, ColumnReader<'a>)>),
}

impl<'a> ColumnReader<'a> {
    /// A reader of a column.
    ///
    /// # Errors
    /// If its type is none that tables have.
    pub fn of(array: &'a ArrayRef) -> Result<Self, RowValueError> {
        let array: &'a dyn Array = array.as_ref();
        let kind = match array.data_type() {
            DataType::Null => ReaderKind::Null,
            DataType::Boolean => ReaderKind::Boolean(array.as_boolean()),
            DataType::Int8 => ReaderKind::Int8(array.as_primitive()),
            DataType::Int16 => ReaderKind::Int16(array.as_primitive()),
            DataType::Int32 => ReaderKind::Int32(array.as_primitive()),
            DataType::Int64 => ReaderKind::Int64(array.as_primitive()),
            DataType::Float32 => ReaderKind::Float32(array.as_primitive()),
            DataType::Float64 => ReaderKind::Float64(array.as_primitive()),
            DataType::Utf8 => ReaderKind::Text(array.as_string()),
            DataType::Binary => ReaderKind::Bytes(array.as_binary()),
            DataType::Decimal128(_, scale) => ReaderKind::Decimal(array.as_primitive(), *scale),
            DataType::Date32 => ReaderKind::Date(array.as_primitive()),
            DataType::Time32(TimeUnit::Millisecond) => ReaderKind::Time(array.as_primitive()),
            DataType::Timestamp(unit, zone) => {
                let moment = zone.is_some();
                match unit {
                    TimeUnit::Millisecond => {
                        let values = array.as_primitive::<TimestampMillisecondType>().values();
                        ReaderKind::Timestamp(values, 1_000_000, moment)
                    }
                    TimeUnit::Microsecond => {
                        let values = array.as_primitive::<TimestampMicrosecondType>().values();
                        ReaderKind::Timestamp(values, 1_000, moment)
                    }
                    TimeUnit::Nanosecond => {
                        let values = array.as_primitive::<TimestampNanosecondType>().values();
                        ReaderKind::Timestamp(values, 1, moment)
                    }
                    TimeUnit::Second => return Err(unknown(array)),
                }
            }
            DataType::Interval(IntervalUnit::YearMonth) => ReaderKind::Months(array.as_primitive()),
            DataType::Duration(TimeUnit::Millisecond) => ReaderKind::Duration(array.as_primitive()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                ReaderKind::List(list.value_offsets(), Box::new(Self::of(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (keys, values) = (Self::of(map.keys())?, Self::of(map.values())?);
                ReaderKind::Map(map.value_offsets(), Box::new(keys), Box::new(values))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let columns =
                    columns.map(|(field, column)| Ok((field.name().as_str(), Self::of(column)?)));
                ReaderKind::Row(columns.collect::<Result<_, RowValueError>>()?)
            }
            _ => return Err(unknown(array)),
        };
        Ok(Self { array, kind })
    }

    /// True if there is no value in that row.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, ReaderKind::Null) || self.array.is_null(row)
    }

    /// The value of a row.
    ///
    /// # Errors
    /// If it does not fit the Rust type.
    pub fn read<T: serde::de::DeserializeOwned>(&self, row: usize) -> Result<T, RowValueError> {
        T::deserialize(cell::Cell { column: self, row })
    }
}

fn unknown(array: &dyn Array) -> RowValueError {
    RowValueError(format!("a column of {} is none of a table", array.data_type()))
}
