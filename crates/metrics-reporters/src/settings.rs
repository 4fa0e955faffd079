//! Metrics in a configuration: `metrics.*`.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use hurtig_config::{ConfigError, ConfigValue, Configuration, catalogue::metrics as keys};
use hurtig_metrics::{
    LatencyGranularity, LatencyOptions, MetricOptions, ScopeError, ScopeFormats, ScopeKind,
};

use crate::{
    filter::{FilterError, MetricFilter},
    opentelemetry,
};

/// Where settings of a reporter begin.
const REPORTER_PREFIX: &str = "metrics.reporter.";
/// Time between two reports, unless told otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// All settings of a reporter.
const SETTINGS: [&str; 18] = [
    "type",
    "factory.class",
    "interval",
    "host",
    "port",
    "protocol",
    "prefix",
    "filterLabelValueCharacters",
    "scope.delimiter",
    "scope.variables.excludes",
    "scope.variables.additional",
    "filter.includes",
    "filter.excludes",
    "exporter.endpoint",
    "exporter.protocol",
    "exporter.timeout",
    "service.name",
    "service.version",
];
/// Most reporters of a process.
const MOST_REPORTERS: usize = 32;

/// What is wrong with settings of metrics.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An option has no value of its type.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A format of a scope is wrong.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A setting of a reporter is wrong.
    #[error("{key}: {problem}")]
    Reporter {
        /// The key.
        key: String,
        /// The problem.
        problem: String,
    },
    /// A filter of a reporter is wrong.
    #[error("{key}")]
    Filter {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: FilterError,
    },
}

/// What a reporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReporterKind {
    /// Answers scrapes of Prometheus.
    Prometheus,
    /// Sends to StatsD, by UDP.
    StatsD,
    /// Sends to Graphite (Carbon), by TCP.
    Graphite,
    /// Sends to an OpenTelemetry collector, by HTTP.
    OpenTelemetry,
}

impl ReporterKind {
    /// From `type`, or the class of a factory of Flink's.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "prometheus" | "org.apache.flink.metrics.prometheus.PrometheusReporterFactory" => {
                Some(Self::Prometheus)
            }
            "statsd" | "org.apache.flink.metrics.statsd.StatsDReporterFactory" => {
                Some(Self::StatsD)
            }
            "graphite" | "org.apache.flink.metrics.graphite.GraphiteReporterFactory" => {
                Some(Self::Graphite)
            }
            "opentelemetry"
            | "org.apache.flink.metrics.otel.OpenTelemetryMetricReporterFactory" => {
                Some(Self::OpenTelemetry)
            }
            _ => None,
        }
    }
}

/// Settings of one reporter.
#[derive(Clone, Debug, PartialEq)]
pub struct ReporterSettings {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: ReporterKind,
    /// `interval`: time between two reports, if it sends them.
    pub interval: Duration,
    /// `host`: where it sends to; where a reporter that is asked listens, everywhere if not set.
    pub host: Option<String>,
    /// `port`: where it sends to; those at which one that is asked may listen, the first that is
    /// free.
    pub ports: RangeInclusive<u16>,
    /// `scope.delimiter`: between the components of a name.
    pub delimiter: char,
    /// `filter.includes` and `filter.excludes`.
    pub filter: MetricFilter,
    /// `scope.variables.excludes`: labels that are left out.
    pub excluded_variables: Vec<String>,
    /// `scope.variables.additional`: labels that every metric gets.
    pub additional_variables: Vec<(String, String)>,
    /// `prefix`: before every name, for Graphite.
    pub prefix: Option<String>,
    /// `filterLabelValueCharacters`: values of labels have no other characters than names, for
    /// Prometheus.
    pub filter_label_values: bool,
    /// `exporter.*` and `service.*`, for OpenTelemetry.
    pub otlp: Option<OtlpSettings>,
}

/// Where an OpenTelemetry collector is, and what the process is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// Of `exporter.endpoint`.
    pub host: String,
    /// Of `exporter.endpoint`.
    pub port: u16,
    /// Of `exporter.endpoint`.
    pub path: String,
    /// `exporter.timeout`: most time for a report to be taken.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: Option<String>,
    /// `service.version`.
    pub service_version: Option<String>,
}

