//! The SQL client.
//!
//! - [`run`]: scripts and statements, or the shell.
//! - [`shell`]: the interactive shell.
//! - [`output`]: how results are shown: JSON lines, tableau, a table that changes.

mod client;
pub mod output;
pub mod shell;

pub use client::{ClientOptions, ResultMode, SqlClientError, run};
