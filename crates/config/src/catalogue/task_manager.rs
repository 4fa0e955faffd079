//! Options of TaskManagers: slots, addresses, memory, network.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    option::options,
    value::{Fraction, MemorySize, PortRange},
};

options! {
    /// Slots of each TaskManager. Not set, an embedded cluster has as many as its job needs.
    Effective NUM_TASK_SLOTS: NonZeroU32 = "taskmanager.numberOfTaskSlots", default "1";

    /// Address by which other processes reach a TaskManager.
    Effective HOST: Option<String> = "taskmanager.host", was ["taskmanager.hostname"];

    /// Address on which a TaskManager listens.
    Effective BIND_HOST: Option<String> = "taskmanager.bind-host";

    /// Port of a TaskManager for the JobManager; a number, a list or a range.
    Effective RPC_PORT: PortRange = "taskmanager.rpc.port", default "0";

    /// Port on which a TaskManager listens for the JobManager.
    Effective RPC_BIND_PORT: Option<u16> = "taskmanager.rpc.bind-port";

    /// Port of a TaskManager for the records of other TaskManagers. 0 takes any.
    Planned DATA_PORT: u16 = "taskmanager.data.port", default "0";

    /// Port on which a TaskManager listens for records.
    Planned DATA_BIND_PORT: Option<u16> = "taskmanager.data.bind-port",
        else ["taskmanager.data.port"];

    /// Name of a TaskManager among the processes of the cluster.
    Effective TASK_MANAGER_RESOURCE_ID: Option<String> = "taskmanager.resource-id";

    /// A TaskManager that finds no ResourceManager for this long ends.
    Effective REGISTRATION_TIMEOUT: Duration = "taskmanager.registration.timeout",
        default "5 min", was ["taskmanager.maxRegistrationDuration"];

    /// A slot that no JobMaster accepts for this long is free again.
    Effective SLOT_TIMEOUT: Duration = "taskmanager.slot.timeout", default "10 s",
        else ["pekko.ask.timeout"];

    /// Time between two requests to a task that does not end though it is cancelled.
    Planned TASK_CANCELLATION_INTERVAL: Duration = "task.cancellation.interval",
        default "30 s";

    /// A task that does not end for this long though it is cancelled ends its process. 0: never.
    Planned TASK_CANCELLATION_TIMEOUT: Duration = "task.cancellation.timeout", default "3 min";

    /// All memory of a TaskManager's process.
    Effective TOTAL_PROCESS_MEMORY: Option<MemorySize> = "taskmanager.memory.process.size";

    /// Memory of a TaskManager without what its process needs for itself. Network memory is a
    /// share of it.
    Effective TOTAL_FLINK_MEMORY: Option<MemorySize> = "taskmanager.memory.flink.size",
        else ["taskmanager.memory.process.size"];

    /// Memory for what operators borrow, such as a disk backend's caches.
    Planned MANAGED_MEMORY_SIZE: Option<MemorySize> = "taskmanager.memory.managed.size",
        was ["taskmanager.memory.size"];

    /// The same as a share of the memory.
    Planned MANAGED_MEMORY_FRACTION: Fraction = "taskmanager.memory.managed.fraction",
        default "0.4", was ["taskmanager.memory.fraction"];

    /// Share of a TaskManager's memory for records in flight. Counts where the memory is set
    /// (`taskmanager.memory.flink.size` or `.process.size`); elsewhere the memory for records is
    /// the maximum if that is set, else the minimum.
    Effective NETWORK_MEMORY_FRACTION: Fraction = "taskmanager.memory.network.fraction",
        default "0.1", was ["taskmanager.network.memory.fraction"];

    /// Least memory for records in flight of a TaskManager.
    Effective NETWORK_MEMORY_MIN: MemorySize = "taskmanager.memory.network.min",
        default "64 mb", was ["taskmanager.network.memory.min"];

    /// Most memory for records in flight of a TaskManager.
    Effective NETWORK_MEMORY_MAX: MemorySize = "taskmanager.memory.network.max",
        default "9223372036854775807 bytes", was ["taskmanager.network.memory.max"];

    /// Target size of a batch that leaves a task.
    Effective MEMORY_SEGMENT_SIZE: MemorySize = "taskmanager.memory.segment-size",
        default "32 kb";

    /// Least target size when it is adjusted to the throughput.
    Planned MIN_MEMORY_SEGMENT_SIZE: MemorySize = "taskmanager.memory.min-segment-size",
        default "256 bytes";

    /// Credit of a channel, in batches of the target size.
    Effective NETWORK_BUFFERS_PER_CHANNEL: u32 =
        "taskmanager.network.memory.buffers-per-channel", default "2";

    /// Credit that the channels of a gate share, in batches of the target size.
    Effective NETWORK_EXTRA_BUFFERS_PER_GATE: u32 =
        "taskmanager.network.memory.floating-buffers-per-gate", default "8";

    /// Most batches that wait in one channel.
    Planned NETWORK_MAX_BUFFERS_PER_CHANNEL: u32 =
        "taskmanager.network.memory.max-buffers-per-channel", default "10";

    /// Most batches that a task may keep beyond its share while it works one off.
    Planned NETWORK_MAX_OVERDRAFT_BUFFERS_PER_GATE: u32 =
        "taskmanager.network.memory.max-overdraft-buffers-per-gate", default "5";

    /// The target size of batches is adjusted so that what is in flight takes a given time.
    Planned BUFFER_DEBLOAT_ENABLED: bool = "taskmanager.network.memory.buffer-debloat.enabled",
        default "false";

    /// The time that what is in flight shall take.
    Planned BUFFER_DEBLOAT_TARGET: Duration = "taskmanager.network.memory.buffer-debloat.target",
        default "1 s";

    /// How long a consumer waits for a partition that its producer has not announced yet.
    Effective NETWORK_PARTITION_REQUEST_TIMEOUT: Duration =
        "taskmanager.network.partition-request-timeout", default "10 s";

    /// Times that connecting to another TaskManager is tried again. Not set, 9.
    Effective NETWORK_RETRIES: u32 = "taskmanager.network.retries", default "0";
}
