//! Seeds, and what keeps them honest: runs are repeatable, and the checkers see what is wrong.

use hurtig_sim::{
    Scenario,
    faults::{Fault, Planned},
    run,
};

#[test]
fn twenty_seeds_keep_every_property() {
    for seed in 0..20 {
        let report = run(&Scenario::of_seed(seed), false);
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
    }
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in [3, 5, 8] {
        let scenario = Scenario::of_seed(seed);
        let (one, other) = (run(&scenario, true), run(&scenario, true));
        let lines = one.trace.iter().zip(&other.trace);
        assert_eq!(lines.into_iter().find(|(one, other)| one != other), None, "seed {seed}");
        assert_eq!((one.hash, one.events), (other.hash, other.events), "seed {seed}");
    }
}

#[test]
fn the_checkers_see_a_sink_that_commits_too_early() {
    let found = (0..40).any(|seed| {
        let scenario = Scenario { broken_sink: true, ..Scenario::of_seed(seed) };
        let report = run(&scenario, false);
        report.violations.iter().any(|violation| violation.starts_with("output differs"))
    });
    assert!(found, "a sink that commits before the checkpoint repeats records after a failure");
}

/// A job whose latest checkpoint has rotted goes on from the one before: what it has committed since
/// is taken back and done again.
#[test]
fn jobs_fall_back_when_files_rot() {
    let (mut rotten, mut fell_back) = (0, 0);
    for seed in 0..400 {
        let scenario = Scenario::of_seed(seed);
        let rots = |planned: &Planned| matches!(planned.fault, Fault::RottenFile { .. });
        if !scenario.faults.iter().any(rots) {
            continue;
        }
        let report = run(&scenario, true);
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        let has = |what: &str| report.trace.iter().any(|line| line.contains(what));
        rotten += u32::from(has(" has rotted at "));
        fell_back += u32::from(has(" transactions taken back"));
    }
    assert!(rotten > 10 && fell_back > 3, "{rotten} runs with rotten files, {fell_back} fell back");
}
