//! Metrics for tests of reporters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hurtig_metrics::{MetricOptions, MetricRegistry, MetricsQuery, MetricsSnapshot, ScopeKind};

use crate::{
    MetricFilter,
    settings::{ReporterKind, ReporterSettings},
};

/// A counter, a meter, a gauge and a text of a task, and a histogram of its job.
pub(crate) fn snapshot() -> MetricsSnapshot {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = seconds.clone();
    let registry = MetricRegistry::new(MetricOptions::default(), move || {
        Duration::from_secs(clock.load(Relaxed))
    });
    let manager = registry.task_manager("h", "tm:1");
    let job = manager.scoped(ScopeKind::TaskManagerJob, "j", &[("job_name", "word count")]);
    let values = [("task_name", "Map -> Sink"), ("subtask_index", "0")];
    let task = job.scoped(ScopeKind::Task, "t", &values);
    let records = task.counter("numRecordsIn");
    task.rate_of("numRecordsInPerSecond", &records);
    records.add(7);
    seconds.store(2, Relaxed);
    task.computed("inPoolUsage", || 0.25);
    task.computed("path", || "file:/a".to_owned());
    let latency = job.group("latency").group_with("source_id", "ab").histogram("latency");
    (1..=10).for_each(|sample| latency.update(sample));
    registry.snapshot(&MetricsQuery::all())
}

/// Settings that leave nothing out.
pub(crate) fn settings(kind: ReporterKind) -> ReporterSettings {
    ReporterSettings {
        name: "test".to_owned(),
        kind,
        interval: Duration::from_secs(10),
        host: Some("127.0.0.1".to_owned()),
        ports: 0..=0,
        delimiter: '.',
        filter: MetricFilter::default(),
        excluded_variables: Vec::new(),
        additional_variables: Vec::new(),
        prefix: None,
        filter_label_values: true,
        otlp: None,
    }
}
