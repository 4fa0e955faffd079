//! One file on its way to a store: in one piece if it is short, in parts if it is not.
//!
//! The file appears whole, when it is finished, or not at all.

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use hurtig_filesystem::object_store::{
    self, MultipartUpload, ObjectStore, ObjectStoreExt, UploadPart, path::Path,
};
use std::sync::Arc;

/// Parts that are uploaded at once, per file.
const PARTS_IN_FLIGHT: usize = 3;

/// An upload that has not ended.
pub(crate) struct FileUpload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: FuturesUnordered<UploadPart>,
}

impl FileUpload {
    /// Nothing is sent yet.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, upload: None, parts: FuturesUnordered::new() }
    }

    /// Sends a part that is not the last; stores want at least 5 MiB.
    pub(crate) async fn part(&mut self, part: Bytes) -> object_store::Result<()> {
        if self.upload.is_none() {
            self.upload = Some(self.store.put_multipart(&self.path).await?);
        }
        while self.parts.len() >= PARTS_IN_FLIGHT {
            self.parts.next().await.transpose()?;
        }
        if let Some(upload) = &mut self.upload {
            self.parts.push(upload.put_part(part.into()));
        }
        Ok(())
    }

    /// Sends the last part and waits until the file is there.
    pub(crate) async fn finish(&mut self, last: Bytes) -> object_store::Result<()> {
        if self.upload.is_none() {
            return self.store.put(&self.path, last.into()).await.map(drop);
        }
        self.part(last).await?;
        while let Some(ended) = self.parts.next().await {
            ended?;
        }
        match self.upload.take() {
            Some(mut upload) => upload.complete().await.map(drop),
            None => Ok(()),
        }
    }

    /// Gives up what was sent.
    pub(crate) async fn abort(&mut self) -> object_store::Result<()> {
        self.parts.clear();
        match self.upload.take() {
            Some(mut upload) => upload.abort().await,
            None => Ok(()),
        }
    }
}
