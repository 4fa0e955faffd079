//! Metrics and accumulators. Both are updated per batch, never per record by the engine, and read
//! by whoever reports them.
//!
//! - [`Counter`], [`Gauge`], [`Meter`], [`Histogram`]: primitives that clone cheaply and share
//!   their value. An update is an atomic addition (a short lock for histograms): no names, no maps.
//! - [`MetricGroup`]: a scope (job, task, operator, the user's own) in a [`MetricRegistry`]. Names
//!   are looked at when a metric is registered and when it is reported, at no other time.
//! - [`MetricsSnapshot`]: metrics of one moment as plain data, which reporters write, gateways carry
//!   and processes merge.
//! - [`catalogue`]: the engine's metrics; their names are Flink's.
//! - [`Accumulators`]: the user's per-job results, merged over subtasks when the job ends.
//!
//! Deliberately absent: reporters (crate `metrics-reporters`) and clocks; a registry is given one.

pub mod accumulator;
pub mod catalogue;
pub mod histogram;
pub mod names;
pub mod primitive;
pub mod rate;
pub mod registry;
pub mod scope;
pub mod snapshot;

pub use accumulator::{AccumulatorMismatch, AccumulatorValue, Accumulators, SharedAccumulators};
pub use histogram::{HISTOGRAM_WINDOW, Histogram, HistogramSnapshot};
pub use primitive::{Counter, Gauge, GaugeValue, TimeCounter};
pub use rate::Meter;
pub use registry::{
    LatencyGranularity, LatencyOptions, MOST_METRICS, MetricGroup, MetricOptions, MetricRegistry,
};
pub use scope::{Scope, ScopeError, ScopeFormats, ScopeKind};
pub use snapshot::{MetricKind, MetricSample, MetricValue, MetricsQuery, MetricsSnapshot};
