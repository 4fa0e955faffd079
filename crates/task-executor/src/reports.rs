//! From tasks to JobMasters: state changes and operator events, in order.
//!
//! Every report must arrive, and in order: a task that is known to have finished counts as
//! acknowledged, so an acknowledgement that got lost before that would leave its state out of a
//! checkpoint. What can be repeated without harm is sent until it has arrived, also if that is at
//! another JobMaster that takes the job over. It is dropped when the TaskExecutor gives the job up.
//!
//! An operator's event is not repeated: nobody knows whether it has arrived. If the JobMaster is
//! there all the same it counts as lost, which has the job's tasks here cancelled. If another takes
//! over, the event is dropped: that one asks tasks again, or restarts them.
//!
//! A task's loop must not wait, so it posts to a queue. Each job has a lane of its own, so that a
//! JobMaster that is silent holds up nobody else. The queues have no bound of their own, but what
//! goes into them has: an attempt changes its state five times at most, has few checkpoints under
//! way at once, and operators bound their events by their own protocols (a reader asks for one
//! split at a time).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use hurtig_cluster_api::{
    ExecutionState, FencingToken, JobMasterGateway, Leader, RpcError, RpcResult, TaskStateUpdate,
};
use hurtig_task::TaskListener;
use hurtig_types::{
    CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId, FlowError,
    FlowResult, JobId, OperatorId, TaskStateSnapshot,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// Pause before something is sent again.
const RETRY: Duration = Duration::from_millis(100);
/// Pause before it is tried again with a JobMaster that could not be reached.
const SILENCE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) enum Report {
    State(TaskStateUpdate),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Acknowledge(ExecutionAttemptId, CheckpointId, Box<TaskStateSnapshot>, CheckpointMetrics),
    Decline(ExecutionAttemptId, CheckpointId, CheckpointException),
}

impl Report {
    fn attempt(&self) -> ExecutionAttemptId {
        match self {
            Report::State(update) => update.attempt,
            Report::Event(attempt, ..)
            | Report::Acknowledge(attempt, ..)
            | Report::Decline(attempt, ..) => *attempt,
        }
    }

    fn state(&self) -> Option<ExecutionState> {
        match self {
            Report::State(update) => Some(update.state),
            _ => None,
        }
    }
}

type Followed = HashMap<JobId, Leader<dyn JobMasterGateway>>;

/// The JobMasters that a TaskExecutor follows. Cloning gives another handle.
#[derive(Clone)]
pub(crate) struct JobMasters {
    followed: Arc<Mutex<Followed>>,
    changes: watch::Sender<()>,
}

impl Default for JobMasters {
    fn default() -> Self {
        Self { followed: Arc::default(), changes: watch::Sender::new(()) }
    }
}

impl JobMasters {
    /// The JobMaster of a job.
    pub(crate) fn get(&self, job: JobId) -> Option<Leader<dyn JobMasterGateway>> {
        self.followed.lock().get(&job).cloned()
    }

    /// True if that is the JobMaster of the job.
    pub(crate) fn is_followed(&self, job: JobId, token: FencingToken) -> bool {
        self.followed.lock().get(&job).is_some_and(|leader| leader.token == token)
    }

    pub(crate) fn follow(&self, job: JobId, leader: Leader<dyn JobMasterGateway>) {
        self.followed.lock().insert(job, leader);
        self.changes.send_replace(());
    }

    pub(crate) fn forget(&self, job: JobId) {
        self.followed.lock().remove(&job);
        self.changes.send_replace(());
    }

    pub(crate) fn forget_all(&self) {
        self.followed.lock().clear();
        self.changes.send_replace(());
    }

