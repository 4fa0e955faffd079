//! What can go wrong with a file, with its name.

use std::{io, path::Path};

/// It is no URL, or of no known scheme, or its store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is no URL of a file system: {problem}")]
pub struct UrlError {
    /// The text.
    pub url: String,
    /// What is wrong.
    pub problem: String,
}

/// A failure of a file system.
#[derive(Debug, thiserror::Error)]
pub enum FileSystemError {
    /// There is no such file system.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The store cannot take a file part by part.
    #[error("the store of {url} has no multipart uploads, so files cannot be committed there")]
    NoMultipart {
        /// Where.
        url: String,
    },
    /// The local file system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The object store refused.
    #[error("cannot {action} {path}")]
    Store {
        /// What was tried; names the part, if it was one.
        action: String,
        /// With what.
        path: String,
        /// The store's words.
        #[source]
        source: object_store::Error,
    },
    /// A file that is to be resumed or committed has disappeared.
    #[error("{in_progress} is to become {target}, but neither is there with {length} bytes")]
    Lost {
        /// What it is called while it is written.
        in_progress: String,
        /// What it is to be called.
        target: String,
        /// Its length.
        length: u64,
    },
    /// A file that is to be resumed is shorter than it was.
    #[error("{path} has {found} bytes; the checkpoint says that {expected} were written")]
    Shortened {
        /// The file.
        path: String,
        /// The length that the checkpoint knows.
        expected: u64,
        /// Its length.
        found: u64,
    },
    /// Work in the background ended without a result.
    #[error("the upload of {path} was interrupted")]
    Interrupted {
        /// The file.
        path: String,
    },
}

impl FileSystemError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn store(
        action: impl Into<String>,
        path: impl Into<String>,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let (action, path) = (action.into(), path.into());
        move |source| Self::Store { action, path, source }
    }
}
