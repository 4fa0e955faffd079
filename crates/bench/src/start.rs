//! How fast an embedded cluster starts, and what it weighs when it has nothing to do.
//!
//! `start` runs this program again as a child: a job with a source that emits one record and then
//! waits for ever. The child prints a line when the record arrives at its sink; the time from its
//! start to that line, and its resident memory a second later, are what counts.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hurtig::{
    connectors::{DataGeneratorSource, PrintSink},
    prelude::*,
};

use crate::memory;

/// Runs the child some times and prints the best and worst of each figure.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let runs: usize = parameters.parse_or("runs", 5)?;
    let mut starts_ms = Vec::new();
    let mut memory_kb = Vec::new();
    for _ in 0..runs.max(1) {
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("start-child")
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the child has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        starts_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        // Idle means that time passes.
        std::thread::park_timeout(Duration::from_secs(1));
        memory_kb.push(memory::rss_kb(child.id()).ok_or("the child's memory is not known")?);
        child.kill()?;
        child.wait()?;
        if line.trim() != "0" {
            return Err(format!("the child printed {line:?}").into());
        }
    }
    starts_ms.sort_by(f64::total_cmp);
    memory_kb.sort_unstable();
    println!(
        "process start to first record: {:.1} to {:.1} ms; idle RSS: {:.1} to {:.1} MB ({runs} runs)",
        starts_ms[0],
        starts_ms[starts_ms.len() - 1],
        memory_kb[0] as f64 / 1024.0,
        memory_kb[memory_kb.len() - 1] as f64 / 1024.0,
    );
    Ok(true)
}

/// The child: one record, then nothing for ever.
pub fn child() -> Result<bool, BoxError> {
    let env = StreamExecutionEnvironment::new();
    // The second record would come in a day.
    let source = DataGeneratorSource::new(|index| index, None, Some(1.0 / 86_400.0));
    env.from_source(source, WatermarkStrategy::no_watermarks(), "One record")
        .key_by(|index| *index)
        .reduce(|sum, index| *sum += index)
        .sink_to(PrintSink::display());
    env.execute("start")?;
    Ok(true)
}
