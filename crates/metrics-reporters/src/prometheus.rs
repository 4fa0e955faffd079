//! Prometheus: a page that is scraped, with the names that Flink's reporter writes.
//!
//! A name is `flink_`, the logical scope and the metric's name; the variables of the scope are
//! labels. Counters, gauges and meters are gauges there, as in Flink; histograms are summaries.
//! Metrics whose value is not a number are left out.

use std::{collections::BTreeMap, fmt::Write, io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use hurtig_metrics::{MetricSample, MetricValue, MetricsSnapshot, Scope};
use tokio::net::TcpListener;

use crate::{MetricReporter, MetricsSource, http, settings::ReporterSettings};

/// Answers scrapes.
pub struct PrometheusReporter {
    listener: TcpListener,
    address: SocketAddr,
    settings: Arc<ReporterSettings>,
}

impl PrometheusReporter {
    /// Listens at the first port that is free.
    ///
    /// # Errors
    /// If none is; the error is that of the last.
    pub async fn bind(settings: ReporterSettings) -> io::Result<Self> {
        let host = settings.host.clone().unwrap_or_else(|| "0.0.0.0".to_owned());
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for port in settings.ports.clone() {
            match TcpListener::bind((host.as_str(), port)).await {
                Ok(listener) => {
                    let address = listener.local_addr()?;
                    return Ok(Self { listener, address, settings: Arc::new(settings) });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

#[async_trait]
impl MetricReporter for PrometheusReporter {
    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    async fn run(self: Box<Self>, source: Arc<dyn MetricsSource>) {
        let settings = self.settings.clone();
        http::serve(self.listener, move || {
            let (source, settings) = (source.clone(), settings.clone());
            async move { page(&source.metrics().await, &settings) }
        })
        .await;
    }
}

/// Replaces what Prometheus does not take in names.
fn clean(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' })
}

fn put_label(labels: &mut String, name: &str, value: &str, filter_value: bool) {
    if !labels.is_empty() {
        labels.push(',');
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        labels.push('_');
    }
    // A label's name takes no colon, other than a metric's.
    labels.extend(clean(name).map(|c| if c == ':' { '_' } else { c }));
    labels.push_str("=\"");
    if filter_value {
        labels.extend(clean(value));
    } else {
        for c in value.chars() {
            match c {
                '\\' => labels.push_str("\\\\"),
                '"' => labels.push_str("\\\""),
                '\n' => labels.push_str("\\n"),
                _ => labels.push(c),
            }
        }
    }
    labels.push('"');
}

/// The labels of a scope, without their braces.
fn labels(scope: &Scope, settings: &ReporterSettings) -> String {
    let mut labels = String::new();
    let variables = scope.variables.iter();
    for (name, value) in variables.filter(|(name, _)| !settings.excluded_variables.contains(name)) {
        put_label(&mut labels, name, value, settings.filter_label_values);
    }
    for (name, value) in &settings.additional_variables {
        if scope.variable(name).is_none() {
            put_label(&mut labels, name, value, settings.filter_label_values);
        }
    }
    labels
}

/// All samples of one name: Prometheus wants them in one piece.
#[derive(Default)]
struct Family {
    help: String,
    summary: bool,
    lines: String,
}

fn put_sample(family: &mut Family, name: &str, labels: &str, value: &MetricValue) {
    let lines = &mut family.lines;
    // Writing to a string cannot fail.
    match value {
        MetricValue::Distribution(distribution) if family.summary => {
            let comma = if labels.is_empty() { "" } else { "," };
            for (quantile, value) in distribution.quantiles() {
                let _ = writeln!(lines, "{name}{{{labels}{comma}quantile=\"{quantile}\"}} {value}");
            }
            let _ = writeln!(lines, "{name}_count{{{labels}}} {}", distribution.count);
        }
        MetricValue::Distribution(_) => {}
        _ => {
            if let Some(value) = value.as_f64().filter(|_| !family.summary) {
                let _ = writeln!(lines, "{name}{{{labels}}} {value}");
            }
        }
    }
}

/// The page of all metrics that the filter lets pass.
pub fn page(metrics: &MetricsSnapshot, settings: &ReporterSettings) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for (index, scope) in metrics.scopes.iter().enumerate() {
        let wants = settings.filter.of_scope(scope);
        let samples = of_scope(metrics, index);
        let mut samples =
            samples.filter(|sample| wants(&sample.name, sample.value.kind())).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let labels = labels(scope, settings);
        let logical = scope.logical.join("_");
        for sample in samples {
            let mut name = String::from("flink_");
            name.extend(clean(&logical).chain(['_']).chain(clean(&sample.name)));
            let summary = matches!(sample.value, MetricValue::Distribution(_));
            let family = families.entry(name.clone()).or_insert_with(|| {
                let help = format!("{} (scope: {logical})", sample.name);
                let help = help.replace('\\', "\\\\").replace('\n', "\\n");
                Family { help, summary, lines: String::new() }
            });
            put_sample(family, &name, &labels, &sample.value);
        }
    }
    let mut page = String::new();
    for (name, family) in families.iter().filter(|(_, family)| !family.lines.is_empty()) {
        let kind = if family.summary { "summary" } else { "gauge" };
        let Family { help, lines, .. } = family;
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
    }
    page
}

/// The samples of one scope, which stand next to each other.
fn of_scope(metrics: &MetricsSnapshot, scope: usize) -> impl Iterator<Item = &MetricSample> {
    let scope = scope as u32;
    let samples = &metrics.metrics;
    let first = samples.partition_point(|sample| sample.scope < scope);
    samples[first..].iter().take_while(move |sample| sample.scope == scope)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{MetricFilter, settings::ReporterKind, test_metrics};

    #[test]
    fn names_and_labels_are_those_of_flinks_reporter() {
        let page =
            page(&test_metrics::snapshot(), &test_metrics::settings(ReporterKind::Prometheus));
        expect![[r##"
            # HELP flink_taskmanager_job_latency_source_id_latency latency (scope: taskmanager_job_latency_source_id)
            # TYPE flink_taskmanager_job_latency_source_id_latency summary
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.5"} 5
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.75"} 8
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.95"} 10
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.98"} 10
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.99"} 10
            flink_taskmanager_job_latency_source_id_latency{host="h",tm_id="tm:1",job_name="word_count",source_id="ab",quantile="0.999"} 10
            flink_taskmanager_job_latency_source_id_latency_count{host="h",tm_id="tm:1",job_name="word_count",source_id="ab"} 10
            # HELP flink_taskmanager_job_task_inPoolUsage inPoolUsage (scope: taskmanager_job_task)
            # TYPE flink_taskmanager_job_task_inPoolUsage gauge
            flink_taskmanager_job_task_inPoolUsage{host="h",tm_id="tm:1",job_name="word_count",task_name="Map____Sink",subtask_index="0"} 0.25
            # HELP flink_taskmanager_job_task_numRecordsIn numRecordsIn (scope: taskmanager_job_task)
            # TYPE flink_taskmanager_job_task_numRecordsIn gauge
            flink_taskmanager_job_task_numRecordsIn{host="h",tm_id="tm:1",job_name="word_count",task_name="Map____Sink",subtask_index="0"} 7
            # HELP flink_taskmanager_job_task_numRecordsInPerSecond numRecordsInPerSecond (scope: taskmanager_job_task)
            # TYPE flink_taskmanager_job_task_numRecordsInPerSecond gauge
            flink_taskmanager_job_task_numRecordsInPerSecond{host="h",tm_id="tm:1",job_name="word_count",task_name="Map____Sink",subtask_index="0"} 3.5
        "##]]
        .assert_eq(&page);
    }

    #[test]
    fn settings_leave_out_and_add() {
        let mut settings = test_metrics::settings(ReporterKind::Prometheus);
        settings.filter = MetricFilter::parse("*:numRecords*:counter", "").unwrap();
        settings.excluded_variables = vec!["host".to_owned(), "tm_id".to_owned()];
        settings.additional_variables = vec![("region".to_owned(), "\"eu\"".to_owned())];
        settings.filter_label_values = false;
        let page = page(&test_metrics::snapshot(), &settings);
        expect![[r#"
            # HELP flink_taskmanager_job_task_numRecordsIn numRecordsIn (scope: taskmanager_job_task)
            # TYPE flink_taskmanager_job_task_numRecordsIn gauge
            flink_taskmanager_job_task_numRecordsIn{job_name="word count",task_name="Map -> Sink",subtask_index="0",region="\"eu\""} 7
        "#]]
        .assert_eq(&page);
    }

    #[tokio::test]
    async fn the_next_port_is_taken_when_one_is_not_free() {
        let mut settings = test_metrics::settings(ReporterKind::Prometheus);
        settings.host = Some("127.0.0.1".to_owned());
        settings.ports = 0..=0;
        let first = PrometheusReporter::bind(settings.clone()).await.unwrap();
        let taken = first.address.port();
        settings.ports = taken..=taken;
        let refused = PrometheusReporter::bind(settings.clone()).await;
        assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::AddrInUse);
        settings.ports = taken..=u16::MAX;
        let second = PrometheusReporter::bind(settings).await.unwrap();
        assert!(second.address.port() > taken);
    }
}
