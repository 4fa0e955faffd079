//! From a task's failure to the first new record at the sink, with next to no state and with much:
//! the difference is the time of loading, and gives its speed.

use std::time::Duration;

use hurtig::{ParameterTool, graph::RestartStrategyConfig, prelude::*};
use serde_json::json;

use crate::{
    job::{CheckpointDirectory, RunningJob, bytes_or, mb, ms},
    load::Load,
};

/// Bytes of a state that takes no time to load.
const NO_STATE_BYTES: u64 = 10_000;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let state_bytes = bytes_or(parameters, "state-bytes", 300_000_000)?;
    let parallelism: u32 = parameters.parse_or("parallelism", 1)?;
    let runs: usize = parameters.parse_or("runs", 3)?;
    let as_json = parameters.get("json").is_some();
    let mut best = Vec::new();
    for bytes in [NO_STATE_BYTES, state_bytes] {
        let mut times = Vec::new();
        let mut size = 0;
        for _ in 0..runs.max(1) {
            let directory = CheckpointDirectory::new(parameters.get("directory"))?;
            let (took, bytes) = recover(bytes, parallelism, &directory)?;
            times.push(took);
            size = bytes;
        }
        times.sort_unstable();
        if as_json {
            let line = json!({
                "state_bytes": size, "parallelism": parallelism,
                "best_ms": ms(times[0]), "worst_ms": ms(times[times.len() - 1]),
            });
            println!("{line}");
        } else {
            println!(
                "{:>8.2} MB of state: {:.1} to {:.1} ms from the failure to the first record",
                mb(size),
                ms(times[0]),
                ms(times[times.len() - 1])
            );
        }
        best.push((times[0], size));
    }
    let [(without, _), (with, size)] = best[..] else { return Ok(true) };
    let loading = with.saturating_sub(without);
    let speed = mb(size) / loading.as_secs_f64().max(1e-9);
    if as_json {
        println!("{}", json!({ "loading_ms": ms(loading), "mb_per_s": speed.round() }));
    } else {
        println!("loading: {:.1} ms, {speed:.0} MB/s", ms(loading));
    }
    Ok(true)
}

fn recover(
    state_bytes: u64,
    parallelism: u32,
    directory: &CheckpointDirectory,
) -> Result<(Duration, u64), BoxError> {
    let load = Load::new(state_bytes, parallelism);
    let env = StreamExecutionEnvironment::new();
    env.set_checkpoint_directory(directory.url());
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 1, delay_ms: 0 });
    load.build(&env);
    let job = RunningJob::start(&env, "recovery")?;
    job.wait_until("the state is complete", || load.is_filled())?;
    load.touch(100);
    let (stats, _) = job.checkpoint()?;
    load.fail();
    job.wait_until("the job has recovered", || load.recovered_in().is_some())?;
    let took = load.recovered_in().ok_or("the time is not known")?;
    load.take_figures();
    job.wait_until("all keys have come again", || load.records_so_far() > 3 * load.keys())?;
    if load.has_lost_keys() {
        return Err("the state was not restored".into());
    }
    Ok((took, stats.totals.total_bytes))
}
