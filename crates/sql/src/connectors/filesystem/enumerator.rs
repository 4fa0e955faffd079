//! Cuts files into splits and gives them out; with monitoring, looks for new files at intervals.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use hurtig_connector_api::{EnumeratorAction, SourceSplit, SplitEnumerator};
use hurtig_connectors::splits::SplitQueue;
use hurtig_types::{BoxError, codec};
use serde::{Deserialize, Serialize};

use super::{
    super::partitions::{Partition, PartitionFilter},
    listing::{self, FoundFile, ListError},
};

/// Splits are at most that large, and not smaller than the other one to give every reader some.
const MAX_SPLIT_BYTES: u64 = 64 << 20;
const MIN_SPLIT_BYTES: u64 = 1 << 20;
/// Splits per reader, if there is enough to read, so that readers end at about the same time.
const SPLITS_PER_READER: u64 = 4;
/// Most splits of one source.
const MAX_SPLITS: usize = 1 << 22;

/// A range of bytes of a file, with the position in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSplit {
    pub(super) path: String,
    pub(super) start: u64,
    /// Records that start here or later belong to others.
    pub(super) end: u64,
    /// The first record that starts here or later is the next.
    pub(super) position: u64,
    pub(super) size: u64,
    pub(super) modified_ms: i64,
    pub(super) partition: Partition,
}

impl SourceSplit for FileSplit {
    fn split_id(&self) -> String {
        format!("{}@{}", self.path, self.start)
    }
}

impl FileSplit {
    pub(super) fn is_gzip(&self) -> bool {
        is_gzip(&self.path)
    }
}

fn is_gzip(path: &str) -> bool {
    let extension = path.rsplit('.').next().unwrap_or_default();
    extension.eq_ignore_ascii_case("gz") || extension.eq_ignore_ascii_case("gzip")
}

/// Where to look.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) pattern: Option<regex::Regex>,
    pub(super) monitor: Option<Duration>,
    pub(super) partition_keys: Vec<String>,
    pub(super) default_partition: String,
    pub(super) partitions: Option<PartitionFilter>,
    /// Whether a file may be read by several readers.
    pub(super) splittable: bool,
}

pub(super) struct FileEnumerator {
    place: Place,
    parallelism: u32,
    queue: SplitQueue<FileSplit>,
    /// Found before; only kept when there is going to be another look.
    seen: HashSet<String>,
    /// Splits made so far.
    made: usize,
    /// It goes on from a snapshot that was taken after the first look.
    restored: bool,
}

impl FileEnumerator {
    pub(super) fn new(place: Place, parallelism: u32) -> Self {
        let queue = SplitQueue::open();
        Self { place, parallelism, queue, seen: HashSet::new(), made: 0, restored: false }
    }

    pub(super) fn restored(place: Place, parallelism: u32, state: &[u8]) -> Result<Self, BoxError> {
        let (queue, seen, made) = codec::decode::<(Vec<u8>, HashSet<String>, usize)>(state)?;
        let queue = SplitQueue::restored(&queue)?;
        Ok(Self { place, parallelism, queue, seen, made, restored: true })
    }

    fn list(&self) -> Result<Vec<FoundFile>, ListError> {
        let place = &self.place;
        let vanishing = place.monitor.is_some();
        let mut files = Vec::new();
        if place.partition_keys.is_empty() {
            // A path that is not there is a mistake, also if it is watched.
            if let Err(error) = std::fs::metadata(&place.path)
                && error.kind() == std::io::ErrorKind::NotFound
            {
                return Err(ListError::Missing(place.path.display().to_string()));
            }
            listing::files(&place.path, &Vec::new(), vanishing, &mut files)?;
        } else {
            let keys = &place.partition_keys;
            let (default, filter) = (&place.default_partition, place.partitions.as_ref());
            for (partition, directory) in listing::partitions(&place.path, keys, default, filter)? {
                listing::files(&directory, &partition, vanishing, &mut files)?;
            }
        }
        if let Some(pattern) = &place.pattern {
            files.retain(|file| pattern.is_match(&file.path));
        }
        Ok(files)
    }

    fn look(&mut self, actions: &mut Vec<EnumeratorAction<FileSplit>>) -> Result<(), BoxError> {
        let mut files = self.list()?;
        files.retain(|file| !self.seen.contains(&file.path));
        let splits = self.cut(&files)?;
        self.queue.add(splits, actions);
        match self.place.monitor {
            Some(interval) => {
                self.seen.extend(files.into_iter().map(|file| file.path));
                let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                actions.push(EnumeratorAction::CallAfterMs(ms.max(1)));
            }
            None => self.queue.complete(actions),
        }
        Ok(())
    }

    fn cut(&mut self, files: &[FoundFile]) -> Result<Vec<FileSplit>, BoxError> {
        let total = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
        let wanted = u64::from(self.parallelism.max(1)) * SPLITS_PER_READER;
        let most = (total / wanted).clamp(MIN_SPLIT_BYTES, MAX_SPLIT_BYTES);
        let mut splits = Vec::new();
        // An empty file has no records.
        for file in files.iter().filter(|file| file.size > 0) {
            let whole = !self.place.splittable || is_gzip(&file.path);
            let count = if whole { 1 } else { file.size.div_ceil(most) };
            if count > (MAX_SPLITS - self.made) as u64 {
                let path = self.place.path.display();
                return Err(format!("{path} has more than {MAX_SPLITS} splits").into());
            }
            self.made += count as usize;
            let at =
                |nth: u64| (u128::from(file.size) * u128::from(nth) / u128::from(count)) as u64;
            splits.extend((0..count).map(|nth| FileSplit {
                path: file.path.clone(),
                start: at(nth),
                end: if whole { u64::MAX } else { at(nth + 1) },
                position: at(nth),
                size: file.size,
                modified_ms: file.modified_ms,
                partition: file.partition.clone(),
            }));
        }
        Ok(splits)
    }
}

impl SplitEnumerator<FileSplit> for FileEnumerator {
    fn start(&mut self, actions: &mut Vec<EnumeratorAction<FileSplit>>) -> Result<(), BoxError> {
        // Without monitoring, the files are those of the first look, for ever.
        if self.restored && self.place.monitor.is_none() {
            return Ok(());
        }
        self.look(actions)
    }

    fn snapshot(&self) -> Result<Vec<u8>, BoxError> {
        Ok(codec::encode(&(self.queue.snapshot()?, &self.seen, self.made))?)
    }

    fn on_split_request(
        &mut self,
        subtask: u32,
        actions: &mut Vec<EnumeratorAction<FileSplit>>,
    ) -> Result<(), BoxError> {
        self.queue.request(subtask, actions);
        Ok(())
    }

    fn add_splits_back(
        &mut self,
        subtask: u32,
        splits: Vec<FileSplit>,
        actions: &mut Vec<EnumeratorAction<FileSplit>>,
    ) -> Result<(), BoxError> {
        self.queue.give_back(subtask, splits, actions);
        Ok(())
    }

    fn on_timer(&mut self, actions: &mut Vec<EnumeratorAction<FileSplit>>) -> Result<(), BoxError> {
        self.look(actions)
    }
}
