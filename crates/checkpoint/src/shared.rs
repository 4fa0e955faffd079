//! Which shared state files are in use: a file is deleted only when no retained checkpoint names
//! it and no pending one can come to name it.
//!
//! Each file remembers the latest checkpoint that named it. Checkpoints are given up from the
//! oldest, so a file whose latest user is older than everything retained is unused. A file may be
//! kept somewhat longer than needed, never shorter.
//!
//! Files of a snapshot that the job was started from without claiming it are known, so that they
//! may be named, but never deleted.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use hurtig_types::{CheckpointId, StateFile};

#[derive(Clone, Debug)]
struct SharedFile {
    last_used: CheckpointId,
    owned: bool,
}

/// The shared files of one job, by URL.
#[derive(Clone, Debug, Default)]
pub struct SharedStateRegistry {
    files: BTreeMap<Arc<str>, SharedFile>,
}

impl SharedStateRegistry {
    /// Registers the shared files among those of a completed checkpoint.
    pub fn register<'a>(
        &mut self,
        files: impl Iterator<Item = &'a StateFile>,
        checkpoint: CheckpointId,
        owned: bool,
    ) {
        for file in files.filter(|file| file.shared_by().is_some()) {
            let Some(url) = file.url() else { continue };
            match self.files.entry(url.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(SharedFile { last_used: checkpoint, owned });
                }
                Entry::Occupied(mut occupied) => {
                    let entry = occupied.get_mut();
                    entry.last_used = entry.last_used.max(checkpoint);
                }
            }
        }
    }

    /// A pending checkpoint names a file that should be known: keeps it for that checkpoint.
    /// False if the file is not known, perhaps deleted already.
    pub fn reuse(&mut self, url: &str, checkpoint: CheckpointId) -> bool {
        let Some(entry) = self.files.get_mut(url) else { return false };
        entry.last_used = entry.last_used.max(checkpoint);
        true
    }

    /// True if the file is known.
    pub fn contains(&self, url: &str) -> bool {
        self.files.contains_key(url)
    }

    /// Forgets the files that no checkpoint from `lowest` on has named, and returns those that are
    /// to be deleted.
    pub fn release_before(&mut self, lowest: CheckpointId) -> Vec<Arc<str>> {
        let mut unused = Vec::new();
        self.files.retain(|url, file| {
            let keep = file.last_used >= lowest;
            if !keep && file.owned {
                unused.push(url.clone());
            }
            keep
        });
        unused
    }

    /// Forgets everything that `keep` does not name, and returns what is to be deleted.
    pub fn release_all_but(&mut self, keep: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let files = std::mem::take(&mut self.files).into_iter();
        files.filter(|(url, file)| file.owned && !keep(url)).map(|(url, _)| url).collect()
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
