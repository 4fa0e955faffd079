//! From tasks to JobMasters: state changes and operator events, in order.
//!
//! A report of a task's state or of an operator's event that does not arrive cannot be sent again,
//! since nobody knows whether it did: the JobMaster then counts as lost, which has the job's tasks
//! here cancelled. Words of checkpoints may get lost: the checkpoint expires.
//!
//! A task's loop must not wait, so it posts to a queue; one forwarder per TaskExecutor sends them
//! on. The queue has no bound of its own, but what goes into it has: an attempt changes its state
//! five times at most, has few checkpoints under way at once, and operators bound their events by their own protocols (a reader asks for
//! one split at a time).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use hurtig_cluster_api::{ExecutionState, JobMasterGateway, TaskStateUpdate};
use hurtig_task::TaskListener;
use hurtig_types::{
    CheckpointException, CheckpointId, CheckpointMetrics, ExecutionAttemptId, FlowError,
    FlowResult, JobId, OperatorId, TaskStateSnapshot,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

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
                let must_arrive = matches!(report, Report::State(_) | Report::Event(..));
                let gateway = job_masters.lock().get(&job).cloned();
                let gateway = gateway.filter(|_| in_order.contains(&attempt));
                let (sent, ended) = match (report, gateway) {
                    (Report::State(update), gateway) => {
                        let ended = update.state.is_terminal().then_some(update.attempt);
                        let sent = match gateway {
                            Some(gateway) => gateway.update_task_state(update).await,
                            None => Ok(()),
                        };
                        (sent, ended)
                    }
                    (Report::Event(attempt, operator, event), Some(gateway)) => {
                        (gateway.send_operator_event(attempt, operator, event).await, None)
                    }
                    (Report::Acknowledge(attempt, id, snapshot, metrics), Some(gateway)) => {
                        let sent = gateway.acknowledge_checkpoint(attempt, id, *snapshot, metrics);
                        (sent.await, None)
                    }
                    (Report::Decline(attempt, id, reason), Some(gateway)) => {
                        (gateway.decline_checkpoint(attempt, id, reason).await, None)
                    }
                    (_, None) => (Ok(()), None),
                };
                if let Err(error) = sent {
                    tracing::debug!(%job, %error, "a report did not reach the JobMaster");
                    if must_arrive {
                        in_order.retain(|attempt| attempt.job != job);
                        on_news(News::JobMasterLost(job, error.to_string()));
                    }
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
