//! From a configuration to the settings of an environment.
//!
//! A value of the configuration becomes a setting when it is set; what is not set keeps the
//! environment's own default, which is the option's (heartbeats, slots and connection attempts
//! excepted: the embedded cluster has its own, see the options). What the program sets afterwards
//! by methods wins.
//!
//! Parallelism is looked for at the operator, then the environment, then the client, then the
//! cluster. `parallelism.default` is the cluster's in a file, the client's as `-D`, and the
//! environment's when the program sets it; `-p` and `--parallelism` are the client's too.
//!
//! Deliberately absent: keys and their meaning (crate `config`). The environment variable is read
//! in one function, [`conf_dir`], and only for [`StreamExecutionEnvironment::from_args`].

use std::{
    env, fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use hurtig_config::{
    CONFIG_FILE_NAME, ConfigErrors, ConfigLevel, ConfigOption, ConfigValue, Configuration,
    MemorySize,
    catalogue::{
        checkpointing, cluster, metrics as metric_options, pipeline, resource_manager, restart,
        task_manager,
    },
    split_dynamic_properties,
    value::{RestartStrategyType, TaskManagerLoadBalanceMode},
};
use hurtig_graph::{RestartStrategyConfig, RestoreFrom};
use hurtig_minicluster::SlotManagerConfig;
use hurtig_types::{CheckpointConfig, key_group::MAX_PARALLELISM_LIMIT};

use crate::{ParameterTool, StreamExecutionEnvironment, environment::Settings, parameters};

mod adaptive;
mod checkpoints;
mod local_state;
mod metrics;

pub use adaptive::adaptive_config;
pub use checkpoints::checkpoint_config;

/// The environment variable that names the directory of `config.yaml`; Flink's `FLINK_CONF_DIR`.
pub const CONF_DIR_VARIABLE: &str = "HURTIG_CONF_DIR";

/// Why an environment cannot be made from a command's arguments.
///
/// `Debug` reads like `Display`, because it is what a `main` that returns the error shows.
#[derive(thiserror::Error)]
pub enum ConfigureError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Configuration(#[from] ConfigErrors),
    /// The program's own parameters have.
    #[error(transparent)]
    Parameters(#[from] parameters::ParameterError),
}

impl fmt::Debug for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(size: MemorySize) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

/// The value of an option if somebody set it.
fn set<T: ConfigValue>(
    configuration: &Configuration,
    option: &ConfigOption<T>,
) -> Result<Option<T>, ConfigErrors> {
    Ok(if configuration.is_set(option) { Some(configuration.get(option)?) } else { None })
}

fn restart_strategy(
    configuration: &Configuration,
    strategy: RestartStrategyType,
) -> Result<RestartStrategyConfig, ConfigErrors> {
    use restart::*;
    let delay = |option| configuration.get::<Duration>(option).map(millis);
    Ok(match strategy {
        RestartStrategyType::None => RestartStrategyConfig::None,
        RestartStrategyType::FixedDelay => RestartStrategyConfig::FixedDelay {
            attempts: configuration.get(&FIXED_DELAY_ATTEMPTS)?,
            delay_ms: delay(&FIXED_DELAY_DELAY)?,
        },
        RestartStrategyType::ExponentialDelay => RestartStrategyConfig::ExponentialDelay {
            initial_ms: delay(&EXPONENTIAL_DELAY_INITIAL_BACKOFF)?,
            max_ms: delay(&EXPONENTIAL_DELAY_MAX_BACKOFF)?,
            multiplier: configuration.get(&EXPONENTIAL_DELAY_BACKOFF_MULTIPLIER)?,
            reset_threshold_ms: delay(&EXPONENTIAL_DELAY_RESET_THRESHOLD)?,
            jitter: configuration.get(&EXPONENTIAL_DELAY_JITTER)?.get(),
            max_attempts: configuration.get(&EXPONENTIAL_DELAY_ATTEMPTS)?,
        },
        RestartStrategyType::FailureRate => RestartStrategyConfig::FailureRate {
            max_failures: configuration.get(&FAILURE_RATE_MAX_FAILURES)?.get(),
            interval_ms: delay(&FAILURE_RATE_INTERVAL)?,
            delay_ms: delay(&FAILURE_RATE_DELAY)?,
        },
    })
}

/// Memory for records in flight: a share of the TaskManager's memory where that is set, else the
/// maximum where that is set, else the minimum; always between the two. `None` if nothing is set.
fn network_memory(configuration: &Configuration) -> Result<Option<usize>, ConfigErrors> {
    use task_manager::*;
    let min = configuration.get(&NETWORK_MEMORY_MIN)?;
    let max = configuration.get(&NETWORK_MEMORY_MAX)?;
    let total = configuration.get(&TOTAL_FLINK_MEMORY)?;
    let max_is_set = configuration.is_set(&NETWORK_MEMORY_MAX);
    if total.is_none() && !max_is_set && !configuration.is_set(&NETWORK_MEMORY_MIN) {
        return Ok(None);
    }
    let wanted = match total {
        Some(total) => {
            let fraction = configuration.get(&NETWORK_MEMORY_FRACTION)?.get();
            MemorySize::of_bytes((total.bytes() as f64 * fraction) as u64)
        }
        None if max_is_set => max,
        None => min,
    };
    Ok(Some(bytes(wanted.max(min).min(max))))
}

impl Settings {
    fn configure(&mut self, configuration: &Configuration) -> Result<(), ConfigErrors> {
        configuration.validate()?;
        self.configure_graph(configuration)?;
        self.configure_job(configuration)?;
        self.configure_cluster(configuration)
    }

    fn configure_graph(&mut self, configuration: &Configuration) -> Result<(), ConfigErrors> {
        use pipeline::*;
        let parallelism = |level| configuration.get_at(level, &DEFAULT_PARALLELISM);
        let graph = &mut self.graph;
        if let Some(parallelism) = parallelism(ConfigLevel::File)? {
            graph.cluster_parallelism = parallelism.get();
        }
        if let Some(parallelism) = parallelism(ConfigLevel::DynamicProperty)? {
            graph.client_parallelism = Some(parallelism.get());
        }
        if let Some(parallelism) = parallelism(ConfigLevel::Program)? {
            graph.environment_parallelism = Some(parallelism.get());
        }
        if let Some(most) = set(configuration, &MAX_PARALLELISM)? {
            // Validated: -1 or a number of key groups.
            let limit = 1..=MAX_PARALLELISM_LIMIT;
            graph.max_parallelism = u32::try_from(most).ok().filter(|most| limit.contains(most));
        }
        if let Some(enabled) = set(configuration, &OPERATOR_CHAINING)? {
            graph.chaining_enabled = enabled;
        }
        if let Some(timeout) = set(configuration, &BUFFER_TIMEOUT)? {
            graph.buffer_timeout_ms = i64::try_from(millis(timeout)).unwrap_or(i64::MAX);
        }
        if set(configuration, &BUFFER_TIMEOUT_ENABLED)? == Some(false) {
            graph.buffer_timeout_ms = -1;
        }
        Ok(())
    }

    fn configure_job(&mut self, configuration: &Configuration) -> Result<(), ConfigErrors> {
        let job = &mut self.job;
        if let Some(Some(strategy)) = set(configuration, &restart::RESTART_STRATEGY)? {
            job.restart_strategy = restart_strategy(configuration, strategy)?;
        }
        if let Some(interval) = set(configuration, &pipeline::AUTO_WATERMARK_INTERVAL)? {
            job.auto_watermark_interval_ms = millis(interval);
        }
        if let Some(interval) = set(configuration, &metric_options::LATENCY_INTERVAL)? {
            job.latency_interval_ms = millis(interval);
        }
        if let Some(timeout) = set(configuration, &cluster::SLOT_REQUEST_TIMEOUT)? {
            job.slot_request_timeout_ms = millis(timeout);
        }
        if let Some(timeout) = set(configuration, &cluster::SLOT_IDLE_TIMEOUT)? {
            job.slot_idle_timeout_ms = millis(timeout);
        }
        if let Some(mode) = set(configuration, &resource_manager::LOAD_BALANCE_MODE)? {
            job.balance_tasks = mode == TaskManagerLoadBalanceMode::Tasks;
        }
        if let Some(adaptive) = adaptive_config(configuration)? {
            job.adaptive = Some(adaptive);
        }
        if let Some(parameters) = set(configuration, &pipeline::GLOBAL_JOB_PARAMETERS)? {
            job.global_parameters.extend(parameters);
        }
        let checkpoints = checkpoint_config(configuration)?;
        if checkpoints != CheckpointConfig::default() {
            job.checkpoints = checkpoints;
        }
        if let Some(directory) = set(configuration, &checkpointing::CHECKPOINTS_DIRECTORY)? {
            job.checkpoint_directory = directory;
        }
        if let Some(Some(pointer)) = set(configuration, &checkpointing::SAVEPOINT_PATH)? {
            let ignore = configuration.get(&checkpointing::SAVEPOINT_IGNORE_UNCLAIMED_STATE)?;
            job.restore_from = Some(RestoreFrom {
                pointer,
                allow_non_restored_state: ignore,
                claim_mode: configuration.get(&checkpointing::RECOVERY_CLAIM_MODE)?,
            });
        }
        Ok(())
    }

    fn configure_cluster(&mut self, configuration: &Configuration) -> Result<(), ConfigErrors> {
        use task_manager::*;
        if let Some(number) = set(configuration, &cluster::MINI_CLUSTER_TASK_MANAGERS)? {
            self.task_executors = number.get();
        }
        if let Some(slots) = set(configuration, &NUM_TASK_SLOTS)? {
            self.slots = Some(slots.get());
        }
        if let Some(interval) = set(configuration, &cluster::HEARTBEAT_INTERVAL)? {
            self.cluster.heartbeat_interval = interval;
        }
        if let Some(timeout) = set(configuration, &cluster::HEARTBEAT_TIMEOUT)? {
            self.cluster.heartbeat_timeout = timeout;
        }
        metrics::configure(&mut self.cluster.metrics, configuration)?;
        let slots = SlotManagerConfig::from_configuration(configuration)?;
        // An embedded cluster is there when its first job is: nothing is waited for.
        self.cluster.slots =
            SlotManagerConfig { start_up_time_ms: self.cluster.slots.start_up_time_ms, ..slots };
        local_state::configure(&mut self.cluster.local_state, configuration)?;
        let stores = hurtig_filesystem::store_options(configuration)?;
        if !stores.is_empty() {
            self.object_stores = stores;
        }
        let network = &mut self.cluster.network;
        if let Some(total) = network_memory(configuration)? {
            network.total_bytes = total;
        }
        if let Some(size) = set(configuration, &MEMORY_SEGMENT_SIZE)? {
            network.buffer_bytes = bytes(size);
        }
        if let Some(buffers) = set(configuration, &NETWORK_BUFFERS_PER_CHANNEL)? {
            network.buffers_per_channel = buffers as usize;
        }
        if let Some(buffers) = set(configuration, &NETWORK_EXTRA_BUFFERS_PER_GATE)? {
            network.floating_buffers_per_gate = buffers as usize;
        }
        if let Some(timeout) = set(configuration, &NETWORK_PARTITION_REQUEST_TIMEOUT)? {
            network.partition_request_timeout = timeout;
        }
        if let Some(retries) = set(configuration, &NETWORK_RETRIES)? {
            network.connect_attempts = retries.saturating_add(1);
        }
        Ok(())
    }
}

/// The directory that [`CONF_DIR_VARIABLE`] names, if it is set.
pub fn conf_dir() -> Option<PathBuf> {
    env::var_os(CONF_DIR_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The configuration of a command: `config.yaml` of a directory, if one is given, and the `-D`
/// properties among the arguments; then the other arguments in order.
///
/// # Errors
/// If the file cannot be read, or a key or value is wrong.
pub fn configuration_of(
    args: impl IntoIterator<Item = String>,
    conf_dir: Option<&Path>,
) -> Result<(Configuration, Vec<String>), ConfigErrors> {
    let mut configuration = Configuration::new();
    if let Some(directory) = conf_dir {
        configuration.load(&directory.join(CONFIG_FILE_NAME))?;
    }
    let (properties, others) = split_dynamic_properties(args)?;
    for property in properties {
        configuration.add_dynamic(&property)?;
    }
    Ok((configuration, others))
}

impl StreamExecutionEnvironment {
    /// An environment with the settings of a configuration.
    ///
    /// # Errors
    /// If the configuration contradicts itself.
    pub fn from_configuration(configuration: Configuration) -> Result<Self, ConfigErrors> {
        let env = Self::new();
        env.configure(configuration)?;
        Ok(env)
    }

    /// Takes over what a configuration sets. What it does not set stays as it is; options that are
    /// set and change nothing are logged.
    ///
    /// # Errors
    /// If the configuration contradicts itself; then nothing is changed.
    pub fn configure(&self, configuration: Configuration) -> Result<&Self, ConfigErrors> {
        let mut settings = self.settings.lock();
        let mut changed = settings.clone();
        changed.configure(&configuration)?;
        for warning in configuration.warnings() {
            tracing::warn!(warning, "configuration");
        }
        changed.configuration.merge(configuration);
        *settings = changed;
        drop(settings);
        Ok(self)
    }

    /// What the environment was configured with, to explain it. Settings that were made by methods
    /// are not part of it.
    pub fn configuration(&self) -> Configuration {
        self.settings.lock().configuration.clone()
    }

    /// An environment from a command's arguments: `-D key=value`, `-p parallelism`, `-s savepoint`
    /// and `-n` (allow non-restored state) configure it,
    /// over `config.yaml` of the directory that the environment variable `HURTIG_CONF_DIR` names,
    /// if it is set. All other arguments are the program's parameters, which are applied
    /// ([`ParameterTool::apply_to`]) and returned. Where nothing logs, what should be known of the
    /// configuration is written to standard error.
    ///
    /// # Errors
    /// If a file, a key, a value or a parameter is wrong.
    pub fn from_args(
        args: impl IntoIterator<Item = String>,
    ) -> Result<(Self, ParameterTool), ConfigureError> {
        let (env, parameters) = Self::from_args_and_conf_dir(args, conf_dir().as_deref())?;
        if !tracing::dispatcher::has_been_set() {
            for warning in env.configuration().warnings() {
                eprintln!("warning: {warning}");
            }
        }
        Ok((env, parameters))
    }

    /// As [`StreamExecutionEnvironment::from_args`], with a given directory of `config.yaml`.
    ///
    /// # Errors
    /// If a file, a key, a value or a parameter is wrong.
    pub fn from_args_and_conf_dir(
        args: impl IntoIterator<Item = String>,
        conf_dir: Option<&Path>,
    ) -> Result<(Self, ParameterTool), ConfigureError> {
        let (configuration, others) = configuration_of(args, conf_dir)?;
        let long = |word: String| match &*word {
            "-p" => "--parallelism".to_owned(),
            "-s" => "--from-savepoint".to_owned(),
            "-n" => "--allow-non-restored-state".to_owned(),
            _ => word,
        };
        let parameters = ParameterTool::from_args(others.into_iter().map(long))?;
        let env = Self::from_configuration(configuration)?;
        parameters.apply_to(&env)?;
        Ok((env, parameters))
    }
}

#[cfg(test)]
mod tests;
