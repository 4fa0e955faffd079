//! Metrics: of one thing, and aggregated over several.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_types::{JobId, OperatorId, ResourceId};

use crate::{
    error::{RestError, RestResult},
    messages::metrics::{AggregatedMetric, MetricEntry},
    metric_source::{
        MetricValues, of_coordinators, of_job, of_job_manager, of_subtasks, of_task_managers,
    },
    server::{call::Call, route::QueryParameter},
};

/// Most jobs whose metrics are added up at once.
const MOST_JOBS: usize = 256;

const GET: QueryParameter = QueryParameter {
    name: "get",
    description: "Ids of metrics, comma-separated; without it, the ids of all metrics are listed.",
};

const AGGREGATE: QueryParameter = QueryParameter {
    name: "agg",
    description: "What to compute, comma-separated: min, max, sum, avg, skew; all by default.",
};

pub(crate) const QUERY: &[QueryParameter] = &[GET];

pub(crate) const JOBS_QUERY: &[QueryParameter] = &[
    GET,
    AGGREGATE,
    QueryParameter { name: "jobs", description: "Only these jobs: ids, comma-separated." },
];

pub(crate) const TASK_MANAGERS_QUERY: &[QueryParameter] = &[
    GET,
    AGGREGATE,
    QueryParameter {
        name: "taskmanagers",
        description: "Only these TaskManagers: ids, comma-separated.",
    },
];

pub(crate) const SUBTASKS_QUERY: &[QueryParameter] = &[
    GET,
    AGGREGATE,
    QueryParameter {
        name: "subtasks",
        description: "Only these subtasks: indices and ranges, as 1,3,5-9.",
    },
];

/// The metrics that were asked for, or the ids of all.
fn select(call: &Call, values: MetricValues) -> Vec<MetricEntry> {
    let wanted = call.query_list("get");
    if wanted.is_empty() {
        return values.into_keys().map(|id| MetricEntry { id, value: None }).collect();
    }
    let known = wanted.into_iter().filter_map(|id| {
        let value = values.get(&id).cloned()?;
        Some(MetricEntry { id, value: Some(value) })
    });
    known.collect()
}

pub(crate) async fn job_manager(call: Call) -> RestResult<Vec<MetricEntry>> {
    let values = of_job_manager(&*call.context.services.dispatcher).await?;
    Ok(select(&call, values))
}

pub(crate) async fn job(call: Call) -> RestResult<Vec<MetricEntry>> {
    let (job, dispatcher) = (call.job()?, &call.context.services.dispatcher);
    // An unknown job has no metrics, and is told so.
    dispatcher.job_status(job).await?;
    let values = of_job(&**dispatcher, job).await?;
    Ok(select(&call, values))
}

pub(crate) async fn task_manager(call: Call) -> RestResult<Vec<MetricEntry>> {
    let id = call.task_manager()?;
    super::task_managers::find(&call, id).await?;
    let mut values = of_task_managers(&*call.context.services.dispatcher).await?;
    let values = values.remove(&id).unwrap_or_default();
    Ok(select(&call, values))
}

async fn of_vertex(call: &Call) -> RestResult<BTreeMap<u32, MetricValues>> {
    let (job, id) = (call.job()?, call.vertex()?);
    let details = super::job_details(call).await?;
    let vertex = super::vertex(&details, id)?;
    let mut values = of_subtasks(&*call.context.services.dispatcher, job, id).await?;
    // Those that do not run have none.
    for subtask in 0..vertex.parallelism {
        values.entry(subtask).or_default();
    }
    Ok(values)
}

/// All metrics of a vertex; ids begin with the subtask, as `0.numRecordsIn`.
pub(crate) async fn vertex(call: Call) -> RestResult<Vec<MetricEntry>> {
    let subtasks = of_vertex(&call).await?.into_iter();
    let values = subtasks.flat_map(|(subtask, values)| {
        values.into_iter().map(move |(id, value)| (format!("{subtask}.{id}"), value))
    });
    let values = values.collect();
    Ok(select(&call, values))
}

pub(crate) async fn subtask(call: Call) -> RestResult<Vec<MetricEntry>> {
    let index: u32 = call.parameter("subtaskindex")?;
    let values = of_vertex(&call).await?.remove(&index);
    let values =
        values.ok_or_else(|| RestError::not_found(format!("There is no subtask {index}.")))?;
    Ok(select(&call, values))
}

/// Metrics of operators that are kept by the JobManager: of their coordinators.
pub(crate) async fn coordinators(call: Call) -> RestResult<Vec<MetricEntry>> {
    let (job, id) = (call.job()?, call.vertex()?);
    let details = super::job_details(&call).await?;
    super::vertex(&details, id)?;
    let vertex = details.graph.vertex(id);
    let operators = vertex.into_iter().flat_map(|vertex| &vertex.operators);
    let operators: Vec<OperatorId> = operators.map(|operator| operator.id).collect();
    let dispatcher = &*call.context.services.dispatcher;
    let values = of_coordinators(dispatcher, job, &operators).await?;
    Ok(select(&call, values))
}

pub(crate) async fn jobs(call: Call) -> RestResult<Vec<AggregatedMetric>> {
    let asked = aggregations(&call)?;
    let services = &call.context.services;
    let mut jobs = parse_list::<JobId>(&call, "jobs")?;
    if jobs.is_empty() {
        jobs = services.dispatcher.list_jobs().await?.iter().map(|job| job.job_id).collect();
    }
    let mut all = Vec::new();
    for job in jobs.into_iter().take(MOST_JOBS) {
        all.push(of_job(&*services.dispatcher, job).await?);
    }
    Ok(aggregate(&call.query_list("get"), &all, asked))
}

