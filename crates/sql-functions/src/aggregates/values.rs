//! Values of any type as bytes that compare as the values do.

use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_row::{RowConverter, Rows as Encoded, SortField};
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::SqlDataType;

use crate::{api::CallError, cast::labelled};

/// Encodes and decodes values of one type.
#[derive(Debug)]
pub(super) struct Codec {
    data_type: SqlDataType,
    converter: RowConverter,
}

impl Codec {
    /// For a type.
    pub fn new(data_type: &SqlDataType) -> Result<Self, CallError> {
        let arrow = arrow_type(data_type).map_err(|error| CallError(error.to_string()))?;
        let converter = RowConverter::new(vec![SortField::new(arrow)])
            .map_err(|error| CallError(format!("values of type {data_type}: {error}")))?;
        Ok(Self { data_type: data_type.clone(), converter })
    }

    /// A column's values as bytes.
    pub fn encode(&self, values: &ArrayRef) -> Result<Encoded, EvalError> {
        // Types may differ in names of fields.
        let values = labelled(values, &self.data_type)?;
        Ok(self.converter.convert_columns(&[values])?)
    }

    /// A column of encoded values.
    pub fn decode<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<ArrayRef, EvalError> {
        let parser = self.converter.parser();
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            let arrow = arrow_type(&self.data_type)
                .map_err(|error| EvalError::Internal(error.to_string()))?;
            return Ok(new_empty_array(&arrow));
        }
        let columns = self.converter.convert_rows(values.map(|value| parser.parse(value)))?;
        let column = columns.into_iter().next();
        let column = column.ok_or_else(|| EvalError::Internal("no values".to_owned()))?;
        labelled(&column, &self.data_type)
    }

    /// The bytes of NULL.
    pub fn null(&self) -> Result<Box<[u8]>, EvalError> {
        let arrow =
            arrow_type(&self.data_type).map_err(|error| EvalError::Internal(error.to_string()))?;
        let rows = self.converter.convert_columns(&[arrow_array::new_null_array(&arrow, 1)])?;
        Ok(rows.row(0).as_ref().into())
    }

    /// A column of encoded values, NULL where there is none.
    pub fn decode_optional(&self, values: &[Option<&[u8]>]) -> Result<ArrayRef, EvalError> {
        let null = self.null()?;
        self.decode(values.iter().map(|value| value.unwrap_or(&null)))
    }
}

/// The only argument.
pub(super) fn only(arguments: &[ArrayRef]) -> Result<&ArrayRef, EvalError> {
    arguments.first().ok_or_else(|| EvalError::Internal("an aggregate of nothing".to_owned()))
}

/// Whether any of a column's values is NULL, by row.
pub(super) fn is_null(values: &ArrayRef, row: usize) -> bool {
    *values.data_type() == arrow_schema::DataType::Null || values.is_null(row)
}