/// All settings of metrics. How often sources emit latency markers is a setting of jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSettings {
    /// Scopes and latencies.
    pub options: MetricOptions,
    /// The reporters.
    pub reporters: Vec<ReporterSettings>,
}

impl MetricsSettings {
    /// From a configuration.
    ///
    /// # Errors
    /// If a value is wrong, or a reporter that is to run is not described.
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, SettingsError> {
        Ok(Self {
            options: MetricOptions {
                formats: scope_formats(configuration)?,
                latency: LatencyOptions {
                    granularity: granularity(configuration)?,
                    history_size: configuration.get(&keys::LATENCY_HISTORY_SIZE)?.get() as usize,
                },
            },
            reporters: reporters(configuration)?,
        })
    }
}

fn scope_formats(configuration: &Configuration) -> Result<ScopeFormats, SettingsError> {
    let mut formats = ScopeFormats::default();
    let format = |option| -> Result<Option<String>, ConfigError> {
        if configuration.is_set(option) { configuration.get(option).map(Some) } else { Ok(None) }
    };
    for (kind, option) in [
        (ScopeKind::JobManager, &keys::SCOPE_NAMING_JM),
        (ScopeKind::JobManagerJob, &keys::SCOPE_NAMING_JM_JOB),
        (ScopeKind::JobManagerOperator, &keys::SCOPE_NAMING_JM_OPERATOR),
        (ScopeKind::TaskManager, &keys::SCOPE_NAMING_TM),
        (ScopeKind::TaskManagerJob, &keys::SCOPE_NAMING_TM_JOB),
        (ScopeKind::Task, &keys::SCOPE_NAMING_TASK),
        (ScopeKind::Operator, &keys::SCOPE_NAMING_OPERATOR),
    ] {
        if let Some(text) = format(option)? {
            formats.set(kind, &text)?;
        }
    }
    Ok(formats)
}

fn granularity(configuration: &Configuration) -> Result<LatencyGranularity, SettingsError> {
    let option = &keys::LATENCY_SOURCE_GRANULARITY;
    let text = configuration.get(option)?;
    match &*text.to_ascii_lowercase() {
        "single" => Ok(LatencyGranularity::Single),
        "operator" => Ok(LatencyGranularity::Operator),
        "subtask" => Ok(LatencyGranularity::Subtask),
        _ => Err(SettingsError::Reporter {
            key: option.key().to_owned(),
            problem: format!("{text:?} is none of single, operator, subtask"),
        }),
    }
}

/// All settings below `metrics.reporter.`, by reporter.
fn by_reporter(configuration: &Configuration) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reporters: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (key, value) in configuration.with_prefix(REPORTER_PREFIX) {
        if let Some((name, setting)) = key.split_once('.') {
            let settings = reporters.entry(name.to_owned()).or_default();
            settings.insert(setting.to_owned(), value);
        }
    }
    reporters
}

