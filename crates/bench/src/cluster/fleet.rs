//! Many TaskManagers on one machine: they register, run a job as wide as they are, and end in order
//! when they are told to.

use std::time::Instant;

use hurtig::{ParameterTool, prelude::BoxError};

use super::{
    job::COUNTED,
    ms, on_runtime,
    processes::{ProcessCluster, until},
};
use crate::memory;

/// Runs the benchmark.
pub fn run(parameters: &ParameterTool) -> Result<bool, BoxError> {
    on_runtime(measure(parameters))
}

async fn measure(parameters: &ParameterTool) -> Result<bool, BoxError> {
    let number: u32 = parameters.parse_or("taskmanagers", 50)?;
    let slots: u32 = parameters.parse_or("slots", 4)?;
    let records: u64 = parameters.parse_or("records", 1_000_000)?;
    let all_slots = number * slots;
    let began = Instant::now();
    let slots = slots.to_string();
    let settings = [("taskmanager.numberOfTaskSlots", slots.as_str())];
    let mut cluster = ProcessCluster::start(parameters, number as usize, &settings).await?;
    println!("{number} TaskManagers start and register: {:.0} ms", ms(began.elapsed()));
    let overview = cluster.client.overview().await?;
    if overview.slots_available != all_slots {
        return Err(format!("{all_slots} slots were expected: {overview:?}").into());
    }

    // Two vertices of half the slots each, in slots of their own: every subtask has one.
    let records_text = records.to_string();
    let arguments = ["cluster-job", "--apart", "yes", "--records", &records_text];
    let arguments = arguments.map(str::to_owned);
    let program = cluster.upload().await?;
    let began = Instant::now();
    let job = cluster.run(program, &arguments, all_slots / 2).await?;
    let result = cluster.client.result(job).await?;
    println!("a job of {all_slots} subtasks, {records} records: {:.0} ms", ms(began.elapsed()));
    let counted = result.accumulator_results.get(COUNTED).map(ToString::to_string);
    if result.application_status != "SUCCEEDED" || counted.as_deref() != Some(&records_text) {
        return Err(format!("{records} records were expected: {result:?}").into());
    }
    let details = cluster.client.job(job).await?;
    let subtasks: u32 = details.vertices.iter().map(|vertex| vertex.parallelism).sum();
    if subtasks != all_slots {
        return Err(format!("the job has {subtasks} subtasks").into());
    }
    until("no host is left", async || Ok((cluster.hosts()? == 0).then_some(()))).await?;
    let job_manager = memory::rss_kb(cluster.job_manager.id()).unwrap_or_default() / 1024;
    println!("RSS of the JobManager afterwards: {job_manager} MB");

    let began = Instant::now();
    cluster.task_managers.iter().try_for_each(super::processes::MemberProcess::terminate)?;
    for process in &mut cluster.task_managers {
        let status = until("a TaskManager ends", async || process.ended()).await?;
        if !status.success() {
            return Err(format!("a TaskManager has ended with {status}").into());
        }
    }
    cluster.until_registered(0).await?;
    println!("{number} TaskManagers end when told to: {:.0} ms", ms(began.elapsed()));
    cluster.job_manager.terminate()?;
    let status = until("the JobManager ends", async || cluster.job_manager.ended()).await?;
    if !status.success() {
        return Err(format!("the JobManager has ended with {status}").into());
    }
    let left = std::fs::read_dir(cluster.path(""))?;
    let left = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<String> = left.filter(|name| name != "logs").collect();
    if !left.is_empty() {
        return Err(format!("directories are left: {left:?}").into());
    }
    println!("nothing is left of them");
    Ok(true)
}
