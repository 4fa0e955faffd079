//! The store of checkpoints: in memory, slow and failing as the weather is, and watched.
//!
//! The watch checks on every request, so that a violation is found where it happens:
//! - when a metadata file appears, everything that it names is there;
//! - no file is deleted that a metadata file in the store names.
//!
//! Files can [rot](SimStore::rot) once they are there.
//!
//! For the end it remembers which files may be left, since the store itself has failed: those whose
//! deletion was refused, those that go behind one of them, and those that were written although the
//! writer was told otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use hurtig_filesystem::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};
use hurtig_storage::metadata;
use parking_lot::Mutex;

use crate::{faults::Step, world::World};

/// Scheme and host of the URLs that lead here.
pub const SCHEME_AND_HOST: &str = "memory://";

const METADATA_FILE: &str = "_metadata";

#[derive(Debug, Default)]
struct Watch {
    /// What each metadata file in the store names.
    named: BTreeMap<Path, BTreeSet<Path>>,
    /// Files that may be left over.
    excused: BTreeSet<Path>,
    /// Directories that could not be listed when they were to be swept.
    unswept: BTreeSet<Path>,
    /// Metadata files of which only a JobMaster that is lost knew whether they count.
    uncertain: BTreeSet<Path>,
    /// Metadata files that are being written.
    in_flight: BTreeSet<Path>,
    /// Metadata files in the order in which they were written.
    written: Vec<Path>,
    /// Files that are not what was written.
    rotten: BTreeSet<Path>,
    /// A checkpoint was built upon a rotten file: it will not be the last.
    rot_has_spread: bool,
}

impl Watch {
    /// The latest metadata file that counts for certain and is sound, if there is another such
    /// one of the same job before it; and what it alone names.
    fn may_rot(&self) -> Option<Vec<Path>> {
        let is_sound = |path: &&Path| {
            let named = self.named.get(*path);
            let files = named.into_iter().flatten().chain([*path]);
            let doubtful = self.excused.contains(*path) || self.uncertain.contains(*path);
            named.is_some() && !doubtful && files.into_iter().all(|f| !self.rotten.contains(f))
        };
        let mut sound = self.written.iter().rev().filter(is_sound);
        let (latest, before) = (sound.next()?, sound.next()?);
        let job = |path: &Path| path.parts().rev().nth(2).map(|part| part.as_ref().to_owned());
        if job(latest) != job(before) {
            return None;
        }
        let others = self.named.iter().filter(|(path, _)| *path != latest);
        let others: BTreeSet<&Path> = others.flat_map(|(_, named)| named).collect();
        let own = self.named[latest].iter().filter(|file| !others.contains(file));
        Some(own.chain([latest]).cloned().collect())
    }
}

/// The store. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct SimStore {
    world: World,
    inner: Arc<InMemory>,
    watch: Arc<Mutex<Watch>>,
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

fn injected(what: &'static str) -> Error {
    Error::Generic { store: "sim", source: format!("injected: {what}").into() }
}

fn is_metadata(path: &Path) -> bool {
    path.filename() == Some(METADATA_FILE)
}

fn path_of(url: &str) -> Path {
    Path::from(url.trim_start_matches(SCHEME_AND_HOST))
}

impl SimStore {
    /// An empty store.
    pub fn new(world: World) -> Self {
        Self { world, inner: Arc::new(InMemory::new()), watch: Arc::default() }
    }

