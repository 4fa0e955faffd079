//! The corpus of SQL scripts with the results that Flink gave (`tests/oracle`).
//!
//! Data-driven: a new case needs no change here, and is one test per way of running it. Cases that do
//! not pass yet are listed in `tests/oracle/failing.txt` with the reason; one that is listed and
//! passes fails the test, so that the list only shrinks. Cases that stay out are in the same file.

#![allow(clippy::unwrap_used)]

#[path = "oracle/case.rs"]
mod case;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/script.rs"]
mod script;

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use case::{Case, Way};

/// The ways in which each case runs.
const WAYS: [Way; 5] = [
    Way { parallelism: 1, then: None, splits: false },
    Way { parallelism: 4, then: None, splits: false },
    Way { parallelism: 1, then: Some(4), splits: false },
    Way { parallelism: 4, then: Some(1), splits: false },
    Way { parallelism: 4, then: None, splits: true },
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle");
    let mut arguments = Arguments::from_args();
    // Each case has a cluster of its own, with as many tasks as it likes.
    arguments.test_threads.get_or_insert(2);
    let failing = match failing(&root.join("failing.txt")) {
        Ok(failing) => failing,
        Err(error) => {
            eprintln!("failing.txt: {error}");
            return ExitCode::FAILURE;
        }
    };
    let cases = case::all(&root);
    let unknown: Vec<_> =
        failing.keys().filter(|name| !cases.iter().any(|case| case.name == **name)).collect();
    if !unknown.is_empty() {
        eprintln!("failing.txt names cases that do not exist: {unknown:?}");
        return ExitCode::FAILURE;
    }
    let trials = cases.into_iter().flat_map(|case| {
        let known = failing.get(&case.name).cloned();
        // There is nothing to resume of a script that Flink refuses.
        let negative = case.is_negative();
        let distinct = case.has_distinct() && !negative;
        let fits = move |way: &Way| (way.then.is_none() || !negative) && (!way.splits || distinct);
        let ways = WAYS.into_iter().filter(fits);
        ways.map(move |way| {
            let (case, known) = (case.clone(), known.clone());
            let name = match way {
                Way { parallelism, splits: true, .. } => {
                    format!("parallelism {parallelism} with split aggregates")
                }
                Way { parallelism, then: None, .. } => format!("parallelism {parallelism}"),
                Way { parallelism, then: Some(then), .. } => {
                    format!("stopped at parallelism {parallelism} and resumed at {then}")
                }
            };
            let name = format!("{} {name}", case.name);
            Trial::test(name, move || check(&case, way, known.as_deref()))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Runs a case. One that is known to fail must fail at parallelism 1, else the list is out of date.
fn check(case: &Case, way: Way, known: Option<&str>) -> Result<(), Failed> {
    let outcome = case.run(way);
    match (outcome, known) {
        (outcome, None) => outcome.map_err(Failed::from),
        (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some(_)) if way.parallelism > 1 || way.then.is_some() => Ok(()),
        (Ok(()), Some(reason)) => {
            Err(format!("it passes: take it out of failing.txt ({reason})").into())
        }
    }
}

/// `area/case: reason`, one a line.
fn failing(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = lines.map(|line| {
        let (name, reason) = line.split_once(": ").ok_or_else(|| format!("no reason: {line}"))?;
        Ok((name.to_owned(), reason.to_owned()))
    });
    entries.collect()
}
