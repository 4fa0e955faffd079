//! Columns that grow value by value, and can take back what a record that turned out to be broken
//! has already put into them.
//!
//! Invariant: between records all columns of a row have the same length, and so have the fields
//! of a ROW. Text is UTF-8, which whoever appends has checked.

mod array;

use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder};
use arrow_schema::{DataType, TimeUnit};
use hurtig_sql_common::columns::{self, UnsupportedType};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::fault::FaultKind;

/// One column under construction.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) data: Data,
    nulls: NullBufferBuilder,
    len: usize,
    nullable: bool,
    arrow: DataType,
}

/// Values, one per row; what stands for NULL is a default.
#[derive(Debug)]
pub(crate) enum Data {
    Null,
    Boolean(BooleanBufferBuilder),
    I8(Vec<i8>),
    I16(Vec<i16>),
    /// INT, and intervals of months.
    I32(Vec<i32>),
    /// BIGINT, and intervals of time.
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Date(Vec<i32>),
    /// Milliseconds of the day, and the precision.
    Time(Vec<i32>, u8),
    Timestamp {
        values: Vec<i64>,
        unit: TimeUnit,
        /// TIMESTAMP_LTZ.
        local: bool,
    },
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    Binary {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    List {
        ends: Vec<i32>,
        element: Box<Column>,
    },
    Row(Vec<Column>),
    Map {
        ends: Vec<i32>,
        key: Box<Column>,
        value: Box<Column>,
    },
}

impl Column {
    /// An empty column of a type.
    pub(crate) fn new(data_type: &SqlDataType) -> Result<Self, UnsupportedType> {
        let child = |data_type: &SqlDataType| Self::new(data_type).map(Box::new);
        let data = match &data_type.kind {
            SqlTypeKind::Char(_) | SqlTypeKind::Varchar(_) => {
                Data::Text { ends: vec![0], bytes: Vec::new() }
            }
            SqlTypeKind::Binary(_) | SqlTypeKind::Varbinary(_) => {
                Data::Binary { ends: vec![0], bytes: Vec::new() }
            }
            SqlTypeKind::Boolean => Data::Boolean(BooleanBufferBuilder::new(0)),
            SqlTypeKind::Decimal { precision, scale } => {
                Data::Decimal { values: Vec::new(), precision: *precision, scale: *scale }
            }
            SqlTypeKind::TinyInt => Data::I8(Vec::new()),
            SqlTypeKind::SmallInt => Data::I16(Vec::new()),
            SqlTypeKind::Int => Data::I32(Vec::new()),
            SqlTypeKind::BigInt => Data::I64(Vec::new()),
            SqlTypeKind::Float => Data::F32(Vec::new()),
            SqlTypeKind::Double => Data::F64(Vec::new()),
            SqlTypeKind::Date => Data::Date(Vec::new()),
            SqlTypeKind::Time(precision) => Data::Time(Vec::new(), *precision),
            SqlTypeKind::Timestamp(precision) => Data::Timestamp {
                values: Vec::new(),
                unit: columns::time_unit(*precision),
                local: false,
            },
            SqlTypeKind::TimestampLtz(precision) => Data::Timestamp {
                values: Vec::new(),
                unit: columns::time_unit(*precision),
                local: true,
            },
            SqlTypeKind::Interval(resolution, _) if columns::is_of_months(*resolution) => {
                Data::I32(Vec::new())
            }
            SqlTypeKind::Interval(..) => Data::I64(Vec::new()),
            SqlTypeKind::Array(element) => Data::List { ends: vec![0], element: child(element)? },
            SqlTypeKind::Map(key, value) => {
                Data::Map { ends: vec![0], key: child(key)?, value: child(value)? }
            }
            SqlTypeKind::Multiset(element) => {
                let count = SqlDataType::not_null(SqlTypeKind::Int);
                Data::Map { ends: vec![0], key: child(element)?, value: child(&count)? }
            }
            SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. } => {
                let fields = fields.iter().map(|field| Self::new(&field.data_type));
                Data::Row(fields.collect::<Result<_, _>>()?)
            }
            SqlTypeKind::Null => Data::Null,
            _ => return Err(UnsupportedType(data_type.to_string())),
        };
        Ok(Self {
            data,
            nulls: NullBufferBuilder::new(0),
            len: 0,
            nullable: data_type.nullable,
            arrow: columns::arrow_type(data_type)?,
        })
    }

