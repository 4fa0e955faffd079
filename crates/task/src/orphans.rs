//! Files of checkpoints that came to nothing, before the JobMaster has heard of them.
//!
//! What a task has acknowledged is the JobMaster's to delete. Before, a file belongs to whoever
//! holds its [`Unacknowledged`]: an upload, then the task's mailbox, then the task. If none of them
//! hands it on (the checkpoint was aborted or superseded, another file failed, the task has ended),
//! it is deleted, however late its upload ends: the JobMaster, and the sweep at the job's end, may
//! have looked at the directory before it was there. No checkpoint names it, since names of files
//! are used once and a task names only what it has acknowledged or was told is complete. What is
//! missed, as when a process is killed, goes with the job.

use std::{fmt, sync::Arc};

use hurtig_storage::{CheckpointStorage, StorageOptions, Stores};
use hurtig_types::{JobId, StateFile, chain_text};
use tokio::runtime::Handle;

use crate::checkpoint::CheckpointServices;

/// Files that were written and are named nowhere: deleted when this is dropped.
pub(crate) struct Unacknowledged {
    stores: Arc<Stores>,
    options: StorageOptions,
    job: JobId,
    executor: Handle,
    urls: Vec<Arc<str>>,
}

impl fmt::Debug for Unacknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unacknowledged").field(&self.urls).finish()
    }
}

impl Unacknowledged {
    /// Files that have just been written.
    pub(crate) fn new<'a>(
        services: &CheckpointServices,
        files: impl IntoIterator<Item = &'a StateFile>,
    ) -> Self {
        Self {
            stores: services.stores.clone(),
            options: services.options.clone(),
            job: services.attempt.job,
            executor: services.runtimes.control.clone(),
            urls: files.into_iter().filter_map(|file| file.url().cloned()).collect(),
        }
    }

    /// They are the JobMaster's from now on.
    pub(crate) fn acknowledge(mut self) {
        self.urls.clear();
    }
}

impl Drop for Unacknowledged {
    fn drop(&mut self) {
        if self.urls.is_empty() {
            return;
        }
        let urls = std::mem::take(&mut self.urls);
        let (stores, options) = (self.stores.clone(), self.options.clone());
        let storage = CheckpointStorage::new(stores, options, self.job);
        self.executor.spawn(async move {
            if let Err(error) = storage.discard_files(&urls).await {
                tracing::warn!(error = chain_text(&error), "state could not be deleted");
            }
        });
    }
}
