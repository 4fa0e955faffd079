//! The catalogs of a session.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use hurtig_sql_parser::ast::ObjectName;
use indexmap::IndexMap;

use super::{
    Catalog, CatalogEntry, CatalogStore, FunctionDefinition, MemoryCatalog, ObjectPath,
    make_catalog,
};
use crate::{PlanError, PlanResult};

/// The catalog of every session.
pub const DEFAULT_CATALOG: &str = "default_catalog";
/// Its database.
pub const DEFAULT_DATABASE: &str = "default_database";

/// All catalogs, what is current, and temporary objects, which come before the catalogs' own.
#[derive(Clone)]
pub struct Catalogs {
    catalogs: BTreeMap<String, Arc<dyn Catalog>>,
    current_catalog: String,
    current_database: String,
    temporary: BTreeMap<ObjectPath, CatalogEntry>,
    temporary_functions: BTreeMap<ObjectPath, FunctionDefinition>,
    system_functions: BTreeMap<String, FunctionDefinition>,
    store: Option<Arc<CatalogStore>>,
    used: Option<Arc<Mutex<UsedObjects>>>,
}

/// The objects that a statement has named.
#[derive(Clone, Debug, Default)]
pub struct UsedObjects {
    /// Tables and views.
    pub entries: BTreeSet<ObjectPath>,
    /// Functions of users.
    pub functions: BTreeSet<ObjectPath>,
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.catalogs.keys().collect();
        write!(f, "Catalogs({names:?}, {}.{})", self.current_catalog, self.current_database)
    }
}

impl Default for Catalogs {
    fn default() -> Self {
        let memory: Arc<dyn Catalog> = Arc::new(MemoryCatalog::with_database(DEFAULT_DATABASE));
        Self {
            catalogs: BTreeMap::from([(DEFAULT_CATALOG.to_owned(), memory)]),
            current_catalog: DEFAULT_CATALOG.to_owned(),
            current_database: DEFAULT_DATABASE.to_owned(),
            temporary: BTreeMap::new(),
            temporary_functions: BTreeMap::new(),
            system_functions: BTreeMap::new(),
            store: None,
            used: None,
        }
    }
}

impl Catalogs {
    /// The current catalog.
    #[must_use]
    pub fn current_catalog(&self) -> &str {
        &self.current_catalog
    }

    /// The current database.
    #[must_use]
    pub fn current_database(&self) -> &str {
        &self.current_database
    }

