//! Back pressure of a vertex, as Flink 2.3 reports it: from the share of time that each subtask
//! spends waiting for room in its outputs.

use std::collections::BTreeMap;

use hurtig_metrics::{
    MetricsQuery, MetricsSnapshot, ScopeKind,
    names::{BACK_PRESSURED_TIME_MS_PER_SECOND, BUSY_TIME_MS_PER_SECOND, IDLE_TIME_MS_PER_SECOND},
};
use hurtig_types::{JobId, JobVertexId};
use serde::{Deserialize, Serialize};

/// How much a subtask is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackPressureLevel {
    /// For a tenth of its time or less.
    Ok,
    /// For half of its time or less.
    Low,
    /// For more.
    High,
}

impl BackPressureLevel {
    /// The level of a share of time.
    pub fn of_ratio(ratio: f64) -> Self {
        match ratio {
            ratio if ratio <= 0.1 => Self::Ok,
            ratio if ratio <= 0.5 => Self::Low,
            _ => Self::High,
        }
    }
}

/// One subtask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubtaskBackPressure {
    /// Index.
    pub subtask: u32,
    /// Attempt number.
    pub attempt: u32,
    /// Level.
    pub level: BackPressureLevel,
    /// Share of its time in which its outputs had no room, from 0 to 1.
    pub ratio: f64,
    /// Share of its time in which it had nothing to do.
    pub idle_ratio: f64,
    /// Share of its time in which it worked.
    pub busy_ratio: f64,
}

/// A vertex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VertexBackPressure {
    /// The highest level of its subtasks.
    pub level: BackPressureLevel,
    /// The subtasks that run, by index.
    pub subtasks: Vec<SubtaskBackPressure>,
}

impl VertexBackPressure {
    /// The metrics from which it is computed.
    pub fn query(job: JobId, vertex: JobVertexId) -> MetricsQuery {
        MetricsQuery::all()
            .kind(ScopeKind::Task)
            .with("job_id", job)
            .with("task_id", vertex)
            .name(BACK_PRESSURED_TIME_MS_PER_SECOND)
            .name(IDLE_TIME_MS_PER_SECOND)
            .name(BUSY_TIME_MS_PER_SECOND)
    }

    /// What an answer to [`VertexBackPressure::query`] shows; `None` if no subtask runs. Of several
    /// attempts of a subtask the last counts.
    pub fn of(metrics: &MetricsSnapshot) -> Option<Self> {
        let mut subtasks: BTreeMap<u32, SubtaskBackPressure> = BTreeMap::new();
        for (scope, sample) in metrics.iter() {
            let number = |name| scope.variable(name).and_then(|value| value.parse::<u32>().ok());
            let (subtask, attempt) = (number("subtask_index"), number("task_attempt_num"));
            let (Some(subtask), Some(attempt)) = (subtask, attempt) else { continue };
            let Some(value) = sample.value.as_f64() else { continue };
            let ratio = (value / 1000.0).clamp(0.0, 1.0);
            let level = BackPressureLevel::Ok;
            let fresh = || SubtaskBackPressure {
                subtask,
                attempt,
                level,
                ratio: 0.0,
                idle_ratio: 0.0,
                busy_ratio: 0.0,
            };
            let known = subtasks.entry(subtask).or_insert_with(fresh);
            if attempt < known.attempt {
                continue;
            }
            if attempt > known.attempt {
                *known = fresh();
            }
            match &*sample.name {
                BACK_PRESSURED_TIME_MS_PER_SECOND => {
                    known.ratio = ratio;
                    known.level = BackPressureLevel::of_ratio(ratio);
                }
                IDLE_TIME_MS_PER_SECOND => known.idle_ratio = ratio,
                BUSY_TIME_MS_PER_SECOND => known.busy_ratio = ratio,
                _ => {}
            }
        }
        let level = subtasks.values().map(|subtask| subtask.level).max()?;
        Some(Self { level, subtasks: subtasks.into_values().collect() })
    }
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::MetricRegistry;

    use super::*;

    #[test]
    fn levels_are_those_of_flink() {
        use BackPressureLevel::*;
        let levels = [0.0, 0.1, 0.11, 0.5, 0.51, 1.0].map(BackPressureLevel::of_ratio);
        assert_eq!(levels, [Ok, Ok, Low, Low, High, High]);
    }

    #[test]
    fn a_vertex_is_as_held_up_as_its_worst_subtask() {
        let registry = MetricRegistry::default();
        let manager = registry.task_manager("h", "1");
        let (job, vertex) = (JobId(1), JobVertexId(2));
        for (subtask, attempt, waited, idle) in [(0, 0, 50, 900), (1, 0, 900, 10), (1, 1, 300, 100)]
        {
            let values = [
                ("job_id", job.to_string()),
                ("task_id", vertex.to_string()),
                ("subtask_index", subtask.to_string()),
                ("task_attempt_num", attempt.to_string()),
            ];
            let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
            let id = format!("{subtask}/{attempt}");
            let task = manager.scoped(ScopeKind::Task, &id, &values);
            task.gauge(BACK_PRESSURED_TIME_MS_PER_SECOND).set(waited);
            task.gauge(IDLE_TIME_MS_PER_SECOND).set(idle);
            task.gauge(BUSY_TIME_MS_PER_SECOND).set(1000 - waited - idle);
        }
        let snapshot = registry.snapshot(&VertexBackPressure::query(job, vertex));
        let seen = VertexBackPressure::of(&snapshot).unwrap();
        assert_eq!(seen.level, BackPressureLevel::Low);
        let last = seen.subtasks[1];
        assert_eq!((seen.subtasks.len(), last.attempt, last.ratio), (2, 1, 0.3));
        assert_eq!((last.idle_ratio, last.busy_ratio), (0.1, 0.6));
        let nothing = registry.snapshot(&VertexBackPressure::query(job, JobVertexId(3)));
        assert_eq!(VertexBackPressure::of(&nothing), None);
    }
}
