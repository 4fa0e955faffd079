//! The SQL client.
//!
//! - [`output`]: how results are shown: JSON lines, tableau, a table that changes.

pub mod output;
