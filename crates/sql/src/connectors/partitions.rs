//! Which partitions of a table are read: conditions over the keys, for whoever knows partitions.
//!
//! The values of keys are texts (names of directories); they mean what they would mean as columns of
//! the rows. A condition that cannot be computed is an error only where it has to decide.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray};
use arrow_schema::SchemaRef;
use hurtig_sql_formats::constant;
use hurtig_sql_functions::api::Expression;
use hurtig_sql_parser::types::SqlDataType;
use hurtig_types::BoxError;

/// The values of the partition keys of one partition, in the order of the keys; `None`: NULL.
pub type Partition = Vec<Option<String>>;

/// What must hold of the keys of a partition that is read.
#[derive(Clone, Debug)]
pub struct PartitionFilter {
    /// The types of the keys, in order.
    pub types: Vec<SqlDataType>,
    /// What conditions are over: a column for each key.
    pub schema: SchemaRef,
    /// Decides: rows are not looked at again.
    pub exact: Option<Arc<dyn Expression>>,
    /// Conditions over the first so many keys that hold of all rows that are wanted. Where one
    /// cannot be computed, it says nothing.
    pub hints: Vec<(usize, Arc<dyn Expression>)>,
}

impl PartitionFilter {
    /// Whether a partition is read; of the first keys only, whether it may be.
    ///
    /// # Errors
    /// If all keys are there and the condition that decides cannot be computed.
    pub fn passes(&self, values: &[Option<String>]) -> Result<bool, BoxError> {
        let whole = values.len() == self.types.len();
        let row = match self.row(values) {
            Ok(row) => row,
            Err(error) if whole && self.exact.is_some() => return Err(error),
            Err(_) => return Ok(true),
        };
        let known = self.hints.iter().filter(|(keys, _)| *keys <= values.len());
        for (_, hint) in known {
            if holds(hint.as_ref(), &row).is_ok_and(|holds| !holds) {
                return Ok(false);
            }
        }
        match &self.exact {
            Some(exact) if whole => holds(exact.as_ref(), &row),
            _ => Ok(true),
        }
    }

    /// The keys as a row; those that are not known yet are NULL, and nobody looks at them.
    fn row(&self, values: &[Option<String>]) -> Result<RecordBatch, BoxError> {
        let texts = values.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        let columns = self.types.iter().zip(texts);
        let columns = columns.map(|(data_type, text)| constant(data_type, text, 1));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

fn holds(condition: &dyn Expression, row: &RecordBatch) -> Result<bool, BoxError> {
    let value = condition.evaluate(row)?;
    let value = value.as_boolean_opt().ok_or("internal: a condition that is not boolean")?;
    Ok(value.len() == 1 && value.is_valid(0) && value.value(0))
}
