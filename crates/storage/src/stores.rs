//! From URLs to object stores.
//!
//! A store is opened once per scheme and host and then shared, so that connections are; a process
//! has one memory store per [`Stores`]. The number of stores is bounded by the hosts that the
//! configuration and the user's savepoints name.

use std::{collections::HashMap, sync::Arc};

use object_store::{ObjectStore, ObjectStoreScheme, local::LocalFileSystem, path::Path};
use parking_lot::Mutex;
use url::Url;

use crate::error::StorageError;

/// The object stores of a process.
#[derive(Debug, Default)]
pub struct Stores {
    options: Vec<(String, String)>,
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// A place in an object store.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
    /// The directory on the local disk, if it is one.
    pub local: Option<std::path::PathBuf>,
}

impl Stores {
    /// Stores with these options, as `object_store` names them: `aws_access_key_id`, `aws_region`,
    /// `aws_endpoint`, ...
    pub fn new(options: Vec<(String, String)>) -> Self {
        Self { options, open: Mutex::default() }
    }

    /// Uses `store` for all URLs of that scheme and host, such as `memory://`.
    pub fn register(&self, scheme_and_host: &str, store: Arc<dyn ObjectStore>) {
        self.open.lock().insert(scheme_and_host.to_owned(), store);
    }

    pub(crate) fn locate(&self, url: &str) -> Result<Location, StorageError> {
        let fail = |problem: String| StorageError::Url { url: url.to_owned(), problem };
        let parsed = Url::parse(url).map_err(|error| fail(error.to_string()))?;
        let (scheme, path) =
            ObjectStoreScheme::parse(&parsed).map_err(|error| fail(error.to_string()))?;
        let is_local = matches!(scheme, ObjectStoreScheme::Local);
        let local = is_local.then(|| parsed.to_file_path().ok()).flatten();
        let key = parsed[..url::Position::BeforePath].to_owned();
        if let Some(store) = self.open.lock().get(&key) {
            return Ok(Location { store: store.clone(), path, local });
        }
        let store: Arc<dyn ObjectStore> = if is_local {
            Arc::new(LocalFileSystem::new())
        } else {
            let options = self.options.iter().map(|(key, value)| (key, value));
            let opened = object_store::parse_url_opts(&parsed, options);
            let (store, _) = opened.map_err(|error| fail(error.to_string()))?;
            store.into()
        };
        // Whoever came first, so that there is one memory store.
        let store = self.open.lock().entry(key).or_insert(store).clone();
        Ok(Location { store, path, local })
    }
}