pub(crate) async fn task_managers(call: Call) -> RestResult<Vec<AggregatedMetric>> {
    let asked = aggregations(&call)?;
    let wanted: BTreeSet<ResourceId> = parse_list(&call, "taskmanagers")?.into_iter().collect();
    let known = of_task_managers(&*call.context.services.dispatcher).await?;
    let chosen = known.into_iter().filter(|(id, _)| wanted.is_empty() || wanted.contains(id));
    let all: Vec<MetricValues> = chosen.map(|(_, values)| values).collect();
    Ok(aggregate(&call.query_list("get"), &all, asked))
}

pub(crate) async fn subtasks(call: Call) -> RestResult<Vec<AggregatedMetric>> {
    let asked = aggregations(&call)?;
    let ranges = ranges(&call.query_list("subtasks"))?;
    let chosen = of_vertex(&call).await?.into_iter().filter(|(subtask, _)| {
        ranges.is_empty() || ranges.iter().any(|(from, to)| (from..=to).contains(&subtask))
    });
    let all: Vec<MetricValues> = chosen.map(|(_, values)| values).collect();
    Ok(aggregate(&call.query_list("get"), &all, asked))
}

fn parse_list<T: std::str::FromStr<Err: std::fmt::Display>>(
    call: &Call,
    name: &'static str,
) -> RestResult<Vec<T>> {
    let parse = |text: String| {
        text.parse().map_err(|error: T::Err| {
            RestError::bad_request(format!("Cannot resolve query parameter ({name}): {error}"))
        })
    };
    call.query_list(name).into_iter().map(parse).collect()
}

/// Ranges of `1,3,5-9`.
fn ranges(texts: &[String]) -> RestResult<Vec<(u32, u32)>> {
    let range = |text: &String| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let range = from.trim().parse().ok().zip(to.trim().parse().ok());
        range.ok_or_else(|| RestError::bad_request(format!("{text:?} is no range of subtasks")))
    };
    texts.iter().map(range).collect()
}

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aggregations {
    min: bool,
    max: bool,
    sum: bool,
    avg: bool,
    skew: bool,
}

fn aggregations(call: &Call) -> RestResult<Aggregations> {
    parse_aggregations(&call.query_list("agg"))
}

fn parse_aggregations(names: &[String]) -> RestResult<Aggregations> {
    let all = names.is_empty();
    let mut asked = Aggregations { min: all, max: all, sum: all, avg: all, skew: all };
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "min" => asked.min = true,
            "max" => asked.max = true,
            "sum" => asked.sum = true,
            "avg" => asked.avg = true,
            "skew" => asked.skew = true,
            _ => return Err(RestError::bad_request(format!("{name:?} is no aggregation"))),
        }
    }
    Ok(asked)
}

/// Metrics over several things; texts are left out. Without wanted ids, those of all metrics.
fn aggregate(
    wanted: &[String],
    all: &[MetricValues],
    asked: Aggregations,
) -> Vec<AggregatedMetric> {
    if wanted.is_empty() {
        let ids: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
        let only_id = |id: &String| AggregatedMetric { id: id.clone(), ..Default::default() };
        return ids.into_iter().map(only_id).collect();
    }
    let over_all = wanted.iter().filter_map(|id| {
        let texts = all.iter().filter_map(|values| values.get(id));
        let values: Vec<f64> = texts.map(|text| text.parse().ok()).collect::<Option<_>>()?;
        (!values.is_empty()).then(|| over(id, &values, asked))
    });
    over_all.collect()
}

fn over(id: &str, values: &[f64], asked: Aggregations) -> AggregatedMetric {
    let sum: f64 = values.iter().sum();
    let count = values.len() as f64;
    let mean = sum / count;
    // As Flink 2.3's: mean absolute deviation in percent of the mean, at most 100.
    let skew = || {
        let deviation = values.iter().map(|value| (value - mean).abs()).sum::<f64>() / count;
        if mean == 0.0 { 0.0 } else { (deviation / mean * 100.0).min(100.0) }
    };
    AggregatedMetric {
        id: id.to_owned(),
        min: asked.min.then(|| values.iter().copied().fold(f64::INFINITY, f64::min)),
        max: asked.max.then(|| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        avg: asked.avg.then_some(mean),
        sum: asked.sum.then_some(sum),
        skew: asked.skew.then(skew),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> MetricValues {
        pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn numbers_are_added_up_and_texts_left_out() {
        let all = [values(&[("n", "1"), ("t", "x")]), values(&[("n", "3")])];
        let wanted = ["n", "t", "unknown"].map(str::to_owned);
        let seen = aggregate(&wanted, &all, parse_aggregations(&[]).unwrap());
        assert_eq!(seen.len(), 1);
        let n = &seen[0];
        assert_eq!((n.min, n.max, n.avg, n.sum), (Some(1.0), Some(3.0), Some(2.0), Some(4.0)));
        assert_eq!(n.skew, Some(50.0));
        let only_max = parse_aggregations(&["MAX".to_owned()]).unwrap();
        let seen = aggregate(&wanted, &all, only_max);
        assert_eq!((seen[0].max, seen[0].min, seen[0].sum), (Some(3.0), None, None));
        let ids: Vec<String> = aggregate(&[], &all, only_max).into_iter().map(|m| m.id).collect();
        assert_eq!(ids, ["n", "t"]);
        assert!(parse_aggregations(&["median".to_owned()]).is_err());
    }

    #[test]
    fn subtasks_are_indices_and_ranges() {
        let parse = |text: &str| ranges(&text.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parse("1,3,5-9").unwrap(), [(1, 1), (3, 3), (5, 9)]);
        for wrong in ["x", "1-", "-2", "1-2-3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
