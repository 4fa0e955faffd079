//! From tasks to JobMasters: state changes and operator events, in order.
//!
//! Every report must arrive, and in order: a task that is known to have finished counts as
//! acknowledged, so an acknowledgement that got lost before that would leave its state out of a
//! checkpoint. What can be repeated without harm is sent again; an operator's event is not, since
//! nobody knows whether it has arrived. If that does not help the JobMaster counts as lost, which
//! has the job's tasks here cancelled.
//!
//! A task's loop must not wait, so it posts to a queue; one forwarder per TaskExecutor sends them
//! on. The queue has no bound of its own, but what goes into it has: an attempt changes its state
//! five times at most, has few checkpoints under way at once, and operators bound their events by
//! their own protocols (a reader asks for one split at a time).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use hurtig_cluster_api::{ExecutionState, JobMasterGateway, RpcError, RpcResult, TaskStateUpdate};
use hurtig_task::TaskListener;
use hurtig_types::{
    CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId, FlowError,
    FlowResult, JobId, OperatorId, TaskStateSnapshot,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// How often a report is sent that may be repeated.
const TRIES: u32 = 4;
/// Pause before it is sent again.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(crate) enum Report {
    State(TaskStateUpdate),
    Event(ExecutionAttemptId, OperatorId, Vec<u8>),
    Acknowledge(ExecutionAttemptId, CheckpointId, Box<TaskStateSnapshot>, CheckpointMetrics),
    Decline(ExecutionAttemptId, CheckpointId, CheckpointException),
}

/// The JobMasters that a TaskExecutor knows.
pub(crate) type JobMasters = Arc<Mutex<HashMap<JobId, Arc<dyn JobMasterGateway>>>>;

/// What the TaskExecutor learns from reports.
pub(crate) enum News {
    /// An attempt has reached a terminal state.
    Ended(ExecutionAttemptId),
    /// A report did not arrive.
    JobMasterLost(JobId, String),
}

#[derive(Clone)]
pub(crate) struct Reports {
    queue: mpsc::UnboundedSender<Report>,
}

impl Reports {
    /// The queue, and the future that forwards what is posted.
    pub(crate) fn new(
        job_masters: JobMasters,
        on_news: impl Fn(News) + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut posted) = mpsc::unbounded_channel();
        let forward = async move {
            // Attempts all of whose reports have arrived. Of others nothing more is told: what
            // came next would make no sense without what was lost.
            let mut in_order: BTreeSet<ExecutionAttemptId> = BTreeSet::new();
            while let Some(report) = posted.recv().await {
                let attempt = match &report {
                    Report::State(update) => {
                        if update.state == ExecutionState::Initializing {
                            in_order.insert(update.attempt);
                        }
                        update.attempt
                    }
                    Report::Event(attempt, ..)
                    | Report::Acknowledge(attempt, ..)
                    | Report::Decline(attempt, ..) => *attempt,
                };
                let job = attempt.job;
                let gateway = job_masters.lock().get(&job).cloned();
                let gateway = gateway.filter(|_| in_order.contains(&attempt));
                let ended = match &report {
                    Report::State(update) if update.state.is_terminal() => Some(attempt),
                    _ => None,
                };
                let sent = match gateway {
                    Some(gateway) => send(&*gateway, report).await,
                    None => Ok(()),
                };
                if let Err(error) = sent {
                    tracing::debug!(%job, %error, "a report did not reach the JobMaster");
                    in_order.retain(|attempt| attempt.job != job);
                    on_news(News::JobMasterLost(job, error.to_string()));
                }
                if let Some(attempt) = ended {
                    in_order.remove(&attempt);
                    on_news(News::Ended(attempt));
                }
            }
        };
        (Self { queue }, forward)
    }
}

/// Sends a report, again if it may be.
async fn send(gateway: &dyn JobMasterGateway, report: Report) -> RpcResult<()> {
    let mut tries = if matches!(report, Report::Event(..)) { 1 } else { TRIES };
    loop {
        tries -= 1;
        let sent = match report.clone() {
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
        };
        if tries == 0 || !matches!(sent, Err(RpcError::Timeout(_))) {
            return sent;
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl TaskListener for Reports {
    fn on_state(&self, update: TaskStateUpdate) {
        // Fails only when the TaskExecutor has ended.
        let _ = self.queue.send(Report::State(update));
    }

    fn on_checkpoint_acknowledged(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        snapshot: TaskStateSnapshot,
        metrics: CheckpointMetrics,
    ) {
        let report = Report::Acknowledge(attempt, checkpoint, Box::new(snapshot), metrics);
        let _ = self.queue.send(report);
    }

    fn on_checkpoint_declined(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: CheckpointException,
    ) {
        let _ = self.queue.send(Report::Decline(attempt, checkpoint, reason));
    }

    fn on_operator_event(
        &self,
        attempt: ExecutionAttemptId,
        operator: OperatorId,
        event: Vec<u8>,
    ) -> FlowResult {
        self.queue
            .send(Report::Event(attempt, operator, event))
            .map_err(|_| FlowError::external("the TaskExecutor has ended"))
    }
}
