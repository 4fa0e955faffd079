//! When a part file ends, as in Flink.
//!
//! | Policy | Ends a file |
//! |---|---|
//! | [`DefaultRollingPolicy`] | beyond a size, after a time, after a time without records |
//! | [`OnCheckpointRollingPolicy`] | at every checkpoint |
//!
//! A bulk format can end its files only where a checkpoint does, so it takes only a
//! [`CheckpointRollingPolicy`].

use std::time::Duration;

/// What is known of a part file that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFileInfo {
    /// Its bucket.
    pub bucket: String,
    /// Its length in bytes. For a bulk format: as far as it has been encoded.
    pub size_bytes: u64,
    /// Wall time in milliseconds at which it was begun.
    pub creation_time_ms: i64,
    /// Wall time in milliseconds at which it was last written to.
    pub last_update_time_ms: i64,
}

/// Decides when a part file ends. Files that do not end at a checkpoint go on behind it.
pub trait RollingPolicy<T>: Send + Sync + 'static {
    /// Whether `element` should begin a new file.
    fn should_roll_on_event(&self, part: &PartFileInfo, element: &T) -> bool;
    /// Whether the file should end at a checkpoint.
    fn should_roll_on_checkpoint(&self, part: &PartFileInfo) -> bool;
    /// Whether the file should end now; asked at every bucket check interval.
    fn should_roll_on_processing_time(&self, part: &PartFileInfo, now_ms: i64) -> bool;
}

/// A policy that ends files at every checkpoint, and perhaps before.
pub trait CheckpointRollingPolicy<T>: RollingPolicy<T> {}

/// Ends files by size, age and inactivity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRollingPolicy {
    max_part_size_bytes: u64,
    rollover_interval_ms: i64,
    inactivity_interval_ms: i64,
}

impl Default for DefaultRollingPolicy {
    fn default() -> Self {
        Self {
            max_part_size_bytes: 128 << 20,
            rollover_interval_ms: 60_000,
            inactivity_interval_ms: 60_000,
        }
    }
}

impl DefaultRollingPolicy {
    /// 128 MiB, a minute, a minute.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that is larger ends.
    #[must_use]
    pub fn with_max_part_size(mut self, bytes: u64) -> Self {
        self.max_part_size_bytes = bytes;
        self
    }

    /// A file that is older ends.
    #[must_use]
    pub fn with_rollover_interval(mut self, interval: Duration) -> Self {
        self.rollover_interval_ms = millis(interval);
        self
    }

    /// A file that has not been written to for so long ends.
    #[must_use]
    pub fn with_inactivity_interval(mut self, interval: Duration) -> Self {
        self.inactivity_interval_ms = millis(interval);
        self
    }
}

fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

impl<T> RollingPolicy<T> for DefaultRollingPolicy {
    fn should_roll_on_event(&self, part: &PartFileInfo, _: &T) -> bool {
        part.size_bytes > self.max_part_size_bytes
    }

    fn should_roll_on_checkpoint(&self, part: &PartFileInfo) -> bool {
        part.size_bytes > self.max_part_size_bytes
    }

    fn should_roll_on_processing_time(&self, part: &PartFileInfo, now_ms: i64) -> bool {
        now_ms - part.creation_time_ms >= self.rollover_interval_ms
            || now_ms - part.last_update_time_ms >= self.inactivity_interval_ms
    }
}

/// Ends files at every checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnCheckpointRollingPolicy;

impl<T> RollingPolicy<T> for OnCheckpointRollingPolicy {
    fn should_roll_on_event(&self, _: &PartFileInfo, _: &T) -> bool {
        false
    }

    fn should_roll_on_checkpoint(&self, _: &PartFileInfo) -> bool {
        true
    }

    fn should_roll_on_processing_time(&self, _: &PartFileInfo, _: i64) -> bool {
        false
    }
}

impl<T> CheckpointRollingPolicy<T> for OnCheckpointRollingPolicy {}
