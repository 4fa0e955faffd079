//! The engine against the limit.

mod answer;
mod joins;
mod stateless;
mod windows;
mod word_count;

use std::time::Instant;

use crate::memory;
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

/// Runs the benchmark; false if an answer was wrong.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let events: u64 = parameters.parse_or("events", 10_000_000)?;
    let parallelism: u32 = parameters.parse_or("parallelism", 1)?;
    let runs: usize = parameters.parse_or("runs", 3)?;
    let as_json = parameters.get("json").is_some();
    let wanted = parameters.get("query");
    if let Some(name) = wanted
        && !QUERIES.iter().any(|query| query.name == name)
    {
        return Err(format!("there is no query {name:?}").into());
    }
    if !as_json {
        println!("{events} events, parallelism {parallelism}, best of {runs} runs each");
        println!(
            "{:<11} {:>14} {:>14} {:>6} {:>9}  same answer",
            "query", "engine ev/s", "loop ev/s", "ratio", "peak RSS"
        );
    }
    let mut all_same = true;
    for query in QUERIES.iter().filter(|query| wanted.is_none_or(|name| name == query.name)) {
        all_same &= measure(query, events, parallelism, runs, as_json)?;
    }
    Ok(all_same)
}

fn measure(
    query: &Query,
    events: u64,
    parallelism: u32,
    runs: usize,
    as_json: bool,
) -> Result<bool, BoxError> {
    let (mut best_engine, mut best_loop) = (f64::INFINITY, f64::INFINITY);
    let mut same = true;
    let mut peak_rss_mb = 0;
    // Warm the tables up for both.
    (query.by_hand)(events.min(100_000));
    for _ in 0..runs.max(1) {
        let began = Instant::now();
        let expected = (query.by_hand)(events);
        best_loop = best_loop.min(began.elapsed().as_secs_f64());
        memory::reset_peak();
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism).set_auto_watermark_interval_ms(WATERMARK_INTERVAL_MS);
        let began = Instant::now();
        let answer = (query.engine)(&env, events)?;
        best_engine = best_engine.min(began.elapsed().as_secs_f64());
        peak_rss_mb = memory::peak_rss_mb().unwrap_or(0).max(peak_rss_mb);
        if answer != expected {
            same = false;
            eprintln!("{}: engine {answer:?}, loop {expected:?}", query.name);
        }
    }
    let (engine, by_hand) = (events as f64 / best_engine, events as f64 / best_loop);
    let ratio = engine / by_hand;
    if as_json {
        let line = json!({
            "query": query.name, "events": events, "parallelism": parallelism,
            "engine_events_per_s": engine.round(), "loop_events_per_s": by_hand.round(),
            "ratio": (ratio * 1000.0).round() / 1000.0, "peak_rss_mb": peak_rss_mb,
            "same_answer": same,
        });
        println!("{line}");
    } else {
        println!(
            "{:<11} {engine:>14.0} {by_hand:>14.0} {ratio:>6.2} {peak_rss_mb:>6} MB  {}",
            query.name,
            if same { "yes" } else { "NO" }
        );
    }
    Ok(same)
}
