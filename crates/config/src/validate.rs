//! What concerns several options at once. Each rule names both settings and where they were made.

use std::time::Duration;

use hurtig_types::CheckpointingMode;

use crate::{
    ConfigOption, ConfigValue, Configuration, MemorySize,
    catalogue::{checkpointing, cluster, job_manager, pipeline, restart, task_manager},
    error::{ConfigError, ConfigErrors, ConfigOrigin},
    value::{CheckpointStorageKind, HighAvailabilityType},
};

/// Most key groups: what Flink allows.
const MOST_KEY_GROUPS: i32 = 1 << 15;

/// Checkpoints more frequent or shorter than this are a mistake of units; as Flink.
const LEAST_CHECKPOINT_TIME: Duration = Duration::from_millis(10);

/// Smaller batches cost more than they carry; as Flink.
const LEAST_SEGMENT: MemorySize = MemorySize::of_bytes(4 << 10);
/// Largest target size of a batch.
const MOST_SEGMENT: MemorySize = MemorySize::of_mebibytes(256);
/// Most buffers of a channel or a gate.
const MOST_BUFFERS: u32 = 1 << 16;

/// Longest time that anything waits: far from what clocks can count.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

struct Rules<'a> {
    configuration: &'a Configuration,
    errors: Vec<ConfigError>,
}