    /// A request: late, refused before it has an effect, or answered by an error behind it.
    async fn request<T>(
        &self,
        on_failure: impl Fn(&mut Watch),
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let fate = self.world.fate_of_request();
        if fate.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fate.delay_ms)).await;
        }
        if fate.lost || fate.unanswered {
            on_failure(&mut self.watch.lock());
        }
        if fate.lost {
            self.world.note("store: refused");
            return Err(injected("refused"));
        }
        let answer = request.await;
        if fate.unanswered {
            self.world.note("store: no answer");
            return Err(injected("no answer"));
        }
        answer
    }

    /// A metadata file is there: so must be what it names.
    async fn check_metadata(&self, path: &Path, bytes: &[u8]) {
        let url = format!("{SCHEME_AND_HOST}/{path}");
        let directory = url.trim_end_matches(METADATA_FILE).trim_end_matches('/').to_owned();
        let decoded = match metadata::decode(bytes, &url, &directory) {
            Ok(decoded) => decoded,
            Err(error) => return self.world.violation(format_args!("{path}: {error}")),
        };
        let named: BTreeSet<Path> =
            decoded.files().filter_map(|file| file.url().map(|url| path_of(url))).collect();
        for file in &named {
            if self.inner.head(file).await.is_err() {
                self.world.violation(format_args!("{path} names {file}, which is not there"));
            }
        }
        let mut watch = self.watch.lock();
        if named.iter().any(|file| watch.rotten.contains(file)) {
            // It will be given up as those that it was built upon.
            watch.rot_has_spread = true;
            watch.excused.insert(path.clone());
        }
        watch.written.push(path.clone());
        watch.named.insert(path.clone(), named);
    }

    async fn delete_one(&self, path: Path) -> Result<Path> {
        if self.world.pass(Step::Delete, &path) {
            tokio::task::yield_now().await;
        }
        let excuse = |watch: &mut Watch| {
            watch.excused.insert(path.clone());
        };
        self.request(excuse, async {
            let named_by = {
                let mut watch = self.watch.lock();
                watch.named.remove(&path);
                let names = |(_, named): &(&Path, &BTreeSet<Path>)| named.contains(&path);
                watch.named.iter().find(names).map(|(metadata, _)| metadata.clone())
            };
            let excused = named_by.as_ref().is_some_and(|metadata| {
                let watch = self.watch.lock();
                watch.excused.contains(metadata) || watch.uncertain.contains(metadata)
            });
            if let Some(metadata) = named_by.filter(|_| !excused) {
                self.world.violation(format_args!("{path} is deleted, but {metadata} names it"));
            }
            self.inner.delete(&path).await
        })
        .await?;
        Ok(path)
    }

    /// A file of the latest complete checkpoint rots, unless none before it could take its place.
    /// The file.
    pub async fn rot(&self, which: u64) -> Option<Path> {
        let candidates = self.watch.lock().may_rot()?;
        let path = candidates[(which % candidates.len() as u64) as usize].clone();
        let read = self.inner.get(&path).await.ok()?.bytes().await.ok()?;
        let mut bytes = read.to_vec();
        let at = ((which >> 16) % bytes.len().max(1) as u64) as usize;
        match bytes.get_mut(at) {
            Some(byte) if which & 0x8000 == 0 => *byte ^= 1 << (which >> 60 & 7),
            _ => bytes.truncate(at),
        }
        {
            // What is given up since it is damaged may stay: somebody may want to look at it.
            let mut watch = self.watch.lock();
            watch.rotten.insert(path.clone());
            watch.excused.extend(candidates);
        }
        self.inner.put(&path, bytes.into()).await.ok()?;
        self.world.note(format_args!("store: {path} has rotted at {at}"));
        Some(path)
    }

    /// True if a checkpoint was built upon a rotten file, so that there may be no sound one left.
    pub fn has_rot_spread(&self) -> bool {
        self.watch.lock().rot_has_spread
    }

    /// All files, with those that a failure of the store excuses left out.
    pub async fn left_over(&self) -> Vec<Path> {
        let listed: Result<Vec<ObjectMeta>> = self.inner.list(None).try_collect().await;
        let listed = listed.unwrap_or_default();
        let watch = self.watch.lock();
        // Files go behind the metadata; where that could not be deleted, they stay.
        let of_undeletable = |path: &Path| {
            watch.excused.iter().filter(|one| is_metadata(one)).any(|metadata| {
                let parts: Vec<_> = metadata.parts().collect();
                let [.., job, directory, _] = &parts[..] else { return false };
                let number = directory.as_ref().strip_prefix("chk-").unwrap_or("none");
                let name = path.filename().unwrap_or_default();
                path.parts().any(|part| part == *job)
                    && (path.parts().any(|part| part == *directory)
                        || name.ends_with(&format!("-{number}-keyed")))
            })
        };
        // What still counts may name files, and what does not is swept with its job at the latest.
        let of_uncertain: BTreeSet<&Path> = watch
            .uncertain
            .iter()
            .filter_map(|metadata| watch.named.get(metadata))
            .flatten()
            .chain(&watch.uncertain)
            .collect();
        let excused = |path: &Path| {
            watch.excused.contains(path)
                || of_uncertain.contains(path)
                || of_undeletable(path)
                || watch.unswept.iter().any(|directory| path.prefix_matches(directory))
        };
        listed.into_iter().map(|meta| meta.location).filter(|path| !excused(path)).collect()
    }

    /// JobMasters are lost: what they were writing, or had written last, may be no checkpoint.
    pub fn on_job_masters_lost(&self) {
        let mut watch = self.watch.lock();
        let mut last: BTreeMap<Path, (u64, Path)> = BTreeMap::new();
        for path in watch.named.keys() {
            let parts: Vec<_> = path.parts().collect();
            let [.., job, directory, _] = &parts[..] else { continue };
            let number = directory.as_ref().strip_prefix("chk-").and_then(|n| n.parse().ok());
            let Some(number) = number else { continue };
            let of_job = last.entry(Path::from(job.as_ref())).or_insert((0, path.clone()));
            if of_job.0 < number {
                *of_job = (number, path.clone());
            }
        }
        let in_flight = watch.in_flight.clone();
        watch.uncertain.extend(in_flight);
        watch.uncertain.extend(last.into_values().map(|(_, path)| path));
    }

    /// The snapshot that was completed last beneath a directory (a URL).
    pub fn last_metadata_beneath(&self, directory: &str) -> Option<String> {
        let directory = path_of(directory);
        let watch = self.watch.lock();
        let there =
            |path: &&Path| path.prefix_matches(&directory) && watch.named.contains_key(*path);
        let last = watch.written.iter().rev().find(there)?;
        let snapshot = last.as_ref().trim_end_matches(METADATA_FILE).trim_end_matches('/');
        Some(format!("{SCHEME_AND_HOST}/{snapshot}"))
    }

    /// True if a file may be left over, since the store itself has failed.
    pub fn is_excused(&self, path: &Path) -> bool {
        self.watch.lock().excused.contains(path)
    }

    /// True for the metadata of what may be no checkpoint.
    pub fn is_uncertain(&self, path: &Path) -> bool {
        self.watch.lock().uncertain.contains(path)
    }

    /// Whatever is beneath a directory may be left over.
    pub fn excuse_directory(&self, directory: &str) {
        self.watch.lock().unswept.insert(Path::from(directory));
    }

    /// What a metadata file in the store names.
    pub fn named_by(&self, metadata: &Path) -> Option<BTreeSet<Path>> {
        self.watch.lock().named.get(metadata).cloned()
    }

    /// Metadata files beneath a directory.
    pub fn metadata_beneath(&self, directory: &str) -> Vec<Path> {
        let directory = Path::from(directory);
        let watch = self.watch.lock();
        watch.named.keys().filter(|path| path.prefix_matches(&directory)).cloned().collect()
    }
}

