//! Values as people see them.

use arrow_array::{ArrayRef, StringArray, builder::StringBuilder};
use hurtig_sql_common::{EvalError, SqlContext};
use hurtig_sql_parser::types::SqlDataType;

use crate::cast::{BytesAs, Printer};

/// Each value as `CAST(x AS STRING)` gives it, but bytes as `x'..'`; NULL stays NULL.
pub fn print_column(
    array: &ArrayRef,
    data_type: &SqlDataType,
    context: &SqlContext,
) -> Result<StringArray, EvalError> {
    print_in_zone(array, data_type, context.zone)
}

/// The same, with points in time shown in a zone.
pub fn print_in_zone(
    array: &ArrayRef,
    data_type: &SqlDataType,
    zone: chrono_tz::Tz,
) -> Result<StringArray, EvalError> {
    let printer = Printer::in_zone(array, data_type, zone, BytesAs::Hexadecimal)?;
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = String::new();
    for row in 0..array.len() {
        if printer.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            printer.print(row, &mut text);
            builder.append_value(&text);
        }
    }
    Ok(builder.finish())
}
