//! Options of elastic jobs: the adaptive scheduler.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    option::options,
    value::{SchedulerExecutionMode, SchedulerType},
};

options! {
    /// How jobs are scheduled: Default, or Adaptive for elastic jobs, whose parallelism follows the
    /// slots that there are.
    Effective SCHEDULER: SchedulerType = "jobmanager.scheduler", default "Default";

    /// REACTIVE: jobs are elastic and take every slot that there is.
    Effective SCHEDULER_MODE: Option<SchedulerExecutionMode> = "scheduler-mode";

    /// How long an elastic job waits for the slots that it cannot do without before it fails. In
    /// reactive mode it waits for ever unless this is set.
    Effective SUBMISSION_RESOURCE_WAIT_TIMEOUT: Duration =
        "jobmanager.adaptive-scheduler.submission.resource-wait-timeout", default "5 min",
        was ["jobmanager.adaptive-scheduler.resource-wait-timeout"];

    /// How long an elastic job that has slots enough to start waits for those that it would like to
    /// have. In reactive mode not at all unless this is set.
    Effective SUBMISSION_RESOURCE_STABILIZATION_TIMEOUT: Duration =
        "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", default "10 s",
        was ["jobmanager.adaptive-scheduler.resource-stabilization-timeout"];

    /// Least time between two changes of the parallelism of a job.
    Effective EXECUTING_COOLDOWN: Duration =
        "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", default "30 s",
        was ["jobmanager.adaptive-scheduler.scaling-interval.min"];

    /// How long a running job whose parallelism could be changed waits for more slots. In reactive
    /// mode not at all unless this is set.
    Effective EXECUTING_RESOURCE_STABILIZATION_TIMEOUT: Duration =
        "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", default "60 s";

    /// How long a change of the parallelism waits for a checkpoint. Not set, for as many intervals
    /// as checkpoints may fail.
    Effective RESCALE_TRIGGER_MAX_DELAY: Option<Duration> =
        "jobmanager.adaptive-scheduler.rescale-trigger.max-delay";

    /// After this many failed checkpoints in a row a change of the parallelism waits for none.
    Effective RESCALE_TRIGGER_MAX_CHECKPOINT_FAILURES: NonZeroU32 =
        "jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures", default "2";

    /// Least gain in parallelism, summed over vertices, for which a running job is restarted.
    Effective MIN_PARALLELISM_INCREASE: NonZeroU32 =
        "jobmanager.adaptive-scheduler.min-parallelism-increase", default "1";

    /// Slots that a job does not use are left on as few TaskManagers as can be, so that the others
    /// can be stopped.
    Effective PREFER_MINIMAL_TASKMANAGERS: bool =
        "jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers", default "true";
}
