//! Arrays and maps as ranges of their elements, and results made of places of elements.

use std::{ops::Range, sync::Arc};

use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, StructArray, cast::AsArray, new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::SqlDataType;

use crate::{
    cast::{labelled, relabel},
    columns::{Columns, Evaluated},
};

/// An array or map of each row, as a range of elements.
pub(super) struct Ranges<'a> {
    array: &'a dyn Array,
    offsets: &'a OffsetBuffer<i32>,
    constant: bool,
}

impl Ranges<'_> {
    /// Of a row.
    pub fn get(&self, row: usize) -> Option<Range<usize>> {
        let row = if self.constant { 0 } else { row };
        let valid = self.array.is_valid(row);
        valid.then(|| self.offsets[row] as usize..self.offsets[row + 1] as usize)
    }
}

fn wrong(array: &ArrayRef) -> EvalError {
    EvalError::Internal(format!("a column of {} instead of a collection", array.data_type()))
}

impl<'a> Columns<'a> {
    /// An argument of arrays: their ranges and their elements.
    pub(super) fn lists(&self, index: usize) -> Result<(Ranges<'a>, &'a ArrayRef), EvalError> {
        let (array, constant) = self.raw(index)?;
        let list = array.as_list_opt::<i32>().ok_or_else(|| wrong(array))?;
        Ok((Ranges { array: list, offsets: list.offsets(), constant }, list.values()))
    }

    /// An argument of maps: their ranges, keys and values.
    pub(super) fn maps(
        &self,
        index: usize,
    ) -> Result<(Ranges<'a>, &'a ArrayRef, &'a ArrayRef), EvalError> {
        let (array, constant) = self.raw(index)?;
        let map = array.as_map_opt().ok_or_else(|| wrong(array))?;
        Ok((Ranges { array: map, offsets: map.offsets(), constant }, map.keys(), map.values()))
    }
}

/// Where an element is: the number of its source, and its place there. [`NULL`] is none.
pub(super) type Place = (usize, usize);
/// The place of NULL.
pub(super) const NULL: Place = (usize::MAX, 0);

/// Elements from places.
pub(super) fn gather(sources: &[ArrayRef], places: &[Place], kind: &DataType) -> Evaluated {
    let mut arrays = Vec::with_capacity(sources.len() + 1);
    for source in sources {
        arrays.push(relabel(source, kind)?);
    }
    arrays.push(new_null_array(kind, 1));
    let last = arrays.len() - 1;
    let places: Vec<Place> =
        places.iter().map(|place| if *place == NULL { (last, 0) } else { *place }).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
    Ok(interleave(&arrays, &places)?)
}

/// Arrays of elements from places: `of` adds those of a row, or says that it is NULL.
pub(super) fn make_lists(
    rows: usize,
    result: &SqlDataType,
    sources: &[ArrayRef],
    mut of: impl FnMut(usize, &mut Vec<Place>) -> Result<bool, EvalError>,
) -> Evaluated {
    let wanted = arrow_type(result).map_err(|error| EvalError::Internal(error.to_string()))?;
    let DataType::List(field) = &wanted else {
        return Err(EvalError::Internal(format!("{result} is no array")));
    };
    let (mut places, mut lengths) = (Vec::new(), Vec::with_capacity(rows));
    let mut valid = Vec::with_capacity(rows);
    for row in 0..rows {
        let before = places.len();
        let there = of(row, &mut places)?;
        if !there {
            places.truncate(before);
        }
        valid.push(there);
        lengths.push(places.len() - before);
    }
    let values = gather(sources, &places, field.data_type())?;
    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
}

/// Maps of entries from places of keys and values; a later entry replaces an earlier one of its key.
pub(super) fn make_maps(
    rows: usize,
    result: &SqlDataType,
    keys: &[ArrayRef],
    values: &[ArrayRef],
    mut of: impl FnMut(usize, &mut Vec<(Place, Place)>) -> Result<bool, EvalError>,
) -> Evaluated {
    let wanted = arrow_type(result).map_err(|error| EvalError::Internal(error.to_string()))?;
    let wrong = || EvalError::Internal(format!("{result} is no map"));
    let DataType::Map(entries, sorted) = &wanted else { return Err(wrong()) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(wrong()) };
    let encoded = Encoded::new(keys, fields[0].data_type())?;
    let (mut key_places, mut value_places) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut found = Vec::new();
    for row in 0..rows {
        found.clear();
        let there = of(row, &mut found)?;
        let before = key_places.len();
        let mut known = std::collections::HashMap::new();
        for (key, value) in found.iter().filter(|_| there) {
            let bytes = encoded
                .get(*key)
                .ok_or_else(|| EvalError::Value("a key of a map must not be NULL".to_owned()))?;
            match known.entry(bytes) {
                std::collections::hash_map::Entry::Occupied(place) => {
                    let place: &usize = place.get();
                    value_places[*place] = *value;
                }
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(key_places.len());
                    key_places.push(*key);
                    value_places.push(*value);
                }
            }
        }
        valid.push(there);
        lengths.push(key_places.len() - before);
    }
    let keys = gather(keys, &key_places, fields[0].data_type())?;
    let values = gather(values, &value_places, fields[1].data_type())?;
    let rows = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, rows, nulls, *sorted)?))
}

/// Elements as bytes that are equal, and in order, as the elements are.
pub(super) struct Encoded {
    sources: Vec<(Rows, ArrayRef)>,
}

impl Encoded {
    /// Of elements of one type.
    pub fn new(sources: &[ArrayRef], kind: &DataType) -> Result<Self, EvalError> {
        let converter = RowConverter::new(vec![SortField::new(kind.clone())])?;
        let encode = |source: &ArrayRef| -> Result<_, EvalError> {
            let source = relabel(source, kind)?;
            Ok((converter.convert_columns(std::slice::from_ref(&source))?, source))
        };
        Ok(Self { sources: sources.iter().map(encode).collect::<Result<_, _>>()? })
    }

    /// The bytes of an element; NULL has its own.
    pub fn bytes(&self, (source, place): Place) -> &[u8] {
        self.sources.get(source).map_or(&[], |(rows, _)| rows.row(place).data())
    }

    /// The bytes of an element that is not NULL.
    pub fn get(&self, (source, place): Place) -> Option<&[u8]> {
        let (rows, array) = self.sources.get(source)?;
        array.is_valid(place).then(|| rows.row(place).data())
    }
}

/// A column with another label, as the result of a call.
pub(super) fn as_result(array: ArrayRef, result: &SqlDataType) -> Evaluated {
    labelled(&array, result)
}
