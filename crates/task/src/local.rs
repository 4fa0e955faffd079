//! A task's part in local recovery: it tells its store of local copies what becomes of checkpoints,
//! and reads state from there first.

use std::sync::Arc;

use hurtig_storage::{
    LocalCopy, StorageError, Stores, Superfluous, TaskLocalState, reader::read_all,
};
use hurtig_types::{
    CheckpointBarrier, CheckpointId, ErrorClass, FlowError, FlowResult, StateFile, chain_text,
};

use crate::checkpoint::CheckpointServices;

impl CheckpointServices {
    /// The local state, if that checkpoint has a part in it: a savepoint has not.
    fn local_of(&self, barrier: &CheckpointBarrier) -> Option<&TaskLocalState> {
        self.local.as_ref().filter(|_| barrier.options.target.is_none())
    }

    /// A checkpoint begins that builds upon these files.
    pub(crate) fn begin_local<'a>(
        &self,
        barrier: &CheckpointBarrier,
        base: impl IntoIterator<Item = &'a StateFile>,
    ) {
        if let Some(local) = self.local_of(barrier) {
            local.begin(barrier.checkpoint_id, base);
        }
    }

    /// Where the copy of a file of a checkpoint is to be written.
    pub(crate) fn local_copy(&self, id: CheckpointId, name: &str) -> Option<LocalCopy> {
        self.local.as_ref().and_then(|local| local.copy(id, name))
    }

    /// A checkpoint is complete.
    pub(crate) fn confirm_local(&self, id: CheckpointId) {
        if let Some(local) = &self.local {
            self.delete(local.confirm(id));
        }
    }

    /// A checkpoint was given up.
    pub(crate) fn abort_local(&self, id: CheckpointId) {
        if let Some(local) = &self.local {
            self.delete(local.abort(id));
        }
    }

    /// Deletes copies beside the processing.
    fn delete(&self, superfluous: Superfluous) {
        if !superfluous.is_empty() {
            self.runtimes.control.spawn(superfluous.delete());
        }
    }
}

/// Where a task reads the state that it starts from.
pub(crate) struct StateFiles {
    pub(crate) checkpoint: CheckpointId,
    pub(crate) stores: Arc<Stores>,
    pub(crate) local: Option<TaskLocalState>,
}

impl StateFiles {
    /// The task starts from the checkpoint: local copies of others are of no use.
    pub(crate) async fn begin(&self) {
        if let Some(local) = &self.local {
            local.restore(self.checkpoint).delete().await;
        }
    }

    /// The content that a handle names: of the local copy if there is one that is intact. That the
    /// file is damaged is an error of a class of its own.
    pub(crate) async fn read(&self, file: &StateFile) -> FlowResult<Vec<u8>> {
        if let Some(local) = &self.local
            && let Some(content) = local.read(file).await
        {
            return Ok(content);
        }
        let mut read = read_all(&self.stores, file).await;
        if read.as_ref().is_err_and(StorageError::is_damage) {
            // It may have been damaged on its way: only a file that is damaged twice is believed to
            // be, since a checkpoint is given up for it.
            read = read_all(&self.stores, file).await;
        }
        read.map_err(|error| {
            let class = match error.is_damage() {
                true => ErrorClass::DamagedState(self.checkpoint),
                false => ErrorClass::External,
            };
            FlowError::new(class, chain_text(&error))
        })
    }
}
