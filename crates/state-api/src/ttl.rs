//! How long state lives: Flink's `StateTtlConfig`.

use std::time::Duration;

/// When the time of a value is set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateType {
    /// State has no time to live.
    Disabled,
    /// When it is created and written.
    OnCreateAndWrite,
    /// Also when it is read.
    OnReadAndWrite,
}

/// Whether a value can be seen that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateVisibility {
    /// As long as it has not been cleaned up.
    ReturnExpiredIfNotCleanedUp,
    /// Never.
    NeverReturnExpired,
}

/// The clock of times to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlTimeCharacteristic {
    /// The wall clock.
    ProcessingTime,
}

/// Cleaning up little by little while state is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncrementalCleanup {
    /// Entries that are looked at for each access to the state.
    pub cleanup_size: u32,
    /// Looks at as many for each record that is processed.
    pub run_cleanup_for_every_record: bool,
}

/// What the background cleanup of state in hash tables is, unless it is configured.
const BACKGROUND: IncrementalCleanup =
    IncrementalCleanup { cleanup_size: 5, run_cleanup_for_every_record: false };

/// Time to live of a state; of each element of a list and each entry of a map by itself.
///
/// Expired state takes memory until it is cleaned up: when it is read; little by little while other
/// keys are used, unless that is disabled; and, if asked for, it is left out of full snapshots. A
/// restore leaves it out in any case.
///
/// ```
/// use hurtig_state_api::{StateTtlConfig, ValueStateDescriptor};
/// use std::time::Duration;
///
/// let an_hour = StateTtlConfig::new(Duration::from_secs(3600)).update_ttl_on_read_and_write();
/// let descriptor = ValueStateDescriptor::<u64>::new("last-seen").enable_time_to_live(an_hour);
/// # assert!(descriptor.ttl().is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTtlConfig {
    ttl_ms: i64,
    update_type: UpdateType,
    visibility: StateVisibility,
    time: TtlTimeCharacteristic,
    full_snapshot: bool,
    incremental: Option<IncrementalCleanup>,
    background: bool,
}

impl StateTtlConfig {
    /// State lives so long after it was created or written. Less than a millisecond is a
    /// millisecond.
    pub fn new(time_to_live: Duration) -> Self {
        let ttl_ms = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX);
        Self {
            ttl_ms: ttl_ms.max(1),
            update_type: UpdateType::OnCreateAndWrite,
            visibility: StateVisibility::NeverReturnExpired,
            time: TtlTimeCharacteristic::ProcessingTime,
            full_snapshot: false,
            incremental: None,
            background: true,
        }
    }

    /// Sets when the time of a value is set anew.
    #[must_use]
    pub fn set_update_type(mut self, update_type: UpdateType) -> Self {
        self.update_type = update_type;
        self
    }

    /// Times are set anew on writes; the default.
    #[must_use]
    pub fn update_ttl_on_create_and_write(self) -> Self {
        self.set_update_type(UpdateType::OnCreateAndWrite)
    }

    /// Times are set anew on reads and writes.
    #[must_use]
    pub fn update_ttl_on_read_and_write(self) -> Self {
        self.set_update_type(UpdateType::OnReadAndWrite)
    }

    /// Sets whether expired values can be seen.
    #[must_use]
    pub fn set_state_visibility(mut self, visibility: StateVisibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Expired values can be seen until they are cleaned up.
    #[must_use]
    pub fn return_expired_if_not_cleaned_up(self) -> Self {
        self.set_state_visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
    }

    /// Expired values are never seen; the default.
    #[must_use]
    pub fn never_return_expired(self) -> Self {
        self.set_state_visibility(StateVisibility::NeverReturnExpired)
    }

    /// Leaves what has expired out of full snapshots.
    #[must_use]
    pub fn cleanup_full_snapshot(mut self) -> Self {
        self.full_snapshot = true;
        self
    }

    /// Looks at `cleanup_size` entries for each access to the state, and for each record if
    /// `run_cleanup_for_every_record`, and removes those that have expired.
    #[must_use]
    pub fn cleanup_incrementally(
        mut self,
        cleanup_size: u32,
        run_cleanup_for_every_record: bool,
    ) -> Self {
        let cleanup_size = cleanup_size.max(1);
        self.incremental = Some(IncrementalCleanup { cleanup_size, run_cleanup_for_every_record });
        self
    }

    /// Cleans nothing up that is not read, unless [`StateTtlConfig::cleanup_incrementally`] says so.
    #[must_use]
    pub fn disable_cleanup_in_background(mut self) -> Self {
        self.background = false;
        self
    }

    /// False if the update type is [`UpdateType::Disabled`].
    pub fn is_enabled(&self) -> bool {
        self.update_type != UpdateType::Disabled
    }

    /// The time to live, in milliseconds; at least 1.
    pub fn time_to_live_ms(&self) -> i64 {
        self.ttl_ms
    }

    /// When times are set anew.
    pub fn update_type(&self) -> UpdateType {
        self.update_type
    }

    /// Whether expired values can be seen.
    pub fn state_visibility(&self) -> StateVisibility {
        self.visibility
    }

    /// The clock.
    pub fn ttl_time_characteristic(&self) -> TtlTimeCharacteristic {
        self.time
    }

    /// Whether full snapshots leave expired values out.
    pub fn is_cleanup_full_snapshot(&self) -> bool {
        self.full_snapshot
    }

    /// How state in hash tables is cleaned up while it is used.
    pub fn incremental_cleanup(&self) -> Option<IncrementalCleanup> {
        self.incremental.or(self.background.then_some(BACKGROUND))
    }
}
