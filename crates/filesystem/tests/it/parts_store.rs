//! An object store that is as strict about multipart uploads as S3: an upload is completed from
//! the parts that are named, all but the last must be large enough, and what is completed or
//! aborted is unknown from then on.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use hurtig_filesystem::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory,
    multipart::{MultipartStore, PartId},
    path::Path,
};
use parking_lot::Mutex;

#[derive(Debug)]
pub struct PartsStore {
    objects: InMemory,
    min_part_bytes: usize,
    uploads: Mutex<Uploads>,
}

#[derive(Debug, Default)]
struct Uploads {
    next: usize,
    open: HashMap<String, (Path, HashMap<String, Vec<u8>>)>,
    /// Requests that are to fail, by what they do.
    failing: Option<&'static str>,
    /// The next completion happens, but its answer is lost.
    loses_answer: bool,
}

impl PartsStore {
    pub fn new(min_part_bytes: usize) -> Arc<Self> {
        let (objects, uploads) = (InMemory::new(), Mutex::default());
        Arc::new(Self { objects, min_part_bytes, uploads })
    }

    pub fn open_uploads(&self) -> usize {
        self.uploads.lock().open.len()
    }

    pub fn fail(&self, request: Option<&'static str>) {
        self.uploads.lock().failing = request;
    }

    pub fn lose_answer(&self) {
        self.uploads.lock().loses_answer = true;
    }

    fn check(&self, request: &str) -> Result<()> {
        match self.uploads.lock().failing {
            Some(failing) if failing == request => Err(generic(&format!("{request} fails"))),
            _ => Ok(()),
        }
    }
}

fn generic(problem: &str) -> Error {
    Error::Generic { store: "parts", source: problem.to_owned().into() }
}

fn unknown(id: &str) -> Error {
    Error::NotFound { path: id.to_owned(), source: "no such upload".into() }
}

impl fmt::Display for PartsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parts")
    }
}

#[async_trait]
impl MultipartStore for PartsStore {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        tokio::task::yield_now().await;
        self.check("create")?;
        let mut uploads = self.uploads.lock();
        uploads.next += 1;
        let id = format!("upload-{}", uploads.next);
        uploads.open.insert(id.clone(), (path.clone(), HashMap::new()));
        Ok(id)
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        part_idx: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        tokio::task::yield_now().await;
        self.check("put_part")?;
        let mut uploads = self.uploads.lock();
        uploads.next += 1;
        let content_id = format!("{part_idx}-{}", uploads.next);
        let (its, parts) = uploads.open.get_mut(id).ok_or_else(|| unknown(id))?;
        assert_eq!(its, path);
        // A part of that number is replaced.
        parts.retain(|known, _| !known.starts_with(&format!("{part_idx}-")));
        parts.insert(content_id.clone(), data.iter().flatten().copied().collect());
        Ok(PartId { content_id })
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        tokio::task::yield_now().await;
        self.check("complete")?;
        let (loses_answer, bytes) = {
            let mut uploads = self.uploads.lock();
            let (its, known) = uploads.open.get(id).ok_or_else(|| unknown(id))?;
            assert_eq!(its, path);
            let mut bytes = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let part = known.get(&part.content_id).ok_or_else(|| generic("InvalidPart"))?;
                if index + 1 < parts.len() && part.len() < self.min_part_bytes {
                    return Err(generic("EntityTooSmall"));
                }
                bytes.extend_from_slice(part);
            }
            uploads.open.remove(id);
            (std::mem::take(&mut uploads.loses_answer), bytes)
        };
        let put = self.objects.put_opts(path, bytes.into(), PutOptions::default()).await;
        if loses_answer { Err(generic("the connection was reset")) } else { put }
    }

    async fn abort_multipart(&self, _: &Path, id: &MultipartId) -> Result<()> {
        self.check("abort")?;
        self.uploads.lock().open.remove(id).map(|_| ()).ok_or_else(|| unknown(id))
    }
}

#[async_trait]
impl ObjectStore for PartsStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        tokio::task::yield_now().await;
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
