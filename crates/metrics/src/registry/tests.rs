//! What is kept, what is reported, what is forgotten.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;

fn all(registry: &MetricRegistry) -> Vec<(String, MetricValue)> {
    let snapshot = registry.snapshot(&MetricsQuery::all());
    let named = snapshot
        .iter()
        .map(|(scope, sample)| (scope.identifier(&sample.name, '.', |c| c), sample.value.clone()));
    named.collect()
}

#[test]
fn groups_share_by_name_and_are_forgotten_whole() {
    let registry = MetricRegistry::default();
    let manager = registry.task_manager("h", "1");
    let task = manager.group("task");
    task.counter("n").add(2);
    manager.group("task").counter("n").add(3);
    task.group("operator").gauge("level").set(-1);
    manager.group("task").group_with("key", "a").counter("of a").inc();
    let names: Vec<_> = all(&registry).into_iter().map(|(name, _)| name).collect();
    let prefix = "h.taskmanager.1.task";
    let expected = [".n", ".operator.level", ".key.a.of a"].map(|end| format!("{prefix}{end}"));
    assert_eq!(names, expected);
    assert_eq!(all(&registry)[0].1, MetricValue::Count(5));
    task.close();
    assert!(all(&registry).is_empty());
    task.counter("n").inc();
    task.group("late").counter("n").inc();
    assert!(all(&registry).is_empty(), "a closed group takes nothing more");
    manager.group("task").counter("n").inc();
    assert_eq!(all(&registry), [(format!("{prefix}.n"), MetricValue::Count(1))]);
    manager.close();
    assert_eq!(registry.0.state.lock().size, 0);
}

#[test]
fn another_kind_under_a_taken_name_is_not_reported() {
    let group = MetricGroup::detached();
    group.counter("n").add(7);
    group.gauge("n").set(1);
    group.histogram("n").update(1);
    group.computed("n", || 1_i64);
    let values: Vec<_> = all(group.registry()).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [MetricValue::Count(7)]);
}

#[test]
fn rates_follow_the_clock() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = seconds.clone();
    let registry = MetricRegistry::new(MetricOptions::default(), move || {
        Duration::from_secs(clock.load(Relaxed))
    });
    let group = registry.job_manager("h");
    let records = group.counter("numRecordsIn");
    group.rate_of("numRecordsInPerSecond", &records);
    let idle = TimeCounter::default();
    group.time_share("idleTimeMsPerSecond", &idle);
    group.time_total("accumulateIdleTimeMs", &idle);
    records.add(300);
    idle.begin(Duration::from_secs(1));
    seconds.store(4, Relaxed);
    registry.read_rates();
    let long = |value| MetricValue::Gauge(GaugeValue::Long(value));
    let name = |name: &str| format!("h.jobmanager.{name}");
    assert_eq!(
        all(&registry),
        [
            (name("accumulateIdleTimeMs"), long(3000)),
            (name("idleTimeMsPerSecond"), long(750)),
            (name("numRecordsIn"), MetricValue::Count(300)),
            (name("numRecordsInPerSecond"), MetricValue::Rate { count: 300, per_second: 75.0 }),
        ]
    );
}

#[test]
fn a_gauge_that_panics_or_has_no_value_is_left_out() {
    let group = MetricGroup::detached();
    group.computed("panics", || -> i64 { panic!("user code") });
    group.computed_option("nothing yet", || None::<i64>);
    group.computed("works", || 2.5);
    let values: Vec<_> = all(group.registry()).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [MetricValue::Gauge(GaugeValue::Double(2.5))]);
}

#[test]
fn metrics_beyond_the_bound_work_but_are_not_reported() {
    let clock: MonotonicClock = Arc::new(|| Duration::ZERO);
    let registry = MetricRegistry::bounded(MetricOptions::default(), clock, 3);
    let group = registry.job_manager("h");
    let counters: Vec<_> = (0..10).map(|n| group.counter(n.to_string())).collect();
    counters.iter().for_each(Counter::inc);
    assert!(counters.iter().all(|counter| counter.get() == 1));
    assert_eq!(all(&registry).len(), 2, "and the group itself");
    group.close();
    assert_eq!(registry.0.state.lock().size, 0);
}

#[test]
fn long_names_are_cut_between_characters() {
    let group = MetricGroup::detached();
    group.group(&"ä".repeat(2000)).counter("é".repeat(3000)).inc();
    let snapshot = group.registry().snapshot(&MetricsQuery::all());
    let (scope, sample) = snapshot.iter().next().unwrap();
    assert_eq!((scope.groups[0].len(), sample.name.len()), (MOST_NAME_BYTES, MOST_NAME_BYTES));
}

#[test]
fn a_thousand_subtasks_register_and_leave() {
    let registry = MetricRegistry::default();
    let manager = registry.task_manager("h", "1");
    let tasks: Vec<_> = (0..1000)
        .map(|subtask: u32| {
            let id = subtask.to_string();
            let task = manager.scoped(ScopeKind::Task, &id, &[("subtask_index", &id)]);
            for name in crate::catalogue::METRICS.iter().filter(|m| m.scope == ScopeKind::Task) {
                task.counter(name.name);
            }
            task
        })
        .collect();
    let of_one = MetricsQuery::all().with("subtask_index", 7);
    let number = registry.snapshot(&of_one).metrics.len();
    assert!(number > 10);
    assert_eq!(all(&registry).len(), 1000 * number);
    tasks.iter().for_each(MetricGroup::close);
    assert!(all(&registry).is_empty());
}
