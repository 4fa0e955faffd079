//! The environment: where streams begin and jobs are executed.

use std::{collections::BTreeMap, sync::Arc};

use hurtig_config::Configuration;
use hurtig_connector_api::{Boundedness, Source};
use hurtig_connectors::{collection::CollectionSource, sequence::SequenceSource};
use hurtig_graph::{
    AdaptiveConfig, CachedFile, JobConfig, JobGraph, OperatorKind, RestartStrategyConfig,
    RestoreFrom, StreamGraph, StreamGraphSettings, build_job_graph, build_stream_graph,
};
use hurtig_minicluster::MiniClusterConfig;
use hurtig_operator_api::Program;
use hurtig_operators::{source::SourceFactory, time::WatermarkStrategy};
use hurtig_types::{CheckpointConfig, JobId, Record, RecoveryClaimMode};
use parking_lot::Mutex;

use crate::{
    DataStream, ExecuteError, JobClient, JobExecutionResult,
    builder::{OperatorSpec, ProgramBuilder},
    execution::fresh_job_id,
};

/// Settings of an environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) graph: StreamGraphSettings,
    pub(crate) job: JobConfig,
    pub(crate) task_executors: u32,
    /// `None`: as many as the job needs.
    pub(crate) slots: Option<u32>,
    pub(crate) cluster: MiniClusterConfig,
    /// Options of object stores.
    pub(crate) object_stores: Vec<(String, String)>,
    pub(crate) show_progress: bool,
    /// What the settings were taken from, before the program changed them.
    pub(crate) configuration: Configuration,
}

/// Builds and executes one job. Cloning gives another handle to the same job.
#[derive(Clone)]
pub struct StreamExecutionEnvironment {
    pub(crate) builder: Arc<Mutex<ProgramBuilder>>,
    pub(crate) settings: Arc<Mutex<Settings>>,
}

impl Default for StreamExecutionEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamExecutionEnvironment {
    /// An environment whose jobs run in an embedded cluster, with parallelism 1 unless set. In a
    /// program that was submitted to a cluster, they run there, as it is configured.
    pub fn new() -> Self {
        let settings = Settings { task_executors: 1, ..Settings::default() };
        let env = Self { builder: Arc::default(), settings: Arc::new(Mutex::new(settings)) };
        #[cfg(feature = "cluster")]
        crate::host::configure(&env);
        env
    }

    /// Parallelism of all operators that set none.
    pub fn set_parallelism(&self, parallelism: u32) -> &Self {
        self.settings.lock().graph.environment_parallelism = Some(parallelism);
        self
    }

    /// Number of key groups of all operators that set none: the most to which they can be
    /// rescaled.
    pub fn set_max_parallelism(&self, max_parallelism: u32) -> &Self {
        self.settings.lock().graph.max_parallelism = Some(max_parallelism);
        self
    }

    /// Longest time in milliseconds that a record waits in an output buffer; -1 for no limit.
    pub fn set_buffer_timeout_ms(&self, timeout_ms: i64) -> &Self {
        self.settings.lock().graph.buffer_timeout_ms = timeout_ms;
        self
    }

    /// Every operator becomes a task of its own.
    pub fn disable_operator_chaining(&self) -> &Self {
        self.settings.lock().graph.chaining_enabled = false;
        self
    }

    /// What happens after a failure.
    pub fn set_restart_strategy(&self, strategy: RestartStrategyConfig) -> &Self {
        self.settings.lock().job.restart_strategy = strategy;
        self
    }

    /// Takes a checkpoint every so many milliseconds; state then survives failures.
    pub fn enable_checkpointing(&self, interval_ms: u64) -> &Self {
        self.settings.lock().job.checkpoints.interval_ms = Some(interval_ms);
        self
    }

    /// All settings of checkpoints.
    pub fn set_checkpoint_config(&self, config: CheckpointConfig) -> &Self {
        self.settings.lock().job.checkpoints = config;
        self
    }

    /// Keeps checkpoints beneath a directory (`execution.checkpointing.dir`, a URL) instead of the
    /// JobManager's memory.
    pub fn set_checkpoint_directory(&self, url: &str) -> &Self {
        self.settings.lock().job.checkpoint_directory = Some(url.to_owned());
        self
    }

