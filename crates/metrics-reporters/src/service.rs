//! The metrics service of a process: takes the readings that rates need, and runs the reporters.

use std::{io, net::SocketAddr, sync::Arc};

use hurtig_metrics::{MetricRegistry, rate::SPACING};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    MetricReporter, MetricsSource,
    graphite::{GraphiteReporter, UnixClock},
    opentelemetry::OpenTelemetryReporter,
    prometheus::PrometheusReporter,
    settings::{ReporterKind, ReporterSettings},
    statsd::StatsDReporter,
};

/// A reporter cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the metrics reporter {name:?}")]
pub struct ReporterError {
    /// Its name.
    pub name: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Runs until it is dropped.
pub struct MetricsService {
    tasks: Vec<AbortHandle>,
    addresses: Vec<(String, SocketAddr)>,
}

impl MetricsService {
    /// Starts reporters of what `source` gives, and takes the readings of `registry`.
    ///
    /// # Errors
    /// If a reporter has no socket; none runs then.
    pub async fn start(
        registry: &MetricRegistry,
        source: Arc<dyn MetricsSource>,
        reporters: &[ReporterSettings],
        executor: &Handle,
        clock: UnixClock,
    ) -> Result<Self, ReporterError> {
        let mut opened: Vec<Box<dyn MetricReporter>> = Vec::with_capacity(reporters.len());
        let mut addresses = Vec::new();
        for settings in reporters {
            let reporter = open(settings.clone(), clock.clone()).await;
            let failed = |source| ReporterError { name: settings.name.clone(), source };
            let reporter = reporter.map_err(failed)?;
            if let Some(address) = reporter.address() {
                tracing::info!(reporter = settings.name, %address, "metrics can be asked for");
                addresses.push((settings.name.clone(), address));
            }
            opened.push(reporter);
        }
        let registry = registry.clone();
        let mut tasks = vec![executor.spawn(read_rates(registry)).abort_handle()];
        for reporter in opened {
            tasks.push(executor.spawn(reporter.run(source.clone())).abort_handle());
        }
        Ok(Self { tasks, addresses })
    }

    /// Where reporters that are asked can be asked, by their names.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }
}

impl Drop for MetricsService {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn open(settings: ReporterSettings, clock: UnixClock) -> io::Result<Box<dyn MetricReporter>> {
    if let Some(to) = settings.otlp.clone() {
        return Ok(Box::new(OpenTelemetryReporter::new(settings, to, clock)));
    }
    Ok(match settings.kind {
        ReporterKind::Prometheus => Box::new(PrometheusReporter::bind(settings).await?),
        ReporterKind::StatsD => Box::new(StatsDReporter::new(settings)),
        ReporterKind::Graphite => Box::new(GraphiteReporter::new(settings, clock)),
        ReporterKind::OpenTelemetry => {
            return Err(io::Error::other("it is not told where the collector is"));
        }
    })
}

async fn read_rates(registry: MetricRegistry) {
    let mut ticks = interval(SPACING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        registry.read_rates();
    }
}

/// When a reporter that sends does so, and what becomes of it.
pub(crate) struct Rhythm {
    name: String,
    ticks: Interval,
    failing: bool,
}

impl Rhythm {
    pub(crate) fn of(settings: &ReporterSettings) -> Self {
        let mut ticks = interval(settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { name: settings.name.clone(), ticks, failing: false }
    }

    /// Waits for the next report.
    pub(crate) async fn next(&mut self) {
        self.ticks.tick().await;
    }

    /// A report was sent, or not. The first failure of a row is told, those that follow are not.
    pub(crate) fn note(&mut self, reported: io::Result<()>) {
        let was_failing = std::mem::replace(&mut self.failing, reported.is_err());
        if let Err(error) = reported
            && !was_failing
        {
            tracing::warn!(reporter = self.name, %error, "metrics could not be reported");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hurtig_metrics::MetricOptions;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::{http::MOST_CONNECTIONS, test_metrics};

    async fn prometheus(registry: &MetricRegistry) -> (MetricsService, SocketAddr) {
        let settings = [test_metrics::settings(ReporterKind::Prometheus)];
        let source = Arc::new(registry.clone());
        let clock: UnixClock = Arc::new(|| 0);
        let executor = Handle::current();
        let service = MetricsService::start(registry, source, &settings, &executor, clock).await;
        let service = service.unwrap();
        let (_, address) = service.addresses()[0];
        (service, address)
    }

    async fn scrape(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_page_is_scraped_and_ends_with_the_service() {
        let registry = MetricRegistry::new(MetricOptions::default(), || Duration::ZERO);
        registry.job_manager("h").counter("n").add(3);
        let (service, address) = prometheus(&registry).await;
        let page = scrape(address).await;
        assert!(page.ends_with("\nflink_jobmanager_n{host=\"h\"} 3\n"), "{page}");
        drop(service);
        tokio::task::yield_now().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn strangers_that_break_off_do_no_harm() {
        let registry = MetricRegistry::default();
        registry.job_manager("h").counter("n").add(3);
        let (_service, address) = prometheus(&registry).await;
        for round in 0..4 * MOST_CONNECTIONS as u8 {
            let mut stranger = TcpStream::connect(address).await.unwrap();
            let noise: Vec<u8> = (0..500).map(|n: u32| (n as u8).wrapping_mul(round)).collect();
            // It may have been refused already.
            let _ = stranger.write_all(&noise).await;
        }
        assert!(scrape(address).await.contains("flink_jobmanager_n"));
    }
}
