//! UNNEST of arrays, maps, multisets, and arrays of rows.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, ListArray, MapArray, UInt32Array, cast::AsArray};
use arrow_select::take::take;
use hurtig_sql_common::EvalError;

use crate::config::TableFunction;

/// UNNEST: a row per element; with ordinality its number from 1 follows.
///
/// | of | gives |
/// |---|---|
/// | ARRAY of values, MULTISET | one column |
/// | ARRAY or MULTISET of ROW | a column per field |
/// | MAP | key and value |
#[derive(Clone, Copy, Debug)]
pub struct Unnest {
    /// WITH ORDINALITY: a column INT follows.
    pub ordinality: bool,
    /// The argument is a MULTISET: a map to counts, whose keys come as often as they count.
    pub multiset: bool,
}

impl TableFunction for Unnest {
    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), EvalError> {
        let [argument] = arguments else {
            return Err(EvalError::Internal("UNNEST takes one argument".to_owned()));
        };
        let (mut origins, mut at, mut ordinals) = (Vec::new(), Vec::new(), Vec::new());
        let mut span = |row: usize, start: i32, end: i32, times: &dyn Fn(usize) -> i32| {
            let mut ordinal = 0;
            for index in start..end {
                for _ in 0..times(index as usize) {
                    ordinal += 1;
                    origins.push(row as u32);
                    at.push(index as u32);
                    ordinals.push(ordinal);
                }
            }
        };
        let elements: Vec<ArrayRef> =
            if let Some(list) = argument.as_any().downcast_ref::<ListArray>() {
                for row in (0..rows).filter(|row| list.is_valid(*row)) {
                    let offsets = list.value_offsets();
                    span(row, offsets[row], offsets[row + 1], &|_| 1);
                }
                fields(list.values())
            } else if let Some(map) = argument.as_any().downcast_ref::<MapArray>() {
                let counts = self
                    .multiset
                    .then(|| map.values().as_primitive_opt::<arrow_array::types::Int32Type>());
                let counts = counts.flatten().cloned();
                for row in (0..rows).filter(|row| map.is_valid(*row)) {
                    let offsets = map.value_offsets();
                    span(row, offsets[row], offsets[row + 1], &|index| {
                        counts.as_ref().map_or(1, |counts| counts.value(index))
                    });
                }
                if self.multiset {
                    fields(map.keys())
                } else {
                    vec![map.keys().clone(), map.values().clone()]
                }
            } else {
                return Err(EvalError::Internal(format!("UNNEST of {}", argument.data_type())));
            };
        let at = UInt32Array::from(at);
        let columns = elements.iter().map(|column| take(column, &at, None));
        let mut columns = columns.collect::<Result<Vec<_>, _>>()?;
        if self.ordinality {
            columns.push(Arc::new(Int32Array::from(ordinals)));
        }
        Ok((origins, columns))
    }
}

/// The columns of elements: rows fall into their fields.
fn fields(elements: &ArrayRef) -> Vec<ArrayRef> {
    match elements.as_struct_opt() {
        None => vec![elements.clone()],
        Some(rows) => {
            let null = rows.nulls();
            let fields = rows.columns().iter().map(|column| match null {
                None => column.clone(),
                // The fields of a row that is NULL are NULL.
                Some(null) => {
                    let at = (0..column.len()).map(|row| null.is_valid(row).then_some(row as u32));
                    let at = at.collect::<UInt32Array>();
                    take(column, &at, None).unwrap_or_else(|_| column.clone())
                }
            });
            fields.collect()
        }
    }
}
