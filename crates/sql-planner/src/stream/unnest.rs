//! UNNEST: arrays, multisets and maps as rows.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, ListArray, MapArray, StructArray, UInt32Array};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use arrow_select::take::take;
use hurtig_sql_common::EvalError;
use hurtig_sql_runtime::config::TableFunction;

use super::{StreamPlanResult, refused};

/// The function of that name; `counted`: of a multiset.
pub(super) fn table_function(
    name: &str,
    ordinality: bool,
    counted: bool,
) -> StreamPlanResult<Arc<dyn TableFunction>> {
    match name {
        "UNNEST" => Ok(Arc::new(Unnest { ordinality, counted })),
        other => refused(format!("there is no table function {other}")),
    }
}

/// Most rows that one batch may become.
const MOST_ROWS: usize = 1 << 24;

#[derive(Debug)]
struct Unnest {
    ordinality: bool,
    /// A multiset is a map to counts: each value comes as often as it counts.
    counted: bool,
}

/// Which element each row is: the row it belongs to, its position there, its index in the values.
#[derive(Default)]
struct Elements {
    rows: Vec<u32>,
    ordinals: Vec<i32>,
    indices: Vec<u32>,
}

impl Elements {
    fn push(&mut self, row: usize, ordinal: usize, index: usize) -> Result<(), EvalError> {
        if self.rows.len() >= MOST_ROWS {
            return Err(EvalError::Value(format!("UNNEST of more than {MOST_ROWS} elements")));
        }
        let narrow = |n: usize| u32::try_from(n).map_err(|e| EvalError::Internal(e.to_string()));
        self.rows.push(narrow(row)?);
        self.ordinals.push(i32::try_from(ordinal + 1).unwrap_or(i32::MAX));
        self.indices.push(narrow(index)?);
        Ok(())
    }
}

impl TableFunction for Unnest {
    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), EvalError> {
        let Some(argument) = arguments.first() else {
            return Err(EvalError::Internal("UNNEST without an argument".to_owned()));
        };
        let mut elements = Elements::default();
        let mut columns: Vec<ArrayRef>;
        if let Some(list) = argument.as_any().downcast_ref::<ListArray>() {
            let offsets = list.value_offsets();
            let nulls = self.skipped(list.values());
            for row in (0..rows).filter(|row| !list.is_null(*row)) {
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                for index in start..end {
                    if nulls.is_none_or(|nulls| nulls.is_valid(index)) {
                        elements.push(row, index - start, index)?;
                    }
                }
            }
            let taken = self.take(list.values(), &elements)?;
            columns = match taken.data_type() {
                DataType::Struct(_) => fields_of(&taken)?,
                _ => vec![taken],
            };
        } else if let Some(map) = argument.as_any().downcast_ref::<MapArray>() {
            let offsets = map.value_offsets();
            let counts = map.values().as_any().downcast_ref::<Int32Array>();
            let nulls = if self.counted { self.skipped(map.keys()) } else { None };
            for row in (0..rows).filter(|row| !map.is_null(*row)) {
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                let mut ordinal = 0;
                for index in start..end {
                    let times = match counts {
                        _ if nulls.is_some_and(|nulls| nulls.is_null(index)) => 0,
                        Some(counts) if self.counted => counts.value(index).max(0),
                        _ => 1,
                    };
                    for _ in 0..times {
                        elements.push(row, ordinal, index)?;
                        ordinal += 1;
                    }
                }
            }
            let keys = self.take(map.keys(), &elements)?;
            columns = if self.counted {
                match keys.data_type() {
                    DataType::Struct(_) => fields_of(&keys)?,
                    _ => vec![keys],
                }
            } else {
                vec![keys, self.take(map.values(), &elements)?]
            };
        } else {
            let found = argument.data_type();
            return Err(EvalError::Internal(format!("UNNEST of a column of {found}")));
        }
        if self.ordinality {
            columns.push(Arc::new(Int32Array::from(elements.ordinals)));
        }
        Ok((elements.rows, columns))
    }
}

impl Unnest {
    /// Elements that give no row: of rows those that are NULL, as Flink collects no row for them. With
    /// ordinality they have one, of NULLs and their number.
    fn skipped<'a>(&self, elements: &'a ArrayRef) -> Option<&'a NullBuffer> {
        let rows = matches!(elements.data_type(), DataType::Struct(_)) && !self.ordinality;
        elements.nulls().filter(|_| rows)
    }

    fn take(&self, values: &ArrayRef, elements: &Elements) -> Result<ArrayRef, EvalError> {
        let indices = UInt32Array::from(elements.indices.clone());
        Ok(take(values.as_ref(), &indices, None)?)
    }
}

/// The fields of rows, NULL where a row is.
fn fields_of(rows: &ArrayRef) -> Result<Vec<ArrayRef>, EvalError> {
    let Some(rows) = rows.as_any().downcast_ref::<StructArray>() else {
        return Err(EvalError::Internal("UNNEST of rows that are none".to_owned()));
    };
    let Some(nulls) = rows.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(rows.columns().to_vec());
    };
    let index = |row: usize| (!nulls.is_null(row)).then_some(row as u64);
    let indices: arrow_array::UInt64Array = (0..rows.len()).map(index).collect();
    rows.columns().iter().map(|column| Ok(take(column.as_ref(), &indices, None)?)).collect()
}
