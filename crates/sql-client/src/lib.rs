//! The SQL client.
//!
//! - [`shell`]: the interactive shell.
//! - [`output`]: how results are shown: JSON lines, tableau, a table that changes.

pub mod output;
pub mod shell;
