//! Options of the ResourceManager: slots, and TaskManagers that are started and stopped on demand.

use std::time::Duration;

use crate::{option::options, value::TaskManagerLoadBalanceMode};

options! {
    /// Which TaskManager a slot is taken from: NONE fills one after the other, MIN_RESOURCES the one
    /// with the largest share of its slots in use first, SLOTS takes the one with the smallest. TASKS
    /// does so, too, and gives the TaskManagers of a job equal numbers of its tasks.
    Effective LOAD_BALANCE_MODE: TaskManagerLoadBalanceMode = "taskmanager.load-balance.mode",
        default "NONE";

    /// Slots that are there even if nobody needs them, where TaskManagers can be started.
    Effective MIN_SLOT_NUM: u32 = "slotmanager.number-of-slots.min", default "0";

    /// Most slots. TaskManagers with more are refused, and none is started for more.
    Effective MAX_SLOT_NUM: u32 = "slotmanager.number-of-slots.max", default "2147483647";

    /// TaskManagers that are kept free, to take the place of lost ones at once.
    Effective REDUNDANT_TASK_MANAGER_NUM: u32 = "slotmanager.redundant-taskmanager-num",
        default "0";

    /// A TaskManager that was started on demand is stopped when nobody has needed it for this long.
    Effective TASK_MANAGER_TIMEOUT: Duration = "resourcemanager.taskmanager-timeout",
        default "30 s", was ["slotmanager.taskmanager-timeout"];

    /// A TaskManager that was started on demand is given up if it does not register for this long.
    Effective TASK_MANAGER_REGISTRATION_TIMEOUT: Duration =
        "resourcemanager.taskmanager-registration.timeout", default "5 min",
        else ["taskmanager.registration.timeout"];

    /// For this long after its start the cluster tells no job that there are not enough slots. Not
    /// set, `slot.request.timeout`.
    Effective STANDALONE_START_UP_TIME: Option<Duration> =
        "resourcemanager.standalone.start-up-time";

    /// With more TaskManagers a minute that could not be started, the next start is delayed.
    Effective START_WORKER_MAX_FAILURE_RATE: f64 =
        "resourcemanager.start-worker.max-failure-rate", default "10";

    /// By how much.
    Effective START_WORKER_RETRY_INTERVAL: Duration =
        "resourcemanager.start-worker.retry-interval", default "3 s";
}
