//! Benchmarks of Hurtig.
//!
//! `limit` runs queries through the engine and, in the same process and on the same events, as
//! hand-written single-threaded loops without any engine or fault tolerance. The ratio of the two
//! is what the engine costs, and means the same on every machine.
//!
//! Of checkpoints: `limit --checkpoint-interval` compares the same queries with periodic checkpoints
//! and without; `checkpoint` takes checkpoints of a large state under full load; `recovery` is the
//! time from a failure to the next record; `unaligned` compares the two kinds of barriers while
//! records hardly move.
//!
//! `rpc` measures calls between processes.
//! `schedule` measures the pure scheduler on graphs of thousands of subtasks.
//!
//! `exchange` measures records over one connection beside a bare copy loop.
//!
//! `submission`, `failover` and `fleet` measure clusters of real processes.
//!
//! `sql` runs Nexmark through SQL, beside a real Flink if asked to.
//!
//! `start` measures how fast an embedded cluster starts and what it weighs when idle.

#![allow(clippy::disallowed_methods)] // it measures time

mod checkpoint;
mod cluster;
mod exchange;
mod job;
mod limit;
mod load;
mod memory;
mod recovery;
mod rpc;
mod schedule;
mod sql;
mod start;
mod unaligned;

use std::process::ExitCode;

use hurtig::ParameterTool;

const USAGE: &str =
    "usage: hurtig-bench limit [--events N] [--parallelism P] [--query Q] [--runs R] [--json]
                    [--checkpoint-interval MS]
       hurtig-bench checkpoint [--state-bytes B] [--parallelism P] [--directory D] [--json]
       hurtig-bench recovery [--state-bytes B] [--parallelism P] [--runs R] [--directory D] [--json]
       hurtig-bench unaligned [--network-bytes B] [--drain-ms MS] [--directory D] [--json]
       hurtig-bench rpc [--seconds S] [--slots N]
       hurtig-bench schedule [--subtasks N] [--vertices V] [--json]
       hurtig-bench start [--runs R]
       hurtig-bench sql [--query Q] [--events N] [--parallelism P] [--runs R] [--json]
                    [--compare flink]
       hurtig-bench sql --query json [--bytes N] [--parallelism P] [--runs R] [--compare flink]
       hurtig-bench exchange [--runs R] [--megabytes N] [--buffer-bytes B]
       hurtig-bench submission [--runs R] [--parallelism P] [--hurtig PROGRAM]
       hurtig-bench failover [--runs R] [--hurtig PROGRAM] [--logs DIRECTORY]
       hurtig-bench fleet [--taskmanagers N] [--slots S] [--records N] [--hurtig PROGRAM]";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let outcome = match (command.as_str(), ParameterTool::from_args(args)) {
        (_, Err(error)) => Err(error.into()),
        ("limit", Ok(parameters)) => limit::run(&parameters),
        ("checkpoint", Ok(parameters)) => checkpoint::run(&parameters),
        ("recovery", Ok(parameters)) => recovery::run(&parameters),
        ("unaligned", Ok(parameters)) => unaligned::run(&parameters),
        ("rpc", Ok(parameters)) => rpc::run(&parameters),
        ("schedule", Ok(parameters)) => schedule::run(&parameters),
        ("start", Ok(parameters)) => start::run(&parameters),
        ("exchange", Ok(parameters)) => exchange::run(&parameters),
        ("submission", Ok(parameters)) => cluster::submission::run(&parameters),
        ("failover", Ok(parameters)) => cluster::failover::run(&parameters),
        ("fleet", Ok(parameters)) => cluster::fleet::run(&parameters),
        ("cluster-job", Ok(parameters)) => cluster::job::run(&parameters),
        ("sql", Ok(parameters)) => sql::run(&parameters),
        ("sql-child", Ok(parameters)) => sql::child(&parameters),
        ("start-child", Ok(_)) => start::child(),
        (other, Ok(_)) => Err(format!("unknown command {other:?}").into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}
