//! A job to submit to a cluster, well-behaved or not.
//!
//!     hurtig run target/release/examples/cluster_job -- --output DIR [--records N] [--rate N]
//!
//! It writes the numbers below `--records` into files, each once, by way of a map on another task.
//! With `--until FILE` it does not end before that file is there. `--mode` makes a different program
//! of it, as users write them: see `main`.

mod held;

use std::{io::Write, time::Duration};

use hurtig::{connectors::DataGeneratorSource, graph::RestartStrategyConfig, prelude::*};

use held::Held;

fn main() -> Result<(), BoxError> {
    let (env, parameters) = StreamExecutionEnvironment::from_args(std::env::args().skip(1))?;
    let mode = parameters.get("mode").unwrap_or("numbers").to_owned();
    match &*mode {
        "numbers" => {}
        "panics" => panic!("this program does not like its arguments"),
        "ends" => return Ok(()),
        "exits" => std::process::exit(7),
        "waits" => loop {
            std::thread::park();
        },
        "talks" => {
            // Megabytes, before there is a job.
            let line = "a program that talks and talks and talks and talks and talks\n".repeat(100);
            for _ in 0..500 {
                std::io::stdout().write_all(line.as_bytes())?;
                std::io::stderr().write_all(line.as_bytes())?;
            }
        }
        // Another graph each time that the program runs.
        "changes" => {
            let changing = 3 + std::process::id() % 1000;
            env.set_max_parallelism(changing + 1000);
        }
        other => return Err(format!("there is no mode {other:?}").into()),
    }
    let records = parameters.parse_or("records", 1000)?;
    let rate: f64 = parameters.parse_or("rate", 0.0)?;
    env.set_restart_strategy(RestartStrategyConfig::FixedDelay { attempts: 20, delay_ms: 50 });
    if let Some(directory) = parameters.get("checkpoints") {
        env.set_checkpoint_directory(directory).enable_checkpointing(100);
    }
    let secret = parameters.get("cached").map(|path| {
        env.register_cached_file(path, "cached");
    });
    let source = DataGeneratorSource::new(|n| n, Some(records), (rate > 0.0).then_some(rate));
    let source = Held { inner: source, until: parameters.get("until").map(Into::into) };
    let numbers = env.from_source(source, WatermarkStrategy::no_watermarks(), "Numbers");
    let numbers = numbers.rebalance().map_with(Pass { reads: secret.is_some(), cached: 0 });
    let line = |n: &u64, out: &mut Vec<u8>| out.extend_from_slice(format!("{n}\n").as_bytes());
    let policy = DefaultRollingPolicy::new().with_rollover_interval(Duration::from_millis(100));
    let sink =
        FileSink::for_row_format(parameters.required("output")?, line).with_rolling_policy(policy);
    numbers.sink_to(sink).name("Files").uid("files");
    env.execute("numbers")?;
    println!("done");
    Ok(())
}

/// Lets numbers pass, plus the number in the cached file if there is one.
#[derive(Clone)]
struct Pass {
    reads: bool,
    cached: u64,
}

impl MapFunction<u64, u64> for Pass {
    fn open(&mut self, context: &RuntimeContext) -> Result<(), BoxError> {
        if self.reads {
            let text = std::fs::read_to_string(context.cached_file("cached")?)?;
            self.cached = text.trim().parse()?;
        }
        Ok(())
    }

    fn map(&mut self, n: u64) -> Result<u64, BoxError> {
        Ok(n + self.cached)
    }
}
