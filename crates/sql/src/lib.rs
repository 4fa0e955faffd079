//! Tables beside streams: SQL that runs.
//!
//! - [`Session`]: statements, settings, jobs.
//! - [`StreamTableEnvironment`]: tables and streams in one program.
//! - [`functions`]: functions of users, in Rust.
//! - [`values`]: values of Rust types as values of SQL.
//! - [`connectors`]: where tables come from and go to.
//! - `translate`: from streaming plans to operators of a program.

mod bridge;
pub mod connectors;
mod error;
pub mod functions;
mod session;
mod settings;
mod table_environment;
mod translate;
pub mod values;

pub use bridge::{ChangelogRow, SchemaBuilder, StreamSchema as Schema};
pub use error::SqlError;
pub use hurtig::{JobStatus, TerminateKind, raw::collected as decode_collected};
pub use hurtig_sql_common::{ChangelogMode, RowKind};
pub use session::{
    ClusterError, QueryColumn, QueryResult, Session, SqlCluster, SqlJob, SqlProgram,
    StatementResult, TextRow, run_program,
};
pub use settings::Settings;
pub use table_environment::{StreamStatementSet, StreamTableEnvironment, Table, ViewSource};
