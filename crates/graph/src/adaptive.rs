//! Settings of elastic jobs, as Flink's `jobmanager.adaptive-scheduler.*`. Plain data.

use serde::{Deserialize, Serialize};

/// How a job follows the slots that there are; `jobmanager.scheduler: adaptive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptiveConfig {
    /// `scheduler-mode: reactive`: the job takes every slot that there is, up to the max
    /// parallelism of its vertices.
    pub reactive: bool,
    /// How long a job waits for the slots that it cannot do without, in milliseconds; `None`: for
    /// ever.
    pub resource_wait_timeout_ms: Option<u64>,
    /// A job that could run, though with fewer slots than it wants, waits this long for the others
    /// before it starts.
    pub submission_stabilization_ms: u64,
    /// Least time between a start and the next change of parallelism.
    pub cooldown_ms: u64,
    /// A running job that could change its parallelism, though it would still not have all slots
    /// that it wants, waits this long for the others.
    pub executing_stabilization_ms: u64,
    /// A change that is due waits this long for a checkpoint; `None`: for as long as the checkpoints
    /// that may fail take, and not at all if there are none.
    pub max_trigger_delay_ms: Option<u64>,
    /// After this many failed checkpoints in a row a change that is due waits for none.
    pub max_checkpoint_failures: u32,
    /// Least gain in parallelism, summed over vertices, that is worth a restart.
    pub min_parallelism_increase: u32,
    /// Slots that are left over are on few TaskManagers rather than on all.
    pub prefer_minimal_task_managers: bool,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self {
            reactive: false,
            resource_wait_timeout_ms: Some(300_000),
            submission_stabilization_ms: 10_000,
            cooldown_ms: 30_000,
            executing_stabilization_ms: 60_000,
            max_trigger_delay_ms: None,
            max_checkpoint_failures: 2,
            min_parallelism_increase: 1,
            prefer_minimal_task_managers: true,
        }
    }
}

impl AdaptiveConfig {
    /// The defaults of reactive mode: it waits for ever, and for nothing more than it needs.
    pub fn reactive() -> Self {
        Self {
            reactive: true,
            resource_wait_timeout_ms: None,
            submission_stabilization_ms: 0,
            executing_stabilization_ms: 0,
            ..Self::default()
        }
    }
}
