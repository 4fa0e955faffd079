//! OpenTelemetry: all metrics of a moment as one request of OTLP, in JSON over HTTP.
//!
//! Names and attributes are those of Flink's reporter: `flink.` and the logical scope, variables
//! beside. Sums are cumulative, where Flink's are differences: a report that gets lost takes
//! nothing along. What Flink sends by gRPC as its default is not spoken, nor is TLS: a collector
//! beside the process takes HTTP.

use std::{io, sync::Arc};

use async_trait::async_trait;
use hurtig_metrics::{GaugeValue, MetricValue, MetricsSnapshot, Scope};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    MetricReporter, MetricsSource,
    graphite::UnixClock,
    service::Rhythm,
    settings::{OtlpSettings, ReporterSettings},
};

/// Where metrics go, if the endpoint names no path.
pub(crate) const DEFAULT_PATH: &str = "/v1/metrics";
/// So much of an answer is looked at: its status.
const STATUS_BYTES: usize = "HTTP/1.1 200".len();
/// Sums count from the start of the process, as OTLP calls it.
const CUMULATIVE: u32 = 2;

/// Sends by HTTP.
pub struct OpenTelemetryReporter {
    settings: ReporterSettings,
    to: OtlpSettings,
    clock: UnixClock,
    started_s: i64,
}

impl OpenTelemetryReporter {
    /// A reporter that dates by `clock`.
    pub fn new(settings: ReporterSettings, to: OtlpSettings, clock: UnixClock) -> Self {
        let started_s = clock();
        Self { settings, to, clock, started_s }
    }

    async fn send(&self, metrics: &MetricsSnapshot) -> io::Result<()> {
        let times = [self.started_s, (self.clock)()].map(|at_s| format!("{at_s}000000000"));
        let body = request(metrics, &self.settings, &self.to, &times).to_string();
        let OtlpSettings { host, port, path, .. } = &self.to;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let sending = async {
            let name = host.trim_start_matches('[').trim_end_matches(']');
            let mut stream = TcpStream::connect((name, *port)).await?;
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            let mut status = [0; STATUS_BYTES];
            stream.read_exact(&mut status).await?;
            Ok::<_, io::Error>(status)
        };
        let status = timeout(self.to.timeout, sending).await??;
        match status.strip_prefix(b"HTTP/1.").map(|rest| &rest[1..]) {
            Some([b' ', b'2', ..]) => Ok(()),
            _ => {
                let status = String::from_utf8_lossy(&status);
                Err(io::Error::other(format!("the collector answers {status:?}")))
            }
        }
    }
}

