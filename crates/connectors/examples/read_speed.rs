//! Measures how fast one reader reads: `read_speed <path>` for text, without a path for Nexmark.

use std::{error::Error, hint::black_box};

use hurtig_connector_api::{EnumeratorAction, ReadStatus, ReaderContext, Source, SourceOutput};
use hurtig_connectors::{NexmarkSource, TextFileSource};
use hurtig_env::{Clock, OwnedRuntimes, Signal};
use hurtig_metrics::MetricGroup;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let Some(path) = std::env::args().nth(1) else {
        let events = 20_000_000;
        let seconds = read(&NexmarkSource::new(Some(events)), |_| 1)?.1;
        println!("{:.1} million events/s", events as f64 / 1e6 / seconds);
        return Ok(());
    };
    let (bytes, seconds) = read(&TextFileSource::new(path), |line| line.len() as u64 + 1)?;
    println!("{:.0} MB/s", bytes as f64 / 1e6 / seconds);
    Ok(())
}

/// Reads all and returns the size of it, and the seconds that it took.
fn read<S: Source>(
    source: &S,
    size: impl Fn(&S::Record) -> u64,
) -> Result<(u64, f64), Box<dyn Error + Send + Sync>> {
    let runtimes = OwnedRuntimes::start(Some(1))?;
    let clock = Clock::system();
    let mut reader = source.create_reader(ReaderContext {
        subtask: 0,
        parallelism: 1,
        clock,
        signal: Signal::new(),
        runtimes: runtimes.handles(),
        metrics: MetricGroup::detached(),
    })?;
    let mut enumerator = source.create_enumerator(1)?;
    let mut actions = Vec::new();
    enumerator.start(&mut actions)?;
    let started = clock.monotonic();
    let (mut total, mut ended) = (0, false);
    loop {
        let mut out = SourceOutput::default();
        let status = reader.read(1024, &mut out)?;
        total += black_box(&out.values).iter().map(&size).sum::<u64>();
        if status != ReadStatus::NeedSplit {
            continue;
        }
        if ended {
            return Ok((total, (clock.monotonic() - started).as_secs_f64()));
        }
        enumerator.on_split_request(0, &mut actions)?;
        for action in actions.drain(..) {
            match action {
                EnumeratorAction::Assign { splits, .. } => reader.add_splits(splits)?,
                EnumeratorAction::NoMoreSplits { .. } => ended = true,
                EnumeratorAction::CallAfterMs(_) => {}
            }
        }
    }
}
