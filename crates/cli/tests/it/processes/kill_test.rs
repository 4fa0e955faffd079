//! A short run of the kill test. `hurtig-chaos` makes long ones.

use std::{path::Path, time::Duration};

use hurtig_chaos::{
    cluster::Programs,
    faults::{PlannedStrike, Strike, Victim},
    input::InputFiles,
    run::{Options, run},
};

/// One fault of each kind: two of them to the JobManagers, so that one of them hits the leader.
fn plan() -> Vec<PlannedStrike> {
    let kill = |millis| Strike::Kill { back_after: Duration::from_millis(millis) };
    let stop = |millis| Strike::Stop { for_: Duration::from_millis(millis) };
    [
        (1_500, Victim::JobManager(0), kill(200)),
        (1_000, Victim::TaskManager(0), kill(500)),
        (1_000, Victim::JobManager(1), kill(200)),
        (1_000, Victim::ZooKeeper, kill(200)),
        (1_000, Victim::TaskManager(1), stop(1_000)),
        (500, Victim::TaskManager(2), Strike::Restart),
    ]
    .map(|(after_ms, victim, fault)| PlannedStrike {
        after: Duration::from_millis(after_ms),
        victim,
        fault,
    })
    .into()
}

#[test]
fn what_is_written_is_right_whoever_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let hurtig = Path::new(env!("CARGO_BIN_EXE_hurtig"));
    let job = hurtig.parent().unwrap().join("examples").join("kill_test_job");
    assert!(job.exists(), "{job:?} is built by `cargo test -p hurtig-cli`");
    let plan = plan();
    let faults = plan.len();
    let options = Options {
        programs: Programs { hurtig: hurtig.to_owned(), job },
        directory: directory.path().to_owned(),
        // About half a minute, undisturbed.
        input: InputFiles { files: 2, lines: 25_000, keys: 97 },
        rate: 1_000,
        task_managers: 3,
        high_availability: true,
        plan,
        patience: Duration::from_secs(300),
        verbose: false,
    };
    match run(&options) {
        // It has said so.
        Ok(None) => {}
        Ok(Some(outcome)) => assert_eq!(outcome.faults, faults),
        Err(problem) => panic!("{problem}"),
    }
}
