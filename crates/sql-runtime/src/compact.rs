//! Rows in state and on their way: as few bytes as they need, in no order.
//!
//! A row is a bit per column, set where it is NULL, and then the values that are there: those of
//! fixed width as they are, BOOLEAN as a byte, texts and bytes behind their lengths, and everything
//! else (rows, arrays, maps) as `arrow-row` writes it, behind its length. Equal rows have equal bytes.
//! (`arrow-row` itself fills texts up to blocks, so that bytes compare as values do.)

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray,
    cast::AsArray,
    make_array, new_empty_array,
    types::ByteArrayType,
    types::{BinaryType, Utf8Type},
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use hurtig_types::{
    FlowError, FlowResult,
    varint::{MOST_LENGTH_BYTES, length_bytes, read_length, write_length},
};

use crate::rows::{ByteRows, arrow_error};

/// How the values of a column are written.
#[derive(Debug)]
enum Form {
    /// So many bytes.
    Fixed(usize),
    Boolean,
    Text,
    Bytes,
    Other(RowConverter),
}

#[derive(Debug)]
struct Column {
    data_type: DataType,
    form: Form,
}

/// Turns columns of some types into rows and back.
#[derive(Debug)]
pub(crate) struct CompactCodec {
    columns: Vec<Column>,
}

impl CompactCodec {
    pub(crate) fn new<'a>(types: impl Iterator<Item = &'a DataType>) -> FlowResult<Self> {
        let column = |data_type: &DataType| {
            let form = match data_type {
                DataType::Boolean => Form::Boolean,
                DataType::Utf8 => Form::Text,
                DataType::Binary => Form::Bytes,
                other => match other.primitive_width() {
                    Some(width) => Form::Fixed(width),
                    None => {
                        let field = SortField::new(other.clone());
                        Form::Other(RowConverter::new(vec![field]).map_err(arrow_error)?)
                    }
                },
            };
            Ok(Column { data_type: data_type.clone(), form })
        };
        Ok(Self { columns: types.map(column).collect::<FlowResult<_>>()? })
    }

    fn null_bytes(&self) -> usize {
        self.columns.len().div_ceil(8)
    }

    /// The rows of columns, of which there is at least one.
    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> FlowResult<ByteRows> {
        let rows = columns.first().map_or(0, |column| column.len());
        if columns.len() != self.columns.len() {
            return Err(FlowError::internal(
                "rows have another number of columns than was planned",
            ));
        }
        let mut encoded = Vec::with_capacity(columns.len());
        let mut lengths = vec![self.null_bytes(); rows];
        for (column, values) in self.columns.iter().zip(columns) {
            let values = Values::of(column, values)?;
            values.add_lengths(&mut lengths);
            encoded.push(values);
        }
        let mut made = ByteRows::of_lengths(&lengths);
        let (bytes, mut at) = made.parts();
        let starts = at.clone();
        at.iter_mut().for_each(|at| *at += self.null_bytes());
        for (index, values) in encoded.iter().enumerate() {
            if let Some(nulls) = &values.nulls {
                let (byte, bit) = (index / 8, 1 << (index % 8));
                let null = starts.iter().enumerate().filter(|(row, _)| nulls.is_null(*row));
                null.for_each(|(_, start)| bytes[start + byte] |= bit);
            }
            values.write(bytes, &mut at);
        }
        Ok(made)
    }

    /// The columns of rows.
    pub(crate) fn decode(&self, rows: &[&[u8]]) -> FlowResult<Vec<ArrayRef>> {
        let null_bytes = self.null_bytes();
        if rows.iter().any(|row| row.len() < null_bytes) {
            return Err(incomplete());
        }
        let mut at = vec![null_bytes; rows.len()];
        let decode = |(index, column): (usize, &Column)| {
            let (byte, bit) = (index / 8, 1_u8 << (index % 8));
            let is_null = |row: &&[u8]| row[byte] & bit != 0;
            let nulls = rows.iter().any(is_null).then(|| {
                NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), |row| !is_null(&rows[row])))
            });
            let mut reader = Reader { rows, at: &mut at, nulls };
            reader.read(column).ok_or_else(incomplete)?
        };
        self.columns.iter().enumerate().map(decode).collect()
    }
}

