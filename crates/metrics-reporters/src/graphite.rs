//! Graphite: lines of name, value and time over TCP, in Carbon's plain text.
//!
//! A connection per report: a collector that was restarted is found again, and an idle connection
//! costs nothing on either side.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use hurtig_metrics::MetricsSnapshot;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    MetricReporter, MetricsSource, service::Rhythm, settings::ReporterSettings, statsd::numbers,
};

/// Most time for a report to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Seconds since the Unix epoch, by some clock.
pub type UnixClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Sends by TCP.
pub struct GraphiteReporter {
    settings: ReporterSettings,
    clock: UnixClock,
}

impl GraphiteReporter {
    /// A reporter that dates by `clock`.
    pub fn new(settings: ReporterSettings, clock: UnixClock) -> Self {
        Self { settings, clock }
    }

    async fn send(&self, metrics: &MetricsSnapshot) -> io::Result<()> {
        let host = self.settings.host.as_deref().unwrap_or("localhost");
        let text = text(metrics, &self.settings, (self.clock)());
        let sending = async {
            let mut stream = TcpStream::connect((host, *self.settings.ports.start())).await?;
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await
        };
        timeout(PATIENCE, sending).await?
    }
}

#[async_trait]
impl MetricReporter for GraphiteReporter {
    async fn run(self: Box<Self>, source: Arc<dyn MetricsSource>) {
        let mut rhythm = Rhythm::of(&self.settings);
        loop {
            rhythm.next().await;
            let metrics = source.metrics().await;
            rhythm.note(self.send(&metrics).await);
        }
    }
}

fn text(metrics: &MetricsSnapshot, settings: &ReporterSettings, now_s: i64) -> String {
    let mut text = String::new();
    for (scope, sample) in metrics.iter() {
        if !settings.filter.of_scope(scope)(&sample.name, sample.value.kind()) {
            continue;
        }
        // Carbon splits lines at blanks, and takes quotes and slashes amiss.
        let clean = |c: char| match c {
            '"' | '\\' | '/' | ':' => '-',
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        };
        let name = scope.identifier(&sample.name, settings.delimiter, clean);
        for (suffix, value) in numbers(&sample.value) {
            if let Some(prefix) = &settings.prefix {
                text.push_str(prefix);
                text.push('.');
            }
            text.push_str(&format!("{name}{suffix} {value} {now_s}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::{settings::ReporterKind, test_metrics};

    #[tokio::test]
    async fn a_report_is_lines_over_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut settings = test_metrics::settings(ReporterKind::Graphite);
        settings.ports = port..=port;
        settings.prefix = Some("flink".to_owned());
        let reporter = GraphiteReporter::new(settings, Arc::new(|| 1700));
        let metrics = test_metrics::snapshot();
        let (sent, accepted) = tokio::join!(reporter.send(&metrics), listener.accept());
        sent.unwrap();
        let mut text = String::new();
        accepted.unwrap().0.read_to_string(&mut text).await.unwrap();
        assert!(
            text.contains(
                "flink.h.taskmanager.tm-1.word_count.Map_->_Sink.0.numRecordsIn 7 1700\n"
            ),
            "{text}"
        );
        assert!(text.lines().all(|line| line.split(' ').count() == 3), "{text}");
        assert_eq!(text.lines().count(), 1 + 2 + 1 + 11);
    }
}
