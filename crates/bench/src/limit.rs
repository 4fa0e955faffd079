//! The engine against the limit, and with checkpoints against itself without.
//!
//! With a checkpoint interval every query runs in turns without and with periodic exactly-once
//! checkpoints to a directory, so that both see the same machine.

mod answer;
mod joins;
mod stateless;
mod windows;
mod word_count;

use std::time::Instant;

use crate::{job::CheckpointDirectory, memory};
use answer::Answer;
use hurtig::{ParameterTool, prelude::*};
use hurtig_nexmark::{Event, NexmarkGenerator};
use serde_json::json;

/// One query in both forms.
struct Query {
    name: &'static str,
    engine: fn(&StreamExecutionEnvironment, u64) -> Result<Answer, ExecuteError>,
    by_hand: fn(u64) -> Answer,
}

const QUERIES: &[Query] = &[
    Query { name: "word_count", engine: word_count::engine, by_hand: word_count::by_hand },
    Query { name: "q0", engine: stateless::q0_engine, by_hand: stateless::q0_loop },
    Query { name: "q1", engine: stateless::q1_engine, by_hand: stateless::q1_loop },
    Query { name: "q2", engine: stateless::q2_engine, by_hand: stateless::q2_loop },
    Query { name: "q3", engine: joins::q3_engine, by_hand: joins::q3_loop },
    Query { name: "q4", engine: joins::q4_engine, by_hand: joins::q4_loop },
    Query { name: "q5", engine: windows::q5_engine, by_hand: windows::q5_loop },
    Query { name: "q7", engine: windows::q7_engine, by_hand: windows::q7_loop },
    Query { name: "q8", engine: joins::q8_engine, by_hand: joins::q8_loop },
];

/// The stream of all events.
fn events(env: &StreamExecutionEnvironment, count: u64) -> DataStream<Event> {
    env.from_source(
        hurtig::connectors::NexmarkSource::new(Some(count)),
        WatermarkStrategy::for_monotonous_timestamps(),
        "Nexmark",
    )
}

/// Milliseconds between watermarks. At the tens of millions of events per second that these
/// queries see, the default of 200 ms would keep seconds of finished windows and auctions in state.
const WATERMARK_INTERVAL_MS: u64 = 20;

/// All events, one after the other.
fn for_each_event(count: u64, mut f: impl FnMut(Event)) {
    let Ok(mut generator) = NexmarkGenerator::new(0, 1, Some(count)) else { return };
    while let Some(event) = generator.next_event() {
        f(event);
    }
}

/// What is to be measured.
struct Plan {
    events: u64,
    parallelism: u32,
    runs: usize,
    as_json: bool,
    checkpoint_interval_ms: Option<u64>,
}

/// Runs the benchmark; false if an answer was wrong.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let interval = parameters.get("checkpoint-interval");
    let plan = Plan {
        events: parameters.parse_or("events", 10_000_000)?,
        parallelism: parameters.parse_or("parallelism", 1)?,
        runs: parameters.parse_or("runs", 3)?,
        as_json: parameters.get("json").is_some(),
        checkpoint_interval_ms: interval.map(str::parse).transpose()?,
    };
    let wanted = parameters.get("query");
    if let Some(name) = wanted
        && !QUERIES.iter().any(|query| query.name == name)
    {
        return Err(format!("there is no query {name:?}").into());
    }
    if !plan.as_json {
        let Plan { events, parallelism, runs, .. } = &plan;
        println!("{events} events, parallelism {parallelism}, best of {runs} runs each");
        print!(
            "{:<11} {:>14} {:>14} {:>6} {:>9}  same answer",
            "query", "engine ev/s", "loop ev/s", "ratio", "peak RSS"
        );
        println!("{}", interval.map_or("", |_| "  with checkpoints: ev/s, ratio, number"));
    }
    let mut all_same = true;
    for query in QUERIES.iter().filter(|query| wanted.is_none_or(|name| name == query.name)) {
        all_same &= measure(query, &plan)?;
    }
    Ok(all_same)
}

/// The best times so far, in seconds, and whether all answers were the same.
struct Best {
    by_hand: f64,
    engine: f64,
    with_checkpoints: f64,
    /// In the best run with checkpoints.
    checkpoints: u64,
    same: bool,
    peak_rss_mb: u64,
}

