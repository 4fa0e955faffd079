//! StatsD: one datagram per number, as Flink's reporter sends them.
//!
//! Everything is a gauge. A histogram and a meter are several numbers, with a suffix each. A
//! negative number would be taken for a difference, so a zero goes before it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use hurtig_metrics::{HistogramSnapshot, MetricValue, MetricsSnapshot};
use tokio::net::UdpSocket;

use crate::{MetricReporter, MetricsSource, service::Rhythm, settings::ReporterSettings};

/// Sends by UDP. The receiver is looked up with every report, since it may move.
pub struct StatsDReporter {
    settings: ReporterSettings,
}

impl StatsDReporter {
    /// A reporter.
    pub fn new(settings: ReporterSettings) -> Self {
        Self { settings }
    }

    async fn send(&self, metrics: &MetricsSnapshot) -> io::Result<()> {
        let host = self.settings.host.as_deref().unwrap_or("localhost");
        let port = *self.settings.ports.start();
        let address = tokio::net::lookup_host((host, port)).await?.next();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        for line in lines(metrics, &self.settings) {
            socket.send_to(line.as_bytes(), address).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl MetricReporter for StatsDReporter {
    async fn run(self: Box<Self>, source: Arc<dyn MetricsSource>) {
        let mut rhythm = Rhythm::of(&self.settings);
        loop {
            rhythm.next().await;
            let metrics = source.metrics().await;
            rhythm.note(self.send(&metrics).await);
        }
    }
}

/// The numbers of a metric with the suffixes of their names.
pub(crate) fn numbers(value: &MetricValue) -> Vec<(&'static str, f64)> {
    match value {
        MetricValue::Distribution(distribution) => of_histogram(distribution),
        MetricValue::Rate { count, per_second } => {
            vec![(".rate", *per_second), (".count", *count as f64)]
        }
        MetricValue::Count(_) | MetricValue::Gauge(_) => {
            value.as_f64().map(|value| ("", value)).into_iter().collect()
        }
    }
}

fn of_histogram(of: &HistogramSnapshot) -> Vec<(&'static str, f64)> {
    vec![
        (".count", of.count as f64),
        (".max", of.max as f64),
        (".min", of.min as f64),
        (".mean", of.mean),
        (".stddev", of.stddev),
        (".p50", of.p50 as f64),
        (".p75", of.p75 as f64),
        (".p95", of.p95 as f64),
        (".p98", of.p98 as f64),
        (".p99", of.p99 as f64),
        (".p999", of.p999 as f64),
    ]
}

fn lines(metrics: &MetricsSnapshot, settings: &ReporterSettings) -> Vec<String> {
    let mut lines = Vec::new();
    for (scope, sample) in metrics.iter() {
        if !settings.filter.of_scope(scope)(&sample.name, sample.value.kind()) {
            continue;
        }
        // What separates a name from its value, and one datagram's line from the next.
        let clean = |c| if matches!(c, ':' | '|' | '@' | '\n' | '\r') { '-' } else { c };
        let name = scope.identifier(&sample.name, settings.delimiter, clean);
        for (suffix, value) in numbers(&sample.value) {
            if value < 0.0 {
                lines.push(format!("{name}{suffix}:0|g"));
            }
            lines.push(format!("{name}{suffix}:{value}|g"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::{MetricRegistry, MetricsQuery};

    use super::*;
    use crate::{settings::ReporterKind, test_metrics};

    #[test]
    fn lines_are_those_of_flinks_reporter() {
        let lines = lines(&test_metrics::snapshot(), &test_metrics::settings(ReporterKind::StatsD));
        let task = "h.taskmanager.tm-1.word count.Map -> Sink.0";
        assert!(lines.contains(&format!("{task}.numRecordsIn:7|g")), "{lines:?}");
        assert!(lines.contains(&format!("{task}.numRecordsInPerSecond.rate:3.5|g")));
        assert!(lines.contains(&format!("{task}.inPoolUsage:0.25|g")));
        let latency = "h.taskmanager.tm-1.word count.latency.source_id.ab.latency";
        assert!(lines.contains(&format!("{latency}.p95:10|g")));
        assert_eq!(lines.len(), 1 + 2 + 1 + 11, "a text is not sent");
    }

    #[test]
    fn a_negative_number_is_no_difference() {
        let registry = MetricRegistry::default();
        registry.job_manager("h").gauge("g").set(-3);
        let snapshot = registry.snapshot(&MetricsQuery::all());
        let lines = lines(&snapshot, &test_metrics::settings(ReporterKind::StatsD));
        assert_eq!(lines, ["h.jobmanager.g:0|g", "h.jobmanager.g:-3|g"]);
    }

    #[tokio::test]
    async fn reports_are_sent_as_datagrams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut settings = test_metrics::settings(ReporterKind::StatsD);
        let port = receiver.local_addr().unwrap().port();
        settings.ports = port..=port;
        let registry = MetricRegistry::default();
        registry.job_manager("h").counter("n").add(4);
        let reporter = Box::new(StatsDReporter::new(settings));
        let reporting = tokio::spawn(reporter.run(Arc::new(registry)));
        let mut datagram = [0; 64];
        let (length, _) = receiver.recv_from(&mut datagram).await.unwrap();
        assert_eq!(&datagram[..length], b"h.jobmanager.n:4|g");
        reporting.abort();
    }
}
