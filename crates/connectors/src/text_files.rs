//! Lines of text files: one file, all files of a directory, or all that a glob names.
//!
//! # Which files
//!
//! 1. A path that exists is taken as it is: a file, or a directory, of which all files are read;
//!    with [`TextFileSource::recursive`] those of its subdirectories, too.
//! 2. Otherwise a path with `*`, `?` or `[` is a glob, and what it matches is taken as in 1.
//! 3. In directories and globs, names that begin with `.` or `_` are left out, as Flink's default
//!    filter does. Files are read in the order of their paths, as far as one reader reads them.
//!
//! # Which lines belong to a split
//!
//! A file is cut at byte offsets that know nothing of lines. A line belongs to the split in which
//! its first byte lies: a split skips to the first line that starts in it, and reads its last line
//! to the end, beyond its own. The same rule makes any position a valid one to resume from.
//! A file whose name ends in `.gz` cannot be cut and is one split; its position counts decompressed
//! bytes, so resuming decompresses from the start again.
//!
//! A line ends at `\n` or `\r\n`, or at the end of the file; the end is not part of it.
//!
//! # Modules
//!
//! - `listing` finds files, `enumerator` cuts them into splits and gives those out.
//! - `scanner` finds lines in bytes, `reader` reads splits with it.
//!
//! Deliberately absent: encodings other than UTF-8, file systems other than the local one, and
//! following files that grow (a monitored directory is watched for new files; each is read once,
//! as long as it was when it was found, so files should be moved into it when complete).

mod enumerator;
mod listing;
mod reader;
mod scanner;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hurtig_connector_api::{
    Boundedness, ReaderContext, Source, SourceReader, SourceSplit, SplitEnumerator,
};
use hurtig_types::BoxError;
use serde::{Deserialize, Serialize};

/// Default of [`TextFileSource::split_size_bytes`].
pub const DEFAULT_SPLIT_SIZE_BYTES: u64 = 64 << 20;
/// Default of [`TextFileSource::max_line_bytes`].
pub const DEFAULT_MAX_LINE_BYTES: usize = 16 << 20;
/// Most splits of one source, over all files that it ever finds; a job that exceeds it fails.
pub const MAX_SPLITS: usize = 1 << 22;

/// A source of the lines of text files.
#[derive(Clone, Debug)]
pub struct TextFileSource {
    path: PathBuf,
    recursive: bool,
    split_size_bytes: Option<u64>,
    max_line_bytes: usize,
    lossy: bool,
    monitor_interval_ms: Option<u64>,
}

impl TextFileSource {
    /// The lines of the file, of the files of the directory, or of those that the glob matches. A
    /// leading `file://` is ignored.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let plain = path.to_str().and_then(|text| text.strip_prefix("file://"));
        Self {
            path: plain.map_or_else(|| path.to_owned(), PathBuf::from),
            recursive: false,
            split_size_bytes: None,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            lossy: false,
            monitor_interval_ms: None,
        }
    }

    /// Whether subdirectories are read, too; if not, they are left out.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Most bytes of a split. By default [`DEFAULT_SPLIT_SIZE_BYTES`], or less where that would
    /// leave readers without work.
    #[must_use]
    pub fn split_size_bytes(mut self, bytes: u64) -> Self {
        self.split_size_bytes = Some(bytes.max(1));
        self
    }

    /// Most bytes of a line, without its end; a longer one is an error. This bounds a reader's
    /// memory. By default [`DEFAULT_MAX_LINE_BYTES`].
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// Whether bytes that are not UTF-8 are replaced by U+FFFD; if not, they are an error.
    #[must_use]
    pub fn lossy(mut self, lossy: bool) -> Self {
        self.lossy = lossy;
        self
    }

    /// Looks for new files again and again, and never ends.
    #[must_use]
    pub fn monitor(mut self, interval: Duration) -> Self {
        self.monitor_interval_ms = Some((interval.as_millis() as u64).max(1));
        self
    }
}

/// A range of bytes of a file, with the position in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFileSplit {
    path: String,
    start: u64,
    /// Lines that start here or later belong to others.
    end: u64,
    /// The first line that starts here or later is the next.
    position: u64,
    gzip: bool,
}

impl SourceSplit for TextFileSplit {
    fn split_id(&self) -> String {
        format!("{}@{}", self.path, self.start)
    }
}

impl Source for TextFileSource {
    type Record = String;
    type Split = TextFileSplit;

    fn boundedness(&self) -> Boundedness {
        match self.monitor_interval_ms {
            None => Boundedness::Bounded,
            Some(_) => Boundedness::Unbounded,
        }
    }

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<TextFileSplit>>, BoxError> {
        let enumerator = enumerator::TextFileEnumerator::new(self.clone(), parallelism);
        Ok(Box::new(enumerator))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<TextFileSplit>>, BoxError> {
        let source = self.clone();
        Ok(Box::new(enumerator::TextFileEnumerator::restored(source, parallelism, state)?))
    }

    fn create_reader(
        &self,
        _: ReaderContext,
    ) -> Result<Box<dyn SourceReader<String, TextFileSplit>>, BoxError> {
        let limits = scanner::LineRules { max_line_bytes: self.max_line_bytes, lossy: self.lossy };
        Ok(Box::new(reader::TextFileReader::new(limits)))
    }
}

/// Why text files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TextFileError {
    /// A file or directory is missing or must not be read.
    #[error("cannot open {path}")]
    Open {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Reading failed on the way; for a gzip file, this includes damaged content.
    #[error("cannot read {path} beyond byte {offset}")]
    Read {
        /// The file.
        path: String,
        /// Where; in gzip files, in the decompressed content.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The glob is none.
    #[error("{pattern} does not exist, and is no valid pattern either")]
    Pattern {
        /// The path that was given.
        pattern: String,
        /// Why.
        source: glob::PatternError,
    },
    /// The glob matches nothing.
    #[error("no file matches {pattern}")]
    NoMatch {
        /// The glob.
        pattern: String,
    },
    /// A path that cannot be written into a split.
    #[error("the path {path} is not UTF-8")]
    PathNotUtf8 {
        /// As much of it as can be shown.
        path: String,
    },
    /// More than [`MAX_SPLITS`].
    #[error("{path} has more than {MAX_SPLITS} splits")]
    TooManySplits {
        /// The path that was given.
        path: String,
    },
    /// A line exceeds the limit.
    #[error("the line at byte {offset} of {path} is longer than {limit} bytes")]
    LineTooLong {
        /// The file.
        path: String,
        /// Where the line begins; in gzip files, in the decompressed content.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// A line is not UTF-8.
    #[error("byte {offset} of {path} is not UTF-8")]
    InvalidUtf8 {
        /// The file.
        path: String,
        /// The first byte that is wrong; in gzip files, in the decompressed content.
        offset: u64,
    },
}
