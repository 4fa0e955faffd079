//! Disks with local copies of state: in memory, and as bad as the scenario wants.
//!
//! A write or a read may fail, and what is read may not be what was written, which nobody is told.
//! Whatever happens here, the run must be as without local recovery. The directories themselves are
//! the system's, and empty.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use hurtig_filesystem::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};

use crate::{scenario::LocalRecovery, world::World};

/// All disks of a cluster: names in them are unique.
#[derive(Debug)]
pub struct LocalDisk {
    world: World,
    how: LocalRecovery,
    inner: InMemory,
}

impl fmt::Display for LocalDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalDisk")
    }
}

impl LocalDisk {
    /// Empty disks.
    pub fn new(world: World, how: LocalRecovery) -> Arc<Self> {
        Arc::new(Self { world, how, inner: InMemory::new() })
    }

    /// What happens is noted by file, since the directory is another in every run.
    fn note(&self, what: &str, location: &Path) {
        self.world.note(format_args!("local disk: {what} {}", location.filename().unwrap_or("")));
    }

    fn may_fail(&self, what: &str, location: &Path) -> Result<()> {
        if !self.world.draw(|random| random.permille(self.how.failing_permille)) {
            return Ok(());
        }
        self.note(&format!("refuses to {what}"), location);
        Err(Error::Generic { store: "local", source: "injected: refused".into() })
    }
}

#[async_trait]
impl ObjectStore for LocalDisk {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.may_fail("write", location)?;
        let mut bytes: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
        let damaged = self.world.draw(|random| random.permille(self.how.damaged_permille));
        if damaged && !bytes.is_empty() {
            self.note("damages", location);
            let at = self.world.draw(|random| random.between(0, bytes.len() as u64 - 1)) as usize;
            match self.world.draw(|random| random.permille(500)) {
                true => bytes[at] ^= 0x20,
                false => bytes.truncate(at),
            }
        }
        self.inner.put_opts(location, bytes.into(), options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.may_fail("write", location)?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.may_fail("read", location)?;
        self.note("reads", location);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
