//! Metrics as REST serves them: ids and texts, from what the cluster's processes tell.
//!
//! Ids are Flink's: the metric's name with the groups inside its scope before it; of an operator,
//! the operator's name goes before that. A histogram is several metrics (`name_min`, `name_p99`).

use std::collections::BTreeMap;

use hurtig_cluster_api::{DispatcherGateway, RpcResult};
use hurtig_metrics::{
    GaugeValue, MetricValue, MetricsQuery, MetricsSnapshot, ScopeKind, names::CURRENT_ACTIVITY,
    scope::SharedScope, snapshot::name_in_scope,
};
use hurtig_types::{JobId, JobVertexId, OperatorId, ResourceId};

/// Values by id.
pub type MetricValues = BTreeMap<String, String>;

/// Of the JobManager.
pub(crate) async fn of_job_manager(dispatcher: &dyn DispatcherGateway) -> RpcResult<MetricValues> {
    let query = MetricsQuery::all().kind(ScopeKind::JobManager);
    Ok(group(&dispatcher.query_metrics(query).await?, |_| Some(())).remove(&()).unwrap_or_default())
}

/// Of a job, in its JobMaster.
pub(crate) async fn of_job(
    dispatcher: &dyn DispatcherGateway,
    job: JobId,
) -> RpcResult<MetricValues> {
    let query = MetricsQuery::all().kind(ScopeKind::JobManagerJob).with("job_id", job);
    Ok(group(&dispatcher.query_metrics(query).await?, |_| Some(())).remove(&()).unwrap_or_default())
}

/// Of all TaskManagers.
pub(crate) async fn of_task_managers(
    dispatcher: &dyn DispatcherGateway,
) -> RpcResult<BTreeMap<ResourceId, MetricValues>> {
    let query = MetricsQuery::all().kind(ScopeKind::TaskManager);
    let snapshot = dispatcher.query_metrics(query).await?;
    Ok(group(&snapshot, |scope| scope.variable("tm_id")?.parse().ok()))
}

/// Of each subtask of a vertex, with its operators; of several attempts the last counts.
pub(crate) async fn of_subtasks(
    dispatcher: &dyn DispatcherGateway,
    job: JobId,
    vertex: JobVertexId,
) -> RpcResult<BTreeMap<u32, MetricValues>> {
    let query = MetricsQuery::all()
        .kind(ScopeKind::Task)
        .kind(ScopeKind::Operator)
        .with("job_id", job)
        .with("task_id", vertex);
    let snapshot = dispatcher.query_metrics(query).await?;
    let attempts: BTreeMap<(u32, u32), MetricValues> = group(&snapshot, |scope| {
        let number = |name| scope.variable(name)?.parse().ok();
        Some((number("subtask_index")?, number("task_attempt_num")?))
    });
    // Later attempts come later, and take the place of earlier ones.
    Ok(attempts.into_iter().map(|((subtask, _), values)| (subtask, values)).collect())
}

/// What each task of a TaskManager is doing: its name, and words.
pub(crate) async fn activities(
    dispatcher: &dyn DispatcherGateway,
    task_manager: ResourceId,
) -> RpcResult<Vec<(String, String)>> {
    let query = MetricsQuery::all().kind(ScopeKind::Task).name(CURRENT_ACTIVITY);
    let snapshot = dispatcher.query_metrics(query.with("tm_id", task_manager)).await?;
    let mut tasks = Vec::new();
    for (scope, sample) in snapshot.iter() {
        let MetricValue::Gauge(GaugeValue::Text(words)) = &sample.value else { continue };
        let variable = |name| scope.variable(name).unwrap_or("?");
        let subtask = scope.variable("subtask_index").and_then(|index| index.parse::<u32>().ok());
        let name = format!(
            "{}: {} ({})#{}",
            variable("job_name"),
            variable("task_name"),
            subtask.map_or("?".to_owned(), |subtask| (u64::from(subtask) + 1).to_string()),
            variable("task_attempt_num"),
        );
        tasks.push((name, words.clone()));
    }
    tasks.sort_unstable();
    Ok(tasks)
}

