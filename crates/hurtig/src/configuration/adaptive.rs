//! From a configuration to the settings of an elastic job.

use hurtig_config::{
    ConfigErrors, Configuration,
    catalogue::adaptive::*,
    value::{SchedulerExecutionMode, SchedulerType},
};
use hurtig_graph::AdaptiveConfig;

use super::{millis, set};

/// The settings if jobs are to be elastic, which reactive mode implies.
pub fn adaptive_config(
    configuration: &Configuration,
) -> Result<Option<AdaptiveConfig>, ConfigErrors> {
    let reactive = configuration.get(&SCHEDULER_MODE)? == Some(SchedulerExecutionMode::Reactive);
    if !reactive && configuration.get(&SCHEDULER)? != SchedulerType::Adaptive {
        return Ok(None);
    }
    let mut adaptive =
        if reactive { AdaptiveConfig::reactive() } else { AdaptiveConfig::default() };
    if let Some(timeout) = set(configuration, &SUBMISSION_RESOURCE_WAIT_TIMEOUT)? {
        adaptive.resource_wait_timeout_ms = Some(millis(timeout));
    }
    if let Some(timeout) = set(configuration, &SUBMISSION_RESOURCE_STABILIZATION_TIMEOUT)? {
        adaptive.submission_stabilization_ms = millis(timeout);
    }
    if let Some(timeout) = set(configuration, &EXECUTING_RESOURCE_STABILIZATION_TIMEOUT)? {
        adaptive.executing_stabilization_ms = millis(timeout);
    }
    adaptive.cooldown_ms = millis(configuration.get(&EXECUTING_COOLDOWN)?);
    adaptive.max_trigger_delay_ms = configuration.get(&RESCALE_TRIGGER_MAX_DELAY)?.map(millis);
    adaptive.max_checkpoint_failures =
        configuration.get(&RESCALE_TRIGGER_MAX_CHECKPOINT_FAILURES)?.get();
    adaptive.min_parallelism_increase = configuration.get(&MIN_PARALLELISM_INCREASE)?.get();
    adaptive.prefer_minimal_task_managers = configuration.get(&PREFER_MINIMAL_TASKMANAGERS)?;
    Ok(Some(adaptive))
}
