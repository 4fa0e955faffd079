//! One measured run, in a process of its own.

use std::time::Instant;

use hurtig::prelude::{BoxError, ParameterTool};
use hurtig_sql::{Session, SqlJob, StatementResult};
use hurtig_sql_parser::SqlParser;

use super::{Run, kit};
use crate::memory;

/// The statements of the source.
pub(super) fn tables(events: u64) -> Result<String, BoxError> {
    let tables = std::fs::read_to_string(kit().join("queries/ddl.sql"))?;
    Ok(tables.replace("${EVENTS}", &events.to_string()))
}

/// The statements of the source and of a query.
pub(super) fn script(query: &str, events: u64) -> Result<String, BoxError> {
    let query = std::fs::read_to_string(kit().join(format!("queries/{query}.sql")))?;
    Ok(format!("{}\n{query}", tables(events)?))
}

/// Executes statements; returns the last job and when it was submitted.
pub(super) fn execute(session: &mut Session, text: &str) -> Result<(SqlJob, Instant), BoxError> {
    let mut job = None;
    for part in SqlParser::default().split(text)? {
        let begun = Instant::now();
        let result = session.execute(text, part);
        if let StatementResult::Job(started) = result.map_err(|error| error.render(text))? {
            job = Some((started, begun));
        }
    }
    job.ok_or_else(|| "the script has no INSERT".into())
}

/// Runs a query once, and prints what it took as a line of JSON.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let query = parameters.required("query")?;
    let events: u64 = parameters.parse_or("events", 1_000_000)?;
    let parallelism: u32 = parameters.parse_or("parallelism", 2)?;
    let checkpoints = tempfile::tempdir()?;
    let mut session = Session::new();
    session.set("parallelism.default", &parallelism.to_string())?;
    let interval = parameters.get("checkpoint-interval").unwrap_or("10 s");
    session.set("execution.checkpointing.interval", interval)?;
    let directory = format!("file://{}", checkpoints.path().display());
    session.set("execution.checkpointing.dir", &directory)?;
    let text = match parameters.get("path") {
        None => script(query, events)?,
        Some(path) => super::JSON_SCRIPT.replace("${PATH}", path),
    };
    let (job, begun) = execute(&mut session, &text)?;
    job.wait()?;
    let elapsed = begun.elapsed();
    let client = job.client().ok_or("the job is not embedded")?;
    let statistics = client.checkpoint_stats()?;
    let sizes = statistics.history.iter().map(|checkpoint| checkpoint.totals.total_bytes);
    let run = Run {
        query: query.to_owned(),
        warmup: false,
        events: Some(events),
        parallelism,
        job_ms: elapsed.as_millis() as u64,
        events_per_s: Some((events as f64 / elapsed.as_secs_f64()) as u64),
        tm_cpu_s: cpu_seconds().unwrap_or(0.0),
        tm_rss_mb: memory::peak_rss_mb().unwrap_or(0),
        checkpoints: statistics.counts.completed,
        checkpoint_max_bytes: sizes.max().unwrap_or(0),
    };
    println!("{}", serde_json::to_string(&run)?);
    Ok(true)
}

/// User and system time of this process, in seconds.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold spaces, but ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // USER_HZ is 100 on every Linux.
    Some(ticks / 100.0)
}
