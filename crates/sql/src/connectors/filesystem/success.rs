//! Tells readers that a partition has content: an empty file in its directory, written behind the
//! commit of its first files, and again behind every other one, which changes nothing.

use std::{collections::BTreeSet, fs, path::PathBuf};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext};
use hurtig_connectors::file_sink::PendingFile;
use hurtig_types::BoxError;

/// A file sink, and the name of the file that marks a directory, if any is marked.
pub(super) struct Marking<S> {
    pub(super) sink: S,
    pub(super) mark: Option<Mark>,
}

/// Where marks are, and what they are called.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) base: PathBuf,
    pub(super) name: String,
}

impl<S: Sink<Committable = PendingFile>> Sink for Marking<S> {
    type Input = S::Input;
    type Committable = PendingFile;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<S::Input, PendingFile>>, BoxError> {
        self.sink.create_writer(context)
    }

    fn create_committer(
        &self,
        context: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<PendingFile>>>, BoxError> {
        let inner = self.sink.create_committer(context)?;
        Ok(match (inner, &self.mark) {
            (Some(inner), Some(mark)) => {
                let directories = BTreeSet::new();
                Some(Box::new(MarkingCommitter { inner, mark: mark.clone(), directories }))
            }
            (inner, _) => inner,
        })
    }
}

struct MarkingCommitter {
    inner: Box<dyn Committer<PendingFile>>,
    mark: Mark,
    /// Those of the files that are being committed.
    directories: BTreeSet<String>,
}

impl Committer<PendingFile> for MarkingCommitter {
    fn commit(&mut self, committables: Vec<PendingFile>) -> Result<(), BoxError> {
        self.directories.extend(committables.iter().filter_map(|file| {
            let (directory, _) = file.target.rsplit_once('/')?;
            Some(directory.to_owned())
        }));
        self.inner.commit(committables)
    }

    fn is_committing(&self) -> bool {
        self.inner.is_committing()
    }

    fn outcome(&mut self) -> Result<Vec<PendingFile>, BoxError> {
        let refused = self.inner.outcome()?;
        if refused.is_empty() {
            for directory in std::mem::take(&mut self.directories) {
                let path = self.mark.base.join(directory).join(&self.mark.name);
                fs::File::create(&path)
                    .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            }
        }
        Ok(refused)
    }
}
