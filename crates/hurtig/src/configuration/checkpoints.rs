//! The options of checkpoints as a job's settings.

use hurtig_config::{ConfigErrors, Configuration, catalogue::checkpointing::*};
use hurtig_types::CheckpointConfig;

use super::millis;

/// The settings of checkpoints that a configuration asks for.
///
/// # Errors
/// If the configuration contradicts itself.
pub fn checkpoint_config(configuration: &Configuration) -> Result<CheckpointConfig, ConfigErrors> {
    configuration.validate()?;
    let get = |option| configuration.get::<std::time::Duration>(option).map(millis);
    let interval = configuration.get(&CHECKPOINTING_INTERVAL)?.map(millis);
    let during_backlog = configuration.get(&CHECKPOINTING_INTERVAL_DURING_BACKLOG)?.map(millis);
    let tolerable = configuration.get(&TOLERABLE_FAILURE_NUMBER)?;
    Ok(CheckpointConfig {
        interval_ms: interval,
        // 0 asks for none meanwhile; nothing asked, backlog makes no difference.
        interval_during_backlog_ms: during_backlog.or(interval).filter(|interval| *interval > 0),
        min_pause_ms: get(&MIN_PAUSE_BETWEEN_CHECKPOINTS)?,
        max_concurrent: configuration.get(&MAX_CONCURRENT_CHECKPOINTS)?.get() as usize,
        timeout_ms: get(&CHECKPOINTING_TIMEOUT)?,
        tolerable_failed: u32::try_from(tolerable).ok(),
        mode: configuration.get(&CHECKPOINTING_MODE)?,
        unaligned: configuration.get(&ENABLE_UNALIGNED)?,
        aligned_timeout_ms: get(&ALIGNED_CHECKPOINT_TIMEOUT)?,
        retained: configuration.get(&MAX_RETAINED_CHECKPOINTS)?.get() as usize,
        retention: configuration.get(&EXTERNALIZED_CHECKPOINT_RETENTION)?,
        after_tasks_finish: configuration.get(&CHECKPOINTS_AFTER_TASKS_FINISH)?,
    })
}

#[cfg(test)]
mod tests {
    use hurtig_types::{CheckpointRetentionPolicy, CheckpointingMode};

    use super::*;

    fn of(yaml: &str) -> CheckpointConfig {
        let mut configuration = Configuration::new();
        configuration.add_yaml(yaml, "config.yaml").unwrap();
        let config = checkpoint_config(&configuration).unwrap();
        assert_eq!(config.validate(), Ok(()), "{yaml}");
        config
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(of(""), CheckpointConfig::default());
    }

    #[test]
    fn every_key_arrives() {
        let config =
            of("execution.checkpointing: {interval: 1 min, min-pause: 5 s, timeout: 2 min, \
             tolerable-failed-checkpoints: 3, num-retained: 4, \
             unaligned.enabled: true, aligned-checkpoint-timeout: 7 s, \
             externalized-checkpoint-retention: RETAIN_ON_CANCELLATION, \
             checkpoints-after-tasks-finish: false, interval-during-backlog: 10 min}");
        let expected = CheckpointConfig {
            interval_ms: Some(60_000),
            interval_during_backlog_ms: Some(600_000),
            min_pause_ms: 5_000,
            max_concurrent: 1,
            timeout_ms: 120_000,
            tolerable_failed: Some(3),
            mode: CheckpointingMode::ExactlyOnce,
            unaligned: true,
            aligned_timeout_ms: 7_000,
            retained: 4,
            retention: CheckpointRetentionPolicy::RetainOnCancellation,
            after_tasks_finish: false,
        };
        assert_eq!(config, expected);
        let config = of("execution.checkpointing: {mode: at_least_once, \
             max-concurrent-checkpoints: 2, tolerable-failed-checkpoints: -1}");
        assert_eq!(config.mode, CheckpointingMode::AtLeastOnce);
        assert_eq!((config.max_concurrent, config.tolerable_failed), (2, None));
    }

    #[test]
    fn backlog_makes_no_difference_unless_asked() {
        let key = "execution.checkpointing.interval: 1 s\n";
        assert_eq!(of(key).interval_during_backlog_ms, Some(1_000));
        let none = format!("{key}execution.checkpointing.interval-during-backlog: 0");
        assert_eq!(of(&none).interval_during_backlog_ms, None);
    }
}
