//! How results are shown.
//!
//! A result is a changelog of rows of text, each value as CAST to STRING gives it and NULL as none.
//! A [`ChangelogOutput`] takes it as it comes and says at its end what there is to say.

mod fold;
mod jsonl;
mod live;
mod tableau;

use std::io;

use hurtig_sql_common::RowKind;
use hurtig_sql_parser::types::SqlDataType;

pub use fold::{FoldedRows, RetractionWithoutRow};
pub use jsonl::{JsonLines, MaterializedJsonLines};
pub use live::{LiveTable, Screen};
pub use tableau::{Tableau, print_table};

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: SqlDataType,
}

/// A row as text; NULL is none.
pub type TextRow = Vec<Option<String>>;

/// Takes a changelog and shows it.
pub trait ChangelogOutput {
    /// Takes changes. What is shown of them by now is flushed.
    fn changes(&mut self, changes: &[(RowKind, TextRow)]) -> io::Result<()>;
    /// The result is complete.
    fn end(&mut self) -> io::Result<()>;
}