fn incomplete() -> FlowError {
    FlowError::internal("a row in state is incomplete")
}

/// The values of a column, as they are written.
struct Values<'a> {
    nulls: Option<NullBuffer>,
    what: What<'a>,
}

enum What<'a> {
    Fixed(usize, Buffer),
    Boolean(&'a BooleanArray),
    /// Bytes and where each value ends and begins.
    Bytes(&'a [u8], &'a [i32]),
    Other(arrow_row::Rows),
}

impl<'a> Values<'a> {
    fn of(column: &Column, values: &'a ArrayRef) -> FlowResult<Self> {
        let unlike = || {
            let (given, planned) = (values.data_type(), &column.data_type);
            FlowError::internal(format!("a column of {given} where {planned} was planned"))
        };
        fn bytes<T: ByteArrayType<Offset = i32>>(values: &ArrayRef) -> Option<What<'_>> {
            let values = values.as_bytes_opt::<T>()?;
            Some(What::Bytes(values.value_data(), values.value_offsets()))
        }
        let what = match &column.form {
            Form::Fixed(width) => {
                if values.data_type().primitive_width() != Some(*width) {
                    return Err(unlike());
                }
                let data = values.to_data();
                let from = data.offset() * width;
                let buffer = data.buffers().first().ok_or_else(unlike)?;
                What::Fixed(*width, buffer.slice_with_length(from, data.len() * width))
            }
            Form::Boolean => What::Boolean(values.as_boolean_opt().ok_or_else(unlike)?),
            Form::Text => bytes::<Utf8Type>(values).ok_or_else(unlike)?,
            Form::Bytes => bytes::<BinaryType>(values).ok_or_else(unlike)?,
            Form::Other(converter) => {
                let rows = converter.convert_columns(std::slice::from_ref(values));
                What::Other(rows.map_err(arrow_error)?)
            }
        };
        Ok(Self { nulls: values.logical_nulls().filter(|nulls| nulls.null_count() > 0), what })
    }

    fn is_there(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    fn add_lengths(&self, lengths: &mut [usize]) {
        let there = lengths.iter_mut().enumerate().filter(|(row, _)| self.is_there(*row));
        match &self.what {
            What::Fixed(width, _) => there.for_each(|(_, length)| *length += width),
            What::Boolean(_) => there.for_each(|(_, length)| *length += 1),
            What::Bytes(_, ends) => there.for_each(|(row, length)| {
                let bytes = (ends[row + 1] - ends[row]) as usize;
                *length += length_bytes(bytes) + bytes;
            }),
            What::Other(rows) => there.for_each(|(row, length)| {
                let bytes = rows.row(row).data().len();
                *length += length_bytes(bytes) + bytes;
            }),
        }
    }

    /// Writes each value to its place, and moves the places on.
    fn write(&self, out: &mut [u8], at: &mut [usize]) {
        match &self.what {
            What::Fixed(1, values) => self.write_fixed::<1>(values, out, at),
            What::Fixed(2, values) => self.write_fixed::<2>(values, out, at),
            What::Fixed(4, values) => self.write_fixed::<4>(values, out, at),
            What::Fixed(8, values) => self.write_fixed::<8>(values, out, at),
            What::Fixed(16, values) => self.write_fixed::<16>(values, out, at),
            What::Fixed(width, values) => {
                self.write_each(out, at, |row, out, at| {
                    out[at..at + width].copy_from_slice(&values[row * width..][..*width]);
                    *width
                });
            }
            What::Boolean(values) => self.write_each(out, at, |row, out, at| {
                out[at] = u8::from(values.value(row));
                1
            }),
            What::Bytes(bytes, ends) => self.write_each(out, at, |row, out, at| {
                write_bytes(&bytes[ends[row] as usize..ends[row + 1] as usize], out, at)
            }),
            What::Other(rows) => {
                self.write_each(out, at, |row, out, at| write_bytes(rows.row(row).data(), out, at));
            }
        }
    }

    fn write_fixed<const WIDTH: usize>(&self, values: &[u8], out: &mut [u8], at: &mut [usize]) {
        let (values, _) = values.as_chunks::<WIDTH>();
        self.write_each(out, at, |row, out, at| {
            out[at..at + WIDTH].copy_from_slice(&values[row]);
            WIDTH
        });
    }

    #[inline]
    fn write_each(
        &self,
        out: &mut [u8],
        at: &mut [usize],
        write: impl Fn(usize, &mut [u8], usize) -> usize,
    ) {
        for (row, at) in at.iter_mut().enumerate() {
            if self.is_there(row) {
                *at += write(row, out, *at);
            }
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut [u8], at: usize) -> usize {
    let mut length = [0; MOST_LENGTH_BYTES];
    let length = write_length(bytes.len(), &mut length);
    out[at..at + length.len()].copy_from_slice(length);
    out[at + length.len()..at + length.len() + bytes.len()].copy_from_slice(bytes);
    length.len() + bytes.len()
}

/// Reads one column after the other of rows.
struct Reader<'a, 'b> {
    rows: &'a [&'a [u8]],
    /// Where the next value of each row is.
    at: &'b mut [usize],
    nulls: Option<NullBuffer>,
}

impl<'a> Reader<'a, '_> {
    /// Nothing: a row ends too early.
    fn read(&mut self, column: &Column) -> Option<FlowResult<ArrayRef>> {
        let rows = self.rows.len();
        match &column.form {
            Form::Fixed(width) => {
                let values = match width {
                    1 => self.fixed::<1>()?,
                    2 => self.fixed::<2>()?,
                    4 => self.fixed::<4>()?,
                    8 => self.fixed::<8>()?,
                    16 => self.fixed::<16>()?,
                    width => self.wide(*width)?,
                };
                Some(self.array(column, vec![values]))
            }
            Form::Boolean => {
                let mut values = Vec::with_capacity(rows);
                self.each(|row| match row {
                    None => {
                        values.push(false);
                        Some(0)
                    }
                    Some(row) => {
                        values.push(*row.first()? != 0);
                        Some(1)
                    }
                })?;
                let values = BooleanArray::new(values.into(), self.nulls.take());
                Some(Ok(Arc::new(values)))
            }
            Form::Text | Form::Bytes => {
                let values = self.slices()?;
                let total: usize = values.iter().map(|value| value.len()).sum();
                if i32::try_from(total).is_err() {
                    let text = "the texts of a batch take more than 2 GiB";
                    return Some(Err(FlowError::user(text)));
                }
                let mut bytes = Vec::with_capacity(total);
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0_i32);
                for value in values {
                    bytes.extend_from_slice(value);
                    ends.push(bytes.len() as i32);
                }
                Some(self.array(column, vec![Buffer::from_vec(ends), Buffer::from_vec(bytes)]))
            }
            Form::Other(converter) => Some(self.other(&column.data_type, converter)),
        }
    }

    /// Reads the value of each row: what is left of it, or nothing if it is NULL. Returns how long the
    /// value was.
    #[inline]
    fn each(&mut self, mut read: impl FnMut(Option<&'a [u8]>) -> Option<usize>) -> Option<()> {
        for (row, at) in self.at.iter_mut().enumerate() {
            let rest = match &self.nulls {
                Some(nulls) if nulls.is_null(row) => None,
                _ => Some(self.rows[row].get(*at..)?),
            };
            *at += read(rest)?;
        }
        Some(())
    }

    fn fixed<const WIDTH: usize>(&mut self) -> Option<Buffer> {
        let mut values = MutableBuffer::with_capacity(self.rows.len() * WIDTH);
        self.each(|row| match row {
            None => {
                values.extend_from_slice(&[0_u8; WIDTH]);
                Some(0)
            }
            Some(row) => {
                values.extend_from_slice(row.first_chunk::<WIDTH>()?);
                Some(WIDTH)
            }
        })?;
        Some(values.into())
    }

    fn wide(&mut self, width: usize) -> Option<Buffer> {
        let mut values = MutableBuffer::with_capacity(self.rows.len() * width);
        self.each(|row| match row {
            None => {
                values.extend_zeros(width);
                Some(0)
            }
            Some(row) => {
                values.extend_from_slice(row.get(..width)?);
                Some(width)
            }
        })?;
        Some(values.into())
    }

    /// Values behind their lengths; empty where they are NULL.
    fn slices(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut values = Vec::with_capacity(self.rows.len());
        self.each(|row| {
            let Some(row) = row else {
                values.push(&[][..]);
                return Some(0);
            };
            let (length, rest) = read_length(row)?;
            values.push(rest.get(..length)?);
            Some(row.len() - rest.len() + length)
        })?;
        Some(values)
    }

    fn other(&mut self, data_type: &DataType, converter: &RowConverter) -> FlowResult<ArrayRef> {
        let values = self.slices().ok_or_else(incomplete)?;
        let null = arrow_array::new_null_array(data_type, 1);
        let null = converter.convert_columns(&[null]).map_err(arrow_error)?;
        let parser = converter.parser();
        let rows = values.into_iter().enumerate().map(|(row, value)| match &self.nulls {
            Some(nulls) if nulls.is_null(row) => parser.parse(null.row(0).data()),
            _ => parser.parse(value),
        });
        let columns = converter.convert_rows(rows.collect::<Vec<_>>()).map_err(arrow_error)?;
        columns.into_iter().next().ok_or_else(|| FlowError::internal("a column is missing"))
    }

    fn array(&mut self, column: &Column, buffers: Vec<Buffer>) -> FlowResult<ArrayRef> {
        let empty = new_empty_array(&column.data_type).to_data().into_builder();
        let data = empty.len(self.rows.len()).buffers(buffers).nulls(self.nulls.take());
        data.build().map(make_array).map_err(arrow_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, Int8Array, Int64Array, ListArray,
        NullArray, StringArray, types::Int32Type,
    };
    use proptest::prelude::*;

    type Row =
        (Option<bool>, Option<i8>, Option<i64>, Option<f64>, Option<String>, Option<Vec<u8>>);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (
            any::<Option<bool>>(),
            any::<Option<i8>>(),
            any::<Option<i64>>(),
            any::<Option<f64>>(),
            prop::option::of("\\PC{0,200}"),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        );
        prop::collection::vec(row, 1..40)
    }

    /// Ten columns, so that there are two bytes of NULLs.
    fn columns(rows: &[Row]) -> Vec<ArrayRef> {
        let decimals = rows.iter().map(|row| row.2.map(|value| i128::from(value) << 20));
        let lists = rows.iter().map(|row| row.2.map(|value| vec![Some(value as i32), None]));
        let bytes: Vec<_> = rows.iter().map(|row| row.5.as_deref()).collect();
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int8Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.4.clone()).collect::<StringArray>()),
            Arc::new(BinaryArray::from(bytes)),
            Arc::new(decimals.collect::<Decimal128Array>()),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
            Arc::new(NullArray::new(rows.len())),
            Arc::new(rows.iter().map(|row| row.1.map(i32::from)).collect::<Date32Array>()),
        ]
    }

    fn codec(columns: &[ArrayRef]) -> CompactCodec {
        CompactCodec::new(columns.iter().map(|column| column.data_type())).unwrap()
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in rows(), from in 0..40_usize) {
            let from = from.min(rows.len() - 1);
            let whole = columns(&rows);
            let slices = whole.iter().map(|column| column.slice(from, column.len() - from));
            let slices: Vec<_> = slices.collect();
            let codec = codec(&slices);
            let encoded = codec.encode(&slices).unwrap();
            let bytes: Vec<&[u8]> = encoded.iter().collect();
            prop_assert!((0..bytes.len()).all(|row| encoded.get(row) == bytes[row]));
            let back = codec.decode(&bytes).unwrap();
            for (column, back) in slices.iter().zip(&back) {
                prop_assert_eq!(column, back);
            }
            let again = codec.encode(&back).unwrap();
            prop_assert!(again.iter().eq(bytes.iter().copied()), "equal rows have equal bytes");
        }

        #[test]
        fn what_is_no_row_is_refused_or_read(
            rows in rows(),
            cut in any::<prop::sample::Index>(),
            other in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            // Without lists, whose bytes are those of another library.
            let columns: Vec<_> = columns(&rows)[..7].to_vec();
            let codec = codec(&columns);
            let encoded = codec.encode(&columns).unwrap();
            let row = encoded.get(0);
            if row.len() > 1 {
                let cut = cut.index(row.len());
                prop_assert!(codec.decode(&[&row[..cut]]).is_err());
            }
            if let Ok(columns) = codec.decode(&[&other]) {
                prop_assert!(columns.iter().all(|column| column.len() == 1));
            }
        }
    }
}
