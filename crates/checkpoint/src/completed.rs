//! The completed checkpoints that are kept, oldest first.
//!
//! - At most `retained` are kept; adding one gives up the oldest.
//! - Savepoints are the user's and not kept here, except the snapshot that the job was started
//!   from. It counts as one of the retained. If it was claimed it is like an own checkpoint;
//!   otherwise it is given up without being deleted.
//! - The latest own checkpoint always stays, since later ones may name its files.
//!
//! As Flink 2.3's `CheckpointSubsumeHelper`. Deliberately absent: durable pointers to these, which
//! are the business of high availability.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hurtig_cluster_api::JobStatus;
use hurtig_types::{CheckpointId, CheckpointRetentionPolicy, StateFile, StateScope};

use crate::model::CheckpointMetadata;

/// Where a completed snapshot is and what it consists of.
#[derive(Clone, Debug)]
pub struct CompletedCheckpoint {
    /// The content of its metadata file, with absolute URLs.
    pub metadata: Arc<CheckpointMetadata>,
    /// The directory with the metadata file, as a URL: what people pass on to resume from it.
    pub external_pointer: Arc<str>,
    /// It is the job's to delete; not so a snapshot that the job was started from unclaimed.
    pub owned: bool,
}

/// What is to be deleted of one given-up checkpoint, metadata first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardedCheckpoint {
    /// Which.
    pub checkpoint_id: CheckpointId,
    /// The directory with its metadata file.
    pub external_pointer: Arc<str>,
    /// Its exclusive files.
    pub files: Vec<Arc<str>>,
}

impl CompletedCheckpoint {
    /// Its number.
    pub fn id(&self) -> CheckpointId {
        self.metadata.checkpoint_id
    }

    /// What is to be deleted with it.
    pub fn discarded(&self) -> DiscardedCheckpoint {
        DiscardedCheckpoint {
            checkpoint_id: self.id(),
            external_pointer: self.external_pointer.clone(),
            files: exclusive_files(self.metadata.files()),
        }
    }

    /// True if it names that file.
    pub fn names(&self, url: &str) -> bool {
        self.metadata.files().any(|file| file.url().is_some_and(|own| &**own == url))
    }
}

/// URLs of the exclusive files, each once.
pub fn exclusive_files<'a>(files: impl Iterator<Item = &'a StateFile>) -> Vec<Arc<str>> {
    let exclusive = files.filter(|file| file.scope == StateScope::Exclusive);
    let urls: BTreeSet<Arc<str>> = exclusive.filter_map(|file| file.url().cloned()).collect();
    urls.into_iter().collect()
}

/// The retained checkpoints of one job.
#[derive(Clone, Debug)]
pub struct CompletedCheckpointStore {
    checkpoints: VecDeque<CompletedCheckpoint>,
    retained: usize,
}

impl CompletedCheckpointStore {
    /// An empty store that keeps `retained` checkpoints, at least one.
    pub fn new(retained: usize) -> Self {
        Self { checkpoints: VecDeque::new(), retained: retained.max(1) }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &CompletedCheckpoint> {
        self.checkpoints.iter()
    }

    /// The latest.
    pub fn latest(&self) -> Option<&CompletedCheckpoint> {
        self.checkpoints.back()
    }

    /// Number of the oldest.
    pub fn lowest(&self) -> Option<CheckpointId> {
        self.checkpoints.iter().map(CompletedCheckpoint::id).min()
    }

    /// Adds the newest and returns those that are given up, oldest first.
    pub fn add(&mut self, checkpoint: CompletedCheckpoint) -> Vec<CompletedCheckpoint> {
        self.checkpoints.push_back(checkpoint);
        let newest = self.checkpoints.len() - 1;
        let kept_for_files = self.checkpoints.iter().rposition(|c| c.owned);
        let mut surplus = self.checkpoints.len().saturating_sub(self.retained);
        let mut given_up = Vec::new();
        let all = std::mem::take(&mut self.checkpoints);
        for (index, checkpoint) in all.into_iter().enumerate() {
            let stays = index == newest || Some(index) == kept_for_files;
            if surplus > 0 && !stays {
                surplus -= 1;
                given_up.push(checkpoint);
            } else {
                self.checkpoints.push_back(checkpoint);
            }
        }
        given_up
    }

    /// The job has ended in that state: returns the checkpoints that do not outlive it.
    pub fn shut_down(
        &mut self,
        status: JobStatus,
        policy: CheckpointRetentionPolicy,
    ) -> Vec<CompletedCheckpoint> {
        if outlives(status, policy) { Vec::new() } else { self.checkpoints.drain(..).collect() }
    }
}

/// Whether checkpoints outlive a job that ends in that state. Those of a job that goes on elsewhere
/// always do.
fn outlives(status: JobStatus, policy: CheckpointRetentionPolicy) -> bool {
    use CheckpointRetentionPolicy::*;
    match status {
        JobStatus::Finished => false,
        JobStatus::Failed => policy != NeverRetainAfterTermination,
        JobStatus::Canceled => policy == RetainOnCancellation,
        _ => true,
    }
}
