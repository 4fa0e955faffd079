//! TaskManagers. Memory is not divided as a JVM's is: what has no meaning here is zero.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `/taskmanagers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskManagersInfo {
    /// The TaskManagers.
    pub taskmanagers: Vec<TaskManagerInfo>,
}

/// A TaskManager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerInfo {
    /// Its id.
    pub id: String,
    /// Where it is reached.
    pub path: String,
    /// Port of its data plane; 0 if that is not a socket.
    pub data_port: u16,
    /// Always -1: there is no JVM.
    pub jmx_port: i32,
    /// When it was last heard of: a time, in spite of the name, as in Flink.
    pub time_since_last_heartbeat: i64,
    /// Its slots.
    pub slots_number: u32,
    /// Slots that are free.
    pub free_slots: u32,
    /// Tasks that it runs.
    pub assigned_tasks: u32,
    /// What its slots are made of.
    pub total_resource: ResourceProfileInfo,
    /// What is left of it.
    pub free_resource: ResourceProfileInfo,
    /// The machine.
    pub hardware: HardwareDescription,
    /// How memory is divided.
    pub memory_configuration: TaskExecutorMemoryConfiguration,
    /// It is not to be used.
    pub blocked: bool,
}

/// `/taskmanagers/:taskmanagerid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerDetailsInfo {
    /// What the list has.
    #[serde(flatten)]
    pub info: TaskManagerInfo,
    /// Slots that jobs have deployed tasks to.
    pub allocated_slots: Vec<SlotInfo>,
    /// Memory and buffers.
    pub metrics: TaskManagerMetricsInfo,
}

/// A slot in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotInfo {
    /// The job that has it.
    pub job_id: String,
    /// What it is made of.
    pub resource: ResourceProfileInfo,
    /// Tasks that run in it.
    pub assigned_tasks: u32,
}

/// Resources of slots; slots have none of their own here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceProfileInfo {
    /// Cores.
    pub cpu_cores: f64,
    /// Mebibytes.
    pub task_heap_memory: u64,
    /// Mebibytes.
    pub task_off_heap_memory: u64,
    /// Mebibytes.
    pub managed_memory: u64,
    /// Mebibytes.
    pub network_memory: u64,
    /// What else there is.
    pub extended_resources: BTreeMap<String, f64>,
}

/// A machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareDescription {
    /// Cores.
    pub cpu_cores: u32,
    /// Bytes.
    pub physical_memory: u64,
    /// Bytes.
    pub free_memory: u64,
    /// Bytes.
    pub managed_memory: u64,
}

/// How a TaskManager divides its memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskExecutorMemoryConfiguration {
    /// Of the engine.
    pub framework_heap: u64,
    /// Of tasks.
    pub task_heap: u64,
    /// Of the engine.
    pub framework_off_heap: u64,
    /// Of tasks.
    pub task_off_heap: u64,
    /// Records in flight.
    pub network_memory: u64,
    /// Of state backends.
    pub managed_memory: u64,
    /// None.
    pub jvm_metaspace: u64,
    /// None.
    pub jvm_overhead: u64,
    /// The sum without what a JVM would need.
    pub total_flink_memory: u64,
    /// The sum.
    pub total_process_memory: u64,
}

/// Memory and buffers of a TaskManager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerMetricsInfo {
    /// Bytes of the process that are in RAM.
    pub heap_used: u64,
    /// Bytes.
    pub heap_committed: u64,
    /// Bytes.
    pub heap_max: u64,
    /// Bytes.
    pub non_heap_used: u64,
    /// Bytes.
    pub non_heap_committed: u64,
    /// Bytes.
    pub non_heap_max: u64,
    /// Buffers.
    pub direct_count: u64,
    /// Bytes.
    pub direct_used: u64,
    /// Bytes.
    pub direct_max: u64,
    /// Buffers.
    pub mapped_count: u64,
    /// Bytes.
    pub mapped_used: u64,
    /// Bytes.
    pub mapped_max: u64,
    /// Buffers of the data plane that are free.
    pub netty_shuffle_memory_segments_available: u64,
    /// Buffers of the data plane in use.
    pub netty_shuffle_memory_segments_used: u64,
    /// Buffers of the data plane.
    pub netty_shuffle_memory_segments_total: u64,
    /// Bytes of the data plane that are free.
    pub netty_shuffle_memory_available: u64,
    /// Bytes of the data plane in use.
    pub netty_shuffle_memory_used: u64,
    /// Bytes of the data plane.
    pub netty_shuffle_memory_total: u64,
    /// There are none.
    pub garbage_collectors: Vec<GarbageCollectorInfo>,
}

/// A garbage collector; there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GarbageCollectorInfo {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub count: i64,
    /// For how long.
    pub time: i64,
}
