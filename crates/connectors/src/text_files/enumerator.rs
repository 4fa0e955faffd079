//! Cuts files into splits and gives them out; with monitoring, looks for new files at intervals.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use hurtig_connector_api::{EnumeratorAction, SplitEnumerator};
use hurtig_types::{BoxError, codec};

use super::{
    DEFAULT_SPLIT_SIZE_BYTES, MAX_SPLITS, TextFileError, TextFileSource, TextFileSplit,
    listing::{self, Files},
};
use crate::splits::SplitQueue;

/// A default split is not made smaller than this to give every reader one.
const MIN_DEFAULT_SPLIT_SIZE_BYTES: u64 = 1 << 20;
/// Default splits per reader, if there is enough to read: so that readers end at about the same
/// time although they are not equally fast.
const SPLITS_PER_READER: u64 = 4;

pub(super) struct TextFileEnumerator {
    source: TextFileSource,
    parallelism: u32,
    queue: SplitQueue<TextFileSplit>,
    /// Found before; only kept when there is going to be another look.
    seen: HashSet<PathBuf>,
    /// Splits made so far.
    made: usize,
    /// It goes on from a snapshot that was taken after the first look.
    restored: bool,
}

impl TextFileEnumerator {
    pub(super) fn new(source: TextFileSource, parallelism: u32) -> Self {
        Self {
            source,
            parallelism,
            queue: SplitQueue::open(),
            seen: HashSet::new(),
            made: 0,
            restored: false,
        }
    }

    /// Goes on from a snapshot.
    pub(super) fn restored(
        source: TextFileSource,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Self, BoxError> {
        let (queue, seen, made) = codec::decode::<(Vec<u8>, HashSet<PathBuf>, usize)>(state)?;
        let queue = SplitQueue::restored(&queue)?;
        Ok(Self { source, parallelism, queue, seen, made, restored: true })
    }

    fn look(
        &mut self,
        actions: &mut Vec<EnumeratorAction<TextFileSplit>>,
    ) -> Result<(), TextFileError> {
        let monitor_interval_ms = self.source.monitor_interval_ms;
        let monitored = monitor_interval_ms.is_some();
        let mut files = listing::list(&self.source.path, self.source.recursive, monitored)?;
        files.retain(|path, _| !self.seen.contains(path));
        let splits = self.cut(&files)?;
        self.queue.add(splits, actions);
        match monitor_interval_ms {
            Some(ms) => {
                self.seen.extend(files.into_keys());
                actions.push(EnumeratorAction::CallAfterMs(ms));
            }
            None => self.queue.complete(actions),
        }
        Ok(())
    }

    fn cut(&mut self, files: &Files) -> Result<Vec<TextFileSplit>, TextFileError> {
        let total = files.values().fold(0u64, |sum, n| sum.saturating_add(*n));
        let most = self.source.split_size_bytes.unwrap_or_else(|| {
            let wanted = u64::from(self.parallelism.max(1)) * SPLITS_PER_READER;
            (total / wanted).clamp(MIN_DEFAULT_SPLIT_SIZE_BYTES, DEFAULT_SPLIT_SIZE_BYTES)
        });
        let mut splits = Vec::new();
        // An empty file has no lines.
        for (path, bytes) in files.iter().filter(|(_, bytes)| **bytes > 0) {
            let Some(text) = path.to_str() else {
                let path = path.display().to_string();
                return Err(TextFileError::PathNotUtf8 { path });
            };
            let gzip = is_gzip(path);
            let count = if gzip { 1 } else { bytes.div_ceil(most) };
            if count > MAX_SPLITS.saturating_sub(self.made) as u64 {
                let path = self.source.path.display().to_string();
                return Err(TextFileError::TooManySplits { path });
            }
            self.made += count as usize;
            let at = |nth: u64| (u128::from(*bytes) * u128::from(nth) / u128::from(count)) as u64;
            splits.extend((0..count).map(|nth| TextFileSplit {
                path: text.to_owned(),
                start: at(nth),
                end: if gzip { u64::MAX } else { at(nth + 1) },
                position: at(nth),
                gzip,
            }));
        }
        Ok(splits)
    }
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

impl SplitEnumerator<TextFileSplit> for TextFileEnumerator {
    fn start(
        &mut self,
        actions: &mut Vec<EnumeratorAction<TextFileSplit>>,
    ) -> Result<(), BoxError> {
        // Without monitoring, the files are those of the first look, for ever.
        if self.restored && self.source.monitor_interval_ms.is_none() {
            return Ok(());
        }
        Ok(self.look(actions)?)
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        Ok(codec::encode(&(self.queue.snapshot()?, &self.seen, self.made))?)
    }

    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<TextFileSplit>>,
    ) -> Result<(), BoxError> {
        self.queue.request(subtask, actions);
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<TextFileSplit>,
        actions: &mut Vec<EnumeratorAction<TextFileSplit>>,
    ) -> Result<(), BoxError> {
        self.queue.give_back(subtask, splits, actions);
        Ok(())
    }

    fn on_timer(
        &mut self,
        actions: &mut Vec<EnumeratorAction<TextFileSplit>>,
    ) -> Result<(), BoxError> {
        Ok(self.look(actions)?)
    }
}
