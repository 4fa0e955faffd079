//! How user functions take part in checkpoints with state of their own, whatever their kind: the
//! hooks of Flink's `CheckpointedFunction`.
//!
//! 1. `initialize_state`, once, before `open`: the function registers its states, and finds in them
//!    what it is restored from.
//! 2. `snapshot_state`, at each checkpoint: the function brings its states up to date. What it
//!    keeps in them all the time need not be touched.
//!
//! The function keeps the handles, the operator the states.

use hurtig_operator_api::{Captured, OperatorContext};
use hurtig_state_heap::OperatorStateStore;
use hurtig_types::{BoxError, CheckpointId, FlowError, FlowResult};

use crate::RuntimeContext;

/// What a function gets when its state is initialised.
pub struct FunctionInitializationContext<'a> {
    /// Subtask, parallelism, metrics, accumulators.
    pub runtime: &'a RuntimeContext,
    /// Where operator state is registered, with what was restored.
    pub operator_state: &'a mut OperatorStateStore,
}

impl FunctionInitializationContext<'_> {
    /// True if the job goes on from a checkpoint or savepoint.
    pub fn is_restored(&self) -> bool {
        self.operator_state.is_restored()
    }

    /// The checkpoint that the job goes on from.
    pub fn restored_checkpoint_id(&self) -> Option<CheckpointId> {
        self.operator_state.restored_checkpoint_id()
    }
}

/// What a function gets when a checkpoint is taken.
pub struct FunctionSnapshotContext<'a> {
    /// The checkpoint.
    pub checkpoint_id: CheckpointId,
    /// The operator states, to be brought up to date.
    pub operator_state: &'a mut OperatorStateStore,
}

/// The hooks, as part of a function's trait.
macro_rules! checkpointed_hooks {
    () => {
        /// Called once before `open`: registers operator state, and takes over what was restored.
        fn initialize_state(
            &mut self,
            context: &mut $crate::checkpointed::FunctionInitializationContext<'_>,
        ) -> Result<(), hurtig_types::BoxError> {
            let _ = context;
            Ok(())
        }
        /// A checkpoint is being taken: brings operator state up to date.
        fn snapshot_state(
            &mut self,
            context: &mut $crate::checkpointed::FunctionSnapshotContext<'_>,
        ) -> Result<(), hurtig_types::BoxError> {
            let _ = context;
            Ok(())
        }
    };
}
pub(crate) use checkpointed_hooks;

/// Makes the operator state of a function.
pub(crate) fn initialize(
    context: &OperatorContext,
    initialize_state: impl FnOnce(&mut FunctionInitializationContext<'_>) -> Result<(), BoxError>,
) -> FlowResult<OperatorStateStore> {
    let mut store = OperatorStateStore::new(context);
    let runtime = RuntimeContext::new(context);
    let mut initialization =
        FunctionInitializationContext { runtime: &runtime, operator_state: &mut store };
    initialize_state(&mut initialization).map_err(FlowError::user)?;
    Ok(store)
}

/// Brings the operator state of a function up to date.
pub(crate) fn update(
    store: &mut OperatorStateStore,
    checkpoint_id: CheckpointId,
    snapshot_state: impl FnOnce(&mut FunctionSnapshotContext<'_>) -> Result<(), BoxError>,
) -> FlowResult {
    let mut context = FunctionSnapshotContext { checkpoint_id, operator_state: store };
    snapshot_state(&mut context).map_err(FlowError::user)
}

/// Takes the snapshot of a function without keyed state.
pub(crate) fn capture(
    store: &mut OperatorStateStore,
    checkpoint_id: CheckpointId,
    snapshot_state: impl FnOnce(&mut FunctionSnapshotContext<'_>) -> Result<(), BoxError>,
) -> FlowResult<Captured> {
    update(store, checkpoint_id, snapshot_state)?;
    Ok(store.captured()?)
}

/// The capture of an operator whose fields `function` and `operator_state` are all its state.
macro_rules! function_capture {
    () => {
        fn begin_capture(
            &mut self,
            checkpoint: hurtig_types::CheckpointId,
            _: Option<u32>,
        ) -> FlowResult<hurtig_operator_api::Captured> {
            let function = &mut self.function;
            $crate::checkpointed::capture(&mut self.operator_state, checkpoint, |context| {
                function.snapshot_state(context)
            })
        }
    };
}
pub(crate) use function_capture;
