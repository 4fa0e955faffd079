//! Options of restart strategies: what happens after a failure.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    option::options,
    value::{Fraction, RestartStrategyType},
};

options! {
    /// How a failed region is restarted. Not set, it is not: without checkpoints a restart begins
    /// anew.
    Effective RESTART_STRATEGY: Option<RestartStrategyType> = "restart-strategy.type",
        was ["restart-strategy"];

    /// Restarts of the strategy fixed-delay before the job fails.
    Effective FIXED_DELAY_ATTEMPTS: u32 = "restart-strategy.fixed-delay.attempts", default "1";

    /// Pause of the strategy fixed-delay before a restart.
    Effective FIXED_DELAY_DELAY: Duration = "restart-strategy.fixed-delay.delay", default "1 s";

    /// First pause of the strategy exponential-delay.
    Effective EXPONENTIAL_DELAY_INITIAL_BACKOFF: Duration =
        "restart-strategy.exponential-delay.initial-backoff", default "1 s";

    /// Longest pause of the strategy exponential-delay.
    Effective EXPONENTIAL_DELAY_MAX_BACKOFF: Duration =
        "restart-strategy.exponential-delay.max-backoff", default "1 min";

    /// Factor by which the pause of the strategy exponential-delay grows with each failure.
    Effective EXPONENTIAL_DELAY_BACKOFF_MULTIPLIER: f64 =
        "restart-strategy.exponential-delay.backoff-multiplier", default "1.5";

    /// After this long without a failure the pause of the strategy exponential-delay is the first
    /// again.
    Effective EXPONENTIAL_DELAY_RESET_THRESHOLD: Duration =
        "restart-strategy.exponential-delay.reset-backoff-threshold", default "1 h";

    /// Share of the pause by which the strategy exponential-delay varies it at random, so that many
    /// jobs do not restart at once.
    Effective EXPONENTIAL_DELAY_JITTER: Fraction =
        "restart-strategy.exponential-delay.jitter-factor", default "0.1";

    /// Restarts of the strategy exponential-delay before a reset; then the job fails. Not set, there
    /// is no limit.
    Effective EXPONENTIAL_DELAY_ATTEMPTS: Option<u32> =
        "restart-strategy.exponential-delay.attempts-before-reset-backoff";

    /// Failures within the interval that the strategy failure-rate survives.
    Effective FAILURE_RATE_MAX_FAILURES: NonZeroU32 =
        "restart-strategy.failure-rate.max-failures-per-interval", default "1";

    /// The interval in which the strategy failure-rate counts.
    Effective FAILURE_RATE_INTERVAL: Duration =
        "restart-strategy.failure-rate.failure-rate-interval", default "1 min";

    /// Pause of the strategy failure-rate before a restart.
    Effective FAILURE_RATE_DELAY: Duration = "restart-strategy.failure-rate.delay", default "1 s";

    /// What is restarted after a failure: always the failed region.
    Planned FAILOVER_STRATEGY: String = "jobmanager.execution.failover-strategy",
        default "region";
}