    /// The names of the catalogs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.catalogs.keys().map(String::as_str)
    }

    /// A catalog.
    pub fn catalog(&self, name: &str) -> PlanResult<&Arc<dyn Catalog>> {
        self.catalogs.get(name).ok_or_else(|| {
            let error = PlanError::new(format!("Catalog {name} does not exist"));
            error.nearest(name, self.names())
        })
    }

    /// Adds a catalog.
    pub fn register(&mut self, name: &str, catalog: Arc<dyn Catalog>) -> PlanResult<()> {
        if self.catalogs.contains_key(name) {
            return Err(PlanError::new(format!("Catalog {name} already exists.")));
        }
        self.catalogs.insert(name.to_owned(), catalog);
        Ok(())
    }

    /// CREATE CATALOG: makes a catalog by its options, and keeps them in the store, if there is one.
    pub fn create_catalog(
        &mut self,
        name: &str,
        options: &IndexMap<String, String>,
    ) -> PlanResult<()> {
        if self.catalogs.contains_key(name) {
            return Err(PlanError::new(format!("Catalog {name} already exists.")));
        }
        let catalog = make_catalog(options)?;
        if let Some(store) = &self.store {
            store.put(name, options)?;
        }
        self.register(name, catalog)
    }

    /// Keeps definitions of catalogs from now on in a store; those that it has are there at once.
    ///
    /// # Errors
    /// If the store cannot be read, or one of its catalogs cannot be made or has a name that is taken;
    /// then nothing is changed.
    pub fn open_store(&mut self, store: CatalogStore) -> PlanResult<()> {
        let mut opened = Vec::new();
        for name in store.names()? {
            if self.catalogs.contains_key(&name) {
                return Err(PlanError::new(format!(
                    "Catalog {name} of the catalog store already exists in the session."
                )));
            }
            let catalog = make_catalog(&store.options(&name)?).map_err(|mut error| {
                error.message = format!("catalog {name} of the catalog store: {}", error.message);
                error
            })?;
            opened.push((name, catalog));
        }
        self.catalogs.extend(opened);
        self.store = Some(Arc::new(store));
        Ok(())
    }

    /// The same, noting which objects are looked up.
    #[must_use]
    pub fn noting(&self) -> Self {
        Self { used: Some(Arc::default()), ..self.clone() }
    }

    /// What was looked up since [`Catalogs::noting`].
    #[must_use]
    pub fn used(&self) -> UsedObjects {
        let used = self.used.as_ref();
        // What is noted is whole after each insertion.
        used.map(|used| used.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    fn note(&self, change: impl FnOnce(&mut UsedObjects)) {
        if let Some(used) = &self.used {
            change(&mut used.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Removes a catalog. The current one stays.
    pub fn unregister(&mut self, name: &str, if_exists: bool) -> PlanResult<()> {
        if name == self.current_catalog {
            return Err(PlanError::new(format!(
                "Cannot drop a catalog which is currently in use: {name}"
            )));
        }
        if !self.catalogs.contains_key(name) {
            return if if_exists { Ok(()) } else { self.catalog(name).map(|_| ()) };
        }
        if let Some(store) = &self.store {
            store.remove(name)?;
        }
        self.catalogs.remove(name);
        Ok(())
    }

    /// USE CATALOG: its first database becomes current, too.
    pub fn use_catalog(&mut self, name: &str) -> PlanResult<()> {
        let databases = self.catalog(name)?.databases()?;
        name.clone_into(&mut self.current_catalog);
        let first = databases.iter().find(|one| *one == DEFAULT_DATABASE).or(databases.first());
        self.current_database = first.cloned().unwrap_or_default();
        Ok(())
    }

    /// USE
    pub fn use_database(&mut self, name: &ObjectName) -> PlanResult<()> {
        let (catalog, database) = self.database_path(Some(name))?;
        if self.catalog(&catalog)?.database(&database)?.is_none() {
            let message = format!(
                "A database with name [{database}] does not exist in the catalog: [{catalog}]."
            );
            return Err(PlanError::at(name.span(), message));
        }
        (self.current_catalog, self.current_database) = (catalog, database);
        Ok(())
    }

    /// The catalog and database that a name stands for; the current ones without.
    pub fn database_path(&self, name: Option<&ObjectName>) -> PlanResult<(String, String)> {
        let Some(name) = name else {
            return Ok((self.current_catalog.clone(), self.current_database.clone()));
        };
        match &*name.0 {
            [database] => Ok((self.current_catalog.clone(), database.value.clone())),
            [catalog, database] => Ok((catalog.value.clone(), database.value.clone())),
            _ => Err(PlanError::at(name.span(), "a database's name has at most two parts")),
        }
    }

    /// The whole name of an object.
    pub fn path(&self, name: &ObjectName) -> PlanResult<ObjectPath> {
        let parts: Vec<&str> = name.0.iter().map(|part| &*part.value).collect();
        self.path_of(&parts).map_err(|error| error.within(name.span()))
    }

    fn path_of(&self, parts: &[&str]) -> PlanResult<ObjectPath> {
        let (catalog, database, name) = match parts {
            [name] => (&*self.current_catalog, &*self.current_database, *name),
            [database, name] => (&*self.current_catalog, *database, *name),
            [catalog, database, name] => (*catalog, *database, *name),
            _ => return Err(PlanError::new("a name has at most three parts")),
        };
        let [catalog, database, name] = [catalog, database, name].map(str::to_owned);
        Ok(ObjectPath { catalog, database, name })
    }

    /// The table or view of that path, and whether it is temporary.
    pub fn entry(&self, path: &ObjectPath) -> PlanResult<Option<(CatalogEntry, bool)>> {
        self.note(|used| {
            used.entries.insert(path.clone());
        });
        if let Some(entry) = self.temporary.get(path) {
            return Ok(Some((entry.clone(), true)));
        }
        let Some(catalog) = self.catalogs.get(&path.catalog) else { return Ok(None) };
        Ok(catalog.entry(&path.database, &path.name)?.map(|entry| (entry, false)))
    }

    /// What a name in a query stands for.
    pub fn lookup(&self, name: &ObjectName) -> PlanResult<(ObjectPath, CatalogEntry)> {
        let path = self.path(name)?;
        if let Some((entry, _)) = self.entry(&path).map_err(|error| error.within(name.span()))? {
            return Ok((path, entry));
        }
        let names = self.tables_and_views(&path.catalog, &path.database).unwrap_or_default();
        let missing = PlanError::at(name.span(), format!("Object '{name}' not found"));
        Err(missing.nearest(&path.name, names.iter().map(|(name, _)| &**name)))
    }

    /// Names of tables and views, temporary ones included; true for views.
    pub fn tables_and_views(
        &self,
        catalog: &str,
        database: &str,
    ) -> PlanResult<Vec<(String, bool)>> {
        let is_view = |entry: &CatalogEntry| matches!(entry, CatalogEntry::View(_));
        let mut all = BTreeMap::new();
        if let Some(kept) = self.catalogs.get(catalog) {
            for name in kept.entries(database)? {
                if let Some(entry) = kept.entry(database, &name)? {
                    all.insert(name, is_view(&entry));
                }
            }
        }
        let temporary = self.temporary.iter();
        for (path, entry) in
            temporary.filter(|(path, _)| path.catalog == catalog && path.database == database)
        {
            all.insert(path.name.clone(), is_view(entry));
        }
        Ok(all.into_iter().collect())
    }

    /// Keeps a table or view. False if there is one, which may stay.
    pub fn create(
        &mut self,
        path: &ObjectPath,
        entry: CatalogEntry,
        temporary: bool,
        replace: bool,
    ) -> PlanResult<bool> {
        let catalog = self.catalog(&path.catalog)?;
        if temporary {
            if self.temporary.contains_key(path) && !replace {
                return Ok(false);
            }
            self.temporary.insert(path.clone(), entry);
            return Ok(true);
        }
        if catalog.database(&path.database)?.is_none() {
            let (database, catalog) = (&path.database, &path.catalog);
            return Err(PlanError::new(format!(
                "Database {database} does not exist in Catalog {catalog}."
            )));
        }
        if !replace && catalog.entry(&path.database, &path.name)?.is_some() {
            return Ok(false);
        }
        catalog.put_entry(&path.database, &path.name, entry)?;
        Ok(true)
    }

    /// Replaces a table or view where it is.
    pub fn replace(&mut self, path: &ObjectPath, entry: CatalogEntry) -> PlanResult<()> {
        if let Some(kept) = self.temporary.get_mut(path) {
            *kept = entry;
            return Ok(());
        }
        self.catalog(&path.catalog)?.put_entry(&path.database, &path.name, entry)
    }

    /// Removes a table or view. False if there is none.
    pub fn drop(&mut self, path: &ObjectPath, temporary: bool) -> PlanResult<bool> {
        if temporary {
            return Ok(self.temporary.remove(path).is_some());
        }
        if self.temporary.contains_key(path) {
            return Err(PlanError::new(format!(
                "Temporary table with identifier '{path}' exists. Drop it first before removing the permanent table."
            )));
        }
        let Some(catalog) = self.catalogs.get(&path.catalog) else { return Ok(false) };
        if !catalog.entries(&path.database)?.contains(&path.name) {
            return Ok(false);
        }
        catalog.remove_entry(&path.database, &path.name)?;
        Ok(true)
    }

    /// A function of the user's.
    pub fn function(&self, name: &ObjectName) -> PlanResult<Option<FunctionDefinition>> {
        if let [name] = &*name.0
            && let Some(found) = self.system_functions.get(&name.value.to_lowercase())
        {
            return Ok(Some(found.clone()));
        }
        // A name of more parts is none of a function; it is told where it is called.
        let Ok(path) = self.path(name) else { return Ok(None) };
        self.note(|used| {
            used.functions.insert(path.clone());
        });
        if let Some(found) = self.temporary_functions.get(&path) {
            return Ok(Some(found.clone()));
        }
        let Some(catalog) = self.catalogs.get(&path.catalog) else { return Ok(None) };
        catalog.function(&path.database, &path.name)
    }

    /// Keeps (or with `None` removes) a function. True if there was one.
    pub fn put_function(
        &mut self,
        name: &ObjectName,
        function: Option<FunctionDefinition>,
        temporary: bool,
        system: bool,
    ) -> PlanResult<bool> {
        if system {
            let name = name.last().to_lowercase();
            return Ok(match function {
                Some(function) => self.system_functions.insert(name, function).is_some(),
                None => self.system_functions.remove(&name).is_some(),
            });
        }
        let path = self.path(name)?;
        if temporary {
            return Ok(match function {
                Some(function) => self.temporary_functions.insert(path, function).is_some(),
                None => self.temporary_functions.remove(&path).is_some(),
            });
        }
        let catalog = self.catalog(&path.catalog)?;
        let existed = catalog.function(&path.database, &path.name)?.is_some();
        catalog.put_function(&path.database, &path.name, function)?;
        Ok(existed)
    }

    /// The user's functions of a database.
    pub fn functions(&self, catalog: &str, database: &str) -> PlanResult<Vec<String>> {
        let kept = self.catalogs.get(catalog).map(|one| one.functions(database));
        let mut all = kept.transpose()?.unwrap_or_default();
        all.extend(self.system_functions.keys().cloned());
        let here = |path: &&ObjectPath| path.catalog == catalog && path.database == database;
        all.extend(self.temporary_functions.keys().filter(here).map(|path| path.name.clone()));
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The same with another current catalog and database, in which a view's names are resolved.
    #[must_use]
    pub fn at(&self, (catalog, database): &(String, String)) -> Self {
        let mut other = self.clone();
        catalog.clone_into(&mut other.current_catalog);
        database.clone_into(&mut other.current_database);
        other
    }
}