/// A write; its end is noted when this is dropped.
struct InFlight {
    watch: Arc<Mutex<Watch>>,
    location: Path,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.watch.lock().in_flight.remove(&self.location);
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let step = if is_metadata(location) { Step::PutMetadata } else { Step::PutState };
        if self.world.pass(step, location) {
            tokio::task::yield_now().await;
        }
        let excuse = |watch: &mut Watch| {
            watch.excused.insert(location.clone());
        };
        if is_metadata(location) {
            self.watch.lock().in_flight.insert(location.clone());
        }
        let _done = InFlight { watch: self.watch.clone(), location: location.clone() };
        if self.world.tears_write() {
            excuse(&mut self.watch.lock());
            let bytes: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
            let part = bytes[..bytes.len() / 2].to_vec();
            // Whether it had been there before makes no difference to the writer.
            let _ = self.inner.put_opts(location, part.into(), options).await;
            self.world.note(format_args!("store: has half of {location}"));
            return Err(injected("torn"));
        }
        self.request(excuse, async {
            let bytes: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
            let put = self.inner.put_opts(location, payload, options).await?;
            self.world.note(format_args!("store: has {location}"));
            if is_metadata(location) {
                self.check_metadata(location, &bytes).await;
            }
            Ok(put)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.world.pass(Step::PutState, location);
        let excuse = |watch: &mut Watch| {
            watch.excused.insert(location.clone());
        };
        self.request(excuse, self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.world.pass(Step::Get, location) {
            tokio::task::yield_now().await;
        }
        self.request(|_| {}, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move { store.delete_one(location?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let excuse = |watch: &mut Watch| {
                watch.unswept.extend(prefix.clone());
            };
            let listed = store.inner.list(prefix.as_ref()).try_collect::<Vec<_>>();
            match store.request(excuse, listed).await {
                Ok(listed) => listed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        stream::once(listing).flat_map(stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request(|_| {}, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
