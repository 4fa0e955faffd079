//! Rows of constants.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::Expr;

use super::{StreamPlanError, StreamPlanResult, refused};
use crate::optimize::physical_expression;

/// Rows of constants.
pub(super) fn constant_rows(
    rows: &[Vec<Expr>],
    schema: &SchemaRef,
) -> StreamPlanResult<RecordBatch> {
    let none = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(none, Vec::new(), &options)
        .map_err(|error| StreamPlanError(error.to_string()))?;
    let empty = DFSchema::empty();
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); schema.fields().len()];
    for row in rows {
        if row.len() != columns.len() {
            return refused("internal: rows of different lengths");
        }
        for (column, expression) in columns.iter_mut().zip(row) {
            let value = physical_expression(expression, &empty)?
                .evaluate(&one)
                .map_err(|error| StreamPlanError(error.to_string()))?;
            column.push(value);
        }
    }
    let failed = |error: arrow_schema::ArrowError| StreamPlanError(error.to_string());
    let mut arrays = Vec::new();
    for (values, field) in columns.iter().zip(schema.fields()) {
        let parts: Vec<&dyn arrow_array::Array> = values.iter().map(AsRef::as_ref).collect();
        arrays.push(if parts.is_empty() {
            arrow_array::new_empty_array(field.data_type())
        } else {
            arrow_select::concat::concat(&parts).map_err(failed)?
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(failed)
}
