//! From a request to running tasks, for a program that the cluster has; and what processes weigh
//! that have nothing to do.

use std::time::{Duration, Instant};

use hurtig::{ParameterTool, prelude::BoxError};

use super::{Spread, ms, on_runtime, processes::ProcessCluster, runs, tell};
use crate::memory;

/// How long an idle process is left alone before it is weighed.
const REST: Duration = Duration::from_secs(3);

/// The bars.
const RUNNING_MS: f64 = 300.0;
const TASK_MANAGER_MB: f64 = 30.0;
const JOB_MANAGER_MB: f64 = 50.0;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    on_runtime(measure(parameters))
}

async fn measure(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let parallelism: u32 = parameters.parse_or("parallelism", 2)?;
    let slots = parallelism.to_string();
    let cluster =
        ProcessCluster::start(parameters, 2, &[("taskmanager.numberOfTaskSlots", &slots)]).await?;
    // Idle means that time passes.
    tokio::time::sleep(REST).await;
    let unknown = "the memory of a process is not known";
    let job_manager = memory::rss_kb(cluster.job_manager.id()).ok_or(unknown)?;
    let mut task_manager = 0;
    for process in &cluster.task_managers {
        task_manager = task_manager.max(memory::rss_kb(process.id()).ok_or(unknown)?);
    }
    tell("idle RSS of the JobManager", job_manager as f64 / 1024.0, "MB", JOB_MANAGER_MB);
    tell("idle RSS of a TaskManager", task_manager as f64 / 1024.0, "MB", TASK_MANAGER_MB);

    let program = cluster.upload().await?;
    let arguments = ["cluster-job", "--rate", "100"].map(str::to_owned);
    let (mut submitted, mut running) = (Vec::new(), Vec::new());
    for _ in 0..=runs(parameters, 10)? {
        let began = Instant::now();
        let job = cluster.run(program, &arguments, parallelism).await?;
        submitted.push(ms(began.elapsed()));
        cluster.until_running(job).await?;
        running.push(ms(began.elapsed()));
        cluster.cancel(job).await?;
    }
    let first = running.remove(0);
    let submitted = Spread::of(submitted.split_off(1)).ok_or("no runs")?;
    let running = Spread::of(running).ok_or("no runs")?;
    tell("request to all tasks RUNNING, median of further jobs", running.median, "ms", RUNNING_MS);
    println!("  best {:.1} ms, worst {:.1} ms", running.best, running.worst);
    println!("  of it until the request is answered: median {:.1} ms", submitted.median);
    let program_mb = std::fs::metadata(std::env::current_exe()?)?.len() as f64 / 1e6;
    println!(
        "  first job, for which TaskManagers fetch {program_mb:.0} MB of program: {first:.1} ms"
    );
    Ok(true)
}