/// Runs the engine once, and returns how long it took in seconds.
fn run_engine(
    query: &Query,
    plan: &Plan,
    expected: &Answer,
    interval_ms: Option<u64>,
    best: &mut Best,
) -> Result<f64, BoxError> {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(plan.parallelism).set_auto_watermark_interval_ms(WATERMARK_INTERVAL_MS);
    let directory = interval_ms.map(|_| CheckpointDirectory::new(None)).transpose()?;
    if let (Some(interval_ms), Some(directory)) = (interval_ms, &directory) {
        env.enable_checkpointing(interval_ms).set_checkpoint_directory(directory.url());
    }
    answer::forget_checkpoints();
    let began = Instant::now();
    let answer = (query.engine)(&env, plan.events)?;
    let took = began.elapsed().as_secs_f64();
    if answer != *expected {
        best.same = false;
        eprintln!("{}: engine {answer:?}, loop {expected:?}", query.name);
    }
    Ok(took)
}

fn measure(query: &Query, plan: &Plan) -> Result<bool, BoxError> {
    let slowest = f64::INFINITY;
    let mut best = Best {
        by_hand: slowest,
        engine: slowest,
        with_checkpoints: slowest,
        checkpoints: 0,
        same: true,
        peak_rss_mb: 0,
    };
    // Warm the tables up for both.
    (query.by_hand)(plan.events.min(100_000));
    for run in 0..plan.runs.max(1) {
        let began = Instant::now();
        let expected = (query.by_hand)(plan.events);
        best.by_hand = best.by_hand.min(began.elapsed().as_secs_f64());
        // Who comes first changes from run to run, as whatever was before may leave its traces.
        let mut turns = vec![None];
        turns.extend(plan.checkpoint_interval_ms.map(Some));
        if run % 2 == 1 {
            turns.reverse();
        }
        for interval_ms in turns {
            memory::reset_peak();
            let took = run_engine(query, plan, &expected, interval_ms, &mut best)?;
            if interval_ms.is_none() {
                best.engine = best.engine.min(took);
                best.peak_rss_mb = memory::peak_rss_mb().unwrap_or(0).max(best.peak_rss_mb);
            } else if took < best.with_checkpoints {
                best.with_checkpoints = took;
                best.checkpoints = answer::checkpoints() / u64::from(plan.parallelism.max(1));
            }
        }
    }
    if plan.checkpoint_interval_ms.is_some() && best.checkpoints < 3 {
        let (name, number) = (query.name, best.checkpoints);
        eprintln!("{name}: {number} checkpoints are too few to tell; more --events are needed");
    }
    print(query, plan, &best);
    Ok(best.same)
}

fn print(query: &Query, plan: &Plan, best: &Best) {
    let events = plan.events as f64;
    let (engine, by_hand) = (events / best.engine, events / best.by_hand);
    let ratio = engine / by_hand;
    let checkpointed = events / best.with_checkpoints;
    let kept = best.engine / best.with_checkpoints;
    let rounded = |ratio: f64| (ratio * 1000.0).round() / 1000.0;
    if plan.as_json {
        let mut line = json!({
            "query": query.name, "events": plan.events, "parallelism": plan.parallelism,
            "engine_events_per_s": engine.round(), "loop_events_per_s": by_hand.round(),
            "ratio": rounded(ratio), "peak_rss_mb": best.peak_rss_mb, "same_answer": best.same,
        });
        if let Some(interval_ms) = plan.checkpoint_interval_ms {
            line["checkpoint_interval_ms"] = json!(interval_ms);
            line["checkpointed_events_per_s"] = json!(checkpointed.round());
            line["checkpointed_ratio"] = json!(rounded(kept));
            line["checkpoints"] = json!(best.checkpoints);
        }
        println!("{line}");
    } else {
        let (name, rss, number) = (query.name, best.peak_rss_mb, best.checkpoints);
        let same = if best.same { "yes" } else { "NO " };
        print!("{name:<11} {engine:>14.0} {by_hand:>14.0} {ratio:>6.2} {rss:>6} MB  {same}");
        match plan.checkpoint_interval_ms {
            Some(_) => println!("          {checkpointed:>14.0} {kept:>6.3} {number:>4}"),
            None => println!(),
        }
    }
}
