//! Runs one target for as many changed inputs as wanted: `long sql_scripts 0 1000000`.

use std::panic::{self, AssertUnwindSafe};

use hurtig_fuzz_targets::TARGETS;

/// Inputs between two signs of life.
const REPORT_EVERY: u64 = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("which target?")?;
    let from: u64 = arguments.next().ok_or("from which seed?")?.parse()?;
    let count: u64 = arguments.next().ok_or("how many inputs?")?.parse()?;
    let target = TARGETS.iter().find(|target| target.name == name).ok_or("no such target")?;
    let corpus = (target.corpus)();
    let mut failed = 0;
    for seed in from..from.saturating_add(count) {
        let input = target.input(seed, &corpus);
        if panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            failed += 1;
            eprintln!("seed {seed}: the panic above");
        }
        if (seed + 1) % REPORT_EVERY == 0 {
            eprintln!("{} inputs, {failed} failed", seed + 1 - from);
        }
    }
    println!("{count} inputs, {failed} failed");
    Ok(())
}
