//! Files of checkpoints that came to nothing, before the JobMaster has heard of them.
//!
//! What a task has acknowledged is the JobMaster's to delete, and so is a checkpoint's own
//! directory. Left are shared files: of uploads whose checkpoint was aborted meanwhile, or whose
//! task has ended. No other checkpoint names them, since a task names only what it was told is
//! complete. What is missed, as when a process is killed, goes with the job.

use hurtig_storage::CheckpointStorage;
use hurtig_types::{CheckpointId, StateFile, StateScope, chain_text};

use crate::checkpoint::{CheckpointServices, Written};

impl CheckpointServices {
    /// Deletes those of the files that were made for that checkpoint, beside the processing.
    pub(crate) fn give_up<'a>(
        &self,
        checkpoint: CheckpointId,
        files: impl IntoIterator<Item = &'a StateFile>,
    ) {
        let own = StateScope::Shared { created_by: checkpoint };
        let files = files.into_iter().filter(|file| file.scope == own);
        let urls: Vec<_> = files.filter_map(|file| file.url().cloned()).collect();
        if urls.is_empty() {
            return;
        }
        let job = self.attempt.job;
        let storage = CheckpointStorage::new(self.stores.clone(), self.options.clone(), job);
        self.runtimes.control.spawn(async move {
            if let Err(error) = storage.discard_files(&urls).await {
                tracing::warn!(error = chain_text(&error), "state could not be deleted");
            }
        });
    }
}

impl Written {
    /// Nobody wants it any more.
    pub(crate) fn give_up(&self, services: &CheckpointServices) {
        if let Ok((operators, _)) = &self.files {
            let files = operators.iter().filter_map(|operator| operator.keyed.as_ref());
            services.give_up(self.checkpoint, files);
        }
    }
}
