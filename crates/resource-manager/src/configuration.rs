//! From a configuration to the settings of the ResourceManager.

use std::time::Duration;

use hurtig_config::{
    ConfigErrors, Configuration,
    catalogue::{
        cluster::{EVENLY_SPREAD_OUT_SLOTS, SLOT_REQUEST_TIMEOUT},
        resource_manager::*,
        task_manager::{NUM_TASK_SLOTS, SLOT_TIMEOUT},
    },
    value::TaskManagerLoadBalanceMode as Mode,
};

use crate::slot_manager::{LoadBalance, SlotManagerConfig};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl SlotManagerConfig {
    /// What a configuration says of slots and workers.
    ///
    /// # Errors
    /// If a value is wrong.
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, ConfigErrors> {
        let evenly = configuration.get(&EVENLY_SPREAD_OUT_SLOTS)?
            && !configuration.is_set(&LOAD_BALANCE_MODE);
        let load_balance = match configuration.get(&LOAD_BALANCE_MODE)? {
            Mode::None if !evenly => LoadBalance::None,
            Mode::MinResources => LoadBalance::MinResources,
            // Evenly over those that give slots, tasks are divided by the job.
            Mode::None | Mode::Slots | Mode::Tasks => LoadBalance::Slots,
        };
        let start_up = match configuration.get(&STANDALONE_START_UP_TIME)? {
            Some(start_up) => start_up,
            None => configuration.get(&SLOT_REQUEST_TIMEOUT)?,
        };
        let failures = configuration.get(&START_WORKER_MAX_FAILURE_RATE)?;
        Ok(Self {
            load_balance,
            // So long a TaskExecutor keeps a slot for a job that does not take it.
            request_timeout_ms: millis(configuration.get(&SLOT_TIMEOUT)?),
            start_up_time_ms: millis(start_up),
            max_slots: configuration.get(&MAX_SLOT_NUM)?,
            min_slots: configuration.get(&MIN_SLOT_NUM)?,
            task_manager_timeout_ms: millis(configuration.get(&TASK_MANAGER_TIMEOUT)?),
            redundant_task_managers: configuration.get(&REDUNDANT_TASK_MANAGER_NUM)?,
            slots_per_worker: configuration.get(&NUM_TASK_SLOTS)?.get(),
            registration_timeout_ms: millis(configuration.get(&TASK_MANAGER_REGISTRATION_TIMEOUT)?),
            // Counted within a minute; more than the type holds is no limit.
            start_worker_max_failures: failures.clamp(0.0, f64::from(u32::MAX)) as u32,
            start_worker_retry_ms: millis(configuration.get(&START_WORKER_RETRY_INTERVAL)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(properties: &[&str]) -> SlotManagerConfig {
        let mut configuration = Configuration::new();
        for property in properties {
            configuration.add_dynamic(property).unwrap();
        }
        SlotManagerConfig::from_configuration(&configuration).unwrap()
    }

    #[test]
    fn nothing_set_is_the_default_with_a_start_up_time() {
        let expected =
            SlotManagerConfig { start_up_time_ms: 300_000, ..SlotManagerConfig::default() };
        assert_eq!(configured(&[]), expected);
    }

    #[test]
    fn slots_are_spread_by_the_old_key_and_by_the_new_one() {
        let mode = |properties: &[&str]| configured(properties).load_balance;
        let old = "cluster.evenly-spread-out-slots=true";
        assert_eq!(mode(&[old]), LoadBalance::Slots);
        assert_eq!(mode(&[old, "taskmanager.load-balance.mode=none"]), LoadBalance::None);
        assert_eq!(mode(&["taskmanager.load-balance.mode=slots"]), LoadBalance::Slots);
        assert_eq!(mode(&["taskmanager.load-balance.mode=tasks"]), LoadBalance::Slots);
        let few = "taskmanager.load-balance.mode=min-resources";
        assert_eq!(mode(&[few]), LoadBalance::MinResources);
    }

    #[test]
    fn all_else_has_its_key() {
        let config = configured(&[
            "slotmanager.number-of-slots.min=2",
            "slotmanager.number-of-slots.max=9",
            "slotmanager.redundant-taskmanager-num=1",
            "resourcemanager.taskmanager-timeout=7 s",
            "taskmanager.registration.timeout=8 s",
            "slot.request.timeout=9 s",
            "resourcemanager.start-worker.max-failure-rate=2.5",
            "resourcemanager.start-worker.retry-interval=4 s",
            "taskmanager.numberOfTaskSlots=3",
        ]);
        let expected = SlotManagerConfig {
            min_slots: 2,
            max_slots: 9,
            redundant_task_managers: 1,
            task_manager_timeout_ms: 7_000,
            registration_timeout_ms: 8_000,
            start_up_time_ms: 9_000,
            start_worker_max_failures: 2,
            start_worker_retry_ms: 4_000,
            slots_per_worker: 3,
            ..SlotManagerConfig::default()
        };
        assert_eq!(config, expected);
        assert_eq!(
            configured(&["resourcemanager.standalone.start-up-time=1 s"]).start_up_time_ms,
            1_000
        );
    }
}
