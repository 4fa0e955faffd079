//! The metrics of a job in its JobMaster.
//!
//! The actor notes what has changed after each message; times that grow are computed when somebody
//! asks. They are forgotten when the job has ended.

use std::sync::Arc;

use hurtig_checkpoint::stats::CheckpointStatsTracker;
use hurtig_cluster_api::JobStatus;
use hurtig_env::Clock;
use hurtig_metrics::{Gauge, GaugeValue, MetricGroup, ScopeKind, names::*};
use hurtig_scheduler::JobScheduler;
use hurtig_types::{CheckpointId, JobId};
use parking_lot::Mutex;

/// When the job entered the states that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    status: JobStatus,
    since_ms: i64,
    /// When it stopped to run, if it has run before and does not now.
    interrupted_ms: Option<i64>,
}

impl Times {
    fn enter(&mut self, status: JobStatus, since_ms: i64) {
        if status == JobStatus::Running {
            self.interrupted_ms = None;
        } else if self.status == JobStatus::Running {
            self.interrupted_ms = Some(since_ms);
        }
        (self.status, self.since_ms) = (status, since_ms);
    }

    fn within(&self, status: JobStatus, now_ms: i64) -> i64 {
        if self.status == status { (now_ms - self.since_ms).max(0) } else { 0 }
    }

    fn uptime(&self, now_ms: i64) -> i64 {
        if self.status.is_globally_terminal() {
            return -1;
        }
        self.within(JobStatus::Running, now_ms)
    }

    fn downtime(&self, now_ms: i64) -> i64 {
        if self.status.is_globally_terminal() {
            return -1;
        }
        self.interrupted_ms.map_or(0, |since_ms| (now_ms - since_ms).max(0))
    }
}

/// The last completed checkpoint.
#[derive(Clone, Debug, Default)]
struct Completed {
    id: CheckpointId,
    size: u64,
    full_size: u64,
    duration_ms: i64,
    processed: u64,
    persisted: u64,
    path: Option<Arc<str>>,
    timestamp_ms: Option<i64>,
}

type Shared = Arc<Mutex<(Times, Option<Completed>)>>;

/// What one job shows.
pub(crate) struct JobMetrics {
    group: MetricGroup,
    shared: Shared,
    /// Transitions of the job that were noted.
    transitions: usize,
    restarts: Gauge,
    full_restarts: Gauge,
    total: Gauge,
    in_progress: Gauge,
    completed: Gauge,
    failed: Gauge,
    restored_at: Gauge,
}

impl JobMetrics {
    /// Registers a job in the group of its JobManager.
    pub(crate) fn new(manager: &MetricGroup, job: JobId, name: &str, clock: Clock) -> Self {
        let id = job.to_string();
        let values = [("job_id", &*id), ("job_name", name)];
        let group = manager.scoped(ScopeKind::JobManagerJob, &id, &values);
        let status = JobStatus::Initializing;
        let times = Times { status, since_ms: clock.now_ms(), interrupted_ms: None };
        let shared = Arc::new(Mutex::new((times, None)));
        register_times(&group, &shared, clock);
        register_completed(&group, &shared);
        let restored_at = group.gauge(LAST_CHECKPOINT_RESTORE_TIMESTAMP);
        restored_at.set(-1);
        Self {
            shared,
            transitions: 0,
            restarts: group.gauge(NUM_RESTARTS),
            full_restarts: group.gauge(FULL_RESTARTS),
            total: group.gauge(TOTAL_NUMBER_OF_CHECKPOINTS),
            in_progress: group.gauge(NUMBER_OF_IN_PROGRESS_CHECKPOINTS),
            completed: group.gauge(NUMBER_OF_COMPLETED_CHECKPOINTS),
            failed: group.gauge(NUMBER_OF_FAILED_CHECKPOINTS),
            restored_at,
            group,
        }
    }

