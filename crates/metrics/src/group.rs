//! Scopes of metrics and the registry that knows them all.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{Counter, Gauge, Histogram, HistogramSnapshot};

#[derive(Clone, Debug)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// A metric's value at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricValue {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Level(i64),
    /// Of a histogram.
    Distribution(HistogramSnapshot),
}

/// One metric at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSample {
    /// The scope, outermost first.
    pub scope: Vec<String>,
    /// The name.
    pub name: String,
    /// The value.
    pub value: MetricValue,
}

type Metrics = BTreeMap<(Vec<String>, String), Metric>;

/// All metrics of a process. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct MetricRegistry(Arc<Mutex<Metrics>>);

impl MetricRegistry {
    /// A group at the root.
    pub fn group(&self, scope: &str) -> MetricGroup {
        MetricGroup { registry: self.clone(), scope: vec![scope.to_owned()] }
    }

    /// All values, by scope and name.
    pub fn snapshot(&self) -> Vec<MetricSample> {
        let metrics = self.0.lock().clone();
        metrics
            .into_iter()
            .map(|((scope, name), metric)| MetricSample {
                scope,
                name,
                value: match metric {
                    Metric::Counter(counter) => MetricValue::Count(counter.get()),
                    Metric::Gauge(gauge) => MetricValue::Level(gauge.get()),
                    Metric::Histogram(histogram) => MetricValue::Distribution(histogram.snapshot()),
                },
            })
            .collect()
    }
}

/// One scope. Asking twice for the same name gives the same metric; asking for another kind under
/// a name that is taken gives a fresh metric that is not reported.
#[derive(Clone, Debug)]
pub struct MetricGroup {
    registry: MetricRegistry,
    scope: Vec<String>,
}

impl MetricGroup {
    /// A group of a registry of its own, for tests.
    pub fn detached() -> Self {
        MetricRegistry::default().group("detached")
    }

    /// A group inside this one.
    pub fn group(&self, name: &str) -> MetricGroup {
        let mut scope = self.scope.clone();
        scope.push(name.to_owned());
        MetricGroup { registry: self.registry.clone(), scope }
    }

    fn get_or_insert(&self, name: &str, fresh: Metric) -> Metric {
        let key = (self.scope.clone(), name.to_owned());
        self.registry.0.lock().entry(key).or_insert(fresh).clone()
    }

    /// The counter of that name.
    pub fn counter(&self, name: &str) -> Counter {
        match self.get_or_insert(name, Metric::Counter(Counter::default())) {
            Metric::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge of that name.
    pub fn gauge(&self, name: &str) -> Gauge {
        match self.get_or_insert(name, Metric::Gauge(Gauge::default())) {
            Metric::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram of that name.
    pub fn histogram(&self, name: &str) -> Histogram {
        match self.get_or_insert(name, Metric::Histogram(Histogram::default())) {
            Metric::Histogram(histogram) => histogram,
            _ => Histogram::default(),
        }
    }

    /// Forgets all metrics of this group and of those inside it. Called when their owner ends.
    pub fn remove_all(&self) {
        self.registry.0.lock().retain(|(scope, _), _| !scope.starts_with(&self.scope));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_by_name_and_are_forgotten_whole() {
        let registry = MetricRegistry::default();
        let task = registry.group("job").group("task");
        task.counter("n").add(2);
        task.counter("n").add(3);
        task.group("operator").gauge("level").set(-1);
        assert_eq!(registry.snapshot().len(), 2);
        assert_eq!(registry.snapshot()[0].value, MetricValue::Count(5));
        task.remove_all();
        assert!(registry.snapshot().is_empty());
    }
}
