//! Between tables and streams of records.
//!
//! - [`StreamSchema`]: which columns a stream has as a table, as in Flink's Table API.
//! - [`ChangelogRow`]: a record and what it does.
//! - [`source`]: a stream as a table; [`sink`]: the rows of a query as a stream.
//!
//! Timestamps of records are the metadata column `rowtime`, and a rowtime column of a query gives the
//! timestamps of its records. Watermarks pass; a declared one takes the place of the stream's, unless it
//! is `SOURCE_WATERMARK()`.

mod schema;
pub(crate) mod sink;
pub(crate) mod source;

use hurtig_sql_common::RowKind;
use serde::{Deserialize, Serialize};

pub(crate) use schema::quoted;
pub use schema::{SchemaBuilder, StreamSchema};

/// A record and what it does to the table that a stream describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangelogRow<T> {
    /// What it does.
    pub kind: RowKind,
    /// The row.
    pub row: T,
}

impl<T> ChangelogRow<T> {
    /// A row that is new.
    pub fn insert(row: T) -> Self {
        Self { kind: RowKind::Insert, row }
    }

    /// A row with what it does.
    pub fn of_kind(kind: RowKind, row: T) -> Self {
        Self { kind, row }
    }
}
