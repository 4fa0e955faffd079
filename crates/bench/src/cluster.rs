//! Benchmarks of clusters of real processes, which are used as users do: by the command `hurtig`,
//! by REST and by signals.
//!
//! - [`processes`]: the processes.
//! - [`job`]: the job that they run, which tells this process of its records.
//! - [`submission`]: from a request to running tasks, and the memory of processes that do nothing.
//! - [`failover`]: from the death of a TaskManager to the next record.
//! - [`fleet`]: many TaskManagers, and their orderly end.
//!
//! A figure that misses its bar is told and fails nothing; a result that is wrong does.

pub mod failover;
pub mod fleet;
pub mod job;
pub mod processes;
pub mod submission;

use std::time::Duration;

use hurtig::{ParameterTool, prelude::BoxError};

/// Runs one of the benchmarks on a runtime of its own.
fn on_runtime<T>(work: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// One line: a figure, and what it may be.
fn tell(what: &str, figure: f64, unit: &str, bar: f64) {
    let verdict = if figure <= bar { "within" } else { "MISSES" };
    println!("{what:<58} {figure:>8.1} {unit}, {verdict} the bar of {bar} {unit}");
}

/// Best, median and worst.
struct Spread {
    best: f64,
    median: f64,
    worst: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (best, worst) = (*figures.first()?, *figures.last()?);
        Some(Self { best, median: figures[figures.len() / 2], worst })
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn runs(parameters: &ParameterTool, default: usize) -> Result<usize, BoxError> {
    Ok(parameters.parse_or("runs", default)?.max(1))
}