impl Rules<'_> {
    fn get<T: ConfigValue>(&mut self, option: &ConfigOption<T>) -> Option<T> {
        let value = self.configuration.get(option);
        value.map_err(|error| self.errors.push(error)).ok()
    }

    fn contradiction(&mut self, keys: &[&str], text: String) {
        let mut origins: Vec<String> = Vec::new();
        for key in keys {
            let setting = self.configuration.setting(key).map(|setting| &setting.origin);
            let origin = setting.unwrap_or(&ConfigOrigin::Default).to_string();
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        self.errors.push(ConfigError::Contradiction { text, origin: origins.join(" and ") });
    }

    fn ordered<T: ConfigValue + PartialOrd>(
        &mut self,
        low: &ConfigOption<T>,
        high: &ConfigOption<T>,
    ) {
        if let (Some(a), Some(b)) = (self.get(low), self.get(high))
            && a > b
        {
            let (low, high, a, b) = (low.key(), high.key(), a.to_text(), b.to_text());
            self.contradiction(&[low, high], format!("{low} ({a}) is above {high} ({b})"));
        }
    }

    fn at_least<T: ConfigValue + PartialOrd>(&mut self, option: &ConfigOption<T>, least: T) {
        if let Some(value) = self.get(option)
            && value < least
        {
            let (key, value, least) = (option.key(), value.to_text(), least.to_text());
            self.contradiction(&[key], format!("{key} is {value}, but must be at least {least}"));
        }
    }

    fn at_most<T: ConfigValue + PartialOrd>(&mut self, option: &ConfigOption<T>, most: T) {
        if let Some(value) = self.get(option)
            && value > most
        {
            let (key, value, most) = (option.key(), value.to_text(), most.to_text());
            self.contradiction(&[key], format!("{key} is {value}, but must be at most {most}"));
        }
    }

    fn parallelism(&mut self) {
        use pipeline::{DEFAULT_PARALLELISM, MAX_PARALLELISM};
        let (Some(parallelism), Some(most)) =
            (self.get(&DEFAULT_PARALLELISM), self.get(&MAX_PARALLELISM))
        else {
            return;
        };
        let (low, high) = (DEFAULT_PARALLELISM.key(), MAX_PARALLELISM.key());
        if most != -1 && !(1..=MOST_KEY_GROUPS).contains(&most) {
            let text = format!("{high} is {most}, but must be -1 or from 1 to {MOST_KEY_GROUPS}");
            self.contradiction(&[high], text);
        } else if most != -1 && parallelism.get() > most as u32 {
            self.contradiction(
                &[low, high],
                format!("{low} ({parallelism}) is above {high} ({most})"),
            );
        }
    }

    fn checkpointing(&mut self) {
        use checkpointing::*;
        self.at_least(&CHECKPOINTING_TIMEOUT, LEAST_CHECKPOINT_TIME);
        if self.get(&CHECKPOINTING_INTERVAL).flatten().is_some_and(|i| i < LEAST_CHECKPOINT_TIME) {
            let (key, least) = (CHECKPOINTING_INTERVAL.key(), LEAST_CHECKPOINT_TIME.to_text());
            self.contradiction(&[key], format!("{key} must be at least {least}"));
        }
        let unaligned = self.get(&ENABLE_UNALIGNED) == Some(true);
        if unaligned && self.get(&CHECKPOINTING_MODE) == Some(CheckpointingMode::AtLeastOnce) {
            let keys = [ENABLE_UNALIGNED.key(), CHECKPOINTING_MODE.key()];
            self.contradiction(&keys, format!("{} needs the mode EXACTLY_ONCE", keys[0]));
        }
        let concurrent = self.get(&MAX_CONCURRENT_CHECKPOINTS).map_or(1, |n| n.get());
        if unaligned && concurrent > 1 {
            let keys = [ENABLE_UNALIGNED.key(), MAX_CONCURRENT_CHECKPOINTS.key()];
            let text = format!("{} needs {} to be 1, not {concurrent}", keys[0], keys[1]);
            self.contradiction(&keys, text);
        }
        let storage = self.get(&CHECKPOINT_STORAGE).flatten();
        let directory = self.get(&CHECKPOINTS_DIRECTORY).flatten();
        if storage == Some(CheckpointStorageKind::FileSystem) && directory.is_none() {
            let keys = [CHECKPOINT_STORAGE.key(), CHECKPOINTS_DIRECTORY.key()];
            self.contradiction(&keys[..1], format!("{} filesystem needs {}", keys[0], keys[1]));
        }
    }

    fn restart_strategy(&mut self) {
        use restart::*;
        self.ordered(&EXPONENTIAL_DELAY_INITIAL_BACKOFF, &EXPONENTIAL_DELAY_MAX_BACKOFF);
        self.at_least(&EXPONENTIAL_DELAY_BACKOFF_MULTIPLIER, 1.0);
        let millisecond = Duration::from_millis(1);
        self.at_least(&EXPONENTIAL_DELAY_INITIAL_BACKOFF, millisecond);
        self.at_least(&FAILURE_RATE_INTERVAL, millisecond);
    }

    fn task_manager(&mut self) {
        use task_manager::*;
        self.ordered(&NETWORK_MEMORY_MIN, &NETWORK_MEMORY_MAX);
        self.ordered(&MEMORY_SEGMENT_SIZE, &NETWORK_MEMORY_MAX);
        self.ordered(&MIN_MEMORY_SEGMENT_SIZE, &MEMORY_SEGMENT_SIZE);
        self.at_least(&MEMORY_SEGMENT_SIZE, LEAST_SEGMENT);
        // Products of these are numbers of bytes: far from overflowing.
        self.at_most(&MEMORY_SEGMENT_SIZE, MOST_SEGMENT);
        self.at_most(&NETWORK_BUFFERS_PER_CHANNEL, MOST_BUFFERS);
        self.at_most(&NETWORK_EXTRA_BUFFERS_PER_GATE, MOST_BUFFERS);
        let floating = self.get(&NETWORK_EXTRA_BUFFERS_PER_GATE);
        let exclusive = self.get(&NETWORK_BUFFERS_PER_CHANNEL);
        if floating == Some(0) && exclusive == Some(0) {
            let keys = [NETWORK_BUFFERS_PER_CHANNEL.key(), NETWORK_EXTRA_BUFFERS_PER_GATE.key()];
            let text = format!("{} and {} must not both be 0", keys[0], keys[1]);
            self.contradiction(&keys, text);
        }
    }

    fn waits(&mut self) {
        for option in [
            &pipeline::BUFFER_TIMEOUT,
            &pipeline::AUTO_WATERMARK_INTERVAL,
            &cluster::HEARTBEAT_INTERVAL,
            &cluster::HEARTBEAT_TIMEOUT,
            &cluster::SLOT_REQUEST_TIMEOUT,
            &restart::FIXED_DELAY_DELAY,
            &restart::EXPONENTIAL_DELAY_INITIAL_BACKOFF,
            &restart::EXPONENTIAL_DELAY_MAX_BACKOFF,
            &restart::EXPONENTIAL_DELAY_RESET_THRESHOLD,
            &restart::FAILURE_RATE_INTERVAL,
            &restart::FAILURE_RATE_DELAY,
            &task_manager::NETWORK_PARTITION_REQUEST_TIMEOUT,
            &checkpointing::CHECKPOINTING_TIMEOUT,
            &checkpointing::MIN_PAUSE_BETWEEN_CHECKPOINTS,
            &checkpointing::ALIGNED_CHECKPOINT_TIMEOUT,
        ] {
            self.at_most(option, LONGEST_WAIT);
        }
        for option in [
            &checkpointing::CHECKPOINTING_INTERVAL,
            &checkpointing::CHECKPOINTING_INTERVAL_DURING_BACKLOG,
        ] {
            self.at_most(option, Some(LONGEST_WAIT));
        }
    }

    fn roles(&mut self) {
        use cluster::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT};
        use job_manager::{HA_MODE, HA_STORAGE_PATH, HA_ZOOKEEPER_QUORUM};
        self.at_least(&HEARTBEAT_INTERVAL, Duration::from_millis(1));
        self.ordered(&HEARTBEAT_INTERVAL, &HEARTBEAT_TIMEOUT);
        let mode = self.get(&HA_MODE).unwrap_or(HighAvailabilityType::None);
        if mode != HighAvailabilityType::None && self.get(&HA_STORAGE_PATH).flatten().is_none() {
            let keys = [HA_MODE.key(), HA_STORAGE_PATH.key()];
            let text = format!("{} {} needs {}", keys[0], mode.to_text(), keys[1]);
            self.contradiction(&keys[..1], text);
        }
        let quorum = self.get(&HA_ZOOKEEPER_QUORUM).flatten();
        if mode == HighAvailabilityType::ZooKeeper && quorum.is_none() {
            let keys = [HA_MODE.key(), HA_ZOOKEEPER_QUORUM.key()];
            self.contradiction(&keys[..1], format!("{} ZOOKEEPER needs {}", keys[0], keys[1]));
        }
    }
}

impl Configuration {
    /// Checks what concerns several options.
    ///
    /// # Errors
    /// All contradictions.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mut rules = Rules { configuration: self, errors: Vec::new() };
        rules.parallelism();
        rules.checkpointing();
        rules.restart_strategy();
        rules.task_manager();
        rules.waits();
        rules.roles();
        ConfigErrors::check(rules.errors)
    }
}
