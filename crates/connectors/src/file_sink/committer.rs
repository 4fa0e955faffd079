//! Makes part files visible.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hurtig_connector_api::{Committer, WriterContext};
use hurtig_env::Background;
use hurtig_filesystem::{
    FileSystemError, PendingFile, RecoverableWriter, Stores, recoverable::Surroundings,
};
use hurtig_types::BoxError;

/// Files that are committed at once.
const COMMITS_IN_FLIGHT: usize = 8;

/// Base directories that are open: that of the sink, and those of its earlier lives.
pub(crate) struct Bases {
    stores: Arc<Stores>,
    surroundings: Surroundings,
    open: HashMap<String, Arc<dyn RecoverableWriter>>,
}

impl Bases {
    pub(crate) fn new(stores: Arc<Stores>, context: &WriterContext) -> Self {
        let (runtimes, signal) = (context.runtimes.clone(), context.signal.clone());
        Self { stores, surroundings: Surroundings { runtimes, signal }, open: HashMap::new() }
    }

    pub(crate) fn get(
        &mut self,
        base: &str,
    ) -> Result<Arc<dyn RecoverableWriter>, FileSystemError> {
        if let Some(open) = self.open.get(base) {
            return Ok(open.clone());
        }
        let (stores, surroundings) = (&self.stores, self.surroundings.clone());
        let opened = hurtig_filesystem::recoverable::open(stores, base, surroundings)?;
        self.open.insert(base.to_owned(), opened.clone());
        Ok(opened)
    }

    /// Runs work to its end: at once if it needs not wait, or else in the background.
    pub(crate) fn run(&self, mut work: BoxFuture<'static, Outcome>) -> Work {
        match (&mut work).now_or_never() {
            Some(outcome) => Work::Done(Some(outcome)),
            None => {
                let Surroundings { runtimes, signal } = &self.surroundings;
                Work::UnderWay(Background::spawn(&runtimes.control, signal, work))
            }
        }
    }
}

pub(crate) type Outcome = Result<(), FileSystemError>;

/// Work that may go on in the background.
pub(crate) enum Work {
    Done(Option<Outcome>),
    UnderWay(Background<Outcome>),
}

impl Default for Work {
    fn default() -> Self {
        Self::Done(None)
    }
}

impl Work {
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::UnderWay(work) => work.is_done(),
        }
    }

    /// How it ended, told once.
    pub(crate) fn outcome(&mut self, what: &str) -> Outcome {
        match std::mem::take(self) {
            Self::Done(outcome) => outcome.unwrap_or(Ok(())),
            Self::UnderWay(mut work) => work
                .take()
                .unwrap_or_else(|| Err(FileSystemError::Interrupted { path: what.to_owned() })),
        }
    }
}

/// Commits part files, in the background if the store is far.
pub(crate) struct FileCommitter {
    bases: Bases,
    work: Work,
}

impl FileCommitter {
    pub(crate) fn new(bases: Bases) -> Self {
        Self { bases, work: Work::default() }
    }
}

impl Committer<PendingFile> for FileCommitter {
    fn commit(&mut self, committables: Vec<PendingFile>) -> Result<(), BoxError> {
        let mut files = Vec::with_capacity(committables.len());
        for file in committables {
            files.push((self.bases.get(&file.base)?, file));
        }
        let commits = stream::iter(files).map(|(writer, file)| writer.commit(file));
        let all = commits.buffer_unordered(COMMITS_IN_FLIGHT).try_collect::<()>();
        self.work = self.bases.run(all.boxed());
        if self.work.is_done() { Ok(self.work.outcome("part files")?) } else { Ok(()) }
    }

    fn is_committing(&self) -> bool {
        !self.work.is_done()
    }

    fn outcome(&mut self) -> Result<Vec<PendingFile>, BoxError> {
        self.work.outcome("part files")?;
        Ok(Vec::new())
    }
}
