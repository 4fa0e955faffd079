//! Statements that mean harm: deep, long, many, large. Each gives a result or an error that names
//! the bound, from a thread with a small stack, and never a panic.

#![allow(clippy::unwrap_used)]

#[path = "hostile/deep.rs"]
mod deep;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/large.rs"]
mod large;
#[path = "hostile/many.rs"]
mod many;

use std::time::Duration;

use hurtig_sql::{Session, SqlError, StatementResult};
use hurtig_sql_parser::SqlParser;

/// The stack of the caller: what is deep must not need it.
const STACK_BYTES: usize = 512 << 10;

/// What a script's statements read.
const TABLES: &str = "
CREATE TABLE t (a INT, b BIGINT, s STRING, d DECIMAL(38, 10), ts TIMESTAMP(3), arr ARRAY<INT>, WATERMARK FOR ts AS ts)
  WITH ('connector' = 'datagen', 'number-of-rows' = '20', 'fields.s.length' = '5');
";

/// How many rows a script's queries give, or why it failed.
pub fn run(script: &str) -> Result<usize, String> {
    let script = format!("{TABLES}{script}");
    let run = || rows(&script).map_err(|error| error.render(&script));
    hurtig_env::with_stack("hostile", STACK_BYTES, run).unwrap().unwrap()
}

fn rows(script: &str) -> Result<usize, SqlError> {
    let mut session = Session::new();
    session.set("parallelism.default", "2")?;
    let mut count = 0;
    for part in SqlParser::default().split(script)? {
        match session.execute(script, part)? {
            StatementResult::Query(mut query) => {
                while let Some(changes) = query.next(Duration::from_millis(500))? {
                    count += changes.len();
                }
            }
            StatementResult::Job(job) => job.wait()?,
            _ => {}
        }
    }
    Ok(count)
}

/// It gives rows.
#[track_caller]
pub fn taken(script: &str) {
    if let Err(error) = run(script) {
        panic!("{}\n{error}", head(script));
    }
}

/// It fails, and says this: an error that can be read.
#[track_caller]
pub fn refused(script: &str, wanted: &str) {
    match run(script) {
        Ok(rows) => panic!("{}\nwas taken, and gave {rows} rows", head(script)),
        Err(error) => {
            let short = head(&error);
            assert!(error.contains(wanted), "{}\n{short}\ndoes not say {wanted}", head(script));
            assert!(!error.contains("internal") && !error.contains("panic"), "{short}");
            assert!(error.len() < 20_000, "{} bytes of error: {short}", error.len());
        }
    }
}

fn head(text: &str) -> String {
    text.chars().take(400).collect()
}

/// `SELECT ... FROM t`
pub fn select(expressions: &str) -> String {
    format!("SELECT {expressions} FROM t")
}

/// A text in itself, so many times.
pub fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// What a function gives for each number, with a text between.
pub fn joined(count: usize, between: &str, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(between)
}

/// Views of each other, `v0` to `v<count>`.
pub fn views(first: &str, count: usize, each: impl Fn(usize) -> String) -> String {
    let rest = joined(count, "", |i| format!("CREATE VIEW v{} AS {};", i + 1, each(i)));
    format!("CREATE VIEW v0 AS {first};{rest}")
}