/// Of the coordinators of some operators.
pub(crate) async fn of_coordinators(
    dispatcher: &dyn DispatcherGateway,
    job: JobId,
    operators: &[OperatorId],
) -> RpcResult<MetricValues> {
    let query = MetricsQuery::all().kind(ScopeKind::JobManagerOperator).with("job_id", job);
    let snapshot = dispatcher.query_metrics(query).await?;
    let mut values = group(&snapshot, |scope| {
        let operator: OperatorId = scope.variable("operator_id")?.parse().ok()?;
        operators.contains(&operator).then_some(())
    });
    Ok(values.remove(&()).unwrap_or_default())
}

/// Metrics by what they are of, which `of` tells from their scope.
fn group<K: Ord>(
    snapshot: &MetricsSnapshot,
    of: impl Fn(&SharedScope) -> Option<K>,
) -> BTreeMap<K, MetricValues> {
    let mut groups: BTreeMap<K, MetricValues> = BTreeMap::new();
    for (scope, sample) in snapshot.iter() {
        let Some(key) = of(scope) else { continue };
        let values = groups.entry(key).or_default();
        let name = name_in_scope(scope, &sample.name);
        let operator = match scope.kind {
            ScopeKind::Operator | ScopeKind::JobManagerOperator => scope.variable("operator_name"),
            _ => None,
        };
        let id = match operator {
            Some(operator) => format!("{operator}.{name}"),
            None => name.into_owned(),
        };
        texts(&id, &sample.value, |id, text| {
            values.insert(id, text);
        });
    }
    groups
}

/// A metric as ids and texts.
fn texts(id: &str, value: &MetricValue, mut take: impl FnMut(String, String)) {
    match value {
        MetricValue::Count(count) => take(id.to_owned(), count.to_string()),
        MetricValue::Gauge(GaugeValue::Long(value)) => take(id.to_owned(), value.to_string()),
        MetricValue::Gauge(GaugeValue::Double(value)) => take(id.to_owned(), value.to_string()),
        MetricValue::Gauge(GaugeValue::Text(text)) => take(id.to_owned(), text.clone()),
        MetricValue::Rate { per_second, .. } => take(id.to_owned(), per_second.to_string()),
        MetricValue::Distribution(histogram) => {
            for (name, value) in [
                ("count", histogram.count.to_string()),
                ("min", histogram.min.to_string()),
                ("max", histogram.max.to_string()),
                ("mean", histogram.mean.to_string()),
                ("stddev", histogram.stddev.to_string()),
                ("median", histogram.p50.to_string()),
                ("p75", histogram.p75.to_string()),
                ("p95", histogram.p95.to_string()),
                ("p98", histogram.p98.to_string()),
                ("p99", histogram.p99.to_string()),
                ("p999", histogram.p999.to_string()),
            ] {
                take(format!("{id}_{name}"), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::MetricRegistry;

    use super::*;

    #[test]
    fn ids_have_groups_and_operators_before_the_name() {
        let registry = MetricRegistry::default();
        let manager = registry.task_manager("h", "1");
        let task = manager.scoped(ScopeKind::Task, "t", &[("subtask_index", "3")]);
        task.counter("numRecordsIn").add(7);
        task.group("buffers").gauge("inPoolUsage").set(1);
        let operator = task.scoped(ScopeKind::Operator, "o", &[("operator_name", "Map")]);
        operator.counter("numRecordsIn").add(5);
        operator.histogram("latency").update(4);
        let snapshot = registry.snapshot(&MetricsQuery::all());
        let groups = group(&snapshot, |scope| Some(scope.variable("subtask_index")?.to_owned()));
        let values = &groups["3"];
        assert_eq!(values["numRecordsIn"], "7");
        assert_eq!(values["buffers.inPoolUsage"], "1");
        assert_eq!(values["Map.numRecordsIn"], "5");
        assert_eq!(values["Map.latency_p99"], "4");
    }
}
