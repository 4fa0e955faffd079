//! Plans and errors as texts: what EXPLAIN prints, and what users read when they are wrong.

#![allow(clippy::unwrap_used)]

#[path = "plans/changelog.rs"]
mod changelog;
#[path = "plans/errors.rs"]
mod errors;
#[path = "plans/explain.rs"]
mod explain;

use hurtig_sql::{Session, SqlError, StatementResult};
use hurtig_sql_parser::SqlParser;

/// Runs a script without starting jobs; the text of its last statement, if that has one.
pub fn run(script: &str) -> Result<Option<String>, SqlError> {
    let mut session = Session::new().without_jobs();
    session.set("table.local-time-zone", "UTC")?;
    let mut last = None;
    for part in SqlParser::default().split(script)? {
        last = match session.execute(script, part)? {
            StatementResult::Text(text) => Some(text),
            _ => None,
        };
    }
    Ok(last)
}