    /// Notes what has changed.
    pub(crate) fn update(&mut self, scheduler: &JobScheduler, stats: &CheckpointStatsTracker) {
        let restarts = i64::from(scheduler.restarts());
        self.restarts.set(restarts);
        self.full_restarts.set(restarts);
        let count = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        count(&self.total, stats.counts.total);
        count(&self.in_progress, stats.counts.in_progress);
        count(&self.completed, stats.counts.completed);
        count(&self.failed, stats.counts.failed);
        if let Some(restored) = &stats.latest_restored {
            self.restored_at.set(restored.restore_timestamp_ms);
        }
        let transitions = scheduler.transitions();
        let latest = stats.latest_completed.as_ref();
        let mut shared = self.shared.lock();
        for (status, at_ms) in transitions.iter().skip(self.transitions) {
            shared.0.enter(*status, *at_ms);
        }
        self.transitions = transitions.len();
        let known = shared.1.as_ref().map(|completed| completed.id);
        let Some(latest) = latest.filter(|latest| known != Some(latest.id)) else { return };
        shared.1 = Some(Completed {
            id: latest.id,
            size: latest.totals.checkpointed_bytes,
            full_size: latest.totals.total_bytes,
            duration_ms: latest.duration_ms(),
            processed: latest.totals.processed_bytes,
            persisted: latest.totals.persisted_bytes,
            path: latest.external_path.clone(),
            timestamp_ms: latest.end_timestamp_ms,
        });
    }

    /// The job has ended.
    pub(crate) fn close(&self) {
        self.group.close();
    }
}

fn register_times(group: &MetricGroup, shared: &Shared, clock: Clock) {
    let time = |name: &'static str, read: fn(&Times, i64) -> i64| {
        let shared = shared.clone();
        group.computed(name, move || read(&shared.lock().0, clock.now_ms()));
    };
    time(UPTIME, Times::uptime);
    time(DOWNTIME, Times::downtime);
    time(INITIALIZING_TIME, |times, now| times.within(JobStatus::Initializing, now));
    time(CREATED_TIME, |times, now| times.within(JobStatus::Created, now));
    time(RUNNING_TIME, |times, now| times.within(JobStatus::Running, now));
    time(RESTARTING_TIME, |times, now| times.within(JobStatus::Restarting, now));
    time(CANCELLING_TIME, |times, now| times.within(JobStatus::Cancelling, now));
    time(FAILING_TIME, |times, now| times.within(JobStatus::Failing, now));
}

fn register_completed(group: &MetricGroup, shared: &Shared) {
    let gauge = |name: &'static str, read: fn(&Completed) -> Option<GaugeValue>| {
        let shared = shared.clone();
        group.computed_option(name, move || read(shared.lock().1.as_ref()?));
    };
    gauge(LAST_CHECKPOINT_SIZE, |last| Some(last.size.into()));
    gauge(LAST_CHECKPOINT_FULL_SIZE, |last| Some(last.full_size.into()));
    gauge(LAST_CHECKPOINT_DURATION, |last| Some(last.duration_ms.into()));
    gauge(LAST_CHECKPOINT_PROCESSED_DATA, |last| Some(last.processed.into()));
    gauge(LAST_CHECKPOINT_PERSISTED_DATA, |last| Some(last.persisted.into()));
    gauge(LAST_COMPLETED_CHECKPOINT_ID, |last| Some(last.id.0.into()));
    gauge(LAST_CHECKPOINT_EXTERNAL_PATH, |last| Some(last.path.as_ref()?.to_string().into()));
    gauge(LAST_CHECKPOINT_COMPLETED_TIMESTAMP, |last| Some(last.timestamp_ms?.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_up_while_it_runs_and_down_while_it_is_interrupted() {
        use JobStatus::*;
        let mut times = Times { status: Initializing, since_ms: 0, interrupted_ms: None };
        let mut seen = Vec::new();
        for (status, at_ms) in
            [(Created, 5), (Running, 10), (Restarting, 100), (Running, 130), (Finished, 200)]
        {
            times.enter(status, at_ms);
            seen.push((times.uptime(at_ms + 7), times.downtime(at_ms + 7)));
        }
        assert_eq!(seen, [(0, 0), (7, 0), (0, 7), (7, 0), (-1, -1)]);
        times.enter(Cancelling, 300);
        assert_eq!((times.within(Cancelling, 301), times.within(Running, 301)), (1, 0));
    }
}
