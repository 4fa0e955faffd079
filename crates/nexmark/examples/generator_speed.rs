//! Measures the generator: nanoseconds per event of one core, for each way to read it.
//!
//! `cargo run --release -p hurtig-nexmark --example generator_speed -- 20000000`

#![allow(clippy::disallowed_methods)] // it measures time
use std::hint::black_box;
use std::time::Instant;

use hurtig_nexmark::{Event, NexmarkGenerator};

const BATCH_SIZE: usize = 1024;
#[cfg(feature = "arrow")]
const ROWS: usize = 8192;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events: u64 = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 20_000_000,
    };
    let first = Instant::now();
    let generator = NexmarkGenerator::new(0, 1, Some(events))?;
    println!("tables               {:>7.1} ms", first.elapsed().as_secs_f64() * 1e3);

    measure("iterator", events, || generator.clone().into_iter().map(|e| e.timestamp()).sum());
    measure("fill, one split", events, || fill(generator.clone()));
    let half = NexmarkGenerator::new(1, 2, Some(2 * events))?;
    measure("fill, split 1 of 2", events, || fill(half.clone()));
    measure("complete bids", events, || {
        (0..events).filter_map(|i| generator.bid(i)).map(|bid| black_box(bid).price).sum()
    });
    measure("auction and price", events, || {
        let bids = (0..events).filter_map(|i| generator.lazy_bid(i));
        bids.map(|bid| bid.auction() ^ bid.price()).sum()
    });
    #[cfg(feature = "arrow")]
    for (name, paths) in [
        ("arrow, all", &["event_type", "person", "auction", "bid"][..]),
        ("arrow, bids", &["event_type", "bid"]),
        ("arrow, url", &["bid.url"]),
        ("arrow, extra", &["bid.extra"]),
        ("arrow, q5", &["event_type", "bid.auction", "bid.dateTime"]),
        ("arrow, event_type", &["event_type"]),
    ] {
        let projection = hurtig_nexmark::Projection::of_paths(paths.iter().copied())?;
        let columns = hurtig_nexmark::columns::ColumnGenerator::new(generator.clone(), projection);
        measure(name, events, || columns_of(columns.clone()));
    }
    Ok(())
}

#[cfg(feature = "arrow")]
fn columns_of(mut columns: hurtig_nexmark::columns::ColumnGenerator) -> i64 {
    let mut rows = 0;
    while let Ok(Some(batch)) = columns.next_batch(ROWS) {
        rows += black_box(batch).num_rows() as i64;
    }
    rows
}

fn fill(mut generator: NexmarkGenerator) -> i64 {
    let mut batch: Vec<Event> = Vec::with_capacity(BATCH_SIZE);
    let mut sum = 0;
    while generator.fill(&mut batch, BATCH_SIZE) > 0 {
        sum += black_box(&batch).last().map_or(0, Event::timestamp);
        batch.clear();
    }
    sum
}

/// Runs `work` three times and prints the best time per event.
fn measure(name: &str, events: u64, mut work: impl FnMut() -> i64) {
    let best = (0..3)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{name:<20} {:>7.2} ns per event", best.as_secs_f64() * 1e9 / events as f64);
}
