//! A user's request to stop the job with a savepoint: what becomes of the savepoint first, then of
//! the job, and what the user is told.

use hurtig_cluster_api::{JobStatus, RpcError, RpcResult};
use hurtig_types::TerminateKind;
use tokio::sync::oneshot;

/// The request under way; a job has one at most.
pub(crate) struct StopRequest {
    answer: oneshot::Sender<RpcResult<String>>,
    /// How it stops.
    pub(crate) kind: TerminateKind,
    /// Where the savepoint is, once it is complete.
    savepoint: Option<String>,
}

impl StopRequest {
    pub(crate) fn new(kind: TerminateKind, answer: oneshot::Sender<RpcResult<String>>) -> Self {
        Self { answer, kind, savepoint: None }
    }

    fn send(self, answer: Result<String, String>) {
        // Who asked may have gone.
        let _ = self.answer.send(answer.map_err(RpcError::Rejected));
    }

    /// The savepoint is complete, or was given up; then the job goes on.
    pub(crate) fn on_savepoint(mut self, taken: Result<String, String>) -> Option<Self> {
        match taken {
            Ok(savepoint) => {
                self.savepoint = Some(savepoint);
                Some(self)
            }
            Err(problem) => {
                self.send(Err(problem));
                None
            }
        }
    }

    /// A task has failed. Before the savepoint is complete, the coordinator gives it up.
    pub(crate) fn on_restart(self) -> Option<Self> {
        let Some(savepoint) = &self.savepoint else { return Some(self) };
        let problem = format!(
            "the savepoint {savepoint} was taken, but then a task failed: the job did not stop, and \
             goes on from the savepoint"
        );
        self.send(Err(problem));
        None
    }

    /// The job has ended.
    pub(crate) fn on_end(mut self, status: JobStatus) {
        let answer = match (self.savepoint.take(), status) {
            (Some(savepoint), JobStatus::Finished) => Ok(savepoint),
            (Some(savepoint), status) => {
                Err(format!("the savepoint {savepoint} was taken, but the job ended as {status:?}"))
            }
            (None, status) => {
                Err(format!("the job ended as {status:?} before the savepoint was complete"))
            }
        };
        self.send(answer);
    }
}
