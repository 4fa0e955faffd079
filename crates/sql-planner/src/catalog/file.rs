//! A catalog in a directory.
//!
//! ```text
//! path/<database>/database.json
//! path/<database>/tables/<table or view>.json
//! path/<database>/functions/<function>.json
//! ```
//!
//! 1. Names become names of files: what is no letter, digit, `_` or `-` of ASCII is written as `%` and
//!    two hexadecimal digits a byte.
//! 2. A file is written whole beside its place, brought to disk, and renamed into it: whoever reads
//!    sees the one before or the new one, also after a crash.
//! 3. Nothing is kept in memory, so that sessions that share the directory see each other's changes.
//!    Of two that write the same object, the later one stays.
//!
//! What is read is bounded and checked; an error names the file.

mod files;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Catalog, CatalogEntry, DatabaseDefinition, FunctionDefinition,
    stored::{StoredDatabase, StoredEntry, StoredFunction},
};
use crate::{PlanError, PlanResult};

pub(super) use files::{Files, file_name};

/// The file that makes a directory a database.
const DATABASE_FILE: &str = "database";
const TABLES: &str = "tables";
const FUNCTIONS: &str = "functions";

/// Keeps definitions in a directory.
#[derive(Debug)]
pub struct FileCatalog {
    directory: PathBuf,
}

impl FileCatalog {
    /// The catalog in that directory, which is made with that database if it is not there.
    ///
    /// # Errors
    /// If the directory cannot be read or made.
    pub fn open(directory: &Path, default_database: &str) -> PlanResult<Self> {
        let catalog = Self { directory: directory.to_owned() };
        if catalog.databases()?.is_empty() {
            catalog.put_database(default_database, DatabaseDefinition::default())?;
        }
        Ok(catalog)
    }

    fn database_files(&self, database: &str) -> PlanResult<Files> {
        Ok(Files::in_directory(self.directory.join(file_name(database)?), "json"))
    }

    fn files(&self, database: &str, kind: &str) -> PlanResult<Files> {
        let directory = self.directory.join(file_name(database)?).join(kind);
        Ok(Files::in_directory(directory, "json"))
    }

    fn read<T: DeserializeOwned, R>(
        files: &Files,
        name: &str,
        checked: impl FnOnce(T) -> PlanResult<R>,
    ) -> PlanResult<Option<R>> {
        let Some((path, bytes)) = files.read(name)? else { return Ok(None) };
        let damaged = |why: String| {
            let path = path.display();
            PlanError::new(format!("{path} is no definition of a catalog: {why}"))
        };
        let stored = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(checked(stored).map_err(|error| damaged(error.message))?))
    }

    fn write<T: Serialize>(files: &Files, name: &str, value: &T) -> PlanResult<()> {
        let bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| PlanError::new(format!("internal: a definition as JSON: {error}")))?;
        files.write(name, &bytes)
    }

    /// An object's place is in a database that is there.
    fn in_database(&self, database: &str) -> PlanResult<()> {
        if self.database(database)?.is_none() {
            return Err(PlanError::new(format!("Database {database} does not exist")));
        }
        Ok(())
    }
}

impl Catalog for FileCatalog {
    fn databases(&self) -> PlanResult<Vec<String>> {
        let mut found = Vec::new();
        for name in files::directories(&self.directory)? {
            if self.database_files(&name)?.exists(DATABASE_FILE)? {
                found.push(name);
            }
        }
        Ok(found)
    }

    fn database(&self, name: &str) -> PlanResult<Option<DatabaseDefinition>> {
        Self::read(&self.database_files(name)?, DATABASE_FILE, StoredDatabase::read)
    }

    fn put_database(&self, name: &str, definition: DatabaseDefinition) -> PlanResult<()> {
        let files = self.database_files(name)?;
        Self::write(&files, DATABASE_FILE, &StoredDatabase::from(&definition))
    }

    fn remove_database(&self, name: &str) -> PlanResult<()> {
        // Without its file it is a database no more, whatever of the rest can be removed.
        self.database_files(name)?.remove(DATABASE_FILE)?;
        let directory = self.directory.join(file_name(name)?);
        fs::remove_dir_all(&directory).map_err(|error| {
            PlanError::new(format!("{} cannot be removed: {error}", directory.display()))
        })
    }

    fn entries(&self, database: &str) -> PlanResult<Vec<String>> {
        self.files(database, TABLES)?.names()
    }

    fn entry(&self, database: &str, name: &str) -> PlanResult<Option<CatalogEntry>> {
        Self::read(&self.files(database, TABLES)?, name, StoredEntry::read)
    }

    fn put_entry(&self, database: &str, name: &str, entry: CatalogEntry) -> PlanResult<()> {
        self.in_database(database)?;
        Self::write(&self.files(database, TABLES)?, name, &StoredEntry::from(&entry))
    }

    fn remove_entry(&self, database: &str, name: &str) -> PlanResult<()> {
        self.files(database, TABLES)?.remove(name)
    }

    fn functions(&self, database: &str) -> PlanResult<Vec<String>> {
        self.files(database, FUNCTIONS)?.names()
    }

    fn function(&self, database: &str, name: &str) -> PlanResult<Option<FunctionDefinition>> {
        Self::read(&self.files(database, FUNCTIONS)?, name, StoredFunction::read)
    }

    fn put_function(
        &self,
        database: &str,
        name: &str,
        function: Option<FunctionDefinition>,
    ) -> PlanResult<()> {
        self.in_database(database)?;
        let files = self.files(database, FUNCTIONS)?;
        match function {
            Some(function) => Self::write(&files, name, &StoredFunction::from(&function)),
            None => files.remove(name),
        }
    }
}
