//! What user functions may know of their surroundings.

use std::path::{Path, PathBuf};

use hurtig_env::Clock;
use hurtig_metrics::{AccumulatorValue, MetricGroup, SharedAccumulators};
use hurtig_operator_api::OperatorContext;
use hurtig_types::BoxError;

/// The surroundings of a rich function.
#[derive(Clone)]
pub struct RuntimeContext {
    context: OperatorContext,
}

impl RuntimeContext {
    /// The view of an operator's context that user code gets.
    pub fn new(context: &OperatorContext) -> Self {
        Self { context: context.clone() }
    }

    /// Index of this subtask, from 0.
    pub fn subtask(&self) -> u32 {
        self.context.subtask
    }

    /// Number of subtasks.
    pub fn parallelism(&self) -> u32 {
        self.context.parallelism
    }

    /// Number of key groups.
    pub fn max_parallelism(&self) -> u32 {
        self.context.max_parallelism
    }

    /// Attempt number, from 0.
    pub fn attempt(&self) -> u32 {
        self.context.attempt
    }

    /// The operator's name.
    pub fn task_name(&self) -> &str {
        &self.context.operator_name
    }

    /// The job's name.
    pub fn job_name(&self) -> &str {
        &self.context.job_name
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        self.context.clock
    }

    /// The operator's group, for metrics of the user's own; Flink's `getMetricGroup`. They are
    /// forgotten when the subtask ends.
    ///
    /// ```
    /// use hurtig_metrics::{Counter, Histogram};
    /// use hurtig_operators::RuntimeContext;
    ///
    /// struct Parse {
    ///     malformed: Counter,
    ///     lengths: Histogram,
    /// }
    ///
    /// impl Parse {
    ///     fn open(context: &RuntimeContext) -> Self {
    ///         let group = context.metric_group().group("parser");
    ///         Self { malformed: group.counter("malformed"), lengths: group.histogram("lengths") }
    ///     }
    /// }
    /// ```
    pub fn metric_group(&self) -> &MetricGroup {
        &self.context.metrics
    }

    /// A file of the distributed cache: where it is on this machine. It must not be changed.
    ///
    /// # Errors
    /// If the program has registered no file of that name.
    pub fn cached_file(&self, name: &str) -> Result<&Path, BoxError> {
        let file = self.context.cached_files.get(name).map(PathBuf::as_path);
        file.ok_or_else(|| format!("no cached file is registered as {name:?}").into())
    }

    /// The accumulators of this subtask.
    pub fn accumulators(&self) -> &SharedAccumulators {
        &self.context.accumulators
    }

    /// Adds to a sum of integers that the job's result will hold.
    pub fn add_to_counter(&self, name: &str, n: i64) -> Result<(), BoxError> {
        Ok(self.context.accumulators.add(name, AccumulatorValue::Long(n))?)
    }
}
