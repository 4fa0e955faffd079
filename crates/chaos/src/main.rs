//! The driver of the kill test.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use hurtig_chaos::{
    cluster::Programs,
    faults::plan,
    input::InputFiles,
    run::{Options, run},
};

/// Kills, stops and restarts random processes of a cluster while a job writes files exactly once.
#[derive(Parser)]
struct Arguments {
    /// Number of faults.
    #[arg(long, default_value_t = 60)]
    faults: usize,
    /// What the faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// TaskManagers.
    #[arg(long, default_value_t = 3)]
    taskmanagers: usize,
    /// One JobManager that nobody hits, and no ZooKeeper.
    #[arg(long)]
    taskmanagers_alone: bool,
    /// Lines of each of the two input files: enough for the job to last longer than the faults.
    #[arg(long, default_value_t = 450_000)]
    lines: u32,
    /// Lines per second and file.
    #[arg(long, default_value_t = 1_500)]
    rate: u64,
    /// Where everything goes, to be looked at afterwards; otherwise it is deleted.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// The command `hurtig`; not given, the one beside this program.
    #[arg(long)]
    hurtig: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let beside = |name: &str| {
        let own = std::env::current_exe().unwrap_or_default();
        own.with_file_name(name)
    };
    let temporary = tempfile::tempdir();
    let directory = match (&arguments.directory, &temporary) {
        (Some(directory), _) => directory.clone(),
        (None, Ok(temporary)) => temporary.path().to_owned(),
        (None, Err(error)) => {
            eprintln!("error: no directory: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = Options {
        programs: Programs {
            hurtig: arguments.hurtig.clone().unwrap_or_else(|| beside("hurtig")),
            job: beside("hurtig-chaos-job"),
        },
        directory,
        input: InputFiles { files: 2, lines: arguments.lines, keys: 97 },
        rate: arguments.rate,
        task_managers: arguments.taskmanagers,
        high_availability: !arguments.taskmanagers_alone,
        plan: plan(
            arguments.seed,
            arguments.faults,
            if arguments.taskmanagers_alone { 0 } else { 2 },
            arguments.taskmanagers,
        ),
        patience: Duration::from_secs(3_600),
        verbose: true,
    };
    match run(&options) {
        Ok(None) => ExitCode::from(3),
        Ok(Some(report)) => {
            let (faults, lines) = (report.faults, report.lines);
            println!(
                "seed {}: {faults} faults in {:.1} s, {lines} lines, none lost or repeated",
                arguments.seed,
                report.took.as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("seed {}: {problem}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}
