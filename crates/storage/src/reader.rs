//! State files, as tasks read them: piece by piece, each piece checked; at the end the file is
//! checked against the handle that named it.

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use hurtig_filesystem::{
    Stores,
    object_store::{self, ObjectStore, ObjectStoreExt, path::Path},
};
use hurtig_types::{StateFile, StateLocation, snapshot::state_checksum};

use crate::{
    error::StorageError,
    format::{ContentSummary, FileDecoder, FileKind},
};

/// Reads the content that one handle names.
pub struct StateReader {
    url: String,
    expected: ContentSummary,
    source: Source,
}

enum Source {
    Inline(Option<Bytes>),
    File {
        stream: BoxStream<'static, object_store::Result<Bytes>>,
        decoder: Option<Box<FileDecoder>>,
    },
}

impl StateReader {
    /// Opens what a handle names.
    pub async fn open(stores: &Stores, file: &StateFile) -> Result<Self, StorageError> {
        let expected = ContentSummary { length: file.length, checksum: file.checksum };
        let url = match &file.location {
            StateLocation::Inline(bytes) => {
                let source = Source::Inline(Some(Bytes::copy_from_slice(bytes)));
                return Ok(Self { url: "state in a handle".to_owned(), expected, source });
            }
            StateLocation::Absolute(url) => url.to_string(),
            StateLocation::Relative(path) => {
                let problem = "a relative path means nothing outside of its metadata".to_owned();
                return Err(StorageError::Url { url: path.to_string(), problem });
            }
        };
        let location = stores.locate(&url)?;
        Self::open_at(&*location.store, &location.path, url, file).await
    }

    /// Opens what is to be the file that a handle names, wherever it is; `url` is for errors.
    pub(crate) async fn open_at(
        store: &dyn ObjectStore,
        path: &Path,
        url: String,
        file: &StateFile,
    ) -> Result<Self, StorageError> {
        let expected = ContentSummary { length: file.length, checksum: file.checksum };
        let got = store.get(path).await.map_err(|source| {
            let url = url.clone();
            StorageError::Store { action: "read", url, source }
        })?;
        let decoder = Some(Box::new(FileDecoder::new(FileKind::State)));
        Ok(Self { url, expected, source: Source::File { stream: got.into_stream(), decoder } })
    }

    /// The next piece; `None` after the last, once the whole has been checked.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, StorageError> {
        let (stream, decoder) = match &mut self.source {
            Source::Inline(bytes) => {
                let Some(bytes) = bytes.take() else { return Ok(None) };
                let (length, checksum) = (bytes.len() as u64, state_checksum(&bytes));
                check(&self.url, self.expected, ContentSummary { length, checksum })?;
                return Ok(Some(bytes));
            }
            Source::File { stream, decoder } => (stream, decoder),
        };
        let damaged = |source| StorageError::Damaged { url: self.url.clone(), source };
        while let Some(open) = decoder {
            if let Some(chunk) = open.next_chunk().map_err(damaged)? {
                return Ok(Some(chunk.into()));
            }
            match stream.next().await {
                Some(Ok(bytes)) => open.push(&bytes),
                Some(Err(source)) => {
                    let url = self.url.clone();
                    return Err(StorageError::Store { action: "read", url, source });
                }
                None => {
                    if let Some(ended) = decoder.take() {
                        let found = ended.finish().map_err(damaged)?;
                        check(&self.url, self.expected, found)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// All that is left.
    pub(crate) async fn read_to_end(&mut self) -> Result<Vec<u8>, StorageError> {
        let mut content = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}

fn check(url: &str, expected: ContentSummary, found: ContentSummary) -> Result<(), StorageError> {
    if expected == found {
        return Ok(());
    }
    let (length, checksum) = (found.length, found.checksum);
    Err(StorageError::OtherContent { url: url.to_owned(), length, checksum })
}

/// The whole content that a handle names.
pub async fn read_all(stores: &Stores, file: &StateFile) -> Result<Vec<u8>, StorageError> {
    StateReader::open(stores, file).await?.read_to_end().await
}
