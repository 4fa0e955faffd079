//! Which local copies a subtask keeps. Pure.
//!
//! A file is kept as long as one of these holds:
//! - it was written for a checkpoint that is neither older than the last complete one nor aborted;
//! - such a checkpoint names it, because what it wrote is a delta to it.
//!
//! Every copy that is told of comes out again exactly once, as one to be deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hurtig_types::CheckpointId;

/// Most aborted checkpoints that are remembered. What a forgotten one still writes is kept until
/// the next checkpoint completes.
const ABORTED_REMEMBERED: usize = 64;

#[derive(Clone, Debug)]
struct LocalFile<C> {
    created_by: CheckpointId,
    copy: C,
}

/// The copies of one subtask; `C` says where a copy is.
#[derive(Clone, Debug)]
pub struct LocalIndex<C> {
    /// By the URL of the file that they are copies of.
    files: BTreeMap<Arc<str>, LocalFile<C>>,
    /// Earlier files that each checkpoint builds upon.
    names: BTreeMap<CheckpointId, BTreeSet<Arc<str>>>,
    /// The last complete checkpoint.
    complete: Option<CheckpointId>,
    aborted: BTreeSet<CheckpointId>,
    closed: bool,
}

impl<C> Default for LocalIndex<C> {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            complete: None,
            aborted: BTreeSet::new(),
            closed: false,
        }
    }
}

impl<C> LocalIndex<C> {
    /// True if something of that checkpoint may still be of use.
    fn is_alive(&self, id: CheckpointId) -> bool {
        !self.closed && self.complete.is_none_or(|complete| complete <= id) && {
            !self.aborted.contains(&id)
        }
    }

    /// A checkpoint begins that builds upon these files.
    pub fn begin(&mut self, id: CheckpointId, names: impl IntoIterator<Item = Arc<str>>) {
        if self.is_alive(id) {
            self.names.insert(id, names.into_iter().collect());
        }
    }

    /// A file of a checkpoint has been copied. Returns what is to be deleted: the copy itself if
    /// it comes too late.
    #[must_use]
    pub fn add(&mut self, url: Arc<str>, created_by: CheckpointId, copy: C) -> Option<C> {
        if !self.is_alive(created_by) {
            return Some(copy);
        }
        // A name is used once; if it ever were not, the place would be the same.
        self.files.insert(url, LocalFile { created_by, copy });
        None
    }

    /// Where the copy of a file is.
    pub fn find(&self, url: &str) -> Option<&C> {
        self.files.get(url).map(|file| &file.copy)
    }

    /// A checkpoint is complete: older ones are of no use any more.
    #[must_use]
    pub fn confirm(&mut self, id: CheckpointId) -> Vec<C> {
        if self.complete.is_some_and(|complete| id <= complete) {
            return Vec::new();
        }
        self.complete = Some(id);
        self.names = self.names.split_off(&id);
        self.aborted = self.aborted.split_off(&id);
        self.prune()
    }

    /// A checkpoint was given up.
    #[must_use]
    pub fn abort(&mut self, id: CheckpointId) -> Vec<C> {
        if self.complete.is_some_and(|complete| id <= complete) {
            return Vec::new();
        }
        self.names.remove(&id);
        self.aborted.insert(id);
        let pruned = self.prune();
        if self.aborted.len() > ABORTED_REMEMBERED {
            self.aborted.pop_first();
        }
        pruned
    }

    /// An attempt starts from that checkpoint: others, also later ones, are of no use.
    #[must_use]
    pub fn restore(&mut self, id: CheckpointId) -> Vec<C> {
        self.names.retain(|checkpoint, _| *checkpoint == id);
        self.aborted.clear();
        // Numbers may be given again after it.
        self.complete = Some(id);
        self.take_out(|created_by| created_by != id)
    }

    /// Nothing is kept any more, and nothing new is taken.
    #[must_use]
    pub fn close(&mut self) -> Vec<C> {
        self.closed = true;
        self.names.clear();
        std::mem::take(&mut self.files).into_values().map(|file| file.copy).collect()
    }

    /// Takes out what was written for dead checkpoints and is named by none that is alive.
    fn prune(&mut self) -> Vec<C> {
        let dead: BTreeSet<_> = {
            let created = self.files.values().map(|file| file.created_by);
            created.filter(|id| !self.is_alive(*id)).collect()
        };
        self.take_out(|id| dead.contains(&id))
    }

    /// Takes out what was written for such checkpoints and is named by none.
    fn take_out(&mut self, unwanted: impl Fn(CheckpointId) -> bool) -> Vec<C> {
        let (mut out, names) = (Vec::new(), &self.names);
        for (url, file) in std::mem::take(&mut self.files) {
            let is_named = || names.values().any(|names| names.contains(&url));
            if unwanted(file.created_by) && !is_named() {
                out.push(file.copy);
            } else {
                self.files.insert(url, file);
            }
        }
        out
    }
}