    /// Starts from a checkpoint or savepoint: the URL or path of its directory. Without
    /// `allow_non_restored_state`, state that no operator of the program takes is an error.
    pub fn restore_from(&self, pointer: &str, allow_non_restored_state: bool) -> &Self {
        self.settings.lock().job.restore_from = Some(RestoreFrom {
            pointer: pointer.to_owned(),
            allow_non_restored_state,
            claim_mode: RecoveryClaimMode::NoClaim,
        });
        self
    }

    /// As [`StreamExecutionEnvironment::restore_from`], with all that can be said of it: also whose
    /// the snapshot is from then on ([`RecoveryClaimMode`]).
    pub fn restore_with(&self, restore: RestoreFrom) -> &Self {
        self.settings.lock().job.restore_from = Some(restore);
        self
    }

    /// Milliseconds of processing time between two watermarks.
    pub fn set_auto_watermark_interval_ms(&self, interval_ms: u64) -> &Self {
        self.settings.lock().job.auto_watermark_interval_ms = interval_ms;
        self
    }

    /// Milliseconds between two latency markers of a source; 0 for none, the default. What
    /// operators note of them are the `latency` metrics.
    pub fn set_latency_tracking_interval_ms(&self, interval_ms: u64) -> &Self {
        self.settings.lock().job.latency_interval_ms = interval_ms;
        self
    }

    /// How long to wait for slots, in milliseconds.
    pub fn set_slot_request_timeout_ms(&self, timeout_ms: u64) -> &Self {
        self.settings.lock().job.slot_request_timeout_ms = timeout_ms;
        self
    }

    /// Registers a file in the distributed cache: every task finds a copy of it on its own machine
    /// under `name`, by `cached_file` of its runtime context.
    /// Where the program is planned, the file must be at `path`. An embedded cluster reads it
    /// there.
    pub fn register_cached_file(&self, path: &str, name: &str) -> &Self {
        self.cached_file(path, name, false)
    }

    /// As [`StreamExecutionEnvironment::register_cached_file`], for a file that tasks execute.
    pub fn register_cached_executable(&self, path: &str, name: &str) -> &Self {
        self.cached_file(path, name, true)
    }

    fn cached_file(&self, path: &str, name: &str, executable: bool) -> &Self {
        let file = CachedFile { path: path.to_owned(), executable, blob: None };
        let earlier = self.settings.lock().job.cached_files.insert(name.to_owned(), file);
        if earlier.is_some() {
            let mistake = format!("two cached files are registered as {name:?}");
            self.builder.lock().mistakes.push(mistake);
        }
        self
    }

    /// Makes the job elastic (`jobmanager.scheduler: adaptive`): its parallelism follows the slots
    /// that there are.
    pub fn set_adaptive(&self, config: AdaptiveConfig) -> &Self {
        self.settings.lock().job.adaptive = Some(config);
        self
    }

    /// Parameters that are shown with the job.
    pub fn set_global_parameters(&self, parameters: BTreeMap<String, String>) -> &Self {
        self.settings.lock().job.global_parameters = parameters;
        self
    }

    /// Number of TaskExecutors of the embedded cluster; they exchange records over TCP.
    pub fn set_task_executors(&self, task_executors: u32) -> &Self {
        self.settings.lock().task_executors = task_executors;
        self
    }

    /// Slots of each TaskExecutor of the embedded cluster. Unless set, there are enough.
    pub fn set_task_slots(&self, slots: u32) -> &Self {
        self.settings.lock().slots = Some(slots);
        self
    }

    /// Threads that run tasks; unless set, one per core.
    pub fn set_compute_threads(&self, threads: usize) -> &Self {
        self.settings.lock().cluster.compute_threads = Some(threads);
        self
    }

    /// Memory for records in flight of each TaskExecutor, in bytes.
    pub fn set_network_memory_bytes(&self, bytes: usize) -> &Self {
        self.settings.lock().cluster.network.total_bytes = bytes;
        self
    }

