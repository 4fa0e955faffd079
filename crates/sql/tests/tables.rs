//! Tables beside streams, functions of users, definitions on disk.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "tables/catalogs.rs"]
mod catalogs;
#[path = "tables/functions.rs"]
mod functions;
#[path = "tables/streams.rs"]
mod streams;
#[path = "tables/values.rs"]
mod values;

use std::time::Duration;

use hurtig_sql::{RowKind, SqlError, StatementResult, StreamTableEnvironment};

/// Longest wait for rows; only a failing test waits so long.
const SOON: Duration = Duration::from_secs(120);

/// The changes of a query, each as `+I[a, b]`.
fn changes(tables: &mut StreamTableEnvironment, query: &str) -> Vec<String> {
    let StatementResult::Query(mut result) = tables.execute_sql(query).unwrap() else {
        panic!("no query: {query}");
    };
    let mut all = Vec::new();
    while let Some(changes) = result.next(SOON).unwrap() {
        all.extend(changes.into_iter().map(|(kind, row)| shown(kind, &row)));
    }
    all
}

fn shown(kind: RowKind, row: &[Option<String>]) -> String {
    let values: Vec<&str> = row.iter().map(|one| one.as_deref().unwrap_or("NULL")).collect();
    format!("{}[{}]", kind.short(), values.join(", "))
}

/// The rows of SHOW and the like, as texts.
fn rows(result: StatementResult) -> Vec<String> {
    let StatementResult::Rows { rows, .. } = result else { panic!("no rows") };
    rows.iter().map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" ")).collect()
}

fn error<T>(result: Result<T, SqlError>) -> String {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(error) => error.to_string(),
    }
}
