//! TaskManagers: list and details.

use std::collections::BTreeMap;

use hurtig_cluster_api::{ExecutionState, ProcessThread, TaskExecutorOverview};
use hurtig_types::{AllocationId, JobId, ResourceId};

use crate::{
    error::{RestError, RestResult},
    messages::cluster::{ThreadDumpInfo, ThreadInfo},
    messages::task_managers::{
        HardwareDescription, ResourceProfileInfo, SlotInfo, TaskExecutorMemoryConfiguration,
        TaskManagerDetailsInfo, TaskManagerInfo, TaskManagerMetricsInfo, TaskManagersInfo,
    },
    metric_source::{MetricValues, activities, of_task_managers},
    server::call::Call,
};

/// Slots in use, and tasks in each of them.
type Slots = BTreeMap<(JobId, AllocationId), u32>;

/// One TaskManager.
pub(crate) async fn find(call: &Call, id: ResourceId) -> RestResult<TaskExecutorOverview> {
    let executors = call.context.services.dispatcher.task_executors().await?;
    let found = executors.into_iter().find(|executor| executor.resource == id);
    found.ok_or_else(|| RestError::not_found(format!("TaskManager {id} not found")))
}

/// Which slots jobs have deployed tasks to, by TaskManager.
async fn slots_in_use(call: &Call) -> RestResult<BTreeMap<ResourceId, Slots>> {
    let dispatcher = &call.context.services.dispatcher;
    let mut slots: BTreeMap<ResourceId, Slots> = BTreeMap::new();
    for job in dispatcher.list_jobs().await? {
        if job.status.is_globally_terminal() {
            continue;
        }
        // A job that has ended meanwhile uses nothing.
        let Ok(details) = dispatcher.job_details(job.job_id).await else { continue };
        for subtask in details.vertices.iter().flat_map(|vertex| &vertex.subtasks) {
            let deployed =
                subtask.state >= ExecutionState::Deploying && !subtask.state.is_terminal();
            if let (true, Some(resource), Some(allocation)) =
                (deployed, subtask.task_executor, subtask.allocation)
            {
                *slots.entry(resource).or_default().entry((job.job_id, allocation)).or_default() +=
                    1;
            }
        }
    }
    Ok(slots)
}

fn info(
    executor: &TaskExecutorOverview,
    slots: Option<&Slots>,
    values: &MetricValues,
) -> TaskManagerInfo {
    let port = executor.data_address.rsplit(':').next().and_then(|port| port.parse().ok());
    TaskManagerInfo {
        id: executor.resource.to_string(),
        path: executor.data_address.clone(),
        data_port: port.unwrap_or_default(),
        jmx_port: -1,
        time_since_last_heartbeat: executor.last_heartbeat_ms,
        slots_number: executor.slots,
        free_slots: executor.free_slots,
        assigned_tasks: slots.map_or(0, |slots| slots.values().sum()),
        total_resource: ResourceProfileInfo::default(),
        free_resource: ResourceProfileInfo::default(),
        hardware: HardwareDescription::default(),
        memory_configuration: TaskExecutorMemoryConfiguration {
            network_memory: number(values, "Status.Shuffle.Netty.TotalMemory"),
            ..TaskExecutorMemoryConfiguration::default()
        },
        blocked: false,
    }
}

pub(crate) async fn all(call: Call) -> RestResult<TaskManagersInfo> {
    let slots = slots_in_use(&call).await?;
    let executors = call.context.services.dispatcher.task_executors().await?;
    let values = of_task_managers(&*call.context.services.dispatcher).await?;
    let none = MetricValues::new();
    let infos = executors.iter().map(|executor| {
        let id = &executor.resource;
        info(executor, slots.get(id), values.get(id).unwrap_or(&none))
    });
    Ok(TaskManagersInfo { taskmanagers: infos.collect() })
}

pub(crate) async fn details(call: Call) -> RestResult<TaskManagerDetailsInfo> {
    let id = call.task_manager()?;
    let executor = find(&call, id).await?;
    let slots = slots_in_use(&call).await?.remove(&id).unwrap_or_default();
    let values = of_task_managers(&*call.context.services.dispatcher).await?.remove(&id);
    let values = values.unwrap_or_default();
    let allocated = slots.iter().map(|((job, _), tasks)| SlotInfo {
        job_id: job.to_string(),
        resource: ResourceProfileInfo::default(),
        assigned_tasks: *tasks,
    });
    Ok(TaskManagerDetailsInfo {
        info: info(&executor, Some(&slots), &values),
        allocated_slots: allocated.collect(),
        metrics: memory(&values),
    })
}

/// A metric as a number; zero if it is not known.
fn number(values: &MetricValues, id: &str) -> u64 {
    let value = values.get(id).and_then(|text| text.parse::<f64>().ok());
    value.map_or(0, |value| value.max(0.0) as u64)
}

/// Memory and buffers, as far as metrics tell.
fn memory(values: &MetricValues) -> TaskManagerMetricsInfo {
    let number = |id| number(values, id);
    TaskManagerMetricsInfo {
        heap_used: number("Status.Process.Memory.Used"),
        netty_shuffle_memory_available: number("Status.Shuffle.Netty.AvailableMemory"),
        netty_shuffle_memory_used: number("Status.Shuffle.Netty.UsedMemory"),
        netty_shuffle_memory_total: number("Status.Shuffle.Netty.TotalMemory"),
        ..TaskManagerMetricsInfo::default()
    }
}

/// Its tasks, and the threads of its process and of its task hosts. Tasks are no threads here: each
/// says what its loop is doing. Of threads, what Rust has instead of stacks is their state, and how
/// much they have worked and waited.
pub(crate) async fn thread_dump(call: Call) -> RestResult<ThreadDumpInfo> {
    let threads = super::logs::task_manager_logs(&call).await?.threads().await?;
    let tasks = activities(&*call.context.services.dispatcher, call.task_manager()?).await?;
    let task = |(name, words): (String, String)| ThreadInfo {
        stringified_thread_info: format!("\"{name}\" task\n\t{words}\n"),
        thread_name: name,
    };
    let info = |thread: ProcessThread| {
        let ProcessThread { process, id, name, state, cpu_ms, switches: (own, forced) } = thread;
        let stringified_thread_info = format!(
            "\"{name}\" Id={id} {state}\nProcess: {process}\nCPU: {cpu_ms} ms\n\
             voluntary_ctxt_switches: {own}\nnonvoluntary_ctxt_switches: {forced}\n"
        );
        ThreadInfo { thread_name: name, stringified_thread_info }
    };
    let tasks = tasks.into_iter().map(task);
    Ok(ThreadDumpInfo { thread_infos: tasks.chain(threads.into_iter().map(info)).collect() })
}
