//! A catalog in memory.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use std::collections::BTreeMap;

use super::{Catalog, CatalogEntry, DatabaseDefinition, FunctionDefinition};
use crate::{PlanError, PlanResult};

/// The most objects of one database.
const MAX_OBJECTS: usize = 100_000;

/// Keeps everything in memory, in the order of names.
#[derive(Default)]
pub struct MemoryCatalog {
    databases: RwLock<BTreeMap<String, Database>>,
}

#[derive(Default)]
struct Database {
    definition: DatabaseDefinition,
    entries: BTreeMap<String, CatalogEntry>,
    functions: BTreeMap<String, FunctionDefinition>,
}

impl MemoryCatalog {
    /// A catalog with one empty database.
    #[must_use]
    pub fn with_database(name: &str) -> Self {
        let databases = BTreeMap::from([(name.to_owned(), Database::default())]);
        Self { databases: RwLock::new(databases) }
    }

    // No code panics while it holds the lock, and each change is one insertion.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Database>> {
        self.databases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Database>> {
        self.databases.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Database)) -> PlanResult<()> {
        let mut databases = self.write();
        let database = databases
            .get_mut(name)
            .ok_or_else(|| PlanError::new(format!("Database {name} does not exist")))?;
        change(database);
        if database.entries.len() + database.functions.len() > MAX_OBJECTS {
            return Err(PlanError::new(format!("database {name} has too many objects")));
        }
        Ok(())
    }
}

impl Catalog for MemoryCatalog {
    fn databases(&self) -> PlanResult<Vec<String>> {
        Ok(self.read().keys().cloned().collect())
    }

    fn database(&self, name: &str) -> PlanResult<Option<DatabaseDefinition>> {
        Ok(self.read().get(name).map(|database| database.definition.clone()))
    }

    fn put_database(&self, name: &str, definition: DatabaseDefinition) -> PlanResult<()> {
        self.write().entry(name.to_owned()).or_default().definition = definition;
        Ok(())
    }

    fn remove_database(&self, name: &str) -> PlanResult<()> {
        self.write().remove(name);
        Ok(())
    }

    fn entries(&self, database: &str) -> PlanResult<Vec<String>> {
        let databases = self.read();
        let found = databases.get(database);
        Ok(found.map(|one| one.entries.keys().cloned().collect()).unwrap_or_default())
    }

    fn entry(&self, database: &str, name: &str) -> PlanResult<Option<CatalogEntry>> {
        Ok(self.read().get(database).and_then(|one| one.entries.get(name).cloned()))
    }

    fn put_entry(&self, database: &str, name: &str, entry: CatalogEntry) -> PlanResult<()> {
        self.change(database, |database| {
            database.entries.insert(name.to_owned(), entry);
        })
    }

    fn remove_entry(&self, database: &str, name: &str) -> PlanResult<()> {
        self.change(database, |database| {
            database.entries.remove(name);
        })
    }

    fn functions(&self, database: &str) -> PlanResult<Vec<String>> {
        let databases = self.read();
        let found = databases.get(database);
        Ok(found.map(|one| one.functions.keys().cloned().collect()).unwrap_or_default())
    }

    fn function(&self, database: &str, name: &str) -> PlanResult<Option<FunctionDefinition>> {
        Ok(self.read().get(database).and_then(|one| one.functions.get(name).cloned()))
    }

    fn put_function(
        &self,
        database: &str,
        name: &str,
        function: Option<FunctionDefinition>,
    ) -> PlanResult<()> {
        self.change(database, |database| match function {
            Some(function) => {
                database.functions.insert(name.to_owned(), function);
            }
            None => {
                database.functions.remove(name);
            }
        })
    }
}
