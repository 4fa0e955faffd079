//! What the benchmarks of checkpoints have in common: a directory that goes with them, a job that
//! is ended when it has been looked at, and waiting for things to happen.

use std::time::{Duration, Instant};

use hurtig::{CheckpointStatistics, prelude::*};
use tempfile::TempDir;

/// How long anything may take before a benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A directory for checkpoints, which is deleted when it is dropped.
pub struct CheckpointDirectory {
    url: String,
    _directory: TempDir,
}

impl CheckpointDirectory {
    /// A fresh directory within `parent`, or where temporary files are kept.
    pub fn new(parent: Option<&str>) -> Result<Self, BoxError> {
        let directory = match parent {
            Some(parent) => TempDir::new_in(parent)?,
            None => TempDir::new()?,
        };
        Ok(Self { url: format!("file://{}", directory.path().display()), _directory: directory })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A job without an end; dropping it ends it.
pub struct RunningJob {
    client: JobClient,
}

impl RunningJob {
    /// Starts the job of an environment.
    pub fn start(env: &StreamExecutionEnvironment, name: &str) -> Result<Self, BoxError> {
        Ok(Self { client: env.execute_async(name)? })
    }

    /// Waits until `done`, looking every few milliseconds.
    pub fn wait_until(&self, what: &str, done: impl Fn() -> bool) -> Result<(), BoxError> {
        let began = Instant::now();
        while !done() {
            let status = self.client.status()?;
            if status.is_globally_terminal() {
                return Err(format!("the job ended as {status:?} before {what}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("still not: {what}").into());
            }
            pass(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Takes a checkpoint, and returns what is known of it, with the time that it took from here.
    pub fn checkpoint(&self) -> Result<(CheckpointStatistics, Duration), BoxError> {
        let began = Instant::now();
        let path = self.client.trigger_checkpoint()?;
        let took = began.elapsed();
        let stats = self.client.checkpoint_stats()?;
        let at_path = |known: &CheckpointStatistics| known.external_path.as_deref() == Some(&path);
        let latest = stats.latest_completed.filter(at_path);
        Ok((latest.ok_or("nothing is known of a checkpoint that has just completed")?, took))
    }

    /// Bytes of records in flight.
    pub fn in_flight_bytes(&self) -> usize {
        self.client.cluster().network_usage().iter().map(|usage| usage.used_bytes).sum()
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        // It ends as cancelled, which is no error here.
        if self.client.cancel().is_ok() {
            let _ = self.client.wait();
        }
    }
}

/// Lets time pass.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|t| !t.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Bytes with an optional unit: `300MB`, `1GB`.
pub fn bytes_or(parameters: &hurtig::ParameterTool, key: &str, or: u64) -> Result<u64, BoxError> {
    let Some(text) = parameters.get(key) else { return Ok(or) };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        unit => return Err(format!("--{key}: there is no unit {unit:?}").into()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("--{key}: no number of bytes: {text}"))?;
    number.checked_mul(factor).ok_or_else(|| format!("--{key}: too large: {text}").into())
}

/// Bytes in units of 10^6.
pub fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Milliseconds with their fraction.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
