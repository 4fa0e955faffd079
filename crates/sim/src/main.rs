//! Runs seeds. See the library for what a seed is.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    thread,
};

use hurtig_sim::{Report, Scenario, run};

struct Arguments {
    seed: Option<u64>,
    from: u64,
    seeds: u64,
    twice: bool,
    calm: bool,
    log: Option<String>,
}

const USAGE: &str =
    "hurtig-sim [--seeds N] [--from M] [--seed S] [--twice] [--calm] [--log FILTER]";

fn arguments() -> Result<Arguments, String> {
    let mut found =
        Arguments { seed: None, from: 0, seeds: 100, twice: false, calm: false, log: None };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{flag} needs a value\n{USAGE}"));
        let number = |text: String| text.parse::<u64>().map_err(|e| format!("{text:?}: {e}"));
        match flag.as_str() {
            "--seeds" => found.seeds = number(value()?)?,
            "--from" => found.from = number(value()?)?,
            "--seed" => found.seed = Some(number(value()?)?),
            "--log" => found.log = Some(value()?),
            "--twice" => found.twice = true,
            "--calm" => found.calm = true,
            _ => return Err(format!("unknown argument {flag:?}\n{USAGE}")),
        }
    }
    Ok(found)
}

/// Injected panics are part of a run; all others are shown.
fn hide_injected_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        if !text.is_some_and(|text| text.contains("injected")) {
            shown(panic);
        }
    }));
}

fn fails(report: &Report) -> bool {
    !report.violations.is_empty()
}

fn scenario_of(seed: u64, arguments: &Arguments) -> Scenario {
    let scenario = Scenario::of_seed(seed);
    if arguments.calm { scenario.without_faults() } else { scenario }
}

fn run_one(seed: u64, arguments: &Arguments) -> Report {
    let scenario = scenario_of(seed, arguments);
    let mut report = run(&scenario, false);
    if arguments.twice {
        let again = run(&scenario, false);
        if again.hash != report.hash {
            report.violations.push("a second run differs".to_owned());
        }
    }
    report
}

fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let scenario = scenario_of(seed, arguments);
    println!("{scenario:#?}");
    let report = run(&scenario, true);
    report.trace.iter().for_each(|line| println!("{line}"));
    if arguments.twice {
        let again = run(&scenario, true);
        let lines = report.trace.iter().zip(&again.trace);
        match lines.enumerate().find(|(_, (one, other))| one != other) {
            Some((at, (one, other))) => println!("differs at line {at}:\n{one}\n{other}"),
            None => println!("a second run is the same: {}", again.hash == report.hash),
        }
    }
    println!(
        "seed {seed}: {} events in {} ms, {} restarts, hash {:016x}, faults {:?}",
        report.events, report.simulated_ms, report.restarts, report.hash, report.struck
    );
    report.violations.iter().for_each(|violation| println!("VIOLATION {violation}"));
    if fails(&report) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    hide_injected_panics();
    if let Some(filter) = &arguments.log {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    if let Some(seed) = arguments.seed {
        return replay(seed, &arguments);
    }
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let (failed, restarts) = (AtomicUsize::new(0), AtomicU64::new(0));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= end {
                        return;
                    }
                    let report = run_one(seed, &arguments);
                    restarts.fetch_add(u64::from(report.restarts), Relaxed);
                    if fails(&report) {
                        failed.fetch_add(1, Relaxed);
                        let first = report.violations.first().map_or("", String::as_str);
                        let first: String = first.chars().take(150).collect();
                        println!("seed {seed}: {} violations: {first}", report.violations.len());
                    }
                }
            });
        }
    });
    let (failed, restarts) = (failed.into_inner(), restarts.into_inner());
    println!("{} seeds, {restarts} restarts, {failed} failed", arguments.seeds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
