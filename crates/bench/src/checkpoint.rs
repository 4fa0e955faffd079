//! Checkpoints of a large state under full load: how large, how long, and how long nothing is
//! processed meanwhile.
//!
//! 1. The state is made, then all its keys are touched at random: the worst case for a checkpoint,
//!    which must write what is about to change before it does. The longest pause is measured first
//!    without a checkpoint, then through the first one, which is full.
//! 2. From then on only 1 % of the keys are touched. What the first checkpoint was overtaken by
//!    goes into the second; if that is more than deltas are for, the third is full again. The last
//!    is a delta of 1 % in any case.
//!
//! Sizes are those of the state files, encoded and not compressed.

use std::time::{Duration, Instant};

use hurtig::{ParameterTool, prelude::*};
use serde_json::json;

use crate::{
    job::{CheckpointDirectory, RunningJob, bytes_or, mb, ms, pass},
    load::Load,
    memory,
};

/// How long the load is watched without a checkpoint.
const WATCH: Duration = Duration::from_secs(3);
/// Keys in percent that the incremental checkpoint finds touched.
const TOUCHED_PERCENT: u64 = 1;

/// A checkpoint, or the time without one.
struct Phase {
    name: &'static str,
    took: Duration,
    bytes: u64,
    sync_ms: u64,
    pause: Duration,
    records_per_s: f64,
}

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let state_bytes = bytes_or(parameters, "state-bytes", 1_000_000_000)?;
    let parallelism: u32 = parameters.parse_or("parallelism", 1)?;
    let as_json = parameters.get("json").is_some();
    let directory = CheckpointDirectory::new(parameters.get("directory"))?;
    let load = Load::new(state_bytes, parallelism);
    let env = StreamExecutionEnvironment::new();
    env.set_checkpoint_directory(directory.url());
    load.build(&env);
    let began = Instant::now();
    let job = RunningJob::start(&env, "checkpoint")?;
    job.wait_until("the state is complete", || load.is_filled())?;
    let rss_mb = memory::rss_kb(std::process::id()).unwrap_or(0) / 1024;
    let (filling_pause, _) = load.take_figures();
    let filled_in = began.elapsed();
    if !as_json {
        println!(
            "{} keys, parallelism {parallelism}; made in {:.1} s with pauses of at most {:.1} ms; RSS {rss_mb} MB",
            load.keys(),
            filled_in.as_secs_f64(),
            ms(filling_pause)
        );
        println!(
            "{:<26} {:>9} {:>9} {:>8} {:>9} {:>12}",
            "", "MB", "s", "sync ms", "pause ms", "records/s"
        );
    }
    memory::reset_peak();
    load.touch(100);
    let mut phases = vec![undisturbed(&load, "all keys, no checkpoint")];
    phases.push(checkpoint(&job, &load, "full, all keys touched")?);
    load.touch(TOUCHED_PERCENT);
    phases.push(checkpoint(&job, &load, "what the first left")?);
    phases.push(checkpoint(&job, &load, "delta or full")?);
    phases.push(undisturbed(&load, "1 % of the keys, none"));
    phases.push(checkpoint(&job, &load, "delta of 1 %")?);
    let peak_rss_mb = memory::peak_rss_mb().unwrap_or(0);
    let relative = phases[5].bytes as f64 / phases[1].bytes.max(1) as f64;
    for phase in &phases {
        print(phase, parallelism, as_json);
    }
    if as_json {
        let line = json!({
            "keys": load.keys(), "parallelism": parallelism, "rss_mb": rss_mb,
            "peak_rss_mb": peak_rss_mb, "delta_to_full": relative,
            "filling_pause_ms": ms(filling_pause),
        });
        println!("{line}");
    } else {
        println!("delta / full: {:.2} %; peak RSS {peak_rss_mb} MB", relative * 100.0);
    }
    Ok(true)
}

fn undisturbed(load: &Load, name: &'static str) -> Phase {
    // What was in flight of the load before is gone by then.
    pass(Duration::from_millis(500));
    load.take_figures();
    let began = Instant::now();
    pass(WATCH);
    let (pause, records) = load.take_figures();
    let took = began.elapsed();
    let records_per_s = records as f64 / took.as_secs_f64();
    Phase { name, took, bytes: 0, sync_ms: 0, pause, records_per_s }
}

fn checkpoint(job: &RunningJob, load: &Load, name: &'static str) -> Result<Phase, BoxError> {
    load.take_figures();
    let (stats, took) = job.checkpoint()?;
    let (pause, records) = load.take_figures();
    Ok(Phase {
        name,
        took,
        bytes: stats.totals.checkpointed_bytes,
        sync_ms: stats.totals.sync_duration_ms,
        pause,
        records_per_s: records as f64 / took.as_secs_f64(),
    })
}

fn print(phase: &Phase, parallelism: u32, as_json: bool) {
    let Phase { name, took, bytes, sync_ms, pause, records_per_s } = phase;
    let (took_s, size_mb, pause_ms) = (took.as_secs_f64(), mb(*bytes), ms(*pause));
    if as_json {
        let line = json!({
            "phase": name, "parallelism": parallelism, "bytes": bytes, "took_ms": ms(*took),
            "sync_ms": sync_ms, "pause_ms": pause_ms, "records_per_s": records_per_s.round(),
        });
        println!("{line}");
    } else {
        println!(
            "{name:<26} {size_mb:>9.1} {took_s:>9.2} {sync_ms:>8} {pause_ms:>9.1} {records_per_s:>12.0}"
        );
    }
}
