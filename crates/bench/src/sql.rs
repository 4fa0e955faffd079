//! Nexmark through SQL.
//!
//! Each measured run is a process of its own (`sql-child`), so that its peak of memory is its own:
//! the script of the query, exactly-once checkpoints every 10 s to a local disk, a blackhole sink.
//! With `--compare flink` runs of a real Flink 2.3 alternate with them, by the kit in
//! `crates/nexmark/flink` (`flink-nexmark setup` first). Before a query is measured its result on the
//! first 200,000 events is compared with Flink's; a difference fails the benchmark.
//!
//! `--query json` is a file of JSON lines to an aggregated result ([`json`]).

mod child;
mod golden;
mod json;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hurtig::prelude::{BoxError, ParameterTool};
use serde::{Deserialize, Serialize};

pub use child::run as child;

/// All queries that need no external system.
const QUERIES: &[&str] = &[
    "q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q11", "q12", "q15", "q16", "q17", "q18",
    "q19", "q20", "q21", "q22",
];

/// From a file of JSON lines to a result.
const JSON_SCRIPT: &str = include_str!("sql/json.sql");

/// One run. The names are those of the kit for Flink.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    query: String,
    #[serde(default)]
    warmup: bool,
    events: Option<u64>,
    parallelism: u32,
    job_ms: u64,
    events_per_s: Option<u64>,
    tm_cpu_s: f64,
    tm_rss_mb: u64,
    checkpoints: u64,
    checkpoint_max_bytes: u64,
}

/// Runs the queries and prints a line for each.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let events: u64 = parameters.parse_or("events", 4_000_000)?;
    let parallelism: u32 = parameters.parse_or("parallelism", 2)?;
    let runs: usize = parameters.parse_or("runs", 2)?;
    let json = parameters.get("json").is_some();
    let with_flink = match parameters.get("compare") {
        None => false,
        Some("flink") => true,
        Some(other) => return Err(format!("--compare {other}: only flink is known").into()),
    };
    let queries: Vec<&str> = match parameters.get("query") {
        Some(one) => one.split(',').collect(),
        None => QUERIES.to_vec(),
    };
    if queries == ["json"] {
        let bytes = parameters.parse_or("bytes", 1_000_000_000)?;
        return run_json(bytes, parallelism, runs, with_flink);
    }
    let mut right = true;
    let mut ratios = Vec::new();
    let mut rss_ratios = Vec::new();
    for query in queries {
        if !QUERIES.contains(&query) {
            return Err(
                format!("there is no query {query:?}; known: {}", QUERIES.join(", ")).into()
            );
        }
        if let Some(difference) = golden::difference(query)? {
            eprintln!("{query}: WRONG: {difference}");
            right = false;
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..runs.max(1) {
            ours.push(run_child(query, events, parallelism)?);
            if with_flink {
                theirs.push(run_flink(query, events, parallelism)?);
            }
        }
        let best = best(&ours);
        if json {
            println!("{}", serde_json::to_string(best)?);
        }
        let rate = rate_of(best);
        let mut line = format!(
            "{query}: {rate:>10} events/s, {:.2} s of CPU per million, RSS {} MB, state {} bytes",
            best.tm_cpu_s * 1e6 / events as f64,
            best.tm_rss_mb,
            best.checkpoint_max_bytes
        );
        if let Some(flink) = theirs.iter().max_by_key(|run| rate_of(run)) {
            let ratio = rate as f64 / rate_of(flink) as f64;
            let lighter = flink.tm_rss_mb as f64 / best.tm_rss_mb.max(1) as f64;
            ratios.push(ratio);
            rss_ratios.push(lighter);
            line += &format!(
                "; Flink {} events/s, RSS {} MB: {ratio:.2} times as fast, {lighter:.1} times less",
                rate_of(flink),
                flink.tm_rss_mb
            );
        }
        eprintln!("{line}");
    }
    if !ratios.is_empty() {
        let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
        eprintln!(
            "geometric mean {:.2} times Flink (bar 10), least {:.2} (bar 4); memory at least {:.1} times less (bar 5)",
            geometric_mean(&ratios),
            least(&ratios),
            least(&rss_ratios)
        );
    }
    Ok(right)
}

/// Reads a file of JSON lines and aggregates it.
fn run_json(bytes: u64, parallelism: u32, runs: usize, with_flink: bool) -> Result<bool, BoxError> {
    let directory = tempfile::tempdir()?;
    let rows = json::write(directory.path(), bytes)?;
    let path = json::lines(directory.path());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let common = ["--parallelism".to_owned(), parallelism.to_string()];
    for _ in 0..runs.max(1) {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["sql-child", "--query", "json", "--path", &path]);
        command.args(["--events", &rows.to_string()]).args(&common);
        ours.push(last_line(command, "json")?);
        if with_flink {
            let script = directory.path().join("json.sql");
            std::fs::write(&script, JSON_SCRIPT)?;
            let mut command = Command::new(kit().join("flink/flink-nexmark"));
            command.arg("sql").arg(&script).args(["--json", "--var", &format!("PATH={path}")]);
            command.args(["--var", &format!("EVENTS={rows}")]).args(&common);
            theirs.push(last_line(command, "json")?);
        }
    }
    let best_of_ours = best(&ours);
    eprintln!("{rows} lines, about {bytes} bytes");
    for (name, run) in
        [("Hurtig", Some(best_of_ours)), ("Flink", (!theirs.is_empty()).then(|| best(&theirs)))]
    {
        let Some(run) = run else { continue };
        let megabytes = bytes as f64 / 1e3 / run.job_ms.max(1) as f64;
        eprintln!(
            "{name}: {} ms, {megabytes:.0} MB/s, {:.2} s of CPU, RSS {} MB",
            run.job_ms, run.tm_cpu_s, run.tm_rss_mb
        );
        if name == "Flink" {
            let ratio = run.job_ms as f64 / best_of_ours.job_ms.max(1) as f64;
            eprintln!("{ratio:.2} times as fast as Flink (bar 5)");
        }
    }
    Ok(true)
}

fn rate_of(run: &Run) -> u64 {
    run.events_per_s.unwrap_or(0)
}

fn best(runs: &[Run]) -> &Run {
    let fastest = runs.iter().max_by_key(|run| rate_of(run));
    // At least one run was made.
    fastest.unwrap_or(&runs[0])
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// The folder of the crate `nexmark` in the source tree.
fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nexmark")
}

fn run_child(query: &str, events: u64, parallelism: u32) -> Result<Run, BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["sql-child", "--query", query, "--events", &events.to_string()]);
    command.args(["--parallelism", &parallelism.to_string()]);
    last_line(command, query)
}

fn run_flink(query: &str, events: u64, parallelism: u32) -> Result<Run, BoxError> {
    let mut command = Command::new(kit().join("flink/flink-nexmark"));
    command.args(["run", query, "--events", &events.to_string(), "--repeat", "1", "--json"]);
    command.args(["--parallelism", &parallelism.to_string()]);
    last_line(command, query)
}

/// The last run that a command tells of.
fn last_line(mut command: Command, query: &str) -> Result<Run, BoxError> {
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().filter(|_| output.status.success());
    let line = line.ok_or_else(|| format!("{query}: the run has failed ({})", output.status))?;
    Ok(serde_json::from_str(line)?)
}
