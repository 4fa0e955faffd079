//! A source whose end waits for a file.
//!
//! What is done to a job must be done while it runs, however slow the machine is: with this source
//! the one who does it says when the job may end.

use std::path::PathBuf;

use hurtig::{
    connector::{
        Boundedness, ReadStatus, ReaderContext, Source, SourceOutput, SourceReader, SplitEnumerator,
    },
    connectors::{DataGeneratorSource, GeneratorSplit},
    prelude::*,
};
use hurtig_env::Clock;

/// How often a reader looks for the file, in milliseconds.
const LOOK_EVERY_MS: i64 = 20;

/// Lets a source read everything but the last record of each split, which is read once there is
/// a file of this name. Without a name it changes nothing.
pub struct Held<F> {
    pub inner: DataGeneratorSource<F>,
    pub until: Option<PathBuf>,
}

impl<T: Record, F: Fn(u64) -> T + Send + Sync + 'static> Source for Held<F> {
    type Record = T;
    type Split = GeneratorSplit;

    fn boundedness(&self) -> Boundedness {
        self.inner.boundedness()
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<GeneratorSplit>>, BoxError> {
        self.inner.create_enumerator(parallelism)
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<GeneratorSplit>>, BoxError> {
        self.inner.restore_enumerator(parallelism, state)
    }

    fn create_reader(
        &self,
        context: ReaderContext,
    ) -> Result<Box<dyn SourceReader<T, GeneratorSplit>>, BoxError> {
        let clock = context.clock;
        let inner = self.inner.create_reader(context)?;
        Ok(Box::new(HeldReader { inner, clock, until: self.until.clone() }))
    }
}

struct HeldReader<T> {
    inner: Box<dyn SourceReader<T, GeneratorSplit>>,
    clock: Clock,
    /// `None` once it was there.
    until: Option<PathBuf>,
}

impl<T: Record> SourceReader<T, GeneratorSplit> for HeldReader<T> {
    fn add_splits(&mut self, splits: Vec<GeneratorSplit>) -> Result<(), BoxError> {
        self.inner.add_splits(splits)
    }

    fn read(
        &mut self,
        max_records: usize,
        out: &mut SourceOutput<T>,
    ) -> Result<ReadStatus, BoxError> {
        let mut max_records = max_records;
        self.until.take_if(|path| path.exists());
        if self.until.is_some()
            && let Some(split) = self.inner.snapshot().first()
        {
            let free = split.remaining().saturating_sub(1);
            if free == 0 {
                let until_ms = Some(self.clock.now_ms() + LOOK_EVERY_MS);
                return Ok(ReadStatus::Wait { until_ms });
            }
            max_records = max_records.min(usize::try_from(free)?);
        }
        self.inner.read(max_records, out)
    }

    fn snapshot(&self) -> Vec<GeneratorSplit> {
        self.inner.snapshot()
    }
}