    /// Shows a line of progress on a terminal while a job runs, and a report at its end.
    pub fn show_progress(&self, show: bool) -> &Self {
        self.settings.lock().show_progress = show;
        self
    }

    /// A stream from a source.
    pub fn from_source<S: Source>(
        &self,
        source: S,
        strategy: WatermarkStrategy<S::Record>,
        name: &str,
    ) -> DataStream<S::Record> {
        let spec = OperatorSpec {
            name: name.to_owned(),
            kind: OperatorKind::Source,
            bounded: source.boundedness() == Boundedness::Bounded,
            max_allowed_parallelism: None,
        };
        let factory = Arc::new(SourceFactory::new(source, strategy));
        let id = self.builder.lock().add(spec, factory, Vec::new());
        DataStream::of_operator(self.clone(), id)
    }

    /// A stream of the values of a collection, in order; read by one subtask.
    pub fn from_collection<T: Record>(&self, values: Vec<T>) -> DataStream<T> {
        let source = CollectionSource::new(values).unwrap_or_else(|error| {
            self.builder.lock().mistakes.push(format!("from_collection: {error}"));
            CollectionSource::empty()
        });
        self.from_source(source, WatermarkStrategy::no_watermarks(), "Collection Source")
            .set_parallelism(1)
    }

    /// A stream of the numbers from `from` to `to`, both inclusive.
    pub fn from_sequence(&self, from: i64, to: i64) -> DataStream<i64> {
        let source = SequenceSource::new(from, to);
        self.from_source(source, WatermarkStrategy::no_watermarks(), "Sequence Source")
    }

    /// The StreamGraph of the program so far.
    pub fn stream_graph(&self, job_name: &str) -> Result<StreamGraph, ExecuteError> {
        let builder = self.builder.lock();
        if !builder.mistakes.is_empty() {
            return Err(ExecuteError::Program(builder.mistakes.join("; ")));
        }
        let mut settings = self.settings.lock().graph.clone();
        settings.job_name = job_name.to_owned();
        Ok(build_stream_graph(&builder.transformations, &settings)?)
    }

    /// The plan of the program so far, for people: operators, then chains.
    pub fn explain(&self) -> Result<String, ExecuteError> {
        let graph = self.stream_graph("explain")?;
        let job = build_job_graph(&graph, JobId(0), self.settings.lock().job.clone());
        Ok(format!("{}\n{}", graph.to_text(), job.to_text()))
    }

    /// The plan of the program so far, as JSON in the form of Flink's execution plan.
    pub fn execution_plan(&self) -> Result<String, ExecuteError> {
        Ok(self.stream_graph("explain")?.to_json().to_string())
    }

    pub(crate) fn build(&self, job_name: &str) -> Result<(JobGraph, Program), ExecuteError> {
        self.job_graph(job_name, fresh_job_id())
    }

    /// The JobGraph of the program so far, under an id of the caller's choice, and its code: for
    /// those who submit it to a cluster of their own.
    pub fn job_graph(
        &self,
        job_name: &str,
        job: JobId,
    ) -> Result<(JobGraph, Program), ExecuteError> {
        let stream_graph = self.stream_graph(job_name)?;
        let program = self.builder.lock().program(&stream_graph);
        let config = self.settings.lock().job.clone();
        Ok((build_job_graph(&stream_graph, job, config), program))
    }

    /// Executes the program in an embedded cluster and waits for its end.
    ///
    /// In a program that was submitted to a cluster, the job runs there, and the process ends when
    /// it has done its part: this does not return, so nothing that follows it happens.
    ///
    /// # Errors
    /// If the program is wrong, the cluster cannot start, or the job fails or is cancelled.
    pub fn execute(&self, job_name: &str) -> Result<JobExecutionResult, ExecuteError> {
        self.execute_async(job_name)?.wait()
    }

    /// Starts the program in an embedded cluster and returns at once.
    ///
    /// # Errors
    /// If the program is wrong or the cluster cannot start.
    pub fn execute_async(&self, job_name: &str) -> Result<JobClient, ExecuteError> {
        JobClient::submit(self, job_name)
    }
}
