//! What can go wrong with a file, with its name.

use hurtig_filesystem::{UrlError, object_store};
use hurtig_types::CodecError;

use crate::format::FormatError;

/// A failure of the storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is no URL, or of no known scheme.
    #[error("{url:?} is no URL that checkpoints can be stored at: {problem}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The store failed.
    #[error("cannot {action} {url}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        url: String,
        /// The store's words.
        #[source]
        source: object_store::Error,
    },
    /// A file is not what was written.
    #[error("{url} is damaged")]
    Damaged {
        /// The file.
        url: String,
        /// What does not fit.
        #[source]
        source: FormatError,
    },
    /// A file is intact, but not the one that was meant.
    #[error(
        "{url} holds {length} bytes with checksum {checksum:016x}, not the state that is named"
    )]
    OtherContent {
        /// The file.
        url: String,
        /// Its length in bytes.
        length: u64,
        /// Its checksum.
        checksum: u64,
    },
    /// The content of a metadata file is none.
    #[error("{url} is no metadata of a checkpoint")]
    Metadata {
        /// The file.
        url: String,
        /// The codec's words.
        #[source]
        source: CodecError,
    },
    /// A metadata file of a release that this one does not know.
    #[error("{url} has format version {found}, this release reads up to {supported}")]
    Version {
        /// The file.
        url: String,
        /// Its version.
        found: u32,
        /// The latest that is known.
        supported: u32,
    },
    /// A path in a metadata file that leads out of its directory.
    #[error("{url} names {path:?}, which is no path within its directory")]
    Path {
        /// The metadata file.
        url: String,
        /// The path.
        path: String,
    },
    /// Something else has that name already.
    #[error("{url} exists already, with other content")]
    Exists {
        /// The file.
        url: String,
    },
    /// A snapshot that is to be disposed of names files that other checkpoints may name.
    #[error(
        "{url} shares {files} files with other checkpoints of its job; \
         ask for its shared files as well to delete those that no other checkpoint names"
    )]
    SharedFiles {
        /// The snapshot.
        url: String,
        /// How many files.
        files: usize,
    },
    /// State for the JobManager's memory.
    #[error("state {name:?} exceeds the {limit} bytes that fit into the JobManager's memory")]
    TooLarge {
        /// What it was to be called.
        name: String,
        /// Most bytes.
        limit: usize,
    },
}

impl From<UrlError> for StorageError {
    fn from(UrlError { url, problem }: UrlError) -> Self {
        Self::Url { url, problem }
    }
}

impl StorageError {
    /// True if there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Store { source: object_store::Error::NotFound { .. }, .. })
    }

    /// True if the file is there but not intact: another checkpoint may be.
    pub fn is_damage(&self) -> bool {
        use StorageError::*;
        let missing = matches!(self, Store { source: object_store::Error::NotFound { .. }, .. });
        missing
            || matches!(self, Damaged { .. } | OtherContent { .. } | Metadata { .. } | Path { .. })
    }
}
