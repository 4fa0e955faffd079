//! Metrics and accumulators. Both are updated per batch, never per record by the engine, and read
//! by whoever reports them.
//!
//! - [`Counter`], [`Gauge`], [`Histogram`]: primitives that clone cheaply and share their value.
//! - [`MetricGroup`]: a scope (job, task, operator, the user's own) in a [`MetricRegistry`].
//! - [`Accumulators`]: the user's per-job results, merged over subtasks when the job ends.
//! - [`names`]: the catalogue of the engine's metric names; they are Flink's.
//!
//! Deliberately absent: clocks and reporters. Rates are computed by the reader from two readings.

pub mod accumulator;
pub mod group;
pub mod names;
pub mod primitive;

pub use accumulator::{AccumulatorMismatch, AccumulatorValue, Accumulators, SharedAccumulators};
pub use group::{MetricGroup, MetricRegistry, MetricSample, MetricValue};
pub use primitive::{Counter, Gauge, Histogram, HistogramSnapshot};
