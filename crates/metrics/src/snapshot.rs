//! Metrics of one moment as plain data: what reporters write, gateways carry and REST shows.
//!
//! Scopes are shared by their metrics, in memory and in bytes; readings of several processes are
//! put together with [`MetricsSnapshot::merge`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{GaugeValue, HistogramSnapshot, ScopeKind, scope::SharedScope};

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A number that grows.
    Counter,
    /// A value.
    Gauge,
    /// Events and their rate.
    Meter,
    /// A distribution.
    Histogram,
}

impl MetricKind {
    /// Its name in configurations and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Meter => "meter",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric's value at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MetricValue {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Gauge(GaugeValue),
    /// Of a meter.
    Rate {
        /// Events so far.
        count: u64,
        /// Events per second, over the last minute.
        per_second: f64,
    },
    /// Of a histogram.
    Distribution(HistogramSnapshot),
}

impl MetricValue {
    /// The kind of metric that it is of.
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::Count(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Rate { .. } => MetricKind::Meter,
            Self::Distribution(_) => MetricKind::Histogram,
        }
    }

    /// The one number that stands for it: a meter's rate, a histogram's mean; nothing for text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Gauge(value) => value.as_f64(),
            Self::Rate { per_second, .. } => Some(*per_second),
            Self::Distribution(distribution) => Some(distribution.mean),
        }
    }
}

/// One metric at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSample {
    /// Position of its scope in [`MetricsSnapshot::scopes`].
    pub scope: u32,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: MetricValue,
}

/// Metrics of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsSnapshot {
    /// The scopes.
    pub scopes: Vec<SharedScope>,
    /// The metrics, those of one scope next to each other.
    pub metrics: Vec<MetricSample>,
}

impl MetricsSnapshot {
    /// Adds the metrics of another process, or of another part of this one.
    pub fn merge(&mut self, other: MetricsSnapshot) {
        let first = self.scopes.len() as u32;
        self.scopes.extend(other.scopes);
        let moved = other.metrics.into_iter();
        self.metrics.extend(moved.map(|mut sample| {
            sample.scope = sample.scope.saturating_add(first);
            sample
        }));
    }

    /// All metrics with their scopes. What names no scope (it came from outside) is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&SharedScope, &MetricSample)> {
        self.metrics
            .iter()
            .filter_map(|sample| Some((self.scopes.get(sample.scope as usize)?, sample)))
    }

    /// The metrics that a query asks for.
    #[must_use]
    pub fn filtered(&self, query: &MetricsQuery) -> MetricsSnapshot {
        let mut places = Vec::with_capacity(self.scopes.len());
        let mut scopes = Vec::new();
        for scope in &self.scopes {
            let wanted = query.matches(scope);
            places.push(wanted.then_some(scopes.len() as u32));
            scopes.extend(wanted.then(|| scope.clone()));
        }
        let metrics = self.metrics.iter().filter(|sample| query.wants(&sample.name));
        let metrics = metrics.filter_map(|sample| {
            let scope = (*places.get(sample.scope as usize)?)?;
            Some(MetricSample { scope, ..sample.clone() })
        });
        MetricsSnapshot { metrics: metrics.collect(), scopes }
    }

    /// The value of a metric, by the kind of its scope, values of some of the scope's variables, the
    /// groups inside the scope and the name, with dots between them.
    pub fn value(
        &self,
        kind: ScopeKind,
        variables: &[(&str, &str)],
        name: &str,
    ) -> Option<&MetricValue> {
        let of_scope = |scope: &SharedScope| {
            scope.kind == kind
                && variables.iter().all(|(name, value)| scope.variable(name) == Some(value))
        };
        let found = self
            .iter()
            .find(|(scope, sample)| of_scope(scope) && name == name_in_scope(scope, &sample.name));
        found.map(|(_, sample)| &sample.value)
    }
}

/// A metric's name with the groups inside its scope before it, as REST shows it.
pub fn name_in_scope<'a>(scope: &SharedScope, name: &'a str) -> Cow<'a, str> {
    if scope.groups.is_empty() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{}.{name}", scope.groups.join(".")))
}

/// Which metrics are wanted. Nothing said: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsQuery {
    /// Kinds of scopes; none for all.
    pub kinds: Vec<ScopeKind>,
    /// Variables that the scope must have, with these values.
    pub variables: Vec<(String, String)>,
    /// Names of metrics; none for all.
    pub names: Vec<String>,
}

impl MetricsQuery {
    /// All metrics.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only scopes of this kind (and of others that are added the same way).
    #[must_use]
    pub fn kind(mut self, kind: ScopeKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Only scopes with this value of a variable: `job_id`, `task_id` (the vertex), `tm_id`,
    /// `subtask_index`, `operator_id`.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl ToString) -> Self {
        self.variables.push((variable.to_owned(), value.to_string()));
        self
    }

    /// Only metrics of this name (and of others that are added the same way).
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// What of the query is about these kinds of scopes; `None` if nothing is.
    pub fn restricted_to(mut self, kinds: &[ScopeKind]) -> Option<Self> {
        if self.kinds.is_empty() {
            self.kinds = kinds.to_vec();
        } else {
            self.kinds.retain(|kind| kinds.contains(kind));
        }
        (!self.kinds.is_empty()).then_some(self)
    }

    /// The value that a variable must have.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// True if metrics of the scope may be wanted.
    pub fn matches(&self, scope: &crate::Scope) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&scope.kind);
        let mut variables = self.variables.iter();
        of_kind && variables.all(|(name, value)| scope.variable(name) == Some(value))
    }

    /// True if metrics of the name are wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetricRegistry;

    fn snapshot(tm_id: &str) -> MetricsSnapshot {
        let registry = MetricRegistry::default();
        let manager = registry.task_manager("h", tm_id);
        manager.counter("n").add(3);
        manager.scoped(ScopeKind::TaskManagerJob, "j", &[("job_id", "j")]).gauge("g").set(4);
        registry.snapshot(&MetricsQuery::all())
    }

    #[test]
    fn snapshots_of_processes_are_put_together() {
        let mut both = snapshot("1");
        both.merge(snapshot("2"));
        assert_eq!((both.scopes.len(), both.metrics.len()), (4, 4));
        let second = both.filtered(&MetricsQuery::all().with("tm_id", 2).name("n"));
        assert_eq!(second.metrics.len(), 1);
        assert_eq!(second.iter().next().unwrap().0.variable("tm_id"), Some("2"));
        let jobs = both.filtered(&MetricsQuery::all().kind(ScopeKind::TaskManagerJob));
        assert!(jobs.iter().all(|(_, sample)| sample.name == "g"));
        assert_eq!(jobs.metrics.len(), 2);
        let value = both.value(ScopeKind::TaskManagerJob, &[("job_id", "j")], "g");
        assert_eq!(value, Some(&MetricValue::Gauge(GaugeValue::Long(4))));
    }

    #[test]
    fn a_snapshot_travels_as_data() {
        let sent = snapshot("1");
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<MetricsSnapshot>(&text).unwrap(), sent);
    }

    #[test]
    fn a_sample_of_a_scope_that_is_not_there_is_left_out() {
        let mut broken = snapshot("1");
        broken.metrics[0].scope = u32::MAX;
        assert_eq!(broken.iter().count(), 1);
        assert_eq!(broken.filtered(&MetricsQuery::all()).metrics.len(), 1);
        let mut all = snapshot("2");
        all.merge(broken);
        assert_eq!(all.iter().count(), 3);
    }
}
