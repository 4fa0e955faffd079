//! The catalog store: which catalogs there are, kept in a directory.
//!
//! As Flink's `table.catalog-store.kind: file`: CREATE CATALOG writes `<name>.yaml` into
//! `table.catalog-store.file.path`, DROP CATALOG removes it, and a session begins with the catalogs
//! that are there. The options are written as JSON, which is YAML; of YAML, JSON alone is read.

use std::path::Path;

use indexmap::IndexMap;

use super::file::Files;
use crate::{PlanError, PlanResult};

/// Which catalogs there are.
#[derive(Debug)]
pub struct CatalogStore {
    directory: std::path::PathBuf,
}

impl CatalogStore {
    /// The store in that directory: a path, or a URL of the scheme `file`.
    ///
    /// # Errors
    /// If it is no directory of this machine.
    pub fn in_directory(path: &str) -> PlanResult<Self> {
        Ok(Self { directory: super::kinds::local_path(path)? })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn files(&self) -> Files {
        Files::in_directory(self.directory.clone(), "yaml")
    }

    /// The names of the catalogs, in order.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> PlanResult<Vec<String>> {
        self.files().names()
    }

    /// The options of a catalog.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn options(&self, name: &str) -> PlanResult<IndexMap<String, String>> {
        let found = self.files().read(name)?;
        let (path, bytes) = found.ok_or_else(|| {
            PlanError::new(format!("Catalog {name} does not exist in the catalog store"))
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let path = path.display();
            PlanError::new(format!("{path} holds no options of a catalog as JSON: {error}"))
        })
    }

    /// Keeps a catalog.
    ///
    /// # Errors
    /// If there is one of that name, or it cannot be written.
    pub fn put(&self, name: &str, options: &IndexMap<String, String>) -> PlanResult<()> {
        if self.files().read(name)?.is_some() {
            let message = format!("Catalog {name} already exists in the catalog store.");
            return Err(PlanError::new(message));
        }
        let bytes = serde_json::to_vec_pretty(options)
            .map_err(|error| PlanError::new(format!("internal: options as JSON: {error}")))?;
        self.files().write(name, &bytes)
    }

    /// Forgets a catalog; what it keeps stays.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn remove(&self, name: &str) -> PlanResult<()> {
        self.files().remove(name)
    }
}
