//! From Rust values to columns.

mod column;
mod record;

pub use column::ColumnWriter;
pub use record::RowWriter;
