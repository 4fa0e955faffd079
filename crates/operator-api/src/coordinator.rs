//! Operator coordinators: the part of an operator that lives once per job, in the JobMaster.
//!
//! A coordinator is a state machine without I/O of its own loop: it is told of one event and
//! returns actions. It runs as an actor of its own beside the JobMaster, so a slow one (a listing
//! of a huge directory in `start`) delays nobody else.
//!
//! Delivery: events between a coordinator and one subtask keep their order. When a subtask fails,
//! `subtask_reset` is called before anything of the new attempt arrives.

use hurtig_types::{CheckpointId, FlowError, FlowResult, JobId, OperatorId};

/// What a coordinator may know.
#[derive(Clone, Debug)]
pub struct CoordinatorContext {
    /// The job.
    pub job: JobId,
    /// The operator.
    pub operator: OperatorId,
    /// Its name.
    pub operator_name: String,
    /// Number of subtasks.
    pub parallelism: u32,
}

/// What a coordinator wants done.
#[derive(Debug)]
pub enum CoordinatorAction {
    /// Deliver an event to the operator of a subtask.
    SendToSubtask {
        /// The subtask.
        subtask: u32,
        /// The event.
        event: Vec<u8>,
    },
    /// Fail the job (under its restart strategy).
    FailJob(FlowError),
    /// Call `on_timer` after this many milliseconds.
    CallAfterMs(u64),
}

/// A coordinator.
pub trait OperatorCoordinator: Send {
    /// The job starts or, after a global failure, starts anew.
    fn start(&mut self, actions: &mut Vec<CoordinatorAction>) -> FlowResult;

    /// An event from the operator of `subtask`.
    fn on_event(
        &mut self,
        subtask: u32,
        event: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult;

    /// The attempt of `subtask` is gone; a new one will come, and start from `restored` if that is
    /// a checkpoint. What has been given to it since is to be given again.
    fn subtask_reset(
        &mut self,
        subtask: u32,
        restored: Option<CheckpointId>,
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult;

    /// Its state, for a checkpoint. Events that arrive later belong to the next one.
    fn snapshot(&mut self, checkpoint: CheckpointId) -> FlowResult<Vec<u8>> {
        let _ = checkpoint;
        Ok(Vec::new())
    }

    /// Starts from a snapshot, instead of [`OperatorCoordinator::start`].
    fn restore(
        &mut self,
        checkpoint: CheckpointId,
        state: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let _ = (checkpoint, state);
        self.start(actions)
    }

    /// Whether it can [`resume`](OperatorCoordinator::resume): what its subtasks have told it since
    /// a checkpoint can be told again.
    fn can_resume(&self) -> bool {
        false
    }

    /// Whether it owns nothing: what it has told its subtasks since a checkpoint may have reached
    /// them, and need not be known to the one that takes its place.
    fn is_stateless(&self) -> bool {
        false
    }

    /// Takes the place of a coordinator that was lost, from its snapshot, beside subtasks that run
    /// on. No event of that one has reached a subtask since the snapshot, unless it is
    /// [stateless](OperatorCoordinator::is_stateless); then there may be no snapshot, and the state is
    /// empty. What subtasks have sent
    /// since is lost, so it asks them to send it again.
    fn resume(
        &mut self,
        checkpoint: CheckpointId,
        state: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        let _ = (checkpoint, state, actions);
        Err(FlowError::internal("this coordinator cannot go on beside running subtasks"))
    }

    /// A checkpoint is complete.
    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        let _ = checkpoint;
        Ok(())
    }

    /// A request from a client; the answer goes back to it.
    fn on_request(
        &mut self,
        request: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult<Vec<u8>> {
        let _ = (request, actions);
        Err(FlowError::user("this operator answers no requests"))
    }

    /// The time asked for by [`CoordinatorAction::CallAfterMs`] has passed.
    fn on_timer(&mut self, actions: &mut Vec<CoordinatorAction>) -> FlowResult {
        let _ = actions;
        Ok(())
    }
}