#[async_trait]
impl MetricReporter for OpenTelemetryReporter {
    async fn run(self: Box<Self>, source: Arc<dyn MetricsSource>) {
        let mut rhythm = Rhythm::of(&self.settings);
        loop {
            rhythm.next().await;
            let metrics = source.metrics().await;
            rhythm.note(self.send(&metrics).await);
        }
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn attributes(scope: &Scope, settings: &ReporterSettings) -> Value {
    let own = scope.variables.iter();
    let own = own.filter(|(name, _)| !settings.excluded_variables.contains(name));
    let mut all: Vec<Value> = own.map(|(name, value)| attribute(name, value)).collect();
    let additional = settings.additional_variables.iter();
    let additional = additional.filter(|(name, _)| scope.variable(name).is_none());
    all.extend(additional.map(|(name, value)| attribute(name, value)));
    Value::Array(all)
}

/// The request of all metrics that the filter lets pass. `times`: since when, and now, in
/// nanoseconds since the Unix epoch.
fn request(
    metrics: &MetricsSnapshot,
    settings: &ReporterSettings,
    to: &OtlpSettings,
    times: &[String; 2],
) -> Value {
    let [start, now] = times;
    let mut sent = Vec::new();
    for (scope, sample) in metrics.iter() {
        if !settings.filter.of_scope(scope)(&sample.name, sample.value.kind()) {
            continue;
        }
        let attributes = attributes(scope, settings);
        let logical = scope.logical.join(".");
        let name = format!("flink.{logical}.{}", sample.name);
        let point = |mut value: Value| {
            value["attributes"] = attributes.clone();
            value["startTimeUnixNano"] = json!(start);
            value["timeUnixNano"] = json!(now);
            json!([value])
        };
        // Numbers of 64 bits are texts in OTLP's JSON.
        let sum = |name: &str, count: u64| {
            let points = point(json!({ "asInt": count.to_string() }));
            let sum = json!({
                "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points
            });
            json!({ "name": name, "sum": sum })
        };
        let gauge = |name: &str, value: Value| json!({
            "name": name, "gauge": { "dataPoints": point(value) }
        });
        match &sample.value {
            MetricValue::Count(count) => sent.push(sum(&name, *count)),
            MetricValue::Gauge(GaugeValue::Long(value)) => {
                sent.push(gauge(&name, json!({ "asInt": value.to_string() })));
            }
            MetricValue::Gauge(GaugeValue::Double(value)) => {
                sent.push(gauge(&name, json!({ "asDouble": value })));
            }
            MetricValue::Gauge(GaugeValue::Text(_)) => {}
            MetricValue::Rate { count, per_second } => {
                sent.push(sum(&format!("{name}.count"), *count));
                sent.push(gauge(&format!("{name}.rate"), json!({ "asDouble": per_second })));
            }
            MetricValue::Distribution(seen) => {
                let ends = [(0.0, seen.min), (1.0, seen.max)];
                let quantiles = ends.into_iter().chain(seen.quantiles()).map(|(quantile, value)| {
                    json!({ "quantile": quantile, "value": value as f64 })
                });
                let points = point(json!({
                    "count": seen.count.to_string(),
                    "sum": seen.mean * seen.count as f64,
                    "quantileValues": quantiles.collect::<Vec<_>>(),
                }));
                sent.push(json!({ "name": name, "summary": { "dataPoints": points } }));
            }
        }
    }
    let described = [("service.name", &to.service_name), ("service.version", &to.service_version)];
    let described = described.into_iter().filter_map(|(key, value)| {
        value.as_deref().map(|value| attribute(key, value))
    });
    json!({ "resourceMetrics": [{
        "resource": { "attributes": described.collect::<Vec<_>>() },
        "scopeMetrics": [{ "scope": { "name": "hurtig" }, "metrics": sent }],
    }] })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::{settings::ReporterKind, test_metrics};

    /// What a collector reads that answers so, and what the reporter makes of it.
    async fn report(answer: &str) -> (String, io::Result<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = OtlpSettings {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            path: DEFAULT_PATH.to_owned(),
            timeout: Duration::from_secs(60),
            service_name: Some("counting".to_owned()),
            service_version: None,
        };
        let settings = test_metrics::settings(ReporterKind::OpenTelemetry);
        let reporter = OpenTelemetryReporter::new(settings, to, Arc::new(|| 1_700));
        let metrics = test_metrics::snapshot();
        let collecting = async {
            let mut stream = listener.accept().await.unwrap().0;
            let mut text = String::new();
            let mut piece = [0; 1 << 16];
            // The body's end is that of the document.
            while !text.ends_with("]}]}") {
                let read = stream.read(&mut piece).await.unwrap();
                text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            text
        };
        let (sent, text) = tokio::join!(reporter.send(&metrics), collecting);
        (text, sent)
    }

    #[tokio::test]
    async fn a_report_is_a_request_of_otlp() {
        let (text, sent) = report("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        sent.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        let resource = &body["resourceMetrics"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "counting");
        let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
        let find = |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap();
        let records = &find("flink.taskmanager.job.task.numRecordsIn")["sum"];
        let point = &records["dataPoints"][0];
        assert_eq!((&point["asInt"], &records["isMonotonic"]), (&json!("7"), &json!(true)));
        assert_eq!(point["timeUnixNano"], "1700000000000");
        let attributes = point["attributes"].as_array().unwrap();
        assert!(attributes.contains(&attribute("task_name", "Map -> Sink")), "{attributes:?}");
        let rate = find("flink.taskmanager.job.task.numRecordsInPerSecond.rate");
        assert_eq!(rate["gauge"]["dataPoints"][0]["asDouble"], 3.5);
        let latency = metrics.iter().find(|metric| metric.get("summary").is_some()).unwrap();
        assert_eq!(latency["summary"]["dataPoints"][0]["count"], "10");
        // A text is nothing that can be added up.
        assert!(metrics.iter().all(|m| m["name"] != "flink.taskmanager.job.task.path"));
    }

    #[tokio::test]
    async fn a_refusal_is_an_error() {
        let (_, sent) = report("HTTP/1.1 404 Not Found\r\n\r\n").await;
        assert!(sent.unwrap_err().to_string().contains("404"));
        let (_, sent) = report("anything else").await;
        assert!(sent.is_err());
    }
}
