//! Reporters: how metrics leave a process.
//!
//! - [`MetricReporter`] is the one trait: a reporter runs beside its process and asks its
//!   [`MetricsSource`] when it wants metrics, on a timer (push) or when it is asked itself (pull).
//! - [`prometheus`] answers scrapes, [`statsd`], [`graphite`] and [`opentelemetry`] send.
//! - [`settings`] reads which reporters there are, and what they leave out ([`filter`]).
//! - [`service`] runs all reporters of a process, and takes the readings that rates need.
//! - [`process`] shows the process itself: memory, load, open files.
//!
//! A source is a registry, or whatever else can put metrics together: a TaskManager's those of its
//! task hosts, too.
//!
//! Invariant: a reporter that fails says so and tries again; it never stops its process.

pub mod filter;
pub mod graphite;
mod http;
pub mod opentelemetry;
pub mod process;
pub mod prometheus;
pub mod service;
pub mod settings;
pub mod statsd;
#[cfg(test)]
mod test_metrics;

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use hurtig_metrics::{MetricRegistry, MetricsQuery, MetricsSnapshot};

pub use filter::{FilterError, MetricFilter};
pub use service::{MetricsService, ReporterError};
pub use settings::{MetricsSettings, OtlpSettings, ReporterKind, ReporterSettings, SettingsError};

/// Where metrics come from.
#[async_trait]
pub trait MetricsSource: Send + Sync {
    /// All metrics, as they are now.
    async fn metrics(&self) -> MetricsSnapshot;
}

#[async_trait]
impl MetricsSource for MetricRegistry {
    async fn metrics(&self) -> MetricsSnapshot {
        self.snapshot(&MetricsQuery::all())
    }
}

/// A reporter that has what it needs: its socket is open.
#[async_trait]
pub trait MetricReporter: Send {
    /// Where it can be asked, if it can.
    fn address(&self) -> Option<SocketAddr> {
        None
    }

    /// Reports until it is dropped.
    async fn run(self: Box<Self>, source: Arc<dyn MetricsSource>);
}
