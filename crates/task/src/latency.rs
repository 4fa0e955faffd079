//! Latency markers: how long a record would take from a source to an operator.
//!
//! 1. The head of a source's chain emits a marker every `metrics.latency.interval`.
//! 2. It travels with the records, past the operators' own work but behind everything that is queued
//!    before it. A writer sends it to one channel, in turn: to all, markers would multiply at every
//!    exchange.
//! 3. Each operator that it passes notes its age. Whose markers are told apart is
//!    `metrics.latency.granularity`.
//!
//! Clocks of machines that differ show as wrong latencies; none is shown below zero.

use std::collections::HashMap;

use hurtig_metrics::{Histogram, LatencyGranularity, MetricGroup, names::LATENCY};
use hurtig_types::{LatencyMarker, OperatorId};

/// When a source's next marker is due.
#[derive(Debug)]
pub(crate) struct LatencyMarks {
    interval_ms: i64,
    next_ms: i64,
}

impl LatencyMarks {
    /// Markers at an interval, if it is not 0.
    pub(crate) fn every(interval_ms: u64, now_ms: i64) -> Option<Self> {
        let interval_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX);
        (interval_ms > 0).then_some(Self { interval_ms, next_ms: now_ms })
    }

    pub(crate) fn next_ms(&self) -> i64 {
        self.next_ms
    }

    /// True if a marker is due; the next one is due an interval later.
    pub(crate) fn is_due(&mut self, now_ms: i64) -> bool {
        if now_ms < self.next_ms {
            return false;
        }
        self.next_ms = now_ms.saturating_add(self.interval_ms);
        true
    }
}

/// What one operator has seen. There are at most as many histograms as the job has subtasks of
/// sources; without markers there is none.
pub(crate) struct LatencyStats {
    /// The job's group in this TaskManager.
    group: MetricGroup,
    operator: OperatorId,
    subtask: u32,
    seen: HashMap<(OperatorId, u32), (MetricGroup, Histogram)>,
}

impl LatencyStats {
    pub(crate) fn new(group: MetricGroup, operator: OperatorId, subtask: u32) -> Self {
        Self { group, operator, subtask, seen: HashMap::new() }
    }

    /// Notes the age of a marker.
    pub(crate) fn note(&mut self, marker: LatencyMarker, now_ms: i64) {
        let options = self.group.registry().options().latency;
        let key = match options.granularity {
            LatencyGranularity::Single => (self.operator, 0),
            LatencyGranularity::Operator => (marker.operator, 0),
            LatencyGranularity::Subtask => (marker.operator, marker.subtask),
        };
        let (job, operator, subtask) = (&self.group, self.operator, self.subtask);
        let (_, histogram) = self.seen.entry(key).or_insert_with(|| {
            let mut group = job.group("latency");
            if options.granularity != LatencyGranularity::Single {
                group = group.group_with("source_id", &marker.operator.to_string());
            }
            if options.granularity == LatencyGranularity::Subtask {
                group = group.group_with("source_subtask_index", &marker.subtask.to_string());
            }
            group = group.group_with("operator_id", &operator.to_string());
            group = group.group_with("operator_subtask_index", &subtask.to_string());
            let histogram = Histogram::with_window(options.history_size);
            (group.clone(), group.histogram_of(LATENCY, histogram))
        });
        histogram.update((now_ms - marker.marked_time).max(0));
    }
}

impl Drop for LatencyStats {
    fn drop(&mut self) {
        self.seen.values().for_each(|(group, _)| group.close());
    }
}

#[cfg(test)]
mod tests {
    use hurtig_metrics::{
        LatencyOptions, MetricOptions, MetricRegistry, MetricValue, MetricsQuery,
    };
    use std::time::Duration;

    use super::*;

    fn registry(granularity: LatencyGranularity) -> MetricRegistry {
        let latency = LatencyOptions { granularity, history_size: 2 };
        MetricRegistry::new(MetricOptions { latency, ..Default::default() }, || Duration::ZERO)
    }

    fn groups(registry: &MetricRegistry) -> Vec<String> {
        let snapshot = registry.snapshot(&MetricsQuery::all());
        snapshot.iter().map(|(scope, _)| scope.groups.join(".")).collect()
    }

    #[test]
    fn granularity_says_whose_markers_are_told_apart() {
        let source = |n| OperatorId(n);
        let mark = |stats: &mut LatencyStats| {
            for (operator, subtask) in [(1, 0), (1, 1), (2, 0)] {
                let operator = source(operator);
                stats.note(LatencyMarker { marked_time: 100, subtask, operator }, 130);
            }
        };
        for (granularity, expected) in [
            (LatencyGranularity::Single, 1),
            (LatencyGranularity::Operator, 2),
            (LatencyGranularity::Subtask, 3),
        ] {
            let registry = registry(granularity);
            let mut stats = LatencyStats::new(registry.task_manager("h", "1"), source(9), 4);
            mark(&mut stats);
            let groups = groups(&registry);
            assert_eq!(groups.len(), expected, "{granularity:?}");
            assert!(groups.iter().all(|group| group.ends_with(".operator_subtask_index.4")));
            drop(stats);
            assert!(registry.snapshot(&MetricsQuery::all()).metrics.is_empty());
        }
    }

    #[test]
    fn the_newest_ages_are_kept_and_none_is_negative() {
        let registry = registry(LatencyGranularity::Single);
        let mut stats = LatencyStats::new(registry.task_manager("h", "1"), OperatorId(9), 0);
        for now_ms in [1000, 90, 107] {
            stats.note(
                LatencyMarker { marked_time: 100, subtask: 0, operator: OperatorId(1) },
                now_ms,
            );
        }
        let snapshot = registry.snapshot(&MetricsQuery::all());
        let MetricValue::Distribution(seen) = &snapshot.metrics[0].value else {
            panic!("not a histogram")
        };
        assert_eq!((seen.count, seen.min, seen.max), (3, 0, 7));
    }

    #[test]
    fn markers_are_due_at_their_interval() {
        assert!(LatencyMarks::every(0, 5).is_none());
        let mut marks = LatencyMarks::every(10, 5).unwrap();
        let due: Vec<i64> = (0..40).filter(|now_ms| marks.is_due(*now_ms)).collect();
        assert_eq!(due, [5, 15, 25, 35]);
        assert_eq!(marks.next_ms(), 45);
    }
}
