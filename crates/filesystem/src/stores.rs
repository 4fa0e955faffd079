//! From URLs to object stores.
//!
//! A store is opened once per scheme and host and then shared, so that connections are; a process
//! has one memory store per [`Stores`]. The number of stores is bounded by the hosts that the
//! configuration and the user's programs name.

use std::{collections::HashMap, sync::Arc};

use object_store::{
    ObjectStore, ObjectStoreScheme, local::LocalFileSystem, memory::InMemory,
    multipart::MultipartStore, path::Path,
};
use parking_lot::Mutex;
use url::Url;

use crate::error::UrlError;

/// Options of stores that bring none of their own.
static PROCESS_OPTIONS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Sets the options of all stores of this process that bring none of their own, as the
/// configuration has them; see [`Stores::new`]. Stores that are open already keep theirs.
pub fn set_process_options(options: Vec<(String, String)>) {
    *PROCESS_OPTIONS.lock() = options;
}

/// The object stores of a process.
#[derive(Debug, Default)]
pub struct Stores {
    options: Vec<(String, String)>,
    open: Mutex<HashMap<String, Open>>,
}

#[derive(Clone)]
struct Open {
    store: Arc<dyn ObjectStore>,
    multipart: Option<Arc<dyn MultipartStore>>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

impl Open {
    fn with_multipart<S: ObjectStore + MultipartStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { store: store.clone(), multipart: Some(store) }
    }
}

/// A place in an object store.
#[derive(Clone)]
pub struct Location {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The same store, if it takes files part by part under the caller's control.
    pub multipart: Option<Arc<dyn MultipartStore>>,
    /// The path in it.
    pub path: Path,
    /// The directory on the local disk, if it is one.
    pub local: Option<std::path::PathBuf>,
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.path, self.store)
    }
}

/// A URL of what may also be a path of the local disk.
///
/// # Errors
/// If it is neither.
pub fn location_url(text: &str) -> Result<String, UrlError> {
    let fail = |problem: String| UrlError { url: text.to_owned(), problem };
    if text.contains("://") {
        let url = Url::parse(text).map_err(|error| fail(error.to_string()))?;
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    let path = std::path::absolute(text).map_err(|error| fail(error.to_string()))?;
    let url = Url::from_file_path(path).map_err(|()| fail("it is no path".to_owned()))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

impl Stores {
    /// Stores with these options, as `object_store` names them: `aws_access_key_id`, `aws_region`,
    /// `aws_endpoint`, ... What they leave open is taken from the environment, as the stores' own
    /// tools do.
    pub fn new(options: Vec<(String, String)>) -> Self {
        Self { options, open: Mutex::default() }
    }

    /// Uses `store` for all URLs of that scheme and host, such as `memory://`.
    pub fn register(&self, scheme_and_host: &str, store: Arc<dyn ObjectStore>) {
        self.open.lock().insert(scheme_and_host.to_owned(), Open { store, multipart: None });
    }

    /// As [`Stores::register`], for a store that also takes files part by part.
    pub fn register_multipart<S: ObjectStore + MultipartStore>(
        &self,
        scheme_and_host: &str,
        store: Arc<S>,
    ) {
        let open = Open { store: store.clone(), multipart: Some(store) };
        self.open.lock().insert(scheme_and_host.to_owned(), open);
    }

    /// The store and path of a URL.
    pub fn locate(&self, url: &str) -> Result<Location, UrlError> {
        let fail = |problem: String| UrlError { url: url.to_owned(), problem };
        let parsed = Url::parse(url).map_err(|error| fail(error.to_string()))?;
        let (scheme, path) =
            ObjectStoreScheme::parse(&parsed).map_err(|error| fail(error.to_string()))?;
        let is_local = matches!(scheme, ObjectStoreScheme::Local);
        let local = is_local.then(|| parsed.to_file_path().ok()).flatten();
        let key = parsed[..url::Position::BeforePath].to_owned();
        let known = self.open.lock().get(&key).cloned();
        let open = match known {
            Some(open) => open,
            None => {
                let open = self.open(&scheme, &parsed).map_err(|error| fail(error.to_string()))?;
                // Whoever came first, so that there is one memory store.
                self.open.lock().entry(key).or_insert(open).clone()
            }
        };
        Ok(Location { store: open.store, multipart: open.multipart, path, local })
    }

    fn open(&self, scheme: &ObjectStoreScheme, url: &Url) -> object_store::Result<Open> {
        // The generic way gives stores without multipart uploads, so those that have them are
        // built by their own builders.
        match scheme {
            ObjectStoreScheme::Local => {
                Ok(Open { store: Arc::new(LocalFileSystem::new()), multipart: None })
            }
            ObjectStoreScheme::Memory => Ok(Open::with_multipart(InMemory::new())),
            #[cfg(feature = "aws")]
            ObjectStoreScheme::AmazonS3 => {
                let builder = object_store::aws::AmazonS3Builder::from_env();
                let mut builder = builder.with_url(url.as_str());
                for (key, value) in self.known_options() {
                    builder = builder.with_config(key, value);
                }
                Ok(Open::with_multipart(builder.build()?))
            }
            #[cfg(feature = "gcp")]
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
                let mut builder = builder.with_url(url.as_str());
                for (key, value) in self.known_options() {
                    builder = builder.with_config(key, value);
                }
                Ok(Open::with_multipart(builder.build()?))
            }
            #[cfg(feature = "azure")]
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
                let mut builder = builder.with_url(url.as_str());
                for (key, value) in self.known_options() {
                    builder = builder.with_config(key, value);
                }
                Ok(Open::with_multipart(builder.build()?))
            }
            _ => {
                let (store, _) = object_store::parse_url_opts(url, self.options())?;
                Ok(Open { store: store.into(), multipart: None })
            }
        }
    }

    fn options(&self) -> Vec<(String, String)> {
        if self.options.is_empty() { PROCESS_OPTIONS.lock().clone() } else { self.options.clone() }
    }

    /// The options that a kind of store knows; those of others are left to the others.
    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    fn known_options<K: std::str::FromStr>(&self) -> impl Iterator<Item = (K, String)> {
        let options = self.options().into_iter();
        options.filter_map(|(key, value)| Some((key.to_ascii_lowercase().parse().ok()?, value)))
    }
}