    /// How many values there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes that a value was added to `data`.
    #[inline]
    pub(crate) fn added(&mut self) {
        self.nulls.append_non_null();
        self.len += 1;
    }

    /// NULL, if it may be.
    pub(crate) fn append_null(&mut self) -> Result<(), FaultKind> {
        if !self.nullable {
            return Err(FaultKind::Null);
        }
        self.append_default();
        self.nulls.append_null();
        self.len += 1;
        Ok(())
    }

    /// A value that nobody will see, since what it is part of is NULL.
    fn append_hidden(&mut self) {
        self.append_default();
        if self.nullable {
            self.nulls.append_null();
        } else {
            self.nulls.append_non_null();
        }
        self.len += 1;
    }

    fn append_default(&mut self) {
        match &mut self.data {
            Data::Null => {}
            Data::Boolean(bits) => bits.append(false),
            Data::I8(values) => values.push(0),
            Data::I16(values) => values.push(0),
            Data::I32(values) | Data::Date(values) | Data::Time(values, _) => values.push(0),
            Data::I64(values) | Data::Timestamp { values, .. } => values.push(0),
            Data::F32(values) => values.push(0.0),
            Data::F64(values) => values.push(0.0),
            Data::Decimal { values, .. } => values.push(0),
            Data::Text { ends, .. }
            | Data::Binary { ends, .. }
            | Data::List { ends, .. }
            | Data::Map { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
            Data::Row(fields) => fields.iter_mut().for_each(Column::append_hidden),
        }
    }

    /// Takes values away, so that `len` are left, also if the last one was not complete.
    pub(crate) fn truncate(&mut self, len: usize) {
        fn cut(ends: &mut Vec<i32>, len: usize) -> usize {
            ends.truncate(len + 1);
            ends.last().map_or(0, |end| *end as usize)
        }
        match &mut self.data {
            Data::Null => {}
            Data::Boolean(bits) => bits.truncate(len),
            Data::I8(values) => values.truncate(len),
            Data::I16(values) => values.truncate(len),
            Data::I32(values) | Data::Date(values) | Data::Time(values, _) => values.truncate(len),
            Data::I64(values) | Data::Timestamp { values, .. } => values.truncate(len),
            Data::F32(values) => values.truncate(len),
            Data::F64(values) => values.truncate(len),
            Data::Decimal { values, .. } => values.truncate(len),
            Data::Text { ends, bytes } | Data::Binary { ends, bytes } => {
                bytes.truncate(cut(ends, len));
            }
            Data::List { ends, element } => element.truncate(cut(ends, len)),
            Data::Map { ends, key, value } => {
                let entries = cut(ends, len);
                key.truncate(entries);
                value.truncate(entries);
            }
            Data::Row(fields) => fields.iter_mut().for_each(|field| field.truncate(len)),
        }
        if self.len > len {
            self.nulls.truncate(len);
            self.len = len;
        }
    }

    /// Ends a list or a map whose elements were added to its children.
    pub(crate) fn end_elements(&mut self) -> Result<(), FaultKind> {
        match &mut self.data {
            Data::List { ends, element: child } | Data::Map { ends, key: child, .. } => {
                ends.push(i32::try_from(child.len).map_err(|_| FaultKind::TooLarge)?);
            }
            _ => return Err(FaultKind::Internal),
        }
        self.added();
        Ok(())
    }

    /// Appends text that is known to be UTF-8, or bytes.
    #[inline]
    pub(crate) fn append_bytes(&mut self, value: &[u8]) -> Result<(), FaultKind> {
        let (Data::Text { ends, bytes } | Data::Binary { ends, bytes }) = &mut self.data else {
            return Err(FaultKind::Internal);
        };
        bytes.extend_from_slice(value);
        ends.push(i32::try_from(bytes.len()).map_err(|_| FaultKind::TooLarge)?);
        self.added();
        Ok(())
    }

    /// Lets `write` append one value's bytes, which must be UTF-8 in a column of text.
    #[inline]
    pub(crate) fn append_with<E: From<FaultKind>>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (Data::Text { ends, bytes } | Data::Binary { ends, bytes }) = &mut self.data else {
            return Err(FaultKind::Internal.into());
        };
        write(bytes)?;
        ends.push(i32::try_from(bytes.len()).map_err(|_| FaultKind::TooLarge)?);
        self.added();
        Ok(())
    }
}