    /// Waits for a change, but not for long.
    pub(crate) async fn changed_or(&self, pause: Duration) {
        let mut changes = self.changes.subscribe();
        tokio::select! {
            biased;
            // Cannot fail while `self` is there.
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What the TaskExecutor learns from reports.
pub(crate) enum News {
    /// An attempt has reached a terminal state.
    Ended(ExecutionAttemptId),
    /// An event may not have arrived.
    JobMasterLost(JobId, String),
}

/// A report and the JobMaster of the moment when it was made.
struct Posted {
    report: Report,
    token: Option<FencingToken>,
}

#[derive(Clone)]
pub(crate) struct Reports {
    queue: mpsc::UnboundedSender<Posted>,
    job_masters: JobMasters,
}

impl Reports {
    /// The queue, and the future that forwards what is posted.
    pub(crate) fn new(
        job_masters: JobMasters,
        control: Handle,
        on_news: impl Fn(News) + Clone + Send + Sync + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut posted) = mpsc::unbounded_channel::<Posted>();
        let masters = job_masters.clone();
        let forward = async move {
            let mut lanes: HashMap<JobId, mpsc::UnboundedSender<Posted>> = HashMap::new();
            while let Some(report) = posted.recv().await {
                let job = report.report.attempt().job;
                if !lanes.contains_key(&job) {
                    // Lanes of jobs that are gone end when they have nothing left to do.
                    lanes.retain(|job, _| masters.get(*job).is_some());
                }
                let lane = lanes.entry(job).or_insert_with(|| {
                    let (lane, reports) = mpsc::unbounded_channel();
                    control.spawn(forward_lane(job, reports, masters.clone(), on_news.clone()));
                    lane
                });
                // A lane ends after its queue.
                let _ = lane.send(report);
            }
        };
        (Self { queue, job_masters }, forward)
    }

    fn post(&self, report: Report) -> bool {
        let token = self.job_masters.get(report.attempt().job).map(|leader| leader.token);
        self.queue.send(Posted { report, token }).is_ok()
    }
}

/// What became of a report.
enum Fate {
    /// It has arrived, or need not.
    Settled,
    /// The job has been given up here.
    Dropped,
    /// It may not have arrived, and may not be repeated.
    Lost(String),
}

async fn forward_lane(
    job: JobId,
    mut reports: mpsc::UnboundedReceiver<Posted>,
    job_masters: JobMasters,
    on_news: impl Fn(News) + Send + Sync,
) {
    // Attempts all of whose reports have arrived. Of others nothing more is told: what came next
    // would make no sense without what was lost.
    let mut in_order: BTreeSet<ExecutionAttemptId> = BTreeSet::new();
    while let Some(Posted { report, token }) = reports.recv().await {
        let (attempt, state) = (report.attempt(), report.state());
        if state == Some(ExecutionState::Initializing) {
            in_order.insert(attempt);
        }
        if in_order.contains(&attempt) {
            match deliver(&report, token, &job_masters).await {
                Fate::Settled => {}
                Fate::Dropped => {
                    in_order.remove(&attempt);
                }
                Fate::Lost(reason) => {
                    tracing::debug!(%job, reason, "an event did not reach the JobMaster");
                    in_order.clear();
                    on_news(News::JobMasterLost(job, reason));
                }
            }
        }
        if state.is_some_and(ExecutionState::is_terminal) {
            in_order.remove(&attempt);
            on_news(News::Ended(attempt));
        }
    }
}

async fn deliver(report: &Report, posted: Option<FencingToken>, masters: &JobMasters) -> Fate {
    let job = report.attempt().job;
    let is_event = matches!(report, Report::Event(..));
    let mut unanswered = None;
    loop {
        let Some(Leader { token, gateway }) = masters.get(job) else { return Fate::Dropped };
        if is_event && posted != Some(token) {
            return Fate::Settled;
        }
        if let Some(reason) = &unanswered
            && is_event
        {
            // If it was only the connection, nobody knows what became of the event.
            if gateway.status().await.is_ok() {
                return Fate::Lost(String::clone(reason));
            }
            masters.changed_or(SILENCE).await;
            continue;
        }
        let sent = send(&*gateway, report.clone()).await;
        let Err(error) = sent else { return Fate::Settled };
        match error {
            RpcError::Timeout(_) if !is_event => masters.changed_or(RETRY).await,
            RpcError::Unreachable { .. } | RpcError::Fenced { .. } => {
                unanswered = Some(error.to_string());
                masters.changed_or(SILENCE).await;
            }
            error => return Fate::Lost(error.to_string()),
        }
    }
}

async fn send(gateway: &dyn JobMasterGateway, report: Report) -> RpcResult<()> {
    match report {
        Report::State(update) => gateway.update_task_state(update).await,
        Report::Event(attempt, operator, event) => {
            gateway.send_operator_event(attempt, operator, event).await
        }
        Report::Acknowledge(attempt, id, snapshot, metrics) => {
            gateway.acknowledge_checkpoint(attempt, id, *snapshot, metrics).await
        }
        Report::Decline(attempt, id, reason) => {
            gateway.decline_checkpoint(attempt, id, reason).await
        }
    }
}

impl TaskListener for Reports {
    fn on_state(&self, update: TaskStateUpdate) {
        // Fails only when the TaskExecutor has ended.
        let _ = self.post(Report::State(update));
    }

    fn on_checkpoint_acknowledged(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) {
        let report = Report::Acknowledge(attempt, checkpoint, Box::new(snapshot), metrics);
        let _ = self.post(report);
    }

    fn on_checkpoint_declined(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) {
        let _ = self.post(Report::Decline(attempt, checkpoint, reason));
    }

    fn on_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> FlowResult {
        match self.post(Report::Event(attempt, operator, event)) {
            true => Ok(()),
            false => Err(FlowError::external("the TaskExecutor has ended")),
        }
    }
}
