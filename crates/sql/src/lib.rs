//! Tables beside streams: SQL that runs.
//!
//! - [`Session`]: statements, settings, jobs.
//! - [`connectors`]: where tables come from and go to.
//! - `translate`: from streaming plans to operators of a program.

pub mod connectors;
mod error;
mod session;
mod settings;
mod translate;

pub use error::SqlError;
pub use session::{QueryColumn, QueryResult, Session, SqlJob, StatementResult, TextRow};
pub use settings::Settings;