fn reporters(configuration: &Configuration) -> Result<Vec<ReporterSettings>, SettingsError> {
    let mut described = by_reporter(configuration);
    let delimiter: String = configuration.get(&keys::SCOPE_DELIMITER)?;
    let list: Option<String> = configuration.get(&keys::REPORTERS_LIST)?;
    let list_key = keys::REPORTERS_LIST.key();
    let problem =
        |key: &str, problem: String| SettingsError::Reporter { key: key.to_owned(), problem };
    let wanted: Vec<String> = match list {
        Some(list) => {
            let names = list.split([',', ';']).map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
        None => described.keys().cloned().collect(),
    };
    if wanted.len() > MOST_REPORTERS {
        return Err(problem(list_key, format!("more than {MOST_REPORTERS} reporters")));
    }
    let reporters = wanted.into_iter().map(|name| match described.remove(&name) {
        Some(settings) => Raw { name, settings, delimiter: delimiter.clone() }.resolve(),
        None => Err(problem(list_key, format!("nothing is set below {REPORTER_PREFIX}{name}"))),
    });
    reporters.collect()
}

/// The settings of a reporter as they were written.
struct Raw {
    name: String,
    settings: BTreeMap<String, String>,
    /// What stands between the components of names, if the reporter does not say.
    delimiter: String,
}

impl Raw {
    fn key(&self, setting: &str) -> String {
        format!("{REPORTER_PREFIX}{}.{setting}", self.name)
    }

    fn problem(&self, setting: &str, problem: impl Into<String>) -> SettingsError {
        SettingsError::Reporter { key: self.key(setting), problem: problem.into() }
    }

    fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(|value| value.trim())
    }

    fn kind(&self) -> Result<ReporterKind, SettingsError> {
        let known = ["type", "factory.class"]
            .into_iter()
            .find_map(|setting| self.get(setting).map(|value| (setting, value)));
        let choice = "prometheus, statsd, graphite, opentelemetry";
        let (setting, value) =
            known.ok_or_else(|| self.problem("type", format!("not set; one of {choice}")))?;
        ReporterKind::parse(value)
            .ok_or_else(|| self.problem(setting, format!("{value:?} is none of {choice}")))
    }

    fn ports(&self, kind: ReporterKind) -> Result<RangeInclusive<u16>, SettingsError> {
        let text = match (self.get("port"), kind) {
            (Some(text), _) => text,
            (None, ReporterKind::Prometheus) => "9249",
            // Its endpoint says all.
            (None, ReporterKind::OpenTelemetry) => return Ok(0..=0),
            (None, _) => return Err(self.problem("port", "not set")),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok();
        match (port(first), port(last)) {
            (Some(0), Some(0)) if kind != ReporterKind::Prometheus => {
                Err(self.problem("port", "0 is nothing to send to"))
            }
            (Some(first), Some(last)) if first <= last => Ok(first..=last),
            _ => Err(self.problem("port", format!("{text:?} is neither a port nor a range"))),
        }
    }

    fn otlp(&self) -> Result<OtlpSettings, SettingsError> {
        if !self.get("exporter.protocol").is_some_and(|text| text.eq_ignore_ascii_case("http")) {
            let problem = "only HTTP is spoken, and must be asked for";
            return Err(self.problem("exporter.protocol", problem));
        }
        let key = "exporter.endpoint";
        let endpoint = self.get(key).ok_or_else(|| self.problem(key, "not set"))?;
        let wrong = || self.problem(key, format!("{endpoint:?} is not http://host:port/path"));
        let rest = endpoint.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, opentelemetry::DEFAULT_PATH),
        };
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "4318"));
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic() && c != '@');
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if host.is_empty() || !plain(host) || !plain(path) {
            return Err(wrong());
        }
        let timeout = match self.get("exporter.timeout") {
            Some(text) => <Duration as ConfigValue>::parse(text)
                .map_err(|error| self.problem("exporter.timeout", error.to_string()))?,
            None => DEFAULT_INTERVAL,
        };
        Ok(OtlpSettings {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            timeout,
            service_name: self.get("service.name").map(str::to_owned),
            service_version: self.get("service.version").map(str::to_owned),
        })
    }

    fn interval(&self) -> Result<Duration, SettingsError> {
        let Some(text) = self.get("interval") else { return Ok(DEFAULT_INTERVAL) };
        let parsed = <Duration as ConfigValue>::parse(text);
        let interval = parsed.map_err(|error| self.problem("interval", error.to_string()))?;
        if interval.is_zero() {
            return Err(self.problem("interval", "must not be 0"));
        }
        Ok(interval)
    }

    fn resolve(self) -> Result<ReporterSettings, SettingsError> {
        let unknown = self.settings.keys().find(|setting| !SETTINGS.contains(&setting.as_str()));
        if let Some(unknown) = unknown {
            let problem = format!("no setting of reporters; those are {}", SETTINGS.join(", "));
            return Err(self.problem(unknown, problem));
        }
        let kind = self.kind()?;
        let host = self.get("host").filter(|host| !host.is_empty()).map(str::to_owned);
        let needs_host = matches!(kind, ReporterKind::StatsD | ReporterKind::Graphite);
        if host.is_none() && needs_host {
            return Err(self.problem("host", "not set"));
        }
        if kind == ReporterKind::Graphite
            && self.get("protocol").is_some_and(|protocol| !protocol.eq_ignore_ascii_case("tcp"))
        {
            return Err(self.problem("protocol", "only TCP is spoken"));
        }
        let mut delimiter = self.get("scope.delimiter").unwrap_or(&self.delimiter).chars();
        let (Some(delimiter), None) = (delimiter.next(), delimiter.next()) else {
            return Err(self.problem("scope.delimiter", "is one character"));
        };
        let (includes, excludes) = ("filter.includes", "filter.excludes");
        let parse = |key, includes: &str, excludes: &str| {
            MetricFilter::parse(includes, excludes)
                .map_err(|source| SettingsError::Filter { key: self.key(key), source })
        };
        // One after the other, so that an error names the right one.
        parse(includes, self.get(includes).unwrap_or_default(), "")?;
        let filter = parse(
            excludes,
            self.get(includes).unwrap_or_default(),
            self.get(excludes).unwrap_or_default(),
        )?;
        let bare = |name: &str| name.trim().trim_matches(['<', '>']).to_owned();
        let excluded = self.get("scope.variables.excludes").unwrap_or_default();
        let excluded = excluded.split(';').map(bare).filter(|name| !name.is_empty());
        let mut additional = Vec::new();
        let text = self.get("scope.variables.additional").unwrap_or_default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let Some((name, value)) = pair.split_once(':') else {
                let problem = format!("{pair:?} is not name:value");
                return Err(self.problem("scope.variables.additional", problem));
            };
            additional.push((bare(name), value.trim().to_owned()));
        }
        let otlp = (kind == ReporterKind::OpenTelemetry).then(|| self.otlp()).transpose()?;
        Ok(ReporterSettings {
            kind,
            otlp,
            interval: self.interval()?,
            ports: self.ports(kind)?,
            host,
            delimiter,
            filter,
            excluded_variables: excluded.collect(),
            additional_variables: additional,
            prefix: self.get("prefix").filter(|prefix| !prefix.is_empty()).map(str::to_owned),
            filter_label_values: self.get("filterLabelValueCharacters") != Some("false"),
            name: self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<MetricsSettings, SettingsError> {
        let mut configuration = Configuration::new();
        for (key, value) in pairs {
            configuration.set_dynamic(key, value).unwrap();
        }
        MetricsSettings::from_configuration(&configuration)
    }

    #[test]
    fn nothing_set_is_no_reporter() {
        assert_eq!(settings(&[]).unwrap(), MetricsSettings::default());
    }

    #[test]
    fn reporters_are_known_by_type_and_by_flinks_class() {
        let class = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory";
        let read = settings(&[
            ("metrics.reporter.prom.factory.class", class),
            ("metrics.reporter.prom.port", "9250-9260"),
            ("metrics.reporter.prom.scope.variables.excludes", "<host>;tm_id"),
            ("metrics.reporter.prom.scope.variables.additional", "region:eu,<team>:x"),
            ("metrics.reporter.stsd.type", "statsd"),
            ("metrics.reporter.stsd.host", "collector"),
            ("metrics.reporter.stsd.port", "8125"),
            ("metrics.reporter.stsd.interval", "30 s"),
            ("metrics.scope.task", "*.<subtask_index>"),
            ("metrics.latency.granularity", "subtask"),
        ])
        .unwrap();
        let [prometheus, statsd] = &read.reporters[..] else { panic!("not two reporters") };
        assert_eq!(
            (prometheus.kind, &prometheus.ports),
            (ReporterKind::Prometheus, &(9250..=9260))
        );
        assert_eq!(prometheus.excluded_variables, ["host", "tm_id"]);
        let additional = [("region", "eu"), ("team", "x")];
        let additional = additional.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(prometheus.additional_variables, additional);
        assert_eq!(statsd.interval, Duration::from_secs(30));
        assert_eq!(statsd.host.as_deref(), Some("collector"));
        assert_eq!(read.options.latency.granularity, LatencyGranularity::Subtask);
        assert_ne!(read.options.formats, ScopeFormats::default());
    }

    #[test]
    fn an_endpoint_is_host_port_and_path() {
        let of = |endpoint| {
            let class = "org.apache.flink.metrics.otel.OpenTelemetryMetricReporterFactory";
            let read = settings(&[
                ("metrics.reporter.o.factory.class", class),
                ("metrics.reporter.o.exporter.protocol", "HTTP"),
                ("metrics.reporter.o.exporter.endpoint", endpoint),
                ("metrics.reporter.o.service.name", "x"),
            ]);
            let otlp = read.unwrap().reporters.remove(0).otlp.unwrap();
            (otlp.host, otlp.port, otlp.path)
        };
        let parts = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
        assert_eq!(of("http://collector:4318"), parts("collector", 4318, "/v1/metrics"));
        assert_eq!(of("http://collector/a/b"), parts("collector", 4318, "/a/b"));
        assert_eq!(of("http://127.0.0.1:9/x"), parts("127.0.0.1", 9, "/x"));
    }

    #[test]
    fn a_list_says_which_reporters_run() {
        let described =
            [("metrics.reporter.a.type", "prometheus"), ("metrics.reporter.b.type", "prometheus")];
        let of = |list| {
            let mut pairs = described.to_vec();
            pairs.push(("metrics.reporters", list));
            settings(&pairs)
        };
        assert_eq!(settings(&described).unwrap().reporters.len(), 2);
        let one = of("b").unwrap().reporters;
        assert_eq!((one.len(), &*one[0].name), (1, "b"));
        let missing = of("a,c").unwrap_err().to_string();
        assert_eq!(missing, "metrics.reporters: nothing is set below metrics.reporter.c");
    }

    #[test]
    fn mistakes_name_their_key() {
        for (pairs, expected) in [
            (&[("port", "1")][..], "metrics.reporter.r.type: not set"),
            (&[("type", "ganglia")], "metrics.reporter.r.type: \"ganglia\" is none of"),
            (&[("type", "prometheus"), ("port", "9-3")], "metrics.reporter.r.port: \"9-3\""),
            (&[("type", "statsd"), ("prot", "3")], "metrics.reporter.r.prot: no setting of"),
            (&[("type", "statsd"), ("port", "3")], "metrics.reporter.r.host: not set"),
            (&[("type", "graphite"), ("host", "h")], "metrics.reporter.r.port: not set"),
            (&[("type", "prometheus"), ("interval", "0 s")], "metrics.reporter.r.interval: must"),
            (&[("type", "prometheus"), ("interval", "x")], "metrics.reporter.r.interval: "),
            (&[("type", "opentelemetry")], "metrics.reporter.r.exporter.protocol: only HTTP"),
            (
                &[("type", "opentelemetry"), ("exporter.protocol", "HTTP")],
                "metrics.reporter.r.exporter.endpoint: not set",
            ),
            (
                &[
                    ("type", "opentelemetry"),
                    ("exporter.protocol", "HTTP"),
                    ("exporter.endpoint", "https://h:1"),
                ],
                "metrics.reporter.r.exporter.endpoint: \"https",
            ),
            (
                &[("type", "prometheus"), ("filter.excludes", "*:*:x")],
                "metrics.reporter.r.filter.excludes",
            ),
        ] {
            let keys: Vec<_> = pairs
                .iter()
                .map(|(key, value)| (format!("metrics.reporter.r.{key}"), *value))
                .collect();
            let pairs: Vec<_> = keys.iter().map(|(key, value)| (&**key, *value)).collect();
            let error = settings(&pairs).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let wrong = settings(&[("metrics.scope.tm", "<job_id>")]).unwrap_err().to_string();
        assert!(wrong.starts_with("metrics.scope.tm: there is no variable"), "{wrong}");
    }
}
